"""Who may write to a database now, of all threads and processes, and when what was written is durable.

Made by `Database`, one for each; used by `Transaction`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from davserver.db.log_sync import LogSync
from davserver.db.turns import Turns
from davserver.model import Durability


class Writer:
    """The right to write, and the wait for the disk afterwards.

    Args:
        database: the database's file.
        durability: what is waited for.
        step_aside: called before anything is waited for.
    """

    def __init__(self, database: Path, durability: Durability, step_aside: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._step_aside = step_aside
        self._writing: int | None = None
        self._turns = Turns(database, step_aside)
        self._log = LogSync(database) if durability == "full" else None

    def take(self) -> None:
        """Wait for all other writers.

        Raises:
            RuntimeError: this thread is writing already, and would wait for itself for ever.
            StorageUnavailable: nothing can be written durably any more, or no turns be taken.
        """
        if self._writing == threading.get_ident():
            raise RuntimeError("this thread has a write transaction: hand that one down")
        if not self._lock.acquire(blocking=False):
            self._step_aside()
            self._lock.acquire()
        self._writing = threading.get_ident()
        try:
            if self._log is not None:
                self._log.require_sound()
            self._turns.take()
        except BaseException:
            self._release()
            raise

    def give(self) -> None:
        """Let the next one write."""
        try:
            self._turns.give()
        finally:
            self._release()

    def _release(self) -> None:
        self._writing = None
        self._lock.release()

    def wait_until_durable(self) -> None:
        """Return when all that was committed is as durable as the setting says.

        Raises:
            StorageUnavailable: it cannot be made durable.
        """
        if self._log is not None:
            self._step_aside()
            self._log.wait()

    def close(self) -> None:
        """Before a fork."""
        self._turns.close()
