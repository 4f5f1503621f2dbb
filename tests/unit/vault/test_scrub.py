"""`verify`: it finds every kind of damage, names it by id, and finds nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from davserver.model import ROOT_ID, BlobId
from davserver.vault import scrub
from davserver.vault.paths import VaultPath
from davserver.vault.scrub import Finding, VerifyReport
from tests.unit.vault.store import Drive, Store

SMALL = b"small"
LARGE = bytes(range(251)) * 300


@pytest.fixture
def full(alice: Drive, bob: Drive) -> Drive:
    """Two accounts with files of both kinds, a copy, and something deleted but not yet collected."""
    alice.put("/small", SMALL)
    alice.mkdir("/c")
    alice.put("/c/large", LARGE)
    alice.copy("/c", "/copy")
    alice.put("/gone", LARGE)
    alice.delete("/gone")
    bob.put("/large", LARGE)
    return alice


def findings(store: Store) -> list[Finding]:
    """What `verify` finds, without the ids."""
    return [problem.finding for problem in store.problems()]


def blob_of(drive: Drive, path: str) -> BlobId:
    """Which blob is behind a file."""
    content = drive.stat(path).content
    assert content is not None
    return content.blob_id


def test_a_clean_store(store: Store, full: Drive) -> None:
    """Nothing found; shared content is read once; everything is counted, what is in the trash too."""
    assert full.names() == ["c", "copy", "small"]
    assert store.verify() == VerifyReport(
        accounts=2, nodes=2 + 7, blobs=4, bytes=len(SMALL) + 3 * len(LARGE), problems=[]
    )


def test_verify_changes_nothing(store: Store, full: Drive) -> None:
    """Not even what is broken."""
    store.sql("UPDATE account SET used = used + 1")
    before = [store.sql(f"SELECT * FROM {table}") for table in ("account", "node", "blob", "inline_blob")]  # noqa: S608
    stored = store.stored()
    assert store.problems() != []
    assert before == [
        store.sql(f"SELECT * FROM {table}")  # noqa: S608
        for table in ("account", "node", "blob", "inline_blob")
    ]
    assert store.stored() == stored
    assert full.get("/small") == SMALL


def test_small_pages_find_the_same(store: Store, full: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is skipped or counted twice where one page of rows ends."""
    whole = store.verify()
    for size in (1, 2, 3):
        monkeypatch.setattr(scrub, "BATCH_ROWS", size)
        assert store.verify() == whole
    assert full.names() != []


def test_progress_is_told(store: Store, full: Drive) -> None:
    """One step a node, up to their number."""
    steps: list[tuple[int, int]] = []
    store.maintenance.verify(lambda done, total: steps.append((done, total)))
    assert steps == [(number, 9) for number in range(1, 10)]
    assert full.names() != []


def test_a_wrong_counter(store: Store, full: Drive) -> None:
    """The count of stored bytes is recomputed."""
    store.sql("UPDATE account SET used = used - 1 WHERE account_id = ?", full.principal.account.id)
    (problem,) = store.problems()
    account_id = full.principal.account.id
    assert (problem.finding, problem.account_id, problem.object_id) == (
        Finding.COUNTER_WRONG,
        account_id,
        account_id,
    )


def test_a_wrong_counter_of_what_is_kept(store: Store, full: Drive) -> None:
    """It is recomputed as well."""
    store.sql("UPDATE account SET kept = kept - 1 WHERE account_id = ?", full.principal.account.id)
    assert findings(store) == [Finding.COUNTER_WRONG]


@pytest.fixture
def kept(full: Drive) -> dict[str, bytes]:
    """Ids of a version, of a collection in the trash, and of a file there."""
    full.put("/small", b"new")
    full.mkdir("/thrown")
    full.put("/thrown/f", SMALL)
    full.delete("/thrown")
    entries = {entry.node.name: bytes(entry.id) for entry in full.vault.trash()}
    version = full.vault.versions(VaultPath.parse("/small"))[0].id
    return {"version": version, "collection": entries["thrown"], "file": entries["gone"]}


@pytest.mark.parametrize("which", ["version", "collection", "file"])
@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM kept",
        "UPDATE kept SET kept_at = kept_at + 1",
        "UPDATE kept SET kept_at = 'then'",
        "UPDATE kept SET kind = 3 - kind",
        "UPDATE kept SET bytes = bytes + 1",
    ],
)
def test_a_wrong_note_of_what_is_kept(store: Store, kept: dict[str, bytes], which: str, change: str) -> None:
    """Each says of its node what the node says itself, and each node that is kept has one."""
    store.sql(f"{change} WHERE node_id = ?", kept[which])
    assert [(one.finding, one.object_id) for one in store.problems()] == [(Finding.KEPT_ALTERED, kept[which])]


