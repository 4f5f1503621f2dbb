"""davserver/blobs/local.py: what lies where on disk, and what happens when it is not what was left there."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import pytest

from davserver.blobs import local
from davserver.blobs.local import LocalBlobStore
from davserver.clock import from_seconds
from davserver.errors import CorruptBlob, StorageUnavailable
from davserver.model import BlobId

BLOB = BlobId(b"\xab" + bytes(range(15)))
NAME = BLOB.hex()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where the blobs go; its parent does not exist yet."""
    return tmp_path / "data" / "blobs"


@pytest.fixture
def store(root: Path) -> LocalBlobStore:
    """An empty store that has been set up."""
    empty = LocalBlobStore(root, durability="full")
    empty.prepare()
    return empty


def put(store: LocalBlobStore, content: bytes | memoryview = b"content") -> None:
    """Commit the one blob of these tests."""
    with store.create(BLOB) as writer:
        writer.write(content)
        writer.commit()


def test_a_blob_lies_in_its_fan_out_folder(store: LocalBlobStore, root: Path) -> None:
    """The file is `<first 2 hex digits>/<id in hex>`, holds the bytes as they are, and is the only file."""
    put(store)
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "ab" / NAME]
    assert (root / "ab" / NAME).read_bytes() == b"content"


def test_an_unfinished_blob_lies_in_staging(store: LocalBlobStore, root: Path) -> None:
    """What is being written is in `staging/` at once (unbuffered) and nowhere else."""
    with store.create(BLOB) as writer:
        writer.write(b"first block")
        (staged,) = [path for path in root.rglob("*") if path.is_file()]
        assert staged.parent == root / "staging"
        assert staged.read_bytes() == b"first block"


def test_only_the_owner_may_look(root: Path) -> None:
    """Even with the most generous umask, files are 0600 and folders 0700, those above the root included."""
    umask = os.umask(0)
    try:
        store = LocalBlobStore(root, durability="full")
        store.prepare()
        put(store)
        with store.create(BlobId(bytes(16))):
            made = [root.parent, *root.parent.rglob("*")]
            modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in made}
    finally:
        os.umask(umask)
    assert modes == {(True, 0o700), (False, 0o600)}


def test_prepare_may_be_repeated(store: LocalBlobStore) -> None:
    """Setting up a store that has blobs changes nothing."""
    put(store)
    store.prepare()
    assert list(store.ids()) == [BLOB]


@pytest.mark.parametrize(
    "use",
    [
        lambda store: store.create(BLOB),
        lambda store: store.open(BLOB),
        lambda store: store.delete(BLOB),
        lambda store: list(store.ids()),
        lambda store: store.sweep(from_seconds(0)),
        lambda store: store.check(),
    ],
    ids=["create", "open", "delete", "ids", "sweep", "check"],
)
@pytest.mark.parametrize("mount_point_stays", [True, False])
def test_an_unmounted_disk_is_not_an_empty_store(
    root: Path, use: Callable[[LocalBlobStore], object], *, mount_point_stays: bool
) -> None:
    """Without the folder every use is StorageUnavailable: no blob counts as damaged, deleted or absent."""
    if mount_point_stays:
        root.mkdir(parents=True)
    with pytest.raises(StorageUnavailable, match="blob folder is missing; mount the disk"):
        use(LocalBlobStore(root, durability="full"))


def test_a_swept_writer_is_told_so(store: LocalBlobStore) -> None:
    """Whoever was silent for too long hears that the upload is gone, not that the disk is."""
    with store.create(BLOB) as writer:
        store.sweep(from_seconds(2**32))
        with pytest.raises(StorageUnavailable, match="swept away; send it again"):
            writer.commit()


def test_a_disk_unmounted_before_commit_is_told_apart(store: LocalBlobStore, root: Path) -> None:
    """Whoever loses the disk under a writer hears of the disk."""
    put(store)
    with store.create(BlobId(b"\xab" * 16)) as writer:
        shutil.rmtree(root)
        with pytest.raises(StorageUnavailable, match="mount the disk"):
            writer.commit()


def test_ids_skips_what_is_not_a_blob(store: LocalBlobStore, root: Path) -> None:
    """Strangers in the folder, and names in the wrong place or spelling, are not taken for blobs."""
    put(store)
    (root / "lost+found").mkdir()
    (root / "notes").write_text("a file in the root")
    (root / "ab" / "README").write_text("a note")
    (root / "ab" / NAME.upper()).write_text("upper case")
    (root / "ab" / f"{NAME}.tmp").write_text("a suffix")
    (root / "ab" / ("cd" + NAME[2:])).write_text("the wrong folder")
    (root / "ab" / (NAME[:-1] + "f")).mkdir()
    (root / "cd").symlink_to(root / "ab")
    (root / "ef").write_text("a file like a fan-out folder")
    (root / "staging" / NAME).write_text("not committed")
    assert list(store.ids()) == [BLOB]


