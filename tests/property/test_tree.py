"""The vault against plain dictionaries: whatever two accounts and their devices do, both say the same.

A model of a tree with its locks and properties is a few pages of rules (`tree_model.py`); the vault has
encryption, quota, shared contents, trash, garbage collection and failing disks behind it, and nobody may be
able to tell. The trash itself is in `test_history.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.vault import copying
from tests.machines import run_machine
from tests.property.tree_machine import ACCOUNTS, QUOTA, TreeMachine
from tests.property.tree_requests import OTHERS, REQUESTS
from tests.unit.vault.store import make_store

RUNS = 50
STEPS_A_RUN = 60
FEWEST_STEPS = 1500
"""Fewer in all would prove too little."""

OUTCOMES = {"done", "Locked", "LockConflict", "NoSuchLock", "NotFound", "fault: as before", "fault: as after"}


@pytest.mark.timeout(600)  # a failure is made small before it is shown
def test_the_vault_is_a_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any sequence of requests and faults, with copies in batches of two."""
    monkeypatch.setattr(copying, "BATCH_NODES", 2)
    template = make_store(tmp_path)
    for name in ACCOUNTS:
        template.accounts.set_quota(name, QUOTA)
    template.close()
    TreeMachine.template = tmp_path
    TreeMachine.steps.clear()
    TreeMachine.outcomes.clear()
    run_machine(TreeMachine, runs=RUNS, steps_a_run=STEPS_A_RUN, is_proven=is_proven)


def is_proven() -> bool:
    """Whether enough has happened, of each kind and with each outcome."""
    return (
        TreeMachine.steps.total() >= FEWEST_STEPS
        and set(TreeMachine.steps) == {*REQUESTS, *OTHERS}
        and set(TreeMachine.outcomes) >= OUTCOMES
    )
