"""The stylesheet, the scripts and the picture, kept in memory and sent packed to whoever can unpack them.

Pages are never packed: they hold secrets beside what strangers may have put there, and the length would tell
of them (BREACH, CVE-2013-3587). Used by `enroll_web.app`.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Flask, Response, abort, request

FOLDER = Path(__file__).parent / "static"

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""By the ends of names; all are UTF-8."""

PACKING = "gzip"


@dataclass(frozen=True, slots=True)
class _Form:
    """One of the forms that a file is sent in; `tag` is its entity tag, without quotes."""

    body: bytes
    tag: str


@dataclass(frozen=True, slots=True)
class _File:
    media_type: str
    plain: _Form
    packed: _Form


def install(app: Flask) -> None:
    """Serve all of them as the endpoint `static`; those of a folder as it is at this moment."""
    files = {path.name: _read(path) for path in FOLDER.iterdir() if path.suffix in TYPES}

    def static(filename: str) -> Response:
        return _answer(files[filename]) if filename in files else abort(404)

    app.add_url_rule("/static/<path:filename>", endpoint="static", view_func=static)


def _answer(file: _File) -> Response:
    packed = request.accept_encodings.quality(PACKING) > 0
    form = file.packed if packed else file.plain
    response = Response(form.body, content_type=f"{file.media_type}; charset=utf-8")
    if packed:
        response.content_encoding = PACKING
    response.vary.add("Accept-Encoding")
    response.set_etag(form.tag)
    response.cache_control.no_cache = (
        True  # kept, but asked for before each use: a new version counts at once
    )
    response.make_conditional(request)
    return response


def _read(path: Path) -> _File:
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:32]
    packed = gzip.compress(content, mtime=0)
    return _File(TYPES[path.suffix], _Form(content, tag), _Form(packed, f"{tag}-{PACKING}"))
