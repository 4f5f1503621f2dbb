"""Memory of a real server while large files come and go: a few buffers for each, however long it takes."""

from __future__ import annotations

import contextlib
import http.client
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.drive import Device, Drive

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

MIB = 1 << 20
LARGE = 2048 * MIB
MANY, EACH = 8, 128 * MIB
MOST_EACH = 4 * MIB
"""What one transfer may take; the server's own small objects come and go below that."""

BLOCK = bytes(range(256)) * (MIB // 256)
RESET_PEAK = "5"
"""proc(5), clear_refs."""


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    """A server of one process. What it stored is taken away at the end: it is gigabytes."""
    drive = Drive(tmp_path / "drive", SERVER__PROCESSES="1", STORAGE__DURABILITY="relaxed")
    drive.start()
    yield drive
    drive.close()
    shutil.rmtree(drive.data)


def put(drive: Drive, device: Device, name: str, size: int) -> None:
    """Send a file that is nowhere whole. With a time, as rclone does, so that digests are kept of it."""
    fields = {
        "Authorization": device.authorization,
        "Content-Length": str(size),
        "X-OC-Mtime": "1700000000",
    }
    connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=600)
    with contextlib.closing(connection):
        connection.request("PUT", f"/dav/{name}", (BLOCK for _ in range(size // MIB)), fields)
        assert connection.getresponse().status in {201, 204}


def get(drive: Drive, device: Device, name: str) -> int:
    """Take a file and forget it; returns its length."""
    connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=600)
    buffer, length = bytearray(MIB), 0
    with contextlib.closing(connection):
        connection.request("GET", f"/dav/{name}", headers={"Authorization": device.authorization})
        answer = connection.getresponse()
        while count := answer.readinto(buffer):
            length += count
    return length


def memory(drive: Drive, field: str) -> int:
    """Bytes that the server has in memory (VmRSS), or had at most (VmHWM)."""
    lines = Path(f"/proc/{drive.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


@contextlib.contextmanager
def at_most(drive: Drive, more: int) -> Iterator[None]:
    """Fail if the server needs more memory meanwhile than that beside what it has now."""
    before = memory(drive, "VmRSS")
    Path(f"/proc/{drive.pid}/clear_refs").write_text(RESET_PEAK)
    yield
    assert memory(drive, "VmHWM") - before <= more


def test_a_large_file_takes_a_few_buffers(drive: Drive) -> None:
    """Two GiB, in and out."""
    device = drive.enrol("alice")
    for _ in range(3):  # what is made once is there
        put(drive, device, "file", 8 * MIB)
        assert get(drive, device, "file") == 8 * MIB
    with at_most(drive, MOST_EACH):
        put(drive, device, "file", LARGE)
    with at_most(drive, MOST_EACH):
        assert get(drive, device, "file") == LARGE


def test_each_of_many_takes_no_more(drive: Drive) -> None:
    """Eight at once, in and out."""
    device = drive.enrol("alice")
    names = [f"file{number}" for number in range(MANY)]
    with ThreadPoolExecutor(MANY) as threads:
        list(threads.map(lambda name: put(drive, device, name, 8 * MIB), names))
        with at_most(drive, MANY * MOST_EACH):
            list(threads.map(lambda name: put(drive, device, name, EACH), names))
        with at_most(drive, MANY * MOST_EACH):
            lengths = list(threads.map(lambda name: get(drive, device, name), names))
    assert lengths == [EACH] * MANY
