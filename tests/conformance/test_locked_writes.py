"""What a lock keeps others from: another lock, and every kind of writing. RFC 4918, 6.2, 7 and 9; T30."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client, Headers
from tests.conformance.faults import fault
from tests.conformance.http import Response
from tests.conformance.multistatus import conditions

COLOUR = "{urn:x}colour"


def _fill(dav: Client) -> dict[str, bytes | None]:
    dav.made("other", b"o")
    dav.made("file", b"f")
    c = dav.made_collection("c")
    c.made("member", b"m")
    c.made_collection("sub").made("deep", b"d")
    dav.made_collection("c2").made("member", b"2")
    return dav.tree()


# ── a lock beside another ───────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Pair:
    """A lock that is held, and one that is asked for: (scope, depth, name) each."""

    held: tuple[str, str, str]
    wanted: tuple[str, str, str]

    def __str__(self) -> str:
        return f"{' '.join(self.held)} / {' '.join(self.wanted)}"


LEAVES_FILE = fault("makes the file before it looks for a conflict, and leaves it there")

CONFLICTS = [
    Pair(("exclusive", "0", "file"), ("exclusive", "0", "file")),
    Pair(("exclusive", "0", "file"), ("shared", "0", "file")),
    Pair(("shared", "0", "file"), ("exclusive", "0", "file")),
    Pair(("exclusive", "0", "c"), ("shared", "0", "c")),
    Pair(("exclusive", "infinity", "c"), ("exclusive", "0", "c/")),
    Pair(("exclusive", "infinity", "c"), ("exclusive", "0", "c/member")),
    Pair(("exclusive", "infinity", "c"), ("shared", "0", "c/sub/deep")),
    Pair(("exclusive", "infinity", "c"), ("shared", "infinity", "c/sub")),
    Pair(("shared", "infinity", "c"), ("exclusive", "0", "c/sub/deep")),
    Pair(("shared", "infinity", "c"), ("exclusive", "infinity", "c/sub/")),
    pytest.param(Pair(("exclusive", "infinity", "c"), ("exclusive", "0", "c/new")), marks=LEAVES_FILE),
    pytest.param(Pair(("shared", "infinity", "c"), ("exclusive", "0", "c/sub/new")), marks=LEAVES_FILE),
]


@pytest.mark.parametrize("token", ["kept", "submitted"])
@pytest.mark.parametrize("pair", CONFLICTS, ids=str)
def test_conflicting_lock_is_423(dav: Client, pair: Pair, token: str) -> None:
    """RFC 4918, 6.2, 9.10.5 and 16: 423 that names what is in the way, also to its holder, no file made."""
    before = _fill(dav)
    scope, depth, name = pair.held
    held = dav.locked(name, scope, depth=depth)
    scope, depth, wanted = pair.wanted
    fields = dav.holding((name, held)) if token == "submitted" else {}
    answer = dav.lock(wanted, scope, depth=depth, headers=fields)
    assert answer.status == 423
    found = conditions(answer)
    assert set(found) == {"no-conflicting-lock"}
    assert [path.rstrip("/") for path in found["no-conflicting-lock"]] == [dav.at(name)]
    assert [lock.token for lock in dav.locks(name)] == [held]
    assert dav.tree() == before


COMPATIBLE = [
    Pair(("shared", "0", "file"), ("shared", "0", "file")),
    Pair(("shared", "infinity", "c"), ("shared", "0", "c/sub/deep")),
    pytest.param(
        Pair(("shared", "0", "c/sub/deep"), ("shared", "infinity", "c")),
        marks=fault("takes any lock below for a conflict"),
    ),
    Pair(("shared", "infinity", "c"), ("shared", "infinity", "c")),
    Pair(("exclusive", "0", "c"), ("exclusive", "0", "c/member")),
    Pair(("exclusive", "0", "c"), ("exclusive", "infinity", "c/sub")),
    Pair(("exclusive", "0", "c/member"), ("exclusive", "0", "c")),
    Pair(("exclusive", "infinity", "c/sub"), ("exclusive", "0", "c")),
    Pair(("exclusive", "infinity", "c"), ("exclusive", "infinity", "c2")),
    Pair(("exclusive", "infinity", "c/sub"), ("exclusive", "0", "c/member")),
]


@pytest.mark.parametrize("pair", COMPATIBLE, ids=str)
def test_locks_that_do_not_meet_are_granted(dav: Client, pair: Pair) -> None:
    """RFC 4918, 6.2: shared locks agree; names that begin alike are two; depth 0 reaches no member."""
    _fill(dav)
    for scope, depth, name in (pair.held, pair.wanted):
        assert dav.lock(name, scope, depth=depth).status == 200


@fault("answers 423, as if what was asked for were locked itself")
@pytest.mark.parametrize(
    ("held", "wanted"), [("exclusive", "exclusive"), ("exclusive", "shared"), ("shared", "exclusive")]
)
@pytest.mark.parametrize("name", ["c/member", "c/sub/deep", "c/sub"])
def test_lock_of_a_tree_is_stopped_by_a_member(dav: Client, name: str, held: str, wanted: str) -> None:
    """RFC 4918, 9.10.3 and 9.10.9: all or nothing: 207 with 423 for the member and 424 for the request."""
    _fill(dav)
    token = dav.locked(name, held)
    found = {each.path.rstrip("/"): each.status for each in multistatus.parse(dav.lock("c", wanted))}
    assert found == {dav.at(name): 423, dav.at("c"): 424}
    assert dav.locks("c") == []
    assert [lock.token for lock in dav.locks(name)] == [token]


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Write:
    """A request that changes something under the lock of `root`.

    Attributes:
        target: where COPY and MOVE go.
    """

    root: str
    depth: str
    method: str
    name: str
    target: str | None = None

    def __str__(self) -> str:
        goal = f" to {self.target}" if self.target else ""
        return f"{self.method} {self.name}{goal} under {self.root} {self.depth}"


def _write(dav: Client, write: Write, headers: Headers) -> Response:
    if write.method == "PROPPATCH":
        return dav.proppatch(write.name, (COLOUR, "red"), headers=headers)
    if write.method == "LOCK":
        return dav.lock(write.name, headers=headers)
    goal = {"Destination": dav.url(write.target)} if write.target else {}
    return dav.ask(write.method, write.name, {**goal, **headers}, b"new" if write.method == "PUT" else None)


ON_THE_FILE = [
    Write("file", "0", "PUT", "file"),
    Write("file", "0", "PROPPATCH", "file"),
    Write("file", "0", "DELETE", "file"),
    Write("file", "0", "MOVE", "file", "new"),
    Write("file", "0", "COPY", "other", "file"),
    Write("file", "0", "MOVE", "other", "file"),
    Write("file", "0", "MOVE", "c2", "file"),
]

MEMBERSHIP = [
    ("PUT", "c/new", None),
    ("MKCOL", "c/new", None),
    ("DELETE", "c/member", None),
    ("DELETE", "c/sub", None),
    ("MOVE", "c/member", "new"),
    ("MOVE", "c/member", "c/new"),
    ("MOVE", "c/sub/", "new/"),
    ("MOVE", "other", "c/new"),
    ("COPY", "other", "c/new"),
    ("COPY", "c2/", "c/new/"),
    ("PROPPATCH", "c", None),
    ("DELETE", "c", None),
    ("DELETE", "c/", None),
    ("MOVE", "c", "new"),
    ("MOVE", "c2", "c"),
    ("COPY", "other", "c"),
]
"""What changes a collection or the list of its members (RFC 4918, 7.4): both depths forbid it."""

BELOW = [
    ("PUT", "c/member", None),
    ("PUT", "c/sub/new", None),
    ("PUT", "c/sub/deep", None),
    ("MKCOL", "c/sub/new", None),
    ("PROPPATCH", "c/sub/deep", None),
    ("PROPPATCH", "c/sub", None),
    ("DELETE", "c/sub/deep", None),
    ("MOVE", "c/sub/deep", "new"),
    ("COPY", "other", "c/sub/deep"),
    ("COPY", "other", "c/member"),
    ("COPY", "c/member", "c/sub/new"),
]
"""What only a lock of infinite depth forbids."""

LOCKED_MEMBER = [
    ("DELETE", "c", None),
    ("DELETE", "c/", None),
    ("MOVE", "c", "new"),
    ("MOVE", "c/", "new/"),
    ("MOVE", "c", "c2"),
    ("MOVE", "c2", "c"),
    ("COPY", "c2", "c"),
    ("COPY", "c2/", "c/"),
    ("COPY", "other", "c"),
    ("MOVE", "other", "c"),
]
"""What would remove a member that is locked for itself, wherever below (RFC 4918, 9.6.1 and 9.9.3)."""

OVER_MEMBERS = [Write(root, "0", *row) for root in ("c/member", "c/sub/deep") for row in LOCKED_MEMBER]

WRITES = [
    *ON_THE_FILE,
    *(Write("c", depth, *row) for depth in ("0", "infinity") for row in MEMBERSHIP),
    Write("c", "0", "LOCK", "c/new"),
    *(Write("c", "infinity", *row) for row in BELOW),
    *OVER_MEMBERS,
]

DELETES = fault("looks at the lock of the parent, says 423 for the member, and deletes all of it")
LOCKS = fault("does not ask for the lock of the collection that it adds a name to")
REFUSES = fault("looks at every lock below but not at the tokens that were submitted")


def _without_token(write: Write) -> object:
    if write.method == "LOCK":
        return pytest.param(write, marks=LOCKS)
    whole = write.method == "DELETE" and write.name in {"c", "c/"} and write.depth == "0"
    return pytest.param(write, marks=DELETES) if whole else write


def _with_token(write: Write) -> object:
    return pytest.param(write, marks=REFUSES) if write in OVER_MEMBERS and write.method != "DELETE" else write


@fault("answers no-conflicting-lock, which is about locks and not about writing")
@pytest.mark.parametrize("write", WRITES, ids=str)
def test_write_without_the_token_is_423(dav: Client, write: Write) -> None:
    """RFC 4918, 7.5, 7.6 and 16; T30: 423 with lock-token-submitted and the lock's root; no change."""
    before = _fill(dav)
    dav.locked(write.root, depth=write.depth)
    answer = _write(dav, write, {})
    assert answer.status == 423
    found = conditions(answer)
    assert set(found) == {"lock-token-submitted"}
    assert [path.rstrip("/") for path in found["lock-token-submitted"]] == [dav.at(write.root)]
    assert dav.tree() == before
    assert len(dav.locks(write.root)) == 1


