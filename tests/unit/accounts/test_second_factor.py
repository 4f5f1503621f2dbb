"""What stands behind a token: a proof here or one there, until it is over; never the other (T39)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from davserver.accounts.second_factor import HOURS, ProvedHere, ProvedThere
from davserver.accounts.sessions import Sessions, WebSession
from davserver.audit import PROVIDER, AuditEvent
from davserver.clock import to_seconds
from davserver.errors import AlreadyExists, CorruptRow, NotFound
from davserver.identity.base import Identity
from davserver.identity.step_up import StepUp
from davserver.model import ROOT_ID, Account, AuthMethod, Principal, Scope
from tests import tamper
from tests.factories import (
    World,
    make_code,
    make_principal,
    make_provider_sessions,
    make_sessions,
    make_totp,
)
from tests.unit.altered.store import recovery_codes

SID, OTHER_SID = "session 1", "session 2"
STEP_UP = StepUp("mfa", 3600, 30)


def token(world: World, subject: str = "alice's", **changes: object) -> Identity:
    """What an access token says that was issued just now, after a password."""
    identity = Identity(
        subject=subject,
        username="alice",
        name="",
        email="",
        roles=frozenset({"dav-user"}),
        quota=None,
        sid=SID,
        id_token="",
        auth_time=to_seconds(world.clock()),
        acr="pwd",
        amr=frozenset({"pwd"}),
    )
    return replace(identity, **changes)  # type: ignore[arg-type]  # whatever the test says


def stepped_up(world: World, subject: str = "alice's", **changes: object) -> Identity:
    """What one says after both factors there."""
    return token(world, subject, **{"acr": "mfa", "amr": frozenset({"pwd", "otp"}), **changes})


def here(world: World) -> ProvedHere:
    """With our own one-time codes."""
    return ProvedHere(world.accounts, make_provider_sessions(world))


def there(world: World) -> ProvedThere:
    """With those of the provider."""
    return ProvedThere(world.accounts, make_provider_sessions(world), STEP_UP, world.clock)


def principal_of(world: World, factor: ProvedHere | ProvedThere, identity: Identity) -> Principal:
    """Who sent the token, as the door keeps it during a transfer."""
    account = factor.account_of(identity)
    return Principal(
        account,
        Scope.FULL,
        ROOT_ID,
        AuthMethod.BEARER,
        world.clock(),
        factor.proved_at(account, identity),
        provider_session=make_provider_sessions(world).session_id(identity.sid),
    )


@pytest.fixture
def alice(world: World) -> Account:
    """Somebody whom the provider knows."""
    return world.accounts.create("alice", "alice's")


@pytest.fixture
def sessions(world: World) -> Sessions:
    """The site."""
    return make_sessions(world)


def signed_in(world: World, sessions: Sessions, account: Account, sid: str = SID) -> WebSession:
    """A browser that comes back from the provider."""
    principal = make_principal(account, world.clock, fresh_totp=False)
    return sessions.sign_in(None, principal, provider_session=sid)


def proved(world: World, sessions: Sessions, account: Account, sid: str = SID) -> WebSession:
    """The same, after a one-time code of ours."""
    session = signed_in(world, sessions, account, sid)
    return sessions.prove(session, make_principal(account, world.clock), session.data)


# ── proved here
def test_a_code_on_the_site_stands_behind_its_session(
    world: World, alice: Account, sessions: Sessions
) -> None:
    """decisions.md 23: not behind another session of the same person, nor behind another person's token."""
    factor, bob = here(world), world.accounts.create("bob", "bob's")
    signed_in(world, sessions, alice, OTHER_SID)
    proved(world, sessions, alice)
    assert factor.proved_at(alice, token(world)) == world.clock().replace(microsecond=0)
    assert factor.proved_at(alice, token(world, sid=OTHER_SID)) is None
    assert factor.proved_at(bob, token(world, "bob's")) is None


