"""The only place that reads the wall clock; everything else receives a `Clock`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND_NS = 10**9
"""Nanoseconds in a second."""


def utc_now() -> datetime:
    """Return the current time, timezone-aware, in UTC."""
    return datetime.now(UTC)


def to_nanoseconds(moment: datetime) -> int:
    """Nanoseconds since the Unix epoch; exact, because `datetime` counts in microseconds."""
    return (moment - EPOCH) // MICROSECOND * 1000


def to_seconds(moment: datetime) -> int:
    """Whole seconds since the Unix epoch."""
    return (moment - EPOCH) // timedelta(seconds=1)


def from_seconds(seconds: int) -> datetime:
    """The moment that lies `seconds` after the Unix epoch, in UTC."""
    return EPOCH + timedelta(seconds=seconds)
