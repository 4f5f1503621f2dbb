"""The tables `app_password` and `totp_device`: one statement to look up, steps that only rise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from davserver.db.credentials import TotpDeviceRow
from davserver.db.engine import Transaction
from davserver.errors import VersionConflict
from davserver.model import Account
from tests.factories import World, make_app_password


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


def insert_device(tx: Transaction, account: Account, number: int, *, confirmed: bool = True) -> TotpDeviceRow:
    """A device that last saw step 100."""
    device = TotpDeviceRow(
        account_id=account.id,
        device_id=bytes([number]) * 16,
        sealed_secret=b"sealed",
        confirmed=confirmed,
        last_step=100,
        created_at=0,
        version=1,
    )
    tx.credentials.insert_device(device)
    return device


@pytest.mark.parametrize(
    ("step", "version", "accepted"), [(101, 1, True), (100, 1, False), (99, 1, False), (101, 2, False)]
)
def test_a_step_only_rises(
    world: World, account: Account, step: int, version: int, *, accepted: bool
) -> None:
    """The statement itself refuses a step that is not higher, and a device that was changed in between."""
    with world.database.write() as tx:
        device = insert_device(tx, account, 1)
        used = replace(device, last_step=step, version=version + 1)
        assert tx.credentials.consume_step(used, expected_version=version) is accepted
        (stored,) = tx.credentials.devices(account.id)
    assert stored.last_step == (step if accepted else 100)


def test_devices_are_removed_by_kind(world: World, account: Account) -> None:
    """Pending, confirmed, all but one, or all."""
    with world.database.write() as tx:
        first = insert_device(tx, account, 1)
        second = insert_device(tx, account, 2, confirmed=False)
        third = insert_device(tx, account, 3)
        tx.credentials.delete_devices(account.id, confirmed=False)
        assert tx.credentials.devices(account.id) == [first, third]
        tx.credentials.delete_devices(account.id, keep=third.device_id)
        assert tx.credentials.devices(account.id) == [third]
        tx.credentials.delete_devices(account.id)
        assert tx.credentials.devices(account.id) == []
        assert second not in tx.credentials.devices(account.id)


def test_an_app_password_comes_with_its_account(world: World, account: Account) -> None:
    """Look-up by id gives both rows; an unknown id gives none."""
    issued = make_app_password(world, account)
    world.accounts.create("bob")
    with world.database.read() as tx:
        found = tx.credentials.with_account(issued.app_password.id)
        missing = tx.credentials.with_account("0000000000")
    assert found is not None
    assert (found[0].app_id, found[1].username) == (issued.app_password.id, "alice")
    assert missing is None


def test_only_the_version_that_was_read_is_replaced(world: World, account: Account) -> None:
    """Of two changes made from the same reading the second fails."""
    make_app_password(world, account)
    with world.database.write() as tx:
        (row,) = tx.credentials.app_passwords(account.id)
        tx.credentials.replace_app_password(replace(row, version=2), expected_version=1)
        with pytest.raises(VersionConflict):
            tx.credentials.replace_app_password(replace(row, version=2), expected_version=1)


def test_a_use_is_not_noted_once_revoked(world: World, account: Account) -> None:
    """A note that was waiting while its app password was revoked changes nothing."""
    issued = make_app_password(world, account)
    with world.database.write() as tx:
        (row,) = tx.credentials.app_passwords(account.id)
        tx.credentials.record_use(issued.app_password.id, now=5, client="192.0.2.1")
        (used,) = tx.credentials.app_passwords(account.id)
        tx.credentials.replace_app_password(replace(row, revoked_at=6, version=2), expected_version=1)
        tx.credentials.record_use(issued.app_password.id, now=7, client="192.0.2.2")
        (revoked,) = tx.credentials.app_passwords(account.id)
    assert (used.last_used_at, used.last_used_from) == (5, "192.0.2.1")
    assert (revoked.last_used_at, revoked.last_used_from) == (5, "192.0.2.1")
