"""Uploads and downloads while the system's own calls fail, write, sync, link and read; and a full database.

Each call fails once, then the next. What cannot be stored is refused and leaves nothing; what cannot be read
is not served, and is there again when the disk is.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from davserver.blobs import local
from davserver.errors import CorruptBlob, StorageFull, StorageUnavailable
from davserver.vault.upload import RUN_BYTES
from tests.unit.vault.store import DATABASE, Drive, Store, make_store

LARGE = bytes(range(251)) * 9_000  # more than two runs
SMALL = bytes(60_000)


def refusal(action: Callable[[], object]) -> StorageUnavailable | None:
    """Why it could not be done, if so."""
    try:
        action()
    except StorageUnavailable as error:
        return error
    return None


class Fault:
    """Lets the call number `at` of a function of the system fail."""

    def __init__(self, code: int, at: int) -> None:
        self._code = code
        self._at = at
        self.calls = 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, failing."""

        def call(*arguments: Any) -> Any:  # noqa: ANN401 - whatever the system's function takes
            self.calls += 1
            if self.calls - 1 == self._at:
                raise OSError(self._code, os.strerror(self._code))
            return function(*arguments)

        return call  # a function, and so a method where a class holds it


def patched(patch: pytest.MonkeyPatch, call: str, fault: Fault) -> None:
    """Put the fault in the way of a call."""
    if call == "write":

        class Failing(FileIO):
            write = fault.wrap(FileIO.write)

        patch.setattr(local, "FileIO", Failing)
    else:
        patch.setattr(os, call, fault.wrap(getattr(os, call)))


@pytest.fixture
def durable(folder: Path) -> Iterator[Store]:
    """A store that syncs everything."""
    made = make_store(folder, durability="full")
    yield made
    made.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "link"])
def test_a_call_of_the_system_that_fails(durable: Store, call: str, code: int) -> None:
    """Old content whole, no new name, no byte left; and the same upload succeeds when the disk is back."""
    alice = durable.drive("alice")
    alice.put("/large", LARGE[::-1])
    before, stored = alice.everything(), durable.stored()
    failed = 0
    for at in count():
        fault = Fault(code, at)
        with pytest.MonkeyPatch.context() as patch:
            patched(patch, call, fault)
            error = refusal(lambda: alice.put("/large", LARGE))
        if error is None:
            break
        failed += 1
        assert isinstance(error, StorageFull) == (code != errno.EIO)
        assert (alice.everything(), durable.stored()) == (before, stored)
        assert list((durable.folder / "blobs" / "staging").iterdir()) == []
    assert failed == fault.calls > 0
    assert alice.get("/large") == LARGE
    durable.assert_tidy()


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
def test_a_read_that_fails_is_no_damage(store: Store, alice: Drive, code: int) -> None:
    """At whichever block: what came before it is right, the rest is refused for now, and comes later."""
    alice.put("/large", LARGE)
    lengths = []
    for at in count():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "preadv", Fault(code, at).wrap(os.preadv))
            received, error = read_until_it_fails(alice)
        assert LARGE.startswith(received)
        lengths.append(len(received))
        if error is None:
            break
        assert isinstance(error, StorageUnavailable)
    assert lengths[0] == 0
    assert any(0 < length < len(LARGE) for length in lengths)
    assert lengths[-1] == len(LARGE)
    assert store.problems() == []


def test_a_short_read_is_continued(alice: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may give less than was asked for, and the file is the same."""
    alice.put("/large", LARGE)
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda file, views, at: preadv(file, [views[0][:10_007]], at))
    assert alice.get("/large") == LARGE
    assert alice.get("/large", RUN_BYTES - 5, RUN_BYTES + 5) == LARGE[RUN_BYTES - 5 : RUN_BYTES + 5]


def test_a_read_that_ends_early_is_damage(store: Store, alice: Drive) -> None:
    """The file ends before its length: what came before, at whichever block, is right; nothing else comes."""
    alice.put("/large", LARGE)
    for at in count():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "preadv", ending(at))
            received, error = read_until_it_fails(alice)
        assert LARGE.startswith(received)
        if error is None:
            break
        assert isinstance(error, CorruptBlob)
    assert at > 2
    assert received == LARGE
    assert store.problems() == []


def ending(at: int) -> Callable[..., int]:
    """A read that finds the end of the file at its call number `at`."""
    calls, preadv = count(), os.preadv
    return lambda file, views, offset: 0 if next(calls) == at else preadv(file, views, offset)


def read_until_it_fails(drive: Drive) -> tuple[bytes, Exception | None]:
    """What a client receives, and how it ends."""
    received = bytearray()
    try:
        with drive.open("/large") as download:
            for block in download.blocks():
                received += block
    except (StorageUnavailable, CorruptBlob) as error:
        return bytes(received), error
    return bytes(received), None


@pytest.mark.parametrize("what", ["put", "lock", "proppatch", "copy"])
def test_a_database_that_is_full(folder: Path, what: str) -> None:
    """SQLite itself has no room: told as that, nothing is half there; all can be read, and some deleted."""
    store = make_store(folder)
    alice = store.drive("alice")
    alice.mkdir("/c")
    alice.put("/c/f", SMALL)
    alice.patch("/c", {"a": "v" * 50_000})
    operations: dict[str, Callable[[int], object]] = {
        "put": lambda number: alice.put(f"/{number}", SMALL),
        "lock": lambda number: alice.lock(f"/{number}", owner="o" * 1000),
        "proppatch": lambda number: alice.patch("/c/f", {f"p{number}": "v" * 50_000}),
        "copy": lambda number: alice.copy("/c", f"/{number}"),
    }
    with no_room(store):
        refused = None
        for number in count():
            before = alice.everything()
            refused = refusal(lambda number=number: operations[what](number))  # type: ignore[misc]
            if refused is not None:
                break
        assert isinstance(refused, StorageFull)
        assert alice.everything() == before
        assert store.problems() == []
        alice.delete("/c")
    assert set(alice.everything()) == {path for path in before if not path.startswith("/c")}
    alice.put("/again", SMALL)
    store.assert_tidy()
    store.close()


@contextmanager
def no_room(store: Store) -> Iterator[None]:
    """The database must not grow by more than a few pages."""
    ((pages,),) = store.sql("PRAGMA page_count")

    def limit(connection: Any, _record: object) -> None:  # noqa: ANN401 - a connection of the driver
        connection.execute(f"PRAGMA max_page_count = {pages + 8}")

    store.database.dispose()
    event.listen(store.database.engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(store.database.engine, "connect", limit)
        store.database.dispose()
    assert (store.folder / DATABASE).exists()
