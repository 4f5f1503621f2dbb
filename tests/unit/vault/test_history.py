"""The trash: what goes there, what comes back and where to, who sees it, and what is removed for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from davserver.accounts.app_passwords import AppPasswords
from davserver.errors import (
    AlreadyExists,
    CorruptRow,
    DavserverError,
    FolderGone,
    LengthMismatch,
    Locked,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    QuotaExceeded,
)
from davserver.model import ROOT_ID, TRASH_ID, NodeId, Scope
from davserver.vault import export, history, kept
from davserver.vault.moment import Demands
from davserver.vault.paths import MAX_NAME_BYTES, VaultPath
from davserver.vault.service import Vault
from tests.fakes import RecordingAudit
from tests.unit.vault.store import Drive, Found, Store

LARGE = bytes(range(251)) * 300  # more than one chunk

at = VaultPath.parse


@pytest.fixture
def full(alice: Drive) -> Drive:
    """/c with /c/f, /c/sub/g and their properties; /d; /f."""
    for path in ("/c", "/c/sub", "/d"):
        alice.mkdir(path, modified_ns=7)
    alice.put("/c/f", LARGE, modified_ns=5, created_ns=6, keep=frozenset({"SHA1", "MD5"}))
    alice.put("/c/sub/g", b"deep")
    alice.put("/f", b"top")
    for path in ("/c", "/c/f", "/f"):
        alice.patch(path, {"{urn:x}a": f"<a>{path}</a>"})
    return alice


def everything(drive: Drive, path: str) -> dict[str, Found]:
    """All that there is to find out, without the version of the top, which rises."""
    found = drive.everything(path)
    top = found[path]
    return {**found, path: Found(top.node._replace(version=0), top.content, top.properties, top.locks)}


# ── there and back ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("path", ["/c", "/c/f", "/c/sub", "/c/sub/g", "/f", "/d"])
def test_what_is_deleted_comes_back_as_it_was(store: Store, full: Drive, path: str) -> None:
    """The same node: id, times, digests, entity tag, properties, and all that lies below it."""
    before, tree, used = everything(full, path), full.tree(), full.used
    entry_id = full.vault.delete(at(path))
    assert entry_id == before[path].node.id
    assert full.find(path) is None
    assert full.used == used
    store.assert_tidy()
    assert full.undo(path) == path
    assert everything(full, path) == before
    assert (full.tree(), full.used, full.live) == (tree, used, used)
    assert full.kept() == {}
    store.assert_tidy()


def test_delete_of_a_collection_is_one_row(store: Store, full: Drive) -> None:
    """However much lies below; nothing below is touched."""
    full.plant("/c", [f"n{number}" for number in range(300)])
    below = store.sql("SELECT * FROM node WHERE node_id != ? ORDER BY node_id", full.stat("/c").id)
    full.delete("/c")
    moved = store.sql("SELECT node_id FROM node WHERE parent_id = ?", TRASH_ID)
    assert len(moved) == 1
    assert store.sql("SELECT * FROM node WHERE node_id != ? ORDER BY node_id", *moved[0]) == below


def test_an_entry_says_what_it_was(store: Store, full: Drive) -> None:
    """Name, place, moment, size; the content can be read where it is."""
    store.clock.advance(hours=1)
    full.delete("/c/f")
    (entry,) = full.vault.trash()
    assert (entry.node.name, entry.path, entry.bytes) == ("f", ("c", "f"), len(LARGE))
    assert entry.parent_id == full.stat("/c").id
    assert entry.deleted_ns == store.clock().timestamp() * 10**9
    assert (entry.node.modified_ns, dict(entry.node.extras)) == (5, {})
    assert full.vault.trash_entry(entry.id) == entry
    assert full.kept() == {"/c/f": LARGE}
    store.clock.advance(seconds=1)
    full.put("/c/sub/g", b"newer")
    full.delete("/c")
    assert [one.bytes for one in full.vault.trash()] == [len(b"newer"), len(LARGE)]


def test_the_latest_comes_first_a_page_at_a_time(store: Store, alice: Drive) -> None:
    """Whatever the page, each entry is seen once."""
    for number in range(7):
        alice.put(f"/{number}", b"x")
        alice.delete(f"/{number}")
        store.clock.advance(seconds=number % 2)  # 0 and 1 are of the same second, 2 and 3, 4 and 5
    whole = [entry.node.name for entry in alice.vault.trash()]
    assert [{*whole[:1]}, {*whole[1:3]}, {*whole[3:5]}, {*whole[5:]}] == [
        {"6"},
        {"4", "5"},
        {"2", "3"},
        {"0", "1"},
    ]
    pages, after = [], None
    while page := alice.vault.trash(after=after, limit=2):
        pages += [entry.node.name for entry in page]
        after = page[-1].position
    assert pages == whole


@pytest.mark.parametrize("column", ["kept_at", "bytes"])
@pytest.mark.parametrize("value", [3, "x'00'"])
def test_what_was_altered_is_left_out_and_told(
    store: Store, alice: Drive, column: str, value: object
) -> None:
    """The others are seen once, whatever the page; emptying takes them, and leaves what does not open."""
    for number in range(5):
        alice.put(f"/{number}", b"x")
        alice.delete(f"/{number}")
        store.clock.advance(seconds=1)
    entries = alice.vault.trash()
    for entry in (entries[0], entries[2]):
        store.sql(f"UPDATE kept SET {column} = {value} WHERE node_id = ?", entry.id)  # noqa: S608
    for limit in (1, 2, 3, 9):
        names, after, altered = [], None, list[CorruptRow]()
        while page := alice.vault.trash(after=after, limit=limit, altered=altered.append):
            names += [entry.node.name for entry in page]
            after = page[-1].position
            if len(page) < limit:
                break
        assert (names, len(altered)) == (["3", "1", "0"], 2)
    with pytest.raises(CorruptRow):
        alice.vault.trash()
    with pytest.raises(CorruptRow):
        alice.vault.purge(entries[0].id)
    gone = alice.vault.empty_trash()
    assert (gone.count, gone.bytes, gone.altered) == (3, 3, 2)
    assert store.sql("SELECT count(*) FROM kept") == [(2,)]


@pytest.mark.parametrize("batch", [100, 1])
def test_emptying_begins_with_the_latest_whatever_the_clock_shows(
    store: Store, alice: Drive, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """What was deleted before the clock was set back is in it; what is deleted meanwhile stays."""
    monkeypatch.setattr(history, "BATCH_KEPT", batch)
    for name in "abc":
        alice.put(f"/{name}", b"x")
    for name in "ab":
        alice.delete(f"/{name}")
        store.clock.advance(seconds=1)
    store.clock.advance(days=-1)

    def delete() -> None:
        store.clock.advance(days=2)
        alice.delete("/c")

    store.database.after_write = delete
    assert alice.vault.empty_trash().count == 2
    assert list(alice.kept()) == ["/c"]


def test_over_the_quota_what_is_empty_comes_back(store: Store, alice: Drive) -> None:
    """Nothing more is stored; anything else has to fit."""
    alice.put("/live", b"12")
    alice.mkdir("/c")
    alice.put("/c/empty")
    alice.put("/f", b"1")
    alice.delete("/c")
    alice.delete("/f")
    store.accounts.set_quota("alice", 1)
    assert alice.undo("/c") == "/c"
    with pytest.raises(QuotaExceeded):
        alice.undo("/f")


def test_nothing_leads_to_what_is_in_the_trash(store: Store, full: Drive) -> None:
    """No path, no listing, no number of files, no archive of one's data; a copy does not take it along."""
    full.put("/c/f", b"new")
    full.delete("/c/sub")
    full.delete("/f")
    assert full.tree() == {"/c": None, "/c/f": b"new", "/d": None}
    for name in (full.vault.trash()[0].id.hex(), TRASH_ID.hex(), "f"):
        assert full.find(f"/{name}") is None
        assert full.find(f"/c/f/{name}") is None
    full.copy("/c", "/copy")
    assert full.before("/copy/f") == []
    assert full.names("/copy") == ["f"]
    with store.database.read() as tx:
        assert tx.summary.nodes_by_kind(full.principal.account.id) == {1: 2, 2: 3}
    contents = export.everything(full.vault, {})
    zipped = b"".join(export.archive(full.vault, contents, store.clock()))
    assert b"files/c/f" in zipped
    assert not [one for one in (b"sub", b"deep", b"top", LARGE[:100]) if one in zipped]
    store.assert_tidy()


