"""Garbage collection: what goes, what stays, and that nothing a file names ever goes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from davserver.errors import CorruptRow
from davserver.vault import copying, maintenance
from davserver.vault.maintenance import GcReport
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import Drive, Store

LARGE = bytes(range(251)) * 300
GRACE = timedelta(minutes=30)
NOTHING = GcReport(blobs=0, bytes=0, leftovers=0, copies=0, locks=0)


@pytest.fixture(autouse=True)
def nothing_is_kept(store: Store) -> None:
    """What is deleted or overwritten is garbage at once; that it is kept is tested in test_expiry.py."""
    store.keep(keep_days=0)


def blobs(store: Store) -> int:
    """How many blobs the database knows."""
    ((number,),) = store.sql("SELECT count(*) FROM blob")
    return int(number)


def test_nothing_to_collect(store: Store, alice: Drive) -> None:
    """Files that are there are no garbage."""
    alice.put("/small", b"s")
    alice.put("/large", LARGE)
    assert store.collect() == NOTHING
    assert alice.tree() == {"/small": b"s", "/large": LARGE}


def test_what_was_deleted_and_overwritten_goes(store: Store, alice: Drive) -> None:
    """With its bytes, its key and its row, and the report says how much."""
    sizes = [
        node.content.sealed_size
        for node in (alice.put("/a", LARGE).node, alice.put("/b", b"small").node)
        if node.content
    ]
    alice.put("/a", b"new")
    alice.delete("/b")
    assert store.collect() == GcReport(blobs=2, bytes=sum(sizes), leftovers=0, copies=0, locks=0)
    assert store.collect() == NOTHING
    assert blobs(store) == 1
    store.assert_tidy()


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_the_grace_is_kept(store: Store, alice: Drive, size: int) -> None:
    """To the second: whoever began to read just before the deletion has time to finish."""
    alice.put("/a", bytes(size))
    store.clock.advance(hours=1)
    alice.delete("/a")
    store.clock.advance(minutes=30, seconds=-1)
    assert store.collect(grace=GRACE) == NOTHING
    store.clock.advance(seconds=1)
    assert store.collect(grace=GRACE).blobs == 1
    assert blobs(store) == 0


def test_the_grace_counts_from_the_last_name(store: Store, alice: Drive) -> None:
    """A copy that is deleted later keeps the content for longer."""
    alice.put("/a", LARGE)
    alice.copy("/a", "/b")
    alice.delete("/a")
    store.clock.advance(hours=1)
    assert store.collect(grace=GRACE) == NOTHING
    alice.delete("/b")
    store.clock.advance(minutes=10)
    assert store.collect(grace=GRACE) == NOTHING
    store.clock.advance(minutes=20)
    assert store.collect(grace=GRACE).blobs == 1


def test_a_content_that_is_named_again_stays(store: Store, alice: Drive) -> None:
    """Its mark is a hint and never believed: the tree itself is asked, and the mark forgotten."""
    alice.put("/a", LARGE)
    alice.put("/b", b"small")
    store.sql("UPDATE blob SET unreferenced_at = 0")
    assert store.collect() == NOTHING
    assert store.sql("SELECT DISTINCT unreferenced_at FROM blob") == [(None,)]
    assert alice.tree() == {"/a": LARGE, "/b": b"small"}
    assert store.problems() == []


def test_a_content_that_only_what_is_kept_names_stays(store: Store, alice: Drive) -> None:
    """The trash and previous versions count as much as what paths lead to."""
    store.keep()
    alice.put("/a", LARGE)
    alice.put("/b", LARGE[::-1])
    alice.delete("/a")
    alice.put("/b", b"new")
    store.sql("UPDATE blob SET unreferenced_at = 0")
    assert store.collect() == NOTHING
    assert len(store.stored()) == 2
    assert (alice.kept(), alice.before("/b")) == ({"/a": LARGE}, [LARGE[::-1]])


def test_more_garbage_than_one_batch(store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch after batch, also when a whole batch turns out to be no garbage."""
    monkeypatch.setattr(maintenance, "BATCH_BLOBS", 3)
    alice.mkdir("/c")
    for number in range(8):
        alice.put(f"/c/{number}", b"x")
    alice.copy("/c", "/d")
    alice.delete("/c")
    assert store.collect() == NOTHING
    alice.delete("/d")
    assert store.collect().blobs == 8
    assert blobs(store) == 0


def test_an_abandoned_upload_goes(store: Store, alice: Drive) -> None:
    """Of a process that was killed: row, staged file and all; not before the grace is over."""
    upload = alice.begin("/a")
    upload.write(bytes(2 * RUN_BYTES))
    store.touch_staging()
    store.clock.advance(minutes=30, seconds=-1)
    assert store.collect(grace=GRACE) == NOTHING
    store.clock.advance(seconds=2)
    report = store.collect(grace=GRACE)
    assert (report.blobs, report.leftovers) == (1, 1)
    upload.abort()
    store.assert_tidy()


def test_an_upload_that_died_between_bytes_and_commit(store: Store, alice: Drive) -> None:
    """Its bytes are stored for good and nobody names them: they go."""
    upload = alice.begin("/a")
    upload.write(LARGE)
    upload._finish(inline=False)  # noqa: SLF001 - all of `commit` but its transaction
    assert len(store.stored()) == 1
    assert store.collect(grace=GRACE) == NOTHING
    assert store.collect().blobs == 1
    upload.abort()
    store.assert_tidy()


