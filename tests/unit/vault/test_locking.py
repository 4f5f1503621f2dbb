"""LOCK, refresh and UNLOCK; every way in which a file that a LOCK has made can end; and others in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from davserver.errors import (
    DavserverError,
    LimitExceeded,
    LockConflict,
    Locked,
    NoSuchLock,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    TooMany,
    VersionConflict,
)
from davserver.model import Node, Scope
from davserver.vault.access import Limits
from davserver.vault.locking import ShownLock
from davserver.vault.locks import MAX_OWNER_BYTES, MAX_SECONDS, MAX_SHARED, Wanted
from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from tests.unit.vault.store import Drive, Store, make_store
from tests.unit.vault.test_races import ROUNDS, at_once, kinds

LARGE = bytes(range(251)) * 300
UNKNOWN = "urn:uuid:00000000-0000-4000-8000-000000000000"


@pytest.fixture
def full(alice: Drive) -> Drive:
    """/c with f and sub/g, /e."""
    alice.mkdir("/c")
    alice.mkdir("/c/sub")
    for path in ("/c/f", "/c/sub/g", "/e"):
        alice.put(path, b"old")
    return alice


def refresh(drive: Drive, path: str, *tokens: str, seconds: int = 60) -> ShownLock:
    """LOCK without a body."""
    return drive.vault.refresh_lock(VaultPath.parse(path), seconds, Demands(tokens=frozenset(tokens)))


def rows(store: Store, table: str = "lock") -> int:
    """Rows of a table."""
    ((count,),) = store.sql(f"SELECT count(*) FROM {table}")  # noqa: S608
    return int(count)


def refuse(_node: Node | None) -> None:
    """A condition that never holds."""
    raise PreconditionFailed("no")


# ── LOCK ────────────────────────────────────────────────────────────────────────────────────────────────────
KINDS = [(shared, infinite) for shared in (False, True) for infinite in (False, True)]
PLACES = ("/", "/c", "/c/f", "/c/sub", "/c/new")


def meets(one: tuple[str, bool], other: tuple[str, bool]) -> bool:
    """Whether two locks of a root and a reach cover something together: the rule, written another way."""
    if one[0] == other[0]:
        return True
    (upper, infinite), (lower, _) = sorted((one, other), key=lambda each: len(VaultPath.parse(each[0]).parts))
    depth = len(VaultPath.parse(upper).parts)
    above = VaultPath.parse(lower).parts[:depth] == VaultPath.parse(upper).parts
    return infinite and above and depth < len(VaultPath.parse(lower).parts)


@pytest.mark.parametrize(("first", "second"), list(product(PLACES[:4], PLACES[:4])))
def test_locks_that_meet_must_both_be_shared(full: Drive, first: str, second: str) -> None:
    """RFC 4918, 6.2: every pair of roots, reaches and kinds; a refusal names the lock that is there."""
    for (shared, infinite), (also_shared, also_infinite) in product(KINDS, KINDS):
        token = full.lock(first, shared=shared, infinite=infinite)
        conflict = meets((first, infinite), (second, also_infinite)) and not (shared and also_shared)
        if conflict:
            with pytest.raises(LockConflict) as caught:
                full.lock(second, shared=also_shared, infinite=also_infinite, tokens=[token])
            assert caught.value.roots == ((VaultPath.parse(first).parts, first != "/c/f"),)
        else:
            full.unlock(second, full.lock(second, shared=also_shared, infinite=also_infinite))
        assert full.locks(first) == {token}
        full.unlock(first, token)


def test_what_is_granted_is_shown(full: Drive) -> None:
    """Kind, reach, owner, end and root, in the answer and to everybody who asks."""
    wanted = Wanted(exclusive=False, infinite=True, owner="<o>me</o>", seconds=77)
    granted = full.vault.lock(VaultPath.parse("/c"), wanted)
    lock = granted.shown.lock
    assert not granted.created
    assert (lock.exclusive, lock.infinite, lock.owner) == (False, True, "<o>me</o>")
    assert (granted.shown.root, granted.shown.seconds) == ((("c",), True), 77)
    assert lock.expires_at == int(full.store.clock().timestamp()) + 77
    for path in ("/c", "/c/f", "/c/sub/g"):
        (shown,) = full.vault.locks(VaultPath.parse(path)).covering
        assert shown == granted.shown
    full.store.clock.advance(seconds=70)
    (shown,) = full.vault.locks(VaultPath.parse("/c")).covering
    assert shown.seconds == 7


def test_locks_of_members_are_those_of_children(full: Drive) -> None:
    """Each with its own; not those deeper down, not the collection's."""
    own = full.lock("/c")
    f = {full.lock("/c/f", shared=True) for _ in range(2)}
    sub, _deep = full.lock("/c/sub"), full.lock("/c/sub/g")
    here = full.vault.locks(VaultPath.parse("/c"), members=True)
    assert {shown.lock.token for shown in here.covering} == {own}
    assert {node_id: {lock.token for lock in locks} for node_id, locks in here.of_members.items()} == {
        full.stat("/c/f").id: f,
        full.stat("/c/sub").id: {sub},
    }
    assert full.vault.locks(VaultPath.parse("/c")).of_members == {}
    assert full.vault.locks(VaultPath.parse("/missing"), members=True).of_members == {}
    full.store.clock.advance(hours=1)
    here = full.vault.locks(VaultPath.parse("/c"), members=True)
    assert (here.covering, here.of_members) == ((), {})


