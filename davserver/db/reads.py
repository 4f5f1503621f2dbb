"""What one request reads: as far as it can be, in one transaction, that sees one moment.

It must never be open while anybody is waited for: not for a body, not for the write lock, and not while an
answer is sent (docs/architecture.md, "Transactions"). Made for each request; belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from davserver.db.engine import Database, Transaction


class Reads:
    """Gives out one read transaction again and again, until something else comes in between.

    Args:
        database: where to read.
        shared: whether reads share a transaction at all; else each has its own, as after `close`.
    """

    def __init__(self, database: Database, *, shared: bool = True) -> None:
        self._database = database
        self._shared = shared
        self._running: AbstractContextManager[Transaction] | None = None
        self._tx: Transaction | None = None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent snapshot: that of the read before, unless there was a `pause`. Errors end it."""
        if not self._shared:
            with self._database.read() as tx:
                yield tx
            return
        tx = self._tx or self._begin()
        try:
            yield tx
        except BaseException as error:
            self._end(error)
            raise

    def pause(self) -> None:
        """Let go of the snapshot: the next read begins a new one."""
        self._end(None)

    def close(self) -> None:
        """Let go of the snapshot for good: what is read from now on is read while an answer is sent."""
        self._shared = False
        self._end(None)

    def _begin(self) -> Transaction:
        running = self._database.read()
        self._tx = running.__enter__()
        self._running = running
        return self._tx

    def _end(self, error: BaseException | None) -> None:
        running, self._running, self._tx = self._running, None, None
        if running is not None:
            running.__exit__(type(error) if error else None, error, None)
