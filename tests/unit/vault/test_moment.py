"""What locks keep from being done, and what conditions ask of them, also for a device with a folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.errors import CorruptRow, Locked, NotFound, NotPermitted, ParentMissing, PreconditionFailed
from davserver.model import Scope
from davserver.vault.moment import MAX_ROOTS, NO_DEMANDS, Demands, Look, Moment
from davserver.vault.paths import VaultPath
from davserver.vault.tree import Placed
from tests.unit.vault.store import Drive, Store

UNKNOWN = "urn:uuid:00000000-0000-4000-8000-000000000000"


@pytest.fixture
def full(alice: Drive) -> Drive:
    """/c with f and sub/g, /d with h, /e."""
    for path in ("/c", "/c/sub", "/d"):
        alice.mkdir(path)
    for path in ("/c/f", "/c/sub/g", "/d/h", "/e"):
        alice.put(path, path.encode())
    return alice


Write = Callable[[Drive, list[str]], object]

WRITES: dict[str, Write] = {
    "put": lambda drive, tokens: drive.put("/c/f", b"new", tokens=tokens),
    "put new": lambda drive, tokens: drive.put("/c/new", b"new", tokens=tokens),
    "mkdir": lambda drive, tokens: drive.mkdir("/c/new", tokens=tokens),
    "times": lambda drive, tokens: drive.times("/c/f", modified_ns=1, tokens=tokens),
    "times of c": lambda drive, tokens: drive.times("/c", modified_ns=1, tokens=tokens),
    "properties": lambda drive, tokens: drive.patch("/c/f", {"{u}a": "<a/>"}, tokens=tokens),
    "delete": lambda drive, tokens: drive.delete("/c/f", tokens=tokens),
    "delete c": lambda drive, tokens: drive.delete("/c", tokens=tokens),
    "move out": lambda drive, tokens: drive.move("/c/f", "/new", tokens=tokens),
    "move in": lambda drive, tokens: drive.move("/e", "/c/new", tokens=tokens),
    "move over": lambda drive, tokens: drive.move("/e", "/c/f", overwrite=True, tokens=tokens),
    "move c": lambda drive, tokens: drive.move("/c", "/new", tokens=tokens),
    "move over c": lambda drive, tokens: drive.move("/d", "/c", overwrite=True, tokens=tokens),
    "copy in": lambda drive, tokens: drive.copy("/e", "/c/new", tokens=tokens),
    "copy over": lambda drive, tokens: drive.copy("/e", "/c/f", overwrite=True, tokens=tokens),
    "copy over c": lambda drive, tokens: drive.copy("/d", "/c", overwrite=True, tokens=tokens),
    "copy out": lambda drive, tokens: drive.copy("/c", "/new", tokens=tokens),
    "put deep": lambda drive, tokens: drive.put("/c/sub/g", b"new", tokens=tokens),
    "put new deep": lambda drive, tokens: drive.put("/c/sub/new", b"new", tokens=tokens),
    "delete deep": lambda drive, tokens: drive.delete("/c/sub/g", tokens=tokens),
    "put beside": lambda drive, tokens: drive.put("/d/h", b"new", tokens=tokens),
}

OF_C = {"times of c", "delete c", "move c", "move over c", "copy over c"}
MEMBERS_OF_C = {"put new", "mkdir", "delete", "move out", "move in", "move over", "copy in", "copy over"}
OF_F = {"put", "times", "properties", "delete", "move out", "move over", "copy over"}
ALL_OF_C = {"delete c", "move c", "move over c", "copy over c"}
BELOW_C = {"put", "times", "properties", "put deep", "put new deep", "delete deep"}

STOPPED: dict[tuple[str, bool], set[str]] = {
    ("/c", False): OF_C | MEMBERS_OF_C,
    ("/c", True): OF_C | MEMBERS_OF_C | BELOW_C,
    ("/", False): {"delete c", "move c", "move over c", "copy over c", "move out", "copy out"}
    | {"move in", "move over"},
    ("/", True): set(WRITES),
    ("/c/f", False): OF_F | ALL_OF_C,
    ("/c/sub", False): {"put new deep", "delete deep"} | ALL_OF_C,
    ("/c/sub", True): {"put deep", "put new deep", "delete deep"} | ALL_OF_C,
    ("/c/sub/g", False): {"put deep", "delete deep"} | ALL_OF_C,
    ("/e", False): {"move in", "move over"},
    ("/d", True): {"move over c", "put beside"},
    ("/d/h", False): {"move over c", "put beside"},
}
"""Which writes a lock stops, by its root and whether it reaches down (RFC 4918, 7.4 and 7.5)."""


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("root", "infinite"), STOPPED)
def test_a_lock_stops_what_it_covers_and_nothing_else(
    full: Drive,
    root: str,
    infinite: bool,  # noqa: FBT001
    write: str,
) -> None:
    """Without its token nothing happens and the refusal names its root; with it the write is done."""
    token = full.lock(root, infinite=infinite)
    before = full.tree()
    if write not in STOPPED[root, infinite]:
        WRITES[write](full, [])
        return
    for tokens in ([], [UNKNOWN]):
        with pytest.raises(Locked) as caught:
            WRITES[write](full, tokens)
        assert caught.value.roots == ((VaultPath.parse(root).parts, full.stat(root).is_collection),)
    assert full.tree() == before
    assert full.stat("/c/f").modified_ns != 1
    assert full.properties("/c/f") == {}
    assert full.locks(root) == {token}
    WRITES[write](full, [UNKNOWN, token])
    full.store.assert_tidy()


@pytest.mark.parametrize("write", WRITES)
def test_other_peoples_locks_and_tokens_count_for_nothing(full: Drive, bob: Drive, write: str) -> None:
    """Bob's lock on his root stops nothing of Alice's, and his token opens nothing."""
    theirs = bob.lock("/", infinite=True)
    if write != "copy out":
        token = full.lock("/", infinite=True)
        with pytest.raises(Locked):
            WRITES[write](full, [theirs])
        full.unlock("/", token)
    WRITES[write](full, [])


@pytest.mark.parametrize("write", WRITES)
def test_expired_locks_never_count(full: Drive, write: str) -> None:
    """From their last second on they stop nothing, whether or not anybody has swept up."""
    for path in ("/", "/c", "/c/f", "/c/sub/g", "/d/h", "/e"):
        full.lock(path, shared=True, infinite=path == "/", seconds=60)
    full.store.clock.advance(seconds=59)
    with pytest.raises(Locked):
        WRITES[write](full, [])
    full.store.clock.advance(seconds=1)
    WRITES[write](full, [])
    full.store.assert_tidy()
    assert full.store.sql("SELECT count(*) FROM lock") == [(0,)]


@pytest.mark.parametrize("write", ["delete c", "move c", "move over c", "copy over c"])
def test_every_lock_below_needs_its_token(full: Drive, write: str) -> None:
    """What goes takes its members along: one token of each locked member, of several on one any."""
    f = [full.lock("/c/f", shared=True) for _ in range(2)]
    g = full.lock("/c/sub/g")
    before = full.tree()
    for tokens, missing in (([], {"f", "g"}), (f, {"g"}), ([g], {"f"})):
        with pytest.raises(Locked) as caught:
            WRITES[write](full, tokens)
        assert {names[-1] for names, _ in caught.value.roots} == missing
    assert full.tree() == before
    WRITES[write](full, [f[1], g])
    assert full.store.sql("SELECT count(*) FROM lock") == [(0,)]
    full.store.assert_tidy()


def test_a_member_that_goes_needs_both(full: Drive) -> None:
    """Its own lock's token and that of its locked collection (RFC 4918, 7.4)."""
    c, f = full.lock("/c"), full.lock("/c/f")
    for tokens, root in (([c], ("c", "f")), ([f], ("c",))):
        with pytest.raises(Locked) as caught:
            full.delete("/c/f", tokens=tokens)
        assert caught.value.roots == ((root, root == ("c",)),)
    full.delete("/c/f", tokens=[c, f])


