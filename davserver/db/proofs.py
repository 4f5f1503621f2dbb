"""Sessions at the identity provider whose second factor was proved here: the table `second_factor_proof`.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. How long one counts is decided in `davserver/accounts/second_factor.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import second_factor_proof
from davserver.model import AccountId


@dataclass(frozen=True, slots=True)
class ProofRow(AuthenticatedRow):
    """One row of the table `second_factor_proof`.

    Attributes:
        provider_session: keyed hash of the session at the identity provider (32 bytes).
        account_id: whose second factor it was.
        proved_at: when it was last proved.
    """

    TABLE: ClassVar[str] = "second_factor_proof"

    provider_session: bytes = field(repr=False)
    account_id: AccountId
    proved_at: int


_THIS = second_factor_proof.c.provider_session == bindparam("this", type_=sa.LargeBinary)
_ALL = sa.select(*columns_of(ProofRow, second_factor_proof))
_FIND = _ALL.where(_THIS)
_DELETE = sa.delete(second_factor_proof).where(_THIS)


class ProofsTable:
    """The table `second_factor_proof`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, provider_session: bytes) -> ProofRow | None:
        """The proof of one session."""
        found = self._connection.execute(_FIND, {"this": provider_session}).one_or_none()
        return None if found is None else build(ProofRow, found)

    def put(self, row: ProofRow) -> None:
        """Keep a proof in the place of an earlier one of the same session."""
        self.delete(row.provider_session)
        self._connection.execute(sa.insert(second_factor_proof), row.columns())

    def delete(self, provider_session: bytes) -> bool:
        """Remove the proof of one session; False if there was none."""
        return self._connection.execute(_DELETE, {"this": provider_session}).rowcount == 1

    def of(self, account_id: AccountId) -> list[ProofRow]:
        """Every proof of an account."""
        statement = _ALL.where(second_factor_proof.c.account_id == account_id)
        return [build(ProofRow, one) for one in self._connection.execute(statement)]

    def all(self) -> list[ProofRow]:
        """Every proof."""
        return [build(ProofRow, one) for one in self._connection.execute(_ALL)]

    def delete_of(self, account_id: AccountId) -> int:
        """Remove every proof of an account; returns how many there were."""
        statement = sa.delete(second_factor_proof).where(second_factor_proof.c.account_id == account_id)
        return self._connection.execute(statement).rowcount

    def forget(self, *, proved_before: int) -> int:
        """Remove proofs from before this moment; returns how many there were."""
        statement = sa.delete(second_factor_proof).where(second_factor_proof.c.proved_at < proved_before)
        return self._connection.execute(statement).rowcount
