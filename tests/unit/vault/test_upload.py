"""PUT: sizes around every edge, what was announced, what is kept, and what the commit judges."""

from __future__ import annotations

import hashlib
import threading
import tracemalloc
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from davserver.blobs.base import BlobWriter, WriterBase
from davserver.blobs.memory import MemoryBlobStore
from davserver.clock import to_nanoseconds
from davserver.crypto.layout import CHUNK_BYTES, sealed_size
from davserver.errors import (
    ChecksumMismatch,
    DavserverError,
    LengthMismatch,
    LimitExceeded,
    ParentMissing,
    PreconditionFailed,
    StorageUnavailable,
    WrongKind,
)
from davserver.model import BlobId, Node, NodeKind
from davserver.vault.access import Limits
from davserver.vault.moment import NO_DEMANDS
from davserver.vault.paths import VaultPath
from davserver.vault.upload import HEARTBEAT_SECONDS, RUN_BYTES, Announced, Upload, at_path
from tests.unit.vault.store import Drive, Store, make_store

OLD = b"the old content"
PATIENCE = 30
SIZES = [
    0,
    1,
    CHUNK_BYTES - 1,
    CHUNK_BYTES,
    CHUNK_BYTES + 1,
    2 * CHUNK_BYTES,
    RUN_BYTES - 1,
    RUN_BYTES,
    RUN_BYTES + 1,
    RUN_BYTES + CHUNK_BYTES,
    3 * RUN_BYTES,
]


@cache
def pattern(size: int) -> bytes:
    """Content in which no two chunks are alike."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [1_000_003, RUN_BYTES, 100_000], ids=["odd", "run", "small"])
def test_what_was_put_comes_back(store: Store, alice: Drive, size: int, piece: int) -> None:
    """Whatever the size and however it arrives; small content in the database, the rest in the blob store."""
    data = pattern(size)
    with alice.begin("/a", expected_size=size) as upload:
        for start in range(0, size, piece):
            upload.write(data[start : start + piece])
        placed = upload.commit()
    assert placed.created
    assert placed.node == alice.stat("/a")
    assert alice.get("/a") == data
    content = placed.node.content
    assert content is not None
    assert (placed.node.kind, placed.node.size) == (NodeKind.FILE, size)
    assert content.sealed_size == sealed_size(size)
    inline = size <= CHUNK_BYTES
    assert store.stored() == (set() if inline else {content.blob_id})
    assert store.sql("SELECT state, inline, sealed_size, plain_size FROM blob") == [
        ("live", int(inline), sealed_size(size), size)
    ]
    assert alice.used == size
    store.assert_tidy()


@pytest.mark.parametrize("size", [*SIZES, RUN_BYTES + CHUNK_BYTES + 1, 2 * (RUN_BYTES + CHUNK_BYTES)])
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("piece", [RUN_BYTES * 2, 100_003], ids=["all there is", "some of it"])
def test_content_may_be_put_straight_into_the_buffer(
    store: Store, alice: Drive, size: int, piece: int, *, announced: bool
) -> None:
    """As a socket does, and between other pieces; every chunk but the last is a whole one."""
    data, sent = pattern(size), 0
    with alice.begin("/a", expected_size=size if announced else None) as upload:
        while sent < size:
            space = upload.space()
            count = min(piece, len(space), size - sent)
            space[:count] = data[sent : sent + count]
            upload.advance(count)
            sent += count
            upload.write(data[sent : sent + 1])
            sent += len(data[sent : sent + 1])
        upload.commit()
    assert alice.get("/a") == data
    content = alice.stat("/a").content
    assert content is not None
    assert content.sealed_size == sealed_size(size)
    store.assert_tidy()


def test_more_than_announced_in_the_buffer(store: Store, alice: Drive) -> None:
    """There is always room for one byte, so that it is noticed."""
    alice.put("/a", OLD)
    upload = alice.begin("/a", expected_size=3)
    upload.advance(len(upload.space()[:3]))
    beyond = len(upload.space()[:1])
    with pytest.raises(LengthMismatch):
        upload.advance(beyond)
    with pytest.raises(ValueError, match="over"):
        upload.space()
    assert alice.get("/a") == OLD
    store.assert_tidy()


@pytest.mark.parametrize("limit", [0, 1, 1000])
def test_the_inline_limit_is_a_setting(folder: Path, limit: int) -> None:
    """Up to the limit content is in the database, one byte more is in the store."""
    store = make_store(folder, Limits(inline_bytes=limit))
    alice = store.drive("alice")
    alice.put("/at", bytes(limit))
    assert store.stored() == set()
    alice.put("/over", bytes(limit + 1))
    assert len(store.stored()) == 1
    assert alice.tree() == {"/at": bytes(limit), "/over": bytes(limit + 1)}
    store.assert_tidy()
    store.close()


def test_the_buffer_may_be_reused(alice: Drive) -> None:
    """`write` has taken what it was given when it returns, whatever kind of buffer it was."""
    buffer = bytearray(b"abc")
    with alice.begin("/a") as upload:
        upload.write(buffer)
        buffer[:] = b"def"
        upload.write(memoryview(buffer)[1:])
        upload.write(b"")
        upload.commit()
    assert alice.get("/a") == b"abcef"


def test_nothing_is_visible_before_the_commit(store: Store, alice: Drive) -> None:
    """Neither a new file nor a part of an old one's new content."""
    alice.put("/old", OLD)
    with alice.begin("/old") as over, alice.begin("/new") as new:
        for upload in (over, new):
            upload.write(pattern(3 * RUN_BYTES))
        assert alice.tree() == {"/old": OLD}
        assert alice.used == len(OLD)
        over.commit()
        new.commit()
    assert alice.tree() == {"/old": pattern(3 * RUN_BYTES), "/new": pattern(3 * RUN_BYTES)}
    store.assert_tidy()


