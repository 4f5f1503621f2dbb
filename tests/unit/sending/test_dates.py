"""Times as text, compared with the standard library."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.clock import to_nanoseconds
from davserver.sending.conditions import parse_http_date
from davserver.sending.dates import http_date, iso_date, parse_iso_date

moments = st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments)
def test_dates_are_those_of_the_standard_library(moment: datetime) -> None:
    """Every moment that can be stored, before 1970 too, is written as RFC 9110 and RFC 3339 want it."""
    nanoseconds = to_nanoseconds(moment)
    whole = moment.replace(microsecond=0)
    assert http_date(nanoseconds) == format_datetime(whole, usegmt=True)
    assert iso_date(nanoseconds) == whole.isoformat().replace("+00:00", "Z")
    assert parse_http_date(http_date(nanoseconds)) == nanoseconds // 10**9
    assert parse_iso_date(iso_date(nanoseconds)) == whole


@pytest.mark.parametrize("text", ["", "now", "2030-01-02T03:04:05", "2030-01-02", "1893553445"])
def test_iso_date_needs_a_zone(text: str) -> None:
    """A creation date without a zone would be another moment on every machine."""
    with pytest.raises(ValueError, match=r"zone|isoformat"):
        parse_iso_date(text)
