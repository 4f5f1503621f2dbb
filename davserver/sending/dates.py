"""Times as HTTP and WebDAV write them.

Pure. The day of a time is formatted once and kept: the entries of a listing share few days.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import lru_cache

from davserver.sending.conditions import NANOSECONDS

SECONDS_A_DAY = 86_400
CACHED_DAYS = 4096

_TWO_DIGITS = [f"{number:02}" for number in range(60)]
_MINUTES = [f"{hour}:{minute}" for hour in _TWO_DIGITS[:24] for minute in _TWO_DIGITS]
_EPOCH = date(1970, 1, 1)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(moment_ns: int) -> str:
    """IMF-fixdate (RFC 9110, 5.6.7), for getlastmodified and Last-Modified."""
    days, seconds = divmod(moment_ns // NANOSECONDS, SECONDS_A_DAY)
    return f"{_day(days)[0]} {_clock(seconds)} GMT"


def iso_date(moment_ns: int) -> str:
    """RFC 3339 in UTC, for creationdate (RFC 4918, 15.1)."""
    days, seconds = divmod(moment_ns // NANOSECONDS, SECONDS_A_DAY)
    return f"{_day(days)[1]}T{_clock(seconds)}Z"


def parse_iso_date(text: str) -> datetime:
    """Read RFC 3339.

    Raises:
        ValueError: it is something else, or has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment  # in its own zone: at either end of the calendar there is no such moment in UTC


def _clock(seconds: int) -> str:
    return f"{_MINUTES[seconds // 60]}:{_TWO_DIGITS[seconds % 60]}"


@lru_cache(CACHED_DAYS)
def _day(days: int) -> tuple[str, str]:
    day = _EPOCH + timedelta(days)
    named = f"{_WEEKDAYS[day.weekday()]}, {day.day:02} {_MONTHS[day.month - 1]} {day.year:04}"
    return named, day.isoformat()
