"""Everybody at work is asked about again and again, by one process; an outage shuts nobody out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from davserver.accounts.rounds import (
    LEASE_BEATS,
    MISSED_BEATS,
    NOT_ANSWERING,
    TOGETHER,
    WANTED_SECONDS,
    Pace,
    Rounder,
)
from davserver.audit import OFFBOARDING, AuditEvent
from davserver.errors import StorageFull
from davserver.model import AccountState
from tests import tamper
from tests.factories import make_principal, make_world
from tests.fake_registry import FakeRegistry
from tests.fakes import START
from tests.unit.accounts.company import CONFIRM, POLL, Company
from tests.unit.accounts.test_confirmations import GOOD_FOR, leave

PACE = Pace.of(poll_seconds=POLL, confirm_seconds=CONFIRM)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """A company in which Alice and Bob work."""
    world = make_world(tmp_path)
    made = Company(world, FakeRegistry())
    for name in ("alice", "bob"):
        made.hire(name)
        made.enter(name)
    made.registry.asked.clear()
    made.registry.batches.clear()
    yield made
    world.database.dispose()


LONG_AFTER = round(START.timestamp()) + 3600
"""No lease is good for so long."""

IN_TIME = [("disabled", POLL), ("deleted", POLL), ("role missing", PACE.role)]
"""Seconds, without the beat in which it is found."""


@pytest.mark.parametrize(("how", "within"), IN_TIME)
def test_who_has_left_is_shut_in_time(company: Company, how: str, within: int) -> None:
    """Without any request of theirs; the others go on."""
    leave(company, how)
    company.beats(within + PACE.beat)
    assert company.state("alice") is AccountState.OFFBOARDED
    assert company.state("bob") is AccountState.ACTIVE
    (event,) = company.world.audit.of(AuditEvent.ACCOUNT_SUSPENDED)
    assert (event.account, event.actor, event.reason) == ("alice", OFFBOARDING, how)


@pytest.mark.parametrize("how", ["disabled", "deleted", "role missing"])
def test_who_is_back_is_let_in_in_time(company: Company, how: str) -> None:
    """While their devices go on trying."""
    entry = company.entry("alice")
    leave(company, how)
    company.beats(60)
    company.registry.people["sub-alice"] = entry
    entry.enabled, entry.roles = True, {"dav-user"}
    company.beats(20)
    assert company.state("alice") is AccountState.ACTIVE
    company.enter("alice")


def test_requests_of_those_who_are_confirmed_ask_nothing(company: Company) -> None:
    """The rounds come before a confirmation is too old, in the long run, too."""
    company.registry.asked.clear()
    for _ in range(60):
        company.beats(5)
        company.registry.before = lambda _question: pytest.fail("asked by a request")
        for name in ("alice", "bob"):
            company.enter(name)
        company.registry.before = lambda _question: None


def test_questions_are_few(company: Company) -> None:
    """Standings of many in one request; roles no more often than needed, and spread."""
    for number in range(200):
        company.hire(f"user{number}")
        company.enter(f"user{number}")
    company.beats(120)
    company.registry.asked.clear()
    company.registry.batches.clear()
    company.beats(120)
    assert max(map(len, company.registry.batches)) <= TOGETHER
    assert company.registry.asked["find"] <= 2 * 4 * (202 // TOGETHER + 2)
    assert company.registry.asked["roles"] <= 202 * (120 / PACE.role) * 2
    company.registry.asked.clear()
    company.beats(PACE.beat)
    assert company.registry.asked["roles"] < 202 / 2


def test_who_asks_reads_nothing_of_what_it_was_told(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that makes the rounds remembers them itself: its requests need not even look."""
    company.beats(60)
    company.enter("alice")
    company.beats(45)
    monkeypatch.setattr(company.offboarding, "known", lambda _account: pytest.fail("read by a request"))
    company.enter("alice")


