"""The tree inside one transaction: find, add, change, move and delete nodes.

Every node that a path passes is opened, so that a row moved or swapped in the database is found out: in this
transaction, or before by this process at the same version of the account's structure (`directories.py`). What
is at the end of a path, and the collection that a change is made in, are always opened in the transaction.
Called by `Vault`, `Upload` and `Copying`, which own it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from davserver.clock import Clock, to_seconds
from davserver.db.engine import Transaction
from davserver.db.nodes import At, NodeRow
from davserver.db.reads import Reads
from davserver.errors import (
    AlreadyExists,
    CorruptRow,
    FolderGone,
    NotFound,
    NotPermitted,
    ParentMissing,
    PreconditionFailed,
    TargetInsideSource,
    WrongKind,
)
from davserver.model import ROOT_ID, AccountId, Node, NodeId, NodeKind
from davserver.texts import marked
from davserver.vault.directories import ITSELF, Directories
from davserver.vault.paths import VaultPath
from davserver.vault.rows import NodeCodec

LISTING_PAGE = 1000
"""Children read in one transaction: a slow reader of a huge collection never holds a snapshot open."""

ROOTS_KEPT = 1024
"""Accounts whose root is not made anew for each request."""

_ROOT_STAYS = marked("the root collection cannot be replaced, moved or deleted")


@dataclass(frozen=True, slots=True)
class Trail:
    """The way to a path: the nodes on it, from the root on, as far as they exist.

    Of the nodes above the path only id, kind and place count: their times may be older ones.
    """

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

    def __init__(
        self,
        account_id: AccountId,
        root_id: NodeId,
        codec: NodeCodec,
        clock: Clock,
        directories: Directories,
    ) -> None:
        self._account_id = account_id
        self._root_id = root_id
        self._clock = clock
        self._directories = directories
        self.codec = codec

    def trail(self, tx: Transaction, path: VaultPath) -> Trail:
        """The way to `path`, one statement a name; none for collections on it that are known."""
        if path.is_root:
            return Trail(path, (self._root(tx),))
        way, found = self._set_out(tx, path)
        known = len(way)
        while found is not None:
            way.append(found)
            if len(way) > len(path.parts) or not found.is_collection:
                break
            found = self._child(tx, found, path.parts[len(way) - 1])
        self._keep(tx, path, way, known)
        return Trail(path, tuple(way))

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
        return VaultPath(tuple(node.name for node in self.lineage(tx, node_id)))

    def lineage(self, tx: Transaction, node_id: NodeId) -> list[Node]:
        """The way to the node with this id, from below the account's own root on; one statement.

        Raises:
            NotFound: there is none (any more), or it is in the trash.
            CorruptRow: a row on the way was altered.
        """
        rows = tx.nodes.lineage(self._account_id, node_id)
        way: list[Node] = []
        while node_id != ROOT_ID:
            row = rows.get(node_id)
            if row is None:
                raise NotFound("this folder is gone")
            if len(way) == len(rows):
                raise CorruptRow("a folder lies inside itself")
            way.append(self.codec.open_node(row))
            node_id = way[-1].parent_id
        return way[::-1]

    def pages(self, reads: Reads, node: Node, *, tagged: bool = True) -> Iterator[list[Node]]:
        """The children of a collection, page by page; no transaction is kept open for the next page."""
        after = b""
        while True:
            with reads.read() as tx:
                rows = tx.nodes.children(self._account_id, node.id, after=after, limit=LISTING_PAGE)
                opened = self.open_rows(tx, rows, tagged=tagged)
            yield opened
            if len(rows) < LISTING_PAGE:
                return
            after = rows[-1].name_sealed

    def open_rows(self, tx: Transaction, rows: list[NodeRow], *, tagged: bool = True) -> list[Node]:
        """Decrypt rows, and leave out files whose lock has expired before anything was put into them."""
        opened = self.codec.open_node
        nodes = [opened(row, tagged=tagged) for row in rows]
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
        changed = node._replace(version=node.version + 1, **changes)  # type: ignore[arg-type]
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

    def remove(self, tx: Transaction, node: Node, *, now: int) -> int:
        """Remove a node and everything below it for good, and count its bytes out of the quota.

        Returns how many that were, those of previous versions among them.
        """
        if node.lock_born and node.content is not None:  # empty, and nothing hangs on it
            tx.blobs.mark_unreferenced(node.content.blob_id, now=now)
            tx.nodes.delete_one(self._account_id, node.id)
            return 0
        gone = tx.nodes.weigh(self._account_id, node.id)
        tx.nodes.delete_subtree(self._account_id, node.id, now=now)
        tx.quota.add(self._account_id, -gone.bytes, kept=-gone.kept, restructured=node.is_collection)
        return gone.bytes

    def drop_if_lock_born(self, tx: Transaction, node_id: NodeId) -> None:
        """Remove a file that only locks have kept, if it is one and the last of them is gone."""
        row = tx.nodes.by_id(self._account_id, node_id)
        node = None if row is None else self.codec.open_node(row)
        if node is not None and node.lock_born and self._is_over(tx, node):
            self.remove(tx, node, now=to_seconds(self._clock()))

    def lock_born_among(self, tx: Transaction, node_ids: Collection[NodeId]) -> list[Node]:
        """Those of these nodes that only locks have kept."""
        if not node_ids:
            return []
        nodes = map(self.codec.open_node, tx.nodes.some(self._account_id, node_ids))
        return [node for node in nodes if node.lock_born]

    def check_target(self, tx: Transaction, source: Node, place: Place, *, overwrite: bool) -> None:
        """Refuse what COPY and MOVE may not put at `place` (RFC 4918, 9.8.4 and 9.9.3).

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

    def move(self, tx: Transaction, source: Node, place: Place, *, modified_ns: int | None) -> Node:
        """Give a node another parent and name: one row, however much lies below it."""
        changes: dict[str, object] = {"parent_id": place.parent.id, "name": place.name, "lock_born": False}
        if modified_ns is not None:
            changes["modified_ns"] = modified_ns
        moved = self.change(tx, source, **changes)
        if source.is_collection:
            tx.quota.raise_structure_version(self._account_id)
        return moved

    def _set_out(self, tx: Transaction, path: VaultPath) -> tuple[list[Node], Node | None]:
        """The known beginning of the way, at least its root, and what has the next name of the path.

        Whether what is known still holds comes with the first look, in the same statement.
        """
        version, way = self._known(path)
        if way:
            # In a collection that is only known nothing may be changed, so it is looked up as well.
            checks = tx.writes and way[-1].id != ROOT_ID and len(way) == len(path.parts)
            seen = self._look(tx, way[-1], path.parts[len(way) - 1], check=checks)
            if self._is_fixed(way) or self._still_holds(version, way[-1], seen, checked=checks):
                return way, self._opened(tx, seen.child)
        way = [fixed_root(self._account_id) if self._root_id == ROOT_ID else self._root(tx)]
        seen = self._look(tx, way[0], path.parts[0], check=False)
        return way, self._opened(tx, seen.child)

    def _known(self, path: VaultPath) -> tuple[int | None, list[Node]]:
        """What was kept of the way to a path, and at which version; perhaps not even the root of a device."""
        account_id, names = self._account_id, path.parts[:-1]
        version = self._directories.latest(account_id)
        root = [fixed_root(account_id)] if self._root_id == ROOT_ID else []
        if version is None:
            return None, root
        if not root:
            root = self._directories.walk(account_id, version, self._root_id, (ITSELF,))
        return version, root and root + self._directories.walk(account_id, version, self._root_id, names)

    def _is_fixed(self, way: list[Node]) -> bool:
        """Whether the way is no more than the account's own root, which always exists."""
        return len(way) == 1 and way[0].id == ROOT_ID

    def _still_holds(self, version: int | None, last: Node, seen: At, *, checked: bool) -> bool:
        """Whether the last collection of a known way is where it was, and all above it with it.

        Raises:
            CorruptRow: its row was altered.
        """
        if seen.glance.structure_version != version:
            return False
        if not checked:
            return True
        found = None if seen.parent is None else self.codec.open_node(seen.parent)
        if found is not None and (found.parent_id, found.name) == (last.parent_id, last.name):
            return True
        self._directories.forget(
            self._account_id
        )  # the version was turned back: nothing kept is to be trusted
        return False

    def _keep(self, tx: Transaction, path: VaultPath, way: list[Node], known: int) -> None:
        """Keep what is new on a way; never what a transaction has seen that may yet be rolled back."""
        seen = tx.nodes.glance(self._account_id)
        if tx.writes or seen is None or not isinstance(seen.structure_version, int):
            return
        if self._root_id != ROOT_ID:
            self._directories.keep(self._account_id, seen.structure_version, self._root_id, ITSELF, way[0])
        for depth in range(known, len(way)):
            if way[depth].is_collection:
                self._directories.keep(
                    self._account_id,
                    seen.structure_version,
                    way[depth - 1].id,
                    path.parts[depth - 1],
                    way[depth],
                )

    def _look(self, tx: Transaction, parent: Node, name: str, *, check: bool) -> At:
        return tx.nodes.at(
            self._account_id,
            parent.id,
            self.codec.name_sealed(parent.id, name),
            now=to_seconds(self._clock()),
            check=check,
        )

    def _root(self, tx: Transaction) -> Node:
        """The root of what can be addressed.

        Raises:
            FolderGone: it is the folder of a device, which is gone, or in the trash.
        """
        if self._root_id != ROOT_ID:
            with suppress(NotFound):
                return self.lineage(tx, self._root_id)[-1]
        elif (row := tx.nodes.by_id(self._account_id, ROOT_ID)) is not None:
            return self.codec.open_node(row)
        raise FolderGone("the folder that this app password was made for no longer exists")

    def _child(self, tx: Transaction, parent: Node, name: str) -> Node | None:
        row = tx.nodes.child(self._account_id, parent.id, self.codec.name_sealed(parent.id, name))
        return self._opened(tx, row)

    def _opened(self, tx: Transaction, row: NodeRow | None) -> Node | None:
        """A row decrypted; None for a file whose lock has expired before anything was put into it."""
        if row is None:
            return None
        node = self.codec.open_node(row)
        if not node.lock_born or not self._is_over(tx, node):
            return node
        if tx.writes:
            self.remove(tx, node, now=to_seconds(self._clock()))
        return None

    def _is_over(self, tx: Transaction, node: Node) -> bool:
        """Whether no lock is left on a file that only a lock keeps."""
        return not tx.locks.find(self._account_id, [node.id], now=to_seconds(self._clock()))


@lru_cache(ROOTS_KEPT)
def fixed_root(account_id: AccountId) -> Node:
    """The root of an account, as far as it counts on the way to something else: without its times."""
    return Node(
        id=ROOT_ID,
        account_id=account_id,
        parent_id=ROOT_ID,
        kind=NodeKind.COLLECTION,
        name="",
        size=0,
        etag="",
        modified_ns=0,
        created_ns=0,
        content=None,
        sha1=None,
        md5=None,
        version=1,
    )


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
        raise WrongKind("a file has this name where a folder is meant")


def require_file(node: Node) -> None:
    """Raise WrongKind for a collection."""
    if node.is_collection:
        raise WrongKind("a folder has this name where a file is meant")
