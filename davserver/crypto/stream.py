"""Sealing and opening the content of a blob, chunk by chunk, in memory that the caller owns and reuses.

It must never use a nonce twice, nor leave plaintext behind that did not authenticate. Called by `vault`.
"""

from __future__ import annotations

import struct

from davserver.crypto import layout
from davserver.crypto.header import SALT_BYTES, BlobHeader, bound_part
from davserver.crypto.keys import FileKey, Label, derive
from davserver.crypto.layout import HEADER_BYTES
from davserver.crypto.primitives import (
    TAG_BYTES,
    AesGcm,
    Buffer,
    InvalidTag,
    constant_time_equal,
    hkdf_extract,
    random_bytes,
)
from davserver.errors import CorruptBlob, LimitExceeded
from davserver.model import AccountId, BlobId

# 00 00 00 || index (u64be) || 1 for the last chunk, else 0. Counting is safe because the content key is used
# for one write of one blob and for nothing else.
_NONCE = struct.Struct(">3xQB")


class ChunkSealer:
    """Encrypts one plaintext into one blob, from front to back. Not for use by two threads at a time.

    Args:
        file_key: fresh; never given to another sealer.
        account_id: the owner.
        blob_id: the blob's name.
        salt: only for known answers; otherwise fresh random bytes.
        chunk_log2: only for tests of reading; what the server stores has the default.

    Attributes:
        header: goes in front of the chunks, packed.
        plain_size: bytes sealed so far.
        sealed_size: length of the blob so far, header included.
    """

    __slots__ = ("_bound", "_chunk", "_cipher", "_finished", "_index", "header", "plain_size", "sealed_size")

    def __init__(
        self,
        file_key: FileKey,
        account_id: AccountId,
        blob_id: BlobId,
        *,
        salt: bytes | None = None,
        chunk_log2: int = layout.CHUNK_LOG2,
    ) -> None:
        salt = random_bytes(SALT_BYTES) if salt is None else salt
        self._bound = bound_part(blob_id, chunk_log2)
        self._cipher, commitment = _content_keys(file_key, account_id, self._bound, salt)
        self._chunk = 1 << chunk_log2
        self._index = 0
        self._finished = False
        self.header = BlobHeader(blob_id, salt, commitment, chunk_log2)
        self.plain_size = 0
        self.sealed_size = HEADER_BYTES

    def seal_into(self, plain: Buffer, out: bytearray | memoryview, *, final: bool) -> int:
        """Seal `plain` into the front of `out`, which is other memory; returns how many bytes were written.

        Without `final`, `plain` is a whole multiple of the chunk size. With `final`, which comes exactly
        once, it is whatever is left: at least one byte, unless the whole plaintext is empty.

        Raises:
            ValueError: the rules above are broken or `out` is too small; nothing was sealed.
            LimitExceeded: more chunks than a blob may have; nothing was sealed.
        """
        source, target, chunk = memoryview(plain), memoryview(out), self._chunk
        size = source.nbytes
        self._require_order(size, final=final)
        count = layout.chunk_count(size, chunk.bit_length() - 1) if size or final else 0
        written = size + count * TAG_BYTES
        if target.nbytes < written:
            raise ValueError("the output buffer is too small")
        index = self._index
        if index + count > layout.MAX_CHUNKS:
            raise LimitExceeded("the content is larger than an encrypted blob can be")
        # The state moves before the cipher runs: whatever fails below, no nonce comes again.
        self._index = index + count
        self._finished = final
        self.plain_size += size
        self.sealed_size += written
        encrypt, nonce, bound, unit = self._cipher.encrypt_into, _NONCE.pack, self._bound, chunk + TAG_BYTES
        read = write = 0
        for number in range(index, index + count - final):
            encrypt(nonce(number, 0), source[read : read + chunk], bound, target[write : write + unit])
            read += chunk
            write += unit
        if final:
            encrypt(nonce(index + count - 1, 1), source[read:], bound, target[write:written])
        return written

    def _require_order(self, size: int, *, final: bool) -> None:
        if self._finished:
            raise ValueError("the last chunk was already sealed")
        if not final and size % self._chunk:
            raise ValueError("only the last piece may end inside a chunk")
        if final and size == 0 and self._index > 0:
            raise ValueError("the last chunk of a content that is not empty cannot be empty")


