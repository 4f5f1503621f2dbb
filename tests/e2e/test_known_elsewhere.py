"""What a process remembers never outlives a change by another one: two workers, and commands beside them.

Each request here is asked of both workers, on connections that were kept, after both have served the like.
"""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.drive import Device, Drive
from tests.e2e.test_processes import PROCESSES, wait_for_workers

pytestmark = pytest.mark.e2e

PATIENCE = 60
CONNECTIONS = 6
"""Workers leave new connections to each other until each has as many (docs/adr/0021-several-processes.md)."""


class Workers:
    """Kept connections, to both workers."""

    def __init__(self, drive: Drive, device: Device) -> None:
        self._fields = {"Authorization": device.authorization}
        self._connections = [
            http.client.HTTPConnection("127.0.0.1", drive.port, timeout=PATIENCE) for _ in range(CONNECTIONS)
        ]

    def one(
        self, which: int, method: str, path: str, body: bytes = b"", fields: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Ask on one of them: status and body."""
        connection = self._connections[which]
        connection.request(method, f"/dav/{path}", body, {**self._fields, **(fields or {})})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def each(self, method: str, path: str, body: bytes = b"") -> set[int]:
        """Ask on each of them, so that both answer: the statuses."""
        return {self.one(which, method, path, body)[0] for which in range(CONNECTIONS)}

    def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.close()


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    """A drive that two processes serve."""
    drive = Drive(tmp_path / "drive", SERVER__PROCESSES=str(PROCESSES))
    drive.start()
    wait_for_workers(drive)
    try:
        yield drive
        assert len(drive.answering) == PROCESSES
    finally:
        drive.close()


def test_a_command_counts_from_the_next_request_on(drive: Drive) -> None:
    """An account is suspended and opened again, an app password revoked: no worker goes by what it knows."""
    device = drive.enrol("alice")
    with contextlib.closing(Workers(drive, device)) as workers:
        workers.one(0, "PUT", "file", b"?")
        assert workers.each("GET", "file") == {200}
        for command, refused in (("suspend", True), ("resume", False), ("suspend", True), ("resume", False)):
            assert drive.run("user", command, "alice").returncode == 0
            assert workers.each("GET", "file") == {401 if refused else 200}
            assert workers.each("PUT", "file", b"!") == {401 if refused else 204}
        revoke(drive)
        for _ in range(2):
            assert workers.each("GET", "file") == {401}
            assert workers.each("PUT", "file", b"!") == {401}


def revoke(drive: Drive) -> None:
    """The only app password."""
    (one,) = map(json.loads, drive.run("app-password", "list", "alice", "--json").stdout.splitlines())
    assert drive.run("app-password", "revoke", "alice", one["id"]).returncode == 0


CHANGES: dict[str, Callable[[Workers], list[int]]] = {
    "moved": lambda workers: [workers.one(0, "MOVE", "a/b", fields={"Destination": "/dav/c"})[0]],
    "renamed above": lambda workers: [workers.one(0, "MOVE", "a", fields={"Destination": "/dav/c"})[0]],
    "deleted": lambda workers: [workers.one(0, "DELETE", "a/b")[0]],
    "deleted and made again": lambda workers: [
        workers.one(0, "DELETE", "a/b")[0],
        workers.one(1, "MKCOL", "a/b")[0],
    ],
    "moved away and another in its place": lambda workers: [
        workers.one(0, "MOVE", "a/b", fields={"Destination": "/dav/c"})[0],
        workers.one(0, "MOVE", "other", fields={"Destination": "/dav/a/b"})[0],
    ],
    "replaced by a file": lambda workers: [
        workers.one(0, "DELETE", "a/b")[0],
        workers.one(0, "PUT", "a/b", b"a file")[0],
    ],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_collection_is_where_it_is_now(drive: Drive, change: Callable[[Workers], list[int]]) -> None:
    """Both workers know the way to a file; what one does to a collection on it, the other one sees next."""
    device = drive.enrol("alice")
    with contextlib.closing(Workers(drive, device)) as workers:
        for path in ("a", "a/b", "other"):
            assert workers.one(0, "MKCOL", path)[0] == 201
        assert workers.one(0, "PUT", "a/b/f", b"content")[0] == 201
        assert workers.one(0, "PUT", "other/g", b"another")[0] == 201
        assert workers.each("GET", "a/b/f") == {200}
        assert all(status in {201, 204} for status in change(workers))
        assert workers.each("GET", "a/b/f") == {404}
        paths = ("a/b", "a/b/g", "c/f", "c/b/f", "other/g")
        seen = [{path: workers.one(which, "GET", path) for path in paths} for which in range(CONNECTIONS)]
        assert all(one == seen[0] for one in seen)
        written = [workers.one(which, "PUT", "a/b/f", b"new")[0] for which in range(CONNECTIONS)]
        assert written in ([201] + [204] * (CONNECTIONS - 1), [409] * CONNECTIONS)
        assert workers.each("GET", "a/b/f") == ({404} if 409 in written else {200})
    assert drive.run("verify").returncode == 0
