"""The tables `blob` and `inline_blob`: the life of a blob, one state after the other and never back."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from davserver.db.blob_index import BlobRow, BlobState
from davserver.db.engine import Transaction
from davserver.db.nodes import NodeRow
from davserver.errors import VersionConflict
from davserver.model import ROOT_ID, TRASH_ID, BlobId, NodeId
from tests.factories import World
from tests.unit.db.conftest import ALICE, BOB

EVER = 1 << 40


def blob_id(number: int) -> BlobId:
    """An id."""
    return BlobId(number.to_bytes(16, "big"))


def row(number: int = 1, state: BlobState = BlobState.STAGING, *, inline: bool = False) -> BlobRow:
    """A blob of Alice's, version 1."""
    return BlobRow(blob_id(number), ALICE, state, inline, 88, 0, 1, 1, b"wrapped", 1, mac=b"mac")


def live(number: int = 1) -> BlobRow:
    """The same blob once it is published, version 2."""
    return replace(row(number), state=BlobState.LIVE, sealed_size=200, plain_size=96, version=2, mac=b"live")


def dead(before: BlobRow) -> BlobRow:
    """The same blob once it is claimed."""
    return replace(before, state=BlobState.DEAD, version=before.version + 1, mac=b"dead")


def name(tx: Transaction, number: int, *, parent: NodeId = ROOT_ID) -> None:
    """Let a file name the blob, or what it was before, or something in the trash."""
    node = NodeRow(
        ALICE, parent, bytes([number]), NodeId(bytes([number]) * 16), 1, blob_id(number), b"sealed", 1
    )
    tx.nodes.insert([node])


def state_of(tx: Transaction, number: int = 1) -> str | None:
    """The state of a blob; None if it has no row."""
    found = tx.blobs.fetch(ALICE, blob_id(number))
    return None if found is None else found[0].state


def marks(tx: Transaction) -> list[tuple[int, int | None]]:
    """Heartbeat and mark of every blob."""
    rows = tx._connection.exec_driver_sql("SELECT heartbeat_at, unreferenced_at FROM blob ORDER BY blob_id")  # noqa: SLF001
    return [(heartbeat, mark) for heartbeat, mark in rows]


def collectable(tx: Transaction, *, live_before: int = EVER, staging_before: int = EVER) -> list[BlobRow]:
    """What looks like garbage."""
    return tx.blobs.collectable(live_before=live_before, staging_before=staging_before, limit=100)


def test_what_was_inserted_comes_back(tx: Transaction) -> None:
    """With its bytes if it is kept inline; to its account only."""
    tx.blobs.insert(row(1), now=5)
    tx.blobs.insert(row(2, BlobState.LIVE, inline=True), now=6, data=b"sealed bytes")
    assert tx.blobs.fetch(ALICE, blob_id(1)) == (row(1), None)
    assert tx.blobs.fetch(ALICE, blob_id(2)) == (row(2, BlobState.LIVE, inline=True), b"sealed bytes")
    assert tx.blobs.fetch(BOB, blob_id(1)) is None
    assert tx.blobs.fetch(ALICE, blob_id(3)) is None
    assert marks(tx) == [(5, None), (6, None)]


def test_a_blob_instead_of_another(tx: Transaction) -> None:
    """The new row as it is, and of the old one the mark alone; one that is gone does not come back by it."""
    tx.blobs.insert(row(1, BlobState.LIVE), now=5)
    tx.blobs.insert(row(2, BlobState.LIVE, inline=True), now=6, data=b"sealed bytes", instead_of=blob_id(1))
    tx.blobs.insert(row(3, BlobState.LIVE), now=7, instead_of=blob_id(9))
    assert tx.blobs.fetch(ALICE, blob_id(1)) == (row(1, BlobState.LIVE), None)
    assert tx.blobs.fetch(ALICE, blob_id(2)) == (row(2, BlobState.LIVE, inline=True), b"sealed bytes")
    assert marks(tx) == [(5, 6), (6, None), (7, None)]
    with pytest.raises(sqlite3.IntegrityError):  # a new blob never takes the place of one with its own id
        tx.blobs.insert(row(1, BlobState.LIVE), now=8)


def test_from_staging_to_live(tx: Transaction) -> None:
    """Once, and every column is as announced."""
    tx.blobs.insert(row(), now=0)
    assert tx.blobs.publish(live(), now=7)
    assert tx.blobs.fetch(ALICE, blob_id(1)) == (live(), None)
    assert not tx.blobs.publish(live(), now=7)
    assert not tx.blobs.heartbeat(blob_id(1), now=8)
    assert marks(tx) == [(7, None)]


def test_from_staging_to_dead(tx: Transaction) -> None:
    """An upload that was given up cannot be published any more."""
    tx.blobs.insert(row(), now=0)
    assert tx.blobs.heartbeat(blob_id(1), now=3)
    assert tx.blobs.claim(dead(row()), old_state=BlobState.STAGING, before=5)
    assert not tx.blobs.heartbeat(blob_id(1), now=4)
    assert not tx.blobs.publish(live(), now=4)
    assert state_of(tx) == BlobState.DEAD


