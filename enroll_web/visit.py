"""Who is looking: the browser behind the request at hand, its cookie, and what its session remembers.

The cookie holds a random secret and nothing else; whoever is not signed in has one for the forms, and nothing
in the database. It must never answer with a cookie that was chosen by somebody else once a person signs in.
Used by the pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import ip_address
from typing import Any, cast

from flask import Response, current_app, g, request

from davserver.accounts.sessions import WebSession
from davserver.accounts.watch import Watch
from davserver.bootstrap import Services
from davserver.errors import AuthenticationError
from davserver.model import Account, Principal
from davserver.serving.exchange import ACCOUNT_KEY, CUT_KEY, TURN_KEY

HTTPS_COOKIE = "__Host-sealdav"
"""Browsers take a cookie of this name over https only, for this host and no other (RFC 6265bis, 4.1.3)."""

HTTP_COOKIE = "sealdav"
"""On this machine, without TLS, the other one would not be taken."""

SECRET_CHARS = 43
"""Length of what a cookie of ours holds."""


def services() -> Services:
    """What `davserver.bootstrap` built."""
    return cast("Services", current_app.extensions["services"])


class Visit:
    """One request of one browser.

    Attributes:
        session: what is known of the browser; None if that is nothing.
    """

    def __init__(self) -> None:
        self._came_with = request.cookies.get(_cookie_name(), "")
        self._secret = self._came_with if len(self._came_with) == SECRET_CHARS else ""
        self.session: WebSession | None = None
        if self._secret:
            self.session = services().sessions.open(self._secret)

    @property
    def principal(self) -> Principal:
        """Who is signed in.

        Raises:
            AuthenticationError: nobody is.
        """
        if self.session is None or self.session.principal is None:
            raise AuthenticationError("nobody is signed in")
        return self.session.principal

    @property
    def account(self) -> Account:
        """The account of who is signed in."""
        return self.principal.account

    @property
    def is_signed_in(self) -> bool:
        """Whether the first factor was proved."""
        return self.session is not None and self.session.principal is not None

    @property
    def is_proved(self) -> bool:
        """Whether both factors were."""
        return self.is_signed_in and self.principal.totp_at is not None

    @property
    def is_admin(self) -> bool:
        """Whether an administrator is looking, with both factors proved."""
        if self.session is None or not self.is_proved:
            return False
        if services().single_sign_on is not None:  # there the role decides, and nothing else
            return self.session.admin
        return services().profiles.of(self.account.id).admin

    @property
    def form_token(self) -> str:
        """What every form on the page has to hold."""
        if not self._secret:
            self._secret = services().sessions.new_secret()
        return services().sessions.form_token(self._secret)

    def made(self, form_token: str) -> bool:
        """Whether a form was made for this browser."""
        return bool(self._secret) and services().sessions.is_form_token(self._secret, form_token)

    # ── what the session remembers
    def recall(self, key: str) -> Any:  # noqa: ANN401 - what JSON can say
        """What was remembered; None if nothing was."""
        return None if self.session is None else self.session.data.get(key)

    def remember(self, **values: object) -> None:
        """Keep values for the requests to come; None forgets one."""
        if self.session is None and all(value is None for value in values.values()):
            return
        self._take(services().sessions.remember(self.session, values))

    def take_out(self, key: str) -> Any:  # noqa: ANN401 - as `recall`
        """What was remembered, this once: of several requests that ask at the same time one gets it."""
        if self.session is None or self.recall(key) is None:
            return None
        session, value = services().sessions.take_out(self.session, key)
        self._take(session)
        return value

    def tell(self, text: str) -> None:
        """Say something on the next page."""
        self.remember(notice=text)

    # ── steps
    def sign_in(self, principal: Principal, *, admin: bool = False, sid: str = "", **data: object) -> None:
        """The first factor was proved: a new session, whatever the browser had before."""
        self._take(
            services().sessions.sign_in(
                self.session, principal, admin=admin, provider_session=sid, data=dict(data), client=client()
            )
        )

    def prove(self, principal: Principal, **data: object) -> None:
        """The second factor was proved: another secret for the same session."""
        if self.session is None:
            raise AuthenticationError("nobody is signed in")
        self._take(services().sessions.prove(self.session, principal, data))

    def guarded(self, blocks: Iterable[bytes], going_on: Callable[[], None]) -> Iterator[bytes]:
        """A long answer, as long as this session would still open it; `going_on` is called now and then."""
        still_open = self._still_open()

        def ask() -> bool:
            going_on()
            return still_open()

        return services().transfers.guard(blocks, ask, request.environ.get(CUT_KEY, lambda: None))

    def watched(self) -> Watch:
        """Looks after a long request, as long as this session would still open it; to be closed."""
        return services().transfers.watch(self._still_open(), request.environ.get(CUT_KEY, lambda: None))

    def take_turn(self) -> None:
        """Wait until it is the account's turn, before a body is read or a long answer made.

        Forms are read before any page runs: see `security.AFTER_TURN` for those whose answers are long.

        Raises:
            TooBusy: too many requests of the account are running.
        """
        if TURN_KEY in request.environ:
            request.environ[TURN_KEY](self.account.username)

    def _still_open(self) -> Callable[[], bool]:
        if self.session is None:
            raise AuthenticationError("nobody is signed in")
        return partial(services().sessions.still_open, self.session)

    def ending_others(self) -> partial[int]:
        """What signs every other browser of the account out, within the transaction of what is the reason."""
        return partial(services().sessions.end_within, keep=self.session)

    def end(self) -> None:
        """The person has signed out."""
        if self.session is not None:
            services().sessions.end(self.session)
        self.session = None
        self._secret = ""

    def put_cookie(self, response: Response) -> None:
        """Give the browser its secret, if it has another one."""
        if self._secret == self._came_with:
            return
        secure = is_https()
        if self._secret:
            response.set_cookie(
                _cookie_name(), self._secret, path="/", secure=secure, httponly=True, samesite="Lax"
            )
        else:
            response.delete_cookie(_cookie_name(), path="/", secure=secure, httponly=True, samesite="Lax")

    def _take(self, session: WebSession) -> None:
        self.session = session
        self._secret = session.secret


def visit() -> Visit:
    """The visit at hand; looked up once a request."""
    if "visit" not in g:
        g.visit = Visit()
    return cast("Visit", g.visit)


def put_cookie(response: Response) -> Response:
    """After each request: see `Visit.put_cookie`. The access log is told whose request it was."""
    if "visit" in g:
        g.visit.put_cookie(response)
        if g.visit.is_signed_in:
            request.environ[ACCOUNT_KEY] = g.visit.account.username
    return response


def client() -> str:
    """Address of the peer."""
    return request.remote_addr or ""


def own_origin() -> str:
    """Scheme and host of this site, as its visitors see it, without a slash at the end."""
    return services().settings.server.public_url or request.host_url.rstrip("/")


def own_origins() -> frozenset[str]:
    """Every origin that our own pages may have: the one that was set, and the one that was asked for."""
    return frozenset({own_origin(), request.host_url.rstrip("/")})


def is_private_line() -> bool:
    """Whether nobody on the way can listen: https, or a connection that does not leave this machine."""
    if request.is_secure:
        return True
    host = request.host.rpartition(":")[0] if not request.host.endswith("]") else request.host
    host = (host or request.host).strip("[]").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_https() -> bool:
    """Whether browsers come by https: seen here, or said of a proxy that nobody told us to trust."""
    return request.is_secure or services().settings.server.is_https


def _cookie_name() -> str:
    return HTTPS_COOKIE if is_https() else HTTP_COOKIE