def test_the_trash_has_no_row(store: Store, full: Drive) -> None:
    """So nothing can be opened, limited to it or moved there."""
    device = store.drive("alice", root_id=TRASH_ID)
    full.delete("/c")
    for look in (lambda: device.find("/"), lambda: device.find("/c"), lambda: device.put("/x", b"x")):
        with pytest.raises(FolderGone):
            look()
    with pytest.raises(NotFound):
        full.vault.path_of(TRASH_ID)


@pytest.mark.parametrize("size", [3, len(LARGE)])
def test_a_program_that_deletes_after_a_failed_upload(store: Store, alice: Drive, size: int) -> None:
    """As rclone does, which believes that half of a file is there, and deletes the one that is whole."""
    alice.put("/f", bytes(size))
    with alice.begin("/f", expected_size=2 * size) as upload:
        upload.write(bytes(size))
        with pytest.raises(LengthMismatch):
            upload.commit()
    alice.delete("/f")
    assert alice.undo("/f") == "/f"
    assert alice.get("/f") == bytes(size)
    store.assert_tidy()


# ── where to ────────────────────────────────────────────────────────────────────────────────────────────────
def test_it_follows_the_collection_that_held_it(full: Drive) -> None:
    """By its id, wherever that is now, not by its path."""
    full.delete("/c/f")
    full.move("/c", "/d/elsewhere")
    full.mkdir("/c")
    assert full.undo("/c/f") == "/d/elsewhere/f"
    assert full.get("/d/elsewhere/f") == LARGE


