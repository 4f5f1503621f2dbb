"""Does the same to a vault and to the model of `history_model.py`, and compares what they hold.

Run by `test_history.py`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from davserver.errors import QuotaExceeded
from davserver.model import NodeId
from davserver.vault.paths import VaultPath
from tests.property.history_model import File, Folder, Model, live_bytes, walk
from tests.unit.vault.store import Drive, Store, make_store

QUOTA, MOST, DAYS, SHARE = 200_000, 3, 30, 0.5
SECOND = 10**9

names = st.sampled_from(["a", "b", "c.txt"])
sizes = st.sampled_from([0, 1, 500, 500, 30_000, 66_000, 66_000, 110_000, 110_000])
STEPS = [
    *(
        "put",
        "put",
        "put",
        "overwrite",
        "overwrite",
        "overwrite",
        "mkdir",
        "delete",
        "delete",
        "move",
        "move",
    ),
    *(
        "copy",
        "copy",
        "restore",
        "restore",
        "revert",
        "revert",
        "purge",
        "purge version",
        "empty",
        "collect",
        "days",
    ),
]


class HistoryMachine(RuleBasedStateMachine):
    """One rule; `template` is the folder of a store.

    Attributes:
        outcomes: how often each step was taken in all runs together, and what came of it.
    """

    template: ClassVar[Path]
    outcomes: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.store: Store = make_store(self.folder)
        self.store.keep(keep_days=DAYS, max_share=SHARE, max_versions=MOST)
        self.drive: Drive = self.store.drive("alice")
        self.model = Model(QUOTA, MOST, DAYS, SHARE)

    @rule(data=st.data(), kind=st.sampled_from(STEPS))
    def step(self, data: st.DataObject, kind: str) -> None:
        """A second goes by, and something is done to both."""
        self._wait(1)
        outcome = getattr(self, f"_{kind.replace(' ', '_')}")(data)
        self.outcomes[f"{kind}: {outcome or 'done'}"] += 1

    # ── what there is to choose from ────────────────────────────────────────────────────────────────────────
    def _paths(self, *kinds: type) -> list[str]:
        return [path for path, one in walk(self.model.root) if isinstance(one, kinds) and path]

    def _place(self, data: st.DataObject) -> str:
        """A name in a collection that is there."""
        folder = data.draw(
            st.sampled_from([path for path in ["", *self._paths(Folder)] if path.count("/") < 3])
        )
        return f"{folder}/{data.draw(names)}"

    def _past(self, data: st.DataObject) -> tuple[str, int] | None:
        """A file and one of its versions."""
        found = [
            (path, number)
            for path, one in walk(self.model.root)
            if isinstance(one, File)
            for number in range(len(one.versions))
        ]
        return data.draw(st.sampled_from(found)) if found else None

    def _entry(self, thrown_at: int) -> NodeId:
        return next(one.id for one in self.drive.vault.trash() if one.position[0] == self._start + thrown_at)

    @property
    def _start(self) -> int:
        """What the clock showed when the model began to count."""
        return int(self.store.clock().timestamp()) - self.model.now

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────
    def _wait(self, seconds: int) -> None:
        self.store.clock.advance(seconds=seconds)
        self.model.now += seconds

    def _put(self, data: st.DataObject, path: str | None = None) -> str:
        path = path or self._place(data)
        if isinstance(self.model.find(path), Folder):
            return "not tried"
        content = bytes([data.draw(st.integers(0, 255))]) * data.draw(sizes)
        try:
            self.drive.put(path, content)
        except QuotaExceeded:
            assert not self.model.put(path, content)
            return "refused"
        assert self.model.put(path, content)
        return ""

    def _overwrite(self, data: st.DataObject) -> str:
        files = self._paths(File)
        return self._put(data, data.draw(st.sampled_from(files))) if files else "not tried"

    def _mkdir(self, data: st.DataObject) -> str:
        path = self._place(data)
        if self.model.find(path) is not None:
            return "not tried"
        self.drive.mkdir(path)
        self.model.mkdir(path)
        return ""

    def _delete(self, data: st.DataObject) -> str:
        paths = self._paths(File, Folder)
        if not paths:
            return "not tried"
        path = data.draw(st.sampled_from(paths))
        self.drive.delete(path)
        self.model.delete(path)
        return ""

    def _two(self, data: st.DataObject) -> tuple[str, str] | None:
        """Something, and a place that it may be put to, taken or free."""
        paths = self._paths(File, Folder)
        if not paths:
            return None
        source, target = data.draw(st.sampled_from(paths)), self._place(data)
        inside = f"{target}/".startswith(f"{source}/") or f"{source}/".startswith(f"{target}/")
        return None if inside else (source, target)

    def _move(self, data: st.DataObject) -> str:
        if (two := self._two(data)) is None:
            return "not tried"
        taken = self.model.find(two[1]) is not None
        self.drive.move(*two, overwrite=True)
        self.model.move(*two)
        return "over" if taken else ""

    def _copy(self, data: st.DataObject) -> str:
        if (two := self._two(data)) is None:
            return "not tried"
        taken = self.model.find(two[1]) is not None
        try:
            self.drive.copy(*two, overwrite=True)
        except QuotaExceeded:
            assert not self.model.copy(*two)
            return "refused"
        assert self.model.copy(*two)
        return "over" if taken else ""

    def _restore(self, data: st.DataObject) -> str:
        if not self.model.trash:
            return "not tried"
        thrown = self.model.trash[data.draw(st.integers(0, len(self.model.trash) - 1))]
        try:
            restored = self.drive.vault.restore(self._entry(thrown.at))
        except QuotaExceeded:
            assert self.model.restore(thrown) is None
            return "refused"
        assert self.model.restore(thrown) == str(restored.path)
        return "" if str(restored.path) == thrown.path else "elsewhere"

    def _revert(self, data: st.DataObject) -> str:
        if (past := self._past(data)) is None:
            return "not tried"
        try:
            self.drive.revert(*past)
        except QuotaExceeded:
            assert not self.model.revert(*past)
            return "refused"
        assert self.model.revert(*past)
        return ""

    def _purge(self, data: st.DataObject) -> str:
        if not self.model.trash:
            return "not tried"
        thrown = self.model.trash[data.draw(st.integers(0, len(self.model.trash) - 1))]
        self.drive.vault.purge(self._entry(thrown.at))
        self.model.trash.remove(thrown)
        return ""

    def _purge_version(self, data: st.DataObject) -> str:
        if (past := self._past(data)) is None:
            return "not tried"
        path, number = VaultPath.parse(past[0]), past[1]
        file = self.model.find(past[0])
        assert isinstance(file, File)
        self.drive.vault.purge_version(path, self.drive.vault.versions(path)[number].id)
        del file.versions[number]
        return ""

    def _empty(self, data: st.DataObject) -> str:
        if data.draw(st.integers(0, 3)):  # else there is never much in it
            return "not tried"
        self.drive.vault.empty_trash()
        self.model.trash.clear()
        return ""

    def _collect(self, _data: st.DataObject) -> str:
        report = self.store.collect()
        self.model.collect()
        assert self.store.problems() == []
        return "something" if report.kept else ""

    def _days(self, data: st.DataObject) -> str:
        self._wait(data.draw(st.sampled_from([1, 5, 12])) * 24 * 3600)
        return ""

    # ── the same? ───────────────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def counters_are_exact(self) -> None:
        """At every moment."""
        usage = self.drive.vault.usage()
        assert (usage.used, usage.kept) == (self.model.live + self.model.kept, self.model.kept)
        assert usage.available == QUOTA - self.model.live

    @invariant()
    def nothing_else_is_kept(self) -> None:
        """What is in the trash, where it was, how much it is, and how many versions each file has."""
        seen = [
            (one.position[0] - self._start, "/" + "/".join(one.path), one.bytes)
            for one in self.drive.vault.trash()
        ]
        told = [(one.at, one.path, live_bytes(one.entry)) for one in self.model.trash]
        assert seen == sorted(told, reverse=True)
        for path in self._paths(File):
            file = self.model.find(path)
            assert isinstance(file, File)
            found = self.drive.vault.versions(VaultPath.parse(path))
            assert [(one.replaced_ns // SECOND - self._start, one.node.size) for one in found] == [
                (one.at, len(one.content)) for one in file.versions
            ]

    def teardown(self) -> None:
        """In the end all bytes are compared; then everything comes back, as far as it fits."""
        try:
            self._compare()
            self.store.accounts.set_quota("alice", None)
            self.model.quota = 10**9
            for thrown in sorted(self.model.trash, key=lambda one: -one.at):
                path = str(self.drive.vault.restore(self._entry(thrown.at)).path)
                assert self.model.restore(thrown) == path
            self._compare()
            self.store.assert_tidy()
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def _compare(self) -> None:
        tree = {
            path: one.content if isinstance(one, File) else None
            for path, one in walk(self.model.root)
            if path
        }
        assert self.drive.tree() == tree
        for path in self._paths(File):
            file = self.model.find(path)
            assert isinstance(file, File)
            assert self.drive.before(path) == [old.content for old in file.versions]
