"""In which order a folder is shown, and the orders of large folders that this process has worked out before.

Names are encrypted, so sorting opens every one of them. What is kept is which nodes come one after the other,
as long as the folder is exactly as it was; no name is kept, and nothing on a disk (docs/adr/0027). Used by
`browsing.py`.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from davserver.db.nodes import NodeRow
from davserver.model import ID_BYTES, AccountId, NodeId, NodeKind
from davserver.vault.paths import MAX_NAME_BYTES
from davserver.vault.rows import Brief

MAX_BYTES = 32 * 1024 * 1024
"""Memory that kept orders may take, about: two million entries."""

ENTRY_BYTES = 500
"""What a kept order takes besides its ids."""

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


_Key = tuple[AccountId, NodeId, Order]


class Orders:
    """Orders of folders, those asked for last; may be shared by threads."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[_Key, tuple[bytes, Sequence]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, account_id: AccountId, folder_id: NodeId, order: Order, state: bytes) -> Sequence | None:
        """What was kept of a folder while it was in the same state; None if nothing was."""
        with self._lock:
            kept_in, sequence = self._kept.get((account_id, folder_id, order), (b"", None))
            if sequence is None or kept_in != state:
                return None
            self._kept.move_to_end((account_id, folder_id, order))
            return sequence

    def keep(
        self, account_id: AccountId, folder_id: NodeId, order: Order, state: bytes, sequence: Sequence
    ) -> None:
        """Keep an order in the place of the one before; those that nobody has asked for the longest go."""
        key = (account_id, folder_id, order)
        with self._lock:
            self._drop(key)
            self._kept[key] = (state, sequence)
            self._bytes += _size(sequence)
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        _, dropped = self._kept.pop(key, (b"", None))
        self._bytes -= 0 if dropped is None else _size(dropped)


def _size(sequence: Sequence) -> int:
    return ENTRY_BYTES + len(sequence.folders) + len(sequence.files)
