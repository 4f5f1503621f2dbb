"""What opens an account: the tables `app_password` and `totp_device`.

Rows leave as they are stored: whoever reads one checks its authenticator (`Keyring.checked`) before
believing it. When and from where an app password was last used is a note for people, and not covered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.accounts import AccountRow
from davserver.db.driver import Driver
from davserver.db.prepared import Found, Prepared
from davserver.db.rows import AuthenticatedRow, build, column_names, columns_of
from davserver.db.schema import account, app_password, totp_device
from davserver.errors import VersionConflict
from davserver.model import AccountId, NodeId


@dataclass(frozen=True, slots=True)
class AppPasswordRow(AuthenticatedRow):
    """One row of the table `app_password`.

    Attributes:
        scopes: value of a `Scope`.
        networks: CIDR notations, sorted, with a comma between; "" is any address.
        verifier: keyed hash of the secret (32 bytes); None once revoked.
        wrapped_key, public_key: for sealed vaults.
    """

    TABLE: ClassVar[str] = "app_password"
    UNCOVERED: ClassVar[frozenset[str]] = frozenset({"last_used_at", "last_used_from", "last_used_client"})

    app_id: str
    account_id: AccountId
    label: str
    scopes: int
    root_id: NodeId
    networks: str
    verifier: bytes | None = field(repr=False)
    wrapped_key: bytes | None = field(repr=False)
    public_key: bytes | None
    key_version: int
    created_at: int
    expires_at: int
    revoked_at: int | None
    version: int
    last_used_at: int | None
    last_used_from: str | None
    last_used_client: str | None = None


@dataclass(frozen=True, slots=True)
class TotpDeviceRow(AuthenticatedRow):
    """One row of the table `totp_device`.

    Attributes:
        sealed_secret: the shared secret sealed under the master key.
        last_step: time step of the last code that was accepted; 0 before the first.
    """

    TABLE: ClassVar[str] = "totp_device"

    account_id: AccountId
    device_id: bytes
    sealed_secret: bytes = field(repr=False)
    confirmed: bool
    last_step: int
    created_at: int
    version: int


_ACCOUNT = bindparam("account", type_=sa.LargeBinary)
_APP_COLUMNS = len(column_names(AppPasswordRow))
_APP_PASSWORDS = sa.select(*columns_of(AppPasswordRow, app_password))
_WITH_ACCOUNT = Prepared(
    sa.select(*columns_of(AppPasswordRow, app_password), *columns_of(AccountRow, account))
    .join_from(app_password, account, app_password.c.account_id == account.c.account_id)
    .where(app_password.c.app_id == bindparam("app_id"))
)
_OF_ACCOUNT = _APP_PASSWORDS.where(app_password.c.account_id == _ACCOUNT).order_by(
    app_password.c.created_at, app_password.c.app_id
)
_INSERT_APP_PASSWORD = sa.insert(app_password)
_REPLACE_APP_PASSWORD = sa.update(app_password).where(
    app_password.c.app_id == bindparam("this"), app_password.c.version == bindparam("expected")
)
_RECORD_USE = (
    sa.update(app_password)
    .where(app_password.c.app_id == bindparam("this"), app_password.c.revoked_at.is_(None))
    .values(
        last_used_at=bindparam("now", type_=sa.BigInteger),
        last_used_from=bindparam("client", type_=sa.String),
        last_used_client=bindparam("agent", type_=sa.String),
    )
)

_DEVICES = sa.select(*columns_of(TotpDeviceRow, totp_device)).where(totp_device.c.account_id == _ACCOUNT)
_INSERT_DEVICE = sa.insert(totp_device)
_CONSUME_STEP = sa.update(totp_device).where(
    totp_device.c.account_id == _ACCOUNT,
    totp_device.c.device_id == bindparam("this"),
    totp_device.c.version == bindparam("expected"),
    totp_device.c.last_step < bindparam("step", type_=sa.BigInteger),
)
_DELETE_DEVICES = sa.delete(totp_device).where(totp_device.c.account_id == _ACCOUNT)


class Credentials:
    """The tables `app_password` and `totp_device`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def with_account(self, app_id: str) -> tuple[AppPasswordRow, AccountRow] | None:
        """An app password, revoked or not, and the account that it belongs to, in one statement."""
        found = self.stored(app_id)
        return None if found is None else self.rows(found)

    def stored(self, app_id: str) -> Found | None:
        """What `with_account` gives, as it comes: to compare with what was read before."""
        return self._driver.one(_WITH_ACCOUNT, {"app_id": app_id})

    @staticmethod
    def rows(found: Found) -> tuple[AppPasswordRow, AccountRow]:
        """What `stored` has found."""
        return build(AppPasswordRow, found[:_APP_COLUMNS]), build(AccountRow, found[_APP_COLUMNS:])

    def app_passwords(self, account_id: AccountId) -> list[AppPasswordRow]:
        """Every app password of an account, revoked ones too, oldest first."""
        found = self._driver.sqlalchemy.execute(_OF_ACCOUNT, {"account": account_id})
        return [build(AppPasswordRow, one) for one in found]

    def insert_app_password(self, row: AppPasswordRow) -> None:
        """Add an app password."""
        self._driver.sqlalchemy.execute(_INSERT_APP_PASSWORD, row.columns())

    def replace_app_password(self, row: AppPasswordRow, *, expected_version: int) -> None:
        """Write the covered columns of `row` over the app password with its id.

        Raises:
            VersionConflict: it has another version than expected.
        """
        change = {**row.covered_columns(), "this": row.app_id, "expected": expected_version}
        if self._driver.sqlalchemy.execute(_REPLACE_APP_PASSWORD, change).rowcount != 1:
            raise VersionConflict("the app password was changed by somebody else in between")

    def record_use(self, app_id: str, *, now: int, client: str, agent: str = "") -> None:
        """Note when, from where and by which program an app password was used, unless it is revoked."""
        use = {"this": app_id, "now": now, "client": client, "agent": agent or None}
        self._driver.sqlalchemy.execute(_RECORD_USE, use)

    def forget_uses(self, *, before: int) -> int:
        """Drop addresses and programs of uses before this moment; returns how many app passwords had some."""
        statement = sa.update(app_password).where(
            app_password.c.last_used_at < before,
            sa.or_(app_password.c.last_used_from.is_not(None), app_password.c.last_used_client.is_not(None)),
        )
        return self._driver.sqlalchemy.execute(
            statement, {"last_used_from": None, "last_used_client": None}
        ).rowcount

    def devices(self, account_id: AccountId) -> list[TotpDeviceRow]:
        """The account's TOTP devices: at most one that is confirmed and one that is pending."""
        return [
            build(TotpDeviceRow, one)
            for one in self._driver.sqlalchemy.execute(_DEVICES, {"account": account_id})
        ]

    def insert_device(self, row: TotpDeviceRow) -> None:
        """Add a TOTP device."""
        self._driver.sqlalchemy.execute(_INSERT_DEVICE, row.columns())

    def consume_step(self, row: TotpDeviceRow, *, expected_version: int) -> bool:
        """Write `row` over its device if that raises `last_step` (RFC 6238, 5.2: a code is good once).

        False if the device is gone, was changed in between or has already seen this step.
        """
        change = {
            **row.covered_columns(),
            "account": row.account_id,
            "this": row.device_id,
            "expected": expected_version,
            "step": row.last_step,
        }
        return self._driver.sqlalchemy.execute(_CONSUME_STEP, change).rowcount == 1

    def delete_devices(
        self, account_id: AccountId, *, confirmed: bool | None = None, keep: bytes = b""
    ) -> None:
        """Remove the account's devices, or only (un)confirmed ones, save for the one with the id `keep`."""
        statement = _DELETE_DEVICES.where(totp_device.c.device_id != keep)
        if confirmed is not None:
            statement = statement.where(totp_device.c.confirmed.is_(confirmed))
        self._driver.sqlalchemy.execute(statement, {"account": account_id})
