"""Sealing and opening the content of blobs: known answers, order, buffers, limits."""

from __future__ import annotations

import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor

import pytest

from davserver.crypto import layout
from davserver.crypto.keys import FileKey
from davserver.crypto.layout import CHUNK_BYTES, HEADER_BYTES, MAX_CHUNKS, TAG_BYTES
from davserver.crypto.stream import ChunkOpener, ChunkSealer
from davserver.errors import CorruptBlob, LimitExceeded
from tests.unit.crypto.samples import (
    ACCOUNT_ID,
    BLOB_ID,
    FILE_KEY,
    FILE_SECRET,
    OTHER_SALT,
    SALT,
    open_blob,
    seal_blob,
)

EMPTY = (
    "4557444201011000404142434445464748494a4b4c4d4e4f"
    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
    "1acdf5b62941decb82a2b9863dc857ba0801293e9f4538e8d116f96f99a65ffa"
    "404ef6a885648319dac255f3b09332ae"
)
UNIT = CHUNK_BYTES + TAG_BYTES


def sealer() -> ChunkSealer:
    """A sealer at the start of its blob."""
    return ChunkSealer(FILE_KEY, ACCOUNT_ID, BLOB_ID, salt=SALT)


def opener_of(made: ChunkSealer) -> ChunkOpener:
    """The opener of what a sealer has sealed."""
    return ChunkOpener(FILE_KEY, ACCOUNT_ID, made.header, sealed_size=made.sealed_size)


def test_the_empty_blob_is_the_known_answer() -> None:
    """104 bytes, every one of them as designed."""
    assert seal_blob(b"").hex() == EMPTY
    assert open_blob(bytes.fromhex(EMPTY)) == b""


@pytest.mark.parametrize(
    ("plain", "size", "digest"),
    [
        (b"hello, world\n", 117, "88f35063b12071a423ac8fd9f4cf423d10ba64df5b9d2ee2f7f3a2b9a6fca5a0"),
        (bytes(65_536), 65_640, "b76e91f01da39db95060024462c6d210d495e70618d4243bc4be0f0dc2ac6852"),
        (bytes(65_537), 65_657, "9ec0827d0bad1f003a89b86538bdd67807076fc6cc79df817e83a8e4072bde62"),
    ],
)
def test_larger_blobs_are_the_known_answers(plain: bytes, size: int, digest: str) -> None:
    """One short chunk, one full chunk, a chunk and a byte."""
    sealed = seal_blob(plain)
    assert len(sealed) == size
    assert hashlib.sha256(sealed).hexdigest() == digest
    assert open_blob(sealed) == plain


def test_the_commitment_follows_from_the_document_alone() -> None:
    """Derived once more with nothing but HMAC from the standard library."""
    root = hmac.digest(SALT, FILE_SECRET, "sha256")
    bound = b"EWDB" + bytes([1, 1, 16, 0]) + BLOB_ID
    commitment = hmac.digest(root, b"EWD1/commit\0" + bound + ACCOUNT_ID + b"\x01", "sha256")
    assert sealer().header.commitment == commitment == bytes.fromhex(EMPTY)[56:88]


def test_a_salt_is_made_for_every_write() -> None:
    """One key and content written twice have nothing in common: no nonce meets its twin under one key."""
    first, second = (ChunkSealer(FILE_KEY, ACCOUNT_ID, BLOB_ID) for _ in range(2))
    assert first.header.salt != second.header.salt
    assert first.header.commitment != second.header.commitment
    one, two = bytearray(20), bytearray(20)
    first.seal_into(b"same", one, final=True)
    second.seal_into(b"same", two, final=True)
    assert one != two


