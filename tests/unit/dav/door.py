"""The door called as a WSGI application, without a socket: what goes in, what comes out.

Two accounts on real services; a password is the name of a set of scopes. Used by the tests of this folder.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from davserver.dav.app import DavApp
from davserver.dav.put import Digests
from davserver.errors import AuthenticationError
from davserver.model import Account, AccountState, Principal, Scope
from davserver.vault.service import RequestReads, Vaults
from tests.factories import World, make_principal, make_world

ALICE, BOB = "alice", "bob"
SHA1_ONLY = Digests()
SCOPES = {"full": Scope.FULL, "read": Scope.READ_ONLY, "keep": Scope.NO_DELETE}


def basic(username: str, secret: str) -> str:
    """An Authorization field (RFC 7617)."""
    return "Basic " + b64encode(f"{username}:{secret}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Answer:
    """One response; names of fields are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass(slots=True)
class Door:
    """A door and who stands before it."""

    app: DavApp
    world: World
    vaults: Vaults
    authorization: str | None = field(default_factory=lambda: basic(ALICE, "full"))

    def call(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        environ: Mapping[str, object] | None = None,
    ) -> Answer:
        """One request for an exact target."""
        full: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "REQUEST_URI": target,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "HTTP_HOST": "drive.test",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
        }
        if self.authorization is not None:
            full["HTTP_AUTHORIZATION"] = self.authorization
        for name, value in (headers or {}).items():
            full[f"HTTP_{name.upper().replace('-', '_')}"] = value
        full |= environ or {}
        started: list[tuple[str, list[tuple[str, str]]]] = []
        blocks = self.app(full, lambda status, fields: started.append((status, fields)))
        try:
            content = b"".join(map(bytes, blocks))
        finally:
            if hasattr(blocks, "close"):
                blocks.close()
        ((status, fields),) = started
        headers_sent: dict[str, str] = {}
        for name, value in fields:
            before = headers_sent.get(name.lower())
            assert before is None or name == "WWW-Authenticate", name
            headers_sent[name.lower()] = value if before is None else f"{before}, {value}"
        return Answer(int(status[:3]), headers_sent, content)

    def ask(
        self, method: str, name: str = "", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request for a name below the root."""
        return self.call(method, f"/dav/{quote(name)}", headers, body)

    def put(self, name: str, body: bytes = b"content", headers: Mapping[str, str] | None = None) -> Answer:
        """PUT."""
        return self.ask("PUT", name, headers, body)

    def get(self, name: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return self.ask("GET", name, headers)

    def as_(self, username: str, secret: str = "full") -> Door:  # noqa: S107
        """The same door for somebody else."""
        return Door(self.app, self.world, self.vaults, basic(username, secret))

    def close(self) -> None:
        """Let go of everything."""
        self.vaults.close()
        self.world.database.dispose()


class Doorkeeper:
    """Knows three credentials of each account, named after what they allow."""

    def __init__(self, world: World, accounts: Mapping[str, Account]) -> None:
        self._world = world
        self._accounts = accounts

    def authenticate(
        self, username: str, secret: str, _client: str, _agent: str, _reads: RequestReads | None
    ) -> Principal:
        """Who it is."""
        if username not in self._accounts or secret not in SCOPES:
            raise AuthenticationError("wrong")
        return make_principal(self._accounts[username], self._world.clock, scopes=SCOPES[secret])

    def still_open(self, principal: Principal) -> bool:
        """As long as the account is there and active."""
        return self._world.accounts.find(principal.account.username).state is AccountState.ACTIVE


def make_door(folder: Path, digests: Digests = SHA1_ONLY) -> Door:
    """A door to two accounts, ready for Alice with everything allowed; `close` it when done."""
    world = make_world(folder)
    accounts = {name: world.accounts.create(name) for name in (ALICE, BOB)}

    vaults = Vaults(world.database, world.blobs, world.keyring, world.clock)
    return Door(DavApp(Doorkeeper(world, accounts), vaults, world.audit, digests), world, vaults)
