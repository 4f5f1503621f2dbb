"""Small complete stand-ins for the world outside: a clock that stands still and a sink that remembers.

Never patches of our own functions. Used by `tests/factories.py` and by tests.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from davserver.audit import AuditEvent
from davserver.db.engine import Transaction

START = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
"""When time begins for tests."""


class FrozenClock:
    """A clock that moves only when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        """The time that it shows."""
        return self.now

    def advance(self, **amount: float) -> None:
        """Move on by a `timedelta` given in its own words: `advance(minutes=5)`."""
        self.now += timedelta(**amount)


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One call of `AuditSink.record`."""

    event: AuditEvent
    account: str | None
    credential: str | None
    client: str | None
    reason: str | None
    actor: str | None = None


@dataclass
class RecordingAudit:
    """An audit sink that keeps what it is told, once the change of which it tells is committed."""

    events: list[RecordedEvent] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def record(
        self,
        event: AuditEvent,
        *,
        account: str | None = None,
        actor: str | None = None,
        credential: str | None = None,
        client: str | None = None,
        reason: str | None = None,
        tx: Transaction | None = None,
    ) -> None:
        """See `AuditSink.record`."""
        recorded = RecordedEvent(event, account, credential, client, reason, actor)
        if tx is None:
            self._keep(recorded)
        else:
            tx.after_commit(lambda: self._keep(recorded))

    def _keep(self, recorded: RecordedEvent) -> None:
        with self._lock:
            self.events.append(recorded)

    def of(self, event: AuditEvent) -> list[RecordedEvent]:
        """What was recorded of one kind."""
        return [one for one in self.events if one.event is event]