@pytest.mark.parametrize("pieces", [[1], [2, 1], [1, 1, 1, 1], [3, 0, 2]])
@pytest.mark.parametrize("rest", [1, 1000, CHUNK_BYTES])
def test_pieces_do_not_matter(pieces: list[int], rest: int) -> None:
    """However the input is cut at chunk edges, the blob is the same."""
    plain = bytes(range(256)) * 256 * sum(pieces) + b"\xaa" * rest
    made, out, read = sealer(), bytearray(8 * UNIT), 0
    sealed = made.header.pack()
    for count in pieces:
        written = made.seal_into(plain[read : read + count * CHUNK_BYTES], out, final=False)
        assert written == count * UNIT
        sealed += out[:written]
        read += count * CHUNK_BYTES
        assert (made.plain_size, made.sealed_size) == (read, len(sealed))
    sealed += out[: made.seal_into(memoryview(plain)[read:], memoryview(out), final=True)]
    assert sealed == seal_blob(plain)
    assert (made.plain_size, made.sealed_size) == (len(plain), len(sealed))
    assert open_blob(sealed) == plain


def test_the_last_chunk_comes_once() -> None:
    """After it, nothing can be sealed."""
    made, out = sealer(), bytearray(UNIT)
    made.seal_into(b"end", out, final=True)
    for final in (False, True):
        with pytest.raises(ValueError, match="already sealed"):
            made.seal_into(b"", out, final=final)


def test_only_the_last_piece_may_end_inside_a_chunk() -> None:
    """A short chunk in the middle would be ambiguous; the sealer stays usable after refusing it."""
    made, out = sealer(), bytearray(UNIT)
    with pytest.raises(ValueError, match="inside a chunk"):
        made.seal_into(bytes(CHUNK_BYTES - 1), out, final=False)
    made.seal_into(b"end", out, final=True)
    assert made.plain_size == 3


def test_an_empty_last_chunk_is_only_for_empty_files() -> None:
    """Otherwise two blobs would hold the same plaintext."""
    made, out = sealer(), bytearray(UNIT)
    made.seal_into(bytes(CHUNK_BYTES), out, final=False)
    with pytest.raises(ValueError, match="cannot be empty"):
        made.seal_into(b"", out, final=True)


@pytest.mark.parametrize(("plain", "final"), [(bytes(CHUNK_BYTES), False), (b"ab", True), (b"", True)])
def test_a_sealer_does_not_write_past_its_buffer(plain: bytes, final: bool) -> None:  # noqa: FBT001
    """One byte too few is refused before anything is sealed: the counter has not moved."""
    made = sealer()
    with pytest.raises(ValueError, match="too small"):
        made.seal_into(plain, bytearray(len(plain) + TAG_BYTES - 1), final=final)
    out = bytearray(len(plain) + TAG_BYTES)
    made.seal_into(plain, out, final=final)
    assert out == seal_blob(plain + (b"" if final else b"more"))[HEADER_BYTES:][: len(out)]


def test_a_failing_cipher_never_meets_its_nonce_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter moves first: if the cipher breaks in the middle, the next chunk has a new number."""
    made, out = sealer(), bytearray(2 * UNIT)
    seen: list[bytes] = []

    class BrokenOnce:
        def encrypt_into(self, nonce: bytes, *_others: object) -> int:
            seen.append(nonce)
            if len(seen) == 1:
                raise MemoryError
            return 0

    monkeypatch.setattr(made, "_cipher", BrokenOnce())
    with pytest.raises(MemoryError):
        made.seal_into(bytes(2 * CHUNK_BYTES), out, final=False)
    made.seal_into(bytes(CHUNK_BYTES), out, final=False)
    assert [nonce.hex() for nonce in seen] == ["000000000000000000000000", "000000000000000000000200"]


def test_a_blob_has_a_last_possible_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunk of the highest number can be sealed, the one behind it cannot."""
    made, out = sealer(), bytearray(2 * UNIT)
    monkeypatch.setattr(made, "_index", MAX_CHUNKS - 1)
    with pytest.raises(LimitExceeded):
        made.seal_into(bytes(CHUNK_BYTES + 1), out, final=True)
    assert made.seal_into(bytes(CHUNK_BYTES), out, final=True) == UNIT


