"""Sealdav with all its services on a free port (`--server=ours`)."""

from __future__ import annotations

from pathlib import Path

from tests.conformance.client import Client


class OurServer:
    """One running server."""

    def __init__(self, folder: Path, patience: float) -> None:
        raise NotImplementedError

    @property
    def client(self) -> Client:
        raise NotImplementedError
