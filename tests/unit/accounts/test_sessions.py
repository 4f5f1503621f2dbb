"""Sessions: who holds the secret is signed in, for as long as the rules say, and nobody else (T46)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import event

from davserver.accounts.gate import OpenGate
from davserver.accounts.sessions import ANONYMOUS_FOR, IDLE, LONGEST, NOTED_EVERY, Sessions, WebSession
from davserver.crypto import sessions as secrets_
from davserver.db.engine import Transaction, Within
from davserver.errors import AuthenticationError, CorruptRow, DavserverError, Unconfirmed
from davserver.model import Account, AccountId, AuthMethod
from tests import tamper
from tests.factories import (
    World,
    make_app_password,
    make_app_passwords,
    make_code,
    make_principal,
    make_provider_sessions,
    make_sessions,
    make_totp,
    make_world,
)
from tests.unit.altered.store import recovery_codes


def signed_in(world: World, sessions: Sessions, name: str = "alice") -> WebSession:
    """Somebody with the first factor."""
    known = {one.username: one for one in world.accounts.list()}
    account = known.get(name) or world.accounts.create(name)
    return sessions.sign_in(None, make_principal(account, world.clock, fresh_totp=False), data={"who": name})


@contextmanager
def new_world() -> Iterator[World]:
    """A store in a folder of its own."""
    with TemporaryDirectory() as folder:
        world = make_world(Path(folder))
        yield world
        world.database.dispose()


def test_the_secret_brings_back_who_it_was(world: World) -> None:
    """With the times, the provider's word and what the pages remember."""
    sessions = make_sessions(world)
    account = world.accounts.create("alice")
    made = sessions.sign_in(
        None, make_principal(account, world.clock), admin=True, data={"a": [1, None, "é"]}
    )
    found = sessions.open(made.secret)
    assert found is not None
    assert found.principal is not None
    assert (found.principal.account, found.principal.method) == (account, AuthMethod.BROWSER)
    assert found.principal.totp_at == found.principal.authenticated_at == world.clock().replace(microsecond=0)
    assert found.admin
    assert found.data == {"a": [1, None, "é"]}


@pytest.mark.parametrize("text", ["", "x", "A" * 43, "A" * 42, "=" * 43, "é" * 43, "A" * 44, "\x00" * 43])
def test_what_is_no_secret_is_nobody(world: World, text: str) -> None:
    """Malformed or unknown, without an error."""
    sessions = make_sessions(world)
    signed_in(world, sessions)
    assert sessions.open(text) is None


def test_the_database_alone_signs_nobody_in(world: World) -> None:
    """It holds neither the secret nor what is sealed under it."""
    sessions = make_sessions(world)
    made = signed_in(world, sessions)
    with world.database.read() as tx:
        (row,) = tx.sessions.all()
    raw = secrets_.parse(made.secret)
    assert raw not in b"".join(value for value in row.columns().values() if isinstance(value, bytes))
    assert sessions.open(secrets_.to_text(row.session_id)) is None
    with pytest.raises(CorruptRow):
        secrets_.unseal(row.session_id, row.data_sealed)


def test_proving_the_second_factor_changes_the_secret(world: World) -> None:
    """Who has the old one has nothing; the sign-in keeps its hour, so that steps do not prolong it."""
    sessions = make_sessions(world)
    before = signed_in(world, sessions)
    assert before.principal is not None
    world.clock.advance(minutes=1)
    after = sessions.prove(before, make_principal(before.principal.account, world.clock), {})
    assert after.secret != before.secret
    assert sessions.open(before.secret) is None
    assert after.row.began_at == before.row.began_at
    with pytest.raises(AuthenticationError):
        sessions.prove(before, make_principal(before.principal.account, world.clock), {})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 20 * 60), min_size=1, max_size=60))
def test_the_hours_of_a_session(gaps: list[int]) -> None:
    """Whenever somebody comes: the session lives exactly while no gap was longer than the idle time.

    The last request is noted to within `NOTED_EVERY`; nothing prolongs a session beyond `LONGEST`.
    """
    with new_world() as world:
        sessions = make_sessions(world)
        made = signed_in(world, sessions)
        began = last = world.clock()
        for gap in gaps:
            world.clock.advance(seconds=gap)
            now = world.clock()
            lives = sessions.open(made.secret) is not None
            if lives:
                assert now - last <= IDLE
                assert now - began <= LONGEST
                last = now
                continue
            assert now - last > IDLE - NOTED_EVERY or now - began > LONGEST
            break


