"""The vault against a plain dictionary: whatever two accounts do, both say the same.

A model of a tree is two dictionaries and twenty lines; the vault has encryption, quota, shared contents and
garbage collection behind it, and nobody may be able to tell.
"""

from __future__ import annotations

import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from davserver.errors import (
    AlreadyExists,
    DavserverError,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    QuotaExceeded,
    TargetInsideSource,
    WrongKind,
)
from davserver.vault import copying
from tests.unit.vault.store import Drive, Store, make_store

QUOTA = 400_000
DEEPEST = 4
ACCOUNTS = ("alice", "bob")

# Few names, so that they meet; the last two are one name in two spellings.
names = st.sampled_from(["a", "b", "A", " ; ", "caf\u00e9", "cafe\u0301"])
paths = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
contents = st.builds(
    lambda size, fill: bytes([fill]) * size,
    st.sampled_from([0, 1, 500, 65_536, 65_537, 150_000]),
    st.integers(0, 255),
)
accounts = st.sampled_from(ACCOUNTS)
times = st.integers(-5, 5)


def key_of(path: str) -> str:
    """The spelling under which the model keeps a path."""
    return unicodedata.normalize("NFC", path)


def parent_of(path: str) -> str:
    """The path of the collection that holds it."""
    return path.rpartition("/")[0] or "/"


class Model:
    """What one account should have: content and time by path, None for the content of a collection."""

    def __init__(self) -> None:
        self.tree: dict[str, tuple[str, bytes | None, int | None]] = {"/": ("", None, None)}

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return sum(len(content) for _, content, _ in self.tree.values() if content)

    def is_collection(self, path: str) -> bool:
        """Whether it is there and can have children."""
        return path in self.tree and self.tree[path][1] is None

    def below(self, path: str) -> list[str]:
        """The path itself and everything in it."""
        return [one for one in self.tree if one == path or one.startswith(path.rstrip("/") + "/")]

    def size(self, path: str) -> int:
        """Bytes of everything there."""
        return sum(len(self.tree[one][1] or b"") for one in self.below(path))

    def put(self, path: str, content: bytes, when: int) -> None:
        """PUT."""
        key = key_of(path)
        if not self.is_collection(parent_of(key)):
            raise ParentMissing
        if self.is_collection(key):
            raise WrongKind
        more = len(content) - self.size(key)
        if more > 0 and self.used + more > QUOTA:
            raise QuotaExceeded
        name = self.tree[key][0] if key in self.tree else path.rpartition("/")[2]
        self.tree[key] = (name, content, when)

    def mkdir(self, path: str, when: int) -> None:
        """MKCOL."""
        key = key_of(path)
        if not self.is_collection(parent_of(key)):
            raise ParentMissing
        if key in self.tree:
            raise AlreadyExists
        self.tree[key] = (path.rpartition("/")[2], None, when)

    def delete(self, path: str) -> None:
        """DELETE."""
        key = key_of(path)
        if key not in self.tree:
            raise NotFound
        for one in self.below(key):
            del self.tree[one]

    def times(self, path: str, when: int) -> None:
        """PROPPATCH of a time."""
        key = key_of(path)
        if key not in self.tree:
            raise NotFound
        self.tree[key] = (*self.tree[key][:2], when)

    def transfer(self, source: str, target: str, *, overwrite: bool, keep: bool, deep: bool = True) -> None:
        """COPY (`keep`) and MOVE."""
        start, end = key_of(source), key_of(target)
        self._check(start, end, overwrite=overwrite)
        moved = self.below(start) if deep else [start]
        replaced = self.below(end)
        if keep and self.used - self._bytes(replaced) + self._bytes(moved) > QUOTA:
            raise QuotaExceeded
        taken = {end + one.removeprefix(start): self.tree[one] for one in moved}
        taken[end] = (target.rpartition("/")[2], *self.tree[start][1:])
        for one in [*replaced, *([] if keep else moved)]:
            del self.tree[one]
        self.tree |= taken

    def _check(self, start: str, end: str, *, overwrite: bool) -> None:
        rules: list[tuple[bool, type[DavserverError]]] = [
            (start not in self.tree, NotFound),
            (not self.is_collection(parent_of(end)), ParentMissing),
            (end == start, NotPermitted),
            (end.startswith(start + "/"), TargetInsideSource),
            (end in self.tree and not overwrite, PreconditionFailed),
            (start.startswith(end + "/"), TargetInsideSource),
        ]
        for broken, error in rules:
            if broken:
                raise error

    def _bytes(self, chosen: list[str]) -> int:
        return sum(len(self.tree[one][1] or b"") for one in chosen)


