"""Notes of how devices are: at once when they are new, seldom afterwards, and never in anybody's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from davserver.accounts import health_notes
from davserver.accounts.health import BY_NAME, ENDS, HealthRecords, Sign, Trouble
from davserver.accounts.health_notes import (
    ATTEMPTS,
    NOTE_EVERY_S,
    REMEMBERED,
    WAITING,
    Attempt,
    BackgroundHealth,
    NoNotes,
    Note,
    NoteWriter,
)
from davserver.crypto import tokens
from davserver.db.engine import Database
from davserver.model import Account, AccountId, AccountState
from tests.factories import World, make_app_password

ALICE = AccountId(b"A" * 16)
SECONDS = 10
"""How long a thread may take on a busy machine."""


class Kept:
    """A writer that keeps what it is given, each time by itself. It says that it has begun; `go` lets it."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.written: list[Mapping[Note, int]] = []
        self.asked: list[Mapping[Attempt, int]] = []

    def whose(self, attempts: Mapping[Attempt, int]) -> dict[Note, int]:
        """See `NoteWriter.whose`. Only alice is somebody, and has no app password."""
        self.begun.set()
        self.go.wait()
        self.asked.append(attempts)
        hers = [now for (name, _), now in attempts.items() if name == "alice"]
        return {(ALICE, BY_NAME, Trouble.NO_APP_PASSWORD): max(hers)} if hers else {}

    def write(self, notes: Mapping[Note, int]) -> None:
        """See `NoteWriter.write`."""
        self.begun.set()
        self.go.wait()
        self.written.append(notes)

    @property
    def told(self) -> list[tuple[str, str, int]]:
        """Device, what, and when, in the order in which they were written."""
        return [
            (device, what.value, now) for notes in self.written for (_, device, what), now in notes.items()
        ]


@pytest.fixture
def writer() -> Kept:
    """A writer."""
    return Kept()


@pytest.fixture
def notes(writer: Kept) -> Iterator[BackgroundHealth]:
    """Notes that go to that writer, which does not begin before it is let go."""
    writer.go.clear()
    made = BackgroundHealth(writer)
    yield made
    writer.go.set()
    made.close()


def finish(notes: BackgroundHealth, writer: Kept) -> list[tuple[str, str, int]]:
    """Let everything be written."""
    writer.go.set()
    notes.close()
    return sorted(writer.told, key=lambda one: one[2])


def until(holds: Callable[[], bool]) -> None:
    """Wait for the other thread."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)  # It tells nobody.


# ── how often
def test_the_first_time_at_once_and_then_once_a_minute(notes: BackgroundHealth, writer: Kept) -> None:
    """For each kind and each device."""
    kept = [
        notes.note(ALICE, "one", Sign.READ, now)
        for now in (100, 101, 100 + NOTE_EVERY_S - 1, 100 + NOTE_EVERY_S)
    ]
    assert kept == [True, False, False, True]
    assert notes.note(ALICE, "one", Sign.WROTE, 103)
    assert notes.note(ALICE, "two", Sign.READ, 104)
    assert {one[:2] for one in finish(notes, writer)} == {("one", "read"), ("one", "wrote"), ("two", "read")}


def test_nobody_waits_for_the_first_note_to_be_written(writer: Kept) -> None:
    """Somebody may be watching: it is on its way within moments, not after a minute."""
    with closing(BackgroundHealth(writer)) as notes:
        begun = time.monotonic()
        notes.note(ALICE, "one", Sign.CONNECTED, 100)
        until(lambda: bool(writer.written))
        assert time.monotonic() - begun < NOTE_EVERY_S / 6


def test_a_process_writes_once_a_second_however_many_devices_there_are(
    writer: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes meanwhile is written together, and nothing is lost."""
    pause = 0.2
    monkeypatch.setattr(health_notes, "PAUSE_S", pause)
    begun = time.monotonic()
    with closing(BackgroundHealth(writer)) as notes:
        for number in range(50):
            notes.note(ALICE, f"device {number}", Sign.CONNECTED, 100)
            time.sleep(0.01)  # So that the thread could write each of them by itself.
    took = time.monotonic() - begun
    assert sum(map(len, writer.written)) == 50
    assert len(writer.written) <= took / pause + 2


def test_a_wrong_secret_costs_one_note_a_minute_however_often_it_is_tried(
    notes: BackgroundHealth, writer: Kept
) -> None:
    """Whether or not the device itself comes in between: an attacker writes nothing more than that."""
    for now in range(100, 100 + 3 * NOTE_EVERY_S):
        notes.note(ALICE, "one", Trouble.WRONG_SECRET, now)
        notes.note(ALICE, "one", Sign.CONNECTED, now)
    finish(notes, writer)
    sent = [one for batch in writer.written for one in batch]
    assert len(sent) <= 2 * 3


