"""The table `device_sign`."""

from __future__ import annotations

from davserver.db.engine import Transaction
from davserver.db.signs import SignRow, StoredSign
from davserver.model import AccountId
from tests.unit.db.conftest import ALICE, BOB

NOBODY = AccountId(b"N" * 16)


def row(account_id: AccountId = ALICE, device: str = "one", sign: str = "read", at: int = 10) -> SignRow:
    """Something that a device has done once."""
    return SignRow(account_id, device, sign, at, at)


def test_the_first_time_and_the_last_one_are_kept(tx: Transaction) -> None:
    """However often, and in whatever order two processes write it down."""
    for at in (10, 30, 20):
        tx.signs.note([row(at=at)])
    assert tx.signs.of_device(ALICE, "one") == [StoredSign("one", "read", 10, 30)]


def test_each_device_has_its_own(tx: Transaction) -> None:
    """Kinds, devices and accounts are apart, although two accounts could name a device alike."""
    tx.signs.note([row(), row(sign="wrote", at=11), row(device="two", at=12), row(BOB, at=13)])
    assert {one.sign for one in tx.signs.of_device(ALICE, "one")} == {"read", "wrote"}
    assert tx.signs.of_device(ALICE, "three") == []
    assert {(one.device, one.last_at) for one in tx.signs.of_account(ALICE)} == {
        ("one", 10),
        ("one", 11),
        ("two", 12),
    }
    assert [one.last_at for one in tx.signs.of_account(BOB)] == [13]


def test_an_account_that_is_gone_costs_the_others_nothing(tx: Transaction) -> None:
    """Its note is dropped; those beside it are written."""
    tx.signs.note([row(NOBODY), row()])
    assert tx.signs.of_account(NOBODY) == []
    assert len(tx.signs.of_account(ALICE)) == 1


def test_a_device_that_is_not_seen_any_more_is_forgotten(tx: Transaction) -> None:
    """With all that it ever did; one that is seen keeps all of it, however old."""
    tx.signs.note(
        [row(at=9), row(sign="wrote", at=5), row(device="two", at=10), row(device="two", sign="x", at=1)]
    )
    tx.signs.note([row(BOB, at=9)])
    assert tx.signs.forget(before=10) == 3
    assert {(one.device, one.last_at) for one in tx.signs.of_account(ALICE)} == {("two", 1), ("two", 10)}
    assert tx.signs.of_account(BOB) == []
    assert tx.signs.forget(before=10) == 0


def test_they_go_with_the_credentials_of_an_account(tx: Transaction) -> None:
    """What is known of devices is part of what the first step of deleting takes away; others' stay."""
    tx.signs.note([row(), row(BOB)])
    tx.deletion.delete_credentials(ALICE)
    assert tx.signs.of_account(ALICE) == []
    assert len(tx.signs.of_account(BOB)) == 1
