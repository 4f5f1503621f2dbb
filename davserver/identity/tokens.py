"""Judges the tokens of an identity provider: signature, issuer, audience, kind and time.

Nothing that a token says is believed before its signature was checked with a key of the configured issuer,
whatever its header points to; only to refuse it is its word enough. Times are judged here by our own clock,
so that a wrong clock is told apart from a wrong token. Called by `keycloak`.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Collection, Mapping
from typing import Protocol

import jwt

from davserver.clock import Clock, to_seconds
from davserver.errors import ClockMismatch, TokenRefused
from davserver.identity.base import LogoutNotice, Provider
from davserver.identity.jwks import ALGORITHMS, SigningKeys

MAX_TOKEN_CHARS = 32 * 1024
"""Longest token that is looked at; Keycloak's have one or two thousand characters."""

MAX_NAME_CHARS = 255
"""Longest `sub`, `sid` or `jti` (OpenID Connect Core 1.0, 2, for `sub`)."""

LOGOUT_SECONDS = 120
"""How old a logout token may be (Back-Channel Logout 1.0, 2.6); Keycloak's expire after as long."""

MAX_ACCESS_SECONDS = 15 * 60
"""Longest life of an access token that is taken: what is signed stays so, whatever happens at Keycloak."""

ACCESS_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""What the header of an access token says: Keycloak's own word, or that of RFC 9068, 2.1."""

LOGOUT_TYPES = frozenset({"logout+jwt"})
"""What the header of a logout token says (Back-Channel Logout 1.0, 2.4)."""

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
"""The member of `events` that makes a token a logout token (Back-Channel Logout 1.0, 2.4)."""

Claims = Mapping[str, object]

_REASONS: dict[type[jwt.InvalidTokenError], str] = {
    jwt.InvalidIssuerError: "the token is of another issuer",
    jwt.InvalidAudienceError: "the token is for another client",
    jwt.InvalidSignatureError: "the token's signature is wrong",
    jwt.MissingRequiredClaimError: "the token lacks a claim",
}


class Seen(Protocol):
    """Names that were met before."""

    def first_time(self, name: str, now: int, forget_at: int) -> bool:
        """Remember a name until `forget_at`; whether it was not known yet. Seconds since the Unix epoch."""
        ...