@pytest.mark.parametrize("final", [False, True])
def test_collections_on_the_way_are_made_again(store: Store, full: Drive, *, final: bool) -> None:
    """Where the collection is gone, or in the trash itself: the path where it was."""
    full.delete("/c/sub/g")
    full.delete("/c")
    if final:
        full.vault.purge(full.vault.trash_entry(NodeId(_entry(full, "/c"))).id)
    assert full.undo("/c/sub/g") == "/c/sub/g"
    assert full.tree() == {"/c": None, "/c/sub": None, "/c/sub/g": b"deep", "/d": None, "/f": b"top"}
    store.assert_tidy()


def test_collections_that_are_there_again_are_used(full: Drive) -> None:
    """Though they are others than before."""
    full.delete("/c/sub/g")
    full.delete("/c")
    full.mkdir("/c")
    full.put("/c/new", b"new")
    assert full.undo("/c/sub/g") == "/c/sub/g"
    assert full.names("/c") == ["new", "sub"]


def test_what_lay_in_a_folder_that_no_path_reaches_comes_back_to_where_it_was(
    store: Store, alice: Drive
) -> None:
    """The folder was moved into others until it lies too deep: as if it were gone."""
    deep = "/" + "/".join(["d"] * 200)
    alice.plant_chain(["d"] * 200)
    alice.put(f"{deep}/f", b"content")
    alice.delete(f"{deep}/f")
    alice.plant_chain(["e"] * 60)
    alice.move("/d", "/" + "/".join(["e"] * 60) + "/d")
    assert alice.undo(f"{deep}/f") == f"{deep}/f"
    assert alice.get(f"{deep}/f") == b"content"
    store.assert_tidy()


