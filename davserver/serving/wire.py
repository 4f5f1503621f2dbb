"""An accepted socket as the reader and the connection use it; `tls` has the one that encrypts.

It must never wait where it says that it does not, nor wait without saying so to `Patience`. One thread at a
time, but for `cut`. Called by `connection` and `reader`.
"""

from __future__ import annotations

import contextlib
import fcntl
import select
import selectors
import socket
import sys
import termios
import time
from typing import Protocol

Block = bytes | bytearray | memoryview

GRACE_SECONDS = 30
BYTES_PER_SECOND = 1024
"""A body, in either direction, may take the grace and one second for this many bytes; only waiting counts."""

BRIEF_SECONDS = 0.02
"""A wait that is shorter does not count as one: others are not begun with in the meantime."""

LOOK_SECONDS = 1.0
"""How often it is looked whether a client takes anything that does not take all."""

SMALL_BYTES = 16 * 1024
"""Parts that are no longer together are put together, and sent at once."""

_LINGER_NOT_AT_ALL = b"\x01\0\0\0\0\0\0\0"
"""SO_LINGER on, zero seconds: `close` sends RST."""


class Patience(Protocol):
    """Where a thread says that it waits for its client."""

    def step_aside(self) -> None:
        """It may have to wait: another one may have its turn."""
        ...

    def step_back(self) -> None:
        """It would like to have its turn again."""
        ...

    def begin(self, wire: Wire) -> None:
        """It cannot go on by itself."""
        ...

    def end(self, wire: Wire) -> None:
        """It can, or gives up."""
        ...


class Boundless(Patience):
    """For whom it does not matter how many threads wait."""

    def step_aside(self) -> None:
        """See `Patience`."""

    def step_back(self) -> None:
        """See `Patience`."""

    def begin(self, wire: Wire) -> None:
        """See `Patience`."""

    def end(self, wire: Wire) -> None:
        """See `Patience`."""


