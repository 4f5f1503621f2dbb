"""Basic with an app password: who gets in, and that a refusal never says why."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from davserver.accounts.app_passwords import parse_networks
from davserver.accounts.authenticator import Authenticator
from davserver.accounts.last_use import Use
from davserver.audit import AuditEvent
from davserver.crypto import tokens
from davserver.crypto.tokens import AppToken
from davserver.errors import AuthenticationError, CorruptRow
from davserver.model import Account, AuthMethod, Scope, Unlock
from tests import tamper
from tests.factories import (
    World,
    make_app_password,
    make_app_passwords,
    make_authenticator,
    make_identity,
    make_principal,
)

HERE = "192.0.2.1"


class Notes:
    """Remembers uses in memory."""

    def __init__(self) -> None:
        self.uses: list[Use] = []

    def note(self, use: Use) -> None:
        """See `UseNotes.note`."""
        self.uses.append(use)


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


@pytest.fixture
def token(world: World, account: Account) -> str:
    """An app password of hers that opens everything."""
    return make_app_password(world, account).token


@pytest.fixture
def door(world: World) -> Authenticator:
    """The check, with notes of uses kept in memory."""
    return make_authenticator(world, Notes())


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    sa.event.listen(world.database.engine, "before_cursor_execute", note)
    yield sent
    sa.event.remove(world.database.engine, "before_cursor_execute", note)


def wrong_secret(token: str) -> str:
    """The same id with another secret, and the check digits to go with it."""
    return AppToken(tokens.parse(token).id, bytes(20)).text()


# ── who gets in ─────────────────────────────────────────────────────────────────────────────────────────────
def test_the_principal_is_what_was_granted(
    world: World, account: Account, token: str, door: Authenticator
) -> None:
    """Account, scopes, credential and time; no second factor, and nothing that unlocks in standard mode."""
    principal = door.authenticate("alice", token, HERE)
    assert principal.account == account
    assert principal.scopes == Scope.FULL
    assert principal.method is AuthMethod.APP_PASSWORD
    assert principal.authenticated_at == world.clock()
    assert principal.totp_at is None
    assert principal.credential_id == tokens.parse(token).id
    assert principal.unlock == Unlock()


@pytest.mark.parametrize("spelling", ["{upper}", "{lower}", " {lower}\n", "{dashed}", "{digits}"])
def test_an_app_password_may_be_typed(token: str, door: Authenticator, spelling: str) -> None:
    """Case, spaces, hyphens and letters that look like digits do not matter; nor does the name's case."""
    dashed = "-".join(token[start : start + 4] for start in range(0, len(token), 4))
    digits = token.replace("1", "I").replace("0", "o")
    typed = spelling.format(upper=token.upper(), lower=token, dashed=dashed, digits=digits)
    assert door.authenticate("ALICE", typed, HERE).account.username == "alice"


def test_one_statement_decides(world: World, token: str, door: Authenticator) -> None:
    """A request costs one statement and its BEGIN, whether the app password exists or not."""
    for secret, name in ((token, "alice"), (tokens.mint().text(), "alice")):
        with statements(world) as sent:
            try:
                door.authenticate(name, secret, HERE)
            except AuthenticationError:
                assert secret != token
        assert [one.split()[0] for one in sent] == ["BEGIN", "SELECT"]


# ── malformed ───────────────────────────────────────────────────────────────────────────────────────────────
MALFORMED = [
    *("", " ", "-", "\x00", "\ud800", "ew1", "ew1-", "password", "correct horse battery staple", "é" * 52),
    *(
        "ew1-" + "0" * 48,
        "ew2-" + "0" * 48,
        "ew1-" + "0" * 47,
        "ew1-" + "0" * 49,
        "ew1-" + "u" * 48,
        "0" * 52,
    ),
    *(
        "x" * 128,
        "x" * 129,
        "ew1-" + "0" * 100_000,
        "ew1-" + "٠" * 48,
        "ew1-" + "\u2028" * 48,
        "ew1-\n" + "0" * 48,
    ),
]


@pytest.mark.parametrize("secret", MALFORMED)
def test_what_is_malformed_never_reaches_the_database(world: World, door: Authenticator, secret: str) -> None:
    """Garbage is refused by its check digits: no statement, no write (T38)."""
    with statements(world) as sent, pytest.raises(AuthenticationError):
        door.authenticate("alice", secret, HERE)
    assert sent == []


