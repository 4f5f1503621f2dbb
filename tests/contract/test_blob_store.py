"""The written contract of `davserver/blobs/base.py`, judged on every back end.

A new back end is one more entry in `BACK_ENDS`, and in `LASTING` if its blobs outlive the process.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from davserver.blobs import BlobStore, open_blob_store
from davserver.blobs.base import BytesLike
from davserver.errors import AlreadyExists, CorruptBlob, DavserverError, StorageFull, StorageUnavailable
from davserver.model import BlobId
from tests.services.clients import require

PROJECT = Path(__file__).parents[2]
BACK_ENDS = ["memory", "local"]
LASTING = ["local"]

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)

KIB = 1024
MIB = 1024 * KIB

CRASH = """
import os, signal, sys
from davserver.blobs import open_blob_store
from davserver.model import BlobId
writer = open_blob_store(sys.argv[1], durability="full").create(BlobId(bytes.fromhex(sys.argv[2])))
writer.write(bytes(100_000))
os.kill(os.getpid(), signal.SIGKILL)
"""


@dataclass(frozen=True)
class Backend:
    """A store under test, its URL, and the folder that it may fill (empty for one that keeps no files)."""

    store: BlobStore
    url: str
    folder: Path

    def reopen(self) -> BlobStore:
        """The same place as another process would open it."""
        return open_blob_store(self.url, durability="full")

    def files(self) -> list[Path]:
        """Every file on disk, of whatever kind."""
        return sorted(path for path in self.folder.rglob("*") if not path.is_dir())


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """An empty store of the kind that the test is run for."""
    folder = tmp_path / "blobs"
    url = {"memory": "memory:", "local": folder.as_uri()}[request.param]
    return Backend(open_blob_store(url, durability="full", create=True), url, folder)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 1 MiB; mounting needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = [str(require("mount")), "-t", "tmpfs", "-o", "size=1m,nr_inodes=64", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run([require("umount"), folder], check=True)


every_back_end = pytest.mark.parametrize("backend", BACK_ENDS, indirect=True)
lasting_back_ends = pytest.mark.parametrize("backend", LASTING, indirect=True)


def new_id(number: int = 1) -> BlobId:
    """An id per number, spread over the fan-out folders as random ones are."""
    return BlobId(random.Random(number).randbytes(16))


def content(size: int, seed: int = 0) -> bytes:
    """Bytes that betray any shift, swap or repetition."""
    return random.Random(f"{size}/{seed}").randbytes(size)


def put(store: BlobStore, blob_id: BlobId, *blocks: bytes) -> None:
    """Write and commit a blob."""
    with store.create(blob_id) as writer:
        for block in blocks:
            writer.write(block)
        writer.commit()


def put_interrupted(store: BlobStore, blob_id: BlobId) -> None:
    """Begin a blob, and be stopped by the user."""
    with store.create(blob_id) as writer:
        writer.write(b"interrupted")
        raise KeyboardInterrupt


def get(store: BlobStore, blob_id: BlobId) -> bytes:
    """Read a whole blob."""
    with store.open(blob_id) as reader:
        return reader.read_at(0, reader.size)


@contextmanager
def refused(kind: type[DavserverError], *secrets: object) -> Iterator[None]:
    """The block raises exactly `kind`, with one line in which (and in whose traceback) no secret occurs."""
    with pytest.raises(kind) as caught:
        yield
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message
    assert "\n" not in message
    printed = "".join(traceback.format_exception(caught.value))
    for secret in secrets:
        assert str(secret) not in printed


# ── writing and reading ─────────────────────────────────────────────────────────────────────────────────


@every_back_end
@pytest.mark.parametrize("size", [0, 1, 104, 64 * KIB, MIB - 1, 3 * MIB + 7])
def test_what_was_committed_is_read_back(backend: Backend, size: int) -> None:
    """A blob of any size comes back byte for byte, from the same store and from one opened anew."""
    data = content(size)
    put(backend.store, new_id(), *[data[start : start + MIB] for start in range(0, size, MIB)])
    assert get(backend.store, new_id()) == data
    if backend.url != "memory:":
        assert get(backend.reopen(), new_id()) == data


@every_back_end
def test_blocks_are_joined_in_order(backend: Backend) -> None:
    """Writes of all sizes, empty ones included, follow each other without gap or overlap."""
    blocks = [content(size, seed) for seed, size in enumerate([88, 0, 1, 65552, 17, 0, MIB, 3])]
    put(backend.store, new_id(), *blocks)
    assert get(backend.store, new_id()) == b"".join(blocks)


@every_back_end
@pytest.mark.parametrize(
    "wrap",
    [bytes, bytearray, memoryview, lambda data: memoryview(data).cast("I"), lambda data: memoryview(data)[:]],
    ids=["bytes", "bytearray", "view", "view of words", "slice"],
)
def test_every_kind_of_bytes_is_accepted(backend: Backend, wrap: Callable[[bytes], BytesLike]) -> None:
    """`write` takes anything bytes-like and stores its bytes, whatever its items are."""
    data = content(4096)
    with backend.store.create(new_id()) as writer:
        writer.write(wrap(data))
        writer.commit()
    assert get(backend.store, new_id()) == data


@every_back_end
def test_the_callers_buffer_is_free_after_write(backend: Backend) -> None:
    """A caller may overwrite its buffer as soon as `write` returns: the blob has the bytes as they were."""
    buffer = bytearray(content(MIB))
    with backend.store.create(new_id()) as writer:
        writer.write(buffer)
        buffer[:] = bytes(MIB)
        writer.commit()
    assert get(backend.store, new_id()) == content(MIB)


@every_back_end
def test_any_range_is_the_slice(backend: Backend) -> None:
    """`read_at` and `read_at_into` return exactly the bytes of the range, in any order of ranges."""
    data = content(200_000)
    put(backend.store, new_id(), data)
    chooser = random.Random(7)
    with backend.store.open(new_id()) as reader:
        assert reader.size == len(data)
        for _ in range(200):
            start = chooser.randrange(len(data) + 1)
            length = chooser.randrange(len(data) - start + 1)
            buffer = bytearray(b"\xaa" * (length + 2))
            reader.read_at_into(start, memoryview(buffer)[1:-1])
            assert buffer == b"\xaa" + data[start : start + length] + b"\xaa"
            assert reader.read_at(start, length) == data[start : start + length]


@every_back_end
def test_a_buffer_of_words_is_filled_with_bytes(backend: Backend) -> None:
    """The length of a range is the buffer's bytes, whatever its items are."""
    put(backend.store, new_id(), content(1000))
    buffer = bytearray(400)
    with backend.store.open(new_id()) as reader:
        reader.read_at_into(8, memoryview(buffer).cast("I"))
    assert buffer == content(1000)[8:408]


