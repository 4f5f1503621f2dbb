"""What is deleted or overwritten and kept for a while, inside one transaction: put away, read, given up.

Something in the trash is its node under another parent, with everything below it where it was. What a file
was before is a node below the file. So blobs stay named, and whatever is kept is sealed like any other node;
it says itself, in its encrypted extras, since when it is kept and what it was. It must never be removed
because the table `kept` alone says so. Called by `history.py`, `room.py`, `expiry.py`, and by all that
replaces something.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from davserver.clock import SECOND_NS, to_seconds
from davserver.crypto.primitives import random_bytes
from davserver.db.engine import Transaction
from davserver.db.kept import KeptRow, Pair
from davserver.errors import CorruptRow
from davserver.model import (
    ID_BYTES,
    ROOT_ID,
    TRASH_ID,
    FileVersion,
    KeptKind,
    Node,
    NodeId,
    Position,
    TrashEntry,
)
from davserver.vault.access import Access
from davserver.vault.moment import Moment
from davserver.vault.tree import Trail

KEPT_EXTRA = "kept"
"""Under this key the encrypted extras of a node say that it is kept: since when, and what it was."""

MAX_PLACE_BYTES = 32 * 1024
"""Names of a path that are noted together; of a longer one only the id of the collection is."""

BATCH_KEPT = 100
"""What is given up in one transaction."""

SAFE_DAYS = 1
"""Days for which nothing is given up only because too much is kept: a write needs no room then, and what was
deleted by mistake yesterday is still there."""

Told = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What was removed for good: how many entries and versions, and their bytes.

    Attributes:
        altered: how many were left where they are, since they do not open.
        behind: the last that was looked at.
    """

    count: int = 0
    bytes: int = 0
    altered: int = 0
    behind: Position | None = None

    def __add__(self, other: GivenUp) -> GivenUp:
        return GivenUp(
            self.count + other.count,
            self.bytes + other.bytes,
            self.altered + other.altered,
            other.behind or self.behind,
        )


Choose = Callable[[Transaction, GivenUp], tuple[Sequence[Pair], int | None]]
"""What is to go next after so much has gone, and how many bytes of it are enough, if not all of it goes."""


def safe_until(access: Access) -> int:
    """What has been kept since later than that is not given up only because too much is kept; in seconds."""
    return to_seconds(access.clock() - timedelta(days=SAFE_DAYS))


# ── put away ────────────────────────────────────────────────────────────────────────────────────────────────
def keeps_trash(access: Access, node: Node) -> bool:
    """Whether a node is worth putting away: not one that only a lock has made."""
    return access.limits.history.keep_days > 0 and not node.lock_born


def keeps_version(access: Access, node: Node) -> bool:
    """Whether a file's content is worth keeping: editors write an empty file first."""
    history = access.limits.history
    return history.keep_days > 0 and history.max_versions > 0 and node.size > 0 and not node.lock_born


def put_into_trash(access: Access, tx: Transaction, moment: Moment, trail: Trail) -> None:
    """Move what is at the end of a trail to the trash; its locks and those below it end (RFC 4918, 9.6)."""
    node = trail.nodes[-1]
    moment.end_locks(trail)
    size = tx.nodes.live_bytes(access.account_id, node.id) if node.is_collection else node.size
    now_ns = access.now_ns()
    told = {"at": now_ns, "name": node.name, "parent": node.parent_id, "path": _place(access, tx, trail)}
    extras = {**node.extras, KEPT_EXTRA: told}
    access.tree.change(tx, node, parent_id=TRASH_ID, name=node.id.hex(), extras=extras)
    tx.kept.insert(_row(access, node.id, KeptKind.TRASH, now_ns, size))
    tx.quota.add(access.account_id, 0, kept=size, restructured=node.is_collection)


def keep_version(access: Access, tx: Transaction, old: Node, *, of: NodeId) -> None:
    """Keep the content of a file below the file `of`; the caller counts it, and gives up what has it now."""
    now_ns, version_id = access.now_ns(), NodeId(random_bytes(ID_BYTES))
    version = old._replace(
        id=version_id,
        parent_id=of,
        name=version_id.hex(),
        version=1,
        extras={**old.extras, KEPT_EXTRA: {"at": now_ns, "name": old.name}},
    )
    access.tree.add(tx, version)
    tx.kept.insert(_row(access, version_id, KeptKind.VERSION, now_ns, old.size))


