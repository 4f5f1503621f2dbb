"""The inputs of the known answers in docs/format.md, and whole blobs made and read in one call."""

from __future__ import annotations

from itertools import pairwise

from davserver.crypto import layout
from davserver.crypto.header import BlobHeader
from davserver.crypto.keys import AccountKey, FileKey, MasterKey
from davserver.crypto.layout import CHUNK_LOG2, HEADER_BYTES
from davserver.crypto.stream import ChunkOpener, ChunkSealer
from davserver.model import AccountId, BlobId, NodeId

FILE_SECRET = bytes(range(0x20))
FILE_KEY = FileKey(FILE_SECRET)
ACCOUNT_ID = AccountId(bytes.fromhex("00112233445566778899aabbccddeeff"))
BLOB_ID = BlobId(bytes(range(0x40, 0x50)))
NODE_ID = NodeId(bytes(range(0x60, 0x70)))
PARENT_ID = NodeId(bytes(range(0x70, 0x80)))
SALT = bytes(range(0x80, 0xA0))
INSTANCE_ID = bytes(range(0xC0, 0xD0))
DEVICE_ID = bytes(range(0xD0, 0xE0))
ACCOUNT_SECRET = bytes(range(0xE0, 0x100))
MASTER_SECRET = bytes(range(0xA0, 0xC0))

OTHER_ACCOUNT = AccountId(b"\x99" * 16)
OTHER_BLOB = BlobId(b"\x88" * 16)
OTHER_NODE = NodeId(b"\x77" * 16)
OTHER_SECRET = b"\x66" * 32
OTHER_SALT = b"\x55" * 32


def account_key(account_id: AccountId = ACCOUNT_ID, version: int = 1) -> AccountKey:
    """The account key of the known answers."""
    return AccountKey(account_id, version, ACCOUNT_SECRET)


def master_key(kid: int = 1) -> MasterKey:
    """The master key of the known answers."""
    return MasterKey(kid, INSTANCE_ID, MASTER_SECRET)


def seal_blob(
    plain: bytes,
    *,
    file_key: FileKey = FILE_KEY,
    account_id: AccountId = ACCOUNT_ID,
    blob_id: BlobId = BLOB_ID,
    salt: bytes = SALT,
    chunk_log2: int = CHUNK_LOG2,
) -> bytes:
    """A whole blob."""
    sealer = ChunkSealer(file_key, account_id, blob_id, salt=salt, chunk_log2=chunk_log2)
    body = bytearray(layout.sealed_size(len(plain), chunk_log2) - HEADER_BYTES)
    assert sealer.seal_into(plain, body, final=True) == len(body)
    return sealer.header.pack() + body


def open_blob(
    sealed: bytes,
    *,
    file_key: FileKey = FILE_KEY,
    account_id: AccountId = ACCOUNT_ID,
    blob_id: BlobId = BLOB_ID,
    sealed_size: int | None = None,
    commitment: bytes | None = None,
) -> bytes:
    """Read a whole blob as `vault` does; its own length counts unless another is pinned.

    Raises:
        CorruptBlob: it is not what was sealed.
    """
    header = BlobHeader.parse(sealed[:HEADER_BYTES], blob_id)
    size = len(sealed) if sealed_size is None else sealed_size
    opener = ChunkOpener(file_key, account_id, header, sealed_size=size, commitment=commitment)
    plain = bytearray(opener.plain_size)
    body = memoryview(sealed)[HEADER_BYTES:]
    assert opener.open_into(0, body, plain) == len(plain)
    return bytes(plain)


def chunks_of(sealed: bytes, chunk_log2: int) -> list[bytes]:
    """The sealed chunks of a blob, without its header."""
    unit = (1 << chunk_log2) + layout.TAG_BYTES
    edges = [*range(HEADER_BYTES, len(sealed), unit), len(sealed)]
    return [sealed[start:stop] for start, stop in pairwise(edges)]
