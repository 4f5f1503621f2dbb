"""Uploads that nobody has gone on with for long: given up, account by account. Part of garbage collection.

It must never give up one whose row was altered; the others are gone through all the same. Called by
`Maintenance.collect`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from davserver.db.engine import Database
from davserver.errors import CorruptRow, NotFound
from davserver.model import UPLOADS_ID, NodeId
from davserver.vault import unfinished as rows
from davserver.vault.access import Access
from davserver.vault.passes import OpenAccess, pass_through


@dataclass(frozen=True, slots=True)
class GivenUpUploads:
    """How many uploads were given up, and what has kept one account or another from it."""

    count: int
    error: CorruptRow | None


def give_up_idle(database: Database, open_access: OpenAccess) -> GivenUpUploads:
    """Give up what is idle, each in a transaction of its own: one may have very many parts.

    Args:
        database: all accounts.
        open_access: opens an account's vault whatever its state.
    """
    with database.read() as tx:
        holders = tx.nodes.holders(UPLOADS_ID)
    gone, first = list[NodeId](), None
    for account_id in holders:
        try:
            pass_through(database, open_access, account_id, lambda access: _run_through(access, gone))
        except CorruptRow as error:
            first = first or error
    return GivenUpUploads(len(gone), first)


def _run_through(access: Access, gone: list[NodeId]) -> None:
    """Give up what is idle in one account; adds what has gone.

    Raises:
        CorruptRow: one or several were altered; the others were gone through.
    """
    altered = list[CorruptRow]()
    with access.database.read() as tx:
        found = list(rows.all_opened(access, tx, altered.append))
    gone.extend(one.id for one in found if rows.is_idle(access, one) and _give_up(access, one.id))
    if altered:
        raise altered[0]


def _give_up(access: Access, upload_id: NodeId) -> bool:
    """Unless somebody has gone on with it meanwhile."""
    with suppress(NotFound), access.write() as tx:
        found = rows.find(access, tx, upload_id)
        if rows.is_idle(access, found):
            rows.remove(access, tx, found)
            tx.commit()
            return True
    return False
