"""The table `node`: rows by parent and name, subtrees, and copies that are still hidden."""

from __future__ import annotations

import pytest

from davserver.db.blob_index import BlobRow, BlobState
from davserver.db.engine import Transaction
from davserver.db.kept import KeptRow
from davserver.db.nodes import NodeRow
from davserver.errors import AlreadyExists, VersionConflict
from davserver.model import ROOT_ID, TRASH_ID, AccountId, BlobId, KeptKind, NodeId
from tests.unit.db.conftest import ALICE, BOB

FILE, COLLECTION = 1, 2


def node_id(name: str) -> NodeId:
    """An id that can be read in a failure."""
    return NodeId(name.encode().ljust(16, b"."))


def row(name: str, parent: str = "", *, account: AccountId = ALICE, blob: BlobId | None = None) -> NodeRow:
    """A node below `parent` ("" is the root) under its own name."""
    return NodeRow(
        account_id=account,
        parent_id=node_id(parent) if parent else ROOT_ID,
        name_sealed=name.encode(),
        node_id=node_id(name),
        kind=FILE if blob else COLLECTION,
        blob_id=blob,
        metadata_sealed=b"sealed " + name.encode(),
        version=1,
    )


def root(account: AccountId = ALICE) -> NodeRow:
    """The root collection, which is its own parent."""
    return row("root", account=account)._replace(node_id=ROOT_ID, name_sealed=b"")


def add_blob(tx: Transaction, name: str, size: int) -> BlobId:
    """A live blob of Alice's."""
    blob_id = BlobId(name.encode().ljust(16, b"!"))
    tx.blobs.insert(BlobRow(blob_id, ALICE, BlobState.LIVE, False, size, size, 1, 1, b"", 1), now=0)  # noqa: FBT003
    return blob_id


@pytest.fixture
def tree(tx: Transaction) -> Transaction:
    """a/b/c, a/f (10 bytes), a/b/g (200 bytes), h (3,000 bytes); Bob has an a/f, too."""
    ten, more, most = (add_blob(tx, str(size), size) for size in (10, 200, 3000))
    tx.nodes.insert([root(), row("a"), row("b", "a"), row("c", "b")])
    tx.nodes.insert([row("f", "a", blob=ten), row("g", "b", blob=more), row("h", blob=most)])
    tx.nodes.insert([root(BOB), row("a", account=BOB), row("f", "a", account=BOB)])
    return tx


def test_a_child_is_found_by_parent_and_name(tree: Transaction) -> None:
    """Of this account, below this parent, under exactly this name."""
    assert tree.nodes.child(ALICE, node_id("a"), b"b") == row("b", "a")
    for account, parent, name in (
        (BOB, "a", b"b"),
        (ALICE, "b", b"b"),
        (ALICE, "a", b"B"),
        (ALICE, "x", b"b"),
    ):
        assert tree.nodes.child(account, node_id(parent), name) is None


def test_a_node_is_found_by_its_id(tree: Transaction) -> None:
    """Ids are unique per account: every account has the same root."""
    assert tree.nodes.by_id(ALICE, node_id("b")) == row("b", "a")
    assert tree.nodes.by_id(BOB, node_id("b")) is None
    assert tree.nodes.by_id(ALICE, ROOT_ID) == root()
    assert tree.nodes.by_id(BOB, ROOT_ID) == root(BOB)


def test_children_come_in_pages_in_the_order_of_their_names(tx: Transaction) -> None:
    """Each once; the root is not a child of itself."""
    tx.nodes.insert([root(), *(row(f"n{number}") for number in (3, 1, 2, 5, 4))])
    found: list[bytes] = []
    after = b""
    while page := tx.nodes.children(ALICE, ROOT_ID, after=after, limit=2):
        assert len(page) <= 2
        found += [one.name_sealed for one in page]
        after = page[-1].name_sealed
    assert found == [b"n1", b"n2", b"n3", b"n4", b"n5"]
    assert tx.nodes.children(BOB, ROOT_ID, after=b"", limit=9) == []


def test_a_name_is_taken_once(tree: Transaction) -> None:
    """Below one parent; elsewhere it is free."""
    with pytest.raises(AlreadyExists):
        tree.nodes.insert([row("b", "a")._replace(node_id=node_id("other"))])
    tree.nodes.insert([row("b", "c")._replace(node_id=node_id("other"))])
    with pytest.raises(AlreadyExists):
        tree.nodes.replace(row("b", "c")._replace(node_id=node_id("c"), version=2), expected_version=1)


