"""The second reader sees in a real store what was put there, and takes no store that was altered anywhere."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import count, product
from pathlib import Path

import pytest

from tests.vectors.reader import AUTHENTICATED
from tests.vectors.stored import NFC, NFD, SIZES, StoredStore, content, make_stored
from tests.vectors.tables import BESIDE

UNVOUCHED = {
    "account": {"used", "kept", "structure_version"},
    "app_password": {"last_used_at", "last_used_from", "last_used_client"},
    "blob": {"heartbeat_at", "unreferenced_at"},
    "instance": {"created_at", "issuer"},
    "master_key": {"key_id", "created_at", "pepper_sealed", "retired_at"},
}
"""Columns that docs/format.md says nothing vouches for, or that only a server needs."""

UNREAD = {
    *("alembic_version", "device_sign", "hidden_tree", "kept", "lease", "throttle"),
    *BESIDE,
    "audit_entry",
}
"""Tables that hold nothing of an account's files."""

READ = (*sorted(AUTHENTICATED.keys() - UNREAD), "inline_blob", "instance", "master_key", "node", "property")


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredStore:
    """A store that no test changes."""
    return make_stored(tmp_path_factory.mktemp("stored") / "store")


@pytest.fixture
def altered(stored: StoredStore, tmp_path: Path) -> StoredStore:
    """Its double, to be changed."""
    return stored.copy(tmp_path / "store")


def test_the_reader_sees_what_was_stored(stored: StoredStore) -> None:
    """Of both accounts: paths, contents, sizes, times, digests, properties, owners of locks, TOTP secrets.

    And what files were before, and what is in the trash.
    """
    assert stored.read() == stored.kept


@pytest.mark.parametrize("name", ["alice", "bob"])
def test_contents_are_those_that_were_sent(stored: StoredStore, name: str) -> None:
    """Not only what our own code reads back: after COPY and overwriting, with names as they were spelled."""
    found = stored.read()[name].contents
    sent = {f"/docs/{size}": content(name, size) for size in SIZES}
    sent |= {f"/copy/{size}": content(name, size) for size in SIZES}
    sent |= {"/docs/65536": b"overwritten", "/copy/deep/65536": b"not what was copied", "/moved": b"moves"}
    sent |= {f"/docs/deep/{NFC}": NFC.encode(), f"/{NFD}": b"decomposed"}
    assert {path: found[path] for path in sent} == sent
    assert found["/docs"] is None
    assert "/gone" not in found
    assert "/copy/deep/goes" not in found


def test_the_command_lists_everything(stored: StoredStore) -> None:
    """One line a path, with size and SHA-256, below the name of the account."""
    paths = stored.database, stored.blobs, stored.key_file
    command = [sys.executable, "-m", "tests.vectors.reader", *map(str, paths)]
    root = Path(__file__).parents[2]
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=root, encoding="utf-8"
    ).stdout
    for name, kept in stored.kept.items():
        assert f"{name} 1 TOTP secrets\n" in output
        for path, data in kept.contents.items():
            digest = "-" if data is None else hashlib.sha256(data).hexdigest()
            assert f"{len(data or b''):>14} {digest:64} {path}\n" in output


def test_a_rotated_store_is_read(altered: StoredStore) -> None:
    """With the new key alone; the old one is no longer good."""
    old = altered.key_file.read_bytes()
    altered.rotate()
    assert altered.read() == altered.kept
    shutil.copyfile(altered.key_file, altered.folder / "new.key")
    altered.key_file.unlink()
    altered.key_file.write_bytes(old)
    with pytest.raises((ValueError, KeyError)):
        altered.read()


def test_a_store_is_read_at_any_point_of_a_rotation(altered: StoredStore) -> None:
    """Rows under the old key lie beside rows under the new one."""
    for step in count(1):
        steps = iter(range(1, step + 1))

        def kill(_done: int, _total: int, *, steps: object = steps, last: int = step) -> None:
            if next(steps) == last:  # type: ignore[call-overload]
                raise KilledError

        try:
            altered.rotate(kill, batch_rows=13)
        except KilledError:
            assert altered.read() == altered.kept
            continue
        break
    assert step > 2


