"""One sync for all who wait; never an answer without one."""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from davserver.db.engine import Database
from davserver.db.log_sync import LogSync
from davserver.errors import StorageUnavailable
from davserver.model import Durability

PATIENCE = 30


class Disk:
    """A disk whose syncs wait to be let on, and that counts them; `error` is what they end with."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.let_on = threading.Semaphore(0)
        self.syncs = 0
        self.error: BaseException | None = None

    def __call__(self, _descriptor: int) -> None:
        """Sync."""
        self.syncs += 1
        self.began.release()
        assert self.let_on.acquire(timeout=PATIENCE)
        if self.error is not None:
            raise self.error


class Waiter(threading.Thread):
    """Somebody who waits; `error` is what was told."""

    def __init__(self, log: LogSync) -> None:
        super().__init__(daemon=True)
        self._log = log
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        """Wait."""
        try:
            self._log.wait()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    @property
    def waits(self) -> bool:
        """Whether there was no answer yet."""
        self.join(timeout=0.05)
        return self.is_alive()

    def end(self) -> BaseException | None:
        """What came of it."""
        self.join(timeout=PATIENCE)
        assert not self.is_alive()
        return self.error


@pytest.fixture
def disk() -> Disk:
    """A disk."""
    return Disk()


@pytest.fixture
def log(tmp_path: Path, disk: Disk) -> LogSync:
    """A log on it."""
    (tmp_path / "test.db-wal").touch()
    return LogSync(tmp_path / "test.db", disk)


def began(disk: Disk) -> None:
    """Wait until a sync runs."""
    assert disk.began.acquire(timeout=PATIENCE)


def test_who_comes_alone_syncs_at_once(log: LogSync, disk: Disk) -> None:
    """And is answered when the sync has ended, not before."""
    one = Waiter(log)
    began(disk)
    assert one.waits
    disk.let_on.release()
    assert one.end() is None
    assert disk.syncs == 1


def test_all_who_came_during_a_sync_share_the_next(log: LogSync, disk: Disk) -> None:
    """The one that runs began before their commits, so it does not count for them; one more does for all."""
    first = Waiter(log)
    began(disk)
    others = [Waiter(log) for _ in range(20)]
    assert all(other.waits for other in others)
    disk.let_on.release()
    assert first.end() is None
    began(disk)
    assert all(other.waits for other in others)
    disk.let_on.release()
    assert [other.end() for other in others] == [None] * 20
    assert disk.syncs == 2


def test_a_sync_that_fails_is_told_to_all_and_for_good(log: LogSync, disk: Disk) -> None:
    """The system forgets what it could not write: a later sync that succeeds proves nothing."""
    first = Waiter(log)
    began(disk)
    others = [Waiter(log) for _ in range(3)]
    assert all(other.waits for other in others)
    disk.error = OSError(errno.EIO, "a secret path")
    disk.let_on.release()
    told = [first.end(), *(other.end() for other in others)]
    assert {type(error) for error in told} == {StorageUnavailable}
    assert not any("secret" in str(error) for error in told)
    disk.error = None
    for refused in (log.wait, log.require_sound):
        with pytest.raises(StorageUnavailable):
            refused()
    assert disk.syncs == 1


def test_a_log_that_is_gone_is_a_failure(tmp_path: Path, disk: Disk) -> None:
    """Whatever was committed went into a file that nobody will find again."""
    log = LogSync(tmp_path / "test.db", disk)
    with pytest.raises(StorageUnavailable):
        log.wait()


def test_a_process_without_descriptors_is_told_and_goes_on_later(log: LogSync, disk: Disk) -> None:
    """Many connections must not end all writing for good: nothing was tried, so nothing is lost."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(StorageUnavailable, match="no file is left"):
            log.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert disk.syncs == 0
    log.require_sound()
    disk.let_on.release()
    log.wait()
    assert disk.syncs == 1


