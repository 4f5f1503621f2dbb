"""A value that is fetched from another server and remembered: keys, addresses.

Neither a server that hangs nor callers that ask without end may stall this one: whoever can be served from
memory never waits, one fetch runs at a time, few wait for it, and a budget bounds how often it is tried.
Called by `jwks` and `keycloak`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Generic, TypeVar

from davserver.audit import get_logger
from davserver.errors import DavserverError, ProviderUnavailable

Value = TypeVar("Value")
Monotonic = Callable[[], float]

MAX_WAITING = 4
"""How many callers wait for a running fetch; others are refused at once and keep their threads free."""

WAIT_SECONDS = 4.0
"""How long they wait: a little longer than a fetch may take."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How long a value is good and how often it is asked for, in seconds.

    Attributes:
        lifespan: once it is older, it is renewed in the background while it is still served.
        max_stale: once it is older, it is no longer served.
        tries, window: at most so many fetches within so long.
    """

    lifespan: float
    max_stale: float
    tries: int
    window: float


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    value: Value
    asked_at: float


class Remembered(Generic[Value]):
    """The newest value that could be fetched.

    Args:
        fetch: gets the value; raises `DavserverError` when it cannot.
        policy: see there.
        monotonic: seconds since some moment; never runs backwards.
        spawn: runs a function beside the caller.
    """

    def __init__(
        self,
        fetch: Callable[[], Value],
        policy: Policy,
        monotonic: Monotonic,
        spawn: Callable[[Callable[[], None]], None],
    ) -> None:
        self._fetch = fetch
        self._policy = policy
        self._monotonic = monotonic
        self._spawn = spawn
        self._entry: _Entry[Value] | None = None
        self._failure: DavserverError | None = None
        self._tries: deque[float] = deque(maxlen=policy.tries)
        self._busy = threading.Lock()
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._log = get_logger("sealdav.identity")

    def get(self) -> Value:
        """The value, perhaps an old one while a newer one is on its way.

        Raises:
            ProviderUnavailable, ProviderMisconfigured: there is none, or it is too old to be served.
        """
        entry = self._entry
        if entry is None or self._age(entry) > self._policy.max_stale:
            return self.renew()
        if self._age(entry) > self._policy.lifespan:
            self._renew_beside()
        return entry.value

    def renew(self) -> Value:
        """A value that was fetched during this call, or the known one if the budget is spent.

        Raises:
            ProviderUnavailable, ProviderMisconfigured: the last fetch failed, or there is nothing to serve.
        """
        seen = self._entry
        if not self._waiting.acquire(blocking=False):
            return self._known()
        try:
            if not self._busy.acquire(timeout=WAIT_SECONDS):
                return self._known()
            try:
                if self._entry is seen and self._may_try():
                    self._load()
            finally:
                self._busy.release()
        finally:
            self._waiting.release()
        if self._failure is not None:
            raise _once_more(self._failure)
        return self._known()

    def _known(self) -> Value:
        entry = self._entry
        if entry is not None and self._age(entry) <= self._policy.max_stale:
            return entry.value
        if self._failure is not None:
            raise _once_more(self._failure)
        raise ProviderUnavailable("the identity provider is being asked; try again")

    def _load(self) -> None:
        asked_at = self._monotonic()
        self._tries.append(asked_at)
        try:
            value = self._fetch()
        except DavserverError as error:
            self._failure = error
            raise
        self._entry, self._failure = _Entry(value, asked_at), None

    def _renew_beside(self) -> None:
        if not self._busy.acquire(blocking=False):
            return
        if not self._may_try():
            self._busy.release()
            return
        try:
            self._spawn(self._load_beside)
        except RuntimeError:  # there is no thread to be had: a later call tries again
            self._busy.release()

    def _load_beside(self) -> None:
        try:
            self._load()
        except DavserverError as error:
            self._log.warning("identity provider not reached, using what is known", reason=str(error))
        finally:
            self._busy.release()

    def _may_try(self) -> bool:
        full = len(self._tries) == self._policy.tries
        return not full or self._monotonic() - self._tries[0] >= self._policy.window

    def _age(self, entry: _Entry[Value]) -> float:
        return self._monotonic() - entry.asked_at


def _once_more(error: DavserverError) -> DavserverError:
    """A copy: raised again and again by many threads, one object would collect all their tracebacks."""
    return copy(error)


def in_a_thread(work: Callable[[], None]) -> None:
    """Run `work` beside the caller; it does not keep the process from ending."""
    threading.Thread(target=work, name="identity-provider", daemon=True).start()
