"""A1 of the threat model: after real work nothing readable is on the server's disk, in any spelling."""

from __future__ import annotations

import base64
import os
import unicodedata
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drive import PASSWORD, Device, Drive, Rclone

NAME = "canary-näme-7f3a9c"
CONTENT = b"canary-content-5d8e21"
FOLDER = "canary-folder-b4e6d0"


def encodings(text: str) -> Iterator[bytes]:
    """Every way in which a text may have been written down by accident."""
    for spelled in {unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text), text.upper()}:
        for raw in (spelled.encode(), spelled.encode("utf-16-le"), spelled.encode("utf-16-be")):
            yield raw
            yield raw.hex().encode()
            yield raw.hex().upper().encode()
            # Base64 of a longer text: it may begin at any of three places; keep what no neighbour changes.
            for shift in range(3):
                encoded = base64.b64encode(bytes(shift) + raw)
                yield encoded[4 if shift else 0 : -4]


@pytest.fixture
def worked(tmp_path: Path) -> tuple[Drive, Device]:
    """A drive after work of every kind: written, moved, refused, killed; logging all that it can."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    drive = Drive(tmp_path / "drive", LOG__LEVEL="debug")
    os.environ["TMPDIR"] = str(temporary)
    try:
        drive.start()
        device = drive.enrol("alice")
        _work(drive, device, tmp_path)
        drive.kill()
        drive.start()
        drive.request("PROPFIND", f"{FOLDER}/", device, headers={"Depth": "1"})
        assert drive.run("verify").returncode == 0
    finally:
        os.environ.pop("TMPDIR")
        drive.close()
    return drive, device


def test_nothing_readable_is_left_anywhere(worked: tuple[Drive, Device], tmp_path: Path) -> None:
    """No name, content, token, seed or password in database, WAL, blobs, temporary folders or logs."""
    drive, device = worked
    secret_part = device.token.removeprefix("ew1-")[10:]  # the first ten characters are the public id
    secrets = (NAME, FOLDER, CONTENT.decode(), device.token, secret_part, device.totp_secret, PASSWORD)
    needles = {needle for text in secrets for needle in encodings(text) if len(needle) >= 8}
    needles |= set(encodings(base64.b32decode(device.totp_secret).hex()))
    searched = 0
    for root in (drive.folder, tmp_path / "tmp"):
        for path in (path for path in root.rglob("*") if path.is_file()):
            haystack = path.read_bytes()
            assert not any(needle in haystack for needle in needles), (
                f"something readable in {path.suffix or path}"
            )
            assert NAME not in path.name
            searched += 1
    assert searched > 5, "the scan must have looked at database, blobs and logs"


def test_the_scan_finds_what_it_looks_for() -> None:
    """The needles catch a name inside UTF-8, UTF-16, hex and base64 of a longer text, at any offset."""
    for offset in range(3):
        around = ("x" * offset + NAME + "more").encode()
        for leaked in (
            around,
            around.hex().encode(),
            base64.b64encode(around),
            around.decode().encode("utf-16-le"),
        ):
            assert any(needle in leaked for needle in encodings(NAME))


def _work(drive: Drive, device: Device, tmp_path: Path) -> None:
    rclone = Rclone(drive, device)
    local = tmp_path / "local" / FOLDER
    local.mkdir(parents=True)
    for number, size in enumerate((1, 5_000, 300_000)):
        (local / f"{NAME}-{number}").write_bytes(CONTENT * (size // len(CONTENT) + 1))
    rclone("sync", local.parent, "drive:")
    rclone("moveto", f"drive:{FOLDER}/{NAME}-0", f"drive:{FOLDER}/{NAME}-moved")
    rclone("copyto", f"drive:{FOLDER}/{NAME}-1", f"drive:{FOLDER}/{NAME}-copy")
    rclone("deletefile", f"drive:{FOLDER}/{NAME}-2")
    for method, path in (("GET", NAME), ("PUT", f"missing/{NAME}"), ("MKCOL", FOLDER), ("LOCK", NAME)):
        assert drive.request(method, _quoted(path), device, CONTENT if method == "PUT" else None)[0] >= 400
    wrong = Device(NAME, device.token, "")
    assert drive.request("GET", _quoted(NAME), wrong)[0] == 401
    assert drive.run("enrol", "alice", "--json", stdin="a wrong password\n").returncode != 0


def _quoted(path: str) -> str:
    return urllib.parse.quote(path)
