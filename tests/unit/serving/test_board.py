"""What processes of one server know of each other."""

from __future__ import annotations

import os

from davserver.serving.board import Board


def test_a_fork_shares_the_board_and_clears_nothing() -> None:
    """What another process writes into its row is seen here, and the other way round."""
    board = Board(2)
    ours, theirs = board.seat(0), board.seat(1)
    ours.connected("192.0.2.1")
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for _ in range(3):
                theirs.connected("192.0.2.1")
            theirs.beat()
            theirs.say_ready()
            code = 0 if ours.connections == 1 else 1
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert (theirs.connections, theirs.beats, theirs.readies) == (3, 1, 1)
    board.clear(1)
    assert (theirs.connections, theirs.beats, theirs.readies, ours.connections) == (0, 0, 0, 1)


def test_a_burden_is_more_than_that_of_another_process_that_serves() -> None:
    """One that has not begun, or has ended, has no connections, and would never take any."""
    board = Board(3)
    first, second, _ = (board.seat(number) for number in range(3))
    first.say_ready()
    first.connected("192.0.2.1")
    assert not first.is_burdened
    second.say_ready()
    assert first.is_burdened
    second.connected("192.0.2.1")
    assert not first.is_burdened
    first.connected("192.0.2.1")
    assert first.is_burdened
    first.disconnected("192.0.2.1")
    assert not first.is_burdened
    assert not second.is_burdened
