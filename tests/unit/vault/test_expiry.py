"""What was kept for long enough, or is too much, is given up when garbage is collected, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from davserver.db.accounts import AccountRow
from davserver.errors import CorruptRow
from davserver.vault import expiry
from davserver.vault.access import Access
from davserver.vault.expiry import Expiry
from davserver.vault.maintenance import GcReport
from davserver.vault.paths import VaultPath
from tests.unit.vault.store import Drive, Store

LARGE = bytes(range(251)) * 300
NOTHING = GcReport(blobs=0, bytes=0, leftovers=0, copies=0, locks=0)
GRACE = timedelta(hours=1)


def test_it_is_kept_for_so_many_days_to_the_second(store: Store, alice: Drive) -> None:
    """Trash and versions; their contents are garbage from then on, and go after the grace."""
    alice.put("/f", LARGE)
    alice.put("/f", b"new")
    alice.put("/gone", b"gone")
    alice.delete("/gone")
    store.clock.advance(days=30, seconds=-1)
    assert store.collect() == NOTHING
    assert (alice.before("/f"), alice.kept()) == ([LARGE], {"/gone": b"gone"})
    store.clock.advance(seconds=1)
    report = store.collect(grace=GRACE)
    assert (report.kept, report.kept_bytes, report.blobs) == (2, len(LARGE) + 4, 0)
    assert (alice.before("/f"), alice.kept(), alice.used) == ([], {}, 3)
    assert store.collect(grace=GRACE) == NOTHING
    store.clock.advance(hours=1)
    assert store.collect(grace=GRACE).blobs == 2
    store.assert_tidy()


def test_what_is_younger_stays(store: Store, alice: Drive) -> None:
    """Of the same file, too."""
    for number in range(4):
        alice.put("/f", b"%d" % number)
        store.clock.advance(days=10)
    assert alice.before("/f") == [b"2", b"1", b"0"]
    assert store.collect().kept == 1
    assert alice.before("/f") == [b"2", b"1"]
    store.keep(keep_days=20)
    assert store.collect().kept == 1
    assert alice.before("/f") == [b"2"]


def test_a_version_may_be_due_before_the_trash_that_it_is_in(store: Store, alice: Drive) -> None:
    """It goes; the file in the trash stays, and what it counts is right."""
    alice.mkdir("/c")
    alice.put("/c/f", LARGE)
    alice.put("/c/f", b"new")
    store.clock.advance(days=20)
    alice.delete("/c")
    store.clock.advance(days=10)
    assert store.collect().kept == 1
    assert alice.used == 3
    store.assert_tidy()
    assert alice.undo("/c") == "/c"
    assert (alice.get("/c/f"), alice.before("/c/f")) == (b"new", [])


def test_all_of_a_collection_is_due_at_once(store: Store, alice: Drive) -> None:
    """With what its files were before."""
    alice.mkdir("/c")
    alice.put("/c/f", LARGE)
    alice.delete("/c")
    alice.mkdir("/c")
    alice.put("/c/f", b"1")
    alice.put("/c/f", b"2")
    alice.delete("/c")
    store.clock.advance(days=30)
    store.collect()
    assert (alice.used, alice.kept()) == (0, {})
    store.assert_tidy()


def test_a_file_in_the_trash_takes_its_versions_along_once(store: Store, alice: Drive) -> None:
    """Though all of them are due in the same step, in whatever order; nothing is counted twice."""
    for number in range(5):
        for content in (b"1", b"22", b"333"):
            alice.put(f"/{number}", content)
        alice.delete(f"/{number}")
    store.clock.advance(days=30)
    assert store.collect().kept_bytes == 5 * 6
    assert alice.used == 0
    store.assert_tidy()


def test_nothing_is_kept_if_the_setting_is_zero(store: Store, alice: Drive) -> None:
    """Not what is there from before, either."""
    alice.put("/f", b"1")
    alice.put("/f", b"2")
    alice.delete("/f")
    store.keep(keep_days=0)
    assert store.collect().kept_bytes == 2
    assert alice.used == 0


def test_a_share_of_the_quota_is_kept(store: Store, alice: Drive) -> None:
    """The oldest goes first, as much as is too much; without a quota there is no share."""
    for number in range(5):
        alice.put(f"/{number}", bytes(100))
        alice.delete(f"/{number}")
        store.clock.advance(seconds=1)
    store.clock.advance(days=1)
    assert store.collect() == NOTHING
    store.accounts.set_quota("alice", 500)
    assert store.collect().kept == 3
    assert list(alice.kept()) == ["/3", "/4"]
    store.keep(max_share=1)
    assert store.collect() == NOTHING
    store.keep(max_share=0.39)
    assert store.collect().kept == 1
    store.keep(max_share=0)
    assert store.collect().kept == 1
    assert alice.kept() == {}
    store.assert_tidy()


def test_no_more_is_kept_than_there_is_room_for(store: Store, alice: Drive) -> None:
    """When the quota was lowered, or was passed by a MOVE that kept what it replaced."""
    alice.put("/live", bytes(100))
    for number in range(3):
        alice.put(f"/{number}", bytes(10))
        alice.delete(f"/{number}")
        store.clock.advance(seconds=1)
    store.clock.advance(days=1)
    store.accounts.set_quota("alice", 115)
    assert store.collect().kept == 2
    assert list(alice.kept()) == ["/2"]
    store.accounts.set_quota("alice", 50)
    assert store.collect().kept == 1
    assert alice.used == 100


@pytest.mark.parametrize("quota", [1000, 400], ids=["more than the share", "over the quota"])
def test_what_was_deleted_today_is_still_there_tomorrow(store: Store, alice: Drive, quota: int) -> None:
    """However much it is: nobody needs the room. What is older goes; a write that needs room takes it."""
    alice.put("/old", bytes(300))
    alice.delete("/old")
    store.clock.advance(days=2)
    alice.mkdir("/photos")
    alice.put("/photos/1", bytes(600))
    alice.put("/live", bytes(50))
    store.accounts.set_quota("alice", quota)
    alice.delete("/photos")
    store.clock.advance(hours=1)
    assert store.collect().kept_bytes == 300
    store.clock.advance(hours=23, seconds=-1)
    assert store.collect() == NOTHING
    assert list(alice.kept()) == ["/photos"]
    if quota == 400:
        alice.put("/new", bytes(350))
    else:
        store.clock.advance(seconds=1)
        assert store.collect().kept_bytes == 600
    assert alice.kept() == {}
    store.assert_tidy()


def test_so_many_versions_of_a_file_are_kept(store: Store, alice: Drive, bob: Drive) -> None:
    """The latest; of each file for itself, also of one in the trash."""
    for drive, path in ((alice, "/a"), (alice, "/b"), (bob, "/a")):
        for number in range(6 if path == "/a" else 3):
            drive.put(path, b"%d" % number)
            store.clock.advance(seconds=1)
    store.keep(max_versions=2)
    bob.delete("/a")
    assert store.collect().kept == 2 * 3
    assert (alice.before("/a"), alice.before("/b")) == ([b"4", b"3"], [b"1", b"0"])
    bob.undo("/a")
    assert bob.before("/a") == [b"4", b"3"]
    store.keep(max_versions=0)
    store.collect()
    assert (alice.before("/a"), alice.before("/b"), bob.before("/a")) == ([], [], [])
    store.assert_tidy()


def test_in_small_steps(store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is due; one collection at a time."""
    monkeypatch.setattr(expiry, "BATCH_KEPT", 2)
    for number in range(5):
        alice.put(f"/{number}", b"x")
        alice.delete(f"/{number}")
    for number in range(2):
        alice.mkdir(f"/c{number}")
        alice.delete(f"/c{number}")
    store.clock.advance(days=30)
    with store.tripwire.armed() as steps:
        assert store.collect(grace=GRACE).kept == 7
    assert steps.count("commit") >= 4
    assert alice.kept() == {}
    store.assert_tidy()