def test_what_the_provider_says_of_it_does_not_count(
    world: World, alice: Account, sessions: Sessions
) -> None:
    """A token with every sign of the provider's own second factor, in a session without ours."""
    signed_in(world, sessions, alice)
    assert here(world).proved_at(alice, stepped_up(world)) is None


def test_it_outlives_the_browsers_session(world: World, alice: Account, sessions: Sessions) -> None:
    """A session of the site ends after silent minutes; rclone runs on, for twelve hours and no longer."""
    session = proved(world, sessions, alice)
    world.clock.advance(seconds=HOURS.total_seconds())
    assert sessions.open(session.secret) is None
    sessions.forget()
    make_provider_sessions(world).forget()
    assert here(world).proved_at(alice, token(world)) is not None
    world.clock.advance(seconds=1)
    assert here(world).proved_at(alice, token(world)) is None


def test_another_code_prolongs_it(world: World, alice: Account, sessions: Sessions) -> None:
    """Whoever types one every day need not sign in anew."""
    session = proved(world, sessions, alice)
    world.clock.advance(minutes=14)
    sessions.prove(session, make_principal(alice, world.clock), {})
    world.clock.advance(hours=12)
    assert here(world).proved_at(alice, token(world)) is not None


def test_nobody_is_made_an_account(world: World) -> None:
    """Who has never been here has proved nothing here."""
    with pytest.raises(NotFound):
        here(world).account_of(token(world))
    assert world.accounts.list() == []


def reset(world: World, account: Account) -> None:
    """An administrator takes the authenticator away."""
    make_totp(world).reset(account)


def replace_device(world: World, account: Account) -> None:
    """Another authenticator takes the place of the first."""
    totp = make_totp(world)
    for _ in range(2):
        secret = totp.begin(make_principal(account, world.clock)).secret
        world.clock.advance(seconds=30)
        totp.confirm(make_principal(account, world.clock), make_code(secret, world.clock))


def use_recovery_code(world: World, account: Account) -> None:
    """Somebody has lost it."""
    codes = recovery_codes(world)
    first, *_ = codes.make_first(make_principal(account, world.clock))
    codes.use(make_principal(account, world.clock, fresh_totp=False), first)


ENDS: dict[str, Callable[[World, Account, Sessions, WebSession], object]] = {
    "signed out": lambda _world, _account, sessions, session: sessions.end(session),
    "notice of the session": lambda _world, _account, sessions, _: sessions.end_at_provider(SID),
    "notice of the person": lambda _world, account, sessions, _: sessions.end_others(account),
    "stolen": lambda _world, account, sessions, session: sessions.end_others(account, session),
    "suspended": lambda world, account, *_: (
        world.accounts.suspend(account.username),
        world.accounts.resume(account.username),
    ),
    "reset": lambda world, account, *_: reset(world, account),
    "device replaced": lambda world, account, *_: replace_device(world, account),
    "device lost": lambda world, account, *_: use_recovery_code(world, account),
}


@pytest.mark.parametrize("how", ENDS)
def test_what_ends_a_proof(world: World, alice: Account, sessions: Sessions, how: str) -> None:
    """At once, for requests and running transfers; only of this person; a new code begins anew."""
    factor, bob = here(world), world.accounts.create("bob", "bob's")
    proved(world, sessions, bob, OTHER_SID)
    session = proved(world, sessions, alice)
    running = principal_of(world, factor, token(world))
    assert factor.still_stands(running)
    ENDS[how](world, alice, sessions, session)
    alice = world.accounts.find("alice")
    assert factor.proved_at(alice, token(world)) is None
    assert not factor.still_stands(running)
    assert factor.proved_at(bob, token(world, "bob's", sid=OTHER_SID)) is not None
    proved(world, sessions, alice)
    assert factor.proved_at(alice, token(world)) is not None


