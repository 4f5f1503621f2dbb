"""The WebDAV door as one WSGI application: who, what, answer, and nothing else in between.

WsgiDAV's middlewares are replaced by `DavApp.__call__`: it authenticates first, reads the request target once
and turns every error into a short answer. It must never show or log a path or the text of an unexpected
error. Built by `davserver.cli` and by tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any, Protocol

from wsgidav.dav_error import HTTP_INTERNAL_ERROR, HTTP_UNAUTHORIZED, DAVError
from wsgidav.wsgidav_app import WsgiDAVApp

from davserver.accounts.health_notes import HealthNotes, NoNotes
from davserver.accounts.watch import Transfers, Watch
from davserver.audit import AuditEvent, AuditSink, get_logger
from davserver.bootstrap import Services
from davserver.dav import errors
from davserver.dav.bearer import BearerTokens, is_metadata, metadata
from davserver.dav.body import RequestBody
from davserver.dav.domain_controller import READS_KEY, DomainController
from davserver.dav.provider import VaultProvider
from davserver.dav.put import Digests
from davserver.dav.request_server import RequestServer
from davserver.dav.responses import Blocks, Headers, StartResponse
from davserver.dav.scope import SCOPE_KEY, RequestScope
from davserver.dav.signs import Signs
from davserver.errors import DavserverError, IntegrityError
from davserver.model import AuthMethod, Principal
from davserver.sending.file import Content
from davserver.serving.exchange import ACCOUNT_KEY, CUT_KEY, TURN_KEY, Environ
from davserver.vault.service import RequestReads, Vaults


def build_app(services: Services) -> DavApp:
    """The door to the vaults, to be mounted where `REQUEST_URI` arrives untouched."""
    storage = services.settings.storage
    digests = Digests(compared=storage.digests, always=storage.always_hashed)
    return DavApp(
        services.authenticator,
        services.vaults,
        services.audit,
        digests,
        _tokens(services),
        services.transfers,
        services.health_notes,
    )


def _tokens(services: Services) -> BearerTokens | None:
    """What the door knows of the identity provider's tokens; None with built-in accounts."""
    bearer, settings = services.bearer, services.settings
    if bearer is None:
        return None
    return BearerTokens(
        bearer.authenticate,
        bearer.still_open,
        settings.identity.issuer,
        settings.identity.cli_client_id,
        settings.server.public_url,
    )


class Doorkeeper(Protocol):
    """What the door needs of `Authenticator`."""

    def authenticate(
        self, username: str, secret: str, client: str, agent: str, reads: RequestReads | None
    ) -> Principal:
        """Who it is; raises AuthenticationError."""
        ...

    def still_open(self, principal: Principal) -> bool:
        """Whether the credential would still be accepted."""
        ...


