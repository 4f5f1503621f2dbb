"""The clients of the soak test: some keep to the rules, some do not, and all go on until told to stop.

Each works below a collection of its own. Whatever it is told goes into the ledger; whatever it should never
have been told goes into the list of failures. No client here waits for another.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import random
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from benchmarks.ledger import Ledger
from tests.e2e.drive import Device, Drive, Rclone

PATIENCE_SECONDS = 60
"""For one answer; longer is a failure."""

SIZES = (0, 1, 100, 4096, 30_000, 65_536, 65_537, 200_000, 2_000_000)
NAMES = 12
"""Files of one steady client: few, so that they are written again and again."""

BURST = 4
"""Requests on one connection before a pause."""

HASTY_BYTES = 70_000
"""The most that is sent by whoever does not wait for the answer: every such file stays until the end."""

LARGE_BYTES = 8 << 20
SLOW_BYTES = 16_384
"""What a slow reader takes at a time, every tenth of a second: slow, but nothing that a server should cut."""

HEADS = (
    b"",
    b"GET",
    b"GET /dav/ HTTP/1.1\r\nHost: x\r\nAuthor",
    b"PROPFIND /dav/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<?xml",
    b"GET  /dav/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PUT /dav/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc",
    b"GET /dav/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
)
"""What half a client says: nothing, the beginning of something, or nonsense."""


@dataclass
class Ground:
    """What all clients share.

    Attributes:
        drive, device: whom they talk to, as whom.
        ledger: what they were told.
        stop: set when they are to end.
        pause: seconds that a client rests between two bursts, on average.
        statuses: how often each status was answered.
        failures: what must not happen.
        large: the content of `/large`.
    """

    drive: Drive
    device: Device
    pause: float
    folder: Path
    large: bytes
    ledger: Ledger = field(default_factory=Ledger)
    stop: threading.Event = field(default_factory=threading.Event)
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, status: int, what: str) -> None:
        """Note an answer, whoever it was for."""
        with self._lock:
            self.statuses[status] += 1
        if status >= http.client.INTERNAL_SERVER_ERROR:
            self.failed(f"{what}: {status}")

    def failed(self, what: str) -> None:
        """Note what must not happen."""
        with self._lock:
            self.failures.append(what)

    def rest(self, rng: random.Random, least: float = 0.0) -> None:
        """Pause."""
        self.stop.wait(least + rng.uniform(0, 2 * self.pause))


def digest_of(content: bytes) -> str:
    """As the ledger wants it."""
    return hashlib.sha256(content).hexdigest()


# ── clients that keep to the rules
class Steady:
    """Writes, reads back, moves, copies, removes and lists, and wants each answer to be right."""

    def __init__(self, ground: Ground, name: str) -> None:
        self._ground = ground
        self._name = name
        self._rng = random.Random(name)
        self._contents: dict[str, bytes] = {}
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Until it is told to stop."""
        steps: list[Callable[[], None]] = [
            *(3 * [self._put]),
            *(3 * [self._get]),
            self._move,
            self._copy,
            self._delete,
            self._list,
        ]
        while not self._ground.stop.is_set():
            with self._connected():
                for _ in range(self._rng.randint(1, BURST)):
                    self._rng.choice(steps)()
            self._ground.rest(self._rng)

    def make(self) -> None:
        """Make its collection."""
        with self._connected():
            self._ask("MKCOL", "", {201})

    def _put(self) -> None:
        path, content = self._any(), self._rng.randbytes(self._rng.choice(SIZES))
        self._ground.ledger.attempt(path, digest_of(content))
        if self._ask("PUT", path, {204 if path in self._contents else 201}, content) is not None:
            self._hold(path, content)

    def _get(self) -> None:
        path = self._any()
        if path not in self._contents:
            self._ask("GET", path, {404})
        elif self._ask("GET", path, {200}) not in {None, self._contents[path]}:
            self._ground.failed(f"GET {path}: wrong content")

    def _move(self) -> None:
        source, target = self._any(), self._any()
        if source in self._contents and target not in self._contents:
            self._ground.ledger.attempt(source, None)
            self._ground.ledger.attempt(target, digest_of(self._contents[source]))
            if self._ask("MOVE", source, {201}, target=target) is not None:
                self._hold(target, self._contents.pop(source))
                self._ground.ledger.settle(source, None)

    def _copy(self) -> None:
        source, target = self._any(), self._any()
        if source in self._contents and source != target:
            self._ground.ledger.attempt(target, digest_of(self._contents[source]))
            expected = {204 if target in self._contents else 201}
            if self._ask("COPY", source, expected, target=target) is not None:
                self._hold(target, self._contents[source])

    def _delete(self) -> None:
        path = self._any()
        if path in self._contents:
            self._ground.ledger.attempt(path, None)
            if self._ask("DELETE", path, {204}) is not None:
                del self._contents[path]
                self._ground.ledger.settle(path, None)

    def _list(self) -> None:
        answer = self._ask("PROPFIND", "", {207})
        if answer is not None and answer.count(b"</D:response>") != len(self._contents) + 1:
            self._ground.failed(f"PROPFIND {self._name}: wrong number of members")

    def _hold(self, path: str, content: bytes) -> None:
        self._contents[path] = content
        self._ground.ledger.settle(path, digest_of(content))

    def _any(self) -> str:
        return f"{self._name}/file-{self._rng.randrange(NAMES)}"

    def _ask(
        self, method: str, path: str, expected: set[int], body: bytes | None = None, target: str = ""
    ) -> bytes | None:
        """The body of an answer; None if it is not one of those expected."""
        assert self._connection is not None  # noqa: S101 - inside `_connected`
        fields = {"Authorization": self._ground.device.authorization}
        if method == "PROPFIND":
            fields["Depth"] = "1"
        if target:
            fields["Destination"] = self._ground.drive.url + target
        what = f"{method} {path or self._name}"
        try:
            self._connection.request(method, f"/dav/{path or self._name + '/'}", body, fields)
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._ground.failed(f"{what}: {type(error).__name__}")
            self._connection.close()
            return None
        self._ground.answered(answer.status, what)
        if answer.status not in expected:
            self._ground.failed(f"{what}: {answer.status}")
            return None
        return content

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        port = self._ground.drive.port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(self._connection):
            yield


