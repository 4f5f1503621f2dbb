"""Notes of uses: off the request's path, at most one a minute, and never in its way."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from structlog.testing import capture_logs

from davserver.accounts.last_use import (
    MAX_CLIENT_CHARS,
    MOVES_TOLD,
    MOVES_WINDOW_S,
    NETWORKS_KNOWN,
    QUEUE_LENGTH,
    BackgroundNotes,
    Use,
    UseWriter,
)
from davserver.audit import AuditEvent
from davserver.db.engine import Database
from davserver.errors import StorageFull
from davserver.model import Account
from tests.factories import World, make_app_password, make_app_passwords
from tests.fakes import RecordingAudit


class Slow:
    """A writer that waits until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.written: list[Use] = []

    def note(self, use: Use) -> None:
        """See `UseNotes.note`."""
        self.go.wait()
        self.written.append(use)


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


def test_one_note_a_minute() -> None:
    """For each app password, and again after the minute; what waits is written before `close` returns."""
    writer = Slow()
    notes = BackgroundNotes(writer)
    for now in (100, 101, 159, 160, 161):
        notes.note(Use("one", now, "192.0.2.1"))
    notes.note(Use("two", 101, "192.0.2.1"))
    writer.go.set()
    notes.close()
    assert [(use.app_id, use.now) for use in writer.written] == [("one", 100), ("one", 160), ("two", 101)]


def test_a_full_queue_costs_a_note_and_no_time() -> None:
    """While the database is stuck, requests go on; what does not fit is lost and may be noted later."""
    writer = Slow()
    notes = BackgroundNotes(writer)
    for number in range(QUEUE_LENGTH + 2):  # one is with the writer
        notes.note(Use(f"device {number}", 100, "192.0.2.1"))
    lost = Use(f"device {QUEUE_LENGTH + 2}", 100, "192.0.2.1")
    notes.note(lost)
    writer.go.set()
    notes.close()
    assert lost not in writer.written
    assert QUEUE_LENGTH <= len(writer.written) <= QUEUE_LENGTH + 2


def test_notes_reach_the_database(world: World, account: Account) -> None:
    """The thread writes what the owner sees; an address that does not fit its column is cut."""
    issued = make_app_password(world, account)
    notes = BackgroundNotes(UseWriter(world.database))
    now = int(world.clock().timestamp())
    notes.note(Use(issued.app_password.id, now, "x" * 500))
    notes.close()
    (listed,) = make_app_passwords(world).list(account)
    assert listed.last_used_at == world.clock()
    assert listed.last_used_from == "x" * MAX_CLIENT_CHARS


def test_a_note_does_not_disturb_the_row(world: World, account: Account) -> None:
    """Noting a use changes neither version nor authenticator: it races with nothing."""
    issued = make_app_password(world, account)
    with world.database.read() as tx:
        (before,) = tx.credentials.app_passwords(account.id)
    UseWriter(world.database).note(Use(issued.app_password.id, 5, "192.0.2.1"))
    with world.database.read() as tx:
        (after,) = tx.credentials.app_passwords(account.id)
    assert (after.version, after.mac, after.last_used_at) == (before.version, before.mac, 5)


def test_a_database_that_refuses_stops_nobody() -> None:
    """An unreachable database costs the note and leaves a line in the log."""
    with capture_logs() as lines:
        UseWriter(Database("sqlite:////nonexistent/folder/sealdav.db")).note(Use("one", 1, "192.0.2.1"))
    assert [(line["event"], line["credential"]) for line in lines] == [("last use not noted", "one")]


