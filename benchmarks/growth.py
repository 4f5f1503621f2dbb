"""How Sealdav grows: trees and folders of all sizes, clients, processes, and its memory over time.

    python -m benchmarks growth [--largest 1000000]

No peers here: what counts is one row beside the next. Files are put into the store before the server starts.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks import client, store
from benchmarks.client import Storm
from benchmarks.peers import Site
from benchmarks.planting import plant
from benchmarks.processes import MemoryWatch
from benchmarks.runner import describe, say
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.e2e.drive import Device

LARGEST: Final = 1_000_000
TREES: Final = (1_000, 100_000, 1_000_000)
"""Files in all, in folders of 1,000."""

FOLDERS: Final = (100, 1_000, 10_000, 100_000)
"""Files in one folder."""

CLIENTS: Final = (1, 2, 4, 8, 16, 32, 64)
PROCESSES: Final = (1, 2)
IN_FOLDER = 1_000
STORM_SECONDS = 3
PUT_BYTES = 4096
MEBIBYTE = 1 << 20

MIXED_SECONDS = 120
"""How long the memory of a server at work is watched."""

MIXED_MEBIBYTES = 256
"""Size of the large file that goes to and fro meanwhile."""

POINTS = 24
"""How many moments of it are kept."""


def run(folder: Path, target: Path | None, *, largest: int = LARGEST) -> dict[str, Any]:
    """Measure all of it, with the data in `folder`, and write it to a file."""
    result: dict[str, Any] = {"machine": describe()}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        here = Path(name)
        small = here / "small"
        small.write_bytes(os.urandom(PUT_BYTES))
        result["trees"] = trees(here / "trees", [count for count in TREES if count <= largest])
        result["folders"] = folders(here / "folders")
        result["clients"] = clients_at_once(here / "clients", small)
        result["memory"] = memory_over_time(here / "memory", small)
    if target:
        target.write_text(json.dumps(result, indent=1) + "\n")
    return result


@contextmanager
def serving(folder: Path, device: Device, processes: int | None = None) -> Iterator[Site]:
    """A server on a store that is there."""
    drive = store.drive(folder, durability="relaxed", processes=processes)
    drive.start()
    try:
        yield Site(drive.url, device.username, device.token, "owncloud", (drive.pid,))
        drive.stop()
    finally:
        drive.close()


def new_store(folder: Path) -> Device:
    """A store without files."""
    with store.services(folder) as built:
        return store.enrol(built)


# ── trees
def trees(folder: Path, sizes: list[int]) -> list[dict[str, float]]:
    """Small requests in one tree while it grows."""
    device, found, planted = new_store(folder), [], 0
    for size in sizes:
        begun = time.monotonic()
        with store.services(folder) as built:
            access = store.access(built)
            if not planted:
                Vault(access).make_collection(VaultPath(("tree",)))
            for number in range(planted // IN_FOLDER, size // IN_FOLDER):
                names = [str(one) for one in range(IN_FOLDER)]
                plant(access, VaultPath(("tree", str(number))), names)
        planted = size
        say(f"tree of {size:,}: planted in {time.monotonic() - begun:.0f} s")
        found.append(_one_tree(folder, device, size))
    return found


def _one_tree(folder: Path, device: Device, size: int) -> dict[str, float]:
    begun = time.monotonic()
    with serving(folder, device) as site, MemoryWatch(site.pids) as memory:
        started = time.monotonic() - begun
        _storm(site, "tree", "tree/", names=size)  # to warm up
        read = _storm(site, "tree", "tree/", names=size)
        new = f"new-{size}"
        client.make_collection(site, f"tree/{new}")
        written = _storm(site, "put", f"tree/{new}/", size=PUT_BYTES)
        listed = client.list_folder(site, "tree/0")
        return {
            "files": size,
            "start s": started,
            "GET /s": read.rate,
            "GET p99 ms": read.p99_ms,
            "PUT /s": written.rate,
            "PUT p99 ms": written.p99_ms,
            "PROPFIND of 1,000, s": listed["total"],
            "memory MB": memory.peak() / 1e6,
        }


# ── folders
def folders(folder: Path) -> list[dict[str, float]]:
    """Listings, small requests, MOVE, COPY and DELETE of one folder, of several sizes."""
    device, found = new_store(folder), []
    with store.services(folder) as built:
        access = store.access(built)
        for size in FOLDERS:
            plant(access, VaultPath((str(size),)), [str(number) for number in range(size)])
    for size in FOLDERS:
        say(f"folder of {size:,}")
        with serving(folder, device) as site:  # a new one each time, so that memory is that of this folder
            found.append(_one_folder(site, size))
    return found


def _one_folder(site: Site, size: int) -> dict[str, float]:
    with MemoryWatch(site.pids) as memory:
        answers = [client.list_folder(site, str(size)) for _ in range(3)]
        used = memory.peak()
    listed = min(answers, key=lambda answer: answer["total"])
    read = _storm(site, "get", f"{size}/", names=size)
    written = _storm(site, "put", f"{size}/new-", size=PUT_BYTES)
    moved = client.move(site, f"{size}/", f"moved-{size}/").seconds
    copied = client.move(site, f"moved-{size}/", f"{size}/", "COPY").seconds
    deleted = client.curl(site, f"moved-{size}/", "--request", "DELETE").seconds
    return {
        "files": size,
        "PROPFIND s": listed["total"],
        "µs an entry": listed["total"] * 1e6 / size,
        "first byte ms": min(answer["first"] for answer in answers) * 1e3,
        "memory MB": used / 1e6,
        "GET /s": read.rate,
        "PUT /s": written.rate,
        "MOVE s": moved,
        "COPY s": copied,
        "DELETE s": deleted,
    }


# ── clients and processes
def clients_at_once(folder: Path, small: Path) -> list[dict[str, float]]:
    """Small requests from more and more connections, to one process and to two."""
    device, found = new_store(folder), []
    for processes in PROCESSES if store.has_processes() else PROCESSES[:1]:
        with serving(folder, device, processes) as site:
            top = f"with-{processes}"
            client.fill(site, top, IN_FOLDER, small)
            for count in CLIENTS:
                say(f"{processes} processes, {count} clients")
                rows: dict[str, float] = {"processes": processes, "clients": count}
                for kind, path in (("get", f"{top}/"), ("put", f"{top}/{count}-"), ("propfind", f"{top}/")):
                    done = _storm(site, kind, path, names=IN_FOLDER, size=PUT_BYTES, at_once=count)
                    rows |= {f"{kind.upper()} /s": done.rate, f"{kind.upper()} p99 ms": done.p99_ms}
                found.append(rows)
    return found


# ── time
def memory_over_time(folder: Path, small: Path, seconds: float = MIXED_SECONDS) -> list[dict[str, float]]:
    """Memory of a server on which small and large requests of all kinds go on and on."""
    device = new_store(folder)
    large = folder / "large"
    large.write_bytes(os.urandom(MEBIBYTE) * MIXED_MEBIBYTES)
    with serving(folder, device) as site, MemoryWatch(site.pids) as memory:
        client.fill(site, "mixed", IN_FOLDER, small)
        begun = time.monotonic()
        workers = [
            threading.Thread(target=work, args=(site, large, begun + seconds))
            for work in (_to_and_fro, _many)
        ]
        for one in workers:
            one.start()
        for one in workers:
            one.join()
        say("memory over time: done")
    return _points([(moment - begun, used) for moment, used in memory.samples if moment >= begun], seconds)


def _to_and_fro(site: Site, large: Path, until: float) -> None:
    while time.monotonic() < until:
        client.curl(site, "large", "--upload-file", large)
        client.curl(site, "large", "--output", os.devnull)
        client.list_folder(site, "mixed")


def _many(site: Site, _: Path, until: float) -> None:
    number = 0
    while time.monotonic() < until:
        number += 1
        _storm(site, "get", "mixed/", names=IN_FOLDER)
        client.make_collection(site, f"new-{number}")
        _storm(site, "put", f"new-{number}/", size=PUT_BYTES)
        client.curl(site, f"new-{number}/", "--request", "DELETE")


def _points(samples: list[tuple[float, int]], seconds: float) -> list[dict[str, float]]:
    """The most memory in each of so many equal parts of the time."""
    part = seconds / POINTS
    found = []
    for number in range(POINTS):
        inside = [used for moment, used in samples if number <= moment / part < number + 1]
        if inside:
            found.append({"s": (number + 1) * part, "memory MB": max(inside) / 1e6})
    return found


def _storm(  # noqa: PLR0913 - as `client.storm`
    site: Site, kind: str, path: str, *, names: int = 1, size: int = 0, at_once: int = 8
) -> Storm:
    return client.storm(
        site, kind, path, seconds=STORM_SECONDS, clients_at_once=at_once, names=names, size=size
    )
