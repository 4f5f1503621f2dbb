"""The counters of an account."""

from __future__ import annotations

import pytest

from davserver.db.engine import Transaction
from davserver.db.quota import Counted
from davserver.errors import NotFound, QuotaExceeded
from davserver.model import AccountId
from tests.unit.db.conftest import ALICE, BOB


def set_quota(tx: Transaction, quota: int | None) -> None:
    """Change Alice's quota."""
    tx._connection.exec_driver_sql("UPDATE account SET quota = ? WHERE account_id = ?", (quota, ALICE))  # noqa: SLF001


def test_up_to_the_quota_and_no_byte_more(tx: Transaction) -> None:
    """The boundary itself fits; a refused addition changes nothing."""
    tx.quota.add(ALICE, 999)
    with pytest.raises(QuotaExceeded) as refused:
        tx.quota.add(ALICE, 2)
    assert refused.value.missing == 1
    assert tx.quota.usage(ALICE) == (999, 1000, 0)
    tx.quota.add(ALICE, 1)
    assert tx.quota.usage(ALICE) == (1000, 1000, 0)
    with pytest.raises(QuotaExceeded):
        tx.quota.add(ALICE, 1)
    tx.quota.add(ALICE, 0)


def test_shrinking_is_always_allowed(tx: Transaction) -> None:
    """Also while there is more than the quota."""
    tx.quota.add(ALICE, 500)
    set_quota(tx, 10)
    tx.quota.add(ALICE, 0)
    tx.quota.add(ALICE, -100)
    assert tx.quota.usage(ALICE) == (400, 10, 0)
    with pytest.raises(QuotaExceeded):
        tx.quota.add(ALICE, 1)


def test_no_quota_is_no_limit(tx: Transaction) -> None:
    """Beyond 32 bits and beyond what a float counts exactly."""
    set_quota(tx, None)
    tx.quota.add(ALICE, 2**53 + 1)
    tx.quota.add(ALICE, 2**40)
    assert tx.quota.usage(ALICE) == (2**53 + 1 + 2**40, None, 0)


def test_a_quota_of_nothing(tx: Transaction) -> None:
    """Zero is a quota, and not the lack of one."""
    set_quota(tx, 0)
    tx.quota.add(ALICE, 0)
    with pytest.raises(QuotaExceeded):
        tx.quota.add(ALICE, 1)


def test_accounts_are_counted_apart(tx: Transaction) -> None:
    """One account's row is changed."""
    tx.quota.add(ALICE, 10)
    tx.quota.raise_structure_version(ALICE)
    assert tx.quota.usage(BOB) == (0, 1000, 0)
    rows = tx._connection.exec_driver_sql("SELECT structure_version FROM account ORDER BY username")  # noqa: SLF001
    assert [version for (version,) in rows] == [1, 0]


def test_an_account_that_is_not_there(tx: Transaction) -> None:
    """Nothing is counted for nobody."""
    nobody = AccountId(b"N" * 16)
    with pytest.raises(NotFound):
        tx.quota.usage(nobody)
    with pytest.raises(QuotaExceeded) as refused:
        tx.quota.add(nobody, -1)
    assert refused.value.missing == 0, "there is nothing to give up for it"


def test_what_is_kept_counts_and_leaves_room(tx: Transaction) -> None:
    """It is stored like anything else, and what is free is what it would leave if it gave way."""
    tx.quota.add(ALICE, 900)
    tx.quota.add(ALICE, 0, kept=300)
    assert tx.quota.usage(ALICE) == (900, 1000, 300)
    assert tx.quota.usage(ALICE).free == 400
    with pytest.raises(QuotaExceeded) as refused:
        tx.quota.add(ALICE, 150)
    assert refused.value.missing == 50
    tx.quota.add(ALICE, -100, kept=-100)
    assert tx.quota.usage(ALICE) == (800, 1000, 200)


def test_a_change_of_the_structure_in_the_same_statement(tx: Transaction) -> None:
    """Only if it is said so."""
    for restructured in (False, True, False):
        tx.quota.add(ALICE, 0, restructured=restructured)
    rows = tx._connection.exec_driver_sql("SELECT structure_version FROM account ORDER BY username")  # noqa: SLF001
    assert [version for (version,) in rows] == [1, 0]


@pytest.mark.parametrize(
    ("counted", "free", "excess"),
    [
        (Counted(800, 1000, 0), 200, 0),
        (Counted(800, 1000, 500), 700, 0),
        (Counted(800, 1000, 501), 701, 1),
        (Counted(1200, 1000, 300), 100, 200),
        (Counted(1500, 1000, 300), 0, 300),
        (Counted(800, None, 800), None, 0),
        (Counted(800, 0, 800), 0, 800),
    ],
)
def test_how_much_is_free_and_how_much_too_much(counted: Counted, free: int | None, excess: int) -> None:
    """Half of the quota may be kept here, and no more than there is room for."""
    assert (counted.free, counted.excess(0.5)) == (free, excess)
    assert counted.has_room_for(0 if free is None else free) == (counted != (1500, 1000, 300))
    assert free is None or not counted.has_room_for(free + 1)


def test_accounts_that_keep_too_much(tx: Transaction) -> None:
    """More than the share of their quota, or than there is room for; not those that are being deleted."""
    tx.quota.add(ALICE, 600)
    tx.quota.add(ALICE, 0, kept=500)
    tx.quota.add(BOB, 400, kept=400)
    assert tx.quota.overfull(0.5) == []
    assert tx.quota.overfull(0.4) == [ALICE]
    assert set(tx.quota.overfull(0.3)) == {ALICE, BOB}
    set_quota(tx, 599)
    assert tx.quota.overfull(1) == [ALICE]
    set_quota(tx, None)
    assert tx.quota.overfull(0) == [BOB]
    set_quota(tx, 1)
    tx._connection.exec_driver_sql("UPDATE account SET state = 'deleted' WHERE account_id = ?", (ALICE,))  # noqa: SLF001
    assert tx.quota.overfull(0) == [BOB]
