"""Another process of the same server, for a moment."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[int]:
    """A process that does some work and ends; killed if it has not when the block is left."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)  # also if it has ended: it is there until somebody has waited for it
        os.waitpid(pid, 0)


def in_another(work: Callable[[], object]) -> None:
    """Let another process do some work; it must not fail."""
    with forked(work) as pid:
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        assert ended.si_status == 0
