"""What clients were told, and so what has to be on a server in the end. Pure; any thread may write in it.

Each path belongs to one client. A change that was answered is settled: the path has this content and no
other. A change whose answer nobody read is possible: the path may have the old content or the new.
"""

from __future__ import annotations

import threading

Digest = str | None
"""SHA-256 of a file's content, in hexadecimal; None: there is no file."""


class Ledger:
    """Contents by path."""

    def __init__(self) -> None:
        self._possible: dict[str, frozenset[Digest]] = {}
        self._lock = threading.Lock()
        self.acknowledged = 0

    def settle(self, path: str, digest: Digest) -> None:
        """The server has said that this is what is there now."""
        with self._lock:
            self._possible[path] = frozenset({digest})
            self.acknowledged += 1

    def attempt(self, path: str, digest: Digest) -> None:
        """The server was asked for this, and its answer is not known."""
        with self._lock:
            self._possible[path] = self.possible(path) | {digest}

    def possible(self, path: str) -> frozenset[Digest]:
        """What may be there."""
        return self._possible.get(path, frozenset({None}))

    def lost(self, found: dict[str, str]) -> list[str]:
        """Paths whose content is none that may be there; `found` are the digests of everything that is."""
        return sorted(
            path for path, possible in self._possible.items() if found.get(path) not in possible
        ) + sorted(path for path in found if path not in self._possible)