def test_something_in_the_trash_that_was_altered(store: Store, kept: dict[str, bytes]) -> None:
    """As any node; and a version that has lost its file is unreachable."""
    store.sql("UPDATE node SET version = version + 1 WHERE node_id = ?", kept["file"])
    assert set(findings(store)) == {Finding.NODE_ALTERED, Finding.KEPT_ALTERED}
    store.sql("UPDATE node SET version = version - 1 WHERE node_id = ?", kept["file"])
    store.sql(
        "DELETE FROM node WHERE node_id IN (SELECT parent_id FROM node WHERE node_id = ?)", kept["version"]
    )
    assert set(findings(store)) == {Finding.NODE_UNREACHABLE, Finding.COUNTER_WRONG}


def test_a_file_that_was_removed_from_the_tree(store: Store, full: Drive) -> None:
    """A row that is gone leaves a wrong count behind."""
    store.sql("DELETE FROM node WHERE node_id = ?", full.stat("/c/large").id)
    assert findings(store) == [Finding.COUNTER_WRONG]


def test_a_collection_that_was_removed_from_the_tree(store: Store, full: Drive) -> None:
    """What was in it has lost its parent."""
    lost = full.stat("/c/large").id
    store.sql("DELETE FROM node WHERE node_id = ?", full.stat("/c").id)
    problems = store.problems()
    assert {problem.finding for problem in problems} == {Finding.NODE_UNREACHABLE, Finding.COUNTER_WRONG}
    assert lost in {problem.object_id for problem in problems}


def test_a_root_that_was_removed(store: Store, full: Drive) -> None:
    """Everything below it is unreachable."""
    store.sql("DELETE FROM node WHERE node_id = ? AND account_id = ?", ROOT_ID, full.principal.account.id)
    assert findings(store).count(Finding.NODE_UNREACHABLE) == 3


@pytest.mark.parametrize("path", ["/small", "/c/large"])
def test_a_content_whose_row_is_gone(store: Store, full: Drive, path: str) -> None:
    """And, where it was in the blob store, a blob that nobody knows any more."""
    blob_id = blob_of(full, path)
    store.sql("DELETE FROM blob WHERE blob_id = ?", blob_id)
    store.sql("DELETE FROM inline_blob WHERE blob_id = ?", blob_id)
    problems = store.problems()
    assert Finding.CONTENT_ALTERED in {one.finding for one in problems if one.object_id == blob_id}
    assert (Finding.ORPHAN in {one.finding for one in problems}) == (path == "/c/large")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "first byte": lambda path: path.write_bytes(b"\0" + path.read_bytes()[1:]),
    "last byte": lambda path: path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1])),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "salt": lambda path: path.write_bytes(path.read_bytes()[:30] + bytes(8) + path.read_bytes()[38:]),
    "a chunk": lambda path: path.write_bytes(
        path.read_bytes()[:70_000] + bytes(8) + path.read_bytes()[70_008:]
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_blob(store: Store, full: Drive, damage: Callable[[Path], object]) -> None:
    """Told once, although two files name it."""
    blob_id = blob_of(full, "/c/large")
    damage(store.blob_path(blob_id))
    (problem,) = store.problems()
    account_id = full.principal.account.id
    assert (problem.finding, problem.account_id, problem.object_id) == (
        Finding.CONTENT_ALTERED,
        account_id,
        blob_id,
    )


def test_an_orphan(store: Store, full: Drive) -> None:
    """A blob in the store that the database does not know."""
    unknown = BlobId(b"\7" * 16)
    with store.blobs.inner.create(unknown) as writer:
        writer.write(b"x")
        writer.commit()
    (problem,) = store.problems()
    assert (problem.finding, problem.account_id, problem.object_id) == (Finding.ORPHAN, None, unknown)
    assert full.names() != []


def test_a_blob_that_goes_while_the_store_is_read_is_no_orphan(store: Store, full: Drive) -> None:
    """Garbage collection may be quicker than the scan."""
    doomed = {row for (row,) in store.sql("SELECT blob_id FROM blob WHERE unreferenced_at IS NOT NULL")}
    stored = list(store.blobs.inner.ids())
    assert doomed <= set(stored)
    with store.tripwire.armed(store.tripwire.once("sql SELECT blob.blob_id \nFROM blob", store.collect)):
        assert store.problems() == []
    assert doomed.isdisjoint(store.stored())
    assert full.names() != []


@pytest.mark.parametrize("change", ["delete", "overwrite"])
def test_a_file_that_changes_meanwhile_is_not_reported(store: Store, full: Drive, change: str) -> None:
    """Verify runs beside a server: the bytes it wanted are gone for a good reason."""

    def act() -> None:
        if change == "delete":
            full.delete("/c/large")
            full.delete("/copy")
        else:
            full.put("/c/large", b"new")
            full.put("/copy/large", b"new")
        store.collect()

    with store.tripwire.armed(store.tripwire.once("open", act)):
        problems = store.problems()
    assert problems == []


def test_findings_do_not_name_anything(store: Store, full: Drive) -> None:
    """Ids only: a report can be shown to anybody."""
    assert full.names() == ["c", "copy", "small"]
    store.sql("UPDATE node SET metadata_sealed = zeroblob(200) WHERE blob_id IS NOT NULL")
    text = repr(store.problems())
    assert Finding.NODE_ALTERED.name in text
    for name in ("small", "large", "copy"):
        assert name not in text