def test_an_interrupt_ends_one_wait_and_no_other(log: LogSync, disk: Disk) -> None:
    """Somebody else takes over; nobody is answered by a sync that was not finished."""
    first = Waiter(log)
    began(disk)
    other = Waiter(log)
    assert other.waits
    disk.error = KeyboardInterrupt()
    disk.let_on.release()
    assert isinstance(first.end(), KeyboardInterrupt)
    disk.error = None
    began(disk)
    disk.let_on.release()
    assert other.end() is None
    log.require_sound()


# ── the database ────────────────────────────────────────────────────────────────────────────────────────────
Event = str


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Syncs that the program asks for, by the ending of the file's name."""
    seen: list[Event] = []
    fdatasync = os.fdatasync

    def watched(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fdatasync(descriptor)

    monkeypatch.setattr(LogSync.__init__, "__defaults__", (watched,))
    return seen


def write(database: Database, then: Callable[[], None] = lambda: None) -> None:
    """A small write; `then` is called when it is committed and not yet left."""
    with database.write() as tx:
        tx._connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS a (b)")  # noqa: SLF001
        tx._connection.exec_driver_sql("INSERT INTO a VALUES (1)")  # noqa: SLF001
        tx.commit()
        then()


@pytest.mark.parametrize(("durability", "syncs"), [("full", ["test.db-wal"]), ("relaxed", [])])
def test_a_write_is_durable_when_its_block_is_left(
    tmp_path: Path, events: list[Event], durability: Durability, syncs: list[Event]
) -> None:
    """With full durability: after the commit, and with the write lock given back."""
    database = Database(f"sqlite:///{tmp_path / 'test.db'}", durability=durability)
    write(database, lambda: events.append("committed"))
    assert events == ["committed", *syncs]
    events.clear()
    with database.write() as tx:
        tx._connection.exec_driver_sql("INSERT INTO a VALUES (2)")  # noqa: SLF001 - and not committed
    with database.read() as tx:
        tx._connection.exec_driver_sql("SELECT * FROM a")  # noqa: SLF001
    assert events == []
    database.dispose()


def test_others_write_while_somebody_waits_for_the_disk(tmp_path: Path) -> None:
    """That is what it is for: commits pile up behind one sync."""
    database = Database(f"sqlite:///{tmp_path / 'test.db'}", durability="full")
    write(database)
    disk = Disk()
    database._writer._log = LogSync(tmp_path / "test.db", disk)  # noqa: SLF001 - a slow disk
    writers = [threading.Thread(target=write, args=(database,), daemon=True) for _ in range(10)]
    writers[0].start()
    began(disk)
    for writer in writers[1:]:
        writer.start()
    for _ in range(PATIENCE * 20):
        with database.read() as tx:
            ((count,),) = tx._connection.exec_driver_sql("SELECT count(*) FROM a").fetchall()  # noqa: SLF001
        if count == 1 + len(writers):
            break
        writers[1].join(timeout=0.05)
    assert count == 1 + len(writers)
    assert all(writer.is_alive() for writer in writers)
    for _ in writers:
        disk.let_on.release()
    for writer in writers:
        writer.join(timeout=PATIENCE)
    assert disk.syncs <= 1 + 2
    database.dispose()


def test_nothing_is_written_after_a_sync_has_failed(tmp_path: Path) -> None:
    """It would be acknowledged and perhaps lost with what came before it; reading goes on."""
    database = Database(f"sqlite:///{tmp_path / 'test.db'}", durability="full")
    write(database)
    disk = Disk()
    disk.error = OSError(errno.EIO, "lost")
    disk.let_on.release()
    database._writer._log = LogSync(tmp_path / "test.db", disk)  # noqa: SLF001
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            write(database)
    with database.read() as tx:
        ((count,),) = tx._connection.exec_driver_sql("SELECT count(*) FROM a").fetchall()  # noqa: SLF001
    assert count == 2  # the first of the two was committed, and its writer was told that nobody knows
    assert disk.syncs == 1
    database.dispose()
