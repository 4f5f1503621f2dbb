"""The benchmark's table: the best of several runs, ratios, and which target is met."""

from __future__ import annotations

import pytest

from benchmarks.table import (
    Column,
    Direction,
    Row,
    Target,
    best,
    best_encrypting,
    draw,
    short,
    times_better,
    verdict,
)

COLUMNS = [
    Column("plain", "Plain", encrypts=False, ours=False),
    Column("one", "One", encrypts=True, ours=False),
    Column("two", "Two", encrypts=True, ours=False),
    Column("own", "Own", encrypts=True, ours=True),
]
SPEED = Row("speed", "speed, MB/s", Direction.MORE, Target(times=2.0))
DELAY = Row("delay", "delay, s", Direction.LESS, Target(times=2.0))
MEMORY = Row("memory", "memory, MB", Direction.LESS, Target(at_most=150))
FREE = Row("free", "free, /s", Direction.MORE)

FIGURES = {
    "plain": {"speed": [1000.0], "delay": [0.1], "memory": [10.0]},
    "one": {"speed": [50.0, 100.0, 70.0], "delay": [3.0, 2.0]},
    "two": {"speed": [90.0], "delay": [4.0]},
    "own": {"speed": [150.0, 200.0], "delay": [1.0, 1.5], "memory": [160.0, 140.0], "free": [7.0]},
}


def test_the_best_of_several_counts() -> None:
    """The most or the least, as the row says; of nothing there is no best."""
    assert best([2.0, 3.0, 1.0], Direction.MORE) == 3
    assert best([2.0, 3.0, 1.0], Direction.LESS) == 1
    assert best([], Direction.MORE) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "direction", "ratio"),
    [
        (200.0, 100.0, Direction.MORE, 2.0),
        (2.0, 1.0, Direction.LESS, 0.5),
        (None, 1.0, Direction.MORE, None),
        (1.0, None, Direction.LESS, None),
        (0.0, 1.0, Direction.LESS, None),
    ],
)
def test_more_than_one_is_better(
    ours: float | None, theirs: float | None, direction: Direction, ratio: float | None
) -> None:
    """Whatever the direction; without both figures there is no ratio."""
    assert times_better(ours, theirs, direction) == ratio


def test_who_does_not_encrypt_sets_no_target() -> None:
    """The best of others that encrypt, each by its best run; our own do not count either."""
    assert best_encrypting(FIGURES, SPEED, COLUMNS) == 100
    assert best_encrypting(FIGURES, DELAY, COLUMNS) == 2
    assert best_encrypting(FIGURES, FREE, COLUMNS) is None


def test_a_target_is_met_at_its_very_edge_and_missed_below() -> None:
    """Twice as fast, half the time, at most so much: and not a bit less."""
    assert verdict(FIGURES, SPEED, COLUMNS, "own") == ("≥ 2x", True)
    assert verdict(FIGURES, DELAY, COLUMNS, "own") == ("≥ 2x", True)
    assert verdict(FIGURES, MEMORY, COLUMNS, "own") == ("≤ 150", True)
    slower = {**FIGURES, "own": {"speed": [199.0], "delay": [1.01], "memory": [150.1]}}
    for row in (SPEED, DELAY, MEMORY):
        assert verdict(slower, row, COLUMNS, "own")[1] is False


def test_nothing_is_met_by_what_is_missing() -> None:
    """Without a figure of ours, or of any peer, or without a target, nothing can be said."""
    assert verdict({"one": {"speed": [1.0]}}, SPEED, COLUMNS, "own")[1] is None
    assert verdict({"own": {"speed": [1.0]}}, SPEED, COLUMNS, "own")[1] is None
    assert verdict({}, MEMORY, COLUMNS, "own")[1] is None
    assert verdict(FIGURES, FREE, COLUMNS, "own") == ("", None)


def test_the_table_names_what_is_missing_and_why() -> None:
    """A server that cannot be measured keeps its column, and the reason stands below."""
    text = draw(
        [SPEED, MEMORY, FREE], COLUMNS, FIGURES, "own", {"two": "it is not here", "one/memory": "it broke"}
    )
    lines = text.splitlines()
    assert lines[0] == "| work | Plain | One | Two | Own | target |  |"
    assert (
        lines[2] == "| speed, MB/s | 1,000 (0.20x) | 100 (2.00x) | 90.0 (2.22x) | 200 | ≥ 2x | met, 2.00x |"
    )
    assert lines[3] == "| memory, MB | 10.0 (0.07x) | - | - | 140 | ≤ 150 | met |"
    assert lines[4] == "| free, /s | - | - | - | 7 |  |  |"
    assert "Two: not measured, it is not here." in lines
    assert "One, memory, MB: not measured, it broke." in lines


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.6, "12,346"), (100.0, "100"), (99.94, "99.9"), (9.994, "9.99"), (0.0123, "0.0123")],
)
def test_three_digits_that_count(value: float, text: str) -> None:
    """Large figures without decimals, small ones with as many as they need."""
    assert short(value) == text
