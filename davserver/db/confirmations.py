"""What the identity provider last said of each account's owner: the table `confirmation`.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. What follows from a row is decided in `davserver/accounts/verdicts.py`. When an account was last
used is a note that only decides whom to ask about, and not covered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.accounts import AccountRow
from davserver.db.rows import AuthenticatedRow, build, column_names, columns_of
from davserver.db.schema import account, confirmation, second_factor_proof, web_session
from davserver.model import AccountId, AccountState


@dataclass(frozen=True, slots=True)
class ConfirmationRow(AuthenticatedRow):
    """One row of the table `confirmation`. Every moment is the one at which the question was asked.

    Attributes:
        enabled_at: when the person was last found enabled; 0 is never.
        role_at: when the person was last found to have the role; 0 is never.
        off_at: when the person was last found to have left; None once they are back.
        reason: why they have left, in words of ours.
        password_at: of which moment the password is that devices may go on with, in milliseconds and by the
            provider's clock; None if it was never asked.
        new_password_at: of which moment a newer one is, until its owner has proved who it is.
        version: rises by one with every change of a covered column.
        wanted_at: when the account was last used, to the minute.
    """

    TABLE: ClassVar[str] = "confirmation"
    UNCOVERED: ClassVar[frozenset[str]] = frozenset({"wanted_at"})

    account_id: AccountId
    enabled_at: int
    role_at: int
    off_at: int | None
    reason: str
    password_at: int | None
    new_password_at: int | None
    version: int
    wanted_at: int


Pair = tuple[ConfirmationRow, AccountRow]
"""What was said of an account's owner, and the account."""

_COLUMNS = len(column_names(ConfirmationRow))
_THIS = confirmation.c.account_id == bindparam("this", type_=sa.LargeBinary)
_ALL = sa.select(*columns_of(ConfirmationRow, confirmation))
_FIND = _ALL.where(_THIS)
_INSERT = sa.insert(confirmation)
_REPLACE = sa.update(confirmation).where(_THIS, confirmation.c.version == bindparam("expected"))
_WANT = (
    sa.update(confirmation)
    .where(_THIS, confirmation.c.wanted_at < bindparam("now", type_=sa.BigInteger))
    .values(wanted_at=bindparam("now", type_=sa.BigInteger))
)
_USED = confirmation.c.wanted_at >= bindparam("since", type_=sa.BigInteger)
_OPENS = account.c.state.in_([AccountState.ACTIVE.value, AccountState.OFFBOARDED.value])
_SHUT_AT = sa.func.coalesce(confirmation.c.off_at, 0)
_JOINED = (
    sa.select(*columns_of(ConfirmationRow, confirmation), *columns_of(AccountRow, account))
    .join_from(confirmation, account, confirmation.c.account_id == account.c.account_id)
    .where(_USED, _OPENS)
)
_STANDINGS = _JOINED.where(
    sa.func.max(confirmation.c.enabled_at, _SHUT_AT) <= bindparam("before", type_=sa.BigInteger)
)
_LAST_ROLE = sa.func.max(confirmation.c.role_at, _SHUT_AT)
_ROLES = (
    _JOINED.where(
        bindparam("before", type_=sa.BigInteger) >= _LAST_ROLE,
        sa.or_(confirmation.c.off_at.is_(None), confirmation.c.reason == bindparam("reason")),
    )
    .order_by(_LAST_ROLE, confirmation.c.account_id)
    .limit(bindparam("most", type_=sa.Integer))
)
_WITH_SESSIONS = sa.select(confirmation.c.account_id).where(
    _USED,
    sa.or_(
        sa.exists().where(
            web_session.c.account_id == confirmation.c.account_id,
            web_session.c.provider_session.is_not(None),
        ),
        sa.exists().where(second_factor_proof.c.account_id == confirmation.c.account_id),
    ),
)
_COUNT = sa.select(sa.func.count()).select_from(confirmation).where(_USED)


class ConfirmationsTable:
    """The table `confirmation`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, account_id: AccountId) -> ConfirmationRow | None:
        """What was last said of an account's owner."""
        found = self._connection.execute(_FIND, {"this": account_id}).one_or_none()
        return None if found is None else build(ConfirmationRow, found)

    def all(self) -> list[ConfirmationRow]:
        """Every row."""
        return [build(ConfirmationRow, one) for one in self._connection.execute(_ALL)]

    def count(self, *, since: int) -> int:
        """How many accounts were used since then."""
        return int(self._connection.execute(_COUNT, {"since": since}).scalar_one())

    def standings(self, *, since: int, before: int) -> list[Pair]:
        """Accounts that were used since `since`, whose owners were last asked for before or at `before`."""
        return self._pairs(_STANDINGS, {"since": since, "before": before})

    def roles(self, *, since: int, before: int, reason: str, most: int) -> list[Pair]:
        """The same for the role: `most` at most, longest ago first; of those gone, who went for `reason`."""
        return self._pairs(_ROLES, {"since": since, "before": before, "reason": reason, "most": most})

    def with_sessions(self, *, since: int) -> list[AccountId]:
        """Accounts that were used since then and have something that hangs on a session at the provider."""
        return [AccountId(found) for (found,) in self._connection.execute(_WITH_SESSIONS, {"since": since})]

    def insert(self, row: ConfirmationRow) -> None:
        """Add a row."""
        self._connection.execute(_INSERT, row.columns())

    def replace(self, rows: Sequence[ConfirmationRow]) -> int:
        """Write rows over those of their accounts, each unless somebody else changed it since it was read.

        A row is of the version that follows the one that was read. Returns how many were written.
        """
        changes = [
            {**row.covered_columns(), "this": row.account_id, "expected": row.version - 1} for row in rows
        ]
        return self._connection.execute(_REPLACE, changes).rowcount if changes else 0

    def want(self, account_ids: Iterable[AccountId], *, now: int) -> None:
        """Note that accounts are being used; those that nothing was said of yet have no row to note it in."""
        if notes := [{"this": account_id, "now": now} for account_id in account_ids]:
            self._connection.execute(_WANT, notes)

    def _pairs(self, statement: sa.Select[Any], values: dict[str, object]) -> list[Pair]:
        return [
            (build(ConfirmationRow, one[:_COLUMNS]), build(AccountRow, one[_COLUMNS:]))
            for one in self._connection.execute(statement, values)
        ]