def test_who_is_away_is_not_asked_about(company: Company) -> None:
    """Ten minutes after the last request the rounds are over, and begin with the next one."""
    for _ in range(12):
        company.beats(60)
        company.enter("bob")
    company.registry.batches.clear()
    company.beats(60)
    assert {one for batch in company.registry.batches for one in batch} == {"sub-bob"}
    company.enter("alice")
    company.beats(60)
    assert "sub-alice" in {one for batch in company.registry.batches for one in batch}
    company.beats(WANTED_SECONDS + 120)
    company.registry.asked.clear()
    company.beats(60)
    assert not company.registry.asked


def test_uses_are_written_once_a_minute(company: Company) -> None:
    """Not with every request, and by nobody who waits for it."""
    company.rounds.beat()

    def wanted() -> list[int]:
        with company.world.database.read() as tx:
            return [row.wanted_at for row in tx.confirmations.all()]

    before = wanted()
    for _ in range(11):
        company.enter("alice")
        company.beats(5)
    assert wanted() == before
    company.world.clock.advance(seconds=10)
    company.enter("alice")
    assert wanted() == before
    company.rounds.beat()
    assert wanted() != before


@pytest.mark.parametrize("broken", ["is_down", "forbids"])
def test_an_outage_shuts_nobody(company: Company, broken: str) -> None:
    """It is recorded once, said to administrators, and over when it is over."""
    getattr(company.registry, broken)()
    company.beats(600)
    for name in ("alice", "bob"):
        assert company.state(name) is AccountState.ACTIVE
    (lost,) = company.world.audit.of(AuditEvent.PROVIDER_LOST)
    assert lost.actor == OFFBOARDING
    assert lost.reason == (NOT_ANSWERING if broken == "is_down" else "the role is gone")
    shown = company.confirmations.of(company.world.accounts.find("alice"))
    assert shown.trouble == lost.reason
    assert shown.trouble_since is not None
    company.registry.is_back()
    company.enter("alice")
    company.beats(5)
    assert len(company.world.audit.of(AuditEvent.PROVIDER_BACK)) == 1
    assert company.confirmations.of(company.world.accounts.find("alice")).trouble == ""
    company.enter("bob")


def test_one_missed_beat_is_not_recorded(company: Company) -> None:
    """Keycloak was started anew."""
    company.world.clock.advance(seconds=POLL)
    company.registry.is_down()
    company.beats(5 * (MISSED_BEATS - 1))
    company.registry.is_back()
    company.beats(60)
    assert company.world.audit.of(AuditEvent.PROVIDER_LOST) == []


def test_an_outage_in_the_middle_loses_nothing(company: Company) -> None:
    """What was heard before it is applied; the next beat goes on."""
    leave(company, "disabled")
    company.world.clock.advance(seconds=POLL)
    company.registry.before = lambda question: company.registry.is_down() if question == "roles" else None
    company.beats(40)
    assert company.state("alice") is AccountState.OFFBOARDED
    assert company.state("bob") is AccountState.ACTIVE


def test_an_altered_row_does_not_stop_the_others(company: Company) -> None:
    """It is left out, opens for nobody, and the rest is asked about."""
    account = company.world.accounts.find("bob")
    with company.world.database.write() as tx:
        row = tx.confirmations.find(account.id)
        assert row is not None
        tx.confirmations.replace([replace(row, version=row.version + 1)])  # nobody has vouched for that
        tx.commit()
    leave(company, "disabled")
    company.beats(20)
    assert company.state("alice") is AccountState.OFFBOARDED


# ── several processes ───────────────────────────────────────────────────────────────────────────────────────
def test_one_process_asks(company: Company, tmp_path: Path) -> None:
    """The other one only looks whether the first is still there."""
    other = company.other_process(tmp_path)
    company.rounds.beat()
    asked = FakeRegistry(people=company.registry.people)
    for _ in range(30):
        company.beats(5)
        before = company.registry.asked.total()
        other.rounds.beat()
        assert company.registry.asked.total() == before
    assert asked.asked.total() == 0
    other.world.database.dispose()


