"""One connection of the driver inside one transaction, and what that transaction knows already.

Statements are either `Prepared` and run as they are, or built on the spot and run by SQLAlchemy over the same
connection. Whoever listens to the engine's `before_cursor_execute` and `commit` hears of both kinds: tests
count by that. Made by `Database`; used by the files of this package.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa

from davserver.db.prepared import Found, Prepared, Values
from davserver.model import AccountId


class Glance(NamedTuple):
    """What a transaction has seen of an account when it last looked.

    Attributes:
        structure_version: rises whenever a collection is moved or deleted; nobody vouches for it.
        used, quota, kept: bytes of plaintext.
        locked: whether any lock of the account is live.
    """

    structure_version: object
    used: object
    quota: object
    kept: object
    locked: bool


class Connections:
    """Connections that are not in use, the last one first: SQLAlchemy's own pool costs more than a statement.

    Args:
        engine: makes them.
        most: how many are kept.
    """

    def __init__(self, engine: sa.Engine, most: int) -> None:
        self.engine = engine
        self._most = most
        self._idle: list[sa.PoolProxiedConnection] = []

    def take(self) -> sa.PoolProxiedConnection:
        """One for a transaction."""
        try:
            return self._idle.pop()
        except IndexError:
            return self.engine.raw_connection()

    def give_back(self, connection: sa.PoolProxiedConnection) -> None:
        """After a transaction that has ended."""
        if len(self._idle) < self._most:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Give those that are not in use back to the engine, which is then to be disposed of."""
        while self._idle:
            self._idle.pop().close()


class Driver:
    """A transaction that has begun.

    Attributes:
        glances: what is known of accounts, by their ids; whoever changes any of it takes the entry out.
    """

    def __init__(self, connections: Connections, *, writes: bool) -> None:
        self.glances: dict[AccountId, Glance] = {}
        self._connections = connections
        self._engine = connections.engine
        self._hearing = tuple(self._engine.dispatch.before_cursor_execute)
        self._is_spent = False
        self._pooled = connections.take()
        self._raw: Any = self._pooled.driver_connection
        try:
            # At once where a write is meant: an upgrade in the middle could fail as "busy".
            self.script("BEGIN IMMEDIATE" if writes else "BEGIN")
        except BaseException:
            self._pooled.close()
            raise

    @cached_property
    def sqlalchemy(self) -> sa.Connection:
        """The same connection for SQLAlchemy, which knows of the transaction and does not end it."""
        connection = sa.Connection(self._engine, self._pooled)
        connection.begin()
        return connection

    def all(self, statement: Prepared, values: Values) -> list[Found]:
        """Every row."""
        return statement.rows(self._run(statement, values).fetchall())

    def one(self, statement: Prepared, values: Values) -> Found | None:
        """The only row, if there is one."""
        found = self.all(statement, values)
        return found[0] if found else None

    def change(self, statement: Prepared, values: Values) -> int:
        """Run a statement that changes something; returns how many rows."""
        return self._run(statement, values).rowcount

    def change_each(self, statement: Prepared, values: Iterable[Values]) -> None:
        """The same statement with other parameters, over and over."""
        arguments = [statement.arguments(each) for each in values]
        self._tell(statement.sql, arguments)
        self._raw.executemany(statement.sql, arguments)

    def script(self, sql: str) -> None:
        """Run a statement that is no query and has no parameters."""
        self._tell(sql, ())
        self._raw.execute(sql)

    def wipe_freed(self) -> None:
        """Overwrite with zeros what is deleted from here on; nobody else gets a connection that does."""
        self.script("PRAGMA secure_delete = ON")
        self._is_spent = True

    def commit(self) -> None:
        """Make the changes durable as the connection is set up to.

        A commit that fails closes the connection, which rolls back: SQLite keeps the transaction open, and
        whoever got the connection next would inherit it with its write lock.
        """
        try:
            for listener in self._engine.dispatch.commit:
                listener(self.sqlalchemy)
            self._raw.execute("COMMIT")
        except BaseException:
            self._pooled.invalidate()
            raise

    def end(self) -> None:
        """Give the connection back; what was not committed has not happened."""
        if not self._pooled.is_valid:  # a commit that failed
            return
        try:
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
        except BaseException:
            self._pooled.invalidate()
            raise
        if self._is_spent:
            self._pooled.invalidate()
        else:
            self._connections.give_back(self._pooled)

    def _run(self, statement: Prepared, values: Values) -> sqlite3.Cursor:
        arguments = statement.arguments(values)
        self._tell(statement.sql, arguments)
        cursor: sqlite3.Cursor = self._raw.execute(statement.sql, arguments)
        return cursor

    def _tell(self, sql: str, arguments: object) -> None:
        for listener in self._hearing:
            listener(None, None, sql, arguments, None, False)  # noqa: FBT003 - as SQLAlchemy calls it
