"""The generated parts of docs/performance.md."""

from __future__ import annotations

import json

import pytest

from benchmarks import document
from benchmarks.document import GROWTH_JSON, PAGE, PEERS_JSON, fill, parts

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
    page = PAGE.read_text()
    assert fill(page, parts()) == page


def test_every_part_is_on_the_page() -> None:
    """Nothing is measured that nobody sees."""
    named = {part["name"] for part in document.PART.finditer(PAGE.read_text())}
    assert named == set(parts())
