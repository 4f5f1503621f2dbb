"""Two processes that remember collections, against one that remembers nothing: no change is ever missed.

Whatever is moved, deleted, made or written by either, also between two looks of one transaction, and whatever
fails half-way: each sees at every path what is there at that moment.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from davserver.errors import DavserverError, NotFound, StorageFull
from davserver.model import Node
from davserver.vault.directories import Directories
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault, Vaults
from tests.machines import run_machine
from tests.unit.vault.store import Drive, Store, make_store

NAMES = ("a", "b", "c")
DEEPEST = 4
RUNS = 60
STEPS_A_RUN = 40
FEWEST_CHANGES = 300
FAULT = StorageFull("the disk is full")

names = st.sampled_from(NAMES)
paths = st.lists(names, min_size=1, max_size=DEEPEST).map(lambda parts: VaultPath(tuple(parts)))


class TwoProcesses(RuleBasedStateMachine):
    """`template` is the folder of an empty store; `changes` counts, over all runs, what was done."""

    template: ClassVar[Path]
    changes: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="directories-"))
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.stores: list[Store] = [make_store(self.folder) for _ in range(2)]
        self.drives: list[Drive] = [store.drive("alice") for store in self.stores]
        for path in ("/a", "/a/b", "/a/b/c", "/b"):
            self.drives[0].mkdir(path)
        self.drives[0].put("/a/b/c/a", b"1")
        self.phone = self.drives[0].stat("/a/b").id

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────────
    @rule(
        who=st.integers(0, 1),
        data=st.data(),
        fault=st.sampled_from([None, None, None, "commit", "sql UPDATE"]),
    )
    def change(self, who: int, data: st.DataObject, fault: str | None) -> None:
        """Something is done by one of the two, or fails in the middle."""
        for store in self.stores:
            store.clock.advance(seconds=1)  # so that the order of the trash is the order of things
        verb = data.draw(
            st.sampled_from(["mkdir", "mkdir", "put", "move", "move", "move", "delete", "copy", "restore"])
        )
        if verb == "restore":
            self._restore(who, data, fault)
            return
        collections = [
            "",
            *sorted(path for path, content in self.drives[who].tree().items() if content is None),
        ]
        inside = f"{data.draw(st.sampled_from(collections))}/{data.draw(names)}"
        arguments = (
            [inside] if verb in {"mkdir", "put"} else [data.draw(st.sampled_from(collections)) or "/a"]
        )
        if verb in {"move", "copy"}:
            arguments.append(inside)
        options = {"overwrite": data.draw(st.booleans())} if len(arguments) > 1 else {}
        drive = self.drives[who]
        with self._failing(who, fault), suppress(DavserverError):
            getattr(drive, verb)(*arguments, **options)
            self.changes[verb] += 1

    def _restore(self, who: int, data: st.DataObject, fault: str | None) -> None:
        """Something comes back from the trash, perhaps the folder of the device, or what holds it."""
        entries = self.drives[who].vault.trash(limit=1000)
        if entries:
            chosen = data.draw(st.integers(0, len(entries) - 1))
            with self._failing(who, fault), suppress(DavserverError):
                self.drives[who].vault.restore(entries[chosen].id)
                self.changes["restore"] += 1

    @contextmanager
    def _failing(self, who: int, fault: str | None) -> Iterator[None]:
        tripwire = self.stores[who].tripwire
        with tripwire.armed(None if fault is None else tripwire.once(fault, _fail)):
            yield

    # ── looks ───────────────────────────────────────────────────────────────────────────────────────────────
    @rule(who=st.integers(0, 1), path=paths)
    def look(self, who: int, path: VaultPath) -> None:
        """One path, as a GET asks for it."""
        self._require_same(self.drives[who].vault, path, self.cold().open(self.drives[who].principal))

    @rule(who=st.integers(0, 1), path=st.lists(names, max_size=DEEPEST - 1).map(tuple))
    def look_from_a_folder(self, who: int, path: tuple[str, ...]) -> None:
        """A device that sees one folder, wherever that goes."""
        drive = self.drives[who]
        phone = drive.store.drive("alice", root_id=self.phone)
        self._require_same(phone.vault, VaultPath(path), self.cold().open(phone.principal))

    @rule(who=st.integers(0, 1), first=paths, second=paths, data=st.data())
    def change_between_two_looks(
        self, who: int, first: VaultPath, second: VaultPath, data: st.DataObject
    ) -> None:
        """One transaction sees one moment, though the other process changes something in between."""
        vaults, principal = self.stores[who].vaults, self.drives[who].principal
        mine, cold = vaults.reads(), self.cold()
        theirs = cold.reads()
        try:
            ours, truth = vaults.open(principal, mine), cold.open(principal, theirs)
            self._require_same(ours, first, truth)
            self.change(1 - who, data, None)
            self._require_same(ours, second, truth)
        finally:
            mine.close()
            theirs.close()
        self._require_same(vaults.open(principal), second, self.cold().open(principal))

    def cold(self) -> Vaults:
        """The same store as seen by a process that has just started."""
        store = self.stores[0]
        return Vaults(store.database, store.blobs, store.keyring, store.clock, directories=Directories())

    def _require_same(self, warm: Vault, path: VaultPath, cold: Vault) -> None:
        assert _seen(warm, path) == _seen(cold, path), path

    def teardown(self) -> None:
        """In the end both see the whole tree as it is, and it is whole."""
        try:
            trees = [drive.tree() for drive in self.drives]
            assert trees[0] == trees[1]
            for path in trees[0]:
                for drive in self.drives:
                    self._require_same(drive.vault, VaultPath.parse(path), self.cold().open(drive.principal))
            self.stores[0].assert_tidy()
        finally:
            for store in self.stores:
                store.close()
            shutil.rmtree(self.folder)


def _seen(vault: Vault, path: VaultPath) -> Node | str | None:
    """What is at a path; the name of the error if a device's folder is gone."""
    try:
        return vault.find(path)
    except NotFound:
        return "no folder"


def _fail() -> None:
    raise FAULT


def test_no_change_is_ever_missed(tmp_path: Path) -> None:
    """For any sequence of changes, failures and looks."""
    make_store(tmp_path).close()
    TwoProcesses.template = tmp_path
    TwoProcesses.changes.clear()
    run_machine(TwoProcesses, runs=RUNS, steps_a_run=STEPS_A_RUN, is_proven=is_proven)


def is_proven() -> bool:
    """Whether there were enough changes, of each kind."""
    return TwoProcesses.changes.total() >= FEWEST_CHANGES and set(TwoProcesses.changes) == {
        "mkdir",
        "put",
        "move",
        "delete",
        "copy",
        "restore",
    }
