"""Whether a PDF is a paper and nothing more: no script, no form that is sent, nothing that happens by itself.

Browsers show a PDF in a viewer of their own, and that runs what is in it, whatever the server says (Chromium
does so in spite of `sandbox`). So a PDF is shown only if all of it was understood and nothing in it could
run. It is read from front to back, by rules that leave viewers no choice:

- Every object and every trailer that a viewer could find anywhere in the file, be it in a comment, a text or
  the contents of a picture, is one that was read here, from the same place on.
- Streams that hold objects are packed as programs pack them, and every place that they give for an object is
  one where an object was read.
- No name in any of them is one that something runs by, and nothing is encrypted.

Whatever is otherwise is not shown, and it is said why. The site itself does not depend on it: its cookie and
its pages are out of the reach of a viewer. Pure; used by `previews.py`.
"""

from __future__ import annotations

import re
import zlib
from enum import Enum

from enroll_web.pdf_values import OBJECTS, Values, shows_a_place
from enroll_web.pdf_words import (
    END,
    REFERENCE,
    SPACE,
    WHITE,
    Active,
    TooMuch,
    Unclear,
    compiled,
    require,
)

MAX_BYTES = 16 * 1024 * 1024
"""Longest PDF that is looked through, and so shown."""

MAX_OUTSIDE_BYTES = 8 * 1024 * 1024
"""How much of it may be outside of streams."""

MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""How much may be packed in all streams that hold objects."""

MAX_TABLE_BYTES = 2 * 1024 * 1024
"""How much such a stream may hold before its objects: their numbers and places."""

MAX_WORDS = 2_000_000
"""Words that are read, packed ones included; a million takes about a second."""

FLATE = frozenset({b"/FlateDecode", b"[/FlateDecode]"})
"""How programs pack objects (7.4.4), without white space."""

UNUSUAL = frozenset({b"/DP", b"/F", b"/FFilter", b"/FDecodeParms"})
"""Other ways to say how a stream is packed, or that it is elsewhere (7.3.8.2)."""

_HEADER = compiled(rf"%PDF-[12]\.[0-9](?={SPACE})")
_BETWEEN = compiled(
    rf"(?:{SPACE}++|%[^\r\n]*+|startxref{SPACE}++[0-9]++{END}|xref(?={SPACE})(?:[0-9nf]|{SPACE})*+)++"
)
"""Comments, and tables of where objects are: wherever they lead, an object that is there was read."""
_OBJECT = compiled(rf"([0-9]{{1,8}}){SPACE}++[0-9]{{1,5}}{SPACE}++obj{END}")
_END_OF_OBJECT = compiled(rf"{SPACE}*+endobj{END}")
_STREAM = compiled(rf"{SPACE}*+stream\r?\n")
_END_OF_STREAM = compiled(rf"{SPACE}{{0,2}}+endstream{SPACE}++endobj{END}")
_TRAILER = compiled(rf"trailer(?={SPACE}*+<<)")
_SPACE = compiled(rf"{SPACE}*+")
_NUMBER = compiled(r"[0-9]{1,10}")
_REFERENCE = compiled(REFERENCE)
_TABLE = compiled(rf"(?:{SPACE}*+[0-9]{{1,10}}{SPACE}++[0-9]{{1,10}}(?={SPACE}|\Z))*+{SPACE}*+")
_PARAMETERS = compiled(r"<<(?:/(?:Predictor|Columns|Colors|BitsPerComponent)[0-9]++)*+>>")

_ANY_OBJECT = compiled(r"obj(?<=[0-9\x00\t\n\x0c\r \x80\xff]obj)(?=[\x00\t\n\x0c\r \x80\xff()<>\[\]{}/%]|\Z)")
_ANY_TRAILER = compiled(r"trailer[\x00\t\n\x0c\r \x80\xff]*+(?:<<|%)")
"""Wherever some viewer could see one; there are some to which two more bytes are white space."""

_ENCRYPTED = compiled(rf"/Encrypt{SPACE}*+(?:<<|{REFERENCE}{END})")


class Found(Enum):
    """What a look through a PDF has found out."""

    STILL = "still"
    """Nothing in it could run; only then it is shown."""
    LONG = "long"
    """There is too much of it."""
    ENCRYPTED = "encrypted"
    ACTIVE = "active"
    """Something in it could run."""
    UNCLEAR = "unclear"
    """It is not written as programs write it."""


def look_through(data: bytes) -> Found:
    """Find out whether nothing in a PDF could run; and if not, what to say of it."""
    if len(data) > MAX_BYTES:
        return Found.LONG
    try:
        _Look(data).through()
    except Unclear as why:
        return _said_of(why, data)
    return Found.STILL


def _said_of(why: Unclear, data: bytes) -> Found:
    """What is encrypted says so at its end, behind what does not open and may look like anything."""
    if _ENCRYPTED.search(data):
        return Found.ENCRYPTED
    return {Active: Found.ACTIVE, TooMuch: Found.LONG}.get(type(why), Found.UNCLEAR)


class _Look:
    """One look through a PDF. Everything in it raises `Unclear` if that is not to be shown."""

    def __init__(self, data: bytes) -> None:
        self._values = Values(data, MAX_WORDS)
        self._inflatable = MAX_INFLATED_BYTES
        self._in_streams = 0
        self._holders = 0  # streams that hold objects
        self._doing = set[int]()  # objects that do more than to show a place, by number

    def through(self) -> None:
        """All of it."""
        values, objects, trailers = self._values, 0, 0
        require(that=values.take(_HEADER) is not None)
        while not values.at_end:
            if found := values.take(_OBJECT):
                self._object(int(found[1]))
                objects += 1
            elif values.take(_TRAILER):
                values.entries()
                trailers += 1
            else:
                require(that=values.take(_BETWEEN) is not None)
            require(that=values.at - self._in_streams <= MAX_OUTSIDE_BYTES, otherwise=TooMuch)
        require(that=objects == _count(_ANY_OBJECT, values.data))
        require(that=trailers == _count(_ANY_TRAILER, values.data))
        require(that=values.holders == self._holders)
        require(that=not values.opened & self._doing, otherwise=Active)

    def _object(self, number: int) -> None:
        """From behind its number to its end (7.3.10)."""
        values = self._values
        start = values.at
        described = values.entries()
        if described is None:
            values.value()
        if not shows_a_place(values.data[start : values.at].strip(WHITE)):
            self._doing.add(number)
        if not values.take(_END_OF_OBJECT):
            require(that=values.take(_STREAM) is not None)
            self._stream(described or {})  # one of which nothing is said has no length

    def _stream(self, described: dict[bytes, bytes]) -> None:
        """From behind its beginning to the end of the object (7.3.8)."""
        values = self._values
        start = values.at
        values.at = stop = self._stop(described.get(b"/Length", b""))
        require(that=values.take(_END_OF_STREAM) is not None)
        self._in_streams += stop - start
        kind = described.get(b"/Type")
        if kind == OBJECTS or b"/First" in described:  # there are viewers that do not ask for the type
            require(that=_is_plain(described) and b"/DecodeParms" not in described)
            self._packed(described, self._inflated(values.data[start:stop]))
            self._holders += kind == OBJECTS
        elif kind == b"/XRef":
            parameters = described.get(b"/DecodeParms", b"<<>>").translate(None, WHITE)
            require(that=b"/Filter" not in described or _is_plain(described))
            require(that=_PARAMETERS.fullmatch(parameters) is not None)

    def _stop(self, length: bytes) -> int:
        """Where a stream ends; if another object says how long it is, then at the first end that there is.

        It may do so wrongly: objects are packed so that more bytes or fewer make no others of them.
        """
        values = self._values
        if _NUMBER.fullmatch(length):
            return min(values.at + int(length), len(values.data))
        stop = values.data.find(b"endstream", values.at)
        require(that=_REFERENCE.fullmatch(length) is not None and stop >= 0)
        return stop

    def _inflated(self, packed: bytes) -> bytes:
        inflating = zlib.decompressobj()
        try:
            text = inflating.decompress(packed, self._inflatable + 1)
        except zlib.error:
            raise Unclear from None
        self._inflatable -= len(text)
        require(that=self._inflatable >= 0, otherwise=TooMuch)
        require(that=inflating.eof and not inflating.unused_data.strip(WHITE))
        return text

    def _packed(self, described: dict[bytes, bytes], text: bytes) -> None:
        """Objects in a stream: first the number and the place of each, then all of them (7.5.7)."""
        first, count = (_number(described.get(key, b"0")) for key in (b"/First", b"/N"))
        require(that=first <= MAX_TABLE_BYTES, otherwise=TooMuch)
        require(that=first <= len(text) and bool(_TABLE.fullmatch(text, 0, first)))
        table = [int(number) for number in text[:first].split()]
        values, doing = Values(text, self._values.left), dict[int, bool]()
        values.at = first
        while values.take(_SPACE) and not values.at_end:
            place = values.at - first
            doing[place] = not shows_a_place(values.value())
        require(that=len(table) == 2 * count and doing.keys() >= set(table[1::2]))
        self._doing.update(number for number, at in zip(table[::2], table[1::2], strict=True) if doing[at])
        self._values.left = values.left
        self._values.holders += values.holders
        self._values.opened |= values.opened


def _is_plain(described: dict[bytes, bytes]) -> bool:
    """Whether a stream is packed as programs pack objects, and nothing else is said of it."""
    return described.get(b"/Filter", b"").translate(None, WHITE) in FLATE and not UNUSUAL & described.keys()


def _number(text: bytes) -> int:
    require(that=_NUMBER.fullmatch(text) is not None)
    return int(text)


def _count(pattern: re.Pattern[bytes], data: bytes) -> int:
    return sum(1 for _ in pattern.finditer(data))
