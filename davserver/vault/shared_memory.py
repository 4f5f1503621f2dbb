"""What the processes of one server need not work out each for itself: bytes under a key, in common memory.

There is no lock that one of them could take into its grave. Whoever looks takes a copy and checks its digest:
what is being written over, was written by two at once or by one that was killed meanwhile, is not there then.
It must never hold what may not be lost, nor what may not be known to each of them. Used by `orders.py`.
"""

from __future__ import annotations

import mmap
import struct

from davserver.crypto.primitives import sha256

BYTES_A_SLOT = 2048
"""For so much memory there is one slot; two keys that have the same one push each other out."""

_HEAD = struct.Struct("Q")
_SLOT = struct.Struct("QQ32s")
"""Where a piece begins, its length, and the digest of it and of its key."""


class SharedMemory:
    """A ring of data, one piece behind the other, and a table of where the piece of a key is.

    Places are counted on from lap to lap and never again from 0, so that a larger one is a later one. Shared
    by threads, and by the processes that are forked from the one that has made it.

    Args:
        memory: anonymous and shared, all zeros. Pages of it that are not needed yet take nothing.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._slots = len(memory) // BYTES_A_SLOT
        self._data = _HEAD.size + self._slots * _SLOT.size
        self._room = len(memory) - self._data
        self._next = memoryview(memory)[: _HEAD.size].cast("Q")

    def find(self, key: bytes) -> bytes | None:
        """What was kept under a key, if it is still there and whole."""
        place, length, seal = _SLOT.unpack_from(self._memory, self._slot(key))
        begin = self._data + place % self._room
        data = self._memory[begin : begin + length]
        if _seal(key, data) != seal:
            return None
        if self._next[0] - place > self._room // 2:
            self.keep(key, data)  # what is asked for stays ahead of what is written over next
        return data

    def keep(self, key: bytes, data: bytes) -> None:
        """Keep something in the place of what is the oldest; what is larger than the ring is not kept."""
        if len(data) > self._room:
            return
        place = self._next[0]
        left = self._room - place % self._room
        if len(data) > left:
            place += left  # no piece goes around the end
        self._next[0] = place + len(data)
        begin = self._data + place % self._room
        self._memory[begin : begin + len(data)] = data
        _SLOT.pack_into(self._memory, self._slot(key), place, len(data), _seal(key, data))

    def _slot(self, key: bytes) -> int:
        return _HEAD.size + int.from_bytes(sha256(key), "big") % self._slots * _SLOT.size


def _seal(key: bytes, data: bytes) -> bytes:
    return sha256(sha256(data) + key)
