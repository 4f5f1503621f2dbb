"""A file that has arrived in part, inside one transaction: noted, looked up, checked, removed.

It is a collection below `UPLOADS_ID`, where no path leads, and says in its encrypted extras what is to become
of it. Its parts are files in it, each named after the offset of its first byte: sealed, counted and found by
garbage collection like any other. It must never have a part that it does not know of, so each change of its
parts changes its own row as well. Called by `parts.py`, `idle.py` and `scrub.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

from davserver.clock import from_seconds
from davserver.db.engine import Transaction
from davserver.db.nodes import NodeRow
from davserver.errors import CorruptRow, LimitExceeded, NotFound, PathError
from davserver.model import UPLOADS_ID, Node, NodeId
from davserver.vault.access import Access
from davserver.vault.kept import MAX_PLACE_BYTES
from davserver.vault.paths import VaultPath

UPLOAD_EXTRA = "upload"
"""Under this key the encrypted extras of an unfinished upload say what it is."""

PART_BYTES = 8 * 1024**2
"""Length of every part but the last: little is sent again after a cut, and 2 GiB are 256 rows."""

MAX_OPEN = 20
"""Unfinished uploads of one account."""

Tell = Callable[[CorruptRow], object]
"""Is told of each upload that does not open and is left out."""


class IfTaken(Enum):
    """What to do where the name is taken."""

    ASK = "ask"
    BOTH = "both"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file that has arrived in part.

    Attributes:
        node: the collection that holds its parts; its time of change is the file's.
        path: where it is to go: names from the account's root on, the last one its own.
        folder_id: the collection there, wherever that is now.
        size: announced length in bytes.
        received: how much of it is here, from its beginning on.
        if_taken: what was decided.
        instead: the entity tag of the file that it is to replace; "" if there was none.
        touched: when something was last done with it, in seconds since the Unix epoch.
        word: random bytes by which the client calls the file; b"" if it does not.
    """

    node: Node
    path: tuple[str, ...]
    folder_id: NodeId
    size: int
    received: int = 0
    if_taken: IfTaken = IfTaken.ASK
    instead: str = ""
    touched: int = 0
    word: bytes = b""

    @property
    def id(self) -> NodeId:
        """What it is called by."""
        return self.node.id

    @property
    def modified_ns(self) -> int:
        """The time of change that the file will have."""
        return self.node.modified_ns

    @property
    def next_part(self) -> int:
        """How long the part has to be that comes next; 0: all is here."""
        return min(PART_BYTES, self.size - self.received)


# ── noted ───────────────────────────────────────────────────────────────────────────────────────────────────
def note(access: Access, tx: Transaction, unfinished: Unfinished) -> Unfinished:
    """Write down a new one, or what has changed of one that is there; it counts as touched now.

    Raises:
        LimitExceeded: its names are too long together.
        VersionConflict: somebody else changed it since it was read.
    """
    if sum(len(name.encode()) for name in unfinished.path) > MAX_PLACE_BYTES:
        raise LimitExceeded("the names of the folders on the way are too long together")
    unfinished = replace(unfinished, touched=access.now())
    node = unfinished.node._replace(extras={**unfinished.node.extras, UPLOAD_EXTRA: _told(unfinished)})
    if unfinished.node.extras:
        node = access.tree.change(tx, unfinished.node, extras=node.extras)
    else:
        access.tree.add(tx, node)
    return replace(unfinished, node=node)


def _told(unfinished: Unfinished) -> dict[str, object]:
    told: dict[str, object] = {
        "path": list(unfinished.path),
        "folder": unfinished.folder_id,
        "size": unfinished.size,
        "received": unfinished.received,
        "taken": unfinished.if_taken.value,
        "instead": unfinished.instead,
        "touched": unfinished.touched,
    }
    return told | {"word": unfinished.word} if unfinished.word else told


# ── looked up ───────────────────────────────────────────────────────────────────────────────────────────────
def rows(access: Access, tx: Transaction) -> list[NodeRow]:
    """The rows of all unfinished uploads of the account."""
    return tx.nodes.children(access.account_id, UPLOADS_ID, after=b"", limit=MAX_OPEN)


