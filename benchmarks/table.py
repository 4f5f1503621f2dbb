"""From figures to the table: the best of several, ratios, which target is met. Pure; draws Markdown.

A figure that is missing stays missing: its cell says why, and no target is met by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

NOTHING = "-"


class Direction(Enum):
    """Whether more or less of a row's unit is better."""

    MORE = auto()
    LESS = auto()


@dataclass(frozen=True, slots=True)
class Target:
    """What has to be reached.

    Attributes:
        times: at least so many times better than the best server that encrypts.
        at_most: or so much, whatever others do.
    """

    times: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work.

    Attributes:
        key: what it is called in files.
        title: what it is called in the table, with its unit.
        direction: what is better.
        target: what has to be reached, if anything.
    """

    key: str
    title: str
    direction: Direction
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One server: its key, its title, whether it encrypts and whether it is ours."""

    key: str
    title: str
    encrypts: bool
    ours: bool


Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""All measurements by server and row. What could not be measured is not there."""


def best(values: Iterable[float], direction: Direction) -> float | None:
    """The best of several runs; None if there was none."""
    return (max if direction is Direction.MORE else min)(values, default=None)


def times_better(ours: float | None, theirs: float | None, direction: Direction) -> float | None:
    """How many times better ours is, whatever the direction; None if one is missing or 0."""
    if not ours or not theirs:
        return None
    return ours / theirs if direction is Direction.MORE else theirs / ours


def figure(figures: Figures, column: str, key: str, direction: Direction) -> float | None:
    """The best of what one server did."""
    return best(figures.get(column, {}).get(key, ()), direction)


def best_encrypting(figures: Figures, row: Row, columns: Sequence[Column]) -> float | None:
    """The best of the servers of others that encrypt."""
    theirs = [one.key for one in columns if one.encrypts and not one.ours]
    found = [figure(figures, key, row.key, row.direction) for key in theirs]
    return best((one for one in found if one is not None), row.direction)


def verdict(figures: Figures, row: Row, columns: Sequence[Column], ours: str) -> tuple[str, bool | None]:
    """What is asked for and whether it is met; None where nothing is, or nothing can be said."""
    target, own = row.target, figure(figures, ours, row.key, row.direction)
    if target is None:
        return "", None
    if target.at_most is not None:
        return f"≤ {short(target.at_most)}", None if own is None else own <= target.at_most
    wanted = target.times or 1.0
    ratio = times_better(own, best_encrypting(figures, row, columns), row.direction)
    return f"≥ {wanted:g}x", None if ratio is None else ratio >= wanted


def draw(
    rows: Sequence[Row], columns: Sequence[Column], figures: Figures, ours: str, why: Mapping[str, str]
) -> str:
    """The table, and below it why something is missing.

    Args:
        rows: from top to bottom.
        columns: from left to right.
        figures: what was measured.
        ours: the key of the column that is held against the others and has the targets.
        why: reasons by "column" or "column/row".
    """
    head = ["work", *(column.title for column in columns), "target", ""]
    lines = [head, ["---", *("--:" for _ in columns), "--:", "---"]]
    for row in rows:
        own = figure(figures, ours, row.key, row.direction)
        cells = [_cell(figures, row, column, own) for column in columns]
        wanted, met = verdict(figures, row, columns, ours)
        ratio = times_better(own, best_encrypting(figures, row, columns), row.direction)
        reached = f", {ratio:.2f}x" if ratio is not None and row.target and row.target.times else ""
        word = "" if not wanted else "not measured" if met is None else "met" if met else "**missed**"
        lines.append([row.title, *cells, wanted, word + (reached if word else "")])
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return table + "".join(f"\n\n{line}" for line in _reasons(rows, columns, why))


def short(value: float) -> str:
    """Three digits that count."""
    if value >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"  # noqa: PLR2004


def _cell(figures: Figures, row: Row, column: Column, own: float | None) -> str:
    value = figure(figures, column.key, row.key, row.direction)
    if value is None:
        return NOTHING
    ratio = None if column.ours else times_better(own, value, row.direction)
    return short(value) + (f" ({ratio:.2f}x)" if ratio is not None else "")


def _reasons(rows: Sequence[Row], columns: Sequence[Column], why: Mapping[str, str]) -> Iterable[str]:
    for column in columns:
        if column.key in why:
            yield f"{column.title}: not measured, {why[column.key]}."
        for row in rows:
            if reason := why.get(f"{column.key}/{row.key}"):
                yield f"{column.title}, {row.title}: not measured, {reason}."
