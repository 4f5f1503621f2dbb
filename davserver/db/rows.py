"""What rows with an authenticator have in common: which columns it covers, how they travel to and from SQL.

It never computes or checks an authenticator: the key for that is in `davserver/keyring.py`.
Used by the files of this package whose tables have a column `mac`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, ClassVar, TypeVar

import sqlalchemy as sa

from davserver.crypto.rowmac import Field

NO_MAC = b""
"""The authenticator of a row that nobody has vouched for yet; it never verifies."""


@dataclass(frozen=True, slots=True)
class AuthenticatedRow:
    """A row whose columns are authenticated as a whole, but for counters that `verify` recomputes.

    The order of a subclass's fields is the order in which they are authenticated: part of the format.

    Attributes:
        mac: authenticates every field but itself and those in `UNCOVERED`.
    """

    TABLE: ClassVar[str]
    UNCOVERED: ClassVar[frozenset[str]] = frozenset()

    mac: bytes = field(kw_only=True, default=NO_MAC, repr=False)

    def covered(self) -> tuple[Field, ...]:
        """The values that `mac` stands for, in their order."""
        take = _takers.get(type(self))
        if take is None:
            take = _takers[type(self)] = attrgetter(*_covered_names(type(self)))
        values: tuple[Field, ...] = take(self)  # not a value alone: no row has but one
        return values

    def covered_columns(self) -> dict[str, Field]:
        """The columns that a change of the row writes: everything covered, and `mac`."""
        return {name: getattr(self, name) for name in (*_covered_names(type(self)), "mac")}

    def columns(self) -> dict[str, Field]:
        """Every column that this row knows."""
        return {name: getattr(self, name) for name in column_names(type(self))}


Row = TypeVar("Row", bound=AuthenticatedRow)

_column_names: dict[type[AuthenticatedRow], tuple[str, ...]] = {}
_takers: dict[type[AuthenticatedRow], attrgetter[Any]] = {}


def column_names(row_type: type[AuthenticatedRow]) -> tuple[str, ...]:
    """Names of the columns that make up a row, in the order in which `columns_of` selects them."""
    names = _column_names.get(row_type)
    if names is None:
        names = _column_names[row_type] = tuple(one.name for one in fields(row_type))
    return names


def columns_of(row_type: type[AuthenticatedRow], table: sa.Table) -> list[sa.Column[Any]]:
    """What to select so that `build` can read it."""
    return [table.c[name] for name in column_names(row_type)]


def build(row_type: type[Row], values: Iterable[Any]) -> Row:
    """A row from the values of `columns_of`."""
    mac, *others = values
    return row_type(*others, mac=mac)


def _covered_names(row_type: type[AuthenticatedRow]) -> tuple[str, ...]:
    return tuple(name for name in column_names(row_type) if name != "mac" and name not in row_type.UNCOVERED)
