"""What may be shown of a file in a browser, and how, so that nothing of it ever runs (T36).

What is shown is decided by the ending of the name, never by what a file says of itself; what a browser could
run (HTML, SVG, XML, scripts) is text here. Used by `pages/files*.py`, and for
what is kept by `pages/trash.py` and `pages/versions.py`.
"""

from __future__ import annotations

from enum import Enum

from flask import make_response
from werkzeug.wrappers import Response

from davserver.errors import IntegrityError
from davserver.model import Content, Node
from davserver.sending.file import Fields
from davserver.sending.media import content_type
from davserver.vault.service import Vault
from enroll_web import errors, security, still_pdf
from enroll_web.still_pdf import Found
from enroll_web.visit import client, services, visit

SHOWN_TEXT_BYTES = 64 * 1024
"""How much of a text is on the page; the rest is behind a link."""

REMEMBERED = 10_000
"""PDFs of which it is remembered what was found: viewers ask for one part after the other."""

PICTURES = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
}
SOUNDS = {
    "aac": "audio/aac",
    "flac": "audio/flac",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
    "weba": "audio/webm",
}
FILMS = {
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "ogv": "video/ogg",
    "webm": "video/webm",
}
PAPERS = {"pdf": "application/pdf"}
"""Types by endings; no other type than these and plain text is ever sent to be shown."""

TEXTS = frozenset(
    {
        *(
            "atom",
            "bat",
            "c",
            "cfg",
            "conf",
            "cpp",
            "cs",
            "css",
            "csv",
            "diff",
            "go",
            "h",
            "htm",
            "html",
            "ini",
        ),
        *(
            "java",
            "js",
            "json",
            "log",
            "lua",
            "markdown",
            "md",
            "mjs",
            "patch",
            "php",
            "pl",
            "properties",
            "ps1",
        ),
        *(
            "py",
            "rb",
            "rs",
            "rss",
            "rst",
            "sh",
            "sql",
            "srt",
            "svg",
            "tex",
            "toml",
            "ts",
            "tsv",
            "txt",
            "vcf",
        ),
        *("ics", "vtt", "xhtml", "xml", "xsl", "yaml", "yml"),
    }
)
"""Endings of files that are text, whatever else they are."""

TEXTS_BY_NAME = frozenset(
    {"authors", "changelog", "copying", "dockerfile", "license", "makefile", "notice", "readme", "todo"}
)
"""The same for files whose name has no ending."""

PLAIN_TEXT = "text/plain; charset=utf-8"

HARMLESS = [
    ("Content-Security-Policy", "sandbox; default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # A page without an origin cannot keep others out; browsers refuse to show one that says so.
    ("Cross-Origin-Opener-Policy", "unsafe-none"),
]
"""What is said with every content that is shown: by itself it has no origin, no script and no network."""


class Kind(Enum):
    """How a file is shown."""

    PICTURE = "picture"
    SOUND = "sound"
    FILM = "film"
    TEXT = "text"
    PAPER = "paper"
    NOTHING = "nothing"


_TYPES = {
    Kind.PICTURE: PICTURES,
    Kind.SOUND: SOUNDS,
    Kind.FILM: FILMS,
    Kind.PAPER: {"pdf": "application/pdf"},
}


def kind_of(name: str) -> Kind:
    """How a file of this name is shown."""
    ending = _ending(name)
    for kind, types in _TYPES.items():
        if ending in types:
            return kind
    is_text = ending in TEXTS or name.lower() in TEXTS_BY_NAME or content_type(name).startswith("text/")
    return Kind.TEXT if is_text else Kind.NOTHING


_found: dict[Content, Found] = {}
"""What was found out of contents; they never change."""


def is_shown(opened: Vault, node: Node) -> bool:
    """Whether a file is shown at all; a PDF is read for that, when it is the account's turn.

    Raises:
        TooBusy: it is not; see `Visit.take_turn`.
        CorruptRow, CorruptBlob: it was altered.
    """
    kind = kind_of(node.name)
    return _looked_through(opened, node) is Found.STILL if kind is Kind.PAPER else kind is not Kind.NOTHING


def looked_at(opened: Vault, node: Node) -> dict[str, object]:
    """What `file_preview.html` shows of a file: if it was altered that it was, so that its page is there.

    Raises:
        TooBusy: see `is_shown`.
    """
    kind = kind_of(node.name)
    looked: dict[str, object] = {"kind": kind.value, "is_altered": False, "cut": node.size > SHOWN_TEXT_BYTES}
    try:
        if kind is Kind.TEXT:
            looked["text"] = beginning(opened, node)
        elif kind is Kind.PAPER:
            looked["found"] = _looked_through(opened, node).value
    except IntegrityError as error:
        errors.note(error, services().audit, client())
        looked["is_altered"] = True
    return looked


def page_about(name: str, page: str) -> Response:
    """The page about a file of this name; with a player on it, it may load what that plays from here."""
    response = make_response(page)
    if kind_of(name) in {Kind.SOUND, Kind.FILM}:
        response.headers["Content-Security-Policy"] = security.policy("media-src 'self'")
    return response


def fields_for(name: str) -> Fields:
    """What is said with the content of a file that is shown."""
    kind = kind_of(name)
    shown_as = PLAIN_TEXT if kind is Kind.TEXT else _TYPES[kind][_ending(name)]
    return [("Content-Type", shown_as), *HARMLESS]


def beginning(opened: Vault, node: Node) -> str:
    """The beginning of a text.

    Raises:
        CorruptRow, CorruptBlob: it was altered.
    """
    if not node.size:
        return ""
    start = _content(opened, node, min(node.size, SHOWN_TEXT_BYTES))
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return start.decode("utf-16", "replace")
    return start.decode("utf-8-sig", "replace")


def _looked_through(opened: Vault, node: Node) -> Found:
    """What is said of a PDF; a look takes memory and time, and one account must not take all of that."""
    if node.size > still_pdf.MAX_BYTES:
        return Found.LONG
    if node.content is None or not node.size:
        return Found.UNCLEAR
    found = _found.get(node.content)
    if found is None:
        visit().take_turn()
        found = still_pdf.look_through(_content(opened, node, node.size))
        if len(_found) >= REMEMBERED:
            _found.clear()
        _found[node.content] = found
    return found


def _content(opened: Vault, node: Node, length: int) -> bytes:
    """The first bytes of a file that is not empty."""
    with opened.read(node) as download:
        return b"".join(map(bytes, download.blocks(0, length)))


def _ending(name: str) -> str:
    _, dot, ending = name.rpartition(".")
    return ending.lower() if dot else ""
