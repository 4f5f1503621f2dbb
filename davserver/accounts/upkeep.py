"""What is forgotten with time: sessions and links that are over, what devices did, old audit entries.

Called by `sealdav gc` and by the background thread of `serve`.
"""

from __future__ import annotations

from datetime import timedelta

from davserver.accounts.audit_log import AuditLog
from davserver.accounts.audit_retention import AuditRetention
from davserver.accounts.invitations import Invitations
from davserver.accounts.second_factor import ProviderSessions
from davserver.accounts.sessions import Sessions
from davserver.clock import Clock, to_seconds
from davserver.db.engine import Database


class Upkeep:
    """Forgets.

    Args:
        keep: how long addresses and programs of an app password's last use are kept, and what a device has
            done after it was last seen.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what forgets, and for how long
        self,
        database: Database,
        sessions: Sessions,
        provider_sessions: ProviderSessions,
        invitations: Invitations,
        audit_log: AuditLog,
        audit_retention: AuditRetention,
        clock: Clock,
        keep: timedelta,
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._provider_sessions = provider_sessions
        self._invitations = invitations
        self._audit_log = audit_log
        self._audit_retention = audit_retention
        self._clock = clock
        self._keep = keep

    def run(self) -> None:
        """Remove what is over."""
        self._sessions.forget()
        self._provider_sessions.forget()
        self._invitations.forget()
        with self._database.write() as tx:
            before = to_seconds(self._clock() - self._keep)
            tx.credentials.forget_uses(before=before)
            tx.signs.forget(before=before)
            tx.commit()
        self._audit_log.settle()
        self._audit_retention.run()
