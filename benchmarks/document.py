"""Writes the generated parts of docs/performance.md from the figures beside it; the prose is left as it is.

    python -m benchmarks document

A generated part lies between `<!-- generated: NAME -->` and `<!-- end -->`. All numbers are in one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks import browsing, runner, work
from benchmarks.table import NOTHING, Column, draw, short
from benchmarks.work import Job

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
FOLDER = ROOT / "docs" / "performance"
PEERS_JSON = FOLDER / "peers.json"
GROWTH_JSON = FOLDER / "growth.json"
BROWSING_JSON = FOLDER / "browsing.json"
NAMES: Final = (
    *("machine", "memory", "disk", "processor", "client", "trees", "folders", "clients", "time"),
    "browsing",
)
"""All generated parts, as the measurements make them."""

PART = re.compile(r"(<!-- generated: (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
SCALES: Final = {"full": work.FULL, "quick": work.QUICK}

PLACES: Final = {
    "memory": ("Data on tmpfs", "relaxed"),
    "disk": ("Data on a disk", "full"),
}
"""What each is called, and which Sealdav has the targets there."""


def write() -> None:
    """Put the figures into the page."""
    PAGE.write_text(fill(PAGE.read_text(), parts()))


def fill(page: str, texts: Mapping[str, str]) -> str:
    """The page with each generated part replaced by its text.

    Raises:
        KeyError: a part has a name that nobody knows.
    """

    def filled(part: re.Match[str]) -> str:
        return f"{part[1]}{texts[part['name']]}\n{part[3]}"

    return PART.sub(filled, page)


def parts() -> dict[str, str]:
    """Every generated part by name; of figures that were not taken yet it says so."""
    measured, grown, browsed = _load(PEERS_JSON), _load(GROWTH_JSON), _load(BROWSING_JSON)
    missing = "Not measured yet: `make bench`."
    texts = dict.fromkeys(NAMES, missing)
    if measured:
        texts["machine"] = machine_text(measured)
        for place in measured["places"]:
            texts[place] = _place_text(measured, place)
        texts["processor"] = cpu_text(measured)
        texts["client"] = client_text(measured)
    if grown:
        for name in ("trees", "folders", "clients"):
            texts[name] = records_text(grown[name])
        texts["time"] = records_text(grown["memory"])
    if browsed:
        texts["browsing"] = browsing_text(browsed)
    return texts


# ── the table of peers
def peers_text(result: Mapping[str, Any]) -> str:
    """All that there is to say of a run, for a terminal."""
    tables = [f"{PLACES[place][0]}:\n\n{_place_text(result, place)}" for place in result["places"]]
    return "\n\n".join([machine_text(result), *tables, cpu_text(result), client_text(result)])


def machine_text(result: Mapping[str, Any]) -> str:
    """Where and when."""
    machine = result["machine"]
    rounds = {PLACES[place][0]: figures["rounds"] for place, figures in result["places"].items()}
    said = [
        f"{machine['when']}, commit {machine['commit']}",
        f"{machine['cores']} cores of {machine['processor']}, Linux {machine['kernel']}",
        f"Python {machine['python']}, processes of Sealdav: {machine['processes']}",
        f"load of the machine when it began: {machine['load']:.1f}",
        *(f"{place}: best of {count}" for place, count in rounds.items()),
    ]
    return "; ".join(said) + "."


def _place_text(result: Mapping[str, Any], place: str) -> str:
    figures = result["places"][place]
    rows = [job.row for job in _jobs(result)]
    return draw(rows, _columns(figures), figures["values"], PLACES[place][1], figures["why"])


def cpu_text(result: Mapping[str, Any]) -> str:
    """Processor time of the servers, by unit of work: what holds on a busy machine, too."""
    figures = next(iter(result["places"].values()))
    columns = _columns(figures)
    lines = [
        ["work", "unit", *(column.title for column in columns)],
        ["---", "---", *("--:" for _ in columns)],
    ]
    for job in _jobs(result):
        if job.per:
            unit, factor = ("ms a GB", 1e3) if job.per == "GB" else (f"µs a {job.per}", 1e6)
            values = [figures["cpu"].get(column.key, {}).get(job.row.key, ()) for column in columns]
            cells = [short(factor * min(some)) if some else NOTHING for some in values]
            lines.append([job.row.title.rpartition(",")[0], unit, *cells])
    return _markdown(lines)


def _columns(figures: Mapping[str, Any]) -> list[Column]:
    return runner.columns({*figures["values"], *figures["why"]})


def client_text(result: Mapping[str, Any]) -> str:
    """How busy the client was where the server was fastest."""
    found = []
    for job in _jobs(result):
        shares = [
            max(values)
            for place in result["places"].values()
            for rows in place["client"].values()
            if (values := rows.get(job.row.key))
        ]
        if most := max(shares, default=0.0):
            found.append(f"{job.row.title.partition(',')[0]} {most:.0%}")
    return "Most processor time that a client took, of one core: " + "; ".join(found) + "."


def _jobs(result: Mapping[str, Any]) -> Sequence[Job]:
    return work.jobs(SCALES[result["scale"]])


# ── folders in the browser
def browsing_text(result: Mapping[str, Any]) -> str:
    """What is asked for and what there is."""
    machine, sealdav = result["machine"], browsing.SEALDAV
    said = [
        f"{result['files']:,} files; {machine['when']}, commit {machine['commit']}",
        f"{machine['cores']} cores of {machine['processor']}",
        f"load of the machine when it began: {machine['load']:.1f}",
        f"best of {result['rounds']} rounds",
    ]
    table = draw(browsing.ROWS, [sealdav], result["values"], sealdav.key, {})
    return f"{'; '.join(said)}.\n\n{table}"


# ── growth
def records_text(records: Sequence[Mapping[str, float]]) -> str:
    """A table with a line for each record."""
    if not records:
        return "Not measured."
    head = list(records[0])
    lines = [head, ["--:"] * len(head)]
    lines += [
        [f"{value:,.0f}" if value == int(value) else short(value) for value in one.values()]
        for one in records
    ]
    return _markdown(lines)


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _load(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found
