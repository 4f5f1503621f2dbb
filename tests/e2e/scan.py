"""Looks for what must be readable nowhere: in every spelling, in every place where a server may leave it."""

from __future__ import annotations

import base64
import contextlib
import os
import stat
import time
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path

SHARED = tuple(map(Path, ("/tmp", "/var/tmp", "/dev/shm")))
"""Where programs put temporary files unless they are told otherwise."""

OF_TESTS = "pytest-of-"
"""How a folder begins in which tests keep their own files."""

BLOCK_BYTES = 1024 * 1024
CLOCK_SECONDS = 2
"""How far the time of a file may lag behind the clock."""


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


class Scan:
    """Looks again and again.

    Args:
        own: folders of the server, all of which is looked at.

    Attributes:
        searched: files that were looked at.
    """

    def __init__(self, *own: Path) -> None:
        self._own = own
        self._since = time.time() - CLOCK_SECONDS
        self.searched = set[Path]()

    def found(self, needles: Collection[bytes], group: int | None = None) -> list[Path]:
        """Files with something of it in them, or in their path.

        Args:
            needles: what is looked for.
            group: of processes; what they hold open is looked at, too, also if it was deleted.
        """
        places = dict[tuple[int, int], Path]()  # each file once, by its name if it has one
        for path in (*self._files(), *(held_open(group) if group else ())):
            with contextlib.suppress(FileNotFoundError):  # it has just gone
                found = path.stat()
                places.setdefault((found.st_dev, found.st_ino), path)
        self.searched.update(places.values())
        return [path for path in places.values() if _holds(path, needles)]

    def _files(self) -> Iterator[Path]:
        for folder in self._own:
            yield from (path for path in folder.rglob("*") if path.is_file())
        for folder in SHARED:
            for above, folders, names in os.walk(folder):
                folders[:] = [one for one in folders if not one.startswith(OF_TESTS)]
                yield from (path for name in names if self._is_new(path := Path(above, name)))

    def _is_new(self, path: Path) -> bool:
        """Whether it is a file that was changed since the beginning: no other one can hold anything of it."""
        with contextlib.suppress(FileNotFoundError):  # others work there, too
            found = path.lstat()
            return stat.S_ISREG(found.st_mode) and found.st_ctime >= self._since
        return False


def held_open(group: int) -> Iterator[Path]:
    """Every file that processes of a group hold open: a way to it, also where it has no name any more."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
            if os.getpgid(int(process.name)) == group:
                yield from (one for one in (process / "fd").iterdir() if one.is_file())


def _holds(path: Path, needles: Collection[bytes]) -> bool:
    if any(needle in os.fsencode(path) for needle in needles):
        return True
    overlap = max(map(len, needles))
    with contextlib.suppress(FileNotFoundError, PermissionError), path.open("rb") as file:  # of somebody else
        text = b""
        while block := file.read(BLOCK_BYTES):
            text = text[-overlap:] + block
            if any(needle in text for needle in needles):
                return True
    return False
