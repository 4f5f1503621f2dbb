"""Room for what is written: what is kept never stands in its way, the oldest of it is given up first.

Each time in a transaction of its own, and only if all that is kept would be enough; then the change is tried
again, from its beginning. What does not open any more gives no room; garbage collection tells of it. Called
by `Upload` and `Copying`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from davserver.db.engine import Transaction
from davserver.db.kept import Pair
from davserver.errors import QuotaExceeded
from davserver.vault.access import Access
from davserver.vault.kept import BATCH_KEPT, GivenUp, give_up_in_steps

Made = TypeVar("Made")


def with_room(access: Access, change: Callable[[], Made]) -> Made:
    """Make a change; if the quota has no room for it, make some and try again.

    Args:
        access: the opened vault; any principal that may write makes room.
        change: one transaction or several, which leaves nothing behind when it fails.

    Raises:
        QuotaExceeded: it would not fit either if nothing were kept; nothing was given up.
    """
    while True:
        try:
            return change()
        except QuotaExceeded as error:
            if not error.missing or not _make_room(access, error.missing):
                raise


def _make_room(access: Access, missing: int) -> bool:
    """Give up the oldest of what is kept until so many bytes more are free; false if there is not so much."""

    def choose(tx: Transaction, gone: GivenUp) -> tuple[Sequence[Pair], int | None]:
        left = missing - gone.bytes
        if tx.quota.usage(access.account_id).kept < left:
            return (), None
        oldest = tx.kept.oldest(access.account_id, after=gone.behind, fewest=1, limit=BATCH_KEPT)
        return oldest, left

    return give_up_in_steps(access, choose).bytes >= missing