def test_a_file_in_the_place_of_a_collection_stays(full: Drive) -> None:
    """What was below is put beside it; what comes later joins it there."""
    for path in ("/c/sub/g", "/c/f", "/c"):
        full.delete(path)
    full.put("/c", b"a file now")
    assert full.undo("/c/sub/g") == "/c (restored)/sub/g"
    assert full.undo("/c/f") == "/c (restored)/f"
    assert full.get("/c") == b"a file now"


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("a.txt", "a (restored).txt", "a (restored 2).txt"),
        ("a.tar.gz", "a.tar (restored).gz", "a.tar (restored 2).gz"),
        ("plain", "plain (restored)", "plain (restored 2)"),
        (".hidden", ".hidden (restored)", ".hidden (restored 2)"),
        ("x" * 251 + ".txt", "x" * 240 + " (restored).txt", "x" * 238 + " (restored 2).txt"),
        ("\u0958" * 42, "\u0958" * 40 + " (restored)", "\u0958" * 40 + " (restored 2)"),
    ],
)
def test_what_has_the_name_now_keeps_it(alice: Drive, name: str, first: str, second: str) -> None:
    """The other gets one like it, never longer than a name may be, however it is composed."""
    for content in (b"1", b"2", b"3"):
        alice.put(f"/{name}", content)
        if content != b"3":
            alice.delete(f"/{name}")
            alice.store.clock.advance(seconds=1)
    assert alice.undo(f"/{name}") == f"/{first}"
    assert alice.undo(f"/{name}") == f"/{second}"
    assert alice.tree() == {f"/{name}": b"3", f"/{first}": b"2", f"/{second}": b"1"}
    assert all(len(one.encode()) <= MAX_NAME_BYTES for one in alice.names())


def test_another_spelling_of_the_name_counts_as_taken(alice: Drive) -> None:
    """As everywhere; each keeps its own."""
    alice.put("/caf\u00e9", b"old")
    alice.delete("/caf\u00e9")
    alice.put("/cafe\u0301", b"new")
    assert alice.undo("/caf\u00e9") == "/caf\u00e9 (restored)"


