"""Logging is a property of the process: what a test sets up has to be undone."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import structlog


@contextlib.contextmanager
def restored_logging() -> Iterator[None]:
    """Let a test set up logging as the program does, and give the process its own back."""
    root, ours = logging.getLogger(), logging.getLogger("sealdav")
    before, levels = root.handlers[:], (root.level, ours.level)
    root.handlers[:] = []
    try:
        yield
    finally:
        for handler in root.handlers:
            with contextlib.suppress(OSError):  # what a full disk did not take
                handler.close()
        root.handlers[:] = before
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        structlog.reset_defaults()
