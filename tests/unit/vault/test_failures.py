"""Every operation, failing at every single step: what raised has changed nothing, and nothing is left behind.

Once with one step failing and once with everything failing from there on, as when the process dies; then the
disk is whole again and garbage is collected. Locks and dead properties are in test_failures_of_locks.py, what
the system's own calls do in test_failures_of_the_disk.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from davserver.errors import PreconditionFailed, StorageFull, StorageUnavailable
from davserver.model import Node
from davserver.vault import copying
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import Drive, Store, make_store

LARGE = bytes(range(251)) * 9_000  # more than two runs
MEDIUM = bytes(range(251)) * 300  # more than one chunk
BROKEN = StorageFull("the disk is full")

Operation = Callable[[Drive], object]

OPERATIONS: dict[str, Operation] = {
    "put large over small": lambda drive: drive.put("/small", LARGE, keep=frozenset({"SHA1"})),
    "put large over large": lambda drive: drive.put("/large", LARGE),
    "put new large": lambda drive: drive.put("/new", LARGE),
    "put small over large": lambda drive: drive.put("/large", b"new"),
    "put new small": lambda drive: drive.put("/new", b"new"),
    "mkdir": lambda drive: drive.mkdir("/new"),
    "times": lambda drive: drive.times("/large", modified_ns=1),
    "move": lambda drive: drive.move("/c", "/d"),
    "move over a collection": lambda drive: drive.move("/large", "/c", overwrite=True),
    "copy": lambda drive: drive.copy("/small", "/new"),
    "copy a tree over a file": lambda drive: drive.copy("/c", "/large", overwrite=True),
    "delete": lambda drive: drive.delete("/c"),
}


@pytest.fixture
def full(alice: Drive) -> Drive:
    """Files and collections of both kinds."""
    alice.put("/small", b"small")
    alice.put("/large", MEDIUM)
    alice.mkdir("/c")
    alice.mkdir("/c/d")
    alice.put("/c/d/f", b"f")
    alice.put("/c/g", MEDIUM)
    return alice


def failures(store: Store, operation: Callable[[], object], *, for_good: bool) -> Iterator[int]:
    """Run an operation with its first step failing, then its second ...; ends when it has run through."""
    for at in count():
        try:
            with store.tripwire.armed(store.tripwire.fail(BROKEN, at, for_good=for_good)) as steps:
                operation()
        except StorageUnavailable:
            yield at
            continue
        assert len(steps) <= at, "a step failed and nobody was told"
        assert at > 0
        return


UPLOADS = [name for name in OPERATIONS if name.startswith("put")]  # the others are one transaction
CASES = [(name, False) for name in OPERATIONS] + [(name, True) for name in UPLOADS]


@pytest.mark.parametrize(("name", "for_good"), CASES)
def test_an_operation_that_fails_changes_nothing(
    store: Store, full: Drive, name: str, *, for_good: bool
) -> None:
    """Old content whole, nothing new visible, quota exact, no byte left in the store."""
    operation = OPERATIONS[name]
    tree, nodes, stored, used = full.tree(), full.listing(), store.stored(), full.used
    for _at in failures(store, lambda: operation(full), for_good=for_good):
        assert full.listing() == nodes
        assert full.used == used
        if not for_good:
            assert store.stored() == stored, "left for garbage collection although the abort could run"
        store.clock.advance(hours=1)
        store.collect()
        assert store.stored() == stored
        assert full.tree() == tree
        store.assert_tidy()
    assert full.tree() != tree or full.listing() != nodes
    store.assert_tidy()


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_copy_in_batches_that_fails_changes_nothing(
    store: Store, full: Drive, monkeypatch: pytest.MonkeyPatch, *, for_good: bool
) -> None:
    """Whatever was written below the hidden parent is gone, and the target as it was."""
    monkeypatch.setattr(copying, "BATCH_NODES", 2)
    tree, nodes, used = full.tree(), store.sql("SELECT count(*) FROM node"), full.used
    for _at in failures(store, lambda: full.copy("/c", "/large", overwrite=True), for_good=for_good):
        assert full.tree() == tree
        assert full.used == used
        store.clock.advance(hours=1)
        store.collect()
        assert store.sql("SELECT count(*) FROM node") == nodes
        store.assert_tidy()
    assert full.tree()["/large/d/f"] == b"f"
    store.assert_tidy()


def test_a_collection_that_fails_is_finished_later(store: Store, full: Drive) -> None:
    """Garbage collection may die at any step; the next one does the rest, and no file is harmed."""
    store.keep(keep_days=0)
    tree = {"/small": b"small"}
    full.copy("/large", "/large2")
    for path in ("/c", "/large", "/large2"):
        full.delete(path)
    for _at in failures(store, store.collect, for_good=False):
        assert full.tree() == tree
    assert full.tree() == tree
    store.assert_tidy()
    assert store.stored() == set()


def test_a_dead_blob_is_finished_although_its_deletion_failed_once(store: Store, full: Drive) -> None:
    """Claimed, not deleted, still in the table: the next run deletes the bytes and forgets the key."""
    store.keep(keep_days=0)
    full.delete("/c")
    full.delete("/large")
    with store.tripwire.armed(store.tripwire.once("delete", _fail)), pytest.raises(StorageUnavailable):
        store.collect()
    assert set(store.sql("SELECT state FROM blob")) == {("dead",), ("live",)}
    assert len(store.stored()) == 2
    report = store.collect()
    assert report.blobs == 3
    assert store.stored() == set()
    store.assert_tidy()


def _fail() -> None:
    raise BROKEN


def test_the_first_error_is_the_one_that_is_told(store: Store, full: Drive) -> None:
    """A condition failed; that the clean-up failed as well must not turn it into a fault of the server."""

    def refuse(_node: Node | None) -> None:
        if store.stored() - stored:
            raise PreconditionFailed("no")

    stored = store.stored()
    with full.begin("/large", condition=refuse) as upload:
        upload.write(LARGE)
        with (
            store.tripwire.armed(store.tripwire.once("delete", _fail)),
            pytest.raises(PreconditionFailed),
        ):
            upload.commit()
    store.assert_tidy()
    assert full.get("/large") == MEDIUM


def test_a_writer_that_cannot_be_discarded(store: Store, full: Drive) -> None:
    """Abort raises nothing: what it could not take back, garbage collection does."""
    upload = full.begin("/large")
    upload.write(LARGE)
    with store.tripwire.armed(store.tripwire.once("discard", _fail)):
        upload.abort()
    store.clock.advance(hours=1)
    assert store.collect().leftovers == 1
    store.assert_tidy()


@pytest.mark.parametrize("step", ["create", "append", "publish", "commit"])
def test_an_interrupt_aborts_too(store: Store, full: Drive, step: str) -> None:
    """Ctrl-C is no DavserverError, and an upload must not survive it half."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    tree = full.tree()
    with store.tripwire.armed(store.tripwire.once(step, interrupt)), pytest.raises(KeyboardInterrupt):
        full.put("/large", LARGE)
    assert full.tree() == tree
    store.assert_tidy()


def test_an_interrupt_right_after_the_commit_destroys_nothing(store: Store, full: Drive) -> None:
    """The file is in place although nobody could be told: the abort must not take its bytes."""
    upload = full.begin("/large")
    upload.write(LARGE)
    upload.commit()
    upload._done = False  # noqa: SLF001 - as if the interrupt had struck before the last line of `commit`
    upload.abort()
    assert full.get("/large") == LARGE
    store.assert_tidy()


def test_a_digest_thread_that_fails_ends_the_upload(folder: Path) -> None:
    """Digests run beside sealing; when they cannot, the upload is refused, and nothing waits for ever."""
    store = make_store(folder)
    alice = store.drive("alice")
    upload = alice.begin("/large", keep=frozenset({"SHA1"}))
    store.close()
    with pytest.raises(RuntimeError):
        upload.write(LARGE)
    assert alice.names() == []
    assert store.stored() == set()
    store.close()
    assert len(LARGE) > 2 * RUN_BYTES
