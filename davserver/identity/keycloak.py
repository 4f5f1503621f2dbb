"""Sign-in and sign-out at Keycloak: the authorization code flow (RFC 6749, 4.1) with PKCE, and both logouts.

Tokens are judged in `tokens`; nothing is believed of the browser that brings the answer, except what only the
provider can have known. The client secret and tokens never enter a log or a message. Called by pages.
"""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from davserver.clock import Clock, to_seconds
from davserver.crypto.primitives import random_bytes
from davserver.errors import (
    DavserverError,
    ProviderMisconfigured,
    ProviderUnavailable,
    SecondFactorMissing,
    SignInCancelled,
    SignInStale,
    TokenRefused,
)
from davserver.identity.base import Identity, LogoutNotice, Pending, Provider
from davserver.identity.fetching import TIMEOUT_SECONDS, Patience, get_json, told_apart
from davserver.identity.jwks import POLICY as KEYS_POLICY
from davserver.identity.jwks import KeySet, SigningKeys, parse_keys
from davserver.identity.people import holder_of, identity_of
from davserver.identity.remembered import Monotonic, Policy, Remembered, in_a_thread
from davserver.identity.step_up import StepUp
from davserver.identity.tokens import Claims, Seen, SeenHere, TokenVerifier, seconds_of

DISCOVERY_POLICY = Policy(lifespan=600, max_stale=86_400, tries=1, window=5)
"""The addresses hardly ever change. While Keycloak is down it is asked every 5 seconds at most."""

DISCOVERY_PATH = "/.well-known/openid-configuration"
"""Where the addresses are, below the issuer (OpenID Connect Discovery 1.0, 4)."""

SCOPE = "openid profile email"

SECRET_BYTES = 32
"""Length of state, nonce and verifier before they become 43 characters (RFC 7636, 4.1: at least 43)."""

PENDING_SECONDS = 1800
"""How long somebody may take at the provider; Keycloak's own form lives as long."""

MAX_EXCHANGES = 16
"""How many callbacks wait for the provider at once; more are refused rather than block every thread."""

MAX_FETCHES = 4
"""How many documents may be on their way at once: keys and addresses, and what drips from before."""

MAX_SHOWN_CHARS = 200
"""How much of a wrong issuer is shown."""

Endpoints = Mapping[str, str]

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint")

_ERRORS: dict[str, tuple[type[DavserverError], str]] = {
    "access_denied": (SignInCancelled, "the sign-in was cancelled at the identity provider"),
    "authentication_expired": (SignInStale, "the sign-in took too long at the identity provider"),
    "invalid_grant": (SignInStale, "the identity provider's answer was used before or came too late"),
    "temporarily_unavailable": (ProviderUnavailable, "the identity provider cannot sign people in now"),
    "server_error": (ProviderUnavailable, "the identity provider is in trouble"),
    "invalid_client": (
        ProviderMisconfigured,
        "the identity provider refuses identity.client_id or its secret",
    ),
    "unauthorized_client": (
        ProviderMisconfigured,
        "the identity provider refuses identity.client_id or its secret",
    ),
}
"""Error codes (RFC 6749, 4.1.2.1 and 5.2; OpenID Connect Core 1.0, 3.1.2.6) and what they mean here."""