def all_opened(access: Access, tx: Transaction, altered: Tell) -> Iterator[Unfinished]:
    """All unfinished uploads of the account but those that do not open, which `altered` is told of."""
    for row in rows(access, tx):
        try:
            yield opened(access, row)
        except CorruptRow as error:
            altered(error)


def opened(access: Access, row: NodeRow) -> Unfinished:
    """What a row below `UPLOADS_ID` says.

    Raises:
        CorruptRow: it was altered.
    """
    node = access.tree.codec.open_node(row)
    told = node.extras.get(UPLOAD_EXTRA)
    if not isinstance(told, Mapping):
        raise CorruptRow("an unfinished upload does not say what it is")
    return Unfinished(
        node,
        tuple(told["path"]),
        NodeId(told["folder"]),
        told["size"],
        told["received"],
        IfTaken(told["taken"]),
        told["instead"],
        told["touched"],
        told.get("word", b""),
    )


def find(access: Access, tx: Transaction, upload_id: NodeId) -> Unfinished:
    """The unfinished upload with this id.

    Raises:
        NotFound: there is none (any more).
        CorruptRow: it was altered.
    """
    row = tx.nodes.by_id(access.account_id, upload_id)
    if row is None or row.parent_id != UPLOADS_ID:
        raise NotFound("there is no such upload (any more)")
    return opened(access, row)


def place(access: Access, tx: Transaction, unfinished: Unfinished) -> VaultPath:
    """Where it goes: into the folder that it was begun for, wherever that is now; else to where it was.

    The folder may be gone, or lie deeper by now than any path reaches.
    """
    try:
        return access.tree.path_of(tx, unfinished.folder_id) / unfinished.path[-1]
    except (NotFound, PathError):
        return VaultPath(unfinished.path)


def part(access: Access, tx: Transaction, unfinished: Unfinished, offset: int) -> Node:
    """The part that begins there.

    Raises:
        CorruptRow: it is gone, or is not as long as it was.
    """
    name = access.tree.codec.name_sealed(unfinished.id, str(offset))
    row = tx.nodes.child(access.account_id, unfinished.id, name)
    node = None if row is None else access.tree.codec.open_node(row)
    if node is None or node.size != min(PART_BYTES, unfinished.received - offset):
        raise CorruptRow("a part of an upload is gone, or is another one")
    return node


def digests(access: Access, tx: Transaction, unfinished: Unfinished) -> list[bytes]:
    """The SHA-1 of each part that is there, in order.

    Raises:
        CorruptRow: as `part`.
    """
    offsets = range(0, unfinished.received, PART_BYTES)
    return [part(access, tx, unfinished, offset).sha1 or b"" for offset in offsets]


def check(access: Access, tx: Transaction, upload_id: NodeId) -> None:
    """Whether it has the parts that it says. Called by `verify`.

    Raises:
        NotFound: there is no such upload (any more).
        CorruptRow: it has not.
    """
    unfinished = find(access, tx, upload_id)
    offsets = range(0, unfinished.received, PART_BYTES)
    for offset in offsets:
        part(access, tx, unfinished, offset)
    if tx.nodes.live_count(access.account_id, upload_id) != 1 + len(offsets):
        raise CorruptRow("an upload has parts that it does not know of")


# ── removed ─────────────────────────────────────────────────────────────────────────────────────────────────
def remove(access: Access, tx: Transaction, unfinished: Unfinished) -> int:
    """Remove it with its parts, and count them out of the quota; returns how many bytes they were."""
    gone = tx.nodes.weigh(access.account_id, unfinished.id)
    tx.nodes.delete_subtree(access.account_id, unfinished.id, now=access.now())
    tx.quota.add(access.account_id, -gone.bytes)
    return gone.bytes


def is_idle(access: Access, unfinished: Unfinished) -> bool:
    """Whether nothing was done with it for so long that it is given up."""
    return access.clock() - from_seconds(unfinished.touched) >= timedelta(days=access.limits.upload_days)
