"""Links that let somebody set up an account: the table `invitation`, one row a link that was not used yet.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. A link is found by its keyed hash, and is used by removing its row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import invitation


@dataclass(frozen=True, slots=True)
class InvitationRow(AuthenticatedRow):
    """One row of the table `invitation`; it is never changed, only removed.

    Attributes:
        token_hash: keyed hash of what is in the link (32 bytes).
        username: whose account it will be; "" lets whoever opens the link choose.
        admin: whether it makes an administrator.
        quota: bytes of plaintext; None is unlimited.
    """

    TABLE: ClassVar[str] = "invitation"

    token_hash: bytes = field(repr=False)
    username: str
    admin: bool
    quota: int | None
    created_at: int
    expires_at: int


_THIS = invitation.c.token_hash == bindparam("this", type_=sa.LargeBinary)
_ALL = sa.select(*columns_of(InvitationRow, invitation)).order_by(invitation.c.created_at)


class InvitationsTable:
    """The table `invitation`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, token_hash: bytes) -> InvitationRow | None:
        """The unused link with this hash."""
        found = self._connection.execute(_ALL.where(_THIS), {"this": token_hash}).one_or_none()
        return None if found is None else build(InvitationRow, found)

    def all(self) -> list[InvitationRow]:
        """Every unused link, oldest first."""
        return [build(InvitationRow, one) for one in self._connection.execute(_ALL)]

    def insert(self, row: InvitationRow) -> None:
        """Add a link."""
        self._connection.execute(sa.insert(invitation), row.columns())

    def consume(self, token_hash: bytes) -> bool:
        """Remove a link; False if somebody else was faster."""
        return (
            self._connection.execute(sa.delete(invitation).where(_THIS), {"this": token_hash}).rowcount == 1
        )

    def withdraw(self, username: str) -> None:
        """Remove every link for this user name."""
        self._connection.execute(sa.delete(invitation).where(invitation.c.username == username))

    def forget(self, *, expired_before: int) -> int:
        """Remove links that expired before this moment; returns how many."""
        statement = sa.delete(invitation).where(invitation.c.expires_at < expired_before)
        return self._connection.execute(statement).rowcount
