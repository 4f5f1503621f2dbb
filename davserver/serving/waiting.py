"""Connections that wait: new ones too, so that a silent one costs no thread; each with its own deadline.

It must never wait for one client while others have something to say, nor take a connection that another
process of the server could serve sooner. One thread runs it; workers hand connections back to it. Called by
`server`.
"""

from __future__ import annotations

import errno
import heapq
import math
import operator
import os
import selectors
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import server as cheroot
from cheroot.connections import ConnectionManager

from davserver.serving.board import Seat
from davserver.serving.connection import Connection

SHED_PART = 16
"""One in so many waiting connections makes room at once."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What `accept` fails with when this process or the machine has nothing left for another connection."""

TICK_SECONDS = 0.5
"""How often deadlines of waiting connections are looked at."""

LEAVE_SECONDS = 0.004
"""How long a new connection is left to a process that has fewer, before it is taken all the same."""

INSIST_SECONDS = 0.02
"""How long after that the next one is taken in any case: it is the one that was left."""


class Waiting(ConnectionManager):
    """The connections of one process that wait for a request, and the listening socket.

    Args:
        server: gives `socket`, and takes connections that have something to say.
        seat: where this process says how many connections it has.
        may_come: whether this address may have the connection that it has just made.
        besides: what else is done every `TICK_SECONDS`.

    Attributes:
        turned_at: when the loop last came round, on the monotonic clock.
    """

    _selector: Any
    _stop_requested: bool
    _serving: bool

    def __init__(
        self,
        server: cheroot.HTTPServer,
        seat: Seat,
        may_come: Callable[[str], bool],
        besides: Iterable[Callable[[], None]],
    ) -> None:
        super().__init__(server)
        self._may_come = may_come
        self._besides = tuple(besides)
        self._listener: socket.socket = server.socket
        self._seat = seat
        self._away = False
        self._back_at = self._insist_until = -math.inf
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self.turned_at = time.monotonic()

    # ── for the server
    def stop(self) -> None:
        """As cheroot's, but at once."""
        self._stop_requested = True
        os.eventfd_write(self._wake, 1)
        super().stop()

    def close(self) -> None:
        """As cheroot's: end every connection that waits."""
        for _, connection in self._waiting():
            connection.close()
        self._selector.close()
        os.close(self._wake)

    def put(self, connection: Connection) -> None:
        """As cheroot's, but what cannot be waited for is closed: an error here would end the server.

        A handshake may wait for room to write.
        """
        try:
            if connection.reader.has_data():
                self.server.process_conn(connection)
            else:
                self._selector.register(connection.wire.fileno(), connection.wire.waits_for, connection)
        except (OSError, ValueError):  # closed by its peer, or the selector by `close`
            connection.close()

    # ── the loop
    def _run(self, _expiration_interval: float) -> None:
        """As cheroot's, with deadlines of our own."""
        look_at = time.monotonic() + TICK_SECONDS
        while not self._stop_requested:
            for descriptor, connection in self._selector.select(
                LEAVE_SECONDS if self._away else TICK_SECONDS
            ):
                if connection is self.server:
                    self._welcome()
                elif connection is not None:
                    # out of the selector until a worker has read from it and hands it back
                    self._selector.unregister(descriptor)
                    self.server.process_conn(connection)
            self.turned_at = time.monotonic()
            if self._away and self.turned_at >= self._back_at:
                self._away = False
                self._selector.register(self._listener.fileno(), selectors.EVENT_READ, self.server)
            if self.turned_at >= look_at:
                self._expire(self.turned_at)
                for look in self._besides:
                    look()
                look_at = self.turned_at + TICK_SECONDS

    def _welcome(self) -> None:
        """Somebody is at the door: open, unless another process has fewer connections and is quick."""
        now = time.monotonic()
        if self._seat.is_burdened and now >= self._insist_until:
            self._away, self._back_at = True, now + LEAVE_SECONDS
            self._insist_until = self._back_at + INSIST_SECONDS
            self._selector.unregister(self._listener.fileno())
            return
        self._insist_until = now
        connection = self._from_server_socket(self._listener)
        if connection is None:
            return
        connection.arrive()
        if self._may_come(connection.remote_addr):
            self.put(connection)
        else:
            connection.wire.reset()
            connection.close()

    def _from_server_socket(self, listener: socket.socket) -> Connection | None:
        """As cheroot's, but a crowd of waiting connections, which is cheap to raise, shuts nobody out."""
        if not self.can_add_keepalive_connection:
            self._shed()
        try:
            connection: Connection | None = super()._from_server_socket(listener)  # type: ignore[misc]
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            if not self._shed():
                time.sleep(TICK_SECONDS)  # running requests have everything: only they can give it back
            return None
        return connection

    def _shed(self) -> bool:
        """End the connections whose deadlines come first; False if none is waiting.

        They are cut and not closed: this very turn of the loop may still have them in hand.
        """
        waiting = [one for _, one in self._waiting()]
        count = -(-len(waiting) // SHED_PART)
        soonest = heapq.nsmallest(count, waiting, key=operator.attrgetter("deadline"))
        for connection in soonest:
            connection.deadline = math.inf
            connection.cut()
        return bool(soonest)

    def _expire(self, threshold: float) -> None:
        """End what has waited until its deadline."""
        for descriptor, connection in self._waiting():
            if connection.deadline < threshold:
                self._selector.unregister(descriptor)
                connection.close()

    def _waiting(self) -> list[tuple[int, Connection]]:
        return [found for found in self._selector.connections if isinstance(found[1], Connection)]
