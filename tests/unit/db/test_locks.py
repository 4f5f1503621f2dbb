"""The table `lock`: live locks by where they begin, and how they end: by the clock, or with their node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from davserver.db.engine import Transaction
from davserver.db.locks import LockRow
from davserver.db.nodes import NodeRow
from davserver.errors import VersionConflict
from davserver.model import ROOT_ID, AccountId, NodeId
from tests.unit.db.conftest import ALICE, BOB

NOW = 1000
COLLECTION = 2


def node_id(name: str) -> NodeId:
    """An id that can be read in a failure; "" is the root."""
    return NodeId(name.encode().ljust(16, b".")) if name else ROOT_ID


def node(name: str, parent: str = "", account: AccountId = ALICE) -> NodeRow:
    """A collection."""
    sealed = name.encode()
    return NodeRow(account, node_id(parent), sealed, node_id(name), COLLECTION, None, b"sealed", 1)


def lock(
    name: str, on: str, *, account: AccountId = ALICE, expires_at: int = NOW + 1, created_at: int = 0
) -> LockRow:
    """A lock called `name` that begins at the node `on`."""
    return LockRow(
        account_id=account,
        lock_id=name.encode().ljust(16, b"!"),
        node_id=node_id(on),
        exclusive=True,
        infinite=False,
        owner_sealed=b"owner",
        created_at=created_at,
        expires_at=expires_at,
        version=1,
    )


@pytest.fixture
def tree(tx: Transaction) -> Transaction:
    """a/b/c, a/x, z; Bob has a/b, too. Locks on b, c, x and z, an expired one on c, and one of Bob's on b."""
    for account in (ALICE, BOB):
        tx.nodes.insert([node("", account=account), node("a", account=account), node("b", "a", account)])
    tx.nodes.insert([node("c", "b"), node("x", "a"), node("z")])
    for one in (
        lock("on b", "b"),
        lock("on c", "c"),
        lock("on x", "x"),
        lock("on z", "z"),
        lock("over", "c", expires_at=NOW),
        lock("bob's", "b", account=BOB),
    ):
        tx.locks.insert(one)
    return tx


def find(tx: Transaction, *way: str, tops: tuple[str, ...] = (), now: int = NOW) -> set[str]:
    """Names of the locks that Alice finds."""
    rows = tx.locks.find(ALICE, list(map(node_id, way)), list(map(node_id, tops)), now=now)
    return {row.lock_id.rstrip(b"!").decode() for row in rows}


def count(tx: Transaction) -> int:
    """Rows of the table."""
    return len(tx.locks.scan(ALICE)) + len(tx.locks.scan(BOB))


def test_a_row_comes_back_as_it_was_written(tx: Transaction) -> None:
    """Every column, whatever it holds."""
    tx.nodes.insert([node(""), node("a")])
    row = replace(lock("l", "a"), infinite=True, exclusive=False, version=7, mac=b"m" * 32)
    tx.locks.insert(row)
    assert tx.locks.scan(ALICE) == [row]


@pytest.mark.parametrize(
    ("way", "tops", "expected"),
    [
        (("", "a"), (), set()),
        (("", "a", "b"), (), {"on b"}),
        (("", "a", "b", "c"), (), {"on b", "on c"}),
        ((), (), set()),
        (("", "a"), ("a",), {"on b", "on c", "on x"}),
        (("", "a", "b"), ("b",), {"on b", "on c"}),
        (("", "a", "b", "c"), ("c",), {"on b", "on c"}),
        (("", "z"), ("a",), {"on z", "on b", "on c", "on x"}),
        (("",), ("x", "z"), {"on x", "on z"}),
        (("",), ("",), {"on b", "on c", "on x", "on z"}),
        (("",), ("missing",), set()),
    ],
)
def test_locks_are_found_on_the_way_and_below(
    tree: Transaction, way: tuple[str, ...], tops: tuple[str, ...], expected: set[str]
) -> None:
    """Those that begin on the way, and with `tops` at or below these; expired and other people's never."""
    assert find(tree, *way, tops=tops) == expected


@pytest.mark.parametrize("tops", [(), ("a",)])
def test_a_lock_ends_at_its_second(tree: Transaction, tops: tuple[str, ...]) -> None:
    """It is live before `expires_at`, and absent from then on."""
    assert "on c" in find(tree, "c", tops=tops, now=NOW)
    assert find(tree, "c", tops=tops, now=NOW + 1) == set()
    assert (tree.locks.count(ALICE, now=NOW), tree.locks.count(ALICE, now=NOW + 1)) == (4, 0)
    assert tree.locks.count(BOB, now=NOW) == 1


def test_the_oldest_is_first(tx: Transaction) -> None:
    """Of several locks on a way the order is always the same."""
    tx.nodes.insert([node(""), node("a")])
    for name, created_at in (("l3", 3), ("l1", 1), ("l2", 2)):
        tx.locks.insert(lock(name, "a", created_at=created_at))
    assert [row.created_at for row in tx.locks.find(ALICE, [node_id("a")], now=NOW)] == [1, 2, 3]