@pytest.mark.parametrize(
    ("salt", "chunk_log2"), [(b"", 16), (bytes(31), 16), (SALT, 15), (SALT, 0), (SALT, 22)]
)
def test_a_sealer_writes_nothing_that_no_opener_reads(salt: bytes, chunk_log2: int) -> None:
    """Salts and chunk sizes outside the format are mistakes."""
    with pytest.raises(ValueError, match="wrong size"):
        ChunkSealer(FILE_KEY, ACCOUNT_ID, BLOB_ID, salt=salt, chunk_log2=chunk_log2)


@pytest.mark.parametrize("chunk_log2", sorted(layout.CHUNK_LOG2_READ))
def test_every_chunk_size_of_the_format_can_be_read(chunk_log2: int) -> None:
    """Two and a half chunks of each size."""
    plain = bytes(range(256)) * (5 << chunk_log2 - 9)
    assert open_blob(seal_blob(plain, chunk_log2=chunk_log2)) == plain


def test_an_opener_does_not_write_past_its_buffer() -> None:
    """One byte too few is refused; a larger buffer keeps what lies behind."""
    made, sealed = sealer(), bytearray(100 + TAG_BYTES)
    made.seal_into(b"x" * 100, sealed, final=True)
    opener = opener_of(made)
    with pytest.raises(ValueError, match="too small"):
        opener.open_into(0, sealed, bytearray(99))
    out = bytearray(b"-" * 110)
    assert opener.open_into(0, sealed, out) == 100
    assert out == b"x" * 100 + b"-" * 10


@pytest.mark.parametrize("index", [-1, 3, 4, 1 << 40])
def test_an_opener_knows_which_chunks_there_are(index: int) -> None:
    """Asking for one that is not there is a mistake of the caller."""
    made, sealed = sealer(), bytearray(3 * UNIT)
    made.seal_into(bytes(3 * CHUNK_BYTES), sealed, final=True)
    with pytest.raises(ValueError, match="no chunk"):
        opener_of(made).open_into(index, sealed[:UNIT], bytearray(CHUNK_BYTES))


def test_the_length_that_counts_is_the_pinned_one() -> None:
    """An impossible pinned length is refused, whatever the blob says of itself."""
    made = sealer()
    made.seal_into(b"abc", bytearray(19), final=True)
    with pytest.raises(CorruptBlob, match="impossible length"):
        ChunkOpener(FILE_KEY, ACCOUNT_ID, made.header, sealed_size=HEADER_BYTES + 15)


def test_the_commitment_that_counts_is_the_pinned_one() -> None:
    """A second write with the same key, valid in itself, is refused by metadata that pins the first."""
    pinned = sealer().header.commitment
    other = seal_blob(b"text", salt=OTHER_SALT)
    assert open_blob(seal_blob(b"text"), commitment=pinned) == b"text"
    assert open_blob(other) == b"text"
    with pytest.raises(CorruptBlob, match="does not belong"):
        open_blob(other, commitment=pinned)


def test_one_opener_serves_many_threads() -> None:
    """Four threads at once, each through all chunks: nobody gets another's bytes."""
    made, sealed = sealer(), bytearray(8 * UNIT)
    plain = b"".join(bytes([number]) * CHUNK_BYTES for number in range(8))
    made.seal_into(plain, sealed, final=True)
    opener = opener_of(made)

    def read(shift: int) -> bool:
        out = bytearray(CHUNK_BYTES)
        for turn in range(64):
            number = (turn + shift) % 8
            opener.open_into(number, sealed[number * UNIT : (number + 1) * UNIT], out)
            if out != bytes([number]) * CHUNK_BYTES:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))


def test_a_printed_file_key_shows_nothing() -> None:
    """Neither as bytes nor as hexadecimal digits."""
    shown = repr(FileKey(FILE_SECRET))
    assert "\\x" not in shown
    assert FILE_SECRET.hex() not in shown
