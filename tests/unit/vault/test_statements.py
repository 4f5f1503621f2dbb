"""How many statements each request costs: exact numbers, so that one more is a decision, not an accident.

Whole requests, with authentication, are counted in tests/unit/dav/test_statements.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.vault.moment import Demands, Look
from davserver.vault.paths import VaultPath
from davserver.vault.tree import LISTING_PAGE
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import Drive, Store


def cost(store: Store, action: Callable[[], object]) -> tuple[int, int]:
    """Statements (without BEGIN) and commits of an action."""
    with store.tripwire.armed() as steps:
        action()
    statements = [step for step in steps if step.startswith("sql") and not step.startswith("sql BEGIN")]
    return len(statements), steps.count("commit")


def forget(store: Store, drive: Drive) -> None:
    """Let the process know nothing of the account's collections, as after its start."""
    store.directories.forget(drive.principal.account.id)


@pytest.fixture
def full(alice: Drive) -> Drive:
    """Three collections inside each other, with a file in the innermost; this process knows them."""
    for path in ("/a", "/a/b", "/a/b/c"):
        alice.mkdir(path)
    alice.put("/a/b/c/f", b"f")
    alice.put("/a/g", bytes(RUN_BYTES))
    alice.put("/a/e")
    return alice


@pytest.mark.parametrize(
    ("path", "cold", "warm"),
    [("/", 1, 1), ("/a", 1, 1), ("/a/b", 2, 1), ("/a/b/c/f", 4, 1), ("/a/b/c/x/y", 4, 1), ("/x/y", 1, 1)],
)
def test_finding_costs_one_statement_a_name(
    store: Store, full: Drive, path: str, cold: int, warm: int
) -> None:
    """Less those of known collections; one for the root only if the root is asked for."""
    assert cost(store, lambda: full.find(path)) == (warm, 0)
    forget(store, full)
    assert cost(store, lambda: full.find(path)) == (cold, 0)
    assert cost(store, lambda: full.find(path)) == (warm, 0)


def test_only_moved_and_deleted_collections_cost_new_looks(store: Store, full: Drive) -> None:
    """What is known stays known whatever else is written: new collections, files, times, copies."""
    full.mkdir("/new")
    full.put("/a/b/c/f", b"other")
    full.move("/a/g", "/g")
    full.delete("/g")
    full.times("/a", modified_ns=0)
    full.copy("/a/b", "/copy")
    assert cost(store, lambda: full.find("/a/b/c/f")) == (1, 0)
    full.move("/copy", "/moved")
    assert cost(store, lambda: full.find("/a/b/c/f")) == (1 + 4, 0)
    full.delete("/moved")
    assert cost(store, lambda: full.find("/a/b/c/f")) == (1 + 4, 0)


def test_a_device_with_a_folder_pays_one_more(store: Store, full: Drive) -> None:
    """Its root has to be looked up, because it may be gone; on the way to something else it is known, too."""
    device = full.narrowed(root="/a/b")
    forget(store, full)
    assert cost(store, lambda: device.find("/")) == (1, 0)
    assert cost(store, lambda: device.find("/c/f")) == (3, 0)
    assert cost(store, lambda: device.find("/c/f")) == (1, 0)
    assert cost(store, lambda: device.find("/")) == (1, 0)


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
    # before the body: the name; commit: the name, blob, inline bytes, node, quota
    "put new small": (lambda drive: drive.put("/a/new", b"1"), 6, 1),
    # as new small, and what was there is kept: node, note
    "put over small": (lambda drive: drive.put("/a/b/c/f", b"1"), 8, 1),
    # nothing of it is; that the old blob is unreferenced is written with the new one
    "put over empty": (lambda drive: drive.put("/a/e", b"1"), 6, 1),
    # as new small, but staged first and published instead of inserted
    "put new large": (lambda drive: drive.put("/a/new", bytes(3 * RUN_BYTES)), 6, 2),
    # as new large, and what was there is kept
    "put over large": (lambda drive: drive.put("/a/g", bytes(RUN_BYTES)), 8, 2),
    "mkdir": (lambda drive: drive.mkdir("/a/new"), 2, 1),
    "times": (lambda drive: drive.times("/a/b", modified_ns=0), 2, 1),
    # two names, row
    "move file": (lambda drive: drive.move("/a/g", "/a/h"), 3, 1),
    # two names, ancestors, row, structure version
    "move collection": (lambda drive: drive.move("/a/b", "/a/h"), 5, 1),
    # two names, what was there is kept (node, note, what it was before, its row, quota), row
    "move over file": (lambda drive: drive.move("/a/g", "/a/b/c/f", overwrite=True), 8, 1),
    # two names, what was there is kept (bytes, row, note, quota), its ancestors, row
    "move over collection": (lambda drive: drive.move("/a/g", "/a/b", overwrite=True), 8, 1),
    # source twice, target, blob kept, row, properties, quota
    "copy file": (lambda drive: drive.copy("/a/g", "/a/h"), 7, 1),
    # name, row, note, quota
    "delete file": (lambda drive: drive.delete("/a/g"), 4, 1),
    # name, bytes counted, row, note, quota and structure version
    "delete collection": (lambda drive: drive.delete("/a/b"), 5, 1),
    # name, row
    "lock": (lambda drive: drive.lock("/a/g"), 2, 1),
    "lock tree": (lambda drive: drive.lock("/a/b", infinite=True), 2, 1),
    # as lock, and the file: blob, inline bytes, node, quota
    "lock new": (lambda drive: drive.lock("/a/new"), 6, 1),
    # name, names of properties, deleted, inserted
    "properties": (lambda drive: drive.patch("/a/g", {"a": "1", "b": "2", "c": None}), 4, 1),
    "only remove properties": (lambda drive: drive.patch("/a/g", {"a": None}), 3, 1),
}


