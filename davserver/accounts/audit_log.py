"""The audit log that is kept: an `AuditSink` whose entries are chained, and durable together with the change.

What lets somebody in or changes something must never happen unrecorded, and a refusal must never become an
error because it could not be recorded. Built by `bootstrap`; what may be read of it is in `audit_trail.py`.
"""

from __future__ import annotations

from davserver.accounts.audit_chain import AuditChain, Happening
from davserver.accounts.audit_flood import MOST_A_MINUTE, Flood
from davserver.audit import HAPPENS_ANYWAY, OF_STRANGERS, AuditEvent, AuditSink, get_logger
from davserver.clock import Clock, to_seconds
from davserver.db.engine import Database, Transaction
from davserver.errors import StorageUnavailable
from davserver.keyring import Keyring


class AuditLog:
    """The stored log of this installation.

    Args:
        told: hears of everything as well, once it is durable: the lines of the log.
        actor: who acts where nobody is named: `TERMINAL` for commands, "" for the owner of the account.
        most_a_minute: entries of one kind of event that strangers can cause.
    """

    def __init__(  # noqa: PLR0913 - parts and two values
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        told: AuditSink,
        *,
        actor: str = "",
        most_a_minute: int = MOST_A_MINUTE,
    ) -> None:
        self._database = database
        self._clock = clock
        self._told = told
        self._actor = actor
        self._chain = AuditChain(keyring)
        self._flood = Flood(clock, most_a_minute)
        self._log = get_logger("sealdav.audit")

    def record(  # noqa: PLR0913 - as `AuditSink.record`
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
        """See `AuditSink.record`. What strangers cause is only counted once there was much of it."""
        if event in OF_STRANGERS and not self._flood.admits(event):
            return
        happening = Happening(
            event,
            to_seconds(self._clock()),
            account or "",
            self._actor if actor is None else actor,
            credential or "",
            client or "",
            reason or "",
        )
        if tx is not None:
            self._append(tx, happening)
            return
        self.settle()
        self._record_alone(happening)

    def settle(self, *, at_the_end: bool = False) -> None:
        """Record how much was not recorded in the minutes that are over; at the end, in the present one too.

        What cannot be recorded now is kept for the next time.
        """
        for event, count in self._flood.take(present=at_the_end).items():
            happening = Happening(
                AuditEvent.AUDIT_SKIPPED, to_seconds(self._clock()), reason=f"{count} more {event.value}"
            )
            try:
                self._write(happening)
            except StorageUnavailable:
                self._flood.missed(event, count)

    def _record_alone(self, happening: Happening) -> None:
        try:
            self._write(happening)
        except StorageUnavailable:
            if happening.event not in HAPPENS_ANYWAY:
                raise
            self._flood.missed(happening.event)
            self._log.warning("the audit log cannot be written", reason=happening.event.value)
            self._tell(happening)

    def _write(self, happening: Happening) -> None:
        with self._database.write() as tx:
            self._append(tx, happening)
            tx.commit()

    def _append(self, tx: Transaction, happening: Happening) -> None:
        broken = self._chain.append(tx, happening)
        if broken is not None:
            self._told.record(AuditEvent.AUDIT_BROKEN, reason=broken, tx=tx)
        self._tell(happening, tx)

    def _tell(self, happening: Happening, tx: Transaction | None = None) -> None:
        self._told.record(
            happening.event,
            account=happening.account,
            actor=happening.actor,
            credential=happening.credential,
            client=happening.client,
            reason=happening.reason,
            tx=tx,
        )
