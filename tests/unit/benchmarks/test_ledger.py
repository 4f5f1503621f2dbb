"""The soak test's ledger: what counts as lost."""

from __future__ import annotations

from benchmarks.ledger import Ledger


def test_what_was_acknowledged_and_is_there_is_not_lost() -> None:
    """The last acknowledged content, and that a file is gone, are what is expected."""
    ledger = Ledger()
    ledger.settle("kept", "1")
    ledger.settle("kept", "2")
    ledger.settle("removed", "1")
    ledger.settle("removed", None)
    assert ledger.lost({"kept": "2"}) == []
    assert ledger.acknowledged == 4


def test_an_older_content_is_lost() -> None:
    """So are a missing file, a file that was removed and is there, and one that nobody wrote."""
    ledger = Ledger()
    ledger.settle("older", "1")
    ledger.settle("older", "2")
    ledger.settle("missing", "1")
    ledger.settle("back", None)
    found = {"older": "1", "back": "1", "nobody's": "1"}
    assert ledger.lost(found) == ["back", "missing", "older", "nobody's"]


def test_an_unanswered_change_may_have_happened() -> None:
    """Either content is accepted until the next answer, and no third one."""
    ledger = Ledger()
    ledger.settle("file", "1")
    ledger.attempt("file", "2")
    assert ledger.lost({"file": "1"}) == ledger.lost({"file": "2"}) == []
    assert ledger.lost({"file": "3"}) == ledger.lost({}) == ["file"]
    ledger.settle("file", "4")
    assert ledger.lost({"file": "2"}) == ["file"]


def test_a_new_file_that_was_not_answered_may_be_missing() -> None:
    """Nothing was there before, and nothing may be there now."""
    ledger = Ledger()
    ledger.attempt("new", "1")
    assert ledger.lost({}) == ledger.lost({"new": "1"}) == []
