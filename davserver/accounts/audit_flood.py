"""How many entries of the audit log strangers may cause: so many a minute, and beyond that a count.

It must never let somebody without an account fill the disk, or keep the one writer of the database busy.
Called by `audit_log.py`.
"""

from __future__ import annotations

import threading
from collections import Counter

from davserver.audit import AuditEvent
from davserver.clock import Clock, to_seconds

MOST_A_MINUTE = 20
"""Entries of one kind, in each process: at about 300 bytes each, at most 9 MB a day for each, should somebody
go on for so long."""

MINUTE_SECONDS = 60


class Flood:
    """Counts events by kind, so that much of one does not hide another; in the memory of this process.

    Args:
        most: entries of one kind a minute.
    """

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._minute = 0
        self._seen: Counter[AuditEvent] = Counter()
        self._skipped: Counter[AuditEvent] = Counter()
        self._lock = threading.Lock()

    def admits(self, event: AuditEvent) -> bool:
        """Count one more; whether it is to be recorded."""
        with self._lock:
            self._turn()
            self._seen[event] += 1
            if self._seen[event] <= self._most:
                return True
            self._skipped[event] += 1
            return False

    def missed(self, event: AuditEvent, count: int = 1) -> None:
        """Count what was to be recorded and could not be."""
        with self._lock:
            self._skipped[event] += count

    def take(self, *, present: bool) -> dict[AuditEvent, int]:
        """What was not recorded, and is to be told now: nothing while its minute lasts, unless `present`."""
        with self._lock:
            over = self._turn()
            if not self._skipped or not (over or present):
                return {}
            taken, self._skipped = self._skipped, Counter()
        return dict(taken)

    def _turn(self) -> bool:
        """Begin another minute, if it is one; whether all that was skipped belongs to those before it."""
        minute = to_seconds(self._clock()) // MINUTE_SECONDS
        if minute != self._minute:
            self._minute, self._seen = minute, Counter()
        return not any(count > self._most for count in self._seen.values())
