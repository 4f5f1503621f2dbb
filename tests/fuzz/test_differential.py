"""Two readers of the same bytes: ours and h11. T01, T02, T03, T04, T09.

Whatever ours takes for a request h11 has to take for the same one, with the same body, and the next one has
to begin in the same place: else somebody between a client and us could see other requests than we do. What
ours refuses is no difference: nothing comes of it.
"""

from __future__ import annotations

import pytest

from tests.fuzz import h11_reader, tape
from tests.fuzz.difference import difference
from tests.fuzz.streams import Streams

STREAMS = 100_000
PARTS = 20


@pytest.mark.parametrize("part", range(PARTS))
def test_both_see_the_same_requests_or_ours_refuses(part: int) -> None:
    """100,000 streams, cut into pieces anywhere, most of them right, many wrong in one place."""
    streams = Streams(part)
    for _ in range(STREAMS // PARTS):
        pieces = streams.next()
        ours, theirs = tape.framed(pieces), h11_reader.framed(b"".join(pieces))
        found = difference(ours, theirs)
        assert not found, (found, pieces, ours, theirs)


def test_the_streams_are_worth_it() -> None:
    """Every outcome is common enough, so that the test above compares something."""
    streams = Streams(0)
    results = [tape.framed(streams.next()) for _ in range(2000)]
    ends = [result.end for result in results]
    assert min(ends.count(end) for end in ("over", "closes", "unfinished", "refused")) > 100
    assert sum(len(result.requests) for result in results) > 1000
    assert sum(result.end == "refused" and bool(result.begun) for result in results) > 50


def test_how_a_stream_is_cut_says_nothing() -> None:
    """RFC 9112, 2.1: byte by byte, or all at once."""
    streams = Streams(PARTS)
    for _ in range(1000):
        stream = b"".join(streams.next())
        whole = tape.framed([stream])
        assert tape.framed(bytes([byte]) for byte in stream) == whole
