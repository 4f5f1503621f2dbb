"""The same laws for the command `sealdav serve` with several processes, and over TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.again import run_again

LIMIT = 600
"""Seconds for each run; on a machine that does nothing else it takes less than one minute."""

AT_LEAST = 900
"""As in `test_stock_fails`: the same tests."""

OVER_TLS = (
    *("test_framing.py", "test_garbage.py", "test_headers.py", "test_put.py"),
    *("test_propfind.py", "test_lock_conditions.py", "test_ranges.py"),
)
"""Where T01 to T09, T23 to T25 and T32 are; T10 is a matter of TLS in any case (`test_tls`)."""


@pytest.mark.timeout(LIMIT + 20)
def test_the_list_of_faults_is_empty_for_the_command(tmp_path: Path) -> None:
    """Whatever stock WsgiDAV gets wrong is right here, whichever process answers, of two."""
    cases = run_again("serve", "-m", "fault", report=tmp_path / "report.xml", limit=LIMIT)
    assert not [case.get("name") for case in cases if len(case)]
    assert len(cases) >= AT_LEAST


@pytest.mark.timeout(LIMIT + 20)
def test_the_same_laws_hold_over_tls(tmp_path: Path) -> None:
    """Framing, garbage, hostile XML, conditions and ranges: the bytes of a request are those inside TLS."""
    cases = run_again("tls", *OVER_TLS, report=tmp_path / "report.xml", limit=LIMIT)
    assert not [case.get("name") for case in cases if len(case)]
    assert cases
