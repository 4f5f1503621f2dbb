"""What the parts of an opened vault share: one account's key and tree, and the services behind them.

Made by `Vaults.open` after it has checked the principal; lives as long as one request.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from davserver.blobs.base import BlobStore
from davserver.clock import Clock, to_nanoseconds, to_seconds
from davserver.crypto.keys import AccountKey
from davserver.crypto.layout import CHUNK_BYTES
from davserver.db.engine import Database, Transaction
from davserver.db.reads import Reads
from davserver.errors import NotPermitted, TooLarge
from davserver.keyring import Keyring
from davserver.model import AccountId, Principal, Scope
from davserver.vault.at_once import FewAtOnce
from davserver.vault.orders import Orders
from davserver.vault.tree import Tree

MAX_FILE_BYTES = 1 << 40
"""Largest file, 1 TiB: keeps the distinguishing advantage of the cipher below 2^-57 (docs/format.md)."""


MAX_LOCKS = 20_000
"""Live write locks of one account: davfs2 holds one on every file that it has not yet uploaded."""


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How much of what was deleted or overwritten is kept, and how long.

    Attributes:
        keep_days: 0: nothing is, and what is kept from before goes.
        max_share: of the quota, for accounts that have one.
        max_versions: of one file; 0: none.
    """

    keep_days: int = 30
    max_share: float = 0.5
    max_versions: int = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """Numbers that the settings may change.

    Attributes:
        inline_bytes: content up to this many bytes lives in the database; at most one chunk.
        max_file_bytes: largest file.
        max_locks: live write locks that one account may have.
        history: what is kept of what was deleted or overwritten.
        upload_days: how long an unfinished upload is kept that nobody goes on with.
    """

    inline_bytes: int = CHUNK_BYTES
    max_file_bytes: int = MAX_FILE_BYTES
    max_locks: int = MAX_LOCKS
    history: HistoryLimits = HistoryLimits()
    upload_days: int = 7

    def require_fitting(self, size: int) -> None:
        """Refuse a file of more bytes than any may have.

        Raises:
            TooLarge: it is one.
        """
        if size > self.max_file_bytes:
            raise TooLarge(self.max_file_bytes)


@dataclass(frozen=True, slots=True)
class Access:
    """One account's vault, opened for one principal."""

    principal: Principal
    key: AccountKey
    tree: Tree
    database: Database
    reads: Reads
    blobs: BlobStore
    keyring: Keyring
    clock: Clock
    limits: Limits
    hashers: ThreadPoolExecutor
    orders: Orders
    long_looks: FewAtOnce

    @property
    def account_id(self) -> AccountId:
        """Whose vault this is."""
        return self.principal.account.id

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent snapshot, shared with what the request has read before if there was no pause."""
        return self.reads.read()

    def write(self) -> AbstractContextManager[Transaction]:
        """A unit of work; what was read before is let go of, because this may have to wait for others."""
        self.reads.pause()
        return self.database.write()

    def require(self, scope: Scope) -> None:
        """Refuse what the principal's credential does not cover.

        Raises:
            NotPermitted: one of the scopes is missing.
        """
        if scope not in self.principal.scopes:
            raise NotPermitted("this app password does not allow it")

    def now(self) -> int:
        """Seconds since the Unix epoch."""
        return to_seconds(self.clock())

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return to_nanoseconds(self.clock())
