"""Parts of a file. RFC 9110, 14; T32."""

from __future__ import annotations

import hashlib

import pytest

from tests.conformance.client import Client
from tests.conformance.faults import fault

DIGITS = b"0123456789"
LARGE = hashlib.shake_128(b"large").digest(200_000)
"""Four chunks of the store, the last one shorter."""

ONE_RANGE = [
    ("bytes=0-3", 0, 4),
    ("bytes=2-", 2, 10),
    ("bytes=-3", 7, 10),
    ("bytes=5-5", 5, 6),
    ("bytes=9-", 9, 10),
    ("bytes=0-999", 0, 10),
    ("bytes=-10", 0, 10),
    ("bytes=-999", 0, 10),
    ("bytes=0-99999999999999999999999", 0, 10),
    ("bytes=-99999999999999999999999", 0, 10),
    ("bytes=007-008", 7, 9),
]


@pytest.mark.parametrize(("value", "start", "stop"), ONE_RANGE)
def test_one_range_is_206(dav: Client, value: str, start: int, stop: int) -> None:
    """RFC 9110, 15.3.7.1: exactly these bytes, and Content-Range says which."""
    dav.made("file", DIGITS)
    answer = dav.get("file", {"Range": value})
    assert answer.status == 206
    assert answer.body == DIGITS[start:stop]
    assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/10"
    assert answer["Content-Length"] == str(stop - start)


IGNORES_UNIT = fault("looks for anything that is like a range, whatever the unit")
READS_NUMBERS = fault("takes it for another range")
REFUSES = fault("answers 416 or 400")

NO_RANGE = [
    pytest.param("items=0-3", marks=IGNORES_UNIT),
    pytest.param("rows=0-1", marks=IGNORES_UNIT),
    pytest.param("xbytes=0-3", marks=IGNORES_UNIT),
    pytest.param("bytes=5-2", marks=READS_NUMBERS),
    pytest.param("bytes=abc", marks=REFUSES),
    pytest.param("bytes=", marks=REFUSES),
    pytest.param("bytes=-", marks=REFUSES),
    pytest.param("bytes", marks=REFUSES),
    pytest.param("", marks=REFUSES),
    pytest.param("0-3", marks=READS_NUMBERS),
    pytest.param("bytes=1-3x", marks=READS_NUMBERS),
    pytest.param("bytes=+1-3", marks=READS_NUMBERS),
    pytest.param("bytes=1--3", marks=READS_NUMBERS),
    pytest.param("bytes=0x1-3", marks=READS_NUMBERS),
    pytest.param("bytes=1_0-3", marks=READS_NUMBERS),
    pytest.param("bytes=1.0-3", marks=READS_NUMBERS),
    pytest.param("bytes=1 0-3", marks=READS_NUMBERS),
]
"""Not a byte range of one form or another: RFC 9110, 14.2 lets it be ignored, and 14.1.1 calls it invalid."""


@pytest.mark.parametrize("value", NO_RANGE)
def test_what_is_no_range_is_ignored(dav: Client, value: str) -> None:
    """RFC 9110, 14.2: another unit or a malformed value: 200 with the whole file."""
    dav.made("file", DIGITS)
    answer = dav.get("file", {"Range": value})
    assert (answer.status, answer.body) == (200, DIGITS)
    assert answer.get("Content-Range") is None


@pytest.mark.parametrize(
    "value",
    [
        "bytes=10-",
        "bytes=10-10",
        "bytes=99999999999999999999999-",
        pytest.param("bytes=-0", marks=fault("answers 206 with a range that ends before it begins")),
    ],
)
def test_range_beyond_the_end_is_416(dav: Client, value: str) -> None:
    """RFC 9110, 15.5.17: 416 with the length of the file."""
    dav.made("file", DIGITS)
    answer = dav.get("file", {"Range": value})
    assert answer.status == 416
    assert answer["Content-Range"] == "bytes */10"


def test_empty_file_has_no_ranges(dav: Client) -> None:
    """RFC 9110, 14.1.2: in a file of no bytes every range that begins somewhere lies beyond the end."""
    dav.made("file", b"")
    answer = dav.get("file", {"Range": "bytes=0-"})
    assert answer.status in {200, 416}
    if answer.status == 416:
        assert answer["Content-Range"] == "bytes */0"


@fault("gives the last range alone, and not what was asked first")
@pytest.mark.parametrize(
    "value", ["bytes=0-0,4-5", "bytes=0-0, 4-5", "bytes=0-0,,4-5", "bytes=0-0,4-5,-1", "bytes=0-0,-1"]
)
def test_several_ranges(dav: Client, value: str) -> None:
    """T32, RFC 9110, 14.2 and 15.3.7.2: the whole file, all ranges in parts, or the first one."""
    dav.made("file", DIGITS)
    answer = dav.get("file", {"Range": value})
    if answer.status == 200:
        assert answer.body == DIGITS
    elif answer["Content-Type"].startswith("multipart/byteranges"):
        assert answer.body.count(b"Content-Range: bytes ") == value.count("-")
    else:
        assert (answer.status, answer.body, answer["Content-Range"]) == (206, b"0", "bytes 0-0/10")


@fault("answers 416 as soon as one of them is")
def test_one_unsatisfiable_range_of_several(dav: Client) -> None:
    """RFC 9110, 14.1.2: a set with one satisfiable range is satisfiable."""
    dav.made("file", DIGITS)
    answer = dav.get("file", {"Range": "bytes=99-,0-1"})
    assert answer.status in {200, 206}
    assert answer.body == (DIGITS if answer.status == 200 else b"01")


