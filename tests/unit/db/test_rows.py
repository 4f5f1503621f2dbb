"""Which columns an authenticator covers."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import sqlalchemy as sa

from davserver.db import schema
from davserver.db.accounts import AccountRow, IdentityRow
from davserver.db.credentials import AppPasswordRow, TotpDeviceRow
from davserver.db.locks import LockRow
from davserver.db.rows import NO_MAC, AuthenticatedRow, build, column_names
from davserver.keyring import Keyring
from tests.factories import World

ROWS = [AccountRow, IdentityRow, AppPasswordRow, TotpDeviceRow, LockRow]

COUNTERS = {
    "account": {"used", "kept", "structure_version"},
    "app_password": {"last_used_at", "last_used_from", "last_used_client"},
}
"""What may change without anybody vouching for it: recomputed by `verify`, or a note for people."""


def sample(row_type: type[AuthenticatedRow]) -> AuthenticatedRow:
    """A row with another number in every field."""
    return build(row_type, range(len(fields(row_type))))


@pytest.mark.parametrize("row_type", ROWS)
def test_everything_but_counters_is_covered(row_type: type[AuthenticatedRow]) -> None:
    """Every column of the table is authenticated, save for those listed here; a new column is, too."""
    table: sa.Table = schema.metadata.tables[row_type.TABLE]
    covered = set(column_names(row_type)) - row_type.UNCOVERED - {"mac"}
    assert covered == set(table.c.keys()) - COUNTERS.get(row_type.TABLE, set()) - {"mac"}


@pytest.mark.parametrize("row_type", ROWS)
def test_a_change_of_a_covered_field_shows(world: World, row_type: type[AuthenticatedRow]) -> None:
    """The authenticator changes with each covered field, and with none of the others."""
    keyring: Keyring = world.keyring
    row = sample(row_type)
    for name in column_names(row_type):
        changed = replace(row, **{name: 1000})  # type: ignore[arg-type]
        same = keyring.with_mac(changed).mac == keyring.with_mac(row).mac
        assert same is (name == "mac" or name in row_type.UNCOVERED), name


def test_two_values_cannot_change_places(world: World) -> None:
    """The order of fields counts: equal values in other columns are another row."""
    row = sample(TotpDeviceRow)
    assert isinstance(row, TotpDeviceRow)
    swapped = replace(row, last_step=row.created_at, created_at=row.last_step)
    assert world.keyring.with_mac(swapped).mac != world.keyring.with_mac(row).mac


def test_a_change_writes_what_it_vouches_for() -> None:
    """An update of a row names its covered columns and the authenticator, and never a counter."""
    written = set(sample(AccountRow).covered_columns())
    assert "mac" in written
    assert written.isdisjoint(AccountRow.UNCOVERED)


def test_a_new_row_is_not_vouched_for() -> None:
    """A row that was put together by hand has no authenticator."""
    row = IdentityRow(account_id=None, password_hash="", changed_at=0, version=1)  # type: ignore[arg-type]
    assert row.mac == NO_MAC