def test_a_notice_after_the_browser_has_gone_silent(world: World, alice: Account, sessions: Sessions) -> None:
    """The proof is all that is left of the session; it ends and is audited all the same."""
    proved(world, sessions, alice)
    world.clock.advance(minutes=16)
    sessions.forget()
    world.clock.advance(minutes=30)
    sessions.forget()
    assert sessions.end_at_provider(SID) == 0
    assert here(world).proved_at(alice, token(world)) is None
    assert [one.account for one in world.audit.of(AuditEvent.SIGNED_OUT)] == ["alice"]
    sessions.end_at_provider(SID)
    assert len(world.audit.of(AuditEvent.SIGNED_OUT)) == 1


def test_a_notice_of_the_person_after_the_browser_has_gone_silent(
    world: World, alice: Account, sessions: Sessions
) -> None:
    """It is audited for the proof's sake, and once; where nothing was left nothing is."""
    proved(world, sessions, alice)
    world.clock.advance(minutes=31)
    sessions.forget()
    for _ in range(2):
        assert sessions.end_others(alice, signed_out_by=PROVIDER) == 0
    assert [one.actor for one in world.audit.of(AuditEvent.SIGNED_OUT)] == [PROVIDER]
    assert here(world).proved_at(alice, token(world)) is None


def test_a_session_of_built_in_accounts_proves_nothing(world: World, sessions: Sessions) -> None:
    """Without a session at the provider there is none that a token could name."""
    account = world.accounts.create("carol")
    session = sessions.sign_in(None, make_principal(account, world.clock, fresh_totp=False))
    sessions.prove(session, make_principal(account, world.clock), {})
    assert here(world).proved_at(account, token(world, sid="")) is None
    with world.database.read() as tx:
        assert tx.proofs.of(account.id) == []


@pytest.mark.parametrize("column", ["account_id", "proved_at", "mac"])
def test_a_proof_that_was_altered(world: World, alice: Account, sessions: Sessions, column: str) -> None:
    """Nobody gets in by writing to the database, nor stays in longer."""
    proved(world, sessions, alice)
    bob = world.accounts.create("bob", "bob's")
    value = bob.id if column == "account_id" else bytes(32) if column == "mac" else 2**40
    tamper.write_column(world.database, "second_factor_proof", column, value)
    for account in (alice, bob):
        with pytest.raises(CorruptRow):
            here(world).proved_at(account, token(world))


def test_the_database_does_not_name_the_session(world: World, alice: Account, sessions: Sessions) -> None:
    """Whoever reads it cannot ask Keycloak about the session."""
    proved(world, sessions, alice)
    stored = tamper.read_column(world.database, "second_factor_proof", "provider_session")
    assert isinstance(stored, bytes)
    assert len(stored) == 32
    assert SID.encode() not in stored


# ── proved there
def test_the_token_itself_says_it(world: World, alice: Account) -> None:
    """And when; a token after the password alone says nothing."""
    factor = there(world)
    assert factor.proved_at(alice, stepped_up(world)) == world.clock().replace(microsecond=0)
    assert factor.proved_at(alice, token(world)) is None
    world.clock.advance(hours=1, seconds=1)
    old = stepped_up(world, auth_time=to_seconds(world.clock()) - 3601)
    assert factor.proved_at(alice, old) is None


def test_a_code_of_ours_does_not_count(world: World, alice: Account, sessions: Sessions) -> None:
    """decisions.md 23: never either silently."""
    proved(world, sessions, alice)
    assert there(world).proved_at(alice, token(world)) is None


def test_the_first_token_makes_the_account(world: World) -> None:
    """Only one with the second factor; and the name may be somebody else's."""
    factor = there(world)
    with pytest.raises(NotFound):
        factor.account_of(token(world))
    assert world.accounts.list() == []
    account = factor.account_of(stepped_up(world, quota=5))
    assert (account.username, account.subject, account.quota) == ("alice", "alice's", 5)
    assert factor.account_of(stepped_up(world, quota=7)).quota == 5
    with pytest.raises(AlreadyExists):
        factor.account_of(stepped_up(world, subject="another alice's"))


