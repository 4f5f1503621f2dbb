"""The Flask application of the site: its pages, its error pages, the services behind it.

Never touches storage or keys. Called by `davserver.cli`; what protects it is in `security.py`, `visit.py` and
`entrance.py`, its error pages are in `errors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask, current_app
from jinja2 import StrictUndefined
from werkzeug.exceptions import HTTPException

from davserver.bootstrap import Services
from davserver.errors import DavserverError
from enroll_web import errors, security, static_files, words
from enroll_web.catalogues import Catalogue, our_catalogues
from enroll_web.languages import Languages, tag
from enroll_web.pages import (
    app_passwords,
    audit,
    connect,
    files,
    files_deleting,
    files_moving,
    files_new,
    files_sending,
    files_upload,
    home,
    invited,
    language,
    my_data,
    oidc,
    password,
    people,
    person,
    second_factor,
    sign_in,
    trash,
    uploads,
    versions,
)
from enroll_web.visit import put_cookie, services, visit

MAX_FORM_BYTES = 64 * 1024
"""Longest form; the longest field that means anything has a hundredth of it."""

PAGES = (
    home,
    files,
    files_new,
    files_moving,
    files_deleting,
    files_upload,
    uploads,
    files_sending,
    trash,
    versions,
    sign_in,
    oidc,
    second_factor,
    app_passwords,
    connect,
    password,
    my_data,
    people,
    person,
    audit,
    invited,
    language,
)
"""Where the pages are."""


def create_app(built: Services, catalogues: Mapping[str, Catalogue] | None = None) -> Flask:
    """Build the site.

    Args:
        built: what `davserver.bootstrap` built.
        catalogues: the languages it speaks; None reads those that come with it.

    Raises:
        ConfigError: a language cannot be used, or the usual one is not there.
    """
    app = Flask(__name__, static_folder=None)
    static_files.install(app)
    app.extensions["services"] = built
    languages = Languages(catalogues or our_catalogues(), built.settings.site.language)
    app.extensions["languages"] = languages
    app.config["MAX_CONTENT_LENGTH"] = MAX_FORM_BYTES
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {one.__name__: one for one in words.FILTERS}
    languages.install(app)
    app.before_request(security.check_request)
    app.after_request(security.harden)
    app.after_request(put_cookie)
    app.register_error_handler(HTTPException, errors.http_error)
    app.register_error_handler(DavserverError, errors.domain_error)
    app.context_processor(_for_every_page)
    for module in PAGES:
        app.register_blueprint(module.pages)
    return app


@dataclass(frozen=True, slots=True)
class Looking:
    """What the frame around every page shows of who is looking."""

    signed_in: bool = False
    proved: bool = False
    admin: bool = False
    notice: str = ""


def _looking(*, takes_notice: bool) -> Looking:
    """Who is looking; nobody, where that cannot be found out: an error page is shown all the same.

    Args:
        takes_notice: what was left to be said is said now. Not by error pages: one may never be sent, because
            the request is begun again when it is its turn (`Visit.take_turn`).
    """
    try:
        me = visit()
        notice = me.take_out("notice") if takes_notice else None
        return Looking(me.is_signed_in, me.is_proved, me.is_admin, notice or "")
    except DavserverError:
        return Looking()


def _for_every_page() -> dict[str, object]:
    """What templates may use beside what their page gives them."""
    languages: Languages = current_app.extensions["languages"]
    return {
        "page_language": tag,
        "other_languages": languages.others,
        "back": language.back,
        "shown_once": language.SHOWN_ONCE,
        "nonce": security.nonce,
        "visit": visit,
        "looking": _looking,
        "built_in": services().single_sign_on is None,
        "own_factor": services().step_up is None,
        "refusal": None,
        "is_error": False,
    }