def test_a_condition_keeps_a_lock_from_being_taken(full: Drive) -> None:
    """And no file is made either."""
    for path in ("/c/f", "/c/new"):
        with pytest.raises(PreconditionFailed):
            full.lock(path, condition=refuse)
    assert full.find("/c/new") is None
    assert rows(full.store) == 0


def test_the_longest_owner(full: Drive) -> None:
    """T31: exactly 1 KiB in UTF-8 is kept; one byte more is refused, and nothing is made."""
    owner = "ü" * (MAX_OWNER_BYTES // 2)
    full.unlock("/c/f", full.lock("/c/f", owner=owner))
    with pytest.raises(LimitExceeded):
        full.lock("/c/new", owner=owner + "x")
    assert full.find("/c/new") is None


def test_the_most_shared_locks(full: Drive) -> None:
    """T31: 32 on one resource; those above it and expired ones are not counted."""
    full.lock("/c", shared=True, infinite=True)
    for _ in range(MAX_SHARED):
        full.lock("/c/f", shared=True, seconds=10)
    with pytest.raises(TooMany):
        full.lock("/c/f", shared=True)
    full.store.clock.advance(seconds=10)
    full.lock("/c/f", shared=True)


def test_the_most_locks_of_an_account(folder: Path) -> None:
    """T31: live ones of all resources; other accounts are not concerned, and no file is made."""
    store = make_store(folder, Limits(max_locks=3))
    alice = store.drive("alice")
    tokens = [alice.lock(f"/{number}", seconds=10) for number in range(3)]
    for path in ("/new", "/"):
        with pytest.raises(TooMany):
            alice.lock(path, shared=True)
    assert alice.find("/new") is None
    store.drive("bob").lock("/")
    alice.unlock("/0", tokens[0])
    alice.lock("/0", seconds=10)
    store.clock.advance(seconds=10)
    alice.lock("/new")
    store.close()


@pytest.mark.parametrize("path", ["/missing/new", "/c/f/new"])
def test_a_lock_needs_a_place(full: Drive, path: str) -> None:
    """RFC 4918, 9.10.6: no collection is made for it."""
    with pytest.raises(ParentMissing):
        full.lock(path)


SCOPED: dict[str, tuple[Callable[[Drive, str], object], Scope]] = {
    "lock": (lambda drive, _token: drive.lock("/e"), Scope.LOCK),
    "lock new": (lambda drive, _token: drive.lock("/new"), Scope.LOCK | Scope.WRITE),
    "refresh": (lambda drive, token: refresh(drive, "/c", token), Scope.LOCK),
    "unlock": (lambda drive, token: drive.unlock("/c", token), Scope.LOCK),
    "locks": (lambda drive, _token: drive.locks("/c"), Scope.LIST),
}


@pytest.mark.parametrize(("attempt", "needed"), SCOPED.values(), ids=SCOPED)
def test_each_request_needs_its_scopes(
    full: Drive, attempt: Callable[[Drive, str], object], needed: Scope
) -> None:
    """And no other one."""
    token = full.lock("/c")
    for scope in (Scope.LIST, Scope.READ, Scope.WRITE, Scope.DELETE, Scope.LOCK, Scope.PROPERTIES):
        drive = full.narrowed(Scope.FULL & ~scope)
        if scope in needed:
            with pytest.raises(NotPermitted):
                attempt(drive, token)
    attempt(full.narrowed(needed), token)


# ── refresh ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("asked", "seconds"), [(5, 5), (MAX_SECONDS, MAX_SECONDS), (10**20, MAX_SECONDS)])
def test_a_refresh_lasts_from_now_on(full: Drive, asked: int, seconds: int) -> None:
    """RFC 4918, 9.10.2: longer or shorter than before; never longer than an hour."""
    token = full.lock("/c", infinite=True, owner="<o/>", seconds=30)
    full.store.clock.advance(seconds=29)
    shown = refresh(full, "/c/sub/g", token, seconds=asked)
    assert (shown.seconds, shown.root) == (seconds, (("c",), True))
    assert (shown.lock.token, shown.lock.infinite, shown.lock.owner) == (token, True, "<o/>")
    full.store.clock.advance(seconds=seconds - 1)
    assert full.locks("/c") == {token}
    full.store.clock.advance(seconds=1)
    assert full.locks("/c") == set()


def test_a_refresh_needs_a_lock_that_covers(full: Drive, bob: Drive) -> None:
    """Neither one of a member, nor of depth 0 above, nor somebody else's, nor one that is over."""
    f, flat = full.lock("/c/f", seconds=10), full.lock("/c", seconds=10)
    theirs = bob.lock("/", infinite=True)
    for path, token in (("/c", f), ("/c/sub", flat), ("/c/f", flat), ("/c", theirs), ("/e", UNKNOWN)):
        with pytest.raises(NoSuchLock):
            refresh(full, path, token)
    with pytest.raises(NotFound):
        refresh(full, "/missing", f)
    full.store.clock.advance(seconds=10)
    with pytest.raises(NoSuchLock):
        refresh(full, "/c/f", f)


def test_a_refresh_picks_the_one_that_covers(full: Drive) -> None:
    """Of several submitted tokens; the others stay as they were."""
    f, e = full.lock("/c/f", seconds=30), full.lock("/e", seconds=30)
    assert refresh(full, "/e", f, e, seconds=100).lock.token == e
    full.store.clock.advance(seconds=30)
    assert (full.locks("/c/f"), full.locks("/e")) == (set(), {e})


def test_a_refresh_that_had_to_wait_counts_from_when_it_is_done(store: Store, full: Drive) -> None:
    """Somebody else was writing for longer than the lock is to last: it still lasts as long as is said."""
    token = full.lock("/c/f", seconds=60)
    wait = store.tripwire.once("sql BEGIN IMMEDIATE", lambda: store.clock.advance(seconds=20))
    with store.tripwire.armed(wait):
        shown = refresh(full, "/c/f", token, seconds=10)
    assert shown.seconds == 10
    assert full.locks("/c/f") == {token}


def test_a_refresh_obeys_conditions(full: Drive) -> None:
    """It changes the lock, so a condition that does not hold keeps it as it was."""
    token = full.lock("/c/f", seconds=10)

    def judge(_look: object) -> None:
        raise PreconditionFailed("no")

    with pytest.raises(PreconditionFailed):
        full.vault.refresh_lock(VaultPath.parse("/c/f"), 100, Demands(judge, frozenset({token})))
    full.store.clock.advance(seconds=10)
    assert full.locks("/c/f") == set()


# ── UNLOCK ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_unlock_removes_one_lock(full: Drive) -> None:
    """From wherever it reaches, once."""
    token, other = (full.lock("/c", shared=True, infinite=True) for _ in range(2))
    full.unlock("/c/sub/g", token)
    assert full.locks("/c/f") == {other}
    with pytest.raises(NoSuchLock):
        full.unlock("/c", token)


def test_unlock_needs_a_lock_that_covers(full: Drive, bob: Drive) -> None:
    """RFC 4918, 9.11.1: nothing of others, of members, of another place, or over; and nothing is removed."""
    f, flat = full.lock("/c/f", seconds=10), full.lock("/c", seconds=10)
    theirs = bob.lock("/", infinite=True)
    for path, token in (("/c", f), ("/c/f", flat), ("/e", f), ("/", theirs), ("/c/f", UNKNOWN)):
        with pytest.raises(NoSuchLock):
            full.unlock(path, token)
    with pytest.raises(NotFound):
        full.unlock("/c/missing", f)
    assert (full.locks("/c/f"), full.locks("/c"), bob.locks("/")) == ({f}, {flat}, {theirs})
    full.store.clock.advance(seconds=10)
    with pytest.raises(NoSuchLock):
        full.unlock("/c/f", f)


def test_a_device_does_not_end_a_lock_that_begins_above_it(full: Drive) -> None:
    """It may use the token to write; the lock itself is of what it cannot address."""
    device = full.narrowed(root="/c/sub")
    token = full.lock("/c", infinite=True)
    for attempt in (lambda: device.unlock("/g", token), lambda: refresh(device, "/g", token)):
        with pytest.raises(NotPermitted):
            attempt()
    assert full.locks("/c") == {token}


# ── files that only a lock has made ─────────────────────────────────────────────────────────────────────────
def test_a_lock_makes_an_empty_file(store: Store, alice: Drive) -> None:
    """RFC 4918, 9.10.4: found, listed, read and checked like any other, and it costs nothing."""
    granted = alice.vault.lock(VaultPath.parse("/new"), Wanted(True, False, "", 60))  # noqa: FBT003
    assert granted.created
    node = alice.stat("/new")
    assert (node.lock_born, node.size, alice.get("/new")) == (True, 0, b"")
    assert alice.names() == ["new"]
    assert alice.used == 0
    assert store.problems() == []


def test_the_name_of_a_new_file_is_kept_as_it_was_sent(alice: Drive) -> None:
    """As by PUT, whatever form of Unicode is looked for."""
    alice.lock("/u\u0308")
    assert (alice.names(), alice.stat("/ü").name) == (["u\u0308"], "u\u0308")


def test_a_file_is_made_in_a_locked_collection_with_its_token(full: Drive) -> None:
    """RFC 4918, 7.4: a new member. In the scope of an exclusive infinite lock there is room for no other."""
    flat = full.lock("/c")
    with pytest.raises(Locked) as caught:
        full.lock("/c/new")
    assert not isinstance(caught.value, LockConflict)
    assert full.find("/c/new") is None
    full.lock("/c/new", tokens=[flat])
    deep = full.lock("/c/sub", infinite=True)
    with pytest.raises(LockConflict):
        full.lock("/c/sub/new", tokens=[deep])


def dress_and_unlock(drive: Drive, token: str) -> None:
    """PROPPATCH of both kinds, which is not putting anything there."""
    drive.patch("/new", {"{u}a": "<a/>"}, tokens=[token])
    drive.times("/new", modified_ns=1, tokens=[token])
    drive.unlock("/new", token)


ENDS: dict[str, Callable[[Drive, str], object]] = {
    "unlock": lambda drive, token: drive.unlock("/new", token),
    "unlock of a device that may not delete": lambda drive, token: drive.narrowed(Scope.NO_DELETE).unlock(
        "/new", token
    ),
    "delete": lambda drive, token: drive.delete("/new", tokens=[token]),
    "move over": lambda drive, token: drive.move("/e", "/new", overwrite=True, tokens=[token]),
    "copy over": lambda drive, token: drive.copy("/e", "/new", overwrite=True, tokens=[token]),
    "expiry and find": lambda drive, _token: over(drive).find("/new"),
    "expiry and put": lambda drive, _token: over(drive).put("/new", b"new"),
    "expiry and mkdir": lambda drive, _token: over(drive).mkdir("/new"),
    "expiry and lock": lambda drive, _token: over(drive).lock("/new"),
    "expiry and move to": lambda drive, _token: over(drive).move("/e", "/new"),
    "expiry and copy to": lambda drive, _token: over(drive).copy("/e", "/new"),
    "expiry and sweeping": lambda drive, _token: over(drive).store.collect(),
    "properties and unlock": dress_and_unlock,
}
AFTERWARDS: dict[str, bytes | None] = {
    "move over": b"old",
    "copy over": b"old",
    "expiry and put": b"new",
    "expiry and lock": b"",
    "expiry and move to": b"old",
    "expiry and copy to": b"old",
}


def over(drive: Drive) -> Drive:
    """The same drive after all locks have expired."""
    drive.store.clock.advance(hours=1)
    return drive


@pytest.mark.parametrize("end", ENDS)
def test_every_end_of_such_a_file(store: Store, alice: Drive, end: str) -> None:
    """Nothing of it is left: no row, no lock, no property, no blob, no byte in the quota."""
    alice.put("/e", b"old")
    born = alice.vault.lock(VaultPath.parse("/new"), Wanted(True, False, "", 60)).shown.lock  # noqa: FBT003
    ENDS[end](alice, born.token)
    found = alice.find("/new")
    assert found is None or found.id != born.node_id
    if found is not None and not found.is_collection:
        assert alice.get("/new") == AFTERWARDS[end]
    for token in alice.locks("/new"):
        alice.unlock("/new", token)
    store.collect()
    assert store.sql("SELECT 1 FROM node WHERE node_id = ?", born.node_id) == []
    assert (rows(store), rows(store, "property")) == (0, 0)
    assert alice.used == sum(len(content) for content in alice.tree().values() if content)
    store.assert_tidy()


LOOKS: dict[str, Callable[[Drive], object]] = {
    "find": lambda drive: drive.find("/c/new"),
    "listing": lambda drive: [name for name in drive.names("/c") if name == "new"] or None,
    "locks": lambda drive: drive.locks("/c/new") or None,
}
GONE: dict[str, Callable[[Drive], object]] = {
    "stat": lambda drive: drive.stat("/c/new"),
    "get": lambda drive: drive.get("/c/new"),
    "delete": lambda drive: drive.delete("/c/new"),
    "move": lambda drive: drive.move("/c/new", "/x"),
    "copy": lambda drive: drive.copy("/c/new", "/x"),
    "times": lambda drive: drive.times("/c/new", modified_ns=1),
    "properties": lambda drive: drive.patch("/c/new", {"{u}a": "<a/>"}),
}


@pytest.mark.parametrize("device", [Scope.FULL, Scope.READ_ONLY])
def test_after_its_lock_it_is_absent_for_everybody(store: Store, full: Drive, device: Scope) -> None:
    """Before anybody has swept up, and although looking removes nothing."""
    token = full.lock("/c/new", seconds=60)
    store.clock.advance(seconds=60)
    drive = full.narrowed(device)
    for look in LOOKS.values():
        assert look(drive) is None
    for attempt in GONE.values():
        with pytest.raises((NotFound, NotPermitted)):
            attempt(drive)
    with pytest.raises(NotFound):
        full.unlock("/c/new", token)
    with pytest.raises(NotFound):
        refresh(full, "/c/new", token)
    full.copy("/c", "/copy")
    assert full.names("/copy") == ["f", "sub"]
    assert store.problems() == []


def test_it_lives_as_long_as_its_last_lock(full: Drive) -> None:
    """Two shared ones, ended in either way; a lock further up does not keep it."""
    full.lock("/c", shared=True, infinite=True)
    above = full.locks("/c").pop()
    short = full.lock("/c/new", shared=True, seconds=10, tokens=[above])
    long = full.lock("/c/new", shared=True, seconds=30)
    full.store.clock.advance(seconds=10)
    assert full.locks("/c/new") == {above, long}
    third = full.lock("/c/new", shared=True, seconds=30)
    full.unlock("/c/new", long)
    assert full.names("/c") == ["f", "new", "sub"]
    full.unlock("/c/new", third)
    assert full.names("/c") == ["f", "sub"]
    assert short not in full.locks("/c")
    full.store.assert_tidy()


@pytest.mark.parametrize("content", [b"", b"content", LARGE])
def test_what_was_put_stays(store: Store, alice: Drive, content: bytes) -> None:
    """Also if it is empty: UNLOCK and the end of the lock then take nothing."""
    for name in ("/a", "/b"):
        token = alice.lock(name)
        assert not alice.put(name, content, tokens=[token]).created
        assert not alice.stat(name).lock_born
        assert alice.locks(name) == {token}
        if name == "/a":
            alice.unlock(name, token)
    store.clock.advance(hours=1)
    store.collect()
    assert alice.tree() == {"/a": content, "/b": content}
    assert alice.used == 2 * len(content)
    store.assert_tidy()


@pytest.mark.parametrize("verb", ["move", "copy"])
def test_what_was_made_of_it_stays(store: Store, alice: Drive, verb: str) -> None:
    """MOVE and COPY put an ordinary empty file at the target, which no lock keeps."""
    token = alice.lock("/new")
    if verb == "move":
        alice.move("/new", "/made", tokens=[token])
    else:
        alice.copy("/new", "/made")
    assert not alice.stat("/made").lock_born
    assert alice.locks("/made") == set()
    assert (alice.find("/new") is None) is (verb == "move")
    store.clock.advance(hours=1)
    store.collect()
    assert alice.tree() == {"/made": b""}
    store.assert_tidy()


def test_it_moves_with_its_collection(store: Store, full: Drive) -> None:
    """MOVE with all tokens ends the locks in the collection; what was on its way there still has its file."""
    tokens = [full.lock("/c/sub/new"), full.lock("/c/f")]
    full.move("/c", "/d", tokens=tokens)
    assert (full.names("/d/sub"), full.get("/d/f")) == (["g", "new"], b"old")
    assert not full.stat("/d/sub/new").lock_born
    assert rows(store) == 0
    full.put("/d/sub/new", b"content")
    store.assert_tidy()


def test_it_is_copied_with_its_collection_as_a_file(full: Drive) -> None:
    """What is there is copied; the copy is nobody's lock's."""
    full.lock("/c/new", seconds=60)
    full.copy("/c", "/d")
    full.store.clock.advance(seconds=60)
    assert (full.names("/c"), full.names("/d")) == (["f", "sub"], ["f", "new", "sub"])


def test_a_device_that_may_not_delete_locks_and_writes_a_new_file(alice: Drive) -> None:
    """As its clients save: LOCK, PUT, UNLOCK; and it may take back what it has only locked."""
    device = alice.narrowed(Scope.NO_DELETE)
    token = device.lock("/new")
    device.put("/new", b"content", tokens=[token])
    device.unlock("/new", token)
    device.unlock("/other", device.lock("/other"))
    assert alice.tree() == {"/new": b"content"}


def test_a_file_with_content_is_never_taken_for_such_a_one(store: Store, alice: Drive) -> None:
    """A lock that ends on an ordinary empty file leaves it alone."""
    alice.put("/empty", b"")
    alice.unlock("/empty", alice.lock("/empty"))
    alice.lock("/empty", seconds=1)
    store.clock.advance(seconds=1)
    store.collect()
    assert alice.tree() == {"/empty": b""}


# ── DELETE, MOVE and COPY of what is locked ─────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("verb", "locks", "properties"), [("delete", 1, 1), ("move over", 1, 1), ("copy over", 2, 2)]
)
@pytest.mark.parametrize(("days", "kept"), [(0, 0), (30, 4)])
def test_what_goes_takes_locks_and_properties_along(  # noqa: PLR0917 - what it is tried with
    store: Store, full: Drive, days: int, kept: int, verb: str, locks: int, properties: int
) -> None:
    """No lock is left, whatever depth it was at; only the replaced target's own go on.

    Properties stay with what is in the trash, and only with that.
    """
    store.keep(keep_days=days)
    for path in ("/c", "/c/f", "/c/sub", "/c/sub/g", "/e"):
        full.patch(path, {"{u}a": f"<a>{path}</a>"})
    tokens = {path: full.lock(path, shared=True) for path in ("/c", "/c/f", "/c/sub/g", "/e")}
    actions: dict[str, Callable[[], object]] = {
        "delete": lambda: full.delete("/c", tokens=tokens.values()),
        "move over": lambda: full.move("/e", "/c", overwrite=True, tokens=tokens.values()),
        "copy over": lambda: full.copy("/e", "/c", overwrite=True, tokens=tokens.values()),
    }
    actions[verb]()
    assert (rows(store), rows(store, "property")) == (locks, properties + kept)
    if verb != "delete":
        assert full.locks("/c") == {tokens["/c"]}
        assert full.properties("/c") == {"{u}a": "<a>/e</a>"}
    store.assert_tidy()