def give_way(  # noqa: PLR0913 - one request's view, and the two nodes
    access: Access, tx: Transaction, moment: Moment, place: Trail, successor: Node, *, fits: bool
) -> None:
    """Take away what is at the end of a trail, for `successor`, which gets its name (RFC 4918, 9.8.4, 9.9.3).

    The content of a file, and what it was before, becomes what the file was before that takes its name; all
    else goes to the trash. Of what cannot fit, nothing is kept: of a file that is its content alone.

    Args:
        access: the opened vault.
        tx: the transaction of the request.
        moment: what it sees.
        place: where.
        successor: not there yet.
        fits: whether there can be room for what is there beside it.
    """
    old = place.node
    if old is None:
        return
    is_version = not (old.is_collection or successor.is_collection)
    if not keeps_trash(access, old) or not (fits or is_version):
        access.tree.remove(tx, old, now=access.now())
    elif is_version:
        _become_version(access, tx, old, successor.id, keeps=fits and keeps_version(access, old))
    else:
        put_into_trash(access, tx, moment, place)


def _become_version(access: Access, tx: Transaction, old: Node, successor: NodeId, *, keeps: bool) -> None:
    if keeps:
        keep_version(access, tx, old, of=successor)
    _hand_on_versions(access, tx, old, successor, most=access.limits.history.max_versions - keeps)
    if not keeps and old.content is not None:
        tx.blobs.mark_unreferenced(old.content.blob_id, now=access.now())
    tx.nodes.delete_one(access.account_id, old.id)  # and with it its locks and properties
    kept = old.size if keeps else 0
    tx.quota.add(access.account_id, kept - old.size, kept=kept)


def _hand_on_versions(access: Access, tx: Transaction, old: Node, successor: NodeId, *, most: int) -> None:
    """Hang what a file was before below another one: the latest `most`, since programs save like this."""
    pairs = tx.kept.versions(access.account_id, old.id)
    going = surplus(access, pairs, most)
    for pair in going:
        give_up(access, tx, pair)
    gone, codec = {row.node_id for row, _ in going}, access.tree.codec
    moved = [
        version._replace(parent_id=successor, version=version.version + 1)
        for version in (codec.open_node(stored) for row, stored in pairs if row.node_id not in gone)
    ]
    if moved:
        tx.nodes.replace_all(map(codec.seal_node, moved))


def surplus(access: Access, pairs: Sequence[Pair], most: int) -> Sequence[Pair]:
    """Those of a file's versions, newest first, that are more than `most`.

    Not the newest that is older than `SAFE_DAYS`: whoever overwrites a file all day does not push out what it
    was before that day.
    """
    until, keeps_any = safe_until(access), access.limits.history.max_versions > 0
    spared = next((pair for pair in pairs if keeps_any and pair[0].kept_at <= until), None)
    return [pair for pair in pairs[most:] if pair is not spared]


def _place(access: Access, tx: Transaction, trail: Trail) -> list[str]:
    """Where the end of a trail is: names from the account's root on, or none if that is too long."""
    root_id = access.principal.root_id
    above = [] if root_id == ROOT_ID else access.tree.lineage(tx, root_id)
    names = [node.name for node in (*above, *trail.nodes[1:])]
    return names if sum(len(name.encode()) for name in names) <= MAX_PLACE_BYTES else []


