"""Whatever the content, however it is cut, whichever range is asked for: the right bytes or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.crypto import layout
from davserver.crypto.header import BlobHeader
from davserver.crypto.layout import HEADER_BYTES
from davserver.crypto.stream import ChunkOpener, ChunkSealer
from davserver.errors import CorruptBlob
from tests.unit.crypto.samples import ACCOUNT_ID, BLOB_ID, FILE_KEY, open_blob, seal_blob

LOG2 = 14
CHUNK = 1 << LOG2
MAX_SIZE = 6 * CHUNK

# Sizes near the edges of chunks are where mistakes live.
sizes = st.one_of(
    st.integers(0, MAX_SIZE),
    st.builds(lambda edge, step: max(0, edge * CHUNK + step), st.integers(0, 5), st.integers(-2, 2)),
)
numbers = bytes(index * 151 % 256 for index in range(256))


def content(size: int) -> bytes:
    """Bytes whose chunks all differ."""
    filled = b"".join(numbers[chunk:] + numbers[:chunk] for chunk in range(-(-size // 256) % 256))
    return (filled * (size // max(1, len(filled)) + 1))[:size] if filled else bytes(size)


@given(sizes, st.data())
def test_a_blob_holds_what_was_sealed_however_it_was_cut(size: int, data: st.DataObject) -> None:
    """Any cut at chunk edges, then the rest: length as computed, content as given."""
    plain, out = content(size), bytearray(MAX_SIZE + 6 * 16)
    sealer = ChunkSealer(FILE_KEY, ACCOUNT_ID, BLOB_ID, chunk_log2=LOG2)
    sealed, read = sealer.header.pack(), 0
    while size - read > CHUNK and data.draw(st.booleans()):
        piece = data.draw(st.integers(0, (size - read - 1) // CHUNK)) * CHUNK
        sealed += out[: sealer.seal_into(plain[read : read + piece], out, final=False)]
        read += piece
    sealed += out[: sealer.seal_into(plain[read:], out, final=True)]
    assert len(sealed) == sealer.sealed_size == layout.sealed_size(size, LOG2)
    assert layout.plain_size(len(sealed), LOG2) == size
    assert open_blob(sealed, commitment=sealer.header.commitment) == plain


@given(sizes.filter(bool), st.data(), st.integers(1, 7))
def test_any_range_is_the_slice(size: int, data: st.DataObject, max_chunks: int) -> None:
    """Read by runs of chunks, as a download does: the pieces are the slice, no chunk is read in vain."""
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    plain = content(size)
    sealed = seal_blob(plain, chunk_log2=LOG2)
    header = BlobHeader.parse(sealed[:HEADER_BYTES], BLOB_ID)
    opener = ChunkOpener(FILE_KEY, ACCOUNT_ID, header, sealed_size=len(sealed))
    out, found, chunks = bytearray(max_chunks * CHUNK), b"", 0
    for run in layout.runs(start, stop, size=size, max_chunks=max_chunks, chunk_log2=LOG2):
        piece = memoryview(sealed)[run.sealed_offset : run.sealed_offset + run.sealed_length]
        assert run.count <= max_chunks
        assert opener.open_into(run.first, piece, out) >= run.skip + run.length
        found += out[run.skip : run.skip + run.length]
        chunks += run.count
    assert found == plain[start:stop]
    assert chunks == (stop - 1) // CHUNK - start // CHUNK + 1


@given(sizes, st.data())
def test_any_damage_is_noticed(size: int, data: st.DataObject) -> None:
    """Any replacement of any stretch by any bytes: the plaintext if nothing changed, else an error."""
    plain = content(size)
    sealed = seal_blob(plain, chunk_log2=LOG2)
    start = data.draw(st.integers(0, len(sealed)))
    stop = data.draw(st.integers(start, min(len(sealed), start + 2 * CHUNK)))
    altered = sealed[:start] + data.draw(st.binary(max_size=64)) + sealed[stop:]
    if altered == sealed:
        assert open_blob(altered) == plain
        return
    with pytest.raises(CorruptBlob):
        open_blob(altered)
    with pytest.raises(CorruptBlob):
        open_blob(altered, sealed_size=len(sealed))


@given(st.integers(0, layout.MAX_CHUNKS << 16), st.sampled_from(sorted(layout.CHUNK_LOG2_READ)))
def test_sizes_go_both_ways(size: int, chunk_log2: int) -> None:
    """One length of plaintext, one length of blob, for all sizes that fit."""
    if layout.chunk_count(size, chunk_log2) <= layout.MAX_CHUNKS:
        assert layout.plain_size(layout.sealed_size(size, chunk_log2), chunk_log2) == size


@given(st.integers(1, 1 << 44), st.data())
def test_a_range_lies_in_the_chunks_that_are_named(size: int, data: st.DataObject) -> None:
    """For files up to the largest possible, without a byte of content."""
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size))
    run = layout.locate(start, stop, size=size)
    assert (run.first << 16) + run.skip == start
    assert run.length == stop - start
    assert run.first <= (stop - 1) >> 16 == run.first + run.count - 1
    assert run.sealed_offset == HEADER_BYTES + run.first * 65_552
    assert run.sealed_offset + run.sealed_length == min(
        layout.sealed_size(size), HEADER_BYTES + (run.first + run.count) * 65_552
    )