@pytest.mark.parametrize("verb", ["move", "copy"])
@pytest.mark.parametrize("target", ["/c", "/c/f"])
def test_the_locks_of_a_target_go_on(full: Drive, verb: str, target: str) -> None:
    """RFC 4918, 7.6: all of them, with kind, reach, owner and end; those of the source do not."""
    own = {
        full.lock(target, shared=True, infinite=infinite, owner="<o/>", seconds=50)
        for infinite in (True, False)
    }
    source = full.lock("/e", seconds=50)
    before = {shown.lock for shown in full.vault.locks(VaultPath.parse(target)).covering}
    full.store.clock.advance(seconds=20)
    act = full.move if verb == "move" else full.copy
    node = act("/e", target, overwrite=True, tokens=[*own, source]).node
    after = {shown.lock for shown in full.vault.locks(VaultPath.parse(target)).covering}
    assert after == {replace(lock, node_id=node.id) for lock in before}
    assert full.get(target) == b"old"
    with pytest.raises(Locked):
        full.put(target, b"new")
    full.put(target, b"new", tokens=own)
    token = own.pop()
    assert refresh(full, target, token, seconds=60).lock.token == token
    full.unlock(target, token)
    full.store.clock.advance(seconds=30)
    assert full.locks(target) == set()
    assert full.get(target) == b"new"
    full.store.assert_tidy()


