"""Somebody who can write to the database, but has no key: what `verify` says about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from davserver.accounts.service import read_account
from davserver.db.accounts import AccountRow
from davserver.vault.access import Access
from davserver.vault.scrub import Finding, Scrub, show_nothing
from tests import tamper
from tests.factories import (
    World,
    make_app_password,
    make_identity,
    make_principal,
    make_totp,
    make_vaults,
    make_world,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A store with one account that has every kind of credential."""
    world = make_world(tmp_path)
    account = world.accounts.create("alice")
    make_identity(world).set_password(account.id, "a password of a test")
    make_totp(world).begin(make_principal(account, world.clock))
    make_app_password(world, account)
    return world


def findings(world: World) -> list[Finding]:
    """What `verify` finds."""
    vaults = make_vaults(world)

    def open_access(row: AccountRow) -> Access:
        return vaults.access(make_principal(read_account(world.keyring, row), world.clock))

    report = Scrub(world.database, world.blobs, world.keyring, open_access).run(show_nothing)
    return [problem.finding for problem in report.problems]


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("app_password", "scopes"),
        ("app_password", "revoked_at"),
        ("totp_device", "confirmed"),
        ("local_identity", "password_hash"),
    ],
)
def test_altered_credentials_are_found(world: World, table: str, column: str) -> None:
    """They open nothing any more, and whoever asks `verify` why is not told that all is well."""
    assert findings(world) == []
    tamper.alter(world.database, table, column)
    assert findings(world) == [Finding.CREDENTIAL_ALTERED]
