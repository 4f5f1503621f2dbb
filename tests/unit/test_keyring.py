"""Refusing to start on a wrong master key, and the keys of accounts. The file itself: test_master_key.py."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from davserver.crypto import tokens
from davserver.crypto.keys import MasterKey
from davserver.crypto.primitives import random_bytes
from davserver.crypto.rowmac import Field
from davserver.db.engine import Database
from davserver.errors import CorruptRow, MasterKeyError, NotFound, NotPermitted, VersionConflict
from davserver.keyring import Keyring, open_keyring
from davserver.master_key import MasterSecret, create_master_key, load_master_keys, replace_master_keys
from davserver.model import AccountId
from tests import tamper
from tests.factories import World, make_database, make_keyring, make_principal
from tests.fakes import FrozenClock


def key_file(folder: Path) -> Path:
    """Where `make_keyring` keeps the master key."""
    return folder / "keys" / "master.key"


def write_key(path: Path, content: bytes) -> None:
    """A private file with this content, over one that may be read-only."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(0o400)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for SQLite's empty write-ahead log."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


# ── opening a store ─────────────────────────────────────────────────────────────────────────────────────────
def test_a_store_opens_again_with_its_key(tmp_path: Path, world: World) -> None:
    """A second start finds the same instance: what the first one wrapped is unwrapped to the same key."""
    account = world.accounts.create("alice")
    principal = make_principal(account, world.clock)
    again = make_keyring(tmp_path, world.database, world.clock)
    assert again.account_key(principal).secret == world.keyring.account_key(principal).secret


def test_a_store_without_its_key_does_not_start(tmp_path: Path, world: World) -> None:
    """With the key gone nothing is written: no new key, no change of the database."""
    world.accounts.create("alice")
    world.database.dispose()
    key_file(tmp_path).unlink()
    before = snapshot(tmp_path)
    database = make_database(tmp_path)
    with pytest.raises(MasterKeyError, match="missing"):
        make_keyring(tmp_path, database, world.clock)
    database.dispose()
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("kid", [1, 2])
def test_a_store_with_another_key_does_not_start(tmp_path: Path, world: World, kid: int) -> None:
    """With a well-formed but different key (or key id) nothing is written, even if a migration is due."""
    world.accounts.create("alice")
    with closing(sqlite3.connect(tmp_path / "sealdav.db")) as connection, connection:
        connection.execute("DELETE FROM alembic_version")  # as if a migration were due
    world.database.dispose()
    write_key(key_file(tmp_path), f"sealdav-master-key-1 {kid} {random_bytes(32).hex()}\n".encode())
    before = snapshot(tmp_path)
    database = make_database(tmp_path)
    with pytest.raises(MasterKeyError, match="not the master key of this database"):
        make_keyring(tmp_path, database, world.clock)
    database.dispose()
    assert snapshot(tmp_path) == before


def test_an_existing_key_founds_a_new_store(tmp_path: Path) -> None:
    """A key made beforehand (or given by systemd) is used for a new database, not replaced."""
    created = create_master_key(key_file(tmp_path))
    database = make_database(tmp_path)
    make_keyring(tmp_path, database, FrozenClock())
    assert load_master_keys(key_file(tmp_path)) == (created,)
    database.dispose()


def test_two_stores_with_one_key_have_different_keys(tmp_path: Path) -> None:
    """The instance id goes into every derivation: a row copied from another store does not verify here."""
    path = key_file(tmp_path)
    create_master_key(path)
    macs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        database = make_database(tmp_path / name)
        macs.append(open_keyring(path, database, FrozenClock()).row_mac("table", 1))
        database.dispose()
    assert macs[0] != macs[1]


def test_a_keyring_checks_the_key_itself(world: World) -> None:
    """However it is built, a keyring with the wrong key does not come into being."""
    with pytest.raises(MasterKeyError):
        Keyring([MasterKey(1, bytes(16), bytes(32))], world.database)


