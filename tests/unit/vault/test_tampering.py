"""Somebody writes to the database without the keys: every read gives an error or exactly what was stored.

Never another file's name, place, time or content, never an older mixture, never an error that is not ours.
`verify` finds each change that is covered by an authenticator.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest

from davserver.errors import CorruptRow, DavserverError, IntegrityError, NotFound
from davserver.model import Node
from davserver.vault.scrub import Finding
from tests.factories import make_principal
from tests.tamper import changed_values
from tests.unit.vault.store import Drive, Store

LARGE = bytes(range(251)) * 300
FILES = {
    "/small": b"one",
    "/c/small": b"two",
    "/c/large": LARGE,
    "/d/small": b"three",
}
NODE_COLUMNS = [
    "account_id",
    "parent_id",
    "name_sealed",
    "node_id",
    "kind",
    "blob_id",
    "metadata_sealed",
    "version",
]
BLOB_COLUMNS = [
    "blob_id",
    "account_id",
    "state",
    "inline",
    "sealed_size",
    "plain_size",
    "format",
    "key_version",
    "wrapped_key",
    "version",
    "mac",
]
ACCOUNT_COLUMNS = [
    "account_id",
    "subject",
    "username",
    "state",
    "quota",
    "sealed",
    "wrapped_key",
    "master_key_id",
    "key_version",
    "key_commitment",
    "created_at",
    "version",
    "mac",
]


@dataclass(frozen=True, slots=True)
class Truth:
    """What was stored, by path."""

    nodes: dict[str, Node]
    contents: dict[str, bytes]


@pytest.fixture
def full(alice: Drive, bob: Drive) -> Drive:
    """Two collections with files of both kinds, all of them changed once, and somebody else's."""
    alice.mkdir("/c")
    alice.mkdir("/d")
    for path, content in FILES.items():
        alice.put(path, b"old " + content)
        alice.put(path, content)
    bob.put("/small", b"bob")
    return alice


@pytest.fixture
def truth(full: Drive) -> Truth:
    """What is in the vault now."""
    return Truth({path: full.stat(path) for path in ["/", "/c", "/d", *FILES]}, FILES)


def assert_never_wrong(drive: Drive, truth: Truth) -> None:
    """Look at everything in every way. What is missing may be missing: deleting needs no key."""
    for path, node in truth.nodes.items():
        try:
            found = drive.find(path)
            assert found in {node, None}
            if found is not None and found.content is not None:
                with drive.vault.read(found) as download:
                    assert b"".join(map(bytes, download.blocks())) == truth.contents[path]
        except (IntegrityError, NotFound):
            pass
        if node.is_collection:
            children = {below.id: below for below in truth.nodes.values() if below.parent_id == node.id}
            try:
                for child in drive.vault.listing(node):
                    assert child == children[child.id], path
            except IntegrityError:
                continue


def is_intact(drive: Drive, truth: Truth) -> bool:
    """Whether everything still reads as it was: then a change means what was there before."""
    try:
        return drive.tree() == FILES | {"/c": None, "/d": None} and all(
            drive.stat(path) == node for path, node in truth.nodes.items()
        )
    except IntegrityError:
        return False


def each_change(store: Store, table: str, column: str, where: str, *which: object) -> Iterator[Any]:
    """Make each change to a column of one row, and undo it when the caller has looked at it."""
    store.sql(f"CREATE TABLE saved AS SELECT * FROM {table}")  # noqa: S608
    ((old,),) = store.sql(f"SELECT {column} FROM {table} WHERE {where}", *which)  # noqa: S608
    others = [other for (other,) in store.sql(f"SELECT DISTINCT {column} FROM {table} LIMIT 3")]  # noqa: S608
    for new in [*others, *changed_values(old)]:
        try:
            store.sql(f"UPDATE {table} SET {column} = ? WHERE {where}", new, *which)  # noqa: S608
        except sqlite3.IntegrityError:
            continue  # the schema itself does not allow it
        if store.sql(f"SELECT * FROM {table} EXCEPT SELECT * FROM saved"):  # noqa: S608
            yield new
            store.sql(f"DELETE FROM {table}")  # noqa: S608
            store.sql(f"INSERT INTO {table} SELECT * FROM saved")  # noqa: S608
    store.sql("DROP TABLE saved")


