"""Waiting for what another process brings about in its own time: it tells nobody when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 30.0


def until(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS, *, every: float = 0.1) -> float:
    """Wait until something holds; how long it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < seconds, f"not within {seconds} s"
        time.sleep(every)  # Waiting for another process: there is nothing to wait on but time.
    return time.monotonic() - begun
