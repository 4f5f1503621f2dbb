"""The order of system calls of a PUT: what is acknowledged is on the disk before the answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.drive import Drive
from tests.services import clients

BODY = b"0123456789abcdef" * 20_000
"""Larger than one chunk, so it goes to the blob store."""

WRITERS = 16
PUTS = 64
SLOW_DISK = "fdatasync:delay_enter=100000"
"""A sync takes 100 ms: longer than a request, also while strace looks on and the machine is busy."""

UNFINISHED = " <unfinished ...>"
ANSWER = "HTTP/1.1 201"

CALLS = "rename,renameat,renameat2,link,linkat,fsync,fdatasync,write,pwrite64,writev,sendto,sendmsg"


@pytest.fixture
def trace(tmp_path: Path) -> list[str]:
    """Lines of strace for the time of one large and one small PUT."""
    strace = str(clients.require("strace"))
    drive = Drive(tmp_path / "drive")
    log = tmp_path / "trace"
    drive.start(strace, "-f", "-y", "-s", "64", "-e", f"trace={CALLS}", "-o", str(log))
    try:
        device = drive.enrol("alice")
        assert drive.request("PUT", "large", device, BODY)[0] == 201
        assert drive.request("PUT", "small", device, b"small")[0] == 201
    finally:
        drive.stop()
    return list(_joined(log.read_text(errors="replace").splitlines()))


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """A call that was interrupted by another thread's is two lines of strace: whole again where it ended."""
    begun: dict[str, str] = {}
    for line in lines:
        pid = line.split(maxsplit=1)[0]
        if line.endswith(UNFINISHED):
            begun[pid] = line.removesuffix(UNFINISHED)
            if ANSWER in line:  # some of it may have left
                yield line
        elif resumed := re.match(r"\d+ +<\.\.\. \w+ resumed>(.*)", line):
            yield begun.pop(pid, "") + resumed[1]
        else:
            yield line


def test_a_large_put_is_on_disk_before_its_answer(trace: list[str]) -> None:
    """Blob written, synced, published, its folder synced, write-ahead log synced, then the 201."""
    answer = _find(trace, r"(sendto|sendmsg|write|writev)\(.*HTTP/1\.1 201", 0)
    assert answer is not None
    steps = (
        (r"write\(\d+<.*/staging/", "the blob is written"),
        (r"f(data)?sync\(\d+<.*/staging/", "the blob is synced"),
        (r"(link|linkat|rename|renameat|renameat2)\(.*/staging/", "the blob is published"),
        (r"fsync\(\d+<.*/blobs/[0-9a-f]{2}>\)", "the folder is synced"),
        (r"f(data)?sync\(\d+<.*\.db-wal>\)", "the write-ahead log is synced"),
    )
    at = 0
    for pattern, what in steps:
        found = _find(trace, pattern, at)
        assert found is not None, f"missing or out of order: {what}"
        assert found < answer, f"after the answer: {what}"
        at = found + 1


def test_a_small_put_is_synced_before_its_answer(trace: list[str]) -> None:
    """A small file travels in the write-ahead log, which is synced before the answer."""
    first = _find(trace, r"(sendto|sendmsg|write|writev)\(.*HTTP/1\.1 201", 0)
    assert first is not None
    second = _find(trace, r"(sendto|sendmsg|write|writev)\(.*HTTP/1\.1 201", first + 1)
    synced = _find(trace, r"f(data)?sync\(\d+<.*\.db-wal>\)", first + 1)
    assert second is not None
    assert synced is not None
    assert synced < second


def test_puts_at_once_share_syncs(tmp_path: Path) -> None:
    """Sixteen clients of one process on a slow disk: far fewer syncs than files, and none of them is lost."""
    strace = str(clients.require("strace"))
    drive = Drive(tmp_path / "drive", SERVER__PROCESSES="1")
    log = tmp_path / "trace"
    drive.start(
        strace,
        "-f",
        "--seccomp-bpf",
        "-y",
        "-e",
        "trace=fdatasync",
        "-e",
        f"inject={SLOW_DISK}",
        "-o",
        str(log),
    )
    try:
        device = drive.enrol("alice")
        before = _syncs(log)
        with ThreadPoolExecutor(WRITERS) as threads:
            puts = [threads.submit(drive.request, "PUT", f"f{one}", device, b"small") for one in range(PUTS)]
        assert [put.result()[0] for put in puts] == [201] * PUTS
        syncs = _syncs(log) - before
        drive.kill()
        assert PUTS // WRITERS <= syncs <= PUTS // 2
        drive.start()
        stored = [drive.request("GET", f"f{one}", device) for one in range(PUTS)]
        assert stored == [(200, b"small")] * PUTS
    finally:
        drive.close()


def _syncs(log: Path) -> int:
    """How often the write-ahead log was synced by now."""
    return len(re.findall(r"fdatasync\(\d+<[^>]*\.db-wal>", log.read_text(errors="replace")))


def _find(trace: list[str], pattern: str, start: int) -> int | None:
    wanted = re.compile(pattern)
    return next((at for at in range(start, len(trace)) if wanted.search(trace[at])), None)
