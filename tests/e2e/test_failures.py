"""What goes wrong on a server says so in one line, with what to do, and damages nothing. Real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyotp
import pytest

from davserver.cli.exits import ExitCode
from davserver.master_key import create_master_key
from tests.e2e.codes import Codes
from tests.e2e.drive import PASSWORD, Device, Drive

pytestmark = pytest.mark.e2e

CONTENT = b"a file that was there before"
DISK = 16 * 1024 * 1024
LITTLE = 512 * 1024
"""Less than the server wants to begin with."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.fixture
def stopped(drive: Drive, device: Device) -> Drive:
    """A drive with an account and a file, whose server was stopped."""
    assert drive.request("PUT", "file", device, CONTENT)[0] == 201
    assert drive.stop() == ExitCode.OK
    return drive


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file of a folder with its bytes, and every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def refuses(drive: Drive, code: ExitCode, words: str, *arguments: str) -> None:
    """`sealdav` says one line on standard error, which matches `words`, and ends with this code."""
    done = drive.run(*(arguments or ("serve",)))
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert re.fullmatch(rf"sealdav: [^\n]*{words}[^\n]*\n", done.stderr), done.stderr


def still_whole(drive: Drive, device: Device) -> None:
    """The server starts again, and the file is what it was."""
    drive.start()
    assert drive.request("GET", "file", device) == (200, CONTENT)
    assert drive.stop() == ExitCode.OK
    assert drive.run("verify").returncode == ExitCode.OK


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own on a folder."""
    subprocess.run(["mount", *options, str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


# ── the master key
def test_a_wrong_master_key_opens_nothing_and_changes_nothing(stopped: Drive, device: Device) -> None:
    """Neither `serve` nor any other command; with the right key back, all is there."""
    before = snapshot(stopped.data)
    kept = stopped.master_key.rename(stopped.folder / "kept.key")
    create_master_key(stopped.master_key)
    for command in ("serve", "init", "gc", "verify", "user"):
        arguments = (command, "list") if command == "user" else (command,)
        refuses(stopped, ExitCode.MASTER_KEY, "not the master key of this database: use ", *arguments)
    assert snapshot(stopped.data) == before
    kept.replace(stopped.master_key)
    still_whole(stopped, device)


def test_a_missing_master_key_is_not_made_anew(stopped: Drive, device: Device) -> None:
    """A new key beside an old database would only hide that the old one has to be found."""
    before = snapshot(stopped.data)
    kept = stopped.master_key.rename(stopped.folder / "kept.key")
    for command in ("serve", "init"):
        refuses(stopped, ExitCode.MASTER_KEY, "is missing: restore it from its backup", command)
    assert snapshot(stopped.data) == before
    assert not stopped.master_key.exists()
    kept.replace(stopped.master_key)
    still_whole(stopped, device)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.chmod(0o644), "is open to other users: run chmod 0400 "),
        (lambda path: os.truncate(path, 20), "is damaged or not a master key: restore it"),
    ],
    ids=["mode", "content"],
)
def test_a_master_key_that_cannot_be_trusted_is_refused(
    stopped: Drive, damage: Callable[[Path], None], words: str
) -> None:
    """One that others can read, and one that is cut."""
    before = snapshot(stopped.data)
    damage(stopped.master_key)
    refuses(stopped, ExitCode.MASTER_KEY, words)
    assert snapshot(stopped.data) == before


def test_a_data_folder_that_is_not_mounted_is_not_begun_anew(stopped: Drive, device: Device) -> None:
    """A server that starts empty would look to every client as if all files had been deleted."""
    kept = stopped.data.rename(stopped.folder / "kept")
    refuses(stopped, ExitCode.CONFIG, "master key but no store in .*: mount its disk, or run `sealdav init`")
    refuses(stopped, ExitCode.CONFIG, "no store in .*: run `sealdav init`", "user", "list")
    assert not stopped.data.exists()
    kept.rename(stopped.data)
    still_whole(stopped, device)


# ── disks
@needs_root
def test_a_full_disk_refuses_and_keeps_everything(tmp_path: Path) -> None:
    """Uploads get 507, nothing of them stays, old files stay readable; with space again, all goes on."""
    drive = Drive(tmp_path / "drive")
    drive.data.mkdir(parents=True)
    with mounted(drive.data, "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs"):
        try:
            drive.start()
            device = drive.enrol("alice")
            assert drive.request("PUT", "file", device, CONTENT)[0] == 201
            assert drive.request("PUT", "big", device, bytes(2 * DISK))[0] == 507
            assert drive.request("PUT", "file", device, bytes(2 * DISK))[0] == 507
            filler = drive.data / "filler"
            fill(filler)
            assert drive.request("PUT", "small", device, b"x" * 1000)[0] == 507
            assert drive.request("GET", "file", device) == (200, CONTENT)
            assert drive.request("GET", "big", device)[0] == 404
            assert drive.request("GET", "small", device)[0] == 404
            assert drive.stop() == ExitCode.OK
            refuses(drive, ExitCode.STORAGE, "no space left in .*: free some, or move ")
            filler.unlink()
            still_whole(drive, device)
            drive.start()
            assert drive.request("PUT", "small", device, b"x" * 1000)[0] == 201
        finally:
            drive.close()


@needs_root
def test_on_a_full_disk_the_trash_can_be_emptied(tmp_path: Path) -> None:
    """DELETE frees nothing before its time is up; `trash purge` and `gc` work where `serve` has no room."""
    drive, codes = Drive(tmp_path / "drive"), Codes()
    drive.data.mkdir(parents=True)
    with mounted(drive.data, "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs"):
        try:
            drive.start()
            device = drive.enrol("alice")
            assert drive.request("PUT", "file", device, CONTENT)[0] == 201
            assert drive.request("PUT", "big", device, bytes(DISK // 2))[0] == 201
            assert drive.request("DELETE", "big", device)[0] == 204
            assert drive.stop() == ExitCode.OK
            filler = drive.data / "filler"
            fill(filler)
            os.truncate(filler, filler.stat().st_size - LITTLE)
            refuses(drive, ExitCode.STORAGE, "no space left in .*: free some, or move ")
            app = pyotp.TOTP(device.totp_secret)
            *_used, code = (codes.next(app) for _ in range(3))  # the first two may be that of `enrol`
            purge = ("trash", "purge", "alice", "--all", "--json")
            done = drive.run(*purge, stdin=f"{PASSWORD}\n{code}\n")
            assert (done.returncode, json.loads(done.stdout)["removed"]) == (ExitCode.OK, 1), done.stderr
            assert drive.run("gc", "--grace-minutes", "0").returncode == ExitCode.OK
            drive.start()
            assert drive.request("GET", "file", device) == (200, CONTENT)
            assert drive.request("PUT", "big", device, bytes(DISK // 4))[0] == 201
        finally:
            drive.close()


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break


@needs_root
def test_a_read_only_data_folder_says_so(stopped: Drive, device: Device) -> None:
    """For root too, whom modes do not stop."""
    before = snapshot(stopped.data)
    with mounted(stopped.data, "--bind", str(stopped.data)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(stopped.data)], check=True)
        for command in ("serve", "init", "gc"):
            refuses(
                stopped, ExitCode.CONFIG, "cannot write to the data folder .*: mount it writable", command
            )
        assert snapshot(stopped.data) == before
    still_whole(stopped, device)


# ── the port
def test_a_port_in_use_says_so_and_leaves_the_other_alone(drive: Drive, device: Device) -> None:
    """The second server ends; the first goes on serving the same store."""
    assert drive.request("PUT", "file", device, CONTENT)[0] == 201
    refuses(drive, ExitCode.CONFIG, rf"port {drive.port}: the port is in use; stop the other program or set ")
    assert drive.request("GET", "file", device) == (200, CONTENT)
    assert drive.stop() == ExitCode.OK
    still_whole(drive, device)


# ── settings
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[server]\nport = \n", 2, r"not valid TOML \(.*\); correct this line"),
        ("[server]\nhots = 'a'\n", 2, "server.hots: no such setting; correct the name or remove it"),
        ("[server]\nthreads = 'many'\n", 2, "server.threads: input should be a valid integer"),
    ],
    ids=["bad TOML", "unknown setting", "wrong value"],
)
def test_a_wrong_setting_names_file_and_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    """Before anything is made."""
    drive = Drive(tmp_path / "drive")
    config = tmp_path / "davserver.toml"
    config.write_text(text)
    for command in (("serve",), ("config", "check")):
        expected = rf"{re.escape(str(config))}:{line}: {words}"
        refuses(drive, ExitCode.CONFIG, expected, "--config", str(config), *command)
    assert not drive.folder.exists()


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    """A typing error in a unit or a container is no default."""
    drive = Drive(tmp_path / "drive", SERVER__PROT="1")
    refuses(drive, ExitCode.CONFIG, "environment variable DAVSERVER_SERVER__PROT: no such setting")
    assert not drive.folder.exists()


def test_a_master_key_in_the_data_folder_is_refused(tmp_path: Path) -> None:
    """Whoever copies the one folder would have both."""
    drive = Drive(tmp_path / "drive", KEYS__MASTER_KEY_FILE=str(tmp_path / "drive/data/master.key"))
    refuses(drive, ExitCode.CONFIG, "must not lie in the data folder .*: set keys.master_key_file elsewhere")
    assert not drive.folder.exists()
