"""The counters of an account: bytes stored, those of them that are kept, and the version of its structure.

Counters are not authenticated; `sealdav verify` recomputes them. The quota itself is, with its account row.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.driver import Driver
from davserver.db.prepared import Prepared
from davserver.db.schema import account
from davserver.errors import CorruptRow, NotFound, QuotaExceeded
from davserver.model import AccountId, AccountState

_MINE = account.c.account_id == bindparam("id")
_delta = bindparam("delta", type_=sa.BigInteger)
_ADD = Prepared(
    sa.update(account)
    .where(_MINE, sa.or_(_delta <= 0, account.c.quota.is_(None), account.c.used + _delta <= account.c.quota))
    .values(
        used=account.c.used + _delta,
        kept=account.c.kept + bindparam("kept_delta", type_=sa.BigInteger),
        structure_version=account.c.structure_version + bindparam("changes", type_=sa.BigInteger),
    )
)
_USAGE = Prepared(sa.select(account.c.used, account.c.quota, account.c.kept).where(_MINE))
_RESTRUCTURED = Prepared(
    sa.update(account).where(_MINE).values(structure_version=account.c.structure_version + 1)
)
_OVERFULL = sa.select(account.c.account_id).where(
    account.c.state != AccountState.DELETED.value,
    account.c.kept > 0,
    sa.or_(
        account.c.kept > account.c.quota * bindparam("share", type_=sa.Float),
        account.c.used > account.c.quota,
    ),
)


class Counted(NamedTuple):
    """Bytes of plaintext of an account.

    Attributes:
        used: everything that is stored.
        quota: None: unlimited.
        kept: trash and previous versions, which are stored as well.
    """

    used: int
    quota: int | None
    kept: int

    @property
    def free(self) -> int | None:
        """How many bytes more fit in, once all that is kept has given way; None: nobody can tell."""
        return None if self.quota is None else max(0, self.quota - self.used + self.kept)

    def excess(self, share: float) -> int:
        """How many bytes more are kept than `share` of the quota, or than there is room for; 0: none."""
        if self.quota is None:
            return 0
        room = max(0, self.quota - (self.used - self.kept))
        return max(0, self.kept - min(int(self.quota * share), room))

    def has_room_for(self, more: int) -> bool:
        """Whether so many bytes more fit in, or fewer, once all that is kept has given way."""
        return self.quota is None or self.used - self.kept + more <= self.quota


class Quota:
    """Counters in the table `account`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def add(self, account_id: AccountId, delta: int, *, kept: int = 0, restructured: bool = False) -> None:
        """Count `delta` bytes more (or fewer). Last in its transaction, so that the row is locked shortly.

        Args:
            account_id: whose.
            delta: stored from now on.
            kept: so many more of those that are stored are kept only, or fewer.
            restructured: as `raise_structure_version`, in the same statement.

        Raises:
            QuotaExceeded: there is no room; shrinking is always allowed.
        """
        self._driver.glances.pop(account_id, None)
        change = {"id": account_id, "delta": delta, "kept_delta": kept, "changes": int(restructured)}
        if self._driver.change(_ADD, change) != 1:
            raise QuotaExceeded("the account's quota has no room for this", self._missing(account_id, delta))

    def _missing(self, account_id: AccountId, delta: int) -> int:
        try:
            counted = self.usage(account_id)
        except NotFound:
            return 0
        return 0 if counted.quota is None else counted.used + delta - counted.quota

    def usage(self, account_id: AccountId) -> Counted:
        """What is stored, and what may be; not looked up if this transaction has just seen it.

        Raises:
            NotFound: there is no such account.
            CorruptRow: one is of a type that only SQLite allows there.
        """
        seen = self._driver.glances.get(account_id)
        found = (seen.used, seen.quota, seen.kept) if seen else self._driver.one(_USAGE, {"id": account_id})
        if found is None:
            raise NotFound("no such account")
        used, quota, kept = found
        if not (isinstance(used, int) and isinstance(quota, int | None) and isinstance(kept, int)):
            raise CorruptRow("the count of stored bytes was altered")
        return Counted(used, quota, kept)

    def overfull(self, share: float) -> list[AccountId]:
        """Accounts in which more is kept than `share` of the quota, or than there is room for.

        Those that are being deleted are not among them.
        """
        found = self._driver.sqlalchemy.execute(_OVERFULL, {"share": share})
        return [AccountId(account_id) for (account_id,) in found]

    def raise_structure_version(self, account_id: AccountId) -> None:
        """Say that a collection was moved or deleted: cached look-ups of paths are void."""
        self._driver.glances.pop(account_id, None)
        self._driver.change(_RESTRUCTURED, {"id": account_id})