def _row(access: Access, node_id: NodeId, kind: KeptKind, at_ns: int, size: int) -> KeptRow:
    return KeptRow(access.account_id, node_id, kind.value, at_ns // SECOND_NS, size)


# ── read ────────────────────────────────────────────────────────────────────────────────────────────────────
def open_entry(access: Access, pair: Pair) -> TrashEntry:
    """Something in the trash.

    Raises:
        CorruptRow: the node was altered, or what is noted of it is not what it says itself.
    """
    row, node, told = _opened(access, pair, KeptKind.TRASH)
    parent, path = told.get("parent"), told.get("path")
    if not (isinstance(parent, bytes) and isinstance(path, list)):
        raise _contradiction()
    return TrashEntry(
        _as_it_was(node, told),
        tuple(map(str, path)),
        NodeId(parent),
        _moment(told),
        row.bytes if node.is_collection else node.size,
    )


def open_version(access: Access, pair: Pair) -> FileVersion:
    """What a file was before.

    Raises:
        CorruptRow: as `open_entry`.
    """
    _, node, told = _opened(access, pair, KeptKind.VERSION)
    return FileVersion(_as_it_was(node, told), node.parent_id, _moment(told))


def check(access: Access, tx: Transaction, pair: Pair) -> None:
    """Whether all that is noted of something is so. Called by `verify`.

    Raises:
        CorruptRow: it is not, or the node was altered.
    """
    row, node, _ = _opened(access, pair, _kind_of(pair))
    if node.is_collection and row.bytes != tx.nodes.live_bytes(access.account_id, node.id):
        raise _contradiction()


def _opened(access: Access, pair: Pair, kind: KeptKind) -> tuple[KeptRow, Node, Told]:
    row, stored = pair
    if not row.is_sound:
        raise _contradiction()
    node = access.tree.codec.open_node(stored)
    told = node.extras.get(KEPT_EXTRA)
    if not isinstance(told, Mapping):
        raise _contradiction()
    says = KeptKind.TRASH if "parent" in told else KeptKind.VERSION
    noted = (row.kind, row.kept_at, node.parent_id == TRASH_ID)
    if noted != (kind.value, _moment(told) // SECOND_NS, says is KeptKind.TRASH) or says is not kind:
        raise _contradiction()
    if not node.is_collection and row.bytes != node.size:
        raise _contradiction()
    return row, node, told


def _kind_of(pair: Pair) -> KeptKind:
    return KeptKind.TRASH if pair[0].kind == KeptKind.TRASH.value else KeptKind.VERSION


def _as_it_was(node: Node, told: Told) -> Node:
    extras = {key: value for key, value in node.extras.items() if key != KEPT_EXTRA}
    return node._replace(name=str(told.get("name", "")), extras=extras)


def _moment(told: Told) -> int:
    at_ns = told.get("at")
    if not isinstance(at_ns, int):
        raise _contradiction()
    return at_ns


def _contradiction() -> CorruptRow:
    return CorruptRow("what is noted of something that is kept is not what it says itself")


# ── given up ────────────────────────────────────────────────────────────────────────────────────────────────
def give_up(access: Access, tx: Transaction, pair: Pair) -> GivenUp:
    """Remove something that is kept, with everything below it, for good.

    A version may have gone with the file that it is of, since it was looked up: then nothing is done.

    Raises:
        CorruptRow: as `open_entry`; nothing was removed.
    """
    return _removed(access, tx, *_opened(access, pair, _kind_of(pair))[:2])


def _removed(access: Access, tx: Transaction, row: KeptRow, node: Node) -> GivenUp:
    if row.kind == KeptKind.TRASH.value:
        return GivenUp(1, access.tree.remove(tx, node, now=access.now()))
    if not tx.nodes.delete_one(access.account_id, node.id):
        return GivenUp()
    if node.content is not None:
        tx.blobs.mark_unreferenced(node.content.blob_id, now=access.now())
    tx.quota.add(access.account_id, -node.size, kept=-node.size)
    return GivenUp(1, node.size)


def give_up_some(
    access: Access, tx: Transaction, pairs: Sequence[Pair], *, enough: int | None = None
) -> GivenUp:
    """Remove the first of these, until `enough` bytes are free; at most one collection, since others wait.

    What does not open stays, and the next one is tried: one altered row must not stand in the way of others.
    """
    gone = GivenUp()
    for pair in pairs:
        gone += GivenUp(behind=pair[0].position)
        try:
            row, node, _ = _opened(access, pair, _kind_of(pair))
        except CorruptRow:
            gone += GivenUp(altered=1)
            continue
        gone += _removed(access, tx, row, node)
        if node.is_collection or (enough is not None and gone.bytes >= enough):
            break
    return gone


def give_up_in_steps(access: Access, choose: Choose) -> GivenUp:
    """Remove what is chosen, over and over, until that is nothing or enough; each time in a transaction."""
    gone = GivenUp()
    while True:
        with access.write() as tx:
            pairs, enough = choose(tx, gone)
            if not pairs:
                return gone
            step = give_up_some(access, tx, pairs, enough=enough)
            tx.commit()
        gone += step
        if enough is not None and step.bytes >= enough:
            return gone
