"""davfs2 mounts of a drive: made as root, and gone at the end whatever happens.

with davfs2.mounted(drive, device, tmp_path / "mount") as mount:
    (mount / "file").write_text("content")
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drive import Device, Drive
from tests.services import clients

CONFIGURATION = """\
buf_size 256
ask_auth 0
"""
"""What the README tells people to write, and what keeps a test from waiting for somebody to type.

Without the buffer davfs2 before 1.7.2 cannot list folders on kernels from 6.16.
"""

AT_ONCE = """\
delay_upload 0
dir_refresh 1
"""
"""For tests that watch the other side: otherwise davfs2 uploads ten seconds late and looks once a minute."""

CACHE = Path("/var/cache/davfs2")
"""davfs2 runs as a user of its own, for whom a test's folder is closed: it must be the default."""

LOST = "lost+found"
"""A folder that every mount seems to have and no server has: there davfs2 keeps what it could not upload."""

UNMOUNT_SECONDS = 120
KILL_SECONDS = 10


@contextlib.contextmanager
def mounted(drive: Drive, device: Device, folder: Path, more: str = AT_ONCE) -> Iterator[Path]:
    """The drive as a folder, with `more` lines of configuration. Leaving it waits until all is uploaded."""
    require_mounting()
    folder.mkdir(parents=True)
    try:
        _mount(drive, device, folder, more)
        yield folder
        assert not list((folder / LOST).iterdir()), "davfs2 could not upload everything"
        done = subprocess.run(
            ["umount", folder], capture_output=True, text=True, timeout=UNMOUNT_SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert _daemon(folder) is None
    finally:
        _clear_away(folder)


def require_mounting() -> None:
    """Skip the test (fail it when CI=true) where davfs2 cannot mount."""
    clients.require("mount.davfs")
    clients.require_fuse()
    if os.geteuid() != 0:
        pytest.skip("mounting davfs2 anywhere needs root")


def _mount(drive: Drive, device: Device, folder: Path, more: str) -> None:
    configuration, secrets = (folder.with_name(f"{folder.name}.{kind}") for kind in ("conf", "secrets"))
    configuration.write_text(f"{CONFIGURATION}{more}secrets {secrets}\n")
    secrets.touch(0o600)
    secrets.write_text(f"{drive.url} {device.username} {device.token}\n")
    command = ["mount", "-t", "davfs", "-o", f"conf={configuration}", drive.url, str(folder)]
    said = folder.with_name(f"{folder.name}.said")
    with said.open("wb") as output:  # Not a pipe: the daemon keeps it, and its end would never come.
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=UNMOUNT_SECONDS,
            check=False,
        )
    assert done.returncode == 0, said.read_text()


def _clear_away(folder: Path) -> None:
    """Unmount by force if it is still mounted, end the daemon, and remove what davfs2 kept of the mount."""
    mangled = str(folder).strip("/").replace("/", "-")
    subprocess.run(["umount", "--lazy", "--internal-only", folder], capture_output=True, check=False)
    deadline = time.monotonic() + KILL_SECONDS
    while (daemon := _daemon(folder)) is not None:
        assert time.monotonic() < deadline, "mount.davfs does not end"
        with contextlib.suppress(ProcessLookupError):
            os.kill(daemon, signal.SIGKILL)
        time.sleep(0.05)  # It is not our child: there is nothing to wait on.
    for cache in CACHE.glob(f"*+{mangled}+*"):
        shutil.rmtree(cache)
    Path(f"/run/mount.davfs/{mangled}.pid").unlink(missing_ok=True)


def _daemon(folder: Path) -> int | None:
    """Process id of the mount.davfs that serves a folder."""
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            program, *arguments = status.read_bytes().split(b"\0")
            if program.endswith(b"mount.davfs") and os.fsencode(folder) in arguments:
                return int(status.parent.name)
    return None