def test_a_file_that_replaces_such_a_one_stays(full: Drive) -> None:
    """Its lock goes on and ends; the content was put there, in its way."""
    token = full.lock("/new")
    full.move("/e", "/new", overwrite=True, tokens=[token])
    full.unlock("/new", token)
    assert full.get("/new") == b"old"


def test_properties_move_and_locks_do_not(store: Store, full: Drive) -> None:
    """RFC 4918, 7.7 and 9.9.1."""
    for path in ("/c", "/c/f", "/c/sub/g"):
        full.patch(path, {"{u}a": f"<a>{path}</a>"})
    tokens = [full.lock(path) for path in ("/c", "/c/f", "/c/sub/g")]
    elsewhere = full.lock("/e")
    full.move("/c", "/d", tokens=tokens)
    for path in ("", "/f", "/sub/g"):
        assert full.locks(f"/d{path}") == set()
        assert full.properties(f"/d{path}") == {"{u}a": f"<a>/c{path}</a>"}
    assert full.locks("/e") == {elsewhere}
    assert rows(store) == 1


# ── others in between ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("content", [b"new", LARGE])
@pytest.mark.parametrize("path", ["/c/f", "/c/new"])
@pytest.mark.parametrize("root", ["/", "/c", "/c/f", "/c/new"])
def test_a_lock_that_is_taken_during_an_upload_stops_its_commit(
    store: Store, full: Drive, content: bytes, path: str, root: str
) -> None:
    """The check before the body is only a courtesy: the commit asks again, and nothing is stored."""
    stops = root in {"/", path} or (root == "/c" and path == "/c/new")
    before = full.tree()
    with full.begin(path) as upload:
        upload.write(content)
        full.lock(root, infinite=root == "/")
        if stops:
            with pytest.raises(Locked):
                upload.commit()
        else:
            upload.commit()
    if stops:
        assert {where: data for where, data in full.tree().items() if where in before} == before
        assert full.find(path) is None or full.get(path) != content
    else:
        assert full.get(path) == content
    store.assert_tidy()


