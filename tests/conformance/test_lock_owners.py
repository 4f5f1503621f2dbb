"""Whose a lock is: the account's, on all of its devices and nobody else's. A10, T26, T27, T44; rulings."""

from __future__ import annotations

import pytest

from davserver.model import Scope
from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.multistatus import DAV, conditions, granted, lockinfo
from tests.conformance.ours import Device, OurServer

UNKNOWN = "urn:uuid:00000000-0000-4000-8000-000000000000"


@pytest.fixture
def two(ours: OurServer) -> tuple[Device, Device]:
    """Two new accounts with the same names in them."""
    devices = ours.new_account(), ours.new_account()
    for device in devices:
        device.client.made("file", b"old")
        device.client.made_collection("c").made("member")
    return devices


# ── devices of one account ──────────────────────────────────────────────────────────────────────────────────
def test_lock_is_the_accounts(ours: OurServer, dav: Client) -> None:
    """RFC 4918, 6.4: another device sees the lock, is kept out without the token, and may end it."""
    dav.made("file")
    other = dav.as_(ours.device(ours.account).client.authorization)
    token = dav.locked("file", timeout="Second-100")
    assert [lock.token for lock in other.locks("file")] == [token]
    assert other.put("file", b"x").status == 423
    assert other.lock("file").status == 423
    assert other.put("file", b"x", {"If": f"(<{token}>)"}).status == 204
    assert granted(other.refresh("file", token, "Second-200")).seconds > 150
    assert other.unlock("file", token).status == 204
    assert dav.locks("file") == []


def test_lock_outlives_the_device_that_took_it(ours: OurServer, dav: Client) -> None:
    """A device that was lost can no longer write; its lock holds, and is the account's to remove."""
    dav.made("file")
    lost = ours.device(ours.account)
    token = dav.as_(lost.client.authorization).locked("file")
    ours.services.app_passwords.revoke(ours.account, lost.issued.app_password.id)
    assert dav.as_(lost.client.authorization).put("file", b"x", {"If": f"(<{token}>)"}).status == 401
    assert dav.put("file", b"x").status == 423
    assert dav.unlock("file", token).status == 204
    assert dav.put("file", b"x").status == 204


def test_read_only_device_neither_locks_nor_unlocks(ours: OurServer, dav: Client) -> None:
    """T44: 403 for LOCK, its refresh and UNLOCK, even with the right token; nothing is made or removed."""
    dav.made("file")
    token = dav.locked("file", "shared")
    device = ours.device(ours.account, scopes=Scope.READ_ONLY)
    reader = dav.as_(device.client.authorization)
    for name in ("file", "new"):
        assert reader.lock(name, "shared").status == 403
    assert reader.refresh("file", token).status == 403
    assert reader.unlock("file", token).status == 403
    assert [lock.token for lock in dav.locks("file")] == [token]
    assert dav.tree() == {"file": b"content"}


def test_device_that_cannot_delete_locks_and_unlocks(ours: OurServer, dav: Client) -> None:
    """T44: LOCK, PUT, UNLOCK is how such a device saves a file; an unused new name is no deletion."""
    writer = dav.as_(ours.device(ours.account, scopes=Scope.NO_DELETE).client.authorization)
    token = writer.locked("new")
    assert writer.put("new", b"x", writer.holding(("new", token))).status in {200, 204}
    assert writer.unlock("new", token).status == 204
    token = writer.locked("unused")
    assert writer.unlock("unused", token).status == 204
    assert dav.tree() == {"new": b"x"}


# ── devices with one folder ─────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def folder(ours: OurServer, dav: Client) -> Client:
    """A device that sees `above/folder` as its root, with `inside` in it."""
    dav.made_collection("above").made_collection("folder").made("inside", b"old")
    return ours.device(ours.account, root_id=ours.node_id(dav, "above/folder")).client


@pytest.mark.parametrize("place", ["above", "above/folder"])
def test_lock_above_the_folder_holds(dav: Client, folder: Client, place: str) -> None:
    """RFC 4918, 6.1: a lock of the tree covers the folder, though the device cannot see its root."""
    token = dav.locked(place)
    for answer in (
        folder.put("inside", b"x"),
        folder.put("new", b"x"),
        folder.delete("inside"),
        folder.proppatch("inside", ("{urn:x}a", "b")),
        folder.move("inside", "moved"),
        folder.lock("inside"),
        folder.lock("new"),
    ):
        assert answer.status == 423
        assert b"above" not in answer.body
    assert folder.tree() == {"inside": b"old"}
    assert folder.put("inside", b"new", {"If": f"(<{token}>)"}).status == 204


def test_lock_above_the_folder_names_nothing_above(dav: Client, folder: Client) -> None:
    """T44: the device learns that it cannot write, and no name that it may not see."""
    token = dav.locked("above")
    shown = folder.only_lock("inside")
    assert shown.token == token
    assert shown.path.startswith("/dav/")
    for answer in (
        folder.propfind("", f"{DAV}lockdiscovery", depth="1"),
        folder.propfind("inside"),
        folder.ask("LOCK", "inside", {"If": f"(<{token}>)"}),
    ):
        assert b"above" not in answer.body
        assert dav.root.split("/")[-2].encode() not in answer.body


def test_lock_above_the_folder_is_not_the_devices_to_end(dav: Client, folder: Client) -> None:
    """T44: with its token a device may write within its folder, and no more: 403 for refresh and UNLOCK."""
    token = dav.locked("above", timeout="Second-100")
    assert folder.refresh("inside", token, "Second-3000").status == 403
    assert folder.unlock("inside", token).status == 403
    assert dav.only_lock("above").seconds <= 100


