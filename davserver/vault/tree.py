"""The tree inside one transaction: find, add, change, move and delete nodes.

Every node that a path passes is opened, so that a row moved or swapped in the database is found out.
Called by `Vault`, `Upload` and `Copying`, which own the transaction.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from davserver.clock import Clock, to_seconds
from davserver.db.engine import Database, Transaction
from davserver.db.nodes import NodeRow
from davserver.errors import (
    AlreadyExists,
    CorruptRow,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    TargetInsideSource,
    WrongKind,
)
from davserver.model import ROOT_ID, AccountId, Node, NodeId
from davserver.vault.paths import MAX_DEPTH, VaultPath
from davserver.vault.rows import NodeCodec

LISTING_PAGE = 1000
"""Children read in one transaction: a slow reader of a huge collection never holds a snapshot open."""

_ROOT_STAYS = "the root collection cannot be replaced, moved or deleted"


@dataclass(frozen=True, slots=True)
class Trail:
    """The way to a path: the nodes on it, from the root on, as far as they exist."""

    path: VaultPath
    nodes: tuple[Node, ...]

    @property
    def node(self) -> Node | None:
        """What is at the path."""
        return self.nodes[-1] if len(self.nodes) > len(self.path.parts) else None

    @property
    def ancestors(self) -> tuple[Node, ...]:
        """The nodes above the path that exist; the last one holds it, or should."""
        return self.nodes[: len(self.path.parts)]


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
    """One account's tree as seen from `root_id`: nothing above that node can be addressed.

    A file that a LOCK has made goes with its lock (RFC 4918, 7.3). Once the lock has expired, the file counts
    as absent, and the next write that comes by removes it.
    """

    def __init__(self, account_id: AccountId, root_id: NodeId, codec: NodeCodec, clock: Clock) -> None:
        self._account_id = account_id
        self._root_id = root_id
        self._clock = clock
        self.codec = codec
        # On the way to something else the account's own root needs no look-up: it always exists.
        self._on_the_way = codec.new_node(ROOT_ID, "", None, id=ROOT_ID) if root_id == ROOT_ID else None

    def trail(self, tx: Transaction, path: VaultPath) -> Trail:
        """The way to `path`, one statement a name."""
        nodes = [self._root(tx) if path.is_root or self._on_the_way is None else self._on_the_way]
        for name in path.parts:
            found = self._child(tx, nodes[-1], name) if nodes[-1].is_collection else None
            if found is None:
                break
            nodes.append(found)
        return Trail(path, tuple(nodes))

    def find(self, tx: Transaction, path: VaultPath) -> Node | None:
        """The node at `path`, or None if it or a collection on the way is missing."""
        return self.trail(tx, path).node

    def existing(self, tx: Transaction, path: VaultPath) -> Node:
        """The node at `path`.

        Raises:
            NotFound: there is none.
        """
        return existing(self.trail(tx, path))

    def path_of(self, tx: Transaction, node_id: NodeId) -> VaultPath:
        """Where the node with this id is now, below the account's own root.

        Raises:
            NotFound: there is none (any more).
            CorruptRow: a row on the way was altered.
        """
        names: list[str] = []
        while node_id != ROOT_ID:
            row = tx.nodes.by_id(self._account_id, node_id)
            if row is None:
                raise NotFound("this folder is gone")
            if len(names) > MAX_DEPTH:
                raise CorruptRow("a folder lies inside itself")
            node = self.codec.open_node(row)
            names.append(node.name)
            node_id = node.parent_id
        return VaultPath(tuple(reversed(names)))

    def pages(self, database: Database, node: Node) -> Iterator[list[Node]]:
        """The children of a collection, page by page, each page in a transaction of its own."""
        after = b""
        while True:
            with database.read() as tx:
                rows = tx.nodes.children(self._account_id, node.id, after=after, limit=LISTING_PAGE)
                opened = self.open_rows(tx, rows)
            yield opened
            if len(rows) < LISTING_PAGE:
                return
            after = rows[-1].name_sealed

    def open_rows(self, tx: Transaction, rows: list[NodeRow]) -> list[Node]:
        """Decrypt rows, and leave out files whose lock has expired before anything was put into them."""
        nodes = map(self.codec.open_node, rows)
        return [node for node in nodes if not (node.lock_born and self._is_over(tx, node))]

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

    def make_collection(self, tx: Transaction, place: Place, *, now_ns: int) -> Node:
        """Add an empty collection.

        Raises:
            AlreadyExists: the name is taken.
        """
        if place.node is not None:
            raise AlreadyExists("the name is taken")
        node = self.codec.new_node(place.parent.id, place.name, None, modified_ns=now_ns, created_ns=now_ns)
        self.add(tx, node)
        return node

    def delete(self, tx: Transaction, node: Node, *, now: int) -> None:
        """Remove a node and everything below it, and count its bytes out of the quota."""
        freed = tx.nodes.subtree_bytes(self._account_id, node.id) if node.is_collection else node.size
        tx.nodes.delete_subtree(self._account_id, node.id, now=now)
        if node.is_collection:
            tx.quota.raise_structure_version(self._account_id)
        tx.quota.add(self._account_id, -freed)

    def drop_if_lock_born(self, tx: Transaction, node_id: NodeId) -> None:
        """Remove a file that only locks have kept, if it is one and the last of them is gone."""
        row = tx.nodes.by_id(self._account_id, node_id)
        node = None if row is None else self.codec.open_node(row)
        if node is not None and node.lock_born and self._is_over(tx, node):
            self.delete(tx, node, now=to_seconds(self._clock()))

    def keep_lock_born(self, tx: Transaction, node_id: NodeId) -> None:
        """Let a file stay that only a lock has kept, if it is one."""
        row = tx.nodes.by_id(self._account_id, node_id)
        node = None if row is None else self.codec.open_node(row)
        if node is not None and node.lock_born:
            self.change(tx, node, lock_born=False)

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
        changes: dict[str, object] = {"parent_id": place.parent.id, "name": place.name, "lock_born": False}
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
        if row is None:
            return None
        node = self.codec.open_node(row)
        if not node.lock_born or not self._is_over(tx, node):
            return node
        if tx.writes:
            self.delete(tx, node, now=to_seconds(self._clock()))
        return None

    def _is_over(self, tx: Transaction, node: Node) -> bool:
        """Whether no lock is left on a file that only a lock keeps."""
        return not tx.locks.find(self._account_id, [node.id], now=to_seconds(self._clock()))


def existing(trail: Trail) -> Node:
    """What is at the end of the trail.

    Raises:
        NotFound: there is nothing.
    """
    if trail.node is None:
        raise NotFound("there is no such file or collection")
    return trail.node


def entry(trail: Trail) -> Node:
    """What is at the end of the trail, to be moved or deleted.

    Raises:
        NotPermitted: the root itself cannot be.
        NotFound: there is nothing.
    """
    if trail.path.is_root:
        raise NotPermitted(_ROOT_STAYS)
    return existing(trail)


def place_of(trail: Trail) -> Place:
    """The place that a write to the trail's path means.

    Raises:
        NotPermitted: the root itself cannot be written, moved or deleted.
        ParentMissing: the collection that should hold it does not exist.
    """
    path = trail.path
    if path.is_root:
        raise NotPermitted(_ROOT_STAYS)
    if len(trail.nodes) < len(path.parts) or not trail.nodes[len(path.parts) - 1].is_collection:
        raise ParentMissing("the collection that should hold this does not exist")
    return Place(trail.nodes[len(path.parts) - 1], path.name, trail.node)


def require_collection(node: Node) -> None:
    """Raise WrongKind for a file."""
    if not node.is_collection:
        raise WrongKind("this is a file, not a collection")


def require_file(node: Node) -> None:
    """Raise WrongKind for a collection."""
    if node.is_collection:
        raise WrongKind("this is a collection, not a file")
