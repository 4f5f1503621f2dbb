"""Choosing a language, with the small form at the foot of every page that can be loaded again."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from flask import Blueprint, abort, current_app, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response

from enroll_web.languages import COOKIE, KEPT_SECONDS, Languages
from enroll_web.visit import is_https

pages = Blueprint("language", __name__)

SHOWN_ONCE = frozenset(
    {
        *("second_factor.welcome", "second_factor.recovery_codes", "people.invited"),
        *("app_passwords.shown", "connect.ready"),
    }
)
"""Endpoints whose page is gone when it is loaded again: they have no such form."""

NOT_AGAIN = SHOWN_ONCE | {"oidc.callback", "static", "connect.health_of"}
"""Endpoints that nobody is led back to."""

_ADDRESS = re.compile(r"(?:/|(?:/(?!\.{1,2}(?:[/?]|$))[A-Za-z0-9._~%@+-]+)+/?)(?:\?[A-Za-z0-9_.~%+&=:/-]*)?")
"""Addresses that one may be led back to. One that began with two slashes would name another host."""


@pages.post("/language")
def choose() -> Response:
    """Keep what was chosen, and show the same page again."""
    languages: Languages = current_app.extensions["languages"]
    chosen = request.form.get("language", "")
    if chosen not in languages:
        abort(400)
    response = redirect(_safe(request.form.get("back", "")), 303)
    response.set_cookie(
        COOKIE, chosen, max_age=KEPT_SECONDS, path="/", secure=is_https(), httponly=True, samesite="Lax"
    )
    return response


def back() -> str:
    """Where the form at the foot of the page at hand leads back to."""
    query = request.query_string.decode("ascii", "replace")
    return quote(request.path) + (f"?{query}" if query else "")


def _safe(address: str) -> str:
    """The address of a page of ours, or of the first one."""
    path = address.partition("?")[0]
    if not _ADDRESS.fullmatch(address):
        return url_for("home.home")
    try:
        endpoint, _ = current_app.url_map.bind("").match(unquote(path), method="GET")
    except (HTTPException, RequestRedirect):
        return url_for("home.home")
    return url_for("home.home") if endpoint in NOT_AGAIN else address
