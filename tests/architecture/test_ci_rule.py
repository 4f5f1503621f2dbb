"""The rule of tests/conftest.py that keeps CI honest: what is skipped there has failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SKIPPED_TEST = """
import pytest

def test_it():
    pytest.skip("no such program")
"""

SKIPPED_MODULE = """
import pytest

pytest.importorskip("no_such_module")
"""


def run_pytest(source: str, folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Run one test file in a pytest of its own that has our conftest as a plugin."""
    file = folder / "test_it.py"
    file.write_text(source)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", str(file)]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "CI": ci}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("source", [SKIPPED_TEST, SKIPPED_MODULE], ids=["test", "module"])
def test_a_skip_fails_in_ci(source: str, tmp_path: Path) -> None:
    """With CI=true a skipped test or module makes the run fail and names the reason."""
    result = run_pytest(source, tmp_path, ci="true")
    assert result.returncode != pytest.ExitCode.OK
    assert "skipped, which CI does not allow" in result.stdout
    assert "no such program" in result.stdout or "no_such_module" in result.stdout


def test_a_skip_stays_a_skip_elsewhere(tmp_path: Path) -> None:
    """Without CI=true a missing program skips the test that needs it and fails nothing."""
    result = run_pytest(SKIPPED_TEST, tmp_path, ci="")
    assert result.returncode == pytest.ExitCode.OK, result.stdout
    assert "1 skipped" in result.stdout
