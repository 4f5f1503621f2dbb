"""Which of the processes that serve a store asks the identity provider, and what is wrong with the answers.

A lease is good for some seconds and renewed by its holder; when it is not, another process takes it. Two may
ask at once for a moment, which does no harm. Called by `rounds`.
"""

from __future__ import annotations

from dataclasses import replace

from davserver.audit import OFFBOARDING, AuditEvent, AuditSink
from davserver.crypto.primitives import random_bytes
from davserver.db.engine import Database
from davserver.db.lease import LeaseRow
from davserver.model import ID_BYTES


class Lease:
    """The one lease of a store, as one process sees it. Moments are seconds since the Unix epoch.

    Args:
        seconds: how long it is good for.
    """

    def __init__(self, database: Database, audit: AuditSink, seconds: int) -> None:
        self._database = database
        self._audit = audit
        self._seconds = seconds
        self._me = random_bytes(ID_BYTES)

    def hold(self, now: int) -> bool:
        """Take or keep it; False if another process has it. Written only when half of its time is over."""
        with self._database.read() as tx:
            row = tx.lease.find()
        if row is not None and row.holder == self._me and self._seconds < 2 * (row.until - now):
            return True
        if self._is_others(row, now):
            return False
        with self._database.write() as tx:
            row = tx.lease.find()
            if self._is_others(row, now):
                return False
            tx.lease.put(replace(row or LeaseRow(self._me, 0), holder=self._me, until=now + self._seconds))
            tx.commit()
        return True

    def let_go(self, now: int) -> None:
        """Let another process have it at once."""
        with self._database.write() as tx:
            row = tx.lease.find()
            if row is not None and row.holder == self._me:
                tx.lease.put(replace(row, until=now))
                tx.commit()

    def note(self, trouble: str, now: int) -> None:
        """Record why the provider says nothing, "" if it does; the same again changes nothing."""
        with self._database.read() as tx:
            row = tx.lease.find()
        if row is None or row.trouble == trouble:
            return
        with self._database.write() as tx:
            row = tx.lease.find()
            if row is None or row.trouble == trouble:
                return
            tx.lease.put(replace(row, trouble=trouble, trouble_at=now if trouble else None))
            event = AuditEvent.PROVIDER_LOST if trouble else AuditEvent.PROVIDER_BACK
            self._audit.record(event, actor=OFFBOARDING, reason=trouble or None, tx=tx)
            tx.commit()

    def _is_others(self, row: LeaseRow | None, now: int) -> bool:
        """Whether another process has it; one that ends later than any can is of a clock set back."""
        return row is not None and row.holder != self._me and now < row.until <= now + self._seconds
