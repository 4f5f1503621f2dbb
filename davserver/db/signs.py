"""What devices have done, and what they were refused for: the table `device_sign`.

Notes for people: nobody vouches for them, and nothing is decided by them. What a sign means is said in
`davserver/accounts/health.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.dialects.sqlite import insert

from davserver.db.driver import Driver
from davserver.db.prepared import Prepared
from davserver.db.schema import account, app_password, device_sign
from davserver.model import AccountId, AccountState


class SignRow(NamedTuple):
    """One row of the table `device_sign`.

    Attributes:
        device: id of an app password, or what stands for tokens.
        sign: what happened.
        first_at, last_at: when, as far as that was noted.
    """

    account_id: AccountId
    device: str
    sign: str
    first_at: int
    last_at: int


class StoredSign(NamedTuple):
    """What is stored of one device's sign; the types are those that SQLite keeps."""

    device: object
    sign: object
    first_at: object
    last_at: object


_MINE = device_sign.c.account_id == bindparam("account", type_=sa.LargeBinary)
_ALL = sa.select(
    device_sign.c.device, device_sign.c.sign, device_sign.c.first_at, device_sign.c.last_at
).where(_MINE)
_OF_ACCOUNT = Prepared(_ALL)
_DEVICE = bindparam("of_device", type_=sa.String)
_MADE = (
    sa.select(app_password.c.created_at)
    .where(app_password.c.app_id == _DEVICE, app_password.c.account_id == device_sign.c.account_id)
    .scalar_subquery()
)
_SINCE = sa.and_(
    device_sign.c.device == bindparam("besides", type_=sa.String), device_sign.c.last_at >= _MADE
)
_OF_DEVICE = Prepared(_ALL.where(sa.or_(device_sign.c.device == _DEVICE, _SINCE)))

_WHOSE = Prepared(
    sa.select(account.c.account_id, app_password.c.app_id)
    .outerjoin_from(
        account,
        app_password,
        sa.and_(app_password.c.account_id == account.c.account_id, app_password.c.app_id == _DEVICE),
    )
    .where(
        account.c.username == bindparam("username", type_=sa.String),
        account.c.state != AccountState.DELETED.value,
    )
)

_UNSEEN = (
    sa.select(device_sign.c.account_id, device_sign.c.device)
    .group_by(device_sign.c.account_id, device_sign.c.device)
    .having(sa.func.max(device_sign.c.last_at) < bindparam("before", type_=sa.BigInteger))
)
_FORGET = Prepared(
    sa.delete(device_sign).where(sa.tuple_(device_sign.c.account_id, device_sign.c.device).in_(_UNSEEN))
)

_GIVEN = sa.select(
    account.c.account_id,
    _DEVICE,
    bindparam("of_sign", type_=sa.String),
    bindparam("first", type_=sa.BigInteger),
    bindparam("last", type_=sa.BigInteger),
).where(account.c.account_id == bindparam("account", type_=sa.LargeBinary))
_NEW = insert(device_sign).from_select([column.name for column in device_sign.columns], _GIVEN)
_NOTE = Prepared(
    _NEW.on_conflict_do_update(
        index_elements=list(device_sign.primary_key),
        set_={"last_at": sa.func.max(device_sign.c.last_at, _NEW.excluded.last_at)},
    )
)


class SignsTable:
    """The table `device_sign`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def of_account(self, account_id: AccountId) -> list[StoredSign]:
        """Those of all devices of an account."""
        return [StoredSign(*one) for one in self._driver.all(_OF_ACCOUNT, {"account": account_id})]

    def of_device(self, account_id: AccountId, device: str, besides: str = "") -> list[StoredSign]:
        """Those of one device of an account, and those `besides` them since it was made."""
        values = {"account": account_id, "of_device": device, "besides": besides}
        return [StoredSign(*one) for one in self._driver.all(_OF_DEVICE, values)]

    def whose(self, username: str, device: str | None) -> tuple[AccountId, str | None] | None:
        """The account of this name, and the id of its app password if it has this one; None without one."""
        found = self._driver.one(_WHOSE, {"username": username, "of_device": device})
        return None if found is None else (found[0], found[1])

    def forget(self, *, before: int) -> int:
        """Drop all signs of devices of which nothing was seen since then; returns how many signs."""
        return self._driver.change(_FORGET, {"before": before})

    def note(self, rows: Iterable[SignRow]) -> None:
        """Add signs, or say of those that are there that they were seen again.

        Of an account that is gone meanwhile nothing is noted.
        """
        self._driver.change_each(
            _NOTE,
            (
                {
                    "account": row.account_id,
                    "of_device": row.device,
                    "of_sign": row.sign,
                    "first": row.first_at,
                    "last": row.last_at,
                }
                for row in rows
            ),
        )
