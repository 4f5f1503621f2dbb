"""Trash and previous versions against plain objects: whatever is done, both hold and count the same.

With a quota that is soon used up, so that the oldest of what is kept has to give way all the time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines import run_machine
from tests.property.history_machine import QUOTA, STEPS, HistoryMachine
from tests.unit.vault.store import make_store

RUNS = 60
STEPS_A_RUN = 50
FEWEST_STEPS = 1200

OUTCOMES = {
    *("put: done", "overwrite: done", "overwrite: refused", "move: over", "copy: over", "copy: refused"),
    *("restore: done", "restore: elsewhere", "revert: done", "purge: done", "purge version: done"),
    *("empty: done", "collect: something", "collect: done"),
}
"""What has to have happened for this to prove anything."""


@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_nothing_disappears_that_should_not(tmp_path: Path) -> None:
    """For any sequence of requests: what is kept, in which order it gives way, and where it comes back."""
    template = make_store(tmp_path)
    template.accounts.set_quota("alice", QUOTA)
    template.close()
    HistoryMachine.template = tmp_path
    HistoryMachine.outcomes.clear()
    run_machine(HistoryMachine, runs=RUNS, steps_a_run=STEPS_A_RUN, is_proven=is_proven)


def is_proven() -> bool:
    """Whether enough has happened, of each kind and with each outcome."""
    return (
        HistoryMachine.outcomes.total() >= FEWEST_STEPS
        and {outcome.partition(":")[0] for outcome in HistoryMachine.outcomes} == set(STEPS)
        and set(HistoryMachine.outcomes) >= OUTCOMES
    )
