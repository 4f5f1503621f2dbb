"""davfs2 with its locks: the drive as a folder for every program, and what the server has afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conformance.client import Client
from tests.e2e import davfs2
from tests.e2e.cadaver import Cadaver
from tests.e2e.drive import Device, Drive, Rclone
from tests.e2e.files import plant
from tests.e2e.programs import commit, contents, git, run
from tests.e2e.waiting import until
from tests.e2e.witness import locked, witness
from tests.services import clients

pytestmark = pytest.mark.e2e

ROUNDS = 5
AWKWARD_FILES = 60
MANY = 1100


@pytest.fixture
def server(drive: Drive, device: Device) -> Client:
    """What the server has, seen past davfs2."""
    return witness(drive, device)


def test_git_and_sqlite_live_on_a_mount(
    drive: Drive, device: Device, rclone: Rclone, server: Client, tmp_path: Path
) -> None:
    """Repositories and a database are whole on the next mount, after a restart, and for rclone."""
    with davfs2.mounted(drive, device, tmp_path / "mount") as mount:
        origin, clone = mount / "origin", mount / "clone"
        git(mount, "init", "--quiet", origin)
        for number in range(10):
            (origin / f"file {number}").write_text(f"line {number}\n" * 50)
        commit(origin, "first")
        git(mount, "clone", "--quiet", origin, clone)
        (clone / "file 1").write_text("changed\n")
        (clone / "added; ü").write_text("added\n")
        commit(clone, "second")
        git(origin, "fetch", "--quiet", clone, "HEAD:second")
        git(origin, "gc", "--quiet")
        for round_number in range(ROUNDS):
            insert(mount / "data.db", round_number)
        made = contents(mount, without=davfs2.LOST)
    assert server.tree() == made
    assert not list(locked(server))

    assert drive.stop() == 0
    drive.start()
    rclone("copy", "--create-empty-src-dirs", "drive:", tmp_path / "back")
    assert contents(tmp_path / "back") == made
    with davfs2.mounted(drive, device, tmp_path / "again") as mount:
        for repository in (mount / "origin", mount / "clone"):
            git(repository, "fsck", "--full", "--strict")
            assert git(repository, "status", "--porcelain") == ""
        assert git(mount / "origin", "log", "--format=%s", "second") == "second\nfirst\n"
        insert(mount / "data.db", ROUNDS)
    rclone("copyto", "drive:data.db", tmp_path / "data.db")
    insert(tmp_path / "data.db", ROUNDS + 1)


def insert(path: Path, number: int) -> None:
    """Add 100 rows in the transaction of this number, undo another one, and check the whole database."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS item (number INTEGER, content BLOB)")
        with database:
            database.executemany("INSERT INTO item VALUES (?, randomblob(500))", [(number,)] * 100)
        database.execute("DELETE FROM item")
        database.rollback()
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        counts = database.execute("SELECT number, count(*) FROM item GROUP BY number ORDER BY number")
        assert counts.fetchall() == [(each, 100) for each in range(number + 1)]


def test_what_people_do_to_files(drive: Drive, device: Device, server: Client, tmp_path: Path) -> None:
    """The server ends up with exactly what the same work leaves in a local folder, empty files included.

    As davfs2 is installed: most of it is uploaded, and unlocked, only by the unmount.
    """
    source, local = tmp_path / "source", tmp_path / "local"
    plant(source, AWKWARD_FILES)
    work(source, local)
    with davfs2.mounted(drive, device, tmp_path / "mount", more="") as mount:
        work(source, mount / "work")
        # Not at once: after a chmod of an open file, as vim does it, davfs2 calls it empty for a second.
        until(lambda: contents(mount / "work") == contents(local))
        shutil.copytree(source, mount / "removed")
        run("rm", "-rf", mount / "removed")
    assert server.tree() == {
        "work/": None,
        **{f"work/{path}": found for path, found in contents(local).items()},
    }
    assert not list(locked(server))


def work(source: Path, folder: Path) -> None:
    """Copy, rename, replace, edit and remove, as programs and people do it."""
    folder.mkdir()
    run("cp", "-r", source, folder / "copied")
    run("mv", folder / "copied", folder / "moved; #%? ü")
    moved = folder / "moved; #%? ü"
    run("mv", moved / "sub dir" / "deep;er", folder)
    run("rm", "-rf", moved / "plain")
    (folder / "a" / "b" / "c").mkdir(parents=True)
    (folder / "empty").touch()
    (folder / "text").write_text("one\ntwo\n")
    run("cp", folder / "text", folder / "a" / "b;c")
    run("sed", "-i", "s/one/three/", folder / "text")
    run(clients.require("vim"), "-N", "-u", "NONE", "-es", "-c", "s/two/four/|wq", folder / "text")
    (folder / "next").write_text("replaced\n")
    (folder / "next").replace(folder / "a" / "b;c")
    with (folder / "a" / "log").open("w") as log:
        for number in range(100):
            print(number, file=log, flush=True)
    with (folder / "a" / "log").open("r+") as log:
        log.seek(5)
        log.write("in the middle")
        log.truncate(100)
    with (folder / "a" / "log").open("a") as log:
        log.write("at the end")
    (folder / "gone").write_text("for a moment")
    (folder / "gone").unlink()


@pytest.mark.timeout(300)
def test_many_small_files_are_copied_at_once(
    drive: Drive, device: Device, server: Client, tmp_path: Path
) -> None:
    """davfs2 keeps the lock of each until it uploads it, ten seconds later: an account may have that many."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(MANY):
        (source / str(number)).write_text(str(number))
    with davfs2.mounted(drive, device, tmp_path / "mount", more="") as mount:
        run("cp", "-r", source, mount / "copied")
    assert server.below("copied").tree() == contents(source)


def test_a_file_that_is_open_for_writing_is_locked(
    drive: Drive, device: Device, server: Client, tmp_path: Path
) -> None:
    """Others get 423 until it is closed and stored, for a new name as for an old one; then it is theirs."""
    server.made("old")
    with davfs2.mounted(drive, device, tmp_path / "mount") as mount:
        for name in ("old", "new"):
            write_and_hand_over(mount / name, server)
    assert server.tree() == {"old": b"of another", "new": b"of another"}


def write_and_hand_over(path: Path, server: Client) -> None:
    """Write a file of the mount while another one tries to, and let the other one write when it is closed."""
    with path.open("wb") as file:
        file.write(b"of davfs2")
        assert server.put(path.name, b"of another").status == 423
        assert server.delete(path.name).status == 423
    until(lambda: not list(locked(server)) and server.get(path.name).body == b"of davfs2")
    assert server.put(path.name, b"of another").status == 204
    until(lambda: path.read_bytes() == b"of another")


def test_what_another_program_locked_is_not_written(
    drive: Drive, device: Device, server: Client, tmp_path: Path
) -> None:
    """While cadaver holds a lock the mount can read the file but not open it for writing; then it can."""
    server.made("file")
    with (
        davfs2.mounted(drive, device, tmp_path / "mount") as mount,
        Cadaver(drive.url, device, tmp_path / "home") as cadaver,
    ):
        cadaver.does("lock file")
        assert (mount / "file").read_bytes() == b"content"
        with pytest.raises(PermissionError):
            (mount / "file").open("r+b").close()
        with pytest.raises(PermissionError):
            (mount / "file").unlink()
        cadaver.does("unlock file")
        (mount / "file").write_bytes(b"changed")
    assert server.tree() == {"file": b"changed"}
