"""What was deleted or overwritten and is kept for a while: the table `kept`, a row for each.

It finds nodes in the trash and previous versions by their age, and says how much they are. Nobody vouches for
its rows: what is done with a node follows from the node itself, which says the same inside its encrypted
metadata (`vault/kept.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.driver import Driver
from davserver.db.nodes import NODE_COLUMNS, NodeRow
from davserver.db.prepared import Found, Prepared
from davserver.db.schema import account as accounts
from davserver.db.schema import kept, node
from davserver.errors import CorruptRow
from davserver.model import TRASH_ID, AccountId, AccountState, KeptKind, NodeId, NodeKind, Position

LATEST = 2**63 - 1
"""No moment is later."""

BEFORE_ALL: Position = (-(2**63), NodeId(b""))
"""Nothing comes before it."""


class KeptRow(NamedTuple):
    """One row of the table `kept`.

    Attributes:
        kind: value of a `KeptKind`.
        kept_at: since when, in seconds.
        bytes: what it counts in the quota; of a collection without the versions of its files, which have rows
            of their own.
    """

    account_id: AccountId
    node_id: NodeId
    kind: int
    kept_at: int
    bytes: int

    @property
    def is_sound(self) -> bool:
        """Whether its numbers are some: SQLite would keep anything there."""
        return all(isinstance(one, int) for one in (self.kind, self.kept_at, self.bytes))

    @property
    def position(self) -> Position:
        """Where it comes in the order of age."""
        return self.kept_at, self.node_id


Pair = tuple[KeptRow, NodeRow]
"""What is noted of a node, and the node."""

_COLUMNS = (kept.c.account_id, kept.c.node_id, kept.c.kind, kept.c.kept_at, kept.c.bytes)
_OF_NODE = sa.and_(node.c.account_id == kept.c.account_id, node.c.node_id == kept.c.node_id)
_ACCOUNT = kept.c.account_id == bindparam("account")
_THIS = sa.and_(_ACCOUNT, kept.c.node_id == bindparam("id"))
_PAIRS = sa.select(*_COLUMNS, *NODE_COLUMNS).join_from(kept, node, _OF_NODE)
_LIMIT = bindparam("limit", type_=sa.Integer)
_ONE = Prepared(_PAIRS.where(_THIS))
_NEWEST_FIRST = (kept.c.kept_at.desc(), kept.c.node_id.desc())
_TRASH = _PAIRS.where(_ACCOUNT, kept.c.kind == KeptKind.TRASH.value)
_TRASH_BEGINNING = Prepared(_TRASH.order_by(*_NEWEST_FIRST).limit(_LIMIT))
_TRASH_BEHIND = Prepared(
    _TRASH.where(
        sa.tuple_(kept.c.kept_at, kept.c.node_id)
        < sa.tuple_(bindparam("moment", type_=sa.BigInteger), bindparam("last", type_=sa.LargeBinary))
    )
    .order_by(*_NEWEST_FIRST)
    .limit(_LIMIT)
)
# In no order: for the sake of one, SQLite would go through all that the account keeps, and not begin with
# what hangs on the file. Writers ask this, while all others wait for them.
_VERSIONS = Prepared(
    _PAIRS.where(_ACCOUNT, kept.c.kind == KeptKind.VERSION.value, node.c.parent_id == bindparam("file"))
)
_OLDEST = Prepared(
    _PAIRS.where(
        _ACCOUNT,
        sa.tuple_(kept.c.kept_at, kept.c.node_id)
        > sa.tuple_(bindparam("moment", type_=sa.BigInteger), bindparam("last", type_=sa.LargeBinary)),
        kept.c.kept_at <= bindparam("until", type_=sa.BigInteger),
        kept.c.bytes >= bindparam("fewest", type_=sa.BigInteger),
    )
    .order_by(kept.c.kept_at, kept.c.node_id)
    .limit(_LIMIT)
)
_NOTED = Prepared(
    sa.select(kept.c.node_id)
    .where(_ACCOUNT, kept.c.node_id > bindparam("after"))
    .order_by(kept.c.node_id)
    .limit(_LIMIT)
)
_INSERT = Prepared(sa.insert(kept))
_DELETE = Prepared(sa.delete(kept).where(_THIS))

_above = node.alias("above")
_UNNOTED = sa.select(node.c.node_id).where(
    node.c.account_id == bindparam("account", type_=sa.LargeBinary),
    sa.or_(
        node.c.parent_id == bindparam("trash", type_=sa.LargeBinary),
        sa.exists().where(
            _above.c.account_id == node.c.account_id,
            _above.c.node_id == node.c.parent_id,
            _above.c.kind == bindparam("file", type_=sa.Integer),
        ),
    ),
    sa.not_(sa.exists().where(kept.c.account_id == node.c.account_id, kept.c.node_id == node.c.node_id)),
)
_USABLE = sa.and_(accounts.c.account_id == kept.c.account_id, accounts.c.state != AccountState.DELETED.value)
_DUE = sa.select(kept.c.account_id).distinct().join_from(kept, accounts, _USABLE)
_CROWDED = (
    sa.select(node.c.account_id, node.c.parent_id)
    .join_from(kept, node, _OF_NODE)
    .join(accounts, _USABLE)
    .where(kept.c.kind == KeptKind.VERSION.value)
    .group_by(node.c.account_id, node.c.parent_id)
    .having(sa.func.count() > bindparam("most", type_=sa.Integer))
)


class Kept:
    """The table `kept`.

    A row may be of types that only SQLite allows there: `find` and `versions` raise CorruptRow then; `trash`
    and `oldest` hand it out as it is (`KeptRow.is_sound`), so that one row does not hide all others.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def insert(self, row: KeptRow) -> None:
        """Note a node that is kept from now on."""
        self._driver.change(_INSERT, row._asdict())

    def delete(self, account: AccountId, node_id: NodeId) -> None:
        """Take the note of a node away that is like any other from now on; one that goes takes it along."""
        self._driver.change(_DELETE, {"account": account, "id": node_id})

    def find(self, account: AccountId, node_id: NodeId) -> Pair | None:
        """What is noted of a node, if it is kept."""
        found = self._driver.one(_ONE, {"account": account, "id": node_id})
        return None if found is None else _checked(_pair(found))

    def trash(self, account: AccountId, *, after: Position | None, limit: int) -> list[Pair]:
        """At most `limit` of what is in the trash, newest first, behind `after`; None starts."""
        values: dict[str, object] = {"account": account, "limit": limit}
        if after is None:
            return self._pairs(_TRASH_BEGINNING, values)
        moment, last = after
        return self._pairs(_TRASH_BEHIND, {**values, "moment": moment, "last": last})

    def versions(self, account: AccountId, file_id: NodeId) -> list[Pair]:
        """What a file was before, newest first."""
        found = map(_checked, self._pairs(_VERSIONS, {"account": account, "file": file_id}))
        return sorted(found, key=lambda pair: pair[0].position, reverse=True)

    def oldest(
        self,
        account: AccountId,
        *,
        after: Position | None = None,
        until: int = LATEST,
        fewest: int = 0,
        limit: int,
    ) -> list[Pair]:
        """At most `limit` of what has been kept since `until`, oldest first, behind `after`; None starts.

        None of fewer bytes than `fewest`.
        """
        moment, last = after or BEFORE_ALL
        within = {"account": account, "until": until, "fewest": fewest, "limit": limit}
        return self._pairs(_OLDEST, {**within, "moment": moment, "last": last})

    def noted(self, account: AccountId, *, after: NodeId, limit: int) -> list[NodeId]:
        """At most `limit` nodes of which something is noted in order of ids, for `verify`; b"" starts."""
        found = self._driver.all(_NOTED, {"account": account, "after": after, "limit": limit})
        return [NodeId(node_id) for (node_id,) in found]

    def unnoted(self, account: AccountId) -> list[NodeId]:
        """Nodes in the trash, and below files, of which nothing is noted: nobody would find them again."""
        values = {"account": account, "trash": TRASH_ID, "file": NodeKind.FILE.value}
        return [NodeId(found) for (found,) in self._driver.sqlalchemy.execute(_UNNOTED, values)]

    def due(self, *, until: int) -> list[AccountId]:
        """Accounts with something that has been kept since `until`, but those that are being deleted."""
        statement = _DUE.where(kept.c.kept_at <= until)
        return [AccountId(found) for (found,) in self._driver.sqlalchemy.execute(statement)]

    def crowded(self, *, most: int) -> list[tuple[AccountId, NodeId]]:
        """Files with more than `most` versions, of all accounts but those that are being deleted."""
        found = self._driver.sqlalchemy.execute(_CROWDED, {"most": most})
        return [(AccountId(account), NodeId(file_id)) for account, file_id in found]

    def _pairs(self, statement: Prepared, values: dict[str, object]) -> list[Pair]:
        return [_pair(found) for found in self._driver.all(statement, values)]


def _pair(found: Found) -> Pair:
    return KeptRow._make(found[: len(_COLUMNS)]), NodeRow._make(found[len(_COLUMNS) :])


def _checked(pair: Pair) -> Pair:
    if not pair[0].is_sound:
        raise CorruptRow("what is noted of something that is kept was altered")
    return pair
