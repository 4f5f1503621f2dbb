"""Links that set accounts up: each makes one account, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event

from davserver.accounts.invitations import VALID_FOR
from davserver.accounts.profiles import Profiles
from davserver.audit import AuditEvent
from davserver.crypto import sessions as secrets_
from davserver.errors import AlreadyExists, CorruptRow, InvalidValue, NotFound, StorageUnavailable
from davserver.identity import local
from tests import tamper
from tests.factories import (
    World,
    make_app_password,
    make_authenticator,
    make_identity,
    make_invitations,
    make_upkeep,
)

PASSWORD = "a password of a test account"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing a password takes no time."""
    monkeypatch.setattr(local, "TIME_COST", 1)
    monkeypatch.setattr(local, "MEMORY_KIB", 8 * local.LANES)


def test_a_link_makes_what_it_says(world: World) -> None:
    """Name, quota, password, administrator or not."""
    links = make_invitations(world)
    account = links.accept(links.invite("Bob", admin=True, quota=7), "mallory", PASSWORD)
    assert (account.username, account.quota) == ("bob", 7)
    assert make_identity(world).authenticate("bob", PASSWORD) == account.id
    profiles = Profiles(world.database, world.keyring, world.audit)
    assert profiles.of(account.id).admin
    other = links.accept(links.invite("carol"), "", PASSWORD)
    assert not profiles.of(other.id).admin
    assert [one.account for one in world.audit.of(AuditEvent.INVITATION_USED)] == ["bob", "carol"]


def test_used_by_many_at_once_it_makes_one_account(world: World) -> None:
    """Everybody else is told that it was used."""
    links = make_invitations(world)
    token = links.first()
    assert token is not None

    def use(number: int) -> str | None:
        try:
            return links.accept(token, f"user{number}", PASSWORD).username
        except NotFound:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [name for name in pool.map(use, range(8)) if name]
    assert len(made) == 1
    assert [one.username for one in world.accounts.list()] == made


def test_the_database_alone_invites_nobody(world: World) -> None:
    """It holds a keyed hash; and a row with another name, another right or another hour is refused."""
    links = make_invitations(world)
    token = links.invite("bob")
    with world.database.read() as tx:
        (row,) = tx.invitations.all()
    assert secrets_.parse(token) != row.token_hash
    with pytest.raises(NotFound):
        links.find(secrets_.to_text(row.token_hash))
    for column, value in (("username", "alice"), ("admin", 1), ("expires_at", 2**40), ("quota", 1)):
        before = tamper.read_column(world.database, "invitation", column)
        tamper.write_column(world.database, "invitation", column, value)
        with pytest.raises(CorruptRow):
            links.accept(token, "", PASSWORD)
        tamper.write_column(world.database, "invitation", column, before)
    assert links.find(token).username == "bob"


def test_a_new_link_ends_the_one_before(world: World) -> None:
    """For the same name; others stay."""
    links = make_invitations(world)
    old, other = links.invite("bob"), links.invite("carol")
    new = links.invite("BOB")
    with pytest.raises(NotFound):
        links.find(old)
    assert [links.find(token).username for token in (new, other)] == ["bob", "carol"]


def test_the_first_link_is_for_nobody_once_there_is_somebody(world: World) -> None:
    """One that was printed before is worth nothing either."""
    links = make_invitations(world)
    token = links.first()
    assert token is not None
    world.accounts.create("alice")
    assert links.first() is None
    with pytest.raises(NotFound):
        links.accept(token, "mallory", PASSWORD)
    assert [one.username for one in world.accounts.list()] == ["alice"]


def test_what_is_refused_leaves_the_link_good(world: World) -> None:
    """A weak password; a name that is taken meanwhile."""
    links = make_invitations(world)
    token = links.invite("bob")
    with pytest.raises(InvalidValue):
        links.accept(token, "", "short")
    world.accounts.create("bob")
    with pytest.raises(AlreadyExists):
        links.accept(token, "", PASSWORD)
    with pytest.raises(AlreadyExists):
        links.invite("bob")
    assert links.find(token).username == "bob"


@pytest.mark.parametrize("statement", ["local_identity", "DELETE FROM invitation", "INSERT INTO profile"])
def test_stopped_anywhere_nothing_has_happened(world: World, statement: str) -> None:
    """Link, account, password and right are one step: whichever part fails, the link is good as before."""
    links = make_invitations(world)
    token = links.invite("bob", admin=True)

    def fail(_connection: object, _cursor: object, text: str, *_rest: object) -> None:
        if statement in text and not text.startswith("SELECT"):
            raise StorageUnavailable("the power went")

    event.listen(world.database.engine, "before_cursor_execute", fail)
    with pytest.raises(StorageUnavailable):
        links.accept(token, "", PASSWORD)
    event.remove(world.database.engine, "before_cursor_execute", fail)
    assert world.accounts.list() == []
    account = links.accept(token, "", PASSWORD)
    assert make_identity(world).authenticate("bob", PASSWORD) == account.id


def test_what_is_over_is_forgotten(world: World) -> None:
    """Expired links, and after the days that are set where and by what an app password was used; not when."""
    links, account = make_invitations(world), world.accounts.create("alice")
    upkeep = make_upkeep(world, timedelta(days=90))
    links.invite("bob")
    issued = make_app_password(world, account)
    make_authenticator(world).authenticate("alice", issued.token, "192.0.2.1", "rclone/v1\x00é")
    world.clock.advance(seconds=VALID_FOR.total_seconds())
    links.invite("carol")
    world.clock.advance(seconds=1)
    upkeep.run()
    with world.database.read() as tx:
        assert [row.username for row in tx.invitations.all()] == ["carol"]
        (row,) = tx.credentials.app_passwords(account.id)
    assert (row.last_used_from, row.last_used_client) == ("192.0.2.1", "rclone/v1??")
    world.clock.advance(days=90)
    upkeep.run()
    with world.database.read() as tx:
        (row,) = tx.credentials.app_passwords(account.id)
    assert (row.last_used_from, row.last_used_client) == (None, None)
    assert row.last_used_at is not None
