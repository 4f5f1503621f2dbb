"""A credential that is shut while it is in use: checks T43 of the threat model."""

from __future__ import annotations

import io
from typing import Any

import pytest

from davserver.accounts.watch import RECHECK_SECONDS, Watch
from davserver.errors import AuthenticationError
from tests.unit.dav.door import Door

CONTENT = bytes(3_000_000)


class _Time:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_asks_again_only_after_a_while() -> None:
    """A look-up per interval, not per block; the answer counts from then on."""
    time, open_ = _Time(), [True]
    asked: list[float] = []

    def still_open() -> bool:
        asked.append(time.now)
        return open_[0]

    watch = Watch(still_open, time)
    for _ in range(1000):
        watch.check()
    assert asked == []
    time.now += RECHECK_SECONDS
    watch.check()
    watch.check()
    assert len(asked) == 1
    open_[0] = False
    watch.check()
    time.now += RECHECK_SECONDS
    with pytest.raises(AuthenticationError):
        watch.check()


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
