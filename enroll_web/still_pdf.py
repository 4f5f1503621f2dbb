"""Whether a PDF is a paper and nothing more: no script, no form that is sent, nothing that happens by itself.

Browsers show a PDF in a viewer of their own, and that runs what is in it, whatever the server says (Chromium
does so in spite of `sandbox`). So a PDF is shown only if a look through all of it finds nothing that could
run. Whatever cannot be looked through is not shown: what is encrypted, or packed in an unusual way. The site
itself does not depend on it: its cookie and its pages are out of the reach of a viewer. Pure; used by
`previews.py`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

MAX_BYTES = 16 * 1024 * 1024
"""Longest PDF that is looked through, and so shown."""

MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""How much may be packed in it."""

MAX_STREAMS = 20_000
"""Streams that are looked at."""

MAX_DICTIONARY_BYTES = 64 * 1024
"""Longest description of a stream."""

MIN_PACKED_BYTES = 2
"""By so many bytes it is known that data was packed (RFC 1950, 2.2)."""

ACTIVE = (
    *(
        "JavaScript",
        "JS",
        "XFA",
        "AA",
        "Launch",
        "SubmitForm",
        "ImportData",
        "GoToE",
        "RichMedia",
        "Rendition",
    ),
    *("Movie", "3D", "Encrypt"),
)
"""Names (ISO 32000-1, 12.6) without which nothing runs, is sent or is started; and what hides them all."""


def _named(*names: str) -> str:
    """Matches a name in any of its spellings: each character as itself, or as # and two digits (7.3.5)."""
    spelled = ("".join(_either(character) for character in name) for name in names)
    return rf"/(?:{'|'.join(spelled)})(?=[\x00\t\n\x0c\r ()<>\[\]{{}}/%]|\Z)"


def _either(character: str) -> str:
    digits = f"{ord(character):02x}"
    return f"(?:{re.escape(character)}|#{''.join(f'[{digit}{digit.upper()}]' for digit in digits)})"


def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode("latin-1"), re.DOTALL)


_ACTIVE = _compiled(_named(*ACTIVE))
_OPENING = _compiled(_named("OpenAction") + r"(?!\s*\[)")
"""What is done when it is opened, unless that is to show a place in it."""
_HEADER = re.compile(rb"%PDF-[^\r\n]{1,10}[\r\n]+(?:%[\x80-\xff]+[\r\n]+)?")
_STREAM = re.compile(rb"(?<!end)stream[^\r\n]*(?:\r\n|\n|\r)")
_PACKED = _compiled(_named("ObjStm", "First"))
"""What only streams have that hold other objects (7.5.7)."""
_FILTER = _compiled(_named("Filter"))
_UNUSUAL = _compiled(_named("DecodeParms", "DP", "F", "FFilter", "FDecodeParms") + "|#")
_FLATE = re.compile(rb"/Filter\s*(?:/FlateDecode\b|\[\s*/FlateDecode\s*\])")


def is_still(data: bytes) -> bool:
    """Whether nothing in a PDF could run."""
    header = _HEADER.match(data)
    if header is None or len(data) > MAX_BYTES:
        return False
    left = MAX_INFLATED_BYTES
    for text in _texts(data, header.end()):
        if text is None or _ACTIVE.search(text) or _OPENING.search(text):
            return False
        left -= len(text)
        if left < 0:
            return False
    return True


def _texts(data: bytes, start: int) -> Iterator[bytes | None]:
    """The whole, and what is packed in it; None for what cannot be looked through.

    Whatever can be inflated is looked at, not only what says that it holds objects: what a stream says of
    itself can be written so that viewers read it in another way than we do.
    """
    yield data
    for count, found in enumerate(_STREAM.finditer(data), 1):
        described = _described(data, start, found.start())
        if described is None or _is_strange(described) or count > MAX_STREAMS:
            yield None
        else:
            yield from _inflated(data, found.end(), must=_holds_packed_objects(described))


def _described(data: bytes, start: int, stop: int) -> bytes | None:
    """What is written of a stream that begins at `stop`; None if that is too long."""
    low = max(start, stop - MAX_DICTIONARY_BYTES)
    begins = max(data.rfind(b"endobj", low, stop), data.rfind(b"endstream", low, stop))
    return None if begins < 0 and low > start else data[max(begins, low) : stop]


def _holds_packed_objects(described: bytes) -> bool:
    return _PACKED.search(described) is not None and _FILTER.search(described) is not None


def _is_strange(described: bytes) -> bool:
    """Whether a stream has a comment in its description, or holds objects as no program packs them."""
    if b"%" in described:
        return True
    if not _holds_packed_objects(described):
        return False
    usual = _FLATE.search(described) is not None and len(_FILTER.findall(described)) == 1
    return not usual or _UNUSUAL.search(described) is not None


def _inflated(data: bytes, start: int, *, must: bool) -> Iterator[bytes | None]:
    """What is packed there; None if it is broken or does not end, or if nothing is and it must be."""
    inflating, stop = zlib.decompressobj(), data.find(b"endstream", start)
    packed = data[start : max(stop, start)]
    try:
        inflating.decompress(packed[:MIN_PACKED_BYTES])
    except zlib.error:
        if must:
            yield None
        return
    inflating = zlib.decompressobj()
    try:
        text = inflating.decompress(packed, MAX_INFLATED_BYTES)
    except zlib.error:
        yield None
    else:
        yield text if inflating.eof else None
