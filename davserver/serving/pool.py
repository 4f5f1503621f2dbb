"""The threads that answer requests: so many work at once, and one that waits for its client does not count.

It must never let clients that are slow or silent keep the others from being answered. A thread says when it
begins to wait for bytes from its client, or for room to send some (`Patience`); then another one may work in
its place. Used by `server`, and by `wire` through what it is a `Patience` for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from queue import SimpleQueue

from davserver.baton import Baton
from davserver.serving.connection import Connection
from davserver.serving.wire import Patience, Wire

MOST_WAITING = 512
"""Threads that may wait for their clients at once, beside those that work."""

WAITED_ENOUGH_SECONDS = 1.0
"""Where that is not enough, those who have waited longest are cut off, but not before this."""


class Pool(Patience):
    """Threads, made when they are needed; `threads` of them stay.

    Args:
        work: what is done with a connection; it never raises.
        threads: how many work at once.
        aborting: set by `stop` before requests are cut off.
        baton: what a thread gives away before it waits for its client.
        most_waiting: see `MOST_WAITING`.
    """

    def __init__(
        self,
        work: Callable[[Connection], None],
        threads: int,
        aborting: threading.Event,
        baton: Baton,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._work = work
        self._size = threads
        self._most = threads + most_waiting
        self._aborting = aborting
        self._baton = baton
        self._jobs: SimpleQueue[Connection | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._current: dict[int, Connection] = {}
        self._waiting: dict[Wire, float] = {}
        self._free = 0  # threads that wait for a job, less jobs that wait for a thread
        self._stopping = False

    # ── for the server
    def put(self, connection: Connection) -> None:
        """Let a thread work on it, as soon as there is one."""
        with self._lock:
            self._free -= 1
            self._grow()
        self._jobs.put(connection)

    @property
    def is_calm(self) -> bool:
        """Whether no connection waits for a thread."""
        return self._free >= 0

    def relieve(self) -> None:
        """If connections wait and no thread can be added that is not at work, cut as many silent ones off.

        To be called now and then: nobody else may do anything any more, and a system that had no thread to
        give may have one now.
        """
        with self._lock:
            if self._free < 0 and not self._grow() and self._working < self._size:
                self._cut_waiting(self._waiting, -self._free, WAITED_ENOUGH_SECONDS)

    def cut_silent(self, connections: Collection[Connection], count: int, seconds: float) -> None:
        """Cut so many of these off whose clients have been waited for so long, the longest first."""
        wires = {connection.wire for connection in connections}
        with self._lock:
            self._cut_waiting([wire for wire in self._waiting if wire in wires], count, seconds)

    def stop(self, grace_seconds: float) -> None:
        """Answer what is queued or running within the grace, then `cut`; no thread is left afterwards."""
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
        for _ in threads:
            self._jobs.put(None)
        end = time.monotonic() + grace_seconds
        for thread in threads:
            thread.join(max(end - time.monotonic(), 0))
        while late := [thread for thread in threads if thread.is_alive()]:
            self._aborting.set()  # first: the end of a connection must not look like the end of a body
            self.cut()
            late[0].join(WAITED_ENOUGH_SECONDS)

    def cut(self) -> None:
        """End the connections of running requests. The event `aborting` is set before."""
        for connection in list(self._current.values()):
            connection.cut()

    # ── for threads that wait
    def step_aside(self) -> None:
        """See `Patience`."""
        self._baton.give()

    def step_back(self) -> None:
        """See `Patience`."""
        self._baton.take()

    def begin(self, wire: Wire) -> None:
        """See `Patience`."""
        with self._lock:
            self._waiting[wire] = time.monotonic()
            self._grow()

    def end(self, wire: Wire) -> None:
        """See `Patience`."""
        with self._lock:
            del self._waiting[wire]

    def _cut_waiting(self, wires: Iterable[Wire], count: int, seconds: float) -> None:
        """The lock is held; the wires are in the order of `_waiting`, which is that of time."""
        enough = time.monotonic() - seconds
        for wire in [wire for wire in wires if self._waiting[wire] <= enough][:count]:
            wire.cut()

    # ── threads
    @property
    def _working(self) -> int:
        """Threads that do not wait for their clients."""
        return len(self._threads) - len(self._waiting)

    def _grow(self) -> bool:
        """Start one thread more, if a job waits for one and there may be more. The lock is held."""
        full = self._working >= self._size or len(self._threads) >= self._most
        if self._free >= 0 or full or self._stopping:
            return False
        thread = threading.Thread(target=self._run, name="request", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has none to give: jobs wait for those that there are
            return False
        self._threads.add(thread)
        self._free += 1
        return True

    def _run(self) -> None:
        me = threading.get_ident()
        while (connection := self._jobs.get()) is not None:
            self._current[me] = connection
            self._work(connection)
            del self._current[me]
            if self._is_superfluous():
                return

    def _is_superfluous(self) -> bool:
        """Whether this thread, which has just become free, was only made because others waited."""
        with self._lock:
            if self._free >= 0 and len(self._threads) > self._size:
                self._threads.discard(threading.current_thread())
                return True
            self._free += 1
            return False
