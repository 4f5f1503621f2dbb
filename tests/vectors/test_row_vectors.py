"""Every case in rows.json, read by our code and by the independent implementation: the same comes out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from davserver.db.rows import column_names
from tests.vectors import ours, theirs
from tests.vectors.case_file import ROWS, Case, cases_of

CASES = cases_of(ROWS)

READERS: dict[str, tuple[Callable[[Case], object], tuple[type[Exception], ...]]] = {
    "ours": (ours.read, ours.REFUSALS),
    "theirs": (theirs.read, theirs.REFUSALS),
}


@pytest.mark.parametrize("implementation", READERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['what']}: {case['title']}")
def test_a_case_ends_as_it_says(case: Case, implementation: str) -> None:
    """What is sound gives the result; what is altered anywhere is refused, and not by an accident."""
    read, refusals = READERS[implementation]
    if case["result"] is not None:
        assert read(case) == case["result"]
        return
    with pytest.raises(refusals):
        read(case)


def test_every_column_of_every_authenticated_row_is_altered() -> None:
    """No table and no column of it has been forgotten: each is the difference of a case that is refused."""
    altered: dict[str, set[str]] = {}
    sound = {case["table"]: case["columns"] for case in CASES if case["what"] == "row" and case["result"]}
    for case in CASES:
        if case["what"] == "row" and case["result"] is None:
            changed = {name for name, value in sound[case["table"]].items() if case["columns"][name] != value}
            altered.setdefault(case["table"], set()).update(changed if len(changed) == 1 else ())
    covered = {
        table: {name for name in column_names(row) if name != "mac" and name not in row.UNCOVERED}
        for table, row in ours.ROW_TYPES.items()
    }
    assert altered == covered


@pytest.mark.parametrize("what", {case["what"] for case in CASES})
def test_every_kind_has_sound_and_altered_cases(what: str) -> None:
    """A reader that takes everything fails, and so does one that takes nothing."""
    results = [case["result"] for case in CASES if case["what"] == what]
    assert None in results
    assert any(result is not None for result in results)
