"""The database: how a transaction begins, ends and fails. SQL lives beside it, one file a table family.

    with database.write() as tx:
        tx.nodes.insert(...)
        tx.commit()

Leaving the block without `commit()` rolls back. Nothing above this package sees SQLAlchemy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, StatementError

from davserver.db.accounts import Accounts
from davserver.db.audit import AuditTable
from davserver.db.blob_index import BlobIndex
from davserver.db.confirmations import ConfirmationsTable
from davserver.db.credentials import Credentials
from davserver.db.deletion import Deletion
from davserver.db.driver import Connections, Driver
from davserver.db.ended import EndedTable
from davserver.db.instance import Instance
from davserver.db.invitations import InvitationsTable
from davserver.db.kept import Kept
from davserver.db.lease import LeaseTable
from davserver.db.locks import Locks
from davserver.db.nodes import Nodes
from davserver.db.profiles import ProfilesTable
from davserver.db.proofs import ProofsTable
from davserver.db.properties import Properties
from davserver.db.quota import Quota
from davserver.db.recovery_codes import RecoveryCodesTable
from davserver.db.rekeying import Rekeying
from davserver.db.roster import RosterTables
from davserver.db.sessions import SessionsTable
from davserver.db.signs import SignsTable
from davserver.db.summary import Summary
from davserver.db.throttle import ThrottleTable
from davserver.db.writer import Writer
from davserver.errors import CorruptRow, StorageFull, StorageUnavailable, VersionConflict
from davserver.model import AccountId, Durability

BUSY_TIMEOUT_MS = 30_000
"""How long a writer is waited for that takes no turns, such as another program, before the request fails with
StorageUnavailable."""

PAGE_BYTES = 8192
"""SQLite page size: a node row of about 400 bytes then packs well in its clustered table."""

JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint."""

Made = TypeVar("Made")

POOL_SIZE = 32
"""Connections kept open: one for each request that may run at once."""


FOREIGN = (sqlite3.Error, DBAPIError, StatementError)
"""What the driver and SQLAlchemy raise."""


def translated(error: sqlite3.Error | StatementError) -> StorageUnavailable | VersionConflict | CorruptRow:
    """One of our errors instead; the driver's text may hold values and is not passed on."""
    cause = error.orig if isinstance(error, StatementError) else error
    if not isinstance(cause, sqlite3.Error):  # an id that a row gave, of a type that only SQLite allows there
        return CorruptRow("a row names another one by something that is no id")
    code = getattr(cause, "sqlite_errorcode", None)
    if code is None and isinstance(
        cause, sqlite3.OperationalError
    ):  # no error of SQLite's, but of the driver
        return CorruptRow("a text in the database is not encoded as such")
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("no space left for the database")
    if isinstance(cause, sqlite3.IntegrityError):
        return VersionConflict("somebody else changed the same rows in between")
    reason = getattr(cause, "sqlite_errorname", type(cause).__name__)
    return StorageUnavailable(f"the database refused ({reason})")


class _lazy(Generic[Made]):  # noqa: N801 - used like `cached_property`
    """`cached_property` without its lock, for objects that belong to one thread."""

    def __init__(self, make: Callable[[Transaction], Made]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, owner: Transaction, _type: type[Transaction]) -> Made:
        made = owner.__dict__[self._make.__name__] = self._make(owner)
        return made