@pytest.mark.parametrize("value", [",".join(f"{n}-" for n in range(1500)), ",".join(["0-"] * 3000)])
def test_many_ranges_cost_no_more_than_the_file(dav: Client, value: str) -> None:
    """T32, RFC 9110, 17.15: thousands of overlapping ranges are not multiplied into a large answer."""
    dav.made("file", DIGITS * 1000)
    answer = dav.get("file", {"Range": f"bytes={value}"})
    assert answer.status in {200, 206, 416, 431}
    assert len(answer.body) <= 10_000


EDGES = [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 196_608, 199_999]


@pytest.mark.parametrize("start", EDGES)
def test_range_across_the_chunks_of_the_store(dav: Client, start: int) -> None:
    """Whatever the place of a range in relation to the chunks, it gives the bytes of the file."""
    dav.made("file", LARGE)
    for stop in (*[edge for edge in EDGES if edge > start], 200_000):
        answer = dav.get("file", {"Range": f"bytes={start}-{stop - 1}"})
        assert (answer.status, answer["Content-Range"]) == (206, f"bytes {start}-{stop - 1}/200000")
        assert answer.body == LARGE[start:stop]


@fault("answers 206")
@pytest.mark.parametrize("value", ["bytes=0-3", "bytes=99-", "bytes=-0"])
def test_head_has_no_ranges(dav: Client, value: str) -> None:
    """RFC 9110, 14.2: Range is defined for GET alone; HEAD tells of the whole file."""
    dav.made("file", DIGITS)
    answer = dav.head("file", {"Range": value})
    assert (answer.status, answer["Content-Length"]) == (200, "10")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ranges_are_offered(dav: Client, method: str) -> None:
    """RFC 9110, 14.3: clients that read here and there (DAVx5, Finder) look for `Accept-Ranges: bytes`."""
    dav.made("file", DIGITS)
    assert dav.ask(method, "file")["Accept-Ranges"] == "bytes"


def test_part_carries_what_the_whole_would(dav: Client) -> None:
    """RFC 9110, 15.3.7: a 206 has ETag, Last-Modified and Content-Type of the 200."""
    dav.made("file.txt", DIGITS)
    whole, part = dav.get("file.txt"), dav.get("file.txt", {"Range": "bytes=0-3"})
    for name in ("ETag", "Last-Modified", "Content-Type"):
        assert part[name] == whole[name]


# ── If-Range ────────────────────────────────────────────────────────────────────────────────────────────────
def test_if_range_with_the_current_etag(dav: Client) -> None:
    """RFC 9110, 13.1.5: the same file still: 206."""
    etag = dav.made("file", DIGITS)["ETag"]
    answer = dav.get("file", {"Range": "bytes=0-3", "If-Range": etag})
    assert (answer.status, answer.body) == (206, b"0123")


def test_if_range_with_another_etag(dav: Client) -> None:
    """RFC 9110, 13.1.5: another file by now: the whole of it, or two files would be glued together."""
    old = dav.made("file", b"old content")["ETag"]
    assert dav.put("file", DIGITS).status == 204
    for value in (old, '"another"', "W/" + dav.head("file")["ETag"], "rubbish", '""'):
        answer = dav.get("file", {"Range": "bytes=0-3", "If-Range": value})
        assert (answer.status, answer.body) == (200, DIGITS)


def test_if_range_with_another_date(dav: Client) -> None:
    """RFC 9110, 13.1.5: a date that is not that of the file: the whole file."""
    dav.made("file", DIGITS)
    for date in ("Sun, 09 Sep 2001 01:46:40 GMT", "Fri, 31 Dec 2199 23:59:59 GMT"):
        answer = dav.get("file", {"Range": "bytes=0-3", "If-Range": date})
        assert (answer.status, answer.body) == (200, DIGITS)


@pytest.mark.usefixtures("ours")
def test_if_range_with_the_date_of_the_file(dav: Client) -> None:
    """A date never matches: clients set the times of files, so an equal time proves no equal content."""
    dav.made("file", DIGITS)
    answer = dav.get("file", {"Range": "bytes=0-3", "If-Range": dav.head("file")["Last-Modified"]})
    assert (answer.status, answer.body) == (200, DIGITS)


def test_if_range_without_range_is_ignored(dav: Client) -> None:
    """RFC 9110, 13.1.5: without Range there is nothing to decide."""
    dav.made("file", DIGITS)
    assert dav.get("file", {"If-Range": '"another"'}).status == 200


# ── with conditions ─────────────────────────────────────────────────────────────────────────────────────────
def test_conditions_come_before_the_range(dav: Client) -> None:
    """RFC 9110, 13.2.2: a failed If-Match is a 412 and a matching If-None-Match a 304, Range or not."""
    etag = dav.made("file", DIGITS)["ETag"]
    assert dav.get("file", {"Range": "bytes=0-3", "If-Match": '"another"'}).status == 412
    assert dav.get("file", {"Range": "bytes=0-3", "If-None-Match": etag}).status == 304
    assert dav.get("file", {"Range": "bytes=99-", "If-None-Match": etag}).status == 304
    page = dav.get("file", {"Range": "bytes=0-3", "If-Match": etag})
    assert (page.status, page.body) == (206, b"0123")
