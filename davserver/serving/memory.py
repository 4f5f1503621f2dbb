"""How the C library hands out memory: many threads that each keep what they once needed would add up.

glibc gives every thread that allocates a pool of its own, and learns from the first large block that is freed
to keep the next ones: with 32 threads and blocks of 1 MiB a process then holds on to tens of megabytes that
nobody uses. Measured: docs/adr/0021-several-processes.md. Called by `davserver.cli` before threads and forks.
"""

from __future__ import annotations

import ctypes

POOLS = 2
"""Pools that all threads share: the interpreter lets one of them run at a time anyway."""

LARGE_BYTES = 256 * 1024
"""From this size on a block goes back to the system as soon as it is freed."""

SPARE_BYTES = 1024 * 1024
"""More than this is not kept unused at the end of a pool."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Numbers of malloc.h (mallopt(3)). Setting a threshold also ends its growing by itself."""


def keep_little() -> None:
    """Let the C library keep little of what was freed; does nothing where that is not glibc."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return
    library.mallopt(_M_ARENA_MAX, POOLS)
    library.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
    library.mallopt(_M_TRIM_THRESHOLD, SPARE_BYTES)
