"""Uploads in parts, failing at every single step, and ended at every single step as by `kill -9`.

What raised has changed nothing, and nothing acknowledged is lost: either the upload can be gone on with from
where it was, or the file is there, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count

import pytest

from davserver.errors import NotFound, StorageFull, StorageUnavailable
from davserver.vault import room
from davserver.vault.unfinished import IfTaken
from tests.unit.vault.arriving import CONTENT, IDLE_DAYS, PART, Arriving, open_uploads, shorten_parts
from tests.unit.vault.store import Drive, Store, make_store

FULL = StorageFull("the disk is full")
BROKEN = StorageUnavailable("the disk is broken")

begin = Arriving.begin


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many parts of a small file."""
    shorten_parts(monkeypatch)


@dataclass
class Scene:
    """Alice's vault with one upload of each kind: begun, partly there, wholly there in three ways, idle."""

    drive: Drive
    begun: Arriving
    partly: Arriving
    last: Arriving
    new: Arriving
    instead: Arriving
    beside: Arriving

    def all(self) -> list[Arriving]:
        """Every upload."""
        return [self.begun, self.partly, self.last, self.new, self.instead, self.beside]


@pytest.fixture
def scene(alice: Drive) -> Scene:
    """Files, a folder, and uploads on their way there."""
    alice.put("/f", b"old")
    alice.mkdir("/d")
    uploads = [
        begin(alice, "/d/begun"),
        begin(alice, "/d/partly"),
        begin(alice, "/d/last"),
        begin(alice, "/d/new").send_all(),
        begin(alice, "/f", if_taken=IfTaken.REPLACE).send_all(),
        begin(alice, "/f", if_taken=IfTaken.BOTH).send_all(),
    ]
    uploads[1].send()
    while len(CONTENT) - uploads[2].received > PART:
        uploads[2].send()
    return Scene(alice, *uploads)


Operation = Callable[[Scene], object]

OPERATIONS: dict[str, Operation] = {
    "begin": lambda scene: begin(scene.drive, "/another"),
    "the first part": lambda scene: scene.begun.part(0),
    "a part": lambda scene: scene.partly.part(PART),
    "the last part": lambda scene: scene.last.part(3 * PART),
    "join to a new file": lambda scene: scene.new.join(),
    "join in the place of a file": lambda scene: scene.instead.join(),
    "join beside a file": lambda scene: scene.beside.join(),
    "join with another answer": lambda scene: scene.instead.join(IfTaken.BOTH),
    "cancel": lambda scene: scene.partly.cancel(),
}

JOINS = {name for name in OPERATIONS if name.startswith("join")}


def everything(drive: Drive) -> tuple[object, ...]:
    """All that can be seen of files and uploads, and what is counted."""
    return drive.tree(), open_uploads(drive), drive.used, drive.live


