"""Nothing is served to whom the identity provider has not confirmed lately; built-in accounts ask nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from davserver.accounts.confirmations import KNOCK_SECONDS, LEEWAY_SECONDS
from davserver.accounts.service import LOCAL
from davserver.accounts.verdicts import News, Standing
from davserver.audit import OFFBOARDING, AuditEvent
from davserver.errors import AuthenticationError, CorruptRow, StorageFull, Unconfirmed
from davserver.model import AccountState
from tests import tamper
from tests.factories import make_app_password, make_principal, make_world
from tests.fake_registry import FakeRegistry
from tests.unit.accounts.company import CONFIRM, POLL, Company

GOOD_FOR = CONFIRM - LEEWAY_SECONDS


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """A company in which Alice works."""
    world = make_world(tmp_path)
    made = Company(world, FakeRegistry())
    made.hire("alice")
    yield made
    world.database.dispose()


def test_the_first_request_asks_and_the_next_do_not(company: Company) -> None:
    """One question of each kind, whatever a device does in the next fifty seconds."""
    for _ in range(5):
        company.enter("alice")
        company.world.clock.advance(seconds=9)
    assert company.registry.asked == {"find": 1, "roles": 1}


def test_who_was_not_confirmed_lately_is_asked_about_again(company: Company) -> None:
    """Exactly when the time is over, not a second later."""
    company.enter("alice")
    company.world.clock.advance(seconds=GOOD_FOR - 1)
    company.enter("alice")
    assert company.registry.asked["find"] == 1
    company.world.clock.advance(seconds=1)
    company.enter("alice")
    assert company.registry.asked == {"find": 2, "roles": 2}


@pytest.mark.parametrize("broken", ["is_down", "forbids"])
def test_without_an_answer_nobody_is_served_and_nobody_is_shut(company: Company, broken: str) -> None:
    """503 after the grace, for an outage as for a service account without its role; then all is as before."""
    company.enter("alice")
    getattr(company.registry, broken)()
    company.world.clock.advance(seconds=GOOD_FOR - 1)
    company.enter("alice")
    company.world.clock.advance(seconds=1)
    with pytest.raises(Unconfirmed):
        company.enter("alice")
    company.world.clock.advance(days=1)
    with pytest.raises(Unconfirmed) as refused:
        company.enter("alice")
    assert refused.value.retry_after > 0
    assert company.state("alice") is AccountState.ACTIVE
    company.registry.is_back()
    company.world.clock.advance(seconds=refused.value.retry_after)
    company.enter("alice")


def leave(company: Company, how: str) -> None:
    """Let Alice go."""
    if how == "deleted":
        company.fire("alice")
    elif how == "disabled":
        company.entry("alice").enabled = False
    else:
        company.entry("alice").roles.clear()


@pytest.mark.parametrize("how", ["disabled", "deleted", "role missing"])
def test_who_has_left_is_shut_out_at_the_next_use(company: Company, how: str) -> None:
    """Before anything is served. The account is shut by the provider, and it is said why."""
    leave(company, how)
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    assert company.state("alice") is AccountState.OFFBOARDED
    (event,) = company.world.audit.of(AuditEvent.ACCOUNT_SUSPENDED)
    assert (event.account, event.actor, event.reason) == ("alice", OFFBOARDING, how)
    shown = company.confirmations.of(company.world.accounts.find("alice"))
    assert (shown.reason, shown.left_at, shown.confirmed_at) == (how, company.world.clock.now, None)


@pytest.mark.parametrize("how", ["disabled", "deleted", "role missing"])
def test_who_is_back_finds_everything_as_before(company: Company, how: str) -> None:
    """The same app password opens the account again, by the very request that asks."""
    company.enter("alice")
    entry = company.entry("alice")
    leave(company, how)
    company.world.clock.advance(seconds=GOOD_FOR)
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    company.registry.people["sub-alice"] = entry
    entry.enabled, entry.roles = True, {"dav-user"}
    company.world.clock.advance(seconds=KNOCK_SECONDS)
    assert company.enter("alice").account.state is AccountState.ACTIVE
    (event,) = company.world.audit.of(AuditEvent.ACCOUNT_RESUMED)
    assert (event.account, event.actor) == ("alice", OFFBOARDING)


def test_a_device_that_goes_on_trying_asks_seldom(company: Company) -> None:
    """Hundreds of attempts of somebody who has left are one question in fifteen seconds."""
    leave(company, "disabled")
    for _ in range(100):
        with pytest.raises(AuthenticationError):
            company.enter("alice")
    assert company.registry.asked["find"] == 1
    company.world.clock.advance(seconds=KNOCK_SECONDS)
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    assert company.registry.asked["find"] == 2


def test_a_wrong_credential_asks_nobody(company: Company) -> None:
    """Neither does one of another user: guessing never reaches the provider."""
    company.hire("bob")
    wrong = company.tokens["bob"]
    for name, secret in (("alice", wrong), ("alice", "ew1-nonsense"), ("nobody", company.tokens["alice"])):
        with pytest.raises(AuthenticationError):
            company.authenticator.authenticate(name, secret, "192.0.2.1")
    assert not company.registry.asked


def test_built_in_accounts_ask_nobody(company: Company) -> None:
    """Neither the provider nor the database, and nothing is noted of them."""
    world = company.world
    built_in = world.accounts.create("carol")
    company.tokens["carol"] = make_app_password(world, built_in).token
    company.registry.is_down()
    company.enter("carol")
    company.confirmations.require(built_in)
    company.confirmations.proved(built_in)
    assert not company.registry.asked
    with world.database.read() as tx:
        assert tx.confirmations.all() == []
    assert company.confirmations.of(built_in).built_in
    assert built_in.subject.startswith(LOCAL)


def test_an_administrator_s_suspension_stands(company: Company) -> None:
    """The provider neither lifts it nor is asked; after it, whoever has left meanwhile is still shut out."""
    company.world.accounts.suspend("alice")
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    assert not company.registry.asked
    leave(company, "disabled")
    company.world.accounts.resume("alice")
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    assert company.state("alice") is AccountState.OFFBOARDED


def test_the_provider_does_not_lift_what_an_administrator_added(company: Company) -> None:
    """Suspended on top of being shut by the provider: back there, the account is still suspended."""
    leave(company, "disabled")
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    company.world.accounts.suspend("alice")
    company.entry("alice").enabled = True
    company.world.clock.advance(seconds=KNOCK_SECONDS)
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    company.rounds.beat()
    company.confirmations.welcome("sub-alice")
    assert company.state("alice") is AccountState.SUSPENDED
    company.world.accounts.resume("alice")
    company.enter("alice")


def test_another_process_s_word_counts(company: Company, tmp_path: Path) -> None:
    """What one process was told the other need not ask; what it remembers is never older than it may be."""
    other = company.other_process(tmp_path)
    company.enter("alice")
    company.world.clock.advance(seconds=GOOD_FOR - 1)
    other.enter("alice")
    assert company.registry.asked["find"] == 1
    company.registry.is_down()
    company.world.clock.advance(seconds=1)
    for process in (company, other):
        with pytest.raises(Unconfirmed):
            process.enter("alice")
    other.world.database.dispose()


def test_what_another_process_shuts_is_shut_at_once(company: Company, tmp_path: Path) -> None:
    """A process that remembers a confirmation of this second refuses all the same: the account says so."""
    other = company.other_process(tmp_path)
    other.enter("alice")
    leave(company, "disabled")
    company.beats(15)
    with pytest.raises(AuthenticationError):
        other.enter("alice")
    other.world.database.dispose()


def test_who_is_back_is_let_in_by_a_process_that_remembers_them(company: Company, tmp_path: Path) -> None:
    """What it remembers is of before; it asks, and does not wait until that is too old."""
    other = company.other_process(tmp_path)
    other.enter("alice")
    leave(company, "disabled")
    company.beats(POLL)
    company.entry("alice").enabled = True
    company.world.clock.advance(seconds=KNOCK_SECONDS)
    other.enter("alice")
    other.world.database.dispose()


def test_one_answer_opens_nothing(company: Company) -> None:
    """An account that the provider has shut, and of which nothing is known any more, needs both answers."""
    leave(company, "disabled")
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    tamper.delete_rows(company.world.database, "confirmation")
    account = company.world.accounts.find("alice")
    company.offboarding.learn(account.id, [News(5, standing=Standing.ENABLED)])
    assert company.state("alice") is AccountState.OFFBOARDED
    company.offboarding.learn(account.id, [News(6, has_role=True)])
    assert company.state("alice") is AccountState.ACTIVE


def test_nobody_is_deleted_by_the_wrong_answer(company: Company) -> None:
    """A 404 to another question proves nothing: only the one that knows that it may look decides."""
    company.registry.before = lambda question: company.fire("alice") if question == "roles" else None
    with pytest.raises(Unconfirmed):
        company.enter("alice")
    assert company.state("alice") is AccountState.ACTIVE
    company.registry.before = lambda _question: None
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    assert company.state("alice") is AccountState.OFFBOARDED


def test_what_a_process_was_told_itself_it_remembers(company: Company) -> None:
    """Although it could not be written down."""
    company.enter("alice")
    row = company.offboarding.known(company.world.accounts.find("alice").id).row
    company.world.clock.advance(seconds=GOOD_FOR)
    now = row.enabled_at + GOOD_FOR
    company.confirmations.heard([replace(row, enabled_at=now, role_at=now)])
    company.registry.is_down()
    company.enter("alice")


def test_a_clock_that_is_set_back_confirms_nobody(company: Company) -> None:
    """A word from the future is none."""
    company.enter("alice")
    company.world.clock.advance(hours=-1)
    company.registry.is_down()
    with pytest.raises(Unconfirmed):
        company.enter("alice")


def test_a_confirmation_cannot_be_forged(company: Company) -> None:
    """Whoever can write to the database cannot have somebody served who was not confirmed."""
    company.enter("alice")
    company.registry.is_down()
    company.world.clock.advance(hours=1)
    now = round(company.world.clock.now.timestamp())
    for column in ("enabled_at", "role_at"):
        tamper.write_column(company.world.database, "confirmation", column, now)
    with pytest.raises(CorruptRow):
        company.enter("alice")


def test_a_row_that_is_gone_opens_nothing(company: Company) -> None:
    """Without its row an account that the provider has shut is asked about, and stays shut."""
    leave(company, "disabled")
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    tamper.delete_rows(company.world.database, "confirmation")
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    company.registry.is_down()
    tamper.delete_rows(company.world.database, "confirmation")
    with pytest.raises(Unconfirmed):
        company.enter("alice")
    assert company.state("alice") is AccountState.OFFBOARDED


def test_a_running_transfer_is_confirmed_too(company: Company) -> None:
    """It goes on while the owner is confirmed, and ends when nobody can tell or they have left."""
    principal = company.enter("alice")
    company.world.clock.advance(seconds=GOOD_FOR)
    assert company.authenticator.still_open(principal)
    company.registry.is_down()
    company.world.clock.advance(seconds=GOOD_FOR)
    with pytest.raises(Unconfirmed):
        company.authenticator.still_open(principal)
    company.registry.is_back()
    leave(company, "disabled")
    company.world.clock.advance(seconds=GOOD_FOR)
    assert not company.authenticator.still_open(principal)


def test_a_full_disk_keeps_out_who_has_left_and_nobody_else(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the provider says counts although it cannot be written down: files stay readable."""
    company.hire("bob")
    for name in ("alice", "bob"):
        company.enter(name)
    leave(company, "disabled")
    company.world.clock.advance(seconds=GOOD_FOR)

    def full(*_: object) -> None:
        raise StorageFull("full")

    monkeypatch.setattr("davserver.db.engine.Transaction.commit", full)
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    company.enter("bob")


