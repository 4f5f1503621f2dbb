"""Trash and previous versions against plain objects: whatever is done, both hold and count the same.

With a quota that is soon used up, so that the oldest of what is kept has to give way all the time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

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
    run_state_machine_as_test(
        HistoryMachine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=STEPS_A_RUN,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    assert HistoryMachine.outcomes.total() >= FEWEST_STEPS
    assert {outcome.partition(":")[0] for outcome in HistoryMachine.outcomes} == set(STEPS)
    assert set(HistoryMachine.outcomes) >= OUTCOMES
