"""What the processes of one server know of each other: numbers in a page of memory that a fork does not copy.

Each process writes its own row only and reads all of them, so there is no lock between processes that one of
them could take into its grave. The supervisor clears the row of a process that has ended. Nothing depends on
a number for safety. Made by `supervisor`, and by `server` for a process that is alone.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterator

_BEATS, _READY, _CONNECTIONS, _COLUMNS = range(4)
_WIDTH = 8
"""Bytes of a number: a read gives the old one or the new one, never a mixture."""


class Board:
    """The rows.

    Args:
        seats: processes that serve at the same time.
    """

    def __init__(self, seats: int) -> None:
        self._memory = mmap.mmap(-1, seats * _COLUMNS * _WIDTH)
        self._numbers = memoryview(self._memory).cast("Q")
        self._seats = seats

    def seat(self, number: int) -> Seat:
        """The row of one process, from 0 on."""
        return Seat(self, number)

    def clear(self, number: int) -> None:
        """Forget what a process said that has ended. Only by the supervisor."""
        for column in range(_COLUMNS):
            self.put(number, column, 0)

    def get(self, number: int, column: int) -> int:
        """One number."""
        return self._numbers[number * _COLUMNS + column]

    def put(self, number: int, column: int, value: int) -> None:
        """Write one number; into one's own row."""
        self._numbers[number * _COLUMNS + column] = value

    def others(self, number: int) -> Iterator[int]:
        """The numbers of the other processes that serve."""
        return (one for one in range(self._seats) if one != number and self.get(one, _READY))


class Seat:
    """What one process says of itself. Its methods may be called from any thread of it."""

    def __init__(self, board: Board, number: int) -> None:
        self._board = board
        self._lock = threading.Lock()
        self.number = number

    # ── written by the process
    def beat(self) -> None:
        """Say that it is alive."""
        self._add(_BEATS, 1)

    def say_ready(self) -> None:
        """Say that it serves, or serves with what it has read again."""
        self._add(_READY, 1)

    def connected(self) -> None:
        """A client has come."""
        self._add(_CONNECTIONS, 1)

    def disconnected(self) -> None:
        """A client is gone."""
        self._add(_CONNECTIONS, -1)

    @property
    def is_burdened(self) -> bool:
        """Whether it has more connections than another process that serves."""
        own = self._board.get(self.number, _CONNECTIONS)
        return any(self._board.get(one, _CONNECTIONS) < own for one in self._board.others(self.number))

    # ── read by the supervisor
    @property
    def beats(self) -> int:
        """How often it has said that it is alive."""
        return self._board.get(self.number, _BEATS)

    @property
    def readies(self) -> int:
        """How often it has said that it is ready."""
        return self._board.get(self.number, _READY)

    @property
    def connections(self) -> int:
        """How many clients it has."""
        return self._board.get(self.number, _CONNECTIONS)

    def _add(self, column: int, count: int) -> None:
        with self._lock:
            self._board.put(self.number, column, self._board.get(self.number, column) + count)
