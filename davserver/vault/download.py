"""One file on its way out: any range, opening only the chunks that it needs.

The first block is opened before anything is handed out, so that damage there still gives a clean error;
damage further on raises in the middle, and the door then cuts the connection. Length and key commitment come
from the node's authenticated metadata, never from the storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from types import TracebackType
from typing import Self

from davserver.blobs.base import BlobReader, ReaderBase
from davserver.crypto.header import BlobHeader
from davserver.crypto.keys import FileKey
from davserver.crypto.layout import HEADER_BYTES, Run, locate, runs
from davserver.crypto.stream import ChunkOpener
from davserver.db.blob_index import BlobRow
from davserver.errors import CorruptBlob
from davserver.model import Content, Node
from davserver.vault.access import Access

CHUNKS_A_RUN = 16
"""Chunks read and opened at once: blocks of 1 MiB."""


class Download:
    """The content of one file as it was when it was opened; belongs to one thread at a time."""

    def __init__(self, node: Node, file_key: FileKey, reader: BlobReader) -> None:
        content = _content(node)
        self.size = node.size
        self._reader = reader
        header = BlobHeader.parse(reader.read_at(0, HEADER_BYTES), content.blob_id)
        self._chunk_log2 = header.chunk_log2
        self._opener = ChunkOpener(
            file_key,
            node.account_id,
            header,
            sealed_size=content.sealed_size,
            commitment=content.commitment,
        )
        if self._opener.plain_size != node.size:
            raise CorruptBlob("the encrypted blob does not have the length of its file")

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[memoryview]:
        """The plaintext [start, stop) in blocks of at most 1 MiB.

        Each block is valid only until the next one is asked for: they share one buffer.

        Raises:
            CorruptBlob: at once if the first block is damaged, else when the damaged one is reached.
            ValueError: at once, if the range is empty or does not lie inside the file.
        """
        stop = self.size if stop is None else stop
        locate(start, stop, size=self.size)  # refuses a bad end here and not after all that lies before it
        opened = self._open_runs(start, stop)
        return chain([next(opened)], opened)

    def close(self) -> None:
        """Let go of the blob. May be repeated."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_runs(self, start: int, stop: int) -> Iterator[memoryview]:
        sealed = plain = bytearray()
        for run in runs(start, stop, size=self.size, max_chunks=CHUNKS_A_RUN, chunk_log2=self._chunk_log2):
            if not sealed:  # no later run is longer than the first one
                sealed, plain = bytearray(run.sealed_length), bytearray(run.sealed_length)
            yield self._open_run(run, sealed, plain)

    def _open_run(self, run: Run, sealed: bytearray, plain: bytearray) -> memoryview:
        source = memoryview(sealed)[: run.sealed_length]
        self._reader.read_at_into(run.sealed_offset, source)
        self._opener.open_into(run.first, source, plain)
        return memoryview(plain)[run.skip : run.skip + run.length]


class _InlineReader(ReaderBase):
    """A blob that came with its database row."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self._data = data

    def _fill(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self._data[offset : offset + buffer.nbytes]

    def close(self) -> None:
        """Nothing to let go of."""


def open_download(access: Access, node: Node) -> Download:
    """Open the content of a file.

    Raises:
        CorruptBlob, CorruptRow: it is missing, or not what was written.
    """
    content = _content(node)
    with access.read() as tx:
        found = tx.blobs.fetch(access.account_id, content.blob_id)
    if found is None:
        raise CorruptBlob("the encrypted blob of this file is gone")
    row, data = found
    access.keyring.checked(row)
    reader = _open_reader(access, row, data)
    try:
        return Download(node, access.key.unwrap_file_key(row.wrapped_key, row.blob_id), reader)
    except BaseException:
        reader.close()
        raise


def _open_reader(access: Access, row: BlobRow, data: bytes | None) -> BlobReader:
    if not row.inline:
        return access.blobs.open(row.blob_id)
    if not isinstance(data, bytes):  # gone, or of a type that only SQLite allows there
        raise CorruptBlob("the encrypted blob of this file is gone or was replaced")
    return _InlineReader(data)


def _content(node: Node) -> Content:
    if node.content is None:
        raise ValueError("a collection has no content")
    return node.content
