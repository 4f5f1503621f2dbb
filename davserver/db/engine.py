"""The database: how a transaction begins, ends and fails. SQL lives beside it, one file a table family.

    with database.write() as tx:
        tx.nodes.insert(...)
        tx.commit()

Leaving the block without `commit()` rolls back. Nothing above this package sees SQLAlchemy.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, StatementError

from davserver.db.accounts import Accounts
from davserver.db.blob_index import BlobIndex
from davserver.db.credentials import Credentials
from davserver.db.deletion import Deletion
from davserver.db.driver import Driver
from davserver.db.instance import Instance
from davserver.db.invitations import InvitationsTable
from davserver.db.locks import Locks
from davserver.db.nodes import Nodes
from davserver.db.profiles import ProfilesTable
from davserver.db.properties import Properties
from davserver.db.quota import Quota
from davserver.db.recovery_codes import RecoveryCodesTable
from davserver.db.rekeying import Rekeying
from davserver.db.sessions import SessionsTable
from davserver.db.summary import Summary
from davserver.db.throttle import ThrottleTable
from davserver.errors import CorruptRow, StorageFull, StorageUnavailable, VersionConflict
from davserver.model import AccountId, Durability

BUSY_TIMEOUT_MS = 30_000
"""How long a writer of another process is waited for before the request fails with StorageUnavailable."""

PAGE_BYTES = 8192
"""SQLite page size: a node row of about 400 bytes then packs well in its clustered table."""

JOURNAL_LIMIT_BYTES = 64 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint."""

POOL_SIZE = 32
"""Connections kept open: one for each request that may run at once."""


class Transaction:
    """One unit of work: every table family over one connection.

    Attributes:
        writes: whether it may change anything.
    """

    def __init__(self, driver: Driver, *, writes: bool) -> None:
        self.writes = writes
        self._driver = driver

    @property
    def _connection(self) -> sa.Connection:
        """For statements that are built on the spot."""
        return self._driver.sqlalchemy

    def commit(self) -> None:
        """Make the changes durable as the setting `durability` says. May be called once."""
        self._driver.commit()

    def wipe_freed(self) -> None:
        """From here on overwrite with zeros what is deleted: else it stays on pages that become free."""
        self._driver.script("PRAGMA secure_delete = ON")

    @cached_property
    def instance(self) -> Instance:
        """Who this installation is, and its master keys."""
        return Instance(self._connection)

    @cached_property
    def accounts(self) -> Accounts:
        """Accounts, their wrapped keys, quota and built-in identities."""
        return Accounts(self._connection)

    @cached_property
    def credentials(self) -> Credentials:
        """App passwords and TOTP devices."""
        return Credentials(self._driver)

    @cached_property
    def recovery_codes(self) -> RecoveryCodesTable:
        """Recovery codes that were not used yet."""
        return RecoveryCodesTable(self._connection)

    @cached_property
    def sessions(self) -> SessionsTable:
        """Signed-in browsers."""
        return SessionsTable(self._connection)

    @cached_property
    def invitations(self) -> InvitationsTable:
        """Links that let somebody set up an account."""
        return InvitationsTable(self._connection)

    @cached_property
    def profiles(self) -> ProfilesTable:
        """Who is an administrator, and where notices go."""
        return ProfilesTable(self._connection)

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
    def throttle(self) -> ThrottleTable:
        """Failure counters."""
        return ThrottleTable(self._connection)

    @cached_property
    def nodes(self) -> Nodes:
        """The tree."""
        return Nodes(self._driver)

    @cached_property
    def locks(self) -> Locks:
        """Write locks."""
        return Locks(self._driver)

    @cached_property
    def properties(self) -> Properties:
        """Dead properties."""
        return Properties(self._driver)

    @cached_property
    def quota(self) -> Quota:
        """Bytes stored, per account."""
        return Quota(self._driver)

    @cached_property
    def blobs(self) -> BlobIndex:
        """Which blobs exist, in which state, and the small ones themselves."""
        return BlobIndex(self._driver)


Within = Callable[[Transaction, AccountId], object]
"""What else belongs into a transaction that changes an account; the result is not looked at."""


class Database:
    """SQLite in write-ahead mode: any number of readers beside one writer."""

    def __init__(self, url: str, *, durability: Durability = "full") -> None:
        self._durability = durability
        self._writer = threading.Lock()
        self.engine = sa.create_engine(
            url,
            poolclass=sa.QueuePool,
            pool_size=POOL_SIZE,
            max_overflow=-1,
            pool_reset_on_return=None,  # `Driver.end` has done it
            hide_parameters=True,  # else an error's text would hold verifiers and sealed names
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        event.listen(self.engine, "connect", self._prepare_connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent snapshot. Never hold one while a body streams (docs/architecture.md)."""
        with _translated(), self._transaction(writes=False) as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """The only writer of this process; waits for writers of other processes."""
        with _translated(), self._writer, self._transaction(writes=True) as tx:
            yield tx

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Transaction]:
        driver = Driver(self.engine, writes=writes)
        try:
            yield Transaction(driver, writes=writes)
        finally:
            driver.end()

    def empty_log(self) -> bool:
        """Move the write-ahead log into the database and cut it to nothing: it holds older versions of pages.

        Waits for readers as long as a writer would; False if one of them held it longer. The log is then
        emptied when the last process closes the database.
        """
        with _translated(), closing(self.engine.raw_connection()) as connection:
            cursor = connection.cursor()
            busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.close()
        return not busy

    def dispose(self) -> None:
        """Close every pooled connection. To be called before a fork: no connection may cross one."""
        self.engine.dispose()

    def _prepare_connection(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # `Driver` decides how a transaction starts, not the library
        cursor = connection.cursor()
        for pragma in (
            f"page_size = {PAGE_BYTES}",
            "journal_mode = WAL",
            f"synchronous = {'FULL' if self._durability == 'full' else 'NORMAL'}",
            "foreign_keys = ON",
            "temp_store = MEMORY",  # names and metadata are sealed, but nothing of a query belongs on disk
            "secure_delete = FAST",
            f"journal_size_limit = {JOURNAL_LIMIT_BYTES}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's errors into ours; the driver's text may hold values and is not passed on."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error) from None
    except DBAPIError as error:
        raise _ours(error.orig) from None
    except StatementError:  # an id that a row gave, of a type that only SQLite allows there
        raise CorruptRow("a row names another one by something that is no id") from None


def _ours(error: BaseException | None) -> StorageUnavailable | VersionConflict:
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_FULL:
        return StorageFull("no space left for the database")
    if isinstance(error, sqlite3.IntegrityError):
        return VersionConflict("somebody else changed the same rows in between")
    reason = getattr(error, "sqlite_errorname", type(error).__name__)
    return StorageUnavailable(f"the database refused ({reason})")
