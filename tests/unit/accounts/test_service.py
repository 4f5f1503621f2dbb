"""Accounts: names, state, quota, and rows that nobody may change behind our back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from davserver.accounts.service import MAX_QUOTA_BYTES, Accounts
from davserver.audit import AuditEvent
from davserver.crypto.keys import AccountKey
from davserver.db.engine import Transaction
from davserver.errors import AlreadyExists, CorruptRow, InvalidValue, NotFound, StorageUnavailable
from davserver.model import ROOT_ID, AccountId, AccountState
from tests import tamper
from tests.factories import World, make_principal, make_vaults


def test_an_account_has_an_empty_vault(world: World) -> None:
    """What `create` returns can be opened at once and shows a root without children."""
    account = world.accounts.create("alice", quota=1000)
    vaults = make_vaults(world)
    vault = vaults.open(make_principal(account, world.clock))
    assert vault.usage().used == 0
    with world.database.read() as tx:
        root = tx.nodes.by_id(account.id, ROOT_ID)
    assert root is not None
    vaults.close()


def test_what_is_created_is_found(world: World) -> None:
    """Found by any case of its name, and listed in order of names."""
    bob, alice = world.accounts.create("bob", "sub-of-bob", 5), world.accounts.create("Alice")
    assert world.accounts.find("BOB") == bob
    assert world.accounts.list() == [alice, bob]
    assert (bob.subject, bob.quota, alice.quota, alice.username) == ("sub-of-bob", 5, None, "alice")
    assert alice.state is AccountState.ACTIVE
    assert alice.created_at == world.clock()


def test_built_in_accounts_have_a_subject_of_their_own(world: World) -> None:
    """Without an identity provider the subject is unique all the same, and does not depend on the name."""
    alice, bob = world.accounts.create("alice"), world.accounts.create("bob")
    assert alice.subject != bob.subject
    assert "alice" not in alice.subject


@pytest.mark.parametrize("name", ["a", "a" * 64, "bob.smith", "b-o_b", "bob@example.org", "0bob", "a+b"])
def test_user_names_that_are_allowed(world: World, name: str) -> None:
    """Mail addresses and the usual forms are user names."""
    assert world.accounts.create(name).username == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            " ",
            ".",
            "..",
            "/",
            "a/b",
            "a\\b",
            "a:b",
            "a b",
            "a\n",
            "\x00",
            "a\x7f",
            "%username%",
            "a" * 65,
        ),
        *("a" * 300, "a..b", ".a", "-a", "_a", "@a", "é", "ａ", "a\u202eb", "a\ud800", "a%2f", "a?b", "a#b"),
    ],
)
def test_user_names_that_are_refused(world: World, name: str) -> None:
    """Nothing that could be a path, a field separator or a look-alike becomes a user name (T22)."""
    with pytest.raises(InvalidValue):
        world.accounts.create(name)
    assert world.accounts.list() == []


def test_names_that_differ_in_case_are_the_same(world: World) -> None:
    """A second account cannot be made with other capitals, nor with a sign that folds to the same letter."""
    world.accounts.create("boss")
    for name in ("boss", "BOSS", "bo\u017fs", "bo\u00df"):  # a long s, and a sharp one
        with pytest.raises(AlreadyExists):
            world.accounts.create(name)


def test_a_subject_belongs_to_one_account(world: World) -> None:
    """One identity cannot own two vaults."""
    world.accounts.create("alice", "sub")
    with pytest.raises(AlreadyExists):
        world.accounts.create("bob", "sub")


@pytest.mark.parametrize("subject", ["", "a" * 256, "a\nb"])
def test_subjects_that_are_refused(world: World, subject: str) -> None:
    """As OpenID Connect limits them."""
    with pytest.raises(InvalidValue):
        world.accounts.create("alice", subject)


@pytest.mark.parametrize("quota", [-1, MAX_QUOTA_BYTES + 1])
def test_quotas_that_are_refused(world: World, quota: int) -> None:
    """A quota is a size that the database can count."""
    world.accounts.create("alice")
    with pytest.raises(InvalidValue):
        world.accounts.create("bob", quota=quota)
    with pytest.raises(InvalidValue):
        world.accounts.set_quota("alice", quota)


def test_state_and_quota_change_and_stay(world: World) -> None:
    """Suspending, resuming and a new quota are stored, each on top of the other."""
    world.accounts.create("alice", quota=10)
    assert world.accounts.suspend("Alice").state is AccountState.SUSPENDED
    assert world.accounts.find("alice").state is AccountState.SUSPENDED
    assert world.accounts.set_quota("alice", None).state is AccountState.SUSPENDED
    assert world.accounts.resume("alice").quota is None
    assert world.accounts.find("alice").state is AccountState.ACTIVE


def test_unknown_accounts_are_not_found(world: World) -> None:
    """No method makes up an account."""
    for act in (world.accounts.find, world.accounts.suspend, world.accounts.resume):
        with pytest.raises(NotFound):
            act("nobody")
    with pytest.raises(NotFound):
        world.accounts.set_quota("nobody", 1)


def test_what_is_done_to_accounts_is_recorded(world: World) -> None:
    """Administrators can see afterwards who was created, suspended and resumed."""
    world.accounts.create("alice")
    world.accounts.suspend("alice")
    world.accounts.resume("alice")
    assert [(one.event, one.account) for one in world.audit.events] == [
        (AuditEvent.ACCOUNT_CREATED, "alice"),
        (AuditEvent.ACCOUNT_SUSPENDED, "alice"),
        (AuditEvent.ACCOUNT_RESUMED, "alice"),
    ]


def test_no_account_without_a_root(world: World) -> None:
    """If the root cannot be planted there is no account either, and nothing is recorded."""

    def refuse(_tx: Transaction, _account_id: AccountId, _key: AccountKey) -> None:
        raise StorageUnavailable("broken on purpose")

    accounts = Accounts(world.database, world.keyring, world.clock, world.audit, refuse)
    with pytest.raises(StorageUnavailable):
        accounts.create("alice")
    assert accounts.list() == []
    assert world.audit.events == []


COLUMNS = [
    *("account_id", "subject", "username", "state", "quota", "sealed", "wrapped_key", "master_key_id"),
    *("key_version", "key_commitment", "created_at", "version", "mac"),
]


@pytest.mark.parametrize("column", COLUMNS)
def test_an_altered_account_is_not_believed(world: World, column: str) -> None:
    """Whichever column of authority or content is altered, the account is neither shown nor changed."""
    world.accounts.create("alice", quota=10)
    tamper.alter(world.database, "account", column)
    with pytest.raises(CorruptRow):
        world.accounts.list()
    with pytest.raises((CorruptRow, NotFound)):
        world.accounts.find("alice")
    with pytest.raises((CorruptRow, NotFound)):
        world.accounts.resume("alice")


def test_counters_may_change(world: World) -> None:
    """Bytes stored are counted by every upload and are not vouched for."""
    account = world.accounts.create("alice", quota=10)
    for column in ("used", "kept", "structure_version"):
        tamper.alter(world.database, "account", column)
    assert world.accounts.find("alice") == replace(account, used=1, kept=1)


def test_every_column_is_accounted_for(world: World) -> None:
    """The sweep above knows every column of the table."""
    assert set(tamper.columns(world.database, "account")) == {*COLUMNS, "used", "kept", "structure_version"}


def test_an_older_state_cannot_be_written_back_alone(world: World) -> None:
    """Setting a suspended account to active in the database does not resume it."""
    world.accounts.create("alice")
    world.accounts.suspend("alice")
    tamper.write_column(world.database, "account", "state", AccountState.ACTIVE.value)
    with pytest.raises(CorruptRow):
        world.accounts.find("alice")
