"""`sealdav serve` with several processes: one drive, whichever of them answers. Real processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import store
from benchmarks.browsing import Browser
from benchmarks.client import WorkFailed
from benchmarks.planting import plant
from davserver.cli.exits import ExitCode
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.conformance.http import head
from tests.e2e.drive import Device, Drive
from tests.logs import restored_logging

pytestmark = pytest.mark.e2e

PROCESSES = 2
MIB = 1 << 20
PATIENCE = 60.0

MOST_MEMORY = 150 * MIB
"""Of all processes together, each page counted once; docs/adr/0021-several-processes.md."""


@pytest.fixture
def many(tmp_path: Path) -> Iterator[Drive]:
    """A drive that two processes serve."""
    drive = Drive(tmp_path / "drive", SERVER__PROCESSES=str(PROCESSES))
    assert drive.run("init").returncode == 0
    drive.start()
    yield drive
    drive.close()


def workers(drive: Drive) -> set[int]:
    """The processes that the first one has started."""
    return {int(pid) for pid in Path(f"/proc/{drive.pid}/task/{drive.pid}/children").read_text().split()}


def events(drive: Drive) -> list[str]:
    """What the log says, without requests."""
    lines = map(json.loads, drive.log.read_text().splitlines())
    return [line["event"] for line in lines if line["event"] != "request"]


def wait_for_workers(drive: Drive, gone: int = 0) -> set[int]:
    """Until as many serve as should, and one is none of them."""
    deadline = time.monotonic() + PATIENCE
    while len(found := workers(drive)) < PROCESSES or gone in found:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def opened(pid: int) -> set[str]:
    """The files that a process has open."""
    links = Path(f"/proc/{pid}/fd")
    found = set()
    for link in links.iterdir():
        try:
            found.add(str(link.readlink()))
        except FileNotFoundError:  # closed since
            continue
    return found


def test_what_one_process_stores_each_of_them_gives(many: Drive) -> None:
    """Forty requests on connections of their own meet both; each sees what the others did at once."""
    device = many.enrol("alice")

    def there_and_back(number: int) -> bool:
        body = b"%d" % number * 10_000
        stored = many.request("PUT", f"file{number}", device, body)[0] == 201
        return stored and many.request("GET", f"file{number}", device) == (200, body)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, range(40)))
    assert len(many.answering) == PROCESSES
    assert many.stop() == ExitCode.OK
    assert many.run("verify").returncode == ExitCode.OK


def test_a_folder_is_sorted_once_for_all_processes(many: Drive) -> None:
    """A file is altered, over which all who sort would stumble, and those who have sorted are killed.

    The processes that come after them do not stumble: they found the order.
    """
    names = [f"file {number}.txt" for number in range(150)]
    with restored_logging(), store.services(many.folder) as built:
        store.enrol(built)
        access = store.access(built)
        plant(access, VaultPath(("folder",)), names)
        altered = Vault(access).stat(VaultPath(("folder", names[0]))).id
        browser = Browser(many.port, store.sign_in(built))
    assert names[0].encode() in browser.get("/files/folder/").body
    with contextlib.closing(sqlite3.connect(many.data / "sealdav.db")) as database, database:
        database.execute(
            "UPDATE node SET metadata_sealed = zeroblob(length(metadata_sealed)) WHERE node_id = ?", [altered]
        )
    for pid in sorted(wait_for_workers(many)):
        os.kill(pid, signal.SIGKILL)
        wait_for_workers(many, gone=pid)
    assert names[-1].encode() in browser.get("/files/folder/?page=2").body
    assert names[-1].encode() in browser.get("/files/folder/?down=1").body
    with pytest.raises(WorkFailed, match="500"):
        browser.get("/files/folder/?page=2&sort=size")


def test_nothing_of_the_store_crosses_the_fork(many: Drive) -> None:
    """The first process has neither the database nor a blob open; each other one has opened it for itself."""
    device = many.enrol("alice")
    for number in range(20):
        assert many.request("PUT", f"file{number}", device, bytes(100_000))[0] == 201
    assert not any(str(many.data) in name for name in opened(many.pid) if not name.endswith("app.log"))
    for pid in wait_for_workers(many):
        assert sum(name.endswith("sealdav.db") for name in opened(pid)) >= 1


def test_a_crashed_process_is_replaced_and_takes_up_its_work(many: Drive) -> None:
    """Requests go on; the log says so, and that the server as a whole began once and stopped once."""
    device = many.enrol("alice")
    for pid in sorted(wait_for_workers(many)):
        os.kill(pid, signal.SIGKILL)
        wait_for_workers(many, gone=pid)
    assert many.request("PUT", "file", device, b"x")[0] == 201
    assert many.stop() == ExitCode.OK
    said = events(many)
    assert said.count("a worker process has ended and is replaced") == PROCESSES
    assert (said.count("server-started"), said.count("server-stopped")) == (1, 1)


def test_what_was_acknowledged_outlives_the_process_that_did(many: Drive) -> None:
    """Processes are killed under twenty uploads at once: each is whole, or was not acknowledged."""
    device = many.enrol("alice")
    bodies = {f"file{number}": os.urandom(2 * MIB) for number in range(60)}

    def store(name: str) -> int | None:
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            return many.request("PUT", name, device, bodies[name])[0]
        return None

    with ThreadPoolExecutor(20) as threads:
        answers = threads.map(store, bodies)
        for pid in sorted(wait_for_workers(many)):
            os.kill(pid, signal.SIGKILL)
            wait_for_workers(many, gone=pid)
        stored = {name for name, status in zip(bodies, answers, strict=True) if status == 201}
    assert stored
    for name, body in bodies.items():
        found = many.request("GET", name, device)
        assert found == (200, body) or (name not in stored and found[0] == 404)
    assert many.stop() == ExitCode.OK
    assert many.run("verify").returncode == ExitCode.OK


def test_a_stop_commits_no_half_in_either_process(tmp_path: Path) -> None:
    """Of uploads that run in both: those that end within the grace are stored; else the old file stays."""
    drive = Drive(tmp_path / "drive", SERVER__PROCESSES=str(PROCESSES), SERVER__STOP_SECONDS="15")
    drive.start()
    with contextlib.ExitStack() as stack:
        stack.callback(drive.close)
        device = drive.enrol("alice")
        wait_for_workers(drive)
        names = [f"file{number}" for number in range(8)]
        for name in names:
            assert drive.request("PUT", name, device, b"old")[0] == 201
        uploads = [stack.enter_context(begin_upload(drive, device, name)) for name in names]
        for upload in uploads:
            assert upload.recv(MIB).startswith(b"HTTP/1.1 100 ")  # from now on it is being read
        os.kill(drive.pid, signal.SIGTERM)
        for upload in uploads[::2]:
            upload.sendall(bytes(MIB))
        statuses = [answer_of(upload) for upload in uploads]
        assert drive.wait() == ExitCode.OK
        assert statuses[::2] == [b"204"] * 4
        assert b"204" not in statuses[1::2]
        drive.start()
        for number, name in enumerate(names):
            assert drive.request("GET", name, device)[1] == (b"old" if number % 2 else bytes(2 * MIB))


def begin_upload(drive: Drive, device: Device, name: str) -> socket.socket:
    """Half of a PUT of two MiB."""
    line = socket.create_connection(("127.0.0.1", drive.port), timeout=PATIENCE)
    length = str(2 * MIB)
    fields = {"Authorization": device.authorization, "Content-Length": length, "Expect": "100-continue"}
    line.sendall(head("PUT", f"/dav/{name}", fields) + bytes(MIB))
    return line


def answer_of(upload: socket.socket) -> bytes:
    """The status code, or nothing if the connection ends without one."""
    try:
        return upload.recv(MIB)[len("HTTP/1.1 ") :][:3]
    except ConnectionError:
        return b""


def test_writing_goes_on_after_the_files_ran_out(tmp_path: Path) -> None:
    """Stalled uploads take every descriptor of both processes: when they are gone all is as before."""
    drive = Drive(tmp_path / "drive", SERVER__PROCESSES=str(PROCESSES))
    drive.start("prlimit", "--nofile=64:64")
    with contextlib.ExitStack() as stack:
        stack.callback(drive.close)
        device = drive.enrol("alice")
        wait_for_workers(drive)
        with contextlib.ExitStack() as uploads:
            for number in range(100):
                with contextlib.suppress(ConnectionError):
                    uploads.enter_context(begin_upload(drive, device, f"file{number}"))
            assert drive.request("PROPFIND", "", device, headers={"Depth": "0"})[0] == 207
        deadline = time.monotonic() + PATIENCE
        while [drive.request("PUT", "file", device, bytes(MIB))[0] for _ in range(8)].count(204) < 8:
            assert time.monotonic() < deadline
        assert drive.request("GET", "file", device) == (200, bytes(MIB))


def test_what_cannot_begin_says_why_once(tmp_path: Path) -> None:
    """Before any process is started: the exit code and the line are those of one process."""
    first = Drive(tmp_path / "first", SERVER__PROCESSES=str(PROCESSES))
    first.start()
    second = Drive(tmp_path / "second", SERVER__PROCESSES=str(PROCESSES), SERVER__PORT=str(first.port))
    done = second.run("serve")
    first.close()
    assert done.returncode == ExitCode.CONFIG
    assert done.stderr.count("the port is in use") == 1


def test_one_process_has_no_other_beside_it(tmp_path: Path) -> None:
    """`server.processes = 1`: nothing is forked, nobody looks after anybody."""
    drive = Drive(tmp_path / "drive", SERVER__PROCESSES="1")
    drive.start()
    try:
        assert workers(drive) == set()
        assert drive.stop() == ExitCode.OK
    finally:
        drive.close()


def test_the_memory_of_all_together(many: Drive) -> None:
    """After pages, uploads, downloads and listings in both of them; what they share is counted once."""
    device = many.enrol("alice")
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda number: everything(many, device, number), range(32)))
    assert len(many.answering) == PROCESSES
    assert sum(map(memory, {many.pid, *workers(many)})) <= MOST_MEMORY


def everything(drive: Drive, device: Device, number: int) -> bool:
    """One of each kind of request."""
    large, small = f"large{number}", f"small{number}"
    drive.request("PUT", large, device, bytes(8 * MIB))
    drive.request("PUT", small, device, b"small")
    drive.request("GET", large, device)
    drive.request("PROPFIND", "", device, headers={"Depth": "1"})
    return drive.request("GET", small, device) == (200, b"small")


def memory(pid: int) -> int:
    """Bytes of a process, of shared pages its part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the kernel does not say")
