"""Forms with files in them, read as they arrive (RFC 7578, in the way in which browsers write them).

Nothing of a file is put on a disk, and no more of it than one buffer is held: the parser of the framework
would keep large files in a temporary folder. Whatever a browser does not write is refused. Used by
`security.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from davserver.errors import UploadRefused

BUFFER_BYTES = 256 * 1024
"""How much is asked of the connection at once, and the longest block."""

MAX_HEAD_BYTES = 8 * 1024
"""Longest head of a part: a file's name has 255 bytes, the way to it in a folder of a person's disk 4096."""

MAX_FIELD_BYTES = 4 * 1024
"""Longest value of a field that is no file."""

MAX_BOUNDARY_BYTES = 70
"""As RFC 2046, 5.1.1 has it."""

_DISPOSITION = re.compile(
    r'content-disposition: form-data; name="([^"]*)"(?:; filename="([^"]*)")?', re.IGNORECASE
)
_ESCAPES = {"%0D": "\r", "%0A": "\n", "%22": '"'}
"""What browsers write for the characters that would end a name (HTML, 4.10.21.8)."""
_ESCAPED = re.compile("|".join(_ESCAPES))

Fill = Callable[[memoryview], int]
"""Puts the next bytes into the front of a buffer and says how many; 0 at the end."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form; of use until the next one is asked for.

    Attributes:
        name: of the field.
        filename: what the file is called, if it is one; "" if no file was chosen.
    """

    name: str
    filename: str | None
    _content: Iterator[memoryview] = field(repr=False)

    def blocks(self) -> Iterator[memoryview]:
        """The content; each block is valid until the next one.

        Raises:
            UploadRefused: the form ends in the middle.
        """
        return self._content

    def text(self) -> str:
        """The value of a field that is no file.

        Raises:
            UploadRefused: it is too long, or no UTF-8.
        """
        value = bytearray()
        for block in self._content:
            value += block
            if len(value) > MAX_FIELD_BYTES:
                raise UploadRefused("a field of the form is too long")
        return _decoded(bytes(value))


class Form:
    """The parts of one form, one after the other.

    Args:
        fill: where it comes from.
        boundary: what stands between the parts.
    """

    def __init__(self, fill: Fill, boundary: str) -> None:
        mark = boundary.encode("ascii", "replace")
        if not 0 < len(mark) <= MAX_BOUNDARY_BYTES:
            raise UploadRefused("the form has no boundary")
        self._fill = fill
        self._delimiter = b"\r\n--" + mark
        self._buffer = bytearray(BUFFER_BYTES)
        self._buffer[:2] = b"\r\n"  # so that the first boundary looks like all others
        self._start, self._end = 0, 2

    def parts(self) -> Iterator[Part]:
        """Each part; what nobody has read of one is dropped before the next.

        Raises:
            UploadRefused: this is no form, or it ends in the middle.
        """
        if next(self._content(), None) is not None:
            raise UploadRefused("the form does not begin with its boundary")
        while (behind := self._take(2)) != b"--":
            if behind != b"\r\n":
                raise UploadRefused("a boundary of the form goes on")
            head, content = self._head(), self._content()
            yield _part(head, content)
            for _ in content:
                pass

    def _content(self) -> Iterator[memoryview]:
        """What is before the next boundary, and no further; the boundary is taken away."""
        while (at := self._buffer.find(self._delimiter, self._start, self._end)) < 0:
            safe = self._end - len(self._delimiter) + 1  # what follows may be the beginning of one
            if safe > self._start:
                block, self._start = memoryview(self._buffer)[self._start : safe], safe
                yield block
            self._more()
        block, self._start = memoryview(self._buffer)[self._start : at], at + len(self._delimiter)
        if block:
            yield block

    def _head(self) -> str:
        """The lines before a part's content."""
        while (at := self._buffer.find(b"\r\n\r\n", self._start, self._end)) < 0:
            if self._end - self._start > MAX_HEAD_BYTES:
                raise UploadRefused("the head of a part of the form is too long")
            self._more()
        head = bytes(self._buffer[self._start : at])
        self._start = at + 4
        return _decoded(head)

    def _take(self, count: int) -> bytes:
        while self._end - self._start < count:
            self._more()
        taken = bytes(self._buffer[self._start : self._start + count])
        self._start += count
        return taken

    def _more(self) -> None:
        """Put more behind what is not taken yet, which moves to the front."""
        rest = self._end - self._start
        self._buffer[:rest] = self._buffer[self._start : self._end]
        count = self._fill(memoryview(self._buffer)[rest:])
        if not count:
            raise UploadRefused("the form ends in the middle")
        self._start, self._end = 0, rest + count


def _part(head: str, content: Iterator[memoryview]) -> Part:
    for line in head.split("\r\n"):
        if found := _DISPOSITION.match(line):
            filename = None if found[2] is None else _unescaped(found[2])
            return Part(_unescaped(found[1]), filename, content)
    raise UploadRefused("a part of the form has no name")


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise UploadRefused("the form is not written in UTF-8") from None


def _unescaped(name: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], name)
