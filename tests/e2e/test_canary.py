"""A1 of the threat model: nothing readable is on the server's disk, during real work and afterwards."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.drive import READY_SECONDS, Device, Drive, Rclone
from tests.e2e.scan import Scan, encodings, held_open
from tests.e2e.site import opening_link
from tests.e2e.tab import Tab, halting

MARK = secrets.token_hex(4)
"""Another one each time: whatever is found is of this very run."""

NAME = f"canary-näme-{MARK}"
CONTENT = f"canary-content-{MARK}".encode()
FOLDER = f"canary-folder-{MARK}"
PASSWORD = f"canary password {MARK}"
PLAIN = (NAME.encode(), CONTENT, FOLDER.encode())

LARGE = CONTENT * (3 * 2**20 // len(CONTENT))
"""So much that some of it is stored when half of it is there."""


class Work:
    """Work of every kind on a drive, with a look around in the middle of whatever arrives or is sent.

    Attributes:
        device: one that works.
        tab: the browser of the same person.
        other: a device of somebody else, who came in by the terminal.
    """

    def __init__(self, drive: Drive, scan: Scan) -> None:
        self._drive = drive
        self._scan = scan
        self.tab = Tab(drive)
        self.device = self.tab.set_up(opening_link(drive), "alice", PASSWORD)
        self.other = drive.enrol("bob", PASSWORD)

    @property
    def secrets(self) -> Iterator[str]:
        """Whatever is to be read nowhere."""
        yield from (NAME, FOLDER, CONTENT.decode(), PASSWORD, self.tab.cookie)
        for device in (self.device, self.other):
            yield from (device.token, device.token.removeprefix("ew1-")[10:])  # before it is the public id
            yield from (device.totp_secret, base64.b32decode(device.totp_secret).hex())

    def by_programs(self, local: Path) -> None:
        """Written, moved, copied, deleted and refused."""
        drive, device, rclone = self._drive, self.device, Rclone(self._drive, self.device)
        for number, size in enumerate((1, 5_000, 300_000)):
            (local / f"{NAME}-{number}").write_bytes(CONTENT * (size // len(CONTENT) + 1))
        rclone("sync", local.parent, "drive:")
        rclone("moveto", f"drive:{FOLDER}/{NAME}-0", f"drive:{FOLDER}/{NAME}-moved")
        rclone("copyto", f"drive:{FOLDER}/{NAME}-1", f"drive:{FOLDER}/{NAME}-copy")
        rclone("deletefile", f"drive:{FOLDER}/{NAME}-2")
        for method, path in (("GET", NAME), ("PUT", f"missing/{NAME}"), ("MKCOL", FOLDER), ("LOCK", NAME)):
            body = CONTENT if method == "PUT" else None
            assert drive.request(method, quote(path), device, body)[0] >= 400
        assert drive.request("GET", quote(NAME), Device(NAME, device.token, ""))[0] == 401
        assert drive.run("enrol", "alice", "--json", stdin="a wrong password\n").returncode != 0
        self._put(f"/dav/{quote(f'{FOLDER}/{NAME}-put')}", LARGE, {"Authorization": device.authorization})

    def by_a_form(self) -> None:
        """A browser without scripts sends a file."""
        self.tab.upload(FOLDER, f"{NAME}-form", len(LARGE), halting(LARGE, self._look_while_it_arrives))

    def in_parts(self) -> None:
        """A browser with scripts sends one, and leaves another one unfinished."""
        for name in (f"{NAME}-parts", f"{NAME}-unfinished"):
            announced = {"folder": [FOLDER], "path": [name], "size": len(LARGE), "modified": 0}
            begun = self._tell("/uploads", {**announced, "taken": "both", "again": False})
            place = f"/uploads/{json.loads(begun)['id']}"
            self._put(f"{place}/0", LARGE, {"X-Form-Token": self.tab.token})
            if name.endswith("-parts"):
                assert b"name" in self._tell(f"{place}/finish", {"taken": None})

    def as_an_archive(self) -> None:
        """A browser fetches all of it at once."""
        with self.tab.open("GET", f"/download/{FOLDER}") as answer:
            beginning = answer.read(1)
            self._look()
            archive = zipfile.ZipFile(BytesIO(beginning + answer.read()))
        for way in ("put", "form", "parts"):
            assert archive.read(f"{FOLDER}/{NAME}-{way}") == LARGE

    def _put(self, path: str, content: bytes, fields: dict[str, str]) -> None:
        body = halting(content, self._look_while_it_arrives)
        with self.tab.open("PUT", path, body, {"Content-Length": str(len(content)), **fields}) as answer:
            assert answer.status in {200, 201}, answer.read()

    def _tell(self, path: str, said: object) -> bytes:
        """Send JSON as a script does, and look around before all of the answer is here."""
        fields = {"Content-Type": "application/json", "X-Form-Token": self.tab.token}
        with self.tab.open("POST", path, json.dumps(said).encode(), fields) as answer:
            assert answer.status == 200
            beginning = answer.readline()
            self._look()
            return beginning + answer.read()

    def _look(self) -> None:
        assert self._scan.found(PLAIN, self._drive.pid) == []

    def _look_while_it_arrives(self) -> None:
        """As soon as some of it is stored; or after a while, to find it elsewhere."""
        deadline, staging = time.monotonic() + READY_SECONDS, self._drive.data / "blobs" / "staging"
        while not (stored := any(one.stat().st_size for one in staging.iterdir())):
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)  # Waiting for another process to store something.
        self._look()
        assert stored, "nothing of it was stored while it arrived"


@pytest.fixture
def drive(tmp_path: Path, temporary: Path) -> Iterator[Drive]:
    """A server that logs all that it can."""
    del temporary  # its place in the environment is what counts
    drive = Drive(tmp_path / "drive", LOG__LEVEL="debug")
    drive.start()
    yield drive
    drive.close()


@pytest.mark.timeout(600)
def test_nothing_readable_is_anywhere(drive: Drive, temporary: Path, tmp_path: Path) -> None:
    """No name, content, token, seed, password: in database, logs, temporary folders, files without a name."""
    scan = Scan(drive.folder, temporary)
    work = Work(drive, scan)
    local = tmp_path / "local" / FOLDER
    local.mkdir(parents=True)
    work.by_programs(local)
    work.by_a_form()
    work.in_parts()
    work.as_an_archive()
    drive.kill()
    drive.start()
    drive.request("PROPFIND", f"{FOLDER}/", work.device, headers={"Depth": "1"})
    assert drive.run("verify").returncode == 0
    needles = {needle for text in work.secrets for needle in encodings(text) if len(needle) >= 8}
    assert scan.found(needles, drive.pid) == []
    names = {path.name for path in scan.searched}
    assert {"sealdav.db", "server.out"} <= names, "the scan must have looked at database and logs"
    assert any(held_open(drive.pid)), "it must have looked at what the server holds open"


# ── what the scan is worth ──────────────────────────────────────────────────────────────────────────────────
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


@pytest.mark.parametrize("before", [0, 2**20 - 5, 2**21])
def test_the_scan_finds_it_in_a_temporary_file(tmp_path: Path, before: int) -> None:
    """In the folder that all programs share, with a name and without one, wherever it is in the file."""
    program = """if True:
    import sys, tempfile
    content = bytes(int(sys.argv[1])) + sys.argv[2].encode()
    with tempfile.NamedTemporaryFile() as named, tempfile.TemporaryFile() as unnamed:
        for file in (named, unnamed):
            file.write(content)
            file.flush()
        print(named.name, flush=True)
        sys.stdin.read()
    """
    scan = Scan(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(before), NAME],
        env={**os.environ, "TMPDIR": "/tmp"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        named = Path(process.stdout.readline().strip())
        found = scan.found(PLAIN, process.pid)
        assert named in found
        assert len(set(found) & set(held_open(process.pid))) == 1, "the other one has a name"
