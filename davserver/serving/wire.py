"""An accepted socket as the reader and the connection use it; `tls` has the one that encrypts.

It must never wait where it says that it does not. One thread at a time, but for `cut`. Called by `connection`
and `reader`.
"""

from __future__ import annotations

import contextlib
import selectors
import socket

Block = bytes | bytearray | memoryview

_LINGER_NOT_AT_ALL = b"\x01\0\0\0\0\0\0\0"
"""SO_LINGER on, zero seconds: `close` sends RST."""


class Wire:
    """A plain socket. All bytes of one side of a connection pass through it.

    Attributes:
        socket: what it goes through.
        waits_for: what the selector has to see before `secure`, `receive_now` or `discard` can go on.
    """

    waits_for = selectors.EVENT_READ

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def fileno(self) -> int:
        """The descriptor, for the selector."""
        return self.socket.fileno()

    # ── receiving
    @property
    def has_pending(self) -> bool:
        """Whether something has left the socket that was not given yet: the selector does not see it."""
        return False

    def receive_now(self, size: int) -> bytes | None:
        """What is there, `b""` at the end, or None if that is nothing yet; call it when readable.

        Raises:
            OSError: the peer is gone.
        """
        return self.socket.recv(size)

    def receive_into(self, view: memoryview) -> int:
        """Fill the beginning of `view`; waits as long as the socket's timeout; 0 at the end.

        Raises:
            OSError: the peer is gone, ended without saying so where that can be told, or stalled.
        """
        return self.socket.recv_into(view)

    def peek(self) -> bytes:
        """The first byte of what is there, which stays there; `b""` at the end. Call it when readable."""
        return self.socket.recv(1, socket.MSG_PEEK)

    def discard(self, size: int) -> bool:
        """Drop up to `size` bytes that are there; False at the end. Call it when readable."""
        return bool(socket.socket.recv(self.socket, size))

    # ── sending
    def send(self, *parts: Block) -> None:
        """Send all of it in as few system calls as the socket allows.

        The socket's timeout counts from the last progress, not from the beginning.

        Raises:
            OSError: the peer is gone or takes nothing.
        """
        sent = self.socket.sendmsg(parts)
        for part in parts:
            size = len(part)
            if sent >= size:
                sent -= size
                continue
            with memoryview(part) as view:
                while sent < size:
                    sent += self.socket.send(view[sent:])
            sent = 0

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
