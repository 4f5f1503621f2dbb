"""Running a state machine of Hypothesis until everything has happened that has to, or there is no hope."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

MOST_ROUNDS = 6
"""So many times that many runs, if need be: what they do is left to chance."""


def run_machine(
    machine: type[RuleBasedStateMachine], *, runs: int, steps_a_run: int, is_proven: Callable[[], bool]
) -> None:
    """Run `machine`, and again while `is_proven` says that something has not happened yet."""
    for _ in range(MOST_ROUNDS):
        run_state_machine_as_test(
            machine, settings=settings(max_examples=runs, stateful_step_count=steps_a_run)
        )
        if is_proven():
            return
    raise AssertionError("not everything has happened that has to for this to prove anything")
