"""What arrives on one wire: heads, and bodies that end where they said they would or raise.

It must never take a closed, stalled or aborted connection for the end of a body. Called by `connection`.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from davserver.errors import LengthMismatch, LimitExceeded, StorageUnavailable
from davserver.serving.head import MAX_HEAD_BYTES, Refused, parse_field
from davserver.serving.wire import Wire

RECEIVE_BYTES = 256 * 1024
"""Bytes of a body that are asked of the kernel at once where the caller brings no buffer of its own."""

HEAD_RECEIVE_BYTES = 2 * MAX_HEAD_BYTES
"""Bytes asked of the kernel while a head is awaited."""

MAX_UNSIZED_READ = 16 * 1024 * 1024
"""`read()` without a size gives at most this much, or refuses."""

MAX_CHUNK_LINE = 256 + 18
"""Chunk size and extensions, with CR LF."""

FRAMING = frozenset({"content-length", "host", "transfer-encoding"})
"""Fields that nobody may send as trailers (RFC 9110, 6.5.1): another reader might heed them."""

MAX_TRAILER_BYTES = 8 * 1024
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_END_OF_HEAD = b"\r\n\r\n"


class Disconnected(Exception):
    """The peer is gone, or took nothing for too long."""


class _Scratch(threading.local):
    """Room that a thread receives into, whoever it is from: what is not needed at once is copied away."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(RECEIVE_BYTES))


_scratch = _Scratch()


class SocketReader:
    """A buffer in front of a wire. One thread at a time."""

    def __init__(self, wire: Wire, aborting: threading.Event) -> None:
        self._wire = wire
        self._aborting = aborting
        self._buffer = bytearray()
        self._starved = True

    def has_data(self) -> bool:
        """Whether there is something to work on without waiting for the socket."""
        return self._has_next or self._wire.has_pending

    @property
    def _has_next(self) -> bool:
        return bool(self._buffer) and not self._starved

    @property
    def has_partial_head(self) -> bool:
        """Whether a request has begun to arrive."""
        return bool(self._buffer)

    def next_head(self) -> bytes | None:
        """The next request's head without its empty line, or None if it is not complete yet.

        Call it when `has_data` or when the socket is readable: then it does not wait.

        Raises:
            Disconnected: the connection ended between requests.
            Refused: the head is too large, or a line does not end in CR LF.
        """
        if self._has_next:
            return self._take_head()
        view = _scratch.view
        try:
            count = self._wire.receive_now(view[:HEAD_RECEIVE_BYTES])
        except OSError as error:
            raise Disconnected from error
        if count is None:
            return None
        if not count:
            raise Disconnected
        self._buffer += view[:count]
        return self._take_head()

    def _take_head(self) -> bytes | None:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: empty lines before a request line
            del self._buffer[:2]
        end = self._buffer.find(_END_OF_HEAD, 0, MAX_HEAD_BYTES + len(_END_OF_HEAD))
        with memoryview(self._buffer) as buffer:
            head = bytes(buffer[: end if end >= 0 else MAX_HEAD_BYTES])
        if head.count(b"\n") != head.count(b"\r\n"):
            raise Refused(HTTPStatus.BAD_REQUEST, "lines end in CR LF")
        if end < 0 and len(self._buffer) > MAX_HEAD_BYTES:
            raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head of the request is too large")
        self._starved = end < 0
        if end < 0:
            return None
        del self._buffer[: end + len(_END_OF_HEAD)]
        return head

    def begin_body(self) -> None:
        """Start the clock of a new body; what is left in the buffer afterwards is another head."""
        self._starved = False
        self._wire.arriving.begin()

    @property
    def buffered(self) -> int:
        """Bytes that can be taken without waiting."""
        return len(self._buffer)

    def readinto(self, view: memoryview) -> int:
        """Fill the beginning of `view` with what is there; at least one byte.

        Raises:
            LengthMismatch: the peer closed, stalled or crawls.
            StorageUnavailable: the server is stopping.
        """
        if not self._buffer:
            if len(view) >= RECEIVE_BYTES // 4:
                return self._receive_into(view)
            self._fill()
        count = min(len(view), len(self._buffer))
        with memoryview(self._buffer) as buffer:
            view[:count] = buffer[:count]
        del self._buffer[:count]
        return count

    def readline(self, limit: int) -> bytes:
        """One line without its CR LF; LengthMismatch if it is longer than `limit`, else as `readinto`."""
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched, limit)
            if end >= 0:
                line = bytes(self._buffer[: end + 1])
                del self._buffer[: end + 1]
                if not line.endswith(b"\r\n"):
                    raise LengthMismatch("the chunked body is malformed")
                return line[:-2]
            searched = len(self._buffer)
            if searched >= limit:
                raise LengthMismatch("the chunked body is malformed")
            self._fill()

    def _fill(self) -> None:
        view = _scratch.view
        count = self._receive_into(view)
        self._buffer += view[:count]

    def _receive_into(self, view: memoryview) -> int:
        if self._aborting.is_set():
            raise StorageUnavailable("the server is stopping")
        try:
            count = self._wire.receive_into(view)
        except OSError:
            count = 0
        if self._aborting.is_set():
            raise StorageUnavailable("the server is stopping")
        if not count:
            raise LengthMismatch("the body ended early, stalled or crawls")
        return count

    def forget(self) -> None:
        """Drop what is buffered."""
        self._buffer.clear()

    def discard(self) -> bool:
        """Drop what the readable socket has; False at its end."""
        try:
            return self._wire.discard(_scratch.view)
        except OSError:
            return False


