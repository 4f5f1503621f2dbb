"""Folders a page at a time: exact whatever others do, and cheap from the second page on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from davserver.db.nodes import NodeRow
from davserver.errors import CorruptRow, NotFound, NotPermitted, TooBusy, WrongKind
from davserver.model import ROOT_ID, AccountId, NodeId, Scope
from davserver.vault import browsing
from davserver.vault.at_once import FewAtOnce
from davserver.vault.browsing import Part
from davserver.vault.orders import Order
from davserver.vault.paths import MAX_DEPTH, VaultPath
from davserver.vault.rows import Brief, NodeCodec
from davserver.vault.service import Vault, Vaults
from tests.unit.vault.store import Drive, GuardedDatabase, Store

ALL = Part(Order.NAME, descending=False, start=0, count=1000)


def shown(drive: Drive, path: str = "/", part: Part = ALL) -> list[str]:
    """Names of a part of a folder."""
    return [node.name for node in drive.vault.browse(VaultPath.parse(path), part).entries]


def test_the_root_is_not_its_own_entry(alice: Drive) -> None:
    """It is its own parent in the database, and nowhere else."""
    assert alice.vault.browse(VaultPath(), ALL).total == 0
    alice.put("/a")
    assert alice.vault.browse(VaultPath(), ALL).total == 1
    assert alice.vault.choose(VaultPath(), [ROOT_ID]).nodes == ()


D, A, NEW = (VaultPath.parse(path) for path in ("/d", "/d/a", "/d/0"))


def put(vault: Vault, path: VaultPath, content: bytes) -> None:
    """Store a file."""
    with vault.write(path, modified_ns=0) as upload:
        upload.write(content)
        upload.commit()


CHANGES: dict[str, Callable[[Vault], object]] = {
    "put": lambda vault: put(vault, NEW, bytes(9)),
    "mkdir": lambda vault: vault.make_collection(NEW),
    "overwrite": lambda vault: put(vault, A, b""),
    "rename": lambda vault: vault.move(A, D / "z", overwrite=False),
    "away": lambda vault: vault.move(A, VaultPath.parse("/a"), overwrite=False),
    "delete": lambda vault: vault.delete(A),
    "copy": lambda vault: vault.copy(A, NEW, overwrite=False),
    "times": lambda vault: vault.patch(A, modified_ns=0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_seen_at_once(store: Store, alice: Drive, change: str) -> None:
    """Also one of another process, which keeps orders of its own; never in the wrong place."""
    alice.mkdir("/d")
    for name, size in (("a", 3), ("b", 2), ("c", 1)):
        alice.put(f"/d/{name}", bytes(size), modified_ns=size * 10**9)
    parts = [Part(order, descending=False, start=0, count=99) for order in Order]
    for part in parts:
        shown(alice, "/d", part)
    other, fresh = (
        Vaults(store.database, store.blobs, store.keyring, store.clock).open(alice.principal)
        for _ in range(2)
    )
    CHANGES[change](other)
    for part in parts:
        expected = [node.name for node in fresh.browse(D, part).entries]
        assert shown(alice, "/d", part) == expected
        assert len(expected) == fresh.browse(D, part).total


def test_what_goes_between_the_two_looks_is_left_out(store: Store, alice: Drive) -> None:
    """A page may lose an entry to somebody else in this moment; it shows none that is gone or elsewhere."""
    for name in "abc":
        alice.put(f"/{name}")
    shown(alice)
    path = VaultPath.parse("/b")
    store.database.after_read = lambda: alice.vault.delete(path)
    assert shown(alice) == ["a", "c"]
    alice.mkdir("/d")
    shown(alice)
    store.database.after_read = lambda: alice.vault.move(
        VaultPath.parse("/c"), VaultPath.parse("/d/c"), overwrite=False
    )
    assert shown(alice) == ["d", "a"]


def test_the_second_page_opens_only_what_it_shows(
    store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADR 0027: the first page opens every name, the next ones as many as they show, by any way through."""
    names = [f"{number:03}" for number in range(50)]
    for name in random.Random(8).sample(names, 50):
        alice.put(f"/{name}")
    with store.tripwire.armed() as first:
        assert shown(alice, part=Part(Order.NAME, descending=False, start=0, count=5)) == names[:5]
    opened = counted_briefs(monkeypatch)
    for start, down in ((5, False), (45, False), (0, True), (45, True), (0, False)):
        part = Part(Order.NAME, descending=down, start=start, count=5)
        ordered = names[::-1] if down else names
        assert shown(alice, part=part) == ordered[start : start + 5]
    assert opened == []
    shown(alice, part=Part(Order.SIZE, descending=False, start=0, count=5))
    assert len(opened) == len(names)
    assert any("LIMIT" in step for step in first)


