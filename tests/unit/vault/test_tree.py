"""Finding, listing, adding, timing and deleting: every rule and every error of the tree."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.clock import to_nanoseconds
from davserver.errors import (
    AlreadyExists,
    LimitExceeded,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    WrongKind,
)
from davserver.model import ROOT_ID, Node, NodeKind
from davserver.vault import tree as tree_module
from davserver.vault.paths import MAX_DEPTH, MAX_NAME_BYTES, VaultPath
from davserver.vault.tree import LISTING_PAGE
from tests.unit.vault.store import Drive, Store

NFC, NFD = "caf\u00e9", "cafe\u0301"


def refuse(_node: Node | None) -> None:
    """A condition that never holds."""
    raise PreconditionFailed("no")


Attempt = Callable[[Drive], object]

TOUCH_THE_ROOT: dict[str, Attempt] = {
    "delete": lambda drive: drive.delete("/"),
    "move it": lambda drive: drive.move("/", "/b"),
    "move onto it": lambda drive: drive.move("/a", "/", overwrite=True),
    "copy onto it": lambda drive: drive.copy("/a", "/", overwrite=True),
    "put": lambda drive: drive.put("/", b"x"),
}

REFUSED: dict[str, Attempt] = {
    "overwrite": lambda drive: drive.put("/file", b"new", condition=refuse),
    "put": lambda drive: drive.put("/new", b"new", condition=refuse),
    "mkdir": lambda drive: drive.mkdir("/new", condition=refuse),
    "times": lambda drive: drive.times("/file", modified_ns=1, condition=refuse),
    "move": lambda drive: drive.move("/file", "/new", condition=refuse),
    "copy": lambda drive: drive.copy("/file", "/new", condition=refuse),
    "delete": lambda drive: drive.delete("/file", condition=refuse),
}


def test_the_root_always_exists(alice: Drive) -> None:
    """An empty vault has a root with no name, and nothing in it."""
    root = alice.stat("/")
    assert (root.id, root.parent_id, root.name, root.kind) == (ROOT_ID, ROOT_ID, "", NodeKind.COLLECTION)
    assert (root.size, root.etag, root.content) == (0, "", None)
    assert alice.listing() == []


@pytest.mark.parametrize("path", ["/a", "/a/b", "/file/below", "/file/below/that"])
def test_what_is_missing(alice: Drive, path: str) -> None:
    """`find` says None and `stat` NotFound, whether the node itself or a collection on the way is missing."""
    alice.put("/file")
    assert alice.find(path) is None
    with pytest.raises(NotFound):
        alice.stat(path)


def test_a_new_collection(store: Store, alice: Drive) -> None:
    """It is found by its path, empty, with the time it was made."""
    made = alice.mkdir("/a")
    now_ns = to_nanoseconds(store.clock())
    assert alice.stat("/a") == made
    assert (made.kind, made.name, made.parent_id) == (NodeKind.COLLECTION, "a", ROOT_ID)
    assert (made.size, made.etag, made.content, made.version) == (0, "", None, 1)
    assert (made.modified_ns, made.created_ns) == (now_ns, now_ns)
    assert alice.listing("/a") == []
    assert alice.mkdir("/a/b", modified_ns=5).modified_ns == 5


@pytest.mark.parametrize("path", ["/", "/there", "/file"])
def test_a_collection_is_never_made_twice(alice: Drive, path: str) -> None:
    """Nor over a file, nor over the root."""
    alice.mkdir("/there")
    alice.put("/file", b"x")
    with pytest.raises(AlreadyExists):
        alice.mkdir(path)
    assert alice.names() == ["file", "there"]


@pytest.mark.parametrize("path", ["/missing/a", "/file/a", "/missing/b/c"])
def test_a_collection_needs_a_parent(alice: Drive, path: str) -> None:
    """A file is no parent."""
    alice.put("/file")
    with pytest.raises(ParentMissing):
        alice.mkdir(path)
    with pytest.raises(ParentMissing):
        alice.put(path)


def test_a_listing_holds_each_child_once(alice: Drive) -> None:
    """Files and collections as `stat` shows them, neither what lies deeper nor the collection itself."""
    alice.mkdir("/a")
    alice.put("/b", b"x", keep=frozenset({"SHA1", "MD5"}))
    alice.put("/a/deeper")
    found = alice.listing()
    assert sorted(node.name for node in found) == ["a", "b"]
    assert {node.name: node for node in found} == {"a": alice.stat("/a"), "b": alice.stat("/b")}


def test_a_listing_of_a_file_is_refused_at_once(alice: Drive) -> None:
    """Before anybody asks for the first child."""
    alice.put("/file")
    with pytest.raises(WrongKind):
        alice.vault.listing(alice.stat("/file"))


def test_a_listing_never_holds_a_transaction(store: Store, alice: Drive) -> None:
    """A slow reader pins nothing, and one who goes away leaves nothing open."""
    alice.mkdir("/a")
    alice.mkdir("/b")
    children = alice.vault.listing(alice.stat("/"))
    next(children)
    assert store.database.idle
    alice.delete("/b")  # a writer is not kept waiting


@pytest.mark.parametrize("count", [LISTING_PAGE - 1, LISTING_PAGE, LISTING_PAGE + 1])
def test_a_listing_around_the_end_of_a_page(alice: Drive, count: int) -> None:
    """No child is lost or told twice where a page ends."""
    alice.mkdir("/many")
    names = {f"n{number}" for number in range(count)}
    alice.plant("/many", names)
    found = [node.name for node in alice.listing("/many")]
    assert len(found) == count
    assert set(found) == names


def test_a_listing_survives_changes_between_its_pages(alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stays is told exactly once, though a neighbour is deleted and another added between two pages."""
    monkeypatch.setattr(tree_module, "LISTING_PAGE", 2)
    for number in range(6):
        alice.mkdir(f"/n{number}")
    children = alice.vault.listing(alice.stat("/"))
    first = [next(children).name, next(children).name]
    gone = next(f"n{number}" for number in range(6) if f"n{number}" not in first)
    alice.delete(f"/{gone}")
    alice.mkdir("/new")
    found = first + [node.name for node in children]
    assert len(found) == len(set(found))
    assert set(found) - {"new"} == {f"n{number}" for number in range(6)} - {gone}