def make_link(path: Path) -> None:
    """A symbolic link to a whole file."""
    path.with_name("elsewhere").write_bytes(b"content")
    path.symlink_to(path.with_name("elsewhere"))


@pytest.mark.parametrize("replace", [make_link, os.mkfifo, os.mkdir], ids=["link", "pipe", "folder"])
@pytest.mark.timeout(10)
def test_only_a_file_is_opened(store: LocalBlobStore, root: Path, replace: Callable[[Path], None]) -> None:
    """A link, pipe or folder put in place of a blob is CorruptBlob: never followed, never waited for."""
    put(store)
    (root / "ab" / NAME).unlink()
    replace(root / "ab" / NAME)
    before = open_files()
    with pytest.raises(CorruptBlob, match="replaced"):
        store.open(BLOB)
    assert open_files() == before


def test_a_file_cut_off_while_open_is_corrupt(store: LocalBlobStore, root: Path) -> None:
    """A blob truncated under an open reader gives CorruptBlob for what is gone, not fewer bytes."""
    put(store, bytes(1000))
    with store.open(BLOB) as reader:
        os.truncate(root / "ab" / NAME, 600)
        assert reader.read_at(0, 600) == bytes(600)
        with pytest.raises(CorruptBlob, match="cut off"):
            reader.read_at(0, 601)


def test_short_writes_are_continued(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system takes only a few bytes at a time, the rest follows, counted in bytes, not items."""

    class Trickle(FileIO):
        def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
            return super().write(data[:3])

    monkeypatch.setattr(local, "FileIO", Trickle)
    put(store, memoryview(bytes(range(100))).cast("I"))
    monkeypatch.undo()
    with store.open(BLOB) as reader:
        assert reader.read_at(0, 100) == bytes(range(100))


def test_short_reads_are_continued(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives only a few bytes at a time, the buffer is filled all the same."""
    put(store, bytes(range(100)))
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, views, at: preadv(file, [views[0][:3]], at))
    with store.open(BLOB) as reader:
        assert reader.read_at(10, 80) == bytes(range(10, 90))


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links_is_named(
    store: LocalBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """`check` finds out that names cannot be given safely, says so, and leaves nothing."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageUnavailable, match="hard links"):
        store.check()
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_sweep_counts_files_by_age_and_leaves_folders(store: LocalBlobStore, root: Path) -> None:
    """Files last written before the moment go; younger ones, folders and committed blobs stay."""
    put(store)
    os.utime(root / "ab" / NAME, (0, 0))
    for name, age in [("old", 100), ("older", 50), ("young", 101)]:
        (root / "staging" / name).touch()
        os.utime(root / "staging" / name, (age, age))
    (root / "staging" / "folder").mkdir()
    os.utime(root / "staging" / "folder", (0, 0))
    assert store.sweep(from_seconds(101)) == 2
    assert sorted(path.name for path in (root / "staging").iterdir()) == ["folder", "young"]
    assert list(store.ids()) == [BLOB]


def test_two_sweeps_share_the_work(store: LocalBlobStore, root: Path) -> None:
    """Sweeps that run at once do not disturb each other: each leftover is removed, and counted, once."""
    for number in range(1000):
        (root / "staging" / f"leftover-{number}").touch()
        os.utime(root / "staging" / f"leftover-{number}", (0, 0))
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(store.sweep, [from_seconds(1)] * 4)) == 1000
    assert list((root / "staging").iterdir()) == []


def test_too_many_open_files_is_not_damage(store: LocalBlobStore) -> None:
    """A blob that cannot be opened for want of descriptors is StorageUnavailable, not CorruptBlob."""
    put(store)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(StorageUnavailable, match="too many open files"):
            store.open(BLOB)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_descriptor_is_left_open(store: LocalBlobStore) -> None:
    """Commit, abort, reading, listing, sweeping and checking each give back every descriptor."""
    before = open_files()
    put(store)
    store.create(BlobId(bytes(16))).abort()
    with store.open(BLOB) as reader:
        reader.read_at(0, 7)
    assert list(store.ids()) == [BLOB]
    store.sweep(from_seconds(0))
    store.check()
    assert open_files() == before


def open_files() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts itself once, each time
