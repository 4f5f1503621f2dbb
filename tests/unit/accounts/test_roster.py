"""The list of accounts: in pages, by name, quick, and whole although a row was altered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from davserver.accounts import roster as module
from davserver.accounts.audit_log import AuditLog
from davserver.accounts.audit_trail import AuditTrail
from davserver.accounts.profiles import Profiles
from davserver.accounts.roster import Listed, Roster, Shut
from davserver.audit import OFFBOARDING, AuditEvent, LogAuditSink
from davserver.db.engine import Database
from davserver.model import Account
from tests import tamper
from tests.factories import (
    World,
    make_app_password,
    make_code,
    make_principal,
    make_sessions,
    make_totp,
)


def roster_of(world: World) -> Roster:
    """The list of a store."""
    trail = AuditTrail(world.database, world.keyring, world.audit)
    return Roster(world.database, world.keyring, trail)


def names(listed: tuple[Listed, ...]) -> list[str]:
    """Who is listed."""
    return [one.account.username if one.account is not None else "" for one in listed]


def listed(world: World, name: str) -> Listed:
    """What the list says of somebody."""
    (found,) = roster_of(world).page(name).listed
    assert found == roster_of(world).of(world.accounts.find(name))
    return found


def record(world: World, what: AuditEvent, account: str, actor: str, reason: str = "") -> None:
    """An entry of the stored log."""
    log = AuditLog(world.database, world.keyring, world.clock, LogAuditSink())
    log.record(what, account=account, actor=actor, reason=reason)


class Statements:
    """Counts what the database is asked."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        event.listen(database.engine, "before_cursor_execute", self._note)

    def _note(self, *_: object) -> None:
        self.count += 1


def test_page_by_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each account once, in order of names, however it was typed; beyond the last page there is nobody."""
    monkeypatch.setattr(module, "PAGE_ACCOUNTS", 3)
    for name in ("erin", "Bob", "alice", "dave", "carol", "frank", "grace"):
        world.accounts.create(name)
    roster = roster_of(world)
    pages = [roster.page(number=number) for number in (1, 2, 3, 4)]
    assert [names(one.listed) for one in pages] == [
        ["alice", "bob", "carol"],
        ["dave", "erin", "frank"],
        ["grace"],
        [],
    ]
    assert [(one.first, one.total, one.has_next) for one in pages] == [
        (1, 7, True),
        (4, 7, True),
        (7, 7, False),
        (10, 7, False),
    ]
    assert roster.page(number=0) == roster.page(number=-7) == pages[0]
    assert roster.page(number=10**30).listed == ()


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("al", ["alice", "val_d"]),
        ("ALICE", ["alice"]),
        ("_", ["val_d"]),
        ("%", []),
        ("'", []),
        ("\\", []),
        ("", ["alice", "bob", "val_d"]),
    ],
)
def test_by_part_of_a_name(world: World, part: str, found: list[str]) -> None:
    """Letter by letter: no character means another one."""
    for name in ("alice", "bob", "val_d"):
        world.accounts.create(name)
    page = roster_of(world).page(part)
    assert (names(page.listed), page.total) == (found, len(found))


def test_as_many_questions_for_many_as_for_one(world: World) -> None:
    """However many accounts a page has, and whoever has shut them."""
    world.accounts.create("a")
    world.accounts.suspend("a")
    statements, roster = Statements(world.database), roster_of(world)
    roster.page()
    few = statements.count
    for number in range(30):
        world.accounts.create(f"b{number}")
        world.accounts.suspend(f"b{number}")
        record(world, AuditEvent.ACCOUNT_SUSPENDED, f"b{number}", "alice", "why")
    before = statements.count
    roster.page()
    assert statements.count - before == few


def test_who_is_an_administrator_and_has_an_authenticator(world: World) -> None:
    """One that waits for its first code is none yet."""
    alice = world.accounts.create("alice")
    assert listed(world, "alice") == Listed(alice)
    Profiles(world.database, world.keyring, world.audit).set_admin(alice, admin=True)
    principal, totp = make_principal(alice, world.clock, fresh_totp=False), make_totp(world)
    secret = totp.begin(principal).secret
    assert listed(world, "alice") == Listed(alice, admin=True)
    totp.confirm(principal, make_code(secret, world.clock))
    assert listed(world, "alice").totp_since == world.clock().replace(microsecond=0)


def test_the_last_use_is_the_latest_of_any_kind(world: World) -> None:
    """By a device, in a browser, or as it was noted at the gate; of the account itself only."""
    alice, bob = world.accounts.create("alice"), world.accounts.create("bob")
    start, issued = world.clock().replace(microsecond=0), make_app_password(world, alice)

    def use(account: Account, kind: str) -> None:
        world.clock.advance(minutes=1)
        now = int(world.clock.now.timestamp())
        with world.database.write() as tx:
            if kind == "device":
                tx.credentials.record_use(issued.app_password.id, now=now, client="192.0.2.1")
            tx.commit()
        if kind == "browser":
            make_sessions(world).sign_in(None, make_principal(account, world.clock))

    for minutes, kind in enumerate(("device", "browser", "device"), 1):
        use(alice, kind)
        assert listed(world, "alice").used_at == start + timedelta(minutes=minutes)
    assert listed(world, "bob") == Listed(bob)


@pytest.mark.parametrize("note", ["yesterday", -5, 2**62, b"x", None])
def test_a_note_that_is_no_moment_is_not_shown(world: World, note: tamper.Value) -> None:
    """Nobody vouches for it, and nobody is kept from seeing the list by it."""
    alice = world.accounts.create("alice")
    make_app_password(world, alice)
    tamper.write_column(world.database, "app_password", "last_used_at", note)
    assert listed(world, "alice") == Listed(alice)


def test_what_was_altered_hides_nobody_else(world: World) -> None:
    """An altered account is not believed to be anybody; an altered right or authenticator is none."""
    alice, bob = world.accounts.create("alice"), world.accounts.create("bob")
    profiles = Profiles(world.database, world.keyring, world.audit)
    for account in (alice, bob):
        profiles.set_admin(account, admin=False)
    tamper.write_column(world.database, "profile", "admin", 1)
    assert [one.admin for one in roster_of(world).page().listed] == [False, False]
    with world.database.write() as tx:
        row = tx.accounts.by_username("alice")
        assert row is not None
        tx.accounts.replace(replace(row, quota=7), expected_version=row.version)
        tx.commit()
    assert roster_of(world).page().listed == (Listed(None), Listed(bob))


def test_who_has_shut_it_and_why(world: World) -> None:
    """The last who did; nothing of somebody who had the name before, and nothing while it may be used."""
    record(world, AuditEvent.ACCOUNT_SUSPENDED, "alice", "mallory", "of old")
    world.clock.advance(days=1)
    alice = world.accounts.create("alice")
    record(world, AuditEvent.ACCOUNT_SUSPENDED, "bob", "alice", "another one")
    world.accounts.suspend("alice")
    assert listed(world, "alice").shut == Shut()
    record(world, AuditEvent.ACCOUNT_SUSPENDED, "alice", OFFBOARDING, "disabled")
    record(world, AuditEvent.ACCOUNT_SUSPENDED, "alice", "carol", "on leave")
    at = world.clock().replace(microsecond=0)
    assert listed(world, "alice").shut == Shut(at, "carol", "on leave")
    tamper.write_column(world.database, "audit_entry", "reason", "nothing at all")
    assert listed(world, "alice").shut == Shut()
    world.accounts.resume("alice")
    assert listed(world, "alice") == Listed(alice)
