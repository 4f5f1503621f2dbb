"""Reads of one request share a transaction, and let go of it when they must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from davserver.db.engine import Transaction
from davserver.db.reads import Reads
from davserver.errors import NotFound, StorageUnavailable
from davserver.model import AccountId
from tests.factories import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A store with an account."""
    made = make_world(tmp_path)
    made.accounts.create("alice")
    yield made
    made.database.dispose()


def used(tx: Transaction, account: AccountId) -> int:
    """What a transaction sees."""
    return tx.quota.usage(account)[0]


def write(world: World, account: AccountId) -> None:
    """One byte more, by somebody else."""
    with world.database.write() as tx:
        tx.quota.add(account, 1)
        tx.commit()


def test_what_is_shared_sees_one_moment(world: World) -> None:
    """Until there is a pause; each read after the end is by itself."""
    account = world.accounts.find("alice").id
    reads, seen = Reads(world.database), []
    for step in ("", "", "pause", "", "close", ""):
        if step:
            getattr(reads, step)()
        with reads.read() as tx:
            seen.append(used(tx, account))
        write(world, account)
    assert seen == [0, 0, 2, 2, 4, 5]


def test_the_same_transaction_is_given_out_again(world: World) -> None:
    """So that whoever keeps what it saw may go by it."""
    reads = Reads(world.database)
    with reads.read() as one, reads.read() as two:
        assert one is two
    reads.pause()
    with reads.read() as three:
        assert three is not one
    reads.close()
    with reads.read() as four, reads.read() as five:
        assert four is not five


def test_without_sharing_each_read_is_by_itself(world: World) -> None:
    """As for whoever is no request."""
    account = world.accounts.find("alice").id
    reads, seen = Reads(world.database, shared=False), []
    for _ in range(3):
        with reads.read() as tx:
            seen.append(used(tx, account))
        write(world, account)
    assert seen == [0, 1, 2]


def test_an_error_ends_the_transaction(world: World) -> None:
    """Ours goes through as it is, the driver's is translated; the next read begins anew."""
    reads = Reads(world.database)
    with pytest.raises(NotFound), reads.read() as tx:
        used(tx, AccountId(b"nobody"))
    with reads.read() as other:
        assert other is not tx
    with pytest.raises(StorageUnavailable), reads.read() as tx:
        tx._connection.execute(sa.text("SELECT nonsense"))  # noqa: SLF001
    with reads.read() as tx:
        tx.nodes.count()
    reads.close()


def test_letting_go_twice_is_nothing(world: World) -> None:
    """Nor of what was never begun."""
    reads = Reads(world.database)
    for end in (reads.pause, reads.pause, reads.close, reads.close):
        end()
    with reads.read() as tx:
        tx.nodes.count()
