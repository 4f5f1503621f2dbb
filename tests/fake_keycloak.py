"""A small Keycloak for tests: an HTTP server on loopback that signs real tokens, and lies when it is told to.

It has the addresses that a server asks: discovery, keys, token. The form is left out: `answer` is what a
browser would bring back from it. Its clock is the test's.
"""

from __future__ import annotations

import functools
import json
import sys
import threading
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from davserver.clock import Clock, to_seconds
from davserver.identity.base import Pending, Provider
from davserver.identity.tokens import LOGOUT_EVENT

CLIENT = "sealdav"
SECRET = "the client's secret, long enough to be a key of HMAC"
SUBJECT = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
SESSION = "5d5f2f5e-8a5a-4a59-9a83-fbb1c7f2d3a0"

CLI = "dav-cli"

DISCOVERY = "/realms/test/.well-known/openid-configuration"
KEYS = "/realms/test/certs"
TOKEN = "/realms/test/token"
DEVICE = "/realms/test/device-authorization"
REVOKE = "/realms/test/revoke"


@functools.cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """A key pair, the same for every test that calls it by this name."""
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(name: str) -> dict[str, Any]:
    """What Keycloak publishes of it."""
    found = jwt.algorithms.RSAAlgorithm.to_jwk(private_key(name).public_key(), as_dict=True)
    return {**found, "kid": name, "use": "sig", "alg": "RS256"}


