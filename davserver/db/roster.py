"""Accounts a page at a time, and what there is about those of one page: for the list that administrators see.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before believing
it. When an account was used are notes that nobody vouches for. Each question is one statement, however many
accounts it is about. Reads only.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.accounts import AccountRow
from davserver.db.credentials import TotpDeviceRow
from davserver.db.profiles import ProfileRow
from davserver.db.rows import build, columns_of
from davserver.db.schema import account, app_password, confirmation, profile, totp_device, web_session
from davserver.model import AccountId

_NAMED = sa.func.instr(account.c.username, bindparam("part", type_=sa.String)) > 0
_COUNT = sa.select(sa.func.count()).select_from(account).where(_NAMED)
_PAGE = (
    sa.select(*columns_of(AccountRow, account))
    .where(_NAMED)
    .order_by(account.c.username)
    .limit(bindparam("limit", type_=sa.Integer))
    .offset(bindparam("skip", type_=sa.Integer))
)


class RosterTables:
    """Looks over the tables that hold something about accounts."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def count(self, part: str) -> int:
        """How many accounts have this in their name; "" is all."""
        return int(self._connection.execute(_COUNT, {"part": part}).scalar_one())

    def page(self, part: str, *, skip: int, limit: int) -> list[AccountRow]:
        """Accounts with this in their name, in order of names, behind the first `skip`; `limit` at most."""
        found = self._connection.execute(_PAGE, {"part": part, "skip": skip, "limit": limit})
        return [build(AccountRow, one) for one in found]

    def profiles(self, account_ids: Collection[AccountId]) -> list[ProfileRow]:
        """The profiles of these accounts."""
        statement = sa.select(*columns_of(ProfileRow, profile))
        return [build(ProfileRow, one) for one in self._of(statement, profile, account_ids)]

    def devices(self, account_ids: Collection[AccountId]) -> list[TotpDeviceRow]:
        """Their authenticators."""
        statement = sa.select(*columns_of(TotpDeviceRow, totp_device))
        return [build(TotpDeviceRow, one) for one in self._of(statement, totp_device, account_ids)]

    def uses(self, account_ids: Collection[AccountId]) -> list[tuple[AccountId, object]]:
        """When accounts were used, in Unix seconds: by devices, in browsers, or as the gate has noted it."""
        found: list[tuple[AccountId, object]] = []
        for table, moment in (
            (app_password, app_password.c.last_used_at),
            (web_session, web_session.c.seen_at),
            (confirmation, confirmation.c.wanted_at),
        ):
            latest = sa.select(table.c.account_id, sa.func.max(moment)).group_by(table.c.account_id)
            found += [tuple(one) for one in self._of(latest, table, account_ids)]
        return found

    def _of(
        self, statement: sa.Select[Any], table: sa.Table, account_ids: Collection[AccountId]
    ) -> list[sa.Row[Any]]:
        return list(self._connection.execute(statement.where(table.c.account_id.in_(account_ids))))
