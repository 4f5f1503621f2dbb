"""Tells systemd how the service is (sd_notify(3)): ready, reloading, stopping, and that it is not stuck.

It must never stop the service: a manager that does not listen is none of its business. The protocol is a
datagram of `KEY=value` lines to the socket that the environment names. Called by `davserver.cli`.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass

from davserver.serving.lifecycle import Attendant


@dataclass(frozen=True, slots=True)
class Manager:
    """The service manager that started this process.

    Attributes:
        address: path of its socket; one that begins with "@" has a name and no file.
        watchdog_seconds: it ends a service that has not said that it is alive for so long; 0: it does not.
    """

    address: str
    watchdog_seconds: float = 0.0


class Notifier(Attendant):
    """Passes on what an `Attendant` is told."""

    def __init__(self, manager: Manager) -> None:
        name = manager.address
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._every = manager.watchdog_seconds / 2  # as sd_watchdog_enabled(3) says
        self._next = 0.0

    def ready(self) -> None:
        """See `Attendant`."""
        self._send("READY=1")

    def reloading(self) -> None:
        """See `Attendant`. The moment tells systemd which of several reloads is meant."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """See `Attendant`."""
        self._send("STOPPING=1")

    def alive(self) -> bool:
        """See `Attendant`. Says so twice in the time that the manager waits."""
        now = time.monotonic()
        if self._every and now >= self._next:
            self._next = now + self._every
            self._send("WATCHDOG=1")
        return True

    def _send(self, *lines: str) -> None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(0)
            sender.sendto("\n".join(lines).encode(), self._address)