class Body(io.RawIOBase):
    """The body of one request, as `wsgi.input`.

    `readinto(buffer)` is the fast way: it gives at least one byte, or 0 at the end that was announced.
    A body that does not reach this end raises `LengthMismatch`, or `StorageUnavailable` if the server stops.

    Attributes:
        received: bytes handed out.
        failed: whether the body ended before its end; the connection is of no further use.
    """

    def __init__(self, reader: SocketReader, before_first_read: Callable[[], None]) -> None:
        super().__init__()
        self._reader = reader
        self._before_first_read = before_first_read
        self._begun = False
        self.received = 0
        self.failed = False

    def readable(self) -> bool:
        """It is."""
        return True

    @property
    def begun(self) -> bool:
        """Whether the application has asked for the body."""
        return self._begun

    @property
    def remaining(self) -> int | None:
        """Bytes still to come; None if nobody knows."""
        raise NotImplementedError

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - a buffer; Python 3.11 has no name for it
        """See the class."""
        with memoryview(buffer).cast("B") as view:
            if self.remaining == 0 or not view:
                return 0
            if not self._begun:
                self._begun = True
                self._reader.begin_body()
                self._before_first_read()
            try:
                count = self._take(view)
            except (LengthMismatch, StorageUnavailable):
                self.failed = True
                raise
        self.received += count
        return count

    def _take(self, view: memoryview) -> int:
        raise NotImplementedError

    def read(self, size: int | None = -1, /) -> bytes:
        """Exactly `size` bytes, fewer only at the end; without a size, all up to `MAX_UNSIZED_READ`."""
        wanted = MAX_UNSIZED_READ + 1 if size is None or size < 0 else size
        blocks = bytearray()
        room = RECEIVE_BYTES if self.remaining is None else self.remaining
        with memoryview(bytearray(min(wanted, room, RECEIVE_BYTES))) as scratch:
            while len(blocks) < wanted and (count := self.readinto(scratch[: wanted - len(blocks)])):
                blocks += scratch[:count]
        if len(blocks) > MAX_UNSIZED_READ and wanted == MAX_UNSIZED_READ + 1:
            raise LimitExceeded("the body is too large for this request")
        return bytes(blocks)


class SizedBody(Body):
    """A body of a length that is known beforehand."""

    def __init__(self, reader: SocketReader, before_first_read: Callable[[], None], length: int) -> None:
        super().__init__(reader, before_first_read)
        self._remaining = length

    @property
    def remaining(self) -> int:
        """Bytes still to come."""
        return self._remaining

    def _take(self, view: memoryview) -> int:
        count = self._reader.readinto(view[: self._remaining])
        self._remaining -= count
        return count


class ChunkedBody(Body):
    """A body in chunks (RFC 9112, 7.1). Extensions and trailers are read and dropped."""

    def __init__(self, reader: SocketReader, before_first_read: Callable[[], None]) -> None:
        super().__init__(reader, before_first_read)
        self._chunk = 0
        self._first = True
        self._ended = False

    @property
    def remaining(self) -> int | None:
        """0 once the last chunk has been read."""
        return 0 if self._ended else None

    def _take(self, view: memoryview) -> int:
        """Fill `view` from as many chunks as are here already."""
        done = 0
        while done < len(view) and (not done or self._reader.buffered):
            if not self._chunk and not self._next_chunk():
                break
            count = self._reader.readinto(view[done : done + self._chunk])
            self._chunk -= count
            done += count
        return done

    def _next_chunk(self) -> bool:
        if not self._first and self._reader.readline(2):
            raise LengthMismatch("the chunked body is malformed")
        self._first = False
        match = _CHUNK_SIZE.fullmatch(self._reader.readline(MAX_CHUNK_LINE))
        if not match:
            raise LengthMismatch("the chunked body is malformed")
        self._chunk = int(match[1], 16)
        if not self._chunk:
            self._skip_trailers()
            self._ended = True
        return not self._ended

    def _skip_trailers(self) -> None:
        left = MAX_TRAILER_BYTES
        while line := self._reader.readline(left):
            left -= len(line) + 2
            if left <= 0:
                raise LengthMismatch("the trailers are too long")
            _require_field(line)


def _require_field(line: bytes) -> None:
    """Nothing else may stand among trailers, lest another reader sees their end where we do not."""
    try:
        name, _ = parse_field(line.decode("latin-1"))
    except Refused:
        name = ""
    if not name or name in FRAMING:
        raise LengthMismatch("the chunked body is malformed")
