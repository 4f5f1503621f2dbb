"""Work that a helper thread may do while its owner goes on; whoever needs it never waits for busy helpers.

For what gives up the interpreter lock: reading, the cipher, digests. Called by `upload` and `download`.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, wait
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Beside(Generic[Result]):
    """One piece of work, begun when a helper is free.

    Args:
        helpers: the threads.
        work: done once, there or here.
    """

    def __init__(self, helpers: Executor, work: Callable[[], Result]) -> None:
        self._work = work
        self._begun = helpers.submit(work)

    def result(self) -> Result:
        """What comes of it, or the error. Done here if no helper has begun with it."""
        return self._work() if self._begun.cancel() else self._begun.result()

    def drop(self) -> None:
        """Not wanted any more; when this returns nobody is at it. May be repeated."""
        if not self._begun.cancel():
            wait([self._begun])