class Pace:
    """How one body gets on.

    Attributes:
        moved: bytes of it that have arrived, or were taken.
        waited: seconds that were spent waiting for it.
    """

    __slots__ = ("moved", "waited")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Another body."""
        self.moved = 0
        self.waited = 0.0

    @property
    def is_too_slow(self) -> bool:
        """Whether it takes a thread for longer than it is worth."""
        return self.waited > GRACE_SECONDS + self.moved / BYTES_PER_SECOND


class Wire:
    """A plain socket. All bytes of one side of a connection pass through it.

    Attributes:
        socket: what it goes through.
        patience: told when a thread waits.
        timeout: seconds that nothing may move while something is waited for; by default those of the socket.
        waits_for: what the selector has to see before `secure`, `receive_now` or `discard` can go on.
        arriving, leaving: how the body of the request, and that of the answer, get on.
    """

    waits_for = selectors.EVENT_READ

    def __init__(
        self, sock: socket.socket, patience: Patience | None = None, timeout: float | None = None
    ) -> None:
        self.socket = sock
        self.patience = patience or Boundless()
        self.timeout = (sock.gettimeout() or 0.0) if timeout is None else timeout
        self.arriving, self.leaving = Pace(), Pace()
        self._readable: select.poll | None = None
        sock.settimeout(0)

    def fileno(self) -> int:
        """The descriptor, for the selector."""
        return self.socket.fileno()

    # ── receiving
    @property
    def has_pending(self) -> bool:
        """Whether something has left the socket that was not given yet: the selector does not see it."""
        return False

    def receive_now(self, view: memoryview) -> int | None:
        """Fill the beginning of `view` with what is there; 0 at the end, None if that is nothing yet.

        Raises:
            OSError: the peer is gone.
        """
        try:
            return self.socket.recv_into(view)
        except BlockingIOError:
            return None

    def receive_into(self, view: memoryview) -> int:
        """Fill the beginning of `view`; waits for the first byte; 0 at the end.

        Raises:
            OSError: the peer is gone, ended without saying so where that can be told, stalled, or crawls.
        """
        while (count := self.receive_now(view)) is None:
            self._wait_for_bytes()
        self.arriving.moved += count
        return count

    def is_readable(self, seconds: float) -> bool:
        """Wait a moment for something to arrive, or for the end; does not count as waiting."""
        if self._readable is None:
            self._readable = select.poll()
            self._readable.register(self.socket, select.POLLIN)
        return bool(self._readable.poll(seconds * 1000))

    def peek(self) -> bytes:
        """The first byte of what is there, which stays there; `b""` at the end. Call it when readable."""
        return self.socket.recv(1, socket.MSG_PEEK)

    def discard(self, scratch: memoryview) -> bool:
        """Drop what is there, up to the length of `scratch`; False at the end. Call it when readable."""
        try:
            return bool(socket.socket.recv_into(self.socket, scratch))
        except BlockingIOError:
            return True

    def _wait_for_bytes(self) -> None:
        begun = time.monotonic()
        self.patience.step_aside()
        if not self.is_readable(min(BRIEF_SECONDS, self.timeout)):
            self.patience.begin(self)
            try:
                came = self.is_readable(max(self.timeout - BRIEF_SECONDS, 0))
            finally:
                self.patience.end(self)
            if not came:
                raise TimeoutError("the peer sends nothing")
        self.arriving.waited += time.monotonic() - begun
        if self.arriving.is_too_slow:
            raise TimeoutError("the peer sends too slowly")
        if self.arriving.moved <= SMALL_BYTES:  # what is longer is no short matter for anybody
            self.patience.step_back()

    # ── sending
    def send(self, *parts: Block) -> None:
        """Send all of it in as few system calls as the socket allows.

        Raises:
            OSError: the peer is gone, takes nothing, or takes it too slowly.
        """
        size = sum(map(len, parts))
        if size > SMALL_BYTES:
            self.patience.step_aside()
        elif len(parts) > 1:
            parts = (b"".join(parts),)
        sent = self._send_now(parts)
        if sent < size:
            self._send_rest(parts, sent)

    def _send_now(self, parts: tuple[Block, ...]) -> int:
        """Send what there is room for; gives the bytes that were."""
        try:
            count = self.socket.send(parts[0]) if len(parts) == 1 else self.socket.sendmsg(parts)
        except BlockingIOError:
            return 0
        self.leaving.moved += count
        return count

    def _send_rest(self, parts: tuple[Block, ...], sent: int) -> None:
        for part in parts:
            size = len(part)
            if sent >= size:
                sent -= size
                continue
            with memoryview(part) as view:
                while sent < size:
                    self._wait_for_room()
                    with view[sent:] as rest:
                        sent += self._send_now((rest,))
            sent = 0

    def _wait_for_room(self) -> None:
        begun = time.monotonic()
        self.patience.step_aside()
        writable = select.poll()
        writable.register(self.socket, select.POLLOUT)
        if not writable.poll(BRIEF_SECONDS * 1000):
            self.patience.begin(self)
            try:
                self._wait_until_taken(writable, begun)
            finally:
                self.patience.end(self)
        self.leaving.waited += time.monotonic() - begun

    def _wait_until_taken(self, writable: select.poll, begun: float) -> None:
        """Until there is room, or the peer takes nothing or next to nothing.

        The kernel says that there is room only when there is a lot of it: whether the peer takes anything
        meanwhile is seen by how much is still on its way.
        """
        moved_at, under_way = begun, self._under_way()
        while not writable.poll(min(LOOK_SECONDS, self.timeout) * 1000):
            now, before = time.monotonic(), under_way
            under_way = self._under_way()
            if under_way < before:
                moved_at = now
            if now - moved_at >= self.timeout:
                raise TimeoutError("the peer takes nothing")
            waited = self.leaving.waited + now - begun
            if waited > GRACE_SECONDS + (self.leaving.moved - under_way) / BYTES_PER_SECOND:
                raise TimeoutError("the peer takes too little")

    def _under_way(self) -> int:
        """Bytes that were sent and that the peer has not acknowledged (tcp(7), SIOCOUTQ)."""
        count = fcntl.ioctl(self.socket.fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    # ── ends: always of the socket itself, whatever is spoken through it
    def finish(self) -> None:
        """Say that nothing more will be sent; what arrives can still be dropped. Raises OSError."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def cut(self) -> None:
        """End it from another thread: whoever reads or writes it gets an error at once."""
        with contextlib.suppress(OSError):  # it has just ended by itself
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def reset(self) -> None:
        """End it with RST: what was sent must not look like all there was to send."""
        with contextlib.suppress(OSError):  # it has just ended by itself
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT_AT_ALL)
        self.socket.close()

    def close(self) -> None:
        """End it in an orderly way."""
        self.cut()
        self.socket.close()