class ChunkOpener:
    """Decrypts runs of chunks of one blob, in any order; may be shared by threads.

    Args:
        file_key: the blob's own.
        account_id: the owner.
        header: as stored in front of the blob.
        sealed_size: length of the whole blob, from authenticated metadata, not from the storage.
        commitment: the one pinned in the node's metadata; None if there is no metadata to hold against it.

    Attributes:
        plain_size: length of the content.

    Raises:
        CorruptBlob: the header is not that of this key, account and commitment, or the length is impossible.
    """

    __slots__ = ("_bound", "_chunk", "_cipher", "_sealed_size", "plain_size")

    def __init__(
        self,
        file_key: FileKey,
        account_id: AccountId,
        header: BlobHeader,
        *,
        sealed_size: int,
        commitment: bytes | None = None,
    ) -> None:
        self._bound = bound_part(header.blob_id, header.chunk_log2)
        self._cipher, derived = _content_keys(file_key, account_id, self._bound, header.salt)
        pinned = header.commitment if commitment is None else commitment
        if not constant_time_equal(derived, header.commitment) or not constant_time_equal(derived, pinned):
            raise CorruptBlob("the encrypted blob does not belong to this key, account or file")
        self.plain_size = layout.plain_size(sealed_size, header.chunk_log2)
        self._sealed_size = sealed_size
        self._chunk = 1 << header.chunk_log2

    def open_into(self, first_index: int, sealed: Buffer, out: bytearray | memoryview) -> int:
        """Open consecutive chunks into the front of `out`, which is other memory; returns the bytes written.

        Args:
            first_index: index of the first chunk in `sealed`.
            sealed: exactly these chunks, as stored.
            out: at least `TAG_BYTES` a chunk shorter than `sealed`; its content is undefined after an error,
                but never plaintext that did not authenticate.

        Raises:
            CorruptBlob: altered, moved, or not a whole number of chunks of a blob of this length.
            ValueError: `out` is too small, or there is no chunk of this index.
        """
        source, target, chunk = memoryview(sealed), memoryview(out), self._chunk
        unit = chunk + TAG_BYTES
        size = source.nbytes
        count, has_last = self._measure(first_index, size)
        written = size - count * TAG_BYTES
        if target.nbytes < written:
            raise ValueError("the output buffer is too small")
        decrypt, nonce, bound = self._cipher.decrypt_into, _NONCE.pack, self._bound
        read = write = 0
        number = first_index
        try:
            for number in range(first_index, first_index + count - has_last):
                decrypt(nonce(number, 0), source[read : read + unit], bound, target[write : write + chunk])
                read += unit
                write += chunk
            if has_last:
                decrypt(nonce(first_index + count - 1, 1), source[read:], bound, target[write:written])
        except InvalidTag:
            target[write:written] = bytes(written - write)
            raise CorruptBlob("a chunk of the encrypted blob was altered or belongs elsewhere") from None
        return written

    def _measure(self, first_index: int, size: int) -> tuple[int, bool]:
        """How many chunks `size` bytes from `first_index` on are, and whether the last is one of them."""
        unit = self._chunk + TAG_BYTES
        start = HEADER_BYTES + first_index * unit
        if first_index < 0 or start >= self._sealed_size:
            raise ValueError("the blob has no chunk of this index")
        has_last = start + size == self._sealed_size
        if size == 0 or start + size > self._sealed_size or (size % unit and not has_last):
            raise CorruptBlob("the encrypted blob is shorter or longer than it should be")
        return -(-size // unit), has_last


def _content_keys(
    file_key: FileKey, account_id: AccountId, bound: bytes, salt: bytes
) -> tuple[AesGcm, bytes]:
    """The cipher of one write of one blob, and the commitment to the key that it came from."""
    root = hkdf_extract(salt, file_key.secret)
    context = bound + account_id
    return AesGcm(derive(root, Label.CONTENT, 32, context)), derive(root, Label.CONTENT_COMMIT, 32, context)
