"""Five minutes of the soak test: 64 clients of all kinds, half of them broken. `make soak` takes longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import soak
from tests.logs import restored_logging
from tests.services import clients

pytestmark = pytest.mark.e2e

SOAK_SECONDS = 300
PAUSE_SECONDS = 5.0
"""Rest of a client between two bursts: other tests run beside this one, and it is after losses, not speed."""


@pytest.mark.timeout(SOAK_SECONDS + 300)
def test_nothing_is_lost_and_nothing_grows(tmp_path: Path) -> None:
    """No 5xx, every acknowledged write is there in the end, `verify` finds no damage, memory stays flat."""
    for program in ("rclone", "curl"):
        clients.require(program)
    with restored_logging():
        report = soak(tmp_path, seconds=SOAK_SECONDS, pause=PAUSE_SECONDS)
    print(report)  # noqa: T201 - pytest shows it with a failure
    assert report.complaints == []
