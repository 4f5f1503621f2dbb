"""An account's files as one ZIP archive, made while it is sent: no temporary file, no whole file in memory.

Called by the site.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from io import RawIOBase

from davserver.clock import from_seconds
from davserver.model import Node
from davserver.vault.paths import VaultPath
from davserver.vault.portable import FolderNames
from davserver.vault.service import Vault

FILES = "files/"
"""Where files are in the archive."""

RENAMED = "renamed.json"
"""What tells the names of those that could not keep theirs; the last entry, if there are any."""

OLDEST, LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)
"""The times that a ZIP archive can hold."""

Renamed = dict[str, str]
"""The path in the drive by the path in the archive, of those whose own name had to be changed."""

_NS = 10**9
_REGULAR, _FOLDER = 0o100600 << 16, 0o040700 << 16 | 0x10


def archive(vault: Vault, beside: dict[str, bytes], now: datetime) -> Iterator[bytes]:
    """The archive in blocks: first what lies beside the files, then every folder and file below `files/`.

    Sizes beyond 4 GiB and more than 65,535 entries are written as ZIP64. What changes while it is sent is in
    it as it was found. Names that not every system can store are changed, see `portable.py`.

    Args:
        vault: whose files.
        beside: further contents by name.
        now: their time.

    Raises:
        CorruptRow, CorruptBlob: something in storage was altered; the archive ends in the middle.
    """
    out, renamed = _Outlet(), Renamed()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as made:
        for name, content in beside.items():
            made.writestr(_entry(name, now), content)
        for path, node in _walk(vault, vault.stat(VaultPath()), ("", ""), renamed):
            entry = _entry(FILES + path, from_seconds(node.modified_ns // _NS))
            if node.is_collection:
                entry.external_attr = _FOLDER
                made.writestr(entry, b"")
            else:
                with made.open(entry, "w", force_zip64=True) as writer:
                    for block in _content(vault, node):
                        writer.write(block)
                        yield from out.taken()
            yield from out.taken()  # of a folder too: whoever takes the blocks may have to end this
        if renamed:
            made.writestr(_entry(RENAMED, now), json.dumps(renamed, indent=1, ensure_ascii=False).encode())
    yield from out.taken()


class _Outlet(RawIOBase):
    """A file that cannot be sought in: what is written waits to be taken."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: object) -> int:
        """Keep a copy: blocks of a download share one buffer."""
        block = bytes(data)  # type: ignore[call-overload]
        self._waiting.append(block)
        return len(block)

    def taken(self) -> list[bytes]:
        """What was written since the last time."""
        waiting, self._waiting = self._waiting, []
        return waiting


def _walk(vault: Vault, folder: Node, above: tuple[str, str], renamed: Renamed) -> Iterator[tuple[str, Node]]:
    """Everything below a folder with its path, each folder (a slash at the end) before what is in it.

    Args:
        vault: whose files.
        folder: where.
        above: its path in the archive and in the drive, "" or with a slash at the end.
        renamed: is told where the two paths part.
    """
    names = FolderNames()
    for node in vault.listing(folder):
        name = names.take(node.name)
        path, own = above[0] + name, above[1] + node.name
        if name != node.name:
            renamed[FILES + path] = own
        if node.is_collection:
            yield f"{path}/", node
            yield from _walk(vault, node, (f"{path}/", f"{own}/"), renamed)
        else:
            yield path, node


def _content(vault: Vault, node: Node) -> Iterator[memoryview]:
    with vault.read(node) as download:
        if node.size:
            yield from download.blocks()


def _entry(name: str, moment: datetime) -> zipfile.ZipInfo:
    moment = min(max(moment, OLDEST), LATEST)
    entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
    entry.external_attr = _REGULAR
    return entry
