"""Long looks of an account: so many at once, one more after them; another account does not wait for them."""

from __future__ import annotations

import threading

import pytest

from davserver.errors import CorruptRow, TooBusy
from davserver.model import AccountId
from davserver.vault.at_once import FewAtOnce

ALICE, BOB = AccountId(bytes(16)), AccountId(bytes(15) + b"b")

LONG = 60.0
"""Nobody waits for so long in a test."""


def test_one_more_waits_until_another_has_ended() -> None:
    """It comes in as soon as there is a place, not before."""
    looks, inside = FewAtOnce(2, LONG), threading.Event()

    def look() -> None:
        with looks.turn(ALICE):
            inside.set()

    third = threading.Thread(target=look)
    with looks.turn(ALICE):
        with looks.turn(ALICE):
            third.start()
            assert not inside.wait(0.05)
        assert inside.wait(LONG / 2)
    third.join()


def test_another_account_does_not_wait() -> None:
    """Not even for a moment."""
    looks = FewAtOnce(1, 0)
    with looks.turn(ALICE), looks.turn(BOB):
        pass


def test_who_has_waited_long_enough_is_told_to_come_back() -> None:
    """And what it did not get is not missing afterwards."""
    looks = FewAtOnce(1, 0)
    for _ in range(3):
        with looks.turn(ALICE), pytest.raises(TooBusy), looks.turn(ALICE):
            pass


def test_a_look_that_fails_gives_its_turn_back() -> None:
    """Whatever it met: an altered row, for one."""
    looks = FewAtOnce(1, 0)
    with pytest.raises(CorruptRow), looks.turn(ALICE):
        raise CorruptRow
    with looks.turn(ALICE):
        pass
