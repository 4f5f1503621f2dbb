"""What the files under tests/vectors/v1 hold: each blob has exactly one thing wrong with it, or nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.vectors.vector_file import Vector
from tests.vectors.writer import BlobWriter, Sealed

ACCOUNT = bytes.fromhex("00112233445566778899aabbccddeeff")
OTHER_ACCOUNT = b"\x99" * 16
FILE_KEY = bytes(range(0x20))
OTHER_KEY = b"\x66" * 32
BLOB_ID = bytes(range(0x40, 0x50))
OTHER_BLOB = b"\x88" * 16
SALT = bytes(range(0x80, 0xA0))
OTHER_SALT = b"\x55" * 32

LOG2 = 14
CHUNK = 1 << LOG2
UNIT = CHUNK + 16
TAIL = 100
"""Bytes in the last chunk of `FILE`."""

MAX_CHUNKS = 1 << 28

WRITER = BlobWriter(ACCOUNT, FILE_KEY, BLOB_ID, SALT, LOG2)
FILE = WRITER.seal([CHUNK, CHUNK, TAIL])
"""Most vectors are this blob of two full chunks and a short one, with one thing changed."""
FULL = WRITER.seal([CHUNK, CHUNK])
REWRITTEN = replace(WRITER, salt=OTHER_SALT).seal([CHUNK, CHUNK, TAIL])
"""As `FILE`, from another attempt to write with the same key."""


def vector(
    name: str,
    comment: str,
    sealed: Sealed = FILE,
    *,
    expect: str = "success",
    released: int | None = None,
    data: bytes | None = None,
    **changes: Any,  # noqa: ANN401 - any field of a vector
) -> Vector:
    """A vector of a blob; `released` counts the chunks of `sealed` that may be given out."""
    count = released if released is not None else len(sealed.chunks) if expect == "success" else 0
    plain = b"".join(sealed.plains[:count])
    made = Vector(
        name=f"{expect.partition(' ')[0]}-{name}",
        expect=expect,
        comment=comment,
        account=ACCOUNT,
        blob_id=BLOB_ID,
        file_key=FILE_KEY,
        pinned_length=len(sealed.blob),
        pinned_size=sum(map(len, sealed.plains)),
        pinned_commitment=sealed.commitment,
        plain_length=len(plain),
        plain_sha256=hashlib.sha256(plain).digest(),
        data=sealed.blob if data is None else data,
    )
    return replace(made, **changes)


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    """The same bytes but for one bit."""
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def successes() -> Iterator[Vector]:
    """Blobs that a reader opens."""
    yield vector("empty", "The empty file is one empty chunk.", WRITER.seal([0]))
    yield vector("one-byte", "The shortest content.", WRITER.seal([1]))
    known = replace(WRITER, chunk_log2=16)
    yield vector("hello", "The first blob of the known answers.", known.seal_plain(b"hello, world\n"))
    for size in (65_535, 65_536, 65_537):
        sizes = [min(size, 65_536), *([1] if size > 65_536 else [])]
        yield vector(f"{size}-bytes", "Around the size of a chunk that writers write.", known.seal(sizes))
    yield vector("chunk-14", "One full chunk.", WRITER.seal([CHUNK]))
    yield vector("two-chunks", "Two full chunks, and no empty one behind them.", FULL)
    yield vector("two-chunks-and-a-byte", "A last chunk of one byte.", WRITER.seal([CHUNK, CHUNK, 1]))
    yield vector("file", "The blob that most vectors change.")
    yield vector("17-chunks", "More chunks than are read at once.", WRITER.seal([CHUNK] * 16 + [7]))
    for log2 in (18, 20):
        sealed = replace(WRITER, chunk_log2=log2).seal([1 << log2, 3])
        yield vector(f"chunk-{log2}", "A chunk size that is read although it is not written.", sealed)
    zero = replace(WRITER, file_key=bytes(32))
    yield vector("zero-key", "A file key of zeros is a key.", zero.seal([5]), file_key=bytes(32))
    yield vector("zero-salt", "A salt of zeros is a salt.", replace(WRITER, salt=bytes(32)).seal([5]))
    data = FILE.blob + b"\0"
    yield vector("more-behind", "What lies behind the pinned length is not read.", data=data)


def headers() -> Iterator[Vector]:
    """Rules 1 and 2: the first 24 bytes. Keys and chunks fit the wrong header: nothing else is wrong."""
    expect = "header failure"
    for length in (0, 1, 87):
        yield vector(f"of-{length}-bytes", "Shorter than a header.", expect=expect, data=FILE.blob[:length])
    fields = [
        ("magic", 3, [0x43]),
        ("format", 4, [0, 2, 0xFF]),
        ("suite", 5, [0, 2]),
        ("flags", 7, [1, 2, 0x80]),
    ]
    fields.append(("chunk-log2", 6, [0, 13, 15, 17, 22, 0x4E]))
    for field, at, values in fields:
        for value in values:
            head = bytearray(FILE.header[:24])
            head[at] = value
            sealed = replace(WRITER, head=bytes(head)).seal([CHUNK, CHUNK, TAIL])
            yield vector(
                f"{field}-{value}", f"The field {field} has a value without meaning.", sealed, expect=expect
            )
    other = replace(WRITER, blob_id=OTHER_BLOB).seal([CHUNK, CHUNK, TAIL])
    yield vector("other-blob", "A sound blob, but not the one that was asked for.", other, expect=expect)
    yield vector("id-bit", "One bit of the blob id.", expect=expect, data=flipped(FILE.blob, 23, 7))


def commitments() -> Iterator[Vector]:
    """Rule 3: who else's blob it is."""
    expect = "commit failure"
    for name, at in (("salt-first", 24), ("salt-last", 55), ("first", 56), ("last", 87)):
        comment = f"One bit of byte {at} of the header."
        yield vector(f"{name}-bit", comment, expect=expect, data=flipped(FILE.blob, at, 7))
    zeros = FILE.header[:56] + bytes(32) + b"".join(FILE.chunks)
    yield vector(
        "zeros",
        "No commitment, here and in the metadata.",
        expect=expect,
        data=zeros,
        pinned_commitment=bytes(32),
    )
    data = FILE.blob[:6] + bytes([16]) + FILE.blob[7:]
    yield vector(
        "chunk-log2", "Another known chunk size than the blob was written with.", expect=expect, data=data
    )
    yield vector("other-key", "Another file key.", expect=expect, file_key=OTHER_KEY)
    yield vector("zero-key", "A file key of zeros.", expect=expect, file_key=bytes(32))
    yield vector("key-bit", "One bit of the file key.", expect=expect, file_key=flipped(FILE_KEY, 31))
    yield vector("other-account", "The blob of another account.", expect=expect, account=OTHER_ACCOUNT)
    for name, context in (("account", FILE.header[:24]), ("header", ACCOUNT), ("anything", b"")):
        sealed = replace(WRITER, context=context).seal([CHUNK, CHUNK, TAIL])
        yield vector(f"not-bound-to-{name}", f"Keys that are not bound to the {name}.", sealed, expect=expect)
    comment = "A sound blob from another attempt to write; metadata name this one."
    yield vector("other-write", comment, REWRITTEN, expect=expect, pinned_commitment=FILE.commitment)
    comment = "A sound blob; metadata name the commitment of another."
    yield vector("pinned-other", comment, expect=expect, pinned_commitment=REWRITTEN.commitment)
    pinned = flipped(FILE.commitment, 31)
    yield vector("pinned-bit", "One bit of the pinned commitment.", expect=expect, pinned_commitment=pinned)
    comment = "The commitment under another key, in front of chunks under this one."
    foreign = replace(WRITER, file_key=OTHER_KEY).header()
    data = foreign + b"".join(FILE.chunks)
    yield vector("planted", comment, expect=expect, data=data, pinned_commitment=foreign[56:])


