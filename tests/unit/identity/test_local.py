"""Passwords of built-in accounts: argon2id, renewed when parameters change, silent about who exists."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import argon2
import pytest
from sqlalchemy import event

from davserver.audit import AuditEvent
from davserver.errors import AuthenticationError, CorruptRow, InvalidValue, NotFound
from davserver.identity.local import MAX_PASSWORD_CHARS, MEMORY_KIB, TIME_COST, LocalIdentity
from davserver.model import Account, AccountId
from tests import tamper
from tests.factories import World, make_identity, make_sessions

PASSWORD = "correct horse battery staple"


@pytest.fixture
def account(world: World) -> Account:
    """Somebody with a password."""
    created = world.accounts.create("alice")
    make_identity(world).set_password(created.id, PASSWORD)
    return created


@pytest.fixture
def identity(world: World) -> LocalIdentity:
    """The provider."""
    return make_identity(world)


def stored_hash(world: World, account: Account) -> str:
    """What is stored for the account's password."""
    with world.database.read() as tx:
        row = tx.accounts.identity(account.id)
    assert row is not None
    return row.password_hash


def test_the_right_password_names_its_owner(account: Account, identity: LocalIdentity) -> None:
    """Whatever the case of the user name."""
    assert identity.authenticate("Alice", PASSWORD) == account.id


@pytest.mark.parametrize(
    "typed", ["", PASSWORD.upper(), PASSWORD + " ", PASSWORD[:-1], "x" * 10_000, "\udcff"]
)
@pytest.mark.usefixtures("account")
def test_anything_else_is_refused(identity: LocalIdentity, typed: str) -> None:
    """Near misses, nothing, too much, and what a terminal could not decode."""
    with pytest.raises(AuthenticationError):
        identity.authenticate("alice", typed)


def test_what_belongs_to_a_new_password_is_one_step_with_it(
    world: World, account: Account, identity: LocalIdentity
) -> None:
    """If ending the sessions fails, the password is the old one."""

    def fail(_tx: object, _account_id: object) -> None:
        raise NotFound("in the middle")

    with pytest.raises(NotFound):
        identity.set_password(account.id, "another good password", within=fail)
    assert identity.authenticate("alice", PASSWORD) == account.id
    identity.set_password(account.id, "another good password", within=make_sessions(world).end_within)
    assert identity.authenticate("alice", "another good password") == account.id


def test_the_hash_is_argon2id(tmp_path: Path, world: World, account: Account) -> None:
    """With RFC 9106's second recommended parameters; the password itself is not stored."""
    parameters = argon2.extract_parameters(stored_hash(world, account))
    recommended = argon2.profiles.RFC_9106_LOW_MEMORY
    assert parameters == recommended
    assert (parameters.time_cost, parameters.memory_cost) == (TIME_COST, MEMORY_KIB)
    world.database.dispose()
    assert PASSWORD.encode() not in (tmp_path / "sealdav.db").read_bytes()


def test_equal_passwords_look_different(world: World, account: Account, identity: LocalIdentity) -> None:
    """Every hash has a salt of its own."""
    bob = world.accounts.create("bob")
    identity.set_password(bob.id, PASSWORD)
    assert stored_hash(world, bob) != stored_hash(world, account)


def test_a_hash_of_other_parameters_is_renewed(
    world: World, account: Account, identity: LocalIdentity
) -> None:
    """An old hash opens once more and is replaced by one of today's; a wrong password renews nothing."""
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    store_hash(world, account, weak)
    with pytest.raises(AuthenticationError):
        identity.authenticate("alice", "wrong password")
    assert stored_hash(world, account) == weak
    identity.authenticate("alice", PASSWORD)
    renewed = stored_hash(world, account)
    assert argon2.extract_parameters(renewed) == argon2.profiles.RFC_9106_LOW_MEMORY
    identity.authenticate("alice", PASSWORD)
    assert stored_hash(world, account) == renewed


def store_hash(world: World, account: Account, encoded: str) -> None:
    """Put a hash in place as the program would."""
    with world.database.write() as tx:
        row = tx.accounts.identity(account.id)
        assert row is not None
        changed = world.keyring.with_mac(replace(row, password_hash=encoded, version=row.version + 1))
        tx.accounts.replace_identity(changed, expected_version=row.version)
        tx.commit()


def test_a_new_password_replaces_the_old_one(world: World, account: Account, identity: LocalIdentity) -> None:
    """Only the last one opens, and the change is recorded."""
    identity.set_password(account.id, "another good password")
    identity.authenticate("alice", "another good password")
    with pytest.raises(AuthenticationError):
        identity.authenticate("alice", PASSWORD)
    assert [one.account for one in world.audit.of(AuditEvent.PASSWORD_CHANGED)] == ["alice", "alice"]
    assert "password" not in {one.reason for one in world.audit.events}


