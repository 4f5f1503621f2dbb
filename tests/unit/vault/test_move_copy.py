"""MOVE and COPY: what they allow, what they refuse, what they leave behind (RFC 4918, 9.8 and 9.9)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.clock import to_nanoseconds
from davserver.errors import (
    DavserverError,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    TargetInsideSource,
)
from tests.unit.vault.store import Drive, Store

BIG = bytes(range(256)) * 300  # more than one chunk: lives in the blob store

TREE: dict[str, bytes | None] = {
    "/a": None,
    "/a/b": None,
    "/a/b/c": None,
    "/a/b/c/deep": b"deep",
    "/a/big": BIG,
    "/file": b"file",
    "/other": None,
    "/other/x": b"xx",
}


@pytest.fixture
def full(alice: Drive) -> Drive:
    """Alice's vault with `TREE` in it."""
    for path, content in TREE.items():
        if content is None:
            alice.mkdir(path)
        else:
            alice.put(path, content)
    return alice


def below(path: str, tree: dict[str, bytes | None]) -> dict[str, bytes | None]:
    """A part of a tree, with paths relative to it."""
    return {name.removeprefix(path): value for name, value in tree.items() if name.startswith(path)}


def bytes_in(tree: dict[str, bytes | None]) -> int:
    """What a tree counts in the quota."""
    return sum(len(content) for content in tree.values() if content)


def test_move_of_a_collection_takes_everything_along(store: Store, full: Drive) -> None:
    """Nothing below it changes: ids, content, times; the old name is free."""
    before = full.stat("/a/b/c/deep")
    a = full.stat("/a")
    moved = full.move("/a", "/other/new")
    assert moved.created
    assert moved.node == full.stat("/other/new")
    assert (moved.node.id, moved.node.modified_ns) == (a.id, a.modified_ns)
    assert full.stat("/other/new/b/c/deep") == before
    assert below("/other/new", full.tree()) == below("/a", TREE)
    assert full.find("/a") is None
    assert full.used == bytes_in(TREE)
    store.assert_tidy()


def test_move_is_one_row(store: Store, full: Drive) -> None:
    """However much lies below."""
    rows = set(store.sql("SELECT * FROM node"))
    full.move("/a", "/b")
    assert len(set(store.sql("SELECT * FROM node")) - rows) == 1


def test_move_of_a_file_over_a_file(store: Store, full: Drive) -> None:
    """The source keeps its id, and what was there is what it was before; its bytes still count."""
    file = full.stat("/file")
    placed = full.move("/file", "/other/x", overwrite=True)
    assert (placed.created, placed.node.id, placed.node.etag) == (False, file.id, file.etag)
    assert full.get("/other/x") == b"file"
    assert full.find("/file") is None
    assert (full.used, full.live) == (bytes_in(TREE), bytes_in(TREE) - 2)
    assert full.before("/other/x") == [b"xx"]
    store.assert_tidy()


@pytest.mark.parametrize(("source", "target"), [("/file", "/a"), ("/a", "/file"), ("/a", "/other")])
@pytest.mark.parametrize("verb", [Drive.move, Drive.copy], ids=["move", "copy"])
def test_overwrite_replaces_the_whole_target(
    store: Store, full: Drive, source: str, target: str, verb: Callable[..., object]
) -> None:
    """A collection is replaced and never merged, whatever kind takes its place."""
    content = {source: full.get(source)} if source == "/file" else below(source, full.tree())
    verb(full, source, target, overwrite=True)
    after = full.tree()
    assert below(target, after) == {("" if path == source else path): data for path, data in content.items()}
    assert (source in after) == (verb is Drive.copy)
    assert full.live == bytes_in(after)
    assert list(full.kept()) == [target]
    store.assert_tidy()


def test_a_new_name_may_come_with_a_new_time(full: Drive) -> None:
    """X-OC-Mtime on MOVE and COPY; otherwise the source's time stays."""
    full.put("/timed", b"x", modified_ns=5, created_ns=6)
    assert full.copy("/timed", "/copy").node.modified_ns == 5
    assert full.copy("/timed", "/copy2", modified_ns=7).node.modified_ns == 7
    assert full.move("/timed", "/moved", modified_ns=9).node.modified_ns == 9
    for path, modified in {"/copy": 5, "/copy2": 7, "/moved": 9}.items():
        assert (full.stat(path).modified_ns, full.stat(path).created_ns) == (modified, 6)


def test_copy_is_another_file_with_the_same_content(store: Store, full: Drive) -> None:
    """Digests and ETag come along; changing or deleting one does not touch the other."""
    full.put("/sum", b"content", keep=frozenset({"SHA1", "MD5"}))
    source = full.stat("/sum")
    placed = full.copy("/sum", "/copy")
    copy = full.stat("/copy")
    assert placed.created
    assert placed.node == copy
    assert copy.id != source.id
    assert (copy.sha1, copy.md5, copy.etag, copy.size) == (source.sha1, source.md5, source.etag, source.size)
    full.put("/copy", b"changed")
    assert full.get("/sum") == b"content"
    full.delete("/sum")
    store.assert_tidy()
    assert full.get("/copy") == b"changed"


