"""Sessions at the identity provider that were ended, and accounts that were: the table `ended_session`.

A token that was signed before stays signed; this is what it is refused by. Rows leave as they are stored:
whoever reads one checks its authenticator (`Keyring.checked`) before believing it. How long one is kept is
decided in `davserver/accounts/second_factor.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import ended_session


@dataclass(frozen=True, slots=True)
class EndedRow(AuthenticatedRow):
    """One row of the table `ended_session`.

    Attributes:
        whose: keyed hash of a session at the identity provider, or of an account (32 bytes).
        ended_at: when it was ended; for an account, every session that it had then.
    """

    TABLE: ClassVar[str] = "ended_session"

    whose: bytes = field(repr=False)
    ended_at: int


_THIS = ended_session.c.whose == bindparam("this", type_=sa.LargeBinary)
_FIND = sa.select(*columns_of(EndedRow, ended_session))
_DELETE = sa.delete(ended_session).where(_THIS)


class EndedTable:
    """The table `ended_session`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, whose: Sequence[bytes]) -> list[EndedRow]:
        """Those of these that were ended."""
        statement = _FIND.where(ended_session.c.whose.in_(whose))
        return [build(EndedRow, one) for one in self._connection.execute(statement)]

    def all(self) -> list[EndedRow]:
        """Every end."""
        return [build(EndedRow, one) for one in self._connection.execute(_FIND)]

    def put(self, row: EndedRow) -> None:
        """Keep an end in the place of an earlier one."""
        self._connection.execute(_DELETE, {"this": row.whose})
        self._connection.execute(sa.insert(ended_session), row.columns())

    def forget(self, *, ended_before: int) -> int:
        """Remove ends from before this moment; returns how many there were."""
        statement = sa.delete(ended_session).where(ended_session.c.ended_at < ended_before)
        return self._connection.execute(statement).rowcount
