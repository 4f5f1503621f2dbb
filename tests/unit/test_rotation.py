"""Rotating the master key: stopped anywhere it goes on, nothing is lost, and the old key is worth nothing."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from davserver.bootstrap import rotate_master_key
from davserver.db.rekeying import TABLES
from davserver.db.schema import metadata
from davserver.errors import AuthenticationError, CorruptRow, MasterKeyError, StorageUnavailable
from davserver.master_key import load_master_keys, replace_master_keys
from davserver.model import AuthMethod
from davserver.store_lock import StoreLock
from tests import tamper
from tests.factories import make_code, make_principal
from tests.unit.full_store import NAMES, Store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that is copied, never used."""
    store = Store(tmp_path_factory.mktemp("filled"))
    store.fill()
    return store


@pytest.fixture
def store(filled: Store, tmp_path: Path) -> Store:
    """A store of its own."""
    return filled.copy(tmp_path / "store")


def wrapped_keys(store: Store) -> set[bytes | None]:
    """The wrapped account keys as stored."""
    with store.services() as services, services.database.read() as tx:
        return {row.wrapped_key for row in tx.accounts.all()}


# ── what is true afterwards ─────────────────────────────────────────────────────────────────────────────────
def test_everything_opens_under_the_new_key(store: Store) -> None:
    """Files, devices, people; no content was touched, and no key is stored as it was wrapped before."""
    (old,) = load_master_keys(store.key_file)
    before, wraps = store.blobs(), wrapped_keys(store)
    report = store.rotate()
    (new,) = load_master_keys(store.key_file)
    assert (old.kid, new.kid, report.old, report.new) == (1, 2, 1, 2)
    assert new.secret != old.secret
    assert report.altered == ()
    assert store.blobs() == before
    assert not wrapped_keys(store) & wraps
    store.require_whole()
    store.require_people_get_in()


def test_the_old_key_alone_is_refused(store: Store) -> None:
    """With words that say which key is needed; the new one opens everything afterwards."""
    (old,) = load_master_keys(store.key_file)
    store.rotate()
    (new,) = load_master_keys(store.key_file)
    replace_master_keys(store.key_file, [old])
    with pytest.raises(MasterKeyError, match="key 1 of this database was replaced by key 2: use that one"):
        store.require_whole()
    replace_master_keys(store.key_file, [new])
    store.require_whole()


def test_an_app_password_survives_rotations(store: Store) -> None:
    """Two in a row: app passwords, recovery codes and authenticators of before the first are still good."""
    assert [store.rotate().new for _ in range(2)] == [2, 3]
    (only,) = load_master_keys(store.key_file)
    assert only.kid == 3
    store.require_whole()
    store.require_people_get_in()


def test_what_is_made_between_two_rotations_survives_the_second(store: Store) -> None:
    """New devices and codes do not depend on which key was in use when they were made."""
    store.rotate()
    with store.services() as services:
        for name in NAMES:
            principal = make_principal(services.accounts.find(name), store.clock)
            store.tokens[name] = services.app_passwords.issue(principal, "second").token
            store.codes[name] = services.recovery_codes.renew(principal)
    store.rotate()
    store.require_whole()
    store.require_people_get_in()


def test_a_lock_out_is_not_lifted(store: Store) -> None:
    """Whoever has guessed too often waits as long as before."""
    store.lock_out("alice")
    store.rotate()
    assert store.is_locked_out("alice")
    assert not store.is_locked_out("bob")
    store.clock.advance(minutes=2)
    assert not store.is_locked_out("alice")


def test_the_password_throttle_is_carried_over(store: Store) -> None:
    """It is counted for a name and an address, of which the database holds neither."""

    def attempt() -> None:
        with store.services() as services:
            services.sign_in.with_password("alice", "wrong", client="192.0.2.9", method=AuthMethod.TERMINAL)

    for _ in range(5):
        with pytest.raises(AuthenticationError, match="wrong password"):
            attempt()
    store.rotate()
    with pytest.raises(AuthenticationError, match="try again in"):
        attempt()


def test_every_table_with_an_authenticator_is_rotated() -> None:
    """A table that is forgotten here would be worthless after a rotation."""
    assert {table.name for table in metadata.tables.values() if "mac" in table.c} == {
        table.name for table in TABLES.values()
    }
    assert all(table.name == row_type.TABLE for row_type, table in TABLES.items())


