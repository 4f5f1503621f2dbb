"""Processor time and memory of a server: of all its processes, however many there are.

Memory is the proportional set size (proc(5), smaps_rollup): a page that two processes share counts once.
Nothing here belongs to a server. Called by the measurements and by the soak test.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
KIBIBYTE = 1024
SAMPLE_SECONDS = 0.1
"""How often memory is looked at. A look costs the looker some 0.1 ms a process."""


def tree(roots: Iterable[int]) -> Iterator[int]:
    """These processes, and all that descend from them and still run."""
    for pid in roots:
        yield pid
        for children in PROC.glob(f"{pid}/task/*/children"):
            with contextlib.suppress(OSError):
                yield from tree(map(int, children.read_text().split()))


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of all these processes so far, those that ended and were waited for included."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime
    return total / TICKS


def memory_bytes(roots: Iterable[int]) -> int:
    """What all these processes have in memory now."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return total * KIBIBYTE


@dataclass
class MemoryWatch:
    """Looks at the memory of a server until its block ends.

    Attributes:
        roots: processes that the server was started as.
        samples: moment (`time.monotonic`) and bytes.
    """

    roots: tuple[int, ...]
    samples: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Nothing is looked at yet."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def peak(self, since: float = 0.0) -> int:
        """The most bytes seen since a moment."""
        return max((used for moment, used in self.samples if moment >= since), default=0)

    def _look(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.samples.append((time.monotonic(), memory_bytes(self.roots)))
