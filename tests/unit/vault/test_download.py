"""GET: what was opened stays what it was, and damage is told before or in the middle, never served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from davserver.crypto.layout import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES
from davserver.errors import CorruptBlob, IntegrityError, WrongKind
from davserver.model import BlobId
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import Drive, Store

SMALL = b"small content"
LARGE = bytes(range(251)) * 10_000  # 2.4 runs
UNIT = CHUNK_BYTES + TAG_BYTES


@pytest.fixture
def full(alice: Drive) -> Drive:
    """One file of each kind."""
    alice.put("/small", SMALL)
    alice.put("/large", LARGE)
    return alice


def blob_of(drive: Drive, path: str) -> BlobId:
    """Which blob is behind a file."""
    content = drive.stat(path).content
    assert content is not None
    return content.blob_id


def flip(path: Path, offset: int) -> None:
    """Alter one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


def test_a_collection_has_no_content(full: Drive) -> None:
    """WrongKind at once."""
    full.mkdir("/c")
    with pytest.raises(WrongKind):
        full.open("/c")


def test_a_download_knows_its_size(full: Drive) -> None:
    """From the node's authenticated metadata."""
    with full.open("/large") as download:
        assert download.size == len(LARGE)


def test_only_the_chunks_asked_for_are_opened(store: Store, full: Drive) -> None:
    """A range costs its own chunks: the rest may be damaged."""
    path = store.blob_path(blob_of(full, "/large"))
    data = bytearray(path.read_bytes())
    start, stop = HEADER_BYTES + 5 * UNIT, HEADER_BYTES + 7 * UNIT
    data[HEADER_BYTES:start] = bytes(start - HEADER_BYTES)
    data[stop:] = bytes(len(data) - stop)
    path.write_bytes(data)
    assert full.get("/large", 5 * CHUNK_BYTES, 7 * CHUNK_BYTES) == LARGE[5 * CHUNK_BYTES : 7 * CHUNK_BYTES]
    for wrong in ((5 * CHUNK_BYTES - 1, 6 * CHUNK_BYTES), (6 * CHUNK_BYTES, 7 * CHUNK_BYTES + 1)):
        with pytest.raises(CorruptBlob):
            full.get("/large", *wrong)


def test_damage_in_the_first_block_is_told_before_any_byte(store: Store, full: Drive) -> None:
    """So that the door can still answer with an error; also where the range begins later."""
    path = store.blob_path(blob_of(full, "/large"))
    flip(path, HEADER_BYTES)
    with full.open("/large") as download:
        with pytest.raises(CorruptBlob):
            download.blocks()
        assert b"".join(map(bytes, download.blocks(CHUNK_BYTES))) == LARGE[CHUNK_BYTES:]
        flip(path, HEADER_BYTES + 20 * UNIT)
        with pytest.raises(CorruptBlob):
            download.blocks(20 * CHUNK_BYTES)


