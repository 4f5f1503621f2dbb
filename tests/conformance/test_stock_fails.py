"""The proof that the marked tests of this suite can fail: stock WsgiDAV on stock cheroot fails every one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest

from tests.conformance.again import run_again

PATIENCE = "0.5"
"""Seconds for a server that hangs, which is one of the ways to fail."""

LIMIT = 600
"""Seconds for the whole run."""

AT_LEAST = 900
"""Fewer marked tests than that have not been found, whatever the reason."""

RULES = ("AssertionError", "assert ", "Failed: DID NOT RAISE", "tests.conformance.http.")
"""How the message of a test begins that has judged an answer; anything else is a mistake in the test."""


@pytest.mark.timeout(LIMIT + 20)
def test_stock_server_fails_every_marked_test(tmp_path: Path) -> None:
    """Each test marked with `fault` fails there: in its own words about an answer, and not by accident."""
    cases = run_again(
        "stock", f"--patience={PATIENCE}", "-m", "fault", report=tmp_path / "report.xml", limit=LIMIT
    )
    outcomes = Counter(_outcome(case) for case in cases)
    passed = {case.get("name"): _outcome(case) for case in cases if _outcome(case) != "failed"}
    assert not passed, f"not proven to be able to fail: {passed}"
    assert outcomes["failed"] >= AT_LEAST


def _outcome(case: Element) -> str:
    failure = case.find("failure")
    if failure is None:
        return "error" if case.find("error") is not None else "passed"
    message = failure.get("message") or ""
    return "failed" if message.startswith(RULES) else f"broken: {message[:200]}"
