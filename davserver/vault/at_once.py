"""How many long looks through folders an account has in this process at once.

One such look can take a second of the interpreter, which others then do not have. It must never keep one
account waiting for another one's looks. Used by `browsing.py`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from davserver.errors import TooBusy
from davserver.model import AccountId

LONG_LOOKS = 2
"""So many of one account go on at once."""

PATIENCE_SECONDS = 5.0
"""How long one more waits for its turn; most are over in one."""


class FewAtOnce:
    """Turns of accounts, shared by threads.

    Args:
        most: turns that one account has at once.
        patience_seconds: how long one more is waited for.
    """

    def __init__(self, most: int = LONG_LOOKS, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._most = most
        self._patience_seconds = patience_seconds
        self._running: Counter[AccountId] = Counter()
        self._one_less = threading.Condition()

    @contextmanager
    def turn(self, account_id: AccountId) -> Iterator[None]:
        """Have one. No transaction may be open, since others are waited for.

        Raises:
            TooBusy: there was none within the patience.
        """
        with self._one_less:
            if not self._one_less.wait_for(
                lambda: self._running[account_id] < self._most, self._patience_seconds
            ):
                raise TooBusy(
                    "several large folders are being looked through for you already: try again soon"
                )
            self._running[account_id] += 1
        try:
            yield
        finally:
            with self._one_less:
                self._running[account_id] -= 1
                self._running += Counter()  # forgets those that have none
                self._one_less.notify_all()