def run_rclone(ground: Ground, name: str) -> None:
    """Syncs a folder whose files change."""
    rng, rclone = random.Random(name), Rclone(ground.drive, ground.device)
    folder = ground.folder / name
    folder.mkdir()
    while not ground.stop.is_set():
        for _ in range(3):
            (folder / str(rng.randrange(NAMES))).write_bytes(rng.randbytes(rng.choice(SIZES)))
        (folder / str(rng.randrange(NAMES))).unlink(missing_ok=True)
        contents = {path.name: digest_of(path.read_bytes()) for path in folder.iterdir()}
        for number in range(NAMES):
            ground.ledger.attempt(f"{name}/{number}", contents.get(str(number)))
        try:
            rclone("sync", "--checksum", folder, f"drive:{name}")
        except AssertionError as error:
            ground.failed(f"rclone: {str(error)[-200:]}")
        else:
            for number in range(NAMES):
                ground.ledger.settle(f"{name}/{number}", contents.get(str(number)))
        ground.rest(rng, least=2)


def run_curl(ground: Ground, name: str) -> None:
    """Sends a larger file in chunks of unknown number, and fetches it again."""
    rng, file, path = random.Random(name), ground.folder / name, f"{name}/uploaded"
    while not ground.stop.is_set():
        file.write_bytes(rng.randbytes(rng.randrange(LARGE_BYTES)))
        digest = digest_of(file.read_bytes())
        ground.ledger.attempt(path, digest)
        if _curl(ground, path, "--upload-file", "-", stdin=file) is not None:
            ground.ledger.settle(path, digest)
            content = _curl(ground, path)
            if content is not None and digest_of(content) != digest:
                ground.failed(f"curl {path}: wrong content")
        ground.rest(rng, least=1)


def _curl(ground: Ground, path: str, *arguments: str, stdin: Path | None = None) -> bytes | None:
    command = ["curl", "--silent", "--show-error", "--fail", "--config", str(ground.folder / "curl.conf")]
    with (stdin or Path(os.devnull)).open("rb") as source:
        done = subprocess.run(
            [*command, *arguments, ground.drive.url + path], stdin=source, capture_output=True, check=False
        )
    if done.returncode:
        ground.failed(f"curl {path}: {done.stderr.decode().strip()}")
        return None
    return done.stdout


