"""Notes of how devices are, taken off the request's path: what each has done, and what it was refused for.

It must never slow a request down nor refuse one: a note that cannot be kept is lost. The first of a kind is
written at once, so that somebody who watches a device sees it; later ones at most once a minute, unless a
trouble has begun or ended, and all of a process together at most once a second. So whoever tries made-up
secrets against a known id or name causes one write a minute. Whose a name is, is looked up here as well, by
the thread: on the drive one that is known takes as long as any other. Called by the authenticators and the
WebDAV door; `bootstrap` closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol

from davserver.accounts.health import BY_NAME, ENDS, Sign, Trouble
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

ATTEMPTS = 256
"""Attempts with no app password that may wait to be looked up, so that strangers crowd nobody's notes out and
cost the database next to nothing; more are lost."""

REMEMBERED = 50_000
"""Notes that are remembered to save asking the database; beyond that it begins anew."""

Note = tuple[AccountId, str, Sign | Trouble]
"""Whose device, its id or what stands for one (`TOKENS`, `BY_NAME`), and what there is to note of it."""

Attempt = tuple[str, str | None]
"""A user name, and the id that stands in what came with it as an app password; None if none does. Whatever it
is a part of, it is forgotten as soon as it was looked for."""


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

    def note_attempt(self, username: str, app_id: str | None, now: int) -> None:
        """Somebody came with what is no app password, at the moment `now`; returns at once and never raises.

        It takes the same time whether or not there is such an account; of one that is not, nothing is kept.

        Args:
            username: as it was sent.
            app_id: the id in a mistyped app password, or in a part of one; None if there is none.
            now: in Unix seconds.
        """
        ...


class NoNotes:
    """Where nobody wants to know."""

    def note(self, account_id: AccountId, device: str, what: Sign | Trouble, now: int) -> bool:  # noqa: ARG002
        """See `HealthNotes.note`."""
        return False

    def note_attempt(self, username: str, app_id: str | None, now: int) -> None:
        """See `HealthNotes.note_attempt`."""


class NoteWriter:
    """Writes notes to the database, and finds out whose some are, in the caller's thread."""

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
            _lost(len(rows))

    def whose(self, attempts: Mapping[Attempt, int]) -> dict[Note, int]:
        """What there is to note of attempts with their moments, in one transaction; as `write` if that fails.

        Of a name that is nobody's nothing is.
        """
        notes: dict[Note, int] = {}
        try:
            with self._database.read() as tx:
                for (username, app_id), now in attempts.items():
                    found = tx.signs.whose(username.casefold(), app_id)
                    if found is not None:
                        notes[_of_attempt(*found)] = now
        except DavserverError:
            _lost(len(attempts))
        return notes


def _of_attempt(account_id: AccountId, app_id: str | None) -> Note:
    if app_id is None:
        return account_id, BY_NAME, Trouble.NO_APP_PASSWORD
    return account_id, app_id, Trouble.WRONG_SECRET


def _lost(count: int) -> None:
    get_logger("sealdav.accounts").warning("health of devices not noted", count=count)


class Writes(Protocol):
    """What `BackgroundHealth` needs of `NoteWriter`."""

    def whose(self, attempts: Mapping[Attempt, int]) -> dict[Note, int]:
        """See `NoteWriter.whose`."""
        ...

    def write(self, notes: Mapping[Note, int]) -> None:
        """See `NoteWriter.write`."""
        ...


class BackgroundHealth:
    """Hands notes to a thread that writes them, unless the same was noted in the last minute."""

    def __init__(self, writer: Writes) -> None:
        self._writer = writer
        self._noted: dict[Note, int] = {}
        self._waiting: dict[Note, int] = {}
        self._attempts: dict[Attempt, int] = {}
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

    def note_attempt(self, username: str, app_id: str | None, now: int) -> None:
        """See `HealthNotes.note_attempt`."""
        with self._changed:
            if len(self._attempts) < ATTEMPTS:
                self._attempts[username, app_id] = now
                self._changed.notify()

    def close(self) -> None:
        """Write what is waiting and end the thread."""
        self._closing.set()
        with self._changed:
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._wait():
            self._look_attempts_up()
            self._write_notes()
            self._closing.wait(PAUSE_S)

    def _wait(self) -> bool:
        """Until there is something to do; False at the end, if there is nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._has_work or self._closing.is_set())
            return self._has_work

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting or self._attempts)

    def _look_attempts_up(self) -> None:
        """Those that turn out to be somebody's are notes like any others."""
        with self._changed:
            attempts, self._attempts = self._attempts, {}
        if attempts:
            for (account_id, device, what), now in self._writer.whose(attempts).items():
                self.note(account_id, device, what, now)

    def _write_notes(self) -> None:
        with self._changed:
            notes, self._waiting = self._waiting, {}
        if notes:
            self._writer.write(notes)
