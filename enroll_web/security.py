"""What keeps a page harmless: response headers, and the proof that a form was sent by one of our own pages.

Never weakens what a page has set itself. Called by `enroll_web.app` before and after each request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from flask import Response, abort, g, request

from enroll_web.multipart import Form, Part
from enroll_web.told_scripts import FOREIGN, TOKEN_FIELD
from enroll_web.visit import is_private_line, own_origins, services, visit

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Pages are made for one person; the files below /static/ bring their own value.
    "Cache-Control": "no-store",
}

WITHOUT_TOKEN = frozenset({"language.choose"})
"""Endpoints whose form is on pages for whom no secret was made yet; it changes nothing but the language."""

READ_AS_IT_ARRIVES = frozenset({"files_upload.upload"})
"""Endpoints whose form holds files; `streamed_form`, the only way to it, looks for the token itself."""

OF_SCRIPTS = frozenset({"uploads"})
"""Blueprints that scripts of our pages call, with the token in the head; their bodies are no forms."""

AFTER_TURN = frozenset(
    {
        *("files_sending.several", "my_data.download"),
        *("files_moving.move", "files_moving.copy", "files_deleting.delete", "files_deleting.undelete"),
        *("trash.restore", "trash.purge", "trash.empty", "versions.purge_all"),
    }
)
"""Endpoints whose work is long and whose form is read when it is the account's turn: a request whose form was
read cannot wait for that any more."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

FROM_ELSEWHERE = frozenset({"oidc.logout_notice"})
"""Endpoints that the identity provider's server calls; what it sends is signed."""

OPEN_TO_LISTENERS = frozenset({"static", "home.home", "home.privacy", "language.choose"})
"""Endpoints that are shown even where the line can be listened to: they neither ask nor tell anything."""


def nonce() -> str:
    """What the scripts and the stylesheet of this one response carry; another one each time."""
    if "nonce" not in g:
        g.nonce = services().sessions.new_secret()
    return str(g.nonce)


def check_request() -> None:
    """Refuse what could have been sent by another site's page, or overheard.

    Browsers say where a request comes from (`Sec-Fetch-Site`, `Origin`); with `Referrer-Policy: no-referrer`
    they give "null" as the origin of our own forms, which counts only beside the other field.

    Raises:
        TooBusy: it is not the turn of this account (`AFTER_TURN`); nothing of the form was read.
    """
    if request.endpoint is None or request.endpoint in FROM_ELSEWHERE:  # the former is 404 or 405 anyway
        return
    if request.endpoint not in OPEN_TO_LISTENERS and not is_private_line():
        abort(403, "insecure")
    if request.method in SAFE_METHODS:
        return
    if not _is_from_here():
        abort(403, FOREIGN)
    if request.endpoint in AFTER_TURN and visit().is_signed_in:
        visit().take_turn()
    if not _is_ours():
        abort(403, FOREIGN)


def streamed_form(between: Callable[[], None]) -> Iterator[Part]:
    """The parts of a form with files, read as they arrive; the first of them is the proof that it is ours.

    Browsers send the fields of a form in the order in which they stand on the page (HTML, 4.10.22.4), so
    nothing of a form that somebody else has made is looked at.

    Args:
        between: called before anything is waited for.

    Raises:
        UploadRefused: it is no form, or it ended early.
    """
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data":
        abort(400)
    request.max_content_length = request.content_length  # what counts is what the vault has room for
    arriving = request.stream

    def fill(buffer: memoryview) -> int:
        between()
        return int(arriving.readinto(buffer))  # type: ignore[attr-defined]  # it is a raw stream

    parts = Form(fill, boundary).parts()
    first = next(parts, None)
    if first is None or first.name != "csrf" or not visit().made(first.text()):
        abort(403, "foreign")
    return parts


def harden(response: Response) -> Response:
    """Add the headers that the response does not have yet."""
    response.headers.setdefault("Content-Security-Policy", policy())
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _is_from_here() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None and site != "same-origin":
        return False
    if origin == "null":
        return site == "same-origin"
    return origin is None or origin in own_origins()


def _is_ours() -> bool:
    if request.endpoint in WITHOUT_TOKEN | READ_AS_IT_ARRIVES:
        return True
    if request.blueprint in OF_SCRIPTS:
        return visit().made(request.headers.get(TOKEN_FIELD, ""))
    return visit().made(request.form.get("csrf", ""))


def policy(*besides: str) -> str:
    """Nothing but our own files, those that carry this response's nonce; no frame around us.

    Args:
        besides: further directives, for a page that shows a file.
    """
    source = f"'nonce-{g.nonce}'" if "nonce" in g else "'none'"
    form_targets = " ".join(["'self'", *_provider()])
    more = "".join(f"; {one}" for one in besides)
    return (
        f"default-src 'none'; script-src {source}; style-src {source}; img-src 'self' data:; "
        f"connect-src 'self'; base-uri 'none'; form-action {form_targets}; frame-ancestors 'none'{more}"
    )


def _provider() -> list[str]:
    """Browsers hold a form to this list even where it is sent on to: to the identity provider, to sign in."""
    if services().single_sign_on is None:
        return []
    issuer = urlsplit(services().settings.identity.issuer)
    return [f"{issuer.scheme}://{issuer.netloc}"]
