"""Tokens of the provider: one matrix for each kind, every one signed by a real key (T39, T45)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace

import jwt
import pytest

from davserver.clock import to_seconds
from davserver.errors import ClockMismatch, ProviderUnavailable, TokenRefused
from davserver.identity.base import LogoutNotice
from davserver.identity.jwks import POLICY, SigningKeys, parse_keys
from davserver.identity.remembered import Remembered
from davserver.identity.tokens import (
    LOGOUT_EVENT,
    LOGOUT_SECONDS,
    MAX_ACCESS_SECONDS,
    MAX_TOKEN_CHARS,
    SeenHere,
    TokenVerifier,
)
from tests.fake_keycloak import CLI, CLIENT, SECRET, SESSION, SUBJECT, FakeKeycloak, private_key, public_jwk
from tests.fakes import START, FrozenClock
from tests.unit.identity.conftest import Seconds

NONCE = "the nonce of this sign-in"
NOW = to_seconds(START)


@pytest.fixture
def verifier(fake: FakeKeycloak, clock: FrozenClock, seconds: Seconds) -> TokenVerifier:
    """It knows the keys that the fake shows."""

    def fetch() -> dict[str, jwt.PyJWK]:
        if fake.status != 200:
            raise ProviderUnavailable("down")
        return dict(parse_keys({"keys": [public_jwk(name) for name in fake.published]}))

    keys = SigningKeys(Remembered(fetch, POLICY, seconds, lambda work: work()))
    return TokenVerifier(fake.provider, keys, clock, SeenHere())


def unsigned(claims: dict[str, object], header: dict[str, object], signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


# ── ID tokens
def test_a_good_id_token(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """What it says comes out."""
    claims = verifier.id_token(fake.sign(fake.id_claims(nonce=NONCE)), NONCE)
    assert (claims["sub"], claims["preferred_username"]) == (SUBJECT, "alice")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://127.0.0.1:1/realms/other"},
        {"iss": None},
        {"aud": "another client"},
        {"aud": ["another client"]},
        {"aud": None},
        {"azp": "another client"},
        {"typ": "Bearer"},
        {"typ": "Logout"},
        {"typ": None},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"nonce": 7},
        {"sub": None},
        {"sub": 7},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": None},
        {"iat": float("nan")},
    ],
)
def test_id_tokens_that_are_refused(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object]
) -> None:
    """One claim is wrong, the signature is right."""
    with pytest.raises(TokenRefused):
        verifier.id_token(fake.sign(fake.id_claims(**{"nonce": NONCE, **changes})), NONCE)


def signed(claims: dict[str, object], key: str = "first", algorithm: str = "RS256", **header: object) -> str:
    """A token with a real signature and any header."""
    return jwt.encode(claims, private_key(key), algorithm=algorithm, headers=header)


FORGERIES: dict[str, Callable[[dict[str, object]], str]] = {
    "unsigned": lambda claims: unsigned(claims, {"alg": "none", "kid": "first"}),
    "signed with our secret": lambda claims: jwt.encode(claims, SECRET, "HS256", headers={"kid": "first"}),
    "another key under a known name": lambda claims: signed(claims, "thief", kid="first"),
    "an unknown key": lambda claims: signed(claims, "thief", kid="thief"),
    "no key id": signed,
    "an empty key id": lambda claims: signed(claims, kid=""),
    "an algorithm that is not allowed": lambda claims: signed(claims, algorithm="RS512", kid="first"),
    "not the key's algorithm": lambda claims: signed(claims, algorithm="PS256", kid="first"),
    "a critical header": lambda claims: signed(claims, kid="first", crit=["exp"]),
    "its own key": lambda claims: signed(
        claims, "thief", kid="thief", jwk=public_jwk("thief"), jku="http://127.0.0.1:1/"
    ),
    "cut short": lambda claims: signed(claims, kid="first")[:-4],
    "noise for a signature": lambda claims: unsigned(claims, {"alg": "RS256", "kid": "first"}, b"x" * 256),
    "a list of algorithms": lambda claims: unsigned(claims, {"alg": ["RS256"], "kid": "first"}, b"x" * 256),
    "nothing": lambda _claims: "",
    "three letters": lambda _claims: "a.b.c",
    "words": lambda _claims: "no token at all",
    "other letters": lambda _claims: "ä.ö.ü",
    "too long": lambda _claims: "x" * (MAX_TOKEN_CHARS + 1),
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_signatures_that_are_refused(fake: FakeKeycloak, verifier: TokenVerifier, kind: str) -> None:
    """Right claims, but no signature by a key of the provider as it must be."""
    with pytest.raises(TokenRefused):
        verifier.id_token(FORGERIES[kind](fake.id_claims(nonce=NONCE)), NONCE)


@pytest.mark.parametrize("seconds_off", [-30, 0, 30])
def test_small_differences_of_clocks_do_not_matter(
    fake: FakeKeycloak, verifier: TokenVerifier, seconds_off: int
) -> None:
    """Up to the configured 30 seconds."""
    verifier.id_token(fake.sign(fake.id_claims(nonce=NONCE, iat=NOW + seconds_off)), NONCE)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"iat": NOW + 31, "exp": NOW + 331}, "31 seconds behind"),
        ({"iat": NOW - 31}, "31 seconds ago"),
        ({"iat": NOW, "exp": NOW - 31}, "0 seconds ago"),
    ],
)
def test_a_wrong_clock_is_told_apart(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object], says: str
) -> None:
    """An ID token is issued at this moment; if not, the message says by how much."""
    with pytest.raises(ClockMismatch, match=says):
        verifier.id_token(fake.sign(fake.id_claims(**{"nonce": NONCE, **changes})), NONCE)


# ── access tokens
def test_a_good_access_token(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """Its audience is whatever the realm says: it was fetched together with the ID token."""
    claims = verifier.access_token(fake.sign(fake.access_claims()), SUBJECT)
    assert claims["realm_access"] == {"roles": ["dav-user"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://127.0.0.1:1/realms/other"},
        {"azp": "another client"},
        {"azp": None},
        {"typ": "ID"},
        {"sub": "somebody else"},
        {"sub": None},
    ],
)
def test_access_tokens_that_are_refused(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object]
) -> None:
    """It must be for us and about the person of the ID token."""
    with pytest.raises(TokenRefused):
        verifier.access_token(fake.sign(fake.access_claims(**changes)), SUBJECT)


# ── logout tokens (T45)
def logout_token(fake: FakeKeycloak, **changes: object) -> str:
    """A logout token with the header that Keycloak gives it."""
    return fake.sign(fake.logout_claims(**changes), typ="logout+jwt")


@pytest.mark.parametrize(
    ("changes", "notice"),
    [
        ({}, (SUBJECT, SESSION)),
        ({"sid": None}, (SUBJECT, "")),
        ({"sub": None}, ("", SESSION)),
        ({"aud": [CLIENT, "another"]}, (SUBJECT, SESSION)),
    ],
)
def test_good_logout_tokens(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object], notice: tuple[str, str]
) -> None:
    """One session, or every session of somebody (`sub` and no `sid`)."""
    found = verifier.logout_token(logout_token(fake, **changes))
    assert found == LogoutNotice(*notice, found.jti)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another client"},
        {"aud": None},
        {"iss": "http://127.0.0.1:1/realms/other"},
        {"nonce": "as in an ID token"},
        {"nonce": ""},
        {"events": None},
        {"events": {}},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"events": {LOGOUT_EVENT: True}},
        {"events": [LOGOUT_EVENT]},
        {"sub": None, "sid": None},
        {"sub": 7},
        {"sid": "s" * 256},
        {"jti": None},
        {"jti": ""},
        {"exp": None},
    ],
)
def test_logout_tokens_that_are_refused(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object]
) -> None:
    """T45: one claim is wrong, the signature is right."""
    with pytest.raises(TokenRefused):
        verifier.logout_token(logout_token(fake, **changes))


def test_a_logout_token_with_a_bad_signature(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """T45: signed by somebody else under the name of a key of the provider."""
    forged = fake.sign(fake.logout_claims(), key="thief", kid="first", typ="logout+jwt")
    with pytest.raises(TokenRefused, match="signature"):
        verifier.logout_token(forged)


def test_other_tokens_log_nobody_out(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """T45: the header must say that it is a logout token; ID tokens say something else."""
    with pytest.raises(TokenRefused, match="type"):
        verifier.logout_token(fake.sign(fake.logout_claims()))
    with pytest.raises(TokenRefused):
        verifier.logout_token(fake.sign(fake.id_claims(nonce=NONCE)))


def test_a_logout_token_is_good_once(fake: FakeKeycloak, verifier: TokenVerifier, clock: FrozenClock) -> None:
    """T45: replayed, it is refused as long as its time would let it through, and then because of its time."""
    token = logout_token(fake)
    verifier.logout_token(token)
    for _ in range(LOGOUT_SECONDS + fake.provider.clock_skew):
        with pytest.raises(TokenRefused, match="before"):
            verifier.logout_token(token)
        clock.advance(seconds=1)
    clock.advance(seconds=1)
    with pytest.raises(ClockMismatch):
        verifier.logout_token(token)


def test_a_refused_logout_token_takes_no_name(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """Whoever sends nonsense with a name that they saw cannot have the real one refused."""
    with pytest.raises(TokenRefused):
        verifier.logout_token(logout_token(fake, jti="one", nonce="x"))
    assert verifier.logout_token(logout_token(fake, jti="one")).jti == "one"


@pytest.mark.parametrize(
    "changes", [{"iat": NOW + 31}, {"iat": NOW - LOGOUT_SECONDS - 31}, {"exp": NOW - 31}]
)
def test_logout_tokens_of_another_time(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object]
) -> None:
    """From the future, too old, or expired."""
    with pytest.raises(ClockMismatch):
        verifier.logout_token(logout_token(fake, **changes))


def test_a_logout_while_the_keys_cannot_be_had(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """Told apart from a bad token, so that the page can ask Keycloak to come again."""
    fake.status = 503
    with pytest.raises(ProviderUnavailable):
        verifier.logout_token(logout_token(fake))


# ── bearer tokens (T39)
def test_a_good_bearer_token(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """One of the program's client, and one of our own if the realm makes it out for us."""
    assert verifier.bearer_token(fake.bearer())["sid"] == SESSION
    assert verifier.bearer_token(fake.bearer(azp=CLIENT, aud=["account", CLIENT]))["sub"] == SUBJECT
    assert verifier.bearer_token(fake.sign(fake.bearer_claims(), typ="JWT"))["sub"] == SUBJECT


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "http://127.0.0.1:1/realms/other"},
        {"iss": None},
        {"aud": "account"},
        {"aud": ["account", "another client"]},
        {"aud": CLI},
        {"aud": None},
        {"azp": "another client"},
        {"azp": [CLI]},
        {"azp": ""},
        {"azp": None},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Logout"},
        {"typ": "DPoP"},
        {"typ": None},
        {"cnf": {"x5t#S256": "of a certificate"}},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sid": None},
        {"sid": ""},
        {"sid": 7},
        {"sid": "s" * 256},
        {"exp": None},
        {"exp": "tomorrow"},
        {"iat": None},
        {"nbf": "now"},
        {"exp": NOW - 31},
        {"exp": NOW + MAX_ACCESS_SECONDS + 1},
    ],
)
def test_bearer_tokens_that_are_refused(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object]
) -> None:
    """T39: one claim is wrong, the signature is right."""
    with pytest.raises(TokenRefused):
        verifier.bearer_token(fake.bearer(**changes))


