"""What is kept for long enough, or is too much: given up, account by account. Part of garbage collection.

It must never give up something because a note of it in the table `kept` was altered; that stays, and
everything else is gone through all the same. Called by `Maintenance.collect`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from davserver.clock import Clock, to_seconds
from davserver.db.engine import Database, Transaction
from davserver.db.kept import Pair
from davserver.errors import CorruptRow
from davserver.model import NodeId
from davserver.vault.access import Access, HistoryLimits
from davserver.vault.kept import (
    BATCH_KEPT,
    GivenUp,
    give_up_in_steps,
    give_up_some,
    safe_until,
    surplus,
)
from davserver.vault.passes import OpenAccess, pass_through


@dataclass(frozen=True, slots=True)
class Expired:
    """What was given up, and what has kept one account or another from it."""

    gone: GivenUp
    error: CorruptRow | None


class Expiry:
    """One run.

    Args:
        open_access: opens an account's vault whatever its state.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        open_access: OpenAccess,
        history: HistoryLimits,
    ) -> None:
        self._database = database
        self._open_access = open_access
        self._history = history
        self._until = to_seconds(clock() - timedelta(days=history.keep_days))
        self._gone = GivenUp()
        self._error: CorruptRow | None = None

    def run(self) -> Expired:
        """Give up what is older than it may be, then what is more than it may be."""
        with self._database.read() as tx:
            crowded = tx.kept.crowded(most=self._history.max_versions)
            found = {*tx.kept.due(until=self._until), *tx.quota.overfull(self._history.max_share)}
        for account_id in sorted(found | {account_id for account_id, _ in crowded}):
            files = [file_id for account, file_id in crowded if account == account_id]
            work = partial(self._run_through, crowded=files)
            try:
                pass_through(self._database, self._open_access, account_id, work)
            except CorruptRow as error:
                self._error = self._error or error
        return Expired(self._gone, self._error)

    def _run_through(self, access: Access, crowded: Sequence[NodeId]) -> None:
        gone = give_up_in_steps(access, partial(self._due, access))
        for file_id in crowded:
            gone += self._give_up_too_many(access, file_id)
        gone += give_up_in_steps(access, partial(self._too_much, access))
        self._gone += gone
        if gone.altered:
            raise CorruptRow("something that is kept does not open, and stays")

    def _due(self, access: Access, tx: Transaction, gone: GivenUp) -> tuple[Sequence[Pair], int | None]:
        after, until = gone.behind, self._until
        return tx.kept.oldest(access.account_id, after=after, until=until, limit=BATCH_KEPT), None

    def _give_up_too_many(self, access: Access, file_id: NodeId) -> GivenUp:
        with access.write() as tx:
            try:
                pairs = tx.kept.versions(access.account_id, file_id)
            except CorruptRow:
                return GivenUp(altered=1)
            gone = give_up_some(access, tx, surplus(access, pairs, self._history.max_versions))
            tx.commit()
        return gone

    def _too_much(self, access: Access, tx: Transaction, gone: GivenUp) -> tuple[Sequence[Pair], int | None]:
        """No write needs the room now, so what is young enough to be missed yet stays."""
        excess = tx.quota.usage(access.account_id).excess(self._history.max_share)
        if excess <= 0:
            return (), None
        oldest = tx.kept.oldest(
            access.account_id, after=gone.behind, until=safe_until(access), fewest=1, limit=BATCH_KEPT
        )
        return oldest, excess