def test_lock_of_depth_0_above_the_folder_does_not_concern_it(dav: Client, folder: Client) -> None:
    """RFC 4918, 6.1: nor does one beside it."""
    dav.made("above/beside")
    dav.locked("above", depth="0")
    dav.locked("above/beside")
    assert folder.put("inside", b"x").status == 204
    assert folder.lock("").status == 200


def test_lock_of_the_folder_is_seen_from_above(dav: Client, folder: Client) -> None:
    """RFC 4918, 6.1: what the device locks is locked for the whole account, under the name it has there."""
    token = folder.locked("inside")
    shown = dav.only_lock("above/folder/inside")
    assert (shown.token, shown.path) == (token, dav.at("above/folder/inside"))
    assert dav.put("above/folder/inside", b"x").status == 423
    answer = dav.delete("above")
    assert answer.status == 423
    assert conditions(answer) == {"lock-token-submitted": [dav.at("above/folder/inside")]}


def test_folder_cannot_unlock_what_lies_outside(dav: Client, folder: Client) -> None:
    """T26: a token of another place is one that does not match, whether or not it exists."""
    dav.made("above/beside")
    token = dav.locked("above/beside")
    for each in (token, UNKNOWN):
        assert folder.unlock("inside", each).status == 409
        assert folder.put("inside", b"x", {"If": f"(<{each}>)"}).status == 412
    assert len(dav.locks("above/beside")) == 1


# ── accounts ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("place", ["file", "c", ""])
def test_lock_of_another_account_is_not_there(two: tuple[Device, Device], place: str) -> None:
    """A10, T26: the same path in another tree is another resource, free to be locked and written."""
    a, b = (device.client for device in two)
    a.locked(place)
    assert b.locks(place) == []
    assert b.put("file", b"new").status == 204
    assert b.put("c/new", b"new").status == 201
    assert b.lock(place).status == 200
    assert len(a.locks(place)) == len(b.locks(place)) == 1
    assert a.put("file" if place != "c" else "c/member", b"x").status == 423


def test_token_of_another_account_opens_nothing(two: tuple[Device, Device]) -> None:
    """A10, T26, T27: to every method it is a token that was never given to anybody; answers are the same."""
    a, b = (device.client for device in two)
    token = a.locked("file")
    mine = b.locked("file")
    for method, headers, status in (
        ("PUT", {"If": "(<{token}>)"}, 412),
        ("PUT", {"If": f"<{b.url('file')}> (<{{token}}>)"}, 412),
        ("PUT", {"If": f"<{a.url('file')}> (<{{token}}>)"}, 412),
        ("PUT", {"If": "(Not <{token}>)"}, 423),
        ("DELETE", {"If": "(<{token}>)"}, 412),
        ("LOCK", {"If": "(<{token}>)"}, 412),
        ("UNLOCK", {"Lock-Token": "<{token}>"}, 409),
    ):
        body = b"x" if method == "PUT" else None
        answers = [
            b.ask(method, "file", {name: value.format(token=each) for name, value in headers.items()}, body)
            for each in (token, UNKNOWN)
        ]
        assert answers[0].status == answers[1].status == status
        assert answers[0].body == answers[1].body
    assert [lock.token for lock in a.locks("file")] == [token]
    assert [lock.token for lock in b.locks("file")] == [mine]
    assert a.get("file").body == b.get("file").body == b"old"


@pytest.mark.parametrize("method", ["LOCK", "UNLOCK", "PUT", "PROPFIND"])
def test_address_of_another_account_is_not_there(two: tuple[Device, Device], method: str) -> None:
    """A10: by its name in the URL: 404 as for an account that does not exist, also in an If tag."""
    a, b = two
    token = a.client.locked("file")
    answers = []
    for name in (a.account.username, "nobody-of-this-name"):
        place = f"/remote.php/dav/files/{name}/file"
        fields = {"Depth": "0", "Lock-Token": f"<{token}>", "If": f"<{place}> (<{token}>)"}
        body = {"LOCK": lockinfo(), "PUT": b"x", "PROPFIND": multistatus.propfind([f"{DAV}lockdiscovery"])}
        answers.append(b.client.send(method, place, fields, body.get(method)))
        assert b.client.put("file", b"x", {"If": f"<{place}> (<{token}>)"}).status == 412
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].body == answers[1].body
    assert len(a.client.locks("file")) == 1
    assert b.client.get("file").body == b"old"


def test_alias_of_the_tree_has_the_same_locks(ours: OurServer) -> None:
    """Rulings 2: a lock taken under one address holds under the other, and tags may use either."""
    device = ours.new_account()
    client = device.client
    client.made("file", b"old")
    alias = f"/remote.php/dav/files/{device.account.username}/file"
    token = client.locked("file")
    assert client.send("PUT", alias, None, b"x").status == 423
    assert client.send("PUT", alias, {"If": f"<{client.url('file')}> (<{token}>)"}, b"x").status == 204
    assert client.put("file", b"x", {"If": f"<{alias}> (<{token}>)"}).status == 204
    answer = client.send("PROPFIND", alias, {"Depth": "0"}, multistatus.propfind([f"{DAV}lockdiscovery"]))
    (shown,) = multistatus.active_locks(multistatus.only(answer).element(f"{DAV}lockdiscovery"))
    assert shown.path == alias
    assert client.send("UNLOCK", alias, {"Lock-Token": f"<{token}>"}).status == 204
    assert client.locks("file") == []
