"""COPY of large collections: in batches, below a parent that nothing reaches, published with one row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from davserver.errors import (
    DavserverError,
    LimitExceeded,
    Locked,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    QuotaExceeded,
    StorageUnavailable,
    TargetInsideSource,
    VersionConflict,
)
from davserver.model import Node, Scope
from davserver.vault import copying
from davserver.vault.copying import BATCH_NODES
from tests.unit.vault.store import Drive, Store

CONTENT = b"content"


def count_nodes(store: Store) -> int:
    """Rows of the tree."""
    ((number,),) = store.sql("SELECT count(*) FROM node")
    return int(number)


@pytest.mark.parametrize("children", [BATCH_NODES - 1, BATCH_NODES, 2 * BATCH_NODES + 500])
def test_a_huge_collection(store: Store, alice: Drive, children: int) -> None:
    """Every child once, counted in full; several short transactions from 1,001 nodes on."""
    file = alice.put("/f", CONTENT).node
    alice.mkdir("/c", modified_ns=5)
    alice.plant_files("/c", [f"n{number}" for number in range(children)], file)
    used = alice.used
    with store.tripwire.armed() as steps:
        placed = alice.copy("/c", "/d")
    commits = steps.count("commit")
    assert (commits > 1) == (children >= BATCH_NODES)
    assert commits <= 3 + children // BATCH_NODES
    assert placed.created
    assert (placed.node.name, placed.node.modified_ns) == ("d", 5)
    copies, sources = alice.listing("/d"), alice.listing("/c")
    assert len(copies) == children
    assert {node.name for node in copies} == {node.name for node in sources}
    assert {node.id for node in copies}.isdisjoint({node.id for node in sources})
    assert alice.used == used + children * len(CONTENT)
    assert alice.get("/d/n0") == CONTENT
    alice.delete("/c")
    alice.delete("/f")
    store.assert_tidy()
    assert alice.get(f"/d/n{children - 1}") == CONTENT


def test_a_deep_and_wide_tree(store: Store, alice: Drive) -> None:
    """Deeper than a path may be, with collections beside each other that end in the middle of a batch."""
    alice.mkdir("/c")
    file = alice.put("/c/f", CONTENT).node
    alice.plant("/c", [f"n{number}" for number in range(700)])
    alice.plant_files("/c/n0", [f"f{number}" for number in range(700)], file)
    alice.plant_chain([f"d{number}" for number in range(240)])
    alice.move("/d0", "/c/n1/d0")
    before = count_nodes(store)
    alice.copy("/c", "/d")
    roots = 2
    assert count_nodes(store) == 2 * (before - roots) + roots
    assert sorted(alice.names("/d")) == sorted(alice.names("/c"))
    assert len(alice.listing("/d/n0")) == 700
    assert alice.stat("/d/n1" + "".join(f"/d{number}" for number in range(240))).is_collection
    assert alice.used == 2 * 701 * len(CONTENT)
    store.assert_tidy()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of three nodes."""
    monkeypatch.setattr(copying, "BATCH_NODES", 3)


@pytest.fixture
def full(alice: Drive, small_batches: None) -> Drive:  # noqa: ARG001 - its effect is what counts
    """A collection that takes several batches, and another one."""
    alice.mkdir("/c")
    alice.mkdir("/c/sub")
    for number in range(8):
        alice.put(f"/c/{number}", CONTENT)
        alice.put(f"/c/sub/{number}", CONTENT)
    alice.mkdir("/other")
    return alice


@pytest.mark.parametrize("width", [2, 3, 4, 5, 6, 7, 9])
def test_wherever_a_page_ends(store: Store, alice: Drive, small_batches: None, width: int) -> None:  # noqa: ARG001
    """Nothing is lost or doubled between the pages of several collections that are copied at once."""
    alice.mkdir("/c")
    for one in range(width):
        alice.mkdir(f"/c/{one}")
        for other in range(width):
            alice.put(f"/c/{one}/{other}", f"{one} {other}".encode())
    alice.copy("/c", "/d")
    tree = alice.tree()
    assert {path[2:]: data for path, data in tree.items() if path.startswith("/d/")} == {
        path[2:]: data for path, data in tree.items() if path.startswith("/c/")
    }
    assert alice.used == sum(len(data) for data in tree.values() if data)
    store.assert_tidy()


def test_nothing_is_visible_while_it_lasts(store: Store, full: Drive) -> None:
    """Neither the target nor its bytes in the quota; no lock is held between two batches."""
    seen: list[tuple[list[str], int]] = []
    used = full.used

    def look() -> None:
        seen.append((full.names(), full.used))
        full.times("/other", modified_ns=len(seen))  # another writer gets its turn
        store.database.after_write = look

    store.database.after_write = look
    full.copy("/c", "/copy")
    store.database.after_write = None
    assert len(seen) > 3
    assert set(map(str, seen[:-1])) == {str((["c", "other"], used))}
    assert full.used == 2 * used


