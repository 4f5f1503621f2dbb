"""Processes take turns at writing: in order, and whatever becomes of one of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from davserver.db.engine import Database
from davserver.db.turns import SUFFIX, Turns
from davserver.errors import StorageUnavailable

HOLD = """
import sys
from pathlib import Path
from davserver.db.turns import Turns
turns = Turns(Path(sys.argv[1]), lambda: None)
turns.take()
print("taken", flush=True)
sys.stdin.read()
"""


def held(path: Path) -> subprocess.Popen[str]:
    """Another process whose turn it is, until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    return process


@pytest.mark.parametrize("end", ["leaves", "is killed"])
def test_one_after_the_other(tmp_path: Path, end: str) -> None:
    """Whoever waits goes on as soon as the other ends, however it does."""
    other = held(tmp_path / "test.db")
    database = Database(f"sqlite:///{tmp_path / 'test.db'}", durability="relaxed")
    written = threading.Event()

    def write() -> None:
        with database.write() as tx:
            tx._connection.exec_driver_sql("CREATE TABLE a (b)")  # noqa: SLF001
            tx.commit()
        written.set()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    assert not written.wait(timeout=0.3)
    with database.read() as tx:  # nobody who reads waits
        tx._connection.exec_driver_sql("SELECT 1")  # noqa: SLF001
    if end == "is killed":
        other.kill()
    other.communicate(timeout=30)
    assert written.wait(timeout=30)
    thread.join(timeout=30)
    database.dispose()


def test_a_thread_does_not_wait_for_itself(tmp_path: Path) -> None:
    """Through another object for the same database; who gives what was not taken gives nothing away."""
    one, two = (Turns(tmp_path / "test.db", lambda: None) for _ in range(2))
    one.take()
    two.take()
    two.give()

    def take_and_give() -> None:
        two.take()
        two.give()

    waiting = threading.Thread(target=take_and_give, daemon=True)
    waiting.start()
    waiting.join(timeout=0.2)
    assert waiting.is_alive()
    one.give()
    waiting.join(timeout=30)
    assert not waiting.is_alive()
    one.close()
    two.close()
    two.close()


def test_it_is_not_taken_across_a_fork(tmp_path: Path) -> None:
    """After `close` the file is opened anew; it is for the owner's eyes only, and holds nothing."""
    turns = Turns(tmp_path / "test.db", lambda: None)
    for _ in range(2):
        turns.take()
        turns.give()
        turns.close()
    file = tmp_path / f"test.db{SUFFIX}"
    assert (file.stat().st_mode & 0o777, file.stat().st_size) == (0o600, 0)


def test_where_there_can_be_no_turns_nothing_is_written(tmp_path: Path) -> None:
    """StorageUnavailable, without the path; and the next one is told the same, not kept waiting."""
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'test.db'}", durability="relaxed")
    with closing(_Disposed(database)):
        for _ in range(2):
            with pytest.raises(StorageUnavailable) as caught, database.write():
                pytest.fail("written")
            assert "missing" not in str(caught.value)


class _Disposed:
    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        self._database.dispose()
