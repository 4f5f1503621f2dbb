"""The arithmetic of blobs: sizes and ranges, without a key."""

from __future__ import annotations

import pytest

from davserver.crypto import layout
from davserver.crypto.layout import CHUNK_BYTES, HEADER_BYTES, MAX_CHUNKS, TAG_BYTES, Run
from davserver.errors import CorruptBlob, LimitExceeded

UNIT = CHUNK_BYTES + TAG_BYTES


@pytest.mark.parametrize(
    ("plain", "sealed"),
    [
        (0, 104),
        (1, 105),
        (13, 117),
        (65_535, 65_639),
        (65_536, 65_640),
        (65_537, 65_657),
        (100_000, 100_120),
        (131_072, 131_192),
        (1 << 30, 1_074_004_056),
        (MAX_CHUNKS << 16, 17_596_481_011_800),
    ],
)
def test_sizes_are_those_of_the_document(plain: int, sealed: int) -> None:
    """88 + P + 16 * max(1, ceil(P / 65536)), and back."""
    assert layout.sealed_size(plain) == sealed
    assert layout.plain_size(sealed) == plain


@pytest.mark.parametrize("chunk_log2", [14, 16])
def test_every_length_is_that_of_one_plaintext_or_of_none(chunk_log2: int) -> None:
    """Up to four chunks, a length either comes from exactly one size or is refused."""
    made = {layout.sealed_size(size, chunk_log2): size for size in range((3 << chunk_log2) + 100)}
    assert len(made) == (3 << chunk_log2) + 100
    refused = 0
    for sealed in range(max(made) + 1):
        if sealed in made:
            assert layout.plain_size(sealed, chunk_log2) == made[sealed]
        else:
            refused += 1
            with pytest.raises(CorruptBlob):
                layout.plain_size(sealed, chunk_log2)
    assert refused == HEADER_BYTES + TAG_BYTES + 3 * TAG_BYTES


@pytest.mark.parametrize("sealed", [-1, layout.sealed_size(MAX_CHUNKS << 16) + 17])
def test_lengths_out_of_all_bounds_are_refused(sealed: int) -> None:
    """Neither a negative length nor one of too many chunks."""
    with pytest.raises(CorruptBlob):
        layout.plain_size(sealed)


def test_sizes_out_of_all_bounds_are_refused() -> None:
    """One byte more than a blob can hold is a limit; less than nothing is a mistake."""
    with pytest.raises(LimitExceeded):
        layout.sealed_size((MAX_CHUNKS << 16) + 1)
    with pytest.raises(ValueError, match="negative"):
        layout.sealed_size(-1)


def test_a_range_of_the_documents_example() -> None:
    """Bytes from 1,000,000 on of a file of 1,100,000: chunk 15, offset 16,960."""
    assert layout.locate(1_000_000, 1_100_000, size=1_100_000) == Run(
        first=15,
        count=2,
        sealed_offset=HEADER_BYTES + 15 * UNIT,
        sealed_length=1_100_000 - 15 * CHUNK_BYTES + 2 * TAG_BYTES,
        skip=16_960,
        length=100_000,
    )


def test_a_run_ends_with_the_blob() -> None:
    """The run that holds the last byte reaches exactly to the end of the blob."""
    for size in (1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 200_000):
        run = layout.locate(size - 1, size, size=size)
        assert run.sealed_offset + run.sealed_length == layout.sealed_size(size)
        assert run.count == 1


def test_an_empty_file_has_one_run() -> None:
    """Even nothing is authenticated."""
    expected = Run(first=0, count=1, sealed_offset=88, sealed_length=16, skip=0, length=0)
    assert list(layout.runs(0, 0, size=0, max_chunks=4)) == [expected]


@pytest.mark.parametrize(
    ("start", "stop", "size"),
    [(-1, 2, 10), (3, 3, 10), (4, 3, 10), (0, 11, 10), (10, 11, 10), (0, 1, 0), (1, 1, 1)],
)
def test_ranges_that_are_not_inside_the_file_are_mistakes(start: int, stop: int, size: int) -> None:
    """Empty, backward and overhanging ranges."""
    with pytest.raises(ValueError, match="inside the file"):
        layout.locate(start, stop, size=size)
    with pytest.raises(ValueError, match="inside the file"):
        list(layout.runs(start, stop, size=size, max_chunks=16))


def test_runs_are_cut_at_chunk_edges() -> None:
    """Only the first run starts inside a chunk, and each but the last is full."""
    found = list(layout.runs(100_000, 1_000_000, size=2_000_000, max_chunks=4))
    assert [(run.first, run.count, run.skip) for run in found] == [
        (1, 4, 34_464),
        (5, 4, 0),
        (9, 4, 0),
        (13, 3, 0),
    ]
    assert sum(run.length for run in found) == 900_000
