"""The threads that answer requests: so many work at once, and one that waits for its client counts for nobody.

It must never let clients that are slow or silent keep the others from being answered. A thread says when it
begins to wait for bytes from its client, or for room to send some; then another one may work in its place.
Used by `server` and, through `Patience`, by `wire`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Protocol

MOST_WAITING = 512
"""Threads that may wait for their clients at once, beside those that work."""

WAITED_ENOUGH_SECONDS = 1.0
"""Where that is not enough, whoever has waited longest is cut off, but not before this."""


class Patience(Protocol):
    """Where a thread says that it waits for its client."""

    def begin(self) -> None:
        """It cannot go on by itself."""
        ...

    def end(self) -> None:
        """It can, or gives up."""
        ...


class Job(Protocol):
    """What threads work on: a connection."""

    def cut(self) -> None:
        """End it from another thread."""
        ...


class Pool[Work: Job]:
    """Threads, made when they are needed.
    """
