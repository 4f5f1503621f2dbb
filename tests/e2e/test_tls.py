"""TLS as people turn it on: `sealdav tls self-signed`, two settings, `sealdav serve`. Real processes."""

from __future__ import annotations

import contextlib
import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from davserver.cli.exits import ExitCode
from tests.e2e.drive import Device, Drive

pytestmark = pytest.mark.e2e

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    """An installation with a certificate of its own, not running yet."""
    keys = tmp_path / "drive" / "keys"
    drive = Drive(
        tmp_path / "drive",
        SERVER__TLS_CERTIFICATE=str(keys / "tls.crt"),
        SERVER__TLS_KEY=str(keys / "tls.key"),
    )
    done = drive.run("tls", "self-signed")
    assert done.returncode == ExitCode.OK, done.stderr
    yield drive
    drive.close()


def ask(drive: Drive, device: Device, method: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request for a file over https, by a client that trusts the installation's certificate."""
    context = ssl.create_default_context(cafile=drive.master_key.parent / "tls.crt")
    connection = http.client.HTTPSConnection("localhost", drive.port, timeout=60, context=context)
    with contextlib.closing(connection):
        connection.request(method, "/dav/file", body, {"Authorization": device.authorization})
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_a_drive_is_served_over_https(drive: Drive) -> None:
    """The address that is shown is https; upload and download; a stop during TLS is an orderly one."""
    drive.start()
    device = drive.enrol("alice")
    assert ask(drive, device, "PUT", CONTENT) == (201, b"")
    assert ask(drive, device, "GET") == (200, CONTENT)
    assert drive.stop() == ExitCode.OK
    said = (drive.folder / "server.out").read_text()
    assert f"https://127.0.0.1:{drive.port}/dav/" in said
    assert "listen in" not in said
