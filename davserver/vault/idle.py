"""Uploads that nobody has gone on with for a day: given up, account by account. Part of garbage collection.

It must never give up one whose row was altered; the others are gone through all the same. Called by
`Maintenance.collect`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from davserver.db.accounts import AccountRow
from davserver.db.engine import Database
from davserver.errors import CorruptRow, NotFound
from davserver.model import UPLOADS_ID, AccountId, NodeId
from davserver.vault import unfinished as rows
from davserver.vault.access import Access


@dataclass(frozen=True, slots=True)
class GivenUpUploads:
    """How many uploads were given up, and what has kept one account or another from it."""

    count: int
    error: CorruptRow | None


def give_up_idle(database: Database, open_access: Callable[[AccountRow], Access]) -> GivenUpUploads:
    """Give up what is idle, each in a transaction of its own: one may have very many parts.

    Args:
        database: all accounts.
        open_access: opens an account's vault whatever its state.
    """
    with database.read() as tx:
        holders = tx.nodes.holders(UPLOADS_ID)
    count, first = 0, None
    for account_id in holders:
        try:
            count += _run_through(database, open_access, account_id)
        except CorruptRow as error:
            first = first or error
    return GivenUpUploads(count, first)


def _run_through(
    database: Database, open_access: Callable[[AccountRow], Access], account_id: AccountId
) -> int:
    with database.read() as tx:
        account = tx.accounts.by_id(account_id)
    if account is None:  # deleted in between, and all that it had with it
        return 0
    access = open_access(account)
    with database.read() as tx:
        found = [rows.opened(access, row) for row in rows.rows(access, tx)]
    return sum(_give_up(access, one.id) for one in found if rows.is_idle(access, one))


def _give_up(access: Access, upload_id: NodeId) -> bool:
    """Unless somebody has gone on with it meanwhile."""
    with suppress(NotFound), access.write() as tx:
        found = rows.find(access, tx, upload_id)
        if rows.is_idle(access, found):
            rows.remove(access, tx, found)
            tx.commit()
            return True
    return False