def test_a_claim_needs_the_very_row_that_was_seen(tx: Transaction) -> None:
    """State and version as they were when it was listed."""
    tx.blobs.insert(row(), now=0)
    tx.blobs.publish(live(), now=0)
    tx.blobs.mark_unreferenced(blob_id(1), now=1)
    assert not tx.blobs.claim(dead(row()), old_state=BlobState.STAGING, before=5)
    assert not tx.blobs.claim(dead(replace(live(), version=1)), old_state=BlobState.LIVE, before=5)
    assert state_of(tx) == BlobState.LIVE
    assert tx.blobs.claim(dead(live()), old_state=BlobState.LIVE, before=5)
    assert state_of(tx) == BlobState.DEAD


@pytest.mark.parametrize("parent", [ROOT_ID, TRASH_ID, NodeId(b"some other file.")])
def test_what_is_named_is_never_claimed(tx: Transaction, parent: NodeId) -> None:
    """By a file, or by what is kept; the mark is forgotten, so that it is not looked at again."""
    tx.blobs.insert(replace(row(), state=BlobState.LIVE), now=0)
    tx.blobs.mark_unreferenced(blob_id(1), now=1)
    name(tx, 1, parent=parent)
    before = replace(row(), state=BlobState.LIVE)
    assert not tx.blobs.claim(dead(before), old_state=BlobState.LIVE, before=5)
    assert (state_of(tx), marks(tx)) == (BlobState.LIVE, [(0, None)])
    assert collectable(tx) == []


def test_a_claim_respects_the_grace(tx: Transaction) -> None:
    """A mark that was renewed since the blob was listed counts; it is kept for the next time."""
    before = replace(row(), state=BlobState.LIVE)
    tx.blobs.insert(before, now=0)
    for mark, claimed in ((None, False), (6, False), (5, True)):
        if mark is not None:
            tx.blobs.mark_unreferenced(blob_id(1), now=mark)
        assert tx.blobs.claim(dead(before), old_state=BlobState.LIVE, before=5) is claimed
        assert marks(tx)[0][1] == mark


def test_only_the_dead_are_forgotten(tx: Transaction) -> None:
    """With their inline bytes."""
    tx.blobs.insert(row(1, BlobState.LIVE, inline=True), now=0, data=b"1")
    tx.blobs.insert(row(2, BlobState.DEAD, inline=True), now=0, data=b"2")
    tx.blobs.insert(row(3), now=0)
    tx.blobs.forget([blob_id(number) for number in (1, 2, 3, 4)])
    assert [state_of(tx, number) for number in (1, 2, 3)] == [BlobState.LIVE, None, BlobState.STAGING]
    left = tx._connection.exec_driver_sql("SELECT data FROM inline_blob")  # noqa: SLF001
    assert [data for (data,) in left] == [b"1"]
    tx.blobs.forget([])


def test_references_are_added_to_live_blobs_only(tx: Transaction) -> None:
    """The mark goes; one that is dead, staging or unknown makes it False."""
    tx.blobs.insert(row(1, BlobState.LIVE), now=0)
    tx.blobs.insert(row(2, BlobState.LIVE), now=0)
    tx.blobs.insert(row(3, BlobState.DEAD), now=0)
    tx.blobs.insert(row(4), now=0)
    tx.blobs.mark_unreferenced(blob_id(1), now=9)
    assert tx.blobs.add_reference([blob_id(1), blob_id(2), blob_id(1)])
    assert marks(tx)[0] == (0, None)
    for bad in (3, 4, 5):
        assert not tx.blobs.add_reference([blob_id(1), blob_id(bad)])


def test_what_looks_like_garbage(tx: Transaction) -> None:
    """Each state by its own time, to the second."""
    tx.blobs.insert(row(1, BlobState.LIVE), now=0)
    tx.blobs.insert(row(2, BlobState.LIVE), now=0)
    tx.blobs.mark_unreferenced(blob_id(2), now=10)
    tx.blobs.insert(row(3), now=20)
    tx.blobs.insert(row(4, BlobState.DEAD), now=EVER)

    def numbers(live_before: int, staging_before: int) -> set[int]:
        found = collectable(tx, live_before=live_before, staging_before=staging_before)
        return {int.from_bytes(one.blob_id, "big") for one in found}

    assert numbers(9, 19) == {4}
    assert numbers(10, 19) == {2, 4}
    assert numbers(9, 20) == {3, 4}
    assert len(tx.blobs.collectable(live_before=EVER, staging_before=EVER, limit=2)) == 2


def test_a_staging_blob_that_a_file_names_is_left_alone(tx: Transaction) -> None:
    """We never make one: somebody put an old row back. It would be refused and listed again for ever."""
    tx.blobs.insert(row(), now=0)
    name(tx, 1)
    assert collectable(tx) == []


def test_scan_and_known(tx: Transaction) -> None:
    """Every blob once, in order; and which of some ids have a row."""
    for number in (3, 1, 2):
        tx.blobs.insert(row(number), now=0)
    first = tx.blobs.scan(after=None, limit=2)
    assert [one.blob_id for one in first] == [blob_id(1), blob_id(2)]
    assert [one.blob_id for one in tx.blobs.scan(after=blob_id(2), limit=2)] == [blob_id(3)]
    assert tx.blobs.known([blob_id(2), blob_id(7)]) == {blob_id(2)}
    assert tx.blobs.known([]) == set()


def test_an_id_is_used_once(world: World) -> None:
    """A second blob of one id contradicts the first: told as a conflict, and not in the driver's words."""
    mine = replace(row(), account_id=world.accounts.create("alice").id)
    with world.database.write() as tx:
        tx.blobs.insert(mine, now=0)
        tx.commit()
    with pytest.raises(VersionConflict), world.database.write() as tx:
        tx.blobs.insert(mine, now=0)
