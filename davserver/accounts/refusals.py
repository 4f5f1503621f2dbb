"""Counts refused credentials by where they came from, so that nobody fills the log.

Neither a device that is set up wrongly nor an attacker. Called by the authenticators of the drive.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

COUNTED_CLIENTS = 1024
"""Sources of refused attempts that are counted at the same time; the one unseen for longest is forgotten."""


class RefusalCounter:
    """How often each source was refused."""

    def __init__(self) -> None:
        self._counts: OrderedDict[tuple[str, str | None], int] = OrderedDict()
        self._lock = threading.Lock()

    def is_power_of_two(self, client: str, credential: str | None) -> bool:
        """Count one more; whether the count is now 1, 2, 4, 8 ..."""
        source = (client, credential)
        with self._lock:
            count = self._counts.get(source, 0) + 1
            self._counts[source] = count
            self._counts.move_to_end(source)
            if len(self._counts) > COUNTED_CLIENTS:
                self._counts.popitem(last=False)
        return count & (count - 1) == 0
