"""What files were before: kept whenever a content is replaced, handed on, given back, removed for good."""

from __future__ import annotations

import pytest

from davserver.errors import (
    Locked,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    WrongKind,
)
from davserver.model import Node, NodeId
from davserver.vault import copying
from davserver.vault.paths import VaultPath
from tests.unit.vault.store import Drive, Store

LARGE = bytes(range(251)) * 300  # more than one chunk

at = VaultPath.parse


@pytest.fixture
def full(store: Store, alice: Drive) -> Drive:
    """/f was "one", then LARGE, and is "three" now, each a minute after the other; /c and /c/g."""
    alice.mkdir("/c")
    alice.put("/c/g", b"other")
    for number, content in enumerate((b"one", LARGE, b"three")):
        alice.put("/f", content, modified_ns=number, keep=frozenset({"SHA1", "MD5"}))
        store.clock.advance(minutes=1)
    alice.patch("/f", {"a": "1"})
    return alice


def facts(node: Node) -> tuple[object, ...]:
    """What a content says of itself."""
    return node.size, node.etag, node.modified_ns, node.sha1, node.md5


# ── kept ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_each_content_is_kept_as_it_was(store: Store, full: Drive) -> None:
    """Newest first, with all that it says of itself, under the name that the file had."""
    assert full.before("/f") == [LARGE, b"one"]
    full.put("/f", b"four")
    store.clock.advance(minutes=1)
    was = full.stat("/f")
    full.move("/f", "/renamed")
    full.put("/renamed", b"five")
    versions = full.vault.versions(at("/renamed"))
    assert [one.node.size for one in versions] == [4, 5, len(LARGE), 3]
    assert [one.node.name for one in versions] == ["renamed", "f", "f", "f"]
    assert facts(versions[0].node) == facts(was)
    assert {one.file_id for one in versions} == {was.id}
    assert len({one.id for one in versions} | {was.id}) == 5
    assert [one.replaced_ns - versions[3].replaced_ns for one in versions[:3]] == [
        180 * 10**9,
        120 * 10**9,
        60 * 10**9,
    ]
    assert full.vault.version(at("/renamed"), versions[1].id) == versions[1]
    store.assert_tidy()


def test_they_count_in_full_and_are_apart(full: Drive) -> None:
    """As copies do; of each file its own."""
    assert (full.live, full.used) == (5 + 5, 5 + 5 + len(LARGE) + 3)
    assert full.before("/c/g") == []


def test_a_time_and_a_property_are_no_content(full: Drive) -> None:
    """Nothing is kept of what they replace."""
    full.times("/f", modified_ns=77)
    full.patch("/f", {"a": "2"})
    assert full.before("/f") == [LARGE, b"one"]


@pytest.mark.parametrize("size", [10, len(LARGE)])
def test_an_empty_file_is_not_worth_it(store: Store, alice: Drive, size: int) -> None:
    """Editors and some clients write one first; what it was before stays."""
    alice.put("/f", bytes(size))
    alice.put("/f")
    alice.put("/f", b"new")
    store.clock.advance(seconds=1)
    assert alice.before("/f") == [bytes(size)]
    alice.put("/tmp")
    alice.move("/tmp", "/f", overwrite=True)
    alice.put("/f", b"newer")
    assert alice.before("/f") == [b"new", bytes(size)]
    store.assert_tidy()


def test_a_file_that_a_lock_has_made_is_not_worth_it(alice: Drive) -> None:
    """As it is empty."""
    token = alice.lock("/f")
    alice.put("/f", b"content", tokens=[token])
    assert alice.before("/f") == []


def test_an_upload_that_is_refused_keeps_nothing(store: Store, full: Drive) -> None:
    """Nor one that is given up."""

    def refuse(_node: Node | None) -> None:
        if full.stat("/c").version:  # at the beginning as well
            raise PreconditionFailed("no")

    with pytest.raises(PreconditionFailed):
        full.put("/f", b"new", condition=refuse)
    with full.begin("/f") as upload:
        upload.write(LARGE)
    assert full.before("/f") == [LARGE, b"one"]
    store.assert_tidy()


def test_none_are_kept_if_the_setting_says_so(store: Store, full: Drive) -> None:
    """The trash is another matter."""
    store.keep(max_versions=0)
    full.put("/f", b"four")
    full.put("/new", b"new")
    full.move("/c/g", "/new", overwrite=True)
    assert (full.before("/f"), full.before("/new")) == ([LARGE, b"one"], [])
    full.delete("/new")
    assert full.undo("/new") == "/new"
    full.move("/new", "/f", overwrite=True)
    assert full.before("/f") == [], "those from before go when they would have to be moved"
    store.assert_tidy()


