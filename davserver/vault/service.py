"""The only gate to anybody's files: `Vaults.open(principal)`.

Both doors come in here, so account state and scopes are checked in one place. A `Vault` lives as long as a
request and shows the tree below the principal's root; it knows paths, nodes and bytes, and nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from davserver.blobs.base import BlobStore
from davserver.clock import Clock, to_nanoseconds
from davserver.crypto.keys import AccountKey
from davserver.db.engine import Database, Transaction
from davserver.db.reads import Reads
from davserver.errors import AlreadyExists, CorruptRow, NotPermitted, QuotaExceeded
from davserver.keyring import Keyring
from davserver.model import (
    ROOT_ID,
    AccountId,
    AccountState,
    FileVersion,
    Node,
    NodeId,
    Position,
    Principal,
    Scope,
    TrashEntry,
    Usage,
)
from davserver.vault import browsing, history, locking, properties
from davserver.vault.access import Access, HistoryLimits, Limits
from davserver.vault.at_once import FewAtOnce
from davserver.vault.copying import Copying
from davserver.vault.directories import Directories
from davserver.vault.download import Download, open_download
from davserver.vault.history import TRASH_PAGE, Restored
from davserver.vault.kept import GivenUp, give_way, keeps_trash, put_into_trash
from davserver.vault.locking import Granted, LocksHere, ShownLock
from davserver.vault.locks import Wanted
from davserver.vault.moment import NO_DEMANDS, Demands, Moment
from davserver.vault.orders import Orders
from davserver.vault.parts import Parts
from davserver.vault.paths import VaultPath
from davserver.vault.properties import Values
from davserver.vault.rows import NodeCodec, root_row
from davserver.vault.tree import (
    Placed,
    Tree,
    entry,
    existing,
    place_of,
    require_collection,
    require_file,
)
from davserver.vault.upload import Announced, Upload, admit_upload, at_path

RequestReads = Reads
"""What a door takes along from authentication to the vault, so that a request reads in one transaction."""

HASH_THREADS = 4
"""Threads that compute digests beside sealing; hashing gives up the interpreter lock."""


class Vaults:
    """Opens vaults."""

    def __init__(  # noqa: PLR0913, PLR0917 - what vaults are made of
        self,
        database: Database,
        blobs: BlobStore,
        keyring: Keyring,
        clock: Clock,
        limits: Limits | None = None,
        directories: Directories | None = None,
        orders: Orders | None = None,
    ) -> None:
        self._directories = Directories() if directories is None else directories
        self._orders = Orders() if orders is None else orders
        self._long_looks = FewAtOnce()
        self._database = database
        self._blobs = blobs
        self._keyring = keyring
        self._clock = clock
        self._limits = limits or Limits()
        self._hashers = ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="hash")

    @property
    def limits(self) -> Limits:
        """Those of every vault."""
        return self._limits

    def reads(self) -> Reads:
        """What a request may share from authentication on; to be closed when its status is given."""
        return Reads(self._database)

    def open(self, principal: Principal, reads: Reads | None = None) -> Vault:
        """Open the vault of the principal's account, as far as its scopes and its root reach.

        Args:
            principal: who asks.
            reads: shared by the request; None: each look has a transaction of its own.

        Raises:
            NotPermitted: the account is suspended.
            CorruptRow: the account's key was altered in the database.
        """
        if principal.account.state is not AccountState.ACTIVE:
            raise NotPermitted("this account is suspended")
        return Vault(self.access(principal, reads))

    def access(self, principal: Principal, reads: Reads | None = None) -> Access:
        """What an opened vault is made of, whether or not the account may be used: for maintenance."""
        key = self._keyring.account_key(principal)
        return Access(
            principal=principal,
            key=key,
            tree=Tree(
                principal.account.id, principal.root_id, NodeCodec(key), self._clock, self._directories
            ),
            database=self._database,
            reads=reads or Reads(self._database, shared=False),
            blobs=self._blobs,
            keyring=self._keyring,
            clock=self._clock,
            limits=self._limits,
            hashers=self._hashers,
            orders=self._orders,
            long_looks=self._long_looks,
        )

    def plant_root(self, tx: Transaction, _account_id: AccountId, key: AccountKey) -> None:
        """Make the root collection of a new account, in the transaction that makes the account."""
        tx.nodes.insert([root_row(key, now_ns=to_nanoseconds(self._clock()))])

    def close(self) -> None:
        """Let running digests finish and end their threads."""
        self._hashers.shutdown()


class Vault:
    """One account's decrypted tree.

    Every method may raise NotPermitted (a scope is missing), StorageUnavailable, and CorruptRow or
    CorruptBlob (something in storage was altered; it is never handed out).
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._tree = access.tree
        self._seen: Moment | None = None

    @property
    def principal(self) -> Principal:
        """For whom this vault was opened."""
        return self._access.principal

    def find(self, path: VaultPath) -> Node | None:
        """The node at `path`, or None if it or a collection on the way is missing."""
        self._access.require(Scope.LIST)
        with self._access.read() as tx:
            return self._moment(tx).trail(path).node

    def stat(self, path: VaultPath) -> Node:
        """The node at `path`.

        Raises:
            NotFound: there is none.
        """
        self._access.require(Scope.LIST)
        with self._access.read() as tx:
            return existing(self._moment(tx).trail(path))

    def path_of(self, node_id: NodeId) -> VaultPath:
        """Where a node is now, for the owner of the account.

        Raises:
            NotFound: it is gone.
            NotPermitted: the principal sees one folder only, and not what lies above it.
        """
        self._access.require(Scope.LIST)
        if self.principal.root_id != ROOT_ID:
            raise NotPermitted("only the owner sees where a folder lies")
        with self._access.read() as tx:
            return self._tree.path_of(tx, node_id)

    def listing(self, node: Node, *, tagged: bool = True) -> Iterator[Node]:
        """The children of a collection, read in pages, in no order that a person would recognise.

        Args:
            node: the collection.
            tagged: whether the children's entity tags are wanted; else they are "".

        Raises:
            WrongKind: `node` is a file.
        """
        self._access.require(Scope.LIST)
        require_collection(node)
        return chain.from_iterable(self._tree.pages(self._access.reads, node, tagged=tagged))

    def browse(
        self, path: VaultPath, part: browsing.Part, before_long: Callable[[], None] = lambda: None
    ) -> browsing.Shown:
        """See `browsing.browse`."""
        self._access.require(Scope.LIST)
        return browsing.browse(self._access, path, part, before_long)

    def search(self, path: VaultPath, text: str) -> browsing.Found:
        """See `browsing.search`."""
        self._access.require(Scope.LIST)
        return browsing.search(self._access, path, text)

    def choose(self, path: VaultPath, ids: Collection[NodeId]) -> browsing.Chosen:
        """See `browsing.choose`."""
        self._access.require(Scope.LIST)
        return browsing.choose(self._access, path, ids)

    def listing_with_properties(self, node: Node) -> Iterator[tuple[Node, Values]]:
        """As `listing`, each child with its dead properties.

        Raises:
            WrongKind: `node` is a file.
        """
        self._access.require(Scope.LIST)
        require_collection(node)
        pages = self._tree.pages(self._access.reads, node)
        return chain.from_iterable(properties.by_node(self._access, page) for page in pages)

    def dead_properties(self, node: Node) -> Values:
        """The dead properties of a node: serialised elements by name."""
        self._access.require(Scope.LIST)
        ((_, values),) = properties.by_node(self._access, [node])
        return values

    def read(self, node: Node) -> Download:
        """Open the content of a file.

        Raises:
            WrongKind: `node` is a collection.
        """
        self._access.require(Scope.READ)
        require_file(node)
        return open_download(self._access, node)

    def write(  # noqa: PLR0913 - everything that a client may announce
        self,
        path: VaultPath,
        *,
        expected_size: int | None = None,
        modified_ns: int | None = None,
        created_ns: int | None = None,
        checksums: Mapping[str, bytes] | None = None,
        keep: frozenset[str] = frozenset(),
        word: bytes = b"",
        demands: Demands = NO_DEMANDS,
    ) -> Upload:
        """Begin to write a file; whatever can be refused before its content arrives is refused here.

        Args:
            path: new or existing.
            expected_size: announced length in bytes; None if unknown.
            modified_ns: time of change to keep; None for now.
            created_ns: time of creation to keep; None for now, or as it was.
            checksums: digests that the content must have, by name (`upload.CHECKSUMS`).
            keep: digests to compute and keep besides: "SHA1", "MD5".
            word: by which the client asks later whether this content has come (`upload.WORD_EXTRA`).
            demands: judged now and again in the commit, on the file as it is then.

        Raises:
            ParentMissing, WrongKind, PreconditionFailed, Locked, QuotaExceeded, TooLarge.
        """
        access = self._access
        access.require(Scope.WRITE)
        access.limits.require_fitting(expected_size or 0)
        with access.read() as tx:
            place = admit_upload(self._moment(tx), path, demands)
            counted = tx.quota.usage(access.account_id)
        access.reads.pause()  # the body comes next, and takes its time
        room = None if counted.free is None else counted.free + (place.node.size if place.node else 0)
        if room is not None and expected_size is not None and expected_size > room:
            raise QuotaExceeded("the account's quota has no room for this")
        announced = Announced(expected_size, modified_ns, created_ns, checksums, keep, word)
        return Upload(access, at_path(path, demands), announced, room)

    @property
    def parts(self) -> Parts:
        """Files that arrive in parts; only for who sees the whole account."""
        return Parts(self._access)

    def make_collection(
        self, path: VaultPath, *, modified_ns: int | None = None, demands: Demands = NO_DEMANDS
    ) -> Node:
        """Add an empty collection.

        Raises:
            AlreadyExists, ParentMissing, PreconditionFailed, Locked.
        """
        self._access.require(Scope.WRITE)
        if path.is_root:
            raise AlreadyExists("the root collection always exists")
        now_ns = self._access.now_ns() if modified_ns is None else modified_ns
        with self._access.write() as tx:
            moment = Moment(self._access, tx)
            trail = moment.trail(path)
            place = place_of(trail)
            if place.node is None:
                moment.admit(demands, places=[trail])
            else:  # RFC 4918, 9.3.1: 405, whether or not it is locked
                moment.judge(demands)
            node = self._tree.make_collection(tx, place, now_ns=now_ns)
            tx.commit()
        return node

    def patch(
        self,
        path: VaultPath,
        *,
        modified_ns: int | None = None,
        created_ns: int | None = None,
        changes: Values | Mapping[str, str | None] = properties.NONE,
        demands: Demands = NO_DEMANDS,
    ) -> Node:
        """Change the times and the dead properties of a node, all or nothing; content and ETag stay.

        Args:
            path: what to change.
            modified_ns: time of change; None leaves it.
            created_ns: time of creation; None leaves it.
            changes: dead properties by name: serialised elements, or None to remove.
            demands: judged in the commit.

        Raises:
            NotFound, PreconditionFailed, Locked; TooMany: the properties do not fit.
        """
        self._access.require(Scope.PROPERTIES)
        times = {"modified_ns": modified_ns, "created_ns": created_ns}
        given = {key: value for key, value in times.items() if value is not None}
        with self._access.write() as tx:
            moment = Moment(self._access, tx)
            trail = moment.trail(path)
            node = existing(trail)
            moment.admit(demands, changes=[trail])
            if given:
                node = self._tree.change(tx, node, **given)
            if changes:
                properties.change(self._access, tx, node, changes)
            tx.commit()
        return node

    def move(
        self,
        source: VaultPath,
        target: VaultPath,
        *,
        overwrite: bool,
        modified_ns: int | None = None,
        demands: Demands = NO_DEMANDS,
    ) -> Placed:
        """Move a node with everything below it: one row changes (RFC 4918, 9.9).

        Raises:
            NotFound, ParentMissing, TargetInsideSource, Locked,
            PreconditionFailed (also: target exists, not `overwrite`).
        """
        access = self._access
        access.require(Scope.WRITE)
        with access.write() as tx:
            moment = Moment(access, tx)
            start, end = moment.trail(source), moment.trail(target)
            node = entry(start)
            place = place_of(end)
            moment.admit(demands, removes=[start], places=[end])
            self._tree.check_target(tx, node, place, overwrite=overwrite)
            if place.node is not None and not place.node.lock_born:
                access.require(Scope.DELETE)
            give_way(access, tx, moment, end, node, fits=True)
            moved = self._tree.move(tx, node, place, modified_ns=modified_ns)
            moment.leave_locks_behind(start)
            moment.hand_on_locks(end, moved.id)
            tx.commit()
        return Placed(moved, created=place.node is None)

    def copy(  # noqa: PLR0913 - what the request's fields say
        self,
        source: VaultPath,
        target: VaultPath,
        *,
        overwrite: bool,
        recursive: bool = True,
        modified_ns: int | None = None,
        demands: Demands = NO_DEMANDS,
    ) -> Placed:
        """Copy a node with everything below it, without reading any content (RFC 4918, 9.8).

        Raises:
            NotFound, ParentMissing, TargetInsideSource, QuotaExceeded, LimitExceeded, Locked,
            PreconditionFailed (also: target exists, not `overwrite`).
        """
        self._access.require(Scope.WRITE)
        copying = Copying(self._access, source, target, overwrite=overwrite)
        return copying.run(recursive=recursive, modified_ns=modified_ns, demands=demands)

    def delete(self, path: VaultPath, *, demands: Demands = NO_DEMANDS) -> NodeId | None:
        """Put a node with everything below it into the trash, at once: one row changes.

        Returns its id there, with which `restore` brings it back; None if it is gone for good.

        Raises:
            NotFound, PreconditionFailed, Locked; NotPermitted for the root.
        """
        self._access.require(Scope.DELETE)
        with self._access.write() as tx:
            moment = Moment(self._access, tx)
            trail = moment.trail(path)
            node = entry(trail)
            moment.admit(demands, removes=[trail])
            keeps = keeps_trash(self._access, node)
            if keeps:
                put_into_trash(self._access, tx, moment, trail)
            else:
                self._tree.remove(tx, node, now=self._access.now())
            tx.commit()
        return node.id if keeps else None

    # ── what was deleted or overwritten; only for who sees the whole account ────────────────────────────────
    @property
    def history(self) -> HistoryLimits:
        """How much is kept of what is deleted or overwritten, and how long."""
        return self._access.limits.history

    def trash(
        self,
        *,
        after: Position | None = None,
        limit: int = TRASH_PAGE,
        altered: Callable[[CorruptRow], object] | None = None,
    ) -> list[TrashEntry]:
        """What is in the trash, newest first: at most `limit` entries behind the position `after`.

        Args:
            after: None: from the beginning.
            limit: fewer come only at the end.
            altered: is told of each entry that does not open, which is then left out. None: CorruptRow.
        """
        with self._owners(Scope.LIST).read() as tx:
            return history.trash(self._access, tx, after, limit, altered)

    def trash_entry(self, entry_id: NodeId) -> TrashEntry:
        """One entry of the trash.

        Raises:
            NotFound: there is none (any more).
        """
        with self._owners(Scope.LIST).read() as tx:
            return history.trash_entry(self._access, tx, entry_id)

    def trash_bytes(self) -> int:
        """How many bytes `empty_trash` would free."""
        with self._owners(Scope.LIST).read() as tx:
            return history.trash_bytes(self._access, tx)

    def restore(
        self, entry_id: NodeId, target: VaultPath | None = None, *, demands: Demands = NO_DEMANDS
    ) -> Restored:
        """Bring something back from the trash, with everything below it; it keeps its id.

        Args:
            entry_id: of the entry.
            target: a free name in a collection that is there. None: into the collection that held it,
                wherever that is now, or else to where it was, with the collections on the way; and under
                another name, like "name (restored).txt", if its own is taken.
            demands: judged in the commit.

        Raises:
            NotFound, AlreadyExists, ParentMissing, QuotaExceeded, PreconditionFailed, Locked.
        """
        return history.restore(self._owners(Scope.WRITE), entry_id, target, demands)

    def purge(self, entry_id: NodeId) -> int:
        """Remove an entry of the trash for good; returns how many bytes that frees.

        Raises:
            NotFound: there is none (any more).
        """
        return history.purge(self._owners(Scope.DELETE), entry_id)

    def empty_trash(self) -> GivenUp:
        """Remove all that is in the trash now for good; what does not open stays, and is counted."""
        return history.empty_trash(self._owners(Scope.DELETE))

    def versions(self, path: VaultPath) -> list[FileVersion]:
        """What a file was before, newest first.

        Raises:
            NotFound; WrongKind: it is a collection.
        """
        with self._owners(Scope.LIST).read() as tx:
            return history.versions(self._access, tx, existing(self._moment(tx).trail(path)))

    def version(self, path: VaultPath, version_id: NodeId) -> FileVersion:
        """One of `versions`.

        Raises:
            NotFound: there is none (any more).
        """
        with self._owners(Scope.LIST).read() as tx:
            return history.version(self._access, tx, existing(self._moment(tx).trail(path)), version_id)

    def read_version(self, version: FileVersion) -> Download:
        """Open what a file was before."""
        return open_download(self._owners(Scope.READ), version.node)

    def restore_version(self, path: VaultPath, version_id: NodeId, *, demands: Demands = NO_DEMANDS) -> Node:
        """Give a file a content back that it had before; what it has now is kept in turn.

        Raises:
            NotFound, WrongKind, QuotaExceeded, PreconditionFailed, Locked.
        """
        return history.restore_version(self._owners(Scope.WRITE), path, version_id, demands)

    def purge_version(self, path: VaultPath, version_id: NodeId) -> int:
        """Remove one of `versions` for good; returns how many bytes that frees.

        Raises:
            NotFound: there is none (any more).
        """
        return history.purge_version(self._owners(Scope.DELETE), path, version_id)

    def purge_versions(self, path: VaultPath) -> GivenUp:
        """Remove all of them for good.

        Raises:
            NotFound; WrongKind: it is a collection.
        """
        return history.purge_versions(self._owners(Scope.DELETE), path)

    def _owners(self, scope: Scope) -> Access:
        """The opened vault, for who sees all of it and may do this.

        Raises:
            NotPermitted: the principal sees one folder only, or the scope is missing.
        """
        self._access.require(scope)
        if self.principal.root_id != ROOT_ID:
            raise NotPermitted("only the owner sees what was deleted or overwritten")
        return self._access

    def check(self, demands: Demands) -> None:
        """Judge a client's condition for a request that changes nothing.

        Raises:
            PreconditionFailed: it does not hold.
        """
        with self._access.read() as tx:
            self._moment(tx).judge(demands)

    def lock(self, path: VaultPath, wanted: Wanted, demands: Demands = NO_DEMANDS) -> Granted:
        """See `locking.grant`."""
        return locking.grant(self._access, path, wanted, demands)

    def refresh_lock(self, path: VaultPath, seconds: int, demands: Demands) -> ShownLock:
        """See `locking.refresh`."""
        return locking.refresh(self._access, path, seconds, demands)

    def unlock(self, path: VaultPath, token: str, demands: Demands = NO_DEMANDS) -> None:
        """See `locking.release`."""
        locking.release(self._access, path, token, demands)

    def locks(self, path: VaultPath, *, members: bool = False) -> LocksHere:
        """See `locking.locks_here`."""
        self._access.require(Scope.LIST)
        with self._access.read() as tx:
            return locking.locks_here(self._access, tx, self._moment(tx), path, members=members)

    def usage(self) -> Usage:
        """Quota numbers; without a quota, what the storage has left."""
        with self._access.read() as tx:
            counted = tx.quota.usage(self._access.account_id)
        available = self._access.blobs.free_bytes() if counted.free is None else counted.free
        return Usage(counted.used, available, counted.kept)

    def _moment(self, tx: Transaction) -> Moment:
        """What a reading transaction sees: each path is resolved once, as long as it is shared."""
        if self._seen is None or not self._seen.is_of(tx):
            self._seen = Moment(self._access, tx)
        return self._seen
