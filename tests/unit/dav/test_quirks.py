"""Fields that are in no RFC: read to the letter or refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgidav.dav_error import DAVError

from davserver.dav.body import RequestBody
from davserver.dav.quirks import (
    EARLIEST_NS,
    LATEST_NS,
    Times,
    announced_size,
    checksums_of,
    seconds_to_ns,
    times_of,
    wants_minimal,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("1700000000", 1_700_000_000_000_000_000),
        ("-1", -1_000_000_000),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("-0.5", -500_000_000),
        (" 7 ", 7_000_000_000),
    ],
)
def test_seconds_are_exact(text: str, expected: int) -> None:
    """Whole and decimal seconds keep every digit; floating point would lose the last ones."""
    assert seconds_to_ns(text) == expected


@given(st.integers(EARLIEST_NS, LATEST_NS))
def test_every_time_that_can_be_stored_can_be_sent(nanoseconds: int) -> None:
    """No time is rounded on its way in."""
    sign, seconds = "-" if nanoseconds < 0 else "", abs(nanoseconds)
    assert seconds_to_ns(f"{sign}{seconds // 10**9}.{seconds % 10**9:09}") == nanoseconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "1e9",
        "0x1",
        "1_0",
        "+1",
        "1.",
        ".5",
        "nan",
        "inf",
        "\u0661",
        "9223372037",
        "-9223372037",
        "1" * 99,
    ],
)
def test_what_is_no_time_is_400(text: str) -> None:
    """A time that nobody meant is never stored."""
    with pytest.raises(DAVError) as caught:
        seconds_to_ns(text)
    assert caught.value.value == 400


def test_times_are_acknowledged_one_by_one() -> None:
    """Only what was sent is confirmed, in rclone's exact words."""
    assert times_of({}) == Times()
    assert Times().acknowledgements == []
    assert times_of({"HTTP_X_OC_MTIME": "0"}).acknowledgements == [("X-OC-Mtime", "accepted")]
    both = times_of({"HTTP_X_OC_MTIME": "1", "HTTP_X_OC_CTIME": "2"})
    assert both == Times(1_000_000_000, 2_000_000_000)
    assert [name for name, _ in both.acknowledgements] == ["X-OC-Mtime", "X-OC-CTime"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ("SHA1:" + "ab" * 20, {"SHA1": b"\xab" * 20}),
        ("sha1:" + "AB" * 20, {"SHA1": b"\xab" * 20}),
        (f"SHA1:{'ab' * 20} MD5:{'cd' * 16}", {"SHA1": b"\xab" * 20, "MD5": b"\xcd" * 16}),
        (f"ADLER32:01020304 SHA256:{'ef' * 32}", {"SHA256": b"\xef" * 32}),
        ("ADLER32:01020304", {}),
    ],
)
def test_checksums_are_read(value: str, expected: dict[str, bytes]) -> None:
    """OC-Checksum with one or several digests in any case; an unknown algorithm is passed over."""
    assert checksums_of({"HTTP_OC_CHECKSUM": value}) == expected


@pytest.mark.parametrize(
    "value", ["SHA1", "SHA1:", ":ab", "SHA1:xy", "SHA1:abc", "SHA1:ab", f"MD5:{'ab' * 20}", "SHA1=ab"]
)
def test_malformed_checksums_are_400(value: str) -> None:
    """A digest that cannot be verified as sent is not dropped in silence."""
    with pytest.raises(DAVError) as caught:
        checksums_of({"HTTP_OC_CHECKSUM": value})
    assert caught.value.value == 400


def sized(length: int | None) -> RequestBody:
    """A body of an announced length, or a chunked one."""
    if length is None:
        return RequestBody({"wsgi.input": io.BytesIO(), "HTTP_TRANSFER_ENCODING": "chunked"})
    return RequestBody({"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": str(length)})


@pytest.mark.parametrize(
    ("length", "expected", "announced"),
    [(5, None, 5), (None, None, None), (None, "5", 5), (5, "5", 5), (0, "0", 0)],
)
def test_length_is_whoever_says_it(length: int | None, expected: str | None, announced: int | None) -> None:
    """Content-Length, or Finder's field on a chunked body."""
    environ = {} if expected is None else {"HTTP_X_EXPECTED_ENTITY_LENGTH": expected}
    assert announced_size(environ, sized(length)) == announced


@pytest.mark.parametrize(
    ("length", "expected"), [(5, "6"), (0, "5"), (None, "-5"), (None, "x"), (None, ""), (None, "9" * 5000)]
)
def test_contradicting_lengths_are_400(length: int | None, expected: str) -> None:
    """Two lengths, or one that is no number: nobody knows what the file should be."""
    with pytest.raises(DAVError) as caught:
        announced_size({"HTTP_X_EXPECTED_ENTITY_LENGTH": expected}, sized(length))
    assert caught.value.value == 400


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"PREFER": "return=minimal"}, True),
        ({"PREFER": "depth-noroot, Return = Minimal; x=1"}, True),
        ({"PREFER": "return=representation"}, False),
        ({"BRIEF": "t"}, True),
        ({"BRIEF": "f"}, False),
        ({"USER_AGENT": "Microsoft-WebDAV-MiniRedir/10.0.19045"}, True),
        ({"USER_AGENT": "rclone/v1.76.0"}, False),
    ],
)
def test_who_wants_little_gets_little(fields: dict[str, str], *, expected: bool) -> None:
    """RFC 8144 and its forerunner, and Windows, whose listings have a largest size."""
    assert wants_minimal({f"HTTP_{name}": value for name, value in fields.items()}) is expected
