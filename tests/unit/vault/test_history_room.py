"""What is kept never stands in the way: a write that finds no room makes some, of the oldest, and no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.errors import LimitExceeded, Locked, PreconditionFailed, QuotaExceeded
from davserver.model import Scope, Usage
from davserver.vault import copying, room
from davserver.vault.paths import VaultPath
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import Drive, Store

QUOTA = 100_000


@pytest.fixture
def limited(store: Store, alice: Drive) -> Drive:
    """/live of 40,000 bytes; the trash holds /1, /2 and /3 of 20,000 each, of one minute after the other."""
    store.accounts.set_quota("alice", QUOTA)
    alice.put("/live", bytes(40_000))
    for name in "123":
        alice.put(f"/{name}", bytes(20_000))
        alice.delete(f"/{name}")
        store.clock.advance(minutes=1)
    return alice


def test_what_can_be_written_is_told(limited: Drive) -> None:
    """RFC 4331: all that is kept would give way."""
    assert limited.vault.usage() == Usage(QUOTA, 60_000, kept=60_000)


@pytest.mark.parametrize("size", [1, 20_000, 20_001, 40_001, 60_000])
@pytest.mark.parametrize("announced", [False, True])
def test_the_oldest_gives_way(store: Store, limited: Drive, size: int, *, announced: bool) -> None:
    """As much of it as is needed, whatever the client said beforehand; nothing of it for what fits."""
    options = {"expected_size": size} if announced else {}
    limited.put("/new", bytes(size), **options)
    left = ["/1", "/2", "/3"][-(-size // 20_000) :]
    assert list(limited.kept()) == left
    assert limited.live == 40_000 + size
    store.assert_tidy()


def test_what_fits_takes_nothing(limited: Drive) -> None:
    """To the last byte."""
    limited.vault.purge(limited.vault.trash()[0].id)
    limited.put("/new", bytes(20_000))
    assert list(limited.kept()) == ["/1", "/2"]


@pytest.mark.parametrize("announced", [False, True])
def test_nothing_is_given_up_for_what_does_not_fit_at_all(limited: Drive, *, announced: bool) -> None:
    """It is refused, by its announced length or when it passes what there could be."""
    options = {"expected_size": 60_001} if announced else {}
    with pytest.raises(QuotaExceeded):
        limited.put("/new", bytes(60_001), **options)
    assert list(limited.kept()) == ["/1", "/2", "/3"]
    assert limited.used == QUOTA


@pytest.mark.parametrize("size", [10, RUN_BYTES + 1])
def test_room_that_was_taken_while_a_body_arrived_is_made(store: Store, limited: Drive, size: int) -> None:
    """The commit decides, not the beginning; a content that is stored already is not sent again."""
    store.accounts.set_quota("alice", QUOTA + 2 * size)
    limited.put("/4", bytes(size))
    limited.delete("/4")
    with limited.begin("/late") as upload:
        upload.write(bytes(size))
        limited.put("/first", bytes(size))
        assert list(limited.kept()) == ["/1", "/2", "/3", "/4"]
        upload.commit()
    assert list(limited.kept()) == (["/2", "/3", "/4"] if size == 10 else [])
    assert len(limited.get("/late")) == size
    assert limited.live == 40_000 + 2 * size
    assert store.verify().problems == []
    store.assert_tidy()


def test_versions_and_trash_give_way_in_the_order_of_time(store: Store, limited: Drive) -> None:
    """Whichever they are."""
    store.accounts.set_quota("alice", QUOTA + 20_000)
    limited.put("/f", bytes(10))
    store.clock.advance(minutes=1)
    limited.put("/f", bytes(20))
    store.clock.advance(minutes=1)
    limited.put("/4", bytes(19_970))
    limited.delete("/4")
    limited.put("/new", bytes(60_001))
    assert (list(limited.kept()), limited.before("/f")) == (["/4"], [])


def test_the_content_that_is_overwritten_is_kept_if_there_can_be_room_for_both(limited: Drive) -> None:
    """Then older things give way to it; else it is what goes."""
    limited.put("/live", bytes(60_000))
    assert (list(limited.kept()), len(limited.before("/live")[0])) == ([], 40_000)
    limited.vault.purge_versions(VaultPath.parse("/live"))
    limited.put("/live", bytes(40_001))
    assert (limited.before("/live"), limited.used) == ([], 40_001)
    limited.put("/live", bytes(50_000))
    assert [len(one) for one in limited.before("/live")] == [40_001]


def test_nothing_is_given_up_for_a_smaller_content(store: Store, limited: Drive) -> None:
    """Of an account that is over its quota: it is overwritten for good."""
    store.accounts.set_quota("alice", 40_010)
    limited.put("/live", bytes(39_000))
    assert list(limited.kept()) == ["/1", "/2", "/3"]
    assert limited.before("/live") == []
    assert limited.used == 39_000 + 60_000
    store.assert_tidy()


@pytest.mark.parametrize("batch", [1000, 1])
@pytest.mark.parametrize("folder", [False, True])
def test_a_copy_makes_room(
    store: Store, limited: Drive, monkeypatch: pytest.MonkeyPatch, batch: int, *, folder: bool
) -> None:
    """Of a file, and of a collection with all that is in it, however it is copied."""
    monkeypatch.setattr(copying, "BATCH_NODES", batch)
    source = "/live"
    if folder:
        limited.mkdir("/c")
        limited.mkdir("/c/d")
        limited.move("/live", "/c/d/live")
        source = "/c"
    limited.copy(source, "/copy")
    assert list(limited.kept()) == ["/3"]
    assert (limited.live, limited.used) == (80_000, QUOTA)
    with pytest.raises(QuotaExceeded):
        limited.copy(source, "/another")
    assert list(limited.kept()) == ["/3"]
    store.assert_tidy()


@pytest.mark.parametrize("batch", [1000, 1])
def test_a_copy_over_something_keeps_it_if_there_can_be_room(
    store: Store, limited: Drive, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """A full account may still replace like by like."""
    monkeypatch.setattr(copying, "BATCH_NODES", batch)
    for name in "ab":
        limited.mkdir(f"/{name}")
        limited.put(f"/{name}/f", bytes(10_000))
    limited.copy("/a", "/b", overwrite=True)
    assert list(limited.kept()) == ["/3", "/b"], "/1 had to go for /a, /2 for /b"
    limited.vault.empty_trash()
    limited.put("/full", bytes(35_000))
    limited.copy("/a", "/b", overwrite=True)
    assert (limited.kept(), limited.used) == ({}, 95_000)
    store.assert_tidy()


def test_a_move_keeps_what_it_replaces_whatever_the_quota(store: Store, limited: Drive) -> None:
    """Nothing more is stored by it."""
    limited.put("/other", bytes(30_000))
    store.accounts.set_quota("alice", 10)
    limited.move("/other", "/live", overwrite=True)
    assert [len(one) for one in limited.before("/live")] == [40_000]
    limited.delete("/live")
    assert "/live" in limited.kept()


def test_any_device_that_may_write_makes_room(limited: Drive) -> None:
    """One that sees nothing of what gives way, and may delete nothing."""
    limited.mkdir("/d")
    limited.narrowed(Scope.NO_DELETE, root="/d").put("/new", bytes(20_000))
    assert list(limited.kept()) == ["/2", "/3"]


REFUSED: dict[str, tuple[Callable[[Drive], object], type[Exception]]] = {
    "locked": (lambda drive: drive.put("/locked", bytes(30_000)), Locked),
    "condition": (lambda drive: drive.put("/new", bytes(30_000), condition=_refuse), PreconditionFailed),
    "target": (lambda drive: drive.copy("/live", "/there"), PreconditionFailed),
    "too large": (lambda drive: drive.begin("/new", expected_size=1 << 50), LimitExceeded),
}


@pytest.mark.parametrize(("attempt", "error"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_given_up_for_what_is_refused_anyway(
    limited: Drive, attempt: Callable[[Drive], object], error: type[Exception]
) -> None:
    """Room is made last."""
    limited.lock("/locked")
    limited.put("/there")
    with pytest.raises(error):
        attempt(limited)
    assert list(limited.kept()) == ["/1", "/2", "/3"]


def test_room_is_made_in_steps(store: Store, limited: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction each, so that others need not wait for long; what was empty takes no room and stays."""
    monkeypatch.setattr(room, "BATCH_KEPT", 1)
    store.clock.advance(minutes=-10)
    limited.put("/empty")
    limited.delete("/empty")
    store.clock.advance(minutes=10)
    with store.tripwire.armed() as steps:
        limited.put("/new", bytes(60_000))
    assert steps.count("commit") == 3 + 1
    assert list(limited.kept()) == ["/empty"]
    store.assert_tidy()


