"""What is forgotten of the audit log with time: first the addresses, then whole entries, the oldest first.

It must never remove an entry because of a time that somebody without the key has written into it: only what
is authentic counts. Called by `upkeep.py`; the reasons are in docs/adr/0018.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from davserver.accounts.audit_chain import AuditChain
from davserver.clock import Clock, to_seconds
from davserver.db.audit import AuditEntryRow
from davserver.db.engine import Database, Transaction
from davserver.keyring import Keyring

BATCH_ENTRIES = 500
"""Entries that are changed or removed in one transaction."""


class AuditRetention:
    """Forgets.

    Args:
        addresses: how long addresses are kept.
        entries: how long entries are kept; None: for ever.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        *,
        addresses: timedelta,
        entries: timedelta | None,
    ) -> None:
        self._database = database
        self._chain = AuditChain(keyring)
        self._clock = clock
        self._addresses = addresses
        self._entries = entries

    def run(self) -> None:
        """Forget what is old enough; nothing of a log whose head nobody vouches for."""
        before = to_seconds(self._clock() - self._addresses)
        while self._forget_addresses(before):
            pass
        if self._entries is not None:
            before = to_seconds(self._clock() - self._entries)
            while self._remove(before):
                pass

    def _forget_addresses(self, before: int) -> bool:
        """Of some entries; whether there were any. The head says how far that has gone."""
        with self._database.read() as tx:
            if not tx.audit.has_addresses(before=before):
                return False
        with self._database.write() as tx:
            head = self._chain.head(tx)
            if head is None:
                return False
            tx.audit.forget_addresses(before=before, limit=BATCH_ENTRIES)
            self._chain.put_head(tx, replace(head, forgotten_before=max(before, head.forgotten_before)))
            tx.commit()
        return True

    def _remove(self, before: int) -> bool:
        """Some entries; whether there were any. The head names the last of them, on which the rest hangs."""
        with self._database.read() as tx:
            if self._last_expired(tx, before) is None:
                return False
        with self._database.write() as tx:
            head, last = self._chain.head(tx), self._last_expired(tx, before)
            if head is None or last is None:
                return False
            tx.wipe_freed()
            tx.audit.delete_through(last.seq)
            self._chain.put_head(tx, replace(head, anchor_seq=last.seq, anchor_link=last.link))
            tx.commit()
        return True

    def _last_expired(self, tx: Transaction, before: int) -> AuditEntryRow | None:
        """The last of some entries from the oldest on of which no authentic one is too young.

        An altered one says nothing about its age. It goes when an authentic one behind it is old enough.
        """
        head, last, count = self._chain.head(tx), None, 0
        if head is None:
            return None
        previous = head.anchor_link
        for row in tx.audit.walk(after=head.anchor_seq):
            if row.seq > head.seq or count == BATCH_ENTRIES:
                break
            if self._chain.follows(row, previous):
                if row.at >= before:
                    break
                last, count = row, count + 1
            previous = row.link
        return last
