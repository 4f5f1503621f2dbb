"""Dead properties (RFC 4918, 4): what clients keep on a file or collection and the server does not interpret.

Names are "{namespace}name", values serialised elements; both are stored sealed under the node. Called by
`Vault` and by `copying.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from davserver.crypto.keys import AccountKey
from davserver.crypto.properties import (
    Purpose,
    open_property_name,
    open_value,
    seal_property_name,
    seal_value,
)
from davserver.db.engine import Transaction
from davserver.db.properties import PropertyRow
from davserver.errors import TooMany
from davserver.model import Node, NodeId
from davserver.vault.access import Access

MAX_VALUE_BYTES = 64 * 1024
"""Longest value of a dead property."""

MAX_NAME_BYTES = 1024
"""Longest name, with its namespace."""

MAX_PER_NODE = 100
"""Dead properties that one file or collection may have."""

MAX_BYTES_PER_NODE = 1024 * 1024
"""Bytes of all values of one file or collection."""

MAX_BYTES_AT_ONCE = 4 * 1024 * 1024
"""Sealed values that a listing or a copy holds in memory at a time."""

Values = Mapping[str, str]
"""Dead properties of one node: serialised elements by name."""

NONE: Values = MappingProxyType({})


def fits(name: str, value: str | None) -> bool:
    """Whether a property is short enough, taken alone."""
    return len(name.encode()) <= MAX_NAME_BYTES and len((value or "").encode()) <= MAX_VALUE_BYTES


def by_node(access: Access, nodes: Sequence[Node]) -> Iterator[tuple[Node, Values]]:
    """Each node with its dead properties, in the order given; few of them in memory at a time."""
    with access.read() as tx:
        sizes = tx.properties.sizes(access.account_id, [node.id for node in nodes]) if nodes else {}
    for group in _groups(nodes, sizes):
        having = [node.id for node in group if node.id in sizes]
        values: dict[NodeId, dict[str, str]] = {}
        if having:
            with access.read() as tx:
                values = opened(access.key, tx.properties.of(access.account_id, having))
        for node in group:
            yield node, values.get(node.id, NONE)


def change(access: Access, tx: Transaction, node: Node, changes: Mapping[str, str | None]) -> None:
    """Set properties of a node, or remove those whose value is None; what is not there is removed already.

    Raises:
        TooMany: there would be too many, or one is too long; nothing was changed.
    """
    present = opened(access.key, tx.properties.of(access.account_id, [node.id])).get(node.id, {})
    kept = [len(value.encode()) for name, value in present.items() if name not in changes]
    wanted = {name: value.encode() for name, value in changes.items() if value is not None}
    if not all(fits(name, value) for name, value in changes.items()):
        raise TooMany("a property must not be longer than %(most)s bytes", most=MAX_VALUE_BYTES)
    _require_room(kept, wanted)
    tx.properties.delete(
        access.account_id, node.id, [seal_property_name(access.key, node.id, name) for name in changes]
    )
    tx.properties.insert(_sealed(access.key, node.id, name, value) for name, value in wanted.items())


def copy(access: Access, tx: Transaction, pairs: Sequence[tuple[NodeId, NodeId]]) -> None:
    """Give each second node the properties of the first one."""
    sizes = tx.properties.sizes(access.account_id, [source for source, _ in pairs])
    having = [(source, target) for source, target in pairs if source in sizes]
    for source, target in having:
        rows = tx.properties.of(access.account_id, [source])
        found = opened(access.key, rows).get(source, {})
        tx.properties.insert(
            _sealed(access.key, target, name, value.encode()) for name, value in found.items()
        )


def _groups(nodes: Sequence[Node], sizes: Mapping[NodeId, int]) -> Iterator[list[Node]]:
    group: list[Node] = []
    total = 0
    for node in nodes:
        size = sizes.get(node.id, 0)
        if group and total + size > MAX_BYTES_AT_ONCE:
            yield group
            group, total = [], 0
        group.append(node)
        total += size
    yield group


def opened(key: AccountKey, rows: Iterable[PropertyRow]) -> dict[NodeId, dict[str, str]]:
    """Decrypt rows, by node and name.

    Raises:
        CorruptRow: one was altered, or belongs to another node.
    """
    found: dict[NodeId, dict[str, str]] = {}
    for row in rows:
        name = open_property_name(key, row.node_id, row.name_sealed)
        value = open_value(key, row.node_id, Purpose.PROPERTY_VALUE, row.name_sealed, row.value_sealed)
        found.setdefault(row.node_id, {})[name] = value.decode()
    return found


def _sealed(key: AccountKey, node_id: NodeId, name: str, value: bytes) -> PropertyRow:
    name_sealed = seal_property_name(key, node_id, name)
    value_sealed = seal_value(key, node_id, Purpose.PROPERTY_VALUE, name_sealed, value)
    return PropertyRow(key.account_id, node_id, name_sealed, value_sealed)


def _require_room(kept: Sequence[int], wanted: Mapping[str, bytes]) -> None:
    if len(kept) + len(wanted) > MAX_PER_NODE:
        raise TooMany("a resource must not have more than %(most)s properties", most=MAX_PER_NODE)
    if sum(kept) + sum(map(len, wanted.values())) > MAX_BYTES_PER_NODE:
        raise TooMany("the properties of a resource must not exceed %(most)s bytes", most=MAX_BYTES_PER_NODE)
