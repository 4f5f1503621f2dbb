"""The trash, and what files were before: looked at, brought back, removed for good.

Bringing something back is a change like any other: it passes the same gate as a write (`Moment.admit`), in
one transaction, and has to fit into the quota. It must never be asked for by a principal whose root is not
the account's root. Called by `Vault`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from davserver.db.engine import Transaction
from davserver.db.kept import Pair
from davserver.errors import AlreadyExists, CorruptRow, NotFound, PathError, QuotaExceeded
from davserver.model import TRASH_ID, FileVersion, KeptKind, Node, NodeId, Position, TrashEntry
from davserver.vault.access import Access
from davserver.vault.kept import (
    BATCH_KEPT,
    KEPT_EXTRA,
    GivenUp,
    give_up,
    give_up_in_steps,
    give_up_some,
    keep_version,
    open_entry,
    open_version,
)
from davserver.vault.moment import Demands, Moment
from davserver.vault.paths import VaultPath, annotated
from davserver.vault.tree import Place, Trail, existing, place_of, require_file

TRASH_PAGE = 100
"""Entries of the trash that are read at once, unless told otherwise."""

RESTORED = "restored"
"""What is written behind a name that is taken, in brackets."""

MAX_NAMES = 1000
"""Names that are tried for something whose own name is taken."""

Tell = Callable[[CorruptRow], object]
"""Is told of each entry that does not open and is left out."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back, and where it is now."""

    node: Node
    path: VaultPath


# ── the trash ───────────────────────────────────────────────────────────────────────────────────────────────
def trash(
    access: Access, tx: Transaction, after: Position | None, limit: int, altered: Tell | None
) -> list[TrashEntry]:
    """At most `limit` entries, newest first, behind `after`; None starts. See `Vault.trash`."""
    found: list[TrashEntry] = []
    while len(found) < limit:
        most = limit - len(found)
        pairs = tx.kept.trash(access.account_id, after=after, limit=most)
        for pair in pairs:
            try:
                found.append(open_entry(access, pair))
            except CorruptRow as error:
                if altered is None:
                    raise
                altered(error)
        if len(pairs) < most:
            break
        after = pairs[-1][0].position
    return found


def trash_entry(access: Access, tx: Transaction, entry_id: NodeId) -> TrashEntry:
    """One entry.

    Raises:
        NotFound: there is none (any more).
    """
    return open_entry(access, _pair_of(access, tx, entry_id))


def trash_bytes(access: Access, tx: Transaction) -> int:
    """How many bytes emptying the trash frees: previous versions of what is there go as well."""
    return tx.nodes.weigh(access.account_id, TRASH_ID).bytes


def restore(access: Access, entry_id: NodeId, target: VaultPath | None, demands: Demands) -> Restored:
    """Bring something back from the trash; see `Vault.restore`."""
    with access.write() as tx:
        pair = _pair_of(access, tx, entry_id)
        entry = open_entry(access, pair)
        moment = Moment(access, tx)
        path = _Landing(access, tx, moment, entry).path if target is None else target
        _require_room(access, tx, entry.bytes)
        place = _prepared(access, tx, moment, path, demands, makes_folders=target is None)
        stored = access.tree.codec.open_node(pair[1])
        extras = {key: value for key, value in stored.extras.items() if key != KEPT_EXTRA}
        node = access.tree.change(tx, stored, parent_id=place.parent.id, name=place.name, extras=extras)
        tx.kept.delete(access.account_id, node.id)
        tx.quota.add(access.account_id, 0, kept=-entry.bytes, restructured=node.is_collection)
        tx.commit()
    return Restored(node, path)


def purge(access: Access, entry_id: NodeId) -> int:
    """Remove an entry for good; see `Vault.purge`."""
    with access.write() as tx:
        gone = give_up(access, tx, _pair_of(access, tx, entry_id))
        tx.commit()
    return gone.bytes


def empty_trash(access: Access) -> GivenUp:
    """Remove every entry that is there now for good, in several transactions."""

    def choose(tx: Transaction, gone: GivenUp) -> tuple[Sequence[Pair], None]:
        # From the newest on, and never back: what comes meanwhile is newer. What time it is plays no part.
        return tx.kept.trash(access.account_id, after=gone.behind, limit=BATCH_KEPT), None

    return give_up_in_steps(access, choose)


def _pair_of(access: Access, tx: Transaction, entry_id: NodeId) -> Pair:
    pair = tx.kept.find(access.account_id, entry_id)
    if pair is None or pair[0].kind != KeptKind.TRASH.value:
        raise NotFound("this is not in the trash (any more)")
    return pair


def _require_room(access: Access, tx: Transaction, more: int) -> None:
    """What is no larger than what it replaces always has room, also in an account that is over its quota."""
    if more > 0 and not tx.quota.usage(access.account_id).has_room_for(more):
        raise QuotaExceeded("the account's quota has no room for this")


