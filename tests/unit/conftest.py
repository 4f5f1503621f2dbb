"""Fixtures that every package's unit tests may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A new store with its clock standing still."""
    made = make_world(tmp_path)
    yield made
    made.database.dispose()
