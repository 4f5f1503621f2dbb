"""Dead properties: all or nothing, within limits, few in memory at a time, and always with their node."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.errors import CorruptRow, Locked, NotFound, NotPermitted, PreconditionFailed, TooMany
from davserver.model import Node, Scope
from davserver.vault import copying, properties
from davserver.vault.properties import (
    MAX_BYTES_AT_ONCE,
    MAX_BYTES_PER_NODE,
    MAX_NAME_BYTES,
    MAX_PER_NODE,
    MAX_VALUE_BYTES,
    by_node,
)
from davserver.vault.scrub import Finding
from tests.unit.vault.store import Drive, Store

LARGE = "v" * MAX_VALUE_BYTES

NAMES = [
    "bare",
    "{DAV:}x",
    "{u}%s",
    "{http://a/b?c=d&e=f#g}h",
    "{\"'<>&%}x",
    "{a}b}c",
    "{urn:ü}Ω\U0001f512",
    "{ }e\u0301",
    "{ }\u00e9",
    "{u}" + "n" * (MAX_NAME_BYTES - 3),
]


@pytest.fixture
def full(alice: Drive) -> Drive:
    """/c with f and sub/g, /e."""
    alice.mkdir("/c")
    alice.mkdir("/c/sub")
    for path in ("/c/f", "/c/sub/g", "/e"):
        alice.put(path, b"old")
    return alice


def listed(drive: Drive, path: str) -> dict[str, dict[str, str]]:
    """The properties of each member of a collection."""
    found = drive.vault.listing_with_properties(drive.stat(path))
    return {node.name: dict(values) for node, values in found}


def rows(store: Store) -> int:
    """Rows of the table."""
    ((number,),) = store.sql("SELECT count(*) FROM property")
    return int(number)


# ── set and remove ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["/", "/c", "/c/f"])
def test_every_name_and_value_comes_back(full: Drive, path: str) -> None:
    """Whatever is in them; names that differ at all are different properties."""
    wanted = {name: f"<x>{name}\n\t\x85</x>" for name in NAMES}
    full.patch(path, wanted)
    assert full.properties(path) == wanted
    for name in NAMES:
        full.patch(path, {name: ""})
        assert full.properties(path) == wanted | {name: ""}
        full.patch(path, {name: None})
        del wanted[name]
        assert full.properties(path) == wanted


def test_changes_are_one(full: Drive) -> None:
    """Some set, some replaced, some removed, in one step; what is not mentioned stays."""
    full.patch("/e", {"a": "1", "b": "2", "c": "3"})
    full.patch("/e", {"a": None, "b": "22", "d": "4", "missing": None})
    assert full.properties("/e") == {"b": "22", "c": "3", "d": "4"}


def test_content_and_version_stay(full: Drive) -> None:
    """A property is not the file: neither ETag nor time nor quota changes."""
    before, used = full.stat("/e"), full.used
    full.patch("/e", {"a": LARGE})
    assert (full.stat("/e"), full.used) == (before, used)


def test_times_and_properties_are_one(full: Drive) -> None:
    """One PROPPATCH sets both; if one part cannot be, the other is not."""
    full.patch("/e", {"a": "1"}, modified_ns=5)
    assert (full.stat("/e").modified_ns, full.properties("/e")) == (5, {"a": "1"})
    with pytest.raises(TooMany):
        full.patch("/e", {"a": LARGE + "v"}, modified_ns=6)
    assert (full.stat("/e").modified_ns, full.properties("/e")) == (5, {"a": "1"})


def refuse(_node: Node | None) -> None:
    """A condition that never holds."""
    raise PreconditionFailed("no")


def test_what_cannot_be_changed(full: Drive) -> None:
    """Nothing there, a condition, a lock, a scope: refused, and nothing is written."""
    with pytest.raises(NotFound):
        full.patch("/missing", {"a": "1"})
    with pytest.raises(PreconditionFailed):
        full.patch("/e", {"a": "1"}, condition=refuse)
    with pytest.raises(NotPermitted):
        full.narrowed(Scope.FULL & ~Scope.PROPERTIES).patch("/e", {"a": "1"})
    full.lock("/e")
    for changes in ({"a": "1"}, {"a": None}, {}):
        with pytest.raises(Locked):
            full.patch("/e", changes)
    assert rows(full.store) == 0


def test_looking_needs_its_scope(full: Drive) -> None:
    """As a listing does, and at once."""
    node, root = full.stat("/e"), full.stat("/")
    without = full.narrowed(Scope.FULL & ~Scope.LIST)
    with pytest.raises(NotPermitted):
        without.vault.dead_properties(node)
    with pytest.raises(NotPermitted):
        without.vault.listing_with_properties(root)


def test_properties_are_of_one_account(full: Drive, bob: Drive) -> None:
    """Handing over a node does not hand over what hangs on it."""
    full.patch("/e", {"a": "1"})
    assert bob.vault.dead_properties(full.stat("/e")) == {}


# ── limits (T28) ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("character", ["v", "ü", "\U0001f512"])
def test_the_longest_value(full: Drive, character: str) -> None:
    """64 KiB in UTF-8 to the byte, also when it replaces another one."""
    longest = character * (MAX_VALUE_BYTES // len(character.encode()))
    full.patch("/e", {"a": longest})
    with pytest.raises(TooMany):
        full.patch("/e", {"a": longest + "v", "b": "1"})
    assert full.properties("/e") == {"a": longest}
    full.patch("/e", {"a": longest})


def test_the_longest_name(full: Drive) -> None:
    """1 KiB in UTF-8, with its namespace."""
    longest = "{ü}" + "n" * (MAX_NAME_BYTES - 4)
    full.patch("/e", {longest: "1"})
    with pytest.raises(TooMany):
        full.patch("/e", {longest + "n": "1"})
    assert full.properties("/e") == {longest: "1"}


def test_the_most_properties(full: Drive) -> None:
    """100 of one node; replaced and removed ones do not count twice, and each node has its own."""
    full.patch("/e", {f"p{number}": "1" for number in range(MAX_PER_NODE - 1)})
    full.patch("/e", {"last": "1"})
    with pytest.raises(TooMany):
        full.patch("/e", {"more": "1"})
    with pytest.raises(TooMany):
        full.patch("/e", {"p0": None, "more": "1", "even more": "1"})
    assert len(full.properties("/e")) == MAX_PER_NODE
    full.patch("/e", {"p0": None, "more": "1"})
    full.patch("/e", dict.fromkeys(full.properties("/e"), "2"))
    assert full.properties("/e") == dict.fromkeys(full.properties("/e"), "2")
    full.patch("/c", {"more": "1"})
    with pytest.raises(TooMany):
        full.patch("/c/f", {f"p{number}": "1" for number in range(MAX_PER_NODE + 1)})
    assert full.properties("/c/f") == {}


def test_the_most_bytes(full: Drive) -> None:
    """1 MiB of one node: 15 values of 64 KiB and most of another one; what is replaced makes room."""
    fits = MAX_BYTES_PER_NODE // MAX_VALUE_BYTES - 1
    for number in range(fits):
        full.patch("/e", {f"p{number}": LARGE})
    with pytest.raises(TooMany):
        full.patch("/e", {"more": LARGE, "even more": "v"})
    full.patch("/e", {"more": "v" * (MAX_VALUE_BYTES - 2048)})
    with pytest.raises(TooMany):
        full.patch("/e", {"even more": "v" * 4096})
    full.patch("/e", {"p0": None, "even more": "v" * 4096})
    assert len(full.properties("/e")) == fits + 1
    full.patch("/c", {f"p{number}": LARGE for number in range(fits + 1)})
    with pytest.raises(TooMany):
        full.patch("/c/f", {f"p{number}": LARGE for number in range(fits + 2)})


# ── memory ──────────────────────────────────────────────────────────────────────────────────────────────────
def heavy(drive: Drive, nodes: int) -> None:
    """A collection of members with nearly 1 MiB of properties each, and light ones between them."""
    drive.mkdir("/many")
    for number in range(nodes):
        drive.put(f"/many/light{number}")
        drive.mkdir(f"/many/heavy{number}")
        drive.patch(f"/many/heavy{number}", {f"p{each}": LARGE for each in range(15)})


def test_few_properties_are_in_memory_at_a_time(
    store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of nodes up to 4 MiB, or of one: as many reads as that takes, and every node once, in order."""
    heavy(alice, 10)
    nodes = alice.listing("/many")
    access = store.vaults.access(alice.principal)
    for limit, reads in ((MAX_BYTES_AT_ONCE, 3), (1, 10), (100 * MAX_BYTES_AT_ONCE, 1)):
        monkeypatch.setattr(properties, "MAX_BYTES_AT_ONCE", limit)
        with store.tripwire.armed() as steps:
            found = [(node.name, len(values)) for node, values in by_node(access, nodes)]
        assert found == [(node.name, 15 if "heavy" in node.name else 0) for node in nodes]
        assert len([step for step in steps if "property.name_sealed" in step]) == reads


