"""In which order a folder is shown, and the orders that a process of this server has worked out before.

Names are encrypted, so sorting opens every one of them. What is kept is which nodes come one after the other,
as long as the folder is exactly as it was; no name is kept, and nothing on a disk (docs/adr/0027). Used by
`browsing.py`; for several processes it is made by `cli/session.py`.
"""

from __future__ import annotations

import mmap
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from davserver.db.nodes import NodeRow
from davserver.model import ID_BYTES, AccountId, NodeId, NodeKind
from davserver.vault.paths import MAX_NAME_BYTES
from davserver.vault.rows import Brief
from davserver.vault.shared_memory import SharedMemory

MAX_BYTES = 32 * 1024 * 1024
"""Memory that kept orders may take, in all processes of a server together: two million entries."""

_COUNT_BYTES = 8
"""In front of a kept order: how many of its bytes are folders."""

EARLIEST = 1 << 63
"""Added to a time, nothing is below zero."""

_DIGITS = re.compile("0*([0-9]+)")
_LENGTHS = [f"{length:03}" for length in range(MAX_NAME_BYTES + 1)]
_MARKS = re.compile("[\u0300-\u036f]+")
"""Combining marks: the dots of an Ä, once it is taken apart."""


class Order(Enum):
    """What entries are sorted by; folders always come first."""

    NAME = "name"
    SIZE = "size"
    TIME = "time"


def letters(name: str) -> str:
    """A name as people look for it: neither case nor accents count."""
    if name.isascii():
        return name.lower()
    return _MARKS.sub("", unicodedata.normalize("NFD", name)).casefold()


def natural_key(name: str) -> str:
    """Sorts names as people do: "2.txt" before "10.txt", "Ähre" beside "Ahle"; the name decides ties."""
    return f"{_DIGITS.sub(_by_value, letters(name))}\0{name}"


def _by_value(digits: re.Match[str]) -> str:
    """Digits that sort by their value: how many there are, then they themselves."""
    figures = digits[1]
    return _LENGTHS[len(figures)] + figures


_KEYS: dict[Order, Callable[[Brief], str]] = {
    Order.NAME: lambda brief: natural_key(brief[0]),
    Order.SIZE: lambda brief: f"{brief[1]:020}{natural_key(brief[0])}",
    Order.TIME: lambda brief: f"{brief[2] + EARLIEST:020}{natural_key(brief[0])}",
}
"""Text, because it is quick to compare; numbers have as many digits as 64 bits can have."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """The nodes of a folder in their order.

    Attributes:
        folders, files: ids, one behind the other.
    """

    folders: bytes
    files: bytes

    @property
    def total(self) -> int:
        """How many there are."""
        return (len(self.folders) + len(self.files)) // ID_BYTES

    def part(self, start: int, count: int, *, descending: bool) -> list[NodeId]:
        """The ids [start, start + count); `descending` turns folders and files around, each by themselves."""
        ids = []
        for group in (self.folders, self.files):
            size = len(group) // ID_BYTES
            for at in range(max(start, 0), min(start + count, size)):
                place = (size - 1 - at if descending else at) * ID_BYTES
                ids.append(NodeId(group[place : place + ID_BYTES]))
            start -= size
        return ids


def put_in_order(
    rows: Iterable[NodeRow], open_brief: Callable[[NodeRow], Brief | None], order: Order
) -> Sequence:
    """Sort a folder; of its rows only ids and keys are held at once. Those without a brief are left out.

    Raises:
        CorruptRow: from `open_brief`.
    """
    key_of, folder = _KEYS[order], NodeKind.COLLECTION.value
    groups: tuple[_Group, _Group] = (([], []), ([], []))
    for row in rows:
        brief = open_brief(row)
        if brief is not None:
            keys, ids = groups[row.kind != folder]
            keys.append(key_of(brief))
            ids.append(row.node_id)
    return Sequence(*map(_joined, groups))


_Group = tuple[list[str], list[NodeId]]


def _joined(group: _Group) -> bytes:
    keys, ids = group
    return b"".join([ids[at] for at in sorted(range(len(keys)), key=keys.__getitem__)])


class Orders:
    """Orders of folders, those asked for last; shared by threads, and by processes forked from here on."""

    def __init__(self) -> None:
        self._kept = SharedMemory(mmap.mmap(-1, MAX_BYTES))

    def find(self, account_id: AccountId, folder_id: NodeId, order: Order, state: bytes) -> Sequence | None:
        """What was kept of a folder while it was in the same state; None if nothing was."""
        kept = self._kept.find(_key(account_id, folder_id, order, state))
        if kept is None:
            return None
        files = _COUNT_BYTES + int.from_bytes(kept[:_COUNT_BYTES], "big")
        return Sequence(kept[_COUNT_BYTES:files], kept[files:])

    def keep(
        self, account_id: AccountId, folder_id: NodeId, order: Order, state: bytes, sequence: Sequence
    ) -> None:
        """Keep an order for as long as it is asked for, and there is room."""
        count = len(sequence.folders).to_bytes(_COUNT_BYTES, "big")
        key = _key(account_id, folder_id, order, state)
        self._kept.keep(key, count + sequence.folders + sequence.files)


def _key(account_id: AccountId, folder_id: NodeId, order: Order, state: bytes) -> bytes:
    """Whose order it is, of what, and when; all but the last has a fixed length."""
    return account_id + folder_id + state + order.value.encode()