def test_another_place_is_noted_at_once() -> None:
    """A thief who comes within the minute is not hidden by it."""
    writer = Slow()
    notes = BackgroundNotes(writer)
    for now, client in ((100, "192.0.2.1"), (101, "198.51.100.7"), (102, "198.51.100.7")):
        notes.note(Use("one", now, client))
    writer.go.set()
    notes.close()
    assert [use.client for use in writer.written] == ["192.0.2.1", "198.51.100.7"]


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("192.0.2.200", 0),
        ("::ffff:192.0.2.9", 0),
        ("192.0.3.1", 1),
        ("2001:db8::1", 1),
        ("words", 1),
    ],
)
def test_a_use_from_another_network_is_recorded(world: World, account: Account, then: str, told: int) -> None:
    """The first use is from nowhere else; afterwards an address outside of the last one's network is told."""
    issued = make_app_password(world, account)
    writer = UseWriter(world.database, world.audit)
    for client in ("192.0.2.1", then):
        writer.note(Use(issued.app_password.id, 5, client, "rclone"))
    recorded = world.audit.of(AuditEvent.APP_PASSWORD_MOVED)
    assert [(one.account, one.client) for one in recorded] == [("alice", then)] * told
    (listed,) = make_app_passwords(world).list(account)
    assert listed.last_used_client == "rclone"


def test_what_was_not_recorded_is_told_the_next_time(world: World, account: Account) -> None:
    """A disk that is full for a moment hides nobody."""
    issued = make_app_password(world, account)
    full = [False]

    class Full(RecordingAudit):
        def record(self, event: AuditEvent, **values: Any) -> None:  # noqa: ANN401 - as `AuditSink.record`
            if full[0]:
                raise StorageFull("no space left for the database")
            super().record(event, **values)

    audit = Full()
    writer = UseWriter(world.database, audit)
    writer.note(Use(issued.app_password.id, 0, "192.0.2.1"))
    full[0] = True
    writer.note(Use(issued.app_password.id, 100, "198.51.100.1"))
    full[0] = False
    writer.note(Use(issued.app_password.id, 200, "198.51.100.1"))
    assert [one.client for one in audit.of(AuditEvent.APP_PASSWORD_MOVED)] == ["198.51.100.1"]


def moves(world: World, account: Account, clients: list[str], *, every: int = 60) -> list[str | None]:
    """The addresses that are told when one app password is used from these, one after the other."""
    issued = make_app_password(world, account)
    writer = UseWriter(world.database, world.audit)
    told = len(world.audit.of(AuditEvent.APP_PASSWORD_MOVED))
    for number, client in enumerate(clients):
        writer.note(Use(issued.app_password.id, number * every, client))
    return [one.client for one in world.audit.of(AuditEvent.APP_PASSWORD_MOVED)][told:]


def test_two_networks_in_turn_are_told_once(world: World, account: Account) -> None:
    """Home and work, day after day; somebody else's network in between is."""
    daily = ["192.0.2.1", "198.51.100.1"] * 50
    assert moves(world, account, [*daily, "203.0.113.1", *daily], every=MOVES_WINDOW_S) == [
        "198.51.100.1",
        "203.0.113.1",
    ]


def test_a_device_that_is_somewhere_else_all_the_time_fills_no_mailbox(
    world: World, account: Account
) -> None:
    """A few a day are told, and the next day again; another device has its own count."""
    clients = [f"10.0.{number}.1" for number in range(100)]
    assert moves(world, account, clients) == clients[1 : MOVES_TOLD + 1]
    hourly = moves(world, account, clients, every=3600)
    assert len(hourly) == MOVES_TOLD * 5
    assert hourly[:MOVES_TOLD] == clients[1 : MOVES_TOLD + 1]


def test_what_was_not_seen_for_long_is_news_again(world: World, account: Account) -> None:
    """So many networks are remembered, of each device the last ones that it was in."""
    clients = [f"10.0.{number}.1" for number in range(NETWORKS_KNOWN)]
    known = moves(world, account, [*clients, *clients], every=MOVES_WINDOW_S)
    assert known == clients[1:]
    again = [*clients, "192.0.2.1", clients[0]]
    assert moves(world, account, again, every=MOVES_WINDOW_S) == [*clients[1:], "192.0.2.1", clients[0]]
