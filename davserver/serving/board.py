"""What the processes of one server know of each other: numbers in a page of memory that a fork does not copy.

Each process writes its own row only and reads all of them, so there is no lock between processes that one of
them could take into its grave. The supervisor clears the row of a process that has ended. Nothing depends on
a number for safety. Made by `supervisor`, and by `server` for a process that is alone.
"""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from davserver.clock import SECOND_NS

_BEATS, _READY, _CONNECTIONS, _FIRST_CELL = range(4)
_CELLS = 8192
"""In each of two tables. Addresses that share a cell are counted together there, hardly ever in both."""

_MISTRUST = 2 * _CELLS
"""So far behind the cells of an address are two more, with the moment at which it was `mistrusted`, in ns."""

_COLUMNS = _FIRST_CELL + _MISTRUST + 2 * _CELLS
_WIDTH = 8
"""Bytes of a number: a read gives the old one or the new one, never a mixture."""

MISTRUST_SECONDS = 15 * 60
"""For so long it is known that a client did not trust our certificate."""

_IPV6_NETWORK_BYTES = 8
"""A host has at least a network of 64 bits for itself."""


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
        row = number * _COLUMNS
        self._numbers[row : row + _COLUMNS] = memoryview(bytes(_COLUMNS * _WIDTH)).cast("Q")

    def total(self, column: int) -> int:
        """What all processes together have."""
        return sum(self._numbers[seat * _COLUMNS + column] for seat in range(self._seats))

    def latest(self, column: int) -> int:
        """The largest number that any process has."""
        return max(self._numbers[seat * _COLUMNS + column] for seat in range(self._seats))

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

    def connected(self, address: str) -> None:
        """A client has come."""
        for column in (_CONNECTIONS, *_cells(address)):
            self._add(column, 1)

    def disconnected(self, address: str) -> None:
        """A client is gone."""
        for column in (_CONNECTIONS, *_cells(address)):
            self._add(column, -1)

    def of(self, address: str) -> int:
        """How many connections an address has, in all processes; more only if others share both its cells."""
        return min(self._board.total(column) for column in _cells(address))

    def mistrusted(self, address: str) -> None:
        """A client has said that it does not trust our certificate. Its address is not kept."""
        for column in _cells(address):
            self._board.put(self.number, column + _MISTRUST, time.monotonic_ns())

    def since_mistrust(self, address: str) -> float | None:
        """Seconds since a client at an address said so, to any process; None: not in `MISTRUST_SECONDS`.

        Other addresses count for it only if they share both its cells.
        """
        last = min(self._board.latest(column + _MISTRUST) for column in _cells(address))
        seconds = (time.monotonic_ns() - last) / SECOND_NS
        return seconds if last and seconds < MISTRUST_SECONDS else None

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


def _cells(address: str) -> tuple[int, int]:
    """Where an address is counted. Python's hash has a secret that processes of one origin share."""
    key = _network(address)
    return (
        _FIRST_CELL + hash((key, 1)) % _CELLS,
        _FIRST_CELL + _CELLS + hash((key, 2)) % _CELLS,
    )


def _network(address: str) -> bytes:
    """What counts as one address."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).packed[:_IPV6_NETWORK_BYTES]
