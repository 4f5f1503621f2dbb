"""COPY: rows only, no content is read. Blobs are immutable, so a copy names the same ones.

The nodes of a large collection are inserted in batches below a parent that nothing reaches yet, so that no
writer is kept waiting for long; one last transaction publishes the whole with one row. A copy that a crash
interrupts is removed by `Maintenance.collect`. Such a copy is not one moment's picture: what is moved about
inside the source meanwhile may be copied twice or not at all.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from davserver.crypto.primitives import random_bytes
from davserver.db.engine import Transaction
from davserver.errors import LimitExceeded, QuotaExceeded, StorageUnavailable, VersionConflict
from davserver.model import ID_BYTES, Node, NodeId, Scope
from davserver.vault import properties
from davserver.vault.access import Access
from davserver.vault.kept import give_way
from davserver.vault.moment import Demands, Moment
from davserver.vault.paths import VaultPath
from davserver.vault.room import with_room
from davserver.vault.tree import Place, Placed, existing, place_of

BATCH_NODES = 1000
"""Nodes inserted in one transaction."""

MAX_NODES = 1_000_000
"""Largest collection that one COPY takes."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A collection whose children after `after` are still to be copied below `copy_id`."""

    source_id: NodeId
    copy_id: NodeId
    after: bytes = b""


@dataclass(slots=True)
class _Work:
    """How far a copy has come."""

    pending: deque[_Pending] = field(default_factory=deque)
    copied_bytes: int = 0