@pytest.mark.parametrize("size", [10, 2 * RUN_BYTES])
def test_leaving_without_a_commit_leaves_nothing(store: Store, alice: Drive, size: int) -> None:
    """No file, no row, no byte in the blob store, and no garbage for later either."""
    alice.put("/old", OLD)
    rows = store.sql("SELECT * FROM blob")
    with alice.begin("/old") as upload:
        upload.write(pattern(size))
    assert alice.get("/old") == OLD
    assert store.stored() == set()
    assert store.sql("SELECT * FROM blob") == rows
    assert list((store.folder / "blobs" / "staging").iterdir()) == []


def test_an_error_in_the_block_aborts(store: Store, alice: Drive) -> None:
    """The connection broke: the error goes on, the upload does not."""

    def receive(upload: Upload) -> None:
        upload.write(pattern(2 * RUN_BYTES))
        raise ConnectionError

    with pytest.raises(ConnectionError), alice.begin("/a") as upload:
        receive(upload)
    assert alice.names() == []
    assert store.stored() == set()


def test_abort_may_be_repeated(store: Store, alice: Drive) -> None:
    """And does nothing after the commit."""
    upload = alice.begin("/a")
    upload.write(pattern(2 * RUN_BYTES))
    upload.abort()
    upload.abort()
    assert alice.names() == []
    committed = alice.begin("/b")
    committed.write(b"b")
    committed.commit()
    committed.abort()
    assert alice.get("/b") == b"b"
    store.assert_tidy()


@pytest.mark.parametrize("size", [0, 10, 2 * RUN_BYTES])
@pytest.mark.parametrize("end", ["abort", "commit", "refused"])
def test_an_upload_that_is_over_stays_over(store: Store, alice: Drive, size: int, end: str) -> None:
    """Nothing can be added to it, and it can never be committed (again)."""
    upload = alice.begin("/a", checksums={"SHA1": bytes(20)} if end == "refused" else None)
    upload.write(pattern(size))
    if end == "refused":
        with pytest.raises(ChecksumMismatch):
            upload.commit()
    else:
        getattr(upload, end)()
    before = alice.tree()
    for attempt in (upload.commit, lambda: upload.write(b"more")):
        with pytest.raises(ValueError, match="over"):
            attempt()
    assert alice.tree() == before == ({"/a": pattern(size)} if end == "commit" else {})
    store.assert_tidy()


@pytest.mark.parametrize("announced", [0, 1, 9, 11, CHUNK_BYTES + 1, 3 * RUN_BYTES])
@pytest.mark.parametrize("sent", [10, CHUNK_BYTES, RUN_BYTES + 1])
def test_another_length_than_announced(store: Store, alice: Drive, announced: int, sent: int) -> None:
    """Too short or too long: nothing is stored, the old content stays."""
    alice.put("/a", OLD)
    with pytest.raises(LengthMismatch):
        alice.put("/a", pattern(sent), expected_size=announced)
    assert alice.get("/a") == OLD
    store.assert_tidy()


