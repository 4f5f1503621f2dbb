"""How many statements each request costs: exact numbers, so that one more is a decision, not an accident."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.vault.tree import LISTING_PAGE
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import Drive, Store


def cost(store: Store, action: Callable[[], object]) -> tuple[int, int]:
    """Statements (without BEGIN) and commits of an action."""
    with store.tripwire.armed() as steps:
        action()
    statements = [step for step in steps if step.startswith("sql") and not step.startswith("sql BEGIN")]
    return len(statements), steps.count("commit")


@pytest.fixture
def full(alice: Drive) -> Drive:
    """Three collections inside each other, with a file in the innermost."""
    for path in ("/a", "/a/b", "/a/b/c"):
        alice.mkdir(path)
    alice.put("/a/b/c/f", b"f")
    alice.put("/a/g", bytes(RUN_BYTES))
    return alice


@pytest.mark.parametrize(
    ("path", "statements"), [("/", 1), ("/a", 1), ("/a/b", 2), ("/a/b/c/f", 4), ("/missing/x/y", 1)]
)
def test_finding_costs_one_statement_a_name(store: Store, full: Drive, path: str, statements: int) -> None:
    """And one for the root only if the root is asked for."""
    assert cost(store, lambda: full.find(path)) == (statements, 0)


def test_a_device_with_a_folder_pays_one_more(store: Store, full: Drive) -> None:
    """Its root has to be looked up, because it may be gone."""
    device = full.narrowed(root="/a/b")
    assert cost(store, lambda: device.find("/")) == (1, 0)
    assert cost(store, lambda: device.find("/c/f")) == (3, 0)


@pytest.mark.parametrize(
    ("children", "pages"), [(0, 1), (1, 1), (LISTING_PAGE - 1, 1), (LISTING_PAGE + 1, 2)]
)
def test_a_listing_costs_one_statement_a_thousand(
    store: Store, full: Drive, children: int, pages: int
) -> None:
    """Whatever the children are."""
    full.mkdir("/many")
    full.plant("/many", [f"n{number}" for number in range(children)])
    many = full.stat("/many")
    assert cost(store, lambda: list(full.vault.listing(many))) == (pages, 0)


@pytest.mark.parametrize("path", ["/a/b/c/f", "/a/g"])
def test_opening_a_file_costs_one_statement(store: Store, full: Drive, path: str) -> None:
    """Row and small content together."""
    node = full.stat(path)
    assert cost(store, lambda: full.vault.read(node).close()) == (1, 0)


COSTS: dict[str, tuple[Callable[[Drive], object], int, int]] = {
    # before the body: path 2, locks, quota; commit: path 2, locks, blob, inline bytes, node, quota
    "put new small": (lambda drive: drive.put("/a/new", b"1"), 11, 1),
    # as above, and the old blob marked
    "put over small": (lambda drive: drive.put("/a/b/c/f", b"1"), 16, 1),
    # as new small, but staged first and published instead of inserted
    "put new large": (lambda drive: drive.put("/a/new", bytes(3 * RUN_BYTES)), 11, 2),
    "put over large": (lambda drive: drive.put("/a/g", bytes(RUN_BYTES)), 12, 2),
    "mkdir": (lambda drive: drive.mkdir("/a/new"), 4, 1),
    "times": (lambda drive: drive.times("/a/b", modified_ns=0), 4, 1),
    # paths 2 + 2, locks, row
    "move file": (lambda drive: drive.move("/a/g", "/a/h"), 6, 1),
    # paths 2 + 2, locks, ancestors, row, structure version
    "move collection": (lambda drive: drive.move("/a/b", "/a/h"), 8, 1),
    # source twice 2 + 2, target 2, locks, blob kept, row, properties, quota
    "copy file": (lambda drive: drive.copy("/a/g", "/a/h"), 11, 1),
    # path 2, locks, mark blobs, rows, quota
    "delete file": (lambda drive: drive.delete("/a/g"), 6, 1),
    # as a file, and its bytes counted, structure version
    "delete collection": (lambda drive: drive.delete("/a/b"), 8, 1),
}


@pytest.mark.parametrize(("action", "statements", "commits"), COSTS.values(), ids=COSTS)
def test_what_a_change_costs(
    store: Store, full: Drive, action: Callable[[Drive], object], statements: int, commits: int
) -> None:
    """Bounded by the depth of the path, whatever lies below; one commit, or two for what is staged."""
    assert cost(store, lambda: action(full)) == (statements, commits)


@pytest.mark.parametrize("verb", ["move", "delete"])
def test_a_large_tree_costs_no_more(store: Store, full: Drive, verb: str) -> None:
    """MOVE and DELETE do not look at each node."""
    full.plant("/a/b/c", [f"n{number}" for number in range(300)])
    if verb == "move":
        assert cost(store, lambda: full.move("/a/b", "/a/h")) == (8, 1)
    else:
        assert cost(store, lambda: full.delete("/a/b")) == (8, 1)


def test_a_copy_costs_a_statement_a_collection(store: Store, full: Drive) -> None:
    """Not one a file: 300 more of them change nothing."""
    full.mkdir("/flat")
    for number in range(3):
        full.put(f"/flat/{number}", b"x")
    few = cost(store, lambda: full.copy("/flat", "/few"))
    for number in range(3, 30):
        full.put(f"/flat/{number}", b"x")
    many = cost(store, lambda: full.copy("/flat", "/many"))
    assert few == many


def test_an_upload_in_pieces_costs_nothing_while_it_lasts(store: Store, full: Drive) -> None:
    """One row when the first bytes are stored, then none until the commit, unless a heartbeat is due."""
    with full.begin("/big") as upload:
        upload.write(bytes(RUN_BYTES + 1))
        assert cost(store, lambda: upload.write(bytes(4 * RUN_BYTES))) == (0, 0)
        upload.commit()
