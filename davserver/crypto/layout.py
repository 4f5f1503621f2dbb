"""Where plaintext lies inside a sealed blob: arithmetic only, no key and no byte of content.

It must never guess: a length that no plaintext can have is refused.
Called by `stream`, and by `vault` to turn a range of a file into a range of its blob.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from davserver.crypto import primitives
from davserver.errors import CorruptBlob, LimitExceeded

HEADER_BYTES = 88
TAG_BYTES = primitives.TAG_BYTES
"""Added to every chunk."""
CHUNK_LOG2 = 16
"""What is written: chunks of 64 KiB of plaintext."""
CHUNK_BYTES = 1 << CHUNK_LOG2
CHUNK_LOG2_READ = frozenset({14, 16, 18, 20})
"""What is accepted when reading."""
MAX_CHUNKS = 1 << 28
"""Keeps the advantage of an attacker on AES-GCM below 2^-49 a blob; with 64 KiB chunks, 16 TiB."""


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive chunks of a blob and the part of their plaintext that is wanted.

    Attributes:
        first: index of the first chunk.
        count: how many chunks.
        sealed_offset: where the first chunk starts, counted from the start of the blob.
        sealed_length: bytes of all the sealed chunks together.
        skip: bytes of the opened plaintext before the wanted part.
        length: bytes of the wanted part.
    """

    first: int
    count: int
    sealed_offset: int
    sealed_length: int
    skip: int
    length: int


def chunk_count(plain_size: int, chunk_log2: int = CHUNK_LOG2) -> int:
    """How many chunks hold `plain_size` bytes; an empty file has one, empty, chunk."""
    return max(1, -(-plain_size >> chunk_log2))


def sealed_size(plain_size: int, chunk_log2: int = CHUNK_LOG2) -> int:
    """Length of the blob that holds `plain_size` bytes.

    Raises:
        LimitExceeded: more chunks than a blob may have.
    """
    if plain_size < 0:
        raise ValueError("a size cannot be negative")
    chunks = chunk_count(plain_size, chunk_log2)
    if chunks > MAX_CHUNKS:
        raise LimitExceeded("the content is larger than an encrypted blob can be")
    return HEADER_BYTES + plain_size + TAG_BYTES * chunks


def plain_size(sealed_size: int, chunk_log2: int = CHUNK_LOG2) -> int:
    """Length of the plaintext in a blob of `sealed_size` bytes.

    Raises:
        CorruptBlob: no plaintext makes a blob of this length.
    """
    body = sealed_size - HEADER_BYTES
    full, rest = divmod(body, (1 << chunk_log2) + TAG_BYTES)
    if body < TAG_BYTES or 0 < rest < TAG_BYTES or (rest == TAG_BYTES and full > 0):
        raise CorruptBlob("the encrypted blob has an impossible length")
    chunks = full + (rest > 0)
    if chunks > MAX_CHUNKS:
        raise CorruptBlob("the encrypted blob has more chunks than any blob may have")
    return body - TAG_BYTES * chunks


def locate(start: int, stop: int, *, size: int, chunk_log2: int = CHUNK_LOG2) -> Run:
    """The chunks that hold the plaintext [start, stop) of a file of `size` bytes.

    Of an empty file the range [0, 0) is the one empty chunk: opening it proves that the file is empty.

    Raises:
        ValueError: the range is empty or reaches beyond the file.
    """
    if not (0 <= start < stop <= size or start == stop == size == 0):
        raise ValueError("the range does not lie inside the file")
    chunk = 1 << chunk_log2
    first = start >> chunk_log2
    count = chunk_count(stop, chunk_log2) - first
    plain_start = first << chunk_log2
    plain_stop = min(size, (first + count) << chunk_log2)
    return Run(
        first=first,
        count=count,
        sealed_offset=HEADER_BYTES + first * (chunk + TAG_BYTES),
        sealed_length=plain_stop - plain_start + count * TAG_BYTES,
        skip=start - plain_start,
        length=stop - start,
    )


def runs(start: int, stop: int, *, size: int, max_chunks: int, chunk_log2: int = CHUNK_LOG2) -> Iterator[Run]:
    """`locate`, cut into runs of at most `max_chunks` chunks, in order.

    Raises:
        ValueError: as `locate`.
    """
    step = max_chunks << chunk_log2
    while True:
        edge = min(stop, ((start >> chunk_log2) << chunk_log2) + step)
        yield locate(start, edge, size=size, chunk_log2=chunk_log2)
        if edge == stop:
            return
        start = edge
