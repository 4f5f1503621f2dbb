"""Uploads in parts against plain objects: whatever two processes do, in whatever order, it adds up.

Joins are taken step by step, with everything else in between.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.vault.arriving import shorten_parts
from tests.unit.vault.parts_machine import STEPS, PartsMachine
from tests.unit.vault.store import make_store

RUNS = 40
STEPS_A_RUN = 50
MOST_ROUNDS = 6
"""So many times that many runs, if need be, until everything has happened that has to."""

OUTCOMES = {
    *("begin: done", "begin: asked", "send: done", "send again: told", "join: done", "join: asked"),
    *("join: not all is there", "step: the file is there", "step: asked", "step: given up meanwhile"),
    *("leave: done", "cancel: done", "collect: something", "begin again: done", "step: overtaken"),
}
"""What has to have happened for this to prove anything."""


@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_in_whatever_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any sequence of requests of two processes: files, uploads and counters are what they should be."""
    shorten_parts(monkeypatch)
    make_store(tmp_path).close()
    PartsMachine.template = tmp_path
    PartsMachine.outcomes.clear()
    for _ in range(MOST_ROUNDS):
        run_state_machine_as_test(
            PartsMachine,
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=STEPS_A_RUN,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
        if set(PartsMachine.outcomes) >= OUTCOMES:
            break
    assert {outcome.partition(":")[0] for outcome in PartsMachine.outcomes} == set(STEPS)
    assert set(PartsMachine.outcomes) >= OUTCOMES
