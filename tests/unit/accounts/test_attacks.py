"""Somebody who can write to the database, but has no key, against the credentials of an account."""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.audit import AuditEvent
from davserver.errors import AuthenticationError, CorruptRow
from davserver.model import Account
from tests import tamper
from tests.factories import World, make_app_password, make_app_passwords, make_authenticator, make_world


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A new store."""
    return make_world(tmp_path)


@pytest.fixture
def account(world: World) -> Account:
    """Whose credentials these are."""
    return world.accounts.create("alice")


@pytest.mark.parametrize("all_at_once", [False, True])
def test_an_app_password_cannot_be_hidden_from_its_owner(
    world: World, account: Account, *, all_at_once: bool
) -> None:
    """One that was marked as revoked by hand is no longer listed as if all were well, and can be revoked.

    Else a thief could hide it until its owner has looked, and then take the mark away again.
    """
    issued = make_app_password(world, account)
    service = make_app_passwords(world)
    tamper.write_column(world.database, "app_password", "revoked_at", 1)
    with pytest.raises(CorruptRow):
        service.list(account)
    if all_at_once:
        assert service.revoke_all(account) == 1
    else:
        service.revoke(account, issued.app_password.id)
    tamper.write_column(world.database, "app_password", "revoked_at", None)
    with pytest.raises((AuthenticationError, CorruptRow)):
        make_authenticator(world).authenticate("alice", issued.token, "192.0.2.1")


def test_the_addresses_of_one_host_cannot_fill_the_log(world: World) -> None:
    """An IPv6 host has 2^64 addresses; its refusals are counted as one source, as the throttles do."""
    door = make_authenticator(world)
    for number in range(64):
        with pytest.raises(AuthenticationError):
            door.authenticate("alice", "ew1-nonsense", f"2001:db8::{number:x}")
    assert len(world.audit.of(AuditEvent.APP_PASSWORD_REFUSED)) == len([1, 2, 4, 8, 16, 32, 64])
