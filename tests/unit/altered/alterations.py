"""What somebody without a key does to the store of `store.py`: other values in columns, rows exchanged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from davserver.db.schema import metadata
from tests.tamper import Value
from tests.unit.altered.questions import Answers, opened
from tests.unit.altered.store import FullStore

ROWS = 2
"""Rows of each table that are altered."""

Column = tuple[str, str]
"""Names of a table and of one of its columns."""

Statement = tuple[str, Sequence[Value]]


@dataclass(frozen=True)
class Alteration:
    """A new value for one column of the row with this key."""

    column: Column
    key: tuple[tuple[str, Value], ...]
    value: Value

    @property
    def columns(self) -> list[Column]:
        """What is altered."""
        return [self.column]

    @property
    def statements(self) -> list[Statement]:
        """How."""
        table, name = self.column
        where = " AND ".join(f"{key} = ?" for key, _ in self.key)
        values = [self.value, *(value for _, value in self.key)]
        return [(f"UPDATE {table} SET {name} = ? WHERE {where}", values)]  # noqa: S608


@dataclass(frozen=True)
class Exchange:
    """Two rows of a table that have given each other what they have in some columns."""

    table: str
    names: tuple[str, ...]
    rows: tuple[tuple[Value, ...], tuple[Value, ...]]

    @property
    def columns(self) -> list[Column]:
        """What is altered."""
        return [(self.table, name) for name in self.names]

    @property
    def statements(self) -> list[Statement]:
        """How: both are taken out first, since keys are unique."""
        columns = metadata.tables[self.table].columns.keys()
        keys = [one.name for one in metadata.tables[self.table].primary_key]
        where = " AND ".join(f"{key} = ?" for key in keys)
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        one, other = (dict(zip(columns, row, strict=True)) for row in self.rows)
        swapped = (
            (other | {name: one[name] for name in self.names}),
            (one | {name: other[name] for name in self.names}),
        )
        delete = f"DELETE FROM {self.table} WHERE {where}"  # noqa: S608
        insert = f"INSERT INTO {self.table} ({names}) VALUES ({marks})"  # noqa: S608
        return [
            *((delete, [row[key] for key in keys]) for row in (one, other)),
            *((insert, list(row.values())) for row in swapped),
        ]


class Target:
    """The store, put back after each alteration.

    Attributes:
        truth: what was answered before any.
    """

    def __init__(self, folder: Path) -> None:
        self.store = FullStore(folder)
        self._file = sqlite3.connect(folder / "sealdav.db")
        self._untouched = sqlite3.connect(":memory:")
        self._file.backup(self._untouched)
        with self.altered(None):
            self.truth = self.ask() or {}

    def ask(self) -> Answers | None:
        """Everything; None if the store was not even opened."""
        with opened(self.store) as questions:
            return None if questions is None else questions.ask()

    @contextmanager
    def altered(self, alteration: Alteration | Exchange | None) -> Iterator[None]:
        """Change a row in the file; in the end everything is as it was, whatever was done meanwhile."""
        try:
            with self._file:
                for statement in alteration.statements if alteration else ():
                    self._file.execute(*statement)
            yield
        finally:
            self._untouched.backup(self._file)

    def alterations(self, column: Column) -> Iterator[Alteration]:
        """What there is to try on some rows, as far as the schema lets it in."""
        table, name = column
        keys = [one.name for one in metadata.tables[table].primary_key]
        names = ", ".join([*keys, name])
        rows = self._untouched.execute(f"SELECT {names} FROM {table} ORDER BY {names}").fetchall()  # noqa: S608
        others = [row[-1] for row in rows]
        for row in rows[:: max(1, len(rows) // ROWS)][:ROWS]:
            key = tuple(zip(keys, row, strict=False))
            for value in dict.fromkeys(_values(row[-1], others)):
                if self._is_another(alteration := Alteration(column, key, value)):
                    yield alteration

    def exchanges(self, table: str) -> Iterator[Exchange]:
        """Of two rows each column, all but their keys, and those without the authenticator."""
        columns = metadata.tables[table].columns.keys()
        keys = {one.name for one in metadata.tables[table].primary_key}
        others = tuple(name for name in columns if name not in keys)
        chosen = [*((name,) for name in columns), others, tuple(name for name in others if name != "mac")]
        names = ", ".join(columns)
        rows = self._untouched.execute(f"SELECT {names} FROM {table} ORDER BY {names}").fetchall()  # noqa: S608
        for pair in ((rows[0], rows[-1]), tuple(rows[:2])) if len(rows) > 1 else ():
            for some in dict.fromkeys(chosen):
                exchange = Exchange(table, some, pair)
                if self._is_another(exchange):
                    yield exchange

    def read(self, alteration: Alteration) -> Value:
        """What is altered, as it was."""
        table, name = alteration.column
        where = " AND ".join(f"{key} = ?" for key, _ in alteration.key)
        values = [value for _, value in alteration.key]
        (old,) = self._untouched.execute(f"SELECT {name} FROM {table} WHERE {where}", values).fetchone()  # noqa: S608
        return old  # type: ignore[no-any-return]

    def close(self) -> None:
        """Let go of the database."""
        self._file.close()
        self._untouched.close()
        self.store.database.dispose()

    def _is_another(self, alteration: Alteration | Exchange) -> bool:
        """Whether the schema takes the value, and does not make of it what is there already."""
        table = alteration.columns[0][0]
        before = self._untouched.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
        try:
            for statement in alteration.statements:
                self._untouched.execute(*statement)
            after = self._untouched.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
            return sorted(map(repr, after)) != sorted(map(repr, before))
        except sqlite3.IntegrityError:
            return False
        finally:
            self._untouched.rollback()


def _values(value: Value, others: list[Value]) -> Iterator[Value]:
    """That of another row, and some of every kind."""
    yield from [other for other in others if other != value][:1]
    yield from (None, 0)
    if isinstance(value, bytes):
        yield from (
            bytes([*value[:-1], value[-1] ^ 1]) if value else b"x",
            value + b"\0",
            value[:-1],
            value.hex(),
        )
    elif isinstance(value, int):
        yield from (value + 1, 2**62, f"{value}x")
    elif isinstance(value, str):
        yield from (value + "x", value.encode())
    else:
        yield from (1, b"x", "x")