def test_before_sign_in_a_browser_has_half_an_hour(world: World) -> None:
    """What it remembers is nobody's, and is gone then."""
    sessions = make_sessions(world)
    made = sessions.remember(None, {"state": "x"})
    assert made.principal is None
    world.clock.advance(seconds=ANONYMOUS_FOR.total_seconds())
    found = sessions.open(made.secret)
    assert found is not None
    assert found.data == {"state": "x"}
    world.clock.advance(seconds=1)
    assert sessions.open(made.secret) is None


def test_strangers_do_not_fill_the_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the sessions of nobody yet the newest stay; whoever has signed in stays in any case."""
    monkeypatch.setattr("davserver.accounts.sessions.MAX_ANONYMOUS", 3)
    sessions = make_sessions(world)
    alice = signed_in(world, sessions)
    made = []
    for number in range(6):
        made.append(sessions.remember(None, {"number": number}))
        world.clock.advance(seconds=1)
    assert [sessions.open(one.secret) is not None for one in made] == [False] * 3 + [True] * 3
    assert sessions.open(alice.secret) is not None


def test_what_is_over_is_removed(world: World) -> None:
    """And nothing else."""
    sessions = make_sessions(world)
    old = signed_in(world, sessions)
    world.clock.advance(minutes=31)
    new = signed_in(world, sessions, "bob")
    assert sessions.forget() == 1
    assert sessions.open(old.secret) is None
    assert sessions.open(new.secret) is not None


def test_a_session_ends_with_its_account(world: World) -> None:
    """Suspended: nobody; resumed: as before."""
    sessions = make_sessions(world)
    made = signed_in(world, sessions)
    world.accounts.suspend("alice")
    assert sessions.open(made.secret) is None
    world.accounts.resume("alice")
    assert sessions.open(made.secret) is not None


def test_the_sessions_of_one_person_end_together(world: World) -> None:
    """But for the one that is kept, and nobody else's."""
    sessions = make_sessions(world)
    one, two, other = (signed_in(world, sessions, name) for name in ("alice", "alice", "bob"))
    assert sessions.end_others(world.accounts.find("alice"), keep=one) == 1
    assert [sessions.open(made.secret) is not None for made in (one, two, other)] == [True, False, True]
    assert sessions.end_others(world.accounts.find("alice")) == 1
    assert sessions.open(one.secret) is None


def test_two_requests_at_once_lose_nothing(world: World) -> None:
    """What one remembers or takes out is not undone by the other, which has read the session before."""
    sessions = make_sessions(world)
    made = signed_in(world, sessions)
    world.clock.advance(minutes=1)
    one, other = sessions.open(made.secret), sessions.open(made.secret)
    assert one is not None
    assert other is not None
    sessions.remember(one, {"a": 1})
    sessions.take_out(other, "who")
    sessions.remember(one, {"b": 2})
    world.clock.advance(minutes=1)
    found = sessions.open(made.secret)
    assert found is not None
    assert found.data == {"a": 1, "b": 2}
    sessions.remember(other, {"a": None, "c": 3})
    proved = sessions.prove(one, make_principal(world.accounts.find("alice"), world.clock), {"d": 4})
    assert proved.data == {"b": 2, "c": 3, "d": 4}


def test_what_is_shown_once_is_shown_to_one_of_many_requests(world: World) -> None:
    """All have read the session before any of them takes it out."""
    sessions = make_sessions(world)
    made = sessions.remember(signed_in(world, sessions), {"token": "shown once"})
    read = [sessions.open(made.secret) for _ in range(8)]

    def take_out(session: WebSession | None) -> object:
        assert session is not None
        return sessions.take_out(session, "token")[1]

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take_out, read))
    assert sorted(taken, key=str) == [None] * 7 + ["shown once"]
    found = sessions.open(made.secret)
    assert found is not None
    assert found.data == {"who": "alice"}


def test_a_session_that_has_ended_takes_and_gives_nothing(world: World) -> None:
    """Neither is it made again by what another request wants to keep."""
    sessions = make_sessions(world)
    made = signed_in(world, sessions)
    sessions.end(made)
    assert sessions.take_out(made, "who")[1] is None
    sessions.remember(made, {"a": 1})
    assert sessions.open(made.secret) is None


