"""A prepared statement does what SQLAlchemy would do with it, and is heard of like any other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy import bindparam, event

from davserver.db.driver import Glance
from davserver.db.engine import Transaction
from davserver.db.prepared import Prepared
from davserver.db.schema import account
from davserver.errors import CorruptRow, VersionConflict
from davserver.model import ROOT_ID
from tests.factories import World
from tests.unit.db.conftest import ALICE, BOB

_WANTED = sa.select(account.c.username, account.c.sealed, account.c.used).where(
    account.c.account_id == bindparam("wanted"), account.c.state == "active"
)
_IN_ORDER = (
    sa.select(account.c.username).where(account.c.used >= bindparam("least")).order_by(account.c.username)
)


def test_rows_are_those_of_sqlalchemy(tx: Transaction) -> None:
    """One, none, all; truth values as such; values that the statement itself gives."""
    prepared = Prepared(_WANTED)
    found = tx._driver.one(prepared, {"wanted": ALICE})  # noqa: SLF001 - the way that table files go
    assert found == tuple(tx._connection.execute(_WANTED, {"wanted": ALICE}).one())  # noqa: SLF001
    assert found is not None
    assert found[1] is False
    assert tx._driver.one(prepared, {"wanted": b"nobody"}) is None  # noqa: SLF001
    everybody = tx._driver.all(Prepared(_IN_ORDER), {"least": 0})  # noqa: SLF001
    assert everybody == [(ALICE.decode(),), (BOB.decode(),)]


def test_parameters_go_to_their_places(tx: Transaction) -> None:
    """Whatever their order in the text and in the mapping; one that is missing is an error."""
    statement = Prepared(
        sa.update(account)
        .where(account.c.account_id == bindparam("which"), account.c.used < bindparam("most"))
        .values(used=bindparam("new"), quota=bindparam("limit"))
    )
    values = {"which": ALICE, "most": 5, "limit": 9, "new": 7}
    assert tx._driver.change(statement, values) == 1  # noqa: SLF001
    assert tx._driver.change(statement, values) == 0  # noqa: SLF001
    assert tx.quota.usage(ALICE) == (7, 9, 0)
    with pytest.raises(KeyError):
        tx._driver.change(statement, {"which": ALICE, "most": 9, "limit": 9})  # noqa: SLF001


@pytest.mark.parametrize("stored", [2, -1, "yes", b"\x01", 0.5])
def test_what_is_no_truth_value_is_handed_out_as_it_is(tx: Transaction, stored: object) -> None:
    """So that the row's authenticator fails; SQLAlchemy would make it true."""
    tx._connection.exec_driver_sql("UPDATE account SET sealed = ?", (stored,))  # noqa: SLF001
    found = tx._driver.one(Prepared(_WANTED), {"wanted": ALICE})  # noqa: SLF001
    assert found is not None
    assert found[1] == stored


@pytest.fixture
def heard(tables: World) -> Iterator[list[tuple[str, object]]]:
    """What listeners to the engine are told; it must be there before the transaction is."""
    told: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, text: str, values: object, *_rest: object) -> None:
        told.append((text, values))

    event.listen(tables.database.engine, "before_cursor_execute", note)
    yield told
    event.remove(tables.database.engine, "before_cursor_execute", note)


def test_listeners_hear_of_every_statement(heard: list[tuple[str, object]], tables: World) -> None:
    """Of BEGIN, of those that are prepared, of one run many times, and of those that SQLAlchemy runs."""
    with tables.database.write() as tx:
        tx.nodes.by_id(ALICE, ROOT_ID)
        tx.locks.expired(now=0, limit=1)
        tx.properties.delete(ALICE, ROOT_ID, [b"a", b"b"])
        tx.nodes.count()
    words = [text.split()[0] for text, _ in heard]
    assert words == ["BEGIN", "SELECT", "SELECT", "DELETE", "SELECT"]
    assert heard[3][1] == [(ALICE, ROOT_ID, b"a"), (ALICE, ROOT_ID, b"b")]


def test_what_is_seen_of_an_account_is_not_asked_again_until_it_changes(tx: Transaction) -> None:
    """Quota and locks are answered from one look; whatever changes them has them looked up anew."""
    name = b"n" * 48
    at = tx.nodes.at(ALICE, ROOT_ID, name, now=5, check=True)
    seen = Glance(0, 0, 1000, 0, locked=False)
    assert (at.glance, at.child, at.parent) == (seen, None, None)
    assert tx.nodes.glance(ALICE) == seen
    assert tx.nodes.glance(BOB) is None
    tx._connection.execute(sa.update(account).values(used=77))  # noqa: SLF001 - behind its back
    assert tx.quota.usage(ALICE) == (0, 1000, 0)
    tx.quota.add(ALICE, 3, kept=2)
    assert tx.quota.usage(ALICE) == (80, 1000, 2)
    tx.nodes.at(ALICE, ROOT_ID, name, now=5, check=False)
    tx.quota.raise_structure_version(ALICE)
    assert tx.nodes.glance(ALICE) is None


def test_the_drivers_errors_are_ours_when_they_leave_the_block(tables: World) -> None:
    """For prepared statements as for the others; a text that is no UTF-8 cannot even be read."""
    insert = Prepared(sa.insert(account))
    values = {column.name: None for column in account.c}
    with pytest.raises(VersionConflict), tables.database.write() as tx:
        tx._driver.change(insert, values)  # noqa: SLF001
    with pytest.raises(CorruptRow), tables.database.write() as tx:
        tx._connection.exec_driver_sql("SELECT CAST(x'ff' AS TEXT)").fetchall()  # noqa: SLF001