def test_replace_is_compare_and_set(tree: Transaction) -> None:
    """Every column but id and kind is new; another version, account or a missing node is a conflict."""
    blob_id = add_blob(tree, "new", 7)
    changed = row("f", "b", blob=blob_id)._replace(
        name_sealed=b"moved", metadata_sealed=b"changed", version=2
    )
    tree.nodes.replace(changed, expected_version=1)
    assert tree.nodes.by_id(ALICE, node_id("f")) == changed
    assert tree.nodes.child(ALICE, node_id("a"), b"f") is None
    assert tree.nodes.child(ALICE, node_id("b"), b"moved") == changed
    for wrong, version in ((changed, 1), (changed, 3), (row("x"), 1), (row("h", account=BOB), 1)):
        with pytest.raises(VersionConflict):
            tree.nodes.replace(wrong, expected_version=version)
    assert tree.nodes.by_id(BOB, node_id("f")) == row("f", "a", account=BOB)


def test_ancestors(tree: Transaction) -> None:
    """The node itself, everything above it, the root; nothing for a node that is not there."""
    assert tree.nodes.ancestors(ALICE, node_id("c")) == {node_id(name) for name in "abc"} | {ROOT_ID}
    assert tree.nodes.ancestors(ALICE, ROOT_ID) == {ROOT_ID}
    assert tree.nodes.ancestors(BOB, node_id("c")) == set()


def test_subtrees_are_measured(tree: Transaction) -> None:
    """With what lies deep in them, and nothing beside them."""
    sizes = {name: tree.nodes.live_count(ALICE, node_id(name)) for name in "abcfh"}
    assert sizes == {"a": 5, "b": 3, "c": 1, "f": 1, "h": 1}
    assert tree.nodes.live_count(ALICE, ROOT_ID) == 7
    used = {name: tree.nodes.live_bytes(ALICE, node_id(name)) for name in "abcfh"}
    assert used == {"a": 210, "b": 200, "c": 0, "f": 10, "h": 3000}
    assert tree.nodes.live_bytes(ALICE, ROOT_ID) == 3210
    assert tree.nodes.live_bytes(BOB, ROOT_ID) == 0
    assert {name: tree.nodes.weigh(ALICE, node_id(name)) for name in "ac"} == {"a": (210, 0), "c": (0, 0)}
    assert tree.nodes.count() == 10


def test_what_hangs_on_a_file_is_no_member_of_the_tree(tree: Transaction) -> None:
    """It is deleted and weighed with the file, and is not what somebody finds below a collection."""
    tree.nodes.insert([row("old", "f", blob=add_blob(tree, "old", 7))])
    tree.kept.insert(KeptRow(ALICE, node_id("old"), KeptKind.VERSION.value, 5, 7))
    assert tree.nodes.live_bytes(ALICE, node_id("a")) == 210
    assert tree.nodes.live_bytes(ALICE, node_id("f")) == 10
    assert tree.nodes.live_count(ALICE, node_id("a")) == 5
    assert tree.nodes.weigh(ALICE, node_id("a")) == (217, 7)
    assert tree.nodes.weigh(ALICE, node_id("old")) == (7, 7)
    tree.nodes.delete_subtree(ALICE, node_id("a"), now=1)
    assert tree.nodes.by_id(ALICE, node_id("old")) is None
    assert tree.kept.find(ALICE, node_id("old")) is None


def test_the_trash_is_weighed_though_no_node_has_its_id(tree: Transaction) -> None:
    """As what lies below a copy that is still hidden; and nothing in it is lost."""
    tree.nodes.insert([row("gone")._replace(parent_id=TRASH_ID)])
    tree.nodes.insert([row("inside", "gone", blob=add_blob(tree, "inside", 40))])
    assert tree.nodes.weigh(ALICE, TRASH_ID) == (40, 0)
    assert tree.nodes.weigh(BOB, TRASH_ID) == (0, 0)
    assert tree.nodes.weigh(ALICE, ROOT_ID) == (3210, 0)
    assert tree.nodes.unreachable(ALICE) == []


def test_some_nodes(tree: Transaction) -> None:
    """Those that there are, of this account."""
    wanted = [node_id(name) for name in ("b", "g", "nowhere")]
    assert sorted(one.node_id for one in tree.nodes.some(ALICE, wanted)) == wanted[:2]
    assert tree.nodes.some(BOB, wanted) == []


