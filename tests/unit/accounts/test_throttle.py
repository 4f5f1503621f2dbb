"""Delays that double, in the database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from davserver.accounts.throttle import Rule
from davserver.errors import AuthenticationError, Throttled
from tests.factories import World, make_throttle, make_world

RULE = Rule("test", free=5, first_delay=timedelta(minutes=1), longest_delay=timedelta(hours=1), stop=100)


def fail(world: World, times: int = 1, *, subject: str = "alice", rule: Rule = RULE) -> None:
    """Fail that often, without asking whether an attempt would pass."""
    with world.database.write() as tx:
        for _ in range(times):
            make_throttle(world).failed(tx, rule, subject)
        tx.commit()


def wait(world: World, *, subject: str = "alice", rule: Rule = RULE) -> int:
    """Seconds until the next attempt would pass; 0 if it does."""
    try:
        with world.database.read() as tx:
            make_throttle(world).require_open(tx, rule, subject)
    except Throttled as refusal:
        return refusal.retry_after
    return 0


def test_delays_double_up_to_the_longest(world: World) -> None:
    """Nothing before the fifth failure, then 1, 2, 4 ... minutes, never more than an hour."""
    waits = []
    for _ in range(13):
        fail(world)
        waits.append(wait(world) // 60)
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_delay_passes_with_time(world: World) -> None:
    """At the last second an attempt is refused, at the next it passes."""
    fail(world, 5)
    world.clock.advance(seconds=59)
    assert wait(world) == 1
    world.clock.advance(seconds=1)
    assert wait(world) == 0


def test_a_restart_forgives_nothing(tmp_path: Path, world: World) -> None:
    """A second process with its own objects on the same database refuses as well."""
    fail(world, 6)
    other = make_world(tmp_path, clock=world.clock)
    assert wait(other) == 120
    other.database.dispose()


def test_success_forgives_all(world: World) -> None:
    """After the right person has come, the count starts again."""
    fail(world, 8)
    with world.database.write() as tx:
        make_throttle(world).succeeded(tx, RULE, "alice")
        tx.commit()
    fail(world, 4)
    assert wait(world) == 0


def test_subjects_and_kinds_are_counted_apart(world: World) -> None:
    """Failures of one subject or kind do not slow another down."""
    fail(world, 8)
    other = Rule("other", free=5, first_delay=timedelta(minutes=1), longest_delay=timedelta(hours=1))
    assert wait(world, subject="bob") == 0
    assert wait(world, rule=other) == 0


def test_there_is_an_end(world: World) -> None:
    """After a hundred failures in a row waiting does not help any more."""
    fail(world, 99)
    world.clock.advance(days=1)
    assert wait(world) == 0
    fail(world)
    world.clock.advance(days=1000)
    with pytest.raises(AuthenticationError, match="administrator") as caught:
        wait(world)
    assert not isinstance(caught.value, Throttled)


def test_old_failures_can_be_forgotten(world: World) -> None:
    """A rule with a memory starts again after that time, and clears the table of others that are as old."""
    rule = Rule("short", 5, timedelta(minutes=1), timedelta(hours=10), forget_after=timedelta(hours=1))
    fail(world, 20, rule=rule)
    fail(world, 20, rule=rule, subject="bob")
    assert wait(world, rule=rule) > 0
    world.clock.advance(hours=1, seconds=1)
    assert wait(world, rule=rule) == 0
    fail(world, rule=rule)
    assert wait(world, rule=rule) == 0
    with world.database.read() as tx:
        assert tx.throttle.find("short", world.keyring.private_id("short", "bob")) is None
        found = tx.throttle.find("short", world.keyring.private_id("short", "alice"))
    assert found is not None
    assert found.failures == 1


def test_the_table_names_nobody(tmp_path: Path, world: World) -> None:
    """Neither names nor addresses of those who fail are stored."""
    fail(world, subject="alice\n192.0.2.77")
    world.database.dispose()
    stored = (tmp_path / "sealdav.db").read_bytes()
    assert b"alice" not in stored
    assert b"192.0.2.77" not in stored


def test_no_number_of_failures_overflows() -> None:
    """The arithmetic of delays holds for any count."""
    assert RULE.delay(10**6) == RULE.longest_delay
