"""Flame graphs of the five kinds of request that cost most: where the server's time goes.

    python -m benchmarks flames

py-spy looks at the running server from outside while a client keeps it busy. What only waits is not counted.
Called by hand and by `make bench`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import client
from benchmarks.client import WorkFailed
from benchmarks.flame_svg import draw, fold
from benchmarks.peers import Site, serve_sealdav
from benchmarks.runner import say
from benchmarks.work import MEBIBYTE, SMALL_BYTES
from tests.services import clients

RATE = 100
"""Samples a second."""

SECONDS = 10
LARGE_MEBIBYTES = 512
LISTED = 2_000
SMALL = 1_000
COMMON: Final = (
    "process ",
    "thread ",
    "_bootstrap",
    "Thread._bootstrap",
    "Thread.run",
    "_run_code",
    "_run_module",
    "<module>",
)
"""In every stack, and of no interest: how these begin."""

WAITING: Final = (
    "Condition.wait (threading.py)",
    "Event.wait (threading.py)",
    "EpollSelector.select (selectors.py)",
    "PollSelector.select (selectors.py)",
    "SelectSelector.select (selectors.py)",
    "Wire.is_readable (davserver/serving/wire.py)",
    "Baton.take (davserver/baton.py)",
)
"""Where a thread has nothing to do, or waits for another one; py-spy itself takes some of these for work."""

Load = Callable[[Site], object]


@dataclass(frozen=True, slots=True)
class Flame:
    """A kind of request.

    Attributes:
        key: the name of the picture's file.
        title: what stands above it.
        load: keeps the server busy with it for a second or so.
    """

    key: str
    title: str
    load: Load


def _put_large(file: Path, site: Site) -> None:
    client.curl(site, "large", "--upload-file", file)


def _get_large(site: Site) -> None:
    client.curl(site, "large", "--output", os.devnull)


def _list(site: Site) -> None:
    client.list_folder(site, "listed")


def _get_small(site: Site) -> None:
    client.storm(site, "get", "small/", seconds=2, names=SMALL)


def _put_small(site: Site) -> None:
    folder = f"new-{time.monotonic_ns()}"
    client.make_collection(site, folder)
    client.storm(site, "put", f"{folder}/", seconds=2, size=SMALL_BYTES)


def run(target: Path) -> list[Path]:
    """Draw all of them into a folder.

    Raises:
        WorkFailed: py-spy is missing or may not look.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        large, small = Path(name) / "large", Path(name) / "small"
        large.write_bytes(os.urandom(MEBIBYTE) * LARGE_MEBIBYTES)
        small.write_bytes(os.urandom(SMALL_BYTES))
        flames = (
            Flame("small-get", "GET 4 KiB", _get_small),
            Flame("small-put", "PUT 4 KiB", _put_small),
            Flame("propfind", f"PROPFIND of {LISTED:,} files", _list),
            Flame("large-get", f"GET {LARGE_MEBIBYTES} MiB", _get_large),
            Flame("large-put", f"PUT {LARGE_MEBIBYTES} MiB", partial(_put_large, large)),
        )
        with serve_sealdav(Path(name) / "drive", durability="relaxed") as site:
            client.fill(site, "small", SMALL, small)
            client.fill(site, "listed", LISTED, small)
            _put_large(large, site)
            return [_draw(one, site, Path(name) / "stacks", target) for one in flames]


def _draw(flame: Flame, site: Site, stacks: Path, target: Path) -> Path:
    with _busy(flame.load, site):
        command = [
            *(clients.cache() / "bench-tools" / "bin" / "py-spy", "record", "--pid", str(site.pids[0])),
            # A server that is stopped for each look is slow, and wakes up as if all its threads had work.
            *("--nonblocking", "--subprocesses", "--nolineno", "--format", "raw", "--output", stacks),
            *("--rate", str(RATE), "--duration", str(SECONDS)),
        ]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise WorkFailed(f"py-spy: {done.stderr.strip()}")
    root = fold(stacks.read_text().splitlines(), COMMON, WAITING)
    path = target / f"{flame.key}.svg"
    path.write_text(draw(root, f"{flame.title}: {root.count:,} samples"))
    say(f"{path.name}: {root.count:,} samples, {path.stat().st_size // 1024} KiB")
    return path


class _busy:  # noqa: N801 - a context manager
    """A client at work until its block ends."""

    def __init__(self, load: Load, site: Site) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(load, site))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self, load: Load, site: Site) -> None:
        while not self._stop.is_set():
            load(site)
