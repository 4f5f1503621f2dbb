"""The proof that the marked tests of this suite can fail: stock WsgiDAV on stock cheroot fails every one."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import parse

HERE = Path(__file__).parent
PATIENCE = "0.5"
"""Seconds for a server that hangs, which is one of the ways to fail."""

LIMIT = 100
"""Seconds for the whole run."""

AT_LEAST = 900
"""Fewer marked tests than that have not been found, whatever the reason."""

RULES = ("AssertionError", "assert ", "Failed: DID NOT RAISE", "tests.conformance.http.")
"""How the message of a test begins that has judged an answer; anything else is a mistake in the test."""


@pytest.mark.timeout(LIMIT + 20)
def test_stock_server_fails_every_marked_test(tmp_path: Path) -> None:
    """Each test marked with `fault` fails there: in its own words about an answer, and not by accident."""
    cases = _run_against_stock(tmp_path / "report.xml")
    outcomes = Counter(_outcome(case) for case in cases)
    passed = {case.get("name"): _outcome(case) for case in cases if _outcome(case) != "failed"}
    assert not passed, f"not proven to be able to fail: {passed}"
    assert outcomes["failed"] >= AT_LEAST


def _run_against_stock(report: Path) -> list[Element]:
    command = [
        *(
            sys.executable,
            "-m",
            "pytest",
            str(HERE),
            "--server=stock",
            f"--patience={PATIENCE}",
            "-m",
            "fault",
        ),
        *(
            "--quiet",
            "--tb=line",
            f"--junit-xml={report}",
            f"--rootdir={HERE.parents[1]}",
        ),
        # The stock server's threads end as they like, and warn; that is not what is judged here.
        *(
            "-p",
            "no:cacheprovider",
            "-p",
            "no:unraisableexception",
            "-p",
            "no:threadexception",
            "-W",
            "ignore",
        ),
    ]
    done = subprocess.run(
        command, cwd=HERE.parents[1], capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}, done.stdout + done.stderr
    return list(parse(report).iter("testcase"))


def _outcome(case: Element) -> str:
    failure = case.find("failure")
    if failure is None:
        return "error" if case.find("error") is not None else "passed"
    message = failure.get("message") or ""
    return "failed" if message.startswith(RULES) else f"broken: {message[:200]}"
