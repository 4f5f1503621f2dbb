"""The table `throttle`."""

from __future__ import annotations

from davserver.db.throttle import ThrottleRow
from tests.factories import World

ONE = ThrottleRow(purpose="test", subject=b"1" * 32, failures=1, blocked_until=10, updated_at=5)


def test_a_counter_is_stored_once(world: World) -> None:
    """A second `put` replaces; purpose and subject together name a counter."""
    other = ThrottleRow("other", ONE.subject, 7, 70, 7)
    changed = ThrottleRow(ONE.purpose, ONE.subject, 2, 20, 6)
    with world.database.write() as tx:
        for row in (ONE, other, changed):
            tx.throttle.put(row)
        assert tx.throttle.find(ONE.purpose, ONE.subject) == changed
        assert tx.throttle.find("other", ONE.subject) == other
        tx.throttle.clear(ONE.purpose, ONE.subject)
        assert tx.throttle.find(ONE.purpose, ONE.subject) is None
        assert tx.throttle.find("other", ONE.subject) == other


def test_old_counters_are_dropped_by_purpose(world: World) -> None:
    """Only counters of that purpose, and only those that have not changed since."""
    old, new = ONE, ThrottleRow("test", b"2" * 32, 1, 10, 6)
    other = ThrottleRow("other", b"1" * 32, 1, 10, 5)
    with world.database.write() as tx:
        for row in (old, new, other):
            tx.throttle.put(row)
        tx.throttle.forget("test", before=6)
        assert tx.throttle.find("test", old.subject) is None
        assert tx.throttle.find("test", new.subject) == new
        assert tx.throttle.find("other", other.subject) == other
