"""Signs in a program that has no browser: the device flow (RFC 8628) with PKCE, and what comes after it.

A token is only ever sent in the body of a request to the provider, and none twice: Keycloak ends the session
of a refresh token that it sees again. Called by `token.py` and `sign_in.py` in `davserver/cli`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from davserver.crypto import sessions as secrets_
from davserver.errors import (
    DavserverError,
    InvalidValue,
    ProviderMisconfigured,
    ProviderUnavailable,
    SignInCancelled,
    SignInStale,
)
from davserver.identity.fetching import get_json, post_form, status_with
from davserver.identity.resource import Resource, read
from davserver.identity.tokens import MAX_TOKEN_CHARS
from davserver.serving.dispatch import RESOURCE_METADATA_PATH
from davserver.urls import is_private, origin

DISCOVERY_PATH = "/.well-known/openid-configuration"
"""Where the addresses are, below the issuer (OpenID Connect Discovery 1.0, 4)."""

PATIENCE_SECONDS = 30.0
"""How long an answer is waited for. To give up earlier may lose a refresh token that was sent already."""

SCOPE = "openid"

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"

POLL_SECONDS = 5
"""How often to ask unless the provider says otherwise, and how much more each time that it says "slow down"
(RFC 8628, 3.5)."""

MAX_CODE_CHARS = 512
"""Longest address or code that is shown to a person."""

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a program talks to the provider; all of them private lines."""

    device: str
    token: str
    revocation: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """A sign-in that waits for a person at a browser (RFC 8628, 3.2).

    Attributes:
        address: what to open; with `code` in it already, if the provider offers that.
        code: what to compare, or to type there.
        device_code, verifier: what the tokens are collected with.
        seconds: how long it waits.
        interval: how often the provider may be asked, in seconds.
    """

    address: str
    code: str
    device_code: str = field(repr=False)
    verifier: str = field(repr=False)
    seconds: int
    interval: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a program was given.

    Attributes:
        seconds: how long the access token lives.
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    seconds: int


def find_resource(url: str, ca_bundle: str) -> Resource:
    """Whose tokens open the drive of the server at `url`.

    Raises:
        InvalidValue: not an address of a drive, or of one that takes no tokens.
        ProviderUnavailable, ProviderMisconfigured: the server does not answer, or not as a drive does.
    """
    base = origin(url)
    if not is_private(url) or not base:
        raise InvalidValue("the address of a drive begins with https, or is one of this machine")
    try:
        document = get_json(base + RESOURCE_METADATA_PATH, ca_bundle)
    except ProviderMisconfigured:
        raise InvalidValue(
            "the server there takes no tokens: it has no Keycloak, or is no Sealdav, or its TLS certificate "
            "is not trusted (--ca-bundle)"
        ) from None
    return read(document, base)


def find_endpoints(issuer: str, ca_bundle: str) -> Endpoints:
    """Where to sign in at this issuer.

    Raises:
        ProviderUnavailable, ProviderMisconfigured: it does not answer, or not as itself.
    """
    document = get_json(issuer + DISCOVERY_PATH, ca_bundle) if is_private(issuer) else {}
    names = ("device_authorization_endpoint", "token_endpoint", "revocation_endpoint")
    found = [document.get(name) for name in names]
    if document.get("issuer") != issuer or not all(
        isinstance(address, str) and is_private(address) for address in found
    ):
        raise ProviderMisconfigured("the identity provider of this drive has no device flow over a safe line")
    return Endpoints(*map(str, found))


def takes(drive: str, access_token: str, ca_bundle: str) -> bool:
    """Whether the drive opens with this token.

    Raises:
        ProviderUnavailable, ProviderMisconfigured: the drive does not answer.
    """
    return status_with(f"{drive}/", access_token, ca_bundle) == HTTPStatus.OK


