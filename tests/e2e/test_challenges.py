"""People's programs before a door that offers Basic and Bearer: all choose Basic, with an app password (T38).

Keycloak itself is away: nothing of what these programs do needs it.
"""

from __future__ import annotations

import http.client
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e import davfs2
from tests.e2e.cadaver import Cadaver
from tests.e2e.drive import Device, Drive, Rclone
from tests.services import clients

pytestmark = pytest.mark.e2e

WINDOWS = "Microsoft-WebDAV-MiniRedir/10.0.19045"

IDENTITY = {
    "IDENTITY__PROVIDER": "keycloak",
    "IDENTITY__ISSUER": "http://127.0.0.1:9/realms/nobody",
    "IDENTITY__CLIENT_ID": "sealdav",
    "IDENTITY__CLIENT_SECRET": "nobody's",
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Drive, Device]]:
    """A drive of a company, and an account of its own with an app password."""
    drive = Drive(tmp_path_factory.mktemp("company") / "drive", **IDENTITY)
    try:
        drive.start()
        yield drive, drive.enrol("alice")
    finally:
        drive.close()


@pytest.fixture
def drive(account: tuple[Drive, Device]) -> Drive:
    """The drive."""
    return account[0]


@pytest.fixture
def device(account: tuple[Drive, Device]) -> Device:
    """The account."""
    return account[1]


def test_both_are_offered(drive: Drive) -> None:
    """Or the tests below would prove nothing; each in a field of its own, Basic first."""
    connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=30)
    with closing(connection):
        connection.request("PROPFIND", "/dav/")
        offered = connection.getresponse().headers.get_all("WWW-Authenticate") or []
    assert [one.partition(" ")[0] for one in offered] == ["Basic", "Bearer"]


def test_rclone(drive: Drive, device: Device) -> None:
    """It is told what to send, and is not led astray."""
    rclone = Rclone(drive, device)
    rclone("rcat", "drive:from-rclone", stdin=b"content")
    assert rclone("cat", "drive:from-rclone") == b"content"


def test_cadaver(drive: Drive, device: Device, tmp_path: Path) -> None:
    """Its library asks without a credential first, and takes the strongest scheme that it knows."""
    with Cadaver(drive.url, device, tmp_path / "home") as cadaver:
        cadaver.does("mkcol from-cadaver")
    assert drive.request("PROPFIND", "from-cadaver/", device, headers={"Depth": "0"})[0] == 207


def test_davfs2(drive: Drive, device: Device, tmp_path: Path) -> None:
    """The same library, below a mount."""
    with davfs2.mounted(drive, device, tmp_path / "mount") as mount:
        (mount / "from-davfs2").write_text("content")
    assert drive.request("GET", "from-davfs2", device) == (200, b"content")


def test_curl(drive: Drive, device: Device) -> None:
    """Left to choose among what is offered."""
    command = [str(clients.require("curl")), "--silent", "--anyauth", "--netrc-file", "/dev/stdin"]
    netrc = f"machine 127.0.0.1 login {device.username} password {device.token}\n"
    done = subprocess.run(
        [*command, "--write-out", "%{http_code}", "--upload-file", __file__, f"{drive.url}from-curl"],
        input=netrc,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.endswith("201")


def test_a_program_in_python(drive: Drive, device: Device) -> None:
    """The standard library gives up when it meets a scheme that it does not know before one that it does."""
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, drive.url, device.username, device.token)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    request = urllib.request.Request(  # noqa: S310 - our own server's address
        f"{drive.url}from-python", data=b"content", method="PUT"
    )
    with opener.open(request, timeout=30) as answer:
        assert answer.status == 201


@pytest.mark.parametrize("method", ["OPTIONS", "PROPFIND"])
def test_a_program_that_reads_the_first_challenge_only(drive: Drive, device: Device, method: str) -> None:
    """As Windows does it: asks bare, reads what is offered first, and comes again with that."""
    connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=30)
    with closing(connection):
        connection.request(method, "/dav/", headers={"User-Agent": WINDOWS, "Depth": "0"})
        answer = connection.getresponse()
        answer.read()
        scheme, _, _ = str(answer.headers["WWW-Authenticate"]).partition(" ")
        credential = b64encode(f"{device.username}:{device.token}".encode()).decode()
        fields = {"User-Agent": WINDOWS, "Depth": "0", "Authorization": f"{scheme} {credential}"}
        connection.request(method, "/dav/", headers=fields)
        assert connection.getresponse().status in {200, 207}