@every_back_end
def test_one_reader_serves_several_threads(backend: Backend) -> None:
    """Reads have no shared position: eight threads on one reader each get their own range."""
    data = content(MIB)
    put(backend.store, new_id(), data)
    with backend.store.open(new_id()) as reader:

        def compare(seed: int) -> None:
            chooser = random.Random(seed)
            for _ in range(100):
                start = chooser.randrange(len(data) - 1000)
                assert reader.read_at(start, 1000) == data[start : start + 1000]

        run_in_threads(compare, 8)


@every_back_end
@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (0, 1001),
        (1000, 1),
        (999, 2),
        (1001, 0),
        (2**40, 1),
        (2**63, 1),
        (2**64, 0),
        (0, 2**62),
        (2**63, 2**63),
    ],
)
def test_a_range_beyond_the_end_is_corrupt(backend: Backend, offset: int, length: int) -> None:
    """Never fewer bytes than asked for: a range past the end, however huge, is CorruptBlob at once."""
    put(backend.store, new_id(), content(1000))
    with backend.store.open(new_id()) as reader:
        with refused(CorruptBlob, backend.folder, new_id().hex()):
            reader.read_at(offset, length)
        if length < MIB:
            with refused(CorruptBlob, backend.folder, new_id().hex()):
                reader.read_at_into(offset, memoryview(bytearray(length)))
        assert reader.read_at(1000, 0) == b""


@every_back_end
def test_negative_ranges_are_a_bug_of_the_caller(backend: Backend) -> None:
    """A negative offset or length never counts from the end."""
    put(backend.store, new_id(), content(1000))
    with backend.store.open(new_id()) as reader:
        with pytest.raises(ValueError, match="not negative"):
            reader.read_at(-1, 1)
        with pytest.raises(ValueError, match="not negative"):
            reader.read_at(0, -1)
        with pytest.raises(ValueError, match="not negative"):
            reader.read_at_into(-1, memoryview(bytearray(1)))


@every_back_end
def test_a_closed_reader_reads_nothing(backend: Backend) -> None:
    """After `close`, which may be repeated, reading is an error and not somebody else's file."""
    put(backend.store, new_id(), content(1000))
    with backend.store.open(new_id()) as reader:
        reader.close()
        with pytest.raises(ValueError, match="closed"):
            reader.read_at(0, 10)


