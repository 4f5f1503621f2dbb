"""Write locks: the table `lock`.

A lock hangs on a node and goes with it. Which locks are in the way of what is judged in `vault/moment.py`;
this file only finds them. Expired locks count as absent everywhere and are removed by garbage collection.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.driver import Driver
from davserver.db.prepared import Prepared
from davserver.db.rows import AuthenticatedRow, build, columns_of
from davserver.db.schema import account as accounts
from davserver.db.schema import lock, node
from davserver.errors import VersionConflict
from davserver.model import AccountId, AccountState, NodeId


@dataclass(frozen=True, slots=True)
class LockRow(AuthenticatedRow):
    """One row of the table `lock`.

    Attributes:
        lock_id: the UUID of the lock's token.
        owner_sealed: what the client says of the owner, sealed under the account key.
        version: rises by one with every refresh.
    """

    TABLE: ClassVar[str] = "lock"

    account_id: AccountId
    lock_id: bytes
    node_id: NodeId
    exclusive: bool
    infinite: bool
    owner_sealed: bytes
    created_at: int
    expires_at: int
    version: int


_ACCOUNT = lock.c.account_id == bindparam("account", type_=sa.LargeBinary)
_LIVE = sa.and_(_ACCOUNT, lock.c.expires_at > bindparam("now", type_=sa.BigInteger))
_LOCKS = sa.select(*columns_of(LockRow, lock)).order_by(lock.c.created_at, lock.c.lock_id)
_ON_WAY = lock.c.node_id.in_(bindparam("way", expanding=True, type_=sa.LargeBinary))


def _upwards() -> sa.CTE:
    """The roots of live locks and every collection above one, each once, as (id, parent).

    Upwards, because locks are few and what lies below a collection may be much; each once, because many locks
    may lie deep in the same place. UNION as in `nodes.py`.
    """
    of_lock = sa.and_(node.c.account_id == lock.c.account_id, node.c.node_id == lock.c.node_id)
    roots = sa.select(node.c.node_id, node.c.parent_id).join_from(lock, node, of_lock).where(_LIVE)
    up = roots.cte("up", recursive=True)
    above = sa.select(node.c.node_id, node.c.parent_id).where(
        node.c.account_id == bindparam("account", type_=sa.LargeBinary), node.c.node_id == up.c.parent_id
    )
    return up.union(above)


def _below() -> sa.ColumnElement[bool]:
    """Whether a lock's root is one of `tops` or lies below one: down again, along the same ways."""
    up = _upwards()
    tops = sa.select(up.c.node_id).where(
        up.c.node_id.in_(bindparam("tops", expanding=True, type_=sa.LargeBinary))
    )
    down = tops.cte("down", recursive=True)
    down = down.union(sa.select(up.c.node_id).where(up.c.parent_id == down.c.node_id))
    return lock.c.node_id.in_(sa.select(down.c.node_id))


_FIND = _LOCKS.where(_LIVE, _ON_WAY)
_FIND_BELOW_TOO = _LOCKS.where(_LIVE, sa.or_(_ON_WAY, _below()))
_OF_CHILDREN = _LOCKS.join_from(
    lock, node, sa.and_(node.c.account_id == lock.c.account_id, node.c.node_id == lock.c.node_id)
).where(_LIVE, node.c.parent_id == bindparam("parent", type_=sa.LargeBinary))
_COUNT = Prepared(sa.select(sa.func.count()).select_from(lock).where(_LIVE))
_INSERT = Prepared(sa.insert(lock))
_THIS = sa.and_(_ACCOUNT, lock.c.lock_id == bindparam("this", type_=sa.LargeBinary))
_REPLACE = sa.update(lock).where(_THIS, lock.c.version == bindparam("expected"))
_DELETE = sa.delete(lock).where(_THIS)


class Locks:
    """The table `lock`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def find(
        self, account: AccountId, way: Collection[NodeId], tops: Collection[NodeId] = (), *, now: int
    ) -> list[LockRow]:
        """Live locks whose roots are among `way`, or are one of `tops` or lie below it; the oldest first.

        Nothing is looked up if this transaction has just seen that the account has none.
        """
        if not self.may_exist(account):
            return []
        parameters: dict[str, object] = {"account": account, "way": list(way), "now": now}
        if not tops:
            return self._rows(_FIND, parameters)
        return self._rows(_FIND_BELOW_TOO, {**parameters, "tops": list(tops)})

    def of_children(self, account: AccountId, parent: NodeId, *, now: int) -> list[LockRow]:
        """Live locks whose roots are children of `parent`; as for `find`."""
        if not self.may_exist(account):
            return []
        return self._rows(_OF_CHILDREN, {"account": account, "parent": parent, "now": now})

    def count(self, account: AccountId, *, now: int) -> int:
        """How many live locks an account has; as for `find`."""
        if not self.may_exist(account):
            return 0
        ((count,),) = self._driver.all(_COUNT, {"account": account, "now": now})
        return int(count)

    def insert(self, row: LockRow) -> None:
        """Add a lock."""
        self._driver.glances.pop(row.account_id, None)
        self._driver.change(_INSERT, row.columns())

    def replace(self, row: LockRow, *, expected_version: int) -> None:
        """Write `row` over the lock with its id.

        Raises:
            VersionConflict: it is gone or was changed in between.
        """
        self._driver.glances.pop(row.account_id, None)
        change = {
            **row.covered_columns(),
            "account": row.account_id,
            "this": row.lock_id,
            "expected": expected_version,
        }
        if self._driver.sqlalchemy.execute(_REPLACE, change).rowcount != 1:
            raise VersionConflict("the lock was changed by somebody else in between")

    def delete(
        self, account: AccountId, lock_ids: Collection[bytes], *, expired_at: int | None = None
    ) -> None:
        """Remove locks, or only those whose time is up at `expired_at`; what is gone already is no error."""
        statement = _DELETE if expired_at is None else _DELETE.where(lock.c.expires_at <= expired_at)
        if lock_ids:
            self._driver.sqlalchemy.execute(
                statement, [{"account": account, "this": one} for one in lock_ids]
            )

    def expired(self, *, now: int, limit: int) -> list[LockRow]:
        """At most `limit` locks whose time is up, of all accounts but those that are being deleted."""
        of_account = accounts.c.account_id == lock.c.account_id
        chosen = _LOCKS.join_from(lock, accounts, of_account).where(
            lock.c.expires_at <= now, accounts.c.state != AccountState.DELETED.value
        )
        return self._rows(chosen.limit(limit), {})

    def scan(self, account: AccountId) -> list[LockRow]:
        """Every lock of an account, expired ones too, for `verify`."""
        return self._rows(_LOCKS.where(_ACCOUNT), {"account": account})

    def may_exist(self, account: AccountId) -> bool:
        """False if this transaction has just seen that an account has no live lock."""
        seen = self._driver.glances.get(account)
        return seen is None or seen.locked

    def _rows(self, statement: sa.Executable, parameters: dict[str, object]) -> list[LockRow]:
        return [build(LockRow, found) for found in self._driver.sqlalchemy.execute(statement, parameters)]
