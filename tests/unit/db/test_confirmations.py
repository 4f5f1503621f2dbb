"""The tables `confirmation` and `lease`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from davserver.accounts.verdicts import ROLE_MISSING, unknown
from davserver.db.confirmations import ConfirmationRow
from davserver.db.engine import Transaction
from davserver.db.lease import LeaseRow
from davserver.db.proofs import ProofRow
from davserver.db.sessions import SessionRow
from davserver.model import AccountId
from tests.unit.db.conftest import ALICE, BOB


def row(account_id: AccountId = ALICE, **changes: object) -> ConfirmationRow:
    """A row of somebody at work."""
    made = replace(unknown(account_id), enabled_at=100, role_at=100, version=1, wanted_at=100, mac=b"m")
    return replace(made, **changes)  # type: ignore[arg-type]  # names of its own columns


def test_a_row_is_written_over_the_version_that_was_read(tx: Transaction) -> None:
    """Whoever comes later with an older one changes nothing; of many, each counts for itself."""
    for one in (row(), row(BOB)):
        tx.confirmations.insert(one)
    assert tx.confirmations.find(ALICE) == row()
    assert (
        tx.confirmations.replace([row(enabled_at=200, version=2), row(BOB, enabled_at=200, version=2)]) == 2
    )
    assert (
        tx.confirmations.replace([row(enabled_at=300, version=2), row(BOB, enabled_at=300, version=3)]) == 1
    )
    found = {one.account_id: one.enabled_at for one in tx.confirmations.all()}
    assert found == {ALICE: 200, BOB: 300}
    assert tx.confirmations.replace([]) == 0


def test_a_use_is_noted_beside_everything_else(tx: Transaction) -> None:
    """It never goes back, makes no row, and a change that knows an older note does not undo it."""
    tx.confirmations.insert(row())
    tx.confirmations.want([ALICE, BOB], now=160)
    tx.confirmations.want([ALICE], now=150)
    assert tx.confirmations.find(BOB) is None
    tx.confirmations.replace([row(version=2)])
    found = tx.confirmations.find(ALICE)
    assert found is not None
    assert (found.wanted_at, found.version) == (160, 2)
    assert tx.confirmations.count(since=160) == 1
    assert tx.confirmations.count(since=161) == 0
    tx.confirmations.want([], now=200)


def standing(tx: Transaction, **when: int) -> list[AccountId]:
    """Whose standing is to be asked."""
    return [one.account_id for one, _ in tx.confirmations.standings(**when)]


def roles(tx: Transaction, *, most: int = 10, **when: int) -> list[AccountId]:
    """Whose role is."""
    return [one.account_id for one, _ in tx.confirmations.roles(reason=ROLE_MISSING, most=most, **when)]


def test_who_is_to_be_asked_about(tx: Transaction) -> None:
    """Those at work whose turn it is, longest ago first; of those who left, by why they did."""
    tx.confirmations.insert(row(role_at=90))
    tx.confirmations.insert(row(BOB, enabled_at=150, role_at=80))
    assert standing(tx, since=100, before=100) == [ALICE]
    assert sorted(standing(tx, since=100, before=150)) == [ALICE, BOB]
    assert standing(tx, since=101, before=150) == []
    assert roles(tx, since=100, before=90) == [BOB, ALICE]
    assert roles(tx, since=100, before=90, most=1) == [BOB]
    assert roles(tx, since=100, before=80) == [BOB]
    tx.confirmations.replace([row(off_at=170, reason="disabled", version=2)])
    assert standing(tx, since=100, before=169) == [BOB]
    assert sorted(standing(tx, since=100, before=170)) == [ALICE, BOB]
    assert roles(tx, since=100, before=200) == [BOB]
    tx.confirmations.replace([row(off_at=170, reason=ROLE_MISSING, version=3)])
    assert roles(tx, since=100, before=200) == [BOB, ALICE]


@pytest.mark.parametrize("state", ["suspended", "deleted"])
def test_who_is_shut_by_somebody_else_is_not_asked_about(tx: Transaction, state: str) -> None:
    """Their accounts open for nobody, whatever the provider says; those that it has shut itself count."""
    tx.confirmations.insert(row())
    connection = tx._connection  # noqa: SLF001 - a row without the rest of an account
    connection.exec_driver_sql("UPDATE account SET state = 'offboarded' WHERE account_id = ?", (ALICE,))
    assert standing(tx, since=0, before=200) == [ALICE]
    connection.exec_driver_sql("UPDATE account SET state = ? WHERE account_id = ?", (state, ALICE))
    assert standing(tx, since=0, before=200) == roles(tx, since=0, before=200) == []


def test_who_has_something_that_hangs_on_a_session(tx: Transaction) -> None:
    """A browser that signed in at the provider, or a proof; a browser of a built-in account is none."""
    for one in (row(), row(BOB)):
        tx.confirmations.insert(one)
    browser = SessionRow(
        session_id=b"1" * 32,
        account_id=ALICE,
        began_at=0,
        seen_at=0,
        signed_in_at=0,
        totp_at=None,
        admin=False,
        provider_session=None,
        data_sealed=b"",
        version=1,
        mac=b"m",
    )
    tx.sessions.insert(browser)
    assert tx.confirmations.with_sessions(since=0) == []
    tx.sessions.insert(replace(browser, session_id=b"2" * 32, provider_session=b"p" * 32))
    tx.proofs.put(ProofRow(b"q" * 32, BOB, 0, mac=b"m"))
    assert sorted(tx.confirmations.with_sessions(since=0)) == [ALICE, BOB]
    assert tx.confirmations.with_sessions(since=101) == []
    assert [one.provider_session for one in tx.proofs.of(BOB)] == [b"q" * 32]


def test_there_is_one_lease(tx: Transaction) -> None:
    """A second `put` replaces; what nobody of us has written counts as none."""
    assert tx.lease.find() is None
    for one in (LeaseRow(b"a" * 16, 10), LeaseRow(b"b" * 16, 20, "away", 5)):
        tx.lease.put(one)
        assert tx.lease.find() == one
    connection = tx._connection  # noqa: SLF001 - as somebody writes who has no program of ours
    connection.exec_driver_sql("INSERT INTO lease VALUES (2, x'00', 99, '', NULL)")
    assert tx.lease.find() == LeaseRow(b"b" * 16, 20, "away", 5)
    for column, value in (("until", "soon"), ("until", 2**62), ("trouble", b"x"), ("trouble_at", 2**62)):
        tx.lease.put(LeaseRow(b"a" * 16, 10))
        connection.exec_driver_sql(f"UPDATE lease SET {column} = ?", (value,))  # noqa: S608
        assert tx.lease.find() is None
