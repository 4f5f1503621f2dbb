"""How a device is, as its owner reads it: what it has done, and which trouble still stands."""

from __future__ import annotations

from datetime import timedelta

import pytest

from davserver.accounts.health import (
    BY_NAME,
    ENDS,
    OF_ONE_FILE,
    TOKENS,
    Health,
    HealthRecords,
    Seen,
    Sign,
    Trouble,
)
from davserver.accounts.health_notes import NoteWriter
from davserver.clock import from_seconds, to_seconds
from davserver.db.schema import device_sign
from davserver.errors import CorruptRow
from davserver.model import Account
from tests import tamper
from tests.factories import World, make_app_password, make_upkeep
from tests.fakes import START


def at(seconds: int) -> Seen:
    """Something that happened once, so many seconds after the beginning."""
    moment = START + timedelta(seconds=seconds)
    return Seen(moment, moment)


@pytest.fixture
def account(world: World) -> Account:
    """Somebody."""
    return world.accounts.create("alice")


def write(world: World, account: Account, device: str, *notes: tuple[Sign | Trouble, int]) -> None:
    """Note things of a device, each with its moment."""
    for what, now in notes:
        NoteWriter(world.database).write({(account.id, device, what): now})


# ── what stands
@pytest.mark.parametrize("trouble", Trouble)
def test_a_trouble_is_over_once_the_device_does_what_it_could_not(trouble: Trouble) -> None:
    """Each stands by itself, and after whatever does not end it; what ends it may come in the same second.

    Unless the trouble is one of one file, and another one is written in the same second.
    """
    for sign in Sign:
        health = Health({sign: at(11 if trouble in OF_ONE_FILE else 10)}, {trouble: at(10)})
        assert (health.standing == []) == (sign in ENDS[trouble])
    before = Health(dict.fromkeys(Sign, at(9)), {trouble: at(10)})
    assert before.standing == [trouble]
    assert before.last_trouble is (None if trouble is Trouble.NO_APP_PASSWORD else trouble)


def test_a_refused_credential_is_over_when_the_device_connects() -> None:
    """And a refusal of something that it wants to do is not."""
    connected = {Sign.CONNECTED: at(20), Sign.LISTED: at(20)}
    troubles = {
        Trouble.WRONG_SECRET: at(1),
        Trouble.EXPIRED: at(2),
        Trouble.READ_ONLY: at(3),
        Trouble.NO_DELETE: at(4),
    }
    assert Health(connected, troubles).standing == [Trouble.NO_DELETE, Trouble.READ_ONLY]


def test_the_latest_trouble_comes_first_and_the_worst_of_one_moment() -> None:
    """After a write that failed rclone deletes: the reason is that there was no room, not that it may not."""
    troubles = {Trouble.NO_DELETE: at(7), Trouble.NO_ROOM: at(7), Trouble.CLOCK: at(8)}
    health = Health({}, troubles)
    assert health.standing == [Trouble.CLOCK, Trouble.NO_ROOM, Trouble.NO_DELETE]
    assert health.last_trouble is Trouble.CLOCK


@pytest.mark.parametrize("trouble", sorted(OF_ONE_FILE))
def test_another_file_of_the_same_second_ends_nothing(trouble: Trouble) -> None:
    """Finder writes an empty file that fits, and in the same second the real one, which does not."""
    assert Health(dict.fromkeys(Sign, at(10)), {trouble: at(10)}).standing == [trouble]


def test_what_somebody_takes_along_is_everything() -> None:
    """When each thing was first and last, also of a trouble that is over, and whether it is."""
    start, later = at(0).first, at(9).first
    health = Health(
        {Sign.WROTE: Seen(start, later)},
        {Trouble.NO_ROOM: Seen(start, at(5).first), Trouble.READ_ONLY: at(10)},
    )
    assert health.words() == {
        "done": {"wrote": later.isoformat()},
        "troubles": {"read-only": at(10).last.isoformat()},
        "noted": {
            "wrote": {"first": start.isoformat(), "last": later.isoformat()},
            "no-room": {
                "first": start.isoformat(),
                "last": at(5).last.isoformat(),
                "stands": False,
            },
            "read-only": {
                "first": at(10).first.isoformat(),
                "last": at(10).last.isoformat(),
                "stands": True,
            },
        },
    }


