"""Names that are taken for a while, by whichever process comes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.accounts.export import LEASE_SECONDS, Exports
from davserver.accounts.taken import TakenNames
from davserver.errors import LimitExceeded
from davserver.identity.tokens import Seen, SeenHere
from davserver.model import AccountId
from tests.factories import World, make_world

ALICE, BOB = AccountId(bytes(15) + b"a"), AccountId(bytes(15) + b"b")


def taken(world: World, purpose: str = "test") -> TakenNames:
    """The names of one purpose, as one process sees them."""
    return TakenNames(world.database, world.keyring, purpose)


@pytest.mark.parametrize("kind", ["database", "memory"])
def test_a_name_is_free_once_until_its_time_is_over(world: World, kind: str) -> None:
    """At its last second it is taken still; both ways to remember keep to the same."""
    seen: Seen = taken(world) if kind == "database" else SeenHere()
    assert seen.first_time("name", 1000, 1100)
    assert seen.first_time("another", 1000, 1100)
    assert not seen.first_time("name", 1000, 1200)
    assert not seen.first_time("name", 1099, 1200)
    assert seen.first_time("name", 1100, 1200)
    assert not seen.first_time("name", 1101, 1200)


def test_another_process_knows_what_was_taken(tmp_path: Path, world: World) -> None:
    """And what was given back; names of another purpose are others."""
    other = make_world(tmp_path, clock=world.clock)
    assert taken(world).first_time("name", 1000, 1100)
    assert not taken(other).first_time("name", 1000, 1100)
    assert taken(other, "other").first_time("name", 1000, 1100)
    taken(world).give_back("name")
    assert taken(other).first_time("name", 1000, 1100)
    other.database.dispose()


def test_nothing_is_kept_for_ever(world: World) -> None:
    """What is over goes with the next name that is taken; the table holds no name."""
    for number in range(10):
        assert taken(world).first_time(f"name {number}", 1000, 1100)
    assert taken(world).first_time("name", 1200, 1300)
    with world.database.read() as tx:
        rows = tx._connection.exec_driver_sql("SELECT subject FROM throttle").all()  # noqa: SLF001
    assert len(rows) == 1
    assert b"name" not in rows[0][0]


def test_one_archive_at_a_time_in_all_processes(tmp_path: Path, world: World) -> None:
    """Until it ends, or its process has been silent for the length of the lease."""
    other = make_world(tmp_path, clock=world.clock)
    here, there = (Exports(taken(one, "export"), one.clock) for one in (world, other))
    here.begin(ALICE)
    there.begin(BOB)
    for _ in range(3):
        world.clock.advance(seconds=LEASE_SECONDS - 1)
        here.go_on(ALICE)
        with pytest.raises(LimitExceeded):
            there.begin(ALICE)
    here.end(ALICE)
    there.begin(ALICE)
    world.clock.advance(seconds=LEASE_SECONDS)  # it has crashed
    here.begin(ALICE)
    other.database.dispose()