def test_the_line_to_a_node(tree: Transaction) -> None:
    """The rows of the node and of all above it; none for a node that is not there."""
    assert set(tree.nodes.lineage(ALICE, node_id("g"))) == {node_id(name) for name in "gba"} | {ROOT_ID}
    assert tree.nodes.lineage(ALICE, node_id("g"))[node_id("b")] == row("b", "a")
    assert tree.nodes.lineage(BOB, node_id("g")) == {}


def test_several_rows_are_replaced_at_once(tree: Transaction) -> None:
    """Each over the one that is a version older."""
    moved = [row(name, "h")._replace(version=2) for name in ("f", "g")]
    tree.nodes.replace_all(moved)
    assert [tree.nodes.by_id(ALICE, one.node_id) for one in moved] == [
        one._replace(kind=FILE, blob_id=None) for one in moved
    ]


def test_a_content_counts_for_each_file_that_names_it(tree: Transaction) -> None:
    """As the quota does."""
    tree.nodes.insert([row("f2", "b", blob=BlobId(b"10".ljust(16, b"!")))])
    assert tree.nodes.live_bytes(ALICE, ROOT_ID) == 3220


def test_a_subtree_is_deleted(tree: Transaction) -> None:
    """All of it, nothing else, and its contents are marked: only they."""
    tree.nodes.delete_subtree(ALICE, node_id("a"), now=77)
    assert tree.nodes.live_count(ALICE, ROOT_ID) == 2
    assert tree.nodes.by_id(ALICE, node_id("c")) is None
    assert tree.nodes.by_id(BOB, node_id("a")) is not None
    marks = tree._connection.exec_driver_sql("SELECT plain_size, unreferenced_at FROM blob")  # noqa: SLF001
    assert dict(list(marks)) == {10: 77, 200: 77, 3000: None}


def test_rows_tied_into_a_ring_do_not_keep_a_transaction_busy(tree: Transaction) -> None:
    """Whoever can write to the database could hang every writer with it."""
    tree._connection.exec_driver_sql(  # noqa: SLF001
        "UPDATE node SET parent_id = ? WHERE account_id = ? AND node_id = ?",
        (node_id("c"), ALICE, node_id("a")),
    )
    ring = {node_id(name) for name in "abc"}
    assert tree.nodes.ancestors(ALICE, node_id("b")) == ring
    assert tree.nodes.live_count(ALICE, node_id("a")) == 5
    assert tree.nodes.live_bytes(ALICE, node_id("a")) == 210
    tree.nodes.delete_subtree(ALICE, node_id("a"), now=1)
    assert tree.nodes.by_id(ALICE, node_id("b")) is None


def test_a_hidden_tree(tx: Transaction) -> None:
    """Its nodes hang on an id that no node has; they can be measured and deleted, and are no damage."""
    tx.nodes.insert([root()])
    tx.nodes.hide(ALICE, node_id("top"), now=5)
    tx.nodes.insert([row("below", "top"), row("deep", "below")])
    assert tx.nodes.unreachable(ALICE) == []
    assert tx.nodes.touch_hidden(ALICE, node_id("top"), now=9)
    assert tx.nodes.abandoned(before=8) == []
    assert tx.nodes.abandoned(before=9) == [(ALICE, node_id("top"))]
    assert not tx.nodes.touch_hidden(BOB, node_id("top"), now=9)
    assert tx.nodes.unhide(ALICE, node_id("top"))
    assert not tx.nodes.unhide(ALICE, node_id("top"))
    assert not tx.nodes.touch_hidden(ALICE, node_id("top"), now=9)
    assert tx.nodes.unreachable(ALICE) == [node_id("below")]
    tx.nodes.delete_subtree(ALICE, node_id("top"), now=1)
    assert tx.nodes.unreachable(ALICE) == []
    assert tx.nodes.count() == 1


def test_unreachable_nodes(tree: Transaction) -> None:
    """Whose parent does not exist in the same account."""
    assert tree.nodes.unreachable(ALICE) == []
    tree.nodes.insert([row("lost", "nowhere"), row("deeper", "lost"), row("x", "c", account=BOB)])
    assert tree.nodes.unreachable(ALICE) == [node_id("lost")]
    assert tree.nodes.unreachable(BOB) == [node_id("x")]


def test_scan_sees_every_node_of_an_account_once(tree: Transaction) -> None:
    """In pages, in order of ids."""
    found: list[NodeId] = []
    after: NodeId | None = None
    while page := tree.nodes.scan(ALICE, after=after, limit=3):
        found += [one.node_id for one in page]
        after = page[-1].node_id
    assert found == sorted([ROOT_ID, *(node_id(name) for name in "abcfgh")])
