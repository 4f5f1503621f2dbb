"""Whose turn it is to write, among processes: SQLite alone sleeps between tries, longer than a write takes.

A lock of the kernel on a file beside the database, let go when its holder ends, however it ends. It only
keeps order: what keeps two writers apart is SQLite, whether or not somebody took turns. Used by `Writer`.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

from davserver.errors import StorageUnavailable

SUFFIX = "-turn"
"""Of the file's name, behind the database's."""

_here = threading.local()
"""Paths of the databases that this thread is writing to."""


class Turns:
    """The turns of one process at one database; `take` and `give` come in pairs, one pair at a time.

    Args:
        database: the database's file.
        step_aside: called before another process is waited for.
    """

    def __init__(self, database: Path, step_aside: Callable[[], None]) -> None:
        self._step_aside = step_aside
        self._path = database.with_name(database.name + SUFFIX)
        self._descriptor: int | None = None
        self._taken = False

    def take(self) -> None:
        """Wait until no other process is writing.

        A thread that writes already, through another `Database`, does not wait for itself: SQLite tells it.

        Raises:
            StorageUnavailable: the file cannot be made, or the file system has no locks.
        """
        writing: set[Path] = _here.__dict__.setdefault("writing", set())
        if self._path in writing:
            return
        try:
            if self._descriptor is None:
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
            self._wait(self._descriptor)
        except OSError as error:
            raise StorageUnavailable(f"cannot take turns at the database ({error.strerror})") from None
        writing.add(self._path)
        self._taken = True

    def _wait(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._step_aside()
            fcntl.flock(descriptor, fcntl.LOCK_EX)

    def give(self) -> None:
        """Let the next one write. To be called by the thread that took."""
        if self._taken and self._descriptor is not None:
            self._taken = False
            _here.writing.discard(self._path)
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Before a fork: processes that share a descriptor would share their turns."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
