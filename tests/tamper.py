"""An attacker who can write to the database but has no key: changes stored rows behind the program's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from davserver.db.engine import Database

Value = bytes | int | str | float | None


def columns(database: Database, table: str) -> list[str]:
    """Names of a table's columns."""
    with closing(_connect(database)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def read_column(database: Database, table: str, column: str) -> Value:
    """The value in the table's only row."""
    with closing(_connect(database)) as connection:
        (value,) = connection.execute(f"SELECT {column} FROM {table}").fetchone()  # noqa: S608
    return value  # type: ignore[no-any-return]


def write_column(database: Database, table: str, column: str, value: Value) -> None:
    """Overwrite a column of every row, ignoring foreign keys."""
    with closing(_connect(database)) as connection, connection:
        changed = connection.execute(f"UPDATE {table} SET {column} = ?", (value,)).rowcount  # noqa: S608
    assert changed, f"{table} has no row to tamper with"


def alter(database: Database, table: str, column: str) -> None:
    """Make a column of the table's only row hold something else of a fitting kind."""
    write_column(database, table, column, _other(read_column(database, table, column)))


def _other(value: Value) -> Value:
    if value is None:
        return 1
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, str):
        return value[:-1] + ("y" if value.endswith("x") else "x")
    return 1 - value if value in (0, 1) else value + 1


def _connect(database: Database) -> sqlite3.Connection:
    return sqlite3.connect(str(database.engine.url.database))


def changed_values(value: Value) -> Iterator[Value]:
    """What an attacker may put in place of a value, of any type: SQLite takes all of them everywhere."""
    yield from (0, 3, -1, bytes(16), "text", None)
    if isinstance(value, bytes):
        yield from (value + b"\0", value[:-1], value.hex())
        for place in (0, -1) if value else ():
            altered = bytearray(value)
            altered[place] ^= 1
            yield bytes(altered)
    elif isinstance(value, int):
        yield from (value + 1, f"{value}x")
    elif isinstance(value, str):
        yield from (value + "x", value.encode())


def delete_rows(database: Database, table: str) -> None:
    """Take every row of a table away."""
    with closing(_connect(database)) as connection, connection:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
