"""Known collections: kept within bounds, for one account at one version of its structure, for the way only.

That no change of another process is ever missed is shown in tests/property/test_directories.py for any order
of events, and here with two real processes.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator

import pytest

from davserver.errors import CorruptRow, NotFound, ParentMissing
from davserver.model import ROOT_ID, AccountId, Node, NodeId, NodeKind
from davserver.vault.directories import CHARACTER_BYTES, ENTRY_BYTES, Directories
from davserver.vault.paths import VaultPath
from davserver.vault.scrub import Finding
from davserver.vault.tree import Place
from tests.unit.vault.peer import Peer, change, look
from tests.unit.vault.store import Drive, Store, make_store

ALICE, BOB = AccountId(b"A" * 16), AccountId(b"B" * 16)


def collection(name: str, account: AccountId = ALICE) -> Node:
    """A collection whose id follows from its name."""
    return Node(
        id=NodeId(name.encode().ljust(16, b".")[:16]),
        account_id=account,
        parent_id=ROOT_ID,
        kind=NodeKind.COLLECTION,
        name=name,
        size=0,
        etag="",
        modified_ns=0,
        created_ns=0,
        content=None,
        sha1=None,
        md5=None,
        version=1,
    )


# ── what is kept ────────────────────────────────────────────────────────────────────────────────────────────
def test_a_way_is_known_as_far_as_it_was_kept() -> None:
    """From any collection on it, and no further than the first gap."""
    known, a, b = Directories(), collection("a"), collection("b")
    assert known.latest(ALICE) is None
    known.keep(ALICE, 7, ROOT_ID, "a", a)
    known.keep(ALICE, 7, a.id, "b", b)
    assert known.latest(ALICE) == 7
    assert known.walk(ALICE, 7, ROOT_ID, ("a", "b", "c")) == [a, b]
    assert known.walk(ALICE, 7, a.id, ("b",)) == [b]
    assert known.walk(ALICE, 7, ROOT_ID, ("x", "b")) == []
    assert known.walk(ALICE, 7, ROOT_ID, ()) == []


def test_no_account_sees_what_another_has() -> None:
    """Though names, parents and versions are the same."""
    known = Directories()
    known.keep(ALICE, 1, ROOT_ID, "a", collection("a"))
    assert known.latest(BOB) is None
    known.keep(BOB, 1, ROOT_ID, "b", collection("b", BOB))
    assert known.walk(BOB, 1, ROOT_ID, ("a",)) == []
    known.keep(BOB, 1, ROOT_ID, "a", collection("bob's", BOB))
    assert known.walk(ALICE, 1, ROOT_ID, ("a",)) == [collection("a")]
    known.forget(BOB)
    assert known.walk(ALICE, 1, ROOT_ID, ("a",)) == [collection("a")]
    assert known.walk(BOB, 1, ROOT_ID, ("a",)) == []


def test_another_version_knows_nothing() -> None:
    """Of the one before; and one that has passed is neither used nor added to again."""
    known = Directories()
    known.keep(ALICE, 1, ROOT_ID, "a", collection("a"))
    assert known.walk(ALICE, 2, ROOT_ID, ("a",)) == []
    known.keep(ALICE, 2, ROOT_ID, "b", collection("b"))
    assert known.latest(ALICE) == 2
    known.keep(ALICE, 1, ROOT_ID, "c", collection("c"))
    assert known.latest(ALICE) == 2
    assert known.walk(ALICE, 1, ROOT_ID, ("a",)) == known.walk(ALICE, 1, ROOT_ID, ("c",)) == []
    assert known.walk(ALICE, 2, ROOT_ID, ("a",)) == []


def test_another_spelling_is_the_same_name() -> None:
    """As in a look-up (decisions: names are found by NFC)."""
    known, node = Directories(), collection("caf\u00e9")
    known.keep(ALICE, 1, ROOT_ID, unicodedata.normalize("NFD", "caf\u00e9"), node)
    assert known.walk(ALICE, 1, ROOT_ID, ("caf\u00e9",)) == [node]
    assert known.walk(ALICE, 1, ROOT_ID, (unicodedata.normalize("NFD", "caf\u00e9"),)) == [node]


@pytest.mark.parametrize("most", [{"max_entries": 3}, {"max_bytes": 3 * (ENTRY_BYTES + 2 * CHARACTER_BYTES)}])
def test_what_was_unused_for_longest_is_forgotten_first(most: dict[str, int]) -> None:
    """By number and by size; keeping the same one again counts once."""
    known = Directories(**most)
    for name in ("n1", "n2", "n3", "n1"):
        known.keep(ALICE, 1, ROOT_ID, name, collection(name))
    assert known.walk(ALICE, 1, ROOT_ID, ("n2",))
    known.keep(ALICE, 1, ROOT_ID, "n4", collection("n4"))
    here = [name for name in ("n1", "n2", "n3", "n4") if known.walk(ALICE, 1, ROOT_ID, (name,))]
    assert here == ["n1", "n2", "n4"]


def test_a_name_that_is_too_long_is_not_kept() -> None:
    """Nor is anything else then, and nothing breaks."""
    known = Directories(max_bytes=ENTRY_BYTES)
    known.keep(ALICE, 1, ROOT_ID, "a", collection("a"))
    assert known.walk(ALICE, 1, ROOT_ID, ("a",)) == []


def test_of_accounts_without_end_some_are_forgotten() -> None:
    """What is known of an account does not outlive its collections for ever."""
    known = Directories(max_entries=2)
    for number in range(5):
        known.keep(AccountId(bytes([number]) * 16), 1, ROOT_ID, "a", collection("a"))
    assert sum(known.latest(AccountId(bytes([number]) * 16)) is not None for number in range(5)) == 2


# ── what it is used for ─────────────────────────────────────────────────────────────────────────────────────
def test_who_asks_for_a_collection_gets_it_as_it_is(alice: Drive) -> None:
    """Its times change without its structure; only those on the way may be older."""
    alice.mkdir("/a")
    alice.mkdir("/a/b")
    alice.put("/a/b/f", b"1")
    alice.times("/a/b", modified_ns=5)
    assert alice.stat("/a/b").modified_ns == 5
    assert alice.get("/a/b/f") == b"1"
    alice.times("/a/b", modified_ns=6)
    assert [node.modified_ns for node in alice.listing("/a")] == [6]


@pytest.mark.parametrize("verb", ["move", "delete"])
def test_a_rolled_back_change_leaves_nothing_known(store: Store, alice: Drive, verb: str) -> None:
    """What a transaction saw that failed in its commit is not kept, though a later one has its version."""
    alice.mkdir("/a")
    alice.mkdir("/a/b")
    alice.put("/a/b/f", b"1")

    def act() -> None:
        alice.move("/a/b", "/c") if verb == "move" else alice.delete("/a/b")

    with store.tripwire.armed(store.tripwire.once("commit", _fail)), pytest.raises(RuntimeError):
        act()
    assert alice.get("/a/b/f") == b"1"
    assert alice.find("/c/f") is None
    alice.mkdir("/d")
    alice.move("/d", "/e")
    assert alice.get("/a/b/f") == b"1"
    assert alice.find("/c/f") is None


def test_what_a_transaction_sees_of_its_own_change_is_not_kept(store: Store, alice: Drive) -> None:
    """It may yet be rolled back, and its version be given to another change."""
    for path in ("/a", "/a/b", "/d"):
        alice.mkdir(path)
    alice.put("/a/b/f", b"1")
    tree = store.vaults.access(alice.principal).tree
    with store.database.write() as tx:
        source, root = tree.existing(tx, VaultPath(("a", "b"))), tree.existing(tx, VaultPath())
        tree.move(tx, source, Place(root, "c", None), modified_ns=None)
        assert tree.find(tx, VaultPath(("c", "f"))) is not None
        assert tree.find(tx, VaultPath(("a", "b", "f"))) is None
    alice.move("/d", "/e")
    assert alice.find("/c/f") is None
    assert alice.get("/a/b/f") == b"1"


def _fail() -> None:
    raise RuntimeError("the machine stops here")


# ── two processes ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def peer(store: Store) -> Iterator[Peer]:
    """Another process with the same store."""
    with Peer(store.folder) as started:
        yield started


def test_two_processes_miss_nothing(store: Store, alice: Drive, peer: Peer) -> None:
    """Whoever moves, deletes or makes something, the other's next look is as if it knew nothing."""
    choice = random.Random(7)
    for _ in range(150):
        wish = change(choice)
        here = choice.random() < 0.5
        (wish.apply(alice) if here else peer.ask(wish))
        seen = [look(alice), peer.look()]
        store.directories.forget(alice.principal.account.id)
        truth = look(alice)
        assert seen == [truth, truth]
        assert peer.look() == truth


