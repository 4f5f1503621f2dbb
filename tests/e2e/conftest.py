"""Fixtures of the end-to-end tests: a running drive and what people do with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.drive import Device, Drive, Rclone


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[Drive]:
    """A running server on folders of its own."""
    drive = Drive(tmp_path / "drive")
    drive.start()
    yield drive
    drive.close()


@pytest.fixture
def device(drive: Drive) -> Device:
    """An enrolled account."""
    return drive.enrol("alice")


@pytest.fixture
def rclone(drive: Drive, device: Device) -> Rclone:
    """The program rclone on that account."""
    return Rclone(drive, device)
