"""Several programs at once: davfs2, rclone mount and cadaver, on one account and on two."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import davfs2
from tests.e2e.cadaver import Cadaver
from tests.e2e.drive import Device, Drive, Rclone
from tests.e2e.programs import contents
from tests.e2e.waiting import until
from tests.e2e.witness import locked, witness

pytestmark = pytest.mark.e2e

FILES = 40
SIZES = (0, 1, 4096, 65_536, 65_537, 300_000)
REFRESH = "--dir-cache-time=1s"
"""How long rclone believes a listing. davfs2 believes one for a second, too."""


def write(folder: Path, own: str) -> None:
    """Files in a folder of one's own and in one for all: made, some written again, renamed and removed."""
    rng = random.Random(own)
    (folder / own).mkdir()
    for number in range(FILES):
        inside = folder / (own, "shared")[number % 2]
        path = inside / f"{number} of {own}; #%ü"
        path.write_bytes(rng.randbytes(rng.choice(SIZES)))
        if number % 5 == 0:
            path.write_bytes(b"again " + rng.randbytes(number))
        if number % 7 == 0:
            path = path.rename(inside / f"renamed {number} of {own}")
        if number % 11 == 0:
            path.unlink()


def test_two_mounts_of_one_account(drive: Drive, device: Device, rclone: Rclone, tmp_path: Path) -> None:
    """davfs2 and rclone write at once beside each other; then each has the other's files, byte for byte."""
    server = witness(drive, device)
    server.made_collection("shared")
    (tmp_path / "expected" / "shared").mkdir(parents=True)
    with (
        davfs2.mounted(drive, device, tmp_path / "davfs2") as one,
        rclone.mounted("drive:", tmp_path / "rclone", REFRESH) as other,
        ThreadPoolExecutor(2) as pool,
    ):
        list(pool.map(write, (one, other), ("davfs2", "rclone")))
        for own in ("davfs2", "rclone"):
            write(tmp_path / "expected", own)
        expected = contents(tmp_path / "expected")
        until(lambda: server.tree() == expected)
        until(lambda: contents(one, without=davfs2.LOST) == expected)
        until(lambda: contents(other) == expected)
    assert server.tree() == expected
    assert not list(locked(server))


def test_two_accounts_in_three_programs(drive: Drive, device: Device, tmp_path: Path) -> None:
    """Alice's davfs2 beside Bob's rclone and cadaver on the same names: neither meets what is the other's."""
    bob = drive.enrol("bob")
    servers = {"alice": witness(drive, device), "bob": witness(drive, bob)}
    for name, server in servers.items():
        server.made_collection("shared")
        server.made("locked", name.encode())
        (tmp_path / name / "shared").mkdir(parents=True)
        (tmp_path / name / "locked").write_text(name)
        write(tmp_path / name, "same")
    with (
        davfs2.mounted(drive, device, tmp_path / "davfs2") as hers,
        Rclone(drive, bob).mounted("drive:", tmp_path / "rclone", REFRESH) as his,
        Cadaver(drive.url, bob, tmp_path / "home") as cadaver,
        ThreadPoolExecutor(2) as pool,
    ):
        work = pool.map(write, (hers, his), ("same", "same"))
        cadaver.does("lock locked")
        (hers / "locked").write_text("alice")  # Bob's lock is none for her.
        (cadaver.home / "file").write_text("of bob")
        cadaver.does("put file")
        list(work)
        until(lambda: servers["bob"].tree() == {**contents(tmp_path / "bob"), "file": b"of bob"})
        assert not list(locked(servers["alice"]))
        assert list(locked(servers["bob"])) == ["locked"]
        assert cadaver("ls").count("\n") == len(list(his.iterdir()))
    assert servers["alice"].tree() == contents(tmp_path / "alice")
    assert servers["bob"].tree() == {**contents(tmp_path / "bob"), "file": b"of bob"}
