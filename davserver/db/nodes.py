"""The tree: one row a node, addressed by parent and sealed name.

Names and metadata arrive and leave sealed; this file moves rows and never looks inside them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.crypto.primitives import sha256
from davserver.db.driver import Driver, Glance
from davserver.db.prepared import Found, Prepared
from davserver.db.schema import account, blob, hidden_tree, kept, lock, node
from davserver.errors import AlreadyExists, CorruptRow, NotFound, VersionConflict
from davserver.model import TRASH_ID, UPLOADS_ID, AccountId, AccountState, BlobId, NodeId, NodeKind

MAX_EXACT_BYTES = 2**53
"""8 PiB: what the database adds up without overflow is exact to here, and no account has so much."""


class NodeRow(NamedTuple):
    """One row of the table `node` as it is stored; only `NodeCodec` knows whether `kind` is a `NodeKind`.

    A tuple, because a listing makes thousands.
    """

    account_id: AccountId
    parent_id: NodeId
    name_sealed: bytes
    node_id: NodeId
    kind: int
    blob_id: BlobId | None
    metadata_sealed: bytes
    version: int


NODE_COLUMNS = (
    node.c.account_id,
    node.c.parent_id,
    node.c.name_sealed,
    node.c.node_id,
    node.c.kind,
    node.c.blob_id,
    node.c.metadata_sealed,
    node.c.version,
)
"""What to select for a `NodeRow`."""

_ACCOUNT = node.c.account_id == bindparam("account")
_CHILD = Prepared(
    sa.select(*NODE_COLUMNS).where(
        _ACCOUNT, node.c.parent_id == bindparam("parent"), node.c.name_sealed == bindparam("name")
    )
)
_BY_ID = Prepared(sa.select(*NODE_COLUMNS).where(_ACCOUNT, node.c.node_id == bindparam("id")))
_SOME = sa.select(*NODE_COLUMNS).where(
    node.c.account_id == bindparam("account", type_=sa.LargeBinary),
    node.c.node_id.in_(bindparam("ids", expanding=True, type_=sa.LargeBinary)),
)
_CHILDREN = Prepared(
    sa.select(*NODE_COLUMNS)
    .where(_ACCOUNT, node.c.parent_id == bindparam("parent"), node.c.name_sealed > bindparam("after"))
    .order_by(node.c.name_sealed)
    .limit(bindparam("limit", type_=sa.Integer))
)
_IN_WHICH_VERSION = sa.func.group_concat(node.c.node_id.op("||")(node.c.version), ",")
_STATE: list[sa.ColumnElement[Any]] = [sa.func.count(), sa.cast(_IN_WHICH_VERSION, sa.LargeBinary)]
_STATE_OF_CHILDREN = Prepared(
    sa.select(*_STATE).where(
        _ACCOUNT, node.c.parent_id == bindparam("parent"), node.c.name_sealed > bindparam("after")
    )
)
_INSERT = Prepared(sa.insert(node))
_UPDATE = Prepared(
    sa.update(node)
    .where(_ACCOUNT, node.c.node_id == bindparam("id"), node.c.version == bindparam("expected"))
    .values(
        parent_id=bindparam("new_parent"),
        name_sealed=bindparam("new_name"),
        blob_id=bindparam("new_blob"),
        metadata_sealed=bindparam("new_metadata"),
        version=bindparam("new_version"),
    )
)


def all_below() -> sa.CTE:
    """One id and those of everything below it, previous versions too; the top need not exist (the trash).

    UNION and not UNION ALL, here and in `_above`: the root is its own parent, and rows that somebody has tied
    into a ring must not keep a transaction busy for ever.
    """
    top = sa.select(bindparam("top", type_=sa.LargeBinary).label("node_id"))
    tree = top.cte("tree", recursive=True)
    return tree.union(sa.select(node.c.node_id).where(_ACCOUNT, node.c.parent_id == tree.c.node_id))


def _living() -> sa.CTE:
    """A node and all that paths lead to below it, as (id, kind): not what hangs on a file, which it was."""
    start = sa.select(node.c.node_id, node.c.kind).where(_ACCOUNT, node.c.node_id == bindparam("top"))
    tree = start.cte("living", recursive=True)
    return tree.union(
        sa.select(node.c.node_id, node.c.kind).where(
            _ACCOUNT, node.c.parent_id == tree.c.node_id, tree.c.kind == NodeKind.COLLECTION.value
        )
    )


def _above() -> sa.CTE:
    """One node and its ancestors, as (id, parent)."""
    start = sa.select(node.c.node_id, node.c.parent_id).where(_ACCOUNT, node.c.node_id == bindparam("start"))
    chain = start.cte("chain", recursive=True)
    return chain.union(
        sa.select(node.c.node_id, node.c.parent_id).where(_ACCOUNT, node.c.node_id == chain.c.parent_id)
    )


def _at(*, with_parent: bool) -> Prepared:
    """What is known of an account, and the child of a collection under a name; the collection itself, too.

    From the account outwards: there is a row whether or not there is such a child.
    """
    mine, above = account.c.account_id == bindparam("account"), node.alias("above")
    live = sa.exists().where(
        lock.c.account_id == account.c.account_id, lock.c.expires_at > bindparam("now", type_=sa.BigInteger)
    )
    below = sa.and_(
        node.c.account_id == account.c.account_id,
        node.c.parent_id == bindparam("parent"),
        node.c.name_sealed == bindparam("name"),
    )
    found = account.outerjoin(node, below)
    known = [account.c.structure_version, account.c.used, account.c.quota, account.c.kept, live]
    columns = [*known, *NODE_COLUMNS]
    if with_parent:
        itself = sa.and_(above.c.account_id == account.c.account_id, above.c.node_id == bindparam("parent"))
        found = found.outerjoin(above, itself)
        columns += [above.c[column.name] for column in NODE_COLUMNS]
    return Prepared(sa.select(*columns).select_from(found).where(mine))


_AT = _at(with_parent=False)
_AT_CHECKED = _at(with_parent=True)
_GLANCED = len(Glance._fields)

_TREE = all_below()
_IN_TREE = node.c.node_id.in_(sa.select(_TREE.c.node_id))
_IS_LIVING = node.c.node_id.in_(sa.select(_living().c.node_id))
_BYTES = (
    sa.select(sa.func.total(blob.c.plain_size))  # a sum would fail where sizes were altered
    .select_from(node.join(blob, node.c.blob_id == blob.c.blob_id))
    .where(_ACCOUNT)
)
_KEPT_BYTES = sa.select(sa.func.total(kept.c.bytes)).where(
    kept.c.account_id == bindparam("account"), kept.c.node_id.in_(sa.select(_TREE.c.node_id))
)
_WEIGH = Prepared(sa.select(_BYTES.where(_IN_TREE).scalar_subquery(), _KEPT_BYTES.scalar_subquery()))
_LIVE_BYTES = Prepared(_BYTES.where(_IS_LIVING))
_LIVE_COUNT = Prepared(sa.select(sa.func.count()).select_from(_living()))
_MARK_BLOBS = Prepared(
    sa.update(blob)
    .where(
        blob.c.blob_id.in_(sa.select(node.c.blob_id).where(_ACCOUNT, _IN_TREE, node.c.blob_id.is_not(None)))
    )
    .values(unreferenced_at=bindparam("now"))
)
_DELETE_TREE = Prepared(sa.delete(node).where(_ACCOUNT, _IN_TREE))
_DELETE_ONE = Prepared(sa.delete(node).where(_ACCOUNT, node.c.node_id == bindparam("id")))
_ANCESTORS = Prepared(sa.select(_above().c.node_id))
_LINEAGE = Prepared(
    sa.select(*NODE_COLUMNS).where(_ACCOUNT, node.c.node_id.in_(sa.select(_above().c.node_id)))
)


_parent = node.alias("parent")
_UNREACHABLE = sa.select(node.c.node_id).where(
    _ACCOUNT,
    node.c.parent_id.not_in((TRASH_ID, UPLOADS_ID)),
    sa.not_(
        sa.exists().where(_parent.c.account_id == node.c.account_id, _parent.c.node_id == node.c.parent_id)
    ),
    sa.not_(
        sa.exists().where(
            hidden_tree.c.account_id == node.c.account_id, hidden_tree.c.node_id == node.c.parent_id
        )
    ),
)


_HOLDERS = sa.select(account.c.account_id).where(
    account.c.state != AccountState.DELETED.value,
    sa.exists().where(
        node.c.account_id == account.c.account_id,
        node.c.parent_id == bindparam("parent", type_=sa.LargeBinary),
    ),
)


class Weight(NamedTuple):
    """Plaintext bytes of a node with everything below it.

    Attributes:
        bytes: what they count in the quota.
        kept: how many of them are kept only.
    """

    bytes: int
    kept: int


class At(NamedTuple):
    """One look at a name in a collection.

    Attributes:
        child: what has the name; None if nothing has.
        parent: the collection itself, if it was asked for and exists.
    """

    glance: Glance
    child: NodeRow | None
    parent: NodeRow | None


class Nodes:
    """The table `node`, and `hidden_tree` beside it."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def at(self, account_id: AccountId, parent: NodeId, name_sealed: bytes, *, now: int, check: bool) -> At:
        """The child of `parent` under this sealed name, and with it what else a request needs to know.

        Args:
            account_id: whose.
            parent: id of a collection.
            name_sealed: the child's.
            now: locks that end by then count as absent.
            check: also look up the collection itself.

        Raises:
            NotFound: there is no such account.
        """
        values = {"account": account_id, "parent": parent, "name": name_sealed, "now": now}
        found = self._driver.one(_AT_CHECKED if check else _AT, values)
        if found is None:
            raise NotFound("no such account")
        glance = self._driver.glances[account_id] = Glance._make(found[:_GLANCED])
        child, above = found[_GLANCED : _GLANCED + len(NODE_COLUMNS)], found[_GLANCED + len(NODE_COLUMNS) :]
        return At(glance, _row_or_none(child), _row_or_none(above))

    def glance(self, account_id: AccountId) -> Glance | None:
        """What `at` has seen of an account in this transaction, if that still holds."""
        return self._driver.glances.get(account_id)

    def child(self, account: AccountId, parent: NodeId, name_sealed: bytes) -> NodeRow | None:
        """The child of `parent` under this sealed name."""
        return self._one(_CHILD, {"account": account, "parent": parent, "name": name_sealed})

    def by_id(self, account: AccountId, node_id: NodeId) -> NodeRow | None:
        """The node with this id."""
        return self._one(_BY_ID, {"account": account, "id": node_id})

    def some(self, account: AccountId, node_ids: Collection[NodeId]) -> list[NodeRow]:
        """Those of the nodes with these ids that there are."""
        found = self._driver.sqlalchemy.execute(_SOME, {"account": account, "ids": list(node_ids)})
        return list(map(NodeRow._make, found))

    def children(self, account: AccountId, parent: NodeId, *, after: bytes, limit: int) -> list[NodeRow]:
        """At most `limit` children whose sealed name sorts after `after`, in that order."""
        parameters = {"account": account, "parent": parent, "after": after, "limit": limit}
        return list(map(NodeRow._make, self._driver.all(_CHILDREN, parameters)))

    def state_of_children(self, account: AccountId, parent: NodeId) -> tuple[int, bytes]:
        """How many children there are, and 32 bytes that are others as soon as one comes, goes or changes."""
        # The root is its own parent, and no name sorts before its own, which is none.
        parameters = {"account": account, "parent": parent, "after": b""}
        ((count, ids),) = self._driver.all(_STATE_OF_CHILDREN, parameters)
        return int(count), sha256(ids or b"")

    def insert(self, rows: Iterable[NodeRow]) -> None:
        """Add nodes.

        Raises:
            AlreadyExists: one of the names is taken.
        """
        try:
            self._driver.change_each(_INSERT, (row._asdict() for row in rows))
        except sqlite3.IntegrityError:
            raise AlreadyExists("the name is taken") from None

    def replace(self, row: NodeRow, *, expected_version: int) -> None:
        """Write `row` over the node with its id.

        Raises:
            VersionConflict: the node is gone or has another version than expected.
            AlreadyExists: the new name is taken.
        """
        try:
            changed = self._driver.change(_UPDATE, _changes(row, expected_version))
        except sqlite3.IntegrityError:
            raise AlreadyExists("the name is taken") from None
        if changed != 1:
            raise VersionConflict("the file was changed by somebody else in between")

    def replace_all(self, rows: Iterable[NodeRow]) -> None:
        """Write rows over those that this transaction has just read, each of them one version older."""
        self._driver.change_each(_UPDATE, (_changes(row, row.version - 1) for row in rows))

    def ancestors(self, account: AccountId, node_id: NodeId) -> set[NodeId]:
        """Ids of `node_id` and of every collection above it; empty if it does not exist."""
        found = self._driver.all(_ANCESTORS, {"account": account, "start": node_id})
        return {NodeId(one) for (one,) in found}

    def lineage(self, account: AccountId, node_id: NodeId) -> dict[NodeId, NodeRow]:
        """A node and every collection above it, by their ids; empty if it does not exist."""
        found = self._driver.all(_LINEAGE, {"account": account, "start": node_id})
        return {row.node_id: row for row in map(NodeRow._make, found)}

    def weigh(self, account: AccountId, top: NodeId) -> Weight:
        """What `top` and everything below it, previous versions too, count in the quota.

        Raises:
            CorruptRow: so much that a size must have been altered.
        """
        ((found, kept_only),) = self._driver.all(_WEIGH, {"account": account, "top": top})
        return Weight(_exact(found), _exact(kept_only))

    def live_bytes(self, account: AccountId, top: NodeId) -> int:
        """Plaintext bytes of `top` and of everything that a path leads to below it.

        Raises:
            CorruptRow: so many that a size must have been altered.
        """
        ((found,),) = self._driver.all(_LIVE_BYTES, {"account": account, "top": top})
        return _exact(found)

    def live_count(self, account: AccountId, top: NodeId) -> int:
        """How many nodes `top` and everything that a path leads to below it are."""
        ((found,),) = self._driver.all(_LIVE_COUNT, {"account": account, "top": top})
        return int(found)

    def delete_subtree(self, account: AccountId, top: NodeId, *, now: int) -> None:
        """Remove `top` and everything below it; from `now` on their blobs may be garbage."""
        parameters = {"account": account, "top": top}
        self._driver.change(_MARK_BLOBS, {**parameters, "now": now})
        self._driver.change(_DELETE_TREE, parameters)

    def delete_one(self, account: AccountId, node_id: NodeId) -> bool:
        """Remove a node that has nothing below it, without marking its blob; false if it was gone."""
        return self._driver.change(_DELETE_ONE, {"account": account, "id": node_id}) == 1

    def hide(self, account: AccountId, node_id: NodeId, *, now: int) -> None:
        """Note that a COPY is writing nodes below `node_id`, which does not exist yet."""
        self._driver.sqlalchemy.execute(
            sa.insert(hidden_tree), {"account_id": account, "node_id": node_id, "heartbeat_at": now}
        )

    def touch_hidden(self, account: AccountId, node_id: NodeId, *, now: int) -> bool:
        """Renew the note; False if garbage collection has taken it away."""
        statement = sa.update(hidden_tree).where(
            hidden_tree.c.account_id == account, hidden_tree.c.node_id == node_id
        )
        return self._driver.sqlalchemy.execute(statement.values(heartbeat_at=now)).rowcount == 1

    def unhide(self, account: AccountId, node_id: NodeId) -> bool:
        """Take the note away: the tree is about to be published or deleted. False if it was gone."""
        statement = sa.delete(hidden_tree).where(
            hidden_tree.c.account_id == account, hidden_tree.c.node_id == node_id
        )
        return self._driver.sqlalchemy.execute(statement).rowcount == 1

    def abandoned(self, *, before: int) -> list[tuple[AccountId, NodeId]]:
        """Hidden trees whose COPY was last heard of at `before` or earlier."""
        statement = sa.select(hidden_tree.c.account_id, hidden_tree.c.node_id)
        found = self._driver.sqlalchemy.execute(statement.where(hidden_tree.c.heartbeat_at <= before))
        return [(AccountId(account), NodeId(node_id)) for account, node_id in found]

    def count(self) -> int:
        """How many nodes all accounts have together."""
        return int(self._driver.sqlalchemy.execute(sa.select(sa.func.count()).select_from(node)).scalar_one())

    def unreachable(self, account: AccountId) -> list[NodeId]:
        """Nodes whose parent does not exist, save for the trash, uploads and copies that are still hidden."""
        return [
            NodeId(found) for (found,) in self._driver.sqlalchemy.execute(_UNREACHABLE, {"account": account})
        ]

    def holders(self, parent: NodeId) -> list[AccountId]:
        """Accounts that have something right below `parent`, but those that are being deleted."""
        found = self._driver.sqlalchemy.execute(_HOLDERS, {"parent": parent})
        return [AccountId(account_id) for (account_id,) in found]

    def scan(self, account: AccountId, *, after: NodeId | None, limit: int) -> list[NodeRow]:
        """At most `limit` nodes of an account in order of their ids, for `verify`; `after` None starts."""
        statement = (
            sa.select(*NODE_COLUMNS).where(node.c.account_id == account).order_by(node.c.node_id).limit(limit)
        )
        if after is not None:
            statement = statement.where(node.c.node_id > after)
        return list(map(NodeRow._make, self._driver.sqlalchemy.execute(statement)))

    def _one(self, statement: Prepared, parameters: dict[str, object]) -> NodeRow | None:
        found = self._driver.one(statement, parameters)
        return None if found is None else NodeRow._make(found)


def _changes(row: NodeRow, expected_version: int) -> dict[str, object]:
    return {
        "account": row.account_id,
        "id": row.node_id,
        "expected": expected_version,
        "new_parent": row.parent_id,
        "new_name": row.name_sealed,
        "new_blob": row.blob_id,
        "new_metadata": row.metadata_sealed,
        "new_version": row.version,
    }


def _exact(total: object) -> int:
    if not isinstance(total, int | float) or total > MAX_EXACT_BYTES:
        raise CorruptRow("the size of a stored content was altered")
    return int(total)


def _row_or_none(found: Found) -> NodeRow | None:
    """The row of an outer join."""
    return NodeRow._make(found) if found and found[0] is not None else None
