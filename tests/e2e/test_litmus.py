"""litmus, the protocol's own test program: all of it, and without one warning.

Its output is read strictly: it ends with success, too, when it skipped what a server does not claim to have.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drive import Device, Drive
from tests.services import clients

pytestmark = pytest.mark.e2e

SUITES = {"basic": 16, "copymove": 13, "props": 30, "locks": 41, "http": 4}
"""The suites of litmus 0.13 and how many tests each has: 104."""

SETUPS: dict[str, dict[str, str]] = {
    "one process": {"SERVER__PROCESSES": "1"},
    "two processes": {"SERVER__PROCESSES": "2"},
}
"""Ways to run the server, as options of `Drive`: what holds for one must hold for each."""

COLLECTION = "a%20coll%C3%A9ction/"
SUITE_SECONDS = 60


@pytest.fixture(scope="module", params=SETUPS)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Drive, Device]]:
    """A fresh drive with a collection to test in, and the device that owns it."""
    drive = Drive(tmp_path_factory.mktemp("litmus") / "drive", **SETUPS[request.param])
    try:
        drive.start()
        device = drive.enrol("alice")
        assert drive.request("MKCOL", COLLECTION, device)[0] == 201
        yield drive, device
    finally:
        drive.close()


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_of_litmus_passes(target: tuple[Drive, Device], suite: str, tmp_path: Path) -> None:
    """All of the suite's tests run and pass: none fails, none is skipped, none warns."""
    drive, device = target
    done = subprocess.run(
        [clients.require("litmus"), drive.url + COLLECTION, device.username, device.token],
        cwd=tmp_path,  # It writes debug.log and child.log where it runs.
        env={"TESTS": suite, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=SUITE_SECONDS,
        check=False,
    )
    wrong = flaws(done.stdout.decode(errors="replace"), SUITES[suite])
    if wrong:
        pytest.fail("\n".join(["litmus says:", *wrong, traces(tmp_path / "debug.log", wrong)]))
    assert (done.returncode, done.stderr) == (0, b"")


def flaws(output: str, count: int) -> list[str]:
    """Every line that is not a pass, the title or the summary, and what is missing from `count` passes."""
    title = r"-> running `\w+':"
    summary = rf"<- summary for `\w+': of {count} tests run: {count} passed, 0 failed\. 100\.0%"
    wrong, passed = [], []
    for line in output.rstrip("\n").split("\n"):
        # A test's first line is written over with its result, which is what a terminal shows.
        shown = line.rpartition("\r")[2].strip()
        if found := re.fullmatch(r"(\d+)\. \w+\.* pass", shown):
            passed.append(int(found[1]))
        elif not re.fullmatch(f"{title}|{summary}", shown):
            wrong.append(shown)
    missing = sorted(set(range(count)) - set(passed))
    return [*wrong, f"did not pass: {missing}"] if missing else wrong


def traces(log: Path, wrong: list[str]) -> str:
    """What went over the wire in the tests that these lines name. litmus itself leaves passwords out."""
    numbers = {found[1] for line in wrong if (found := re.match(r"(\d+)\. ", line))}
    tests = log.read_text(errors="replace").split("******* Running test ")
    return "\n".join(test for test in tests if test.partition(":")[0] in numbers)
