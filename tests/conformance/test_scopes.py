"""What an app password may do, and where. T18, T19, T44."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from davserver.model import Scope
from tests.conformance.client import Client
from tests.conformance.multistatus import DAV
from tests.conformance.ours import OurServer, path_of

SCOPES = (Scope.FULL, Scope.READ_ONLY, Scope.NO_DELETE)
TIME = f"{DAV}lastmodified"


@dataclass(frozen=True, slots=True)
class Row:
    """One request, and its status with each of `SCOPES`."""

    method: str
    name: str
    destination: str | None
    statuses: tuple[int, int, int]

    def __str__(self) -> str:
        return f"{self.method} {self.name}" + (f" to {self.destination}" if self.destination else "")


MATRIX = [
    Row("OPTIONS", "file", None, (200, 200, 200)),
    Row("GET", "file", None, (200, 200, 200)),
    Row("HEAD", "file", None, (200, 200, 200)),
    Row("GET", "collection/", None, (200, 200, 200)),
    Row("PROPFIND", "", None, (207, 207, 207)),
    Row("PROPFIND", "file", None, (207, 207, 207)),
    Row("PUT", "new", None, (201, 403, 201)),
    Row("PUT", "file", None, (204, 403, 204)),
    Row("MKCOL", "new", None, (201, 403, 201)),
    Row("PROPPATCH", "file", None, (207, 403, 207)),
    Row("COPY", "file", "new", (201, 403, 201)),
    Row("COPY", "collection", "new", (201, 403, 201)),
    Row("COPY", "file", "other", (204, 403, 403)),
    Row("COPY", "file", "collection", (204, 403, 403)),
    Row("MOVE", "file", "new", (201, 403, 201)),
    Row("MOVE", "collection", "new", (201, 403, 201)),
    Row("MOVE", "file", "other", (204, 403, 403)),
    Row("MOVE", "file", "collection", (204, 403, 403)),
    Row("DELETE", "file", None, (204, 403, 403)),
    Row("DELETE", "collection", None, (204, 403, 403)),
    Row("DELETE", "collection/member", None, (204, 403, 403)),
]


def _ask(client: Client, row: Row) -> int:
    if row.method == "PROPPATCH":
        return client.proppatch(row.name, (TIME, "1")).status
    fields = {"Depth": "0"} if row.method == "PROPFIND" else {}
    if row.destination is not None:
        fields["Destination"] = client.url(row.destination)
    return client.ask(row.method, row.name, fields, b"new" if row.method == "PUT" else None).status


def _fill(client: Client) -> dict[str, bytes | None]:
    client.made("file")
    client.made("other")
    client.made_collection("collection").made("member")
    return client.tree()


@pytest.mark.parametrize("scopes", SCOPES, ids=["full", "read-only", "no-delete"])
@pytest.mark.parametrize("row", MATRIX, ids=str)
@pytest.mark.parametrize("where", ["account", "folder"])
def test_scope_decides(ours: OurServer, dav: Client, scopes: Scope, row: Row, where: str) -> None:
    """T44: each method with each scope, in the whole account and in one folder; a 403 has changed nothing."""
    before = _fill(dav)
    time = dav.property("file", f"{DAV}getlastmodified")
    if where == "account":
        client = dav.as_(ours.device(ours.account, scopes=scopes).client.authorization)
    else:
        client = ours.device(ours.account, scopes=scopes, root_id=ours.node_id(dav)).client
    status = _ask(client, row)
    assert status == row.statuses[SCOPES.index(scopes)]
    if status == 403:
        assert dav.tree() == before
        assert dav.property("file", f"{DAV}getlastmodified") == time


OUTSIDE = [
    "{path}file",
    "{path}folder/inside",
    "{path}folder2/secret",
    "../file",
    "..",
    "%2e%2e/file",
    "../folder2/secret",
    "folder/inside",
    "folder2/secret",
]
"""Ways to say what is not in the folder that a device sees as its root; {path} leads to its parent."""


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside_of_the_folder_is_nothing(ours: OurServer, dav: Client, name: str) -> None:
    """T18, T19, T44: no method reaches what is outside, as target or as Destination: 4xx, no change."""
    _fill(dav)
    dav.made_collection("folder").made("inside")
    dav.made_collection("folder2").made("secret")
    before = dav.tree()
    client = ours.device(ours.account, root_id=ours.node_id(dav, "folder")).client
    target = client.at() + name.format(path=dav.root.removeprefix("/dav/"))
    for method in ("GET", "HEAD", "PROPFIND", "PUT", "MKCOL", "DELETE", "COPY", "MOVE"):
        fields = {"Destination": client.url("stolen")} if method in {"COPY", "MOVE"} else {"Depth": "0"}
        if method == "DELETE":
            fields = {}
        assert client.send(method, target, fields, b"new" if method == "PUT" else None).refused
    for method in ("COPY", "MOVE"):
        fields = {"Destination": f"http://{client.host}{target}", "Overwrite": "T"}
        assert client.ask(method, "inside", fields).refused
    assert dav.tree() == before


def test_folder_looks_like_a_root(ours: OurServer, dav: Client) -> None:
    """T44: such a device sees its folder as /dav/, cannot remove or move it, and learns no name above it."""
    folder = dav.made_collection("above").made_collection("folder")
    folder.made("inside")
    client = ours.device(ours.account, root_id=ours.node_id(folder)).client
    assert client.tree() == {"inside": b"content"}
    listing = client.propfind("", depth="1")
    assert b"above" not in listing.body
    assert dav.root.split("/")[-2].encode() not in listing.body
    assert client.send("DELETE", "/dav/").status == 403
    assert client.send("MOVE", "/dav/", {"Destination": client.url("x")}).status in {403, 409}
    assert client.send("MKCOL", "/dav/").status == 405
    assert folder.tree() == {"inside": b"content"}


def test_folder_is_this_one_whatever_its_name(ours: OurServer, dav: Client) -> None:
    """T19: after a rename the device sees the same folder, and not another one that took the name."""
    dav.made_collection("a").made("mine")
    client = ours.device(ours.account, root_id=ours.node_id(dav, "a")).client
    assert dav.move("a", "b").status == 201
    dav.made_collection("a").made("not mine")
    dav.made_collection("ab").made("not mine")
    assert client.tree() == {"mine": b"content"}


def test_folder_that_is_gone_opens_nothing(ours: OurServer, dav: Client) -> None:
    """T19: once its folder is deleted, a device sees nothing, nor a new folder of that name."""
    dav.made_collection("a").made("mine")
    client = ours.device(ours.account, root_id=ours.node_id(dav, "a")).client
    assert dav.delete("a").status == 204
    dav.made_collection("a").made("another")
    before = dav.tree()
    for method in ("GET", "PROPFIND", "PUT", "MKCOL", "DELETE"):
        fields = {"Depth": "0"} if method == "PROPFIND" else {}
        for name in ("", "mine", "another", "new"):
            assert client.ask(method, name, fields, b"x" if method == "PUT" else None).refused
    assert dav.tree() == before


def test_quota_is_that_of_the_account(ours: OurServer) -> None:
    """A device with one folder counts towards the same quota, and sees it."""
    device = ours.new_account(quota=1000)
    device.client.made_collection("a")
    root_id = ours.vault(device.account).stat(path_of(device.client, "a")).id
    client = ours.device(device.account, root_id=root_id).client
    client.made("file", bytes(600))
    assert device.client.property("", f"{DAV}quota-used-bytes") == "600"
    assert client.put("more", bytes(600)).status == 507
