"""When and from where an app password was last used: a note for its owner, kept off the request's path.

It must never slow a request down nor refuse one: a note that cannot be kept is lost. Written at most once a
minute for each app password. Called by `authenticator.py`; `bootstrap` closes it.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Protocol

from davserver.audit import get_logger
from davserver.db.engine import Database
from davserver.errors import StorageUnavailable

NOTE_EVERY_S = 60
"""Seconds between two notes about the same app password."""

QUEUE_LENGTH = 1024
"""Notes that may wait for the writer; more are lost."""

REMEMBERED = 10_000
"""App passwords whose last note is remembered to save asking the database."""

MAX_CLIENT_CHARS = 64
"""What the column holds."""


@dataclass(frozen=True, slots=True)
class Use:
    """One use of an app password, at `now` (seconds since the epoch)."""

    app_id: str
    now: int
    client: str


class UseNotes(Protocol):
    """Where uses are noted."""

    def note(self, use: Use) -> None:
        """Keep a note; returns at once and never raises."""
        ...


class UseWriter:
    """Writes notes to the database, in the caller's thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, use: Use) -> None:
        """See `UseNotes.note`; a database that is busy or full is logged and costs this note."""
        try:
            with self._database.write() as tx:
                tx.credentials.record_use(use.app_id, now=use.now, client=use.client[:MAX_CLIENT_CHARS])
                tx.commit()
        except StorageUnavailable:
            get_logger("sealdav.accounts").warning("last use not noted", credential=use.app_id)


class BackgroundNotes:
    """Hands notes to a thread that writes them, unless there was one in the last minute."""

    def __init__(self, writer: UseNotes) -> None:
        self._writer = writer
        self._last: dict[str, int] = {}
        self._lock = threading.Lock()
        self._waiting: queue.Queue[Use | None] = queue.Queue(QUEUE_LENGTH)
        self._thread = threading.Thread(target=self._run, name="last-use", daemon=True)
        self._thread.start()

    def note(self, use: Use) -> None:
        """See `UseNotes.note`."""
        with self._lock:
            last = self._last.get(use.app_id)
            if last is not None and use.now - last < NOTE_EVERY_S:
                return
            try:
                self._waiting.put_nowait(use)
            except queue.Full:
                return
            if len(self._last) >= REMEMBERED:
                self._last.clear()
            self._last[use.app_id] = use.now

    def close(self) -> None:
        """Write what is waiting and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (use := self._waiting.get()) is not None:
            self._writer.note(use)
