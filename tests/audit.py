"""An audit log on a store of its own, and somebody who writes to its database without the key.

Used by the tests of `davserver/accounts/audit_*.py`, and by tests/property/test_audit_chain.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from davserver.accounts.audit_check import AuditReport
from davserver.accounts.audit_log import AuditLog
from davserver.accounts.audit_retention import AuditRetention
from davserver.accounts.audit_trail import AuditEntry, AuditTrail, Search
from davserver.audit import AuditEvent
from davserver.db.engine import Database
from davserver.keyring import Keyring
from tests.factories import make_database, make_keyring
from tests.fakes import FrozenClock, RecordingAudit
from tests.tamper import Value

ADDRESSES = timedelta(days=90)
ENTRIES = timedelta(days=400)

Row = tuple[Value, ...]


@dataclass
class AuditStore:
    """A store below a folder, opened; a second one on the same folder is another process.

    Attributes:
        told: what the lines of the log would say.
    """

    folder: Path
    clock: FrozenClock = field(default_factory=FrozenClock)
    told: RecordingAudit = field(default_factory=RecordingAudit)
    database: Database = field(init=False)
    keyring: Keyring = field(init=False)
    log: AuditLog = field(init=False)
    trail: AuditTrail = field(init=False)

    def __post_init__(self) -> None:
        self.database = make_database(self.folder)
        self.keyring = make_keyring(self.folder, self.database, self.clock)
        self.log = AuditLog(self.database, self.keyring, self.clock, self.told)
        self.trail = AuditTrail(self.database, self.keyring, self.log)

    def close(self) -> None:
        """Let go of the database."""
        self.database.dispose()

    def fill(self, count: int, account: str = "alice", client: str | None = "192.0.2.1") -> None:
        """Entries like any other, a minute apart."""
        for _ in range(count):
            self.clock.advance(minutes=1)
            self.log.record(AuditEvent.SIGNED_IN, account=account, client=client)

    def retention(
        self, addresses: timedelta = ADDRESSES, entries: timedelta | None = ENTRIES
    ) -> AuditRetention:
        """What forgets."""
        return AuditRetention(self.database, self.keyring, self.clock, addresses=addresses, entries=entries)

    def seen(self, wanted: Search | None = None) -> list[AuditEntry]:
        """What an administrator sees, the latest first, without the entry that says so."""
        shown = self.trail.latest(wanted or Search(), limit=1000, by="admin")
        return [one for one in shown if one.event != AuditEvent.AUDIT_READ.value]

    def problems(self) -> list[str]:
        """What `verify` finds."""
        return [one.text for one in self.verify().problems]

    def verify(self) -> AuditReport:
        """What `verify` says."""
        return self.trail.verify()

    # ── somebody without the key
    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        """Change the database behind the program's back; returns how many rows."""
        with closing(sqlite3.connect(self.folder / "sealdav.db")) as connection, connection:
            return connection.execute(statement, values).rowcount

    def rows(self, table: str = "audit_entry") -> list[Row]:
        """What is stored."""
        with closing(sqlite3.connect(self.folder / "sealdav.db")) as connection:
            return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()  # noqa: S608

    def copy(self, seq: int, *, to: int) -> None:
        """Write an entry down once more, under another number."""
        self.put([(to, *row[1:]) for row in self.rows() if row[0] == seq])

    def put(self, rows: Sequence[Row], table: str = "audit_entry") -> None:
        """Put rows in, over what is there."""
        for row in rows:
            marks = ", ".join("?" * len(row))
            self.run(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)  # noqa: S608
