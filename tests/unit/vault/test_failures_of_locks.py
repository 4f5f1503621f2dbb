"""Requests about locks and dead properties, failing at every single step: all of it is done, or nothing.

Once by a step that fails, and once by an answer that gets lost: then everything is as before or as after.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from davserver.errors import StorageFull, StorageUnavailable
from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from tests.unit.vault.store import Drive, Found, Store

MEDIUM = bytes(range(251)) * 300  # more than one chunk
BROKEN = StorageUnavailable("the disk is broken")
FULL = StorageFull("the disk is full")

HOUR = 3600

Tokens = frozenset[str]
Operation = Callable[[Drive, Tokens], object]


def _refresh(drive: Drive, tokens: Tokens) -> None:
    (token,) = drive.locks("/born")
    assert token in tokens
    drive.vault.refresh_lock(VaultPath.parse("/born"), 60, Demands(tokens=frozenset({token})))


def _unlock(path: str) -> Operation:
    def unlock(drive: Drive, _tokens: Tokens) -> None:
        (token,) = drive.locks(path)
        drive.unlock(path, token)

    return unlock


OPERATIONS: dict[str, Operation] = {
    "lock": lambda drive, _: drive.lock("/small", owner="<owner/>"),
    "lock a tree": lambda drive, _: drive.lock("/c", infinite=True, shared=True),
    "lock a free name": lambda drive, _: drive.lock("/new", owner="<owner/>"),
    "lock a free name in a locked collection": lambda drive, held: drive.lock(
        "/flat/new", shared=True, tokens=held
    ),
    "refresh": _refresh,
    "unlock": _unlock("/tree"),
    "unlock what only the lock has made": _unlock("/born"),
    "put over what only a lock has made": lambda drive, held: drive.put("/born", b"content", tokens=held),
    "put over what is locked": lambda drive, held: drive.put("/tree/f", MEDIUM, tokens=held),
    "proppatch": lambda drive, _: drive.patch("/c", {"a": None, "b": "<b>2</b>", "c": "<c/>"}, modified_ns=7),
    "copy with properties": lambda drive, _: drive.copy("/c", "/new"),
    "copy over what is locked": lambda drive, held: drive.copy("/c", "/tree", overwrite=True, tokens=held),
    "move what is locked": lambda drive, held: drive.move("/tree", "/c/moved", tokens=held),
    "move what only a lock has made": lambda drive, held: drive.move("/born", "/new", tokens=held),
    "move over what is locked": lambda drive, held: drive.move("/c", "/tree", overwrite=True, tokens=held),
    "delete what is locked": lambda drive, held: drive.delete("/tree", tokens=held),
    "delete what has properties": lambda drive, _: drive.delete("/c"),
}

LARGE_UPLOADS = {"put over what is locked": 2}
"""Transactions of an operation that has more than one: the first says that a content is coming."""


@pytest.fixture
def full(alice: Drive) -> Drive:
    """Locks of every kind, and dead properties on a collection and in it."""
    for path in ("/c", "/tree", "/tree/d", "/flat"):
        alice.mkdir(path)
    alice.put("/small", b"small")
    alice.put("/c/f", MEDIUM)
    alice.put("/tree/f", b"in a locked tree")
    alice.patch("/c", {"a": "<a/>", "b": "<b>1</b>"})
    alice.patch("/c/f", {"a": "<a>file</a>"})
    alice.patch("/tree/f", {"a": "<a>locked</a>"})
    alice.lock("/tree", infinite=True, owner="<owner>tree</owner>", seconds=HOUR)
    alice.lock("/flat", shared=True, seconds=HOUR)
    alice.lock("/born", seconds=HOUR)
    return alice


@pytest.fixture
def before(full: Drive) -> dict[str, Found]:
    """Everything as it was."""
    return full.everything()


@pytest.fixture
def held(full: Drive) -> Tokens:
    """Every lock token."""
    return frozenset(full.locks("/tree") | full.locks("/flat") | full.locks("/born"))


@pytest.mark.parametrize("error", [BROKEN, FULL], ids=["broken", "full"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_step_that_fails_undoes_the_others(  # noqa: PLR0917 - the fixtures and what they are tried with
    store: Store, full: Drive, before: dict[str, Found], held: Tokens, name: str, error: StorageUnavailable
) -> None:
    """Files, properties and locks are as they were after each of them, and the last run does it all."""
    operation, used = OPERATIONS[name], full.used
    for at in count():
        with store.tripwire.armed(store.tripwire.fail(error, at)) as steps:
            told = outcome(lambda: operation(full, held))
        if told is None:
            break
        assert type(told) is type(error)
        assert (full.everything(), full.used) == (before, used)
    assert len(steps) <= at, "a step failed and nobody was told"
    assert full.everything() != before
    store.assert_tidy()


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_that_is_lost(
    store: Store, full: Drive, before: dict[str, Found], held: Tokens, name: str
) -> None:
    """A transaction is committed and its caller never hears of it: after the last one, all of it is there."""
    for at in count(1):
        store.database.after_write = lose_after(store, at)
        assert isinstance(outcome(lambda: OPERATIONS[name](full, held)), StorageUnavailable)
        lost = full.everything()
        if lost != before:
            break
    assert at == LARGE_UPLOADS.get(name, 1), "something was visible too early, or taken back too late"
    store.assert_tidy()
    assert full.everything() == lost


def outcome(action: Callable[[], object]) -> StorageUnavailable | None:
    """How it ended."""
    try:
        action()
    except StorageUnavailable as error:
        return error
    return None


def lose_after(store: Store, transactions: int) -> Callable[[], None]:
    """What breaks off when that many transactions are committed."""

    def lose() -> None:
        if transactions > 1:
            store.database.after_write = lose_after(store, transactions - 1)
            return
        raise BROKEN

    return lose


def test_sweeping_that_fails_is_finished_later(store: Store, full: Drive, before: dict[str, Found]) -> None:
    """Expired locks, and the file that one of them has made, count as absent at every step, and then are."""
    store.clock.advance(seconds=HOUR)
    expected = {path: Found(one.node, one.content, one.properties, set()) for path, one in before.items()}
    del expected["/born"]
    for at in count():
        with store.tripwire.armed(store.tripwire.fail(BROKEN, at)):
            told = outcome(store.collect)
        if told is None:
            break
        assert full.everything() == expected
    assert at > 10
    assert full.everything() == expected
    assert store.sql("SELECT count(*) FROM lock") == [(0,)]
    assert store.sql("SELECT count(*) FROM node WHERE account_id = ?", full.principal.account.id) == [
        (len(expected),)
    ]
    store.assert_tidy()
