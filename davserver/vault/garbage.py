"""How a blob ends: claimed in the database, then its bytes go, then its row with the wrapped key.

In this order a crash at any point leaves a row that says what is still to be removed, and bytes that a file
needs can never be the ones that go. Called by `Upload.abort` and by `Maintenance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from davserver.blobs.base import BlobStore
from davserver.db.blob_index import BlobRow, BlobState
from davserver.db.engine import Database
from davserver.keyring import Keyring


def retire(
    database: Database, blobs: BlobStore, keyring: Keyring, rows: Sequence[BlobRow], *, before: int
) -> list[BlobRow]:
    """Remove those of the blobs that no file has named since `before`; returns the ones that were removed.

    Raises:
        CorruptRow: a row was altered; nothing was removed.
    """
    for row in rows:
        keyring.checked(row)
    with database.write() as tx:
        claimed = [
            row
            for row in rows
            if row.state == BlobState.DEAD
            or tx.blobs.claim(_dead(keyring, row), old_state=row.state, before=before)
        ]
        tx.commit()
    if not claimed:
        return []
    for row in claimed:
        if not row.inline:
            blobs.delete(row.blob_id)
    with database.write() as tx:
        tx.blobs.forget([row.blob_id for row in claimed])
        tx.commit()
    return claimed


def _dead(keyring: Keyring, row: BlobRow) -> BlobRow:
    return keyring.with_mac(replace(row, state=BlobState.DEAD, version=row.version + 1))
