"""What may be read of the audit log: by administrators, by people about themselves, by whoever checks it.

It must never show an altered entry as if it were ours, nor what is another person's without recording who has
read it. Called by the site and the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from davserver.accounts.audit_chain import AuditChain, Mark
from davserver.accounts.audit_check import AuditCheck, AuditReport
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import from_seconds, to_seconds
from davserver.db.audit import AuditEntryRow, AuditHeadRow, Filter
from davserver.db.engine import Database, Transaction
from davserver.errors import CorruptRow
from davserver.keyring import Keyring
from davserver.model import Account

PAGE_ENTRIES = 1000
"""Entries read in one transaction where all are wanted."""

_LIVES = (AuditEvent.ACCOUNT_CREATED.value, AuditEvent.ACCOUNT_DELETED.value)
"""What parts one owner of a user name from the next."""


@dataclass(frozen=True, slots=True)
class Search:
    """Which entries somebody wants to see; None is all.

    Attributes:
        until: the moment itself is not among them.
    """

    account: str | None = None
    event: AuditEvent | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry.

    Attributes:
        at: when; None if the entry was altered.
        event: the value of an `AuditEvent`; one that a later version has written may be unknown.
        client: None if there was no address, or none any more.
    """

    seq: int
    at: datetime | None
    event: str = ""
    account: str = ""
    actor: str = ""
    credential: str = ""
    client: str | None = None
    reason: str = ""

    @property
    def is_altered(self) -> bool:
        """Whether nobody vouches for it: then there is nothing in it but its number."""
        return self.at is None


class AuditTrail:
    """Reads the log.

    Args:
        audit: where it is recorded who has read.
    """

    def __init__(self, database: Database, keyring: Keyring, audit: AuditSink) -> None:
        self._database = database
        self._chain = AuditChain(keyring)
        self._audit = audit

    def latest(
        self, wanted: Search, *, limit: int, before: int | None = None, by: str | None = None
    ) -> list[AuditEntry]:
        """The latest entries, those first; recorded as read.

        Args:
            wanted: which.
            limit: how many at most.
            before: only entries with smaller numbers, for the next page.
            by: who reads.
        """
        self._record(wanted, by)
        with self._database.read() as tx:
            rows = tx.audit.latest(_filter(wanted), before=before, after=0, limit=limit)
            return self._believed(tx, rows)

    def own(self, account: Account, *, limit: int) -> list[AuditEntry]:
        """The latest entries about an account, for its owner; none about somebody who had the name before."""
        with self._database.read() as tx:
            wanted, after = _of_owner(tx, account)
            return self._believed(tx, tx.audit.latest(wanted, before=None, after=after, limit=limit))

    def all_own(self, account: Account) -> Iterator[AuditEntry]:
        """Every entry about an account, for its owner, the earliest first."""
        with self._database.read() as tx:
            wanted, after = _of_owner(tx, account)
        for _, entry in self._walk(wanted, after):
            yield entry

    def follow(self, wanted: Search, *, after: int) -> list[AuditEntry]:
        """Entries that came after the one with this number, at most `PAGE_ENTRIES`, the earliest first."""
        with self._database.read() as tx:
            rows = tx.audit.earliest(_filter(wanted), after=after, limit=PAGE_ENTRIES)
            return self._believed(tx, rows)

    def everything(self, *, by: str | None = None) -> Iterator[tuple[AuditEntryRow, AuditEntry]]:
        """The whole log as it is stored, and as it is believed, the earliest first; recorded as read."""
        self._record(Search(), by)
        yield from self._walk(Filter(), 0)

    def head(self) -> Mark:
        """The last entry, to be kept elsewhere.

        Raises:
            CorruptRow: the head was altered or removed.
        """
        with self._database.read() as tx:
            head = self._chain.head(tx)
        if head is None:
            raise CorruptRow("nobody vouches for the head of the audit log: run `sealdav audit verify`")
        return Mark(head.seq, head.link)

    def verify(self, marks: Sequence[Mark] = ()) -> AuditReport:
        """Check the whole log, also against heads that were kept elsewhere."""
        with self._database.read() as tx:
            return AuditCheck(self._chain, marks).run(tx)

    def _walk(self, wanted: Filter, after: int) -> Iterator[tuple[AuditEntryRow, AuditEntry]]:
        while True:
            with self._database.read() as tx:
                rows = tx.audit.earliest(wanted, after=after, limit=PAGE_ENTRIES)
                found = self._believed(tx, rows)
            yield from zip(rows, found, strict=True)
            if len(rows) < PAGE_ENTRIES:
                return
            after = rows[-1].seq

    def _record(self, wanted: Search, by: str | None) -> None:
        self._audit.record(AuditEvent.AUDIT_READ, account=wanted.account, actor=by)

    def _believed(self, tx: Transaction, rows: Sequence[AuditEntryRow]) -> list[AuditEntry]:
        """What the entries say, each if it is authentic behind the one that is stored before it."""
        head = self._chain.head(tx)
        links = tx.audit.links_of([row.seq - 1 for row in rows])
        if head is not None:
            links[head.anchor_seq] = head.anchor_link
        return [self._entry(row, links.get(row.seq - 1), head) for row in rows]

    def _entry(self, row: AuditEntryRow, previous: object, head: AuditHeadRow | None) -> AuditEntry:
        has_place = self._chain.follows(row, previous)
        if not has_place or not (self._chain.has_its_address(row) or self._chain.lost_its_address(row, head)):
            return AuditEntry(row.seq, None)
        return AuditEntry(
            row.seq,
            from_seconds(row.at),
            row.event,
            row.account,
            row.actor,
            row.credential,
            row.client,
            row.reason,
        )


def _of_owner(tx: Transaction, account: Account) -> tuple[Filter, int]:
    """What is about this account and no earlier one of its name, and the number behind which it begins."""
    last = tx.audit.last_of(account.username, _LIVES)
    return Filter(account=account.username, since=to_seconds(account.created_at)), max(0, last - 1)


def _filter(wanted: Search) -> Filter:
    return Filter(
        wanted.account,
        None if wanted.event is None else wanted.event.value,
        None if wanted.since is None else to_seconds(wanted.since),
        None if wanted.until is None else to_seconds(wanted.until),
    )
