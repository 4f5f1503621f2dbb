"""One request at a time: the interpreter runs one thread anyway, and changing between many costs more.

A request gives the interpreter up and takes it again dozens of times (each statement, each system call).
With eight threads every one of these is a change to another thread: 60 changes a request were measured, and
less than half the requests of one thread alone (docs/adr/0031-one-request-at-a-time.md). So whoever works on
a request holds the baton, and others wait for that in place of the interpreter.

It keeps order and protects nothing. Whoever is about to wait for something else gives it away before; whoever
has waited for it long enough goes on without. Taken by `serving`, given by whatever waits.
"""

from __future__ import annotations

import threading

PATIENCE_SECONDS = 0.05
"""How long it is waited for, if its holder waits for something and does not say so."""


class Baton:
    """Held by at most one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0

    def take(self) -> None:
        """Wait for it, but not for ever: this thread has it then, or another one has kept it for long."""
        if self._lock.acquire(timeout=PATIENCE_SECONDS):
            self._holder = threading.get_ident()

    def give(self) -> None:
        """Let another thread have it, if this one does; as often as one likes."""
        if self._holder == threading.get_ident():
            self._holder = 0
            self._lock.release()