class DavApp(WsgiDAVApp):
    """WsgiDAV's application with its own dispatcher.

    Args:
        digests: which ones are kept of files.
        tokens: what is known of the identity provider's tokens; None without one.
        transfers: where every request is looked after while it runs.
        health: where it is noted what devices do; None: nowhere.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - parts
        self,
        authenticator: Doorkeeper,
        vaults: Vaults,
        audit: AuditSink,
        digests: Digests,
        tokens: BearerTokens | None = None,
        transfers: Transfers | None = None,
        health: HealthNotes | None = None,
    ) -> None:
        self._provider = VaultProvider()
        config: dict[str, Any] = {
            "provider_mapping": {"/": self._provider},
            "middleware_stack": [],
            "http_authenticator": {"accept_basic": False, "accept_digest": False},  # see `DomainController`
            "lock_storage": False,
            "property_manager": False,
            "logging": {"enable": False},
            "verbose": 0,
        }
        super().__init__(config)
        self.domain_controller = DomainController(self, config, authenticator.authenticate, tokens)
        self._server = RequestServer(self._provider, digests)
        self._tokens = tokens
        self._transfers = transfers or Transfers()
        self._signs = Signs(health or NoNotes())
        self._still_open = authenticator.still_open
        self._vaults = vaults
        self._audit = audit
        self._log = get_logger("sealdav.dav")

    def __call__(self, environ: Environ, start_response: StartResponse) -> Blocks:
        """Answer one request (PEP 3333). The status is given before this returns, so every error has one."""
        with closing(self._vaults.reads()) as reads:
            environ[READS_KEY] = reads
            return self._respond(environ, reads, _Start(start_response))

    def _respond(self, environ: Environ, reads: RequestReads, start: _Start) -> Blocks:
        try:
            start.body = RequestBody(environ, reads.pause)
            return self._answer(environ, start.body, reads, start)
        except DavserverError as error:
            self._note(error, environ)
            scope: RequestScope | None = environ.get(SCOPE_KEY)
            if scope is not None:
                self._signs.refused(scope, error)
            refusal = errors.translate(error, "" if scope is None else scope.target.prefix)
        except DAVError as error:
            refusal = error
        except Exception:  # noqa: BLE001 - nobody after us could answer without telling too much; it is logged
            self._log.error("unexpected error in a request", exc_info=True)
            start.body = None
            refusal = DAVError(HTTP_INTERNAL_ERROR)
        response = errors.respond(refusal, environ["REQUEST_METHOD"])
        unauthorized = refusal.value == HTTP_UNAUTHORIZED
        challenges = self.domain_controller.challenges(environ) if unauthorized else []
        start(response.status, [*challenges, *response.headers])
        return [response.body]

    def _answer(
        self, environ: Environ, body: RequestBody, reads: RequestReads, start_response: StartResponse
    ) -> Blocks:
        if is_metadata(environ):
            return metadata(self._tokens, environ, start_response)
        principal = self.domain_controller.principal(environ)
        environ[ACCOUNT_KEY] = principal.account.username
        self._signs.connected(principal, environ)
        if TURN_KEY in environ:
            environ[TURN_KEY](principal.account.username)
        if environ["REQUEST_URI"] == "*" and environ["REQUEST_METHOD"] == "OPTIONS":
            return self._server.do_OPTIONS(environ, start_response)
        still_open = partial(self._still_open_for(principal), principal)
        watch = self._transfers.watch(still_open, environ.get(CUT_KEY, _stay))
        try:
            scope = RequestScope(environ, self._vaults.open(principal, reads), body, watch)
            environ[SCOPE_KEY] = scope
            environ["wsgidav.provider"] = self._provider  # where WsgiDAV's resources look for it
            blocks = self._server(environ, start_response)
            self._signs.answered(scope, blocks)
        except BaseException:
            watch.close()
            raise
        if isinstance(blocks, list):
            watch.close()
            return blocks
        return _Stream(blocks, watch, lambda error: self._note(error, environ))

    def _still_open_for(self, principal: Principal) -> Callable[[Principal], bool]:
        if self._tokens is not None and principal.method is AuthMethod.BEARER:
            return self._tokens.still_open
        return self._still_open

    def _note(self, error: DavserverError, environ: Environ) -> None:
        """Somebody has to hear of altered storage, whoever was told what."""
        if isinstance(error, IntegrityError):
            self._audit.record(
                AuditEvent.INTEGRITY_FAILED,
                account=environ.get(ACCOUNT_KEY),
                client=environ.get("REMOTE_ADDR"),
                reason=type(error).__name__,
            )


def _stay() -> None:
    """Where there is no connection that could be cut."""


class _Start:
    """`start_response` that closes the connection if what follows on it may be the rest of a refused body.

    Attributes:
        body: the request's body; None if nobody can tell where it ends.
    """

    def __init__(self, start_response: StartResponse) -> None:
        self._start_response = start_response
        self.body: RequestBody | None = None

    def __call__(self, status: str, headers: Headers) -> None:
        if self.body is None or self.body.unread:
            headers = [*headers, ("Connection", "close")]
        self._start_response(status, headers)


class _Stream:
    """An answer that is still being made while it is sent."""

    def __init__(self, blocks: Blocks, watch: Watch, note: Callable[[DavserverError], None]) -> None:
        self._blocks = blocks
        self._watch = watch
        self._note = note

    def __iter__(self) -> Iterator[bytes | memoryview]:
        try:
            for block in self._blocks:
                self._watch.check()
                yield block
        except DavserverError as error:
            self._note(error)
            raise

    def close(self) -> None:
        """Called by the server when it is done, whatever came of it."""
        self._watch.close()
        if isinstance(self._blocks, Content):
            self._blocks.close()
