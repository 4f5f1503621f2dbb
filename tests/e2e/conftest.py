"""Fixtures of the end-to-end tests: a running drive, what people do with it, and browsers that look at it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from tests.e2e.drive import Device, Drive, Rclone
from tests.services.browser import Visitor, chromium, visit


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    """A running server on folders of its own."""
    with contextlib.closing(Drive(tmp_path / "drive")) as drive:
        drive.start()
        yield drive


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the server's temporary files would go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def device(drive: Drive) -> Device:
    """An enrolled account."""
    return drive.enrol("alice")


@pytest.fixture
def rclone(drive: Drive, device: Device) -> Rclone:
    """The program rclone on that account."""
    return Rclone(drive, device)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser. One for a module: no second one can be driven from the same thread meanwhile."""
    with chromium() as started:
        yield started


class Arrive(Protocol):
    """Opens the site in a browser profile that has never been there."""

    def __call__(self, *, scripts: bool = True) -> Visitor:
        """The first page of it is still empty."""


@pytest.fixture
def site(drive: Drive) -> str:
    """Where the pages are."""
    return drive.site


@pytest.fixture
def known_hosts(site: str) -> set[str]:
    """Hosts that pages may load from."""
    return {urlsplit(site).netloc}


@pytest.fixture
def arrive(site: str, browser: Browser, known_hosts: set[str]) -> Iterator[Arrive]:
    """Profiles of people who visit the site.

    In the end no page may have complained, least of all of a broken policy, nor loaded from elsewhere.
    """
    visitors: list[Visitor] = []
    with ExitStack() as profiles:

        def opened(*, scripts: bool = True) -> Visitor:
            visitors.append(profiles.enter_context(visit(browser, site, scripts=scripts)))
            return visitors[-1]

        yield opened
        for visitor in visitors:
            assert visitor.complaints == []
            assert visitor.hosts <= known_hosts
