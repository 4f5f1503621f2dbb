"""What an account has, in numbers: for `sealdav user show`. Reads only."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.schema import node
from davserver.model import ROOT_ID, AccountId

_KINDS = (
    sa.select(node.c.kind, sa.func.count().label("nodes"))
    .where(node.c.account_id == bindparam("account", type_=sa.LargeBinary), node.c.node_id != ROOT_ID)
    .group_by(node.c.kind)
)


class Summary:
    """Counts over the tables of one account."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def nodes_by_kind(self, account_id: AccountId) -> dict[int, int]:
        """How many nodes of each kind there are below the root."""
        found = self._connection.execute(_KINDS, {"account": account_id})
        return {row.kind: row.nodes for row in found}