def test_no_transaction_is_open_while_a_listing_is_sent(store: Store, full: Drive) -> None:
    """A slow client must not pin the write-ahead log."""
    full.patch("/c/f", {"a": "1"})
    found = by_node(store.vaults.access(full.principal), full.listing("/c"))
    assert [store.database.idle for _ in found] == [True, True]


def test_a_listing_without_properties_costs_one_look(store: Store, alice: Drive) -> None:
    """However many members: their sizes are asked for once a page."""
    alice.plant("/", [f"n{number}" for number in range(300)])
    root = alice.stat("/")
    with store.tripwire.armed() as steps:
        assert len(list(alice.vault.listing_with_properties(root))) == 300
    assert len([step for step in steps if "FROM property" in step]) == 1


def test_an_empty_collection_has_no_members_with_properties(full: Drive) -> None:
    """And asks for none."""
    full.mkdir("/empty")
    assert listed(full, "/empty") == {}
    with full.store.tripwire.armed() as steps:
        listed(full, "/empty")
    assert not [step for step in steps if "FROM property" in step]


def test_members_are_listed_with_their_own(full: Drive) -> None:
    """Not those of the collection, nor of what lies deeper."""
    for path in ("/c", "/c/f", "/c/sub/g"):
        full.patch(path, {"a": path})
    assert listed(full, "/c") == {"f": {"a": "/c/f"}, "sub": {}}


