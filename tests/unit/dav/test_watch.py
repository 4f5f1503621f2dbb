"""A credential that is shut while it is in use, at the door: checks T43 of the threat model."""

from __future__ import annotations

import io
from typing import Any

import pytest

from davserver.accounts.watch import RECHECK_SECONDS, Transfers
from davserver.dav.app import DavApp
from davserver.dav.put import Digests
from davserver.errors import AuthenticationError
from davserver.model import AccountState
from davserver.serving.exchange import CUT_KEY
from tests.unit.dav.door import Door, Doorkeeper

CONTENT = bytes(3_000_000)


def test_suspension_ends_a_running_download(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The iterator of a GET raises at the next block, and the server cuts the connection."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    door.put("file", CONTENT)
    environ = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/dav/file",
        "HTTP_AUTHORIZATION": door.authorization,
        "wsgi.input": io.BytesIO(),
    }
    answer = door.app(environ, lambda _status, _fields: None)
    blocks = iter(answer)
    assert len(next(blocks)) > 0
    door.world.accounts.suspend("alice")
    with pytest.raises(AuthenticationError):
        next(blocks)
    answer.close()  # type: ignore[attr-defined]  # WSGI: an iterable that may have it


def test_suspension_ends_a_running_upload(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PUT that is under way when the account is shut is refused, and stores nothing."""
    monkeypatch.setattr("davserver.accounts.watch.RECHECK_SECONDS", 0)
    door.put("file", b"old")

    class Suspending(io.BytesIO):
        def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - as typeshed has it, under a name of its own
            if self.tell() > 0:
                door.world.accounts.suspend("alice")
            return super().readinto(buffer)

    environ = {"wsgi.input": Suspending(CONTENT), "CONTENT_LENGTH": str(len(CONTENT))}
    assert door.call("PUT", "/dav/file", environ=environ).status == 401
    door.world.accounts.resume("alice")
    assert door.get("file").body == b"old"


def test_a_stalled_download_is_cut_off(door: Door) -> None:
    """Its client reads nothing, so that no block is asked for; every request ends being looked after."""
    time = [0.0]
    transfers, cuts = Transfers(lambda: time[0]), []
    alice = door.world.accounts.find("alice")
    keeper = Doorkeeper(door.world, {"alice": alice})
    app = DavApp(keeper, door.vaults, door.world.audit, Digests(), transfers=transfers)
    door.put("file", CONTENT)
    environ = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/dav/file",
        "HTTP_AUTHORIZATION": door.authorization,
        "wsgi.input": io.BytesIO(),
        CUT_KEY: lambda: cuts.append(time[0]),
    }
    answer = app(environ, lambda _status, _fields: None)
    next(iter(answer))
    door.world.accounts.suspend("alice")
    assert door.world.accounts.find("alice").state is AccountState.SUSPENDED
    time[0] += RECHECK_SECONDS + 1
    transfers.look()
    assert cuts == [time[0]]
    answer.close()  # type: ignore[attr-defined]  # as above
    door.world.accounts.resume("alice")
    for method, target in (("PUT", "file"), ("GET", "missing"), ("PROPFIND", ""), ("GET", "file")):
        other = Door(app, door.world, door.vaults).ask(method, target, body=b"" if method == "GET" else b"x")
        assert other.status
    cuts.clear()
    door.world.accounts.suspend("alice")
    time[0] += 60
    transfers.look()
    assert cuts == []