def test_a_typing_mistake_never_reaches_the_database(world: World, token: str, door: Authenticator) -> None:
    """Every single changed character is caught before the database."""
    with statements(world) as sent:
        for position in range(4, len(token)):
            mistyped = token[:position] + ("7" if token[position] != "7" else "8") + token[position + 1 :]
            with pytest.raises(AuthenticationError):
                door.authenticate("alice", mistyped, HERE)
    assert sent == []


def test_the_account_s_own_password_is_no_app_password(
    world: World, account: Account, door: Authenticator
) -> None:
    """What signs in to the site opens nothing here, whatever it looks like."""
    make_identity(world).set_password(account.id, "correct horse battery staple")
    with pytest.raises(AuthenticationError):
        door.authenticate("alice", "correct horse battery staple", HERE)


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────
Case = Callable[[World, str], tuple[str, str, str]]


def unknown(_world: World, _token: str) -> tuple[str, str, str]:
    """An app password that was never issued."""
    return "alice", tokens.mint().text(), HERE


def wrong(_world: World, token: str) -> tuple[str, str, str]:
    """A known id, another secret."""
    return "alice", wrong_secret(token), HERE


def expired(world: World, token: str) -> tuple[str, str, str]:
    """The last moment has passed."""
    world.clock.advance(days=365)
    return "alice", token, HERE


def revoked(world: World, token: str) -> tuple[str, str, str]:
    """Revoked by its owner."""
    make_app_passwords(world).revoke(world.accounts.find("alice"), tokens.parse(token).id)
    return "alice", token, HERE


def suspended(world: World, token: str) -> tuple[str, str, str]:
    """The account is suspended."""
    world.accounts.suspend("alice")
    return "alice", token, HERE


def somebody_else(world: World, token: str) -> tuple[str, str, str]:
    """The name of another account."""
    world.accounts.create("bob")
    return "bob", token, HERE


def no_name(_world: World, token: str) -> tuple[str, str, str]:
    """No user name at all."""
    return "", token, HERE


def elsewhere(world: World, _token: str) -> tuple[str, str, str]:
    """An address outside of the networks."""
    principal = make_principal(world.accounts.find("alice"), world.clock)
    networks = parse_networks(["198.51.100.0/24"])
    return "alice", make_app_passwords(world).issue(principal, "office", networks=networks).token, HERE


REFUSED: list[Case] = [unknown, wrong, expired, revoked, suspended, somebody_else, no_name, elsewhere]


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_has_one_shape(world: World, token: str, door: Authenticator, case: Case) -> None:
    """Whatever is wrong: the same class, the same words, nothing written and no use noted (T42)."""
    username, secret, client = case(world, token)
    with statements(world) as sent, pytest.raises(AuthenticationError) as caught:
        door.authenticate(username, secret, client)
    with pytest.raises(AuthenticationError) as malformed:
        door.authenticate("", "", HERE)
    assert type(caught.value) is type(malformed.value) is AuthenticationError
    assert str(caught.value) == str(malformed.value)
    assert caught.value.__cause__ is None
    assert [one.split()[0] for one in sent] == ["BEGIN", "SELECT"]


@pytest.mark.parametrize("case", [wrong, expired, revoked])
def test_a_refusal_costs_the_same_work(world: World, token: str, door: Authenticator, case: Case) -> None:
    """An unknown app password takes as many steps of the interpreter as a known one, within a fifth (T42)."""
    known = steps(door, *case(world, token))
    missing = steps(door, *unknown(world, token))
    assert 0.8 < missing / known < 1.25


