"""Two accounts on the same names at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.e2e.drive import Device, Drive, Rclone
from tests.e2e.files import fingerprint, plant


def test_two_accounts_at_once_never_meet(drive: Drive, device: Device, tmp_path: Path) -> None:
    """Both sync other content under the same names at once; each gets back exactly its own."""
    devices = {"alice": device, "bob": drive.enrol("bob")}
    for seed, name in enumerate(devices):
        plant(tmp_path / name, 120, seed=seed)

    def work(name: str) -> None:
        rclone = Rclone(drive, devices[name])
        for _ in range(2):
            rclone("sync", tmp_path / name, "drive:same")
        rclone("moveto", "drive:same/plain", "drive:moved")
        rclone("copy", "drive:", tmp_path / f"{name}-back")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, devices))
    for name in devices:
        back = fingerprint(tmp_path / f"{name}-back")
        expected = {
            path.replace("plain/", "moved/", 1) if path.startswith("plain/") else f"same/{path}": found
            for path, found in fingerprint(tmp_path / name).items()
        }
        assert back == expected
    assert fingerprint(tmp_path / "alice") != fingerprint(tmp_path / "bob")


def test_one_account_cannot_address_the_other(drive: Drive, device: Device) -> None:
    """Neither by user name in the path nor with the other's name beside the own app password."""
    bob = drive.enrol("bob")
    assert drive.request("PUT", "secret", device, b"alice's")[0] == 201
    assert drive.request("GET", "secret", bob)[0] == 404
    foreign = Device("alice", bob.token, bob.totp_secret)
    assert drive.request("GET", "secret", foreign)[0] == 401
    assert drive.request("GET", "../../remote.php/dav/files/alice/secret", bob)[0] in {400, 404}