@pytest.mark.parametrize("write", list(map(_without_token, WRITES)), ids=str)
def test_write_without_the_token_changes_nothing(dav: Client, write: Write) -> None:
    """T30: the same, where only the content counts: what somebody holds a lock on is there afterwards."""
    before = _fill(dav)
    dav.locked(write.root, depth=write.depth)
    _write(dav, write, {})
    assert dav.tree() == before
    assert dav.properties("c", COLOUR).names() == set()


@pytest.mark.parametrize("write", list(map(_with_token, WRITES)), ids=str)
def test_write_with_the_token_is_done(dav: Client, write: Write) -> None:
    """RFC 4918, 7.5 and 10.4: with the token in a list tagged with the lock's root, the request is done."""
    _fill(dav)
    token = dav.locked(write.root, depth=write.depth)
    answer = _write(dav, write, dav.holding((write.root, token)))
    assert answer.status in {200, 201, 204, 207}
    if write.method == "PROPPATCH":
        assert multistatus.only(answer).names() == {COLOUR}
    if write.method in {"DELETE", "MOVE"} and not write.name.startswith("other"):
        assert dav.propfind(write.name).status == 404
    if write.target:
        assert dav.propfind(write.target).status == 207


def test_depth_0_leaves_the_members_alone(dav: Client) -> None:
    """RFC 4918, 7.4: a member's content and properties, and what lies deeper, are not the collection's."""
    _fill(dav)
    dav.locked("c", depth="0")
    assert dav.put("c/member", b"x").status == 204
    assert multistatus.only(dav.proppatch("c/member", (COLOUR, "red"))).names() == {COLOUR}
    assert dav.put("c/sub/new", b"x").status == 201
    assert dav.mkcol("c/sub/collection").status == 201
    assert dav.delete("c/sub/deep").status == 204
    assert dav.lock("c/member").status == 200


