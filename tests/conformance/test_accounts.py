"""Two accounts on one server have nothing in common; and one account has several addresses. A10, T22."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.multistatus import DAV
from tests.conformance.ours import Device, OurServer

METHODS = ("GET", "HEAD", "PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH")


@pytest.fixture
def two(ours: OurServer) -> tuple[Device, Device]:
    """Two new accounts."""
    return ours.new_account(), ours.new_account()


def test_same_addresses_other_files(two: tuple[Device, Device]) -> None:
    """T22, A10: what one does under a path is not there for the other, under the same path."""
    a, b = (device.client for device in two)
    a.made_collection("folder").made("file", b"of a")
    assert b.tree() == {}
    b.made_collection("folder").made("file", b"of b")
    assert a.put("folder/file", b"of a, again").status == 204
    assert b.get("folder/file").body == b"of b"
    assert b.delete("folder").status == 204
    assert a.tree() == {"folder/": None, "folder/file": b"of a, again"}
    assert a.get("folder/file")["ETag"] not in str(b.propfind(depth="0").body)


def test_conditions_do_not_cross(two: tuple[Device, Device]) -> None:
    """A10: another account's ETag matches nothing here, and what exists there does not exist here."""
    a, b = (device.client for device in two)
    etag = a.made("file")["ETag"]
    assert b.put("file", b"x", {"If-Match": etag}).status == 412
    assert b.put("file", b"x", {"If-Match": "*"}).status == 412
    assert b.put("file", b"x", {"If-None-Match": "*"}).status == 201
    assert b.put("new", b"x", {"If": f"<{a.url('file')}> ([{etag}])"}).status == 412


@pytest.mark.parametrize("prefix", ["/remote.php/dav/files/{name}/", "/remote.php/dav/files/{name}"])
def test_other_account_cannot_be_addressed(two: tuple[Device, Device], prefix: str) -> None:
    """A10: its named address is a 404 for every method, just as that of an account that does not exist."""
    a, b = two
    a.client.made("file")
    before = a.client.tree()
    root = prefix.format(name=a.account.username)
    nobody = prefix.format(name="nobody-of-this-name")
    for method in METHODS:
        for name in ("file", "new", "") if root.endswith("/") else ("",):
            fields = {"Depth": "0"} if method == "PROPFIND" else {"Destination": b.client.url("stolen")}
            body = {"PUT": b"x", "PROPPATCH": multistatus.proppatch([(f"{DAV}lastmodified", "1")])}.get(
                method
            )
            answers = [b.client.send(method, place + name, fields, body) for place in (root, nobody)]
            assert answers[0].status == answers[1].status == 404
            assert answers[0].body == answers[1].body
    assert a.client.tree() == before
    assert b.client.tree() == {}


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_destination_cannot_be_another_account(two: tuple[Device, Device], method: str) -> None:
    """A10, T20: nothing can be put into another account, by its address or with its name in the URL."""
    a, b = two
    b.client.made("file")
    name = a.account.username
    for destination in (
        f"http://{b.client.host}/remote.php/dav/files/{name}/stolen",
        f"/remote.php/dav/files/{name}/stolen",
        f"/remote.php/dav/files/{b.account.username}/../{name}/stolen",
        f"/remote.php/dav/files/{b.account.username}%2F..%2F{name}/stolen",
        f"http://{name}@{b.client.host}/dav/stolen",
    ):
        answer = b.client.ask(method, "file", {"Destination": destination})
        assert answer.refused or answer.status == 502
    assert a.client.tree() == {}
    assert b.client.tree() == {"file": b"content"}


def test_quota_does_not_cross(ours: OurServer) -> None:
    """A full account takes nothing away from another one."""
    full, other = ours.new_account(quota=10), ours.new_account(quota=10)
    full.client.made("file", bytes(10))
    assert full.client.put("more", b"x").status == 507
    other.client.made("file", bytes(10))
    assert other.client.property("", f"{DAV}quota-used-bytes") == "10"


def test_connection_belongs_to_nobody(two: tuple[Device, Device]) -> None:
    """A10: each request on a shared connection, as behind a proxy, is its own credential's."""
    a, b = (device.client for device in two)
    a.made("file", b"of a")
    b.made("file", b"of b")
    with a.connect() as connection:
        for _ in range(3):
            assert connection.ask("GET", a.at("file"), a.headers).body == b"of a"
            assert connection.ask("GET", a.at("file"), b.headers).body == b"of b"
            assert connection.ask("GET", a.at("file"), {"Host": a.host}).status == 401


# ── other addresses of the same tree ────────────────────────────────────────────────────────────────────────
ALIASES = ["/remote.php/webdav/", "/remote.php/dav/files/{name}/"]


def _through(device: Device, alias: str) -> Client:
    return replace(device.client, root=alias.format(name=device.account.username))


@pytest.mark.parametrize("alias", ALIASES)
def test_alias_shows_the_same_tree(ours: OurServer, alias: str) -> None:
    """Clients made for Nextcloud find the same files at its addresses, and get hrefs with these addresses."""
    device = ours.new_account()
    client, other = device.client, _through(device, alias)
    other.made_collection("a b").made("c;d", b"x")
    assert client.tree() == other.tree() == {"a b/": None, "a b/c;d": b"x"}
    hrefs = [resource.href for resource in multistatus.parse(other.propfind("a b", depth="1"))]
    assert all(href.startswith(other.root) for href in hrefs)
    assert other.move("a b/c;d", "moved").status == 201
    assert other.copy("moved", "a b/copy").status == 201
    assert client.tree() == {"a b/": None, "a b/copy": b"x", "moved": b"x"}
    assert other.delete("").status == 403


@pytest.mark.parametrize("alias", ALIASES)
def test_move_from_one_address_to_another(ours: OurServer, alias: str) -> None:
    """RFC 4918, 10.3: both are the same tree on the same server."""
    device = ours.new_account()
    client, other = device.client, _through(device, alias)
    client.made("file", b"x")
    assert client.ask("MOVE", "file", {"Destination": other.url("moved")}).status == 201
    assert other.ask("MOVE", "moved", {"Destination": client.url("back")}).status == 201
    assert client.tree() == {"back": b"x"}


@pytest.mark.parametrize(
    "target",
    [
        "/remote.php",
        "/remote.php/",
        "/remote.php/dav",
        "/remote.php/dav/files",
        "/remote.php/dav/files/",
        "/davx",
    ],
)
def test_above_the_trees_is_nothing(ours: OurServer, target: str) -> None:
    """Nothing can be listed or made above: 404 or 405, and no redirect to a page to sign in."""
    for method in ("PROPFIND", "PUT", "MKCOL", "DELETE"):
        fields = {"Depth": "1"} if method == "PROPFIND" else {}
        assert ours.client.send(method, target, fields, b"x" if method == "PUT" else None).status in {
            404,
            405,
        }
