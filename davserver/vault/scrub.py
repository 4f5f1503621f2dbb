"""`sealdav verify`: read everything back, from account rows to the last chunk, and say what was altered.

Changes nothing. May run beside a serving process: a file that changes meanwhile is not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

from davserver.blobs.base import BlobStore
from davserver.db.accounts import AccountRow
from davserver.db.blob_index import BlobRow
from davserver.db.engine import Database
from davserver.db.nodes import NodeRow
from davserver.errors import CorruptBlob, CorruptRow, IntegrityError, NotFound
from davserver.keyring import Keyring
from davserver.model import ROOT_ID, TRASH_ID, UPLOADS_ID, AccountId, AccountState, BlobId, Node, NodeId
from davserver.vault import unfinished
from davserver.vault.access import Access
from davserver.vault.download import open_download
from davserver.vault.kept import check
from davserver.vault.locks import LockCodec
from davserver.vault.properties import opened

BATCH_ROWS = 500
"""Rows looked at in one transaction."""

Progress = Callable[[int, int], None]
"""Called after each step with how many steps are done and how many there are."""


def show_nothing(_done: int, _total: int) -> None:
    """A `Progress` that shows nothing."""


class Finding(Enum):
    """What can be wrong."""

    ACCOUNT_ALTERED = "an account's row or key was altered"
    CREDENTIAL_ALTERED = "a password, one-time-code device, recovery code or app password was altered"
    SITE_ALTERED = "a browser's session, a link that sets an account up, or a profile was altered"
    NODE_ALTERED = "a file or collection was altered in the database"
    NODE_UNREACHABLE = "a file or collection has lost its parent"
    PROPERTY_ALTERED = "a dead property of a file or collection was altered"
    KEPT_ALTERED = "what is noted of the trash or of a previous version is wrong"
    UPLOAD_ALTERED = "an unfinished upload has other parts than it says"
    LOCK_ALTERED = "a lock was altered"
    BLOB_ROW_ALTERED = "the row of a content was altered"
    CONTENT_ALTERED = "a content is missing or was altered"
    COUNTER_WRONG = "the count of stored bytes is wrong"
    OWNER_UNKNOWN = "rows of the database that belong to no account"
    ORPHAN = "a stored blob that the database does not know"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: ids instead of names, so that a report can be shown to anybody."""

    finding: Finding
    account_id: AccountId | None
    object_id: bytes


@dataclass(slots=True)
class VerifyReport:
    """What was read, and what is wrong with it."""

    accounts: int = 0
    nodes: int = 0
    blobs: int = 0
    bytes: int = 0
    problems: list[Problem] = field(default_factory=list)


