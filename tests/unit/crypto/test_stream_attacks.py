"""Everything that somebody with write access to the blobs could try on a blob of four chunks.

One oracle: an error, or exactly the plaintext, never anything else. Each sweep asserts how much it tried.
Chunks of 16 KiB, which readers accept too, keep the sweeps over every byte short.
"""

from __future__ import annotations

from itertools import permutations, product
from random import Random

import pytest

from davserver.crypto.header import BlobHeader
from davserver.crypto.keys import FileKey
from davserver.crypto.layout import HEADER_BYTES, TAG_BYTES
from davserver.crypto.stream import ChunkOpener
from davserver.errors import CorruptBlob
from tests.unit.crypto.samples import (
    ACCOUNT_ID,
    BLOB_ID,
    FILE_KEY,
    OTHER_ACCOUNT,
    OTHER_BLOB,
    OTHER_SALT,
    OTHER_SECRET,
    chunks_of,
    open_blob,
    seal_blob,
)

LOG2 = 14
CHUNK = 1 << LOG2
UNIT = CHUNK + TAG_BYTES
PLAIN = b"".join(bytes([number]) * CHUNK for number in range(3)) + b"the end" * 100
BLOB = seal_blob(PLAIN, chunk_log2=LOG2)
HEADER = BlobHeader.parse(BLOB[:HEADER_BYTES], BLOB_ID)
CHUNKS = chunks_of(BLOB, LOG2)
OTHER_KEY = FileKey(OTHER_SECRET)


def refused(sealed: bytes, **how: object) -> bool:
    """Whether reading `sealed` in place of `BLOB` is an error; other bytes than its own fail the test."""
    try:
        plain = open_blob(sealed, **how)  # type: ignore[arg-type]
    except CorruptBlob:
        return True
    assert plain == PLAIN, "other bytes were served"
    return False


def opener(sealed_size: int = len(BLOB)) -> ChunkOpener:
    """An opener of `BLOB`, whose header was not touched."""
    return ChunkOpener(FILE_KEY, ACCOUNT_ID, HEADER, sealed_size=sealed_size, commitment=HEADER.commitment)


def test_the_blob_has_four_chunks_and_can_be_read() -> None:
    """The sweeps start from something that works."""
    assert [len(chunk) for chunk in CHUNKS] == [UNIT, UNIT, UNIT, 700 + TAG_BYTES]
    assert not refused(BLOB)
    assert not refused(BLOB, sealed_size=len(BLOB), commitment=HEADER.commitment)


@pytest.mark.parametrize("log2", [14, 16])
def test_every_bit_of_the_header(log2: int) -> None:
    """704 bits, each flipped alone, with chunks as they are written and with smaller ones."""
    blob, cases = seal_blob(b"0123456789" * 20_000, chunk_log2=log2), 0
    for position, bit in product(range(HEADER_BYTES), range(8)):
        altered = bytearray(blob)
        altered[position] ^= 1 << bit
        with pytest.raises(CorruptBlob):
            open_blob(bytes(altered))
        cases += 1
    assert cases == 704


def test_every_byte_of_the_body() -> None:
    """One bit of every byte; what is read before the damage is the plaintext, the rest is wiped."""
    body, target, out, cases = bytearray(BLOB[HEADER_BYTES:]), opener(), bytearray(len(PLAIN)), 0
    for position in range(len(body)):
        body[position] ^= 1 << position % 8
        chunk = position // UNIT
        out[:] = b"\xee" * len(out)
        with pytest.raises(CorruptBlob):
            target.open_into(0, body, out)
        assert out[: chunk * CHUNK] == PLAIN[: chunk * CHUNK]
        assert out[chunk * CHUNK :].count(0) == len(PLAIN) - chunk * CHUNK
        body[position] ^= 1 << position % 8
        cases += 1
    assert cases == len(BLOB) - HEADER_BYTES == 49_916
    assert target.open_into(0, body, out) == len(PLAIN)


