"""What an account may do on the site, and where its notices go: the table `profile`.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. An account without a row is no administrator and gets no mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import profile
from davserver.errors import VersionConflict
from davserver.model import AccountId


@dataclass(frozen=True, slots=True)
class ProfileRow(AuthenticatedRow):
    """One row of the table `profile`.

    Attributes:
        admin: whether the owner may invite people and reset their devices.
        email: where notices go; "" is nowhere.
        version: rises by one with every change.
    """

    TABLE: ClassVar[str] = "profile"

    account_id: AccountId
    admin: bool
    email: str
    version: int


_THIS = profile.c.account_id == bindparam("this", type_=sa.LargeBinary)
_FIND = sa.select(*columns_of(ProfileRow, profile))
_REPLACE = sa.update(profile).where(_THIS, profile.c.version == bindparam("expected"))


class ProfilesTable:
    """The table `profile`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def find(self, account_id: AccountId) -> ProfileRow | None:
        """The profile of an account."""
        found = self._connection.execute(_FIND.where(_THIS), {"this": account_id}).one_or_none()
        return None if found is None else build(ProfileRow, found)

    def all(self) -> list[ProfileRow]:
        """Every profile."""
        return [build(ProfileRow, one) for one in self._connection.execute(_FIND)]

    def insert(self, row: ProfileRow) -> None:
        """Add a profile."""
        self._connection.execute(sa.insert(profile), row.columns())

    def replace(self, row: ProfileRow, *, expected_version: int) -> None:
        """Write `row` over the profile of its account.

        Raises:
            VersionConflict: somebody else changed it in between.
        """
        change = {**row.covered_columns(), "this": row.account_id, "expected": expected_version}
        if self._connection.execute(_REPLACE, change).rowcount != 1:
            raise VersionConflict("the profile was changed by somebody else in between")
