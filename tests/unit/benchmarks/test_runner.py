"""What is asked before anything is measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.client import WorkFailed
from benchmarks.runner import measure, require_room
from benchmarks.work import FULL, QUICK, Scale

MORE_THAN_ANYBODY_HAS = 1 << 60


def test_a_full_file_system_is_not_measured(tmp_path: Path) -> None:
    """In memory it would stop the machine: it is refused before the first byte is written."""
    scale = Scale(1, MORE_THAN_ANYBODY_HAS >> 20, seconds=1, listed=1, copied=1, at_once=1, budget=1)
    with pytest.raises(WorkFailed, match="MiB left"):
        measure(tmp_path, scale, ())
    assert not list(tmp_path.iterdir())


def test_room_that_is_there_is_enough(tmp_path: Path) -> None:
    """All that is free may be used."""
    require_room(tmp_path, shutil.disk_usage(tmp_path).free // 2)


@pytest.mark.parametrize("scale", [FULL, QUICK])
def test_what_is_asked_for_is_what_is_needed(scale: Scale) -> None:
    """What is sent, what was stored twice, and what arrives at once are there at the same time."""
    assert scale.room >= (scale.at_once + 3) * scale.mebibytes << 20