# ── somebody who writes to the database ─────────────────────────────────────────────────────────────────────
@pytest.fixture
def known(alice: Drive) -> Drive:
    """A file in two collections that this process knows."""
    for path in ("/a", "/a/b", "/other"):
        alice.mkdir(path)
    alice.put("/a/b/f", b"content")
    assert alice.get("/a/b/f") == b"content"
    return alice


ALTERED = "UPDATE node SET metadata_sealed = zeroblob(length(metadata_sealed)) WHERE node_id = ?"
GONE = "DELETE FROM node WHERE node_id = ?"


@pytest.mark.parametrize("how", [ALTERED, GONE])
def test_an_altered_collection_on_the_way_changes_no_answer(store: Store, known: Drive, how: str) -> None:
    """What is below is served as it was put there. Whatever opens the collection refuses."""
    store.sql(how, known.stat("/a/b").id)
    assert known.get("/a/b/f") == b"content"
    error = (CorruptRow, NotFound, ParentMissing)
    with pytest.raises(error):
        known.stat("/a/b")
    for write in (
        lambda: known.put("/a/b/new", b"1"),
        lambda: known.put("/a/b/f", b"1"),
        lambda: known.mkdir("/a/b/new"),
        lambda: known.move("/a/b/f", "/a/b/g"),
        lambda: known.move("/other", "/a/b/new"),
        lambda: known.copy("/other", "/a/b/new"),
        lambda: known.lock("/a/b/new"),
    ):
        with pytest.raises(error):
            write()
    assert store.problems() != []
    restarted = make_store(store.folder)
    with pytest.raises(error):
        restarted.drive("alice").get("/a/b/f")
    restarted.close()