def steps(door: Authenticator, username: str, secret: str, client: str) -> int:
    """How many calls one refused attempt makes; the first attempt fills caches and is not counted."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    for profile in (None, note):
        sys.setprofile(profile)
        try:
            door.authenticate(username, secret, client)
        except AuthenticationError:
            sys.setprofile(None)
        else:
            pytest.fail("the attempt should have been refused")
    return count


def test_an_app_password_lasts_to_its_last_second(world: World, token: str, door: Authenticator) -> None:
    """Good until the moment it expires, refused from that moment on."""
    world.clock.advance(days=365, seconds=-1)
    door.authenticate("alice", token, HERE)
    world.clock.advance(seconds=1)
    with pytest.raises(AuthenticationError):
        door.authenticate("alice", token, HERE)


@pytest.mark.parametrize(
    ("networks", "client", "allowed"),
    [
        ([], "anything", True),
        (["192.0.2.0/24"], "192.0.2.255", True),
        (["192.0.2.0/24"], "192.0.3.0", False),
        (["192.0.2.0/24", "2001:db8::/32"], "2001:db8::1", True),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", True),
        (["192.0.2.0/24"], "::ffff:192.0.3.9", False),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["192.0.2.0/24"], "", False),
        (["0.0.0.0/0", "::/0"], "unix", False),
    ],
)
def test_networks_decide(
    world: World, account: Account, door: Authenticator, networks: list[str], client: str, *, allowed: bool
) -> None:
    """Only from inside; what is no address is outside of every network."""
    principal = make_principal(account, world.clock)
    issued = make_app_passwords(world).issue(principal, "office", networks=parse_networks(networks))
    if allowed:
        door.authenticate("alice", issued.token, client)
    else:
        with pytest.raises(AuthenticationError):
            door.authenticate("alice", issued.token, client)


def test_changes_count_from_the_next_request(
    world: World, account: Account, token: str, door: Authenticator
) -> None:
    """Suspended, resumed, revoked: no cache remembers what was before (T43)."""
    door.authenticate("alice", token, HERE)
    world.accounts.suspend("alice")
    with pytest.raises(AuthenticationError):
        door.authenticate("alice", token, HERE)
    world.accounts.resume("alice")
    principal = door.authenticate("alice", token, HERE)
    assert door.still_open(principal)
    make_app_passwords(world).revoke(account, tokens.parse(token).id)
    with pytest.raises(AuthenticationError):
        door.authenticate("alice", token, HERE)
    assert not door.still_open(principal)


def test_a_long_answer_can_be_cut(world: World, token: str, door: Authenticator) -> None:
    """What opened a vault is asked again: suspended, expired and no credential at all are noticed."""
    principal = door.authenticate("alice", token, HERE)
    world.accounts.suspend("alice")
    assert not door.still_open(principal)
    world.accounts.resume("alice")
    assert door.still_open(principal)
    world.clock.advance(days=365)
    assert not door.still_open(principal)
    assert not door.still_open(replace(principal, credential_id=None))


def test_an_attacker_cannot_lock_the_owner_out(token: str, door: Authenticator) -> None:
    """However often somebody fails, from wherever, the right app password opens (T48)."""
    for _ in range(200):
        with pytest.raises(AuthenticationError):
            door.authenticate("alice", wrong_secret(token), HERE)
    door.authenticate("alice", token, HERE)


# ── altered rows ────────────────────────────────────────────────────────────────────────────────────────────
COLUMNS = [
    *("account_id", "label", "scopes", "root_id", "networks", "verifier", "wrapped_key", "public_key"),
    *("key_version", "created_at", "expires_at", "revoked_at", "version", "mac"),
]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.usefixtures("account")
def test_an_altered_app_password_opens_nothing(
    world: World, token: str, door: Authenticator, column: str
) -> None:
    """Whichever column is altered, nobody gets in, and it is recorded: no scope or expiry can be widened."""
    if column == "account_id":
        tamper.write_column(world.database, "app_password", column, world.accounts.create("bob").id)
    else:
        tamper.alter(world.database, "app_password", column)
    for username in ("alice", "bob"):
        with pytest.raises(CorruptRow):
            door.authenticate(username, token, HERE)
    (event, _) = world.audit.of(AuditEvent.INTEGRITY_FAILED)
    assert event.credential == tokens.parse(token).id


def test_every_column_is_accounted_for(world: World) -> None:
    """The sweep above knows every column of the table; what is missing decides nothing."""
    notes = {"last_used_at", "last_used_from", "last_used_client"}
    assert set(tamper.columns(world.database, "app_password")) == {*COLUMNS, "app_id", *notes}


def test_an_id_cannot_be_moved_to_another_row(
    world: World, account: Account, token: str, door: Authenticator
) -> None:
    """The row is bound to its id: a full row under a read-only token's id stays shut."""
    narrow = make_app_password(world, account, scopes=Scope.READ_ONLY).token
    with world.database.write() as tx:
        wide, narrow_row = (
            one
            for name in (token, narrow)
            for one in tx.credentials.app_passwords(account.id)
            if one.app_id == tokens.parse(name).id
        )
        forged = replace(wide, app_id=narrow_row.app_id, verifier=narrow_row.verifier)
        tx.credentials.replace_app_password(forged, expected_version=1)
        tx.commit()
    with pytest.raises(CorruptRow):
        door.authenticate("alice", narrow, HERE)


