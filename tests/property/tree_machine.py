"""Does the same to a vault and to the model of `tree_model.py`, and compares what they say: for `test_tree.py`.

Now and then a step of the storage fails in the middle of it. Then the vault must be as before or as after, and
the model goes on from whichever it is.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from davserver.errors import DavserverError, NotFound, StorageFull, StorageUnavailable
from davserver.model import Node
from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from tests.property.tree_model import NEW_TOKEN, Held, Model, Seen, Wrong, key_of
from tests.unit.vault.store import Drive, Store, make_store

QUOTA = 400_000
DEEPEST = 4
ACCOUNTS = ("alice", "bob")
FAULT = StorageFull("the disk is full")

# Few names, so that they meet; the last two are one name in two spellings.
names = st.sampled_from(["a", "b", "A", " ; ", "caf\u00e9", "cafe\u0301"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
contents = st.builds(
    lambda size, fill: bytes([fill]) * size,
    st.sampled_from([0, 1, 500, 65_536, 65_537, 150_000]),
    st.integers(0, 255),
)
times = st.integers(-5, 5)
seconds = st.sampled_from([10, 60, 600])
properties = st.dictionaries(
    st.sampled_from(["{urn:x}a", "{urn:x}A", "b"]), st.none() | st.sampled_from(["", "<v/>", "v" * 100])
)


class Asking:
    """One request: whose it is, through which device, and with which lock tokens."""

    def __init__(self, machine: TreeMachine, data: st.DataObject) -> None:
        self._data = data
        self.account = data.draw(st.sampled_from(ACCOUNTS), label="account")
        phone = data.draw(st.sampled_from([False, False, True]), label="phone")
        self.drive = machine.phones[self.account] if phone else machine.drives[self.account]
        self.model = machine.models[self.account]
        self.model.ask_as(phone=phone)
        self._tokens = machine.tokens
        other = ACCOUNTS[1 - ACCOUNTS.index(self.account)]
        self._foreign = [lock.token for lock in machine.models[other].locks]

    def place(self) -> str:
        """Mostly a name in a collection that is there, whether taken or free; now and then any path."""
        parents = [
            one
            for one in self.model.visible()
            if self.model.is_collection(self.model.key(one)) and one.count("/") < DEEPEST
        ]
        near = st.builds(
            lambda parent, name: f"{parent.rstrip('/')}/{name}", st.sampled_from(parents or ["/"]), names
        )
        return self._data.draw(near | near | paths, label="place")

    def thing(self) -> str:
        """Mostly something that is there, in either spelling; now and then any path."""
        there = sorted(self.model.visible())
        spelled = st.builds(unicodedata.normalize, st.sampled_from(["NFC", "NFD"]), st.sampled_from(there))
        return self._data.draw(spelled | spelled | spelled | paths, label="thing")

    def tokens(self) -> list[str]:
        """Every token that was ever given out, none, some of them, or somebody else's."""
        mine = self._tokens[self.account]
        some = st.lists(st.sampled_from(mine), unique=True) if mine else st.just([])
        chosen = st.just(mine) | st.just(mine) | st.just([]) | some | st.just(self._foreign)
        return list(self._data.draw(chosen, label="tokens"))

    def token(self) -> str:
        """Mostly one that was given out, whatever it covers or covered."""
        there = [lock.token for lock in self.model.locks] + self._tokens[self.account][-3:] + self._foreign[:1]
        return self._data.draw(st.sampled_from([*there, "urn:uuid:nobody's"]), label="token")


