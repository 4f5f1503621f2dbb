"""Folders as people look at them: sorted, a page at a time, with locks; found by name; what was ticked there.

Nothing here changes anything. Called by `Vault`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from davserver.db.engine import Transaction
from davserver.db.nodes import NodeRow
from davserver.model import Lock, Node, NodeId, NodeKind
from davserver.vault.access import Access
from davserver.vault.locking import ShownLock, locks_here
from davserver.vault.locks import LockCodec
from davserver.vault.moment import Moment
from davserver.vault.orders import Order, Sequence, letters, natural_key, put_in_order
from davserver.vault.paths import MAX_DEPTH, VaultPath
from davserver.vault.rows import Brief
from davserver.vault.tree import LISTING_PAGE, existing, require_collection

MAX_LOOKED = 100_000
"""Entries that one search opens, about: a second's work."""

MAX_FOUND = 200
"""Entries that one search gives."""

LARGE = 10_000
"""Entries that are sorted in about a tenth of a second; a folder with more waits for its turn."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a folder is wanted, in which order.

    Attributes:
        order: what it is sorted by.
        descending: the largest, latest, last first.
        start: how many entries come before.
        count: how many are wanted at most.
    """

    order: Order
    descending: bool
    start: int
    count: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A part of a folder.

    Attributes:
        folder: the folder.
        total: how many entries it has, as it was when it was sorted.
        entries: those that were wanted and are still there.
        covering: locks on the folder, its own and those above it.
        locks: locks that begin at entries, by their ids.
        now: when that was, in seconds since the Unix epoch.
    """

    folder: Node
    total: int
    entries: tuple[Node, ...]
    covering: tuple[ShownLock, ...]
    locks: dict[NodeId, tuple[Lock, ...]]
    now: int


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found."""

    path: VaultPath
    node: Node


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search.

    Attributes:
        hits: sorted by name.
        looked: how many entries were looked at.
        complete: whether that was all there is; below `MAX_DEPTH` nothing is looked at.
    """

    hits: tuple[Hit, ...]
    looked: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """What somebody has ticked in a folder.

    Attributes:
        nodes: what is still there.
        gone: how much is not.
    """

    nodes: tuple[Node, ...]
    gone: int


def browse(
    access: Access, path: VaultPath, part: Part, before_long: Callable[[], None] = lambda: None
) -> Shown:
    """Part of a folder, sorted. The first time all of its names are opened, afterwards those that are shown.

    Args:
        access: the opened vault.
        path: the folder.
        part: which part of it.
        before_long: called before a large folder is sorted; may raise, and nothing was done then.

    Raises:
        NotFound: there is no such folder.
        WrongKind: it is a file.
        TooBusy: it is large, and other large ones are being sorted for this account.
        CorruptRow: a row was altered.
    """
    with access.read() as tx:
        folder = existing(Moment(access, tx).trail(path))
        require_collection(folder)
        rows, state = tx.nodes.state_of_children(access.account_id, folder.id)
    sequence = access.orders.find(access.account_id, folder.id, part.order, state)
    if sequence is None and rows > LARGE:
        before_long()
        sequence = _sorted_in_turn(access, folder, part.order, state)
    elif sequence is None:
        sequence = _sorted(access, folder, part.order, state)
    ids = sequence.part(part.start, part.count, descending=part.descending)
    codec, now = LockCodec(access.key, access.keyring), access.now()
    locks: dict[NodeId, tuple[Lock, ...]] = {}
    with access.read() as tx:
        entries = _children(access, tx, folder, ids)
        covering = locks_here(access, tx, Moment(access, tx), path, members=False).covering
        for lock in map(codec.open_lock, tx.locks.find(access.account_id, ids, now=now)):
            locks[lock.node_id] = (*locks.get(lock.node_id, ()), lock)
    return Shown(folder, sequence.total, entries, covering, locks, now)


def search(access: Access, path: VaultPath, text: str) -> Found:
    """What has `text` in its name, in a folder and below it, the nearest first; see `letters`.

    Raises:
        As `browse`; TooBusy whatever the folder's size, since nobody knows yet how much is below it.
    """
    with access.read() as tx:
        folder = existing(Moment(access, tx).trail(path))
        require_collection(folder)
    with _long_look(access):
        return _looked_through(access, path, folder, text)


def _looked_through(access: Access, path: VaultPath, folder: Node, text: str) -> Found:
    wanted, looked, hits, everywhere = letters(text), 0, list[Hit](), True
    todo = deque([(path, folder)])
    while todo:
        at, folder = todo.popleft()
        for page in access.tree.pages(access.reads, folder, tagged=False):
            if page and (looked >= MAX_LOOKED or len(hits) >= MAX_FOUND):
                return _found(hits, looked, complete=False)
            if page and len(at.parts) >= MAX_DEPTH:  # no path leads to what is in here
                everywhere = False
                break
            looked += len(page)
            for node in page:
                matches = wanted in letters(node.name)
                if matches or node.is_collection:
                    below = at / node.name
                    hits += [Hit(below, node)] if matches else []
                    todo += [(below, node)] if node.is_collection else []
    return _found(hits, looked, complete=everywhere and len(hits) <= MAX_FOUND)


def choose(access: Access, path: VaultPath, ids: Collection[NodeId]) -> Chosen:
    """The entries of a folder with these ids.

    Raises:
        As `browse`.
    """
    with access.read() as tx:
        folder = existing(Moment(access, tx).trail(path))
        require_collection(folder)
        nodes = _children(access, tx, folder, ids)
    return Chosen(nodes, len(ids) - len(nodes))


def _sorted_in_turn(access: Access, folder: Node, order: Order, state: bytes) -> Sequence:
    """As `_sorted`, unless another request has sorted it while this one waited."""
    with _long_look(access):
        meanwhile = access.orders.find(access.account_id, folder.id, order, state)
        return meanwhile or _sorted(access, folder, order, state)


def _sorted(access: Access, folder: Node, order: Order, state: bytes) -> Sequence:
    """The order of a folder, as it was in this state or later; it is kept for the former only."""
    sequence = put_in_order(_rows(access, folder), partial(_brief, access), order)
    access.orders.keep(access.account_id, folder.id, order, state, sequence)
    return sequence


def _brief(access: Access, row: NodeRow) -> Brief | None:
    """What a row is sorted by; None for a file whose lock is over before anything was put into it."""
    codec = access.tree.codec
    brief = codec.open_brief(row)
    _, size, _ = brief
    if size or row.kind == NodeKind.COLLECTION.value or not codec.open_node(row, tagged=False).lock_born:
        return brief
    with access.read() as tx:
        return brief if access.tree.open_rows(tx, [row], tagged=False) else None


def _long_look(access: Access) -> AbstractContextManager[None]:
    """The account's turn to have a long look, which may have to be waited for."""
    access.reads.pause()
    return access.long_looks.turn(access.account_id)


def _rows(access: Access, folder: Node) -> Iterator[NodeRow]:
    """What is in a folder, as it is stored; no transaction is kept open for the next page."""
    after = b""
    while True:
        with access.read() as tx:
            rows = tx.nodes.children(access.account_id, folder.id, after=after, limit=LISTING_PAGE)
        yield from rows
        if len(rows) < LISTING_PAGE:
            return
        after = rows[-1].name_sealed


def _children(access: Access, tx: Transaction, folder: Node, ids: Collection[NodeId]) -> tuple[Node, ...]:
    """Those of these nodes that are in a folder, in the same order."""
    rows = [tx.nodes.by_id(access.account_id, node_id) for node_id in ids if node_id != folder.id]
    return tuple(access.tree.open_rows(tx, [row for row in rows if row and row.parent_id == folder.id]))


def _found(hits: list[Hit], looked: int, *, complete: bool) -> Found:
    hits = hits[:MAX_FOUND]
    return Found(tuple(sorted(hits, key=lambda hit: natural_key(hit.node.name))), looked, complete)