def test_no_name_is_free(alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many tries it is refused, and stays where it is."""
    monkeypatch.setattr(history, "MAX_NAMES", 2)
    alice.put("/a", b"1")
    alice.delete("/a")
    for name in ("/a", "/a (restored)", "/a (restored 2)"):
        alice.put(name, b"2")
    with pytest.raises(AlreadyExists):
        alice.undo("/a")
    assert alice.undo("/a", "/b") == "/b"


def test_a_target_is_taken_as_it_is_named(full: Drive) -> None:
    """A free name in a collection that is there; nothing is made on the way or replaced."""
    full.delete("/f")
    for target, error in {
        "/d": AlreadyExists,
        "/c/f": AlreadyExists,
        "/missing/f": ParentMissing,
        "/c/f/below": ParentMissing,
        "/": NotPermitted,
    }.items():
        with pytest.raises(error):
            full.undo("/f", target)
    assert full.undo("/f", "/d/other") == "/d/other"
    assert full.get("/d/other") == b"top"


def test_a_device_notes_the_whole_path(full: Drive) -> None:
    """From the account's root on: that is where it is looked for when its collection is gone."""
    full.narrowed(root="/c/sub").delete("/g")
    assert list(full.kept()) == ["/c/sub/g"]
    full.delete("/c")
    assert full.undo("/c/sub/g") == "/c/sub/g"


def test_a_path_that_is_too_long_is_not_noted(alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collection is, by its id; without it the account's root is where things come back."""
    monkeypatch.setattr(kept, "MAX_PLACE_BYTES", 10)
    alice.mkdir("/12345")
    alice.put("/12345/12345", b"fits")
    alice.put("/12345/123456", b"too long")
    for name in ("12345", "123456"):
        alice.delete(f"/12345/{name}")
    assert {entry.path for entry in alice.vault.trash()} == {("12345", "12345"), ()}
    (long,) = [entry for entry in alice.vault.trash() if not entry.path]
    assert str(alice.vault.restore(long.id).path) == "/12345/123456"
    alice.delete("/12345/123456")
    alice.delete("/12345")
    assert str(alice.vault.restore(long.id).path) == "/123456"


def test_the_deepest_and_longest_path_can_be_deleted(alice: Drive) -> None:
    """Its names alone would not fit into the row."""
    alice.plant_chain([f"{number:03}" + "x" * 252 for number in range(255)])
    path = "/" + "/".join(f"{number:03}" + "x" * 252 for number in range(255))
    alice.put(f"{path}/{'y' * 255}", b"deep")
    alice.delete(f"{path}/{'y' * 255}")
    (entry,) = alice.vault.trash()
    assert (entry.path, entry.node.name) == ((), "y" * 255)
    alice.vault.restore(entry.id)
    assert alice.get(f"{path}/{'y' * 255}") == b"deep"


# ── the same gates as for any write ─────────────────────────────────────────────────────────────────────────
def test_a_lock_on_the_collection_is_in_the_way(full: Drive) -> None:
    """RFC 4918, 7.4: nothing is added to it without the token; also where collections have to be made."""
    full.delete("/c/f")
    full.delete("/d")
    token = full.lock("/c")
    root = full.lock("/")
    for path in ("/c/f", "/d"):
        with pytest.raises(Locked):
            full.undo(path)
    assert full.undo("/c/f", tokens=[token]) == "/c/f"
    full.unlock("/c", token)
    full.delete("/c", tokens=[root])
    with pytest.raises(Locked):
        full.undo("/c")
    assert full.undo("/d", tokens=[root]) == "/d"


def test_an_infinite_lock_far_above_is_in_the_way_of_new_collections(full: Drive) -> None:
    """Of those that are made on the way, too."""
    full.delete("/c/sub/g")
    full.delete("/c/sub")
    full.vault.empty_trash()
    full.mkdir("/c/sub")
    full.put("/c/sub/g", b"again")
    full.delete("/c/sub/g")
    full.delete("/c/sub")
    token = full.lock("/c", infinite=True)
    with pytest.raises(Locked):
        full.undo("/c/sub/g")
    assert full.names("/c") == ["f"]
    assert full.undo("/c/sub/g", tokens=[token]) == "/c/sub/g"


def test_a_condition_is_judged(full: Drive) -> None:
    """And nothing happens if it does not hold."""

    def refuse(_node: object) -> None:
        raise PreconditionFailed("no")

    full.delete("/c/sub/g")
    full.delete("/c/sub")
    with pytest.raises(PreconditionFailed):
        full.undo("/c/sub/g", condition=refuse)
    assert full.find("/c/sub") is None


def test_what_comes_back_has_to_fit(store: Store, full: Drive) -> None:
    """It does not give way any more from then on; what is still in the trash does."""
    full.delete("/c")
    full.delete("/f")
    store.accounts.set_quota("alice", len(LARGE) + 3)
    with pytest.raises(QuotaExceeded):
        full.undo("/c")
    assert full.undo("/f") == "/f"
    store.accounts.set_quota("alice", len(LARGE) + 7)
    assert full.undo("/c") == "/c"
    assert full.vault.usage().available == 0


OWNERS: dict[str, tuple[Scope, Callable[[Drive, Any], object]]] = {
    "list": (Scope.LIST, lambda drive, _: drive.vault.trash()),
    "weigh": (Scope.LIST, lambda drive, _: drive.vault.trash_bytes()),
    "look": (Scope.LIST, lambda drive, ids: drive.vault.trash_entry(ids[0])),
    "versions": (Scope.LIST, lambda drive, _: drive.vault.versions(at("/f"))),
    "version": (Scope.LIST, lambda drive, ids: drive.vault.version(at("/f"), ids[1])),
    "read": (Scope.READ, lambda drive, ids: drive.vault.read_version(ids[2]).close()),
    "restore": (Scope.WRITE, lambda drive, ids: drive.vault.restore(ids[0])),
    "restore version": (Scope.WRITE, lambda drive, ids: drive.vault.restore_version(at("/f"), ids[1])),
    "purge version": (Scope.DELETE, lambda drive, ids: drive.vault.purge_version(at("/f"), ids[1])),
    "purge versions": (Scope.DELETE, lambda drive, _: drive.vault.purge_versions(at("/f"))),
    "purge": (Scope.DELETE, lambda drive, ids: drive.vault.purge(ids[0])),
    "empty": (Scope.DELETE, lambda drive, _: drive.vault.empty_trash()),
}


@pytest.mark.parametrize(("scope", "ask"), OWNERS.values(), ids=OWNERS)
def test_only_who_sees_the_whole_account_sees_the_trash(
    full: Drive, bob: Drive, scope: Scope, ask: Callable[[Drive, Any], object]
) -> None:
    """And may do with it what the scopes say; ids of one account mean nothing in another one."""
    full.put("/f", b"newer")
    (version,) = full.vault.versions(at("/f"))
    full.delete("/c")
    ids = (full.vault.trash()[0].id, version.id, version)
    device = full.narrowed(root="/d")
    with pytest.raises(NotPermitted):
        ask(device, ids)
    with pytest.raises(NotPermitted):
        ask(full.narrowed(Scope.FULL & ~scope), ids)
    bob.put("/f", b"old")
    bob.put("/f", b"bob's")
    try:
        ask(bob, ids)
    except DavserverError:
        assert full.kept() == {"/c": None}
    assert (full.before("/f"), list(full.kept())) == ([b"top"], ["/c"])
    assert bob.find("/c") is None
    ask(full.narrowed(scope | Scope.LIST), ids)


# ── devices whose folder goes ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("gone", ["/c/sub", "/c"])
@pytest.mark.parametrize("warm", [False, True])
def test_a_device_is_shut_out_while_its_folder_is_in_the_trash(
    store: Store, full: Drive, gone: str, *, warm: bool
) -> None:
    """Exactly as if it were gone, whatever the process remembers; and comes in again when it is back."""
    device = full.narrowed(root="/c/sub")
    attempts: list[Callable[[], object]] = [
        lambda: device.find("/"),
        lambda: device.find("/g"),
        device.names,
        lambda: device.put("/new", b"x"),
        lambda: device.put("/g", b"x"),
        lambda: device.mkdir("/new"),
        lambda: device.delete("/g"),
        lambda: device.move("/g", "/h"),
        lambda: device.copy("/g", "/h"),
        lambda: device.times("/g", modified_ns=1),
        lambda: device.lock("/g"),
    ]
    assert device.get("/g") == b"deep"
    full.delete(gone)
    if not warm:
        store.directories.forget(full.principal.account.id)
    for attempt in attempts:
        with pytest.raises(FolderGone):
            attempt()
    with pytest.raises(NotFound):
        full.vault.path_of(device.principal.root_id)
    full.undo(gone)
    assert device.get("/g") == b"deep"
    assert str(full.vault.path_of(device.principal.root_id)) == "/c/sub"


def test_an_upload_of_such_a_device_ends(full: Drive) -> None:
    """Though it had begun before the folder went."""
    device = full.narrowed(root="/c/sub")
    with device.begin("/new") as upload:
        upload.write(b"x")
        full.delete("/c")
        with pytest.raises(FolderGone):
            upload.commit()
    full.undo("/c")
    assert full.names("/c/sub") == ["g"]


@pytest.mark.parametrize("gone", ["/c/sub", "/c"])
def test_no_app_password_is_issued_for_a_folder_in_the_trash(store: Store, full: Drive, gone: str) -> None:
    """As for one that is gone."""
    folder = full.stat("/c/sub").id
    full.delete(gone)
    passwords = AppPasswords(store.database, store.keyring, store.clock, RecordingAudit())
    with pytest.raises(NotFound):
        passwords.issue(full.principal, "phone", root_id=folder)
    full.undo(gone)
    assert passwords.issue(full.principal, "phone", root_id=folder).app_password.root_id == folder


# ── locks ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_locks_end_and_files_that_only_they_made_go(store: Store, full: Drive) -> None:
    """RFC 4918, 9.6; nothing is locked when it comes back, and those files are not there."""
    tokens = [full.lock(path, shared=True) for path in ("/c", "/c/f", "/c/sub/born", "/f")]
    full.delete("/c", tokens=tokens)
    assert store.sql("SELECT count(*) FROM lock") == [(1,)]
    assert full.undo("/c") == "/c"
    assert (full.locks("/c"), full.locks("/c/f"), len(full.locks("/f"))) == (set(), set(), 1)
    assert full.names("/c/sub") == ["g"]
    store.assert_tidy()


def test_locks_of_a_target_that_goes_to_the_trash(store: Store, full: Drive) -> None:
    """Those of the source end and its born files stay; those in the target end with theirs; its own go on."""
    full.mkdir("/e")
    tokens = {path: full.lock(path, shared=True) for path in ("/c/born", "/c/f", "/c", "/e/born", "/e")}
    full.move("/e", "/c", overwrite=True, tokens=tokens.values())
    assert full.names("/c") == ["born"]
    assert full.locks("/c") == {tokens["/c"]}
    assert store.sql("SELECT count(*) FROM lock") == [(1,)]
    assert list(full.kept()) == ["/c"]
    full.undo("/c")
    assert full.names("/c (restored)") == ["f", "sub"]
    store.assert_tidy()


def test_an_expired_lock_on_something_in_the_trash(store: Store, full: Drive) -> None:
    """Its row went with the collection, and goes when garbage is collected, with the file that it made."""
    full.lock("/c/born", seconds=10)
    store.clock.advance(seconds=10)
    full.delete("/c")
    assert store.sql("SELECT count(*) FROM lock") == [(1,)]
    store.collect()
    assert store.sql("SELECT count(*) FROM lock") == [(0,)]
    full.undo("/c")
    assert full.names("/c") == ["f", "sub"]
    store.assert_tidy()


def test_what_only_a_lock_has_made_is_not_kept(store: Store, alice: Drive) -> None:
    """DELETE of it is final, and so is a MOVE over it."""
    token = alice.lock("/born")
    assert alice.vault.delete(at("/born"), demands=Demands(tokens=frozenset({token}))) is None
    token = alice.lock("/born")
    alice.put("/new", b"new")
    alice.move("/new", "/born", overwrite=True, tokens=[token])
    assert (alice.kept(), alice.before("/born")) == ({}, [])
    assert store.sql("SELECT count(*) FROM node") == [(2 + 1,)]
    store.assert_tidy()


def test_an_empty_file_and_an_empty_collection_are_kept(alice: Drive) -> None:
    """Their name and their properties may be what is missed."""
    alice.put("/empty")
    alice.mkdir("/none")
    alice.patch("/empty", {"a": "1"})
    for path in ("/empty", "/none"):
        alice.delete(path)
        assert alice.undo(path) == path
    assert alice.properties("/empty") == {"a": "1"}


# ── replaced by COPY and MOVE ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("verb", ["move", "copy"])
@pytest.mark.parametrize(("source", "target"), [("/c", "/d"), ("/c", "/f"), ("/f", "/c")])
def test_what_is_replaced_by_another_kind_goes_to_the_trash(
    store: Store, full: Drive, verb: str, source: str, target: str
) -> None:
    """A collection and what takes its place; and a file whose place a collection takes."""
    before = everything(full, target)
    if target == "/f":
        full.put("/f", b"top, newer")
        before = everything(full, target)
    getattr(full, verb)(source, target, overwrite=True)
    assert list(full.kept()) == [target]
    store.assert_tidy()
    assert full.undo(target) == f"{target} (restored)"
    back = everything(full, f"{target} (restored)")
    assert {path.replace(" (restored)", ""): one.content for path, one in back.items()} == {
        path: one.content for path, one in before.items()
    }
    assert [one.properties for one in back.values()] == [one.properties for one in before.values()]
    if target == "/f":
        assert full.before("/f (restored)") == [b"top"]
    store.assert_tidy()


def test_a_device_without_the_right_to_delete_replaces_nothing(full: Drive) -> None:
    """That it would be kept does not change that (docs/adr/0005)."""
    device = full.narrowed(Scope.NO_DELETE)
    for attempt in (
        lambda: device.delete("/f"),
        lambda: device.move("/f", "/c/f", overwrite=True),
        lambda: device.copy("/f", "/c/f", overwrite=True),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    assert full.kept() == {}


# ── for good ────────────────────────────────────────────────────────────────────────────────────────────────
def test_an_entry_is_removed_for_good(store: Store, full: Drive) -> None:
    """With all that is in it and what that was before; its bytes are free, its contents garbage."""
    full.put("/c/f", b"newer")
    full.delete("/c")
    full.delete("/f")
    assert full.vault.purge(_entry(full, "/c")) == len(LARGE) + len(b"newer") + len(b"deep")
    assert list(full.kept()) == ["/f"]
    assert (full.used, full.live) == (3, 0)
    with pytest.raises(NotFound):
        full.vault.purge(full.stat("/d").id)
    store.assert_tidy()
    assert store.stored() == set()


def test_the_trash_is_emptied(store: Store, full: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is there at that moment, in small steps; files and what they were before stay."""
    monkeypatch.setattr(history, "BATCH_KEPT", 2)
    full.put("/f", b"newer")
    for number in range(5):
        full.put(f"/d/{number}", b"x")
        full.delete(f"/d/{number}")
    full.put("/c/f", LARGE[:10])
    full.delete("/c")
    assert full.vault.trash_bytes() == 5 + len(LARGE) + 10 + 4
    gone = full.vault.empty_trash()
    assert (gone.count, gone.bytes) == (6, 5 + len(LARGE) + 10 + 4)
    assert (full.kept(), full.vault.trash_bytes()) == ({}, 0)
    assert full.before("/f") == [b"top"]
    assert full.vault.empty_trash().count == 0
    store.assert_tidy()


@pytest.mark.parametrize("ask", [Vault.restore, Vault.purge, Vault.trash_entry])
def test_only_what_is_in_the_trash_itself_is_an_entry(full: Drive, ask: Callable[..., object]) -> None:
    """Not what lies inside of it, a file that is there, a version, the root, or nothing at all."""
    full.put("/f", b"newer")
    inside = full.stat("/c/f").id
    ids = [inside, full.stat("/f").id, full.vault.versions(at("/f"))[0].id, ROOT_ID, TRASH_ID]
    full.delete("/c")
    before = full.tree()
    for node_id in (*ids, NodeId(b"nobody's node id")):
        with pytest.raises(NotFound):
            ask(full.vault, node_id)
    assert (full.tree(), list(full.kept())) == (before, ["/c"])


def test_nothing_is_kept_if_the_setting_says_so(store: Store, full: Drive) -> None:
    """DELETE and overwriting are final; what was kept before stays until garbage is collected."""
    full.delete("/d")
    store.keep(keep_days=0)
    used = full.used
    assert full.vault.delete(at("/c/f")) is None
    full.put("/f", b"newer")
    full.move("/c/sub/g", "/f", overwrite=True)
    full.copy("/f", "/c/sub", overwrite=True)
    assert full.before("/f") == []
    assert full.used == used - len(LARGE) - 3 + 4
    assert full.undo("/d") == "/d"
    store.assert_tidy()


def test_what_a_file_was_goes_with_it_for_good(store: Store, full: Drive) -> None:
    """Although it was kept under another setting."""
    full.put("/f", b"newer")
    full.put("/c/f", b"newer")
    store.keep(keep_days=0)
    full.delete("/f")
    full.delete("/c")
    assert full.used == 0
    store.assert_tidy()


def _entry(drive: Drive, path: str) -> NodeId:
    """The id of what was at a path."""
    return next(one.id for one in drive.vault.trash() if "/" + "/".join(one.path) == path)