class Copying:
    """One COPY request."""

    def __init__(self, access: Access, source: VaultPath, target: VaultPath, *, overwrite: bool) -> None:
        self._access = access
        self._source = source
        self._target = target
        self._overwrite = overwrite
        self._top_id = NodeId(random_bytes(ID_BYTES))

    def run(self, *, recursive: bool, modified_ns: int | None, demands: Demands) -> Placed:
        """Copy `source` to `target`; `recursive` is false for Depth 0 (RFC 4918, 9.8.3)."""
        with self._access.read() as tx:
            source = self._access.tree.existing(tx, self._source)
            deep = recursive and source.is_collection
            nodes = tx.nodes.live_count(self._access.account_id, source.id) if deep else 1
        if nodes > MAX_NODES:
            raise LimitExceeded(
                "a collection of more than %(most)s entries cannot be copied at once", most=MAX_NODES
            )
        if nodes > BATCH_NODES:
            return self._in_batches(source, modified_ns, demands)
        return with_room(
            self._access,
            lambda: self._publish(_Work(), deep=recursive, modified_ns=modified_ns, demands=demands),
        )

    def _in_batches(self, source: Node, modified_ns: int | None, demands: Demands) -> Placed:
        with_room(self._access, lambda: self._check_beforehand(demands))
        with self._access.write() as tx:
            tx.nodes.hide(self._access.account_id, self._top_id, now=self._access.now())
            tx.commit()
        try:
            work = self._copy_hidden(source)
            return with_room(
                self._access,
                lambda: self._publish(
                    replace(work), deep=False, modified_ns=modified_ns, demands=demands, copied_from=source
                ),
            )
        except BaseException:
            remove_hidden(self._access, self._top_id)
            raise

    def _check_beforehand(self, demands: Demands) -> None:
        """Find out what can be refused before a long copy begins; everything is checked again at its end."""
        with self._access.write() as tx:
            moment, source, place = self._admit(tx, demands)
            self._check(tx, source, place)
            more = tx.nodes.live_bytes(self._access.account_id, source.id)
            self._clear(tx, moment, source, more)
            tx.quota.add(self._access.account_id, more)
            # no commit: this was only a rehearsal

    def _copy_hidden(self, source: Node) -> _Work:
        work = _Work(deque([_Pending(source.id, self._top_id)]))
        while work.pending:
            with self._access.write() as tx:
                if not tx.nodes.touch_hidden(self._access.account_id, self._top_id, now=self._access.now()):
                    raise StorageUnavailable("the copy took too long and was given up")
                self._copy_some(tx, work)
                tx.commit()
        return work

    def _publish(
        self,
        work: _Work,
        *,
        deep: bool,
        modified_ns: int | None,
        demands: Demands,
        copied_from: Node | None = None,
    ) -> Placed:
        """Put the copy in its place; `copied_from` is the collection whose content was copied beforehand."""
        access = self._access
        with access.write() as tx:
            moment, source, place = self._admit(tx, demands)
            if copied_from is not None and source.id != copied_from.id:
                raise VersionConflict("the collection was replaced while it was being copied")
            self._check(tx, source, place)
            if deep and source.is_collection:
                work.pending.append(_Pending(source.id, self._top_id))
                while work.pending:
                    self._copy_some(tx, work)
            top = self._copied(source, place.parent.id)._replace(id=self._top_id, name=place.name)
            if modified_ns is not None:
                top = top._replace(modified_ns=modified_ns)
            self._clear(tx, moment, top, work.copied_bytes + top.size)
            self._insert(tx, [(source, top)], work)
            if copied_from is not None and not tx.nodes.unhide(access.account_id, self._top_id):
                raise StorageUnavailable("the copy took too long and was given up")
            moment.hand_on_locks(moment.trail(self._target), top.id)
            tx.quota.add(access.account_id, work.copied_bytes)
            tx.commit()
        return Placed(top, created=place.node is None)

    def _admit(self, tx: Transaction, demands: Demands) -> tuple[Moment, Node, Place]:
        """What is to be copied and where to, if it may be."""
        moment = Moment(self._access, tx)
        source, target = existing(moment.trail(self._source)), moment.trail(self._target)
        place = place_of(target)
        moment.admit(demands, places=[target])
        return moment, source, place

    def _check(self, tx: Transaction, source: Node, place: Place) -> None:
        """What the copy replaces is deleted, so the principal must be allowed to."""
        self._access.tree.check_target(tx, source, place, overwrite=self._overwrite)
        if place.node is not None and not place.node.lock_born:
            self._access.require(Scope.DELETE)

    def _clear(self, tx: Transaction, moment: Moment, top: Node, more: int) -> None:
        """Make room for `top`, with which so many bytes come.

        Raises:
            QuotaExceeded: it would not fit either if all that is kept gave way.
        """
        counted, place = tx.quota.usage(self._access.account_id), moment.trail(self._target)
        fits = counted.has_room_for(more)
        if not fits and place.node is not None:
            instead = tx.nodes.live_bytes(self._access.account_id, place.node.id)
            if not counted.has_room_for(more - instead):
                raise QuotaExceeded("the account's quota has no room for this")
        give_way(self._access, tx, moment, place, top, fits=fits)

    def _copy_some(self, tx: Transaction, work: _Work) -> None:
        """Copy the next children, at most about one batch; empty collections cost a look each, too."""
        batch: list[tuple[Node, Node]] = []
        for _ in range(BATCH_NODES):
            if not work.pending or len(batch) >= BATCH_NODES:
                break
            batch.extend(self._copy_page(tx, work, work.pending.popleft()))
        self._insert(tx, batch, work)

    def _copy_page(self, tx: Transaction, work: _Work, todo: _Pending) -> list[tuple[Node, Node]]:
        rows = tx.nodes.children(self._access.account_id, todo.source_id, after=todo.after, limit=BATCH_NODES)
        if len(rows) == BATCH_NODES:
            work.pending.appendleft(replace(todo, after=rows[-1].name_sealed))
        copies = []
        for child in self._access.tree.open_rows(tx, rows):
            copy = self._copied(child, todo.copy_id)
            copies.append((child, copy))
            if child.is_collection:
                work.pending.append(_Pending(child.id, copy.id))
        return copies

    def _copied(self, node: Node, parent_id: NodeId) -> Node:
        return node._replace(
            id=NodeId(random_bytes(ID_BYTES)), parent_id=parent_id, version=1, lock_born=False
        )

    def _insert(self, tx: Transaction, pairs: list[tuple[Node, Node]], work: _Work) -> None:
        """Insert copies, each with the dead properties of what it is a copy of."""
        if not pairs:
            return
        copies = [copy for _, copy in pairs]
        blob_ids = [copy.content.blob_id for copy in copies if copy.content]
        if blob_ids and not tx.blobs.add_reference(blob_ids):
            raise VersionConflict("a file was removed while it was being copied")
        tx.nodes.insert([self._access.tree.codec.seal_node(copy) for copy in copies])
        properties.copy(self._access, tx, [(source.id, copy.id) for source, copy in pairs])
        work.copied_bytes += sum(copy.size for copy in copies)


def remove_hidden(access: Access, top_id: NodeId) -> None:
    """Take back what an unfinished copy has written."""
    with access.write() as tx:
        tx.nodes.delete_subtree(access.account_id, top_id, now=access.now())
        tx.nodes.unhide(access.account_id, top_id)
        tx.commit()