def test_another_takes_over_when_the_first_has_died(company: Company, tmp_path: Path) -> None:
    """Within the time of the lease: before anybody's confirmation is too old, and so that nobody notices."""
    other = company.other_process(tmp_path)
    company.beats(60)
    leave(company, "disabled")
    other.registry.asked.clear()
    other.beats(LEASE_BEATS * PACE.beat + PACE.beat)
    assert other.registry.asked["find"] > 0
    assert other.state("alice") is AccountState.OFFBOARDED
    other.registry.before = lambda _question: pytest.fail("asked by a request")
    other.enter("bob")
    other.world.database.dispose()


def test_another_takes_over_at_once_when_the_first_has_ended(company: Company, tmp_path: Path) -> None:
    """A server that is stopped lets go."""
    other = company.other_process(tmp_path)
    company.beats(20)
    company.rounds.end()
    company.world.clock.advance(seconds=POLL)
    other.registry.asked.clear()
    other.rounds.beat()
    assert other.registry.asked["find"] > 0
    other.world.database.dispose()


@pytest.mark.parametrize("until", [2**40, LONG_AFTER, -5, "never"])
def test_a_lease_cannot_be_held_for_ever(company: Company, tmp_path: Path, until: int | str) -> None:
    """Neither by a clock that was set back, nor by somebody who writes to the database."""
    other = company.other_process(tmp_path)
    company.rounds.beat()
    tamper.write_column(company.world.database, "lease", "until", until)
    company.world.clock.advance(seconds=POLL)
    other.registry.asked.clear()
    other.rounds.beat()
    assert other.registry.asked["find"] > 0
    other.world.database.dispose()


def test_the_thread_lives_on(company: Company) -> None:
    """A beat that fails in a way that nobody foresaw is logged; the next is made. It ends when told to."""
    beats: list[int] = []

    class Broken:
        beat_seconds = 0

        def beat(self) -> None:
            beats.append(1)
            if len(beats) < 3:
                raise ZeroDivisionError
            rounder._stopping.set()  # noqa: SLF001 - from inside, so that no test waits

        def end(self) -> None:
            beats.append(0)

    rounder = Rounder(Broken())  # type: ignore[arg-type]  # all that is called of it
    rounder.start()
    rounder.join(10)
    rounder.stop()
    assert beats == [1, 1, 1, 0]
    Rounder(None).stop()
    assert company.rounds.beat_seconds == PACE.beat


# ── sessions at the provider ────────────────────────────────────────────────────────────────────────────────
def test_a_session_that_is_over_there_is_over_here(company: Company) -> None:
    """The provider says nothing when it ends those of a whole realm. Others stay, and so do devices."""
    world = company.world
    secrets = {}
    for name in ("alice", "bob"):
        account = world.accounts.find(name)
        company.entry(name).sessions = {f"sid of {name}"}
        before = company.sessions.sign_in(
            None, make_principal(account, world.clock, fresh_totp=False), provider_session=f"sid of {name}"
        )
        secrets[name] = company.sessions.prove(before, make_principal(account, world.clock), {}).secret
    company.beats(120)
    assert all(company.sessions.open(secret) for secret in secrets.values())
    company.entry("alice").sessions = {"another one"}
    company.beats(65)
    assert company.sessions.open(secrets["alice"]) is None
    assert company.sessions.open(secrets["bob"]) is not None
    company.enter("alice")
    with world.database.read() as tx:
        proofs = {name: len(tx.proofs.of(world.accounts.find(name).id)) for name in secrets}
    assert proofs == {"alice": 0, "bob": 1}
    (event,) = world.audit.of(AuditEvent.SIGNED_OUT)
    assert event.account == "alice"