PICKED = {
    "node": "WHERE parent_id = zeroblob(16) AND node_id != zeroblob(16) GROUP BY kind",
    "blob": "GROUP BY inline",
    "property": "WHERE node_id = zeroblob(16)",
}
"""Which rows are altered, if not the first: in the root, whose id another account has as well."""


def rows_to_alter(database: Path, table: str) -> list[dict[str, object]]:
    """One or two rows of a table."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(f"SELECT * FROM {table} {PICKED.get(table, '')} LIMIT 2")  # noqa: S608
        return [dict(row) for row in found.fetchall()[: 2 if table in PICKED else 1]]


def other_value(connection: sqlite3.Connection, table: str, row: dict[str, object], column: str) -> object:
    """As near as it gets; where rows are found by it, another value that is in use."""
    value = row[column]
    if column == "account_id" and table != "account":
        return connection.execute("SELECT account_id FROM account WHERE account_id != ?", [value]).fetchone()[
            0
        ]
    if column == "parent_id" or (column == "node_id" and table != "node"):
        others = "SELECT node_id FROM node WHERE account_id = ? AND kind = 2 AND node_id NOT IN (?, ?)"
        return connection.execute(others, [row["account_id"], value, row["node_id"]]).fetchone()[0]
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, bytes) and value:
        return bytes([value[0] ^ 1]) + value[1:]
    return 1 if column in {"quota", "revoked_at"} else bytes(16)


def alter(database: Path, table: str, row: dict[str, object], column: str) -> None:
    """Give one column of a row another value."""
    same = " AND ".join(f'"{name}" IS ?' for name in row)
    change = f'UPDATE OR REPLACE {table} SET "{column}" = ? WHERE {same}'  # noqa: S608
    with closing(sqlite3.connect(database)) as connection, connection:
        other = other_value(connection, table, row, column)
        assert connection.execute(change, [other, *row.values()]).rowcount == 1


@pytest.mark.parametrize("table", READ)
def test_every_column_altered_is_refused(altered: StoredStore, table: str) -> None:
    """One value at a time: what a row says of itself, and where it belongs."""
    with closing(sqlite3.connect(altered.database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # One file then holds everything.
    rows, whole = rows_to_alter(altered.database, table), altered.database.read_bytes()
    believed = []
    for row, column in product(rows, rows[0].keys() - UNVOUCHED.get(table, set())):
        alter(altered.database, table, row, column)
        try:
            altered.read()
        except (ValueError, KeyError):
            continue
        else:
            believed.append(column)
        finally:
            altered.database.write_bytes(whole)
    assert believed == []
    assert altered.read() == altered.kept


def test_every_table_is_read_or_holds_nothing_of_a_file(stored: StoredStore) -> None:
    """A new table makes this fail until somebody has thought about it."""
    with closing(sqlite3.connect(stored.database)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert {name for (name,) in tables} == {*READ, *UNREAD}


@pytest.mark.parametrize("where", ["first byte", "header", "middle", "last byte"])
def test_an_altered_blob_is_refused(altered: StoredStore, where: str) -> None:
    """One bit of a file in the blob folder."""
    blob = max(altered.blobs.glob("??/*"), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[{"first byte": 0, "header": 60, "middle": len(data) // 2, "last byte": -1}[where]] ^= 1
    blob.write_bytes(data)
    with pytest.raises(ValueError, match=r"header|commit|chunk"):
        altered.read()


def test_a_truncated_or_missing_blob_is_refused(altered: StoredStore) -> None:
    """And two blobs that change places."""
    one, other, *_ = altered.blobs.glob("??/*")
    whole, another = one.read_bytes(), other.read_bytes()
    one.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="length"):
        altered.read()
    one.write_bytes(another)
    with pytest.raises(ValueError, match="header"):
        altered.read()
    one.unlink()
    with pytest.raises(FileNotFoundError):
        altered.read()


def test_another_master_key_is_refused(altered: StoredStore) -> None:
    """One digit of it."""
    text = altered.key_file.read_text()
    altered.key_file.unlink()
    altered.key_file.write_text(text[:-2] + ("0" if text[-2] != "0" else "1") + "\n")
    with pytest.raises(ValueError, match="row"):
        altered.read()