def test_accounts_that_cannot_be_used_are_gone_through(store: Store, alice: Drive) -> None:
    """Suspended or not: what is due goes."""
    alice.put("/f", b"x")
    alice.delete("/f")
    store.accounts.suspend("alice")
    store.clock.advance(days=30)
    assert store.collect().kept == 1


def test_an_account_that_is_being_deleted_is_left_alone(store: Store, alice: Drive) -> None:
    """Its key is gone; its rows are removed by the deletion."""
    alice.put("/f", b"x")
    alice.delete("/f")
    store.clock.advance(days=30)
    store.sql("UPDATE account SET state = 'deleted' WHERE username = 'alice'")
    assert store.collect() == NOTHING
    assert store.sql("SELECT count(*) FROM kept") == [(1,)]


def test_an_account_that_goes_meanwhile(store: Store, alice: Drive) -> None:
    """Between the look and the work: no error."""
    alice.put("/f", b"x")
    alice.delete("/f")
    store.clock.advance(days=30)
    store.database.after_read = lambda: store.sql("DELETE FROM account WHERE username = 'alice'")
    run = Expiry(store.database, store.clock, _nobody, store.vaults.limits.history).run()
    assert (run.gone.count, run.error) == (0, None)


@pytest.mark.parametrize("is_gone", [False, True])
@pytest.mark.parametrize("reads", range(12))
def test_an_account_that_is_deleted_while_garbage_is_collected(
    store: Store, alice: Drive, bob: Drive, reads: int, *, is_gone: bool
) -> None:
    """After whichever look: nothing of it counts as altered, and the other account is gone through."""
    for drive in (alice, bob):
        drive.put("/f", b"x")
        drive.delete("/f")
        drive.lock("/locked")
        drive.vault.parts.begin(VaultPath.parse("/up"), size=10, modified_ns=0)
    store.clock.advance(days=30)

    def delete_after(left: int) -> None:
        if left:
            store.database.after_read = partial(delete_after, left - 1)
        else:
            store.sql("UPDATE account SET state = 'deleted', wrapped_key = NULL WHERE username = 'alice'")
            for table in ("kept", "lock", "node", "account") if is_gone else ():
                store.sql(f"DELETE FROM {table} WHERE account_id = ?", alice.principal.account.id)  # noqa: S608
            store.keyring._cached.clear()  # noqa: SLF001 - as in another process

    store.database.after_read = partial(delete_after, reads)
    store.collect()
    assert store.database.after_read is None, "it was deleted meanwhile"
    for table in ("kept", "lock"):
        left = store.sql(f"SELECT count(*) FROM {table} WHERE account_id = ?", bob.principal.account.id)  # noqa: S608
        assert left == [(0,)]
    assert bob.vault.parts.all() == []


