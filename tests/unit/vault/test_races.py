"""Two at once: first each order that matters, made to happen; then threads and processes, left to chance.

However they meet, every request has happened or has not, nobody's change is lost without being told,
the counters are exact, and nothing is left over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest

from davserver.errors import (
    DavserverError,
    IntegrityError,
    NotFound,
    ParentMissing,
    PreconditionFailed,
    StorageUnavailable,
    VersionConflict,
)
from davserver.model import Node
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import Drive, Store, make_store

LARGE = bytes(range(251)) * 300
ROUNDS = 12


def other(content: bytes) -> bytes:
    """Another content of the same size."""
    return content[::-1]


def at_once(*actions: Callable[[int], object], rounds: int = ROUNDS) -> list[DavserverError]:
    """Run each action in a thread of its own, over and over, all starting together; returns what was raised.

    An error that is not ours, or a thread that never ends, fails the test.
    """
    barrier = threading.Barrier(len(actions))
    raised: list[DavserverError] = []
    unexpected: list[BaseException] = []

    def run(action: Callable[[int], object]) -> None:
        for number in range(rounds):
            barrier.wait(timeout=60)
            try:
                action(number)
            except DavserverError as error:
                raised.append(error)
            except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
                unexpected.append(error)
                barrier.abort()
                return

    threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not [thread for thread in threads if thread.is_alive()], "a deadlock"
    if unexpected:
        raise unexpected[0]
    return raised


def kinds(errors: list[DavserverError]) -> set[type[DavserverError]]:
    """Which errors were raised."""
    return {type(error) for error in errors}


@pytest.fixture
def second(store: Store) -> Iterator[Drive]:
    """Alice's vault in another process, as far as database and blob store can tell."""
    opened = make_store(store.folder)
    yield opened.drive("alice")
    opened.close()


def assert_exact(drive: Drive) -> None:
    """What is counted is what is there."""
    assert drive.live == sum(len(content) for content in drive.tree().values() if content)
    drive.store.assert_tidy()


@pytest.mark.parametrize("sizes", [(10, 10), (10, len(LARGE)), (len(LARGE), 10), (len(LARGE), len(LARGE))])
def test_two_uploads_of_one_name(alice: Drive, sizes: tuple[int, int]) -> None:
    """Both began before either ended: the later commit wins, the other's bytes are no longer counted."""
    first, second = bytes(sizes[0]), bytes([1]) * sizes[1]
    with alice.begin("/a") as one, alice.begin("/a") as two:
        two.write(second)
        one.write(first)
        assert one.commit().created
        assert not two.commit().created
    assert alice.get("/a") == second
    assert_exact(alice)


@pytest.mark.parametrize("content", [b"new", LARGE])
def test_an_upload_and_a_delete(alice: Drive, content: bytes) -> None:
    """DELETE takes what is there; the upload that ends later makes the file anew."""
    alice.put("/a", b"old")
    with alice.begin("/a") as upload:
        upload.write(content)
        alice.delete("/a")
        assert alice.find("/a") is None
        assert upload.commit().created
    assert alice.get("/a") == content
    assert_exact(alice)


def test_a_copy_and_the_collection_of_its_source(store: Store, alice: Drive) -> None:
    """The source is deleted between looking and copying: NotFound, or the copy keeps the content."""
    alice.put("/a", LARGE)

    def act() -> None:
        alice.delete("/a")
        store.collect()

    store.database.after_read = act
    with pytest.raises(NotFound):
        alice.copy("/a", "/b")
    assert_exact(alice)


def test_a_collection_and_the_copy_of_what_it_wants(store: Store, alice: Drive) -> None:
    """Garbage collection has already listed a blob when a file names it again, or is deleted just now."""
    store.keep(keep_days=0)
    alice.put("/a", LARGE)
    alice.copy("/a", "/b")
    alice.delete("/b")  # leaves a mark on a content that /a still names

    def copied() -> None:
        alice.copy("/a", "/c")
        alice.delete("/a")

    store.database.after_read = copied
    assert store.collect().blobs == 0
    assert alice.get("/c") == LARGE
    assert_exact(alice)


