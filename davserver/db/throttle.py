"""Failure counters: the table `throttle`.

Subjects arrive as keyed hashes, so that the table names no account or address. What a count means is
decided in `davserver/accounts/throttle.py`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert

from davserver.db.schema import throttle
from davserver.errors import CorruptRow


@dataclass(frozen=True, slots=True)
class ThrottleRow:
    """One failure counter.

    Attributes:
        purpose: what is being tried.
        subject: keyed hash of who is trying, or of what is being tried (32 bytes).
        failures: failures in a row.
        blocked_until: no attempt is looked at before this moment.
    """

    purpose: str
    subject: bytes
    failures: int
    blocked_until: int
    updated_at: int


_THIS = sa.and_(
    throttle.c.purpose == bindparam("for_purpose"), throttle.c.subject == bindparam("for_subject")
)
_FIND = sa.select(throttle.c.failures, throttle.c.blocked_until, throttle.c.updated_at).where(_THIS)
_CLEAR = sa.delete(throttle).where(_THIS)
_NEW = insert(throttle)
_PUT = _NEW.on_conflict_do_update(
    index_elements=["purpose", "subject"],
    set_={name: _NEW.excluded[name] for name in ("failures", "blocked_until", "updated_at")},
)


class ThrottleTable:
    """The table `throttle`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, purpose: str, subject: bytes) -> ThrottleRow | None:
        """The counter, if there were failures.

        Raises:
            CorruptRow: it is of a type that only SQLite allows there.
        """
        found = self._connection.execute(
            _FIND, {"for_purpose": purpose, "for_subject": subject}
        ).one_or_none()
        if found is not None and not all(isinstance(value, int) for value in found):
            raise CorruptRow("a counter of failures was altered")
        return None if found is None else ThrottleRow(purpose, subject, *found)

    def put(self, row: ThrottleRow) -> None:
        """Store a counter, over the one that is there."""
        self._connection.execute(_PUT, asdict(row))

    def clear(self, purpose: str, subject: bytes) -> None:
        """Forget a counter."""
        self._connection.execute(_CLEAR, {"for_purpose": purpose, "for_subject": subject})

    def forget(self, purpose: str, *, before: int) -> None:
        """Drop counters of this purpose that have not changed since `before`."""
        self._connection.execute(
            sa.delete(throttle).where(throttle.c.purpose == purpose, throttle.c.updated_at < before)
        )
