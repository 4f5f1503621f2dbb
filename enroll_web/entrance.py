"""Which pages somebody may see, and where to go instead: to sign in, to a one-time code, back again.

It must never lead to another site, nor to a page that is not one of ours. Used by the pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum
from functools import wraps
from typing import ParamSpec
from urllib.parse import quote, unquote, urlencode

from flask import abort, current_app, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response

from davserver.accounts.totp import require_fresh_totp
from davserver.errors import NotPermitted
from enroll_web.visit import Visit, services, visit

_PATH = re.compile(r"/|(?:/(?:[A-Za-z0-9._~@+-]|%[0-9A-F]{2})+)+/?")
"""Paths that one may be led back to, as `quote` writes them. Beginning with two slashes they would name
another host. Each character can be matched in one way only, so that no text makes the search long."""

_MISLEADING = re.compile(r"//|\\|[\x00-\x1f\x7f-\x9f]|/\.{1,2}(?:/|$)")
"""What must not be in such a path once it is decoded, whoever does that on the way: another host, the end of
a line, a way upwards."""

_QUERY = re.compile(r"[A-Za-z0-9_.~%+&=-]*")
"""What `urlencode` makes of anything; no slash and no colon, so that there is no other address in it."""

MAX_PATH_CHARS = 2000
"""Longer paths are none of ours, or not worth it: a letter of a name may take nine of them."""

MAX_QUERY_CHARS = 400
"""The same for what stands behind the question mark."""

RETURNABLE = frozenset(
    {
        *("files.show", "files.search", "trash.show", "trash.entry", "trash.ask_to_empty"),
        *("versions.show", "versions.one", "files_new.new_folder", "files_new.rename"),
        *("home.start", "home.security", "second_factor.set_up", "second_factor.new_recovery_codes"),
        *("app_passwords.overview", "app_passwords.new", "app_passwords.stolen"),
        *("connect.overview", "connect.form", "connect.device"),
        *("password.change", "my_data.overview", "my_data.delete", "my_data.notices"),
        *("people.overview", "people.invite", "audit.overview", "audit.activity"),
        *("person.overview", "person.ask", "person.ask_quota", "person.ask_revoke"),
    }
)
"""Endpoints that one may be led back to."""

ASKED_FOR_MORE = frozenset({"people.overview", "audit.overview", "files.show", "files.search", "trash.show"})
"""Those whose address may ask for something behind a question mark: what to search, which page."""

Arguments = ParamSpec("Arguments")
Page = Callable[Arguments, Response | str]


class Level(IntEnum):
    """What has to be proved before a page is shown."""

    SIGNED_IN = 1
    """The first factor."""
    PROVED = 2
    """Both."""
    FRESH = 3
    """The second one within the last minutes."""


def needs(
    level: Level, *, admin: bool = False, back: str | None = None
) -> Callable[[Page[Arguments]], Page[Arguments]]:
    """Let nobody see a page who has not proved as much; they are led where they can.

    Args:
        level: what has to be proved.
        admin: whether it takes an administrator.
        back: endpoint to return to from there; None is the page itself, as it is when it is asked for. What
            it needs of the address, such as whose page it is, is taken from the present one.
    """

    def decorate(page: Page[Arguments]) -> Page[Arguments]:
        @wraps(page)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Response | str:
            elsewhere = _elsewhere(visit(), level, _here() if back is None else _address_of(back))
            if elsewhere is not None:
                return elsewhere
            if admin and not visit().is_admin:
                abort(403, "admins")
            return page(*args, **kwargs)

        return guarded

    return decorate


def landing(somebody: Visit) -> str:
    """Where somebody belongs who has just proved something."""
    if not somebody.is_signed_in:
        return url_for("sign_in.form")
    if somebody.is_proved:
        return url_for("home.start")
    if services().step_up is not None:  # both factors are proved there, or none
        return url_for("sign_in.form")
    if services().totp.is_enrolled(somebody.account):
        return url_for("second_factor.code")
    return url_for("second_factor.set_up")


def safe_next(text: str | None) -> str | None:
    """`text`, if it is the address of one of our pages that can be shown at any time; else None."""
    path, _, query = (text or "").partition("?")
    if len(query) > MAX_QUERY_CHARS or not _QUERY.fullmatch(query):
        return None
    endpoint = endpoint_at(path)
    may_ask = not query or endpoint in ASKED_FOR_MORE
    return text if endpoint in RETURNABLE and may_ask else None


def endpoint_at(path: str) -> str | None:
    """The endpoint that a path of an address leads to on this site; None if it may lead to anywhere else.

    Args:
        path: as `quote` writes it.
    """
    if len(path) > MAX_PATH_CHARS or not _PATH.fullmatch(path):
        return None
    decoded = unquote(path)
    if _MISLEADING.search(decoded):
        return None
    try:
        endpoint, _ = current_app.url_map.bind("").match(decoded, method="GET")
    except (HTTPException, RequestRedirect):
        return None
    return str(endpoint)


def is_fresh(somebody: Visit) -> bool:
    """Whether the second factor was proved within the last minutes."""
    try:
        require_fresh_totp(somebody.principal, services().clock(), fresh_for())
    except NotPermitted:
        return False
    return True


def _elsewhere(somebody: Visit, level: Level, back: str) -> Response | None:
    if not somebody.is_signed_in:
        return redirect(url_for("sign_in.form", next=safe_next(back)))
    if level >= Level.PROVED and not somebody.is_proved:
        return redirect(landing(somebody))
    if level >= Level.FRESH and not is_fresh(somebody):
        page = "second_factor.confirm" if services().step_up is None else "oidc.confirm"
        return redirect(url_for(page, next=safe_next(back)))
    return None


def _here() -> str:
    """The address of the page at hand, with what it asks for."""
    query = urlencode(list(request.args.items(multi=True)))
    path = quote(request.path)
    return f"{path}?{query}" if query and request.endpoint in ASKED_FOR_MORE else path


def _address_of(endpoint: str) -> str:
    """The address of another page about the same."""
    needed = {name for rule in current_app.url_map.iter_rules(endpoint) for name in rule.arguments}
    address = url_for(endpoint, **{name: (request.view_args or {})[name] for name in needed})
    return quote(unquote(address))  # `url_for` leaves some characters as they are


def fresh_for() -> timedelta:
    """How long a one-time code lets credentials be issued."""
    return timedelta(minutes=services().settings.login.totp_fresh_minutes)
