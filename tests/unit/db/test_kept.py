"""The table `kept`: found by age and by file, forgotten with its node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from davserver.db.engine import Transaction
from davserver.db.kept import Kept, KeptRow, Pair
from davserver.errors import CorruptRow
from davserver.model import ROOT_ID, TRASH_ID, KeptKind, NodeId
from tests.unit.db.conftest import ALICE, BOB
from tests.unit.db.test_nodes import add_blob, node_id, root, row


@pytest.fixture
def kept(tx: Transaction) -> Transaction:
    """t1, t2 and t3 came into the trash at 10, 20 and 20; the file f was v1 until 5 and v2 until 15."""
    content = add_blob(tx, "content", 7)
    tx.nodes.insert([root(), root(BOB), row("f", blob=content)])
    for name, moment in (("t1", 10), ("t2", 20), ("t3", 20)):
        tx.nodes.insert([row(name)._replace(parent_id=TRASH_ID)])
        tx.kept.insert(KeptRow(ALICE, node_id(name), KeptKind.TRASH.value, moment, 0))
    for name, moment in (("v1", 5), ("v2", 15)):
        tx.nodes.insert([row(name, "f", blob=content)])
        tx.kept.insert(KeptRow(ALICE, node_id(name), KeptKind.VERSION.value, moment, 7))
    return tx


def ids(pairs: list[Pair]) -> list[str]:
    """Names that the ids were made from."""
    return [pair[0].node_id.rstrip(b".").decode() for pair in pairs]


def test_the_trash_comes_newest_first_a_page_at_a_time(kept: Transaction) -> None:
    """Each entry once, those of one second too; previous versions are not in it."""
    found: list[str] = []
    after = None
    while page := kept.kept.trash(ALICE, after=after, limit=1):
        found += ids(page)
        after = (page[-1][0].kept_at, page[-1][0].node_id)
    assert found == ["t3", "t2", "t1"] == ids(kept.kept.trash(ALICE, after=None, limit=9))
    assert ids(kept.kept.trash(ALICE, after=(20, NodeId(b"")), limit=9)) == ["t1"]
    assert kept.kept.trash(BOB, after=None, limit=9) == []


def test_versions_are_found_by_their_file(kept: Transaction) -> None:
    """Newest first, with their rows."""
    assert ids(kept.kept.versions(ALICE, node_id("f"))) == ["v2", "v1"]
    assert kept.kept.versions(ALICE, node_id("f"))[1][1].parent_id == node_id("f")
    assert kept.kept.versions(ALICE, TRASH_ID) == []
    assert kept.kept.versions(BOB, node_id("f")) == []


def test_the_oldest_of_both_kinds(kept: Transaction) -> None:
    """Up to a moment, and those alone that take room, if only they are wanted."""
    assert ids(kept.kept.oldest(ALICE, limit=9)) == ["v1", "t1", "v2", "t2", "t3"]
    assert ids(kept.kept.oldest(ALICE, limit=2)) == ["v1", "t1"]
    assert ids(kept.kept.oldest(ALICE, until=10, limit=9)) == ["v1", "t1"]
    assert ids(kept.kept.oldest(ALICE, fewest=1, limit=9)) == ["v1", "v2"]
    assert kept.kept.oldest(BOB, limit=9) == []


def test_the_oldest_are_gone_through_once(kept: Transaction) -> None:
    """A page at a time, those of one second too."""
    found: list[str] = []
    after = None
    while page := kept.kept.oldest(ALICE, after=after, until=20, limit=2):
        found += ids(page)
        after = page[-1][0].position
    assert found == ["v1", "t1", "v2", "t2", "t3"]


@pytest.mark.parametrize(
    ("ask", "begins"),
    [
        (
            lambda table: table.versions(ALICE, node_id("f")),
            "node USING PRIMARY KEY (account_id=? AND parent_id=?)",
        ),
        (
            lambda table: table.oldest(ALICE, until=9, limit=1),
            "kept USING INDEX ix_kept_order (account_id=? AND (kept_at,node_id)>(?,?)",
        ),
        (
            lambda table: table.trash(ALICE, after=None, limit=1),
            "kept USING INDEX ix_kept_kind (account_id=? AND kind=?)",
        ),
        (
            lambda table: table.trash(ALICE, after=(9, node_id("t")), limit=1),
            "kept USING INDEX ix_kept_kind (account_id=? AND kind=? AND (kept_at,node_id)<(?,?)",
        ),
    ],
    ids=["versions", "oldest", "trash", "more trash"],
)
def test_nothing_goes_through_all_that_an_account_keeps(
    kept: Transaction, ask: Callable[[Kept], object], begins: str
) -> None:
    """As SQLite plans it: versions by their file, the trash and all of it by age, without sorting."""
    asked: list[tuple[str, Any]] = []
    driver: Any = kept.kept._driver  # noqa: SLF001
    driver._hearing += (lambda *args: asked.append(args[2:4]),)  # noqa: SLF001
    ask(kept.kept)
    ((sql, values),) = asked
    found = kept._connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", tuple(values)).all()  # noqa: SLF001
    plan = [step[3] for step in found]
    assert plan[0].startswith(f"SEARCH {begins}")
    assert not any("TEMP B-TREE" in step for step in plan)


def test_accounts_with_something_that_is_due(kept: Transaction) -> None:
    """Not those that are being deleted: their key is gone."""
    assert kept.kept.due(until=4) == []
    assert kept.kept.due(until=5) == [ALICE]
    kept._connection.exec_driver_sql("UPDATE account SET state = 'deleted'")  # noqa: SLF001
    assert (kept.kept.due(until=99), kept.kept.crowded(most=0)) == ([], [])


def test_files_with_too_many_versions(kept: Transaction) -> None:
    """More than so many; the trash is no file."""
    assert kept.kept.crowded(most=2) == []
    assert kept.kept.crowded(most=1) == [(ALICE, node_id("f"))]


def test_a_note_goes_with_its_node_or_alone(kept: Transaction) -> None:
    """Both ways."""
    kept.nodes.delete_one(ALICE, node_id("v1"))
    assert kept.kept.find(ALICE, node_id("v1")) is None
    kept.kept.delete(ALICE, node_id("t1"))
    assert kept.kept.find(ALICE, node_id("t1")) is None
    assert kept.nodes.by_id(ALICE, node_id("t1")) is not None
    assert ids(kept.kept.oldest(ALICE, limit=9)) == ["v2", "t2", "t3"]


def test_what_is_noted_is_gone_through_once(kept: Transaction) -> None:
    """In pages, in order of ids."""
    found: list[NodeId] = []
    after = NodeId(b"")
    while page := kept.kept.noted(ALICE, after=after, limit=2):
        found += page
        after = page[-1]
    assert found == [node_id(name) for name in ("t1", "t2", "t3", "v1", "v2")]


def test_nodes_of_which_nothing_is_noted(kept: Transaction) -> None:
    """In the trash or below a file; what lies inside of something in the trash needs no note."""
    assert kept.kept.unnoted(ALICE) == []
    kept.nodes.insert([row("inside", "t1"), row("plain"), row("lost", "nowhere")])
    assert kept.kept.unnoted(ALICE) == []
    kept.nodes.insert([row("t4")._replace(parent_id=TRASH_ID), row("v3", "f")])
    assert sorted(kept.kept.unnoted(ALICE)) == [node_id("t4"), node_id("v3")]
    assert kept.kept.unnoted(BOB) == []


def test_what_is_kept_is_not_counted_with_files_and_folders(kept: Transaction) -> None:
    """Nor is what lies inside of it; everything else is."""
    kept.nodes.insert([row("inside", "t1"), row("deep", "inside", blob=add_blob(kept, "deep", 1))])
    assert kept.summary.nodes_by_kind(ALICE) == {1: 1}
    kept.nodes.insert([row("c"), row("d", "c")])
    assert kept.summary.nodes_by_kind(ALICE) == {1: 1, 2: 2}


@pytest.mark.parametrize("column", ["kind", "kept_at", "bytes"])
def test_a_column_of_another_type_is_refused(kept: Transaction, column: str) -> None:
    """Which SQLite would keep."""
    kept._connection.exec_driver_sql(f"UPDATE kept SET {column} = x'00' WHERE node_id = ?", (node_id("t1"),))  # noqa: S608, SLF001
    with pytest.raises(CorruptRow):
        kept.kept.find(ALICE, node_id("t1"))


@pytest.mark.parametrize("column", ["kept_at", "bytes"])
def test_such_a_column_hides_no_other_row(kept: Transaction, column: str) -> None:
    """Where many are gone through: it is handed out, and says of itself that it is none of ours."""
    kept._connection.exec_driver_sql(f"UPDATE kept SET {column} = x'00' WHERE node_id = ?", (node_id("t2"),))  # noqa: S608, SLF001
    trash, after = [], None
    while page := kept.kept.trash(ALICE, after=after, limit=1):
        trash += page
        after = page[-1][0].position
    assert sorted(ids(trash)) == ["t1", "t2", "t3"]
    assert [pair[0].is_sound for pair in sorted(trash, key=lambda pair: pair[0].node_id)] == [
        True,
        False,
        True,
    ]
    assert {"v1", "t1", "v2", "t3"} <= set(ids(kept.kept.oldest(ALICE, limit=9)))


def test_an_altered_version_is_refused(kept: Transaction) -> None:
    """What a file was is asked for as a whole."""
    kept._connection.exec_driver_sql("UPDATE kept SET bytes = x'00' WHERE node_id = ?", (node_id("v1"),))  # noqa: SLF001
    with pytest.raises(CorruptRow):
        kept.kept.versions(ALICE, node_id("f"))


def test_no_node_has_the_id_of_the_trash(kept: Transaction) -> None:
    """Nor the root's: both are constants, all others random."""
    assert kept.nodes.by_id(ALICE, TRASH_ID) is None
    assert TRASH_ID != ROOT_ID
