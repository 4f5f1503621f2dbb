"""`davserver.serving.turns`: how many requests of one account run at once, and what becomes of the others."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from davserver.serving.turns import SILENT_SECONDS, Turns

PLACES = 32


@dataclass(eq=False)
class Request:
    """A request that may have to wait."""

    account: str
    deadline: float = field(default_factory=lambda: time.monotonic() + 60)
    closed: bool = False

    def close(self) -> None:
        """The server stops."""
        self.closed = True


class Desk:
    """Turns, and the requests that were begun again, in their order."""

    def __init__(self) -> None:
        self.again: list[Request] = []
        self.cut: list[tuple[set[Request], int, float]] = []
        self.turns = Turns(
            PLACES, self.again.append, lambda *asked: self.cut.append((set(asked[0]), *asked[1:]))
        )
        self.running: list[Request] = []

    def take(self, account: str) -> bool:
        """Begin one request; whether it runs."""
        request = Request(account)
        if not self.turns.take(account, request):
            return False
        self.running.append(request)
        return True

    def run(self, *accounts: str) -> list[str]:
        """Let accounts begin requests in turn until nobody can; the accounts of those that run."""
        while any([self.take(account) for account in accounts]):  # noqa: C419 - each has its turn
            pass
        return [request.account for request in self.running]

    def end(self, account: str) -> None:
        """One request of an account has ended."""
        request = next(one for one in self.running if one.account == account)
        self.running.remove(request)
        self.turns.give_back(account, request)


@pytest.mark.parametrize(("accounts", "most", "least"), [(1, 24, 24), (2, 14, 13), (3, 10, 9), (8, 4, 3)])
def test_nobody_gets_all_and_all_get_the_same(accounts: int, most: int, least: int) -> None:
    """One alone gets three quarters; the more there are, the less each, and there is always room for one."""
    desk = Desk()
    names = [f"account {number}" for number in range(accounts)]
    running = desk.run(*names)
    assert max(map(running.count, names)) <= most
    assert min(map(running.count, names)) >= least
    assert desk.take("somebody else")


def test_somebody_with_nothing_running_always_gets_a_place() -> None:
    """However many others there are."""
    desk = Desk()
    assert all(desk.take(f"account {number}") for number in range(100))
    assert not desk.take("account 0")


def test_what_was_put_aside_is_begun_again_in_its_order() -> None:
    """One for each that ends."""
    desk = Desk()
    desk.run("alice")
    first, second = Request("alice"), Request("alice")
    desk.turns.put_aside(first)
    desk.turns.put_aside(second)
    assert desk.again == []
    desk.end("alice")
    assert desk.again == [first]
    assert desk.take("alice")
    desk.end("alice")
    assert desk.again == [first, second]


def test_another_account_is_not_held_up_by_the_first_in_line() -> None:
    """Whose turn it is comes first."""
    desk = Desk()
    desk.run("alice")
    while desk.take("bob"):
        pass
    waiting = [Request("alice"), Request("bob")]
    for one in waiting:
        desk.turns.put_aside(one)
    desk.end("bob")
    assert desk.again == [waiting[1]]


def test_a_turn_that_came_before_it_was_put_aside_is_not_missed() -> None:
    """The other request has ended between the question and the line."""
    desk = Desk()
    desk.run("alice")
    assert not desk.take("alice")
    desk.end("alice")
    late = Request("alice")
    desk.turns.put_aside(late)
    assert desk.again == [late]


def test_waiting_has_an_end() -> None:
    """Whoever has waited long enough is begun again, to be told to come back later."""
    desk = Desk()
    desk.run("alice")
    over, waiting = Request("alice", deadline=time.monotonic()), Request("alice")
    desk.turns.put_aside(waiting)
    desk.turns.put_aside(over)
    desk.turns.look()
    assert desk.again == [over]


def test_silent_clients_make_room_for_others_of_their_account() -> None:
    """As many as wait; nobody else's are touched."""
    desk = Desk()
    desk.run("alice")
    desk.take("bob")
    for _ in range(2):
        desk.turns.put_aside(Request("alice"))
    desk.turns.look()
    hers = {one for one in desk.running if one.account == "alice"}
    assert desk.cut == [(hers, 2, SILENT_SECONDS)]


def test_a_stop_ends_what_was_put_aside() -> None:
    """Nobody answers it any more."""
    desk = Desk()
    desk.run("alice")
    waiting = Request("alice")
    desk.turns.put_aside(waiting)
    desk.turns.close()
    assert waiting.closed
