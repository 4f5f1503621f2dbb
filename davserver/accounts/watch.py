"""Whether a credential that opened a long transfer is still good: revoking it must end the transfer too.

It must never cost a look-up per block. Made by both doors for each long transfer; asked between blocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from davserver.errors import AuthenticationError

RECHECK_SECONDS = 30.0
"""How long a revoked credential may go on with a transfer that it has begun."""


class Watch:
    """Asks again about one credential, at most every `RECHECK_SECONDS`.

    Args:
        still_open: whether it is still good.
        monotonic: seconds on a clock that never goes back.
    """

    def __init__(
        self, still_open: Callable[[], bool], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._still_open = still_open
        self._monotonic = monotonic
        self._next = monotonic() + RECHECK_SECONDS

    def check(self) -> None:
        """To be called between blocks.

        Raises:
            AuthenticationError: revoked, expired or suspended meanwhile; nothing more may be sent or stored.
        """
        now = self._monotonic()
        if now < self._next:
            return
        if not self._still_open():
            raise AuthenticationError("the credential was shut while it was in use")
        self._next = now + RECHECK_SECONDS
