"""The Flask application of the site: its pages, its error pages, the services behind it.

Never touches storage or keys, sets no cookie yet and runs no script. Called by `davserver.cli`.
"""

from __future__ import annotations

from flask import Flask, render_template, request
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from enroll_web import security

DRIVE_PATH = "dav/"
"""Where the drive is, below the address of this site, when both are served on one port."""

ERROR_TEXTS = {
    404: ("There is no such page", "The address may be mistyped, or the page may have moved."),
    405: ("This page cannot do that", "It can only be read."),
    500: ("Something went wrong here", "It is the server's fault and was logged. Please try again later."),
}
"""Title and explanation in plain words, by HTTP status; others use the words of RFC 9110."""


def create_app(services: object | None = None) -> Flask:
    """Build the site.

    Args:
        services: what `davserver.bootstrap` built; kept for the pages to come.
    """
    app = Flask(__name__)
    app.extensions["services"] = services
    app.jinja_env.undefined = StrictUndefined
    app.after_request(security.harden)
    app.register_error_handler(HTTPException, _error_page)
    app.add_url_rule("/", view_func=home)
    return app


def home() -> str:
    """The page that says what this server is, where the drive is and how to get in."""
    return render_template("home.html", drive_url=request.host_url + DRIVE_PATH)


def _error_page(error: HTTPException) -> Response:
    """Answer an HTTP error, or any exception (as 500), with a page that holds no detail of its cause."""
    response = error.get_response()
    title, explanation = ERROR_TEXTS.get(response.status_code, (error.name, error.description))
    response.content_type = "text/html; charset=utf-8"
    response.set_data(render_template("error.html", title=title, explanation=explanation))
    return response