# ── two master keys ─────────────────────────────────────────────────────────────────────────────────────────
def rotated(world: World, folder: Path, *, retired: bool) -> tuple[Keyring, MasterKey]:
    """The keyring of a store with a second master key, both of which are in its file; and the older one."""
    (secret,) = load_master_keys(key_file(folder))
    with world.database.write() as tx:
        instance_id = tx.instance.instance_id()
        assert instance_id is not None
        new = MasterSecret.generate(2)
        older, newer = (MasterKey(one.kid, instance_id, one.secret) for one in (secret, new))
        sealed = newer.seal_pepper(older.pepper)
        tx.instance.add_key(newer.kid, newer.key_check, now=0, pepper_sealed=sealed)
        if retired:
            tx.instance.retire_key(older.kid, now=0)
        tx.commit()
    replace_master_keys(key_file(folder), [secret, new])
    return make_keyring(folder, world.database, world.clock), older


def test_both_keys_are_believed_until_the_older_one_is_retired(tmp_path: Path, world: World) -> None:
    """What was sealed before opens; what is written is under the newer key."""
    principal = make_principal(world.accounts.create("alice"), world.clock)
    device = b"d" * 16
    sealed = world.keyring.seal_totp(principal.account.id, device, b"secret")
    keyring, older = rotated(world, tmp_path, retired=False)
    keyring.check_row("table", world.keyring.row_mac("table", 1), 1)
    assert keyring.open_totp(principal.account.id, device, sealed) == b"secret"
    assert keyring.account_key(principal).secret == world.keyring.account_key(principal).secret
    with pytest.raises(CorruptRow):
        older.verify_row("table", [1], keyring.row_mac("table", 1))


def test_a_retired_key_is_not_believed(tmp_path: Path, world: World) -> None:
    """Even if its line is still in the file: whoever got hold of it can vouch for nothing."""
    principal = make_principal(world.accounts.create("alice"), world.clock)
    forged = world.keyring.row_mac("table", 1)
    keyring, _ = rotated(world, tmp_path, retired=True)
    with pytest.raises(CorruptRow):
        keyring.check_row("table", forged, 1)
    with pytest.raises(CorruptRow):
        keyring.account_key(principal)


def test_verifiers_and_private_ids_outlive_the_key(tmp_path: Path, world: World) -> None:
    """They come from the store's pepper, which the newer key has taken over."""
    account_id, token = AccountId(b"a" * 16), tokens.mint()
    keyring, _ = rotated(world, tmp_path, retired=True)
    assert keyring.verify_token(account_id, token, world.keyring.verifier(account_id, token))
    assert keyring.private_id("purpose", "alice") == world.keyring.private_id("purpose", "alice")
    code = tokens.mint_recovery_code()
    assert keyring.recovery_verifier(account_id, code) == world.keyring.recovery_verifier(account_id, code)


# ── account keys ────────────────────────────────────────────────────────────────────────────────────────────
def test_account_keys_are_kept_and_pushed_out(tmp_path: Path, world: World) -> None:
    """A key in the cache is the same object again; the one unused for longest makes room."""
    (secret,) = load_master_keys(key_file(tmp_path))
    with world.database.read() as tx:
        instance_id = tx.instance.instance_id()
    assert instance_id is not None
    keyring = Keyring([MasterKey(secret.kid, instance_id, secret.secret)], world.database, cached=2)
    one, two, three = (
        make_principal(world.accounts.create(name), world.clock) for name in ("one", "two", "three")
    )
    first, second = keyring.account_key(one), keyring.account_key(two)
    assert keyring.account_key(one) is first
    keyring.account_key(three)
    assert keyring.account_key(one) is first
    assert keyring.account_key(two) is not second
    assert keyring.account_key(two).secret == second.secret


def test_accounts_have_different_keys(world: World) -> None:
    """No two accounts share a key."""
    keys = {
        world.keyring.account_key(make_principal(world.accounts.create(name), world.clock)).secret
        for name in ("alice", "bob")
    }
    assert len(keys) == 2


def test_a_sealed_vault_is_not_opened_by_the_server(world: World) -> None:
    """The seam for sealed vaults: without the owner's credential there is no key, not even a cached one."""
    principal = make_principal(world.accounts.create("alice"), world.clock)
    world.keyring.account_key(principal)
    sealed = replace(principal, account=replace(principal.account, sealed=True))
    with pytest.raises(NotPermitted):
        world.keyring.account_key(sealed)


