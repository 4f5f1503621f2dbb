"""Blobs in this process's memory: the reference implementation of the contract, for tests and development.

It never outlives the process. Opened by `open_blob_store("memory:")`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from threading import Lock

from davserver.blobs.base import BlobReader, BlobStore, BlobWriter, ReaderBase, WriterBase, require_id
from davserver.errors import AlreadyExists, CorruptBlob
from davserver.model import BlobId


class MemoryBlobStore(BlobStore):
    """A dictionary that keeps the contract."""

    def __init__(self) -> None:
        self._blobs: dict[BlobId, bytes] = {}
        self._lock = Lock()

    def create(self, blob_id: BlobId, /) -> BlobWriter:
        """A writer that collects in memory of its own."""
        self._require_absent(require_id(blob_id))
        return _MemoryWriter(self, blob_id)

    def open(self, blob_id: BlobId, /) -> BlobReader:
        """A reader that holds on to the bytes, deleted or not."""
        try:
            return _MemoryReader(self._blobs[require_id(blob_id)])
        except KeyError:
            raise CorruptBlob("an encrypted blob is missing") from None

    def delete(self, blob_id: BlobId, /) -> None:
        """Forget the bytes."""
        self._blobs.pop(require_id(blob_id), None)

    def ids(self) -> Iterator[BlobId]:
        """A snapshot."""
        return iter(list(self._blobs))

    def sweep(self, before: datetime, /) -> int:  # noqa: ARG002 - the protocol's signature
        """Nothing: what a crashed writer had is gone with it."""
        return 0

    def check(self) -> None:
        """Memory can always be written."""

    def free_bytes(self) -> int | None:
        """None: memory has no limit of its own."""
        return None

    def insert(self, blob_id: BlobId, content: bytes) -> None:
        """Publish a blob, as `BlobWriter.commit` does."""
        with self._lock:
            self._require_absent(blob_id)
            self._blobs[blob_id] = content

    def _require_absent(self, blob_id: BlobId) -> None:
        if blob_id in self._blobs:
            raise AlreadyExists("a blob is never changed")


class _MemoryWriter(WriterBase):
    def __init__(self, store: MemoryBlobStore, blob_id: BlobId) -> None:
        super().__init__()
        self._store = store
        self._blob_id = blob_id
        self._content = bytearray()

    def _append(self, view: memoryview) -> None:
        self._content += view

    def _publish(self) -> None:
        self._store.insert(self._blob_id, bytes(self._content))

    def _discard(self) -> None:
        self._content.clear()


class _MemoryReader(ReaderBase):
    def __init__(self, content: bytes) -> None:
        super().__init__(len(content))
        self._content: bytes | None = content

    def _fill(self, offset: int, buffer: memoryview) -> None:
        if self._content is None:
            raise ValueError("the reader is closed")
        buffer[:] = self._content[offset : offset + len(buffer)]

    def close(self) -> None:
        self._content = None
