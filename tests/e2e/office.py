"""A drive whose people a real Keycloak knows: who is hired there has an account and a device here.

office = Office(folder, realm)
office.drive.start()
alice = office.hire("alice")
office.status(alice)
"""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from davserver.bootstrap import Services, build_services
from davserver.clock import utc_now
from davserver.model import ROOT_ID, AuthMethod, Principal, Scope
from davserver.settings import load_settings
from tests.e2e.drive import Device, Drive
from tests.e2e.waiting import until
from tests.services.keycloak import CLIENT, Realm

QUICK = {"IDENTITY__POLL_SECONDS": "1", "IDENTITY__CONFIRM_SECONDS": "20"}
"""What a test can wait for."""

LARGE_FILE = "large.bin"
SLOW_BUFFER = 64 * 1024
"""Room in the kernel for a client that reads slowly: what lies there has left the server."""


@dataclass(frozen=True, slots=True)
class Employee:
    """Somebody at work."""

    subject: str
    device: Device


@dataclass
class Office:
    """The drive and its realm; `options` are settings of the server."""

    folder: Path
    realm: Realm
    options: dict[str, str] = field(default_factory=lambda: dict(QUICK))

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self.drive = self.server()

    def server(self) -> Drive:
        """One more server on the same store, not started."""
        identity = {
            "IDENTITY__PROVIDER": "keycloak",
            "IDENTITY__ISSUER": self.realm.issuer,
            "IDENTITY__CLIENT_ID": CLIENT,
            "IDENTITY__CLIENT_SECRET": self.realm.secret(),
        }
        return Drive(self.folder, **identity, **self.options)

    @contextlib.contextmanager
    def services(self) -> Iterator[Services]:
        """The store as a command of another process opens it."""
        settings = load_settings(
            flags={
                "storage": {"data_dir": str(self.drive.data)},
                "keys": {"master_key_file": str(self.drive.master_key)},
                "log": {"folder": str(self.folder / "commands")},
            }
        )
        with closing(build_services(settings)) as services:
            yield services

    def hire(self, *names: str) -> list[Employee]:
        """People in Keycloak with accounts and devices here."""
        subjects = {name: self.realm.add_user(name) for name in names}
        with self.services() as services:
            return [Employee(subject, issue(services, name, subject)) for name, subject in subjects.items()]

    def state(self, employee: Employee) -> str:
        """The state of an account."""
        with self.services() as services:
            return services.accounts.find_subject(employee.subject).state.value

    def status(self, employee: Employee, drive: Drive | None = None, path: str = "") -> int:
        """What a request of somebody's device is answered."""
        headers = {"Depth": "0"}
        return (drive or self.drive).request("PROPFIND", path, employee.device, headers=headers)[0]

    def settled(self, employee: Employee, drive: Drive | None = None) -> int:
        """The same once somebody can tell: one late answer of Keycloak makes a process pause."""
        answers: list[int] = []

        def can_tell() -> bool:
            answers.append(self.status(employee, drive))
            return answers[-1] != HTTPStatus.SERVICE_UNAVAILABLE

        until(can_tell)
        return answers[-1]

    def download(self, employee: Employee, path: str = LARGE_FILE) -> Download:
        """Begin to read a file slowly."""
        return Download(self.drive, employee.device, path)


def issue(services: Services, name: str, subject: str) -> Device:
    """An account of somebody with an app password, as the site would have made them."""
    account = services.accounts.create(name, subject)
    now = utc_now()
    principal = Principal(account, Scope.FULL, ROOT_ID, AuthMethod.TERMINAL, now, totp_at=now)
    return Device(name, services.app_passwords.issue(principal, "device").token, "")


class Download:
    """A file on its way to a client that takes its time."""

    def __init__(self, drive: Drive, device: Device, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=120)
        self._connection.connect()
        self._connection.sock.setsockopt(1, 8, SLOW_BUFFER)  # SOL_SOCKET, SO_RCVBUF
        self._connection.request("GET", f"/dav/{path}", headers={"Authorization": device.authorization})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.status
        self.received = 0

    def read_until_end(self, rate: int, deadline: float) -> bool:
        """Read at so many bytes a second until the server ends it; False if it is whole, or time is over."""
        block = max(1, rate // 20)
        while time.monotonic() < deadline:
            try:
                data = self._answer.read(block)
            except (ConnectionError, http.client.IncompleteRead):
                return True
            if not data:
                return self._answer.length not in {0, None}
            self.received += len(data)
            time.sleep(block / rate)  # A slow client is what this is about.
        return False

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def put_large(drive: Drive, employee: Employee, size: int, path: str = LARGE_FILE) -> None:
    """Store a file of zeros, sent as a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=600)
    with closing(connection):
        block = bytes(1024 * 1024)

        def blocks() -> Iterator[bytes]:
            for _ in range(size // len(block)):
                yield block

        fields = {"Authorization": employee.device.authorization, "Content-Length": str(size)}
        connection.request("PUT", f"/dav/{path}", blocks(), fields)
        assert connection.getresponse().status in {201, 204}


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