def test_altered_rows_are_not_sorted_past(store: Store, alice: Drive) -> None:
    """Somebody who alters a row gets no page that looks whole, neither the first nor a later one."""
    for name in "abc":
        alice.put(f"/{name}")
    shown(alice)
    row = alice.stat("/b").id
    store.sql("UPDATE node SET metadata_sealed = zeroblob(length(metadata_sealed)) WHERE node_id = ?", row)
    with pytest.raises(CorruptRow):
        shown(alice)
    with pytest.raises(CorruptRow):
        shown(alice, part=Part(Order.SIZE, descending=False, start=0, count=1))


def test_locks(store: Store, alice: Drive) -> None:
    """Of the entries shown, of the folder, and from above; none that is over."""
    alice.mkdir("/d")
    alice.put("/d/a")
    alice.put("/d/b")
    lock = alice.lock("/d/a", seconds=60)
    page = alice.vault.browse(VaultPath.parse("/d"), ALL)
    assert [[one.token for one in locks] for locks in page.locks.values()] == [[lock]]
    assert page.covering == ()
    alice.vault.unlock(VaultPath.parse("/d/a"), lock)
    lock = alice.lock("/", seconds=60, infinite=True)
    page = alice.vault.browse(VaultPath.parse("/d"), ALL)
    assert ([one.lock.token for one in page.covering], page.locks) == ([lock], {})
    store.clock.advance(seconds=61)
    assert alice.vault.browse(VaultPath.parse("/d"), ALL).covering == ()


@pytest.mark.parametrize("looked_before", [False, True])
def test_a_name_that_was_only_locked_is_no_entry(store: Store, alice: Drive, *, looked_before: bool) -> None:
    """Once the lock is over it counts as absent, in every order, whether or not garbage was collected."""
    alice.lock("/new", seconds=60)
    if looked_before:
        assert alice.vault.browse(VaultPath(), ALL).total == 1
        alice.put("/other")
    store.clock.advance(seconds=61)
    alice.put("/empty")
    for order in Order:
        page = alice.vault.browse(VaultPath(), Part(order, descending=False, start=0, count=9))
        assert page.total == len(page.entries) == 1 + looked_before


def test_a_device_sees_its_folder_only(alice: Drive) -> None:
    """Paths begin at its root; ids of elsewhere are nothing to it."""
    alice.mkdir("/d")
    alice.put("/d/inside")
    outside = alice.put("/outside").node.id
    narrow = alice.narrowed(root="/d")
    assert shown(narrow) == ["inside"]
    assert [hit.node.name for hit in narrow.vault.search(VaultPath(), "side").hits] == ["inside"]
    assert narrow.vault.choose(VaultPath(), [outside]).gone == 1
    blind = alice.narrowed(Scope.WRITE)
    for look in (
        lambda: blind.vault.browse(VaultPath(), ALL),
        lambda: blind.vault.search(VaultPath(), "a"),
        lambda: blind.vault.choose(VaultPath(), []),
    ):
        with pytest.raises(NotPermitted):
            look()


class Overtaken(FewAtOnce):
    """Lets somebody else look first, while nobody may have a transaction open."""

    def __init__(self, database: GuardedDatabase, first: Callable[[], object]) -> None:
        super().__init__()
        self._database, self._first = database, first

    @contextmanager
    def turn(self, account_id: AccountId) -> Iterator[None]:
        """As `FewAtOnce.turn`."""
        assert self._database.idle
        self._first()
        with super().turn(account_id):
            yield


