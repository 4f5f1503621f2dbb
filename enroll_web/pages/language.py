"""Choosing a language, with the small form at the foot of every page that can be loaded again."""

from __future__ import annotations

import re
from urllib.parse import quote

from flask import Blueprint, abort, current_app, redirect, request, url_for
from werkzeug.wrappers import Response

from enroll_web.entrance import endpoint_at
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

_QUERY = re.compile(r"[A-Za-z0-9_.~%+&=:/-]*")
"""What may stand behind the question mark of an address that one may be led back to."""


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
    path, _, query = address.partition("?")
    endpoint = endpoint_at(path) if _QUERY.fullmatch(query) else None
    return url_for("home.home") if endpoint is None or endpoint in NOT_AGAIN else address