@pytest.mark.parametrize("column", ["subject", "username", "state", "quota", "sealed", "wrapped_key", "mac"])
@pytest.mark.usefixtures("account")
def test_an_altered_account_opens_nothing(world: World, token: str, door: Authenticator, column: str) -> None:
    """An account that was resumed, renamed or given more quota in the database is shut."""
    tamper.alter(world.database, "account", column)
    with pytest.raises(CorruptRow):
        door.authenticate("alice", token, HERE)


def test_a_revoked_app_password_is_not_revived_by_hand(
    world: World, account: Account, token: str, door: Authenticator
) -> None:
    """Putting the verifier back and taking the revocation away is not enough."""
    verifier = tamper.read_column(world.database, "app_password", "verifier")
    make_app_passwords(world).revoke(account, tokens.parse(token).id)
    tamper.write_column(world.database, "app_password", "verifier", verifier)
    tamper.write_column(world.database, "app_password", "revoked_at", None)
    with pytest.raises(CorruptRow):
        door.authenticate("alice", token, HERE)


# ── notes and records ───────────────────────────────────────────────────────────────────────────────────────
def test_a_use_is_noted(world: World, token: str) -> None:
    """Which app password, when and from where; refused attempts leave no note."""
    notes = Notes()
    door = make_authenticator(world, notes)
    door.authenticate("alice", token, HERE)
    with pytest.raises(AuthenticationError):
        door.authenticate("bob", token, HERE)
    assert notes.uses == [Use(tokens.parse(token).id, int(world.clock().timestamp()), HERE)]


def test_the_last_use_is_shown(world: World, account: Account, token: str) -> None:
    """The owner sees when and from where each device came last."""
    world.clock.advance(hours=1)
    make_authenticator(world).authenticate("alice", token, HERE)
    (listed,) = make_app_passwords(world).list(account)
    assert (listed.last_used_at, listed.last_used_from) == (world.clock(), HERE)


def test_refusals_are_recorded_without_filling_the_log(world: World, token: str, door: Authenticator) -> None:
    """The first, second, fourth, eighth ... refusal from one address; with the reason, without the secret."""
    secret = wrong_secret(token)
    for _ in range(100):
        with pytest.raises(AuthenticationError):
            door.authenticate("alice", secret, HERE)
    with pytest.raises(AuthenticationError):
        door.authenticate("alice", secret, "198.51.100.1")
    events = world.audit.of(AuditEvent.APP_PASSWORD_REFUSED)
    assert [one.client for one in events] == [HERE] * 7 + ["198.51.100.1"]
    assert {(one.account, one.credential, one.reason) for one in events} == {
        ("alice", tokens.parse(token).id, "wrong secret")
    }
    assert secret not in repr(events)


def test_a_flood_of_unknown_tokens_is_one_source(world: World, door: Authenticator) -> None:
    """Made-up ids do not each begin a count of their own."""
    for _ in range(64):
        with pytest.raises(AuthenticationError):
            door.authenticate("alice", tokens.mint().text(), HERE)
    assert len(world.audit.of(AuditEvent.APP_PASSWORD_REFUSED)) == 7


def test_a_sealed_vault_gets_its_key_from_the_credential(world: World, account: Account, token: str) -> None:
    """The seam for sealed vaults: there, and only there, the principal carries the secret."""
    with world.database.write() as tx:
        row = tx.accounts.by_id(account.id)
        assert row is not None
        sealed = world.keyring.with_mac(replace(row, sealed=True, wrapped_key=None, version=row.version + 1))
        tx.accounts.replace(sealed, expected_version=row.version)
        tx.commit()
    principal = make_authenticator(world, Notes()).authenticate("alice", token, HERE)
    assert principal.unlock.secret == tokens.parse(token).secret
    assert repr(principal.unlock.secret) not in repr(principal)


def test_lifetimes_are_those_of_the_row(world: World, account: Account, door: Authenticator) -> None:
    """Two devices of one account expire apart."""
    principal = make_principal(account, world.clock)
    service = make_app_passwords(world)
    short = service.issue(principal, "short", expires_at=world.clock() + timedelta(hours=1)).token
    long = service.issue(principal, "long").token
    world.clock.advance(hours=2)
    door.authenticate("alice", long, HERE)
    with pytest.raises(AuthenticationError):
        door.authenticate("alice", short, HERE)
