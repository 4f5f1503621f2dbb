"""What one transaction sees: each path resolved once, the locks in question looked up once.

Here a change is admitted or not: the client's conditions hold, and no write lock is in the way whose token it
did not submit (RFC 4918, 7 and 10.4). Called by everything in this package that changes something, inside its
transaction and before its first change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from davserver.db.engine import Transaction
from davserver.errors import CorruptRow, Locked
from davserver.model import ROOT_ID, Lock, Node, NodeId
from davserver.vault.access import Access
from davserver.vault.locks import LockCodec
from davserver.vault.paths import VaultPath
from davserver.vault.tree import Trail

MAX_ROOTS = 10
"""Locks in the way that a refusal names, though there be more: each costs a look for every name of its path,
while other writers wait, and one is enough (RFC 4918, 9.10.3 and 16)."""

Root = tuple[tuple[str, ...], bool]
"""Where a lock begins, as the principal addresses it: names, and whether it is a collection."""


class State:
    """What a client's condition may ask about one path."""

    def __init__(self, moment: Moment, trail: Trail) -> None:
        self._moment = moment
        self._trail = trail

    @property
    def node(self) -> Node | None:
        """What is there."""
        return self._trail.node

    def is_locked_with(self, token: str) -> bool:
        """Whether a live lock with this token covers it (RFC 4918, 10.4.4)."""
        self._moment.look(self._trail)
        return any(lock.token == token for lock in self._moment.covering(self._trail))


Look = Callable[[VaultPath], State]

Condition = Callable[[Look], None]
"""Judges the state of one or several paths; raises an error of ours to stop the change."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What a client demands of the state that its change meets.

    Attributes:
        condition: judged inside the transaction.
        tokens: lock tokens that it submits.
    """

    condition: Condition | None = None
    tokens: frozenset[str] = frozenset()


NO_DEMANDS = Demands()


