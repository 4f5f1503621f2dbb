"""A door of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.dav.door import Door, make_door


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """Alice before an empty vault."""
    door = make_door(tmp_path)
    yield door
    door.close()
