"""Recovery codes: the table `recovery_code`, one row a code that was not used yet.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. A code is found by its keyed hash, and is used by removing its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import recovery_code
from davserver.model import AccountId


@dataclass(frozen=True, slots=True)
class RecoveryCodeRow(AuthenticatedRow):
    """One row of the table `recovery_code`; it is never changed, only removed.

    Attributes:
        verifier: keyed hash of the code (32 bytes).
    """

    TABLE: ClassVar[str] = "recovery_code"

    account_id: AccountId
    verifier: bytes = field(repr=False)
    created_at: int


_ACCOUNT = recovery_code.c.account_id == bindparam("account", type_=sa.LargeBinary)
_THIS = sa.and_(_ACCOUNT, recovery_code.c.verifier == bindparam("this", type_=sa.LargeBinary))
_OF_ACCOUNT = sa.select(*columns_of(RecoveryCodeRow, recovery_code)).where(_ACCOUNT)
_FIND = sa.select(*columns_of(RecoveryCodeRow, recovery_code)).where(_THIS)
_CONSUME = sa.delete(recovery_code).where(_THIS)
_DELETE = sa.delete(recovery_code).where(_ACCOUNT)


class RecoveryCodesTable:
    """The table `recovery_code`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def of(self, account_id: AccountId) -> list[RecoveryCodeRow]:
        """The codes of an account that were not used."""
        found = self._connection.execute(_OF_ACCOUNT, {"account": account_id})
        return [build(RecoveryCodeRow, one) for one in found]

    def find(self, account_id: AccountId, verifier: bytes) -> RecoveryCodeRow | None:
        """The unused code of an account with this keyed hash."""
        found = self._connection.execute(_FIND, {"account": account_id, "this": verifier}).one_or_none()
        return None if found is None else build(RecoveryCodeRow, found)

    def insert(self, rows: Sequence[RecoveryCodeRow]) -> None:
        """Add codes."""
        self._connection.execute(sa.insert(recovery_code), [row.columns() for row in rows])

    def consume(self, row: RecoveryCodeRow) -> bool:
        """Use a code up; False if somebody else was faster."""
        parameters = {"account": row.account_id, "this": row.verifier}
        return self._connection.execute(_CONSUME, parameters).rowcount == 1

    def delete(self, account_id: AccountId) -> None:
        """Remove every code of an account."""
        self._connection.execute(_DELETE, {"account": account_id})
