"""Conditional fields and ranges, judged on a node without any server."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.clock import from_seconds
from davserver.errors import PreconditionFailed
from davserver.model import Node
from davserver.sending.conditions import (
    ByteRange,
    EntityTags,
    Preconditions,
    Unsatisfiable,
    parse_entity_tags,
    parse_http_date,
    parse_range,
    range_of,
)
from tests.unit.dav.nodes import make_collection, make_file

MODIFIED = 1_000_000_000
FILE = make_file(etag="now", size=10, modified_ns=MODIFIED * 1_000_000_000 + 999_999_999)
COLLECTION = make_collection(modified_ns=MODIFIED * 1_000_000_000)
BEFORE, SAME, AFTER = (format_datetime(from_seconds(MODIFIED + step), usegmt=True) for step in (-1, 0, 1))


def holds(check: Callable[[Node | None], None], node: Node | None) -> bool:
    """Whether a condition lets a request pass."""
    try:
        check(node)
    except PreconditionFailed:
        return False
    return True


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", EntityTags(anything=True)),
        (' "a" ', EntityTags(strong=frozenset({"a"}))),
        ('"a", W/"b","c,d" ,""', EntityTags(strong=frozenset({"a", "c,d", ""}), weak=frozenset({"b"}))),
        ("", EntityTags()),
        ("now", EntityTags()),
        ("JoplinIgnore-1699999999999", EntityTags()),
        ('w/"a"', EntityTags()),
        ('"a" "b"', EntityTags()),
        ('"a", b, "c"', EntityTags(strong=frozenset({"a"}))),
        ('"a', EntityTags()),
        ('*, "a"', EntityTags()),
    ],
)
def test_entity_tags_are_read_to_the_letter(value: str, expected: EntityTags) -> None:
    """RFC 9110, 8.8.3: nothing that is no entity tag becomes one."""
    assert parse_entity_tags(value) == expected


@pytest.mark.parametrize(
    ("field", "value", "file", "collection", "missing"),
    [
        ("IF_MATCH", "*", True, True, False),
        ("IF_MATCH", '"now"', True, False, False),
        ("IF_MATCH", '"old", "now"', True, False, False),
        ("IF_MATCH", 'W/"now"', False, False, False),
        ("IF_MATCH", '"old"', False, False, False),
        ("IF_MATCH", "now", False, False, False),
        ("IF_MATCH", '""', False, False, False),
        ("IF_NONE_MATCH", "*", False, False, True),
        ("IF_NONE_MATCH", '"now"', False, True, True),
        ("IF_NONE_MATCH", 'W/"now"', False, True, True),
        ("IF_NONE_MATCH", '"old"', True, True, True),
        ("IF_NONE_MATCH", "JoplinIgnore-1", True, True, True),
        ("IF_NONE_MATCH", '""', True, True, True),
        ("IF_UNMODIFIED_SINCE", BEFORE, False, False, True),
        ("IF_UNMODIFIED_SINCE", SAME, True, True, True),
        ("IF_UNMODIFIED_SINCE", AFTER, True, True, True),
        ("IF_UNMODIFIED_SINCE", "garbage", True, True, True),
        ("IF_MODIFIED_SINCE", AFTER, True, True, True),
    ],
)
def test_writes_pass_only_on_the_state_that_the_client_knows(
    field: str, value: str, *, file: bool, collection: bool, missing: bool
) -> None:
    """RFC 9110, 13.1 for methods that change something, on a file, a collection and where nothing is."""
    check = Preconditions.of({f"HTTP_{field}": value}).check_write
    assert [holds(check, node) for node in (FILE, COLLECTION, None)] == [file, collection, missing]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"IF_NONE_MATCH": '"now"'}, True),
        ({"IF_NONE_MATCH": 'W/"now"'}, True),
        ({"IF_NONE_MATCH": "*"}, True),
        ({"IF_NONE_MATCH": '"old"'}, False),
        ({"IF_MODIFIED_SINCE": BEFORE}, False),
        ({"IF_MODIFIED_SINCE": SAME}, True),
        ({"IF_MODIFIED_SINCE": AFTER}, False),
        ({"IF_MODIFIED_SINCE": "yesterday"}, False),
        ({"IF_NONE_MATCH": '"old"', "IF_MODIFIED_SINCE": AFTER}, False),
        ({"IF_NONE_MATCH": '"now"', "IF_MODIFIED_SINCE": BEFORE}, True),
        ({}, False),
    ],
)
def test_reading_again_what_is_known_is_304(fields: dict[str, str], *, expected: bool) -> None:
    """RFC 9110, 13.1.2, 13.1.3 and 13.2.2: If-None-Match decides alone; equal dates, no others, are a 304.

    A file that is older than what the client knows is another one, that was restored or moved there.
    """
    environ = {f"HTTP_{name}": value for name, value in fields.items()}
    assert Preconditions.of(environ).not_modified(FILE) is expected


def test_if_match_outranks_if_unmodified_since() -> None:
    """RFC 9110, 13.2.2: with If-Match the date is not looked at."""
    environ = {"HTTP_IF_MATCH": '"now"', "HTTP_IF_UNMODIFIED_SINCE": BEFORE}
    assert holds(Preconditions.of(environ).check_current, FILE)


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_forms_of_dates_are_read(text: str) -> None:
    """RFC 9110, 5.6.7: IMF-fixdate, RFC 850 and asctime."""
    assert parse_http_date(text) == 784111777


@given(st.text(max_size=40))
def test_no_text_is_too_strange_for_a_date(text: str) -> None:
    """Whatever a client sends as a date is one or is ignored."""
    assert parse_http_date(text) is None or isinstance(parse_http_date(text), int)


# ── ranges ──────────────────────────────────────────────────────────────────────────────────────────────────
HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("value", "size", "expected"),
    [
        ("bytes=0-3", 10, ByteRange(0, 4)),
        ("bytes=0-0", 10, ByteRange(0, 1)),
        ("bytes=9-", 10, ByteRange(9, 10)),
        ("bytes=5-99", 10, ByteRange(5, 10)),
        (f"bytes=5-{HUGE}", 10, ByteRange(5, 10)),
        ("bytes=-3", 10, ByteRange(7, 10)),
        ("bytes=-99", 10, ByteRange(0, 10)),
        (f"bytes=-{HUGE}", 10, ByteRange(0, 10)),
        ("BYTES=0-3", 10, ByteRange(0, 4)),
        ("bytes= 0-3 ", 10, ByteRange(0, 4)),
        (f"bytes=0-{'0' * 5000}1", 10, ByteRange(0, 2)),
        ("bytes=5-2", 10, None),
        (f"bytes={HUGE}-2", 10, None),
        ("bytes=-", 10, None),
        ("bytes=abc", 10, None),
        ("bytes=0-3,5-6", 10, None),
        ("bytes=0-0,0-0,0-0", 10, None),
        ("items=0-3", 10, None),
        ("bytes 0-3", 10, None),
        ("bytes=0 - 3", 10, None),
        ("bytes=--3", 10, None),
        ("bytes=+1-3", 10, None),
        ("bytes=\u0661-3", 10, None),
        ("bytes=", 10, None),
        ("", 10, None),
        ("bytes=-5", 0, None),
    ],
)
def test_range_is_what_rfc_9110_says(value: str, size: int, expected: ByteRange | None) -> None:
    """RFC 9110, 14.1.2 and 14.2 (T32): one valid range is taken, anything else means the whole file."""
    assert parse_range(value, size) == expected


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-20", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=0-0", 0),
        (f"bytes={HUGE}-", 10),
        (f"bytes={HUGE}-{HUGE}", 10),
    ],
)
def test_range_behind_the_end_is_unsatisfiable(value: str, size: int) -> None:
    """RFC 9110, 15.5.17 (T32): a valid range of no byte is a 416."""
    with pytest.raises(Unsatisfiable):
        parse_range(value, size)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_range_is_the_slice_of_a_list(first: int, last: int, size: int) -> None:
    """Every range equals the slice that its numbers say."""
    content = list(range(size))
    expected = content[first : last + 1] if first <= last else None
    try:
        found = parse_range(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert expected == []
    else:
        assert expected == (None if found is None else content[found.start : found.stop])
        assert expected != []


@pytest.mark.parametrize(
    "value", ["bytes=" + "0-0," * 2000, "bytes=" + "1" * 8000, "bytes=" + " " * 8000 + "x"]
)
def test_range_costs_nothing(value: str) -> None:
    """T32: a field of the longest length is judged at once."""
    begun = time.process_time()
    with contextlib.suppress(Unsatisfiable):
        parse_range(value, 10)
    assert time.process_time() - begun < 0.02


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('"now"', ByteRange(0, 4)),
        (' "now" ', ByteRange(0, 4)),
        ('W/"now"', None),
        ('"old"', None),
        ("now", None),
        (SAME, None),
        ("", None),
        (None, ByteRange(0, 4)),
    ],
)
def test_if_range_needs_the_strong_current_tag(condition: str | None, expected: ByteRange | None) -> None:
    """RFC 9110, 13.1.5: a date never matches, because two contents may bear the same time."""
    environ = {"HTTP_RANGE": "bytes=0-3"} | ({} if condition is None else {"HTTP_IF_RANGE": condition})
    assert range_of(environ, FILE) == expected


# ── WebDAV ──────────────────────────────────────────────────────────────────────────────────────────────────
