"""Looking after the store: garbage collection, and the scrub that reads everything back (`scrub.py`).

Garbage is: what was deleted or overwritten and has been kept for long enough (`expiry.py`), blobs that no
file names, what crashed writers left, copies that were never finished, uploads that nobody goes on with
(`idle.py`), and locks whose time is up with the empty files that lived by them. Both may run beside any
number of serving processes and never remove what a file names. Called by the command line and by the
background thread of `serve`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from davserver.blobs.base import BlobStore
from davserver.clock import Clock, to_seconds
from davserver.db.blob_index import BlobRow
from davserver.db.engine import Database
from davserver.db.locks import LockRow
from davserver.keyring import Keyring
from davserver.vault.access import HistoryLimits
from davserver.vault.expiry import Expiry
from davserver.vault.garbage import retire
from davserver.vault.idle import give_up_idle
from davserver.vault.locking import sweep
from davserver.vault.passes import OpenAccess, pass_through
from davserver.vault.scrub import Progress, Scrub, VerifyReport, show_nothing

BATCH_BLOBS = 100
"""Blobs claimed in one transaction."""

BATCH_LOCKS = 100
"""Locks looked at in one transaction."""


@dataclass(frozen=True, slots=True)
class GcReport:
    """What was removed.

    Attributes:
        blobs, bytes: contents that no file names, and their encrypted length.
        leftovers: temporary files of crashed writers.
        copies: COPY requests that a crash interrupted.
        locks: write locks whose time was up.
        kept, kept_bytes: entries of the trash and previous versions, and their length; their contents are
            garbage from now on, and go after the grace.
        uploads: unfinished ones that nobody has gone on with; the same holds for their contents.
    """

    blobs: int
    bytes: int
    leftovers: int
    copies: int
    locks: int
    kept: int = 0
    kept_bytes: int = 0
    uploads: int = 0


class Maintenance:
    """Looks after what is no longer needed."""

    def __init__(  # noqa: PLR0913, PLR0917 - parts
        self,
        database: Database,
        blobs: BlobStore,
        keyring: Keyring,
        clock: Clock,
        open_access: OpenAccess,
        history: HistoryLimits,
    ) -> None:
        self._database = database
        self._history = history
        self._blobs = blobs
        self._keyring = keyring
        self._clock = clock
        self._open_access = open_access

    def verify(self, progress: Progress = show_nothing) -> VerifyReport:
        """Read everything back and say what is not as it was written; changes nothing."""
        return Scrub(self._database, self._blobs, self._keyring, self._open_access).run(progress)

    def collect(self, *, grace: timedelta) -> GcReport:
        """Remove garbage that is older than `grace`.

        Args:
            grace: longer than any download, and than an upload can go without storing a byte. Zero is right
                only while no server runs.

        Raises:
            CorruptRow: a row was altered; what it names is kept.
        """
        moment = self._clock() - grace
        before = to_seconds(moment)
        locks = self._drop_expired_locks()
        copies = self._drop_unfinished_copies(before)
        expired = Expiry(self._database, self._clock, self._open_access, self._history).run()
        idle = give_up_idle(self._database, self._open_access)
        removed: list[BlobRow] = []
        while batch := self._collectable(before):
            removed += retire(self._database, self._blobs, self._keyring, batch, before=before)
        leftovers = self._blobs.sweep(moment)
        for error in (expired.error, idle.error):
            if error is not None:
                raise error
        return GcReport(
            len(removed),
            sum(row.sealed_size for row in removed),
            leftovers,
            copies,
            locks,
            expired.gone.count,
            expired.gone.bytes,
            idle.count,
        )

    def _collectable(self, before: int) -> list[BlobRow]:
        with self._database.read() as tx:
            return tx.blobs.collectable(live_before=before, staging_before=before, limit=BATCH_BLOBS)

    def _drop_expired_locks(self) -> int:
        """Locks of clients that went away (RFC 4918, 6.6); they have long ceased to keep anything."""
        dropped = 0
        while rows := self._expired_locks():
            for account_id in {row.account_id for row in rows}:
                own = [row for row in rows if row.account_id == account_id]
                lock_ids, node_ids = [row.lock_id for row in own], {row.node_id for row in own}
                work = partial(sweep, lock_ids=lock_ids, node_ids=node_ids)
                pass_through(self._database, self._open_access, account_id, work)
            dropped += len(rows)
        return dropped

    def _expired_locks(self) -> list[LockRow]:
        with self._database.read() as tx:
            return tx.locks.expired(now=to_seconds(self._clock()), limit=BATCH_LOCKS)

    def _drop_unfinished_copies(self, before: int) -> int:
        with self._database.write() as tx:
            abandoned = tx.nodes.abandoned(before=before)
            for account_id, node_id in abandoned:
                tx.nodes.delete_subtree(account_id, node_id, now=to_seconds(self._clock()))
                tx.nodes.unhide(account_id, node_id)
            tx.commit()
        return len(abandoned)
