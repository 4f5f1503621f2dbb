"""What a file is by its name, and how it is handed to a browser so that it never runs there.

Pure; knows only the types of Python itself, so that an answer does not depend on the machine.
"""

from __future__ import annotations

from functools import lru_cache
from mimetypes import MimeTypes
from urllib.parse import quote

OCTETS = "application/octet-stream"

SHOWN = frozenset(
    {
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/plain",
    }
)
"""What a browser may show; everything else it must store. SVG and HTML can hold scripts, and so can PDF: its
viewers run them in spite of `sandbox`, so the site looks through each PDF before it shows it."""

HARDENING = [
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
"""For every content that a user brought: if a browser opens it, it has no origin and no script."""

CACHED_ENDINGS = 1024

_TYPES = MimeTypes()
_ENCODED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}


def content_type(name: str) -> str:
    """Media type by the ending of the name."""
    _, dot, ending = name.rpartition(".")
    return _by_ending(ending) if dot else OCTETS


@lru_cache(CACHED_ENDINGS)
def _by_ending(ending: str) -> str:
    guessed, encoding = _TYPES.guess_type(f"/name.{ending}", strict=False)
    return (guessed if encoding is None else _ENCODED.get(encoding)) or OCTETS


def browser_headers(name: str, media_type: str) -> list[tuple[str, str]]:
    """Header fields that keep a browser from running a file's content."""
    return HARDENING if media_type in SHOWN else as_attachment(name)


def as_attachment(name: str) -> list[tuple[str, str]]:
    """The same for a file that is to be stored, never shown (RFC 6266 and 8187 for its name)."""
    return [*HARDENING, ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}")]
