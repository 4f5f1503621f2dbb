"""What one request reads: as far as it can be, in one transaction, that sees one moment.

It must never be open while anybody is waited for: not for a body, not for the write lock, and not while an
answer is sent (docs/architecture.md, "Transactions"). Made for each request; belongs to one thread at a time.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

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

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent snapshot: that of the read before, unless there was a `pause`. Errors end it."""
        return _Turn(self) if self._shared else self._database.read()

    def begin(self) -> Transaction:
        """The transaction that runs, or a new one."""
        if self._tx is None:
            self._running = self._database.read()
            self._tx = self._running.__enter__()
        return self._tx

    def pause(self, error: BaseException | None = None) -> None:
        """Let go of the snapshot: the next read begins a new one.

        Raises:
            StorageUnavailable, CorruptRow, VersionConflict: in place of an `error` of the database's own.
        """
        running, self._running, self._tx = self._running, None, None
        if running is not None:
            running.__exit__(type(error) if error else None, error, None)

    def close(self) -> None:
        """Let go of the snapshot for good: what is read from now on is read while an answer is sent."""
        self._shared = False
        self.pause()


class _Turn:
    """One use of the shared transaction."""

    __slots__ = ("_reads",)

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def __enter__(self) -> Transaction:
        return self._reads.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._reads.pause(error)