@pytest.mark.parametrize("name", ["file", "c", "c/member", "c/sub/deep"])
def test_lock_keeps_nobody_from_reading(dav: Client, name: str) -> None:
    """RFC 4918, 7: it is a write lock: GET, HEAD, PROPFIND, OPTIONS and COPY from there go on."""
    _fill(dav)
    dav.locked("file")
    dav.locked("c")
    if name != "c":
        assert dav.get(name).status == 200
        assert dav.head(name).status == 200
    assert dav.propfind(name).status == 207
    assert dav.ask("OPTIONS", name).status in {200, 204}
    assert dav.copy(name, "copy").status == 201


def test_lock_does_not_concern_its_neighbours(dav: Client) -> None:
    """RFC 4918, 6.1: names that begin like the locked one, and its parent, are not locked."""
    _fill(dav)
    dav.locked("c")
    assert dav.put("c2/member", b"x").status == 204
    assert dav.put("cc", b"x").status == 201
    assert dav.put("c.", b"x").status == 201
    assert dav.delete("c2").status == 204


ALL_TOKENS = fault("wants the token of every shared lock")


@ALL_TOKENS
def test_one_of_the_shared_tokens_is_enough(dav: Client) -> None:
    """RFC 4918, 7.5: whoever holds one of the shared locks may write; without one: 423."""
    dav.made("file")
    tokens = [dav.locked("file", "shared") for _ in range(3)]
    for token in tokens:
        assert dav.put("file", token.encode(), {"If": f"(<{token}>)"}).status == 204
    assert dav.put("file", b"x").status == 423
    assert dav.get("file").body == tokens[-1].encode()