# ── clients that do not
def run_slow(ground: Ground, name: str) -> None:
    """Reads a large file slowly, and often gives up; what it gets is right as far as it goes."""
    rng = random.Random(name)
    while not ground.stop.is_set():
        with _connect(ground, receive=SLOW_BYTES) as sock:
            sock.sendall(_head(ground, "GET", "large"))
            wanted, received = rng.choice((0, LARGE_BYTES // 64, LARGE_BYTES // 8, LARGE_BYTES)), b""
            while len(received) < wanted and not ground.stop.wait(0.1):
                data = sock.recv(SLOW_BYTES)
                received += data
                if not data:
                    break
            if not wanted:
                ground.stop.wait(10)  # It does not read at all.
            head, _, body = received.partition(b"\r\n\r\n")
            _judge(ground, head, "slow GET")
            if not ground.large.startswith(body):
                ground.failed("slow GET: wrong content")
        ground.rest(rng)


def run_silent(ground: Ground, name: str) -> None:
    """Connects, says nothing or half of something, and stays."""
    rng = random.Random(name)
    while not ground.stop.is_set():
        with _connect(ground) as sock:
            sock.sendall(rng.choice(HEADS))
            ground.stop.wait(rng.uniform(1, 40))
            _judge(ground, _what_is_there(sock), "silent")
        ground.rest(rng)


def run_half(ground: Ground, name: str) -> None:
    """Connects, says half of something or nonsense, and is gone."""
    rng = random.Random(name)
    while not ground.stop.is_set():
        with _connect(ground) as sock:
            sock.sendall(rng.choice(HEADS))
            if rng.random() < 0.5:  # noqa: PLR2004 - half of them
                _reset(sock)
            else:
                sock.shutdown(socket.SHUT_WR)
                sock.settimeout(2)
                _judge(ground, _what_is_there(sock), "half")
        ground.rest(rng)


def run_cut(ground: Ground, name: str) -> None:
    """Begins uploads over a file that is there, and is gone in the middle; or before the answer."""
    rng, kept = random.Random(name), f"{name}/kept"
    content = rng.randbytes(100_000)
    ground.ledger.attempt(kept, digest_of(content))
    if ground.drive.request("PUT", kept, ground.device, content)[0] == http.client.CREATED:
        ground.ledger.settle(kept, digest_of(content))
    number = 0
    while not ground.stop.is_set():
        body = rng.randbytes(rng.choice(SIZES[3:]))
        with _connect(ground) as sock:
            way = rng.randrange(3)
            if way == 0:
                sock.sendall(
                    _head(ground, "PUT", kept, f"Content-Length: {len(body)}") + body[: len(body) // 2]
                )
            elif way == 1:
                chunk = f"{len(body):x}\r\n".encode() + body + b"\r\n"
                sock.sendall(_head(ground, "PUT", kept, "Transfer-Encoding: chunked") + chunk)
            else:
                number += 1
                path, body = f"{name}/hasty-{number}", body[:HASTY_BYTES]
                ground.ledger.attempt(path, digest_of(body))
                sock.sendall(_head(ground, "PUT", path, f"Content-Length: {len(body)}") + body)
            ground.stop.wait(rng.choice((0, 0.1, 3)))
            if rng.random() < 0.5:  # noqa: PLR2004 - half of them
                _reset(sock)
        ground.rest(rng)


def _connect(ground: Ground, receive: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    sock.settimeout(PATIENCE_SECONDS)
    sock.connect((urlsplit(ground.drive.url).hostname or "", ground.drive.port))
    return sock


def _head(ground: Ground, method: str, path: str, *fields: str) -> bytes:
    lines = [f"{method} /dav/{path} HTTP/1.1", "Host: soak", f"Authorization: {ground.device.authorization}"]
    return "\r\n".join([*lines, *fields, "", ""]).encode()


def _what_is_there(sock: socket.socket) -> bytes:
    with contextlib.suppress(OSError):
        return sock.recv(SLOW_BYTES, socket.MSG_DONTWAIT if sock.gettimeout() == PATIENCE_SECONDS else 0)
    return b""


def _reset(sock: socket.socket) -> None:
    """Close with a reset, as a machine that loses its network does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def _judge(ground: Ground, head: bytes, what: str) -> None:
    """Note the status of an answer that came, if one did."""
    if head.startswith(b"HTTP/1."):
        ground.answered(int(head.split(b" ", 2)[1]), what)


BROKEN: Final = {"slow": run_slow, "silent": run_silent, "half": run_half, "cut": run_cut}
PROGRAMS: Final = {"rclone": run_rclone, "curl": run_curl}
