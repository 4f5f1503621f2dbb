"""Failure counters with a doubling delay, in the database: a restart or a second process forgives nothing.

It must never be used on `/dav`, where a refused credential is always 401 and a right one always opens
(docs/threat-model.md). Called by `totp.py` and `sign_in.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from davserver.clock import Clock, to_seconds
from davserver.db.engine import Transaction
from davserver.db.throttle import ThrottleRow
from davserver.errors import AuthenticationError, Throttled
from davserver.keyring import Keyring


@dataclass(frozen=True, slots=True)
class Rule:
    """How failures of one kind slow further attempts down.

    Attributes:
        purpose: name of the kind, at most 16 characters.
        free: failures in a row after which attempts are refused for `first_delay`.
        first_delay: doubles with each further failure, up to `longest_delay`.
        stop: failures in a row after which only a reset helps (NIST SP 800-63B-4, 3.2.2); None: never.
        forget_after: failures this long ago no longer count; None: they always do.
    """

    purpose: str
    free: int
    first_delay: timedelta
    longest_delay: timedelta
    stop: int | None = None
    forget_after: timedelta | None = None

    def delay(self, failures: int) -> timedelta:
        """How long attempts are refused after that many failures in a row."""
        if failures < self.free:
            return timedelta(0)
        doublings = min(failures - self.free, 32)  # beyond that every longest delay is reached
        return min(self.first_delay * (1 << doublings), self.longest_delay)


class Throttle:
    """Counts failures. The caller commits: a refused attempt must be stored although it raises."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock

    def require_open(self, tx: Transaction, rule: Rule, subject: str | bytes) -> None:
        """Let an attempt pass, or not.

        Raises:
            Throttled: too early after the last failures.
            AuthenticationError: too many failures in a row; only a reset helps.
        """
        row = self._find(tx, rule, subject)
        if row is None:
            return
        if rule.stop is not None and row.failures >= rule.stop:
            raise AuthenticationError("too many wrong attempts in a row: an administrator has to reset this")
        wait = row.blocked_until - to_seconds(self._clock())
        if wait > 0:
            raise Throttled(wait)

    def failed(self, tx: Transaction, rule: Rule, subject: str | bytes) -> None:
        """Count one failure more."""
        now = self._clock()
        row = self._find(tx, rule, subject)
        failures = 1 if row is None else row.failures + 1
        blocked_until = to_seconds(now + rule.delay(failures))
        private = self._keyring.private_id(rule.purpose, subject)
        tx.throttle.put(ThrottleRow(rule.purpose, private, failures, blocked_until, to_seconds(now)))
        if rule.forget_after is not None:
            tx.throttle.forget(rule.purpose, before=to_seconds(now - rule.forget_after))

    def succeeded(self, tx: Transaction, rule: Rule, subject: str | bytes) -> None:
        """Forget the failures: the right person has come, or an administrator has reset them."""
        tx.throttle.clear(rule.purpose, self._keyring.private_id(rule.purpose, subject))

    def _find(self, tx: Transaction, rule: Rule, subject: str | bytes) -> ThrottleRow | None:
        row = tx.throttle.find(rule.purpose, self._keyring.private_id(rule.purpose, subject))
        if row is None or rule.forget_after is None:
            return row
        return row if row.updated_at >= to_seconds(self._clock() - rule.forget_after) else None
