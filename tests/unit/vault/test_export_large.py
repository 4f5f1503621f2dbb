"""An archive beyond what the first ZIP format could say: more entries, more bytes; and nothing on a disk."""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from davserver.model import ROOT_ID, AccountId, Node, NodeId, NodeKind
from davserver.vault.export import Contents, archive
from tests.fakes import START
from tests.services import clients

if TYPE_CHECKING:
    from davserver.vault.service import Vault

MOST_ENTRIES = 0xFFFF
"""As many as the end of an archive could once count."""

MOST_BYTES = 0xFFFF_FFFF
"""As long as a file could once be, and as far behind the beginning."""

ZEROS = bytes(2**20)
BEHIND = "behind"


class ZerosOnly:
    """A vault in which files hold zeros, as many as is said of them, and folders nothing at all."""

    def listing(self, _node: Node) -> Iterator[Node]:
        """Nothing."""
        return iter(())

    def read(self, node: Node) -> nullcontext[ZerosOnly]:
        """A file."""
        self._left = node.size
        return nullcontext(self)

    def blocks(self) -> Iterator[memoryview]:
        """What is in it, in blocks as a download has them."""
        while self._left:
            block = memoryview(ZEROS)[: self._left]
            self._left -= len(block)
            yield block


class Sink(io.RawIOBase):
    """A file of which only what is no block of zeros is held: it may be of any length."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._pieces = list[tuple[int, bytes]]()
        self._length = self._at = 0
        for block in blocks:
            if block != ZEROS:
                self._pieces.append((self._length, block))
            self._length += len(block)

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        self._at = offset + (0, self._at, self._length)[whence]
        return self._at

    def tell(self) -> int:
        """Where it is read."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """What is there."""
        stop = self._length if size < 0 else min(self._at + size, self._length)
        found = bytearray(stop - self._at)
        for start, piece in self._pieces:
            if start < stop and self._at < start + len(piece):
                first, last = max(start, self._at), min(start + len(piece), stop)
                found[first - self._at : last - self._at] = piece[first - start : last - start]
        self._at = stop
        return bytes(found)


def named(name: str, size: int = 0, kind: NodeKind = NodeKind.FILE) -> Node:
    """An entry."""
    owner, node_id = AccountId(bytes(16)), NodeId(bytes(16))
    return Node(node_id, owner, ROOT_ID, kind, name, size, "", 0, 0, None, None, None, 1)


def archived(*nodes: Node) -> Iterator[bytes]:
    """An archive of these."""
    return archive(cast("Vault", ZerosOnly()), Contents(nodes), START)


@pytest.mark.usefixtures("temporary")
def test_more_entries_than_two_bytes_can_count(tmp_path: Path) -> None:
    """ZIP64: all of them are in the directory, for Python and for `unzip`."""
    kinds = (NodeKind.FILE, NodeKind.COLLECTION)
    path = tmp_path / "many.zip"
    path.write_bytes(b"".join(archived(*(named(str(n), 0, kinds[n % 2]) for n in range(MOST_ENTRIES + 2)))))
    with zipfile.ZipFile(path) as made:
        assert made.namelist() == [f"{n}/" if n % 2 else str(n) for n in range(MOST_ENTRIES + 2)]
    unzip = clients.require("unzip")
    for option, end in (("-l", f"{MOST_ENTRIES + 2} files"), ("-t", "No errors detected")):
        told = subprocess.run([unzip, option, path], capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        assert end in told.stdout.splitlines()[-1]


@pytest.mark.usefixtures("temporary")
def test_more_bytes_than_four_can_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """ZIP64: how long a file above 4 GiB is, and where the one behind it begins.

    Its checksum would take longer than everything else, and is left out here.
    """
    monkeypatch.setattr(zipfile, "crc32", lambda _data, value=0: value)
    sink = Sink(archived(named("long", MOST_BYTES + 2), named(BEHIND, 3)))
    with zipfile.ZipFile(cast("io.BytesIO", sink)) as made:
        long, behind = made.infolist()
        assert (long.filename, long.file_size, long.compress_size) == ("long", MOST_BYTES + 2, MOST_BYTES + 2)
        assert behind.header_offset > MOST_BYTES
        assert made.read(BEHIND) == bytes(3)