class DeviceFlow:
    """Sign-ins of one client.

    Args:
        endpoints: where to sign in.
        client_id: what this program is called there; it has no secret.
        ca_bundle: PEM file of the authorities that vouch for the provider's certificate; "" is the system's.
        sleep, monotonic: waits, and tells how long that was.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        client_id: str,
        ca_bundle: str,
        *,
        sleep: Sleep = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoints = endpoints
        self._client_id = client_id
        self._ca_bundle = ca_bundle
        self._sleep = sleep
        self._monotonic = monotonic

    def begin(self) -> Invitation:
        """Ask for a code that a person types at the provider (RFC 8628, 3.1, with RFC 7636, 4.3).

        Raises:
            ProviderMisconfigured: the provider does not know this client, or not for this flow.
            ProviderUnavailable: it does not answer.
        """
        verifier = secrets_.to_text(secrets_.mint())
        status, answer = self._post(
            self._endpoints.device,
            scope=SCOPE,
            code_challenge=secrets_.to_text(hashlib.sha256(verifier.encode()).digest()),
            code_challenge_method="S256",
        )
        if status != HTTPStatus.OK:
            raise _refusal(answer)
        address = answer.get("verification_uri_complete") or answer.get("verification_uri")
        shown, code = _text(address, MAX_CODE_CHARS), _text(answer.get("user_code"), MAX_CODE_CHARS)
        if not is_private(shown) or not (shown + code).isprintable():
            raise ProviderMisconfigured("the identity provider names no safe address to sign in at")
        return Invitation(
            shown,
            code,
            _text(answer.get("device_code"), MAX_TOKEN_CHARS),
            verifier,
            _seconds(answer, "expires_in", 0),
            _seconds(answer, "interval", POLL_SECONDS),
        )

    def wait(self, invitation: Invitation) -> Tokens:
        """Ask again and again until the person has signed in (RFC 8628, 3.4 and 3.5).

        Raises:
            SignInCancelled: the person refused.
            SignInStale: nobody came in time.
            ProviderMisconfigured: the provider wants something else.
        """
        interval: float = invitation.interval
        until = self._monotonic() + invitation.seconds
        while self._monotonic() + interval < until:
            self._sleep(interval)
            try:
                status, answer = self._post(
                    self._endpoints.token,
                    grant_type=DEVICE_GRANT,
                    device_code=invitation.device_code,
                    code_verifier=invitation.verifier,
                )
            except ProviderUnavailable:
                interval *= 2
                continue
            if status == HTTPStatus.OK:
                return _tokens(answer)
            if answer.get("error") == "slow_down":
                interval += POLL_SECONDS
            elif answer.get("error") != "authorization_pending":
                raise _refusal(answer)
        raise SignInStale(_NOBODY)

    def refresh(self, refresh_token: str) -> Tokens:
        """New tokens for old (RFC 6749, 6). Whatever comes of it, the old ones are not to be used again.

        Raises:
            SignInStale: the session there is over, or its owner is shut out.
            ProviderUnavailable, ProviderMisconfigured: as `begin`.
        """
        status, answer = self._post(
            self._endpoints.token, grant_type="refresh_token", refresh_token=refresh_token
        )
        if status != HTTPStatus.OK:
            raise _refusal(answer)
        return _tokens(answer)

    def revoke(self, refresh_token: str) -> None:
        """Let nobody use a refresh token any more (RFC 7009, 2.1).

        Raises:
            ProviderUnavailable, ProviderMisconfigured: as `begin`.
        """
        status, answer = self._post(self._endpoints.revocation, token=refresh_token)
        if status != HTTPStatus.OK:
            raise _refusal(answer)

    def _post(self, url: str, **form: str) -> tuple[int, dict[str, object]]:
        return post_form(url, {"client_id": self._client_id, **form}, self._ca_bundle, PATIENCE_SECONDS)


_NOBODY = "nobody signed in in time: begin again"

_ERRORS: dict[str, tuple[type[DavserverError], str]] = {
    "access_denied": (SignInCancelled, "the sign-in was refused at the identity provider"),
    "expired_token": (SignInStale, _NOBODY),
    "invalid_grant": (SignInStale, "the session at the identity provider is over"),
}
"""Error codes (RFC 6749, 5.2; RFC 8628, 3.5) and what they mean here."""


def _refusal(answer: Mapping[str, object]) -> DavserverError:
    """The error that an error code stands for; one that is not in the table means that we ask wrongly."""
    kind, message = _ERRORS.get(
        str(answer.get("error")),
        (
            ProviderMisconfigured,
            "the identity provider does not accept the client of the command line: it needs the device flow",
        ),
    )
    return kind(message)


def _tokens(answer: Mapping[str, object]) -> Tokens:
    access, refresh = (_text(answer.get(name), MAX_TOKEN_CHARS) for name in ("access_token", "refresh_token"))
    if str(answer.get("token_type")).lower() != "bearer" or not access or not refresh:
        raise ProviderMisconfigured("the identity provider gave no tokens that can be used and renewed")
    return Tokens(access, refresh, _seconds(answer, "expires_in", 0))


def _text(value: object, longest: int) -> str:
    return value if isinstance(value, str) and len(value) <= longest else ""


def _seconds(answer: Mapping[str, object], name: str, usual: int) -> int:
    value = answer.get(name, usual)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else usual
