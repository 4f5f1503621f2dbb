"""The wrapped directory while Keycloak is in trouble; tests/e2e/test_keycloak.py has what it answers."""

from __future__ import annotations

import pytest

from davserver.errors import ProviderMisconfigured, ProviderUnavailable
from davserver.identity.base import Provider
from davserver.identity.directory import PAUSE_SECONDS, KeycloakDirectory
from tests.fake_keycloak import CLIENT, SECRET, SUBJECT, FakeKeycloak
from tests.unit.identity.conftest import Seconds


@pytest.fixture
def directory(fake: FakeKeycloak, seconds: Seconds) -> KeycloakDirectory:
    """It has asked nobody yet."""
    return KeycloakDirectory(fake.provider, seconds)


def test_it_hangs(fake: FakeKeycloak, directory: KeycloakDirectory) -> None:
    """One caller waits a few seconds; who comes after that is told at once, and asks nothing."""
    fake.hangs(yes=True)
    with pytest.raises(ProviderUnavailable):
        directory.find([SUBJECT])
    asked = fake.fetches.total()
    with pytest.raises(ProviderUnavailable, match="a moment ago"):
        directory.roles(SUBJECT)
    assert fake.fetches.total() == asked


def test_it_is_asked_again_after_a_pause(
    fake: FakeKeycloak, directory: KeycloakDirectory, seconds: Seconds
) -> None:
    """An outage is over when it is over."""
    fake.status = 503
    with pytest.raises(ProviderUnavailable):
        directory.find([SUBJECT])
    asked = fake.fetches.total()
    seconds.now += PAUSE_SECONDS
    with pytest.raises(ProviderUnavailable):
        directory.find([SUBJECT])
    assert fake.fetches.total() > asked


def test_an_issuer_that_is_no_realm() -> None:
    """It could not be asked about people."""
    with pytest.raises(ProviderMisconfigured, match="/realms/"):
        KeycloakDirectory(Provider("https://id.example.test", CLIENT, SECRET))