# ── the site ────────────────────────────────────────────────────────────────────────────────────────────────
def test_browsers_are_confirmed_too(company: Company) -> None:
    """A session is none without a confirmation: 503 while nobody can tell, over when its owner has left."""
    account = company.world.accounts.find("alice")
    session = company.sessions.sign_in(None, make_principal(account, company.world.clock))
    assert company.sessions.open(session.secret) is not None
    company.world.clock.advance(seconds=GOOD_FOR)
    company.registry.is_down()
    with pytest.raises(Unconfirmed):
        company.sessions.open(session.secret)
    company.registry.is_back()
    company.world.clock.advance(seconds=60)
    assert company.sessions.open(session.secret) is not None
    leave(company, "deleted")
    company.world.clock.advance(seconds=GOOD_FOR)
    assert company.sessions.open(session.secret) is None
    with company.world.database.read() as tx:
        assert tx.sessions.all() == []


def test_a_sign_in_at_the_provider_asks_at_once(company: Company) -> None:
    """Whoever has just been let in there need not wait until the next question may be asked."""
    leave(company, "disabled")
    with pytest.raises(AuthenticationError):
        company.enter("alice")
    company.world.clock.advance(seconds=1)
    company.entry("alice").enabled = True
    company.confirmations.welcome("sub-alice")
    assert company.state("alice") is AccountState.ACTIVE
    company.confirmations.welcome("sub-of-a-stranger")


