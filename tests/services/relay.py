"""A port of loopback that leads to a server until it is closed: for one that goes down and comes back."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BLOCK_BYTES = 65536


class Relay:
    """Leads to a server, from a free port of its own.

    Args:
        target: host and port of the server.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server = _Listener(("127.0.0.1", 0), target)
        self.port = int(self._server.server_address[1])
        self._server.begin()

    def close(self) -> None:
        """Nobody listens any more, and who is connected is cut off."""
        self._server.end()

    @property
    def is_empty(self) -> bool:
        """Whether nobody is connected: each has gone away, or the server has."""
        return self._server.is_empty

    def open(self) -> None:
        """Listen again, on the same port."""
        self._server = _Listener(("127.0.0.1", self.port), self._target)
        self._server.begin()


@contextmanager
def relay(target: tuple[str, int]) -> Iterator[Relay]:
    """One for as long as the block runs."""
    made = Relay(target)
    try:
        yield made
    finally:
        made.close()


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], target: tuple[str, int]) -> None:
        super().__init__(address, _Line)
        self.target = target
        self._lines: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def begin(self) -> None:
        self._thread.start()

    @property
    def is_empty(self) -> bool:
        return not self._lines

    @contextmanager
    def known(self, *ends: socket.socket) -> Iterator[None]:
        with self._lock:
            self._lines.update(ends)
        try:
            yield
        finally:
            with self._lock:
                self._lines.difference_update(ends)

    def end(self) -> None:
        self.shutdown()
        with self._lock:
            for end in self._lines:
                _cut(end)
        self.server_close()
        self._thread.join()


class _Line(socketserver.BaseRequestHandler):
    server: _Listener

    def handle(self) -> None:
        with (
            socket.create_connection(self.server.target) as onward,
            self.server.known(self.request, onward),
        ):
            back = threading.Thread(target=_carry, args=(onward, self.request))
            back.start()
            _carry(self.request, onward)
            back.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """Everything from one end to the other; the end of one is the end of both."""
    with suppress(OSError):
        while block := source.recv(BLOCK_BYTES):
            sink.sendall(block)
    for end in (source, sink):
        _cut(end)


def _cut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