def test_what_ends_a_trouble_is_noted_at_once(notes: BackgroundHealth, writer: Kept) -> None:
    """Although the device had connected a moment before: else it would be called refused for a minute."""
    assert notes.note(ALICE, "one", Sign.CONNECTED, 100)
    assert notes.note(ALICE, "one", Sign.READ, 100)
    assert notes.note(ALICE, "one", Trouble.WRONG_SECRET, 101)
    assert not notes.note(ALICE, "one", Sign.READ, 102)
    assert notes.note(ALICE, "one", Sign.CONNECTED, 102)
    assert not notes.note(ALICE, "one", Sign.CONNECTED, 103)
    assert ("one", "connected", 102) in finish(notes, writer)


@pytest.mark.parametrize(
    ("trouble", "end"), [(trouble, sign) for trouble in Trouble for sign in sorted(ENDS[trouble])]
)
def test_a_trouble_that_comes_back_is_noted_at_once_unless_a_stranger_can_cause_it(
    notes: BackgroundHealth, trouble: Trouble, end: Sign
) -> None:
    """What fits in between does not silence the next "no room"; a wrong secret keeps its minute."""
    assert notes.note(ALICE, "one", trouble, 100)
    assert notes.note(ALICE, "one", end, 105)
    assert notes.note(ALICE, "one", trouble, 110) == (end is not Sign.CONNECTED)
    assert not notes.note(ALICE, "one", trouble, 111)


def test_what_comes_and_goes_all_the_time_is_written_once_a_second(
    notes: BackgroundHealth, writer: Kept
) -> None:
    """A device that is in trouble and out of it with every request still makes two rows each time."""
    notes.note(ALICE, "with the writer", Sign.READ, 100)
    assert writer.begun.wait(SECONDS)
    for now in range(100, 200):
        assert notes.note(ALICE, "one", Sign.WROTE, now)
        assert notes.note(ALICE, "one", Trouble.NO_ROOM, now)
    finish(notes, writer)
    assert [len(batch) for batch in writer.written] == [1, 2]


def test_the_latest_of_what_waits_is_written(notes: BackgroundHealth, writer: Kept) -> None:
    """Requests overtake one another: the one that came first may be noted last."""
    notes.note(ALICE, "with the writer", Sign.READ, 100)
    assert writer.begun.wait(SECONDS)
    notes.note(ALICE, "one", Trouble.NO_ROOM, 110)
    notes.note(ALICE, "one", Sign.WROTE, 110)
    notes.note(ALICE, "one", Trouble.NO_ROOM, 109)
    assert ("one", "no-room", 110) in finish(notes, writer)


def test_a_clock_that_was_set_back_does_not_silence_a_device(notes: BackgroundHealth) -> None:
    """A note of the future counts for nothing."""
    assert notes.note(ALICE, "one", Sign.READ, 10_000)
    assert notes.note(ALICE, "one", Sign.READ, 100)


# ── never in the way
def test_a_full_queue_costs_a_note_and_no_time(notes: BackgroundHealth, writer: Kept) -> None:
    """While the database is stuck requests go on; what does not fit is lost, and may be noted later."""
    notes.note(ALICE, "with the writer", Sign.READ, 100)
    assert writer.begun.wait(SECONDS)
    assert all(notes.note(ALICE, f"device {number}", Sign.READ, 100) for number in range(WAITING))
    assert not notes.note(ALICE, "one more", Sign.READ, 100)
    writer.go.set()
    until(lambda: notes.note(ALICE, "one more", Sign.READ, 101))


