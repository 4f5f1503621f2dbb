"""Ends what hangs on sessions at the identity provider that are over there: browsers here, and proofs.

The provider tells of most ends itself, but not of all: of those of a whole realm it says nothing. So whoever
has something that hangs on a session is asked about by themselves, now and then. Called by `rounds`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from davserver.accounts.second_factor import ProviderSessions
from davserver.accounts.service import read_account
from davserver.audit import PROVIDER, AuditEvent, AuditSink
from davserver.clock import Clock, to_seconds
from davserver.db.engine import Database
from davserver.errors import CorruptRow, NotFound
from davserver.identity.base import Registry
from davserver.keyring import Keyring
from davserver.model import Account, AccountId

AT_ONCE = 10
"""How many are asked about in one call, those first whose turn was longest ago."""


class LostSessions:
    """Looks for them.

    Args:
        every_seconds: how often somebody is asked about.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - parts
        self,
        database: Database,
        keyring: Keyring,
        registry: Registry,
        provider_sessions: ProviderSessions,
        clock: Clock,
        audit: AuditSink,
        every_seconds: int,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._registry = registry
        self._provider_sessions = provider_sessions
        self._clock = clock
        self._audit = audit
        self._every_seconds = every_seconds
        self._asked: dict[AccountId, int] = {}

    def end(self, *, since: int, may_go_on: Callable[[], bool]) -> None:
        """Ask about some of those who used their accounts since then, and end what is over.

        Raises:
            ProviderUnavailable, ProviderMisconfigured: as `Directory.find`.
        """
        with self._database.read() as tx:
            owners = tx.confirmations.with_sessions(since=since)
        self._asked = {one: self._asked.get(one, 0) for one in owners}
        now = to_seconds(self._clock())
        due = sorted((asked, one) for one, asked in self._asked.items() if now - asked >= self._every_seconds)
        for _, owner in due[:AT_ONCE]:
            if not may_go_on():
                return
            self._asked[owner] = now
            self._look_after(owner)

    def _look_after(self, owner: AccountId) -> None:
        with self._database.read() as tx:
            row = tx.accounts.by_id(owner)
        if row is None:
            return
        try:
            account = read_account(self._keyring, row)
            asked_at = to_seconds(self._clock())
            there = self._registry.sessions(account.subject)
        except (CorruptRow, NotFound):  # whoever reads the row says so; who is gone is shut out as a whole
            return
        self._end(account, {self._provider_sessions.session_id(one) for one in there}, asked_at)

    def _end(self, account: Account, there: Collection[bytes], asked_at: int) -> None:
        """End what hangs on no session that is there, unless it began after the question."""
        with self._database.write() as tx:
            browsers = [
                one for one in tx.sessions.of(account.id) if one.provider_session and one.began_at < asked_at
            ]
            lost = {one.provider_session for one in browsers if one.provider_session is not None}
            lost |= {one.provider_session for one in tx.proofs.of(account.id) if one.proved_at < asked_at}
            lost -= set(there)
            if not lost:
                return
            for one in browsers:
                if one.provider_session in lost:
                    tx.sessions.delete(one.session_id)
            for session_id in lost:
                self._provider_sessions.end(tx, session_id)
            self._audit.record(AuditEvent.SIGNED_OUT, account=account.username, actor=PROVIDER, tx=tx)
            tx.commit()
