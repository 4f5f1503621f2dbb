"""The rows of the table: what is asked of every server, by whom, and what Sealdav has to reach.

The targets are those of the project's paper on performance: beside the best server that encrypts, or so many
megabytes. A row without a target is there so that nothing is hidden. Called by the runner.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import client
from benchmarks.client import Run
from benchmarks.peers import Site
from benchmarks.processes import MemoryWatch
from benchmarks.table import Direction, Row, Target

MEBIBYTE = 1 << 20
MEGABYTE = 10**6
SMALL_BYTES = 4096
RANGE_BYTES = 65_536
MOVED = 1000
"""Files that take turns in being moved about: no request on its way is ever overtaken by so many others."""

READ = 1000
"""Files that small GETs take turns on."""

MOST_MEGABYTES = 150
"""What Sealdav may take, with as many processes as it starts by itself on two cores."""

ADDED_EACH = 4.0
"""Megabytes that one more large upload may add."""

LARGE_FILES = 4
"""Large files beside those that arrive at once: what is sent, what was, and room to breathe."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much work there is.

    Attributes:
        rounds: how often each server does all of it; the best counts.
        mebibytes: size of a large file.
        seconds: how long a storm of small requests lasts.
        listed: files in the folder that is listed.
        copied: files that rclone copies.
        at_once: large files that arrive at once.
        budget: seconds after which no further round is begun that would probably not end in time.
    """

    rounds: int
    mebibytes: int
    seconds: float
    listed: int
    copied: int
    at_once: int
    budget: float

    @property
    def room(self) -> int:
        """Bytes that all of it takes at most."""
        return (self.at_once + LARGE_FILES) * self.mebibytes * MEBIBYTE


FULL: Final = Scale(3, mebibytes=1024, seconds=3, listed=10_000, copied=2_000, at_once=8, budget=3600)
QUICK: Final = Scale(3, mebibytes=128, seconds=1, listed=1_000, copied=200, at_once=8, budget=165)


@dataclass(frozen=True, slots=True)
class Material:
    """What is sent: made once, the same for every server.

    Attributes:
        large, small: files.
        many: a folder of small ones.
        sha1: of the large one, in hexadecimal.
    """

    large: Path
    small: Path
    many: Path
    sha1: str


def prepare(folder: Path, scale: Scale) -> Material:
    """Make what is sent."""
    random_bytes = random.Random(7).randbytes
    large, small, many = folder / "large", folder / "small", folder / "many"
    digest = hashlib.sha1(usedforsecurity=False)
    with large.open("wb") as file:
        for _ in range(scale.mebibytes):
            block = random_bytes(MEBIBYTE)
            digest.update(block)
            file.write(block)
    small.write_bytes(random_bytes(SMALL_BYTES))
    for number in range(scale.copied):
        path = many / f"folder {number % 20}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random_bytes(SMALL_BYTES))
    return Material(large, small, many, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Task:
    """One server at work.

    Attributes:
        site: where it is.
        scale, material: what there is to do.
        memory: what looks at its memory.
    """

    site: Site
    scale: Scale
    material: Material
    memory: MemoryWatch


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement.

    Attributes:
        value: in the unit of its row.
        work: how much was done, in what `Job.per` names.
        client: share of one processor that the client took; 0 where it does not matter.
        notes: anything else that was seen, by name.
    """

    value: float
    work: float
    client: float = 0.0
    notes: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """A row, and how its figure is come by.

    Attributes:
        row: what the table says of it.
        per: the unit of work for which processor time of the server is given, or "".
        measure: does it once.
        prepare: what has to be there before, and does not count.
        once: whether the first round is enough: it takes long, and is about memory and not about speed.
    """

    row: Row
    per: str
    measure: Callable[[Task], Measured]
    prepare: Callable[[Task], object] = lambda _: None
    once: bool = False


# ── large files
def _put_large(task: Task) -> Measured:
    return _rate(task, client.curl(task.site, "large", "--upload-file", task.material.large))


def _put_large_sha1(task: Task) -> Measured:
    checksum = f"OC-Checksum: SHA1:{task.material.sha1}"
    done = client.curl(task.site, "checked", "--upload-file", task.material.large, "--header", checksum)
    client.curl(task.site, "checked", "--request", "DELETE")
    return _rate(task, done)


def _get_large(task: Task) -> Measured:
    return _rate(task, client.curl(task.site, "large", "--output", os.devnull))


def _put_at_once(task: Task) -> Measured:
    """How much more memory the server has while large files arrive at once than before."""
    before, begun = task.memory.samples[-1][1], time.monotonic()

    def put(number: int) -> Run:
        return client.curl(task.site, f"at-once-{number}", "--upload-file", task.material.large)

    with ThreadPoolExecutor(task.scale.at_once) as pool:
        list(pool.map(put, range(task.scale.at_once)))
    seconds = time.monotonic() - begun
    added = max(0, task.memory.peak(begun) - before)
    total = task.scale.at_once * task.scale.mebibytes * MEBIBYTE
    for number in range(task.scale.at_once):
        client.curl(task.site, f"at-once-{number}", "--request", "DELETE")
    return Measured(added / MEGABYTE, total / 1e9, notes=(("MB/s", total / seconds / 1e6),))


