"""What the tests speak through: WebDAV methods over `tests.conformance.http`, below one collection."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from tests.conformance import multistatus
from tests.conformance.http import PATIENCE, Address, Connection, Response, Violation
from tests.conformance.multistatus import DAV, ActiveLock, Resource

Headers = Mapping[str, str]


def basic(username: str, password: str) -> str:
    """An Authorization header (RFC 7617)."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode()


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody's view of the server.

    Attributes:
        authorization: value of the Authorization header; None sends none.
        root: encoded path, with its slash at the end, that names are relative to.
        patience: seconds to wait for the server.
        tls: how https is spoken; None is plain http.
    """

    address: Address
    authorization: str | None
    root: str = "/dav/"
    patience: float = PATIENCE
    tls: ssl.SSLContext | None = None

    # ── addresses ───────────────────────────────────────────────────────────────────────────────────────────
    @property
    def host(self) -> str:
        """The Host header."""
        return f"{self.address[0]}:{self.address[1]}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        who = {} if self.authorization is None else {"Authorization": self.authorization}
        return {"Host": self.host, **who}

    def at(self, name: str = "") -> str:
        """The request target of `name`, whose segments are encoded; the root itself for ""."""
        return self.root + quote(name, safe="/")

    def url(self, name: str = "") -> str:
        """The absolute URL of `name`."""
        return f"{'https' if self.tls else 'http'}://{self.host}{self.at(name)}"

    def below(self, name: str) -> Client:
        """The same account, relative to the collection `name`."""
        return replace(self, root=f"{self.at(name)}/")

    def as_(self, authorization: str | None) -> Client:
        """The same place with another credential."""
        return replace(self, authorization=authorization)

    # ── requests ────────────────────────────────────────────────────────────────────────────────────────────
    def connect(self) -> Connection:
        """A connection of one's own."""
        return Connection(self.address, self.patience, self.tls)

    def send(
        self, method: str, target: str, headers: Headers | None = None, body: bytes | None = None
    ) -> Response:
        """One request for an exact target on a connection of its own, which must end after its answer."""
        with self.connect() as connection:
            answer = connection.ask(
                method, target, {**self.headers, "Connection": "close", **(headers or {})}, body
            )
            if not connection.ended():
                raise Violation("something follows the answer")
            return answer

    def ask(
        self, method: str, name: str = "", headers: Headers | None = None, body: bytes | None = None
    ) -> Response:
        """One request for `name`."""
        return self.send(method, self.at(name), headers, body)

    def get(self, name: str, headers: Headers | None = None) -> Response:
        """GET."""
        return self.ask("GET", name, headers)

    def head(self, name: str, headers: Headers | None = None) -> Response:
        """HEAD."""
        return self.ask("HEAD", name, headers)

    def put(self, name: str, body: bytes = b"", headers: Headers | None = None) -> Response:
        """PUT."""
        return self.ask("PUT", name, headers, body)

    def mkcol(self, name: str, headers: Headers | None = None) -> Response:
        """MKCOL."""
        return self.ask("MKCOL", name, headers)

    def delete(self, name: str, headers: Headers | None = None) -> Response:
        """DELETE."""
        return self.ask("DELETE", name, headers)

    def move(self, source: str, target: str, headers: Headers | None = None) -> Response:
        """MOVE with an absolute URL as Destination."""
        return self.ask("MOVE", source, {"Destination": self.url(target), **(headers or {})})

    def copy(self, source: str, target: str, headers: Headers | None = None) -> Response:
        """COPY with an absolute URL as Destination."""
        return self.ask("COPY", source, {"Destination": self.url(target), **(headers or {})})

    def propfind(
        self, name: str = "", *properties: str, depth: str = "0", headers: Headers | None = None
    ) -> Response:
        """PROPFIND of properties named as "{namespace}name"; of all (no body) if none is named."""
        body = multistatus.propfind(properties) if properties else None
        return self.ask("PROPFIND", name, {"Depth": depth, **(headers or {})}, body)

    def proppatch(self, name: str, *values: tuple[str, str], headers: Headers | None = None) -> Response:
        """PROPPATCH that sets properties in this order."""
        return self.ask("PROPPATCH", name, headers, multistatus.proppatch(values))

    def lock(
        self,
        name: str,
        scope: str = "exclusive",
        *,
        depth: str | None = None,
        timeout: str | None = None,
        owner: str | None = None,
        headers: Headers | None = None,
    ) -> Response:
        """LOCK for writing; `owner` is XML."""
        fields = {"Depth": depth, "Timeout": timeout}
        given = {field: value for field, value in fields.items() if value is not None}
        return self.ask("LOCK", name, {**given, **(headers or {})}, multistatus.lockinfo(scope, owner))

    def refresh(self, name: str, token: str, timeout: str | None = None) -> Response:
        """LOCK without a body."""
        given = {} if timeout is None else {"Timeout": timeout}
        return self.ask("LOCK", name, {"If": f"(<{token}>)", **given})

    def unlock(self, name: str, token: str) -> Response:
        """UNLOCK."""
        return self.ask("UNLOCK", name, {"Lock-Token": f"<{token}>"})

    def holding(self, *held: tuple[str, str]) -> dict[str, str]:
        """The If field that submits locks: each name with its token."""
        return {"If": " ".join(f"<{self.url(name)}> (<{token}>)" for name, token in held)}

    # ── results ─────────────────────────────────────────────────────────────────────────────────────────────
    def made(self, name: str, body: bytes = b"content", headers: Headers | None = None) -> Response:
        """PUT of a new file that has to work."""
        answer = self.put(name, body, headers)
        assert answer.status == 201
        return answer

    def made_collection(self, name: str) -> Client:
        """MKCOL that has to work; gives the view below it."""
        assert self.mkcol(name).status == 201
        return self.below(name)

    def locked(
        self, name: str, scope: str = "exclusive", *, depth: str | None = None, timeout: str | None = None
    ) -> str:
        """LOCK that has to work; gives the token."""
        return multistatus.granted(self.lock(name, scope, depth=depth, timeout=timeout)).token

    def locks(self, name: str = "") -> list[ActiveLock]:
        """The locks that lockdiscovery shows."""
        found = self.properties(name, f"{DAV}lockdiscovery")
        return multistatus.active_locks(found.element(f"{DAV}lockdiscovery"))

    def only_lock(self, name: str = "") -> ActiveLock:
        """The one lock that lockdiscovery shows."""
        found = self.locks(name)
        assert len(found) == 1
        return found[0]

    def properties(self, name: str, *properties: str) -> Resource:
        """PROPFIND Depth 0 that has to work."""
        return multistatus.only(self.propfind(name, *properties))

    def property(self, name: str, property_: str) -> str:
        """The text of one property that has to be there."""
        return self.properties(name, property_).text(property_)

    def listing(self, name: str = "", *properties: str) -> dict[str, Resource]:
        """Members of a collection by name; a collection's name ends with a slash. One level."""
        answer = self.propfind(name, *(properties or (f"{DAV}resourcetype",)), depth="1")
        resources = multistatus.parse(answer)
        own = resources[0].path
        assert own.endswith("/")
        members = {resource.path.removeprefix(own): resource for resource in resources[1:]}
        assert len(members) == len(resources) - 1
        return members

    def tree(self, name: str = "") -> dict[str, bytes | None]:
        """Content by path of all that is below; None for a collection. To prove that nothing changed."""
        return dict(self._walk(name))

    def _walk(self, name: str) -> Iterator[tuple[str, bytes | None]]:
        for member in self.listing(name):
            path = f"{name}{member}"
            if member.endswith("/"):
                yield path, None
                yield from self._walk(path)
            else:
                yield path, self.get(path).body
