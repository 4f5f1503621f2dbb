"""The table `account`: unique names, compare-and-set, counters that stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from davserver.db.accounts import AccountRow, IdentityRow
from davserver.errors import AlreadyExists, VersionConflict
from davserver.model import AccountId
from tests.factories import World


def make_row(world: World, number: int, *, username: str = "", subject: str = "") -> AccountRow:
    """An account row that is not vouched for."""
    new = world.keyring.new_account_key(AccountId(bytes([number]) * 16))
    return AccountRow(
        account_id=AccountId(bytes([number]) * 16),
        subject=subject or f"subject {number}",
        username=username or f"user{number}",
        state="active",
        quota=None,
        used=0,
        kept=0,
        sealed=False,
        wrapped_key=new.wrapped_key,
        master_key_id=new.master_key_id,
        key_version=1,
        key_commitment=new.commitment,
        structure_version=0,
        created_at=0,
        version=1,
    )


@pytest.mark.parametrize("taken", [{"username": "user1"}, {"subject": "subject 1"}])
def test_names_and_subjects_are_unique(world: World, taken: dict[str, str]) -> None:
    """Neither a user name nor a subject can belong to two accounts."""
    with world.database.write() as tx:
        tx.accounts.insert(make_row(world, 1))
        with pytest.raises(AlreadyExists):
            tx.accounts.insert(make_row(world, 2, **taken))


def test_a_row_comes_back_as_it_went(world: World) -> None:
    """What is read is what was written, by id and by name."""
    row = make_row(world, 1)
    with world.database.write() as tx:
        tx.accounts.insert(row)
        assert tx.accounts.by_id(row.account_id) == row
        assert tx.accounts.by_username("user1") == row
        assert tx.accounts.by_username("USER1") is None
        assert tx.accounts.all() == [row]


def test_a_change_leaves_the_counters(world: World) -> None:
    """Writing a row that was read earlier does not undo what uploads have counted since."""
    row = make_row(world, 1)
    with world.database.write() as tx:
        tx.accounts.insert(row)
        tx.quota.add(row.account_id, 1000)
        tx.accounts.replace(replace(row, quota=5000, version=2), expected_version=1)
        after = tx.accounts.by_id(row.account_id)
    assert after is not None
    assert (after.quota, after.used, after.version) == (5000, 1000, 2)


def test_only_the_version_that_was_read_is_replaced(world: World) -> None:
    """Of two changes made from the same reading the second fails, for accounts and passwords alike."""
    row = make_row(world, 1)
    identity = IdentityRow(account_id=row.account_id, password_hash="first", changed_at=0, version=1)
    with world.database.write() as tx:
        tx.accounts.insert(row)
        tx.accounts.insert_identity(identity)
        tx.accounts.replace(replace(row, version=2), expected_version=1)
        tx.accounts.replace_identity(replace(identity, password_hash="second", version=2), expected_version=1)
        with pytest.raises(VersionConflict):
            tx.accounts.replace(replace(row, state="suspended", version=2), expected_version=1)
        with pytest.raises(VersionConflict):
            tx.accounts.replace_identity(
                replace(identity, password_hash="third", version=2), expected_version=1
            )
        stored = tx.accounts.identity(row.account_id)
    assert stored is not None
    assert stored.password_hash == "second"
