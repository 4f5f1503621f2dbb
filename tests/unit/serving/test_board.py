"""What processes of one server know of each other."""

from __future__ import annotations

import os
import time
from ipaddress import ip_address

import pytest

from davserver.clock import SECOND_NS
from davserver.serving.board import MISTRUST_SECONDS, Board


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


def test_every_process_knows_who_did_not_trust_the_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a quarter of an hour, by its address, or by the network that an IPv6 host has for itself."""
    board = Board(2)
    first, second = board.seat(0), board.seat(1)
    now = 1000.25
    monkeypatch.setattr(time, "monotonic_ns", lambda: int(now * SECOND_NS))
    assert second.since_mistrust("192.0.2.1") is None
    first.mistrusted("192.0.2.1")
    first.mistrusted("2001:db8::1")
    now += 10.5
    second.mistrusted("198.51.100.1")
    assert (first.since_mistrust("192.0.2.1"), second.since_mistrust("::ffff:192.0.2.1")) == (10.5, 10.5)
    assert second.since_mistrust("2001:db8::2:3") == 10.5
    assert first.since_mistrust("198.51.100.1") == 0
    assert first.since_mistrust("192.0.2.2") is None
    first.mistrusted("192.0.2.1")
    assert second.since_mistrust("192.0.2.1") == 0
    now += MISTRUST_SECONDS
    assert second.since_mistrust("192.0.2.1") is None
    assert (first.connections, first.of("192.0.2.1")) == (0, 0)


def test_who_counts_connections_and_who_counts_none_do_not_mix() -> None:
    """An address has the same cells for both, in tables of their own, to the last one."""
    board = Board(2)
    first, second = board.seat(0), board.seat(1)
    for number in range(20_000):
        address = str(ip_address(number << 12))
        first.mistrusted(address)
        first.connected(address)
        first.disconnected(address)
    assert (first.connections, second.connections, first.beats, second.beats) == (0, 0, 0, 0)
    assert second.of("192.0.2.1") == 0