def test_a_device_that_was_never_here_has_nothing() -> None:
    """Neither signs nor troubles."""
    assert (Health().standing, Health().last_trouble) == ([], None)


# ── reading
def test_what_was_noted_is_read(world: World, account: Account) -> None:
    """One device, all of an account, and the tokens of the identity provider, which stand beside them."""
    write(world, account, "one", (Sign.READ, 5), (Trouble.NO_ROOM, 6), (Sign.READ, 9))
    write(world, account, TOKENS, (Trouble.NO_SECOND_FACTOR, 7))
    records = HealthRecords(world.database)
    one = Health({Sign.READ: Seen(from_seconds(5), from_seconds(9))}, {Trouble.NO_ROOM: seen(6)})
    tokens = Health({}, {Trouble.NO_SECOND_FACTOR: seen(7)})
    assert records.of(account, "one") == one
    assert records.of_all(account) == {"one": one, TOKENS: tokens}
    assert records.of(account, "two") == Health()


def test_what_came_with_the_name_counts_for_each_device_since_it_was_made(
    world: World, account: Account
) -> None:
    """It may have been that one; before, it was not, and of a device that is not there nothing is told."""
    records, made = HealthRecords(world.database), to_seconds(world.clock())
    bob = world.accounts.create("bob")
    hers, his = (make_app_password(world, one).app_password.id for one in (account, bob))
    write(world, account, BY_NAME, (Trouble.NO_APP_PASSWORD, made - 1))
    assert records.of(account, hers) == Health()
    write(world, account, BY_NAME, (Trouble.NO_APP_PASSWORD, made))
    assert records.of(account, hers).standing == [Trouble.NO_APP_PASSWORD]
    assert records.of(account, his) == records.of(account, "one") == records.of(bob, his) == Health()
    write(world, account, hers, (Sign.CONNECTED, made + 1))
    assert records.of(account, hers).standing == []


def seen(seconds: int) -> Seen:
    """Something that happened once."""
    return Seen(from_seconds(seconds), from_seconds(seconds))


def test_nothing_is_told_of_somebody_elses_device(world: World, account: Account) -> None:
    """The id alone does not lead there."""
    bob = world.accounts.create("bob")
    write(world, account, "one", (Sign.READ, 5))
    records = HealthRecords(world.database)
    assert records.of(bob, "one") == Health()
    assert records.of_all(bob) == {}


@pytest.mark.parametrize(
    ("column", "value"),
    [("sign", "flew"), ("first_at", "x"), ("last_at", 2**62), ("last_at", b"x"), ("sign", b"read")],
)
def test_a_note_that_is_none_of_ours_is_refused(
    world: World, account: Account, column: str, value: tamper.Value
) -> None:
    """An altered one is told as such, not shown as something else."""
    write(world, account, "one", (Sign.READ, 5))
    tamper.write_column(world.database, device_sign.name, column, value)
    with pytest.raises(CorruptRow):
        HealthRecords(world.database).of(account, "one")


def test_what_is_old_is_forgotten(world: World, account: Account) -> None:
    """With everything else, after the days that addresses are kept."""
    now = int(world.clock().timestamp())
    write(world, account, "one", (Sign.READ, now))
    upkeep, records = make_upkeep(world, timedelta(days=90)), HealthRecords(world.database)
    world.clock.advance(days=90)
    upkeep.run()
    assert records.of(account, "one").signs
    world.clock.advance(seconds=1)
    upkeep.run()
    assert records.of_all(account) == {}


def test_the_columns_hold_every_word() -> None:
    """SQLite would take a longer one; other databases would not."""
    longest = max(len(one.value) for kind in (Sign, Trouble) for one in kind)
    assert longest <= 16
    assert len(TOKENS) <= 10
    assert len(BY_NAME) <= 10
    assert not {one.value for one in Sign} & {one.value for one in Trouble}
