"""A Core statement compiled once: its SQL text, and its parameters in the order of their places.

SQLAlchemy describes the tables and writes every statement; what it does around each execution costs ten times
what SQLite does. So what requests ask is compiled when a module is read and run by `Driver` without it.
Used by this package only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

Values = Mapping[str, object]
"""What the parameters of a statement stand for, by their names."""

Found = tuple[Any, ...]
"""One row, in the order of the selected columns; the types are those that SQLite keeps."""

_DIALECT = SQLiteDialect_pysqlite(paramstyle="qmark")


class Prepared:
    """A statement as the driver takes it.

    Truth values come back as such. Whatever else is stored in a column of theirs is handed out as it is, for
    the authenticator of the row to refuse.
    """

    __slots__ = ("_fixed", "_order", "_truths", "sql")

    def __init__(self, statement: sa.Select[Any] | sa.Insert | sa.Update | sa.Delete) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        self.sql = compiled.string
        self._order = _in_order(compiled.positiontup or ())
        self._fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self._truths = tuple(at for at, column in enumerate(columns) if isinstance(column.type, sa.Boolean))

    def arguments(self, values: Values) -> Sequence[object]:
        """The parameters in their order.

        Raises:
            KeyError: one is missing.
        """
        return self._order({**self._fixed, **values} if self._fixed else values)

    def rows(self, found: list[Found]) -> list[Found]:
        """Rows of the driver as rows of the schema."""
        return [self._with_truths(row) for row in found] if self._truths else found

    def _with_truths(self, row: Found) -> Found:
        values = list(row)
        for at in self._truths:
            if values[at] in {0, 1}:
                values[at] = bool(values[at])
        return tuple(values)


def _in_order(names: Sequence[str]) -> Callable[[Values], Sequence[object]]:
    """What takes these values out of a mapping, as a tuple even if it is one."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: [values[name] for name in names]
