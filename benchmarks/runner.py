"""Runs all the work on all servers: in one run, in turns, each on a fresh folder, and keeps every figure.

Servers take turns round by round, so that a machine that is busy for a minute is busy for all of them. The
result is one JSON document; table.py draws it.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import store
from benchmarks.client import WorkFailed
from benchmarks.peers import PEERS, Peer, Site
from benchmarks.processes import MemoryWatch, cpu_seconds
from benchmarks.table import Column
from benchmarks.work import Job, Measured, Scale, Task, jobs, prepare

SETTLE_SECONDS = 0.3
"""Between the start of a server and the first work: its memory is looked at meanwhile."""


@dataclass
class Results:
    """Everything that was measured in one place (a kind of disk).

    Attributes:
        values: figures by server and row, one a round.
        cpu: seconds of the server's processor time for a unit of work, likewise.
        client: share of one processor that the client took, likewise.
        notes: what else was seen, by "server/row/name".
        why: why something is missing, by "server" or "server/row".
        rounds: how often each server did all of it.
    """

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    cpu: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    client: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: dict[str, list[float]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    rounds: int = 0

    def add(self, peer: Peer, job: Job, measured: Measured, cpu: float) -> None:
        """Keep one measurement."""
        for table, value in (
            (self.values, measured.value),
            (self.cpu, cpu / measured.work if measured.work else 0.0),
            (self.client, measured.client),
        ):
            table.setdefault(peer.key, {}).setdefault(job.row.key, []).append(value)
        for name, value in measured.notes:
            self.notes.setdefault(f"{peer.key}/{job.row.key}/{name}", []).append(value)


def columns(keys: Collection[str]) -> list[Column]:
    """The columns of the table, for the servers that were asked for."""
    return [
        Column(peer.key, peer.title, encrypts=peer.encrypts, ours=peer.ours)
        for peer in PEERS
        if peer.key in keys
    ]


def require_room(folder: Path, needed: int) -> None:
    """A file system that is full measures nothing, and one in memory stops the whole machine.

    Raises:
        WorkFailed: there is less room than `needed` bytes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WorkFailed(f"{folder} has {free >> 20} MiB left; this takes up to {needed >> 20} MiB")


def measure(folder: Path, scale: Scale, peers: Sequence[Peer] = PEERS) -> Results:
    """Let every server do all the work, with its data in `folder`.

    Raises:
        WorkFailed: there is no room for it.
    """
    require_room(folder, scale.room)
    results = Results()
    with tempfile.TemporaryDirectory(dir=folder) as name:
        material = prepare(Path(name), scale)
        able = []
        for peer in peers:
            if reason := peer.obstacle():
                results.why[peer.key] = reason
            else:
                able.append(peer)
        begun = time.monotonic()
        for number in range(scale.rounds):
            for peer in able:
                with _served(peer, Path(name) / peer.key) as (site, memory):
                    task = Task(site, scale, material, memory)
                    for job in jobs(scale):
                        if number == 0 or not job.once:
                            _one_job(peer, job, task, results)
                say(f"{time.monotonic() - begun:6.0f} s  round {number + 1} of {scale.rounds}: {peer.title}")
            results.rounds = number + 1
            if (time.monotonic() - begun) * (number + 2) / (number + 1) > scale.budget:
                break
    return results


@contextmanager
def _served(peer: Peer, folder: Path) -> Iterator[tuple[Site, MemoryWatch]]:
    try:
        with peer.serve(folder) as site, MemoryWatch(site.pids) as memory:
            time.sleep(SETTLE_SECONDS)
            yield site, memory
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _one_job(peer: Peer, job: Job, task: Task, results: Results) -> None:
    try:
        job.prepare(task)
        before = cpu_seconds(task.site.pids)
        measured = job.measure(task)
    except WorkFailed as error:
        results.why[f"{peer.key}/{job.row.key}"] = str(error)
        return
    results.add(peer, job, measured, cpu_seconds(task.site.pids) - before)


def describe() -> dict[str, Any]:
    """The machine and the versions, for whoever compares figures."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        "",
    )
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
        "processes": "one a core" if store.has_processes() else "1",
        "load": os.getloadavg()[0],
    }


def as_json(results: Results) -> dict[str, Any]:
    """For a file."""
    return asdict(results)


def say(words: str) -> None:
    """Progress, where it is in nobody's way."""
    print(words, file=sys.stderr, flush=True)


def _commit() -> str:
    command = ["git", "-c", "safe.directory=*", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
