"""deploy/systemd: units that systemd understands in full and that leave an intruder little."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.services import clients

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/davserver.service"
EXEC_START = "ExecStart=/opt/sealdav/venv/bin/sealdav serve"
MAX_EXPOSURE = 15
"""Tenths on systemd's scale, which ends at 10.0 for a service without any confinement."""


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no running systemd for what is asked here."""
    program = clients.require("systemd-analyze")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as it is, but for the place of the program, which only an installed machine has."""
    text = UNIT.read_text()
    assert text.count(EXEC_START) == 1
    copy = tmp_path / UNIT.name
    copy.write_text(text.replace(EXEC_START, f"ExecStart={sys.executable} serve"))
    return copy


def test_systemd_accepts_every_line(unit: Path) -> None:
    """`systemd-analyze verify` has nothing to say about the unit: no unknown key, no bad value."""
    result = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert UNIT.name not in result.stdout + result.stderr
    assert result.returncode == 0, result.stderr


def test_verification_notices_a_mistake(unit: Path) -> None:
    """The check above is able to fail: a misspelt key is reported under the unit's name."""
    unit.write_text(unit.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))
    result = analyze("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert UNIT.name in result.stdout + result.stderr


def test_the_service_is_confined(unit: Path) -> None:
    """The rating by systemd of what an intruder in the service could reach stays below the threshold."""
    result = analyze("security", "--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager", str(unit))
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_unit_starts_the_command_that_is_installed() -> None:
    """The program that the unit starts is the console script that pyproject.toml declares."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    program = EXEC_START.removeprefix("ExecStart=").split()[0]
    assert Path(program).name in scripts