class Transaction:
    """One unit of work: every table family over one connection. To be used as a context, once.

    Args:
        connections: where its connection comes from and goes to.
        writer: for one that writes: whose turn it is; None for one that only reads.

    Attributes:
        writes: whether it may change anything.
    """

    _driver: Driver

    def __init__(self, connections: Connections, writer: Writer | None) -> None:
        self.writes = writer is not None
        self._connections = connections
        self._writer = writer
        self._afterwards: list[Callable[[], None]] = []
        self._committed = False

    def __enter__(self) -> Self:
        if self._writer is not None:
            self._writer.take()
        try:
            self._driver = Driver(self._connections, writes=self.writes)
        except BaseException as error:
            if self._writer is not None:
                self._writer.give()
            if isinstance(error, FOREIGN):
                raise translated(error) from None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._writer is None:
                self._driver.end()
            else:
                self._end_write(self._writer)
        except FOREIGN as another:
            raise translated(another) from None
        if isinstance(error, FOREIGN):
            raise translated(error) from None

    def _end_write(self, writer: Writer) -> None:
        try:
            self._driver.end()  # first, because the next writer uses the same connection
        finally:
            writer.give()
        if self._committed:
            writer.wait_until_durable()
            for call in self._afterwards:
                call()

    @property
    def _connection(self) -> sa.Connection:
        """For statements that are built on the spot."""
        return self._driver.sqlalchemy

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once the changes are durable and others may write; never if they are not."""
        self._afterwards.append(call)

    def commit(self) -> None:
        """Make the changes visible; durable, as the setting says, they are when the block is left. Once."""
        self._driver.commit()
        self._committed = True

    def wipe_freed(self) -> None:
        """From here on overwrite with zeros what is deleted: else it stays on pages that become free."""
        self._driver.wipe_freed()

    @cached_property
    def instance(self) -> Instance:
        """Who this installation is, and its master keys."""
        return Instance(self._connection)

    @cached_property
    def accounts(self) -> Accounts:
        """Accounts, their wrapped keys, quota and built-in identities."""
        return Accounts(self._connection)

    @_lazy
    def credentials(self) -> Credentials:
        """App passwords and TOTP devices."""
        return Credentials(self._driver)

    @cached_property
    def recovery_codes(self) -> RecoveryCodesTable:
        """Recovery codes that were not used yet."""
        return RecoveryCodesTable(self._connection)

    @_lazy
    def signs(self) -> SignsTable:
        """What devices have done, and what they were refused for."""
        return SignsTable(self._driver)

    @cached_property
    def sessions(self) -> SessionsTable:
        """Signed-in browsers."""
        return SessionsTable(self._connection)

    @cached_property
    def proofs(self) -> ProofsTable:
        """Sessions at the identity provider whose second factor was proved here."""
        return ProofsTable(self._connection)

    @cached_property
    def ended(self) -> EndedTable:
        """Sessions at the identity provider whose tokens count no more."""
        return EndedTable(self._connection)

    @cached_property
    def invitations(self) -> InvitationsTable:
        """Links that let somebody set up an account."""
        return InvitationsTable(self._connection)

    @cached_property
    def profiles(self) -> ProfilesTable:
        """Who is an administrator, and where notices go."""
        return ProfilesTable(self._connection)

    @cached_property
    def confirmations(self) -> ConfirmationsTable:
        """What the identity provider last said of whom."""
        return ConfirmationsTable(self._connection)

    @cached_property
    def lease(self) -> LeaseTable:
        """Which process asks the identity provider."""
        return LeaseTable(self._connection)

    @cached_property
    def rekeying(self) -> Rekeying:
        """Every row under the master key, for its rotation."""
        return Rekeying(self._connection)

    @cached_property
    def deletion(self) -> Deletion:
        """What is left of an account that is being deleted."""
        return Deletion(self._connection)

    @cached_property
    def summary(self) -> Summary:
        """What an account has, in numbers."""
        return Summary(self._connection)

    @cached_property
    def roster(self) -> RosterTables:
        """Accounts a page at a time, with what administrators see of each."""
        return RosterTables(self._connection)

    @cached_property
    def audit(self) -> AuditTable:
        """The audit log: its entries and its head."""
        return AuditTable(self._connection)

    @cached_property
    def throttle(self) -> ThrottleTable:
        """Failure counters."""
        return ThrottleTable(self._connection)

    @_lazy
    def nodes(self) -> Nodes:
        """The tree."""
        return Nodes(self._driver)

    @_lazy
    def kept(self) -> Kept:
        """What is in the trash, and what files were before."""
        return Kept(self._driver)

    @_lazy
    def locks(self) -> Locks:
        """Write locks."""
        return Locks(self._driver)

    @cached_property
    def properties(self) -> Properties:
        """Dead properties."""
        return Properties(self._driver)

    @_lazy
    def quota(self) -> Quota:
        """Bytes stored, per account."""
        return Quota(self._driver)

    @_lazy
    def blobs(self) -> BlobIndex:
        """Which blobs exist, in which state, and the small ones themselves."""
        return BlobIndex(self._driver)


Within = Callable[[Transaction, AccountId], object]
"""What else belongs into a transaction that changes an account; the result is not looked at."""


class Database:
    """SQLite in write-ahead mode: any number of readers beside one writer.

    Args:
        url: as SQLAlchemy has it.
        durability: what a commit waits for.
        step_aside: called before another writer or the disk is waited for.
    """

    def __init__(
        self, url: str, *, durability: Durability = "full", step_aside: Callable[[], None] = lambda: None
    ) -> None:
        self.engine = sa.create_engine(
            url,
            poolclass=sa.QueuePool,
            pool_size=1,  # `Connections` keeps them
            max_overflow=-1,
            pool_reset_on_return=None,
            hide_parameters=True,  # else an error's text would hold verifiers and sealed names
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        event.listen(self.engine, "connect", _prepare_connection)
        self._readers = Connections(self.engine, POOL_SIZE)
        # All writers use one connection: what it keeps of the database stays true until another one writes.
        self._writers = Connections(self.engine, 1)
        self._writer = Writer(Path(self.engine.url.database or ""), durability, step_aside)

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent snapshot. Never hold one while a body streams (docs/architecture.md)."""
        return Transaction(self._readers, None)

    def write(self) -> AbstractContextManager[Transaction]:
        """The only writer of this process; waits for writers of other processes.

        Raises:
            RuntimeError: this thread is writing already, and would wait for itself for ever.
        """
        return Transaction(self._writers, self._writer)

    def empty_log(self) -> bool:
        """Move the write-ahead log into the database and cut it to nothing: it holds older versions of pages.

        Waits for readers as long as a writer would; False if one of them held it longer. The log is then
        emptied when the last process closes the database.
        """
        try:
            with closing(self.engine.raw_connection()) as connection:
                cursor = connection.cursor()
                busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.close()
        except FOREIGN as error:
            raise translated(error) from None
        return not busy

    def dispose(self) -> None:
        """Close every pooled connection. To be called before a fork: no connection may cross one."""
        self._readers.close()
        self._writers.close()
        self.engine.dispose()  # last: what comes back to a pool that was disposed of stays open
        self._writer.close()


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # `Driver` decides how a transaction starts, not the library
    cursor = connection.cursor()
    for pragma in (
        f"page_size = {PAGE_BYTES}",
        "journal_mode = WAL",
        "synchronous = NORMAL",  # commits are synced by `LogSync`, checkpoints by SQLite
        "foreign_keys = ON",
        "temp_store = MEMORY",  # names and metadata are sealed, but nothing of a query belongs on disk
        "secure_delete = FAST",
        f"journal_size_limit = {JOURNAL_LIMIT_BYTES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
