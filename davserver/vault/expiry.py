"""What is kept for long enough, or is too much: given up, account by account. Part of garbage collection.

It must never give up something because a note of it in the table `kept` was altered; such an account is left
as it is, and the others are gone through all the same. Called by `Maintenance.collect`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from davserver.clock import Clock, to_seconds
from davserver.db.accounts import AccountRow
from davserver.db.engine import Database, Transaction
from davserver.db.kept import Pair
from davserver.errors import CorruptRow
from davserver.model import AccountId, NodeId
from davserver.vault.access import Access, HistoryLimits
from davserver.vault.kept import BATCH_KEPT, GivenUp, give_up_some

Choose = Callable[[Transaction], tuple[Sequence[Pair], int | None]]
"""What is to go next, and how many bytes of it are enough, if not all of it goes."""


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
        open_access: Callable[[AccountRow], Access],
        history: HistoryLimits,
    ) -> None:
        self._database = database
        self._open_access = open_access
        self._history = history
        self._until = to_seconds(clock() - timedelta(days=history.keep_days))
        self._gone = GivenUp()

    def run(self) -> Expired:
        """Give up what is older than it may be, then what is more than it may be."""
        with self._database.read() as tx:
            crowded = tx.kept.crowded(most=self._history.max_versions)
            found = {*tx.kept.due(until=self._until), *tx.quota.overfull(self._history.max_share)}
        first: CorruptRow | None = None
        for account_id in sorted(found | {account_id for account_id, _ in crowded}):
            files = [file_id for account, file_id in crowded if account == account_id]
            try:
                self._run_through(account_id, files)
            except CorruptRow as error:
                first = first or error
        return Expired(self._gone, first)

    def _run_through(self, account_id: AccountId, crowded: Sequence[NodeId]) -> None:
        with self._database.read() as tx:
            account = tx.accounts.by_id(account_id)
        if account is None:  # deleted in between, and all that it had with it
            return
        access = self._open_access(account)
        self._give_up(access, partial(self._due, account_id))
        for file_id in crowded:
            self._give_up(access, partial(self._too_many, account_id, file_id))
        self._give_up(access, partial(self._too_much, account_id))

    def _give_up(self, access: Access, choose: Choose) -> None:
        while True:
            with access.write() as tx:
                pairs, enough = choose(tx)
                if not pairs:
                    return
                gone = give_up_some(access, tx, pairs, enough=enough)
                tx.commit()
            self._gone += gone

    def _due(self, account_id: AccountId, tx: Transaction) -> tuple[Sequence[Pair], int | None]:
        return tx.kept.oldest(account_id, until=self._until, limit=BATCH_KEPT), None

    def _too_many(
        self, account_id: AccountId, file_id: NodeId, tx: Transaction
    ) -> tuple[Sequence[Pair], int | None]:
        return tx.kept.versions(account_id, file_id)[self._history.max_versions :], None

    def _too_much(self, account_id: AccountId, tx: Transaction) -> tuple[Sequence[Pair], int | None]:
        excess = tx.quota.usage(account_id).excess(self._history.max_share)
        if excess <= 0:
            return (), None
        return tx.kept.oldest(account_id, fewest=1, limit=BATCH_KEPT), excess