# ── a new password ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def strict(tmp_path: Path) -> Iterator[Company]:
    """A company that suspends devices when a password was reset."""
    world = make_world(tmp_path)
    made = Company(world, FakeRegistry(), suspends=True)
    made.hire("alice")
    yield made
    world.database.dispose()


def test_a_new_password_is_ignored_unless_told_otherwise(company: Company) -> None:
    """Devices have credentials of their own; nobody even asks."""
    company.enter("alice")
    company.entry("alice").password_at += 1
    company.beats(60)
    company.enter("alice")
    assert company.registry.asked["password"] == 0


def test_a_new_password_suspends_devices_until_both_factors_are_proved(strict: Company) -> None:
    """Browsers are signed out; the site is open, the drive is not; a proof ends it. All of it is recorded."""
    world, account = strict.world, strict.world.accounts.find("alice")
    session = strict.sessions.sign_in(None, make_principal(account, world.clock))
    strict.enter("alice")
    strict.entry("alice").password_at += 1
    strict.beats(60)
    assert strict.sessions.open(session.secret) is None
    with pytest.raises(AuthenticationError):
        strict.enter("alice")
    assert strict.state("alice") is AccountState.ACTIVE
    assert strict.confirmations.of(account).devices_suspended
    once = make_principal(account, world.clock, fresh_totp=False)
    session = strict.sessions.sign_in(None, once)
    assert strict.sessions.open(session.secret) is not None
    with pytest.raises(AuthenticationError):
        strict.enter("alice")
    strict.sessions.prove(session, make_principal(account, world.clock), {})
    strict.enter("alice")
    strict.beats(60)
    strict.enter("alice")
    kinds = (AuditEvent.DEVICES_SUSPENDED, AuditEvent.DEVICES_RESUMED)
    assert [one.event for one in world.audit.events if one.event in kinds] == list(kinds)


