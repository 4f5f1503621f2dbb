"""Does the same to a vault and to the model of `tree_model.py`, and compares what they say.

Now and then a step of the storage fails in the middle of it. Then the vault must be as before or as after,
and the model goes on from whichever it is. Run by `test_tree.py`.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from davserver.errors import DavserverError, FolderGone, NotFound, StorageFull, StorageUnavailable
from davserver.model import Node
from davserver.vault.paths import VaultPath
from tests.property.tree_model import NEW_TOKEN, Held, Model, Seen, Wrong, key_of, name_of, parent_of
from tests.property.tree_requests import OFTEN, REQUESTS, Asking, Request
from tests.unit.vault.store import Drive, Store, make_store

QUOTA = 400_000
DEEPEST = 4
ACCOUNTS = ("alice", "bob")
FAULT = StorageFull("the disk is full")

Fault = int
"""The number of the step of the storage that fails, or `COMMITTED`."""

COMMITTED = -1
"""A transaction is committed, and whoever waited for it does not hear of it."""

faults = st.sampled_from([None] * 4 + [COMMITTED, 0]).flatmap(
    lambda one: st.integers(0, 25) if one == 0 else st.just(one)
)


class TreeMachine(RuleBasedStateMachine):
    """One rule; `template` is the folder of a store with both accounts.

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
        self.models = {name: Model(QUOTA) for name in ACCOUNTS}
        self.tokens: dict[str, list[str]] = {name: [] for name in ACCOUNTS}
        for name in ACCOUNTS:
            self._begin(self.drives[name], self.models[name])
        self.phones = {name: self.drives[name].narrowed(root="/a") for name in ACCOUNTS}

    def _begin(self, drive: Drive, model: Model) -> None:
        """A few things to begin with."""
        drive.times("/", modified_ns=0)
        for path in ("/a", "/a/b", "/b", "/caf\u00e9"):
            drive.mkdir(path, modified_ns=0)
            assert not model.mkdir(path, 0, [])
        for path, size in (("/A", 1), ("/a/a", 70_000), ("/a/b/a", 500), ("/caf\u00e9/e\u0301", 65_536)):
            drive.put(path, bytes(size), modified_ns=0)
            assert not model.put(path, bytes(size), 0, [])
        for path in ("/a", "/a/a"):
            drive.patch(path, {"b": path})
            assert not model.patch(path, None, {"b": path}, [])
        model.phone = model.tree["/a"]

    # ── one request to both ─────────────────────────────────────────────────────────────────────────────────
    def asking(self, data: st.DataObject) -> Asking:
        """Somebody, with the whole account or a device that sees one folder of it."""
        account = data.draw(st.sampled_from(ACCOUNTS), label="account")
        phone = data.draw(st.sampled_from([False, False, True]), label="phone")
        drive = self.phones[account] if phone else self.drives[account]
        self.models[account].ask_as(phone=phone)
        others = [lock.token for name in ACCOUNTS if name != account for lock in self.models[name].locks]
        return Asking(data, account, drive, self.models[account], self.tokens[account], others)

    def both(self, asking: Asking, request: Request, fault: Fault | None) -> None:
        """Do it to both; the vault refuses for a reason that the model knows, or neither refuses."""
        before = asking.model
        after = copy.deepcopy(before)
        wrong: Wrong = {FolderGone} if before.top is None else request.model(after)
        with self._failing(fault):
            error, result = _outcome(request.real)
        if fault is not None and isinstance(error, StorageUnavailable):
            self._go_on_from(asking, before, after)
            return
        self.outcomes[type(error).__name__ if error else "done"] += 1
        assert (type(error) in wrong) if error else not wrong, f"{error!r} instead of {wrong}"
        self._adopt(asking.account, after, result if isinstance(result, str) else NEW_TOKEN)

    @contextmanager
    def _failing(self, fault: Fault | None) -> Iterator[None]:
        """Let one step of the storage fail, or the way back from a transaction that is committed."""
        watch = None
        if fault == COMMITTED:
            self.store.database.after_write = _fail
        elif fault is not None:
            watch = self.store.tripwire.fail(FAULT, fault)
        with self.store.tripwire.armed(watch):
            yield
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

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────
    @rule(data=st.data(), kind=st.sampled_from(OFTEN), fault=faults)
    def step(self, data: st.DataObject, kind: str, fault: Fault | None) -> None:
        """One rule for all: of several, Hypothesis would leave some out of a run."""
        self.steps[kind] += 1
        if kind in REQUESTS:
            asking = self.asking(data)
            self.both(asking, REQUESTS[kind](asking), fault)
        elif kind == "GET":
            self._read(self.asking(data))
        elif kind == "PROPFIND":
            self._look(self.asking(data))
        elif kind == "device limited":
            self._limit_a_device(data)
        elif kind == "another setting":
            self.store.keep(keep_days=data.draw(st.sampled_from([0, 30])))
        elif kind == "expiry":
            self._wait(data.draw(st.sampled_from([1, 5, 5, 60, 700])))
        else:
            self._collect(fault)

    def _wait(self, length: int) -> None:
        """Some locks end."""
        self.store.clock.advance(seconds=length)
        for model in self.models.values():
            model.wait(length)

    def _limit_a_device(self, data: st.DataObject) -> None:
        """To another folder, wherever that goes from now on."""
        name = data.draw(st.sampled_from(ACCOUNTS))
        model = self.models[name]
        folder = data.draw(st.sampled_from([one for one in sorted(model.tree) if model.is_collection(one)]))
        model.phone = model.tree[folder]
        self.phones[name] = self.drives[name].narrowed(root=folder)

    @staticmethod
    def _read(asking: Asking) -> None:
        """Part of a file, under either spelling."""
        path, model = asking.thing(), asking.model
        start, length = asking.draw(st.integers(0, 150_000)), asking.draw(st.integers(1, 70_000))
        entry = None if model.top is None else model.tree.get(model.key(path))
        if entry and entry.content and start < len(entry.content):
            stop = min(len(entry.content), start + length)
            assert asking.drive.get(path, start, stop) == entry.content[start:stop]

    @staticmethod
    def _look(asking: Asking) -> None:
        """What is there, under either spelling, with its properties, its locks and its members."""
        path, model, drive = asking.thing(), asking.model, asking.drive
        if model.top is None:
            assert isinstance(_outcome(lambda: drive.find(path))[0], NotFound)
            return
        node, key = drive.find(path), model.key(path)
        assert (node is not None) == (key in model.tree)
        if node is not None:
            assert seen_of(drive, path, node, drive.properties(path)) == model.seen()[key]
        if node is not None and node.is_collection:
            members = [one for one in model.tree if one != "/" and parent_of(one) == key]
            assert sorted(map(key_of, drive.names(path))) == sorted(map(name_of, members))

    def _collect(self, fault: Fault | None) -> None:
        """Garbage collection harms nothing and leaves nothing, though it may have to begin again."""
        with self._failing(fault):
            error, _ = _outcome(self.store.collect)
        assert error is None or isinstance(error, StorageUnavailable)
        if error is not None:
            self.outcomes["fault: collected later"] += 1
            self.store.collect()
        self._require_tidy()

    def _require_tidy(self) -> None:
        assert self.store.problems() == []
        locks = sum(len(model.locks) for model in self.models.values())
        assert self.store.sql("SELECT count(*) FROM lock") == [(locks,)]
        for name, model in self.models.items():
            with self.store.database.read() as tx:
                kinds = tx.summary.nodes_by_kind(self.drives[name].principal.account.id)
            assert sum(kinds.values()) + 1 == len(model.tree)
        if self.store.vaults.limits.history.keep_days == 0:
            entries = sum(len(model.tree) for model in self.models.values())
            assert self.store.sql("SELECT count(*) FROM node") == [(entries,)]
        assert self.store.sql("SELECT count(*) FROM blob") == self.store.sql(
            "SELECT count(DISTINCT blob_id) FROM node"
        )
        assert len(self.store.stored()) == self.store.sql("SELECT count(*) FROM blob WHERE NOT inline")[0][0]

    @invariant()
    def counters_are_exact(self) -> None:
        """At every moment."""
        for name in ACCOUNTS:
            assert self.drives[name].live == self.models[name].used

    def teardown(self) -> None:
        """In the end everything is compared, names in their first spelling and all bytes."""
        try:
            for name in ACCOUNTS:
                assert everything(self.drives[name]) == self.models[name].seen()
            self.store.collect()
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