def _rate(task: Task, done: Run) -> Measured:
    size = task.scale.mebibytes * MEBIBYTE
    return Measured(size / 1e6 / done.seconds, size / 1e9, done.cpu / done.seconds)


# ── small requests
def _storm(
    kind: str, path: str, *, names: int = 1, size: int = 0, requests_each: int = 1
) -> Callable[[Task], Measured]:
    """So many of one kind as the server answers; `requests_each` of them are one piece of work."""

    def measure(task: Task) -> Measured:
        whole = task.scale.mebibytes * MEBIBYTE
        seconds = task.scale.seconds
        done = client.storm(task.site, kind, path, seconds=seconds, names=names, size=size, whole=whole)
        notes = (("median ms", done.median_ms), ("p99 ms", done.p99_ms))
        return Measured(done.rate / requests_each, done.requests / requests_each, done.cpu_share, notes)

    return measure


def _filled(folder: str, count: int) -> Callable[[Task], None]:
    return lambda task: client.fill(task.site, folder, count, task.material.small)


def _made(folder: str) -> Callable[[Task], None]:
    return lambda task: client.make_collection(task.site, folder)


def _to_be_moved(task: Task) -> None:
    client.make_collection(task.site, "moved")
    client.curl(task.site, f"moved/[0-{MOVED - 1}]-0", *client.MANY, task.material.small)


# ── folders
def _list(task: Task) -> Measured:
    """The best of three: one is over in a moment."""
    answers = [client.list_folder(task.site, "listed") for _ in range(3)]
    best = min(answers, key=lambda answer: answer["total"])
    return Measured(best["total"], 0, notes=(("first byte s", best["first"]), ("bytes", best["bytes"])))


def _copy(task: Task) -> Measured:
    done = client.rclone_copy(task.site, task.material.many, "copied")
    return Measured(task.scale.copied / done.seconds, task.scale.copied, done.cpu / done.seconds)


def _peak(task: Task) -> Measured:
    """Of everything so far, but for large files that arrive at once, which have a row of their own."""
    return Measured(task.memory.peak() / MEGABYTE, 0)


def jobs(scale: Scale) -> tuple[Job, ...]:
    """The rows, in the order in which they are measured."""
    more, less = Direction.MORE, Direction.LESS
    listed, copied = f"{scale.listed:,}", f"{scale.copied:,}"
    size = f"{scale.mebibytes} MiB" if scale.mebibytes % 1024 else f"{scale.mebibytes // 1024} GiB"
    flat = Target(at_most=ADDED_EACH * scale.at_once)

    def row(key: str, title: str, direction: Direction = more, target: Target | None = None) -> Row:
        return Row(key, title, direction, target)

    def times(key: str, title: str, wanted: float, direction: Direction = more) -> Row:
        return Row(key, title, direction, Target(times=wanted))

    get, put, find = _storm("get", "read/", names=READ), _storm("put", "new/", size=SMALL_BYTES), "propfind"
    return (
        Job(times("put_large", f"PUT {size}, MB/s", 2.3), "GB", _put_large),
        Job(times("put_large_sha1", f"PUT {size} with its SHA-1, MB/s", 1.5), "GB", _put_large_sha1),
        Job(times("get_large", f"GET {size}, MB/s", 2.5), "GB", _get_large),
        Job(row("range", "GET of 64 KiB in it, /s"), "request", _storm("range", "large", size=RANGE_BYTES)),
        Job(times("get_small", "GET 4 KiB, /s", 1.2), "request", get, _filled("read", READ)),
        Job(row("find", "PROPFIND of a file, /s"), "request", _storm(find, "read/", names=READ)),
        Job(times("put_small", "PUT 4 KiB to new names, /s", 1.0), "request", put, _made("new")),
        Job(row("mkcol", "MKCOL, /s"), "request", _storm("mkcol", "made/"), _made("made")),
        Job(row("move", "MOVE, /s"), "request", _storm("move", "moved/", names=MOVED), _to_be_moved),
        Job(
            row("delete", "PUT 4 KiB and DELETE, pairs/s"),
            "pair",
            _storm("delete", "deleted/", size=SMALL_BYTES, requests_each=2),
            _made("deleted"),
        ),
        Job(
            times("list", f"PROPFIND of {listed} files, s", 2.0, less),
            "",
            _list,
            _filled("listed", scale.listed),
        ),
        Job(times("copy", f"rclone copy of {copied} files, files/s", 1.0), "file", _copy),
        Job(row("memory", "most memory in all of it, MB", less, Target(at_most=MOST_MEGABYTES)), "", _peak),
        Job(
            row("at_once", f"{scale.at_once} PUTs of {size} at once add, MB", less, flat),
            "GB",
            _put_at_once,
            once=True,
        ),
    )
