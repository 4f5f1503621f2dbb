"""Dead properties: the table `property`, one row a property of a node.

Names and values arrive and leave sealed. A property hangs on its node and goes with it: MOVE keeps it for
nothing, DELETE takes it along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import bindparam

from davserver.db.driver import Driver
from davserver.db.prepared import Prepared
from davserver.db.schema import property_ as table
from davserver.errors import CorruptRow
from davserver.model import AccountId, NodeId


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """One row of the table `property`."""

    account_id: AccountId
    node_id: NodeId
    name_sealed: bytes
    value_sealed: bytes


_COLUMNS = (table.c.account_id, table.c.node_id, table.c.name_sealed, table.c.value_sealed)
_ACCOUNT = table.c.account_id == bindparam("account", type_=sa.LargeBinary)
_OF_NODES = sa.select(*_COLUMNS).where(
    _ACCOUNT, table.c.node_id.in_(bindparam("nodes", expanding=True, type_=sa.LargeBinary))
)
_SIZES = (
    sa.select(table.c.node_id, sa.func.sum(sa.func.length(table.c.value_sealed)))
    .where(_ACCOUNT, table.c.node_id.in_(bindparam("nodes", expanding=True, type_=sa.LargeBinary)))
    .group_by(table.c.node_id)
)
_THIS = sa.and_(
    _ACCOUNT,
    table.c.node_id == bindparam("node", type_=sa.LargeBinary),
    table.c.name_sealed == bindparam("name", type_=sa.LargeBinary),
)
_DELETE = Prepared(sa.delete(table).where(_THIS))
_INSERT = Prepared(sa.insert(table))


class Properties:
    """The table `property`."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def of(self, account: AccountId, nodes: Collection[NodeId]) -> list[PropertyRow]:
        """Every property of these nodes.

        Raises:
            CorruptRow: one is of a type that only SQLite allows there.
        """
        found = self._driver.sqlalchemy.execute(_OF_NODES, {"account": account, "nodes": list(nodes)})
        rows = [PropertyRow(*one) for one in found]
        if not all(isinstance(one, bytes) for row in rows for one in (row.name_sealed, row.value_sealed)):
            raise CorruptRow("a property in the database was altered")
        return rows

    def sizes(self, account: AccountId, nodes: Collection[NodeId]) -> dict[NodeId, int]:
        """Bytes of all values of each of these nodes that has any."""
        found = self._driver.sqlalchemy.execute(_SIZES, {"account": account, "nodes": list(nodes)})
        return {NodeId(node_id): int(size) for node_id, size in found}

    def nodes(self, account: AccountId, *, after: NodeId | None, limit: int) -> list[NodeId]:
        """At most `limit` nodes that have properties, in order of their ids; `after` None starts."""
        statement = sa.select(table.c.node_id).distinct().where(table.c.account_id == account)
        if after is not None:
            statement = statement.where(table.c.node_id > after)
        found = self._driver.sqlalchemy.execute(statement.order_by(table.c.node_id).limit(limit))
        return [NodeId(node_id) for (node_id,) in found]

    def insert(self, rows: Iterable[PropertyRow]) -> None:
        """Add properties that are not there yet."""
        values = [
            {
                "account_id": row.account_id,
                "node_id": row.node_id,
                "name_sealed": row.name_sealed,
                "value_sealed": row.value_sealed,
            }
            for row in rows
        ]
        if values:
            self._driver.change_each(_INSERT, values)

    def delete(self, account: AccountId, node_id: NodeId, names_sealed: Collection[bytes]) -> None:
        """Remove properties of one node; what is not there is no error (RFC 4918, 14.23)."""
        if names_sealed:
            parameters = [{"account": account, "node": node_id, "name": name} for name in names_sealed]
            self._driver.change_each(_DELETE, parameters)