def test_locks_of_children(tree: Transaction) -> None:
    """Not those of the collection itself, nor further down, nor expired, nor of others."""
    found = tree.locks.of_children(ALICE, node_id("a"), now=NOW)
    assert {row.node_id for row in found} == {node_id("b"), node_id("x")}
    assert tree.locks.of_children(ALICE, node_id("c"), now=NOW) == []


def test_many_locks_deep_in_one_place_cost_little(tx: Transaction) -> None:
    """Each collection above them is looked at once, not once a lock: others wait for this transaction."""
    depth, locks = 150, 300
    names = [f"d{number}" for number in range(depth)]
    tx.nodes.insert([node(""), node("z")])
    for name, parent in zip(names, ["", *names], strict=False):
        tx.nodes.insert([node(name, parent)])
    for number in range(locks):
        tx.nodes.insert([node(f"f{number}", names[-1])])
        tx.locks.insert(lock(f"l{number}", f"f{number}"))
    steps = _steps(tx, lambda: find(tx, "", tops=("z",)))
    assert steps < 100 * (depth + locks)
    assert len(find(tx, "", tops=("d0",))) == locks


def _steps(tx: Transaction, action: object) -> int:
    """Instructions of SQLite's machine, in hundreds rounded down, that an action takes."""
    taken = 0

    def tick() -> int:
        nonlocal taken
        taken += 100
        return 0

    driver = tx._connection.connection.dbapi_connection  # noqa: SLF001
    assert driver is not None
    driver.set_progress_handler(tick, 100)
    assert callable(action)
    action()
    driver.set_progress_handler(None, 0)
    return taken


def test_a_ring_of_rows_does_not_hang(tree: Transaction) -> None:
    """Somebody who can write to the database ties two collections into each other."""
    tree._connection.exec_driver_sql(  # noqa: SLF001
        "UPDATE node SET parent_id = ? WHERE node_id = ?", (node_id("c"), node_id("a"))
    )
    assert find(tree, "", tops=("a",)) == {"on b", "on c", "on x"}


def test_a_refresh_replaces_the_row_that_was_read(tree: Transaction) -> None:
    """A version that is not the expected one is somebody else's change, and nothing is written."""
    row = next(one for one in tree.locks.scan(ALICE) if one.node_id == node_id("z"))
    changed = replace(row, expires_at=5000, version=2)
    with pytest.raises(VersionConflict):
        tree.locks.replace(changed, expected_version=2)
    tree.locks.replace(changed, expected_version=1)
    assert changed in tree.locks.scan(ALICE)
    with pytest.raises(VersionConflict):
        tree.locks.replace(changed, expected_version=1)
    with pytest.raises(VersionConflict):
        tree.locks.replace(replace(changed, account_id=BOB), expected_version=2)


def test_locks_are_removed_by_id(tree: Transaction) -> None:
    """Of one account only; once more does no harm."""
    every = [row.lock_id for row in (*tree.locks.scan(ALICE), *tree.locks.scan(BOB))]
    tree.locks.delete(ALICE, [])
    assert count(tree) == 6
    tree.locks.delete(ALICE, every[:2])
    tree.locks.delete(ALICE, every)
    tree.locks.delete(ALICE, every)
    assert [row.lock_id for row in tree.locks.scan(BOB)] == every[-1:]
    assert tree.locks.scan(ALICE) == []


def test_sweeping_removes_only_what_is_over(tree: Transaction) -> None:
    """A lock that was refreshed after it was found expired is live, and is left alone."""
    every = [row.lock_id for row in tree.locks.scan(ALICE)]
    tree.locks.delete(ALICE, every, expired_at=NOW)
    assert len(tree.locks.scan(ALICE)) == 4


def test_expired_locks_of_everybody(tree: Transaction) -> None:
    """At most so many at once; not of an account that is being deleted, which nobody can open any more."""
    assert [row.lock_id for row in tree.locks.expired(now=NOW, limit=10)] == [b"over".ljust(16, b"!")]
    assert len(tree.locks.expired(now=NOW + 1, limit=10)) == 6
    assert len(tree.locks.expired(now=NOW + 1, limit=4)) == 4
    tree._connection.exec_driver_sql(  # noqa: SLF001
        "UPDATE account SET state = 'deleted' WHERE account_id = ?", (ALICE,)
    )
    assert [row.account_id for row in tree.locks.expired(now=NOW + 1, limit=10)] == [BOB]


def test_a_lock_goes_with_its_node(tree: Transaction) -> None:
    """DELETE of a collection takes the locks in it along, and nobody else's."""
    tree.nodes.delete_subtree(ALICE, node_id("a"), now=NOW)
    assert [row.node_id for row in tree.locks.scan(ALICE)] == [node_id("z")]
    assert len(tree.locks.scan(BOB)) == 1


def test_a_lock_needs_its_node(tree: Transaction) -> None:
    """The database refuses a lock on nothing."""
    with pytest.raises(Exception, match="FOREIGN KEY"):
        tree.locks.insert(lock("new", "missing"))