def test_a_rotated_key_is_not_taken_for_the_old_one(world: World) -> None:
    """A principal of before a rotation is told to come again."""
    principal = make_principal(world.accounts.create("alice"), world.clock)
    stale = replace(principal, account=replace(principal.account, key_version=2))
    with pytest.raises(VersionConflict):
        world.keyring.account_key(stale)


def test_an_account_that_is_gone_has_no_key(world: World) -> None:
    """An unknown account is an error, not a fresh key."""
    principal = make_principal(world.accounts.create("alice"), world.clock)
    gone = replace(principal, account=replace(principal.account, id=AccountId(bytes(16))))
    with pytest.raises(NotFound):
        world.keyring.account_key(gone)


@pytest.mark.parametrize("column", ["wrapped_key", "key_commitment", "mac", "subject", "version"])
def test_an_altered_account_gives_no_key(world: World, column: str) -> None:
    """Whatever is changed in the account's row, its key is not unwrapped."""
    principal = make_principal(world.accounts.create("alice"), world.clock)
    tamper.alter(world.database, "account", column)
    with pytest.raises(CorruptRow):
        world.keyring.account_key(principal)


def test_keys_of_two_accounts_cannot_be_swapped(world: World) -> None:
    """Even if rows did verify, a wrapped key is bound to its account."""
    alice, bob = (world.accounts.create(name) for name in ("alice", "bob"))
    with world.database.write() as tx:
        hers, his = tx.accounts.by_id(alice.id), tx.accounts.by_id(bob.id)
        assert hers is not None
        assert his is not None
        swapped = replace(hers, wrapped_key=his.wrapped_key, key_commitment=his.key_commitment)
        tx.accounts.replace(world.keyring.with_mac(swapped), expected_version=1)
        tx.commit()
    with pytest.raises(CorruptRow):
        world.keyring.account_key(make_principal(alice, world.clock))


# ── authenticators and seals ────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("table", "fields"),
    [
        ("other", (1, "a", b"b", None)),
        ("table", (1, "a", b"b")),
        ("table", (1, "a", b"b", "")),
        ("table", ()),
    ],
)
def test_a_row_mac_stands_for_one_row(world: World, table: str, fields: tuple[Field, ...]) -> None:
    """Another table, a missing value or one of another type does not verify."""
    mac = world.keyring.row_mac("table", 1, "a", b"b", None)
    world.keyring.check_row("table", mac, 1, "a", b"b", None)
    with pytest.raises(CorruptRow):
        world.keyring.check_row(table, mac, *fields)


def test_values_of_impossible_types_are_corrupt(world: World) -> None:
    """SQLite stores any type in any column: a number where an integer belongs is corrupt, not a crash."""
    world.accounts.create("alice", quota=1)
    tamper.write_column(world.database, "account", "quota", 1.5)
    with pytest.raises(CorruptRow):
        world.accounts.find("alice")


def test_a_totp_secret_is_bound_to_its_device(world: World) -> None:
    """A sealed secret opens for its account and device only."""
    alice, device = AccountId(b"a" * 16), b"d" * 16
    sealed = world.keyring.seal_totp(alice, device, b"secret of a device!!")
    assert world.keyring.open_totp(alice, device, sealed) == b"secret of a device!!"
    for account_id, device_id in ((AccountId(b"b" * 16), device), (alice, b"e" * 16)):
        with pytest.raises(CorruptRow):
            world.keyring.open_totp(account_id, device_id, sealed)


def test_private_ids_differ_by_purpose_and_value(world: World) -> None:
    """What stands for a subject in a table depends on purpose and value, and does not hold it."""
    identities = {
        world.keyring.private_id(purpose, value)
        for purpose in ("a", "b")
        for value in ("alice", "bob", b"alice")
    }
    assert len(identities) == 6
    assert all(len(identity) == 32 and b"alice" not in identity for identity in identities)


def test_a_database_of_its_own_needs_no_other_file(tmp_path: Path) -> None:
    """An empty database names no instance, so a first start can tell it from a damaged one."""
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    with database.read() as tx:
        assert tx.instance.instance_id() is None
    database.dispose()
