"""Files as one ZIP archive, all of an account or some of them, made while it is sent.

There is no temporary file and no whole file in memory. Called by the site.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import RawIOBase

from davserver.clock import from_seconds
from davserver.errors import PathError
from davserver.model import Node
from davserver.vault.paths import VaultPath
from davserver.vault.portable import FolderNames
from davserver.vault.service import Vault

FILES = "files/"
"""Where files are in the archive."""

RENAMED = "renamed.json"
"""What tells the names of those that could not keep theirs; the last entry, if there are any."""

MAX_NAME_BYTES = 65_535
"""Longest path that a ZIP archive can hold, in bytes: its length has two of them."""

OLDEST, LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2107, 12, 31, tzinfo=UTC)
"""The times that a ZIP archive can hold."""

Renamed = dict[str, str]
"""The path in the drive by the path in the archive, of those whose own name had to be changed."""

_NS = 10**9
_REGULAR, _FOLDER = 0o100600 << 16, 0o040700 << 16 | 0x10


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into an archive.

    Attributes:
        nodes: files, and folders with all that is in them; of one collection, so that no two have one name.
        folder: below which folder of the archive, with a slash at the end; "" is its top.
        beside: further contents by name.
    """

    nodes: Iterable[Node]
    folder: str = ""
    beside: Mapping[str, bytes] = field(default_factory=dict)


def everything(vault: Vault, beside: Mapping[str, bytes]) -> Contents:
    """All of a vault, below `FILES`, and what lies beside it."""
    return Contents(vault.listing(vault.stat(VaultPath())), FILES, beside)


def archive(vault: Vault, contents: Contents, now: datetime) -> Iterator[bytes]:
    """The archive in blocks: first what lies beside the files, then every folder and file.

    Sizes beyond 4 GiB and more than 65,535 entries are written as ZIP64. What changes while it is sent is in
    it as it was found. Names that not every system can store are changed, see `portable.py`.

    Args:
        vault: whose files.
        contents: which of them.
        now: the time of what lies beside.

    Raises:
        CorruptRow, CorruptBlob: something in storage was altered; the archive ends in the middle.
        PathError: a path is longer than an archive can hold, which takes more folders inside each other than
            a path may have names; the archive ends there. To know it before, all names would be opened twice.
    """
    out, renamed, names = _Outlet(), Renamed(), FolderNames()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as made:
        for name, content in contents.beside.items():
            made.writestr(_entry(name, now), content)
        for path, node in _walk(vault, contents.nodes, names, (contents.folder, ""), renamed):
            entry = _entry(path, from_seconds(node.modified_ns // _NS))
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
            told = json.dumps(renamed, indent=1, ensure_ascii=False).encode()
            made.writestr(_entry(RENAMED if contents.folder else names.take(RENAMED), now), told)
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


def _walk(
    vault: Vault, nodes: Iterable[Node], names: FolderNames, above: tuple[str, str], renamed: Renamed
) -> Iterator[tuple[str, Node]]:
    """Nodes with their paths in the archive, each folder (a slash at the end) before what is in it.

    Args:
        vault: whose files.
        nodes: of one folder.
        names: those that are taken there.
        above: the folder's path in the archive and in the drive, "" or with a slash at the end.
        renamed: is told where the two paths part.
    """
    way = [(iter(nodes), names, above)]  # a list: MOVE makes folders deeper than Python may call
    while way:
        nodes, names, above = way[-1]
        node = next(nodes, None)
        if node is None:
            way.pop()
            continue
        name = names.take(node.name)
        path, own = above[0] + name, above[1] + node.name
        if name != node.name:
            renamed[path] = own
        if node.is_collection:
            yield f"{path}/", node
            way.append((vault.listing(node), FolderNames(), (f"{path}/", f"{own}/")))
        else:
            yield path, node


def _content(vault: Vault, node: Node) -> Iterator[memoryview]:
    with vault.read(node) as download:
        if node.size:
            yield from download.blocks()


def _entry(name: str, moment: datetime) -> zipfile.ZipInfo:
    if len(name.encode()) > MAX_NAME_BYTES:
        raise PathError("a path is longer than an archive can hold")
    moment = min(max(moment, OLDEST), LATEST)
    entry = zipfile.ZipInfo(name, moment.timetuple()[:6])
    entry.external_attr = _REGULAR
    return entry
