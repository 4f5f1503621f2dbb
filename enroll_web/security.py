"""Response headers that a browser enforces for every page, error page and file of the site.

Never weakens what a page has set itself. Called by `enroll_web.app` after each request.
"""

from __future__ import annotations

from flask import Response

HEADERS = {
    # Nothing may be loaded but our own stylesheet and icon; no script, no form, no frame around us.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Pages are made for one person; the files below /static/ bring their own value.
    "Cache-Control": "no-store",
}


def harden(response: Response) -> Response:
    """Add the headers that the response does not have yet."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