@pytest.mark.parametrize("how", ["signed out", "notice of the session", "notice of the person", "stolen"])
def test_what_ends_a_token(world: World, alice: Account, sessions: Sessions, how: str) -> None:
    """It stays signed, but what was ended here or there opens nothing; a new sign-in there does."""
    factor, bob = there(world), world.accounts.create("bob", "bob's")
    session = signed_in(world, sessions, alice)
    signed = stepped_up(world)
    running = principal_of(world, factor, signed)
    assert factor.still_stands(running)
    ENDS[how](world, alice, sessions, session)
    assert factor.proved_at(alice, signed) is None
    assert not factor.still_stands(running)
    assert factor.proved_at(bob, stepped_up(world, subject="bob's", sid=OTHER_SID)) is not None
    elsewhere = factor.proved_at(alice, stepped_up(world, sid=OTHER_SID))
    assert (elsewhere is None) is (how in {"notice of the person", "stolen"})
    world.clock.advance(seconds=30)
    assert factor.proved_at(alice, stepped_up(world)) is None, "their clocks may differ by so much"
    world.clock.advance(seconds=1)
    assert factor.proved_at(alice, stepped_up(world)) is not None


def test_a_session_that_was_never_seen_here_can_be_ended(
    world: World, alice: Account, sessions: Sessions
) -> None:
    """A program signed in without the site; Keycloak tells of the end before its token was ever used."""
    sessions.end_at_provider(SID)
    assert there(world).proved_at(alice, stepped_up(world)) is None


def test_a_transfer_ends_with_the_hours(world: World, alice: Account) -> None:
    """It may outlive its token, not what stands behind it."""
    factor = there(world)
    running = principal_of(world, factor, stepped_up(world))
    world.clock.advance(hours=1)
    assert factor.still_stands(running)
    world.clock.advance(seconds=1)
    assert not factor.still_stands(running)
    assert alice.id == running.account.id


def test_ends_are_forgotten(world: World, alice: Account, sessions: Sessions) -> None:
    """Once no token from before them could count any more, and not earlier."""
    known = make_provider_sessions(world)
    sessions.end_at_provider(SID)
    sessions.end_others(alice)
    sessions.end_others(world.accounts.create("carol"))  # a built-in account: no token is hers
    world.clock.advance(seconds=HOURS.total_seconds())
    known.forget()
    with world.database.read() as tx:
        assert len(tx.ended.find([known.session_id(SID)])) == 1
    assert known.ended_at(alice, b"") is not None
    world.clock.advance(seconds=1)
    known.forget()
    assert known.ended_at(alice, known.session_id(SID)) is None


@pytest.mark.parametrize("column", ["whose", "ended_at", "mac"])
def test_an_end_that_was_altered(world: World, alice: Account, sessions: Sessions, column: str) -> None:
    """One row cannot be made another one, nor one from long ago; to take it away cannot be noticed."""
    sessions.end_at_provider(SID)
    whose = make_provider_sessions(world).session_id(OTHER_SID)
    values: dict[str, tamper.Value] = {"whose": whose, "ended_at": 1, "mac": bytes(32)}
    tamper.write_column(world.database, "ended_session", column, values[column])
    with pytest.raises(CorruptRow):
        there(world).proved_at(alice, stepped_up(world, sid=OTHER_SID if column == "whose" else SID))


def test_hours_are_a_setting(world: World, alice: Account, sessions: Sessions) -> None:
    """One hour here."""
    short = make_provider_sessions(world, hours=timedelta(hours=1))
    proved(world, sessions, alice)
    world.clock.advance(hours=1, seconds=1)
    assert ProvedHere(world.accounts, short).proved_at(alice, token(world)) is None
