"""The soak test: 64 clients of all kinds on one server for a long time; nothing is lost, nothing grows.

    make soak [ARGS="--minutes 30 --pause 1"]

Every acknowledged write is read back at the end and compared by hash; no answer was a 5xx; the memory of the
server in the last third of the time is that of the first. `make test` runs five minutes of it, gently.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import store
from benchmarks.processes import MemoryWatch
from benchmarks.soak_clients import (
    BROKEN,
    LARGE_BYTES,
    PROGRAMS,
    Ground,
    Steady,
    digest_of,
)
from tests.e2e.witness import witness

KINDS: Final = {"steady": 24, "rclone": 4, "curl": 4, "slow": 8, "silent": 8, "half": 8, "cut": 8}
"""How many clients of each kind: 64."""

GROWTH_BYTES = 16_000_000
"""How much more memory the server may have in the last third than in the first: medians of both."""

WARM_UP = 0.1
"""This part of the time comes before the first third: caches and threads are made."""

END_SECONDS = 120
"""How long clients may take to notice that it is over."""

SHOWN = 10
"""Failures and losses that are told one by one."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it.

    Attributes:
        seconds: how long the clients were at it.
        statuses: how often each status was answered to clients that speak HTTP themselves.
        acknowledged: changes that were acknowledged.
        failures: what must not happen, in words.
        lost: paths whose content is not what was acknowledged.
        verified: whether `sealdav verify` found everything whole afterwards.
        first, last: bytes of memory in the first and the last third.
        most: the most at any time.
    """

    seconds: float
    statuses: Counter[int]
    acknowledged: int
    failures: list[str]
    lost: list[str]
    verified: bool
    first: int
    last: int
    most: int
    samples: Sequence[tuple[float, int]] = field(repr=False)

    @property
    def complaints(self) -> list[str]:
        """Everything that is wrong; empty if the server stood it."""
        found = [f"failed: {one}" for one in self.failures[:SHOWN]]
        found += [f"lost: {one}" for one in self.lost[:SHOWN]]
        if not self.verified:
            found.append("verify found damage")
        if self.last > self.first + GROWTH_BYTES:
            found.append(f"memory grew from {self.first / 1e6:.1f} to {self.last / 1e6:.1f} MB")
        if not self.acknowledged:
            found.append("nothing was written")
        return found

    def __str__(self) -> str:
        statuses = ", ".join(f"{status}: {count:,}" for status, count in sorted(self.statuses.items()))
        return "\n".join(
            [
                f"{sum(KINDS.values())} clients for {self.seconds / 60:.1f} minutes",
                f"answers: {statuses}",
                f"acknowledged changes: {self.acknowledged:,}; lost: {len(self.lost)}",
                f"failures: {len(self.failures)}",
                f"memory, MB: first third {self.first / 1e6:.1f}, last third {self.last / 1e6:.1f}",
                *self.complaints,
            ]
        )


def soak(folder: Path, *, seconds: float, pause: float) -> Report:
    """Let all clients loose on a server in `folder`.

    Args:
        folder: empty; there has to be room for a gigabyte.
        seconds: for how long.
        pause: how long a client rests between two bursts, on average.
    """
    ground = make_ground(folder, pause)
    try:
        with MemoryWatch((ground.drive.pid,)) as memory:
            begun = time.monotonic()
            _let_loose(ground, begun + seconds)
            ended = time.monotonic()
        lost = ground.ledger.lost(read_back(ground))
        stopped = ground.drive.stop() == 0
    finally:
        ground.drive.close()
    thirds = split(memory.samples, begun + WARM_UP * seconds, begun + seconds)
    return Report(
        seconds=ended - begun,
        statuses=ground.statuses,
        acknowledged=ground.ledger.acknowledged,
        failures=ground.failures + ([] if stopped else ["the server did not end well"]),
        lost=lost,
        verified=ground.drive.run("verify").returncode == 0,
        first=thirds[0],
        last=thirds[-1],
        most=memory.peak(),
        samples=memory.samples,
    )


def make_ground(folder: Path, pause: float) -> Ground:
    """A server that runs, with a large file on it."""
    with store.services(folder / "drive") as built:
        device = store.enrol(built)
    drive = store.drive(folder / "drive", durability="relaxed")
    drive.start()
    large = random.Random(7).randbytes(LARGE_BYTES)
    ground = Ground(drive, device, pause, folder, large)
    (folder / "curl.conf").write_text(f'user = "{device.username}:{device.token}"\n')
    ground.answered(drive.request("PUT", "large", device, large)[0], "PUT large")
    ground.ledger.settle("large", digest_of(large))
    return ground


def _let_loose(ground: Ground, until: float) -> None:
    threads = [threading.Thread(target=one, daemon=True) for one in _clients(ground)]
    for thread in threads:
        thread.start()
    ground.stop.wait(until - time.monotonic())
    ground.stop.set()
    deadline = time.monotonic() + END_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            ground.failed("a client did not end")


def _clients(ground: Ground) -> list[Callable[[], None]]:
    found: list[Callable[[], None]] = []
    for kind, count in KINDS.items():
        for number in range(count):
            name = f"{kind}-{number}"
            if kind == "steady":
                client = Steady(ground, name)
                client.make()
                found.append(client.run)
            else:
                if kind in {"curl", "cut"}:
                    ground.drive.request("MKCOL", name + "/", ground.device)
                found.append(partial({**PROGRAMS, **BROKEN}[kind], ground, name))
    return [_noted(ground, one) for one in found]


def _noted(ground: Ground, run: Callable[[], None]) -> Callable[[], None]:
    """A client whose own end, other than by the bell, is a failure. A server may hang up on broken ones."""

    def noted() -> None:
        while not ground.stop.is_set():
            try:
                run()
            except (ConnectionResetError, BrokenPipeError):
                ground.stop.wait(1)  # Next time, perhaps.
            except Exception as error:  # noqa: BLE001 - anything else is for the report
                ground.failed(f"{type(error).__name__}: {error}")
                return

    return noted


def read_back(ground: Ground) -> dict[str, str]:
    """The digest of every file that is on the server, by path."""
    tree = witness(ground.drive, ground.device).tree()
    return {path: digest_of(content) for path, content in tree.items() if content is not None}


def split(samples: Sequence[tuple[float, int]], begun: float, ended: float) -> list[int]:
    """The median memory of each third of the time."""
    third = (ended - begun) / 3
    parts = []
    for number in range(3):
        start = begun + number * third
        inside = [used for moment, used in samples if start <= moment < start + third]
        parts.append(int(statistics.median(inside)) if inside else 0)
    return parts


def main() -> None:
    """Run it and say what came of it; exit code 1 if the server did not stand it."""
    options = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").split("\n")[0])
    options.add_argument("--minutes", type=float, default=30)
    options.add_argument("--pause", type=float, default=1.0, help="seconds between two bursts of a client")
    options.add_argument("--folder", type=Path, default=None, help="where there is room for a gigabyte")
    chosen = options.parse_args()
    os.umask(0o077)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        report = soak(Path(name), seconds=60 * chosen.minutes, pause=chosen.pause)
    print(report)
    sys.exit(1 if report.complaints else 0)


if __name__ == "__main__":
    main()