@pytest.mark.parametrize("column", ["bytes", "kept_at"])
@pytest.mark.parametrize("batch", [100, 1])
def test_an_altered_note_does_not_stand_in_the_way(
    store: Store, limited: Drive, monkeypatch: pytest.MonkeyPatch, batch: int, column: str
) -> None:
    """The next one gives way; what does not open stays, and is not removed by its note."""
    monkeypatch.setattr(room, "BATCH_KEPT", batch)
    oldest = limited.vault.trash()[-1].id
    store.sql(f"UPDATE kept SET {column} = 1 WHERE node_id = ?", oldest)  # noqa: S608
    limited.put("/new", bytes(20_000))
    limited.copy("/new", "/copy")
    assert limited.live == 80_000
    assert store.sql("SELECT node_id FROM kept") == [(oldest,)]
    with pytest.raises(QuotaExceeded):
        limited.put("/more", bytes(20_000))
    assert {one.finding.name for one in store.problems()} == {"KEPT_ALTERED"}


@pytest.mark.parametrize("folder", [False, True])
def test_of_a_file_that_is_copied_over_the_content_alone_goes(
    store: Store, alice: Drive, *, folder: bool
) -> None:
    """If there is no room for it beside the new one; what it was before fits, and stays."""
    path = "/c/b" if folder else "/b"
    alice.mkdir("/c")
    alice.put("/a", bytes(35))
    for content in (b"worth", bytes(60)):
        alice.put(path, content)
        store.clock.advance(minutes=1)
    store.accounts.set_quota("alice", 100)
    alice.copy("/a", path, overwrite=True)
    assert (alice.get(path), alice.before(path)) == (bytes(35), [b"worth"])
    assert (alice.live, alice.used) == (70, 75)
    store.assert_tidy()
    store.accounts.set_quota("alice", 70)
    alice.copy("/a", path, overwrite=True)
    assert alice.before(path) == []
    assert alice.used == 70
    store.assert_tidy()


def test_a_collection_gives_way_as_a_whole(store: Store, limited: Drive) -> None:
    """With all that is in it, and what that was before."""
    limited.vault.empty_trash()
    limited.mkdir("/c")
    limited.put("/c/f", bytes(20_000))
    limited.put("/c/f", bytes(20_001))
    limited.put("/c/g", bytes(10))
    limited.delete("/c")
    store.clock.advance(minutes=1)
    limited.delete("/live")
    limited.put("/new", bytes(59_989 + 20_001 + 5))
    assert list(limited.kept()) == []
    assert limited.used == 59_989 + 20_001 + 5
    store.assert_tidy()


def _refuse(node: object) -> None:
    if node is None:
        raise PreconditionFailed("no")
