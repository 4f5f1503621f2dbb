"""The body of a request: its announced length, read in large blocks, and whether some of it is still unread.

Never holds more than one block, except a small XML document. Called by the dispatcher and the methods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError

from davserver.errors import LimitExceeded
from davserver.serving.exchange import Environ

BLOCK_BYTES = 256 * 1024
"""How much of an upload is read at once."""

MAX_XML_BYTES = 128 * 1024
"""Longest XML document that is parsed; clients send a few hundred bytes."""


class RequestBody:
    """What `wsgi.input` holds for one request, and no byte of the next one.

    Args:
        environ: the WSGI environ.
        before_reading: called before anything is waited for.

    Attributes:
        length: announced length in bytes; None for chunked.
        expected: whether there is a body at all.

    Raises:
        DAVError: 400 if Content-Length is not a number.
    """

    def __init__(self, environ: Environ, before_reading: Callable[[], None] = lambda: None) -> None:
        self._input = environ["wsgi.input"]
        self._before_reading = before_reading
        self.length = None if environ.get("HTTP_TRANSFER_ENCODING") else _content_length(environ)
        self.expected = self.length != 0
        self._received = 0
        self._ended = not self.expected

    @property
    def unread(self) -> bool:
        """Whether bytes may follow that are not the next request."""
        return not self._ended

    def fill(self, buffer: memoryview) -> int:
        """Put the next bytes into the front of `buffer`; returns how many, and 0 at the end.

        A body that is shorter than announced just ends, unless the server raises: the vault counts.
        """
        if self._ended:
            return 0
        self._before_reading()
        wanted = len(buffer) if self.length is None else min(len(buffer), self.length - self._received)
        count = self._read_into(buffer[:wanted])
        self._received += count
        if self._received == self.length or (not count and self.length is None):
            self._ended = True
        return count

    def blocks(self) -> Iterator[memoryview]:
        """The content, block by block; each is valid only until the next one is asked for."""
        if self._ended:
            return
        buffer = memoryview(bytearray(BLOCK_BYTES if self.length is None else min(self.length, BLOCK_BYTES)))
        while count := self.fill(buffer):
            yield buffer[:count]

    def read_xml(self) -> bytes:
        """The whole content, which must be small.

        Raises:
            LimitExceeded: it is longer than an XML document may be.
        """
        content = bytearray()
        if (self.length or 0) <= MAX_XML_BYTES:
            for block in self.blocks():
                content += block
                if len(content) > MAX_XML_BYTES:
                    break
            else:
                return bytes(content)
        raise LimitExceeded(f"an XML body must not be longer than {MAX_XML_BYTES} bytes")

    def _read_into(self, buffer: memoryview) -> int:
        if hasattr(self._input, "readinto"):
            return int(self._input.readinto(buffer))
        data: Any = self._input.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _content_length(environ: Environ) -> int:
    text = environ.get("CONTENT_LENGTH") or "0"
    if not (text.isascii() and text.isdigit()):
        raise DAVError(HTTP_BAD_REQUEST, "Content-Length must be a number")
    return int(text)
