"""How a transaction begins, ends and fails."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from davserver.db.engine import JOURNAL_LIMIT_BYTES, PAGE_BYTES, Database, Transaction
from davserver.errors import StorageFull, StorageUnavailable, VersionConflict
from davserver.model import Durability


def run(tx: Transaction, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """One statement, and what it returns."""
    result = tx._connection.exec_driver_sql(statement, values)  # noqa: SLF001 - these tests bring their own table
    return [tuple(row) for row in result] if result.returns_rows else []


def open_database(folder: Path, durability: Durability = "relaxed") -> Database:
    """A database file in `folder` that does not wait for other writers."""
    database = Database(f"sqlite:///{folder / 'test.db'}", durability=durability)
    event.listen(
        database.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 0")
    )
    return database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database with one small table."""
    made = open_database(tmp_path)
    with made.write() as tx:
        run(tx, "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
        run(tx, "CREATE TABLE child (parent INTEGER REFERENCES note DEFERRABLE INITIALLY DEFERRED)")
        tx.commit()
    yield made
    made.dispose()


def notes(database: Database) -> list[str]:
    """What is committed."""
    with database.read() as tx:
        return [text for (text,) in run(tx, "SELECT text FROM note ORDER BY id")]


def add(database: Database, text: str) -> None:
    """Commit a note."""
    with database.write() as tx:
        run(tx, "INSERT INTO note (text) VALUES (?)", text)
        tx.commit()


def interrupted(tx: Transaction) -> None:
    """A write that Ctrl-C ends."""
    run(tx, "INSERT INTO note (text) VALUES ('interrupted')")
    raise KeyboardInterrupt


def contradict(tx: Transaction) -> None:
    """A write that a deferred constraint forbids, so that its commit fails."""
    run(tx, "INSERT INTO note (text) VALUES ('never')")
    run(tx, "INSERT INTO child VALUES (99)")
    tx.commit()


def fill(tx: Transaction) -> None:
    """A write that needs more space than there is."""
    ((pages,),) = run(tx, "PRAGMA page_count")
    run(tx, f"PRAGMA max_page_count = {pages}")
    run(tx, "INSERT INTO note (text) VALUES (?)", "x" * 20 * PAGE_BYTES)


def test_without_a_commit_nothing_has_happened(database: Database) -> None:
    """Whether the block ended well or not."""
    with database.write() as tx:
        run(tx, "INSERT INTO note (text) VALUES ('forgotten')")
    with pytest.raises(KeyboardInterrupt), database.write() as tx:
        interrupted(tx)
    assert notes(database) == []
    add(database, "committed")
    assert notes(database) == ["committed"]


def test_an_error_of_the_block_goes_through_untouched(database: Database) -> None:
    """Only the driver's own errors are translated."""
    for opened in (database.read(), database.write()):
        with pytest.raises(ZeroDivisionError), opened:
            _ = 1 // 0


def test_a_reader_sees_one_moment(database: Database) -> None:
    """What is committed beside it is not in its snapshot, and it does not keep the writer waiting."""
    add(database, "before")
    with database.read() as tx:
        assert run(tx, "SELECT count(*) FROM note") == [(1,)]
        add(database, "beside")
        assert run(tx, "SELECT count(*) FROM note") == [(1,)]
    assert notes(database) == ["before", "beside"]


def test_writers_of_one_process_take_turns(database: Database) -> None:
    """Read, compute, write back: no update is lost, and nobody is refused as busy."""
    add(database, "0")

    def count() -> None:
        for _ in range(10):
            with database.write() as tx:
                ((text,),) = run(tx, "SELECT text FROM note")
                run(tx, "UPDATE note SET text = ?", str(int(text) + 1))
                tx.commit()

    threads = [threading.Thread(target=count) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert notes(database) == ["50"]


def test_a_second_writer_waits_for_the_first(database: Database) -> None:
    """In Python and not in SQLite: it is not told that the database is busy, however long it takes."""
    second = threading.Thread(target=add, args=(database, "second"))
    with database.write() as tx:
        second.start()
        second.join(timeout=0.2)
        assert second.is_alive()
        run(tx, "INSERT INTO note (text) VALUES ('first')")
        tx.commit()
    second.join(timeout=30)
    assert notes(database) == ["first", "second"]


def test_a_writer_of_another_process_is_told_at_once(database: Database, tmp_path: Path) -> None:
    """The lock is taken when the write begins, not in its middle, where it could not be waited for."""
    other = open_database(tmp_path)
    with other.write() as tx:
        run(tx, "INSERT INTO note (text) VALUES ('theirs')")
        with pytest.raises(StorageUnavailable, match="SQLITE_BUSY"), database.write():
            pytest.fail("two writers at once")
        assert notes(database) == []
        tx.commit()
    add(database, "ours")
    assert notes(database) == ["theirs", "ours"]
    other.dispose()


def test_the_writer_lock_is_given_back_whatever_happens(database: Database) -> None:
    """After every way in which a write can fail, the next one succeeds."""
    for statement in ("nonsense", "INSERT INTO note VALUES (1, NULL)", "INSERT INTO child VALUES (99)"):
        with suppress(StorageUnavailable, VersionConflict), database.write() as tx:
            run(tx, statement)
            tx.commit()
        add(database, "next")
    assert notes(database) == ["next"] * 3


def test_a_commit_that_fails_leaves_no_transaction_behind(database: Database, tmp_path: Path) -> None:
    """A deferred constraint fails in COMMIT, and SQLite keeps the transaction open: nobody may inherit it."""
    with pytest.raises(VersionConflict), database.write() as tx:
        contradict(tx)
    other = open_database(tmp_path)
    add(other, "another process")
    add(database, "this process")
    assert notes(database) == ["another process", "this process"]
    other.dispose()


def test_no_space_left(database: Database) -> None:
    """StorageFull, and nothing of the transaction is there."""
    with pytest.raises(StorageFull), database.write() as tx:
        fill(tx)
    assert notes(database) == []


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """StorageUnavailable with SQLite's word for it; the file is not touched."""
    path = tmp_path / "test.db"
    path.write_bytes(b"not a database" * 1000)
    database = open_database(tmp_path)
    with pytest.raises(StorageUnavailable, match="SQLITE_NOTADB"), database.read():
        pytest.fail("opened")
    database.dispose()
    assert path.read_bytes() == b"not a database" * 1000


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    """StorageUnavailable, without its path."""
    database = open_database(tmp_path / "secret-name")
    with pytest.raises(StorageUnavailable) as caught, database.read():
        pytest.fail("opened")
    assert "secret-name" not in str(caught.value)
    assert not (tmp_path / "secret-name").exists()


@pytest.mark.parametrize("statement", ["INSERT INTO note VALUES (1, ?)", "INSERT INTO missing VALUES (1, ?)"])
def test_an_error_does_not_repeat_values(database: Database, statement: str) -> None:
    """Neither its text nor anything it was caused by, which a log would show."""
    with database.write() as tx:
        run(tx, "INSERT INTO note VALUES (1, 'x')")
        tx.commit()
    with pytest.raises((StorageUnavailable, VersionConflict)) as caught, database.write() as tx:
        run(tx, statement, "canary")
    error: BaseException | None = caught.value
    assert error is not None
    assert error.__suppress_context__
    while error is not None:
        assert "canary" not in str(error)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("durability", ["full", "relaxed"])
def test_every_connection_is_set_up(tmp_path: Path, durability: Durability) -> None:
    """As the file's docstrings and docs/architecture.md promise."""
    database = open_database(tmp_path, durability)
    with database.read() as one, database.read() as two:
        for tx in (one, two):
            pragmas = {
                name: run(tx, f"PRAGMA {name}")[0][0]
                for name in ("journal_mode", "synchronous", "foreign_keys", "temp_store", "secure_delete")
            }
            assert pragmas == {
                "journal_mode": "wal",
                "synchronous": 1,
                "foreign_keys": 1,
                "temp_store": 2,
                "secure_delete": 2,
            }
            assert run(tx, "PRAGMA page_size") == [(PAGE_BYTES,)]
            assert run(tx, "PRAGMA journal_size_limit") == [(JOURNAL_LIMIT_BYTES,)]
    database.dispose()


def test_what_is_durable_is_in_the_file(database: Database, tmp_path: Path) -> None:
    """Another program reads it as soon as `commit` has returned."""
    add(database, "there")
    with closing(sqlite3.connect(tmp_path / "test.db")) as connection:
        assert connection.execute("SELECT text FROM note").fetchall() == [("there",)]


def test_dispose_closes_every_connection(database: Database) -> None:
    """Nothing is open when a process forks; the next use opens anew."""
    closed: list[object] = []
    event.listen(database.engine, "close", lambda connection, _: closed.append(connection))
    with database.read(), database.read(), database.write():
        pass
    database.dispose()
    assert len(closed) == 3
    assert notes(database) == []