@every_back_end
def test_a_missing_blob_is_corrupt(backend: Backend) -> None:
    """Whoever asks for a blob has a row that names it: its absence is damage, not an ordinary miss."""
    put(backend.store, new_id(2), b"the store is not empty")
    with refused(CorruptBlob, backend.folder, new_id(1).hex()):
        backend.store.open(new_id(1))


# ── the life of a writer ────────────────────────────────────────────────────────────────────────────────


@every_back_end
def test_nothing_is_visible_before_commit(backend: Backend) -> None:
    """An unfinished blob can be neither opened nor listed."""
    with backend.store.create(new_id()) as writer:
        writer.write(content(MIB))
        assert list(backend.store.ids()) == []
        with refused(CorruptBlob):
            backend.store.open(new_id())
        writer.commit()
        assert list(backend.store.ids()) == [new_id()]


@every_back_end
def test_abort_leaves_nothing(backend: Backend) -> None:
    """After `abort`, which may be repeated, there is no blob, file or leftover; the id is free."""
    writer = backend.store.create(new_id())
    writer.write(content(MIB))
    writer.abort()
    writer.abort()
    assert list(backend.store.ids()) == []
    assert backend.files() == []
    assert backend.store.sweep(FAR_AHEAD) == 0
    put(backend.store, new_id(), b"second attempt")
    assert get(backend.store, new_id()) == b"second attempt"


@every_back_end
def test_leaving_the_block_aborts(backend: Backend) -> None:
    """A writer that is left without `commit`, by the end of the block or by an error, leaves nothing."""
    with backend.store.create(new_id(1)) as writer:
        writer.write(b"forgotten")
    with pytest.raises(KeyboardInterrupt):
        put_interrupted(backend.store, new_id(2))
    assert list(backend.store.ids()) == []
    assert backend.files() == []


@every_back_end
def test_a_finished_writer_refuses(backend: Backend) -> None:
    """Committing twice, or writing after commit or abort, is an error and changes nothing."""
    with backend.store.create(new_id(1)) as writer:
        writer.write(b"once")
        writer.commit()
        with pytest.raises(ValueError, match="already"):
            writer.commit()
        with pytest.raises(ValueError, match="already"):
            writer.write(b"more")
        writer.abort()
    assert get(backend.store, new_id(1)) == b"once"
    aborted = backend.store.create(new_id(2))
    aborted.abort()
    with pytest.raises(ValueError, match="already"):
        aborted.write(b"more")
    with pytest.raises(ValueError, match="already"):
        aborted.commit()
    assert list(backend.store.ids()) == [new_id(1)]


@every_back_end
def test_a_blob_is_never_overwritten(backend: Backend) -> None:
    """Creating an id that has a blob is refused, and the blob stays as it was."""
    put(backend.store, new_id(), b"first")
    with refused(AlreadyExists, backend.folder, new_id().hex()):
        backend.store.create(new_id())
    assert get(backend.store, new_id()) == b"first"


@every_back_end
def test_a_writer_that_comes_second_loses(backend: Backend) -> None:
    """Of two writers of one id the later commit is refused, without a trace of what it wrote."""
    with backend.store.create(new_id()) as late, backend.store.create(new_id()) as early:
        late.write(b"late and longer")
        early.write(b"early")
        early.commit()
        with refused(AlreadyExists, backend.folder, new_id().hex()):
            late.commit()
        with pytest.raises(ValueError, match="already"):
            late.commit()
    assert get(backend.store, new_id()) == b"early"
    assert backend.store.sweep(FAR_AHEAD) == 0


@every_back_end
def test_writers_do_not_disturb_each_other(backend: Backend) -> None:
    """Eight threads that write their own blobs at once, block by block, each get their own back."""

    def write_own(number: int) -> None:
        with backend.store.create(new_id(number)) as writer:
            for block in range(20):
                writer.write(content(5000, number * 100 + block))
            writer.commit()

    run_in_threads(write_own, 8)
    assert set(backend.store.ids()) == {new_id(number) for number in range(8)}
    for number in range(8):
        assert get(backend.store, new_id(number)) == b"".join(
            content(5000, number * 100 + block) for block in range(20)
        )


