"""Checking the audit log: whether an entry was altered, removed, moved or added since it was written.

Changes nothing, and reads one moment, so that it may run beside a server. It must never take the entries' own
word for how many they are: for that there is the head, and one that is kept elsewhere. Called by
`audit_trail.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from davserver.accounts.audit_chain import AuditChain, Mark
from davserver.audit import AuditEvent
from davserver.db.audit import AuditEntryRow, AuditHeadRow
from davserver.db.engine import Transaction

MOST_PROBLEMS = 100
"""Findings that are put into words; more are counted."""

NO_HEAD = "the head of the log was altered or removed: nothing says how many entries there were"


@dataclass(frozen=True, slots=True)
class AuditProblem:
    """One finding.

    Attributes:
        seq: the entry; None if it is about the log as a whole.
        text: what is wrong, for people.
    """

    seq: int | None
    text: str


@dataclass(slots=True)
class AuditReport:
    """What was read, and what is wrong with it.

    Attributes:
        first, last: numbers of the entries that lie in the log; 0 if there are none.
        head: the last entry as the head names it; None if nobody vouches for the head.
        problems: at most `MOST_PROBLEMS`; `found` is how many there are.
        older: marks from before the first entry that is kept: nothing is left to compare them with.
    """

    entries: int = 0
    first: int = 0
    last: int = 0
    head: Mark | None = None
    found: int = 0
    problems: list[AuditProblem] = field(default_factory=list)
    older: list[Mark] = field(default_factory=list)


class AuditCheck:
    """One run.

    Args:
        marks: heads that were kept elsewhere.
    """

    def __init__(self, chain: AuditChain, marks: Sequence[Mark] = ()) -> None:
        self._chain = chain
        self._marks = marks
        self._report = AuditReport()

    def run(self, tx: Transaction) -> AuditReport:
        """Look at everything, in one transaction."""
        head = self._chain.head(tx)
        if head is None:
            self._found(None, NO_HEAD)
            self._walk(tx, None)
        else:
            self._report.head = Mark(head.seq, head.link)
            self._check_start(tx, head)
            self._walk(tx, head)
            self._check_end(tx, head)
        for mark in self._marks:
            self._compare(tx, mark, head)
        return self._report

    # ── from the first entry to the last
    def _walk(self, tx: Transaction, head: AuditHeadRow | None) -> None:
        """Without a head nobody knows what the first entry hangs on: it is taken as it is."""
        seq, previous = (None, b"") if head is None else (head.anchor_seq, head.anchor_link)
        for row in tx.audit.walk(after=seq or 0):
            if head is not None and row.seq > head.seq:
                beyond = f"the head ends at {head.seq}"
                self._found(row.seq, f"entry {row.seq} was added by somebody else: {beyond}")
                continue
            if seq is not None:
                self._check_place(row, seq, previous)
            self._check_address(row, head)
            self._note(row)
            seq, previous = row.seq, row.link

    def _check_place(self, row: AuditEntryRow, before: int, previous: bytes) -> None:
        if row.seq != before + 1:
            self._found(before + 1, f"{_range(before + 1, row.seq - 1)} missing")
        elif not self._chain.follows(row, previous):
            self._found(row.seq, f"entry {row.seq} was altered, moved or put there, or the one before it was")

    def _check_address(self, row: AuditEntryRow, head: AuditHeadRow | None) -> None:
        if self._chain.has_its_address(row) or self._chain.lost_its_address(row, head):
            return
        if row.client is not None or row.client_salt is not None:
            self._found(row.seq, f"the address of entry {row.seq} was altered")
        elif head is not None:
            self._found(row.seq, f"the address of entry {row.seq} was removed, which is too young for that")

    def _note(self, row: AuditEntryRow) -> None:
        if row.event == AuditEvent.AUDIT_BROKEN.value:
            why = "its head had been altered, or an entry added"
            self._found(row.seq, f"entry {row.seq} begins the log anew: {why}")
        self._report.first = self._report.first or row.seq
        self._report.last = row.seq
        self._report.entries += 1

    # ── both ends
    def _check_start(self, tx: Transaction, head: AuditHeadRow) -> None:
        first = tx.audit.first_seq()
        if first is not None and first <= head.anchor_seq:
            start = f"the beginning of the log, which is {head.anchor_seq + 1}"
            self._found(first, f"entry {first} lies before {start}: it was put there, or the log begun anew")

    def _check_end(self, tx: Transaction, head: AuditHeadRow) -> None:
        last = max(self._report.last, head.anchor_seq)
        if last < head.seq:
            self._found(last + 1, f"{_range(last + 1, head.seq)} missing from the end")
            return
        link = head.anchor_link if head.seq == head.anchor_seq else tx.audit.link_of(head.seq)
        if link != head.link:
            self._found(head.seq, f"entry {head.seq} is not the one that the head names")

    # ── what is known from elsewhere
    def _compare(self, tx: Transaction, mark: Mark, head: AuditHeadRow | None) -> None:
        if head is not None and mark.seq < head.anchor_seq:
            self._report.older.append(mark)
            return
        link = tx.audit.link_of(mark.seq)
        if head is not None and mark.seq == head.anchor_seq:
            link = head.anchor_link
        if link is None:
            self._found(mark.seq, f"entry {mark.seq}, which was there when its head was kept, is missing")
        elif link != mark.link:
            self._found(mark.seq, f"entry {mark.seq} is not the one that it was when its head was kept")

    def _found(self, seq: int | None, text: str) -> None:
        self._report.found += 1
        if len(self._report.problems) < MOST_PROBLEMS:
            self._report.problems.append(AuditProblem(seq, text))


def _range(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"the entries {first} to {last} are"