@pytest.mark.parametrize("kind", FORGERIES)
def test_bearer_tokens_with_a_bad_signature(fake: FakeKeycloak, verifier: TokenVerifier, kind: str) -> None:
    """T39: right claims, but no signature by a key of the provider as it must be."""
    with pytest.raises(TokenRefused):
        verifier.bearer_token(FORGERIES[kind](fake.bearer_claims()))


@pytest.mark.parametrize("kind", ["logout+jwt", "", "at+jws", "dpop+jwt"])
def test_other_types_of_header(fake: FakeKeycloak, verifier: TokenVerifier, kind: str) -> None:
    """T39: a token that says of itself that it is something else is believed to be just that."""
    with pytest.raises(TokenRefused):
        verifier.bearer_token(fake.sign(fake.bearer_claims(), typ=kind))


def test_other_tokens_open_nothing(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """T39: ID tokens and logout tokens of the same provider, also with the right audience and client."""
    for claims in (
        fake.id_claims(azp=CLI),
        fake.logout_claims(azp=CLI),
        fake.bearer_claims(aud=None),
    ):
        for kind in ("JWT", "at+jwt", "logout+jwt"):
            with pytest.raises(TokenRefused):
                verifier.bearer_token(fake.sign(claims, typ=kind))


@pytest.mark.parametrize("changes", [{"iat": NOW + 31, "exp": NOW + 331}, {"nbf": NOW + 31}])
def test_bearer_tokens_from_the_future(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object]
) -> None:
    """T39: told apart from a wrong token, since a clock is wrong."""
    with pytest.raises(ClockMismatch, match="31 seconds"):
        verifier.bearer_token(fake.bearer(**changes))


