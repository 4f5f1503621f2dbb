"""Whether a credential that opened a long transfer is still good: shutting it must end the transfer too.

It must never cost a look-up per block. A transfer asks between its blocks, both ways; one that waits for its
client, and so cannot ask, is cut off by somebody who looks after all of them. Used by both doors.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TypeVar

from davserver.audit import get_logger
from davserver.errors import AuthenticationError, DavserverError

StillOpen = Callable[[], bool]
"""Whether the credential would still open what it has opened; an error of ours that it raises ends it too."""

RECHECK_SECONDS = 3.0
"""How often a transfer asks."""

OVERDUE_SECONDS = 1.0
"""How much later than that somebody else asks for it."""

LOOK_SECONDS = 1.0
"""How often that is looked for. All three belong to the leeway of `confirmations`."""

Block = TypeVar("Block")


class Watch:
    """Looks after one transfer; close it when that is over.

    Args:
        still_open: see `StillOpen`.
        cut: ends the connection from another thread.
        monotonic: seconds on a clock that never goes back.
        close: called when it is over.
    """

    def __init__(
        self,
        still_open: StillOpen,
        cut: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
        close: Callable[[Watch], None] = lambda _watch: None,
    ) -> None:
        self._still_open = still_open
        self._cut = cut
        self._monotonic = monotonic
        self._close = close
        self._next = monotonic() + RECHECK_SECONDS

    def check(self) -> None:
        """To be called between blocks.

        Raises:
            AuthenticationError: revoked, expired or suspended meanwhile; nothing more may be sent or stored.
            DavserverError: from `StillOpen`; the same holds.
        """
        now = self._monotonic()
        if now < self._next:
            return
        if not self._still_open():
            raise AuthenticationError("the credential was shut while it was in use")
        self._next = now + RECHECK_SECONDS

    def look(self) -> None:
        """Ask in the place of a transfer that should have asked by now, and cut it off if need be."""
        if self._monotonic() < self._next + OVERDUE_SECONDS:
            return
        try:
            self.check()
        except DavserverError as error:
            get_logger("sealdav.accounts").info("a transfer was cut off", reason=str(error))
            self._cut()

    def close(self) -> None:
        """It is over. May be repeated."""
        self._close(self)


class Transfers:
    """All transfers of a process.

    Args:
        monotonic: seconds on a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._running: set[Watch] = set()

    def watch(self, still_open: StillOpen, cut: Callable[[], None]) -> Watch:
        """Look after one more; arguments as `Watch`."""
        watch = Watch(still_open, cut, self._monotonic, self._running.discard)
        self._running.add(watch)
        return watch

    def guard(
        self, blocks: Iterable[Block], still_open: StillOpen, cut: Callable[[], None]
    ) -> Iterator[Block]:
        """The same blocks, as long as they may be sent; arguments as `Watch`.

        Raises:
            AuthenticationError, DavserverError: as `Watch.check`.
        """
        with closing(self.watch(still_open, cut)) as watch:
            for block in blocks:
                watch.check()
                yield block

    def look(self) -> None:
        """To be called every `LOOK_SECONDS`."""
        for watch in tuple(self._running):
            watch.look()


class Watchman(threading.Thread):
    """Looks after all transfers beside the server."""

    def __init__(self, transfers: Transfers) -> None:
        super().__init__(name="transfers", daemon=True)
        self._transfers = transfers
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look, again and again."""
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._transfers.look()
            except Exception:  # noqa: BLE001 - the next look is another chance; it is logged
                get_logger("sealdav.accounts").exception("looking after transfers failed")

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self.is_alive():
            self.join()