def test_a_copy_that_died_goes(store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it wrote below its hidden parent is removed; the blobs are the source's and stay."""
    monkeypatch.setattr(copying, "BATCH_NODES", 2)
    alice.mkdir("/c")
    for number in range(5):
        alice.put(f"/c/{number}", b"x")
    used, tree = alice.used, alice.tree()
    _die_while_copying(store, alice)
    assert store.sql("SELECT count(*) FROM hidden_tree") == [(1,)]
    ((nodes,),) = store.sql("SELECT count(*) FROM node")
    assert nodes > len(tree) + 2
    assert store.problems() == [], "a copy in the making is no damage"
    store.clock.advance(minutes=29)
    assert store.collect(grace=GRACE) == NOTHING
    store.clock.advance(minutes=2)
    assert store.collect(grace=GRACE) == GcReport(blobs=0, bytes=0, leftovers=0, copies=1, locks=0)
    assert store.sql("SELECT count(*) FROM node") == [(len(tree) + 2,)]
    assert (alice.used, alice.tree()) == (used, tree)
    store.assert_tidy()


def test_a_dropped_copy_does_not_shorten_the_grace(
    store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source was deleted a moment ago and somebody reads it: that the copy is old does not matter."""
    monkeypatch.setattr(copying, "BATCH_NODES", 2)
    alice.mkdir("/c")
    for number in range(5):
        alice.put(f"/c/{number}", LARGE)
    _die_while_copying(store, alice)
    store.clock.advance(hours=1)
    alice.delete("/c")
    report = store.collect(grace=GRACE)
    assert (report.copies, report.blobs) == (1, 0)
    store.clock.advance(hours=1)
    assert store.collect(grace=GRACE).blobs == 5


def _die_while_copying(store: Store, alice: Drive) -> None:
    """The process ends while the last batch is written."""
    writes = 0

    def watch(step: str) -> None:
        nonlocal writes
        writes += step.startswith("sql INSERT INTO node")
        if writes > 1:
            raise KeyboardInterrupt

    with store.tripwire.armed(watch), pytest.raises(KeyboardInterrupt):
        alice.copy("/c", "/d")


def test_an_altered_row_stops_the_collection(store: Store, alice: Drive) -> None:
    """What it names is kept: it may be somebody's file under another name."""
    alice.put("/a", LARGE)
    alice.delete("/a")
    store.sql("UPDATE blob SET plain_size = plain_size + 1")
    with pytest.raises(CorruptRow):
        store.collect()
    assert len(store.stored()) == 1
    assert blobs(store) == 1


@pytest.mark.parametrize("state", ["dead", "staging"])
def test_a_row_made_to_look_like_garbage_is_kept(store: Store, alice: Drive, state: str) -> None:
    """Whoever can write to the database cannot have the bytes of a file deleted by changing its state."""
    alice.put("/a", LARGE)
    store.sql("UPDATE blob SET state = ?, heartbeat_at = 0", state)
    if state == "dead":
        with pytest.raises(CorruptRow):
            store.collect()
    else:
        store.collect()
    assert len(store.stored()) == 1
    assert store.problems() != []


def test_an_old_row_put_back_does_not_hang_the_collection(store: Store, alice: Drive) -> None:
    """The staging row of a file that is in place, authentic but old: left alone, the rest is collected."""
    upload = alice.begin("/a")
    upload.write(bytes(2 * RUN_BYTES))
    (row,) = store.sql("SELECT blob_id, state, version, sealed_size, plain_size, mac FROM blob")
    upload.commit()
    alice.put("/b", LARGE)
    alice.delete("/b")
    store.sql(
        "UPDATE blob SET state = ?, version = ?, sealed_size = ?, plain_size = ?, mac = ? WHERE blob_id = ?",
        *row[1:],
        row[0],
    )
    assert store.collect().blobs == 1
    assert store.stored() == {row[0]}


def test_leftovers_are_swept_by_age(store: Store, alice: Drive) -> None:
    """A file in staging whose row is long gone."""
    leftover = store.folder / "blobs" / "staging" / "0123.4567"
    leftover.write_bytes(b"x")
    store.touch_staging()
    assert store.collect(grace=GRACE) == NOTHING
    store.clock.advance(minutes=31)
    assert store.collect(grace=GRACE).leftovers == 1
    assert alice.names() == []


def test_expired_locks_go_with_the_files_that_lived_by_them(store: Store, alice: Drive) -> None:
    """Collection removes both, whatever the grace; a lock that lives, and what was put, stay."""
    alice.put("/kept", b"put")
    alice.lock("/kept", seconds=10)
    alice.lock("/born", seconds=10)
    alice.lock("/put", seconds=10)
    alice.put("/put", b"", tokens=alice.locks("/put"))
    alice.lock("/still", seconds=1000)
    store.clock.advance(seconds=11)
    assert store.collect(grace=GRACE).locks == 3
    assert alice.names() == ["kept", "put", "still"]
    assert store.sql("SELECT count(*) FROM lock") == [(1,)]
    assert store.sql("SELECT count(*) FROM node") == [(5,)]  # two roots, three files
    assert store.problems() == []
