"""What a commit of the local back end asks of the system, watched and disturbed with strace.

A process that is only killed cannot prove anything about fsync: the page cache outlives it. The order of the
calls can, and so can making each of them fail or be the last one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from davserver.blobs import open_blob_store
from davserver.errors import CorruptBlob
from davserver.model import BlobId
from tests.services.clients import require

PROJECT = Path(__file__).parents[2]
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)

FIRST = BlobId(b"\xaa" * 16)
SECOND = BlobId(b"\xaa" + b"\xbb" * 15)
"""Two ids that share their fan-out folder, `aa`."""

ACKNOWLEDGED = "acknowledged"

PUT = f"""
import os, sys
from davserver.blobs import open_blob_store
from davserver.errors import DavserverError
from davserver.model import BlobId
store = open_blob_store(sys.argv[1], durability=sys.argv[2])
for name in sys.argv[3:]:
    try:
        with store.create(BlobId(bytes.fromhex(name))) as writer:
            writer.write(bytes(70_000))
            writer.write(bytes(30_000))
            writer.commit()
    except DavserverError as error:
        sys.exit(f"{{type(error).__name__}}: {{error}}")
    os.write(1, b"{ACKNOWLEDGED}")
"""

CALLS = "write,fsync,fdatasync,link,linkat,rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat"
CALL = re.compile(r"^(?:\d+ +)?(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>\?|-?\d+)")

STEPS = {
    "write staged file": "write:when=1",
    "write staged file again": "write:when=2",
    "fsync staged file": "fsync:when=1",
    "mkdir folder": "mkdir:when=1",
    "fsync root": "fsync:when=2",
    "link staged file": "link:when=1",
    "unlink staged file": "unlink:when=1",
    "fsync folder": "fsync:when=3",
}
"""Each system call of a first commit, and how strace addresses it."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty blob folder."""
    folder = tmp_path / "blobs"
    open_blob_store(str(folder), durability="full", create=True)
    return folder


def strace(options: list[str], root: Path, durability: str, *ids: BlobId) -> subprocess.CompletedProcess[str]:
    """Store blobs in a process of its own, under strace with these options."""
    script = [sys.executable, "-B", "-c", PUT, str(root), durability, *[blob_id.hex() for blob_id in ids]]
    command = [str(require("strace")), "-f", "-qq", *options, *script]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if "PTRACE" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()}")
    return done


def watched(root: Path, durability: str, *ids: BlobId) -> list[str]:
    """The steps that storing these blobs takes on the blob folder, in their order, in plain words."""
    log = root.parent / "strace.log"
    done = strace(["-y", "-o", str(log), "-e", f"trace={CALLS}"], root, durability, *ids)
    assert done.returncode == 0, done.stderr
    return [step for line in log.read_text().splitlines() if (step := plain(line, root))]


def disturbed(root: Path, step: str, fault: str) -> subprocess.CompletedProcess[str]:
    """Store one blob while this step goes wrong, having made sure that it was this one."""
    log = root.parent / "strace.log"
    call, occurrence = STEPS[step].split(":")
    options = ["-y", "-o", str(log), "-e", f"trace={call}", "-e", f"inject={call}:{fault}:{occurrence}"]
    done = strace(options, root, "full", FIRST)
    (hit,) = [line for line in log.read_text().splitlines() if "(INJECTED)" in line or line.endswith("= ?")]
    assert plain(hit, root) == step.removesuffix(" again")
    assert ACKNOWLEDGED not in done.stdout
    return done


def plain(line: str, root: Path) -> str | None:
    """One line of strace in plain words; None for a call that is not about the blob folder."""
    call = CALL.match(line)
    if call is None or (str(root) not in line and ACKNOWLEDGED not in line):
        return None
    if ACKNOWLEDGED in line:
        return ACKNOWLEDGED
    places = {f"{root}/staging/": "staged file", f"{root}/aa": "folder", f"{root}": "root"}
    first = next(place for path, place in places.items() if path in call["arguments"])
    return f"{call['name']} {first}"


def test_the_first_commit_of_a_folder_is_durable_when_acknowledged(root: Path) -> None:
    """Bytes, sync, folder, sync of the root, name, sync of the folder: all before success is reported."""
    assert watched(root, "full", FIRST) == [
        "write staged file",
        "write staged file",
        "fsync staged file",
        "mkdir folder",
        "fsync root",
        "link staged file",
        "unlink staged file",
        "fsync folder",
        ACKNOWLEDGED,
    ]


def test_every_later_commit_syncs_file_and_folder(root: Path) -> None:
    """Once the process knows that the folder is durable: sync of the file, name, sync of the folder."""
    steps = watched(root, "full", FIRST, SECOND)
    assert steps[steps.index(ACKNOWLEDGED) + 1 :] == [
        "write staged file",
        "write staged file",
        "fsync staged file",
        "link staged file",
        "unlink staged file",
        "fsync folder",
        ACKNOWLEDGED,
    ]


def test_a_folder_left_by_another_process_is_not_trusted(root: Path) -> None:
    """Whoever made the folder may have died before syncing the root, so each process does so once."""
    (root / "aa").mkdir()
    steps = watched(root, "full", FIRST)
    assert steps.index("fsync root") < steps.index("link staged file")


def test_relaxed_syncs_nothing(root: Path) -> None:
    """Relaxed durability has the same steps in the same order, without a single sync."""
    assert watched(root, "relaxed", FIRST) == [
        "write staged file",
        "write staged file",
        "mkdir folder",
        "link staged file",
        "unlink staged file",
        ACKNOWLEDGED,
    ]


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_leaves_all_or_nothing(root: Path, step: str) -> None:
    """Killed on entering any call of a commit, the blob is absent or whole, and `sweep` removes the rest."""
    disturbed(root, step, "signal=KILL")
    assert_all_or_nothing(root, exists=step in {"unlink staged file", "fsync folder"})


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_any_step_is_reported_and_undone(root: Path, step: str) -> None:
    """When any call of a commit fails with EIO, the caller hears of it; no blob and no leftover remains."""
    failed = disturbed(root, step, "error=EIO")
    assert failed.returncode == 1, failed.stderr
    assert failed.stderr.startswith("StorageUnavailable: the disk of the blob folder reports")
    assert str(root) not in failed.stderr
    assert list((root / "staging").iterdir()) == []
    assert_all_or_nothing(root, exists=False)


def assert_all_or_nothing(root: Path, *, exists: bool) -> None:
    """The blob is there and whole, or it is not there at all; after a sweep no staged file is left."""
    store = open_blob_store(str(root), durability="full")
    assert list(store.ids()) == ([FIRST] if exists else [])
    if exists:
        with store.open(FIRST) as reader:
            assert reader.size == 100_000
            assert reader.read_at(0, 100_000) == bytes(100_000)
    else:
        with pytest.raises(CorruptBlob):
            store.open(FIRST)
    store.sweep(FAR_AHEAD)
    assert list((root / "staging").iterdir()) == []
    assert list(store.ids()) == ([FIRST] if exists else [])