# ── handed on ───────────────────────────────────────────────────────────────────────────────────────────────
def test_a_program_that_saves_by_renaming_loses_nothing(store: Store, full: Drive) -> None:
    """KeePass does: what was there, and what that was before, is what the new file was before."""
    properties = full.properties("/f")
    full.put("/f.tmp", b"four")
    full.move("/f.tmp", "/f", overwrite=True)
    assert full.get("/f") == b"four"
    assert full.before("/f") == [b"three", LARGE, b"one"]
    assert properties != full.properties("/f") == {}, "properties are the new file's (RFC 4918, 9.9.3)"
    assert store.sql("SELECT count(*) FROM property") == [(0,)]
    store.clock.advance(minutes=1)
    full.put("/f.tmp", b"five")
    full.move("/f.tmp", "/f", overwrite=True)
    assert full.before("/f") == [b"four", b"three", LARGE, b"one"]
    assert full.kept() == {}
    store.assert_tidy()


def test_both_pasts_are_put_together(store: Store, full: Drive) -> None:
    """In the order of time."""
    full.put("/c/g", b"other 2")
    store.clock.advance(minutes=1)
    full.put("/f", b"four")
    store.clock.advance(minutes=1)
    full.move("/c/g", "/f", overwrite=True)
    assert full.before("/f") == [b"four", b"three", b"other", LARGE, b"one"]
    store.assert_tidy()


def test_a_copy_has_no_past_and_takes_over_that_of_its_target(store: Store, full: Drive) -> None:
    """The source keeps its own."""
    full.copy("/f", "/new")
    assert full.before("/new") == []
    full.copy("/c/g", "/f", overwrite=True)
    assert (full.get("/f"), full.get("/c/g")) == (b"other", b"other")
    assert full.before("/f") == [b"three", LARGE, b"one"]
    assert full.before("/c/g") == []
    store.assert_tidy()


