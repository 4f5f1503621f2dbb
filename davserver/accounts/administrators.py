"""That somebody is left to administer the site, whoever goes: the one place that counts administrators.

Asked in the transaction that makes somebody go, so that two who go at once do not both get away. Called by
`administration.py` and `deletion.py`.
"""

from __future__ import annotations

from davserver.db.accounts import AccountRow
from davserver.db.engine import Transaction
from davserver.db.rows import AuthenticatedRow
from davserver.errors import CorruptRow, NotPermitted
from davserver.keyring import Keyring
from davserver.model import AccountState


class Administrators:
    """Those of this installation.

    Args:
        here: whether administrators are made here; else roles at an identity provider make them, and nobody
            here can tell how many there are.
    """

    def __init__(self, keyring: Keyring, *, here: bool) -> None:
        self._keyring = keyring
        self._here = here

    def require_another(self, tx: Transaction, row: AccountRow) -> None:
        """Refuse to let the last one go who can sign in.

        Args:
            tx: the transaction in which somebody goes.
            row: the account of whoever goes, not changed yet in this transaction.

        Raises:
            NotPermitted: nobody would be left; the message says what to do.
        """
        if not self._here:
            return
        admins = {one.account_id for one in tx.profiles.all() if one.admin and self._is_whole(one)}
        if row.account_id not in admins:
            return
        others = [one for one in tx.accounts.all() if one.account_id in admins - {row.account_id}]
        if not any(one.state == AccountState.ACTIVE.value and self._is_whole(one) for one in others):
            raise NotPermitted(
                "%(name)s is the only administrator: make somebody else one first (sealdav user admin "
                "NAME), or take the right away (sealdav user admin %(name)s --revoke)",
                name=row.username,
            )

    def _is_whole(self, row: AuthenticatedRow) -> bool:
        """Whether a row was not altered; one that was makes nobody an administrator and keeps nobody."""
        try:
            self._keyring.checked(row)
        except CorruptRow:
            return False
        return True