@pytest.mark.usefixtures("account")
def test_unknown_users_look_like_wrong_passwords(world: World, identity: LocalIdentity) -> None:
    """T42: unknown user, no password, wrong password: the same words, statements, and one hash each."""
    world.accounts.create("passwordless")
    outcomes = set()
    for username in ("alice", "passwordless", "nobody"):
        with statements(world) as sent:
            hashes, words = hashed(identity, username)
        outcomes.add((hashes, words, tuple(sent)))
    ((hashes, words, sent_each),) = outcomes
    assert (hashes, words) == (1, "unknown user or wrong password")
    assert [one.split()[0] for one in sent_each] == ["BEGIN", "SELECT", "SELECT"]


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(world.database.engine, "before_cursor_execute", note)
    yield sent
    event.remove(world.database.engine, "before_cursor_execute", note)


def hashed(identity: LocalIdentity, username: str) -> tuple[int, str]:
    """How many hashes a refused attempt computes, and what it says."""
    count = 0

    def note(_frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "c_call" and getattr(argument, "__name__", "") == "argon2_verify"

    sys.setprofile(note)
    try:
        identity.authenticate(username, "wrong password")
    except AuthenticationError as refusal:
        sys.setprofile(None)
        return count, str(refusal)
    pytest.fail("a wrong password was accepted")


@pytest.mark.parametrize("password", ["", "short", "x" * 7, "x" * (MAX_PASSWORD_CHARS + 1)])
def test_lengths_that_are_refused(account: Account, identity: LocalIdentity, password: str) -> None:
    """Eight characters at least, as NIST asks where a second factor follows; the old password stays."""
    with pytest.raises(InvalidValue, match="8 to 256"):
        identity.set_password(account.id, password)
    assert identity.authenticate("alice", PASSWORD) == account.id


@pytest.mark.parametrize("password", ["password", "PassWord", "12345678", "margarethe"])
def test_the_first_guesses_are_refused(world: World, identity: LocalIdentity, password: str) -> None:
    """What everybody tries first, and the account's own name."""
    created = world.accounts.create("margarethe")
    with pytest.raises(InvalidValue, match="guessed"):
        identity.set_password(created.id, password)


@pytest.mark.parametrize("password", ["x" * 8, "        ", "日本語のパスワード", "x" * MAX_PASSWORD_CHARS])
def test_any_characters_are_welcome(world: World, identity: LocalIdentity, password: str) -> None:
    """No rule about kinds of characters; every character counts, up to the last."""
    created = world.accounts.create("bob")
    identity.set_password(created.id, password)
    assert identity.authenticate("bob", password) == created.id
    with pytest.raises(AuthenticationError):
        identity.authenticate("bob", password[:-1] + "y")


def test_spellings_of_the_same_letters_are_one(world: World, identity: LocalIdentity) -> None:
    """A keyboard that sends accents apart opens what one that sends them together has set (RFC 8265)."""
    created = world.accounts.create("bob")
    identity.set_password(created.id, unicodedata.normalize("NFD", "Café-Zoë-Größe"))
    assert identity.authenticate("bob", unicodedata.normalize("NFC", "Café-Zoë-Größe")) == created.id


def test_an_unknown_account_gets_no_password(identity: LocalIdentity) -> None:
    """Nothing is stored for an account that is not there."""
    with pytest.raises(NotFound):
        identity.set_password(AccountId(bytes(16)), PASSWORD)


def test_who_has_a_password(world: World, account: Account, identity: LocalIdentity) -> None:
    """Known without trying one."""
    assert identity.has_password(account.id)
    assert not identity.has_password(world.accounts.create("bob").id)


COLUMNS = ["account_id", "password_hash", "changed_at", "version", "mac"]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.usefixtures("account")
def test_an_altered_password_opens_nothing(world: World, identity: LocalIdentity, column: str) -> None:
    """A hash planted in the database, or moved to another account, is not believed."""
    tamper.alter(world.database, "local_identity", column)
    with pytest.raises((CorruptRow, AuthenticationError) if column == "account_id" else CorruptRow):
        identity.authenticate("alice", PASSWORD)


@pytest.mark.usefixtures("account")
def test_a_known_hash_cannot_be_planted(world: World, identity: LocalIdentity) -> None:
    """Giving alice the hash of mallory's own password does not open her account."""
    mallory = world.accounts.create("mallory")
    identity.set_password(mallory.id, "known to mallory")
    tamper.write_column(world.database, "local_identity", "password_hash", stored_hash(world, mallory))
    with pytest.raises(CorruptRow):
        identity.authenticate("alice", "known to mallory")


def test_every_column_is_accounted_for(world: World) -> None:
    """The sweep above knows every column of the table."""
    assert set(tamper.columns(world.database, "local_identity")) == set(COLUMNS)


@pytest.mark.usefixtures("account")
def test_an_altered_account_opens_nothing(world: World, identity: LocalIdentity) -> None:
    """Renaming an account in the database does not let its password sign in under the other name."""
    tamper.write_column(world.database, "account", "username", "root")
    with pytest.raises(CorruptRow):
        identity.authenticate("root", PASSWORD)
