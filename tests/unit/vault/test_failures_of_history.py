"""Trash, versions and making room, failing at every single step: all of it is done, or nothing.

Once by a step that fails, once with everything failing from there on, and once by an answer that gets lost.
Room that was made stays made: what was given up for a write that then failed was the oldest of what is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from davserver.errors import QuotaExceeded, StorageFull, StorageUnavailable
from davserver.vault import copying, expiry, history, room
from davserver.vault.paths import VaultPath
from tests.unit.vault.store import Drive, Found, Store

MEDIUM = bytes(range(251)) * 300  # more than one chunk
BROKEN = StorageUnavailable("the disk is broken")
FULL = StorageFull("the disk is full")

Operation = Callable[[Drive], object]
Kept = dict[str, object]

at = VaultPath.parse

OPERATIONS: dict[str, Operation] = {
    "delete a file": lambda drive: drive.delete("/f"),
    "delete a collection": lambda drive: drive.delete("/c"),
    "delete what is locked": lambda drive: drive.delete("/locked", tokens=drive.locks("/locked")),
    "delete by a device": lambda drive: drive.narrowed(root="/c").delete("/f"),
    "overwrite": lambda drive: drive.put("/f", b"new"),
    "overwrite with much": lambda drive: drive.put("/f", MEDIUM[::-1]),
    "move over a file": lambda drive: drive.move("/c/f", "/f", overwrite=True),
    "move over a collection": lambda drive: drive.move("/f", "/c", overwrite=True),
    "move over a file with another kind": lambda drive: drive.move("/c", "/f", overwrite=True),
    "copy over a file": lambda drive: drive.copy("/c/f", "/f", overwrite=True),
    "copy over a collection": lambda drive: drive.copy("/f", "/c", overwrite=True),
    "restore a file": lambda drive: drive.undo("/gone"),
    "restore a collection": lambda drive: drive.undo("/thrown"),
    "restore and make collections": lambda drive: drive.undo("/thrown/away/deep"),
    "restore under another name": lambda drive: drive.undo("/taken"),
    "restore a version": lambda drive: drive.revert("/f"),
    "restore a version of an empty file": lambda drive: drive.revert("/empty"),
    "purge a file": lambda drive: drive.vault.purge(drive.vault.trash()[-1].id),
    "purge a version": lambda drive: drive.vault.purge_version(
        at("/f"), drive.vault.versions(at("/f"))[0].id
    ),
    "purge all versions": lambda drive: drive.vault.purge_versions(at("/f")),
}

LARGE_UPLOADS = {"overwrite with much": 2}
"""Transactions of an operation that has more than one: the first says that a content is coming."""


@pytest.fixture
def full(store: Store, alice: Drive) -> Drive:
    """Files and collections with a past, some of them in the trash, from one second to the next."""
    steps: list[Operation] = [
        lambda drive: [drive.mkdir(path) for path in ("/c", "/locked", "/thrown", "/thrown/away")],
        lambda drive: [drive.put(path, MEDIUM) for path in ("/f", "/c/f", "/locked/f", "/thrown/f")],
        lambda drive: [drive.put(path, b"second") for path in ("/f", "/c/f", "/gone", "/taken", "/empty")],
        lambda drive: [
            drive.put(path, b"third") for path in ("/f", "/gone", "/thrown/f", "/thrown/away/deep")
        ],
        lambda drive: drive.put("/empty"),
        lambda drive: drive.patch("/c/f", {"a": "1"}),
        lambda drive: drive.delete("/gone"),
        lambda drive: drive.delete("/taken"),
        lambda drive: drive.put("/taken", b"taken"),
        lambda drive: drive.delete("/thrown/away/deep"),
        lambda drive: drive.delete("/thrown"),
        lambda drive: drive.lock("/locked", infinite=True, seconds=3600),
    ]
    for step in steps:
        step(alice)
        store.clock.advance(seconds=1)
    return alice


def everything(drive: Drive) -> tuple[dict[str, Found], object, object, int, int]:
    """What paths lead to, what is in the trash, what files were before, and what is counted."""
    found = drive.everything()
    trash = [
        (entry.id, entry.path, entry.deleted_ns, entry.bytes, entry.node.version)
        for entry in drive.vault.trash()
    ]
    versions = [
        [(one.id, one.replaced_ns, one.node.size) for one in drive.vault.versions(at(path))]
        for path, one in found.items()
        if one.content is not None
    ]
    return found, trash, versions, drive.used, drive.live


@pytest.mark.parametrize("error", [BROKEN, FULL], ids=["broken", "full"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_step_that_fails_undoes_the_others(
    store: Store, full: Drive, name: str, error: StorageUnavailable
) -> None:
    """After each of them all is as it was, and the last run does it all."""
    before = everything(full)
    for step in count():
        with store.tripwire.armed(store.tripwire.fail(error, step)) as steps:
            told = outcome(lambda: OPERATIONS[name](full))
        if told is None:
            break
        assert type(told) is type(error)
        assert everything(full) == before
    assert len(steps) <= step, "a step failed and nobody was told"
    assert everything(full) != before
    store.assert_tidy()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_that_is_lost(store: Store, full: Drive, name: str) -> None:
    """A transaction is committed and its caller never hears of it: after the last one, all of it is there."""

    def lose() -> None:
        raise BROKEN

    before = everything(full)
    transactions = 0

    def count_down() -> None:
        nonlocal transactions
        transactions += 1
        if transactions == LARGE_UPLOADS.get(name, 1):
            lose()
        store.database.after_write = count_down

    store.database.after_write = count_down
    assert outcome(lambda: OPERATIONS[name](full)) is BROKEN
    store.database.after_write = None
    assert everything(full) != before
    store.assert_tidy()


def outcome(operation: Callable[[], object]) -> StorageUnavailable | None:
    """What was raised, if it is an error of the storage."""
    try:
        operation()
    except StorageUnavailable as error:
        return error
    return None


# ── several transactions ────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def limited(store: Store, full: Drive, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """As `full`, with a quota that is used up, and little of what is kept given up at once."""
    for module in (room, history, expiry):
        monkeypatch.setattr(module, "BATCH_KEPT", 1)
    store.accounts.set_quota("alice", full.used)
    return full


ROOM: dict[str, Operation] = {
    "put small": lambda drive: drive.put("/new", bytes(60_000)),
    "put large": lambda drive: drive.put("/new", bytes(100_000)),
    "put over": lambda drive: drive.put("/f", bytes(100_000)),
    "copy": lambda drive: drive.copy("/c", "/copy"),
}


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("name", ROOM)
def test_making_room_that_fails(
    store: Store, limited: Drive, monkeypatch: pytest.MonkeyPatch, name: str, *, for_good: bool
) -> None:
    """What paths lead to is as it was, the counters are exact; of what is kept at most the oldest is gone."""
    monkeypatch.setattr(copying, "BATCH_NODES", 1)
    live, kept = limited.everything(), _kept(store)
    for step in count():
        with store.tripwire.armed(store.tripwire.fail(FULL, step, for_good=for_good)) as steps:
            told = outcome(lambda: ROOM[name](limited))
        if told is None:
            break
        assert limited.everything() == live
        left = _kept(store)
        assert left == kept[len(kept) - len(left) :]
        store.assert_tidy()
    assert len(steps) <= step
    assert limited.everything() != live
    store.assert_tidy()


def test_a_quota_that_others_take_while_room_is_made(store: Store, limited: Drive) -> None:
    """What was made may be gone when the write comes: it goes on until it fits, or cannot fit."""
    grabbed = 0

    def grab() -> None:
        nonlocal grabbed
        grabbed += 1
        limited.put(f"/grabbed{grabbed}", bytes(len(MEDIUM)))

    upload = limited.begin("/late")
    upload.write(bytes(len(MEDIUM)))
    with store.tripwire.armed(store.tripwire.once("sql SELECT kept.account_id", lambda: None)):
        store.database.after_write = grab
        try:
            upload.commit()
        except QuotaExceeded:
            upload.abort()
    assert grabbed == 1
    store.assert_tidy()


@pytest.mark.parametrize("for_good", [False, True])
@pytest.mark.parametrize("name", ["empty", "expire", "share"])
def test_giving_up_that_fails_is_finished_later(
    store: Store, limited: Drive, name: str, *, for_good: bool
) -> None:
    """Emptying the trash, and what garbage collection gives up: each step for itself."""
    if name != "share":
        store.accounts.set_quota("alice", None)
    if name == "expire":
        store.clock.advance(days=30)
    live = limited.everything()
    operation = limited.vault.empty_trash if name == "empty" else store.collect
    for step in count():
        with store.tripwire.armed(store.tripwire.fail(FULL, step, for_good=for_good)):
            told = outcome(operation)
        assert limited.everything() == live
        if told is None:
            break
    store.assert_tidy()
    assert (limited.kept() == {}) == (name != "share")


def _kept(store: Store) -> list[tuple[object, ...]]:
    """What takes room, the oldest first."""
    return store.sql("SELECT node_id FROM kept WHERE bytes > 0 ORDER BY kept_at, node_id")