def test_the_largest_file(folder: Path) -> None:
    """Exactly the limit is stored; one byte more is refused before or while it arrives."""
    store = make_store(folder, Limits(max_file_bytes=RUN_BYTES))
    alice = store.drive("alice")
    alice.put("/a", pattern(RUN_BYTES), expected_size=RUN_BYTES)
    with pytest.raises(LimitExceeded):
        alice.begin("/b", expected_size=RUN_BYTES + 1)
    with pytest.raises(LimitExceeded):
        alice.put("/b", pattern(RUN_BYTES + 1))
    assert alice.names() == ["a"]
    store.assert_tidy()
    store.close()


@pytest.mark.parametrize("size", [0, 100, CHUNK_BYTES + 1, 3 * RUN_BYTES])
def test_right_checksums(alice: Drive, size: int) -> None:
    """All of them are computed; SHA-1 and MD5 are kept, encrypted, and given back."""
    data = pattern(size)
    sums = {"SHA1": hashlib.sha1(data), "MD5": hashlib.md5(data), "SHA256": hashlib.sha256(data)}
    node = alice.put("/a", data, checksums={name: value.digest() for name, value in sums.items()}).node
    assert (node.sha1, node.md5) == (sums["SHA1"].digest(), sums["MD5"].digest())
    assert alice.stat("/a") == node
    kept = alice.put("/b", data, keep=frozenset({"SHA1", "MD5"})).node
    assert (kept.sha1, kept.md5) == (node.sha1, node.md5)
    assert alice.put("/a", data, keep=frozenset({"MD5"})).node.sha1 is None
    plain = alice.put("/a", data).node
    assert (plain.sha1, plain.md5, plain.extras) == (None, None, {})
    assert alice.stat("/a") == plain


@pytest.mark.parametrize("name", ["SHA1", "MD5", "SHA256"])
@pytest.mark.parametrize("size", [0, 100, 3 * RUN_BYTES])
def test_wrong_checksums(store: Store, alice: Drive, name: str, size: int) -> None:
    """One wrong among right ones is enough: nothing is stored."""
    alice.put("/a", OLD)
    data = pattern(size)
    right = {"SHA1": hashlib.sha1(data).digest(), "MD5": hashlib.md5(data).digest()}
    right["SHA256"] = hashlib.sha256(data).digest()
    wrong = right[name][:-1] + bytes([right[name][-1] ^ 1])
    for checksum in (wrong, right[name][:-1], b""):
        with pytest.raises(ChecksumMismatch):
            alice.put("/a", data, checksums=right | {name: checksum})
    assert alice.get("/a") == OLD
    store.assert_tidy()


def test_times_of_a_new_file(store: Store, alice: Drive) -> None:
    """As announced, else now."""
    now_ns = to_nanoseconds(store.clock())
    node = alice.put("/a").node
    assert (node.modified_ns, node.created_ns) == (now_ns, now_ns)
    node = alice.put("/b", modified_ns=-5, created_ns=6).node
    assert (node.modified_ns, node.created_ns) == (-5, 6)


def test_overwriting_keeps_what_belongs_to_the_file(store: Store, alice: Drive) -> None:
    """Id, first spelling, creation time and extras stay; content, ETag and time of change are new."""
    first = alice.put("/caf\u00e9", OLD, modified_ns=1, created_ns=2, keep=frozenset({"SHA1", "MD5"})).node
    store.clock.advance(seconds=9)
    placed = alice.put("/cafe\u0301", b"new")
    now_ns = to_nanoseconds(store.clock())
    assert not placed.created
    node = alice.stat("/caf\u00e9")
    assert node == placed.node
    assert (node.id, node.name, node.created_ns, node.version) == (first.id, "caf\u00e9", 2, 2)
    assert (node.modified_ns, node.size, node.sha1, node.md5) == (now_ns, 3, None, None)
    assert node.etag != first.etag
    assert alice.put("/caf\u00e9", b"new", created_ns=7).node.created_ns == 7
    store.assert_tidy()


def test_equal_content_is_a_new_version(alice: Drive) -> None:
    """ETag changes with every PUT; setting a time does not change it."""
    first = alice.put("/a", OLD).node.etag
    second = alice.put("/a", OLD).node.etag
    assert first != second
    assert alice.times("/a", modified_ns=1).etag == second
    assert alice.move("/a", "/b").node.etag == second


def test_what_can_be_refused_before_the_body(alice: Drive) -> None:
    """Parent, kind and condition."""
    alice.mkdir("/c")
    alice.put("/f")
    for path, error in {"/missing/a": ParentMissing, "/f/a": ParentMissing, "/c": WrongKind}.items():
        with pytest.raises(error):
            alice.begin(path)