class Scrub:
    """One run of `verify`."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        keyring: Keyring,
        open_access: Callable[[AccountRow], Access],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._keyring = keyring
        self._open_access = open_access
        self._report = VerifyReport()
        self._seen: set[BlobId] = set()

    def run(self, progress: Progress) -> VerifyReport:
        """Check every account with its tree and contents, the site's rows, the blobs' and the blob store."""
        with self._database.read() as tx:
            total = tx.nodes.count()
            accounts = tx.accounts.all()
        for row in accounts:
            self._report.accounts += 1
            found = len(self._report.problems)
            with suppress(NotFound):
                self._check_account(row, lambda: progress(self._report.nodes, total))
            if len(self._report.problems) > found and self._is_deleted(row.account_id):
                del self._report.problems[found:]
        self._check_owners()
        self._check_site()
        self._check_blob_rows()
        self._check_store()
        return self._report

    def _check_account(self, account: AccountRow, step: Callable[[], None]) -> None:
        account_id = account.account_id
        try:
            access = self._open_access(account)
        except CorruptRow:
            self._found(Finding.ACCOUNT_ALTERED, account_id, account_id)
            return
        self._check_credentials(account_id)
        for row in self._node_rows(account_id):
            self._report.nodes += 1
            self._check_node(access, row)
            step()
        self._check_properties(access)
        self._check_locks(access)
        self._check_kept(access)
        self._check_uploads(access)
        if not self._counter_is_right(account_id):
            self._found(Finding.COUNTER_WRONG, account_id, account_id)
        with self._database.read() as tx:
            lost = tx.nodes.unreachable(account_id)
        for node_id in lost:
            self._found(Finding.NODE_UNREACHABLE, account_id, node_id)

    def _counter_is_right(self, account_id: AccountId) -> bool:
        try:
            with self._database.read() as tx:
                counted, live = tx.quota.usage(account_id), tx.nodes.live_bytes(account_id, ROOT_ID)
                stored = sum(tx.nodes.weigh(account_id, top).bytes for top in (ROOT_ID, TRASH_ID))
                uploads = tx.nodes.weigh(account_id, UPLOADS_ID).bytes
                return (counted.used, counted.kept) == (stored + uploads, stored - live)
        except CorruptRow:  # one of the numbers can be none of ours
            return False

    def _is_deleted(self, account_id: AccountId) -> bool:
        """Whether the account has been, or is being deleted: its key is gone and its rows are going."""
        try:
            with self._database.read() as tx:
                row = tx.accounts.by_id(account_id)
            return row is None or self._keyring.checked(row).state == AccountState.DELETED.value
        except CorruptRow:
            return False

    def _check_credentials(self, account_id: AccountId) -> None:
        with self._database.read() as tx:
            identity = tx.accounts.identity(account_id)
            others = [
                *tx.credentials.devices(account_id),
                *tx.credentials.app_passwords(account_id),
                *tx.recovery_codes.of(account_id),
            ]
        for row in others if identity is None else [identity, *others]:
            try:
                self._keyring.checked(row)
            except CorruptRow:
                self._found(Finding.CREDENTIAL_ALTERED, account_id, account_id)

    def _check_properties(self, access: Access) -> None:
        after: NodeId | None = None
        while True:
            with self._database.read() as tx:
                node_ids = tx.properties.nodes(access.account_id, after=after, limit=BATCH_ROWS)
            for node_id in node_ids:
                try:
                    with self._database.read() as tx:
                        rows = tx.properties.of(access.account_id, [node_id])
                    opened(access.key, rows)
                except CorruptRow:
                    self._found(Finding.PROPERTY_ALTERED, access.account_id, node_id)
            if len(node_ids) < BATCH_ROWS:
                return
            after = node_ids[-1]

    def _check_locks(self, access: Access) -> None:
        codec = LockCodec(access.key, self._keyring)
        with self._database.read() as tx:
            rows = tx.locks.scan(access.account_id)
        for row in rows:
            try:
                codec.open_lock(row)
            except CorruptRow:
                self._found(Finding.LOCK_ALTERED, access.account_id, row.lock_id)

    def _check_kept(self, access: Access) -> None:
        """Each note says what its node says, and each node that is kept has one."""
        with self._database.read() as tx:
            unnoted = tx.kept.unnoted(access.account_id)
        for node_id in unnoted:
            self._found(Finding.KEPT_ALTERED, access.account_id, node_id)
        after = NodeId(b"")
        while True:
            with self._database.read() as tx:
                noted = tx.kept.noted(access.account_id, after=after, limit=BATCH_ROWS)
            for node_id in noted:
                self._check_note(access, node_id)
            if len(noted) < BATCH_ROWS:
                return
            after = noted[-1]

    def _check_note(self, access: Access, node_id: NodeId) -> None:
        try:
            with self._database.read() as tx:
                pair = tx.kept.find(access.account_id, node_id)
                if pair is not None:
                    check(access, tx, pair)
        except CorruptRow:
            self._found(Finding.KEPT_ALTERED, access.account_id, node_id)

    def _check_uploads(self, access: Access) -> None:
        """Each unfinished upload has the parts that it says, and no other ones."""
        with self._database.read() as tx:
            found = [row.node_id for row in unfinished.rows(access, tx)]
        for upload_id in found:
            try:
                with suppress(NotFound), self._database.read() as tx:  # it may be finished by now
                    unfinished.check(access, tx, upload_id)
            except CorruptRow:
                self._found(Finding.UPLOAD_ALTERED, access.account_id, upload_id)

    def _node_rows(self, account_id: AccountId) -> Iterator[NodeRow]:
        after: NodeId | None = None
        while True:
            with self._database.read() as tx:
                rows = tx.nodes.scan(account_id, after=after, limit=BATCH_ROWS)
            yield from rows
            if len(rows) < BATCH_ROWS:
                return
            after = rows[-1].node_id

    def _check_node(self, access: Access, row: NodeRow) -> None:
        try:
            node = access.tree.codec.open_node(row)
        except CorruptRow:
            self._found(Finding.NODE_ALTERED, access.account_id, row.node_id)
            return
        if node.content is None or node.content.blob_id in self._seen:
            return
        self._seen.add(node.content.blob_id)
        try:
            self._read_back(access, node)
        except IntegrityError:
            if self._still_there(row):
                self._found(Finding.CONTENT_ALTERED, access.account_id, node.content.blob_id)

    def _read_back(self, access: Access, node: Node) -> None:
        with open_download(access, node) as download:
            for block in download.blocks():
                self._report.bytes += len(block)

    def _still_there(self, row: NodeRow) -> bool:
        """Whether the file is still the one that was looked at, and not replaced or deleted meanwhile."""
        with self._database.read() as tx:
            current = tx.nodes.by_id(row.account_id, row.node_id)
        return current is not None and current.blob_id == row.blob_id

    def _check_owners(self) -> None:
        with self._database.read() as tx:
            unknown = tx.summary.unknown_owners()
        for account_id in unknown:
            self._found(Finding.OWNER_UNKNOWN, None, account_id)

    def _check_site(self) -> None:
        with self._database.read() as tx:
            sessions, links, profiles = tx.sessions.all(), tx.invitations.all(), tx.profiles.all()
            proofs, ended, confirmations = tx.proofs.all(), tx.ended.all(), tx.confirmations.all()
        for row, object_id in [
            *((one, one.session_id) for one in sessions),
            *((one, one.token_hash) for one in links),
            *((one, one.account_id) for one in profiles),
            *((one, one.provider_session) for one in proofs),
            *((one, one.whose) for one in ended),
            *((one, one.account_id) for one in confirmations),
        ]:
            try:
                self._keyring.checked(row)
            except CorruptRow:
                self._found(Finding.SITE_ALTERED, None, object_id)

    def _check_blob_rows(self) -> None:
        after: BlobId | None = None
        while True:
            with self._database.read() as tx:
                rows = tx.blobs.scan(after=after, limit=BATCH_ROWS)
            for row in rows:
                self._check_blob_row(row)
            if len(rows) < BATCH_ROWS:
                return
            after = rows[-1].blob_id

    def _check_blob_row(self, row: BlobRow) -> None:
        self._report.blobs += 1
        try:
            self._keyring.checked(row)
        except CorruptRow:
            self._found(Finding.BLOB_ROW_ALTERED, row.account_id, row.blob_id)

    def _check_store(self) -> None:
        stored = self._blobs.ids()
        while batch := list(islice(stored, BATCH_ROWS)):
            with self._database.read() as tx:
                known = tx.blobs.known(batch)
            for blob_id in batch:
                if blob_id not in known and self._is_stored(blob_id):
                    self._found(Finding.ORPHAN, None, blob_id)

    def _is_stored(self, blob_id: BlobId) -> bool:
        """Whether the blob is there at all: garbage collection may have been quicker than this scan."""
        try:
            self._blobs.open(blob_id).close()
        except CorruptBlob:
            return False
        return True

    def _found(self, finding: Finding, account_id: AccountId | None, object_id: bytes) -> None:
        """Note it; an id that was altered may be of any type, and is then left out."""
        if not isinstance(object_id, bytes):
            object_id = b""
        self._report.problems.append(Problem(finding, account_id, object_id))
