"""Keycloak's own second factor: all three signs of it, in the token itself (T39)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest

from davserver.clock import to_seconds
from davserver.errors import SecondFactorMissing
from davserver.identity.base import Identity
from davserver.identity.keycloak import KeycloakSignOn
from davserver.identity.step_up import StepUp
from tests.fake_keycloak import FakeKeycloak
from tests.fakes import START, FrozenClock
from tests.unit.identity.conftest import Seconds

NOW = to_seconds(START)
CALLBACK = "http://127.0.0.1:9/oidc/callback"
STEP_UP = StepUp("mfa", 3600, 30)
BOTH: Mapping[str, object] = {"acr": "mfa", "amr": ["pwd", "otp"]}

TOO_LITTLE: list[dict[str, object]] = [
    {"acr": "pwd"},
    {"acr": "MFA"},
    {"acr": ""},
    {"acr": None},
    {"amr": ["pwd"]},
    {"amr": []},
    {"amr": None},
    {"amr": "otp"},
    {"auth_time": NOW - 3601},
    {"auth_time": NOW + 31},
    {"auth_time": 0},
]


@pytest.fixture
def sign_on(fake: FakeKeycloak, clock: FrozenClock, seconds: Seconds) -> KeycloakSignOn:
    """A server for which Keycloak asks for the second factor."""
    return KeycloakSignOn(fake.provider, clock, STEP_UP, monotonic=seconds, spawn=lambda work: work())


def sign_in(fake: FakeKeycloak, sign_on: KeycloakSignOn, **changes: object) -> Identity:
    """A sign-in with these claims in the ID token."""
    _, pending = sign_on.begin(CALLBACK)
    return sign_on.finish(pending, fake.answer(pending, **{**BOTH, **changes}))


def test_it_is_asked_for(sign_on: KeycloakSignOn) -> None:
    """In the address, beside whatever else is asked for (OpenID Connect Core 1.0, 3.1.2.1)."""
    for max_age in (None, 0, 300):
        query = parse_qs(urlsplit(sign_on.begin(CALLBACK, max_age=max_age)[0]).query)
        assert query["acr_values"] == ["mfa"]


def test_it_is_not_asked_for_where_it_is_ours(
    fake: FakeKeycloak, clock: FrozenClock, seconds: Seconds
) -> None:
    """Nothing is asked, and nothing that Keycloak says of it matters."""
    ours = KeycloakSignOn(fake.provider, clock, monotonic=seconds, spawn=lambda work: work())
    assert "acr_values" not in ours.begin(CALLBACK)[0]
    assert sign_in(fake, ours, acr="1", amr=None).acr == "1"


def test_both_factors(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """All three signs: up to an hour ago here, and on clocks that are a little apart."""
    for auth_time in (NOW, NOW - 3600, NOW + 30):
        assert sign_in(fake, sign_on, auth_time=auth_time).acr == "mfa"


@pytest.mark.parametrize("changes", TOO_LITTLE)
def test_one_sign_is_missing(fake: FakeKeycloak, sign_on: KeycloakSignOn, changes: dict[str, object]) -> None:
    """Two of three are too little; an access token that says more does not make up for it."""
    with pytest.raises(SecondFactorMissing):
        sign_in(fake, sign_on, **changes, access=fake.access_claims(**BOTH))


@pytest.mark.parametrize("changes", TOO_LITTLE)
def test_one_sign_is_missing_in_an_access_token(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, changes: dict[str, object]
) -> None:
    """The same three are judged of it."""
    good = sign_on.verify_access_token(fake.bearer(**BOTH))
    assert STEP_UP.is_met(good, NOW)
    assert not STEP_UP.is_met(sign_on.verify_access_token(fake.bearer(**{**BOTH, **changes})), NOW)


def test_a_token_may_say_little(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """Without the scope `profile` there is no name in it; person, session and role are enough."""
    bare = fake.bearer(preferred_username=None, auth_time=None, acr=None)
    identity = sign_on.verify_access_token(bare)
    assert (identity.username, identity.auth_time, identity.acr, identity.id_token) == ("", 0, "", "")
    assert "dav-user" in identity.roles