def test_a_version_that_was_turned_back_brings_nothing_back(store: Store, known: Drive) -> None:
    """Not in the process that has seen the newer one."""
    known.move("/a/b", "/other/b")
    assert known.find("/a/b/f") is None
    known.stat("/other/b/f")
    store.sql("UPDATE account SET structure_version = structure_version - 1")
    assert known.find("/a/b/f") is None
    assert known.get("/other/b/f") == b"content"


@pytest.mark.parametrize("verb", ["move", "delete"])
def test_nothing_is_written_where_no_collection_is_any_more(store: Store, known: Drive, verb: str) -> None:
    """Another process moved it, and the version was turned back before this one saw: commits look again."""
    second = make_store(store.folder)
    other = second.drive("alice")
    other.move("/a/b", "/other/b") if verb == "move" else other.delete("/a/b")
    second.close()
    store.sql("UPDATE account SET structure_version = structure_version - 1")
    with pytest.raises(ParentMissing):
        known.put("/a/b/new", b"1")
    with pytest.raises(ParentMissing):
        known.mkdir("/a/b/sub")
    assert known.find("/a/b/f") is None  # from then on nothing is believed of what was known
    store.collect()
    assert {problem.finding for problem in store.problems()} <= {Finding.COUNTER_WRONG}


@pytest.mark.parametrize("value", ["text", b"bytes", 1.5, -1])
def test_a_version_that_is_none(store: Store, known: Drive, value: object) -> None:
    """Nothing is known then, nothing is kept, and everything is found."""
    store.sql("UPDATE account SET structure_version = ?", value)
    for _ in range(2):
        assert known.get("/a/b/f") == b"content"
    known.put("/a/b/f", b"new")
    assert known.get("/a/b/f") == b"new"
