"""Accounts and the passwords of built-in ones: the tables `account` and `local_identity`.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. The counters `used`, `kept` and `structure_version` are changed in `quota.py` only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import account, local_identity
from davserver.errors import AlreadyExists, VersionConflict
from davserver.model import AccountId


@dataclass(frozen=True, slots=True)
class AccountRow(AuthenticatedRow):
    """One row of the table `account`.

    Attributes:
        state: value of an `AccountState`.
        wrapped_key: the account key sealed under the master key (48 bytes); None in a sealed vault, and once
            the account is deleted.
        key_commitment: what only the right account key has (32 bytes).
        version: rises by one with every change of a covered column.
    """

    TABLE: ClassVar[str] = "account"
    UNCOVERED: ClassVar[frozenset[str]] = frozenset({"used", "kept", "structure_version"})

    account_id: AccountId
    subject: str
    username: str
    state: str
    quota: int | None
    used: int
    kept: int
    sealed: bool
    wrapped_key: bytes | None = field(repr=False)
    master_key_id: int
    key_version: int
    key_commitment: bytes
    structure_version: int
    created_at: int
    version: int


@dataclass(frozen=True, slots=True)
class IdentityRow(AuthenticatedRow):
    """One row of the table `local_identity`: the password of a built-in account."""

    TABLE: ClassVar[str] = "local_identity"

    account_id: AccountId
    password_hash: str = field(repr=False)
    changed_at: int
    version: int


_ACCOUNTS = sa.select(*columns_of(AccountRow, account))
_ACCOUNT_BY_ID = _ACCOUNTS.where(account.c.account_id == bindparam("wanted"))
_ACCOUNT_BY_USERNAME = _ACCOUNTS.where(account.c.username == bindparam("wanted"))
_ACCOUNT_BY_SUBJECT = _ACCOUNTS.where(account.c.subject == bindparam("wanted"))
_ALL_ACCOUNTS = _ACCOUNTS.order_by(account.c.username)
_INSERT_ACCOUNT = sa.insert(account)
_REPLACE_ACCOUNT = sa.update(account).where(
    account.c.account_id == bindparam("this"), account.c.version == bindparam("expected")
)
_IDENTITY = sa.select(*columns_of(IdentityRow, local_identity)).where(
    local_identity.c.account_id == bindparam("wanted")
)
_INSERT_IDENTITY = sa.insert(local_identity)
_REPLACE_IDENTITY = sa.update(local_identity).where(
    local_identity.c.account_id == bindparam("this"), local_identity.c.version == bindparam("expected")
)


class Accounts:
    """The tables `account` and `local_identity`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def by_id(self, account_id: AccountId) -> AccountRow | None:
        """The account with this id."""
        return self._account(_ACCOUNT_BY_ID, account_id)

    def by_username(self, username: str) -> AccountRow | None:
        """The account with this user name, spelled as stored."""
        return self._account(_ACCOUNT_BY_USERNAME, username)

    def by_subject(self, subject: str) -> AccountRow | None:
        """The account of this identity."""
        return self._account(_ACCOUNT_BY_SUBJECT, subject)

    def all(self) -> list[AccountRow]:
        """Every account, in order of user names."""
        return [build(AccountRow, found) for found in self._connection.execute(_ALL_ACCOUNTS)]

    def insert(self, row: AccountRow) -> None:
        """Add an account.

        Raises:
            AlreadyExists: the user name or the subject is taken.
        """
        try:
            self._connection.execute(_INSERT_ACCOUNT, row.columns())
        except sa.exc.IntegrityError:
            raise AlreadyExists("there is already an account of this name") from None

    def replace(self, row: AccountRow, *, expected_version: int) -> None:
        """Write the covered columns of `row` over the account with its id; counters stay as they are.

        Raises:
            VersionConflict: the account is gone or has another version than expected.
        """
        change = {**row.covered_columns(), "this": row.account_id, "expected": expected_version}
        _require_one(self._connection.execute(_REPLACE_ACCOUNT, change).rowcount)

    def identity(self, account_id: AccountId) -> IdentityRow | None:
        """The built-in password of an account."""
        found = self._connection.execute(_IDENTITY, {"wanted": account_id}).one_or_none()
        return None if found is None else build(IdentityRow, found)

    def insert_identity(self, row: IdentityRow) -> None:
        """Give an account its first password."""
        self._connection.execute(_INSERT_IDENTITY, row.columns())

    def replace_identity(self, row: IdentityRow, *, expected_version: int) -> None:
        """Change the password of an account.

        Raises:
            VersionConflict: it was changed by somebody else in between.
        """
        change = {**row.covered_columns(), "this": row.account_id, "expected": expected_version}
        _require_one(self._connection.execute(_REPLACE_IDENTITY, change).rowcount)

    def _account(self, statement: sa.Select[tuple[object, ...]], wanted: bytes | str) -> AccountRow | None:
        found = self._connection.execute(statement, {"wanted": wanted}).one_or_none()
        return None if found is None else build(AccountRow, found)


def _require_one(changed: int) -> None:
    if changed != 1:
        raise VersionConflict("the account was changed by somebody else in between")
