"""Makes what was committed durable: one sync of the write-ahead log for everybody who waits for one.

With `durability = "full"` SQLite commits without syncing, and whoever committed waits here, no longer holding
the write lock. The log is written from front to back, so a sync that begins after a commit covers it and all
before it, whichever process wrote them. It must never return to anybody without such a sync. Used by
`Transaction`; why this is as durable as SQLite's own sync, and what is different, is in docs/adr/0024.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

from davserver.errors import StorageUnavailable

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})
"""What `open` fails with when this process or the machine has no descriptor left; `fdatasync` never does."""

SUFFIX = "-wal"
"""Of the log's name, behind the database's (https://sqlite.org/walformat.html)."""


class LogSync:
    """The syncs of one process; shared by its threads.

    Args:
        database: the database's file.
        sync: makes a file durable, given its descriptor.
    """

    def __init__(self, database: Path, sync: Callable[[int], None] = os.fdatasync) -> None:
        self._path = database.with_name(database.name + SUFFIX)
        self._sync = sync
        self._changed = threading.Condition()
        self._asked = 0
        self._done = 0
        self._running = False
        self._broken = False

    def wait(self) -> None:
        """Return when all that was committed before this call is durable. A connection must stay open.

        Raises:
            StorageUnavailable: a sync has failed, this one or one before, or could not be tried. What was
                committed is visible, and nobody can tell whether it will survive.
        """
        with self._changed:
            self._asked += 1
            mine = self._asked
            while self._done < mine:
                self._require_sound()
                if self._running:
                    self._changed.wait()
                else:
                    self._sync_for_all()

    def require_sound(self) -> None:
        """Refuse to write behind a part of the log that may be lost: it would be lost with it.

        Raises:
            StorageUnavailable: a sync has failed in this process.
        """
        with self._changed:
            self._require_sound()

    def _require_sound(self) -> None:
        if self._broken:
            raise StorageUnavailable(
                "the database's log could not be made durable: check the disk, and restart the server"
            )

    def _sync_for_all(self) -> None:
        """Sync for those who have asked by now; called with the lock, which is given up meanwhile.

        Raises:
            StorageUnavailable: nothing could be tried. The next sync covers what this one was for.
        """
        self._running, covered, durable = True, self._asked, False
        self._changed.release()
        try:
            self._sync_log()
            durable = True
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise StorageUnavailable("no file is left to make the database's log durable with") from None
            self._broken = True
        finally:
            self._changed.acquire()
            self._running = False
            if durable:
                self._done = covered
            self._changed.notify_all()

    def _sync_log(self) -> None:
        # Opened each time: SQLite may have replaced the file. It has no locks on it that closing would drop.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._sync(descriptor)
        finally:
            os.close(descriptor)