def test_copy_of_a_collection(store: Store, full: Drive) -> None:
    """All of it, counted in full although no byte is stored twice."""
    stored = store.stored()
    placed = full.copy("/a", "/other/a")
    assert placed.created
    assert placed.node == full.stat("/other/a")
    after = full.tree()
    assert below("/other/a", after) == below("/a", TREE) == below("/a", after)
    assert full.used == bytes_in(after) == bytes_in(TREE) + bytes_in(below("/a", TREE))
    assert store.stored() == stored
    full.delete("/a")
    store.assert_tidy()
    assert full.get("/other/a/big") == BIG


def test_copy_without_depth(full: Drive) -> None:
    """Depth 0 copies the collection and nothing in it."""
    full.copy("/a", "/shallow", recursive=False)
    assert full.listing("/shallow") == []
    assert full.stat("/shallow").modified_ns == full.stat("/a").modified_ns
    full.copy("/file", "/file2", recursive=False)
    assert full.get("/file2") == b"file"


def test_copy_of_a_copy(store: Store, full: Drive) -> None:
    """A content lives as long as one file names it."""
    store.keep(keep_days=0)
    full.copy("/a/big", "/1")
    full.copy("/1", "/2")
    for path in ("/a/big", "/1"):
        full.delete(path)
        store.assert_tidy()
        assert full.get("/2") == BIG
    full.delete("/2")
    store.assert_tidy()
    assert store.stored() == set()


REFUSED: dict[str, tuple[str, str, bool, type[DavserverError]]] = {
    "missing": ("/missing", "/new", True, NotFound),
    "below a file": ("/file/x", "/new", True, NotFound),
    "no parent": ("/file", "/missing/new", True, ParentMissing),
    "file as parent": ("/a", "/file/new", True, ParentMissing),
    "taken": ("/file", "/other/x", False, PreconditionFailed),
    "taken collection": ("/a", "/other", False, PreconditionFailed),
    "onto itself": ("/file", "/file", True, NotPermitted),
    "collection onto itself": ("/a", "/a", True, NotPermitted),
    "onto itself without overwrite": ("/a", "/a", False, NotPermitted),
    "into itself": ("/a", "/a/new", True, TargetInsideSource),
    "deep into itself": ("/a", "/a/b/c/new", True, TargetInsideSource),
    "into itself over a child": ("/a", "/a/b", True, TargetInsideSource),
    "file over its parent": ("/a/big", "/a", True, TargetInsideSource),
    "file over an ancestor": ("/a/b/c/deep", "/a", True, TargetInsideSource),
    "collection over an ancestor": ("/a/b/c", "/a", True, TargetInsideSource),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("verb", [Drive.move, Drive.copy], ids=["move", "copy"])
def test_what_is_refused_changes_nothing(
    store: Store, full: Drive, case: tuple[str, str, bool, type[DavserverError]], verb: Callable[..., object]
) -> None:
    """Every rule, with the error that says which."""
    source, target, overwrite, error = case
    rows = (
        store.sql("SELECT * FROM node"),
        store.sql("SELECT * FROM blob"),
        store.sql("SELECT * FROM account"),
    )
    with pytest.raises(error):
        verb(full, source, target, overwrite=overwrite)
    assert rows == (
        store.sql("SELECT * FROM node"),
        store.sql("SELECT * FROM blob"),
        store.sql("SELECT * FROM account"),
    )
    assert full.tree() == TREE


def test_the_root_cannot_be_copied_into_itself(full: Drive) -> None:
    """Every target lies inside it."""
    with pytest.raises(TargetInsideSource):
        full.copy("/", "/new")


def test_structure_version_rises_only_when_cached_look_ups_are_void(store: Store, full: Drive) -> None:
    """MOVE and DELETE of a collection, also where it is replaced; nothing else."""

    def raised_by(action: Callable[[], object]) -> int:
        before = store.sql("SELECT structure_version FROM account WHERE username = 'alice'")[0][0]
        action()
        after = store.sql("SELECT structure_version FROM account WHERE username = 'alice'")[0][0]
        return int(after - before)

    assert raised_by(lambda: full.mkdir("/n")) == 0
    assert raised_by(lambda: full.put("/f", b"1")) == 0
    assert raised_by(lambda: full.move("/f", "/g")) == 0
    assert raised_by(lambda: full.copy("/a", "/a2")) == 0
    assert raised_by(lambda: full.delete("/g")) == 0
    assert raised_by(lambda: full.move("/n", "/m")) == 1
    assert raised_by(lambda: full.copy("/file", "/m", overwrite=True)) == 1
    assert raised_by(lambda: full.delete("/a2")) == 1


def test_times_are_not_touched_by_the_clock(store: Store, full: Drive) -> None:
    """MOVE and COPY keep the time of the last change: rclone compares it."""
    then = to_nanoseconds(store.clock())
    store.clock.advance(hours=1)
    assert full.move("/a", "/a2").node.modified_ns == then
    assert full.copy("/a2", "/a").node.modified_ns == then
    assert full.stat("/a/b/c/deep").modified_ns == then
