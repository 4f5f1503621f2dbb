"""`kill -9` while the master key is rotated, and a server beside it: real processes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

import pytest

from davserver.cli.exits import ExitCode
from davserver.master_key import load_master_keys
from tests.e2e.drive import COMMAND_SECONDS, Device, Drive, sealdav

pytestmark = pytest.mark.e2e

ROUNDS = 8
FILES = 300
"""Rows that the rotation has to go through, one a file."""

LONGEST_SECONDS = 0.25
"""Kills come within this time after the new key is in the file; a rotation takes about as long."""


def kill_at_random(drive: Drive, moment: float) -> bool:
    """Rotate and kill -9 that many seconds after the new key was written; whether it was still running."""
    before = load_master_keys(drive.master_key)
    with subprocess.Popen(
        sealdav("rotate-keys"),
        env=drive.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + COMMAND_SECONDS
        while len(before) == 1 and load_master_keys(drive.master_key) == before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)  # Waiting for another process to write a file.
        time.sleep(moment)  # As above: the moment is what is tested.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode == -signal.SIGKILL


@pytest.mark.timeout(600)
def test_killed_at_any_moment_nothing_is_lost(drive: Drive, device: Device) -> None:
    """After each kill the server serves everything; the next rotation goes on where the last one ended."""
    contents = {f"file{number}": os.urandom(100 if number else 200_000) for number in range(FILES)}
    for name, content in contents.items():
        assert drive.request("PUT", name, device, content)[0] == 201
    assert drive.stop() == ExitCode.OK
    moments = random.Random(20)
    killed = 0
    for _ in range(ROUNDS):
        killed += kill_at_random(drive, moments.uniform(0, LONGEST_SECONDS))
        drive.start()
        name = moments.choice(list(contents))
        assert drive.request("GET", name, device) == (200, contents[name])
        contents[name] = os.urandom(300)
        assert drive.request("PUT", name, device, contents[name])[0] == 204
        assert drive.stop() == ExitCode.OK
        assert drive.run("verify").returncode == ExitCode.OK
    assert killed > 0
    assert drive.run("rotate-keys").returncode == ExitCode.OK
    (key,) = load_master_keys(drive.master_key)
    assert key.kid > 1
    assert drive.run("verify").returncode == ExitCode.OK
    drive.start()
    for name, content in contents.items():
        assert drive.request("GET", name, device) == (200, content)


def test_a_running_server_keeps_rotations_out(drive: Drive, device: Device) -> None:
    """The command says to stop it first, and has changed nothing; afterwards it is let in."""
    before = load_master_keys(drive.master_key)
    refused = drive.run("rotate-keys")
    assert (refused.returncode, refused.stdout) == (ExitCode.STORAGE, "")
    assert refused.stderr == (
        "sealdav: the store is in use: stop the server and every other sealdav command first\n"
    )
    assert load_master_keys(drive.master_key) == before
    assert drive.request("PUT", "file", device, b"content")[0] == 201
    assert drive.stop() == ExitCode.OK
    assert drive.run("rotate-keys").returncode == ExitCode.OK
    drive.start()
    assert drive.request("GET", "file", device) == (200, b"content")


def test_an_account_is_deleted_beside_a_running_server(drive: Drive, device: Device) -> None:
    """From the next request on nothing opens it, its blobs are gone, and others are served on."""
    bob = drive.enrol("bob")
    for who in (device, bob):
        assert drive.request("PUT", "file", who, bytes(200_000))[0] == 201
    done = drive.run("user", "delete", device.username, "--yes")
    assert done.returncode == ExitCode.OK, done.stderr
    assert drive.request("GET", "file", device)[0] == 401
    assert drive.request("GET", "file", bob) == (200, bytes(200_000))
    assert sum(path.is_file() for path in (drive.data / "blobs").rglob("*")) == 1
    assert drive.stop() == ExitCode.OK
    assert drive.run("verify").returncode == ExitCode.OK