@pytest.mark.parametrize(
    "changes", [{"iat": NOW + 30, "exp": NOW + 330}, {"exp": NOW - 30}, {"nbf": NOW + 30}, {"nbf": NOW - 99}]
)
def test_bearer_tokens_within_the_skew(
    fake: FakeKeycloak, verifier: TokenVerifier, changes: dict[str, object]
) -> None:
    """Clocks may be 30 seconds apart."""
    verifier.bearer_token(fake.bearer(**changes))


def test_a_bearer_token_is_good_more_than_once(
    fake: FakeKeycloak, verifier: TokenVerifier, clock: FrozenClock
) -> None:
    """Unlike a logout token; until it has expired."""
    token = fake.bearer()
    for _ in range(3):
        verifier.bearer_token(token)
    clock.advance(seconds=300 + 30)
    verifier.bearer_token(token)
    clock.advance(seconds=1)
    with pytest.raises(TokenRefused, match="expired"):
        verifier.bearer_token(token)


def test_tokens_of_other_realms_spend_nothing(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """Whoever sends them all the time keeps no key from us that Keycloak has begun to sign with."""
    verifier.bearer_token(fake.bearer())
    claims = fake.bearer_claims(iss="http://127.0.0.1:1/realms/other")
    for number in range(10):
        with pytest.raises(TokenRefused, match="issuer"):
            verifier.bearer_token(fake.sign(claims, key="thief", kid=f"theirs {number}", typ="at+jwt"))
    fake.published.append("second")
    verifier.bearer_token(fake.bearer())


def test_without_a_client_for_programs(fake: FakeKeycloak, clock: FrozenClock, seconds: Seconds) -> None:
    """With an empty `cli_client_id` tokens of no program are taken, nor any that name none."""
    provider = replace(fake.provider, cli_client_id="")
    keys = parse_keys({"keys": [public_jwk("first")]})
    known = SigningKeys(Remembered(lambda: keys, POLICY, seconds, lambda work: work()))
    strict = TokenVerifier(provider, known, clock, SeenHere())
    strict.bearer_token(fake.bearer(azp=CLIENT))
    for azp in (CLI, ""):
        with pytest.raises(TokenRefused):
            strict.bearer_token(fake.bearer(azp=azp))


def test_a_logout_of_the_program(fake: FakeKeycloak, verifier: TokenVerifier) -> None:
    """T45: Keycloak tells the client for programs as well, at the same address; nobody else's client."""
    assert verifier.logout_token(logout_token(fake, aud=CLI)).sid == SESSION
    with pytest.raises(TokenRefused):
        verifier.logout_token(logout_token(fake, aud=["account"]))
