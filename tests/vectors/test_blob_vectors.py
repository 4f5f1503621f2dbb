"""Every file under tests/vectors/v1, read by our code and by the second reader: same end, same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from davserver.blobs.base import BlobReader
from davserver.blobs.memory import MemoryBlobStore
from davserver.crypto.header import BlobHeader
from davserver.crypto.keys import FileKey
from davserver.crypto.layout import HEADER_BYTES, TAG_BYTES, locate
from davserver.crypto.stream import ChunkOpener
from davserver.errors import CorruptBlob
from davserver.model import AccountId, BlobId, Content, Node, NodeId, NodeKind
from davserver.vault.download import CHUNKS_A_RUN, Download
from tests.vectors import reader as independent
from tests.vectors.vector_file import Vector, vectors

VECTORS = vectors()

FEWEST = {
    "success": 15,
    "header failure": 15,
    "commit failure": 15,
    "length failure": 20,
    "chunk failure": 30,
}
"""How many vectors of each end there are at least."""

Released = list[bytes]
Read = Callable[[Vector, Released], None]


class Ended(Exception):
    """Reading ended early; the text is one of the ends that a vector may expect."""


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Corruption that is noticed in here counts as this failure."""
    try:
        yield
    except CorruptBlob:
        raise Ended(f"{name} failure") from None


def stored(vector: Vector) -> BlobReader:
    """The vector's bytes in a blob store, opened."""
    blobs, blob_id = MemoryBlobStore(), BlobId(vector.blob_id)
    with blobs.create(blob_id) as writer:
        writer.write(vector.data)
        writer.commit()
    return blobs.open(blob_id)


def read_ours(vector: Vector, released: Released) -> None:
    """Chunk by chunk, in the order in which `Download` does everything."""
    with stored(vector) as blob:
        with stage("header"):
            header = BlobHeader.parse(blob.read_at(0, HEADER_BYTES), BlobId(vector.blob_id))
        with stage("commit"):
            open_(vector, header, HEADER_BYTES + TAG_BYTES)
        with stage("length"):
            opener = open_(vector, header, vector.pinned_length)
            if opener.plain_size != vector.pinned_size:
                raise CorruptBlob
        chunk = 1 << header.chunk_log2
        for start in range(0, max(1, vector.pinned_size), chunk):
            stop = min(start + chunk, vector.pinned_size)
            run = locate(start, stop, size=vector.pinned_size, chunk_log2=header.chunk_log2)
            with stage("length"):
                sealed = blob.read_at(run.sealed_offset, run.sealed_length)
            plain = bytearray(run.length)
            with stage("chunk"):
                opener.open_into(run.first, sealed, plain)
            released.append(bytes(plain))


def open_(vector: Vector, header: BlobHeader, length: int) -> ChunkOpener:
    """Our opener, for a blob of this length."""
    return ChunkOpener(
        FileKey(vector.file_key),
        AccountId(vector.account),
        header,
        sealed_size=length,
        commitment=vector.pinned_commitment,
    )


def read_independently(vector: Vector, released: Released) -> None:
    """With the second implementation."""
    pinned = {
        "blob_id": vector.blob_id,
        "blob_length": vector.pinned_length,
        "size": vector.pinned_size,
        "commitment": vector.pinned_commitment,
    }
    try:
        for plain in independent.open_blob(vector.data, vector.account, vector.file_key, pinned):
            released.append(plain)
    except ValueError as error:
        raise Ended(f"{error} failure") from None


def outcome(read: Read, vector: Vector) -> tuple[str, bytes]:
    """How reading ends, and what was released."""
    released: Released = []
    try:
        read(vector, released)
    except Ended as end:
        return str(end), b"".join(released)
    return "success", b"".join(released)


@pytest.mark.parametrize("read", [read_ours, read_independently])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_vector_ends_as_it_says(vector: Vector, read: Read) -> None:
    """The first failure is the named one, and exactly the named plaintext has been released by then."""
    end, plain = outcome(read, vector)
    assert (end, len(plain)) == (vector.expect, vector.plain_length)
    assert hashlib.sha256(plain).digest() == vector.plain_sha256


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_a_download_of_a_vector_hands_out_nothing_else(vector: Vector) -> None:
    """`Download` ends well exactly if it should, and hands out whole blocks of authentic chunks."""
    blocks: Released = []
    try:
        with stored(vector) as blob, Download(node_of(vector), FileKey(vector.file_key), blob) as download:
            for block in download.blocks():
                blocks.append(bytes(block))
    except CorruptBlob:
        assert vector.expect != "success"
        block_bytes = CHUNKS_A_RUN << vector.data[6] if blocks else 1
        assert sum(map(len, blocks)) == vector.plain_length // block_bytes * block_bytes * bool(blocks)
    else:
        assert vector.expect == "success"
    _, plain = outcome(read_independently, vector)
    assert plain.startswith(b"".join(blocks))
    if vector.expect == "success":
        assert b"".join(blocks) == plain


def node_of(vector: Vector) -> Node:
    """The file whose content the vector is, as authenticated metadata describe it."""
    return Node(
        id=NodeId(bytes(range(16))),
        account_id=AccountId(vector.account),
        parent_id=NodeId(bytes(16)),
        kind=NodeKind.FILE,
        name="vector",
        size=vector.pinned_size,
        etag="",
        modified_ns=0,
        created_ns=0,
        content=Content(BlobId(vector.blob_id), vector.pinned_length, vector.pinned_commitment),
        sha1=None,
        md5=None,
        version=1,
    )


@pytest.mark.parametrize("end", FEWEST)
def test_there_are_vectors_of_every_end(end: str) -> None:
    """No kind of failure is forgotten when the files are made anew."""
    assert sum(vector.expect == end for vector in VECTORS) >= FEWEST[end]
