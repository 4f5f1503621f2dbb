"""Every row that is authenticated under the master key, whatever its table: for the rotation of that key.

Reads and writes in the order of primary keys, so that a rotation needs no list of what it has done. Whether a
row is believed is for `davserver/rotation.py`, the only caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.accounts import AccountRow, IdentityRow
from davserver.db.audit import AuditHeadRow
from davserver.db.blob_index import BlobRow
from davserver.db.confirmations import ConfirmationRow
from davserver.db.credentials import AppPasswordRow, TotpDeviceRow
from davserver.db.ended import EndedRow
from davserver.db.invitations import InvitationRow
from davserver.db.locks import LockRow
from davserver.db.profiles import ProfileRow
from davserver.db.proofs import ProofRow
from davserver.db.recovery_codes import RecoveryCodeRow
from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import (
    account,
    app_password,
    audit_head,
    blob,
    confirmation,
    ended_session,
    invitation,
    local_identity,
    lock,
    profile,
    recovery_code,
    second_factor_proof,
    totp_device,
    web_session,
)
from davserver.db.sessions import SessionRow
from davserver.errors import VersionConflict

TABLES: dict[type[AuthenticatedRow], sa.Table] = {
    AccountRow: account,
    IdentityRow: local_identity,
    TotpDeviceRow: totp_device,
    AppPasswordRow: app_password,
    RecoveryCodeRow: recovery_code,
    LockRow: lock,
    BlobRow: blob,
    SessionRow: web_session,
    ProofRow: second_factor_proof,
    EndedRow: ended_session,
    InvitationRow: invitation,
    ProfileRow: profile,
    ConfirmationRow: confirmation,
    AuditHeadRow: audit_head,
}
"""Every table with a column `mac` (a test compares with the schema)."""

Position = tuple[Any, ...]
"""The primary key of a row."""


class Rekeying:
    """The tables of `TABLES`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def count(self) -> int:
        """How many rows there are."""
        return sum(
            self._connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in TABLES.values()
        )

    def batch(
        self, row_type: type[AuthenticatedRow], *, after: Position | None, limit: int
    ) -> list[AuthenticatedRow]:
        """At most `limit` rows whose primary key sorts after `after`, in that order; None starts."""
        table = TABLES[row_type]
        key = list(table.primary_key)
        statement = sa.select(*columns_of(row_type, table)).order_by(*key).limit(limit)
        if after is not None:
            statement = statement.where(sa.tuple_(*key) > sa.tuple_(*after))
        return [build(row_type, found) for found in self._connection.execute(statement)]

    def replace(self, rows: Sequence[AuthenticatedRow]) -> None:
        """Write rows of one type over those with their primary keys.

        Raises:
            VersionConflict: one of them is gone.
        """
        if not rows:
            return
        table = TABLES[type(rows[0])]
        names = [column.name for column in table.primary_key]
        this = [table.c[name] == bindparam(f"this_{name}") for name in names]
        changes = [name for name in rows[0].covered_columns() if name not in names]
        statement = sa.update(table).where(*this).values({name: bindparam(f"new_{name}") for name in changes})
        values = [
            {f"this_{name}": getattr(row, name) for name in names}
            | {f"new_{name}": getattr(row, name) for name in changes}
            for row in rows
        ]
        if self._connection.execute(statement, values).rowcount != len(rows):
            raise VersionConflict("rows were removed while the master key was rotated")


def position(row: AuthenticatedRow) -> Position:
    """Where a row stands in the order of `Rekeying.batch`."""
    return tuple(getattr(row, column.name) for column in TABLES[type(row)].primary_key)