@ALL_TOKENS
def test_shared_lock_above_and_another_one_below(dav: Client) -> None:
    """RFC 4918, 7.5: locks on a tree and on its member are two; the token of either covers the member."""
    _fill(dav)
    above, below = dav.locked("c", "shared"), dav.locked("c/member", "shared")
    assert dav.put("c/member", b"1", dav.holding(("c", above))).status == 204
    assert dav.put("c/member", b"2", dav.holding(("c/member", below))).status == 204
    assert dav.put("c/member", b"x").status == 423


@pytest.mark.parametrize("method", ["DELETE", "MOVE"])
def test_locks_on_both_are_both_submitted(dav: Client, method: str) -> None:
    """RFC 4918, 7.4 and 9.9.3: a member leaves its locked collection with both tokens, and not with one."""
    before = _fill(dav)
    held = {"c": dav.locked("c", depth="0"), "c/member": dav.locked("c/member")}
    write = Write("c", "0", method, "c/member", "new" if method == "MOVE" else None)
    for name, token in held.items():
        assert _write(dav, write, dav.holding((name, token))).status == 423
        assert dav.tree() == before
    assert _write(dav, write, dav.holding(*held.items())).status in {201, 204}


def test_move_between_two_locks_needs_both(dav: Client) -> None:
    """RFC 4918, 7.5: source and target are both written to."""
    before = _fill(dav)
    held = {"other": dav.locked("other"), "file": dav.locked("file")}
    for name, token in held.items():
        assert dav.move("other", "file", dav.holding((name, token))).status == 423
        assert dav.tree() == before
    assert dav.move("other", "file", dav.holding(*held.items())).status == 204
    assert dav.get("file").body == b"o"


@fault("looks at every lock below but not at the tokens that were submitted")
@pytest.mark.parametrize("method", ["DELETE", "MOVE"])
def test_every_locked_member_counts(dav: Client, method: str) -> None:
    """T30: with one of two tokens nothing is changed, with both the whole tree goes."""
    before = _fill(dav)
    held = {"c/member": dav.locked("c/member"), "c/sub/deep": dav.locked("c/sub/deep")}
    write = Write("c", "0", method, "c", "new" if method == "MOVE" else None)
    for name, token in held.items():
        assert _write(dav, write, dav.holding((name, token))).status == 423
        assert dav.tree() == before
    assert _write(dav, write, dav.holding(*held.items())).status in {201, 204}


