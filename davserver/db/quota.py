"""The counters of an account: bytes stored, and the version of its collections' structure.

Counters are not authenticated; `sealdav verify` recomputes them. The quota itself is, with its account row.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.driver import Driver
from davserver.db.prepared import Prepared
from davserver.db.schema import account
from davserver.errors import CorruptRow, NotFound, QuotaExceeded
from davserver.model import AccountId

_MINE = account.c.account_id == bindparam("id")
_delta = bindparam("delta", type_=sa.BigInteger)
_ADD = Prepared(
    sa.update(account)
    .where(_MINE, sa.or_(_delta <= 0, account.c.quota.is_(None), account.c.used + _delta <= account.c.quota))
    .values(used=account.c.used + _delta)
)
_USAGE = Prepared(sa.select(account.c.used, account.c.quota).where(_MINE))
_RESTRUCTURED = Prepared(
    sa.update(account).where(_MINE).values(structure_version=account.c.structure_version + 1)
)


class Quota:
    """Counters in the table `account`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def add(self, account_id: AccountId, delta: int) -> None:
        """Count `delta` bytes more (or fewer). Last in its transaction, so that the row is locked shortly.

        Raises:
            QuotaExceeded: there is no room; shrinking is always allowed.
        """
        self._driver.glances.pop(account_id, None)
        if self._driver.change(_ADD, {"id": account_id, "delta": delta}) != 1:
            raise QuotaExceeded("the account's quota has no room for this")

    def usage(self, account_id: AccountId) -> tuple[int, int | None]:
        """Bytes used, and the quota (None: unlimited); not looked up if this transaction has just seen them.

        Raises:
            NotFound: there is no such account.
            CorruptRow: one is of a type that only SQLite allows there.
        """
        seen = self._driver.glances.get(account_id)
        found = (seen.used, seen.quota) if seen else self._driver.one(_USAGE, {"id": account_id})
        if found is None:
            raise NotFound("no such account")
        used, quota = found
        if not isinstance(used, int) or not isinstance(quota, int | None):
            raise CorruptRow("the count of stored bytes was altered")
        return used, quota

    def raise_structure_version(self, account_id: AccountId) -> None:
        """Say that a collection was moved or deleted: cached look-ups of paths are void."""
        self._driver.glances.pop(account_id, None)
        self._driver.change(_RESTRUCTURED, {"id": account_id})
