"""Stock WsgiDAV on stock cheroot over a plain folder, for the marked tests to fail on (`--server=stock`)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from cheroot.wsgi import Server as CherootServer
from wsgidav.lock_man import lock_manager, lock_storage
from wsgidav.wsgidav_app import WsgiDAVApp

from tests.conformance.client import Client, basic
from tests.ports import free_port

USERNAME, PASSWORD = "alice", "secret"
THREADS = 50
"""What WsgiDAV's own command line sets; everything else is default but the dead properties, which are on."""


class StockServer:
    """One running server."""

    def __init__(self, folder: Path, patience: float) -> None:
        self._folder = folder
        self._patience = patience
        self._port = free_port()
        logging.getLogger("wsgidav").setLevel(logging.CRITICAL)
        self.start()

    def start(self) -> None:
        """Listen, on the port of the last time if there was one."""
        config = {
            "provider_mapping": {"/dav": str(self._folder)},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "simple_dc": {"user_mapping": {"*": {USERNAME: {"password": PASSWORD}}}},
            "property_manager": True,
            "logging": {"enable": False},
            "verbose": 0,
        }
        self._server = CherootServer(("127.0.0.1", self._port), WsgiDAVApp(config), numthreads=THREADS)
        self._server.prepare()
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop as its command line does."""
        self._server.stop()
        self._thread.join()

    def close(self) -> None:
        """Stop for good. A daemon thread that still waits for a client is left behind."""
        self._server.interrupt = KeyboardInterrupt()

    @contextmanager
    def later(self, **amount: float) -> Iterator[None]:
        """Let it be later for locks, by a `timedelta` given in its own words."""
        offset = timedelta(**amount).total_seconds()
        clock = SimpleNamespace(time=lambda: time.time() + offset)
        with patch.object(lock_manager, "time", clock), patch.object(lock_storage, "time", clock):
            yield

    @property
    def client(self) -> Client:
        """The only user."""
        return Client(("127.0.0.1", self._port), basic(USERNAME, PASSWORD), patience=self._patience)

    def populate(self, collection: str, count: int) -> None:
        """Put `count` empty files into the collection at this path."""
        for number in range(count):
            (self._folder / collection / f"{number:05}").touch()