def test_any_token_of_shared_locks_will_do(full: Drive) -> None:
    """RFC 4918, 6.2: also that of a shared lock further up."""
    above, own = full.lock("/c", shared=True, infinite=True), full.lock("/c/f", shared=True)
    for token in (above, own):
        full.put("/c/f", b"new", tokens=[token])
    with pytest.raises(Locked) as caught:
        full.put("/c/f", b"new")
    assert set(caught.value.roots) == {(("c",), True), (("c", "f"), False)}


def test_a_refusal_names_each_root_once(full: Drive) -> None:
    """Several shared locks on one file are one place."""
    for _ in range(3):
        full.lock("/c/f", shared=True)
    with pytest.raises(Locked) as caught:
        full.delete("/c")
    assert caught.value.roots == ((("c", "f"), False),)


def test_a_refusal_names_only_so_many(store: Store, full: Drive) -> None:
    """RFC 4918, 16: one is enough; a thousand would keep all other writers waiting for their names."""
    full.mkdir("/m")
    full.plant("/m", [f"n{number}" for number in range(3 * MAX_ROOTS)])
    for number in range(3 * MAX_ROOTS):
        full.lock(f"/m/n{number}")
    with store.tripwire.armed() as steps, pytest.raises(Locked) as caught:
        full.delete("/m")
    assert len(set(caught.value.roots)) == MAX_ROOTS
    assert len(steps) < 5 + 3 * MAX_ROOTS


