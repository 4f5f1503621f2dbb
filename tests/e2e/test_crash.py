"""`kill -9` while clients write: nothing acknowledged is lost, nothing else changed, nothing left over."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.drive import Device, Drive

ROUNDS = 100
WRITERS = 4
NAMES = 5
LONGEST_ROUND_SECONDS = 0.4
TEST_SECONDS = 1200
SIZES = (10, 60_000, 70_000, 500_000, 3_000_000)


class Writer:
    """Overwrites a few files with content that tells what it is, and remembers what may be there now."""

    def __init__(self, drive: Drive, device: Device, number: int) -> None:
        self._drive = drive
        self._device = device
        self._random = random.Random(number)
        self.possible: dict[str, set[str | None]] = {f"w{number}-{name}": {None} for name in range(NAMES)}
        self.acknowledged = 0

    def write_until_it_breaks(self) -> None:
        """PUT one file after the other until the server is gone."""
        while True:
            name = self._random.choice(list(self.possible))
            content = self._random.randbytes(self._random.choice(SIZES))
            digest = hashlib.sha256(content).hexdigest()
            self.possible[name].add(digest)  # From here on it may or may not be stored, but whole.
            try:
                status, _ = self._drive.request("PUT", name, self._device, content)
            except (OSError, http.client.HTTPException):
                return
            assert status in {201, 204}
            self.possible[name] = {digest}  # Acknowledged: from here on it must be this.
            self.acknowledged += 1

    def check(self) -> None:
        """Every file is exactly one of the contents that it may have."""
        for name, possible in self.possible.items():
            status, body = self._drive.request("GET", name, self._device)
            assert status in {200, 404}
            found = hashlib.sha256(body).hexdigest() if status == 200 else None
            assert found in possible
            self.possible[name] = {found}


@pytest.mark.timeout(TEST_SECONDS)
def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    """After each of 100 kills every acknowledged file is there, and every other is wholly old or new."""
    drive = Drive(tmp_path / "drive")
    drive.start()
    device = drive.enrol("alice")
    writers = [Writer(drive, device, number) for number in range(WRITERS)]
    moments = random.Random(11)
    try:
        for _ in range(ROUNDS):
            with ThreadPoolExecutor(WRITERS) as pool:
                running = [pool.submit(writer.write_until_it_breaks) for writer in writers]
                try:
                    threading.Event().wait(moments.uniform(0.01, LONGEST_ROUND_SECONDS))
                finally:
                    drive.kill()  # else the writers would go on for ever
                for each in running:
                    each.result()
            drive.start()
            for writer in writers:
                writer.check()
        assert drive.stop() == 0
    finally:
        drive.close()
    assert sum(writer.acknowledged for writer in writers) > ROUNDS
    _assert_nothing_left_over(drive)


def _assert_nothing_left_over(drive: Drive) -> None:
    """`gc` removes all that the kills left, `verify` finds nothing, every stored blob is needed."""
    collected = drive.run("gc", "--grace-minutes", "0", "--json")
    assert collected.returncode == 0, collected.stderr
    verified = drive.run("verify", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout.splitlines()[-1])["problems"] == 0
    stored = sorted(name for _, _, names in os.walk(drive.data / "blobs") for name in names)
    with contextlib.closing(sqlite3.connect(drive.data / "sealdav.db")) as database:
        needed = database.execute(
            "SELECT hex(blob_id) FROM blob WHERE NOT inline ORDER BY blob_id"
        ).fetchall()
    assert stored == [blob_id.lower() for (blob_id,) in needed]
