"""Finds the real programs that tests drive: rclone from the cache, everything else on PATH.

Never installs anything: that is install.sh, which `make test` runs first. Called by tests only.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

ADMIN_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps mount helpers; not on everybody's PATH."""

FUSE_DEVICE = Path("/dev/fuse")
CAP_SYS_ADMIN = 21
"""Number of the capability that mount(2) needs (capabilities(7))."""


def cache() -> Path:
    """The folder outside the tree that holds what was built once for the tests."""
    if own := os.environ.get("SEALDAV_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sealdav"


def find(name: str) -> Path | None:
    """Where the program `name` is, or None. The cache wins over PATH: Debian's rclone is years old."""
    places = [str(cache() / "bin"), os.environ.get("PATH", os.defpath), ADMIN_FOLDERS]
    found = shutil.which(name, path=os.pathsep.join(places))
    return Path(found) if found else None


def require(name: str) -> Path:
    """Where the program `name` is; without it the test is skipped, which CI=true makes a failure."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} is not installed; tests/services/install.sh installs it")
    return found


def require_fuse() -> None:
    """Skip the test (fail it when CI=true) where FUSE file systems cannot be mounted."""
    obstacle = fuse_obstacle()
    if obstacle is not None:
        pytest.skip(f"FUSE mounts are not possible here: {obstacle}")


def fuse_obstacle() -> str | None:
    """Why no FUSE file system can be mounted, or None if one can."""
    if not FUSE_DEVICE.exists():
        return f"{FUSE_DEVICE} does not exist"
    helper = find("fusermount3")
    if helper is None:
        return "fusermount3 is not installed"
    if os.geteuid() == 0:
        return None if _may_mount() else "this root lacks CAP_SYS_ADMIN"
    if not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        return f"{FUSE_DEVICE} may not be opened"
    return None if helper.stat().st_mode & stat.S_ISUID else "fusermount3 is not setuid"


def _may_mount() -> bool:
    """Whether this process has CAP_SYS_ADMIN, which a root inside a container often lacks."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_ADMIN & 1)
    return False
