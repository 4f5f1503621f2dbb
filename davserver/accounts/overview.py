"""All that an administrator may see of one account: numbers and credentials, never a name of a file.

Called by `sealdav user show`, and by the site.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from davserver.accounts.service import read_account
from davserver.clock import Clock, from_seconds, to_seconds
from davserver.db.credentials import AppPasswordRow
from davserver.db.engine import Database, Transaction
from davserver.errors import NotFound
from davserver.keyring import Keyring
from davserver.model import Account, AccountId, NodeKind


class DeviceState(Enum):
    """Whether an app password still opens the drive."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Device:
    """An app password, for people. `last_used_at` and `last_used_from` are notes that nobody vouches for."""

    id: str
    label: str
    state: DeviceState
    expires_at: datetime
    last_used_at: datetime | None
    last_used_from: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    """One account.

    Attributes:
        files, folders: below the root.
        devices: app passwords, revoked ones too, oldest first.
        totp_since: when the authenticator was enrolled; None if there is none.
        recovery_codes: how many are left.
        locks: write locks that are held now.
    """

    account: Account
    files: int
    folders: int
    devices: tuple[Device, ...]
    totp_since: datetime | None
    recovery_codes: int
    locks: int


class Overviews:
    """Looks at accounts."""

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock

    def of(self, username: str) -> Overview:
        """The account with this user name; all read at one moment.

        Raises:
            NotFound: there is none.
            CorruptRow: a row was altered.
        """
        now = to_seconds(self._clock())
        with self._database.read() as tx:
            row = tx.accounts.by_username(username.casefold())
            if row is None:
                raise NotFound("there is no account of this name")
            account = read_account(self._keyring, row)
            kinds = tx.summary.nodes_by_kind(account.id)
            codes = [self._keyring.checked(one) for one in tx.recovery_codes.of(account.id)]
            return Overview(
                account=account,
                files=kinds.get(NodeKind.FILE.value, 0),
                folders=kinds.get(NodeKind.COLLECTION.value, 0),
                devices=self._devices(tx, account.id, now),
                totp_since=self._totp_since(tx, account.id),
                recovery_codes=len(codes),
                locks=tx.locks.count(account.id, now=now),
            )

    def _devices(self, tx: Transaction, account_id: AccountId, now: int) -> tuple[Device, ...]:
        rows = [self._keyring.checked(row) for row in tx.credentials.app_passwords(account_id)]
        return tuple(
            Device(
                row.app_id,
                row.label,
                _state(row, now),
                from_seconds(row.expires_at),
                None if row.last_used_at is None else from_seconds(row.last_used_at),
                row.last_used_from,
            )
            for row in rows
        )

    def _totp_since(self, tx: Transaction, account_id: AccountId) -> datetime | None:
        for device in tx.credentials.devices(account_id):
            if self._keyring.checked(device).confirmed:
                return from_seconds(device.created_at)
        return None


def _state(row: AppPasswordRow, now: int) -> DeviceState:
    if row.revoked_at is not None:
        return DeviceState.REVOKED
    return DeviceState.EXPIRED if row.expires_at <= now else DeviceState.LIVE
