"""Does the same to uploads in parts and to a model in plain objects, from two processes in turn; compares.

Run by `test_parts_interleaved.py`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from davserver.errors import (
    AlreadyExists,
    DavserverError,
    LimitExceeded,
    NotFound,
    VersionConflict,
    WrongOffset,
)
from davserver.model import NodeId
from davserver.vault.parts import Joining
from davserver.vault.paths import VaultPath
from davserver.vault.unfinished import MAX_OPEN, IfTaken
from tests.unit.vault.arriving import IDLE_DAYS, PART, TIME
from tests.unit.vault.store import Drive, Store, make_store

NAMES = ("a", "b.txt")
SIZES = (0, 1, PART, PART + 1, 2 * PART)
HOURS = (1, 12 * IDLE_DAYS, 24 * IDLE_DAYS + 1)
GRACE = timedelta(hours=1)

STEPS = (
    *(
        "begin",
        "begin",
        "begin again",
        "send",
        "send",
        "send all",
        "send all",
        "send again",
        "join",
        "join",
        "join",
    ),
    *("step", "step", "step", "leave", "cancel", "put", "put there", "put there", "delete"),
    *("wait", "wait", "collect", "collect"),
)


@dataclass(eq=False)
class File:
    """What has a name."""

    content: bytes


@dataclass(eq=False)
class Sent:
    """An upload as it should be."""

    id: NodeId
    name: str
    content: bytes
    if_taken: IfTaken
    instead: File | None
    touched: int
    word: bytes
    received: int = 0


@dataclass(eq=False)
class Running:
    """A join that is under way in one of the processes."""

    sent: Sent
    joining: Joining
    steps: Iterator[int]
    left: int
    overtaken: bool = False


@dataclass
class Model:
    """One account; there are no folders."""

    files: dict[str, File] = field(default_factory=dict)
    uploads: list[Sent] = field(default_factory=list)
    now: int = 0

    def aim(self, name: str, if_taken: IfTaken, instead: File | None) -> str | None:
        """The name that a file gets; None: somebody has to be asked."""
        there = self.files.get(name)
        if there is None or (if_taken is IfTaken.REPLACE and there is instead):
            return name
        return self._spare(name) if if_taken is IfTaken.BOTH else None

    def _spare(self, name: str) -> str:
        stem, dot, ending = name.partition(".")
        candidates = (f"{stem} ({number}){dot}{ending}" for number in count(2))
        return next(one for one in candidates if one not in self.files)

    @property
    def used(self) -> int:
        """Bytes that count."""
        return sum(len(one.content) for one in self.files.values()) + sum(
            one.received for one in self.uploads
        )


class PartsMachine(RuleBasedStateMachine):
    """One rule; `template` is the folder of a store.

    Attributes:
        outcomes: how often each step was taken in all runs together, and what came of it.
    """

    template: ClassVar[Path]
    outcomes: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="parts-"))
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.stores: list[Store] = [make_store(self.folder) for _ in range(2)]
        for store in self.stores:
            store.keep(keep_days=0)
        self.drives: list[Drive] = [store.drive("alice") for store in self.stores]
        self.model = Model()
        self.running: list[Running] = []
        self.words = (number.to_bytes(16) for number in count(1))

    @rule(data=st.data(), kind=st.sampled_from(STEPS), process=st.integers(0, 1))
    def step(self, data: st.DataObject, kind: str, process: int) -> None:
        """Something is done to both, by one of the processes."""
        outcome = getattr(self, f"_{kind.replace(' ', '_')}")(data, self.drives[process])
        self.outcomes[f"{kind}: {outcome or 'done'}"] += 1

    # ── steps ───────────────────────────────────────────────────────────────────────────────────────────────
    def _begin(self, data: st.DataObject, drive: Drive) -> str:
        name, if_taken = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(IfTaken))
        content = bytes([data.draw(st.integers(0, 255))]) * data.draw(st.sampled_from(SIZES))
        instead = self.model.files.get(name) if if_taken is IfTaken.REPLACE else None
        possible = self.model.aim(name, if_taken, instead) is not None
        path, word = VaultPath((name,)), next(self.words)
        try:
            begun = drive.vault.parts.begin(path, len(content), TIME, if_taken=if_taken, word=word)
        except AlreadyExists:
            assert not possible
            return "asked"
        except LimitExceeded:
            assert len(self.model.uploads) == MAX_OPEN
            return "too many"
        assert possible
        if len(self.model.uploads) == MAX_OPEN:
            self._drop_idle()
        sent = Sent(begun.id, name, content, if_taken, instead, self.model.now, word)
        self.model.uploads.append(sent)
        return ""

    def _begin_again(self, data: st.DataObject, drive: Drive) -> str:
        if (sent := self._sent(data)) is None:
            return "not tried"
        path = VaultPath((sent.name,))
        known = drive.vault.parts.begin(path, len(sent.content), TIME, word=sent.word)
        assert (known.id, known.received) == (sent.id, sent.received)
        return ""

    def _sent(self, data: st.DataObject) -> Sent | None:
        return data.draw(st.sampled_from(self.model.uploads)) if self.model.uploads else None

    def _send(self, data: st.DataObject, drive: Drive) -> str:
        if (sent := self._sent(data)) is None or sent.received == len(sent.content):
            return "not tried"
        self._part(drive, sent, sent.received)
        sent.received = min(sent.received + PART, len(sent.content))
        sent.touched = self.model.now
        return ""

    def _send_all(self, data: st.DataObject, drive: Drive) -> str:
        if (sent := self._sent(data)) is None or sent.received == len(sent.content):
            return "not tried"
        while sent.received < len(sent.content):
            self._part(drive, sent, sent.received)
            sent.received = min(sent.received + PART, len(sent.content))
        sent.touched = self.model.now
        return ""

    def _send_again(self, data: st.DataObject, drive: Drive) -> str:
        if (sent := self._sent(data)) is None:
            return "not tried"
        offset = data.draw(st.sampled_from([0, PART, 2 * PART, len(sent.content), sent.received + 1]))
        if offset == sent.received < len(sent.content):
            return "not tried"
        try:
            self._part(drive, sent, offset)
        except WrongOffset as error:
            told = error.received
        else:
            raise AssertionError("a part was taken that does not belong there")
        assert told == sent.received
        return "told"

    def _part(self, drive: Drive, sent: Sent, offset: int) -> None:
        with drive.vault.parts.append(sent.id, offset) as upload:
            upload.write(sent.content[offset : offset + PART])
            upload.commit()

    def _join(self, data: st.DataObject, drive: Drive) -> str:
        if (sent := self._sent(data)) is None:
            return "not tried"
        answer = data.draw(st.sampled_from([None, None, *IfTaken]))
        if answer is None:
            if_taken, instead = sent.if_taken, sent.instead
        else:
            if_taken, instead = answer, None
            if answer is IfTaken.REPLACE:
                instead = self.model.files.get(sent.name)
        possible = self.model.aim(sent.name, if_taken, instead) is not None
        try:
            joining = drive.vault.parts.join(sent.id, if_taken=answer)
        except WrongOffset:
            assert sent.received < len(sent.content)
            return "not all is there"
        except AlreadyExists:
            assert not possible
            return "asked"
        assert possible
        assert sent.received == len(sent.content)
        sent.if_taken, sent.instead, sent.touched = if_taken, instead, self.model.now
        for other in self.running:
            other.overtaken |= other.sent is sent
        parts = -(-len(sent.content) // PART)
        self.running.append(Running(sent, joining, iter(joining), parts))
        return ""

    def _step(self, data: st.DataObject, _drive: Drive) -> str:
        if not self.running:
            return "not tried"
        return self._advance(data.draw(st.sampled_from(self.running)))

    def _advance(self, one: Running) -> str:
        try:
            next(one.steps)
        except StopIteration:
            self.running.remove(one)
            return self._joined(one)
        except (NotFound, AlreadyExists, VersionConflict) as error:
            self.running.remove(one)
            return self._not_joined(one, error)
        assert one.left > 0
        one.left -= 1
        return ""

    def _joined(self, one: Running) -> str:
        sent, placed = one.sent, one.joining.placed
        assert placed is not None
        assert not one.overtaken
        name = self.model.aim(sent.name, sent.if_taken, sent.instead)
        assert name is not None
        assert (sent in self.model.uploads, one.left, placed.node.name) == (True, 0, name)
        self.model.files[name] = File(sent.content)
        self.model.uploads.remove(sent)
        return "the file is there"

    def _not_joined(self, one: Running, error: DavserverError) -> str:
        if isinstance(error, NotFound):
            assert one.sent not in self.model.uploads
            return "given up meanwhile"
        assert one.overtaken == isinstance(error, VersionConflict)
        if one.overtaken:
            return "overtaken"
        assert one.left == 0
        assert self.model.aim(one.sent.name, one.sent.if_taken, one.sent.instead) is None
        return "asked"

    def _leave(self, data: st.DataObject, _drive: Drive) -> str:
        if not self.running:
            return "not tried"
        one = data.draw(st.sampled_from(self.running))
        one.steps.close()  # type: ignore[attr-defined]  # it is a generator
        self.running.remove(one)
        return ""

    def _cancel(self, data: st.DataObject, drive: Drive) -> str:
        if (sent := self._sent(data)) is None:
            return "not tried"
        assert drive.vault.parts.cancel(sent.id) == sent.received
        self.model.uploads.remove(sent)
        return ""

    def _put_there(self, data: st.DataObject, drive: Drive) -> str:
        if not self.running:
            return "not tried"
        one = data.draw(st.sampled_from(self.running))
        self._put(data, drive, one.sent.name)
        outcome = ""
        while one in self.running and data.draw(st.sampled_from([True, True, True, False])):
            outcome = self._advance(one)
            self.outcomes[f"step: {outcome or 'done'}"] += 1
        return outcome

    def _put(self, data: st.DataObject, drive: Drive, name: str = "") -> str:
        name = name or data.draw(st.sampled_from(NAMES))
        content = bytes([data.draw(st.integers(0, 255))]) * data.draw(st.sampled_from([0, 1, 500]))
        drive.put(f"/{name}", content)
        self.model.files[name] = File(content)
        return ""

    def _delete(self, data: st.DataObject, drive: Drive) -> str:
        if not self.model.files:
            return "not tried"
        name = data.draw(st.sampled_from(sorted(self.model.files)))
        drive.delete(f"/{name}")
        del self.model.files[name]
        return ""

    def _wait(self, data: st.DataObject, _drive: Drive) -> str:
        hours = data.draw(st.sampled_from(HOURS))
        self.model.now += hours * 3600
        for store in self.stores:
            store.clock.advance(hours=hours)
        return ""

    def _collect(self, _data: st.DataObject, drive: Drive) -> str:
        gone = self._drop_idle()
        assert drive.store.maintenance.collect(grace=GRACE).uploads == gone
        return "something" if gone else ""

    def _drop_idle(self) -> int:
        oldest = self.model.now - IDLE_DAYS * 24 * 3600
        idle = [one for one in self.model.uploads if one.touched <= oldest]
        for one in idle:
            self.model.uploads.remove(one)
        return len(idle)

    # ── the same? ───────────────────────────────────────────────────────────────────────────────────────────
    @invariant()
    def all_is_as_it_should_be(self) -> None:
        """For both processes, at every moment: files, uploads, and what counts."""
        for drive in self.drives:
            assert set(drive.names()) == set(self.model.files)
            found = {one.id: (one.path, one.received, one.size) for one in drive.vault.parts.all()}
            assert found == {
                one.id: ((one.name,), one.received, len(one.content)) for one in self.model.uploads
            }
            assert drive.used == self.model.used

    def teardown(self) -> None:
        """In the end all bytes are compared, every upload is finished, and nothing is left over."""
        try:
            for one in self.running:
                one.steps.close()  # type: ignore[attr-defined]  # as above
            drive = self.drives[0]
            assert drive.store.problems() == []
            for sent in list(self.model.uploads):
                while sent.received < len(sent.content):
                    self._part(drive, sent, sent.received)
                    sent.received += PART
                joining = drive.vault.parts.join(sent.id, if_taken=IfTaken.BOTH)
                list(joining)
                assert joining.placed is not None
                self.model.files[joining.placed.node.name] = File(sent.content)
            assert drive.tree() == {f"/{name}": one.content for name, one in self.model.files.items()}
            drive.store.assert_tidy()
        finally:
            for store in self.stores:
                store.close()
            shutil.rmtree(self.folder)