def test_no_row_is_under_the_old_key(store: Store) -> None:
    """Every authenticator, wrapped key and sealed secret in the database has changed."""

    def column(table: sa.Table, name: str) -> set[bytes]:
        with store.services() as services, services.database.engine.connect() as connection:
            return set(connection.execute(sa.select(table.c[name])).scalars())

    watched = [(table, "mac") for table in TABLES.values()]
    watched += [(metadata.tables["totp_device"], "sealed_secret")]
    before = {(table.name, name): column(table, name) for table, name in watched}
    store.rotate()
    for table, name in watched:
        after = column(table, name)
        assert len(after) == len(before[table.name, name]) > 0
        assert not after & before[table.name, name]


# ── stopped on the way ──────────────────────────────────────────────────────────────────────────────────────
def test_stopped_after_any_step_the_store_opens_and_the_rotation_goes_on(
    filled: Store, tmp_path: Path
) -> None:
    """After each: everything opens with what is in the file, and the next run ends with the new key."""
    before = filled.blobs().values()
    for step in count(1):
        store = filled.copy(tmp_path / str(step))
        if not store.rotate_until(step):
            break
        store.require_whole()
        assert store.rotate().new == 2
        (only,) = load_master_keys(store.key_file)
        assert only.kid == 2
        store.require_whole()
        assert list(store.blobs().values()) == list(before)
        shutil.rmtree(store.folder)
    assert step > 30, "every row of two accounts, the file and the two keys' rows"


def test_stopped_after_every_step_in_turn(store: Store) -> None:
    """The same store over and over; people change their rows in between, under whatever key is in use."""
    step = 0
    while store.rotate_until(step := step + 1):
        with store.services() as services:
            services.accounts.set_quota("alice", 10**9 + step)
            store.clock.advance(seconds=60)
            principal = make_principal(services.accounts.find("bob"), store.clock, fresh_totp=False)
            services.totp.verify(principal, make_code(store.secrets["bob"], store.clock))
        store.require_whole()
    assert len(load_master_keys(store.key_file)) == 1
    store.require_whole()
    store.require_people_get_in()


def test_while_unfinished_both_keys_are_needed(store: Store) -> None:
    """With either of them alone the store does not open, and says which one is missing."""
    assert store.rotate_until(5)
    old, new = load_master_keys(store.key_file)
    for alone, words in ((old, "replaced by key 2"), (new, "needs key 1 as well")):
        replace_master_keys(store.key_file, [alone])
        with pytest.raises(MasterKeyError, match=words):
            store.require_whole()
        with pytest.raises(MasterKeyError, match=words):
            store.rotate()
    replace_master_keys(store.key_file, [old, new])
    store.rotate()
    store.require_whole()


def test_a_key_that_the_database_never_saw_is_not_in_the_way(store: Store) -> None:
    """Stopped right after the file was written: the store opens with the old key, and the new one is kept."""
    assert store.rotate_until(1)
    old, new = load_master_keys(store.key_file)
    store.require_whole()
    replace_master_keys(store.key_file, [old])
    store.require_whole()
    replace_master_keys(store.key_file, [old, new])
    store.rotate()
    assert load_master_keys(store.key_file) == (new,)


# ── what is not believed ────────────────────────────────────────────────────────────────────────────────────
def test_an_altered_row_is_left_and_reported(store: Store) -> None:
    """It does not become genuine by a rotation, however often; the rest is rotated."""
    with store.services() as services:
        tamper.write_column(services.database, "app_password", "scopes", 1)
    assert store.rotate().altered == ("app_password", "app_password")
    assert store.rotate().altered == ("app_password", "app_password")
    with store.services() as services:
        problems = services.maintenance.verify().problems
    assert {problem.finding.name for problem in problems} == {"CREDENTIAL_ALTERED"}
    store.require_people_get_in()


def test_an_altered_pepper_opens_nothing(store: Store) -> None:
    """Else whoever writes to the database could choose what app passwords are compared with."""
    store.rotate()
    with store.services() as services:
        tamper.write_column(services.database, "master_key", "pepper_sealed", bytes(48))
    with pytest.raises(CorruptRow, match="the pepper in the database was altered"):
        store.require_whole()


# ── alone at the store ──────────────────────────────────────────────────────────────────────────────────────
def test_a_rotation_needs_the_store_for_itself(store: Store) -> None:
    """Beside an open store it does not begin, and beside a rotation no store is opened."""

    def rotate() -> None:
        rotate_master_key(store.settings, lambda _done, _total: None, clock=store.clock)

    with store.services(), pytest.raises(StorageUnavailable, match="stop the server"):
        rotate()
    assert len(load_master_keys(store.key_file)) == 1
    with StoreLock(store.settings.storage.data_dir, exclusive=True):
        with pytest.raises(StorageUnavailable, match="the master key is being rotated"):
            store.require_whole()
        with pytest.raises(StorageUnavailable, match="in use"):
            rotate()
    with store.services(), store.services():
        pass
    rotate()
    store.require_whole()