class TokenVerifier:
    """Verifies the tokens of one provider for one client. Safe to be called from many threads.

    Args:
        seen: remembers the names of logout tokens; only those of signed ones get in.
    """

    def __init__(self, provider: Provider, keys: SigningKeys, clock: Clock, seen: Seen) -> None:
        self._provider = provider
        self._clients = frozenset({provider.client_id, provider.cli_client_id} - {""})
        self._keys = keys
        self._clock = clock
        self._seen = seen

    def id_token(self, token: str, nonce: str) -> Claims:
        """What an ID token says that was issued just now (OpenID Connect Core 1.0, 3.1.3.7).

        Raises:
            TokenRefused: not an ID token of this provider for us and for this sign-in.
            ClockMismatch: issued at another time than now.
            ProviderUnavailable, ProviderMisconfigured: there is no key to check it with.
        """
        claims = self._verified(token, self._provider.client_id, ("sub", "nonce"))
        if (
            claims.get("typ") != "ID"
            or claims.get("azp", self._provider.client_id) != self._provider.client_id
        ):
            raise TokenRefused("this is not an ID token for this client")
        if not hmac.compare_digest(text_of(claims, "nonce").encode(), nonce.encode()):
            raise TokenRefused("the ID token belongs to another sign-in")
        self._check_times(claims, fresh_for=0)
        return claims

    def access_token(self, token: str, subject: str) -> Claims:
        """What an access token says that was issued just now, together with the ID token of `subject`.

        Raises:
            TokenRefused: not an access token of this provider, for us, about this person.
            ClockMismatch, ProviderUnavailable, ProviderMisconfigured: as `id_token`.
        """
        claims = self._verified(token, None, ("sub", "azp"))
        if (claims.get("typ"), claims["azp"], claims["sub"]) != ("Bearer", self._provider.client_id, subject):
            raise TokenRefused("this is not the access token that belongs to the ID token")
        self._check_times(claims, fresh_for=0)
        return claims

    def bearer_token(self, token: str) -> Claims:
        """What an access token says that a program sent as its credential (RFC 6750, 2.1; RFC 9068, 4).

        Raises:
            TokenRefused: of another kind, realm, audience or client; over, or living too long.
            ClockMismatch: issued in the future, by our clock.
            ProviderUnavailable, ProviderMisconfigured: as `id_token`.
        """
        claims = self._verified(token, self._provider.client_id, ("sub", "azp", "sid"), ACCESS_TYPES)
        if claims.get("typ") != "Bearer":
            raise TokenRefused("this is not an access token")
        if "cnf" in claims:  # RFC 7800, 3: whoever sends it has to show the key as well
            raise TokenRefused("the access token is bound to a key")
        if text_of(claims, "azp") not in self._clients:
            raise TokenRefused("the access token was issued to another client")
        if not text_of(claims, "sub") or not text_of(claims, "sid"):
            raise TokenRefused("the access token does not say who it is, or in which session")
        self._check_life(claims)
        return claims

    def logout_token(self, token: str) -> LogoutNotice:
        """What a logout token says (Back-Channel Logout 1.0, 2.6).

        Raises:
            TokenRefused: not a logout token of this provider for us or `sealdav token`, or seen before.
            ClockMismatch: too old, or from the future.
            ProviderUnavailable, ProviderMisconfigured: as `id_token`.
        """
        claims = self._verified(token, self._clients, ("jti", "events"), LOGOUT_TYPES)
        events = claims["events"]
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise TokenRefused("the token is not about a logout")
        if "nonce" in claims:
            raise TokenRefused("a logout token has no nonce")
        notice = LogoutNotice(text_of(claims, "sub"), text_of(claims, "sid"), text_of(claims, "jti"))
        if not notice.jti or not (notice.sub or notice.sid):
            raise TokenRefused("the logout token does not say who was signed out")
        now = self._check_times(claims, fresh_for=LOGOUT_SECONDS)
        forget_at = now + LOGOUT_SECONDS + 2 * self._provider.clock_skew
        if not self._seen.first_time(notice.jti, now, forget_at):
            raise TokenRefused("the logout token was seen before")
        return notice

    def _verified(
        self,
        token: str,
        audience: str | Collection[str] | None,
        required: tuple[str, ...],
        header_types: frozenset[str] | None = None,
    ) -> Claims:
        """The claims of a token whose signature, issuer and audience are right; times are not judged yet."""
        key, algorithm = self._key_of(token, header_types)
        try:
            claims: Claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=audience,
                issuer=self._provider.issuer,
                options={
                    "require": ["iss", "iat", "exp", *required, *(["aud"] if audience else [])],
                    "verify_aud": audience is not None,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise TokenRefused(_REASONS.get(type(error), "the token is not valid")) from None
        return claims

    def _key_of(self, token: str, header_types: frozenset[str] | None) -> tuple[jwt.PyJWK, str]:
        """The key that the header names and its algorithm, both judged before a key is looked for."""
        if len(token) > MAX_TOKEN_CHARS:
            raise TokenRefused("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise TokenRefused("this is not a signed token") from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if not isinstance(key_id, str) or not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            raise TokenRefused("the token is not signed as it must be")
        if header_types is not None and str(header.get("typ")).lower() not in header_types:
            raise TokenRefused("the token's header names another type")
        self._require_issuer(token)
        return self._keys.find(key_id), algorithm

    def _require_issuer(self, token: str) -> None:
        """Refuse what says itself that it is of another realm: its key would be asked for in vain."""
        try:
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise TokenRefused("the token is not valid") from None
        if claims.get("iss") != self._provider.issuer:
            raise TokenRefused(_REASONS[jwt.InvalidIssuerError])

    def _check_life(self, claims: Claims) -> None:
        """Judge whether a token that lives for a while is good now."""
        now, skew = to_seconds(self._clock()), self._provider.clock_skew
        issued, expires = seconds_of(claims, "iat"), seconds_of(claims, "exp")
        begins = max(issued, seconds_of(claims, "nbf") if "nbf" in claims else issued)
        if begins - now > skew:
            raise ClockMismatch(f"the token is good in {begins - now} seconds by this server's clock")
        if now - expires > skew:
            raise TokenRefused("the access token has expired")
        if expires - issued > MAX_ACCESS_SECONDS:
            raise TokenRefused("the access token lives longer than is taken here")

    def _check_times(self, claims: Claims, fresh_for: int) -> int:
        """Judge `iat` and `exp`; returns what our clock shows, in seconds since the Unix epoch."""
        now, skew = to_seconds(self._clock()), self._provider.clock_skew
        issued, expires = seconds_of(claims, "iat"), seconds_of(claims, "exp")
        if issued - now > skew:
            raise ClockMismatch(
                f"this server's clock is {issued - now} seconds behind the identity provider's"
            )
        if now - issued > fresh_for + skew or now - expires > skew:
            raise ClockMismatch(
                f"the token was issued {now - issued} seconds ago by this server's clock: it is late, or the "
                "clock is ahead of the identity provider's"
            )
        return now


class SeenHere:
    """What one process has met, for where there is no other."""

    def __init__(self) -> None:
        self._forget_at: dict[str, int] = {}
        self._lock = threading.Lock()

    def first_time(self, name: str, now: int, forget_at: int) -> bool:
        """See `Seen`."""
        with self._lock:
            self._forget_at = {each: end for each, end in self._forget_at.items() if end > now}
            if name in self._forget_at:
                return False
            self._forget_at[name] = forget_at
            return True


def text_of(claims: Claims, name: str) -> str:
    """A claim that is a short text; "" if the token does not have it.

    Raises:
        TokenRefused: it is something else, or longer than `MAX_NAME_CHARS`.
    """
    value = claims.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_NAME_CHARS:
        raise TokenRefused(f"the token's {name} is not what it must be")
    return value


def seconds_of(claims: Claims, name: str) -> int:
    """A claim that is a time, in whole seconds since the Unix epoch.

    Raises:
        TokenRefused: it is missing or something else.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TokenRefused(f"the token's {name} is not a time")
    return value
