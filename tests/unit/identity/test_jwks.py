"""The provider's keys: which are taken, and how seldom it is asked for them (T47)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from davserver.errors import ProviderMisconfigured, ProviderUnavailable, TokenRefused
from davserver.identity.jwks import POLICY, KeySet, SigningKeys, parse_keys
from davserver.identity.remembered import Remembered, in_a_thread
from tests.fake_keycloak import public_jwk
from tests.unit.identity.conftest import Seconds

PATIENCE = 10


@dataclass
class Shown:
    """The key set that a provider shows."""

    names: list[str] = field(default_factory=lambda: ["first"])
    fetches: int = 0
    down: bool = False
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Answer at once until told otherwise."""
        self.free.set()

    def __call__(self) -> KeySet:
        """One fetch."""
        self.fetches += 1
        assert self.free.wait(PATIENCE)
        if self.down:
            raise ProviderUnavailable("down")
        return parse_keys({"keys": [public_jwk(name) for name in self.names]})


@pytest.fixture
def shown() -> Shown:
    """What the provider shows."""
    return Shown()


@pytest.fixture
def keys(shown: Shown, seconds: Seconds) -> SigningKeys:
    """A server that has just started."""
    return SigningKeys(Remembered(shown, POLICY, seconds, lambda work: work()))


def test_a_flood_of_unknown_ids(keys: SigningKeys, shown: Shown, seconds: Seconds) -> None:
    """500 ids that nobody has, for three minutes: at most two fetches a minute, and good tokens go on."""
    for minute in range(3):
        for number in range(500):
            with pytest.raises(TokenRefused):
                keys.find(f"nobody's {number}")
            seconds.now += 60 / 500
        assert shown.fetches <= 2 * (minute + 1)
        assert keys.find("first").key_id == "first"


def test_a_new_key_is_found_at_once(keys: SigningKeys, shown: Shown) -> None:
    """Keycloak begins to sign with another key right after the keys were read."""
    keys.find("first")
    shown.names = ["first", "second"]
    assert keys.find("second").key_id == "second"
    assert shown.fetches == 2


def test_a_new_key_during_a_flood(keys: SigningKeys, shown: Shown, seconds: Seconds) -> None:
    """Strangers have spent the budget when Keycloak begins to sign with another key: a minute, no longer."""
    for number in range(500):
        with pytest.raises(TokenRefused):
            keys.find(f"nobody's {number}")
    shown.names = ["first", "second"]
    with pytest.raises(TokenRefused):
        keys.find("second")
    seconds.now += POLICY.window
    assert keys.find("second").key_id == "second"


def test_a_withdrawn_key_is_forgotten(keys: SigningKeys, shown: Shown, seconds: Seconds) -> None:
    """At the latest with the second look after `lifespan`."""
    keys.find("first")
    shown.names = ["second"]
    seconds.now += POLICY.lifespan + 1
    keys.find("first")
    with pytest.raises(TokenRefused):
        keys.find("first")


def test_known_keys_survive_an_outage(keys: SigningKeys, shown: Shown, seconds: Seconds) -> None:
    """T47: for an hour; an unknown id then says that the provider is down, not that the token is wrong."""
    keys.find("first")
    shown.down = True
    seconds.now += POLICY.max_stale - 1
    assert keys.find("first").key_id == "first"
    with pytest.raises(ProviderUnavailable):
        keys.find("second")
    seconds.now += 2
    with pytest.raises(ProviderUnavailable):
        keys.find("first")


def test_known_keys_do_not_wait_for_a_provider_that_hangs(shown: Shown, seconds: Seconds) -> None:
    """T47: while unknown ids wait for a fetch that hangs, a good token is judged at once."""
    keys = SigningKeys(Remembered(shown, POLICY, seconds, in_a_thread))
    keys.find("first")
    shown.free.clear()
    refused = threading.Event()

    def bring_a_bad_one() -> None:
        try:
            keys.find("nobody's")
        except TokenRefused:
            refused.set()

    bad = threading.Thread(target=bring_a_bad_one)
    bad.start()
    seconds.now += POLICY.lifespan + 1
    assert [keys.find("first").key_id for _ in range(100)] == ["first"] * 100
    assert not refused.is_set()
    shown.free.set()
    bad.join(PATIENCE)
    assert refused.is_set()


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ", "kid": "first", "alg": "HS256"},
        {**public_jwk("first"), "use": "enc"},
        {**public_jwk("first"), "alg": "RSA-OAEP"},
        {name: value for name, value in public_jwk("first").items() if name != "kid"},
        {"kty": "new kind", "kid": "first"},
        {},
        "no key",
    ],
)
def test_only_public_keys_for_signatures_are_taken(key: object) -> None:
    """Our client secret must not become a key, nor a key for something else."""
    with pytest.raises(ProviderMisconfigured):
        parse_keys({"keys": [key]})


@pytest.mark.parametrize("document", [{}, {"keys": []}, {"keys": {}}, {"keys": None}])
def test_a_key_set_without_keys(document: dict[str, object]) -> None:
    """Nothing can be verified: an error, not an empty set."""
    with pytest.raises(ProviderMisconfigured):
        parse_keys(document)