@pytest.mark.parametrize(("first", "second"), [(NFC, NFD), (NFD, NFC)])
def test_both_spellings_are_one_node_and_the_first_is_kept(alice: Drive, first: str, second: str) -> None:
    """Linux and macOS meet in one file, whose name is given back byte for byte as it was first sent."""
    made = alice.mkdir(f"/{first}")
    inside = alice.put(f"/{second}/{first}", b"1").node
    assert alice.stat(f"/{second}") == made
    assert not alice.put(f"/{first}/{second}", b"22").created
    assert alice.stat(f"/{second}/{second}").id == inside.id
    assert alice.get(f"/{first}/{first}") == b"22"
    assert alice.names() == [first]
    assert alice.names(f"/{second}") == [first]
    with pytest.raises(AlreadyExists):
        alice.mkdir(f"/{second}")
    with pytest.raises(NotPermitted):  # source and target are the same
        alice.move(f"/{first}", f"/{second}", overwrite=True)
    alice.delete(f"/{second}")
    assert alice.names() == []


@pytest.mark.parametrize(
    "name",
    [
        "x" * MAX_NAME_BYTES,
        "\u00e9" * 127,
        "\U0001f600" * 63,
        " ",
        " a ",
        "a\\b",
        "%2F",
        "con.",
        ".git",
        "\u202egnp.exe",
        "A",
    ],
)
def test_names_come_back_as_they_were_sent(alice: Drive, name: str) -> None:
    """The longest and the strangest names, in every operation that stores one."""
    path = f"/{name}"
    alice.put(path, b"content")
    alice.mkdir("/c")
    alice.move(path, f"/c/{name}")
    alice.copy(f"/c/{name}", path)
    assert alice.names("/c") == [name]
    assert alice.get(path) == b"content"


def test_names_that_differ_only_in_case_are_two(alice: Drive) -> None:
    """As on every file system that rclone syncs from."""
    alice.put("/a", b"1")
    alice.put("/A", b"2")
    assert (alice.get("/a"), alice.get("/A")) == (b"1", b"2")


def test_equal_names_in_two_collections_do_not_look_alike(store: Store, alice: Drive, bob: Drive) -> None:
    """Nor in two accounts: the database does not tell that there are two of a name."""
    alice.mkdir("/same")
    alice.mkdir("/same/same")
    bob.mkdir("/same")
    sealed = [row for (row,) in store.sql("SELECT name_sealed FROM node WHERE name_sealed != x''")]
    assert len(sealed) == len(set(sealed)) == 3


def test_times_are_set_one_by_one(store: Store, alice: Drive) -> None:
    """Content, ETag and the other time stay, before 1970 too."""
    before = alice.put("/a", b"content", modified_ns=10, created_ns=20).node
    changed = alice.times("/a", modified_ns=-1)
    assert alice.stat("/a") == changed
    assert (changed.modified_ns, changed.created_ns) == (-1, 20)
    assert (changed.etag, changed.size, changed.content) == (before.etag, before.size, before.content)
    assert changed.version == before.version + 1
    assert alice.times("/a", created_ns=30).modified_ns == -1
    assert alice.stat("/a").created_ns == 30
    assert alice.get("/a") == b"content"
    assert alice.times("/", modified_ns=7) == alice.stat("/")
    assert store.problems() == []


