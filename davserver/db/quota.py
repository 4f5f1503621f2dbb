"""The counters of an account: bytes stored, and the version of its collections' structure.

Counters are not authenticated; `sealdav verify` recomputes them. The quota itself is, with its account row.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.schema import account
from davserver.errors import CorruptRow, NotFound, QuotaExceeded
from davserver.model import AccountId

_MINE = account.c.account_id == bindparam("id")
_delta = bindparam("delta", type_=sa.BigInteger)
_ADD = (
    sa.update(account)
    .where(_MINE, sa.or_(_delta <= 0, account.c.quota.is_(None), account.c.used + _delta <= account.c.quota))
    .values(used=account.c.used + _delta)
)
_USAGE = sa.select(account.c.used, account.c.quota).where(_MINE)
_RESTRUCTURED = sa.update(account).where(_MINE).values(structure_version=account.c.structure_version + 1)


class Quota:
    """Counters in the table `account`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, account_id: AccountId, delta: int) -> None:
        """Count `delta` bytes more (or fewer). Last in its transaction, so that the row is locked shortly.

        Raises:
            QuotaExceeded: there is no room; shrinking is always allowed.
        """
        if self._connection.execute(_ADD, {"id": account_id, "delta": delta}).rowcount != 1:
            raise QuotaExceeded("the account's quota has no room for this")

    def usage(self, account_id: AccountId) -> tuple[int, int | None]:
        """Bytes used, and the quota (None: unlimited).

        Raises:
            NotFound: there is no such account.
            CorruptRow: one is of a type that only SQLite allows there.
        """
        found = self._connection.execute(_USAGE, {"id": account_id}).one_or_none()
        if found is None:
            raise NotFound("no such account")
        if not isinstance(found.used, int) or not isinstance(found.quota, int | None):
            raise CorruptRow("the count of stored bytes was altered")
        return found.used, found.quota

    def raise_structure_version(self, account_id: AccountId) -> None:
        """Say that a collection was moved or deleted: cached look-ups of paths are void."""
        self._connection.execute(_RESTRUCTURED, {"id": account_id})