def test_devices_are_suspended_in_every_process(strict: Company, tmp_path: Path) -> None:
    """From the moment on at which one has heard of it, though another has just let the device in."""
    other = strict.other_process(tmp_path)
    strict.enter("alice")
    other.enter("alice")
    strict.entry("alice").password_at += 1
    while not strict.confirmations.of(strict.world.accounts.find("alice")).devices_suspended:
        other.enter("alice")
        strict.beats(strict.rounds.beat_seconds)
    with pytest.raises(AuthenticationError):
        other.enter("alice")
    other.world.database.dispose()


def test_a_password_that_was_new_while_nobody_looked(strict: Company) -> None:
    """Months later the first request of the device finds it out; a proof that came first counts."""
    strict.enter("alice")
    strict.world.clock.advance(days=90)
    strict.entry("alice").password_at += 1
    with pytest.raises(AuthenticationError):
        strict.enter("alice")
    strict.hire("bob")
    strict.enter("bob")
    strict.entry("bob").password_at += 1
    strict.confirmations.proved(strict.world.accounts.find("bob"))
    strict.world.clock.advance(days=90)
    strict.enter("bob")


def test_a_proof_while_the_provider_is_away(strict: Company) -> None:
    """The page works; devices wait for the next proof."""
    strict.enter("alice")
    strict.entry("alice").password_at += 1
    strict.beats(60)
    strict.registry.is_down()
    strict.confirmations.proved(strict.world.accounts.find("alice"))
    strict.registry.is_back()
    with pytest.raises(AuthenticationError):
        strict.enter("alice")