class TreeMachine(RuleBasedStateMachine):
    """Does the same to the vault and to the model, and compares what they say."""

    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="tree-"))
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.store: Store = make_store(self.folder)
        self.drives: dict[str, Drive] = {name: self.store.drive(name) for name in ACCOUNTS}
        self.models = {name: Model() for name in ACCOUNTS}
        self.garbage = False
        for name in ACCOUNTS:
            self._begin(self.drives[name], self.models[name])

    def _begin(self, drive: Drive, model: Model) -> None:
        """A few things to begin with."""
        drive.times("/", modified_ns=0)
        model.times("/", 0)
        for path in ("/a", "/a/b", "/b", "/caf\u00e9"):
            drive.mkdir(path, modified_ns=0)
            model.mkdir(path, 0)
        for path, size in (("/A", 1), ("/a/a", 70_000), ("/a/b/a", 500), ("/caf\u00e9/e\u0301", 65_536)):
            drive.put(path, bytes(size), modified_ns=0)
            model.put(path, bytes(size), 0)

    def place(self, data: st.DataObject, account: str) -> str:
        """Mostly a name in a collection that is there, whether taken or free; now and then any path."""
        model = self.models[account]
        parents = [one for one in sorted(model.tree) if model.is_collection(one) and one.count("/") < DEEPEST]
        near = st.builds(lambda parent, name: f"{parent.rstrip('/')}/{name}", st.sampled_from(parents), names)
        return data.draw(near | near | paths)

    def thing(self, data: st.DataObject, account: str) -> str:
        """Mostly something that is there, in either spelling; now and then any path."""
        there = sorted(self.models[account].tree)[1:]
        spelled = st.builds(
            unicodedata.normalize, st.sampled_from(["NFC", "NFD"]), st.sampled_from(there or ["/a"])
        )
        return data.draw(spelled | spelled | spelled | paths)

    def both(self, real: Callable[[], object], model: Callable[[], object]) -> None:
        """Run both; they raise the same error or none."""
        errors: list[type[DavserverError] | None] = []
        for action in (model, real):
            try:
                action()
                errors.append(None)
            except DavserverError as error:
                errors.append(type(error))
        assert errors[0] is errors[1]
        self.garbage = True

    @rule(data=st.data(), account=accounts, content=contents, when=times, new=st.booleans())
    def put(self, data: st.DataObject, account: str, content: bytes, when: int, *, new: bool) -> None:
        """A new file or a new content."""
        drive, model = self.drives[account], self.models[account]
        path = self.place(data, account) if new else self.thing(data, account)
        self.both(lambda: drive.put(path, content, modified_ns=when), lambda: model.put(path, content, when))

    @rule(data=st.data(), account=accounts, when=times)
    def mkdir(self, data: st.DataObject, account: str, when: int) -> None:
        """A new collection."""
        drive, model, path = self.drives[account], self.models[account], self.place(data, account)
        self.both(lambda: drive.mkdir(path, modified_ns=when), lambda: model.mkdir(path, when))

    @rule(data=st.data(), account=accounts)
    def delete(self, data: st.DataObject, account: str) -> None:
        """Away with it."""
        drive, model, path = self.drives[account], self.models[account], self.thing(data, account)
        self.both(lambda: drive.delete(path), lambda: model.delete(path))

    @rule(data=st.data(), account=accounts, when=times)
    def set_times(self, data: st.DataObject, account: str, when: int) -> None:
        """Another time, the same content."""
        drive, model, path = self.drives[account], self.models[account], self.thing(data, account)
        self.both(lambda: drive.times(path, modified_ns=when), lambda: model.times(path, when))

    @rule(data=st.data(), account=accounts, overwrite=st.booleans())
    def move(self, data: st.DataObject, account: str, *, overwrite: bool) -> None:
        """To another place."""
        drive, model = self.drives[account], self.models[account]
        source, target = self.thing(data, account), self.place(data, account)
        self.both(
            lambda: drive.move(source, target, overwrite=overwrite),
            lambda: model.transfer(source, target, overwrite=overwrite, keep=False),
        )

    @rule(data=st.data(), account=accounts, overwrite=st.booleans(), deep=st.booleans())
    def copy(self, data: st.DataObject, account: str, *, overwrite: bool, deep: bool) -> None:
        """Once more in another place."""
        drive, model = self.drives[account], self.models[account]
        source, target = self.thing(data, account), self.place(data, account)
        self.both(
            lambda: drive.copy(source, target, overwrite=overwrite, recursive=deep),
            lambda: model.transfer(source, target, overwrite=overwrite, keep=True, deep=deep),
        )

    @rule(data=st.data(), account=accounts, start=st.integers(0, 150_000), length=st.integers(1, 70_000))
    def read(self, data: st.DataObject, account: str, start: int, length: int) -> None:
        """Part of a file, under either spelling."""
        path, model = self.thing(data, account), self.models[account]
        content = model.tree[key_of(path)][1] if key_of(path) in model.tree else None
        if content and start < len(content):
            stop = min(len(content), start + length)
            assert self.drives[account].get(path, start, stop) == content[start:stop]

    @rule(data=st.data(), account=accounts)
    def look(self, data: st.DataObject, account: str) -> None:
        """What is there, under either spelling."""
        path = self.thing(data, account)
        node, expected = self.drives[account].find(path), self.models[account].tree.get(key_of(path))
        assert (node is None) == (expected is None)
        if node and expected:
            name, content, when = expected
            assert (node.name, node.modified_ns) == (name, when)
            assert (node.is_collection, node.size) == (content is None, len(content or b""))

    @precondition(lambda self: self.garbage)
    @rule()
    def collect(self) -> None:
        """Garbage collection harms nothing and leaves nothing."""
        self.store.collect(grace=timedelta(0))
        self.garbage = False
        assert self.store.problems() == []
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
                assert self._everything(name) == self.models[name].tree
            self.collect()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def _everything(self, account: str) -> dict[str, tuple[str, bytes | None, int]]:
        drive = self.drives[account]
        found: dict[str, tuple[str, bytes | None, int]] = {"/": ("", None, drive.stat("/").modified_ns)}
        for path, content in drive.tree().items():
            node = drive.stat(path)
            found[key_of(path)] = (node.name, content, node.modified_ns)
        return found


def test_the_vault_is_a_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any sequence of requests, with copies in batches of two."""
    monkeypatch.setattr(copying, "BATCH_NODES", 2)
    template = make_store(tmp_path)
    for name in ACCOUNTS:
        template.accounts.set_quota(name, QUOTA)
    template.close()
    TreeMachine.template = tmp_path
    run_state_machine_as_test(TreeMachine, settings=settings(max_examples=25, stateful_step_count=40))
