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
from tests.unit.vault.store import Drive, Store

LARGE = bytes(range(251)) * 300
FILES = {"/small": b"one", "/c/small": b"two", "/c/large": LARGE, "/c/large2": LARGE[::-1], "/d/small": b"three"}
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


@dataclass(frozen=True, slots=True)
class Truth:
    """What was stored, by path."""

    nodes: dict[str, Node]
    contents: dict[str, bytes]


@pytest.fixture
def full(alice: Drive, bob: Drive) -> Drive:
    """Two collections with files of both kinds, all of them changed once, and somebody else's."""
    for drive in (alice, bob):
        drive.mkdir("/c")
        drive.mkdir("/d")
        for path, content in FILES.items():
            drive.put(path, b"old " + content)
            drive.put(path, content)
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
        except (IntegrityError, NotFound):
            continue
        assert found in {node, None}
    for path, content in truth.contents.items():
        try:
            assert drive.get(path) == content
        except (IntegrityError, NotFound):
            continue
    for path, node in truth.nodes.items():
        if node.is_collection:
            children = {below.id: below for below in truth.nodes.values() if below.parent_id == node.id}
            try:
                for child in drive.vault.listing(node):
                    assert child == children[child.id], path
            except IntegrityError:
                continue


def changed_values(value: Any, others: list[Any]) -> Iterator[Any]:
    """What an attacker may put in place of a value."""
    yield from others
    yield from (0, 3, -1, 1 << 62, b"", b"\0" * 16, "text", None)
    if isinstance(value, bytes):
        yield value + b"\0"
        yield value[:-1]
        yield bytes([value[0] ^ 1]) + value[1:] if value else b"x"
        yield value[:-1] + bytes([value[-1] ^ 128]) if value else b"y"
        yield value.hex()
    elif isinstance(value, int):
        yield value + 1
        yield str(value) + "x"
    elif isinstance(value, str):
        yield value + "x"
        yield value.encode()