@pytest.mark.parametrize(("action", "statements", "commits"), COSTS.values(), ids=COSTS)
def test_what_a_change_costs(
    store: Store, full: Drive, action: Callable[[Drive], object], statements: int, commits: int
) -> None:
    """The same at any depth and whatever lies below; one commit, or two for what is staged."""
    assert cost(store, lambda: action(full)) == (statements, commits)


LOCKED: dict[str, tuple[Callable[[Drive], object], int]] = {
    "put new small": (lambda drive: drive.put("/a/new", b"1"), 6 + 2),
    "put over small": (lambda drive: drive.put("/a/b/c/f", b"1"), 8 + 2),
    "mkdir": (lambda drive: drive.mkdir("/a/new"), 2 + 1),
    "move file": (lambda drive: drive.move("/a/g", "/a/h"), 3 + 1),
    "delete collection": (lambda drive: drive.delete("/a/b"), 5 + 1),
    "lock": (lambda drive: drive.lock("/a/g"), 2 + 2),  # and how many there are
}


@pytest.mark.parametrize(("action", "statements"), LOCKED.values(), ids=LOCKED)
def test_where_the_account_has_a_lock_it_costs_a_look(
    store: Store, full: Drive, action: Callable[[Drive], object], statements: int
) -> None:
    """One in each transaction, wherever the lock is."""
    full.lock("/elsewhere")
    assert cost(store, lambda: action(full))[0] == statements


def test_locks_of_others_and_locks_that_ended_cost_nothing(store: Store, full: Drive) -> None:
    """They are in nobody's way."""
    full.lock("/elsewhere", seconds=10)
    store.clock.advance(seconds=10)
    store.drive("bob").lock("/elsewhere")
    assert cost(store, lambda: full.put("/a/new", b"1")) == (6, 1)


@pytest.mark.parametrize("verb", ["move", "delete"])
def test_a_large_tree_costs_no_more(store: Store, full: Drive, verb: str) -> None:
    """MOVE and DELETE do not look at each node."""
    full.plant("/a/b/c", [f"n{number}" for number in range(300)])
    if verb == "move":
        assert cost(store, lambda: full.move("/a/b", "/a/h")) == (5, 1)
    else:
        assert cost(store, lambda: full.delete("/a/b")) == (5, 1)


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


def test_a_lock_costs_nothing_more_where_many_are(store: Store, full: Drive) -> None:
    """Nor does a change that has to look for those below, or a listing that shows them."""
    full.mkdir("/a/many")
    full.plant("/a/many", [f"n{number}" for number in range(30)])
    few = [full.lock("/a/many/n0")]
    actions: dict[str, Callable[[], object]] = {
        "lock": lambda: few.append(full.lock("/a/many/n1")),
        "times": lambda: full.times("/a/many", modified_ns=1),
        "locks": lambda: full.vault.locks(VaultPath(("a", "many")), members=True),
        "mkdir": lambda: full.mkdir(f"/a/many/{len(few)}"),
    }
    before = {name: cost(store, action) for name, action in actions.items()}
    full.unlock("/a/many/n1", few.pop())
    few += [full.lock(f"/a/many/n{number}") for number in range(2, 30)]
    assert {name: cost(store, action) for name, action in actions.items()} == before
    assert before["locks"] == (3, 0)  # the name, its locks, those of its members
    assert cost(store, lambda: full.delete("/a/many", tokens=few)) == (8, 1)


def test_what_ends_a_lock_costs(store: Store, full: Drive) -> None:
    """Path, locks, its row, and whether the file is one that only the lock has kept."""
    token = full.lock("/a/g")
    refreshed = Demands(tokens=frozenset({token}))
    path = VaultPath(("a", "g"))
    assert cost(store, lambda: full.vault.refresh_lock(path, 9, refreshed)) == (4, 1)  # name, locks, row 2
    assert cost(store, lambda: full.unlock("/a/g", token)) == (4, 1)
    token = full.lock("/a/new")
    # name, is it over?, locks, row, the file, is it over?, blob marked, row
    assert cost(store, lambda: full.unlock("/a/new", token)) == (8, 1)


def test_a_device_with_a_folder_looks_above_it_once(store: Store, full: Drive) -> None:
    """For locks that reach down to it: root, the name, what is above, the locks."""
    forget(store, full)
    device = full.narrowed(root="/a/b")
    full.lock("/a", infinite=True)
    assert cost(store, lambda: device.locks("/c")) == (4, 0)


def test_several_paths_of_one_condition_cost_a_look_each(store: Store, full: Drive) -> None:
    """Each resource once, however often a condition asks for it."""

    def judge(look: Look) -> None:
        for _ in range(5):
            for name in ("a", "b", "c"):
                look(VaultPath((name,))).is_locked_with("urn:uuid:1")

    assert cost(store, lambda: full.vault.check(Demands(judge))) == (3, 0)
    full.lock("/elsewhere")
    assert cost(store, lambda: full.vault.check(Demands(judge))) == (3 + 1, 0)  # names, and locks


def test_members_with_properties_cost_two_a_page(store: Store, full: Drive) -> None:
    """Their sizes and their values, however many members have some."""
    node = full.stat("/a")
    full.patch("/a/g", {"a": "1"})
    one = cost(store, lambda: list(full.vault.listing_with_properties(node)))
    full.patch("/a/b", {"a": "1", "b": "2"})
    assert cost(store, lambda: list(full.vault.listing_with_properties(node))) == one == (3, 0)