def test_bytes_and_truncations_of_a_blob_as_it_is_written() -> None:
    """Four chunks of 64 KiB: bytes around every edge and a thousand elsewhere, flipped, and as the end."""
    plain = bytes(range(256)) * 1000
    blob = seal_blob(plain)
    units = [HEADER_BYTES + number * ((1 << 16) + TAG_BYTES) for number in range(4)]
    edges = {edge + step for edge in [*units, len(blob)] for step in range(-20, 20)} & set(range(len(blob)))
    positions = edges | set(Random(1).sample(range(len(blob)), 1000))
    for position in positions:
        altered = bytearray(blob)
        altered[position] ^= 0x80
        for wrong in (bytes(altered), blob[:position]):
            with pytest.raises(CorruptBlob):
                open_blob(wrong)
    assert len(edges) == 4 * 40 + 20
    assert len(positions) > 1000
    assert open_blob(blob) == plain


def test_every_bit_at_the_edges_of_chunks() -> None:
    """All eight bits of the first and last bytes and of the tag of every chunk, read chunk by chunk."""
    target, out, cases = opener(), bytearray(CHUNK), 0
    for number, chunk in enumerate(CHUNKS):
        for position in [0, 1, *range(len(chunk) - TAG_BYTES - 2, len(chunk))]:
            for bit in range(8):
                altered = bytearray(chunk)
                altered[position] ^= 1 << bit
                with pytest.raises(CorruptBlob):
                    target.open_into(number, altered, out)
                cases += 1
    assert cases == 4 * 20 * 8


def test_every_truncation_when_the_length_is_pinned() -> None:
    """As served: the length comes from the metadata. Every shorter blob is refused."""
    target, body, out = opener(), memoryview(BLOB)[HEADER_BYTES:], bytearray(len(PLAIN))
    for length in range(len(body)):
        with pytest.raises(CorruptBlob):
            target.open_into(0, body[:length], out) if length % UNIT else read_to_the_end(
                target, body[:length]
            )
    cases = len(body) + HEADER_BYTES
    for length in range(HEADER_BYTES):
        with pytest.raises(CorruptBlob):
            open_blob(BLOB[:length], sealed_size=len(BLOB))
    assert cases == len(BLOB)


def read_to_the_end(target: ChunkOpener, body: memoryview) -> None:
    """Read chunk by chunk, as a download does: whole chunks of a truncated blob are still authentic."""
    out = bytearray(CHUNK)
    for number in range(4):
        size = target.open_into(number, body[number * UNIT : (number + 1) * UNIT], out)
        assert out[:size] == PLAIN[number * CHUNK : (number + 1) * CHUNK]


def test_every_truncation_when_nothing_pins_the_length() -> None:
    """Even a reader that believes the storage's length notices: the last chunk says that it is the last."""
    cases = 0
    for length in range(len(BLOB)):
        assert refused(BLOB[:length]), length
        cases += 1
    assert cases == len(BLOB) == 50_004


def test_every_extension() -> None:
    """Up to a chunk and more behind the end: zeros, the last chunk again, the first chunk again."""
    cases = 0
    for more in (bytes(2 * UNIT), CHUNKS[3] + CHUNKS[3], CHUNKS[0]):
        for length in [*range(1, 40), len(CHUNKS[3]), UNIT - 1, UNIT, UNIT + 1]:
            assert refused(BLOB + more[:length])
            assert refused(BLOB + more[:length], sealed_size=len(BLOB))
            cases += 2
    assert cases == 3 * 43 * 2


def test_every_order_of_the_chunks() -> None:
    """Of 24 orders only the right one can be read, at the pinned length or not."""
    readable = []
    for order in permutations(range(4)):
        sealed = BLOB[:HEADER_BYTES] + b"".join(CHUNKS[number] for number in order)
        if not refused(sealed):
            readable.append(order)
        assert refused(sealed, sealed_size=len(BLOB)) == (order != (0, 1, 2, 3))
    assert readable == [(0, 1, 2, 3)]


def test_every_sequence_of_up_to_five_chunks() -> None:
    """Duplicates, drops, repetitions: of all 1,365 sequences of known chunks only the right one is read."""
    cases, readable = 0, []
    for count in range(6):
        for order in product(range(4), repeat=count):
            cases += 1
            if not refused(BLOB[:HEADER_BYTES] + b"".join(CHUNKS[number] for number in order)):
                readable.append(order)
    assert cases == 1 + 4 + 16 + 64 + 256 + 1024
    assert readable == [(0, 1, 2, 3)]