def test_empty_collections_do_not_make_a_batch_long(store: Store, alice: Drive, small_batches: None) -> None:  # noqa: ARG001
    """Each costs a look: no transaction takes more of them than a batch has nodes."""
    alice.mkdir("/c")
    alice.plant("/c", [f"n{number}" for number in range(30)])
    with store.tripwire.armed() as steps:
        alice.copy("/c", "/d")
    looks = longest = 0
    for step in steps:
        looks = 0 if step == "commit" else looks + ("name_sealed > " in step)
        longest = max(longest, looks)
    assert 0 < longest <= 3


def test_the_largest_copy(full: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted before anything is copied; a copy without what is inside is not concerned."""
    monkeypatch.setattr(copying, "MAX_NODES", 18)
    full.copy("/c", "/exactly")
    full.put("/c/more", CONTENT)
    with pytest.raises(LimitExceeded):
        full.copy("/c", "/too-much")
    full.copy("/c", "/shallow", recursive=False)
    assert full.names() == ["c", "exactly", "other", "shallow"]


def refuse(_node: Node | None) -> None:
    """A condition that never holds."""
    raise PreconditionFailed("no")


BEFOREHAND: dict[str, tuple[Callable[[Drive], object], type[DavserverError]]] = {
    "condition": (lambda drive: drive.copy("/c", "/d", condition=refuse), PreconditionFailed),
    "overwrite": (lambda drive: drive.copy("/c", "/other"), PreconditionFailed),
    "parent": (lambda drive: drive.copy("/c", "/missing/d"), ParentMissing),
    "into itself": (lambda drive: drive.copy("/c", "/c/d"), TargetInsideSource),
    "onto itself": (lambda drive: drive.copy("/c", "/c", overwrite=True), NotPermitted),
    "scope": (
        lambda drive: drive.narrowed(Scope.NO_DELETE).copy("/c", "/other", overwrite=True),
        NotPermitted,
    ),
    "lock of the target": (
        lambda drive: drive.lock("/other") and drive.copy("/c", "/other", overwrite=True),
        Locked,
    ),
    "lock in the target": (
        lambda drive: drive.lock("/other/made") and drive.copy("/c", "/other", overwrite=True),
        Locked,
    ),
    "lock of its collection": (lambda drive: drive.lock("/") and drive.copy("/c", "/d"), Locked),
}


@pytest.mark.parametrize(("attempt", "error"), BEFOREHAND.values(), ids=BEFOREHAND)
def test_what_can_be_refused_is_refused_before_a_long_copy(
    store: Store, full: Drive, attempt: Callable[[Drive], object], error: type[DavserverError]
) -> None:
    """Not a row is written for it."""
    tree = full.tree()
    with store.tripwire.armed() as steps, pytest.raises(error):
        attempt(full)
    assert not [step for step in steps if step.startswith("sql INSERT INTO hidden_tree")]
    assert {path: data for path, data in full.tree().items() if path != "/other/made"} == tree
    store.assert_tidy()


def test_the_quota_is_asked_before_a_long_copy(store: Store, full: Drive) -> None:
    """And what would be replaced is taken into account."""
    store.accounts.set_quota("alice", 2 * full.used - 1)
    with store.tripwire.armed() as steps, pytest.raises(QuotaExceeded):
        full.copy("/c", "/d")
    assert not [step for step in steps if step.startswith("sql INSERT")]
    full.put("/other/x", b"x")
    full.delete("/c/0")
    full.copy("/c", "/other", overwrite=True)
    assert full.live == 2 * 15 * len(CONTENT)


def _replace_source(drive: Drive) -> None:
    drive.move("/c", "/moved")
    drive.mkdir("/c")


def _replace_source_by_file(drive: Drive) -> None:
    drive.move("/c", "/moved")
    drive.put("/c", b"file")


def _collect(drive: Drive) -> None:
    drive.store.sql("UPDATE hidden_tree SET heartbeat_at = 0")
    drive.store.collect()


MEANWHILE: dict[str, tuple[Callable[[Drive], object], type[DavserverError]]] = {
    "source deleted": (lambda drive: drive.delete("/c"), NotFound),
    "source moved": (lambda drive: drive.move("/c", "/moved"), NotFound),
    "source replaced": (_replace_source, VersionConflict),
    "source replaced by a file": (_replace_source_by_file, VersionConflict),
    "parent deleted": (lambda drive: drive.delete("/other"), ParentMissing),
    "target taken": (lambda drive: drive.put("/other/d", b"taken"), PreconditionFailed),
    "quota filled": (lambda drive: drive.store.accounts.set_quota("alice", drive.used), QuotaExceeded),
    "collected": (_collect, StorageUnavailable),
    "parent locked": (lambda drive: drive.lock("/other"), Locked),
    "parent locked from above": (lambda drive: drive.lock("/", infinite=True), Locked),
    "target locked": (lambda drive: drive.lock("/other/d"), Locked),
}


@pytest.mark.parametrize("batch", [2, 4])
@pytest.mark.parametrize(("change", "error"), MEANWHILE.values(), ids=MEANWHILE)
def test_the_tree_changes_while_it_lasts(
    store: Store, full: Drive, change: Callable[[Drive], object], error: type[DavserverError], batch: int
) -> None:
    """Everything is judged again at the end, and what was copied in vain is taken back at once."""
    before: dict[str, bytes | None] = {}
    left = batch

    def act() -> None:
        nonlocal before, left
        left -= 1
        if left:
            store.database.after_write = act
            return
        change(full)
        before = full.tree()

    store.database.after_write = act
    with pytest.raises(error):
        full.copy("/c", "/other/d")
    assert store.sql("SELECT count(*) FROM hidden_tree") == [(0,)]
    assert full.tree() == before
    store.assert_tidy()


def test_a_copy_that_was_given_up_is_never_published(store: Store, full: Drive) -> None:
    """Whichever batch was the last before garbage collection took it away."""
    tree = full.tree()
    for batches in range(2, 50):
        collected = _collect_after(store, batches)
        try:
            full.copy("/c", "/d")
        except StorageUnavailable:
            assert full.tree() == tree
            store.assert_tidy()
            continue
        assert collected == []
        assert batches > 6
        break
    store.database.after_write = None
    assert len(full.tree()) == 2 * len(tree) - 1


def _collect_after(store: Store, writes: int) -> list[int]:
    """Have the hidden copy collected after so many transactions; returns how many copies that were."""
    collected: list[int] = []
    left = writes

    def act() -> None:
        nonlocal left
        left -= 1
        if left:
            store.database.after_write = act
            return
        store.sql("UPDATE hidden_tree SET heartbeat_at = 0")
        collected.extend([1] * store.collect().copies)

    store.database.after_write = act
    return collected


def test_a_content_that_is_not_live_is_not_copied(store: Store, full: Drive) -> None:
    """COPY must never name a blob that garbage collection has claimed."""
    store.database.after_write = lambda: store.sql("UPDATE blob SET state = 'dead'")
    with pytest.raises(VersionConflict):
        full.copy("/c", "/d")
    store.sql("UPDATE blob SET state = 'live'")
    assert full.names() == ["c", "other"]
    store.assert_tidy()


def test_a_long_copy_says_that_it_is_alive(store: Store, full: Drive) -> None:
    """Each batch renews its note, so that garbage collection leaves it alone."""
    beats: list[int] = []

    def act() -> None:
        beats.extend(moment for (moment,) in store.sql("SELECT heartbeat_at FROM hidden_tree"))
        store.clock.advance(minutes=20)
        store.database.after_write = act

    store.database.after_write = act
    full.copy("/c", "/d")
    assert len(beats) > 3
    assert {later - earlier for earlier, later in pairwise(beats[1:])} == {20 * 60}
    assert beats == sorted(beats)


def test_a_file_that_became_a_collection_is_copied_whole(store: Store, full: Drive) -> None:
    """Between looking and copying: what is copied is what is there then, with all that is in it."""

    def act() -> None:
        full.delete("/f")
        full.mkdir("/f")
        full.put("/f/inside", CONTENT)

    full.put("/f", b"file")
    store.database.after_read = act
    full.copy("/f", "/copy")
    assert full.get("/copy/inside") == CONTENT
    store.assert_tidy()


def test_a_lock_of_the_target_goes_on_over_batches(store: Store, full: Drive) -> None:
    """Its token is submitted: the copy replaces the target at the end, and the lock is on the copy."""
    token = full.lock("/other")
    full.copy("/c", "/other", overwrite=True, tokens=[token])
    assert full.locks("/other") == {token}
    assert full.names("/other") == full.names("/c")
    with pytest.raises(Locked):
        full.put("/other/new")
    full.unlock("/other", token)
    store.assert_tidy()


def test_files_that_a_lock_has_made_are_copied_in_batches_too(store: Store, full: Drive) -> None:
    """As ordinary files; those whose lock has expired not at all."""
    full.lock("/c/sub/over", seconds=10)
    store.clock.advance(seconds=10)
    full.lock("/c/sub/live")
    full.copy("/c", "/d")
    assert set(full.names("/d/sub")) == {*map(str, range(8)), "live"}
    assert not full.stat("/d/sub/live").lock_born
    store.assert_tidy()
