"""Whether a server answers at once what is meant to keep it busy: what is quadratic is slow each time."""

from __future__ import annotations

import time
from collections.abc import Callable

SECONDS = 1.0
ATTEMPTS = 3
"""A machine that is busy with something else may be slow once."""


def at_once(ask: Callable[[], object]) -> bool:
    """Whether the answer to a request comes within a second, in one attempt of three."""
    return any(_seconds(ask) < SECONDS for _ in range(ATTEMPTS))


def _seconds(ask: Callable[[], object]) -> float:
    begun = time.monotonic()
    ask()
    return time.monotonic() - begun