@pytest.mark.parametrize("name", ["ü", "u\u0308", "a b%2F&<>\"'", "\U0001f512", "Ω;?#"])
def test_names_of_roots_are_those_of_the_tree(full: Drive, name: str) -> None:
    """As the client spelled them in its path, or as they were made; whatever is in them."""
    full.mkdir(f"/c/{name}")
    full.lock(f"/c/{name}")
    for write in (
        lambda: full.put(f"/c/{name}/x"),
        lambda: full.delete("/c"),
    ):
        with pytest.raises(Locked) as caught:
            write()
        assert caught.value.roots == ((("c", name), True),)


# ── conditions ──────────────────────────────────────────────────────────────────────────────────────────────
def asking(*questions: tuple[str, str, bool], tokens: tuple[str, ...] = ()) -> Demands:
    """Demands that some paths are (not) locked with some tokens, asked in this order."""

    def judge(look: Look) -> None:
        for path, token, expected in questions:
            if look(VaultPath.parse(path)).is_locked_with(token) is not expected:
                raise PreconditionFailed(path)

    return Demands(judge, frozenset(tokens))


def test_what_a_condition_asks_of_a_lock(full: Drive, bob: Drive) -> None:
    """A token holds for what its lock covers, also where nothing is yet; no other account's ever."""
    deep, flat = full.lock("/c", infinite=True), full.lock("/d")
    theirs = bob.lock("/", infinite=True)
    full.vault.check(
        asking(
            *((path, deep, True) for path in ("/c", "/c/f", "/c/sub/g", "/c/new", "/c/missing/x")),
            *((path, deep, False) for path in ("/", "/d", "/e", "/missing")),
            *((path, flat, path == "/d") for path in ("/d", "/d/h", "/d/new", "/")),
            *((path, theirs, False) for path in ("/", "/c", "/missing")),
            ("/c", UNKNOWN, False),
        )
    )
    full.store.clock.advance(hours=1)
    full.vault.check(asking(("/c", deep, False), ("/d", flat, False)))


@pytest.mark.parametrize("asked", [["/c/f"], ["/c/sub", "/c/f"], ["/c", "/"], ["/c/f", "/d", "/c/sub/g"]])
@pytest.mark.parametrize("write", ["put", "delete", "delete c", "move c"])
def test_asking_for_a_lock_does_not_make_it_forgotten(full: Drive, asked: list[str], write: str) -> None:
    """`If: <member> (Not <DAV:no-lock>)` looks at a lock and submits no token: it still is in the way."""
    full.lock("/c/f")
    before = full.tree()
    demands = asking(*((path, "DAV:no-lock", False) for path in asked))
    actions: dict[str, Callable[[], object]] = {
        "put": lambda: full.vault.write(VaultPath.parse("/c/f"), demands=demands),
        "delete": lambda: full.vault.delete(VaultPath.parse("/c/f"), demands=demands),
        "delete c": lambda: full.vault.delete(VaultPath.parse("/c"), demands=demands),
        "move c": lambda: full.vault.move(
            VaultPath.parse("/c"), VaultPath.parse("/new"), overwrite=False, demands=demands
        ),
    }
    with pytest.raises(Locked):
        actions[write]()
    assert full.tree() == before


def test_what_was_looked_up_before_does_not_hide_what_lies_below(store: Store, full: Drive) -> None:
    """Each path is looked up once, but what lies below a collection that goes is always looked for."""
    full.lock("/c/sub/g")
    access = store.vaults.access(full.principal)
    with store.database.read() as tx:
        moment = Moment(access, tx)
        path = VaultPath.parse("/c")
        assert not moment.state(path).is_locked_with(UNKNOWN)
        with pytest.raises(Locked):
            moment.admit(NO_DEMANDS, removes=[moment.trail(path)])


