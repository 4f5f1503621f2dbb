"""Deleting an account: key and credentials are destroyed in one transaction, the rest goes afterwards.

From that transaction on nothing opens the account any more, whatever happens next; `vault/shredding.py`
removes the rest, the row last. Called by the command line and the site. Backups hold the wrapped key until
they expire.
"""

from __future__ import annotations

from dataclasses import replace

from davserver.accounts import recovery, totp
from davserver.accounts.service import read_account
from davserver.accounts.throttle import Throttle
from davserver.audit import AuditEvent, AuditSink
from davserver.db.accounts import AccountRow
from davserver.db.engine import Database, Transaction
from davserver.db.rows import AuthenticatedRow
from davserver.errors import CorruptRow, NotFound, NotPermitted
from davserver.keyring import Keyring
from davserver.model import Account, AccountState


class AccountDeletion:
    """Ends accounts.

    Args:
        administrators_here: whether administrators are made here, and not by roles at an identity provider.
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        throttle: Throttle,
        audit: AuditSink,
        *,
        administrators_here: bool = True,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._throttle = throttle
        self._audit = audit
        self._administrators_here = administrators_here

    def find(self, username: str) -> Account:
        """The account with this user name, also one whose deletion is unfinished.

        Raises:
            NotFound: there is none.
            CorruptRow: its row was altered.
        """
        with self._database.read() as tx:
            return read_account(self._keyring, _existing(tx, username))

    def shred(self, username: str) -> Account:
        """Destroy key and credentials of an account; once more does no harm.

        Returns the account as it is then. Its name stays taken until its row is removed.

        Raises:
            NotFound: there is none.
            NotPermitted: nobody would be left to administer the site; the message says what to do.
            CorruptRow: a row was altered.
        """
        with self._database.write() as tx:
            row = self._keyring.checked(_existing(tx, username))
            if self._administrators_here:
                self._require_another_administrator(tx, row)
            tx.wipe_freed()
            gone = replace(row, state=AccountState.DELETED.value, wrapped_key=None, version=row.version + 1)
            gone = self._keyring.with_mac(gone)
            tx.accounts.replace(gone, expected_version=row.version)
            tx.deletion.delete_credentials(row.account_id)
            for rule in (totp.RULE, recovery.RULE):
                self._throttle.succeeded(tx, rule, row.account_id)
            self._audit.record(AuditEvent.ACCOUNT_DELETED, account=row.username, tx=tx)
            tx.commit()
        return read_account(self._keyring, gone)

    def _require_another_administrator(self, tx: Transaction, row: AccountRow) -> None:
        """Asked in the transaction that deletes: two administrators who go at once do not both get away."""
        admins = {one.account_id for one in tx.profiles.all() if one.admin and self._is_whole(one)}
        if row.account_id not in admins:
            return
        others = [one for one in tx.accounts.all() if one.account_id in admins - {row.account_id}]
        if not any(one.state == AccountState.ACTIVE.value and self._is_whole(one) for one in others):
            raise NotPermitted(
                f"{row.username} is the only administrator: make somebody else one first (sealdav user admin "
                f"NAME), or take the right away (sealdav user admin {row.username} --revoke)"
            )

    def _is_whole(self, row: AuthenticatedRow) -> bool:
        """Whether a row was not altered; one that was makes nobody an administrator and keeps nobody."""
        try:
            self._keyring.checked(row)
        except CorruptRow:
            return False
        return True


def _existing(tx: Transaction, username: str) -> AccountRow:
    row = tx.accounts.by_username(username.casefold())
    if row is None:
        raise NotFound("there is no account of this name")
    return row