def test_a_large_folder_waits_for_its_turn(
    store: Store, alice: Drive, bob: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a search; nothing else does: not what was sorted before, not a small one, not another account's."""
    monkeypatch.setattr(browsing, "LARGE", 2)
    for drive in (alice, bob):
        for path in ("/a", "/b", "/c"):
            drive.put(path)
        drive.mkdir("/small")
    few = FewAtOnce(1, patience_seconds=0)
    mine, theirs = (replace(store.vaults.access(one.principal), long_looks=few) for one in (alice, bob))
    root, by_size = VaultPath(), Part(Order.SIZE, descending=False, start=0, count=9)
    browsing.browse(mine, root, ALL)
    with few.turn(mine.account_id):
        for look in (lambda: browsing.browse(mine, root, by_size), lambda: browsing.search(mine, root, "a")):
            with pytest.raises(TooBusy):
                look()
        assert browsing.browse(mine, root, ALL, before_long=never).total == 4
        assert browsing.browse(mine, VaultPath.parse("/small"), by_size, before_long=never).total == 0
        assert browsing.browse(theirs, root, by_size).total == 4
    with pytest.raises(TooBusy):
        browsing.browse(mine, root, by_size, before_long=never)
    assert browsing.browse(mine, root, by_size).total == 4


def test_what_another_one_has_sorted_meanwhile_is_not_sorted_again(
    store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a transaction open while others are waited for."""
    monkeypatch.setattr(browsing, "LARGE", 2)
    for path in ("/a", "/b", "/c"):
        alice.put(path)
    first, second = (store.vaults.access(alice.principal, store.vaults.reads()) for _ in range(2))
    second = replace(
        second, long_looks=Overtaken(store.database, lambda: browsing.browse(first, VaultPath(), ALL))
    )
    opened = counted_briefs(monkeypatch)
    assert browsing.browse(second, VaultPath(), ALL).total == 3
    assert len(opened) == 3
    for access in (first, second):
        access.reads.close()


def never() -> None:
    """It is not the turn of anybody."""
    raise TooBusy


def counted_briefs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each name that is opened to be sorted."""
    opened: list[str] = []
    open_brief = NodeCodec.open_brief

    def counted(codec: NodeCodec, row: NodeRow) -> Brief:
        opened.append("one")
        return open_brief(codec, row)

    monkeypatch.setattr(NodeCodec, "open_brief", counted)
    return opened


def test_what_was_ticked(alice: Drive, bob: Drive) -> None:
    """What is still in the folder, in the order of the ticks; nothing of elsewhere, or of others."""
    alice.mkdir("/d")
    a, b, c = (alice.put(path).node.id for path in ("/d/a", "/d/b", "/c"))
    theirs = bob.put("/a").node.id
    alice.vault.delete(VaultPath.parse("/d/a"))
    chosen = alice.vault.choose(VaultPath.parse("/d"), [b, a, c, theirs, NodeId(bytes(15) + b"\1")])
    assert ([node.name for node in chosen.nodes], chosen.gone) == (["b"], 4)


def test_what_is_no_folder(alice: Drive) -> None:
    """A file, and nothing."""
    alice.put("/f")
    for path, error in (("/f", WrongKind), ("/x", NotFound)):
        with pytest.raises(error):
            alice.vault.browse(VaultPath.parse(path), ALL)
        with pytest.raises(error):
            alice.vault.search(VaultPath.parse(path), "a")
        with pytest.raises(error):
            alice.vault.choose(VaultPath.parse(path), [])


def test_search_says_what_it_skips(alice: Drive) -> None:
    """What no path leads to is not found; then that was not all there is."""
    root = VaultPath()
    for depth, complete in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        alice.plant_chain([f"{depth}", *["d"] * (depth - 2), "last"])
        found = alice.vault.search(root, "last")
        assert (len(found.hits), found.complete) == (1, complete)


def test_search_stops_somewhere(alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many entries or finds, and only if there is more it says so."""
    for folder in "ab":
        alice.mkdir(f"/{folder}")
        for number in range(3):
            alice.put(f"/{folder}/{number}")
    root = VaultPath()
    assert alice.vault.search(root, "").looked == 8
    for most, complete in ((6, True), (5, False), (1, False)):
        monkeypatch.setattr(browsing, "MAX_LOOKED", most)
        assert alice.vault.search(root, "2").complete is complete
    monkeypatch.setattr(browsing, "MAX_LOOKED", 100)
    for most, complete in ((2, True), (1, False)):
        monkeypatch.setattr(browsing, "MAX_FOUND", most)
        found = alice.vault.search(root, "2")
        assert (len(found.hits), found.complete) == (most, complete)
