"""What holds for every test: in CI nothing is skipped, and time is not a test result.

Fixtures live in tests/factories.py and in the conftest of the folder that uses them; the one Keycloak that
every folder shares is here.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest
import structlog

from tests.certificates import one_pair, write_pair
from tests.services.keycloak import Certificate, Keycloak, provide
from tests.services.warm_up import warm_up

hypothesis.settings.register_profile(
    "sealdav", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("sealdav")


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """A real Keycloak, started for the first test that asks; its certificate is `one_pair`."""
    folder = tmp_path_factory.mktemp("keycloak")
    for running in provide(folder, Certificate(*write_pair(folder, one_pair()))):
        warm_up(running)
        yield running


@pytest.fixture(autouse=True)
def logging_is_as_it_was() -> Iterator[None]:
    """A test that sets up logging undoes it (tests/logs.py): others read what is said."""
    yield
    assert type(structlog.get_config()["logger_factory"]) is structlog.PrintLoggerFactory, "set up for good"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failed one when CI=true: there, everything can be installed."""
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn a module that skips itself into an error when CI=true."""
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longreprtext or report.longrepr}"
