"""`sealdav serve` as people start it, with several processes (`--server=serve`)."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.client import Client
from tests.conformance.ours import MAX_LOCKS
from tests.e2e.drive import Drive

PROCESSES = 2


class ServedServer:
    """One running installation with the account `alice`."""

    def __init__(self, folder: Path, patience: float) -> None:
        self._drive = Drive(
            folder,
            SERVER__PROCESSES=str(PROCESSES),
            SERVER__STOP_SECONDS="0",
            STORAGE__DURABILITY="relaxed",
            STORAGE__MAX_LOCKS=str(MAX_LOCKS),
            GC__INTERVAL_MINUTES="0",
        )
        self._running = False
        self.start()
        device = self._drive.enrol("alice")
        self.client = Client(("127.0.0.1", self._drive.port), device.authorization, patience=patience)

    def start(self) -> None:
        """Serve what was stored before."""
        self._drive.start()
        self._running = True

    def stop(self) -> None:
        """Ask it to; requests that still run are cut off."""
        if self._running:
            self._drive.stop()
            self._running = False

    def close(self) -> None:
        """The same, for good, and whatever happened."""
        self.stop()
        self._drive.close()
