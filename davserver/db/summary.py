"""What accounts have, in numbers, and what belongs to none: for `user show` and `verify`. Reads only."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.nodes import all_below
from davserver.db.schema import account, kept, metadata, node
from davserver.model import ROOT_ID, TRASH_ID, UPLOADS_ID, AccountId, KeptKind

_session = node.alias("session")
_UPLOADED = sa.exists().where(
    _session.c.account_id == node.c.account_id,
    _session.c.node_id == node.c.parent_id,
    _session.c.parent_id == UPLOADS_ID,
)
_KINDS = (
    sa.select(node.c.kind, sa.func.count().label("nodes"))
    .where(
        node.c.account_id == bindparam("account", type_=sa.LargeBinary),
        node.c.node_id != ROOT_ID,
        node.c.node_id.not_in(sa.select(all_below().c.node_id)),
        node.c.parent_id != UPLOADS_ID,
        sa.not_(_UPLOADED),
        sa.not_(
            sa.exists().where(
                kept.c.account_id == node.c.account_id,
                kept.c.node_id == node.c.node_id,
                kept.c.kind == KeptKind.VERSION.value,
            )
        ),
    )
    .group_by(node.c.kind)
)
_STRAY = sa.union(
    *(
        sa.select(table.c.account_id).where(table.c.account_id.not_in(sa.select(account.c.account_id)))
        for table in metadata.sorted_tables
        if table is not account and "account_id" in table.c
    )
)


class Summary:
    """Looks over many tables at once."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def nodes_by_kind(self, account_id: AccountId) -> dict[int, int]:
        """How many nodes of each kind there are below the root: no trash, previous versions, or uploads."""
        found = self._connection.execute(_KINDS, {"account": account_id, "top": TRASH_ID})
        return {row.kind: row.nodes for row in found}

    def unknown_owners(self) -> list[AccountId]:
        """Accounts that rows of any table belong to and that do not exist: no program of ours leaves any."""
        return [AccountId(found) for (found,) in self._connection.execute(_STRAY)]
