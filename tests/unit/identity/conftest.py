"""A Keycloak that is not one, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from davserver.identity.keycloak import KeycloakSignOn
from tests.fake_keycloak import FakeKeycloak
from tests.fakes import FrozenClock


class Seconds:
    """A stopwatch that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    """What is remembered ages by this."""
    return Seconds()


@pytest.fixture
def clock() -> FrozenClock:
    """What tokens are judged by."""
    return FrozenClock()


@pytest.fixture
def fake(clock: FrozenClock) -> Iterator[FakeKeycloak]:
    """A running fake."""
    with FakeKeycloak(clock) as running:
        yield running


@pytest.fixture
def sign_on(fake: FakeKeycloak, clock: FrozenClock, seconds: Seconds) -> KeycloakSignOn:
    """A server that has just started; what it would do in the background is done at once."""
    return KeycloakSignOn(fake.provider, clock, monotonic=seconds, spawn=lambda work: work())