def failures(
    store: Store, operation: Callable[[], object], error: StorageUnavailable, *, for_good: bool
) -> Iterator[None]:
    """Run an operation with its first step failing, then its second ...; ends when it has run through."""
    for step in count():
        try:
            with store.tripwire.armed(store.tripwire.fail(error, step, for_good=for_good)) as steps:
                operation()
        except type(error):
            yield
            continue
        assert len(steps) <= step, "a step failed and nobody was told"
        return


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_step_that_fails_undoes_the_others(
    store: Store, scene: Scene, name: str, *, for_good: bool
) -> None:
    """After each of them all is as it was, and the last run does it all."""
    before, steps = everything(scene.drive), 0
    for _ in failures(store, lambda: OPERATIONS[name](scene), FULL, for_good=for_good):
        steps += 1
        assert everything(scene.drive) == before
        if steps % 4 == 0 or name not in JOINS:
            store.clock.advance(seconds=1)
            store.assert_tidy()
            assert everything(scene.drive) == before
    assert steps > 2
    assert everything(scene.drive) != before
    store.assert_tidy()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_that_is_lost(store: Store, scene: Scene, name: str) -> None:
    """After whichever transaction the process ends: what is there is the state of before or that of after."""
    before = everything(scene.drive)
    for transactions in count(1):
        left = [transactions]

        def count_down(left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise BROKEN
            store.database.after_write = count_down

        store.database.after_write = count_down
        try:
            OPERATIONS[name](scene)
        except StorageUnavailable:
            if everything(scene.drive) != before:
                break
            continue
        raise AssertionError("it was done, and nobody was told")
    store.database.after_write = None
    store.assert_tidy()
    if name in JOINS:
        assert CONTENT in scene.drive.tree().values()
        with pytest.raises(NotFound):
            OPERATIONS[name](scene)


class KilledError(BaseException):
    """Stands for the end of the process: nothing catches it, and nothing is done afterwards."""


@pytest.mark.parametrize(
    "name", ["a part", "the last part", "join to a new file", "join in the place of a file"]
)
def test_killed_at_any_step_it_goes_on_elsewhere(store: Store, scene: Scene, name: str) -> None:
    """Another process finds the upload where it was, or the file, and finishes everything."""
    reached = 0
    for step in count():
        killed = _killed(store, scene, name, step)
        with closing(make_store(store.folder)) as other:
            other.clock.now = store.clock.now
            drive = other.drive("alice")
            assert {one for one in drive.tree().values() if one is not None} <= {b"old", CONTENT}
            assert all(
                received % PART == 0 or received == len(CONTENT) for _, received in open_uploads(drive)
            )
            assert other.problems() == []
            if not killed:
                _finish(drive, scene)
                other.assert_tidy()
                break
        reached += 1
    assert reached > 3


def _killed(store: Store, scene: Scene, name: str, step: int) -> bool:
    """End the process at a step: everything fails from there on, the clean-up as well."""

    def watch(_step: str) -> None:
        if len(store.tripwire.steps) > step:
            raise KilledError

    with store.tripwire.armed(watch):
        try:
            OPERATIONS[name](scene)
        except KilledError:
            return True
    return False


def _finish(drive: Drive, scene: Scene) -> None:
    """Go on with all uploads that are left, in this other process."""
    left = {one.id for one in drive.vault.parts.all()}
    for one in scene.all():
        if one.id in left:
            Arriving(drive, one.id, CONTENT).send_all().join()
    assert open_uploads(drive) == []
    names = {"/f", "/f (2)", "/d/begun", "/d/partly", "/d/last", "/d/new"}
    assert {path for path, content in drive.tree().items() if content == CONTENT} == names


def test_giving_up_that_fails_is_done_later(store: Store, scene: Scene) -> None:
    """Garbage collection, dying at any step: each upload is as it was, or gone, and counted so."""
    store.clock.advance(days=IDLE_DAYS)
    known = dict(open_uploads(scene.drive))
    for _ in failures(store, store.collect, FULL, for_good=False):
        left = dict(open_uploads(scene.drive))
        assert left.items() <= known.items()
        assert scene.drive.live == 3 + sum(one.received for one in scene.all() if _is_there(one))
    assert open_uploads(scene.drive) == []
    assert scene.drive.used == 3
    store.assert_tidy()


def _is_there(arriving: Arriving) -> bool:
    try:
        arriving.drive.vault.parts.state(arriving.id)
    except NotFound:
        return False
    return True


def test_room_that_is_made_while_it_is_joined(
    store: Store, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota that is used up by what is kept: failing anywhere, files and uploads are as they were."""
    monkeypatch.setattr(room, "BATCH_KEPT", 1)
    drive = scene.drive
    for number in range(3):
        drive.put(f"/{number}", bytes(60_000))
        drive.delete(f"/{number}")
    store.accounts.set_quota("alice", drive.used - 100_000)
    before = drive.tree(), open_uploads(drive), drive.live
    for _ in failures(store, scene.new.join, FULL, for_good=True):
        assert (drive.tree(), open_uploads(drive), drive.live) == before
    assert drive.get("/d/new") == CONTENT
    assert len(drive.kept()) == 1
    store.assert_tidy()