def test_a_mark_that_is_renewed_between_looking_and_claiming_counts(store: Store, alice: Drive) -> None:
    """Somebody opened the file just before it was deleted for good: the grace begins anew."""
    store.keep(keep_days=0)
    alice.put("/a", LARGE)
    alice.copy("/a", "/b")
    alice.delete("/b")
    store.clock.advance(hours=1)
    store.database.after_read = lambda: alice.delete("/a")
    assert store.collect(grace=timedelta(minutes=30)).blobs == 0
    assert len(store.stored()) == 1
    store.clock.advance(minutes=30)
    assert store.collect(grace=timedelta(minutes=30)).blobs == 1
    assert_exact(alice)


def test_a_collection_and_an_upload_that_ends(store: Store, alice: Drive) -> None:
    """The upload ends between the look and the claim: its file stays."""
    upload = alice.begin("/a")
    upload.write(LARGE + bytes(RUN_BYTES))
    store.database.after_read = upload.commit
    assert store.collect().blobs == 0
    assert alice.get("/a") == LARGE + bytes(RUN_BYTES)
    assert_exact(alice)


def test_two_collections_at_once(store: Store, alice: Drive) -> None:
    """One finds that the other has done it."""
    store.keep(keep_days=0)
    alice.put("/a", LARGE)
    alice.delete("/a")
    store.database.after_read = store.collect
    assert store.collect().blobs == 0
    assert_exact(alice)


def test_threads_writing_one_name(alice: Drive) -> None:
    """PUT and PUT: no error, and in the end one of the two."""
    contents = [b"one", LARGE, other(LARGE)]
    errors = at_once(*[lambda _round, data=data: alice.put("/a", data) for data in contents])
    assert errors == []
    assert alice.get("/a") in contents
    assert_exact(alice)


@pytest.mark.parametrize("content", [b"new", LARGE])
def test_threads_writing_and_deleting_one_name(alice: Drive, content: bytes) -> None:
    """PUT and DELETE."""
    errors = at_once(lambda _: alice.put("/a", content), lambda _: alice.delete("/a"))
    assert kinds(errors) <= {NotFound}
    assert alice.find("/a") is None or alice.get("/a") == content
    assert_exact(alice)


def test_threads_writing_into_a_collection_that_moves(alice: Drive) -> None:
    """PUT and MOVE of the parent: every upload that was not refused is in the collection."""
    alice.mkdir("/c")

    def move(number: int) -> None:
        alice.move(*(("/c", "/d") if number % 2 == 0 else ("/d", "/c")))

    errors = at_once(move, lambda number: alice.put(f"/c/{number}", LARGE))
    assert kinds(errors) <= {ParentMissing}
    (collection,) = alice.names()
    assert len(alice.names(f"/{collection}")) == ROUNDS - len(errors)
    assert_exact(alice)


def test_threads_copying_and_deleting(alice: Drive) -> None:
    """COPY and DELETE of its source, DELETE of its target, PUT into it."""

    def fill(number: int) -> None:
        with suppress(DavserverError):
            alice.mkdir("/c")
        alice.put(f"/c/{number}", LARGE)

    errors = at_once(
        fill,
        lambda _: alice.copy("/c", "/d", overwrite=True),
        lambda _: alice.delete("/c"),
        lambda _: alice.delete("/d"),
    )
    assert kinds(errors) <= {NotFound, ParentMissing}
    assert_exact(alice)


def test_threads_moving_into_each_other(alice: Drive) -> None:
    """MOVE of A into B and of B into A: never a ring, never a lost tree."""
    for name in "ab":
        alice.mkdir(f"/{name}")
        alice.put(f"/{name}/f", name.encode())

    def move(source: str, target: str) -> Callable[[int], object]:
        def run(_number: int) -> None:
            alice.move(f"/{source}", f"/{target}/{source}")
            alice.move(f"/{target}/{source}", f"/{source}")

        return run

    errors = at_once(move("a", "b"), move("b", "a"))
    assert kinds(errors) <= {NotFound, ParentMissing}
    assert sorted(content for content in alice.tree().values() if content) == [b"a", b"b"]
    assert_exact(alice)