@pytest.mark.parametrize("column", NODE_COLUMNS)
@pytest.mark.parametrize("path", ["/", "/c", "/small"])
def test_an_altered_node(store: Store, full: Drive, truth: Truth, column: str, path: str) -> None:
    """Every column of the root, a collection and a file."""
    account = full.principal.account.id
    changes = 0
    for new in each_change(
        store, "node", column, "account_id = ? AND node_id = ?", account, truth.nodes[path].id
    ):
        assert_never_wrong(full, truth)
        assert store.problems() != [], repr(new)
        changes += 1
    assert changes > 3
    assert is_intact(full, truth)
    assert store.problems() == []


@pytest.mark.parametrize("column", BLOB_COLUMNS)
@pytest.mark.parametrize("path", ["/small", "/c/large"])
def test_an_altered_blob_row(store: Store, full: Drive, truth: Truth, column: str, path: str) -> None:
    """Every column of a small content and of a large one."""
    content = truth.nodes[path].content
    assert content is not None
    changes = 0
    for new in each_change(store, "blob", column, "blob_id = ?", content.blob_id):
        assert_never_wrong(full, truth)
        assert store.problems() != [] or is_intact(full, truth), repr(new)
        changes += 1
    assert changes > 3
    assert store.problems() == []


@pytest.mark.parametrize("column", ["blob_id", "data"])
def test_altered_small_content(store: Store, full: Drive, truth: Truth, column: str) -> None:
    """Sealed like any other: swapped, cut or replaced, it is not served."""
    content = truth.nodes["/small"].content
    assert content is not None
    changes = 0
    for new in each_change(store, "inline_blob", column, "blob_id = ?", content.blob_id):
        assert_never_wrong(full, truth)
        assert store.problems() != [] or is_intact(full, truth), repr(new)
        changes += 1
    assert changes > 3
    assert store.problems() == []


@pytest.mark.parametrize("column", ACCOUNT_COLUMNS)
def test_an_altered_account(store: Store, full: Drive, truth: Truth, column: str) -> None:
    """It cannot be opened any more, and `verify` says so."""
    account = store.accounts.find("alice")
    changes = 0
    for new in each_change(store, "account", column, "username = 'alice'"):
        try:
            assert store.accounts.find("alice") == account
            same = True
        except (CorruptRow, NotFound):
            same = False
        assert Finding.ACCOUNT_ALTERED in {problem.finding for problem in store.problems()} or same, repr(new)
        changes += 1
    assert changes > 3
    assert store.problems() == []
    assert is_intact(full, truth)


def test_a_key_that_was_altered_opens_nothing(store: Store, full: Drive, bob: Drive) -> None:
    """Not even when it is another account's, with that account's commitment and authenticator."""
    columns = ["wrapped_key", "key_commitment", "mac"]
    for count in (1, 2, 3):
        for chosen in combinations(columns, count):
            names = ", ".join(chosen)
            (old,) = store.sql(f"SELECT {names} FROM account WHERE username = 'alice'")  # noqa: S608
            (bobs,) = store.sql(f"SELECT {names} FROM account WHERE username = 'bob'")  # noqa: S608
            update = f"UPDATE account SET {' = ?, '.join(chosen)} = ? WHERE username = 'alice'"  # noqa: S608
            store.sql(update, *bobs)
            with pytest.raises(CorruptRow):
                store.accounts.find("alice")
            store.sql(update, *old)
    assert (full.get("/small"), bob.get("/small")) == (b"one", b"bob")


