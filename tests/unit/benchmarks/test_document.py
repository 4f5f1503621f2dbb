"""The generated parts of docs/performance.md."""

from __future__ import annotations

import json

import pytest

from benchmarks import browsing, document
from benchmarks.document import BROWSING_JSON, GROWTH_JSON, PAGE, PEERS_JSON, browsing_text, fill, parts

PART = "before\n<!-- generated: trees -->\nold\nfigures\n<!-- end -->\nafter\n"


def test_only_generated_parts_are_replaced() -> None:
    """The prose around them stays, and filling twice is filling once."""
    filled = fill(PART, {"trees": "new"})
    assert filled == "before\n<!-- generated: trees -->\nnew\n<!-- end -->\nafter\n"
    assert fill(filled, {"trees": "new"}) == filled


def test_an_unknown_part_is_an_error() -> None:
    """A name that is misspelt on the page would otherwise keep old figures for ever."""
    with pytest.raises(KeyError):
        fill(PART, {"folders": "new"})


def test_the_page_is_what_the_figures_say() -> None:
    """docs/performance.md was written from the files that lie beside it."""
    assert json.loads(PEERS_JSON.read_text())["places"]
    assert json.loads(GROWTH_JSON.read_text())["trees"]
    assert json.loads(BROWSING_JSON.read_text())["values"]
    page = PAGE.read_text()
    assert fill(page, parts()) == page


def test_every_part_is_on_the_page() -> None:
    """Nothing is measured that nobody sees."""
    named = {part["name"] for part in document.PART.finditer(PAGE.read_text())}
    assert named == set(parts())


def test_a_missed_target_of_browsing_is_said() -> None:
    """The best round counts; one page that took too long is enough."""
    result = json.loads(BROWSING_JSON.read_text())
    for slowest, word in (([150.0, 99.0], "met"), ([150.0, 101.0], "**missed**"), ([], "not measured")):
        result["values"][browsing.SEALDAV.key]["slowest"] = slowest
        (line,) = (one for one in browsing_text(result).splitlines() if "the slowest" in one)
        assert line.endswith(f"| ≤ 100 | {word} |")
