"""This suite, or a part of it, run once more against another server, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import parse

HERE = Path(__file__).parent

QUIETLY = (
    *("--quiet", "--tb=line", "-p", "no:cacheprovider"),
    # The stock server's threads end as they like, and warn; that is not what is judged here.
    *("-p", "no:unraisableexception", "-p", "no:threadexception", "-W", "ignore"),
)


def run_again(server: str, *options: str, report: Path, limit: float) -> list[Element]:
    """What became of each test.

    Args:
        server: as `--server`.
        options: files of this folder, and what else pytest is told; no file is all of them.
        report: where pytest may write.
        limit: seconds for the whole run.

    Returns:
        The test cases of a JUnit report.
    """
    files = [str(HERE / option) for option in options if option.endswith(".py")] or [str(HERE)]
    others = [option for option in options if not option.endswith(".py")]
    own = [f"--server={server}", f"--junit-xml={report}", f"--rootdir={HERE.parents[1]}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *files, *own, *others, *QUIETLY],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    assert done.returncode in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}, done.stdout + done.stderr
    return list(parse(report).iter("testcase"))