@every_back_end
def test_one_of_many_writers_of_an_id_wins(backend: Backend) -> None:
    """Eight threads race to commit one id: exactly one succeeds, and the blob is entirely its own."""
    barrier = threading.Barrier(8)
    winners: list[int] = []

    def race(number: int) -> None:
        with backend.store.create(new_id()) as writer:
            writer.write(content(20_000, number))
            barrier.wait()
            try:
                writer.commit()
            except AlreadyExists:
                return
            winners.append(number)

    run_in_threads(race, 8)
    assert len(winners) == 1
    assert get(backend.store, new_id()) == content(20_000, winners[0])
    assert backend.store.sweep(FAR_AHEAD) == 0


# ── deleting, listing, sweeping ─────────────────────────────────────────────────────────────────────────


@every_back_end
def test_a_deleted_blob_is_gone(backend: Backend) -> None:
    """Deleting removes one blob for good and no other; deleting what is not there is not an error."""
    put(backend.store, new_id(1), b"goes")
    put(backend.store, new_id(2), b"stays")
    backend.store.delete(new_id(1))
    backend.store.delete(new_id(1))
    backend.store.delete(new_id(3))
    with refused(CorruptBlob):
        backend.store.open(new_id(1))
    assert list(backend.store.ids()) == [new_id(2)]
    assert get(backend.store, new_id(2)) == b"stays"


@every_back_end
def test_an_open_reader_survives_delete(backend: Backend) -> None:
    """A download in progress ends whole although the blob is deleted meanwhile."""
    put(backend.store, new_id(), content(2 * MIB))
    with backend.store.open(new_id()) as reader:
        first = reader.read_at(0, MIB)
        backend.store.delete(new_id())
        assert first + reader.read_at(MIB, MIB) == content(2 * MIB)
        assert list(backend.store.ids()) == []


@every_back_end
def test_ids_lists_committed_blobs_only(backend: Backend) -> None:
    """Every committed blob once; none that is unfinished, aborted or deleted."""
    for number in range(300):  # More than there are fan-out folders.
        put(backend.store, new_id(number), b"x")
    backend.store.create(new_id(1000)).abort()
    backend.store.delete(new_id(0))
    with backend.store.create(new_id(1001)):
        assert sorted(backend.store.ids()) == sorted(new_id(number) for number in range(1, 300))


@every_back_end
def test_blobs_may_be_deleted_while_they_are_listed(backend: Backend) -> None:
    """Garbage collection deletes as it goes through the ids, and sees them all."""
    for number in range(100):
        put(backend.store, new_id(number), b"x")
    seen = set()
    for blob_id in backend.store.ids():
        backend.store.delete(blob_id)
        seen.add(blob_id)
    assert seen == {new_id(number) for number in range(100)}
    assert list(backend.store.ids()) == []


@every_back_end
@pytest.mark.parametrize(
    "bad", [b"", bytes(15), bytes(17), bytes(32), "sixteen letters.", bytearray(16), None], ids=repr
)
def test_bad_ids_are_refused(backend: Backend, bad: BlobId) -> None:
    """Only 16 bytes are an id: nothing else gets as far as being part of a path."""
    for method in (backend.store.create, backend.store.open, backend.store.delete):
        with pytest.raises(ValueError, match=r"^a blob id is exactly 16 bytes$"):
            method(bad)
    assert backend.files() == []


@lasting_back_ends
def test_a_crashed_writer_leaves_only_what_sweep_removes(backend: Backend) -> None:
    """A process that is killed while it writes leaves no blob; `sweep` removes its leftovers only."""
    put(backend.store, new_id(1), b"committed before")
    at_rest = backend.files()
    command = [sys.executable, "-B", "-c", CRASH, backend.url, new_id(2).hex()]
    crashed = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert crashed.returncode == -signal.SIGKILL, crashed.stderr
    assert len(backend.files()) > len(at_rest)
    assert list(backend.store.ids()) == [new_id(1)]
    assert backend.store.sweep(LONG_AGO) == 0
    assert backend.store.sweep(FAR_AHEAD) == 1
    assert backend.files() == at_rest
    assert get(backend.store, new_id(1)) == b"committed before"
    put(backend.store, new_id(2), b"second attempt")
    assert get(backend.store, new_id(2)) == b"second attempt"


@lasting_back_ends
def test_sweep_spares_whoever_wrote_since(backend: Backend) -> None:
    """Age counts from the last write, so a long upload that still moves is not swept."""
    with backend.store.create(new_id()) as writer:
        writer.write(b"first")
        (staged,) = backend.files()
        os.utime(staged, (0, 0))
        writer.write(b", second")
        assert backend.store.sweep(LONG_AGO) == 0
        writer.commit()
    assert get(backend.store, new_id()) == b"first, second"


