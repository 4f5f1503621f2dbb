"""The contract of every blob store: immutable, opaque bytes under an id.

It never sees plaintext, names or keys, and never puts an id or a path into an error message. `vault` writes
and reads through these protocols; each back end is judged by tests/contract/test_blob_store.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from davserver.errors import CorruptBlob, StorageUnavailable
from davserver.model import ID_BYTES, BlobId

BytesLike = bytes | bytearray | memoryview


class BlobWriter(Protocol):
    """One blob in the making. Belongs to one thread at a time.

    Used as a context manager: leaving the block without `commit` aborts. Once the writer is committed or
    aborted, `write` and `commit` raise `ValueError`: they are bugs of the caller.
    """

    def write(self, data: BytesLike, /) -> None:
        """Append all of `data` (C-contiguous), which the caller may reuse when this returns.

        Callers write blocks of about 1 MiB: nothing is buffered here. A write that fails aborts the writer.

        Raises:
            StorageFull: no space left.
            StorageUnavailable: anything else that the storage refuses.
        """
        ...

    def commit(self) -> None:
        """Publish the blob, durable (`model.Durability`) when this returns; before, nobody can see it.

        A commit that fails aborts the writer, and a store that still answers does not have the blob.

        Raises:
            AlreadyExists: the id has a blob, which is left as it was.
            StorageFull: no space left.
            StorageUnavailable: anything else that the storage refuses.
        """
        ...

    def abort(self) -> None:
        """Discard everything that was written. May be repeated; after `commit` it does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BlobReader(Protocol):
    """One blob opened for reading. `read_at` and `read_at_into` may be called from several threads."""

    @property
    def size(self) -> int:
        """Length in bytes when it was opened, as storage has it: a claim, not authenticated."""
        ...

    def read_at_into(self, offset: int, buffer: memoryview, /) -> None:
        """Fill the writable `buffer` (C-contiguous) exactly, with the bytes from `offset` on.

        Raises:
            CorruptBlob: the blob does not have all of these bytes; the buffer's content is undefined.
            StorageUnavailable: the storage cannot be read.
            ValueError: negative offset, or the reader is closed.
        """
        ...

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Return exactly `length` bytes from `offset` on; raises as `read_at_into` does."""
        ...

    def close(self) -> None:
        """Let go of the blob. May be repeated."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BlobStore(Protocol):
    """Where the blobs are. May be used from several threads and, where it outlives them, several processes.

    A blob is never changed: it is written once, read many times, deleted. An id that is not exactly 16 bytes
    raises `ValueError` everywhere. Any method may raise `StorageUnavailable`.
    """

    def create(self, blob_id: BlobId, /) -> BlobWriter:
        """Begin a blob. Of several writers with one id, at most one can commit.

        Raises:
            AlreadyExists: the id has a blob (whoever commits it later finds out at `commit`).
            StorageFull: no space left.
        """
        ...

    def open(self, blob_id: BlobId, /) -> BlobReader:
        """Open a committed blob. On `local` and `memory` the reader keeps working when the blob is deleted.

        Raises:
            CorruptBlob: there is no such blob.
        """
        ...

    def delete(self, blob_id: BlobId, /) -> None:
        """Remove a blob, as durably as `commit` makes one; a missing one is not an error."""
        ...

    def ids(self) -> Iterator[BlobId]:
        """Every committed blob, in no order. Those created or deleted meanwhile may or may not be seen."""
        ...

    def sweep(self, before: datetime, /) -> int:
        """Remove what crashed writers left, if it was last written before that moment.

        A live writer that was silent for so long is swept too; its commit then raises `StorageUnavailable`.

        Returns:
            How many leftovers were removed.
        """
        ...

    def check(self) -> None:
        """Prove that blobs can be stored, by storing a small one and deleting it again.

        Raises:
            StorageUnavailable: with one line that says what to do.
        """
        ...

    def free_bytes(self) -> int | None:
        """Bytes that could still be stored; None when there is no such limit to ask for."""
        ...


def require_id(blob_id: object) -> BlobId:
    """Return the id if it is exactly 16 `bytes`; `ValueError` otherwise. Every back end asks here first."""
    if not isinstance(blob_id, bytes) or len(blob_id) != ID_BYTES:
        raise ValueError(f"a blob id is exactly {ID_BYTES} bytes")
    return BlobId(blob_id)


def object_name(blob_id: BlobId) -> str:
    """Name of the stored object: the id in lower-case hex (docs/format.md, blob)."""
    return require_id(blob_id).hex()


def parse_object_name(name: str) -> BlobId | None:
    """The id that `object_name` turned into `name`, or None for anything else."""
    try:
        blob_id = bytes.fromhex(name)
    except ValueError:
        return None
    return BlobId(blob_id) if len(blob_id) == ID_BYTES and blob_id.hex() == name else None


class WriterBase(BlobWriter):
    """The life of a writer, the same in every back end: open, then committed or aborted, never both.

    A back end supplies `_append`, `_publish` and `_discard`.
    """

    def __init__(self) -> None:
        self._open = True

    def write(self, data: BytesLike, /) -> None:
        """Hand all bytes to the back end; give up when it fails."""
        self._require_open()
        view = memoryview(data).cast("B")
        try:
            self._append(view)
        except BaseException:
            self._give_up()
            raise

    def commit(self) -> None:
        """Have the back end publish; give up when it fails."""
        self._require_open()
        try:
            self._publish()
        except BaseException:
            self._give_up()
            raise
        self._open = False

    def abort(self) -> None:
        """Have the back end discard, once."""
        if self._open:
            self._open = False
            self._discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _require_open(self) -> None:
        if not self._open:
            raise ValueError("the blob is already committed or aborted")

    def _give_up(self) -> None:
        self._open = False
        with suppress(StorageUnavailable):  # The first error is the one to report; `sweep` finds the rest.
            self._discard()

    @abstractmethod
    def _append(self, view: memoryview) -> None:
        """Store all bytes of `view`."""

    @abstractmethod
    def _publish(self) -> None:
        """Make the blob durable and visible, unless the id has one."""

    @abstractmethod
    def _discard(self) -> None:
        """Remove every trace, whether `_publish` failed half-way or was never called."""


class ReaderBase(BlobReader):
    """The arithmetic of a reader, the same in every back end, which supplies `_fill` and `close`."""

    def __init__(self, size: int) -> None:
        self._size = size

    @property
    def size(self) -> int:
        """Length in bytes as storage had it when the reader was opened."""
        return self._size

    def read_at_into(self, offset: int, buffer: memoryview, /) -> None:
        """Refuse what lies outside, then fill the caller's buffer."""
        self._require_range(offset, buffer.nbytes)
        self._fill(offset, buffer.cast("B"))

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Refuse what lies outside, then fill a buffer of our own."""
        self._require_range(offset, length)  # Before a buffer of that length is asked for.
        buffer = bytearray(length)
        self._fill(offset, memoryview(buffer))
        return bytes(buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _require_range(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0:
            raise ValueError("offset and length are not negative")
        if offset + length > self._size:
            raise CorruptBlob("an encrypted blob is shorter than it should be")

    @abstractmethod
    def _fill(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer`, of a range within `size`, or raise."""