class KeycloakSignOn:
    """One realm of a Keycloak as a `SingleSignOn`, and the judge of its access tokens (`AccessTokens`).

    Args:
        provider: which realm, and what we are to it.
        clock: what tells the time.
        step_up: what Keycloak has to say of its second factor at a sign-in; None if ours is asked for here.
        seen: remembers the names of logout tokens; where nobody is given, this process alone does.
        monotonic: seconds since some moment, for what is remembered.
        spawn: runs a function beside the caller.
    """

    def __init__(  # noqa: PLR0913 - parts
        self,
        provider: Provider,
        clock: Clock,
        step_up: StepUp | None = None,
        *,
        seen: Seen | None = None,
        monotonic: Monotonic = time.monotonic,
        spawn: Callable[[Callable[[], None]], None] = in_a_thread,
    ) -> None:
        self._provider = provider
        self._clock = clock
        self._step_up = step_up
        self._endpoints = Remembered(self._discover, DISCOVERY_POLICY, monotonic, spawn)
        # Each asks for keys by itself: strangers can spend the one budget, and people still have to be signed
        # in by what Keycloak itself has answered, even if it has just begun to sign with another key.
        seen = seen or SeenHere()
        self._answered = self._verifier(seen, monotonic, spawn)
        self._brought = self._verifier(seen, monotonic, spawn)
        self._exchanges, self._fetches = Patience(MAX_EXCHANGES), Patience(MAX_FETCHES)

    def begin(self, redirect_uri: str, *, max_age: int | None = None) -> tuple[str, Pending]:
        """See `SingleSignOn.begin`. Nobody is sent to a provider that is known to be down."""
        endpoint = self._endpoints.renew()["authorization_endpoint"]
        pending = Pending(
            _secret(), _secret(), _secret(), redirect_uri, to_seconds(self._clock()), max_age=max_age
        )
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                endpoint,
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
                **_freshness(max_age),
                **({} if self._step_up is None else {"acr_values": self._step_up.acr}),
            )
        return str(url), pending

    def finish(self, pending: Pending, callback: Mapping[str, str]) -> Identity:
        """See `SingleSignOn.finish`."""
        code = self._code(pending, callback)
        endpoint = self._endpoints.get()["token_endpoint"]
        answer = self._exchanges.ask(lambda: self._exchange(endpoint, pending, code))
        id_token, access_token = str(answer.get("id_token")), str(answer.get("access_token"))
        claims = self._answered.id_token(id_token, pending.nonce)
        self._require_fresh(pending, claims)
        subject = str(claims["sub"])
        identity = identity_of(id_token, claims, lambda: self._answered.access_token(access_token, subject))
        if self._step_up is not None and not self._step_up.is_met(identity, to_seconds(self._clock())):
            raise SecondFactorMissing("the identity provider did not ask for the second factor")
        return identity

    def logout_url(self, id_token: str, return_to: str) -> str:
        """See `SingleSignOn.logout_url`. It is asked whether it is there, as in `begin`."""
        query = {
            "id_token_hint": id_token,
            "client_id": self._provider.client_id,
            "post_logout_redirect_uri": self._provider.post_logout_url or return_to,
        }
        return f"{self._endpoints.renew()['end_session_endpoint']}?{urlencode(query)}"

    def verify_logout_token(self, token: str) -> LogoutNotice:
        """See `SingleSignOn.verify_logout_token`."""
        return self._brought.logout_token(token)

    def verify_access_token(self, token: str) -> Identity:
        """See `AccessTokens.verify_access_token`."""
        return holder_of(self._brought.bearer_token(token))

    def _verifier(
        self, seen: Seen, monotonic: Monotonic, spawn: Callable[[Callable[[], None]], None]
    ) -> TokenVerifier:
        """Judges tokens by keys that it remembers itself."""
        keys = Remembered(self._fetch_keys, KEYS_POLICY, monotonic, spawn)
        return TokenVerifier(self._provider, SigningKeys(keys), self._clock, seen)

    def _code(self, pending: Pending, callback: Mapping[str, str]) -> str:
        """The code that the callback brings, once it is certain that it answers this sign-in."""
        if not hmac.compare_digest(callback.get("state", "").encode(), pending.state.encode()):
            raise SignInStale("the identity provider's answer belongs to another sign-in")
        if to_seconds(self._clock()) - pending.started_at > PENDING_SECONDS:
            raise SignInStale("the sign-in took too long")
        if callback.get("iss") != self._provider.issuer:  # RFC 9207, 2.4
            raise TokenRefused("the answer to the sign-in comes from another issuer")
        if "error" in callback:
            detail = callback.get("error_description", "")
            raise _told(detail if detail in _ERRORS else callback["error"])
        if not callback.get("code"):
            raise SignInStale("the identity provider's answer is incomplete")
        return callback["code"]

    def _exchange(self, endpoint: str, pending: Pending, code: str) -> Mapping[str, object]:
        try:
            with told_apart(), self._client(pending.redirect_uri) as client:
                answer: Mapping[str, object] = client.fetch_token(
                    endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=pending.verifier,
                    timeout=TIMEOUT_SECONDS,
                    verify=self._provider.ca_bundle or True,
                    allow_redirects=False,
                )
        except OAuthError as error:
            raise _told(str(error.error)) from None
        except ValueError:
            raise ProviderUnavailable("the identity provider's answer cannot be read") from None
        return answer

    def _client(self, redirect_uri: str) -> OAuth2Session:
        """Authlib's client for one sign-in: it keeps tokens, so it is never shared."""
        return OAuth2Session(
            self._provider.client_id,
            self._provider.client_secret,
            token_endpoint_auth_method="client_secret_post",  # noqa: S106 - a method's name
            scope=SCOPE,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )

    def _require_fresh(self, pending: Pending, claims: Claims) -> None:
        """Judge `auth_time` against `max_age`, which a browser could have left out of the request."""
        if pending.max_age is None:
            return
        oldest = pending.started_at - pending.max_age - self._provider.clock_skew
        if seconds_of(claims, "auth_time") < oldest:
            raise TokenRefused("the identity provider did not ask for the credentials again")

    def _discover(self) -> Endpoints:
        document = self._get(self._provider.issuer + DISCOVERY_PATH)
        if document.get("issuer") != self._provider.issuer:
            raise ProviderMisconfigured(
                f"the identity provider calls itself {str(document.get('issuer'))[:MAX_SHOWN_CHARS]!r}: "
                "set identity.issuer to that"
            )
        addresses = {name: document.get(name) for name in _ENDPOINTS}
        if not all(isinstance(address, str) for address in addresses.values()):
            raise ProviderMisconfigured(
                "the identity provider does not say its addresses: check identity.issuer"
            )
        return {name: str(address) for name, address in addresses.items()}

    def _fetch_keys(self) -> KeySet:
        return parse_keys(self._get(self._endpoints.get()["jwks_uri"]))

    def _get(self, url: str) -> dict[str, object]:
        return self._fetches.ask(lambda: get_json(url, self._provider.ca_bundle))


def _freshness(max_age: int | None) -> dict[str, str]:
    """What has the credentials typed again; Keycloak takes 0 for "within this second", hence the prompt."""
    if max_age is None:
        return {}
    return {"max_age": str(max_age)} if max_age > 0 else {"max_age": "0", "prompt": "login"}


def _secret() -> str:
    return urlsafe_b64encode(random_bytes(SECRET_BYTES)).rstrip(b"=").decode()


def _told(code: str) -> DavserverError:
    """The error that an error code stands for; one that is not in the table means that we ask wrongly."""
    if code not in _ERRORS:
        return ProviderMisconfigured(
            "the identity provider does not accept how this server asks: check the client"
        )
    kind, message = _ERRORS[code]
    return kind(message)