@pytest.mark.parametrize("column", ["kept_at", "bytes", "kind"])
def test_what_the_table_says_alone_is_not_believed(
    store: Store, alice: Drive, bob: Drive, column: str
) -> None:
    """An altered note removes nothing: the error is told, after all the rest was done."""
    for drive in (alice, bob):
        drive.put("/f", LARGE)
        drive.delete("/f")
    if column == "kept_at":
        store.sql("UPDATE kept SET kept_at = 0 WHERE account_id = ?", alice.principal.account.id)
    else:
        store.sql(f"UPDATE kept SET {column} = 2 WHERE account_id = ?", alice.principal.account.id)  # noqa: S608
        store.clock.advance(days=30)
    with pytest.raises(CorruptRow):
        store.collect()
    assert store.sql("SELECT count(*) FROM node WHERE blob_id IS NOT NULL") == [
        (2 if column == "kept_at" else 1,)
    ]
    assert len(store.stored()) == (2 if column == "kept_at" else 1)
    assert store.sql("SELECT count(*) FROM kept WHERE account_id = ?", alice.principal.account.id) == [(1,)]


@pytest.mark.parametrize(
    ("column", "value"), [("kind", 3), ("kind", "x'00'"), ("bytes", 3), ("bytes", "x'00'"), ("kept_at", 3)]
)
def test_an_altered_note_does_not_keep_the_others(
    store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch, column: str, value: object
) -> None:
    """Of the same account, of the same file, and in a later step: they go, then the error is told."""
    monkeypatch.setattr(expiry, "BATCH_KEPT", 1)
    ids = []
    for name in "abcd":
        alice.put(f"/{name}", bytes(9))
        ids.append(alice.stat(f"/{name}").id)
        alice.delete(f"/{name}")
        store.clock.advance(seconds=1)
    for number in range(4):
        alice.put("/f", b"%d" % number)
    for node_id in (*ids[:2], alice.vault.versions(VaultPath.parse("/f"))[1].id):
        store.sql(f"UPDATE kept SET {column} = {value} WHERE node_id = ?", node_id)  # noqa: S608
    store.clock.advance(days=30)
    with pytest.raises(CorruptRow):
        store.collect()
    assert store.sql("SELECT count(*) FROM kept") == [(3,)]
    assert store.sql("SELECT count(*) FROM node WHERE node_id IN (?, ?)", *ids[:2]) == [(2,)]


def test_a_note_on_a_file_that_is_there_removes_nothing(store: Store, alice: Drive) -> None:
    """Whoever can write to the database cannot have a live file given up by it."""
    node = alice.put("/f", LARGE).node
    values = (node.account_id, node.id)
    for kind in (1, 2):
        store.sql("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, 0, ?)", *values, kind, node.size)
        with pytest.raises(CorruptRow):
            store.collect()
        assert alice.get("/f") == LARGE
        assert [one.finding.name for one in store.problems()] == ["KEPT_ALTERED"]


@pytest.mark.parametrize("forged", ["trash", "version"])
def test_a_node_that_was_moved_there_without_a_key_removes_nothing(
    store: Store, alice: Drive, forged: str
) -> None:
    """Its row does not authenticate where it stands."""
    alice.put("/f", LARGE)
    alice.put("/other", b"x")
    alice.delete("/other")
    alice.put("/third", b"x")
    node, trash = alice.stat("/f"), store.sql("SELECT parent_id FROM node JOIN kept USING (node_id)")[0][0]
    parent = trash if forged == "trash" else alice.stat("/third").id
    store.sql("UPDATE node SET parent_id = ? WHERE node_id = ?", parent, node.id)
    store.sql("INSERT INTO kept VALUES (?, ?, ?, 0, ?)", node.account_id, node.id, 1 + (forged != "trash"), 5)
    with pytest.raises(CorruptRow):
        store.collect()
    assert store.sql("SELECT count(*) FROM node WHERE node_id = ?", node.id) == [(1,)]
    assert len(store.stored()) == 1


def _nobody(_account: AccountRow) -> Access:
    raise AssertionError("there is no such account any more")
