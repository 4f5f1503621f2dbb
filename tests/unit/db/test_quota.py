"""The counters of an account."""

from __future__ import annotations

import pytest

from davserver.db.engine import Transaction
from davserver.errors import NotFound, QuotaExceeded
from davserver.model import AccountId
from tests.unit.db.conftest import ALICE, BOB


def set_quota(tx: Transaction, quota: int | None) -> None:
    """Change Alice's quota."""
    tx._connection.exec_driver_sql("UPDATE account SET quota = ? WHERE account_id = ?", (quota, ALICE))  # noqa: SLF001


def test_up_to_the_quota_and_no_byte_more(tx: Transaction) -> None:
    """The boundary itself fits; a refused addition changes nothing."""
    tx.quota.add(ALICE, 999)
    with pytest.raises(QuotaExceeded):
        tx.quota.add(ALICE, 2)
    assert tx.quota.usage(ALICE) == (999, 1000)
    tx.quota.add(ALICE, 1)
    assert tx.quota.usage(ALICE) == (1000, 1000)
    with pytest.raises(QuotaExceeded):
        tx.quota.add(ALICE, 1)
    tx.quota.add(ALICE, 0)


def test_shrinking_is_always_allowed(tx: Transaction) -> None:
    """Also while there is more than the quota."""
    tx.quota.add(ALICE, 500)
    set_quota(tx, 10)
    tx.quota.add(ALICE, 0)
    tx.quota.add(ALICE, -100)
    assert tx.quota.usage(ALICE) == (400, 10)
    with pytest.raises(QuotaExceeded):
        tx.quota.add(ALICE, 1)


def test_no_quota_is_no_limit(tx: Transaction) -> None:
    """Beyond 32 bits and beyond what a float counts exactly."""
    set_quota(tx, None)
    tx.quota.add(ALICE, 2**53 + 1)
    tx.quota.add(ALICE, 2**40)
    assert tx.quota.usage(ALICE) == (2**53 + 1 + 2**40, None)


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
    assert tx.quota.usage(BOB) == (0, 1000)
    rows = tx._connection.exec_driver_sql("SELECT structure_version FROM account ORDER BY username")  # noqa: SLF001
    assert [version for (version,) in rows] == [1, 0]


def test_an_account_that_is_not_there(tx: Transaction) -> None:
    """Nothing is counted for nobody."""
    nobody = AccountId(b"N" * 16)
    with pytest.raises(NotFound):
        tx.quota.usage(nobody)
    with pytest.raises(QuotaExceeded):
        tx.quota.add(nobody, -1)