def test_the_condition_comes_before_the_lock(full: Drive) -> None:
    """RFC 4918, 10.4: a condition that does not hold is 412, locked or not."""
    full.lock("/c/f")

    def refuse(_node: object) -> None:
        raise PreconditionFailed("no")

    with pytest.raises(PreconditionFailed):
        full.put("/c/f", b"new", condition=refuse)


@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize("verb", ["move", "copy"])
def test_a_place_that_cannot_be_is_not_called_locked(
    full: Drive,
    verb: str,
    infinite: bool,  # noqa: FBT001
) -> None:
    """No token would help: the collection is missing, or it is the root."""
    full.lock("/c", infinite=infinite)
    act: Callable[..., Placed] = getattr(full, verb)
    with pytest.raises(ParentMissing):
        act("/e", "/c/missing/x")
    with pytest.raises(NotPermitted):
        act("/e", "/", overwrite=True)


# ── devices ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_lock_above_the_folder_of_a_device_reaches_into_it(full: Drive) -> None:
    """If it is infinite: the device cannot see where it begins, so its own root is named."""
    device = full.narrowed(root="/c/sub")
    token = full.lock("/c", infinite=True)
    with pytest.raises(Locked) as caught:
        device.put("/g", b"new")
    assert caught.value.roots == (((), True),)
    assert device.locks("/g") == {token}
    (shown,) = device.vault.locks(VaultPath.parse("/g")).covering
    assert shown.root == ((), True)
    device.put("/g", b"new", tokens=[token])


def test_a_lock_above_of_depth_0_does_not(full: Drive) -> None:
    """Not even one on the collection that holds the folder: members of the folder are none of its members."""
    device = full.narrowed(root="/c/sub")
    full.lock("/c")
    full.lock("/")
    device.put("/g", b"new")
    device.put("/new", b"new")
    device.delete("/new")
    device.times("/", modified_ns=1)
    assert device.locks("/") == device.locks("/g") == set()


def test_locks_above_and_below_the_root_of_a_device_are_not_mixed_up(full: Drive) -> None:
    """One above and one below: both are named, each as far as the device can tell."""
    device = full.narrowed(root="/c")
    above = full.lock("/", shared=True, infinite=True)
    below = full.lock("/c/sub/g", shared=True)
    with pytest.raises(Locked) as caught:
        device.delete("/sub")
    assert set(caught.value.roots) == {((), True), (("sub", "g"), False)}
    device.delete("/sub", tokens=[above, below])


def test_the_lock_on_its_folder_is_the_root_of_a_device(full: Drive) -> None:
    """Made by the whole account, seen by the device at its root, and the other way round."""
    device = full.narrowed(root="/c")
    token = full.lock("/c")
    assert device.locks("/") == {token}
    with pytest.raises(Locked) as caught:
        device.put("/new")
    assert caught.value.roots == (((), True),)
    device.unlock("/", token)
    token = device.lock("/", infinite=True)
    with pytest.raises(Locked) as caught:
        full.put("/c/sub/g", b"new")
    assert caught.value.roots == ((("c",), True),)
    full.unlock("/c/sub/g", token)


def test_a_lock_below_a_device_is_named_from_its_root(full: Drive) -> None:
    """Names above the folder are nothing that the device may know."""
    device = full.narrowed(root="/c")
    full.lock("/c/sub/g")
    for path in ("/sub", "/sub/g"):
        with pytest.raises(Locked) as caught:
            device.delete(path)
        assert caught.value.roots == ((("sub", "g"), False),)


def test_a_lock_outside_does_not_concern_a_device(full: Drive) -> None:
    """Neither seen nor in the way."""
    device = full.narrowed(root="/c")
    token = full.lock("/d", infinite=True)
    device.put("/new", b"new")
    device.delete("/sub")
    with pytest.raises(NotFound):
        device.unlock("/d", token)


def test_scopes_do_not_matter_to_locks(full: Drive) -> None:
    """A lock belongs to the account: any of its devices that knows the token may write."""
    token = full.narrowed(Scope.NO_DELETE).lock("/c/f")
    with pytest.raises(Locked):
        full.put("/c/f", b"new")
    full.put("/c/f", b"new", tokens=[token])


# ── what was altered ────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("write", ["put", "delete c", "move c"])
def test_an_altered_lock_does_not_let_anybody_through(store: Store, full: Drive, write: str) -> None:
    """Damage is reported, not taken for no lock."""
    token = full.lock("/c/f")
    store.sql("UPDATE lock SET infinite = 1")
    with pytest.raises(CorruptRow):
        WRITES[write](full, [token])
