"""Whose turn it is: no account takes all threads, and what has to wait for its turn takes none at all.

A request asks for its turn when the application knows whose it is, before its body is read. One that has to
wait is put aside, with nothing said to the client, and begun again when another one has ended. It must never
keep an account waiting while there is room for it. Used by `connection` and `server`.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

SHARE = 3
"""An account may have this many requests at once for each place that is left free: one alone gets three
quarters of all places, two get about 43 % each, three 30 %, and there is always room for another one."""

TURN_SECONDS = 10.0
"""How long a request waits for its turn before it is told to come back later."""

SILENT_SECONDS = 5.0
"""A request whose client has been silent for so long is cut off for another one of the same account."""


class Aside(Protocol):
    """A connection, the request of which runs or waits for its turn.

    Attributes:
        account: whose request it is.
        deadline: when it has waited long enough, on the monotonic clock.
    """

    account: str
    deadline: float

    def close(self) -> None:
        """End it."""
        ...


One = TypeVar("One", bound=Aside)


class Turns(Generic[One]):
    """The requests of accounts that run at once in this process.

    Args:
        places: how many may run at once, of all accounts.
        again: begins a request again that was put aside.
        cut_silent: of these requests, cuts off so many whose clients have been silent for so many seconds.
    """

    def __init__(
        self,
        places: int,
        again: Callable[[One], None],
        cut_silent: Callable[[Collection[One], int, float], None],
    ) -> None:
        self._places = places
        self._again = again
        self._cut_silent = cut_silent
        self._lock = threading.Lock()
        self._running: dict[str, set[One]] = {}
        self._count = 0
        self._aside: deque[One] = deque()

    def take(self, account: str, one: One) -> bool:
        """Run a request of this account, if it is its turn; then `give_back` has to follow."""
        with self._lock:
            if not self._is_turn_of(account):
                return False
            self._running.setdefault(account, set()).add(one)
            self._count += 1
            return True

    def give_back(self, account: str, one: One) -> None:
        """A request has ended."""
        with self._lock:
            running = self._running[account]
            running.remove(one)
            self._count -= 1
            if not running:
                del self._running[account]
        self._go_on()

    def put_aside(self, one: One) -> None:
        """Begin it again when it is its turn, or when it has waited long enough."""
        with self._lock:
            self._aside.append(one)
        self._go_on()  # its turn may have come meanwhile

    def look(self) -> None:
        """To be called now and then: who has waited long enough is begun again, to be told so.

        Others get the places of requests of the same account whose clients are silent.
        """
        if not self._aside:
            return
        now = time.monotonic()
        with self._lock:
            over = [one for one in self._aside if one.deadline <= now]
            for one in over:
                self._aside.remove(one)
            waiting = Counter(one.account for one in self._aside)
            running = {account: list(self._running.get(account, ())) for account in waiting}
        for one in over:
            self._again(one)
        for account, count in waiting.items():
            self._cut_silent(running[account], count, SILENT_SECONDS)

    def close(self) -> None:
        """End everything that was put aside."""
        while self._aside:
            self._aside.popleft().close()

    def _go_on(self) -> None:
        """Begin the first one again whose turn it is."""
        if not self._aside:
            return
        with self._lock:
            found = next((one for one in self._aside if self._is_turn_of(one.account)), None)
            if found is not None:
                self._aside.remove(found)
        if found is not None:
            self._again(found)

    def _is_turn_of(self, account: str) -> bool:
        """The lock is held. Somebody who has nothing running always gets a place, if it be one too many."""
        return len(self._running.get(account, ())) < max(1, SHARE * (self._places - self._count))
