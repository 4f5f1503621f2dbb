"""How garbage collection comes to an account that it has found something of: opened, unless it is going.

Called by `expiry.py`, `idle.py` and `Maintenance`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from davserver.db.accounts import AccountRow
from davserver.db.engine import Database
from davserver.errors import CorruptRow, NotFound
from davserver.model import AccountId, AccountState
from davserver.vault.access import Access

OpenAccess = Callable[[AccountRow], Access]
"""Opens an account's vault whatever its state."""


def pass_through(
    database: Database, open_access: OpenAccess, account_id: AccountId, work: Callable[[Access], None]
) -> None:
    """Do something in an account; nothing if it was deleted since it was found, or is deleted meanwhile.

    Raises:
        CorruptRow: something of an account that stays was altered.
    """
    account = _staying(database, account_id)
    if account is None:
        return
    try:
        with suppress(NotFound):  # the account's row has gone
            work(open_access(account))
    except CorruptRow:
        if _staying(database, account_id) is not None:
            raise
        # Its key is destroyed, and its rows are going one by one: nothing was altered.


def _staying(database: Database, account_id: AccountId) -> AccountRow | None:
    with database.read() as tx:
        account = tx.accounts.by_id(account_id)
    return None if account is None or account.state == AccountState.DELETED.value else account