def lengths() -> Iterator[Vector]:
    """Rules 4 and 5: what metadata say of the length, and what the storage has."""
    expect = "length failure"
    impossible = {
        "zero": (0, "No length."),
        "less-than-a-header": (87, "Shorter than a header."),
        "header-only": (88, "No chunk."),
        "15-bytes": (103, "Not even a tag."),
        "rest-1": (88 + UNIT + 1, "A rest that is shorter than a tag."),
        "rest-15": (88 + UNIT + 15, "A rest that is shorter than a tag."),
        "rest-16": (88 + UNIT + 16, "An empty chunk behind a full one."),
        "too-many": (88 + MAX_CHUNKS * UNIT + 17, "One chunk more than a blob may have."),
        "huge": (2**63 - 1, "The largest number."),
    }
    for name, (length, comment) in impossible.items():
        yield vector(f"pinned-{name}", comment, expect=expect, pinned_length=length)
    comment = "The size of the file does not belong to the length of its blob."
    for name, size in (("smaller", 2 * CHUNK + TAIL - 1), ("larger", 2 * CHUNK + TAIL + 1), ("zero", 0)):
        yield vector(f"pinned-size-{name}", comment, expect=expect, pinned_size=size)
    empty_last = WRITER.seal([CHUNK, CHUNK, 0])
    yield vector(
        "empty-last-chunk", "An empty chunk behind a full one, sealed as the last.", empty_last, expect=expect
    )
    comment = "A byte behind full chunks, that metadata count as well."
    data, longer = FULL.blob + b"\0", len(FULL.blob) + 1
    yield vector("extra-byte", comment, FULL, expect=expect, data=data, pinned_length=longer)
    edges = {
        "header": (88, 0),
        "first-byte": (89, 0),
        "first-chunk-without-tag": (88 + CHUNK, 0),
        "first-chunk-less-a-byte": (88 + UNIT - 1, 0),
        "first-chunk": (88 + UNIT, 1),
        "second-chunk-begun": (88 + UNIT + 1, 1),
        "last-chunk": (88 + 2 * UNIT, 2),
        "last-tag": (88 + 2 * UNIT + TAIL, 2),
        "last-byte": (len(FILE.blob) - 1, 2),
    }
    for name, (length, released) in edges.items():
        comment = f"Truncated to {length} bytes; metadata name the whole."
        yield vector(f"truncated-{name}", comment, expect=expect, released=released, data=FILE.blob[:length])
    comment = "Metadata name the most chunks that there can be; the storage has two."
    many = WRITER.seal([CHUNK, CHUNK], finals=[False, False])
    most: dict[str, Any] = {"pinned_length": 88 + MAX_CHUNKS * UNIT, "pinned_size": MAX_CHUNKS * CHUNK}
    yield vector("most-chunks", comment, many, expect=expect, released=2, **most)