@lasting_back_ends
def test_a_swept_writer_cannot_commit(backend: Backend) -> None:
    """A writer that was swept fails at commit and publishes nothing, least of all another writer's bytes."""
    with backend.store.create(new_id()) as writer:
        writer.write(b"paused too long")
        assert backend.store.sweep(datetime.now(UTC) + timedelta(hours=1)) == 1
        with backend.store.create(new_id()) as other:
            other.write(b"unfinished")
            with refused(StorageUnavailable, backend.folder, new_id().hex()):
                writer.commit()
            assert list(backend.store.ids()) == []


# ── storage that fails ──────────────────────────────────────────────────────────────────────────────────


@every_back_end
def test_check_passes_and_leaves_nothing(backend: Backend) -> None:
    """`check` on a healthy store raises nothing and leaves neither blob nor file."""
    backend.store.check()
    assert list(backend.store.ids()) == []
    assert backend.files() == []


def test_a_full_disk_stops_the_writer_alone(tiny_disk: Path) -> None:
    """Without space a write is StorageFull and leaves nothing; other blobs stay; freed space is usable."""
    store = open_blob_store(str(tiny_disk / "blobs"), durability="full", create=True)
    put(store, new_id(1), content(300 * KIB))
    with store.create(new_id(2)) as writer:
        with refused(StorageFull, tiny_disk, new_id(2).hex()):
            for _ in range(8):
                writer.write(content(256 * KIB))
        with pytest.raises(ValueError, match="already"):
            writer.commit()
    assert list(store.ids()) == [new_id(1)]
    assert store.sweep(FAR_AHEAD) == 0
    assert get(store, new_id(1)) == content(300 * KIB)
    put(store, new_id(3), content(600 * KIB))
    store.delete(new_id(1))
    put(store, new_id(4), content(300 * KIB))
    assert get(store, new_id(4)) == content(300 * KIB)


def test_a_disk_that_fills_before_commit_publishes_nothing(tiny_disk: Path) -> None:
    """When there is no room for the folder, commit is StorageFull and leaves no blob and no leftover."""
    store = open_blob_store(str(tiny_disk / "blobs"), durability="full", create=True)
    with store.create(new_id()) as writer:
        writer.write(b"written while there was room")
        use_up_inodes(tiny_disk)
        with refused(StorageFull, tiny_disk, new_id().hex()):
            writer.commit()
    assert list(store.ids()) == []
    assert store.sweep(FAR_AHEAD) == 0


def test_check_sees_a_full_disk(tiny_disk: Path) -> None:
    """`check` on a disk without room is StorageFull."""
    store = open_blob_store(str(tiny_disk / "blobs"), durability="full", create=True)
    use_up_inodes(tiny_disk)
    with refused(StorageFull, tiny_disk):
        store.check()


def test_free_bytes_follows_the_disk(tiny_disk: Path) -> None:
    """`free_bytes` is what the file system has left: less by a blob's size after it is stored."""
    store = open_blob_store(str(tiny_disk / "blobs"), durability="full", create=True)
    before = store.free_bytes()
    assert before is not None
    assert 0 < before <= MIB
    put(store, new_id(), content(512 * KIB))
    after = store.free_bytes()
    assert after is not None
    assert 512 * KIB <= before - after <= 520 * KIB


def test_memory_has_no_limit_to_ask_for() -> None:
    """`free_bytes` is None where there is no disk."""
    assert open_blob_store("memory:", durability="full").free_bytes() is None


def test_a_read_only_disk_refuses_changes_and_serves_reads(tiny_disk: Path) -> None:
    """On a read-only disk writing, deleting and `check` are StorageUnavailable; blobs can still be read."""
    store = open_blob_store(str(tiny_disk / "blobs"), durability="full", create=True)
    put(store, new_id(1), b"readable")
    subprocess.run([require("mount"), "-o", "remount,ro", tiny_disk], check=True)
    for change in (lambda: store.create(new_id(2)), lambda: store.delete(new_id(1)), store.check):
        with refused(StorageUnavailable, tiny_disk, new_id(1).hex(), new_id(2).hex()):
            change()
    assert list(store.ids()) == [new_id(1)]
    assert get(store, new_id(1)) == b"readable"


def use_up_inodes(disk: Path) -> None:
    """Make empty files until the file system has room for no further one."""
    while os.statvfs(disk).f_ffree:
        (disk / f"filler-{os.statvfs(disk).f_ffree}").touch()


def run_in_threads(work: Callable[[int], None], count: int) -> None:
    """Run `work(0)` to `work(count - 1)` at once; the first error of any of them fails the test."""
    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