def test_a_session_that_began_after_the_question_stays(company: Company) -> None:
    """The answer does not know it yet."""
    world = company.world
    account = world.accounts.find("alice")
    company.sessions.sign_in(None, make_principal(account, world.clock), provider_session="first")
    later: list[str] = []

    def sign_in(question: str) -> None:
        if question == "sessions" and not later:
            principal = make_principal(account, world.clock)
            later.append(company.sessions.sign_in(None, principal, provider_session="second").secret)

    company.registry.before = sign_in
    company.beats(10)
    assert later
    assert company.sessions.open(later[0]) is not None


def test_accounts_without_sessions_cost_nothing(company: Company) -> None:
    """Devices hang on no session; built-in sign-ins neither."""
    company.beats(300)
    assert company.registry.asked["sessions"] == 0


# ── administrators ──────────────────────────────────────────────────────────────────────────────────────────
def browsers_of(company: Company, name: str) -> tuple[str, str]:
    """Cookies of somebody who came in as an administrator, and with another browser before they were one."""
    principal = make_principal(company.world.accounts.find(name), company.world.clock)
    company.entry(name).roles.add("dav-admin")
    as_admin, as_anybody = (company.sessions.sign_in(None, principal, admin=one) for one in (True, False))
    return as_admin.secret, as_anybody.secret


def test_who_is_no_administrator_any_more_is_signed_out_as_one(company: Company) -> None:
    """In time and recorded once; other browsers, devices and other administrators go on."""
    alice, bob = (browsers_of(company, name) for name in ("alice", "bob"))
    company.beats(2 * PACE.role)
    assert all(company.sessions.open(secret) for secret in (*alice, *bob))
    company.entry("alice").roles.remove("dav-admin")
    company.beats(PACE.role + PACE.beat)
    assert company.sessions.open(alice[0]) is None
    assert all(company.sessions.open(secret) for secret in (alice[1], *bob))
    company.enter("alice")
    (event,) = company.world.audit.of(AuditEvent.ADMIN_WITHDRAWN)
    assert (event.account, event.actor) == ("alice", OFFBOARDING)


def test_the_first_request_after_a_while_is_no_administrator_s(company: Company) -> None:
    """Nobody was asked about who was away; the answer counts for the very request that asks."""
    away, _ = browsers_of(company, "alice")
    company.entry("alice").roles.remove("dav-admin")
    company.world.clock.advance(seconds=WANTED_SECONDS)
    assert company.sessions.open(away) is None


def test_a_request_that_has_to_ask_is_none_either(company: Company) -> None:
    """Though the browser was here a moment ago, when the last answer was still good."""
    as_admin, _ = browsers_of(company, "alice")
    company.world.clock.advance(seconds=GOOD_FOR - 1)
    assert company.sessions.open(as_admin) is not None
    company.entry("alice").roles.remove("dav-admin")
    company.world.clock.advance(seconds=2)
    assert company.sessions.open(as_admin) is None


def test_an_answer_says_nothing_of_who_signed_in_after_the_question(company: Company) -> None:
    """Who has just been made an administrator, and signs in while the provider is being asked."""
    account = company.world.accounts.find("alice")
    asked_at = round(company.world.clock.now.timestamp())
    as_admin, _ = browsers_of(company, "alice")
    company.offboarding.end_as_admin(account, asked_at=asked_at)
    assert company.sessions.open(as_admin) is not None
    company.offboarding.end_as_admin(account, asked_at=asked_at + 1)
    assert company.sessions.open(as_admin) is None


def test_a_full_disk_keeps_nobody_an_administrator_for_long(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops no question about others, and is tried again."""
    alice, _ = browsers_of(company, "alice")
    company.entry("alice").roles.remove("dav-admin")

    def full(*_: object) -> None:
        raise StorageFull("full")

    with monkeypatch.context() as patch:
        patch.setattr("davserver.db.engine.Transaction.commit", full)
        company.offboarding.end_as_admin(company.world.accounts.find("alice"), asked_at=LONG_AFTER)
    assert company.sessions.open(alice) is not None
    company.beats(PACE.role + PACE.beat)
    assert company.sessions.open(alice) is None
