"""Fixtures of the tests of the serving layer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.serving.several import Begin, Many


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start servers that are gone after the test."""
    started: list[Many] = []

    def start(*options: str, environment: dict[str, str] | None = None) -> Many:
        started.append(Many(*options, environment=environment))
        return started[-1]

    yield start
    for one in started:
        one.close()
