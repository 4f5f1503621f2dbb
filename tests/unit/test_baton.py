"""One request at a time, but nobody waits for ever."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from davserver import baton as batons
from davserver.baton import Baton
from davserver.db.engine import Database

PATIENCE = 20.0


def in_thread(work: object) -> threading.Thread:
    """A thread that is at work."""
    thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def taking(baton: Baton) -> threading.Event:
    """Set as soon as a thread that takes it and gives it may go on."""
    went_on = threading.Event()

    def take_and_give() -> None:
        baton.take()
        went_on.set()
        baton.give()

    in_thread(take_and_give)
    return went_on


def test_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes it waits until it is given."""
    monkeypatch.setattr(batons, "PATIENCE_SECONDS", PATIENCE)
    baton = Baton()
    baton.take()
    taken = taking(baton)
    assert not taken.wait(0.1)
    baton.give()
    assert taken.wait(PATIENCE)


def test_nobody_waits_for_ever() -> None:
    """A holder that waits for something and does not say so keeps others for a moment only."""
    baton = Baton()
    baton.take()
    assert taking(baton).wait(PATIENCE)


def test_only_its_holder_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever went on without it cannot take it away from its holder; to give it twice is to give it once."""
    monkeypatch.setattr(batons, "PATIENCE_SECONDS", 0.01)
    baton = Baton()

    def go_on_without() -> None:
        baton.take()
        baton.give()

    baton.take()
    without = in_thread(go_on_without)
    without.join(PATIENCE)
    assert not without.is_alive()
    begun = time.monotonic()
    in_thread(baton.take).join(PATIENCE)
    assert time.monotonic() - begun >= 0.01
    baton.give()
    baton.give()
    monkeypatch.setattr(batons, "PATIENCE_SECONDS", PATIENCE)
    begun = time.monotonic()
    in_thread(baton.take).join(PATIENCE)
    assert time.monotonic() - begun < PATIENCE


def test_a_writer_that_waits_steps_aside(tmp_path: Path) -> None:
    """Before another writer of this process; who need not wait keeps its turn."""
    steps: list[str] = []
    waits = threading.Event()

    def step_aside() -> None:
        steps.append("aside")
        waits.set()

    database = Database(f"sqlite:///{tmp_path / 'test.db'}", durability="relaxed", step_aside=step_aside)
    other = Database(f"sqlite:///{tmp_path / 'test.db'}", durability="relaxed")

    def write(one: Database) -> None:
        with one.write() as tx:
            tx.commit()

    write(database)
    assert steps == []
    for first in (database, other):  # a thread, and another process: to the kernel they are the same
        waits.clear()
        with first.write():
            thread = in_thread(lambda: write(database))
            assert waits.wait(PATIENCE)
        thread.join(PATIENCE)
    assert steps == ["aside"] * 2
    for one in (database, other):
        one.dispose()


def test_whoever_waits_for_the_disk_steps_aside(tmp_path: Path) -> None:
    """With full durability another request has its turn while the log is synced."""
    steps: list[str] = []
    database = Database(
        f"sqlite:///{tmp_path / 'test.db'}", durability="full", step_aside=lambda: steps.append("aside")
    )
    with database.write() as tx:
        tx._connection.exec_driver_sql("CREATE TABLE a (b)")  # noqa: SLF001
        tx.commit()
    assert steps == ["aside"]
    database.dispose()
