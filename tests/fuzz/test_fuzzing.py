"""A minute of fuzzing that coverage guides; `make fuzz` takes longer, and keeps what it finds."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

PROJECT = Path(__file__).parents[2]
SECONDS = 60 // len(TARGETS)

SHELL = ["/bin/sh", "-c", '"$@"; exit $?', "sh"]
"""Runs a command in a process of its own: one that comes from ours directly seems to need as much memory as
ours has needed at the most, and the fuzzer ends what needs too much."""

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="there is no atheris for this Python or machine"
)


@needs_atheris
@pytest.mark.parametrize("name", TARGETS)
def test_ten_seconds_find_nothing(name: str, tmp_path: Path) -> None:
    """Nothing that breaks a law, raises what it must not, or takes long; and it did run."""
    done = subprocess.run(
        [*SHELL, sys.executable, "-m", "tests.fuzz.run", name, str(SECONDS), str(tmp_path)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    executed = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    assert executed is not None
    assert int(executed[1]) > 1000


@needs_atheris
def test_a_broken_law_is_found(tmp_path: Path) -> None:
    """The check above is able to fail: a target that forbids what the corpus has ends with an error."""
    broken = (
        "from tests.fuzz import run, targets\n"
        "def never(data):\n    assert b'HTTP' not in data\n"
        "targets.TARGETS['head'] = never\n"
        f"run.main('head', '5', {str(tmp_path)!r})\n"
    )
    done = subprocess.run(
        [*SHELL, sys.executable, "-c", broken], cwd=PROJECT, capture_output=True, timeout=100, check=False
    )
    assert done.returncode != 0
    assert any(path.name.startswith("crash-") for path in tmp_path.iterdir())