def altered_chunks() -> Iterator[Vector]:
    """Rule 6: single bits."""
    places = {
        "first-byte": (88, 0),
        "first-chunk-middle": (88 + CHUNK // 2, 0),
        "first-chunk-last-byte": (88 + CHUNK - 1, 0),
        "first-tag-first-byte": (88 + CHUNK, 0),
        "first-tag-last-byte": (88 + UNIT - 1, 0),
        "middle-chunk": (88 + UNIT, 1),
        "middle-tag": (88 + 2 * UNIT - 1, 1),
        "last-chunk": (88 + 2 * UNIT, 2),
        "last-chunk-last-byte": (len(FILE.blob) - 17, 2),
        "last-tag-first-byte": (len(FILE.blob) - 16, 2),
        "last-tag-last-byte": (len(FILE.blob) - 1, 2),
    }
    for name, (at, released) in places.items():
        data = flipped(FILE.blob, at, at % 8)
        yield vector(
            f"bit-{name}", f"One bit of byte {at}.", expect="chunk failure", released=released, data=data
        )
    many = WRITER.seal([CHUNK] * 16 + [7])
    data = flipped(many.blob, -1)
    yield vector(
        "bit-17th-chunk",
        "Behind as many chunks as are read at once.",
        many,
        expect="chunk failure",
        released=16,
        data=data,
    )
    empty = WRITER.seal([0])
    yield vector(
        "bit-empty",
        "One bit of the tag of the empty chunk.",
        empty,
        expect="chunk failure",
        data=flipped(empty.blob, 90),
    )
    zeros = FILE.blob[:-16] + bytes(16)
    yield vector("zero-tag", "A tag of zeros.", expect="chunk failure", released=2, data=zeros)


def misplaced_chunks() -> Iterator[Vector]:
    """Rule 6: sound chunks at the wrong place, and metadata that fit."""
    expect, head, (first, second, last) = "chunk failure", FILE.header, FILE.chunks
    two: dict[str, Any] = {"pinned_length": 88 + UNIT + TAIL + 16, "pinned_size": CHUNK + TAIL}
    four: dict[str, Any] = {"pinned_length": 88 + 3 * UNIT + TAIL + 16, "pinned_size": 3 * CHUNK + TAIL}
    cut: dict[str, Any] = {"pinned_length": 88 + 2 * UNIT, "pinned_size": 2 * CHUNK}
    longer: dict[str, Any] = {"pinned_length": len(FILE.blob) + 1, "pinned_size": 2 * CHUNK + TAIL + 1}
    shorter: dict[str, Any] = {"pinned_length": len(FILE.blob) - 1, "pinned_size": 2 * CHUNK + TAIL - 1}
    yield vector(
        "swapped", "The first two chunks change places.", expect=expect, data=head + second + first + last
    )
    yield vector(
        "first-dropped", "Begins with the second chunk.", expect=expect, data=head + second + last, **two
    )
    data = head + first + last
    yield vector(
        "middle-dropped", "The second chunk is missing.", expect=expect, released=1, data=data, **two
    )
    data = head + first + first + second + last
    yield vector("doubled", "The first chunk comes twice.", expect=expect, released=1, data=data, **four)
    data = head + first + second
    yield vector("last-dropped", "Ends with the second chunk.", expect=expect, released=1, data=data, **cut)
    comment = "Metadata end behind the second chunk, the storage does not."
    yield vector("pinned-chunk-less", comment, expect=expect, released=1, **cut)
    yield vector("pinned-byte-less", "Metadata name a byte less.", expect=expect, released=2, **shorter)
    data = FILE.blob + b"\0"
    yield vector(
        "extra-byte",
        "A byte more, that metadata count as well.",
        expect=expect,
        released=2,
        data=data,
        **longer,
    )
    zeros: dict[str, Any] = {"pinned_length": 88 + 2 * UNIT + 20, "pinned_size": 2 * CHUNK + 4}
    data = FULL.blob + bytes(20)
    yield vector(
        "zeros-behind", "Zeros behind the last chunk.", FULL, expect=expect, released=1, data=data, **zeros
    )
    data = head + first + REWRITTEN.chunks[1] + last
    comment = "The second chunk is from another attempt to write with the same key."
    yield vector("spliced-write", comment, expect=expect, released=1, data=data)
    data = head + b"".join(REWRITTEN.chunks)
    yield vector("spliced-body", "All chunks are from another attempt to write.", expect=expect, data=data)
    other = replace(WRITER, blob_id=OTHER_BLOB).seal([CHUNK, CHUNK, TAIL])
    data = head + first + second + other.chunks[2]
    yield vector("spliced-blob", "The last chunk is of another blob.", expect=expect, released=2, data=data)


def wrongly_sealed() -> Iterator[Vector]:
    """Rule 6: what somebody who knows the file key could make, or a writer with a bug."""
    expect, sizes = "chunk failure", [CHUNK, CHUNK, TAIL]
    early, never = WRITER.seal(sizes, finals=[True, False, True]), WRITER.seal(sizes, finals=[False] * 3)
    yield vector(
        "last-flag-early", "The first of three chunks says that it is the last.", early, expect=expect
    )
    yield vector("last-flag-missing", "No chunk says that it is the last.", never, expect=expect, released=2)
    single = WRITER.seal([TAIL], finals=[False])
    yield vector(
        "last-flag-missing-alone", "The only chunk does not say that it is the last.", single, expect=expect
    )
    yield vector("counts-from-one", "The first index is 1.", WRITER.seal(sizes, first=1), expect=expect)
    little = replace(WRITER, nonce="<3xQB").seal(sizes)
    yield vector(
        "little-endian",
        "The index in little endian: the first chunk has the same nonce.",
        little,
        expect=expect,
        released=1,
    )
    front = replace(WRITER, nonce=">Q3xB").seal(sizes)
    yield vector(
        "index-in-front", "The zeros of the nonce behind the index.", front, expect=expect, released=1
    )
    for name, bound in (
        ("nothing", b""),
        ("salt", FILE.header[:56]),
        ("account", FILE.header[:24] + ACCOUNT),
    ):
        sealed = replace(WRITER, bound=bound).seal(sizes)
        yield vector(f"bound-to-{name}", "Chunks with other associated data than H.", sealed, expect=expect)


def blob_vectors() -> list[Vector]:
    """All of them."""
    groups = (successes, headers, commitments, lengths, altered_chunks, misplaced_chunks, wrongly_sealed)
    return [made for group in groups for made in group()]