def test_an_unknown_checksum_is_refused_before_the_body(alice: Drive) -> None:
    """A digest that nobody can check would be a promise that nobody keeps."""
    with pytest.raises(KeyError):
        alice.begin("/a", checksums={"ADLER32": b"1234"})


CHANGED_MEANWHILE: dict[str, tuple[str, type[DavserverError]]] = {
    "parent deleted": ("delete", ParentMissing),
    "parent replaced by a file": ("file", ParentMissing),
    "parent moved": ("move", ParentMissing),
    "target became a collection": ("mkdir", WrongKind),
}


@pytest.mark.parametrize(("change", "error"), CHANGED_MEANWHILE.values(), ids=CHANGED_MEANWHILE)
@pytest.mark.parametrize("size", [10, RUN_BYTES + 1])
def test_the_tree_changes_while_a_body_arrives(
    store: Store, alice: Drive, change: str, error: type[DavserverError], size: int
) -> None:
    """The commit looks again and stores nothing."""
    alice.mkdir("/c")
    with alice.begin("/c/a") as upload:
        upload.write(pattern(size))
        if change == "mkdir":
            alice.mkdir("/c/a")
        elif change == "move":
            alice.move("/c", "/d")
        else:
            alice.delete("/c")
        if change == "file":
            alice.put("/c", b"1")
        before = alice.tree()
        with pytest.raises(error):
            upload.commit()
    assert alice.tree() == before
    store.assert_tidy()


def test_another_parent_of_the_same_name(store: Store, alice: Drive) -> None:
    """A path is looked up when the file is placed: it is in the collection that has the name then."""
    alice.mkdir("/c")
    with alice.begin("/c/a") as upload:
        upload.write(b"1")
        alice.move("/c", "/d")
        alice.mkdir("/c")
        upload.commit()
    assert alice.tree() == {"/c": None, "/c/a": b"1", "/d": None}
    store.assert_tidy()


@pytest.mark.parametrize("size", [10, RUN_BYTES + 1])
def test_the_target_is_moved_away_meanwhile(store: Store, alice: Drive, size: int) -> None:
    """The file goes where its path says; the one that was moved keeps its content."""
    alice.put("/a", OLD)
    with alice.begin("/a") as upload:
        upload.write(pattern(size))
        alice.move("/a", "/b")
        assert upload.commit().created
    assert alice.tree() == {"/a": pattern(size), "/b": OLD}
    assert alice.used == size + len(OLD)
    store.assert_tidy()


@pytest.mark.parametrize("size", [10, RUN_BYTES + 1])
def test_the_target_is_deleted_or_overwritten_meanwhile(store: Store, alice: Drive, size: int) -> None:
    """What is replaced at the end is kept, not what was there at the beginning; the rest counts."""
    alice.put("/a", OLD)
    alice.put("/b", OLD)
    with alice.begin("/a") as over_deleted, alice.begin("/b") as over_changed:
        over_deleted.write(pattern(size))
        over_changed.write(pattern(size))
        alice.delete("/a")
        alice.put("/b", pattern(2 * RUN_BYTES))
        assert over_deleted.commit().created
        assert not over_changed.commit().created
    assert alice.live == 2 * size
    assert alice.kept() == {"/a": OLD}
    assert sorted(alice.before("/b"), key=len) == [OLD, pattern(2 * RUN_BYTES)]
    store.assert_tidy()


@pytest.mark.parametrize("size", [10, RUN_BYTES + 1])
def test_a_condition_is_judged_in_the_commit(store: Store, alice: Drive, size: int) -> None:
    """If-Match held when the upload began; somebody was quicker, and nothing of theirs is lost."""
    etag = alice.put("/a", OLD).node.etag

    def unchanged(node: Node | None) -> None:
        if node is None or node.etag != etag:
            raise PreconditionFailed("changed")

    with alice.begin("/a", condition=unchanged) as upload:
        upload.write(pattern(size))
        alice.put("/a", b"theirs")
        with pytest.raises(PreconditionFailed):
            upload.commit()
    assert alice.get("/a") == b"theirs"
    store.assert_tidy()


