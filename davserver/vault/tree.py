"""The tree inside one transaction: find, add, change, move and delete nodes.

Every node that a path passes is opened, so that a row moved or swapped in the database is found out.
Called by `Vault`, `Upload` and `Copying`, which own the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from davserver.db.engine import Database, Transaction
from davserver.errors import (
    AlreadyExists,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    TargetInsideSource,
    WrongKind,
)
from davserver.model import ROOT_ID, AccountId, Node, NodeId
from davserver.vault.paths import VaultPath
from davserver.vault.rows import NodeCodec

LISTING_PAGE = 1000
"""Children read in one transaction: a slow reader of a huge collection never holds a snapshot open."""

_ROOT_STAYS = "the root collection cannot be replaced, moved or deleted"

Condition = Callable[[Node | None], None]
"""Judges the current state of a target inside the commit; raises PreconditionFailed to stop it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path leads: a collection that exists, a name in it, and what has that name now."""

    parent: Node
    name: str
    node: Node | None


@dataclass(frozen=True, slots=True)
class Placed:
    """The outcome of PUT, COPY and MOVE: the node as it is now, and whether its name is new."""

    node: Node
    created: bool


class Tree:
    """One account's tree as seen from `root_id`: nothing above that node can be addressed."""

    def __init__(self, account_id: AccountId, root_id: NodeId, codec: NodeCodec) -> None:
        self._account_id = account_id
        self._root_id = root_id
        self.codec = codec
        # On the way to something else the account's own root needs no look-up: it always exists.
        self._on_the_way = codec.new_node(ROOT_ID, "", None, id=ROOT_ID) if root_id == ROOT_ID else None

    def find(self, tx: Transaction, path: VaultPath) -> Node | None:
        """The node at `path`, or None if it or a collection on the way is missing."""
        node = self._root(tx) if path.is_root or self._on_the_way is None else self._on_the_way
        for name in path.parts:
            if not node.is_collection:
                return None
            found = self._child(tx, node, name)
            if found is None:
                return None
            node = found
        return node

    def existing(self, tx: Transaction, path: VaultPath) -> Node:
        """The node at `path`.

        Raises:
            NotFound: there is none.
        """
        node = self.find(tx, path)
        if node is None:
            raise NotFound("there is no such file or collection")
        return node

    def entry(self, tx: Transaction, path: VaultPath) -> Node:
        """The node at `path`, to be moved or deleted.

        Raises:
            NotPermitted: the root itself cannot be.
            NotFound: there is none.
        """
        if path.is_root:
            raise NotPermitted(_ROOT_STAYS)
        return self.existing(tx, path)

    def locate(self, tx: Transaction, path: VaultPath) -> Place:
        """The place that a write to `path` means.

        Raises:
            NotPermitted: the root itself cannot be written, moved or deleted.
            ParentMissing: the collection that should hold it does not exist.
        """
        if path.is_root:
            raise NotPermitted(_ROOT_STAYS)
        parent = self._on_the_way if self._on_the_way and len(path.parts) == 1 else self.find(tx, path.parent)
        if parent is None or not parent.is_collection:
            raise ParentMissing("the collection that should hold this does not exist")
        return Place(parent, path.name, self._child(tx, parent, path.name))

    def children(self, database: Database, node: Node) -> Iterator[Node]:
        """The children of a collection, page by page, each page in a transaction of its own."""
        after = b""
        while True:
            with database.read() as tx:
                rows = tx.nodes.children(self._account_id, node.id, after=after, limit=LISTING_PAGE)
            for row in rows:
                yield self.codec.open_node(row)
            if len(rows) < LISTING_PAGE:
                return
            after = rows[-1].name_sealed

    def add(self, tx: Transaction, node: Node) -> None:
        """Insert a new node.

        Raises:
            AlreadyExists: the name is taken.
        """
        tx.nodes.insert([self.codec.seal_node(node)])

    def change(self, tx: Transaction, node: Node, **changes: object) -> Node:
        """Write changed fields of a node; its version rises by one.

        Raises:
            VersionConflict: somebody else changed it since it was read.
        """
        changed = replace(node, version=node.version + 1, **changes)  # type: ignore[arg-type]
        tx.nodes.replace(self.codec.seal_node(changed), expected_version=node.version)
        return changed

    def make_collection(
        self, tx: Transaction, path: VaultPath, *, now_ns: int, condition: Condition | None
    ) -> Node:
        """Add an empty collection.

        Raises:
            AlreadyExists: the name is taken.
        """
        if path.is_root:
            raise AlreadyExists("the root collection always exists")
        place = self.locate(tx, path)
        judge(condition, place.node)
        if place.node is not None:
            raise AlreadyExists("the name is taken")
        node = self.codec.new_node(place.parent.id, path.name, None, modified_ns=now_ns, created_ns=now_ns)
        self.add(tx, node)
        return node

    def delete(self, tx: Transaction, node: Node, *, now: int) -> None:
        """Remove a node and everything below it, and count its bytes out of the quota."""
        freed = tx.nodes.subtree_bytes(self._account_id, node.id) if node.is_collection else node.size
        tx.nodes.delete_subtree(self._account_id, node.id, now=now)
        if node.is_collection:
            tx.quota.raise_structure_version(self._account_id)
        tx.quota.add(self._account_id, -freed)

    def clear_target(self, tx: Transaction, source: Node, place: Place, *, overwrite: bool, now: int) -> None:
        """Make room for `source` at `place`, as COPY and MOVE do (RFC 4918, 9.8.4 and 9.9.3).

        Raises:
            NotPermitted: source and target are the same node.
            PreconditionFailed: something is there and `overwrite` is false.
            TargetInsideSource: one lies inside the other.
        """
        if source.is_collection and source.id in tx.nodes.ancestors(self._account_id, place.parent.id):
            raise TargetInsideSource("a collection cannot be moved or copied into itself")
        if place.node is None:
            return
        if place.node.id == source.id:
            raise NotPermitted("source and target are the same")
        if not overwrite:
            raise PreconditionFailed("the target exists and must not be overwritten")
        if place.node.is_collection and place.node.id in tx.nodes.ancestors(self._account_id, source.id):
            raise TargetInsideSource("a collection cannot be replaced by something that lies inside it")
        self.delete(tx, place.node, now=now)

    def move(self, tx: Transaction, source: Node, place: Place, *, modified_ns: int | None) -> Node:
        """Give a node another parent and name: one row, however much lies below it."""
        changes: dict[str, object] = {"parent_id": place.parent.id, "name": place.name}
        if modified_ns is not None:
            changes["modified_ns"] = modified_ns
        moved = self.change(tx, source, **changes)
        if source.is_collection:
            tx.quota.raise_structure_version(self._account_id)
        return moved

    def _root(self, tx: Transaction) -> Node:
        row = tx.nodes.by_id(self._account_id, self._root_id)
        if row is None:
            raise NotFound("the folder that this app password was made for no longer exists")
        return self.codec.open_node(row)

    def _child(self, tx: Transaction, parent: Node, name: str) -> Node | None:
        row = tx.nodes.child(self._account_id, parent.id, self.codec.name_sealed(parent.id, name))
        return None if row is None else self.codec.open_node(row)


def judge(condition: Condition | None, node: Node | None) -> None:
    """Apply a client's condition, if there is one."""
    if condition is not None:
        condition(node)


def require_collection(node: Node) -> None:
    """Raise WrongKind for a file."""
    if not node.is_collection:
        raise WrongKind("this is a file, not a collection")


def require_file(node: Node) -> None:
    """Raise WrongKind for a collection."""
    if node.is_collection:
        raise WrongKind("this is a collection, not a file")
