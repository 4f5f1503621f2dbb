"""What the soak test complains of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.soak import GROWTH_BYTES, KINDS, Report

FIRST = 100_000_000
GOOD = Report(
    seconds=60.0,
    statuses=Counter({200: 3, 201: 4}),
    acknowledged=4,
    failures=[],
    lost=[],
    verified=True,
    first=FIRST,
    last=FIRST + GROWTH_BYTES,
    most=FIRST * 2,
    samples=(),
)


def test_a_server_that_stood_it_is_not_complained_of() -> None:
    """Memory may vary within its margin."""
    assert GOOD.complaints == []
    assert "200: 3, 201: 4" in str(GOOD)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (replace(GOOD, failures=["PUT x: 500"]), "failed: PUT x: 500"),
        (replace(GOOD, lost=["x"]), "lost: x"),
        (replace(GOOD, verified=False), "verify found damage"),
        (replace(GOOD, last=GOOD.last + 1), "memory grew from 100.0 to 116.0 MB"),
        (replace(GOOD, acknowledged=0), "nothing was written"),
    ],
    ids=["failure", "loss", "damage", "leak", "idle"],
)
def test_each_broken_promise_is_told(bad: Report, words: str) -> None:
    """One complaint each, which the text ends with."""
    assert bad.complaints == [words]
    assert str(bad).endswith(words)


def test_there_are_as_many_clients_as_promised() -> None:
    """64, and half of them keep to the rules."""
    assert sum(KINDS.values()) == 64
    assert sum(KINDS[kind] for kind in ("steady", "rclone", "curl")) == 32