class _Server(ThreadingHTTPServer):
    """Says nothing of clients that did not wait for the answer: that is what some tests are about."""

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as inherited
        """Report everything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


@dataclass
class FakeKeycloak:
    """Use as a context manager.

    Attributes:
        clock: what its tokens say.
        fetches: how often each path was asked for.
        published: names of the keys that it shows; the last one signs.
        status: what it answers instead of anything useful; 200 is none.
        discovery: what it says of itself, beside its addresses.
        body: what it says instead of any JSON.
        lifespan: how long tokens of the device flow live, in seconds.
        interval: how often a device may ask, in seconds.
        claimed: what tokens of the device flow say otherwise than usual.
        pending: errors that a device is told, one each time that it asks, before it gets tokens.
        refreshes: how many refresh tokens were redeemed.
        drips: "head" or "body": which part of each answer it gives byte by byte, without an end.
    """

    clock: Clock
    fetches: Counter[str] = field(default_factory=Counter)
    published: list[str] = field(default_factory=lambda: ["first"])
    status: int = 200
    discovery: dict[str, object] = field(default_factory=dict)
    body: bytes | None = None
    lifespan: int = 300
    interval: int = 5
    claimed: dict[str, object] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    refreshes: int = 0
    drips: str = ""
    _devices: dict[str, str] = field(default_factory=dict)
    _sessions: dict[str, int] = field(default_factory=dict)
    _codes: dict[str, tuple[Pending, dict[str, object]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take a port."""
        self._talks = threading.Event()
        self._talks.set()
        self._ending = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realms/test"
        self.provider = Provider(self.issuer, CLIENT, SECRET, cli_client_id=CLI)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.hangs(yes=False)
        self._ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def hangs(self, *, yes: bool) -> None:
        """Stop answering, or go on."""
        if yes:
            self._talks.clear()
        else:
            self._talks.set()

    # tokens
    def sign(self, claims: Mapping[str, object], *, key: str = "", **header: Any) -> str:  # noqa: ANN401
        """A signed token; `header` replaces members of the usual header."""
        key = key or self.published[-1]
        headers = {"kid": key, **header}
        return jwt.encode(dict(claims), private_key(key), algorithm="RS256", headers=headers)

    def id_claims(self, **changes: object) -> dict[str, object]:
        """What an ID token of Keycloak says; a change to None takes a claim away."""
        now = to_seconds(self.clock())
        claims: dict[str, object] = {
            **self._claims("ID", now),
            "aud": CLIENT,
            "auth_time": now,
            "nonce": "",
            "acr": "1",
            "sid": SESSION,
            "preferred_username": "alice",
            "name": "Alice Example",
            "email": "alice@example.test",
            "email_verified": True,
            "realm_access": {"roles": ["dav-user"]},
        }
        return _without_none({**claims, **changes})

    def access_claims(self, **changes: object) -> dict[str, object]:
        """What an access token of Keycloak says."""
        now = to_seconds(self.clock())
        claims = {**self._claims("Bearer", now), "aud": "account", "realm_access": {"roles": ["dav-user"]}}
        return _without_none({**claims, **changes})

    def bearer_claims(self, **changes: object) -> dict[str, object]:
        """What an access token of Keycloak says that was issued to `sealdav token` for us."""
        now = to_seconds(self.clock())
        claims = {
            **self._claims("Bearer", now),
            "aud": CLIENT,
            "azp": CLI,
            "sid": SESSION,
            "auth_time": now,
            "acr": "1",
            "preferred_username": "alice",
            "realm_access": {"roles": ["dav-user"]},
        }
        return _without_none({**claims, **changes})

    def bearer(self, **changes: object) -> str:
        """Such a token, with the header that Keycloak gives it."""
        return self.sign(self.bearer_claims(**changes), typ="at+jwt")

    def logout_claims(self, **changes: object) -> dict[str, object]:
        """What a logout token of Keycloak says."""
        now = to_seconds(self.clock())
        claims: dict[str, object] = {
            **self._claims("Logout", now),
            "exp": now + 120,
            "aud": CLIENT,
            "azp": None,
            "jti": f"jti {now}",
            "sid": SESSION,
            "events": {LOGOUT_EVENT: {}},
        }
        return _without_none({**claims, **changes})

    def _claims(self, kind: str, now: int) -> dict[str, object]:
        return {"iss": self.issuer, "sub": SUBJECT, "azp": CLIENT, "typ": kind, "iat": now, "exp": now + 300}

    # a sign-in
    def answer(
        self,
        pending: Pending,
        *,
        access: Any = None,  # noqa: ANN401 - claims; anything goes into `id_changes`
        **id_changes: object,
    ) -> dict[str, str]:
        """What a browser brings back after `pending`.

        Args:
            pending: the sign-in that is answered.
            access: claims of the access token; None is a usual one.
            id_changes: changes of the ID token.
        """
        tokens = {
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.sign(self.id_claims(**{"nonce": pending.nonce, **id_changes})),
            "access_token": self.sign(self.access_claims() if access is None else access),
        }
        code = f"code {len(self._codes)}"
        self._codes[code] = (pending, tokens)
        return {"code": code, "state": pending.state, "iss": self.issuer, "session_state": SESSION}

    def _redeem(self, form: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        known = self._codes.pop(form.get("code", ""), None)
        if known is None or form["redirect_uri"] != known[0].redirect_uri:
            return 400, {"error": "invalid_grant"}
        if form["code_verifier"] != known[0].verifier:
            return 400, {"error": "invalid_grant", "error_description": "PKCE verification failed"}
        return 200, known[1]

    # the device flow, and what follows it
    def _invite(self, form: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        if form.get("client_id") != CLI:
            return 401, {"error": "invalid_client"}
        if form.get("code_challenge_method") != "S256":
            return 400, {"error": "invalid_request"}
        code = f"device {len(self._devices)}"
        self._devices[code] = form["code_challenge"]
        return 200, {
            "device_code": code,
            "user_code": "ABCD-EFGH",
            "verification_uri": f"{self.issuer}/device",
            "verification_uri_complete": f"{self.issuer}/device?user_code=ABCD-EFGH",
            "expires_in": 600,
            "interval": self.interval,
        }

    def _grant(self, form: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        """By kind of grant."""
        if form["grant_type"] == "authorization_code":
            return self._redeem(form)
        if form.get("client_id") != CLI:
            return 401, {"error": "invalid_client"}
        if form["grant_type"] == "refresh_token":
            return self._refresh(form["refresh_token"])
        if self.pending:
            return 400, {"error": self.pending.pop(0)}
        if self._devices.pop(form["device_code"], None) != challenge(form["code_verifier"]):
            return 400, {"error": "invalid_grant"}
        return self._issue(f"session {len(self._sessions)}", 0)

    def _refresh(self, refresh_token: str) -> tuple[int, dict[str, object]]:
        """A refresh token that comes a second time ends its session, as at Keycloak."""
        session, _, number = refresh_token.rpartition(" ")
        if self._sessions.get(session) != int(number):
            self._sessions.pop(session, None)
            return 400, {"error": "invalid_grant", "error_description": "Session not active"}
        self.refreshes += 1
        return self._issue(session, int(number) + 1)

    def _revoke(self, form: Mapping[str, str]) -> tuple[int, dict[str, object]]:
        self._sessions.pop(form["token"].rpartition(" ")[0], None)
        return 200, {}

    def _issue(self, session: str, number: int) -> tuple[int, dict[str, object]]:
        self._sessions[session] = number
        now = to_seconds(self.clock())
        return 200, {
            "token_type": "Bearer",
            "expires_in": self.lifespan,
            "access_token": self.bearer(exp=now + self.lifespan, jti=f"{session} {number}", **self.claimed),
            "refresh_token": f"{session} {number}",
        }

    # HTTP
    def _answer_to(self, path: str, body: str) -> tuple[int, object]:
        if self.status != 200:
            return self.status, {"error": "server_error"}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = {TOKEN: self._grant, DEVICE: self._invite, REVOKE: self._revoke}
        if path in asked:
            return asked[path](form)
        if path == KEYS:
            return 200, {"keys": [public_jwk(name) for name in self.published]}
        if path == DISCOVERY:
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/auth",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/certs",
                "end_session_endpoint": f"{self.issuer}/logout",
                "device_authorization_endpoint": f"{self.issuer}/device-authorization",
                "revocation_endpoint": f"{self.issuer}/revoke",
                **self.discovery,
            }
        return 404, {"error": "not found"}

    def _drip(self, line: BufferedIOBase) -> None:
        """Never silent for long, never done."""
        head = b"HTTP/1.1 200 OK\r\nX-Drip: "
        line.write(head if self.drips == "head" else head + b"x\r\n\r\n")
        while not self._ending.wait(0.05):
            line.write(b" ")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._respond("")

            def do_POST(self) -> None:
                self._respond(self.rfile.read(int(self.headers["Content-Length"])).decode())

            def _respond(self, body: str) -> None:
                fake.fetches[self.path] += 1
                fake._talks.wait()
                status, document = fake._answer_to(self.path, body)
                text = json.dumps(document).encode() if fake.body is None else fake.body
                if fake.drips:
                    fake._drip(self.wfile)
                    return
                self.send_response(status)
                if status == HTTPStatus.FOUND:
                    self.send_header("Location", DISCOVERY)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        return Handler


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636, 4.2), worked out apart from the library under test."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _without_none(claims: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in claims.items() if value is not None}