def test_times_of_what_is_missing(alice: Drive) -> None:
    """NotFound."""
    with pytest.raises(NotFound):
        alice.times("/a", modified_ns=1)


@pytest.mark.parametrize("when", [1 << 63, -(1 << 63) - 1])
def test_times_that_do_not_fit_are_refused(alice: Drive, when: int) -> None:
    """64 bits with a sign; nothing is cut off."""
    alice.put("/a", b"1")
    with pytest.raises(LimitExceeded):
        alice.times("/a", modified_ns=when)
    with pytest.raises(LimitExceeded):
        alice.put("/a", b"2", modified_ns=when)
    assert alice.get("/a") == b"1"


def test_delete_takes_everything_below(store: Store, alice: Drive) -> None:
    """And nothing beside it; the bytes give way at once, or are free if nothing is kept."""
    alice.mkdir("/a")
    alice.mkdir("/a/b")
    alice.put("/a/b/c", b"123")
    alice.put("/ab", b"4567")
    alice.delete("/a")
    assert alice.tree() == {"/ab": b"4567"}
    assert (alice.used, alice.live) == (7, 4)
    store.keep(keep_days=0)
    store.collect()
    alice.put("/again", b"1")
    alice.delete("/again")
    assert alice.used == 4
    assert store.sql("SELECT count(*) FROM node WHERE parent_id != ?", ROOT_ID) == [(0,)]
    store.assert_tidy()


@pytest.mark.parametrize("path", ["/a", "/a/b", "/file/x"])
def test_delete_what_is_missing(alice: Drive, path: str) -> None:
    """NotFound, also below a file."""
    alice.put("/file")
    with pytest.raises(NotFound):
        alice.delete(path)


@pytest.mark.parametrize("attempt", TOUCH_THE_ROOT.values(), ids=TOUCH_THE_ROOT)
def test_the_root_stays(alice: Drive, attempt: Attempt) -> None:
    """It cannot be deleted, moved, replaced or overwritten."""
    alice.mkdir("/a")
    with pytest.raises(NotPermitted):
        attempt(alice)
    assert alice.names() == ["a"]


@pytest.mark.parametrize("attempt", REFUSED.values(), ids=REFUSED)
def test_a_condition_stops_everything(store: Store, alice: Drive, attempt: Attempt) -> None:
    """Whatever the request, nothing has changed when the condition does not hold."""
    alice.put("/file", b"old")
    before = alice.stat("/file")
    with pytest.raises(PreconditionFailed):
        attempt(alice)
    assert alice.tree() == {"/file": b"old"}
    assert alice.stat("/file") == before
    assert alice.used == 3
    store.assert_tidy()


def test_a_condition_sees_the_current_state(alice: Drive) -> None:
    """The target of PUT and MKCOL (None if there is none), the source of MOVE and COPY."""
    seen: list[Node | None] = []
    alice.mkdir("/c", condition=seen.append)
    alice.put("/a", condition=seen.append)
    a = alice.stat("/a")
    alice.copy("/a", "/b", condition=seen.append)
    alice.move("/a", "/c/a", condition=seen.append)
    alice.times("/c/a", modified_ns=0, condition=seen.append)
    moved = seen[-1]
    alice.delete("/b", condition=seen.append)
    assert seen[:5] == [None, None, None, a, a]
    assert moved is not None
    assert (moved.id, moved.version) == (a.id, 2)
    assert seen[-1] is not None
    assert seen[-1].name == "b"


def test_two_accounts_are_strangers(alice: Drive, bob: Drive) -> None:
    """The same path is another file; a node of one means nothing in the vault of the other."""
    alice.mkdir("/c")
    alice.put("/a", b"alice")
    bob.put("/a", b"bob")
    assert (alice.get("/a"), bob.get("/a")) == (b"alice", b"bob")
    assert alice.stat("/a").etag != bob.stat("/a").etag
    assert list(bob.vault.listing(alice.stat("/c"))) == []
    bob.delete("/a")
    assert alice.get("/a") == b"alice"
    assert (alice.live, bob.live) == (5, 0)
    assert (alice.kept(), bob.kept()) == ({}, {"/a": b"bob"})


def test_a_path_at_the_limit_of_depth(alice: Drive) -> None:
    """256 collections deep, and back."""
    alice.plant_chain(["d"] * (MAX_DEPTH - 1))
    path = VaultPath(("d",) * MAX_DEPTH)
    made = alice.vault.make_collection(path)
    assert alice.vault.stat(path) == made
    alice.delete("/d")
    assert alice.names() == []
