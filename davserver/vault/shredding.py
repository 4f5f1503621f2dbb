"""What is left of a deleted account: its tree, then its contents, then its row. Nothing of it can be opened.

The account's key is destroyed before (`accounts/deletion.py`). May run beside serving processes, be stopped
at any point and be begun again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from davserver.blobs.base import BlobStore
from davserver.clock import Clock, to_seconds
from davserver.db.blob_index import BlobRow
from davserver.db.engine import Database
from davserver.errors import CorruptRow
from davserver.keyring import Keyring
from davserver.model import AccountId, BlobId
from davserver.vault.garbage import retire

BATCH_NODES = 1000
"""Nodes removed in one transaction, unless told otherwise."""

BATCH_BLOBS = 100
"""Contents removed in one go, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Shredded:
    """What was removed.

    Attributes:
        nodes: files and collections.
        blobs, bytes: contents, and their encrypted length.
        left: contents whose row was altered in the database, or that a file of another account names: nobody
            can tell whose they are, so they stay in the blob store, and `verify` names them.
    """

    nodes: int
    blobs: int
    bytes: int
    left: int


class Shredder:
    """Removes what belongs to accounts that are deleted.

    Args:
        batch_nodes, batch_blobs: how much is removed at a time.
    """

    def __init__(  # noqa: PLR0913 - parts and two numbers
        self,
        database: Database,
        blobs: BlobStore,
        keyring: Keyring,
        clock: Clock,
        *,
        batch_nodes: int = BATCH_NODES,
        batch_blobs: int = BATCH_BLOBS,
    ) -> None:
        self._batch_nodes = batch_nodes
        self._batch_blobs = batch_blobs
        self._database = database
        self._blobs = blobs
        self._keyring = keyring
        self._clock = clock

    def remove(self, account_id: AccountId, progress: Callable[[], None] = lambda: None) -> Shredded:
        """Remove everything of an account, its row last.

        An upload that was running when the account was deleted may still add to it: all is looked through
        again until nothing new is found.

        Args:
            account_id: an account whose key is destroyed.
            progress: called after every batch.
        """
        nodes, removed, tried = 0, list[BlobRow](), frozenset[BlobId]()
        while True:
            nodes += self._remove_nodes(account_id, progress)
            altered, kept = self._remove_blobs(account_id, removed, progress)
            left = altered | (kept & tried)  # what resists twice was not just in somebody else's hands
            tried = kept
            with self._database.write() as tx:
                gone = tx.deletion.delete_account(account_id, besides=left)
                tx.commit()
            progress()
            if gone:
                return Shredded(nodes, len(removed), sum(row.sealed_size for row in removed), len(left))

    def _remove_nodes(self, account_id: AccountId, progress: Callable[[], None]) -> int:
        total = 0
        while True:
            with self._database.write() as tx:
                count = tx.deletion.delete_some_nodes(account_id, limit=self._batch_nodes)
                tx.commit()
            if not count:
                return total
            total += count
            progress()

    def _remove_blobs(
        self, account_id: AccountId, removed: list[BlobRow], progress: Callable[[], None]
    ) -> tuple[frozenset[BlobId], frozenset[BlobId]]:
        """Remove contents; returns those whose row was altered, and those that something else kept."""
        altered, kept = set[BlobId](), set[BlobId]()
        after: BlobId | None = None
        while True:
            with self._database.read() as tx:
                rows = tx.deletion.blobs(account_id, after=after, limit=self._batch_blobs)
            if not rows:
                return frozenset(altered), frozenset(kept)
            after = rows[-1].blob_id
            genuine = [row for row in rows if self._is_genuine(row)]
            retired = self._retire(genuine)
            removed += retired
            altered |= _ids(rows) - _ids(genuine)
            kept |= _ids(genuine) - _ids(retired)
            progress()

    def _retire(self, rows: list[BlobRow]) -> list[BlobRow]:
        now = to_seconds(self._clock())
        with self._database.write() as tx:
            for row in rows:
                tx.blobs.mark_unreferenced(row.blob_id, now=now)
            tx.commit()
        return retire(self._database, self._blobs, self._keyring, rows, before=now)

    def _is_genuine(self, row: BlobRow) -> bool:
        """Whether the content is this account's: a row that was altered may name somebody else's."""
        try:
            self._keyring.checked(row)
        except CorruptRow:
            return False
        return True


def _ids(rows: Iterable[BlobRow]) -> set[BlobId]:
    return {row.blob_id for row in rows}