def test_damage_further_on_is_told_in_the_middle(store: Store, full: Drive) -> None:
    """What came before it is right, and what is damaged never comes."""
    flip(store.blob_path(blob_of(full, "/large")), HEADER_BYTES + 20 * UNIT)
    with full.open("/large") as download:
        blocks = download.blocks()
        assert bytes(next(blocks)) == LARGE[:RUN_BYTES]
        with pytest.raises(CorruptBlob):
            next(blocks)
        with pytest.raises(StopIteration):
            next(blocks)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "half a header": lambda path: path.write_bytes(path.read_bytes()[: HEADER_BYTES // 2]),
    "only a header": lambda path: path.write_bytes(path.read_bytes()[:HEADER_BYTES]),
    "a byte short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a chunk short": lambda path: path.write_bytes(path.read_bytes()[:-UNIT]),
    "magic": lambda path: flip(path, 0),
    "version": lambda path: flip(path, 4),
    "chunk size": lambda path: flip(path, 6),
    "blob id": lambda path: flip(path, 8),
    "salt": lambda path: flip(path, 24),
    "commitment": lambda path: flip(path, 56),
    "last byte": lambda path: flip(path, -1),
    "a collection": lambda path: path.rename(path.with_suffix(".x")).with_suffix("").mkdir(),
    "a link": lambda path: path.symlink_to(path.rename(path.with_suffix(".x"))),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_never_served(store: Store, full: Drive, damage: Callable[[Path], object]) -> None:
    """Whatever happened to the blob's file, reading it all is an error, and other files are not harmed."""
    damage(store.blob_path(blob_of(full, "/large")))
    with pytest.raises(IntegrityError):
        full.get("/large")
    assert full.get("/small") == SMALL


def test_something_appended_changes_nothing(store: Store, full: Drive) -> None:
    """The length comes from the node, not from the storage."""
    path = store.blob_path(blob_of(full, "/large"))
    path.write_bytes(path.read_bytes() + b"more")
    assert full.get("/large") == LARGE


def test_the_content_of_another_file_is_not_served(store: Store, full: Drive, bob: Drive) -> None:
    """Nor that of an older version, of a copy's neighbour or of another account."""
    full.put("/other", LARGE[::-1])
    bob.put("/other", LARGE)
    target = store.blob_path(blob_of(full, "/large"))
    for source in (blob_of(full, "/other"), blob_of(bob, "/other")):
        target.write_bytes(store.blob_path(source).read_bytes())
        with pytest.raises(CorruptBlob):
            full.get("/large")


@pytest.mark.parametrize("path", ["/small", "/large"])
@pytest.mark.parametrize("change", ["overwrite", "delete", "replace", "collect"])
def test_what_was_opened_stays_what_it_was(store: Store, full: Drive, path: str, change: str) -> None:
    """A reader is served the version that it opened, whatever happens to the file meanwhile."""
    store.keep(keep_days=0)
    content = full.get(path)
    with full.open(path) as download:
        blocks = download.blocks()
        first = bytes(next(blocks))
        if change == "overwrite":
            full.put(path, b"new")
        elif change == "replace":
            full.put("/new", LARGE[::-1])
            full.move("/new", path, overwrite=True)
        else:
            full.delete(path)
        if change == "collect":
            store.collect()
            assert blob_of_rows(store) == 1
        assert first + b"".join(map(bytes, blocks)) == content
        assert b"".join(map(bytes, download.blocks(1))) == content[1:]
    store.assert_tidy()


def blob_of_rows(store: Store) -> int:
    """How many blobs the database knows."""
    ((number,),) = store.sql("SELECT count(*) FROM blob")
    return int(number)


def test_a_file_that_is_gone_before_it_is_opened(store: Store, full: Drive) -> None:
    """Deleted for good and collected between looking and reading: an error, and no other file's bytes."""
    store.keep(keep_days=0)
    nodes = [full.stat("/small"), full.stat("/large")]
    full.delete("/small")
    full.delete("/large")
    store.collect()
    for node in nodes:
        with pytest.raises(CorruptBlob):
            full.vault.read(node)


def test_several_ranges_of_one_download(full: Drive) -> None:
    """In any order; a block is valid until the next one is asked for."""
    with full.open("/large") as download:
        for start, stop in (
            (RUN_BYTES, RUN_BYTES + 10),
            (0, 5),
            (len(LARGE) - 1, len(LARGE)),
            (7, len(LARGE)),
        ):
            assert b"".join(map(bytes, download.blocks(start, stop))) == LARGE[start:stop]


def test_a_closed_download_reads_nothing(full: Drive) -> None:
    """And may be closed again."""
    download = full.open("/large")
    blocks = download.blocks()
    next(blocks)
    download.close()
    download.close()
    with pytest.raises(ValueError, match="closed"):
        next(blocks)


def test_no_descriptor_is_left_open_by_an_error(store: Store, full: Drive) -> None:
    """A blob that turns out to be damaged is let go of."""
    flip(store.blob_path(blob_of(full, "/large")), 60)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(CorruptBlob):
            full.open("/large")
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_no_transaction_is_open_while_a_body_leaves(store: Store, full: Drive) -> None:
    """A slow reader pins nothing in the database, nor does one who goes away."""
    with full.open("/large") as download:
        assert store.database.idle
        blocks = download.blocks()
        next(blocks)
        assert store.database.idle
        full.put("/large", b"new")
