"""Files that arrive in parts, over hours and many requests if need be: begun, added to, joined, given up.

    begin -> part after part, each a commit of its own -> join: read, sealed anew as one file
          -> one transaction: the file is there, the parts are gone

What is stored of it survives whatever happens to connections and processes, and counts in the quota. Where it
may go is judged when it begins and again in the last commit, as for any write; while that refuses, the parts
stay. Called by `Vault`, for the site.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from davserver.db.engine import Transaction
from davserver.errors import (
    CorruptRow,
    LimitExceeded,
    NameTaken,
    NotPermitted,
    QuotaExceeded,
    VersionConflict,
    WrongOffset,
)
from davserver.model import ROOT_ID, UPLOADS_ID, Node, NodeId, Scope
from davserver.vault import unfinished as rows
from davserver.vault.access import Access
from davserver.vault.download import open_download
from davserver.vault.moment import NO_DEMANDS, Moment
from davserver.vault.paths import VaultPath, annotated
from davserver.vault.tree import Place, Placed, place_of
from davserver.vault.unfinished import MAX_OPEN, PART_BYTES, IfTaken, Tell, Unfinished
from davserver.vault.upload import Announced, Upload, admit_upload

MAX_NAMES = 1000
"""Names that are tried for a file whose own is taken and that is to be kept beside what has it."""

PART_DIGESTS = frozenset({"SHA1"})
"""Kept of each part, so that whoever goes on with an upload can see whether theirs is the same file."""


class Parts:
    """The unfinished uploads of an account.

    Raises (from whatever is asked of it):
        NotPermitted: the principal may not write, or sees one folder only.
        CorruptRow: something in storage was altered.
    """

    def __init__(self, access: Access) -> None:
        access.require(Scope.WRITE)
        if access.principal.root_id != ROOT_ID:
            raise NotPermitted("who sees one folder only sends files whole")
        self._access = access

    def begin(  # noqa: PLR0913 - everything that a client may announce
        self,
        path: VaultPath,
        size: int,
        modified_ns: int,
        *,
        if_taken: IfTaken = IfTaken.ASK,
        there: str | None = None,
        word: bytes = b"",
    ) -> Unfinished:
        """Announce a file; whatever can be refused before it arrives is refused here.

        Args:
            path: where it is to go.
            size: its length in bytes.
            modified_ns: its time of change, to be kept.
            if_taken: what is to be done if the name is taken, now or later. To replace a file means the one
                that is there now, as it is now.
            there: entity tag of the file that is to be replaced; None: of the one that is there now.
            word: random bytes by which the client calls this file. What was begun by them already is what it
                gets, as far as that has come: however often an answer gets lost, there is one upload.

        Raises:
            NameTaken: the name is taken, and that was not decided yet; or a collection is to be replaced.
            ParentMissing, Locked, TooLarge, LimitExceeded (too many at once).
            QuotaExceeded: there is no room for it beside what is there.
        """
        access = self._access
        access.limits.require_fitting(size)
        node = access.tree.codec.new_node(
            UPLOADS_ID, "", None, modified_ns=modified_ns, created_ns=access.now_ns()
        )
        node = node._replace(name=node.id.hex())
        with access.write() as tx:
            if (known := self._known_as(tx, word)) is not None:
                return known
            moment = Moment(access, tx)
            folder = place_of(moment.trail(path)).parent
            wanted = Unfinished(node, path.parts, folder.id, size, word=word)
            wanted = _decided(moment, path, wanted, if_taken, there)
            if not tx.quota.usage(access.account_id).has_room_for(size):
                raise QuotaExceeded("the account's quota has no room for this")
            self._make_way(tx)
            begun = rows.note(access, tx, wanted)
            tx.commit()
        return begun

    def all(self, altered: Tell | None = None) -> list[Unfinished]:
        """Every one, the oldest first; each with the path where it would go now.

        Args:
            altered: is told of each that does not open, which is then left out. None: CorruptRow.
        """
        access, shown = self._access, list[Unfinished]()
        with access.read() as tx:
            for row in rows.rows(access, tx):
                try:
                    shown.append(self._with_place(tx, rows.opened(access, row)))
                except CorruptRow as error:
                    if altered is None:
                        raise
                    altered(error)
        return sorted(shown, key=lambda one: one.node.created_ns)

    def state(self, upload_id: NodeId) -> Unfinished:
        """How far one has come, with the path where it would go now.

        Raises:
            NotFound: there is none (any more): finished, given up, or idle for too long.
        """
        with self._access.read() as tx:
            return self._with_place(tx, rows.find(self._access, tx, upload_id))

    def arrived(self, upload_id: NodeId) -> tuple[Unfinished, list[bytes]]:
        """As `state`, and the SHA-1 of each part that is here, in order."""
        with self._access.read() as tx:
            found = rows.find(self._access, tx, upload_id)
            return self._with_place(tx, found), rows.digests(self._access, tx, found)

    def append(self, upload_id: NodeId, offset: int) -> Upload:
        """Begin to add the next part, which has to be as long as `Unfinished.next_part` says.

        Raises:
            NotFound: as `state`.
            WrongOffset: the next part begins elsewhere, or none is to come. Also from `commit`, if another
                request was faster: of a part that is sent twice one is kept.
            QuotaExceeded: there is no room for it.
        """
        access = self._access
        with access.read() as tx:
            found = self._at(tx, upload_id, offset)
            free = tx.quota.usage(access.account_id).free
        access.reads.pause()
        if free is not None and found.next_part > free:
            raise QuotaExceeded("the account's quota has no room for this")
        announced = Announced(found.next_part, keep=PART_DIGESTS)
        return Upload(access, partial(self._add, upload_id, offset), announced, free)

    def join(
        self,
        upload_id: NodeId,
        *,
        if_taken: IfTaken | None = None,
        there: str | None = None,
        keep: frozenset[str] = frozenset(),
    ) -> Joining:
        """Begin to make one file of the parts, all of which are here; whatever else does so is to stop.

        Args:
            upload_id: whose.
            if_taken: another decision than before, for what has the name now; None leaves it.
            there: as in `begin`.
            keep: digests to compute and keep: "SHA1", "MD5".

        Raises:
            NotFound: as `state`.
            WrongOffset: more is to come.
            NameTaken: what has the name now is not what was decided about.
            ParentMissing, WrongKind, Locked. Nothing is lost by any of them.
        """
        access = self._access
        with access.write() as tx:
            found = rows.find(access, tx, upload_id)
            if found.received < found.size:
                raise WrongOffset("more of it is to come", found.received)
            moment = Moment(access, tx)
            path = rows.place(access, tx, found)
            if if_taken is None:
                _aim(moment, path, found.if_taken, found.instead)
            else:
                found = _decided(moment, path, found, if_taken, there)
            found = rows.note(access, tx, found)
            tx.commit()
        return Joining(access, found, keep)

    def cancel(self, upload_id: NodeId) -> int:
        """Give one up; returns how many bytes that frees.

        Raises:
            NotFound: as `state`.
        """
        with self._access.write() as tx:
            gone = rows.remove(self._access, tx, rows.find(self._access, tx, upload_id))
            tx.commit()
        return gone

    def _with_place(self, tx: Transaction, found: Unfinished) -> Unfinished:
        return replace(found, path=rows.place(self._access, tx, found).parts)

    def _known_as(self, tx: Transaction, word: bytes) -> Unfinished | None:
        """What was begun by a word."""
        known = rows.all_opened(self._access, tx, _told_elsewhere) if word else ()
        return next((one for one in known if one.word == word), None)

    def _make_way(self, tx: Transaction) -> None:
        """Where there are as many as there may be: give those up that garbage collection would."""
        if len(rows.rows(self._access, tx)) < MAX_OPEN:
            return
        opened = rows.all_opened(self._access, tx, _told_elsewhere)
        idle = [one for one in opened if rows.is_idle(self._access, one)]
        if not idle:
            raise LimitExceeded(
                "%(most)s uploads are unfinished: finish or cancel one of them", most=MAX_OPEN
            )
        for one in idle:
            rows.remove(self._access, tx, one)

    def _at(self, tx: Transaction, upload_id: NodeId, offset: int) -> Unfinished:
        found = rows.find(self._access, tx, upload_id)
        if offset != found.received or not found.next_part:
            raise WrongOffset("the next part begins elsewhere", found.received)
        return found

    def _add(self, upload_id: NodeId, offset: int, tx: Transaction, _moment: Moment) -> Place:
        """The landing of a part: behind those that are there."""
        found = self._at(tx, upload_id, offset)
        found = rows.note(self._access, tx, replace(found, received=offset + found.next_part))
        return Place(found.node, str(offset), None)


class Joining:
    """Parts on their way into one file. To be gone through to its end; whoever stops before gives it up.

    What is written until then counts nowhere, so there is to be one of an upload: the newest, since an older
    one may be of a client that has long gone. `Parts.join` has changed the row of the upload, and who finds
    another version of it than its own ends at the next part.

    Attributes:
        size: of the file.
        placed: the file, once it is there.
    """

    def __init__(self, access: Access, found: Unfinished, keep: frozenset[str]) -> None:
        self._access = access
        self._found = found
        self._keep = keep
        self.size = found.size
        self.placed: Placed | None = None

    def __iter__(self) -> Iterator[int]:
        """Part by part; each time how many bytes are done.

        Raises:
            NotFound: it was finished or given up by another request.
            VersionConflict: another request has begun to join it.
            NameTaken, ParentMissing, Locked: the tree has changed meanwhile; as before, nothing is lost.
            QuotaExceeded: the quota is smaller than it was.
            CorruptRow, CorruptBlob: a part was altered.
        """
        found = self._found
        announced = Announced(self.size, found.modified_ns, keep=self._keep, word=found.word)
        with Upload(self._access, self._land, announced, None) as made:
            for offset in range(0, self.size, PART_BYTES):
                self._copy(made, offset)
                yield min(offset + PART_BYTES, self.size)
            self.placed = made.commit()

    def _copy(self, made: Upload, offset: int) -> None:
        with self._access.read() as tx:
            found = self._still(tx)
            part = rows.part(self._access, tx, found, offset)
        self._access.reads.pause()
        with open_download(self._access, part) as download:
            for block in download.blocks():
                made.write(block)

    def _land(self, tx: Transaction, moment: Moment) -> Place:
        """The landing of the file: the parts leave in the same transaction, before it is counted."""
        found = self._still(tx)
        path = rows.place(self._access, tx, found)
        place = _aim(moment, path, found.if_taken, found.instead)
        rows.remove(self._access, tx, found)
        return place

    def _still(self, tx: Transaction) -> Unfinished:
        """The upload, if nobody else has begun to join it."""
        found = rows.find(self._access, tx, self._found.id)
        if found.node.version != self._found.node.version:
            raise VersionConflict("another request makes the same file now")
        return found


def require_decided(there: Node | None, if_taken: IfTaken, instead: str | None) -> None:
    """Let a file have a name: nothing has it, or a file does that it is to replace.

    Args:
        there: what has the name now.
        if_taken: what was decided.
        instead: entity tag of the file that this was decided about; None: about any.

    Raises:
        NameTaken: by something that was not decided about.
    """
    if there is None:
        return
    replaces = if_taken is IfTaken.REPLACE and not there.is_collection
    if not (replaces and instead in {None, there.etag}):
        raise _taken(there)


def _taken(by: Node) -> NameTaken:
    return NameTaken(is_collection=by.is_collection, size=by.size, modified_ns=by.modified_ns, etag=by.etag)


def _told_elsewhere(_error: CorruptRow) -> None:
    """Whoever lists the uploads tells of one that was altered, and so does garbage collection."""


def _decided(
    moment: Moment, path: VaultPath, found: Unfinished, if_taken: IfTaken, there: str | None
) -> Unfinished:
    """The same with another decision, which holds for what has the name now, or for what it was made about.

    Raises:
        As `_aim`.
    """
    node = moment.trail(path).node
    if there is None:
        there = "" if node is None else node.etag
    instead = there if if_taken is IfTaken.REPLACE else ""
    _aim(moment, path, if_taken, instead)
    return replace(found, if_taken=if_taken, instead=instead)


def _aim(moment: Moment, path: VaultPath, if_taken: IfTaken, instead: str) -> Place:
    """The place for a file, if it may be there as things are now.

    Raises:
        NameTaken: by something that was not decided about.
        ParentMissing, Locked.
    """
    there = place_of(moment.trail(path)).node
    if there is not None and if_taken is IfTaken.BOTH:
        path = _spare(moment, path, there)
    else:
        require_decided(there, if_taken, instead)
    return admit_upload(moment, path, NO_DEMANDS)


def _spare(moment: Moment, path: VaultPath, there: Node) -> VaultPath:
    """A path beside this one that nothing has, with a number behind the name.

    Raises:
        NameTaken: no number is free.
    """
    for number in range(2, MAX_NAMES + 1):
        other = path.parent / annotated(path.name, str(number))
        if moment.trail(other).node is None:
            return other
    raise _taken(there)