def test_a_copy_of_a_collection_takes_no_past_along(
    store: Store, full: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is copied: only what paths lead to."""
    full.move("/f", "/c/f")
    full.copy("/c", "/d")
    monkeypatch.setattr(copying, "BATCH_NODES", 2)
    full.copy("/c", "/e")
    for folder in ("/d", "/e"):
        assert full.tree(folder) == {f"{folder}/f": b"three", f"{folder}/g": b"other"}
        assert full.before(f"{folder}/f") == []
    assert full.before("/c/f") == [LARGE, b"one"]
    assert full.live == 3 * 10
    store.assert_tidy()


def test_versions_do_not_make_a_collection_too_large_to_copy(
    full: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what paths lead to is counted."""
    monkeypatch.setattr(copying, "MAX_NODES", 2)
    full.delete("/c/g")
    full.move("/f", "/c/f")
    full.copy("/c", "/d")
    assert full.names("/d") == ["f"]


def test_of_very_many_the_latest_are_handed_on(store: Store, full: Drive) -> None:
    """Else a program that saves like this all day would make each save slower than the one before."""
    store.keep(max_versions=3)
    for number in range(6):
        full.put("/f", b"%d" % number)
        store.clock.advance(seconds=1)
    assert len(full.before("/f")) == 8
    full.put("/tmp", b"new")
    full.move("/tmp", "/f", overwrite=True)
    assert full.before("/f") == [b"5", b"4", b"3"]
    store.assert_tidy()
    full.put("/empty")
    full.move("/f", "/empty", overwrite=True)
    assert full.before("/empty") == [b"5", b"4", b"3"]


def test_saving_all_day_does_not_push_out_what_a_file_was_before_that_day(store: Store, full: Drive) -> None:
    """The number alone never takes the latest version that is older than a day, by whichever way."""
    store.keep(max_versions=2)
    store.clock.advance(days=1)
    for number in range(4):
        full.put("/tmp", b"%d" % number)
        full.move("/tmp", "/f", overwrite=True)
        store.clock.advance(minutes=1)
        full.put("/f", b"%d again" % number)
        store.clock.advance(minutes=1)
    assert LARGE in full.before("/f")
    store.collect()
    assert full.before("/f") == [b"3", b"2 again", LARGE]
    store.clock.advance(days=1)
    store.collect()
    assert full.before("/f") == [b"3", b"2 again"]
    store.assert_tidy()


def test_they_follow_their_file(store: Store, full: Drive) -> None:
    """Wherever it is moved, with its collection or alone, to the trash and back."""
    full.move("/f", "/c/f")
    full.move("/c", "/d")
    assert full.before("/d/f") == [LARGE, b"one"]
    full.delete("/d/f")
    full.undo("/d/f")
    assert full.before("/d/f") == [LARGE, b"one"]
    full.delete("/d")
    full.undo("/d")
    assert full.before("/d/f") == [LARGE, b"one"]
    store.assert_tidy()


# ── given back ──────────────────────────────────────────────────────────────────────────────────────────────
def test_a_content_is_given_back_and_the_present_one_kept(store: Store, full: Drive) -> None:
    """The file stays the same node with its properties; the content is the one that it was, to its times."""
    version, now = full.vault.versions(at("/f"))[1], full.stat("/f")
    node = full.revert("/f", 1)
    assert (facts(node), node.id, node.created_ns) == (facts(version.node), now.id, now.created_ns)
    assert (full.get("/f"), full.before("/f")) == (b"one", [b"three", LARGE])
    assert full.properties("/f") == {"a": "1"}
    assert full.live == 3 + 5
    store.assert_tidy()
    full.revert("/f")
    assert (full.get("/f"), full.before("/f")) == (b"three", [b"one", LARGE])
    assert full.used == 5 + 5 + 3 + len(LARGE)
    store.assert_tidy()


def test_an_empty_file_gets_its_content_back(store: Store, full: Drive) -> None:
    """That it was empty is not worth keeping."""
    full.put("/f")
    full.revert("/f")
    assert (full.get("/f"), full.before("/f")) == (b"three", [LARGE, b"one"])
    store.assert_tidy()


@pytest.mark.parametrize("setting", [{"keep_days": 0}, {"max_versions": 0}])
def test_the_present_one_is_kept_whatever_the_setting(
    store: Store, full: Drive, setting: dict[str, int]
) -> None:
    """A restore is a swap, and can be taken back; what is too much goes with the next collection."""
    store.keep(**setting)
    full.revert("/f")
    assert (full.get("/f"), full.before("/f")) == (LARGE, [b"three", b"one"])
    assert full.used == 5 + 5 + 3 + len(LARGE)
    full.revert("/f")
    assert (full.get("/f"), full.before("/f")) == (b"three", [LARGE, b"one"])
    store.assert_tidy()
    assert full.before("/f") == []


def test_over_the_quota_what_is_no_larger_comes_back(store: Store, full: Drive) -> None:
    """An administrator lowered it: nothing more is stored by going back to a smaller content."""
    full.put("/c/g", b"1234")
    store.clock.advance(minutes=1)
    full.put("/c/g", b"56789")
    store.accounts.set_quota("alice", 1)
    full.revert("/f", 1)
    full.revert("/c/g", 1)
    assert (full.get("/f"), full.get("/c/g")) == (b"one", b"other")
    with pytest.raises(QuotaExceeded):
        full.revert("/f", 1)
    assert full.get("/f") == b"one"


def test_the_gates_of_a_write_hold(full: Drive) -> None:
    """Locks and conditions; and it has to fit."""
    full.store.accounts.set_quota("alice", 5 + len(LARGE) - 1)
    with pytest.raises(QuotaExceeded):
        full.revert("/f")
    full.store.accounts.set_quota("alice", 5 + len(LARGE))
    token = full.lock("/f")
    with pytest.raises(Locked):
        full.revert("/f")
    with pytest.raises(PreconditionFailed):
        full.revert("/f", tokens=[token], condition=_refuse)
    full.revert("/f", tokens=[token])
    assert full.get("/f") == LARGE
    assert full.locks("/f") == {token}


def test_what_is_no_version_of_the_file(full: Drive) -> None:
    """Of another file, in the trash, the file itself, nothing at all; and a collection has none."""
    full.put("/c/g", b"new")
    full.delete("/c")
    full.undo("/c")
    full.put("/gone", b"1")
    entry = full.vault.delete(at("/gone"))
    assert entry is not None
    others = [full.vault.versions(at("/c/g"))[0].id, entry, full.stat("/f").id, NodeId(b"nobody's node id")]
    for ask in (full.vault.version, full.vault.restore_version, full.vault.purge_version):
        for node_id in others:
            with pytest.raises(NotFound):
                ask(at("/f"), node_id)
        with pytest.raises(WrongKind):
            ask(at("/c"), others[0])
        with pytest.raises(NotFound):
            ask(at("/missing"), others[0])
    for listing in (full.vault.versions, full.vault.purge_versions):
        with pytest.raises(WrongKind):
            listing(at("/c"))
        with pytest.raises(NotFound):
            listing(at("/missing"))
    assert full.before("/f") == [LARGE, b"one"]


# ── for good ────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_version_is_removed_for_good(store: Store, full: Drive) -> None:
    """Its bytes are free, its content garbage; the others and the file stay."""
    versions = full.vault.versions(at("/f"))
    assert full.vault.purge_version(at("/f"), versions[0].id) == len(LARGE)
    assert (full.get("/f"), full.before("/f")) == (b"three", [b"one"])
    assert full.used == 5 + 5 + 3
    store.assert_tidy()
    assert store.stored() == set()


def test_all_of_a_file_are_removed_for_good(store: Store, full: Drive) -> None:
    """Of that file alone."""
    full.put("/c/g", b"new")
    gone = full.vault.purge_versions(at("/f"))
    assert (gone.count, gone.bytes) == (2, len(LARGE) + 3)
    assert (full.before("/f"), full.before("/c/g")) == ([], [b"other"])
    assert full.vault.purge_versions(at("/f")).count == 0
    store.assert_tidy()


def test_a_content_stays_as_long_as_anything_names_it(store: Store, full: Drive) -> None:
    """A file, what a file was, or something in the trash."""
    full.revert("/f")
    full.copy("/f", "/copy")
    full.delete("/f")
    full.vault.purge(full.vault.trash()[0].id)
    store.assert_tidy()
    assert full.get("/copy") == LARGE
    full.put("/copy", b"new")
    store.assert_tidy()
    full.delete("/copy")
    store.assert_tidy()
    assert len(store.stored()) == 1
    full.vault.empty_trash()
    store.assert_tidy()
    assert store.stored() == set()


def _refuse(_node: Node | None) -> None:
    raise PreconditionFailed("no")