class TreeMachine(RuleBasedStateMachine):
    """The rules; `template` is the folder of a store with both accounts.

    Attributes:
        steps: how many steps of each kind were taken in all runs together.
        outcomes: how they ended: names of errors, "done", and for faults "as before" and "as after".
    """

    template: ClassVar[Path]
    steps: ClassVar[Counter[str]] = Counter()
    outcomes: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tree-"))
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.store: Store = make_store(self.folder)
        self.drives: dict[str, Drive] = {name: self.store.drive(name) for name in ACCOUNTS}
        self.phones = dict(self.drives)
        self.models = {name: Model(QUOTA) for name in ACCOUNTS}
        self.tokens: dict[str, list[str]] = {name: [] for name in ACCOUNTS}
        self.garbage = False
        self.fault: tuple[int, bool] | None = None
        for name in ACCOUNTS:
            self._begin(self.drives[name], self.models[name])

    def _begin(self, drive: Drive, model: Model) -> None:
        """A few things to begin with."""
        drive.times("/", modified_ns=0)
        for path in ("/a", "/a/b", "/b", "/caf\u00e9"):
            drive.mkdir(path, modified_ns=0)
            assert not model.mkdir(path, 0, [])
        for path, size in (("/A", 1), ("/a/a", 70_000), ("/a/b/a", 500), ("/caf\u00e9/e\u0301", 65_536)):
            drive.put(path, bytes(size), modified_ns=0)
            assert not model.put(path, bytes(size), 0, [])

    # ── one request to both ─────────────────────────────────────────────────────────────────────────────────
    def both(
        self, step: str, asking: Asking, real: Callable[[], object], model: Callable[[Model], Wrong]
    ) -> None:
        """Do it to both; the vault refuses for a reason that the model knows, or neither refuses."""
        self.steps[step] += 1
        self.garbage = True
        before = asking.model
        after = copy.deepcopy(before)
        wrong = {NotFound} if before.top is None else model(after)
        with self._failing() as armed:
            error, result = _outcome(real)
        if armed and isinstance(error, StorageUnavailable):
            self._go_on_from(asking, before, after)
            return
        self.outcomes[type(error).__name__ if error else "done"] += 1
        assert (type(error) in wrong) if error else not wrong, f"{error!r} instead of {wrong}"
        self._adopt(asking.account, after, result if isinstance(result, str) else NEW_TOKEN)

    @contextmanager
    def _failing(self) -> Iterator[bool]:
        """Let one step of the storage fail, or the way back from a transaction that is committed."""
        fault, self.fault = self.fault, None
        if fault is None:
            yield False
            return
        at, committed = fault
        if committed:
            self.store.database.after_write = _fail
        with self.store.tripwire.armed(None if committed else self.store.tripwire.fail(FAULT, at)):
            yield True
        self.store.database.after_write = None

    def _go_on_from(self, asking: Asking, before: Model, after: Model) -> None:
        """All or nothing; never a mixture."""
        seen = everything(self.drives[asking.account])
        new = {held[0] for *_, locks in seen.values() for held in locks} - {one.token for one in before.locks}
        is_before = seen == before.seen()
        self.outcomes["fault: as before" if is_before else "fault: as after"] += 1
        if not is_before:
            self._adopt(asking.account, after, next(iter(new), NEW_TOKEN))
            assert seen == after.seen()

    def _adopt(self, account: str, model: Model, token: str) -> None:
        """Go on with this model; `token` is the one that a new lock has got."""
        self.models[account] = model
        for lock in model.locks:
            if lock.token == NEW_TOKEN:
                lock.token = token
                self.tokens[account].append(token)

    # ── rules ───────────────────────────────────────────────────────────────────────────────────────────────
    @rule(at=st.integers(0, 25), committed=st.sampled_from([False, False, True]))
    def break_something(self, at: int, *, committed: bool) -> None:
        """The next request meets a fault, if it gets that far."""
        self.fault = (at, committed)

    @rule(data=st.data(), content=contents, when=times, new=st.booleans())
    def put(self, data: st.DataObject, content: bytes, when: int, *, new: bool) -> None:
        """A new file or a new content."""
        asking = Asking(self, data)
        path, tokens = asking.place() if new else asking.thing(), asking.tokens()
        self.both(
            "PUT",
            asking,
            lambda: asking.drive.put(path, content, modified_ns=when, tokens=tokens),
            lambda model: model.put(path, content, when, tokens),
        )

    @rule(data=st.data(), when=times)
    def mkdir(self, data: st.DataObject, when: int) -> None:
        """A new collection."""
        asking = Asking(self, data)
        path, tokens = asking.place(), asking.tokens()
        self.both(
            "MKCOL",
            asking,
            lambda: asking.drive.mkdir(path, modified_ns=when, tokens=tokens),
            lambda model: model.mkdir(path, when, tokens),
        )

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Away with it."""
        asking = Asking(self, data)
        path, tokens = asking.thing(), asking.tokens()
        self.both(
            "DELETE",
            asking,
            lambda: asking.drive.delete(path, tokens=tokens),
            lambda model: model.delete(path, tokens),
        )

    @rule(data=st.data(), when=st.none() | times, changes=properties)
    def patch(self, data: st.DataObject, when: int | None, changes: dict[str, str | None]) -> None:
        """Another time, other dead properties, the same content."""
        asking = Asking(self, data)
        path, tokens = asking.thing(), asking.tokens()
        self.both(
            "PROPPATCH",
            asking,
            lambda: asking.drive.patch(path, changes, modified_ns=when, tokens=tokens),
            lambda model: model.patch(path, when, changes, tokens),
        )

    @rule(data=st.data(), overwrite=st.booleans())
    def move(self, data: st.DataObject, *, overwrite: bool) -> None:
        """To another place."""
        asking = Asking(self, data)
        source, target, tokens = asking.thing(), asking.place(), asking.tokens()
        self.both(
            "MOVE",
            asking,
            lambda: asking.drive.move(source, target, overwrite=overwrite, tokens=tokens),
            lambda model: model.move(source, target, tokens, overwrite=overwrite),
        )

    @rule(data=st.data(), overwrite=st.booleans(), deep=st.booleans())
    def copy(self, data: st.DataObject, *, overwrite: bool, deep: bool) -> None:
        """Once more in another place."""
        asking = Asking(self, data)
        source, target, tokens = asking.thing(), asking.place(), asking.tokens()
        self.both(
            "COPY",
            asking,
            lambda: asking.drive.copy(source, target, overwrite=overwrite, recursive=deep, tokens=tokens),
            lambda model: model.copy(source, target, tokens, overwrite=overwrite, deep=deep),
        )

    @rule(data=st.data(), shared=st.booleans(), infinite=st.booleans(), length=seconds, new=st.booleans())
    def lock(self, data: st.DataObject, length: int, *, shared: bool, infinite: bool, new: bool) -> None:
        """Something that is there, or a name that is not."""
        asking = Asking(self, data)
        path, tokens = asking.place() if new else asking.thing(), asking.tokens()
        self.both(
            "LOCK",
            asking,
            lambda: asking.drive.lock(path, shared=shared, infinite=infinite, seconds=length, tokens=tokens),
            lambda model: model.lock(path, tokens, exclusive=not shared, infinite=infinite, seconds=length),
        )

    @rule(data=st.data(), length=seconds)
    def refresh(self, data: st.DataObject, length: int) -> None:
        """For longer, or for shorter."""
        asking = Asking(self, data)
        path, token = asking.thing(), asking.token()
        refresh = asking.drive.vault.refresh_lock
        self.both(
            "refresh",
            asking,
            lambda: refresh(VaultPath.parse(path), length, Demands(tokens=frozenset({token}))) and None,
            lambda model: model.refresh(path, token, length),
        )

    @rule(data=st.data())
    def unlock(self, data: st.DataObject) -> None:
        """By any path that the lock covers."""
        asking = Asking(self, data)
        path, token = asking.thing(), asking.token()
        self.both(
            "UNLOCK",
            asking,
            lambda: asking.drive.unlock(path, token),
            lambda model: model.unlock(path, token),
        )

    @rule(length=st.sampled_from([5, 60, 700]))
    def wait(self, length: int) -> None:
        """Some locks end."""
        self.steps["expiry"] += 1
        self.store.clock.advance(seconds=length)
        for model in self.models.values():
            model.wait(length)

    @rule(data=st.data())
    def limit_a_device(self, data: st.DataObject) -> None:
        """To another folder, wherever that goes from now on."""
        self.steps["device limited"] += 1
        name = data.draw(st.sampled_from(ACCOUNTS))
        model = self.models[name]
        folder = data.draw(st.sampled_from([one for one in sorted(model.tree) if model.is_collection(one)]))
        model.phone = model.tree[folder]
        self.phones[name] = self.drives[name].narrowed(root=folder)

    @rule(data=st.data(), start=st.integers(0, 150_000), length=st.integers(1, 70_000))
    def read(self, data: st.DataObject, start: int, length: int) -> None:
        """Part of a file, under either spelling."""
        self.steps["GET"] += 1
        asking = Asking(self, data)
        path = asking.thing()
        entry = None if asking.model.top is None else asking.model.tree.get(asking.model.key(path))
        if entry and entry.content and start < len(entry.content):
            stop = min(len(entry.content), start + length)
            assert asking.drive.get(path, start, stop) == entry.content[start:stop]

    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """What is there, under either spelling, with its properties, its locks and its members."""
        self.steps["PROPFIND"] += 1
        asking = Asking(self, data)
        path, model, drive = asking.thing(), asking.model, asking.drive
        if model.top is None:
            assert _outcome(lambda: drive.find(path)) [0].__class__ is NotFound
            return
        node, key = drive.find(path), model.key(path)
        assert (node is not None) == (key in model.tree)
        if node is not None:
            assert seen_of(drive, path, node, drive.properties(path)) == model.seen()[key]
            members = [one for one in model.below(key) if one.count("/") == key.rstrip("/").count("/") + 1]
            if node.is_collection:
                assert sorted(key_of(name) for name in drive.names(path)) == sorted(
                    one.rpartition("/")[2] for one in members if one != key
                )

    @precondition(lambda self: self.garbage)
    @rule(fault=st.none() | st.integers(0, 40))
    def collect(self, fault: int | None) -> None:
        """Garbage collection harms nothing and leaves nothing, though it may have to begin again."""
        self.steps["garbage collection"] += 1
        self.fault = None if fault is None else (fault, False)
        with self._failing():
            error, _ = _outcome(lambda: self.store.collect(grace=timedelta(0)))
        assert error is None or isinstance(error, StorageUnavailable)
        if error is not None:
            self.outcomes["fault: garbage collected later"] += 1
            self.store.collect(grace=timedelta(0))
        self.garbage = False
        self._require_tidy()

    def _require_tidy(self) -> None:
        assert self.store.problems() == []
        entries = sum(len(model.tree) for model in self.models.values())
        locks = sum(len(model.locks) for model in self.models.values())
        assert self.store.sql("SELECT (SELECT count(*) FROM node), (SELECT count(*) FROM lock)") == [
            (entries, locks)
        ]
        assert self.store.sql("SELECT count(*) FROM blob") == self.store.sql(
            "SELECT count(DISTINCT blob_id) FROM node"
        )
        assert len(self.store.stored()) == self.store.sql("SELECT count(*) FROM blob WHERE NOT inline")[0][0]

    @invariant()
    def counters_are_exact(self) -> None:
        """At every moment."""
        for name in ACCOUNTS:
            assert self.drives[name].used == self.models[name].used

    def teardown(self) -> None:
        """In the end everything is compared, names in their first spelling and all bytes."""
        try:
            for name in ACCOUNTS:
                assert everything(self.drives[name]) == self.models[name].seen()
            self.store.collect(grace=timedelta(0))
            self._require_tidy()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)


def everything(drive: Drive) -> Seen:
    """All that a client can find out about an account."""
    root = drive.stat("/")
    found: Seen = {"/": seen_of(drive, "/", root, drive.properties("/"))}
    pending = [("/", root)]
    while pending:
        above, collection = pending.pop()
        for node, values in drive.vault.listing_with_properties(collection):
            path = f"{above.rstrip('/')}/{node.name}"
            found[key_of(path)] = seen_of(drive, path, node, dict(values))
            if node.is_collection:
                pending.append((path, node))
    return found


def seen_of(
    drive: Drive, path: str, node: Node, values: dict[str, str]
) -> tuple[str, bytes | None, int, dict[str, str], set[Held]]:
    """All that a client can find out about a file or collection."""
    content = None
    if not node.is_collection:
        with drive.vault.read(node) as download:
            content = b"".join(map(bytes, download.blocks()))
        assert node.size == len(content)
    covering = [shown.lock for shown in drive.vault.locks(VaultPath.parse(path)).covering]
    locks = {(one.token, one.exclusive, one.infinite, one.expires_at) for one in covering}
    return node.name, content, node.modified_ns, values, locks


def _outcome(action: Callable[[], object]) -> tuple[DavserverError | None, object]:
    try:
        return None, action()
    except DavserverError as error:
        return error, None


def _fail() -> None:
    raise FAULT
