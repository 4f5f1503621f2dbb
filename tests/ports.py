"""TCP ports for servers that a test starts, stops and starts again on the same one.

They are below those that the kernel gives away by itself: no connection of another test takes one in between.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

FIRST = 12_000
A_WORKER = 1_000
"""Ports for each of the processes that pytest-xdist runs tests in."""

WORKERS = 16

_next = itertools.count(os.getpid())


def free_port() -> int:
    """One that nobody listens on right now, and that this process has not given away lately."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    for _ in range(A_WORKER):
        port = FIRST + A_WORKER * worker + next(_next) % A_WORKER
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("every port of this worker is in use")