def test_every_chunk_at_every_other_index() -> None:
    """A chunk opens only under its own number."""
    target, out = opener(), bytearray(CHUNK)
    opened = []
    for number, index in product(range(4), repeat=2):
        try:
            size = target.open_into(index, CHUNKS[number], out)
        except CorruptBlob:
            continue
        assert out[:size] == PLAIN[index * CHUNK : (index + 1) * CHUNK]
        opened.append((number, index))
    assert opened == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_last_chunk_is_not_a_middle_one_nor_the_other_way_round() -> None:
    """Two blobs of one key and salt, one four chunks long and one three: equal chunks but for the flag."""
    longer = seal_blob(bytes(4 * CHUNK), chunk_log2=LOG2)
    shorter = seal_blob(bytes(3 * CHUNK), chunk_log2=LOG2)
    assert chunks_of(longer, LOG2)[:2] == chunks_of(shorter, LOG2)[:2]
    assert chunks_of(longer, LOG2)[2] != chunks_of(shorter, LOG2)[2]
    for forged in (longer[: len(shorter)], shorter + chunks_of(longer, LOG2)[3]):
        with pytest.raises(CorruptBlob):
            open_blob(forged)


OTHERS = {
    "another key": seal_blob(PLAIN, file_key=OTHER_KEY, chunk_log2=LOG2),
    "another salt": seal_blob(PLAIN, salt=OTHER_SALT, chunk_log2=LOG2),
    "another account": seal_blob(PLAIN, account_id=OTHER_ACCOUNT, chunk_log2=LOG2),
    "another blob": seal_blob(PLAIN, blob_id=OTHER_BLOB, chunk_log2=LOG2),
}


@pytest.mark.parametrize("what", OTHERS)
def test_no_chunk_of_another_write_fits(what: str) -> None:
    """Same plaintext, same place, but one input of the key differs: each of the four chunks is refused."""
    for number, chunk in enumerate(chunks_of(OTHERS[what], LOG2)):
        spliced = [*CHUNKS[:number], chunk, *CHUNKS[number + 1 :]]
        assert refused(BLOB[:HEADER_BYTES] + b"".join(spliced))
        with pytest.raises(CorruptBlob):
            opener().open_into(number, chunk, bytearray(CHUNK))


@pytest.mark.parametrize("what", OTHERS)
def test_no_other_blob_stands_in(what: str) -> None:
    """The whole of another blob under this one's name, with its own header or with this one's."""
    other = OTHERS[what]
    assert refused(other, commitment=HEADER.commitment)
    assert refused(BLOB[:HEADER_BYTES] + other[HEADER_BYTES:])
    for start, stop in ((0, 8), (8, 24), (24, 56), (56, 88), (24, 88)):
        mixed = BLOB[:start] + other[start:stop] + BLOB[stop:]
        assert refused(mixed) == (mixed != BLOB)
        assert refused(mixed[:HEADER_BYTES] + other[HEADER_BYTES:], commitment=HEADER.commitment)


@pytest.mark.parametrize(
    "how",
    [
        {"file_key": OTHER_KEY},
        {"account_id": OTHER_ACCOUNT},
        {"blob_id": OTHER_BLOB},
        {"commitment": bytes(32)},
    ],
)
def test_no_other_reader_gets_anything(how: dict[str, object]) -> None:
    """Another key, account, name or pinned commitment: refused before the first chunk."""
    assert refused(BLOB, **how)


def test_a_pinned_length_is_the_only_length() -> None:
    """Of all lengths that the metadata could name, each but the right one makes the blob unreadable."""
    body, out, cases = memoryview(BLOB)[HEADER_BYTES:], bytearray(6 * CHUNK), 0
    for length in range(HEADER_BYTES, len(BLOB) + 2 * UNIT, 7):
        if length == len(BLOB):
            continue
        with pytest.raises(CorruptBlob):
            opener(length).open_into(0, body, out)
        cases += 1
    assert cases == len(range(HEADER_BYTES, len(BLOB) + 2 * UNIT, 7)) - ((len(BLOB) - HEADER_BYTES) % 7 == 0)
