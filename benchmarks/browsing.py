"""A folder of 100,000 files in the browser: the first sorted page, the next ones, a search, and their weight.

    python -m benchmarks browsing

The server has its processes, and each request has a connection of its own, so that it meets any of them. Each
round begins with processes that have sorted nothing. Called by hand and by `make bench`.
"""

from __future__ import annotations

import http.client
import json
import re
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import store
from benchmarks.client import WorkFailed
from benchmarks.planting import plant
from benchmarks.runner import describe, say
from benchmarks.table import Column, Direction, Row, Target
from davserver.settings import ServerSettings
from davserver.vault.orders import Order
from davserver.vault.paths import VaultPath
from enroll_web.visit import HTTP_COOKIE
from tests.e2e.drive import Drive

FILES = 100_000
ROUNDS = 3
PAGES = 20
"""So many pages after the first one are looked at in each order."""

ENTRIES_A_PAGE = 100
FOLDER = "Pictures"
MANY = 1000
"""Connections after which each process should have got one."""

PATIENCE_SECONDS = 60
ASSET = re.compile(rb'<(?:link|script|img)[^>]* (?:href|src)="(/static/[^"]+)"')

SEALDAV: Final = Column("sealdav", "Sealdav", encrypts=True, ours=True)
ROWS: Final = (
    *(
        Row(f"first by {order.value}", f"first page by {order.value}, s", Direction.LESS, Target(at_most=1))
        for order in Order
    ),
    Row("next", f"next pages, median of {PAGES * len(Order)}, ms", Direction.LESS),
    Row("slowest", "next pages, the slowest of them, ms", Direction.LESS, Target(at_most=100)),
    Row("search", "search through all of it, s", Direction.LESS),
    Row("page", "first page, KB", Direction.LESS),
    Row("weight", "first page with all that it loads, KB", Direction.LESS, Target(at_most=100)),
    Row("processes", "processes that answered", Direction.MORE),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser got.

    Attributes:
        seconds: from the connection to the last byte.
        body: all of it, as it came over the line; what is not a page may be compressed.
    """

    seconds: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Browser:
    """Somebody who is signed in, as far as a server can tell: a cookie.

    Attributes:
        port: where the site is, on this machine.
        secret: what the cookie holds.
    """

    port: int
    secret: str

    def get(self, address: str) -> Answer:
        """Look at a page, on a connection of its own.

        Raises:
            WorkFailed: it is no page.
        """
        begun = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        with closing(connection):
            fields = {"Cookie": f"{HTTP_COOKIE}={self.secret}", "Accept-Encoding": "gzip"}
            connection.request("GET", address, headers=fields)
            answer = connection.getresponse()
            body = answer.read()
        if answer.status != http.client.OK:
            raise WorkFailed(f"{address}: {answer.status}")
        return Answer(time.perf_counter() - begun, body)


def run(folder: Path, target: Path | None, *, files: int = FILES, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure it, with the data in `folder`, and write it to a file.

    Raises:
        WorkFailed: an answer was no page, or not the one that was asked for.
    """
    result: dict[str, Any] = {"machine": describe(), "files": files, "rounds": rounds}
    figures: dict[str, list[float]] = {row.key: [] for row in ROWS}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        here = Path(name)
        with store.services(here) as built:
            store.enrol(built)
            secret = store.sign_in(built)
            plant(store.access(built), VaultPath((FOLDER,)), [_name(number) for number in range(files)])
        for number in range(rounds):
            say(f"folder of {files:,} in the browser: round {number + 1} of {rounds}")
            for key, value in _one_round(here, secret, files).items():
                figures[key].append(value)
    result["values"] = {SEALDAV.key: figures}
    if target:
        target.write_text(json.dumps(result, indent=1) + "\n")
    return result


def _one_round(folder: Path, secret: str, files: int) -> dict[str, float]:
    drive = store.drive(folder, durability="relaxed")
    drive.log.unlink(missing_ok=True)  # of the round before: who answers is read in it
    drive.start()
    try:
        browser = Browser(drive.port, secret)
        _warm_up(browser, drive)
        found = _look_around(browser, files)
        found["processes"] = len(drive.answering)
        drive.stop()
        return found
    finally:
        drive.close()


def _warm_up(browser: Browser, drive: Drive) -> None:
    """Look at pages until each process has shown one: with its first it reads the templates."""
    for _ in range(MANY):
        browser.get("/files/")
        if len(drive.answering) == ServerSettings().processes:
            return
    raise WorkFailed("one of the processes does not answer")


def _look_around(browser: Browser, files: int) -> dict[str, float]:
    found, later = dict[str, float](), list[float]()
    for order in Order:
        address = f"/files/{FOLDER}/?sort={order.value}"
        first = browser.get(address)
        found |= {f"first by {order.value}": first.seconds, "page": len(first.body) / 1e3}
        for number in range(2, PAGES + 2):
            page = browser.get(f"{address}&page={number}")
            later.append(page.seconds * 1e3)
            if order is Order.NAME:
                _require(page, ENTRIES_A_PAGE * (number - 1))
    loaded = {asset.decode() for asset in ASSET.findall(first.body)}
    weight = len(first.body) + sum(len(browser.get(asset).body) for asset in loaded)
    search = browser.get(f"/search/{FOLDER}/?name={files - 1}")
    _require(search, files - 1)
    return found | {
        "next": statistics.median(later),
        "slowest": max(later),
        "search": search.seconds,
        "weight": weight / 1e3,
    }


def _require(page: Answer, number: int) -> None:
    if f">{_name(number)}<".encode() not in page.body:
        raise WorkFailed(f"file {number} is not where it should be")


def _name(number: int) -> str:
    return f"Picture {number}.jpg"