def each_change(store: Store, table: str, key: str, rows: list[bytes], column: str) -> Iterator[Any]:
    """Make each change to a column of each row, and undo it when the caller has looked at it."""
    values = dict(store.sql(f"SELECT {key}, {column} FROM {table}"))  # noqa: S608
    for row in rows:
        identity = "rowid" if table == "inline_blob" else None
        assert identity is None or key == "blob_id"
        old = values[row]
        for new in changed_values(old, [one for one in values.values() if one != old]):
            if (type(new), new) == (type(old), old):
                continue
            try:
                store.sql(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", new, row)  # noqa: S608
            except (sqlite3.IntegrityError, OverflowError):
                continue  # the schema itself does not allow it
            moved = new if column == key else row
            ((stored,),) = store.sql(f"SELECT {column} FROM {table} WHERE {key} = ?", moved)  # noqa: S608
            if (type(stored), stored) != (type(old), old):
                yield new
            store.sql(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", old, moved)  # noqa: S608


@pytest.mark.parametrize("column", NODE_COLUMNS)
def test_an_altered_node(store: Store, full: Drive, truth: Truth, column: str) -> None:
    """Every column of a small file, a large one and a collection."""
    rows: list[bytes] = [truth.nodes[path].id for path in ("/small", "/c/large", "/c")]
    changes = 0
    for new in each_change(store, "node", "node_id", rows, column):
        assert_never_wrong(full, truth)
        assert store.problems() != [], repr(new)
        changes += 1
    assert changes > 10
    assert store.problems() == []


@pytest.mark.parametrize("column", NODE_COLUMNS)
def test_an_altered_root(store: Store, full: Drive, truth: Truth, column: str) -> None:
    """The root's row is as much protected as any other."""
    account = full.principal.account.id
    ((old,),) = store.sql(f"SELECT {column} FROM node WHERE account_id = ? AND node_id = zeroblob(16)", account)  # noqa: S608
    for new in changed_values(old, []):
        if new == old or column in {"account_id", "node_id"}:
            continue
        where = "account_id = ? AND node_id = zeroblob(16)"
        try:
            store.sql(f"UPDATE node SET {column} = ? WHERE {where}", new, account)  # noqa: S608
        except (sqlite3.IntegrityError, OverflowError):
            continue
        assert_never_wrong(full, truth)
        with pytest.raises(IntegrityError):
            full.stat("/")
        store.sql(f"UPDATE node SET {column} = ? WHERE {where}", old, account)  # noqa: S608
    assert full.stat("/") == truth.nodes["/"]


@pytest.mark.parametrize("column", BLOB_COLUMNS)
def test_an_altered_blob_row(store: Store, full: Drive, truth: Truth, column: str) -> None:
    """Every column of a small content and of a large one."""
    contents = [truth.nodes[path].content for path in ("/small", "/c/large")]
    rows: list[bytes] = [content.blob_id for content in contents if content]
    changes = 0
    for new in each_change(store, "blob", "blob_id", rows, column):
        assert_never_wrong(full, truth)
        # SQLite has no truth values: any number but 0 is "yes", and says what was there before
        same = column == "inline" and bool(new) and rows[0] not in {row for (row,) in _not_inline(store)}
        assert store.problems() != [] or same, repr(new)
        changes += 1
    assert changes > 5
    assert store.problems() == []


def _not_inline(store: Store) -> list[tuple[Any, ...]]:
    return store.sql("SELECT blob_id FROM blob WHERE NOT inline")


@pytest.mark.parametrize("column", ["blob_id", "data"])
def test_altered_small_content(store: Store, full: Drive, truth: Truth, column: str) -> None:
    """Sealed like any other: swapped, cut, lengthened or replaced, it is not served."""
    content = truth.nodes["/small"].content
    assert content is not None
    changes = 0
    for new in each_change(store, "inline_blob", "blob_id", [content.blob_id], column):
        assert_never_wrong(full, truth)
        appended = isinstance(new, bytes) and new[:-1] == _inline_data(store, content.blob_id)[:-1]
        assert store.problems() != [] or appended, repr(new)
        changes += 1
    assert changes > 3
    assert store.problems() == []


def _inline_data(store: Store, blob_id: bytes) -> bytes:
    rows = store.sql("SELECT data FROM inline_blob WHERE blob_id = ?", blob_id)
    return bytes(rows[0][0]) if rows and isinstance(rows[0][0], bytes) else b""


@pytest.mark.parametrize(
    "column",
    [
        "account_id",
        "subject",
        "username",
        "state",
        "quota",
        "sealed",
        "wrapped_key",
        "key_version",
        "key_commitment",
        "created_at",
        "version",
        "mac",
    ],
)
def test_an_altered_account(store: Store, full: Drive, truth: Truth, column: str) -> None:
    """It cannot be opened any more, and `verify` says so; another account is not touched."""
    account_id: bytes = full.principal.account.id
    changes = 0
    for new in each_change(store, "account", "account_id", [account_id], column):
        found = {(problem.finding, problem.account_id) for problem in store.problems()}
        altered = (Finding.ACCOUNT_ALTERED, new if column == "account_id" else account_id)
        truthy = column == "sealed" and not new  # SQLite has no truth values, and this one says the same
        assert altered in found or truthy, repr(new)
        fresh = store.vaults.__class__(store.database, store.blobs, store.keyring, store.clock)
        fresh.close()
        changes += 1
    assert changes > 3
    assert store.problems() == []
    assert_never_wrong(full, truth)


def test_a_key_that_was_altered_opens_nothing(store: Store, full: Drive, bob: Drive) -> None:
    """Not even when it is another account's, with that account's commitment."""
    for columns in combinations(["wrapped_key", "key_commitment", "key_version", "mac"], 2):
        old = store.sql(f"SELECT {', '.join(columns)} FROM account WHERE username = 'alice'")[0]  # noqa: S608
        store.sql(
            "UPDATE account SET "  # noqa: S608
            + ", ".join(f"{column} = (SELECT {column} FROM account WHERE username = 'bob')" for column in columns)
            + " WHERE username = 'alice'"
        )
        with pytest.raises(CorruptRow):
            store.accounts.find("alice")
        store.sql(
            "UPDATE account SET " + ", ".join(f"{column} = ?" for column in columns) + " WHERE username = 'alice'",
            *old,
        )
    assert bob.get("/small") == b"one"
    assert full.get("/small") == b"one"


PAIRS = {
    "siblings": ("/c/small", "/c/large"),
    "large siblings": ("/c/large", "/c/large2"),
    "same name elsewhere": ("/c/small", "/d/small"),
    "collections": ("/c", "/d"),
    "file and collection": ("/small", "/c"),
}
EXCHANGED = ["parent_id", "name_sealed", "kind", "blob_id", "metadata_sealed", "version"]


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_exchanged_columns(store: Store, full: Drive, truth: Truth, pair: tuple[str, str]) -> None:
    """Any columns of two nodes exchanged, in any combination: no name, place or content changes hands."""
    one, other = (truth.nodes[path].id for path in pair)
    names = ", ".join(EXCHANGED)
    rows = [store.sql(f"SELECT {names} FROM node WHERE node_id = ?", each)[0] for each in (one, other)]  # noqa: S608
    update = f"UPDATE node SET ({names}) = ({', '.join('?' * len(EXCHANGED))}) WHERE node_id = ?"  # noqa: S608
    for count in range(1, len(EXCHANGED) + 1):
        for chosen in combinations(range(len(EXCHANGED)), count):
            mixed = [
                tuple(source[(side + (index in chosen)) % 2][index] for index in range(len(EXCHANGED)))
                for side in (0, 1)
                for source in [rows]
            ]
            if mixed == rows:
                continue
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