def test_a_long_upload_says_that_it_is_alive(store: Store, alice: Drive) -> None:
    """Its row gets a new heartbeat, no more often than needed, and garbage collection leaves it alone."""

    def heartbeat() -> int:
        (value,) = store.sql("SELECT heartbeat_at FROM blob WHERE state = 'staging'")[0]
        return int(value)

    with alice.begin("/a") as upload:
        upload.write(pattern(2 * RUN_BYTES))
        first = heartbeat()
        store.clock.advance(seconds=HEARTBEAT_SECONDS - 1)
        upload.write(pattern(RUN_BYTES))
        assert heartbeat() == first
        store.clock.advance(seconds=1)
        upload.write(pattern(RUN_BYTES))
        assert heartbeat() == first + HEARTBEAT_SECONDS
        store.touch_staging()
        store.collect(grace=timedelta(seconds=HEARTBEAT_SECONDS - 1))
        upload.commit()
    assert alice.get("/a") == pattern(2 * RUN_BYTES) + pattern(RUN_BYTES) * 2
    store.assert_tidy()


GO_ON: dict[str, Callable[[Upload], object]] = {
    "streaming": lambda upload: upload.write(pattern(2 * RUN_BYTES)),
    "committing": Upload.commit,
}


@pytest.mark.parametrize("go_on", GO_ON.values(), ids=GO_ON)
def test_an_upload_that_was_given_up_stores_nothing(
    store: Store, alice: Drive, go_on: Callable[[Upload], object]
) -> None:
    """Garbage collection took it for dead: it finds out, and not even its bytes stay behind."""
    alice.put("/a", OLD)
    with alice.begin("/a") as upload:
        upload.write(pattern(2 * RUN_BYTES))
        store.collect()
        store.clock.advance(seconds=HEARTBEAT_SECONDS)
        with pytest.raises(StorageUnavailable):
            go_on(upload)
    assert alice.get("/a") == OLD
    assert store.stored() == set()
    store.assert_tidy()


@pytest.mark.parametrize(
    "seen_by_others", ["DELETE FROM blob", "UPDATE blob SET state = 'dead', version = 2"]
)
def test_bytes_stored_after_they_were_given_up_do_not_stay(
    store: Store, alice: Drive, seen_by_others: str
) -> None:
    """Garbage collection has finished with the blob, or is busy with it, before its bytes are stored."""
    upload = alice.begin("/a")
    upload.write(pattern(2 * RUN_BYTES))
    store.sql(seen_by_others)
    with pytest.raises(StorageUnavailable):
        upload.commit()
    assert store.stored() == set()
    assert alice.names() == []


def test_every_byte_is_accounted_for_before_it_is_stored(store: Store, alice: Drive) -> None:
    """The row comes first, then bytes, then the blob under its name, and the file only after that."""
    with store.tripwire.armed() as steps:
        alice.put("/a", pattern(RUN_BYTES))
    assert [step for step in steps if not step.startswith("sql")] == [
        "commit",
        "create",
        "append",
        "append",
        "publish",
        "commit",
    ]


def test_memory_stays_bounded(alice: Drive) -> None:
    """However long a body is, an upload and a download hold a few runs of it, with hashing too."""
    piece = pattern(RUN_BYTES)
    alice.put("/warm", piece * 2, keep=frozenset({"SHA1", "MD5"}))
    tracemalloc.start()
    try:
        with alice.begin("/a", keep=frozenset({"SHA1", "MD5"})) as upload:
            for _ in range(24):
                upload.write(piece)
            upload.commit()
        _, while_writing = tracemalloc.get_traced_memory()
        del upload
        tracemalloc.reset_peak()
        with alice.open("/a") as download:
            total = sum(len(block) for block in download.blocks())
        _, while_reading = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == 24 * RUN_BYTES
    assert while_writing < 4 * RUN_BYTES
    assert while_reading < 4 * RUN_BYTES


def test_a_small_file_costs_little_memory(alice: Drive) -> None:
    """Thousands of them at once must not take a megabyte each."""
    alice.put("/warm", b"x")
    tracemalloc.start()
    try:
        with alice.begin("/a") as upload:
            upload.write(bytes(1000))
            current, _ = tracemalloc.get_traced_memory()
            upload.commit()
    finally:
        tracemalloc.stop()
    assert current < 100_000


def test_no_transaction_is_open_while_a_body_arrives(store: Store, alice: Drive) -> None:
    """A slow client keeps nobody waiting."""
    with alice.begin("/a") as upload:
        assert store.database.idle
        upload.write(pattern(2 * RUN_BYTES))
        assert store.database.idle
        alice.put("/b", b"somebody else")
        upload.commit()
    assert store.database.idle


