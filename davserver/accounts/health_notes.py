"""Notes of how devices are, taken off the request's path: what each has done, and what it was refused for.

It must never slow a request down nor refuse one: a note that cannot be kept is lost. The first of a kind is
written at once, so that somebody who watches a device sees it; later ones at most once a minute, unless a
trouble has begun or ended, and all of a process together at most once a second. So whoever tries made-up
secrets against a known id causes one write a minute. Called by the authenticators and the WebDAV door;
`bootstrap` closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from davserver.accounts.health import ENDS, Sign, Trouble
from davserver.audit import get_logger
from davserver.db.engine import Database
from davserver.db.signs import SignRow
from davserver.errors import DavserverError
from davserver.model import AccountId

NOTE_EVERY_S = 60
"""Seconds between two notes of the same about a device."""

PAUSE_S = 1.0
"""Seconds between two writes of a process, however many devices there is something to note of."""

WAITING = 4096
"""Notes that may wait for the writer; more are lost."""

REMEMBERED = 50_000
"""Notes that are remembered to save asking the database; beyond that it begins anew."""

Note = tuple[AccountId, str, Sign | Trouble]
"""Whose device, its id or `TOKENS`, and what there is to note of it."""


def noted_at_once_after(what: Sign | Trouble) -> frozenset[Sign | Trouble]:
    """What ends a trouble, and after that the trouble itself: so nothing that is shown is a minute old.

    What ends with a connection can be caused by a stranger: it keeps its minute, and so does its end.
    """
    if isinstance(what, Trouble):
        return ENDS[what]
    if what is Sign.CONNECTED:
        return frozenset()
    return frozenset(trouble for trouble, ends in ENDS.items() if what in ends)


class HealthNotes(Protocol):
    """Where it is noted how devices are."""

    def note(self, account_id: AccountId, device: str, what: Sign | Trouble, now: int) -> bool:
        """Keep a note of the moment `now` (Unix seconds); returns at once and never raises.

        Returns:
            Whether it is kept; else the same was noted of the device a moment ago, or nothing fits.
        """
        ...


class NoNotes:
    """Where nobody wants to know."""

    def note(self, account_id: AccountId, device: str, what: Sign | Trouble, now: int) -> bool:  # noqa: ARG002
        """See `HealthNotes.note`."""
        return False


class NoteWriter:
    """Writes notes to the database, in the caller's thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, notes: Mapping[Note, int]) -> None:
        """Write notes with their moments, in one transaction; what keeps them from it is logged."""
        rows = [
            SignRow(account_id, device, what.value, now, now)
            for (account_id, device, what), now in notes.items()
        ]
        try:
            with self._database.write() as tx:
                tx.signs.note(rows)
                tx.commit()
        except DavserverError:
            get_logger("sealdav.accounts").warning("health of devices not noted", count=len(rows))


class Writes(Protocol):
    """What `BackgroundHealth` needs of `NoteWriter`."""

    def write(self, notes: Mapping[Note, int]) -> None:
        """See `NoteWriter.write`."""
        ...


class BackgroundHealth:
    """Hands notes to a thread that writes them, unless the same was noted in the last minute."""

    def __init__(self, writer: Writes) -> None:
        self._writer = writer
        self._noted: dict[Note, int] = {}
        self._waiting: dict[Note, int] = {}
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def note(self, account_id: AccountId, device: str, what: Sign | Trouble, now: int) -> bool:
        """See `HealthNotes.note`. Mostly it is one look into a dictionary, without a lock."""
        note = (account_id, device, what)
        last = self._noted.get(note)
        if last is not None and 0 <= now - last < NOTE_EVERY_S:
            return False
        with self._changed:
            if len(self._waiting) >= WAITING:
                return False
            if len(self._noted) >= REMEMBERED:
                self._noted.clear()
            self._noted[note] = now
            self._waiting[note] = max(now, self._waiting.get(note, now))
            for other in noted_at_once_after(what):
                self._noted.pop((account_id, device, other), None)
            self._changed.notify()
        return True

    def close(self) -> None:
        """Write what is waiting and end the thread."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while notes := self._take():
            self._writer.write(notes)
            self._closing.wait(PAUSE_S)

    def _take(self) -> dict[Note, int]:
        """All that is waiting, as soon as there is something; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._closing.is_set())
            notes, self._waiting = self._waiting, {}
        return notes