@pytest.mark.parametrize("how", ["everywhere", "at the provider"])
def test_nobody_slips_in_while_sessions_are_ended(world: World, tmp_path: Path, how: str) -> None:
    """Whoever signs in while another process is about to end all of them is out as well."""
    account = world.accounts.create("alice")
    other = make_world(tmp_path, clock=world.clock)
    sessions, elsewhere = make_sessions(world), make_sessions(other)
    secrets: list[str] = []

    def sign_in() -> None:
        principal = make_principal(account, world.clock)
        secrets.append(elsewhere.sign_in(None, principal, provider_session="sid").secret)

    def before(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement == "BEGIN IMMEDIATE":
            sign_in()

    sign_in()
    event.listen(world.database.engine, "before_cursor_execute", before)
    ended = sessions.end_others(account) if how == "everywhere" else sessions.end_at_provider("sid")
    event.remove(world.database.engine, "before_cursor_execute", before)
    assert ended == len(secrets) == 2
    assert [elsewhere.open(secret) for secret in secrets] == [None, None]
    other.database.dispose()


def credentials(world: World, account: Account) -> tuple[object, ...]:
    """Rows of what the account proves itself by."""
    with world.database.read() as tx:
        return (
            tx.credentials.devices(account.id),
            tx.recovery_codes.of(account.id),
            tx.credentials.app_passwords(account.id),
        )


Step = Callable[[Within], object]


def reset(world: World, account: Account) -> Step:
    """An administrator takes the authenticator away."""
    return lambda within: make_totp(world).reset(account, within=within)


def replace_device(world: World, account: Account) -> Step:
    """Another authenticator is set up."""
    code = make_code(make_totp(world).begin(make_principal(account, world.clock)).secret, world.clock)
    principal = make_principal(account, world.clock)
    return lambda within: make_totp(world).confirm(principal, code, within=within)


def use_recovery_code(world: World, account: Account) -> Step:
    """The authenticator is lost."""
    code, *_ = recovery_codes(world).renew(make_principal(account, world.clock))
    principal = make_principal(account, world.clock, fresh_totp=False)
    return lambda within: recovery_codes(world).use(principal, code, within=within)


def revoke_all(world: World, account: Account) -> Step:
    """A device is stolen."""
    return lambda within: make_app_passwords(world).revoke_all(account, within=within)


@pytest.mark.parametrize("make", [reset, replace_device, use_recovery_code, revoke_all])
def test_what_ends_sessions_and_their_end_are_one_step(
    world: World, make: Callable[[World, Account], Step]
) -> None:
    """Of a step that fails in its end nothing is left, neither of the one nor of the other."""
    sessions = make_sessions(world)
    kept, other = signed_in(world, sessions), signed_in(world, sessions)
    account = world.accounts.find("alice")
    secret = make_totp(world).begin(make_principal(account, world.clock)).secret
    make_totp(world).confirm(make_principal(account, world.clock), make_code(secret, world.clock))
    recovery_codes(world).renew(make_principal(account, world.clock))
    make_app_password(world, account)
    step = make(world, account)
    before = credentials(world, account)

    def fail(tx: Transaction, account_id: AccountId) -> None:
        sessions.end_within(tx, account_id, kept)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        step(fail)
    assert credentials(world, account) == before
    assert sessions.open(other.secret) is not None
    step(lambda tx, account_id: sessions.end_within(tx, account_id, kept))
    assert credentials(world, account) != before
    assert [sessions.open(one.secret) is not None for one in (kept, other)] == [True, False]


def test_a_wrong_code_ends_no_session(world: World) -> None:
    """Whoever guesses signs nobody out."""
    sessions = make_sessions(world)
    made = signed_in(world, sessions)
    account = world.accounts.find("alice")
    secret = make_totp(world).begin(make_principal(account, world.clock)).secret
    recovery_codes(world).renew(make_principal(account, world.clock))
    principal = make_principal(account, world.clock, fresh_totp=False)
    wrong = f"{(int(make_code(secret, world.clock)) + 1) % 1_000_000:06}"
    with pytest.raises(AuthenticationError):
        make_totp(world).confirm(principal, wrong, within=sessions.end_within)
    with pytest.raises(AuthenticationError):
        recovery_codes(world).use(principal, "0000-" * 5 + "0000", within=sessions.end_within)
    assert sessions.open(made.secret) is not None


class Gate(OpenGate):
    """Lets people in as long as it is told to."""

    def __init__(self) -> None:
        self.refusal: DavserverError | None = None

    def require(self, account: Account) -> None:  # noqa: ARG002 - a gate is told whose it is
        """See `Gate.require`."""
        if self.refusal is not None:
            raise self.refusal


def test_a_long_answer_ends_with_what_lets_its_reader_in(world: World) -> None:
    """Somebody has left, or nobody can tell: the session is open no more, in the middle of an answer too."""
    gate, elsewhere = Gate(), make_provider_sessions(world)
    sessions = Sessions(world.database, world.keyring, world.clock, world.audit, elsewhere, gate=gate)
    made = signed_in(world, sessions)
    assert sessions.still_open(made)
    gate.refusal = AuthenticationError("has left")
    assert not sessions.still_open(made)
    gate.refusal = Unconfirmed(5)
    with pytest.raises(Unconfirmed):
        sessions.still_open(made)
    sessions.end(made)
    assert not sessions.still_open(made), "nobody is asked about a session that is over"


def test_nobody_signs_in_by_writing_to_the_database(world: World) -> None:
    """Another account, a second factor, an administrator's mark: the row no longer authenticates."""
    sessions = make_sessions(world)
    made = signed_in(world, sessions)
    bob = world.accounts.create("bob")
    for column, value in (("account_id", bob.id), ("totp_at", 1), ("admin", 1), ("seen_at", 2**40)):
        before = tamper.read_column(world.database, "web_session", column)
        tamper.write_column(world.database, "web_session", column, value)
        with pytest.raises(CorruptRow):
            sessions.open(made.secret)
        tamper.write_column(world.database, "web_session", column, before)
    assert sessions.open(made.secret) is not None


def test_a_form_is_for_one_browser(world: World) -> None:
    """The token of another secret is another one."""
    sessions = make_sessions(world)
    one, two = sessions.new_secret(), sessions.new_secret()
    assert sessions.is_form_token(one, sessions.form_token(one))
    assert not sessions.is_form_token(two, sessions.form_token(one))
    assert not sessions.is_form_token(one, "")
    assert not sessions.is_form_token(one, "é")


class SessionMachine(RuleBasedStateMachine):
    """Any number of browsers of two people, in any order of events, beside a model of who is signed in."""

    def __init__(self) -> None:
        super().__init__()
        self._manager = new_world()
        self.world = self._manager.__enter__()
        self.sessions = make_sessions(self.world)
        self.live: dict[str, tuple[str, bool]] = {}
        self.dead: set[str] = set()

    def teardown(self) -> None:
        """Remove the store."""
        self._manager.__exit__(None, None, None)

    @rule(name=st.sampled_from(["alice", "bob"]))
    def sign_in(self, name: str) -> None:
        """A new browser."""
        self.live[signed_in(self.world, self.sessions, name).secret] = (name, False)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def prove(self, data: st.DataObject) -> None:
        """The second factor."""
        secret = data.draw(st.sampled_from(sorted(self.live)))
        session = self.sessions.open(secret)
        assert session is not None
        assert session.principal is not None
        principal = make_principal(session.principal.account, self.world.clock)
        name, _ = self.live.pop(secret)
        self.dead.add(secret)
        self.live[self.sessions.prove(session, principal, session.data).secret] = (name, True)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def sign_out(self, data: st.DataObject) -> None:
        """One of them."""
        secret = data.draw(st.sampled_from(sorted(self.live)))
        session = self.sessions.open(secret)
        assert session is not None
        self.sessions.end(session)
        del self.live[secret]
        self.dead.add(secret)

    @rule(name=st.sampled_from(["alice", "bob"]))
    def everywhere(self, name: str) -> None:
        """All of one person."""
        if any(name == whose for whose, _ in self.live.values()):
            self.sessions.end_others(self.world.accounts.find(name))
        self.dead |= {secret for secret, (whose, _) in self.live.items() if whose == name}
        self.live = {secret: one for secret, one in self.live.items() if one[0] != name}

    @rule()
    def forget(self) -> None:
        """Nothing is over: no time has passed."""
        assert self.sessions.forget() == 0

    @invariant()
    def exactly_the_live_ones_open(self) -> None:
        """Each as who it is, with the factors that were proved."""
        for secret, (name, proved) in self.live.items():
            session = self.sessions.open(secret)
            assert session is not None
            assert session.principal is not None
            assert session.principal.account.username == name
            assert (session.principal.totp_at is not None) is proved
            assert session.data == {"who": name}
        assert all(self.sessions.open(secret) is None for secret in self.dead)


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=timedelta(seconds=20)
)


def test_signing_in_again_ends_the_session_before(world: World) -> None:
    """Whoever has copied the cookie of before does not go on beside the new one."""
    sessions = make_sessions(world)
    before = signed_in(world, sessions)
    account = world.accounts.find("alice")
    after = sessions.sign_in(before, make_principal(account, world.clock))
    assert sessions.open(before.secret) is None
    assert sessions.open(after.secret) is not None