def test_a_node_that_went_meanwhile_has_none(store: Store, full: Drive) -> None:
    """Gone for good between the looks at sizes and at values: no error in the middle of a listing."""
    store.keep(keep_days=0)
    full.patch("/c/f", {"a": "1"})
    nodes = full.listing("/c")
    found = by_node(store.vaults.access(full.principal), nodes)
    store.database.after_read = lambda: full.delete("/c/f")
    assert {node.name: dict(values) for node, values in found} == {"f": {}, "sub": {}}


# ── where they go ───────────────────────────────────────────────────────────────────────────────────────────
ALL = {"/c": "1", "/c/f": "2", "/c/sub": "3", "/c/sub/g": "4"}


@pytest.fixture
def dressed(full: Drive) -> Drive:
    """Every node of /c has a property."""
    for path, value in ALL.items():
        full.patch(path, {"a": value, f"{{u}}{value}": ""})
    return full


def below(drive: Drive, top: str) -> dict[str, str]:
    """The property `a` of a copy of /c, by the path that it is a copy of."""
    return {path: drive.properties(top + path.removeprefix("/c")).get("a", "") for path in ALL}


@pytest.mark.parametrize("batch", [1000, 2, 1])
def test_a_copy_has_the_same_properties(
    store: Store, dressed: Drive, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """RFC 4918, 9.8.2, in one transaction or in batches; later changes of one do not show in the other."""
    monkeypatch.setattr(copying, "BATCH_NODES", batch)
    dressed.copy("/c", "/d")
    assert below(dressed, "/d") == ALL
    assert dressed.properties("/d/f") == dressed.properties("/c/f")
    dressed.patch("/d/f", {"a": "changed"})
    dressed.patch("/c/sub", {"a": None})
    assert below(dressed, "/c") == ALL | {"/c/sub": ""}
    assert below(dressed, "/d") == ALL | {"/c/f": "changed"}
    store.assert_tidy()


@pytest.mark.parametrize("batch", [1000, 2])
def test_a_copy_replaces_the_properties_of_its_target(
    store: Store, dressed: Drive, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """RFC 4918, 9.8.4: what was there is deleted with all that hung on it, and keeps it in the trash."""
    monkeypatch.setattr(copying, "BATCH_NODES", batch)
    dressed.mkdir("/d")
    dressed.put("/d/f")
    dressed.patch("/d", {"old": "1"})
    dressed.patch("/d/f", {"old": "1"})
    dressed.copy("/c", "/d", overwrite=True)
    assert below(dressed, "/d") == ALL
    assert "old" not in dressed.properties("/d") | dressed.properties("/d/f")
    assert rows(store) == 2 * 2 * len(ALL) + 2
    store.assert_tidy()


def test_a_shallow_copy_has_those_of_the_collection(dressed: Drive) -> None:
    """RFC 4918, 9.8.3: Depth 0."""
    dressed.copy("/c", "/d", recursive=False)
    assert dressed.properties("/d") == dressed.properties("/c")
    assert dressed.names("/d") == []


def test_a_copy_that_is_given_up_leaves_none(
    store: Store, dressed: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nodes are taken back, and what hangs on them."""
    monkeypatch.setattr(copying, "BATCH_NODES", 2)
    before = rows(store)

    def act() -> None:
        if rows(store) == before:
            store.database.after_write = act
            return
        dressed.delete("/c")

    store.database.after_write = act
    with pytest.raises(NotFound):
        dressed.copy("/c", "/d")
    assert rows(store) == before
    store.assert_tidy()


def test_move_and_put_keep_them(dressed: Drive) -> None:
    """RFC 4918, 9.9.1 and 9.7.1: they belong to the node, whatever its name and content."""
    dressed.put("/c/f", b"new")
    dressed.move("/c", "/d")
    assert below(dressed, "/d") == ALL
    dressed.move("/d/f", "/e", overwrite=True)
    assert dressed.properties("/e")["a"] == "2"
    assert rows(dressed.store) == 2 * len(ALL)


@pytest.mark.parametrize(
    "end",
    [
        lambda drive: drive.delete("/c"),
        lambda drive: drive.move("/e", "/c", overwrite=True),
        lambda drive: drive.copy("/e", "/c", overwrite=True),
    ],
    ids=["delete", "move", "copy"],
)
def test_they_end_with_their_node(dressed: Drive, end: Callable[[Drive], object]) -> None:
    """A new node of the name begins without any; they are where it is."""
    end(dressed)
    assert rows(dressed.store) == 2 * len(ALL)
    if dressed.find("/c") is None:
        dressed.mkdir("/c")
    assert dressed.properties("/c") == {}
    assert below(dressed, dressed.undo("/c")) == ALL


def test_they_end_with_a_node_that_goes_for_good(dressed: Drive) -> None:
    """No row is left of them."""
    dressed.delete("/c")
    dressed.vault.empty_trash()
    assert rows(dressed.store) == 0


# ── what is stored ──────────────────────────────────────────────────────────────────────────────────────────
def test_neither_names_nor_values_are_stored_in_clear(store: Store, full: Drive) -> None:
    """Nor can equal ones on two nodes be linked."""
    for path in ("/c", "/e"):
        full.patch(path, {"{urn:secret}name": "<secret/>"})
    found = store.sql("SELECT name_sealed, value_sealed FROM property")
    assert len({bytes(one) for row in found for one in row}) == 4
    assert not [one for row in found for one in row if b"secret" in one]


ALTERED = {
    "value": ("value_sealed", lambda rows: flipped(rows[0][1])),
    "name": ("name_sealed", lambda rows: flipped(rows[0][0])),
    "value of another": ("value_sealed", lambda rows: rows[1][1]),
    "node": ("node_id", lambda rows: rows[2][2]),
}


def flipped(data: bytes) -> bytes:
    """With one bit changed."""
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize(("column", "other"), ALTERED.values(), ids=ALTERED)
def test_altered_properties_are_not_shown(
    store: Store, full: Drive, column: str, other: Callable[[list[tuple[bytes, ...]]], bytes]
) -> None:
    """A listing and a copy stop with an error of ours, and `verify` says so."""
    full.patch("/c/f", {"a": "1", "b": "2"})
    full.patch("/c/sub", {"a": "3"})
    found = store.sql("SELECT name_sealed, value_sealed, node_id FROM property ORDER BY rowid")
    name, _, node_id = found[0]
    store.sql(
        f"UPDATE property SET {column} = ? WHERE name_sealed = ? AND node_id = ?",  # noqa: S608
        other(found),
        name,
        node_id,
    )
    with pytest.raises(CorruptRow):
        listed(full, "/c")
    with pytest.raises(CorruptRow):
        full.copy("/c", "/d")
    assert {problem.finding for problem in store.problems()} == {Finding.PROPERTY_ALTERED}
