"""A transaction that is never committed: what a test of a table needs, and nothing to clean up afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from davserver.db.engine import Transaction
from davserver.model import AccountId
from tests.factories import World, make_world

ALICE = AccountId(b"A" * 16)
BOB = AccountId(b"B" * 16)

MOST_STEPS = 1_000_000
"""Steps of SQLite's machine that one statement may take here: one that never ends is stopped and fails."""


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store with every table; nobody commits to it."""
    world = make_world(tmp_path_factory.mktemp("tables"))
    yield world
    world.database.dispose()


@pytest.fixture
def tx(tables: World) -> Iterator[Transaction]:
    """A transaction with the accounts `ALICE` and `BOB` in it, whose rows nobody has vouched for."""
    with tables.database.write() as transaction:
        driver: Any = transaction._connection.connection.dbapi_connection  # noqa: SLF001
        driver.set_progress_handler(lambda: True, MOST_STEPS)
        for account_id in (ALICE, BOB):
            transaction._connection.exec_driver_sql(  # noqa: SLF001 - a row without the rest of an account
                "INSERT INTO account"
                " VALUES (?, ?, ?, 'active', 1000, 0, 0, NULL, 1, 1, x'00', 0, 0, 1, x'00', 0)",
                (account_id, account_id.decode(), account_id.decode()),
            )
        yield transaction
        driver.set_progress_handler(None, 0)
