"""Uploads in parts against plain objects: whatever two processes do, in whatever order, it adds up.

Joins are taken step by step, with everything else in between.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.machines import run_machine
from tests.unit.vault.arriving import shorten_parts
from tests.unit.vault.parts_machine import STEPS, PartsMachine
from tests.unit.vault.store import make_store

RUNS = 40
STEPS_A_RUN = 50
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
    run_machine(PartsMachine, runs=RUNS, steps_a_run=STEPS_A_RUN, is_proven=is_proven)


def is_proven() -> bool:
    """Whether each kind of step was taken, with each outcome."""
    return {outcome.partition(":")[0] for outcome in PartsMachine.outcomes} == set(STEPS) and set(
        PartsMachine.outcomes
    ) >= OUTCOMES
