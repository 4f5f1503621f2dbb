"""Sealdav with all its services and both doors, on a free port (`--server=ours`)."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

from davserver.accounts.app_passwords import IssuedAppPassword
from davserver.bootstrap import Services, build_services
from davserver.clock import utc_now
from davserver.dav.app import build_app
from davserver.model import ROOT_ID, Account, AuthMethod, Network, NodeId, Principal, Scope
from davserver.serving.dispatch import one_port
from davserver.serving.server import Options, Server
from davserver.settings import GcSettings, KeySettings, LoginSettings, Settings, StorageSettings
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from davserver.vault.tree import place_of
from enroll_web.app import create_app
from tests.conformance.client import Client, basic

MAX_LOCKS = 1000
"""Fewer than by default, so that the limit can be reached."""

MAX_APP_PASSWORDS = 1000
"""The main account gets one for nearly every test of scopes."""


@dataclass(frozen=True, slots=True)
class Device:
    """An app password in use."""

    client: Client
    issued: IssuedAppPassword
    account: Account


class OurServer:
    """One running server with the account `alice`."""

    def __init__(
        self,
        folder: Path,
        patience: float,
        options: Options | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = Settings(
            storage=StorageSettings(data_dir=folder / "data", durability="relaxed", max_locks=MAX_LOCKS),
            keys=KeySettings(master_key_file=folder / "keys" / "master.key"),
            login=LoginSettings(app_passwords_per_account=MAX_APP_PASSWORDS),
            gc=GcSettings(interval_minutes=0),
        )
        self._patience = patience
        self._options = options or Options()
        self._tls = tls
        self._numbers = itertools.count(1)
        self._address = ("127.0.0.1", 0)
        self._offset = timedelta()
        self._running = False
        self.start()
        self._main = self.device(self.services.accounts.create("alice"))

    # ── running ─────────────────────────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        """Open the store and listen, on the port of the last time if there was one."""
        self.services: Services = build_services(self._settings, clock=lambda: utc_now() + self._offset)
        app = one_port(build_app(self.services), create_app(self.services))
        self._server = Server(app, *self._address, self._options)
        self._server.start()
        self._address = self._server.address
        self._running = True

    def stop(self) -> None:
        """Stop at once: requests that still run are cut off."""
        if self._running:
            self._server.stop(0)
            self.services.close()
            self._running = False

    close = stop

    @contextmanager
    def later(self, **amount: float) -> Iterator[None]:
        """Let it be later by a `timedelta` given in its own words."""
        self._offset = timedelta(**amount)
        try:
            yield
        finally:
            self._offset = timedelta()

    # ── accounts ────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def client(self) -> Client:
        """The account `alice`, with everything allowed."""
        return self._main.client

    @property
    def account(self) -> Account:
        """The account `alice`."""
        return self.services.accounts.find("alice")

    def new_account(self, *, quota: int | None = None) -> Device:
        """Another account, with everything allowed."""
        return self.device(self.services.accounts.create(f"user{next(self._numbers)}", quota=quota))

    def device(
        self,
        account: Account,
        *,
        scopes: Scope = Scope.FULL,
        root_id: NodeId = ROOT_ID,
        expires_at: datetime | None = None,
        networks: Collection[Network] = (),
    ) -> Device:
        """A new app password of an account, and a client that uses it."""
        issued = self.services.app_passwords.issue(
            self._principal(account),
            f"device {next(self._numbers)}",
            scopes=scopes,
            root_id=root_id,
            expires_at=expires_at,
            networks=networks,
        )
        client = Client(
            self._address, basic(account.username, issued.token), patience=self._patience, tls=self._tls
        )
        return Device(client, issued, account)

    def vault(self, account: Account) -> Vault:
        """The vault of an account, not through the door."""
        return self.services.vaults.open(self._principal(account))

    def node_id(self, client: Client, name: str = "") -> NodeId:
        """The node that the main account's client calls `name`."""
        return self.vault(self.account).stat(path_of(client, name)).id

    def _principal(self, account: Account) -> Principal:
        now = self.services.clock()
        return Principal(account, Scope.FULL, ROOT_ID, AuthMethod.TERMINAL, now, totp_at=now)

    # ── the store ───────────────────────────────────────────────────────────────────────────────────────────
    def populate(self, collection: str, count: int) -> None:
        """Put `count` empty collections into the collection of the main account at this path, all at once."""
        access = self.services.vaults.access(self._principal(self.account))
        parent = VaultPath.parse(collection.rstrip("/"))
        with access.database.write() as tx:
            for number in range(count):
                place = place_of(access.tree.trail(tx, parent / f"{number:05}"))
                access.tree.make_collection(tx, place, now_ns=access.now_ns())
            tx.commit()

    def blob_files(self) -> set[Path]:
        """Every encrypted file on disk."""
        return {path for path in (self._settings.storage.data_dir / "blobs").rglob("*") if path.is_file()}


def path_of(client: Client, name: str = "") -> VaultPath:
    """Where in its vault a client's `name` is."""
    path = unquote(client.at(name)).removeprefix("/dav/").rstrip("/")
    return VaultPath(tuple(path.split("/"))) if path else VaultPath()