PAIRS = {
    "siblings": ("/c/small", "/c/large"),
    "same name elsewhere": ("/c/small", "/d/small"),
    "collections": ("/c", "/d"),
    "file and collection": ("/small", "/c"),
}
EXCHANGED = ["parent_id", "name_sealed", "kind", "blob_id", "metadata_sealed", "version"]


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_exchanged_columns(store: Store, full: Drive, truth: Truth, pair: tuple[str, str]) -> None:
    """Up to three columns of two nodes exchanged, or all but the id: no name or content changes hands."""
    one, other = (truth.nodes[path].id for path in pair)
    names = ", ".join(EXCHANGED)
    rows = [store.sql(f"SELECT {names} FROM node WHERE node_id = ?", each)[0] for each in (one, other)]  # noqa: S608
    update = f"UPDATE node SET ({names}) = ({', '.join('?' * len(EXCHANGED))}) WHERE node_id = ?"  # noqa: S608
    for count in (1, 2, 3, len(EXCHANGED)):
        for chosen in combinations(range(len(EXCHANGED)), count):
            mixed = [
                [rows[side ^ (index in chosen)][index] for index in range(len(EXCHANGED))] for side in (0, 1)
            ]
            store.sql("UPDATE node SET name_sealed = x'ff' WHERE node_id = ?", one)  # out of the way
            store.sql(update, *mixed[1], other)
            store.sql(update, *mixed[0], one)
            assert_never_wrong(full, truth)
            store.sql("UPDATE node SET name_sealed = x'ff' WHERE node_id = ?", one)
            store.sql(update, *rows[1], other)
            store.sql(update, *rows[0], one)
    assert store.problems() == []


@pytest.mark.parametrize("chosen", [("blob_id",), ("metadata_sealed",), ("version",), ("blob_id", "version")])
def test_columns_of_an_older_version(store: Store, full: Drive, chosen: tuple[str, ...]) -> None:
    """Old and new do not mix, whichever part of the row is put back."""
    full.put("/v", b"version one", keep=frozenset({"SHA1"}))
    select = f"SELECT {', '.join(chosen)} FROM node WHERE node_id = ?"  # noqa: S608
    node_id = full.stat("/v").id
    old = store.sql(select, node_id)[0]
    full.put("/v", b"version two")
    new = store.sql(select, node_id)[0]
    update = f"UPDATE node SET {', '.join(f'{column} = ?' for column in chosen)} WHERE node_id = ?"  # noqa: S608
    store.sql(update, *old, node_id)
    for look in (full.get, full.stat):
        with pytest.raises(CorruptRow):
            look("/v")
    assert Finding.NODE_ALTERED in {problem.finding for problem in store.problems()}
    store.sql(update, *new, node_id)
    assert full.get("/v") == b"version two"


def test_rows_handed_to_another_account(store: Store, full: Drive, bob: Drive) -> None:
    """A whole file, with its blob, given to somebody else: they cannot read it."""
    bob.delete("/small")
    bobs = bob.principal.account.id
    node = full.stat("/small")
    assert node.content is not None
    store.sql("UPDATE node SET account_id = ? WHERE node_id = ?", bobs, node.id)
    store.sql("UPDATE blob SET account_id = ? WHERE blob_id = ?", bobs, node.content.blob_id)
    with pytest.raises(CorruptRow):
        bob.listing("/")
    assert full.find("/small") is None
    with pytest.raises(DavserverError):
        bob.vault.read(node)


@pytest.mark.parametrize("kind", ["collection as file", "file as collection"])
def test_a_changed_kind_is_not_followed(store: Store, full: Drive, truth: Truth, kind: str) -> None:
    """A collection cannot be read as a file, nor walked through when it was one."""
    path, value = ("/c", 1) if kind == "collection as file" else ("/small", 2)
    store.sql("UPDATE node SET kind = ? WHERE node_id = ?", value, truth.nodes[path].id)
    for look in (full.stat, full.get, full.delete):
        with pytest.raises(CorruptRow):
            look(path)
    with pytest.raises(CorruptRow):
        full.put(f"{path}/below", b"x")
    principal = make_principal(full.principal.account, store.clock, root_id=truth.nodes[path].id)
    with pytest.raises(CorruptRow):
        Drive(store, principal).stat("/")


def test_a_lock_row_on_another_node(store: Store, full: Drive) -> None:
    """A lock cannot be made to hold what it was not granted on, nor be taken for one that holds less."""
    token = full.lock("/c/small")
    held, other = full.stat("/c/small").id, full.stat("/d/small").id
    for column, value in (("node_id", other), ("infinite", 1), ("exclusive", 0), ("expires_at", 2**40)):
        ((old,),) = store.sql(f"SELECT {column} FROM lock")  # noqa: S608
        store.sql(f"UPDATE lock SET {column} = ?", value)  # noqa: S608
        path = "/d/small" if column == "node_id" else "/c/small"
        for look in (full.locks, full.put, full.delete, full.lock):
            with pytest.raises(CorruptRow):
                look(path)
        with pytest.raises(CorruptRow):
            full.unlock(path, token)
        assert Finding.LOCK_ALTERED in {problem.finding for problem in store.problems()}
        store.sql(f"UPDATE lock SET {column} = ?", old)  # noqa: S608
    assert (full.locks("/c/small"), full.stat("/c/small").id) == ({token}, held)