def test_a_lock_that_ends_during_an_upload_does_not(full: Drive) -> None:
    """Whoever waits long enough is not refused for a lock that is over."""
    token = full.lock("/c/f", seconds=10)
    with full.begin("/c/f", tokens=[token]) as upload:
        upload.write(b"new")
        full.store.clock.advance(seconds=10)
        upload.commit()
    assert full.get("/c/f") == b"new"


def test_an_upload_with_the_token_of_a_lock_that_became_somebody_elses(full: Drive) -> None:
    """Its own lock expired and another device locked the file: the old token opens nothing."""
    token = full.lock("/c/f", seconds=10)
    with full.begin("/c/f", tokens=[token]) as upload:
        upload.write(b"new")
        full.store.clock.advance(seconds=10)
        full.lock("/c/f")
        with pytest.raises(Locked):
            upload.commit()
    assert full.get("/c/f") == b"old"


@pytest.mark.parametrize("path", ["/c/f", "/c/new"])
@pytest.mark.parametrize("infinite", [False, True])
def test_threads_locking_one_name(store: Store, full: Drive, path: str, *, infinite: bool) -> None:
    """RFC 4918, 6.2: of four that ask for an exclusive lock at once, one gets it, whoever it is."""
    granted: list[str] = []
    for _ in range(ROUNDS // 3):
        granted.clear()
        errors = at_once(
            *[lambda _round: granted.append(full.lock(path, infinite=infinite)) for _ in range(4)], rounds=1
        )
        assert kinds(errors) == {LockConflict}
        assert (len(granted), len(errors)) == (1, 3)
        assert full.locks(path) == set(granted)
        assert rows(store) == 1
        full.unlock(path, granted[0])
    assert full.find("/c/new") is None
    store.assert_tidy()


def test_threads_locking_a_collection_and_its_member(full: Drive) -> None:
    """An infinite lock from above and one of a member: never both."""
    granted: list[tuple[str, str]] = []

    def lock(path: str) -> Callable[[int], None]:
        def run(_number: int) -> None:
            granted.append((path, full.lock(path, infinite=True)))

        return run

    for _ in range(ROUNDS):
        assert kinds(at_once(lock("/c"), lock("/c/sub"), lock("/c/sub/g"), rounds=1)) == {LockConflict}
        ((path, token),) = granted
        full.unlock(path, token)
        granted.clear()


@pytest.mark.parametrize("verb", ["put", "delete", "move", "replace"])
def test_threads_locking_and_changing(store: Store, alice: Drive, verb: str) -> None:
    """LOCK against PUT, MOVE and DELETE: whoever has the lock finds the file as it was when it was given."""
    actions: dict[str, Callable[[int], object]] = {
        "put": lambda number: alice.put("/f", b"%d" % number),
        "delete": lambda _number: alice.delete("/f"),
        "move": lambda _number: alice.move("/f", "/moved", overwrite=True),
        "replace": lambda _number: alice.copy("/other", "/f", overwrite=True),
    }
    alice.put("/other", b"other")
    wrong: list[object] = []

    def lock(_number: int) -> None:
        token = alice.lock("/f")
        seen = [(node.id, node.etag) if (node := alice.find("/f")) else None for _ in range(4)]
        if len(set(seen)) != 1 or seen[0] is None or alice.locks("/f") != {token}:
            wrong.append(seen)
        alice.unlock("/f", token)

    def again(number: int) -> None:
        if number % 2:
            alice.put("/f", b"again")

    errors = at_once(lock, actions[verb], again)
    assert wrong == []
    assert kinds(errors) <= {Locked, NotFound, PreconditionFailed}
    assert rows(store) == 0
    store.assert_tidy()


def test_threads_refreshing_and_unlocking(store: Store, full: Drive) -> None:
    """Refresh against UNLOCK: a lock that was given back never comes to life again."""
    for _ in range(ROUNDS):
        token = full.lock("/c/f")

        def again(_round: int, token: str = token) -> None:
            refresh(full, "/c/f", token)

        def end(_round: int, token: str = token) -> None:
            full.unlock("/c/f", token)

        errors = at_once(again, end, rounds=1)
        assert kinds(errors) <= {NoSuchLock}
        assert len(errors) <= 1
        assert rows(store) == 0


def test_a_refresh_and_the_sweeping_of_expired_locks(store: Store, full: Drive) -> None:
    """A lock that is refreshed between being found expired and being removed is not taken away."""
    for path in ("/c/f", "/new"):
        token = full.lock(path, seconds=60)
        store.clock.advance(seconds=60)

        def act(path: str = path, token: str = token) -> None:
            store.clock.advance(seconds=-1)  # the refresh began before the lock was over, and waited
            refresh(full, path, token, seconds=60)
            store.clock.advance(seconds=1)

        store.database.after_read = act
        store.collect()
        assert full.locks(path) == {token}
    assert full.find("/new") is not None


def test_a_new_file_and_the_sweeping_of_its_lock(store: Store, full: Drive) -> None:
    """Its lock was found expired, then somebody put a content or took another lock: it stays."""
    for path, act in (
        ("/put", lambda: full.put("/put", b"content")),
        ("/locked", lambda: full.lock("/locked")),
    ):
        full.lock(path, seconds=60)
        store.clock.advance(seconds=60)
        store.database.after_read = act
        store.collect()
        assert full.find(path) is not None
    assert full.get("/put") == b"content"
    assert len(full.locks("/locked")) == 1
    full.unlock("/locked", full.locks("/locked").pop())
    store.assert_tidy()


def test_a_lock_and_the_account_that_is_being_deleted(store: Store, full: Drive, bob: Drive) -> None:
    """Nobody can open the account any more; the locks of others are swept all the same."""
    full.lock("/new")
    bob.lock("/new")
    store.clock.advance(hours=2)
    store.sql("UPDATE account SET state = 'deleted' WHERE username = 'alice'")
    assert store.collect().locks == 1
    assert bob.names() == []


def test_two_changes_of_one_lock(store: Store, full: Drive) -> None:
    """Two processes refresh at once: each lasts at least as long as it was told."""
    token = full.lock("/c/f", seconds=10)
    errors: list[DavserverError] = at_once(
        *[
            lambda _round, seconds=seconds: refresh(full, "/c/f", token, seconds=seconds)
            for seconds in (50, 60)
        ]
    )
    assert kinds(errors) <= {VersionConflict}
    store.clock.advance(seconds=49)
    assert full.locks("/c/f") == {token}
