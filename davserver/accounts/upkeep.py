"""What is forgotten with time: sessions and links that are over, and addresses of devices.

Called by `sealdav gc` and by the background thread of `serve`.
"""

from __future__ import annotations

from datetime import timedelta

from davserver.accounts.invitations import Invitations
from davserver.accounts.sessions import Sessions
from davserver.clock import Clock, to_seconds
from davserver.db.engine import Database


class Upkeep:
    """Forgets.

    Args:
        keep: how long addresses and programs of an app password's last use are kept.
    """

    def __init__(
        self, database: Database, sessions: Sessions, invitations: Invitations, clock: Clock, keep: timedelta
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._invitations = invitations
        self._clock = clock
        self._keep = keep

    def run(self) -> None:
        """Remove what is over."""
        self._sessions.forget()
        self._invitations.forget()
        with self._database.write() as tx:
            tx.credentials.forget_uses(before=to_seconds(self._clock() - self._keep))
            tx.commit()
