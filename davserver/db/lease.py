"""Which process asks the identity provider about everybody, and what is wrong with it: the table `lease`.

Nobody vouches for its one row: whoever alters it can only have too many or too few processes ask, and what is
not confirmed in time is not served. Rules are in `davserver/accounts/rounds.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from davserver.db.schema import lease

ONLY = 1
"""The id of the one row."""

LATEST = 2**37
"""Beyond this no moment is one that we have written."""


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """The row.

    Attributes:
        holder: which process; 16 random bytes that it has chosen for itself.
        until: when others may take over, unless it is renewed.
        trouble: why the provider says nothing, in words of ours; "" if it does.
        trouble_at: since when.
    """

    holder: bytes
    until: int
    trouble: str = ""
    trouble_at: int | None = None


_FIND = sa.select(lease.c.holder, lease.c.until, lease.c.trouble, lease.c.trouble_at).where(
    lease.c.lease_id == ONLY
)
_NEW = insert(lease)
_PUT = _NEW.on_conflict_do_update(
    index_elements=["lease_id"],
    set_={name: _NEW.excluded[name] for name in ("holder", "until", "trouble", "trouble_at")},
)


class LeaseTable:
    """The table `lease`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self) -> LeaseRow | None:
        """The row, once there is one; one that was altered beyond reading counts as none."""
        found = self._connection.execute(_FIND).one_or_none()
        if found is None or not isinstance(found.trouble, str):
            return None
        moments = found.until, found.trouble_at or 0
        if not all(isinstance(one, int) and abs(one) < LATEST for one in moments):
            return None
        return LeaseRow(*found)

    def put(self, row: LeaseRow) -> None:
        """Write the row."""
        self._connection.execute(_PUT, {"lease_id": ONLY, **asdict(row)})
