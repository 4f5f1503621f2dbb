"""Signed-in browsers: the table `web_session`.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. A row is found by the keyed hash of what the browser holds; which rows are over is decided in
`davserver/accounts/sessions.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import web_session
from davserver.model import AccountId


@dataclass(frozen=True, slots=True)
class SessionRow(AuthenticatedRow):
    """One row of the table `web_session`.

    Attributes:
        session_id: keyed hash of the secret in the cookie (32 bytes).
        account_id: None before anybody has signed in.
        began_at: when the person signed in, kept when the session is given another secret.
        seen_at: the last request, to the minute or so.
        signed_in_at: when the first factor was proved.
        totp_at: when the second factor was last proved.
        admin: whether the identity provider said that this is an administrator.
        provider_session: keyed hash of the session at the identity provider (32 bytes).
        data_sealed: what the pages remember, sealed under the secret in the cookie.
    """

    TABLE: ClassVar[str] = "web_session"

    session_id: bytes = field(repr=False)
    account_id: AccountId | None
    began_at: int
    seen_at: int
    signed_in_at: int | None
    totp_at: int | None
    admin: bool
    provider_session: bytes | None
    data_sealed: bytes = field(repr=False)
    version: int


_THIS = web_session.c.session_id == bindparam("this", type_=sa.LargeBinary)
_FIND = sa.select(*columns_of(SessionRow, web_session))
_REPLACE = sa.update(web_session).where(_THIS)
_OVER = sa.or_(
    web_session.c.seen_at < bindparam("idle", type_=sa.BigInteger),
    web_session.c.began_at < bindparam("began", type_=sa.BigInteger),
)


class SessionsTable:
    """The table `web_session`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, session_id: bytes) -> SessionRow | None:
        """The session with this id."""
        found = self._connection.execute(_FIND.where(_THIS), {"this": session_id}).one_or_none()
        return None if found is None else build(SessionRow, found)

    def of(self, account_id: AccountId) -> list[SessionRow]:
        """Every session of an account."""
        statement = _FIND.where(web_session.c.account_id == account_id)
        return [build(SessionRow, one) for one in self._connection.execute(statement)]

    def at_provider(self, provider_session: bytes) -> list[SessionRow]:
        """Every session that hangs on one at the identity provider."""
        statement = _FIND.where(web_session.c.provider_session == provider_session)
        return [build(SessionRow, one) for one in self._connection.execute(statement)]

    def all(self) -> list[SessionRow]:
        """Every session."""
        return [build(SessionRow, one) for one in self._connection.execute(_FIND)]

    def insert(self, row: SessionRow) -> None:
        """Add a session."""
        self._connection.execute(sa.insert(web_session), row.columns())

    def replace(self, row: SessionRow) -> None:
        """Write `row` over the session with its id, as it was read in the same transaction."""
        self._connection.execute(_REPLACE, {**row.covered_columns(), "this": row.session_id})

    def delete(self, session_id: bytes) -> bool:
        """Remove a session; False if it was gone."""
        statement = sa.delete(web_session).where(_THIS)
        return self._connection.execute(statement, {"this": session_id}).rowcount == 1

    def delete_of(self, account_id: AccountId, *, keep: bytes = b"") -> int:
        """Remove every session of an account but the one with the id `keep`; returns how many."""
        mine = web_session.c.account_id == account_id
        statement = sa.delete(web_session).where(mine, web_session.c.session_id != keep)
        return self._connection.execute(statement).rowcount

    def delete_at_provider(self, provider_session: bytes) -> None:
        """Remove every session that hangs on one at the identity provider."""
        statement = sa.delete(web_session).where(web_session.c.provider_session == provider_session)
        self._connection.execute(statement)

    def keep_newest_anonymous(self, most: int) -> None:
        """Remove the oldest sessions of nobody yet until there are no more than so many."""
        nobody = web_session.c.account_id.is_(None)
        surplus = sa.select(web_session.c.session_id).where(nobody)
        surplus = surplus.order_by(web_session.c.began_at.desc()).limit(-1).offset(most)
        self._connection.execute(sa.delete(web_session).where(web_session.c.session_id.in_(surplus)))

    def forget(self, *, idle_before: int, began_before: int) -> int:
        """Remove sessions that were silent or began before these moments; returns how many."""
        moments = {"idle": idle_before, "began": began_before}
        return self._connection.execute(sa.delete(web_session).where(_OVER), moments).rowcount