# ── memory
class Forgetful(WriterBase):
    """Keeps nothing but in which memory the runs came."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: list[int] = []
        self.written = threading.Event()

    def _append(self, view: memoryview) -> None:
        if view.nbytes > CHUNK_BYTES:  # not the header
            self.memory.append(id(view.obj))
            self.written.set()

    def _publish(self) -> None:
        pass

    def _discard(self) -> None:
        pass


class ForgetfulBlobs(MemoryBlobStore):
    """All that is written goes through `writer`."""

    def __init__(self) -> None:
        super().__init__()
        self.writer = Forgetful()

    def create(self, blob_id: BlobId, /) -> BlobWriter:  # noqa: ARG002 - there is only one
        """The one."""
        return self.writer


@pytest.mark.parametrize(("digests", "buffers"), [((), 1), (("SHA1", "MD5"), 2)])
def test_the_same_memory_is_used_again_and_again(
    store: Store, alice: Drive, digests: tuple[str, ...], buffers: int
) -> None:
    """One buffer that the content arrives in, two if there are digests, and one that it is sealed into."""
    blobs, arrived = ForgetfulBlobs(), []
    access = replace(store.vaults.access(alice.principal), blobs=blobs)
    size = 12 * RUN_BYTES
    upload = Upload(
        access, at_path(VaultPath(("a",)), NO_DEMANDS), Announced(size, keep=frozenset(digests)), None
    )
    for _ in range(size // CHUNK_BYTES):
        with upload.space() as space:
            arrived.append(id(space.obj))
        upload.advance(CHUNK_BYTES)
    upload.commit()
    assert len(set(arrived)) == buffers
    assert len(blobs.writer.memory) == size // RUN_BYTES
    assert len(set(blobs.writer.memory)) == 1


class Patient(ThreadPoolExecutor):
    """Begins only when something was written."""

    def __init__(self, written: threading.Event) -> None:
        super().__init__(1)
        self._written = written

    def submit(self, work: Callable[..., object], /, *arguments: object, **named: object) -> Future[Any]:
        """As any executor, later."""

        def wait() -> object:
            assert self._written.wait(PATIENCE)
            return work(*arguments, **named)

        return super().submit(wait)


def test_digests_are_computed_beside_sealing(store: Store, alice: Drive) -> None:
    """In another thread: what is sealed is stored before its digest is there, and the digest is right."""
    blobs, data = ForgetfulBlobs(), pattern(2 * RUN_BYTES)
    with Patient(blobs.writer.written) as hashers:
        access = replace(store.vaults.access(alice.principal), blobs=blobs, hashers=hashers)
        upload = Upload(
            access, at_path(VaultPath(("a",)), NO_DEMANDS), Announced(keep=frozenset({"SHA1"})), None
        )
        upload.write(data)
        upload.commit()
    assert alice.stat("/a").sha1 == hashlib.sha1(data, usedforsecurity=False).digest()


class Late(ThreadPoolExecutor):
    """Does its work when somebody asks for the result, and not before."""

    def submit(self, work: Callable[..., object], /, *arguments: object, **named: object) -> Future[Any]:
        """As any executor, at the last moment."""
        future: Future[Any] = Future()

        def result(timeout: float | None = None) -> object:  # noqa: ARG001 - as `Future.result`
            if not future.done():
                future.set_result(work(*arguments, **named))
            return None

        future.result = result  # type: ignore[method-assign]
        return future


@pytest.mark.parametrize(
    "size", [RUN_BYTES, 2 * RUN_BYTES + 1, 5 * RUN_BYTES + CHUNK_BYTES, 6 * RUN_BYTES - 1]
)
@pytest.mark.parametrize("announced", [True, False])
def test_digests_that_come_late_are_right(store: Store, alice: Drive, size: int, announced: bool) -> None:  # noqa: FBT001
    """What arrives next never overwrites what they are still computed of."""
    data = pattern(size)
    with Late(1) as hashers:
        access = replace(store.vaults.access(alice.principal), hashers=hashers)
        told = Announced(size if announced else None, keep=frozenset({"SHA1", "MD5"}))
        upload = Upload(access, at_path(VaultPath(("a",)), NO_DEMANDS), told, None)
        for at in range(0, size, CHUNK_BYTES // 3):
            upload.write(data[at : at + CHUNK_BYTES // 3])
        upload.commit()
    node = alice.stat("/a")
    assert node.sha1 == hashlib.sha1(data, usedforsecurity=False).digest()
    assert node.md5 == hashlib.md5(data, usedforsecurity=False).digest()
    assert alice.get("/a") == data
