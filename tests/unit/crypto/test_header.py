"""The header of a blob: what is written, and that nothing else is read."""

from __future__ import annotations

import pytest

from davserver.crypto.header import BlobHeader
from davserver.crypto.layout import CHUNK_LOG2_READ, HEADER_BYTES
from davserver.errors import CorruptBlob
from davserver.model import BlobId
from tests.unit.crypto.samples import BLOB_ID, OTHER_BLOB, SALT

COMMITMENT = bytes(range(32))
HEADER = BlobHeader(BLOB_ID, SALT, COMMITMENT)


def test_every_field_is_where_the_document_says() -> None:
    """Magic, version, suite, chunk size, flags, id, salt, commitment."""
    raw = HEADER.pack()
    assert len(raw) == HEADER_BYTES
    assert raw == b"EWDB" + bytes([1, 1, 16, 0]) + BLOB_ID + SALT + COMMITMENT


@pytest.mark.parametrize("chunk_log2", sorted(CHUNK_LOG2_READ))
def test_what_is_packed_is_parsed(chunk_log2: int) -> None:
    """Every accepted chunk size survives."""
    header = BlobHeader(BLOB_ID, SALT, COMMITMENT, chunk_log2)
    assert BlobHeader.parse(header.pack(), BLOB_ID) == header
    assert BlobHeader.parse(memoryview(bytearray(header.pack())), BLOB_ID) == header


@pytest.mark.parametrize("length", [0, 1, 24, HEADER_BYTES - 1, HEADER_BYTES + 1])
def test_other_lengths_are_refused(length: int) -> None:
    """A header has 88 bytes, not more and not fewer."""
    with pytest.raises(CorruptBlob):
        BlobHeader.parse((HEADER.pack() * 2)[:length], BLOB_ID)


@pytest.mark.parametrize(
    ("offset", "accepted"),
    [
        (0, b"E"),
        (1, b"W"),
        (2, b"D"),
        (3, b"B"),
        (4, b"\x01"),
        (5, b"\x01"),
        (6, bytes([14, 16, 18, 20])),
        (7, b"\0"),
    ],
)
def test_the_first_eight_bytes_have_no_other_values(offset: int, accepted: bytes) -> None:
    """All 256 values of each: every version, suite, chunk size and flag that is not defined is refused."""
    for value in range(256):
        raw = bytearray(HEADER.pack())
        raw[offset] = value
        if value in accepted:
            BlobHeader.parse(raw, BLOB_ID)
        else:
            with pytest.raises(CorruptBlob):
                BlobHeader.parse(raw, BLOB_ID)


def test_the_header_of_another_blob_is_refused() -> None:
    """A blob cannot stand in for another even before any key is looked at."""
    with pytest.raises(CorruptBlob, match="not the one that belongs here"):
        BlobHeader.parse(HEADER.pack(), OTHER_BLOB)


@pytest.mark.parametrize(
    "fields",
    [
        (BLOB_ID[:15], SALT, COMMITMENT, 16),
        (BLOB_ID, SALT[:16], COMMITMENT, 16),
        (BLOB_ID, SALT, COMMITMENT + b"\0", 16),
        (BLOB_ID, SALT, COMMITMENT, 15),
    ],
)
def test_a_header_that_could_not_be_read_cannot_be_made(fields: tuple[BlobId, bytes, bytes, int]) -> None:
    """A field of the wrong size would be cut or filled without a word."""
    with pytest.raises(ValueError, match="wrong size"):
        BlobHeader(*fields)


def test_a_printed_header_does_not_show_the_commitment() -> None:
    """What is bound to a key is nobody's business in a log."""
    assert repr(COMMITMENT) not in repr(HEADER)