def test_what_is_remembered_is_bounded(notes: BackgroundHealth, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond that it begins anew, and costs a note too many."""
    assert REMEMBERED > WAITING
    monkeypatch.setattr(health_notes, "REMEMBERED", 10)
    for number in range(10):
        notes.note(ALICE, f"device {number}", Sign.READ, 100)
    assert not notes.note(ALICE, "device 0", Sign.READ, 101)
    assert notes.note(ALICE, "one more", Sign.READ, 101)
    assert notes.note(ALICE, "device 0", Sign.READ, 102)


def test_what_waits_is_written_before_the_end(notes: BackgroundHealth, writer: Kept) -> None:
    """Closing takes no pause, and loses nothing."""
    begun = time.monotonic()
    for device in ("one", "two", "three"):
        notes.note(ALICE, device, Sign.READ, 100)
    assert len(finish(notes, writer)) == 3
    assert time.monotonic() - begun < SECONDS


def test_a_database_that_refuses_stops_nobody() -> None:
    """It costs the notes, and leaves a line in the log."""
    writer = NoteWriter(Database("sqlite:////nonexistent/folder/sealdav.db"))
    with capture_logs() as lines:
        writer.write({(ALICE, "one", Sign.READ): 1})
        assert writer.whose({("alice", None): 1, ("bob", None): 1}) == {}
    assert [(line["event"], line["count"]) for line in lines] == [
        ("health of devices not noted", 1),
        ("health of devices not noted", 2),
    ]


def test_nobody_need_want_to_know() -> None:
    """Without notes there is nothing to be due."""
    assert not NoNotes().note(ALICE, "one", Sign.READ, 1)
    NoNotes().note_attempt("alice", None, 1)


# ── what came with no app password
def test_attempts_with_one_name_cost_one_note_a_minute(writer: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, and whatever came as an app password."""
    monkeypatch.setattr(health_notes, "PAUSE_S", 0)
    with closing(BackgroundHealth(writer)) as notes:
        for now in range(100, 100 + 3 * NOTE_EVERY_S):
            notes.note_attempt("alice", f"{now:010}", now)
            until(lambda now=now: len(writer.asked) > now - 100)  # type: ignore[misc]  # a default
    assert len(writer.told) == 3
    assert {one[:2] for one in writer.told} == {(BY_NAME, "no-app-password")}


def test_strangers_crowd_nobodys_notes_out(notes: BackgroundHealth, writer: Kept) -> None:
    """What waits of theirs is bounded, and stands in nobody's way; of made-up names nothing is written."""
    notes.note(ALICE, "with the writer", Sign.READ, 100)
    assert writer.begun.wait(SECONDS)
    for number in range(2 * ATTEMPTS):
        notes.note_attempt(f"nobody {number}", None, 100)
    assert notes.note(ALICE, "one", Sign.READ, 100)
    assert [one[0] for one in finish(notes, writer)] == ["with the writer", "one"]
    assert [len(one) for one in writer.asked] == [ATTEMPTS]


def test_nothing_is_remembered_of_an_attempt(notes: BackgroundHealth, writer: Kept) -> None:
    """It may hold what somebody else takes for a password: once it was looked for, it is gone."""
    notes.note_attempt("nobody", "correcthor", 100)
    notes.note_attempt("alice", "sebattery0", 100)
    finish(notes, writer)
    assert vars(notes)["_attempts"] == {}
    assert set(vars(notes)["_noted"]) == {(ALICE, BY_NAME, Trouble.NO_APP_PASSWORD)}


# ── as far as the database
@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


def test_notes_reach_the_database(world: World, account: Account) -> None:
    """The thread writes what the owner reads."""
    with closing(BackgroundHealth(NoteWriter(world.database))) as notes:
        notes.note(account.id, "one", Sign.READ, 100)
        notes.note(account.id, "one", Trouble.CLOCK, 100)
    health = HealthRecords(world.database).of(account, "one")
    assert (set(health.signs), set(health.troubles)) == ({Sign.READ}, {Trouble.CLOCK})


def test_many_notes_are_one_transaction(world: World, account: Account) -> None:
    """One commit, however many there are."""
    begun: list[str] = []
    sa.event.listen(
        world.database.engine, "before_cursor_execute", lambda *told: begun.append(told[2].split("\n")[0])
    )
    NoteWriter(world.database).write({(account.id, f"device {n}", Sign.READ): 1 for n in range(50)})
    assert [one for one in begun if one.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]
    assert len(HealthRecords(world.database).of_all(account)) == 50


def test_an_attempt_is_noted_of_whom_it_was_made_on(world: World, account: Account) -> None:
    """Of the app password that is named, if it is one of that account's; else of the account; else of nobody.

    An account that is deleted has nobody who could read it.
    """
    bob, carol = world.accounts.create("bob"), world.accounts.create("carol")
    with world.database.write() as tx:
        row = tx.accounts.by_id(carol.id)
        assert row is not None
        gone = replace(row, state=AccountState.DELETED.value, version=row.version + 1)
        tx.accounts.replace(gone, expected_version=row.version)
        tx.commit()
    hers, his = (tokens.parse(make_app_password(world, one).token).id for one in (account, bob))
    with closing(BackgroundHealth(NoteWriter(world.database))) as notes:
        for name, app_id in (
            ("Alice", hers),
            ("alice", his),
            ("carol", None),
            ("carol", hers),
            ("dave", his),
        ):
            notes.note_attempt(name, app_id, 100)
        notes.note_attempt("bob", None, 100)
    records = HealthRecords(world.database)
    at_the_door = {BY_NAME: {Trouble.NO_APP_PASSWORD}}
    noted = {
        who.username: {device: set(health.troubles) for device, health in records.of_all(who).items()}
        for who in (account, bob, carol)
    }
    assert noted == {"alice": {hers: {Trouble.WRONG_SECRET}, **at_the_door}, "bob": at_the_door, "carol": {}}


def test_attempts_are_looked_up_in_one_transaction_that_writes_nothing(world: World) -> None:
    """Made-up names never make the database wait for its writer."""
    begun: list[str] = []
    sa.event.listen(
        world.database.engine, "before_cursor_execute", lambda *told: begun.append(told[2].split("\n")[0])
    )
    with closing(BackgroundHealth(NoteWriter(world.database))) as notes:
        notes.note_attempt("nobody", None, 100)
    assert [one for one in begun if one.startswith("BEGIN")] == ["BEGIN"]
    assert not [one for one in begun if one.startswith("INSERT")]