class Moment:
    """One transaction's view of the tree and of the locks on it."""

    def __init__(self, access: Access, tx: Transaction) -> None:
        self._access = access
        self._tx = tx
        self._codec = LockCodec(access.key, access.keyring)
        self._trails: dict[VaultPath, Trail] = {}
        self._asked: set[NodeId] = set()
        self._locks: dict[str, Lock] = {}
        self._below: list[Lock] = []
        self._tops: set[NodeId] = set()
        self._outside: frozenset[NodeId] | None = None

    def is_of(self, tx: Transaction) -> bool:
        """Whether this is what `tx` sees."""
        return self._tx is tx

    def trail(self, path: VaultPath) -> Trail:
        """The way to `path`."""
        if path not in self._trails:
            self._trails[path] = self._access.tree.trail(self._tx, path)
        return self._trails[path]

    def state(self, path: VaultPath) -> State:
        """A `Look`."""
        return State(self, self.trail(path))

    # ── may it be done? ─────────────────────────────────────────────────────────────────────────────────────
    def admit(
        self,
        demands: Demands,
        *,
        changes: Sequence[Trail] = (),
        places: Sequence[Trail] = (),
        removes: Sequence[Trail] = (),
    ) -> None:
        """Let a change pass, or not.

        Args:
            demands: the client's.
            changes: what gets another content or other properties.
            places: names that get something new; what has the name now goes.
            removes: what goes, with everything below it.

        Raises:
            PreconditionFailed: the client's condition does not hold.
            Locked: a lock is in the way.
        """
        gone = [trail for trail in (*places, *removes) if trail.node is not None]
        below = self.look(*changes, *places, *removes, tops=gone)
        self.judge(demands)
        self._require_unlocked(
            demands.tokens,
            [
                *(self.covering(trail) for trail in (*changes, *gone)),
                *(self._covering_members(trail) for trail in (*places, *removes)),
                *_by_root(below),
            ],
        )

    def judge(self, demands: Demands) -> None:
        """Judge the client's condition.

        Raises:
            PreconditionFailed: it does not hold.
        """
        if demands.condition is not None:
            demands.condition(self.state)

    def _require_unlocked(self, tokens: frozenset[str], resources: Iterable[list[Lock]]) -> None:
        """Of the locks on each resource, one token must be submitted; several locks are shared ones."""
        blocking = [
            lock
            for locks in resources
            if locks and not any(lock.token in tokens for lock in locks)
            for lock in locks
        ]
        if blocking:
            raise Locked("it is locked, and the lock's token was not submitted", self.roots(blocking))

    def leave_locks_behind(self, moved: Trail) -> None:
        """Take the locks away that began at or below what was moved (RFC 4918, 7.7).

        A file that a lock has made stays where it went: programs rename folders while what they have just
        written there is still on its way (davfs2 does).
        """
        top = moved.nodes[-1].id
        left = [*self.rooted_at(moved), *self._below]
        self._tx.locks.delete(self._access.account_id, [lock.id for lock in left])
        below = {lock.node_id for lock in left} - {top}
        for node in self._access.tree.lock_born_among(self._tx, below):
            self._access.tree.change(self._tx, node, lock_born=False)

    def end_locks(self, gone: Trail) -> None:
        """Take the locks away that began at or below what goes to the trash (RFC 4918, 9.6).

        A file that only a lock has kept goes with it.
        """
        ended = self._beginning_in(gone)
        self._tx.locks.delete(self._access.account_id, [lock.id for lock in ended])
        below = {lock.node_id for lock in ended} - {gone.nodes[-1].id}
        for node in self._access.tree.lock_born_among(self._tx, below):
            self._access.tree.remove(self._tx, node, now=self._access.now())

    def hand_on_locks(self, replaced: Trail, node_id: NodeId) -> None:
        """Hang the locks of a target that was replaced on what has its name now (RFC 4918, 7.6).

        Programs save under a locked name by renaming another file over it, and go on with their lock.
        """
        for lock in self.rooted_at(replaced):
            self._tx.locks.insert(self._codec.hung_on(lock, node_id, now=self._access.now()))

    # ── which locks are there? ──────────────────────────────────────────────────────────────────────────────
    def look(self, *trails: Trail, tops: Sequence[Trail] = ()) -> list[Lock]:
        """Look up the locks on the trails; returns those that begin below collections among `tops`."""
        if not self._tx.locks.may_exist(self._access.account_id):
            return []
        way = {node.id for trail in trails for node in trail.nodes} | self._above()
        collections = [trail.node.id for trail in tops if trail.node is not None and trail.node.is_collection]
        if way <= self._asked and not collections:
            return []
        rows = self._tx.locks.find(self._access.account_id, way, collections, now=self._access.now())
        found = [self._codec.open_lock(row) for row in rows]
        self._locks.update((lock.token, lock) for lock in found)
        self._asked |= way
        below = [lock for lock in found if lock.node_id not in way]
        self._below += below
        self._tops.update(collections)
        return below

    def _beginning_in(self, trail: Trail) -> list[Lock]:
        """Locks that begin at the end of a trail or below it, of those that were looked up."""
        top = trail.nodes[-1]
        below = self._below
        if below and self._tops != {top.id}:
            rows = self._tx.locks.find(self._access.account_id, [], [top.id], now=self._access.now())
            inside = {row.lock_id for row in rows}
            below = [lock for lock in below if lock.id in inside]
        return [*self.rooted_at(trail), *below]

    def rooted_at(self, trail: Trail) -> list[Lock]:
        """Locks that begin at the end of a trail."""
        own = trail.node.id if trail.node else None
        return [lock for lock in self._locks.values() if lock.node_id == own]

    def covering(self, trail: Trail) -> list[Lock]:
        """Locks on what is at the end of a trail: its own, and infinite ones above it (RFC 4918, 7.4)."""
        return self._rooted_at_or_above(trail, trail.node)

    def _covering_members(self, trail: Trail) -> list[Lock]:
        """Locks on the collection that a name is added to or taken from, of any depth (RFC 4918, 7.4)."""
        return self._rooted_at_or_above(trail, trail.ancestors[-1] if trail.ancestors else None)

    def _rooted_at_or_above(self, trail: Trail, own: Node | None) -> list[Lock]:
        """Locks that begin at `own`, and infinite ones that begin above the end of the trail."""
        if not self._locks:
            return []
        above = {node.id for node in trail.ancestors} | self._above()
        return [
            lock
            for lock in self._locks.values()
            if (own is not None and lock.node_id == own.id) or (lock.infinite and lock.node_id in above)
        ]

    def _above(self) -> frozenset[NodeId]:
        """Ids above the principal's root, which it cannot address; a lock there may cover its whole tree."""
        if self._outside is None:
            root_id = self._access.principal.root_id
            ancestors = (
                frozenset()
                if root_id == ROOT_ID
                else frozenset(self._tx.nodes.ancestors(self._access.account_id, root_id))
            )
            self._outside = ancestors - {root_id}
        return self._outside

    def begins_outside(self, lock: Lock) -> bool:
        """Whether a lock begins above the principal's root."""
        return lock.node_id in self._above()

    # ── where do they begin? ────────────────────────────────────────────────────────────────────────────────
    def roots(self, locks: Iterable[Lock]) -> tuple[Root, ...]:
        """Where locks begin, each place once; of many the first few."""
        one_each = {lock.node_id: lock for lock in locks}
        return tuple(dict.fromkeys(map(self.root_of, islice(one_each.values(), MAX_ROOTS))))

    def root_of(self, lock: Lock) -> Root:
        """Where a lock begins; the principal's root for one that begins above it."""
        for trail in self._trails.values():
            for depth, node in enumerate(trail.nodes):
                if node.id == lock.node_id:
                    return trail.path.parts[:depth], node.is_collection
        return ((), True) if self.begins_outside(lock) else self._climb(lock.node_id)

    def _climb(self, node_id: NodeId) -> Root:
        """The names that lead to a node, from the bottom up."""
        names: list[str] = []
        above, is_collection = node_id, False
        seen: set[NodeId] = set()
        while above != self._access.principal.root_id:
            row = self._tx.nodes.by_id(self._access.account_id, above)
            if row is None or above in seen:
                raise CorruptRow("a file or collection has lost its parent")
            seen.add(above)
            node = self._access.tree.codec.open_node(row)
            is_collection = is_collection or (not names and node.is_collection)
            names.insert(0, node.name)
            above = node.parent_id
        return tuple(names), is_collection


def _by_root(locks: Iterable[Lock]) -> list[list[Lock]]:
    grouped: dict[NodeId, list[Lock]] = {}
    for lock in locks:
        grouped.setdefault(lock.node_id, []).append(lock)
    return list(grouped.values())
