"""A credential that is shut while it is in use ends the transfer, one that waits for its client too (T43)."""

from __future__ import annotations

import threading

import pytest

from davserver.accounts.confirmations import LEEWAY_SECONDS
from davserver.accounts.desk import WAIT_SECONDS
from davserver.accounts.watch import (
    LOOK_SECONDS,
    OVERDUE_SECONDS,
    RECHECK_SECONDS,
    Transfers,
    Watch,
    Watchman,
)
from davserver.errors import AuthenticationError, Unconfirmed


class Seconds:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


class Credential:
    """Opens something as long as it is told to, and counts who asks."""

    def __init__(self) -> None:
        self.open = True
        self.asked = 0
        self.error: Exception | None = None

    def __call__(self) -> bool:
        """Whether it is good."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.open


@pytest.fixture
def seconds() -> Seconds:
    """Time that stands still."""
    return Seconds()


@pytest.fixture
def credential() -> Credential:
    """A good one."""
    return Credential()


def test_asks_again_only_after_a_while(seconds: Seconds, credential: Credential) -> None:
    """A look-up per interval, not per block; the answer counts from then on."""
    watch = Watch(credential, monotonic=seconds)
    for _ in range(1000):
        watch.check()
    assert credential.asked == 0
    seconds.now += RECHECK_SECONDS
    watch.check()
    watch.check()
    assert credential.asked == 1
    credential.open = False
    watch.check()
    seconds.now += RECHECK_SECONDS
    with pytest.raises(AuthenticationError):
        watch.check()


def test_what_nobody_can_tell_ends_it_too(seconds: Seconds, credential: Credential) -> None:
    """A provider that says nothing is no reason to go on."""
    watch = Watch(credential, monotonic=seconds)
    credential.error = Unconfirmed(5)
    seconds.now += RECHECK_SECONDS
    with pytest.raises(Unconfirmed):
        watch.check()


@pytest.mark.parametrize("error", [None, Unconfirmed(5)])
def test_a_transfer_that_waits_is_cut_off(
    seconds: Seconds, credential: Credential, error: Exception | None
) -> None:
    """Its client takes or sends nothing, so it cannot ask: somebody else does."""
    transfers, cuts = Transfers(seconds), []
    transfers.watch(credential, lambda: cuts.append(seconds.now))
    credential.open, credential.error = False, error
    for _ in range(10):
        seconds.now += LOOK_SECONDS
        transfers.look()
        if cuts:
            break
    assert cuts == [100 + RECHECK_SECONDS + OVERDUE_SECONDS]


def test_a_transfer_that_may_go_on_is_left_alone(seconds: Seconds, credential: Credential) -> None:
    """It is asked about as often as it would ask itself; one that asks itself is not asked about."""
    transfers, cuts = Transfers(seconds), []
    watch = transfers.watch(credential, lambda: cuts.append(1))
    for _ in range(60):
        seconds.now += LOOK_SECONDS
        transfers.look()
    assert cuts == []
    assert 60 / (RECHECK_SECONDS + OVERDUE_SECONDS) - 1 <= credential.asked <= 60 / RECHECK_SECONDS
    credential.asked = 0
    for _ in range(60):
        seconds.now += LOOK_SECONDS
        watch.check()
        transfers.look()
    assert credential.asked == 60 / RECHECK_SECONDS


def test_what_is_over_is_forgotten(seconds: Seconds, credential: Credential) -> None:
    """Nobody asks about it any more, nor keeps anything of it."""
    transfers = Transfers(seconds)
    watch = transfers.watch(credential, pytest.fail)
    watch.close()
    watch.close()
    credential.open = False
    seconds.now += 60
    transfers.look()
    assert credential.asked == 0


def test_blocks_end_with_the_credential(seconds: Seconds, credential: Credential) -> None:
    """What is made while it is sent stops in the middle; begun or not, nothing is left of it."""
    transfers = Transfers(seconds)
    blocks = transfers.guard([b"one", b"two"], credential, lambda: None)
    assert next(blocks) == b"one"
    credential.open = False
    seconds.now += RECHECK_SECONDS
    with pytest.raises(AuthenticationError):
        next(blocks)
    seconds.now += 60
    asked = credential.asked
    transfers.guard([b"never begun"], credential, lambda: None)
    transfers.look()
    assert credential.asked == asked


def test_all_together_are_within_the_leeway() -> None:
    """A transfer ends before the time that is promised, while the provider hangs, too."""
    assert RECHECK_SECONDS + OVERDUE_SECONDS + LOOK_SECONDS + WAIT_SECONDS < LEEWAY_SECONDS


def test_the_watchman_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that fails is logged; the next is made. It ends when it is told to."""
    monkeypatch.setattr("davserver.accounts.watch.LOOK_SECONDS", 0)
    looked = threading.Event()
    looks: list[int] = []

    class Broken(Transfers):
        def look(self) -> None:
            looks.append(1)
            if len(looks) == 1:
                raise ZeroDivisionError
            looked.set()

    watchman = Watchman(Broken())
    watchman.start()
    assert looked.wait(10)
    watchman.stop()
    assert not watchman.is_alive()
