"""The 88 bytes at the front of every blob, version 1: pack, parse, refuse.

It must never accept a field that version 1 does not define. What it parses is not yet authenticated:
the commitment is checked by `stream.ChunkOpener`. Called by `stream` and `vault`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from davserver.crypto.layout import CHUNK_LOG2, CHUNK_LOG2_READ, HEADER_BYTES
from davserver.crypto.primitives import Buffer
from davserver.errors import CorruptBlob
from davserver.model import ID_BYTES, BlobId

MAGIC = b"EWDB"
FORMAT_VERSION = 1
SUITE_AES_256_GCM = 1
NO_FLAGS = 0
SALT_BYTES = 32
COMMITMENT_BYTES = 32

_BOUND = struct.Struct(">4sBBBB16s")
_HEADER = struct.Struct(">4sBBBB16s32s32s")


@dataclass(frozen=True, slots=True)
class BlobHeader:
    """A blob's header.

    Attributes:
        blob_id: which blob this is (16 bytes).
        salt: fresh random bytes of one write attempt (32 bytes).
        commitment: what ties the content to exactly one file key (32 bytes).
        chunk_log2: binary logarithm of the plaintext bytes in a chunk.
    """

    blob_id: BlobId
    salt: bytes
    commitment: bytes = field(repr=False)
    chunk_log2: int = CHUNK_LOG2

    def __post_init__(self) -> None:
        lengths = len(self.blob_id), len(self.salt), len(self.commitment)
        if lengths != (ID_BYTES, SALT_BYTES, COMMITMENT_BYTES) or self.chunk_log2 not in CHUNK_LOG2_READ:
            raise ValueError("a field of a blob header has the wrong size")

    def pack(self) -> bytes:
        """The header as stored."""
        return bound_part(self.blob_id, self.chunk_log2) + self.salt + self.commitment

    @classmethod
    def parse(cls, raw: Buffer, blob_id: BlobId) -> BlobHeader:
        """Read the first `HEADER_BYTES` of the blob that is stored under `blob_id`.

        Raises:
            CorruptBlob: not a header of version 1, or the header of another blob.
        """
        if len(raw) != HEADER_BYTES:
            raise CorruptBlob("the encrypted blob is shorter than its header")
        magic, version, suite, chunk_log2, flags, named, salt, commitment = _HEADER.unpack(raw)
        if magic != MAGIC:
            raise CorruptBlob("this is not an encrypted blob")
        if version != FORMAT_VERSION or suite != SUITE_AES_256_GCM or flags != NO_FLAGS:
            raise CorruptBlob("the encrypted blob is of a version, suite or kind that is not known here")
        if chunk_log2 not in CHUNK_LOG2_READ:
            raise CorruptBlob("the encrypted blob has chunks of a size that no version writes")
        if named != blob_id:
            raise CorruptBlob("the encrypted blob is not the one that belongs here")
        return cls(BlobId(named), salt, commitment, chunk_log2)


def bound_part(blob_id: BlobId, chunk_log2: int) -> bytes:
    """The first 24 bytes of a header: what key derivation and every chunk are bound to."""
    return _BOUND.pack(MAGIC, FORMAT_VERSION, SUITE_AES_256_GCM, chunk_log2, NO_FLAGS, blob_id)