def test_locks_that_have_exchanged_their_owners(store: Store, full: Drive) -> None:
    """Who holds a lock is bound to that lock."""
    full.lock("/c/small", owner="<a/>")
    full.lock("/d/small", owner="<b/>")
    (one, other) = store.sql("SELECT lock_id, owner_sealed FROM lock")
    store.sql("UPDATE lock SET owner_sealed = ? WHERE lock_id = ?", other[1], one[0])
    store.sql("UPDATE lock SET owner_sealed = ? WHERE lock_id = ?", one[1], other[0])
    for path in ("/c/small", "/d/small"):
        with pytest.raises(CorruptRow):
            full.locks(path)


def test_a_lock_handed_to_another_account(store: Store, full: Drive, bob: Drive) -> None:
    """It holds nothing there, and nobody's name leaks."""
    full.lock("/small", owner="<alice/>")
    store.sql("UPDATE lock SET account_id = ?, node_id = ?", bob.principal.account.id, bob.stat("/small").id)
    with pytest.raises(CorruptRow):
        bob.locks("/small")
    assert full.locks("/small") == set()
    assert Finding.LOCK_ALTERED in {problem.finding for problem in store.problems()}


@pytest.mark.parametrize("what", ["node", "account", "value", "name"])
def test_properties_that_have_changed_places(store: Store, full: Drive, bob: Drive, what: str) -> None:
    """Of another node, of another account, or of another property of the same node: none is shown."""
    full.patch("/c/small", {"a": "<a/>", "b": "<b/>"})
    values = store.sql("SELECT name_sealed, value_sealed FROM property ORDER BY name_sealed")
    reader, path = full, "/c/small"
    if what == "node":
        path = "/d/small"
        store.sql("UPDATE property SET node_id = ?", full.stat(path).id)
    elif what == "account":
        reader, path = bob, "/small"
        target = bob.stat(path)
        store.sql("UPDATE property SET account_id = ?, node_id = ?", target.account_id, target.id)
    elif what == "value":
        for (name, _), (_, value) in zip(values, reversed(values), strict=True):
            store.sql("UPDATE property SET value_sealed = ? WHERE name_sealed = ?", value, name)
    else:
        store.sql("DELETE FROM property WHERE name_sealed = ?", values[0][0])
        store.sql("UPDATE property SET name_sealed = ?", values[0][0])
    with pytest.raises(CorruptRow):
        reader.properties(path)
    with pytest.raises(CorruptRow):
        list(reader.vault.listing_with_properties(reader.stat(path.removesuffix("small").rstrip("/") or "/")))
    with pytest.raises(CorruptRow):
        reader.copy(path, "/copied")
    assert Finding.PROPERTY_ALTERED in {problem.finding for problem in store.problems()}


def test_sizes_that_no_account_can_have(store: Store, full: Drive) -> None:
    """What the database cannot even add up is damage, not a reason to try again; `verify` goes on over it."""
    full.copy("/c", "/copy")
    store.sql("UPDATE blob SET plain_size = ?", 2**62)
    with pytest.raises(CorruptRow):
        full.delete("/c")
    store.sql("UPDATE account SET used = 'many'")
    with pytest.raises(CorruptRow):
        full.put("/new")
    findings = {problem.finding for problem in store.problems()}
    assert findings >= {Finding.COUNTER_WRONG, Finding.BLOB_ROW_ALTERED}


def test_rows_of_nobody(store: Store, full: Drive) -> None:
    """Rows that were given to an account that does not exist are reported, whatever their table."""
    full.lock("/small")
    full.patch("/c/small", {"a": "<a/>"})
    for table in ("lock", "property", "blob"):
        old = full.stat("/").account_id
        store.sql(f"UPDATE {table} SET account_id = x'00' WHERE account_id = ?", old)  # noqa: S608
        assert Finding.OWNER_UNKNOWN in {problem.finding for problem in store.problems()}
        store.sql(f"UPDATE {table} SET account_id = ? WHERE account_id = x'00'", old)  # noqa: S608
    assert store.problems() == []