# ── a lock stays where it was taken ─────────────────────────────────────────────────────────────────────────
@fault("leaves the lock where nothing is any more")
@pytest.mark.parametrize(("source", "member"), [("file", ""), ("c", "/sub/deep"), ("c/", "sub/deep")])
def test_lock_does_not_move(dav: Client, source: str, member: str) -> None:
    """RFC 4918, 7.6: after a MOVE neither the new place nor the old name is locked, at any depth."""
    _fill(dav)
    token = dav.locked(source + member)
    assert dav.move(source, "moved", dav.holding((source + member, token))).status == 201
    there, here = f"moved/{member.lstrip('/')}".rstrip("/"), source + member
    assert dav.locks(there) == []
    assert dav.put(there, b"x").status == 204
    assert dav.unlock(there, token).status == 409
    if member:
        assert dav.mkcol(source).status == 201
        assert dav.mkcol(source.rstrip("/") + "/sub").status == 201
    assert dav.put(here, b"x").status == 201
    assert dav.put(here, b"x", {"If": f"(<{token}>)"}).status == 412


def test_lock_of_the_target_does_not_stay_in_the_way(dav: Client) -> None:
    """RFC 4918, 9.9.3: Office saves beside and moves over the locked file: the content is there, for good."""
    dav.made("temporary", b"new")
    token = dav.locked("file")
    assert dav.move("temporary", "file", dav.holding(("file", token))).status in {201, 204}
    assert dav.unlock("file", token).status in {204, 409}
    assert dav.tree() == {"file": b"new"}
    assert dav.put("file", b"newer").status == 204


def test_what_moves_into_a_locked_tree_is_locked(dav: Client) -> None:
    """RFC 4918, 7.5 and 7.6: an infinite lock covers who comes, and no longer who goes."""
    _fill(dav)
    token = dav.locked("c")
    assert dav.move("other", "c/new", dav.holding(("c", token))).status == 201
    assert dav.put("c/new", b"x").status == 423
    assert dav.move("c/member", "gone", dav.holding(("c", token))).status == 201
    assert dav.put("gone", b"x").status == 204


def test_lock_ends_with_what_it_was_on(dav: Client) -> None:
    """RFC 4918, 9.6: DELETE removes every lock of what it removes; the names are free."""
    _fill(dav)
    held = {name: dav.locked(name) for name in ("file", "c/sub/deep")}
    assert dav.delete("file", dav.holding(("file", held["file"]))).status == 204
    assert dav.delete("c", dav.holding(("c/sub/deep", held["c/sub/deep"]))).status == 204
    assert dav.put("file", b"x").status == 201
    assert dav.made_collection("c").made_collection("sub").put("deep", b"x").status == 201
    assert dav.locks("file") == dav.locks("c/sub/deep") == []


@pytest.mark.parametrize("target", ["new", "c2"])
def test_lock_is_not_copied(dav: Client, target: str) -> None:
    """RFC 4918, 7.6: a copy is another resource, and nobody has locked it."""
    _fill(dav)
    for name in ("file", "c/member"):
        dav.locked(name)
    assert dav.copy("c", target).status in {201, 204}
    assert dav.locks(f"{target}/member") == []
    assert dav.put(f"{target}/member", b"x").status == 204
    assert dav.copy("file", "copy").status == 201
    assert dav.put("copy", b"x").status == 204


def test_content_does_not_move_the_lock(dav: Client) -> None:
    """RFC 4918, 7: PUT with the token, as often as one likes: the lock is still the same one."""
    dav.made("file")
    token = dav.locked("file")
    for content in (b"1", b"2"):
        assert dav.put("file", content, {"If": f"(<{token}>)"}).status == 204
    assert [lock.token for lock in dav.locks("file")] == [token]
    assert dav.unlock("file", token).status == 204
    assert dav.get("file").body == b"2"
