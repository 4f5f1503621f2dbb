"""`kill -9` while clients write: nothing acknowledged is lost, nothing else changed, nothing left over.

Some of the clients lock what they write. The locks of those that a kill cuts off outlive the server and then
expire; an empty file that only such a lock has made goes with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.drive import Device, Drive

ROUNDS = 200
WRITERS = 5
LOCKERS = 3
NAMES = 4
LONGEST_ROUND_SECONDS = 0.4
LOCK_SECONDS = 2
"""Long enough for a PUT, short enough that names come free again between the rounds."""

TEST_SECONDS = 1800
SIZES = (10, 60_000, 70_000, 500_000, 3_000_000)
EMPTY = hashlib.sha256().hexdigest()
LOCK_BODY = (
    b'<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
)
TOKEN = re.compile("urn:uuid:[0-9a-f-]{36}")


class Writer:
    """Overwrites a few files with content that tells what it is, and remembers what may be there now."""

    def __init__(self, drive: Drive, device: Device, number: int) -> None:
        self._drive = drive
        self._device = device
        self._random = random.Random(number)
        self.possible: dict[str, set[str | None]] = {f"w{number}-{name}": {None} for name in range(NAMES)}
        self.acknowledged = 0

    def write_until_it_breaks(self) -> None:
        """Write one file after the other until the server is gone."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                self.write(self._random.choice(list(self.possible)))

    def write(self, name: str) -> None:
        """Write a file."""
        assert self.put(name, {}) in {201, 204}

    def put(self, name: str, headers: dict[str, str]) -> int:
        """PUT of a new content; gives the status."""
        content = self._random.randbytes(self._random.choice(SIZES))
        digest = hashlib.sha256(content).hexdigest()
        self.possible[name].add(digest)  # From here on it may or may not be stored, but whole.
        status, _ = self._drive.request("PUT", name, self._device, content, headers)
        if status in {201, 204}:
            self.possible[name] = {digest}  # Acknowledged: from here on it must be this.
            self.acknowledged += 1
        else:
            self.possible[name].discard(digest)
        return status

    def check(self) -> None:
        """Every file is exactly one of the contents that it may have."""
        for name, possible in self.possible.items():
            status, body = self._drive.request("GET", name, self._device)
            assert status in {200, 404}
            found = hashlib.sha256(body).hexdigest() if status == 200 else None
            assert found in possible
            self.possible[name] = self.still_possible(found)

    def still_possible(self, found: str | None) -> set[str | None]:
        """What may be there later, if nobody writes."""
        return {found}


class Locker(Writer):
    """Locks each file, new ones too, before it writes it, and unlocks it afterwards."""

    locked = 0

    def write(self, name: str) -> None:
        """LOCK, PUT, UNLOCK; a name whose lock a kill has left behind is not free yet."""
        self.possible[name] |= {EMPTY} if None in self.possible[name] else set()
        token = self._lock(name)
        if token is None:
            return
        # The lock may expire before it is used: then If no longer holds, and nothing may have changed.
        assert self.put(name, {"If": f"(<{token}>)"}) in {201, 204, 412}
        status, _ = self._drive.request("UNLOCK", name, self._device, None, {"Lock-Token": f"<{token}>"})
        assert status in {204, 404, 409}

    def _lock(self, name: str) -> str | None:
        answer = self._drive.request(
            "LOCK", name, self._device, LOCK_BODY, {"Timeout": f"Second-{LOCK_SECONDS}"}
        )
        assert answer[0] in {200, 201, 423}
        if answer[0] == 423:
            return None
        self.locked += 1
        found = TOKEN.search(answer[1].decode())
        assert found is not None
        return found[0]

    def still_possible(self, found: str | None) -> set[str | None]:
        """An empty file is one that a lock has made: nobody writes empty ones here."""
        return {EMPTY, None} if found == EMPTY else {found}

    def assert_free(self) -> None:
        """Every lock has expired: whoever comes may write, and what only a lock had made is gone."""
        deadline = time.monotonic() + 10 * LOCK_SECONDS
        for name, possible in self.possible.items():
            absent = possible <= {None, EMPTY}
            while (status := self.put(name, {})) == 423:
                assert time.monotonic() < deadline
                time.sleep(0.2)  # The lock has a time of its own: there is nothing else to wait on.
            assert status == (201 if absent else 204)


@pytest.mark.timeout(TEST_SECONDS)
def test_two_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    """After each of 200 kills every acknowledged file is there, and every other is wholly old or new."""
    drive = Drive(tmp_path / "drive")
    drive.start()
    device = drive.enrol("alice")
    lockers = [Locker(drive, device, WRITERS + number) for number in range(LOCKERS)]
    writers = [*(Writer(drive, device, number) for number in range(WRITERS)), *lockers]
    moments = random.Random(11)
    try:
        for _ in range(ROUNDS):
            with ThreadPoolExecutor(len(writers)) as pool:
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
        for locker in lockers:
            locker.assert_free()
        assert drive.stop() == 0
    finally:
        drive.close()
    acknowledged = sum(writer.acknowledged for writer in writers)
    locked = sum(locker.locked for locker in lockers)
    print(f"{ROUNDS} kills, {acknowledged} acknowledged writes, {locked} locks")  # noqa: T201 - for the record
    assert acknowledged > ROUNDS
    assert locked > ROUNDS / 4
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
        assert database.execute("SELECT count(*) FROM lock").fetchone() == (0,)
        needed = database.execute(
            "SELECT hex(blob_id) FROM blob WHERE NOT inline ORDER BY blob_id"
        ).fetchall()
    assert stored == [blob_id.lower() for (blob_id,) in needed]