@pytest.mark.parametrize("days", [0, 30])
def test_threads_with_garbage_collection(store: Store, alice: Drive, days: int) -> None:
    """With no grace at all an upload may be given up, but nothing that was acknowledged is ever lost."""
    store.keep(keep_days=days)
    alice.put("/stays", LARGE)
    done: dict[str, bytes] = {}

    def put(number: int) -> None:
        content = LARGE + number.to_bytes(2, "big")
        alice.put(f"/{number}", content)
        done[f"/{number}"] = content

    def copy(number: int) -> None:
        alice.copy("/stays", f"/copy{number}")
        done[f"/copy{number}"] = LARGE
        alice.put("/other", LARGE)
        alice.delete("/other")

    def read(_number: int) -> None:
        assert alice.get("/stays") == LARGE

    errors = at_once(put, copy, read, lambda _: store.collect())
    assert kinds(errors) <= {StorageUnavailable}
    assert alice.tree() == done | {"/stays": LARGE}
    assert_exact(alice)


def test_threads_with_verify(store: Store, alice: Drive) -> None:
    """It reports nothing of a store that is only busy."""
    alice.put("/stays", LARGE)
    problems: list[object] = []

    def change(number: int) -> None:
        alice.put("/a", LARGE + bytes([number]))
        alice.copy("/a", "/b", overwrite=True)
        alice.delete("/a")

    at_once(change, lambda _: problems.extend(store.problems()), lambda _: store.collect(), rounds=6)
    assert problems == []
    assert_exact(alice)


def increment(drive: Drive) -> None:
    """Read a number, add one, write it back on condition that nobody changed it: If-Match."""
    seen = drive.stat("/number")

    def unchanged(node: Node | None) -> None:
        if node is None or node.etag != seen.etag:
            raise PreconditionFailed("changed")

    with drive.vault.read(seen) as download:
        number = int(b"".join(map(bytes, download.blocks())))
    drive.put("/number", b"%d" % (number + 1), condition=unchanged)


def test_no_update_is_lost(alice: Drive, second: Drive) -> None:
    """Threads of two processes add up: each success counts, each failure was told."""
    alice.put("/number", b"0")
    adders = [alice, alice, second, second]
    errors = at_once(*[lambda _round, drive=drive: increment(drive) for drive in adders])
    assert kinds(errors) <= {PreconditionFailed}
    assert int(alice.get("/number")) == len(adders) * ROUNDS - len(errors)
    assert_exact(alice)


def test_two_processes_share_everything(store: Store, alice: Drive, second: Drive) -> None:
    """What one writes the other reads at once; counters and limits hold across both."""
    store.accounts.set_quota("alice", 10 * len(LARGE))
    errors = at_once(
        lambda number: alice.put(f"/a{number}", LARGE),
        lambda number: second.put(f"/b{number}", LARGE),
        lambda _: second.store.collect(),
        rounds=8,
    )
    stored = [path for path, content in second.tree().items() if content == LARGE]
    assert len(stored) + len(errors) == 16
    assert len(stored) <= 10
    assert alice.tree() == second.tree()
    assert_exact(alice)
    assert_exact(second)


def test_times_do_not_overwrite_a_content(alice: Drive) -> None:
    """PROPPATCH and PUT of one file: neither takes back what the other did."""
    alice.put("/a", b"old", created_ns=1)
    errors = at_once(
        lambda number: alice.put("/a", b"%d" % number),
        lambda number: alice.times("/a", created_ns=number),
    )
    assert kinds(errors) <= {VersionConflict}
    assert alice.get("/a") == b"%d" % (ROUNDS - 1)
    assert alice.stat("/a").created_ns == ROUNDS - 1
    assert alice.stat("/a").version == 1 + 2 * ROUNDS
    assert_exact(alice)


def test_readers_during_changes(alice: Drive) -> None:
    """Every GET is one version, whole: never a mixture."""
    versions = [bytes([number]) * (2 * RUN_BYTES) for number in range(3)]
    alice.put("/a", versions[0])

    def read(_number: int) -> None:
        assert alice.get("/a") in versions

    errors = at_once(
        lambda number: alice.put("/a", versions[number % 3]), read, read, lambda _: alice.listing(), rounds=6
    )
    assert not [error for error in errors if isinstance(error, IntegrityError)]
    assert errors == []
