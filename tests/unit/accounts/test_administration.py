"""What administrators do with others: all of it or nothing, never to oneself, never to the last one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import pytest

from davserver.accounts.administration import Administration
from davserver.accounts.administrators import Administrators
from davserver.accounts.confirmations import Confirmations
from davserver.accounts.profiles import Profiles
from davserver.accounts.reasons import MAX_REASON_CHARS, checked_reason
from davserver.accounts.sessions import Sessions, WebSession
from davserver.audit import TERMINAL, AuditEvent
from davserver.db.engine import Transaction
from davserver.errors import AlreadyExists, AuthenticationError, InvalidValue, NotFound, NotPermitted
from davserver.identity import local
from davserver.model import Account, AccountState
from tests.factories import (
    World,
    make_app_passwords,
    make_identity,
    make_principal,
    make_provider_sessions,
    make_sessions,
    make_totp,
    make_world,
)
from tests.fake_registry import FakeRegistry
from tests.unit.accounts.company import CONFIRM, Company

WHY = "left the company"


@dataclass
class Office:
    """An installation and its administrators.

    Attributes:
        here: whether administrators are made here.
        confirmations: what an identity provider has said.
    """

    world: World
    here: bool = True
    confirmations: Confirmations | None = None

    def __post_init__(self) -> None:
        """Build what they work with."""
        world = self.world
        self.profiles = Profiles(world.database, world.keyring, world.audit)
        self.sessions: Sessions = make_sessions(world)
        self.acts = Administration(
            world.accounts,
            make_identity(world),
            self.profiles,
            make_app_passwords(world),
            self.sessions,
            make_totp(world),
            Administrators(world.keyring, here=self.here),
            self.confirmations,
        )

    def hire(self, name: str, *, admin: bool = False) -> Account:
        """Somebody new."""
        account = self.world.accounts.create(name)
        if admin:
            self.profiles.set_admin(account, admin=True)
        return account

    def browse(self, account: Account) -> WebSession:
        """A browser, signed in with both factors."""
        principal = make_principal(account, self.world.clock)
        session = self.sessions.sign_in(None, principal, provider_session=f"of {account.username}")
        return self.sessions.prove(session, principal, {})

    def state(self, name: str) -> AccountState:
        """Whether an account may be used."""
        return self.world.accounts.find(name).state

    def is_admin(self, name: str) -> bool:
        """Whether somebody is an administrator."""
        return self.profiles.of(self.world.accounts.find(name).id).admin


@pytest.fixture
def office(world: World) -> Office:
    """Alice is the administrator, bob is not."""
    made = Office(world)
    made.hire("alice", admin=True)
    made.hire("bob")
    return made


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """People whom a provider knows; alice works there."""
    made = Company(make_world(tmp_path), FakeRegistry())
    made.hire("alice")
    return made


# ── suspended and resumed
def test_a_suspension_signs_everybody_out_for_good(office: Office) -> None:
    """Of this account: browsers and proofs are gone with it, and resuming brings them not back."""
    bob, alice = (office.world.accounts.find(name) for name in ("bob", "alice"))
    his, hers = office.browse(bob), office.browse(alice)
    known = make_provider_sessions(office.world)
    office.acts.suspend("Bob", by="alice", reason=f" {WHY}\n")
    (event,) = office.world.audit.of(AuditEvent.ACCOUNT_SUSPENDED)
    assert (event.account, event.actor, event.reason) == ("bob", "alice", WHY)
    assert office.sessions.browsers(bob) == []
    office.acts.resume("bob", by="alice")
    assert office.sessions.open(his.secret) is None
    assert known.proved_at(bob, known.session_id("of bob")) is None
    assert office.sessions.open(hers.secret) is not None
    assert office.state("bob") is AccountState.ACTIVE


@pytest.mark.parametrize("how", ["an administrator", "the provider"])
def test_one_way_to_shut_somebody_out(company: Company, how: str) -> None:
    """Whoever does it: browsers are out, sessions at the provider count no more, devices are refused."""
    world = company.world
    alice = world.accounts.find("alice")
    company.enter("alice")
    principal = make_principal(alice, world.clock)
    session = company.sessions.prove(
        company.sessions.sign_in(None, principal, provider_session="theirs"), principal, {}
    )
    world.clock.advance(seconds=1)
    if how == "an administrator":
        Office(world, confirmations=company.confirmations).acts.suspend("alice", by="carol", reason=WHY)
    else:
        company.entry("alice").enabled = False
        company.beats(30)
    assert company.sessions.open(session.secret) is None
    with world.database.read() as tx:
        assert tx.sessions.of(alice.id) == []
    known = make_provider_sessions(world)
    assert known.proved_at(alice, known.session_id("theirs")) is None
    ended = known.ended_at(alice, known.session_id("theirs"))
    assert ended is not None
    with pytest.raises(AuthenticationError):
        company.enter("alice")


def test_the_rounds_never_lift_a_suspension(company: Company) -> None:
    """For as long as the account is used: the provider may say what it likes."""
    acts = Office(company.world, confirmations=company.confirmations).acts
    company.enter("alice")
    acts.suspend("alice", by="carol", reason=WHY)
    for enabled in (True, False, True):
        company.entry("alice").enabled = enabled
        company.beats(2 * CONFIRM)
        with pytest.raises(AuthenticationError):
            company.enter("alice")
        assert company.state("alice") is AccountState.SUSPENDED
    acts.resume("alice", by="carol")
    company.enter("alice")


def test_a_suspension_while_the_provider_is_asked_stands(company: Company) -> None:
    """The answer that the owner is back comes after it, and changes nothing."""
    acts = Office(company.world, confirmations=company.confirmations).acts
    company.enter("alice")
    company.entry("alice").enabled = False
    company.beats(30)
    assert company.state("alice") is AccountState.OFFBOARDED
    company.entry("alice").enabled = True

    def suspend(_question: str) -> None:
        if company.state("alice") is AccountState.OFFBOARDED:
            acts.suspend("alice", by="carol", reason=WHY)

    company.registry.before = suspend
    company.beats(30)
    assert company.state("alice") is AccountState.SUSPENDED


def test_what_the_provider_has_shut_no_administrator_opens(company: Company) -> None:
    """Refused with what to do, and nothing is recorded as done."""
    acts = Office(company.world, confirmations=company.confirmations).acts
    company.enter("alice")
    company.entry("alice").enabled = False
    company.beats(30)
    with pytest.raises(NotPermitted, match="let its owner in again there"):
        acts.resume("alice", by="carol")
    assert company.state("alice") is AccountState.OFFBOARDED
    assert company.world.audit.of(AuditEvent.ACCOUNT_RESUMED) == []


def test_a_suspension_is_no_way_round_the_provider(company: Company) -> None:
    """Suspended and resumed, whoever had left is still shut out, at once, and comes in once they are back."""
    acts = Office(company.world, confirmations=company.confirmations).acts
    company.enter("alice")
    company.entry("alice").enabled = False
    company.beats(30)
    acts.suspend("alice", by="carol", reason=WHY)
    assert company.state("alice") is AccountState.SUSPENDED
    asked = company.registry.asked.total()
    assert acts.resume("alice", by="carol").state is AccountState.OFFBOARDED
    assert company.registry.asked.total() == asked
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    company.entry("alice").enabled = True
    company.beats(30)
    company.enter("alice")


def test_without_a_provider_nobody_is_shut_by_one(office: Office) -> None:
    """Who leaves it for good suspends and resumes the accounts that it had shut."""
    company = Company(office.world, FakeRegistry())
    company.hire("erin")
    company.entry("erin").enabled = False
    with pytest.raises(AuthenticationError):
        company.enter("erin")
    assert office.state("erin") is AccountState.OFFBOARDED
    with pytest.raises(NotPermitted, match="suspend the account first, then resume it"):
        office.acts.resume("erin")
    office.acts.suspend("erin")
    assert office.acts.resume("erin").state is AccountState.ACTIVE


# ── oneself, and the last one
def test_nobody_does_it_to_themself(office: Office) -> None:
    """Whatever the case of the letters, and also where there is another administrator."""
    office.hire("carol", admin=True)
    for name in ("alice", "Alice"):
        with pytest.raises(NotPermitted, match="ask another administrator"):
            office.acts.suspend(name, by="alice", reason=WHY)
    with pytest.raises(NotPermitted, match="ask another administrator"):
        office.acts.set_admin(office.world.accounts.find("alice"), admin=False, by="alice", reason=WHY)
    assert (office.state("alice"), office.is_admin("alice")) == (AccountState.ACTIVE, True)


@pytest.mark.parametrize("by", ["carol", None], ids=["on the site", "at the terminal"])
def test_the_last_administrator_stays(office: Office, by: str | None) -> None:
    """One who is suspended does not count; nothing is changed and nothing recorded."""
    office.hire("carol", admin=True)
    session = office.browse(office.world.accounts.find("alice"))
    office.acts.suspend("carol", by="alice", reason=WHY)
    before = list(office.world.audit.events)
    with pytest.raises(NotPermitted, match="only administrator: make somebody else one first"):
        office.acts.suspend("alice", by=by, reason=WHY)
    assert (office.state("alice"), office.sessions.open(session.secret) is None) == (
        AccountState.ACTIVE,
        False,
    )
    if by is not None:
        with pytest.raises(NotPermitted, match="only administrator"):
            office.acts.set_admin(office.world.accounts.find("alice"), admin=False, by=by, reason=WHY)
        assert office.is_admin("alice")
    assert office.world.audit.events == before


def test_the_terminal_may_take_the_last_right(office: Office) -> None:
    """Whoever may run commands here can make another one; then the account can be suspended."""
    alice = office.world.accounts.find("alice")
    office.acts.set_admin(alice, admin=False)
    assert not office.is_admin("alice")
    assert office.acts.suspend("alice").state is AccountState.SUSPENDED


def test_roles_of_a_provider_are_not_counted_here(office: Office) -> None:
    """Where roles make administrators, a right from earlier days keeps nobody."""
    elsewhere = Office(office.world, here=False)
    assert elsewhere.acts.suspend("alice", by="bob", reason=WHY).state is AccountState.SUSPENDED


ATTACKS: dict[str, Callable[[Office, Account, str], object]] = {
    "suspend": lambda office, whom, by: office.acts.suspend(whom.username, by=by, reason=WHY),
    "take": lambda office, whom, by: office.acts.set_admin(whom, admin=False, by=by, reason=WHY),
}


@pytest.mark.parametrize("how", ATTACKS)
def test_two_who_do_it_to_each_other_at_once_do_not_both_go(office: Office, how: str) -> None:
    """One of them is still there, and can sign in."""
    alice, carol = office.world.accounts.find("alice"), office.hire("carol", admin=True)
    ready = Barrier(2)

    def strike(whom: Account, by: str) -> bool:
        ready.wait()
        try:
            ATTACKS[how](office, whom, by)
        except NotPermitted:
            return False
        return True

    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(strike, alice, "carol"), threads.submit(strike, carol, "alice")]
        assert sorted(one.result() for one in done) == [False, True]
    left = [
        name
        for name in ("alice", "carol")
        if office.is_admin(name) and office.state(name) is AccountState.ACTIVE
    ]
    assert len(left) == 1


# ── the rest
@pytest.mark.parametrize("reason", ["", " x  ", "y" * (MAX_REASON_CHARS + 1), "a\x00b c", "a\u202eb c"])
def test_a_reason_is_a_sentence(office: Office, reason: str) -> None:
    """Else nothing is done; at the terminal there need not be one."""
    bob = office.world.accounts.find("bob")
    session = office.browse(bob)
    acts: tuple[Callable[[], object], ...] = (
        lambda: office.acts.suspend("bob", by="alice", reason=reason),
        lambda: office.acts.sign_out(bob, by="alice", reason=reason),
        lambda: office.acts.revoke(bob, "0000000000", by="alice", reason=reason),
        lambda: office.acts.revoke_all(bob, by="alice", reason=reason),
        lambda: office.acts.set_admin(bob, admin=False, by="alice", reason=reason),
        lambda: office.acts.reset_totp(bob, reason, by="alice"),
    )
    for act in acts:
        with pytest.raises(InvalidValue, match="say why"):
            act()
    assert office.sessions.open(session.secret) is not None
    assert checked_reason("y" * MAX_REASON_CHARS) == "y" * MAX_REASON_CHARS
    assert checked_reason(None) is None


def test_a_sign_out_is_recorded_if_there_was_something_to_end(office: Office) -> None:
    """Of all browsers but the one that stays; tokens count as well."""
    bob = office.world.accounts.find("bob")
    first, second = office.browse(bob), office.browse(bob)
    assert [one.proved for one in office.sessions.browsers(bob)] == [True, True]
    assert office.acts.sign_out(bob, by=TERMINAL, keep=first) == 1
    assert office.sessions.open(first.secret) is not None
    assert office.sessions.open(second.secret) is None
    assert office.acts.sign_out(bob, by="alice", reason=WHY) == 1
    assert office.acts.sign_out(bob, by="alice", reason=WHY) == 0
    said = [(one.actor, one.reason) for one in office.world.audit.of(AuditEvent.SIGNED_OUT)]
    assert said == [(TERMINAL, None), ("alice", WHY)]


def test_who_is_not_there(office: Office) -> None:
    """Nobody of this name."""
    for act in (office.acts.suspend, office.acts.resume):
        with pytest.raises(NotFound):
            act("nobody")


def test_an_administrator_is_added_in_one_step(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the right there is the account, without it there is none."""
    monkeypatch.setattr(local, "TIME_COST", 1)
    monkeypatch.setattr(local, "MEMORY_KIB", 8 * local.LANES)
    office.acts.add("Carol", "a password of a test account", quota=5, admin=True)
    assert office.is_admin("carol")
    assert [one.account for one in office.world.audit.of(AuditEvent.ADMIN_GRANTED)] == ["alice", "carol"]
    with pytest.raises(AlreadyExists):
        office.acts.add("carol", "a password of a test account")

    def refuse(tx: Transaction, account_id: bytes, username: str) -> None:
        assert tx.accounts.by_username(username) is not None, account_id
        raise InvalidValue("no right")

    monkeypatch.setattr(office.profiles, "grant", refuse)
    with pytest.raises(InvalidValue, match="no right"):
        office.acts.add("dave", "a password of a test account", admin=True)
    with pytest.raises(NotFound):
        office.world.accounts.find("dave")
