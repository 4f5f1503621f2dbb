"""One file on its way in: sealed while it streams, checked against what was announced, then switched to.

    blob row "staging" -> blob durable in the store -> one transaction: blob "live", node, quota -> answer

Plaintext never touches a disk. Whatever fails before the transaction, the old file is whole and nothing new
is visible; what a crash leaves behind is found by `Maintenance.collect`. Small content skips the store and
travels inside the transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from davserver.blobs.base import BlobWriter
from davserver.crypto.header import FORMAT_VERSION
from davserver.crypto.keys import FileKey
from davserver.crypto.layout import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES
from davserver.crypto.primitives import Buffer, constant_time_equal, random_bytes
from davserver.crypto.stream import ChunkSealer
from davserver.db.blob_index import BlobRow, BlobState
from davserver.db.engine import Transaction
from davserver.errors import (
    ChecksumMismatch,
    DavserverError,
    LengthMismatch,
    QuotaExceeded,
    StorageUnavailable,
)
from davserver.model import ID_BYTES, BlobId, Content, Node
from davserver.vault.access import Access
from davserver.vault.garbage import retire
from davserver.vault.kept import keep_version, keeps_version
from davserver.vault.moment import Demands, Moment
from davserver.vault.paths import VaultPath
from davserver.vault.room import with_room
from davserver.vault.tree import Place, Placed, place_of, require_file

CHUNKS_A_RUN = 16
"""Chunks sealed and stored at once: 1 MiB, where the cost of a system call no longer shows."""

RUN_BYTES = CHUNKS_A_RUN * CHUNK_BYTES
SEALED_RUN_BYTES = CHUNKS_A_RUN * (CHUNK_BYTES + TAG_BYTES)

HEARTBEAT_SECONDS = 60
"""How often a long upload tells garbage collection that it is alive."""

WORD_EXTRA = "word"
"""Under this key the encrypted extras of a file keep by which word its sender calls it (`Announced.word`)."""

CHECKSUMS = {"SHA1": hashlib.sha1, "MD5": hashlib.md5, "SHA256": hashlib.sha256}
"""Digests that a client may announce, by the names that clients use (`OC-Checksum`)."""


class _Hash(Protocol):
    def update(self, data: Buffer, /) -> None: ...
    def digest(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Announced:
    """What the client said about the upload beforehand.

    Attributes:
        size: length in bytes; None if it was not said.
        modified_ns, created_ns: times to keep; None for now.
        checksums: digests by name (`CHECKSUMS`), which the content must have.
        keep: digests to keep besides, by name ("SHA1", "MD5").
        word: random bytes by which the client asks later whether this content has come; b"" if it will not.
    """

    size: int | None = None
    modified_ns: int | None = None
    created_ns: int | None = None
    checksums: Mapping[str, bytes] | None = None
    keep: frozenset[str] = frozenset()
    word: bytes = b""


Landing = Callable[[Transaction, Moment], Place]
"""Says where an upload goes, and whether it may, inside the transaction that makes it visible; asked anew
each time that this is tried. Whatever else has to change with it, the landing changes there."""


class Upload:
    """A file in the making; belongs to one thread at a time. Leaving its block without `commit` aborts it.

    The content is either put straight into the upload's own buffer (`space`, `advance`) or handed to `write`.

    Raises (from those and from `commit`, which then have aborted it):
        LengthMismatch, ChecksumMismatch: the content is not what was announced.
        QuotaExceeded, TooLarge: there is no room for it.
        PreconditionFailed, Locked, ParentMissing, WrongKind: the tree has changed since the upload began.
        StorageFull, StorageUnavailable: the storage refused.
    """

    def __init__(
        self,
        access: Access,
        landing: Landing,
        announced: Announced,
        room: int | None,
    ) -> None:
        self._access = access
        self._landing = landing
        self._announced = announced
        self._room = room
        self._received = 0
        self._plain = bytearray()
        self._spare = bytearray()
        self._filled = 0
        self._sealed = bytearray()
        names = set(announced.checksums or ()) | announced.keep
        self._hashes: dict[str, _Hash] = {name: CHECKSUMS[name](usedforsecurity=False) for name in names}
        self._hashing: list[Future[None]] = []
        self._blob_id = BlobId(random_bytes(ID_BYTES))
        self._file_key = FileKey.generate()
        self._sealer = ChunkSealer(self._file_key, access.account_id, self._blob_id)
        self._staged: BlobRow | None = None
        self._writer: BlobWriter | None = None
        self._heartbeat_at = 0
        self._done = False

    def write(self, data: Buffer) -> None:
        """Append `data`, which the caller may reuse when this returns."""
        view = memoryview(data).cast("B")
        self._require_open()
        try:
            self._admit(view.nbytes)
            while view.nbytes:
                space = self._space(view.nbytes, certain=True)
                piece = view[: space.nbytes]
                space[: piece.nbytes] = piece
                self._filled += piece.nbytes
                view = view[piece.nbytes :]
        except BaseException:
            self.abort()
            raise

    def space(self) -> memoryview:
        """Where the next bytes of the content go, at least one; `advance` says how many were put there."""
        self._require_open()
        announced = self._announced.size
        left = 0 if announced is None else announced - self._received
        try:
            return self._space(left or CHUNK_BYTES, certain=left > 0)
        except BaseException:
            self.abort()
            raise

    def advance(self, count: int) -> None:
        """Append the first `count` bytes of the last `space`."""
        self._require_open()
        try:
            self._admit(count)
        except BaseException:
            self.abort()
            raise
        self._filled += count

    def commit(self) -> Placed:
        """Make the file visible, durable when this returns."""
        self._require_open()
        try:
            self._require_all()
            inline = self._writer is None and self._received <= self._access.limits.inline_bytes
            sealed = self._finish(inline=inline)
            placed = with_room(self._access, lambda: self._publish(sealed))
        except BaseException:
            self.abort()
            raise
        self._done = True
        return placed

    def _publish(self, sealed: bytes | None) -> Placed:
        with self._access.write() as tx:
            placed = self._place(tx, Moment(self._access, tx), inline_data=sealed)
            tx.commit()
        return placed

    def abort(self) -> None:
        """Forget everything that arrived. May be repeated; after `commit` it does nothing."""
        if self._done:
            return
        self._done = True
        try:
            if self._writer is not None:
                self._writer.abort()
            if self._staged is not None:
                self._discard(self._staged)
        except DavserverError:
            # What could not be taken back now, garbage collection will. The reason for the abort is already
            # on its way to the client and must not be hidden by this one.
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def _require_open(self) -> None:
        if self._done:
            raise ValueError("this upload is over")

    def _admit(self, count: int) -> None:
        self._received += count
        announced = self._announced.size
        if announced is not None and self._received > announced:
            raise LengthMismatch("more bytes arrived than were announced; nothing was stored")
        self._access.limits.require_fitting(self._received)
        if self._room is not None and self._received > self._room:
            raise QuotaExceeded("the account's quota has no room for this")

    def _require_all(self) -> None:
        if self._announced.size not in {None, self._received}:
            raise LengthMismatch("fewer bytes arrived than were announced; nothing was stored")

    def _space(self, wanted: int, *, certain: bool) -> memoryview:
        """Room for what is wanted, or for some of it; a small file does not cost a megabyte.

        A full run is sealed only if something comes behind it: what is last is sealed as the last. If that is
        not certain yet, there is room for one chunk more.
        """
        if self._filled > RUN_BYTES or (certain and self._filled == RUN_BYTES):
            self._flush_run()
        if self._filled == len(self._plain):
            most = RUN_BYTES if certain else RUN_BYTES + CHUNK_BYTES
            larger = bytearray(min(max(self._filled + wanted, 2 * self._filled), most))
            larger[: self._filled] = self._plain
            self._plain = larger
        return memoryview(self._plain)[self._filled :]

    def _flush_run(self) -> None:
        """Seal and store one run; what is behind it moves to the front."""
        full, filled = self._plain, self._filled
        self._filled = RUN_BYTES
        self._flush(final=False)
        if self._hashes:  # two buffers in turns: of this one digests are still being computed
            self._plain, self._spare = self._spare or bytearray(len(full)), full
        self._filled = filled - RUN_BYTES
        self._plain[: self._filled] = full[RUN_BYTES:filled]

    def _flush(self, *, final: bool) -> None:
        """Seal what is in the buffer and hand it to the store; its digests may be ready later."""
        writer = self._open_writer()
        plain = memoryview(self._plain)[: self._filled]
        self._wait_for_digests()
        self._hashing = [self._access.hashers.submit(each.update, plain) for each in self._hashes.values()]
        writer.write(self._seal(plain, final=final))
        self._beat()
        self._filled = 0

    def _wait_for_digests(self) -> None:
        """Until those of the run before are computed: in order, and its buffer is free then."""
        for future in self._hashing:
            future.result()

    def _seal(self, plain: memoryview, *, final: bool) -> memoryview:
        if not self._sealed:
            self._sealed = bytearray(SEALED_RUN_BYTES + CHUNK_BYTES + TAG_BYTES)
        return memoryview(self._sealed)[: self._sealer.seal_into(plain, self._sealed, final=final)]

    def _open_writer(self) -> BlobWriter:
        if self._writer is None:
            self._stage()
            self._writer = self._access.blobs.create(self._blob_id)
            self._writer.write(self._sealer.header.pack())
        return self._writer

    def _stage(self) -> None:
        """Say that this blob is coming before its first byte is stored: no byte is ever unaccounted for."""
        now = self._access.now()
        row = self._blob_row(BlobState.STAGING, inline=False, version=1)
        with self._access.write() as tx:
            tx.blobs.insert(row, now=now)
            tx.commit()
        self._staged = row
        self._heartbeat_at = now

    def _beat(self) -> None:
        now = self._access.now()
        if now - self._heartbeat_at < HEARTBEAT_SECONDS:
            return
        with self._access.write() as tx:
            alive = tx.blobs.heartbeat(self._blob_id, now=now)
            tx.commit()
        if not alive:
            raise StorageUnavailable("the upload took too long and was given up")
        self._heartbeat_at = now

    def _finish(self, *, inline: bool) -> bytes | None:
        """Seal the rest and check the digests; returns the whole blob if it is to be kept inline."""
        data = None
        plain = memoryview(self._plain)[: self._filled]
        if inline:
            for each in self._hashes.values():
                each.update(plain)
            body = bytearray(len(plain) + TAG_BYTES)
            self._sealer.seal_into(plain, body, final=True)
            data = self._sealer.header.pack() + body
        else:
            self._flush(final=True)
            self._wait_for_digests()
        for name, expected in (self._announced.checksums or {}).items():
            if not constant_time_equal(self._hashes[name].digest(), expected):
                raise ChecksumMismatch("the content does not have the announced checksum; nothing was stored")
        if self._writer is not None:
            self._writer.commit()
        return data

    def _place(
        self, tx: Transaction, moment: Moment, *, inline_data: bytes | None, lock_born: bool = False
    ) -> Placed:
        access, now = self._access, self._access.now()
        place = self._landing(tx, moment)
        old = place.node
        replaced = old.content.blob_id if old and old.content else None
        kept = self._keep(tx, old)
        if kept:
            replaced = None
        if inline_data is not None:
            row = self._blob_row(BlobState.LIVE, inline=True, version=1)
            tx.blobs.insert(row, now=now, data=inline_data, instead_of=replaced)
        elif not tx.blobs.publish(self._blob_row(BlobState.LIVE, inline=False, version=2), now=now):
            raise StorageUnavailable("the upload took too long and was given up")
        node = self._node(place, lock_born=lock_born)
        if old is None:
            access.tree.add(tx, node)
        else:
            node = access.tree.change(tx, old, **_contents(node, old))
            if replaced is not None and inline_data is None:
                tx.blobs.mark_unreferenced(replaced, now=now)
        gone = old.size - kept if old else 0
        tx.quota.add(access.account_id, self._received - gone, kept=kept)
        return Placed(node, created=old is None)

    def _keep(self, tx: Transaction, old: Node | None) -> int:
        """Keep what is about to be replaced, if it is worth it and there can be room for both; its bytes."""
        access = self._access
        if old is None or not keeps_version(access, old):
            return 0
        if not tx.quota.usage(access.account_id).has_room_for(self._received):
            return 0
        keep_version(access, tx, old, of=old.id)
        return old.size

    def place_empty(self, tx: Transaction, moment: Moment) -> Node:
        """Make the file, without any content, inside a transaction of the caller's; marked as a lock's."""
        self._done = True
        return self._place(tx, moment, inline_data=self._finish(inline=True), lock_born=True).node

    def _node(self, place: Place, *, lock_born: bool) -> Node:
        now_ns, old = self._access.now_ns(), place.node
        announced = self._announced
        created_ns = announced.created_ns
        if created_ns is None:
            created_ns = old.created_ns if old else now_ns
        sha1, md5 = self._hashes.get("SHA1"), self._hashes.get("MD5")
        return self._access.tree.codec.new_node(
            place.parent.id,
            place.name,
            Content(self._blob_id, self._sealer.sealed_size, self._sealer.header.commitment),
            size=self._received,
            modified_ns=now_ns if announced.modified_ns is None else announced.modified_ns,
            created_ns=created_ns,
            sha1=sha1.digest() if sha1 else None,
            md5=md5.digest() if md5 else None,
            lock_born=lock_born,
            extras={WORD_EXTRA: announced.word} if announced.word else {},
        )

    def _blob_row(self, state: BlobState, *, inline: bool, version: int) -> BlobRow:
        published = state is BlobState.LIVE
        row = BlobRow(
            blob_id=self._blob_id,
            account_id=self._access.account_id,
            state=state,
            inline=inline,
            sealed_size=self._sealer.sealed_size if published else HEADER_BYTES,
            plain_size=self._received if published else 0,
            format=FORMAT_VERSION,
            key_version=self._access.key.version,
            wrapped_key=self._access.key.wrap_file_key(self._file_key, self._blob_id),
            version=version,
        )
        return self._access.keyring.with_mac(row)

    def _discard(self, row: BlobRow) -> None:
        """Take back the staging row and its bytes."""
        access = self._access
        if retire(access.database, access.blobs, access.keyring, [row], before=access.now()):
            return
        # Garbage collection had given this upload up. If it finished before the bytes were stored, nobody
        # else knows of them; only if the row is live is the file in place, and an interrupt struck after it.
        with access.read() as tx:
            found = tx.blobs.fetch(row.account_id, row.blob_id)
        if found is None or found[0].state != BlobState.LIVE:
            access.blobs.delete(row.blob_id)


def _contents(node: Node, old: Node) -> dict[str, object]:
    """What an overwrite takes from the new content; id, name and creation time stay those of the old node.

    So do the extras, save for what says by which word the old content was sent.
    """
    extras = {key: value for key, value in old.extras.items() if key != WORD_EXTRA}
    return {
        "size": node.size,
        "etag": node.etag,
        "modified_ns": node.modified_ns,
        "created_ns": node.created_ns,
        "content": node.content,
        "sha1": node.sha1,
        "md5": node.md5,
        "lock_born": node.lock_born,
        "extras": extras | dict(node.extras),
    }


def admit_upload(moment: Moment, path: VaultPath, demands: Demands) -> Place:
    """The place where a file is to be written, if it may be: asked before the body and inside the commit.

    Raises:
        ParentMissing, WrongKind, PreconditionFailed, Locked, NotPermitted.
    """
    trail = moment.trail(path)
    place = place_of(trail)
    if place.node is None:
        moment.admit(demands, places=[trail])
    else:
        moment.admit(demands, changes=[trail])
        require_file(place.node)
    return place


def at_path(path: VaultPath, demands: Demands) -> Landing:
    """The landing of a file that is written to a path."""
    return lambda _tx, moment: admit_upload(moment, path, demands)


def place_empty(access: Access, tx: Transaction, moment: Moment, path: VaultPath, demands: Demands) -> Node:
    """An empty file for a LOCK, in the transaction that grants it (RFC 4918, 9.10.4).

    Raises:
        As `admit_upload`.
    """
    return Upload(access, at_path(path, demands), Announced(size=0), None).place_empty(tx, moment)