# ── where to ────────────────────────────────────────────────────────────────────────────────────────────────
class _Landing:
    """Finds the place for something that comes back.

    That is the collection that held it, wherever it is now; if that is gone, the path where it was. What has
    its name now keeps it.
    """

    def __init__(self, access: Access, tx: Transaction, moment: Moment, entry: TrashEntry) -> None:
        self._access = access
        self._tx = tx
        self._moment = moment
        self._entry = entry

    @property
    def path(self) -> VaultPath:
        """A path whose collections are there, or can be made, and whose name is free."""
        folder = self._folder()
        name = self._first(folder, self._entry.node.name, lambda trail: trail.node is None)
        return folder / name

    def _folder(self) -> VaultPath:
        try:
            return self._access.tree.path_of(self._tx, self._entry.parent_id)
        except (NotFound, PathError):  # gone, or deeper by now than any path reaches
            folder = VaultPath()
            for name in self._entry.path[:-1]:
                folder /= self._first(folder, name, _can_be_entered)
            return folder

    def _first(self, folder: VaultPath, name: str, fits: Callable[[Trail], bool]) -> str:
        """The name itself, or the first one like it that fits."""
        for one in _names_like(name):
            if fits(self._moment.trail(folder / one)):
                return one
        raise AlreadyExists("too many files or collections have names like this one")


def _can_be_entered(trail: Trail) -> bool:
    return trail.node is None or trail.node.is_collection


def _names_like(name: str) -> Iterator[str]:
    yield name
    yield annotated(name, RESTORED)
    for number in count(2):
        if number > MAX_NAMES:
            return
        yield annotated(name, f"{RESTORED} {number}")


def _prepared(  # noqa: PLR0913 - one request's view, and what it wants
    access: Access,
    tx: Transaction,
    moment: Moment,
    path: VaultPath,
    demands: Demands,
    *,
    makes_folders: bool,
) -> Place:
    """The place at the end of a path, free and admitted; collections on the way are made if they are missing.

    Raises:
        AlreadyExists, ParentMissing, Locked, PreconditionFailed; NotPermitted for the root.
    """
    trail = moment.trail(path)
    there = len(trail.ancestors)
    missing = path.parts[there - 1 : -1] if makes_folders else ()
    begins = moment.trail(VaultPath(path.parts[:there])) if missing else trail
    place = place_of(begins)
    if place.node is not None:
        raise AlreadyExists("the name is taken")
    moment.admit(demands, places=[begins])
    parent = place.parent
    for name in missing:
        parent = access.tree.make_collection(tx, Place(parent, name, None), now_ns=access.now_ns())
    return Place(parent, path.name, None)


# ── previous versions ───────────────────────────────────────────────────────────────────────────────────────
def versions(access: Access, tx: Transaction, file: Node) -> list[FileVersion]:
    """What a file was before, newest first."""
    require_file(file)
    found = [open_version(access, pair) for pair in tx.kept.versions(access.account_id, file.id)]
    return sorted(found, key=lambda version: version.replaced_ns, reverse=True)


def version(access: Access, tx: Transaction, file: Node, version_id: NodeId) -> FileVersion:
    """One of them.

    Raises:
        NotFound: there is none (any more).
    """
    return open_version(access, _version_pair(access, tx, file, version_id))


def restore_version(access: Access, path: VaultPath, version_id: NodeId, demands: Demands) -> Node:
    """Give a file a content that it had before; see `Vault.restore_version`."""
    with access.write() as tx:
        moment = Moment(access, tx)
        trail = moment.trail(path)
        file = existing(trail)
        moment.admit(demands, changes=[trail])
        chosen = version(access, tx, file, version_id)
        _require_room(access, tx, chosen.node.size - file.size)
        kept = _put_aside(access, tx, file)
        tx.nodes.delete_one(access.account_id, chosen.id)
        node = access.tree.change(tx, file, **_contents(chosen.node))
        tx.quota.add(access.account_id, kept - file.size, kept=kept - chosen.node.size)
        tx.commit()
    return node


def purge_version(access: Access, path: VaultPath, version_id: NodeId) -> int:
    """Remove one for good; see `Vault.purge_version`."""
    with access.write() as tx:
        file = existing(Moment(access, tx).trail(path))
        gone = give_up(access, tx, _version_pair(access, tx, file, version_id))
        tx.commit()
    return gone.bytes


def purge_versions(access: Access, path: VaultPath) -> GivenUp:
    """Remove all of a file for good."""
    with access.write() as tx:
        file = existing(Moment(access, tx).trail(path))
        require_file(file)
        gone = give_up_some(access, tx, tx.kept.versions(access.account_id, file.id))
        tx.commit()
    return gone


def _put_aside(access: Access, tx: Transaction, file: Node) -> int:
    """Keep what a file is, whatever is kept otherwise: a restore is a swap. Its bytes; an empty one goes."""
    if file.size:
        keep_version(access, tx, file, of=file.id)
        return file.size
    if file.content is not None:
        tx.blobs.mark_unreferenced(file.content.blob_id, now=access.now())
    return 0


def _version_pair(access: Access, tx: Transaction, file: Node, version_id: NodeId) -> Pair:
    require_file(file)
    pair = tx.kept.find(access.account_id, version_id)
    if pair is None or pair[1].parent_id != file.id:
        raise NotFound("there is no such version of this file (any more)")
    return pair


def _contents(node: Node) -> dict[str, object]:
    """What a version gives back to its file: all but id, name, place and time of creation."""
    return {
        "size": node.size,
        "etag": node.etag,
        "modified_ns": node.modified_ns,
        "content": node.content,
        "sha1": node.sha1,
        "md5": node.md5,
        "lock_born": False,
    }
