"""A whole store on disk with every kind of row in it, and what to ask it.

Used by test_rotation.py and test_deletion.py, which each copy one that was filled once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from davserver.accounts.totp import RULE
from davserver.accounts.verdicts import unknown
from davserver.bootstrap import Services, build_services
from davserver.crypto.properties import Purpose, seal_value
from davserver.db.engine import Database
from davserver.db.locks import LockRow
from davserver.errors import AuthenticationError, Throttled
from davserver.model import AuthMethod, Principal
from davserver.rotation import Progress, Rotation, RotationReport
from davserver.settings import Settings, load_settings
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.factories import make_code, make_principal
from tests.fakes import FrozenClock, RecordingAudit

PASSWORD = "a password of a test account"
NAMES = ("alice", "bob")
SIZES = (10, 100_000)
"""One content in the database, one in the blob store."""


class KilledError(Exception):
    """Stands for the end of the process."""


@dataclass
class Store:
    """A store below a folder, opened by whoever needs it.

    Attributes:
        tokens, secrets, codes: app password, one-time-password secret and recovery codes by account.
    """

    folder: Path
    clock: FrozenClock = field(default_factory=FrozenClock)
    tokens: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    codes: dict[str, list[str]] = field(default_factory=dict)

    @property
    def key_file(self) -> Path:
        """The master key's file."""
        return self.folder / "keys" / "master.key"

    @property
    def settings(self) -> Settings:
        """Where everything is."""
        storage = {"data_dir": self.folder / "data", "durability": "relaxed"}
        return load_settings(flags={"storage": storage, "keys": {"master_key_file": self.key_file}})

    @contextmanager
    def services(self) -> Iterator[Services]:
        """The store as a command opens it."""
        with closing(build_services(self.settings, clock=self.clock)) as services:
            yield services

    def fill(self) -> None:
        """Two accounts with every kind of row."""
        with self.services() as services:
            for name in NAMES:
                account = services.accounts.create(name, quota=10**9)
                services.identity.set_password(account.id, PASSWORD)
                principal = make_principal(account, self.clock, fresh_totp=False)
                self.secrets[name] = services.totp.begin(principal).secret
                principal = services.totp.confirm(principal, make_code(self.secrets[name], self.clock))
                self.codes[name] = services.recovery_codes.make_first(principal)
                self.tokens[name] = services.app_passwords.issue(principal, "device").token
                vault = services.vaults.open(principal)
                self._put(vault, f"{SIZES[0]}.bin", before(name))
                for size in SIZES:
                    self._put(vault, f"{size}.bin", content(name, size))
                vault.make_collection(VaultPath.parse("thrown"))
                self._put(vault, "thrown/away", before(name))
                vault.delete(VaultPath.parse("thrown"))
                self._send_part(services, principal)
                self._lock(services, principal)
                session = services.sessions.sign_in(None, principal, provider_session=f"session of {name}")
                services.sessions.prove(session, principal, {})
                services.sessions.end_at_provider(f"another session of {name}")
                services.profiles.set_admin(account, admin=True)
                services.invitations.invite(f"friend-of-{name}")
                self._confirm(services, principal)

    @staticmethod
    def _put(vault: Vault, path: str, data: bytes) -> None:
        with vault.write(VaultPath.parse(path)) as upload:
            upload.write(data)
            upload.commit()

    def rotate(self, progress: Progress = lambda _done, _total: None) -> RotationReport:
        """Rotate with every row in a transaction of its own."""
        database = Database(self.settings.database_url)
        try:
            rotation = Rotation(
                self.key_file, database, self.clock, lambda _: RecordingAudit(), progress, batch_rows=1
            )
            return rotation.run()
        finally:
            database.dispose()

    def rotate_until(self, step: int) -> bool:
        """Rotate and be killed as soon as that many steps are durable; False if there are not so many."""
        steps = count(1)

        def kill(_done: int, _total: int) -> None:
            if next(steps) == step:
                raise KilledError

        try:
            self.rotate(kill)
        except KilledError:
            return True
        return False

    def blobs(self) -> dict[str, str]:
        """Every file of the blob store with its digest."""
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (self.folder / "data" / "blobs").rglob("*")
            if path.is_file()
        }

    def copy(self, folder: Path) -> Store:
        """The same store in another folder, at the time at which all began."""
        shutil.copytree(self.folder, folder, symlinks=True)
        codes = {name: list(codes) for name, codes in self.codes.items()}
        return Store(folder, tokens={**self.tokens}, secrets={**self.secrets}, codes=codes)

    def require_whole(self, names: Iterable[str] = NAMES) -> None:
        """Everything opens as before: nothing is altered, devices get in, files are what they were."""
        with self.services() as services:
            assert services.maintenance.verify().problems == []
            for name in names:
                principal = services.authenticator.authenticate(name, self.tokens[name], "192.0.2.1")
                vault = services.vaults.open(principal)
                for size in SIZES:
                    with vault.read(vault.stat(VaultPath.parse(f"{size}.bin"))) as download:
                        assert b"".join(map(bytes, download.blocks())) == content(name, size)
                (thrown,) = vault.trash()
                assert (thrown.path, thrown.bytes) == (("thrown",), len(before(name)))
                (version,) = vault.versions(VaultPath.parse(f"{SIZES[0]}.bin"))
                with vault.read_version(version) as download:
                    assert b"".join(map(bytes, download.blocks())) == before(name)
                (upload,) = vault.parts.all()
                assert upload.received == upload.size
                (lock,) = self._locks(services, name)
                services.keyring.checked(lock)

    def require_people_get_in(self) -> None:
        """Password, one-time code and recovery code are good, each of the latter once."""
        with self.services() as services:
            for name in NAMES:
                self.clock.advance(seconds=60)
                principal = services.sign_in.with_password(
                    name, PASSWORD, client="test", method=AuthMethod.TERMINAL
                )
                services.totp.verify(principal, make_code(self.secrets[name], self.clock))
                code = self.codes[name].pop()
                services.recovery_codes.use(principal, code)
                try:
                    services.recovery_codes.use(principal, code)
                except AuthenticationError:
                    continue
                raise AssertionError("a recovery code was good twice")

    def lock_out(self, name: str) -> None:
        """Give so many wrong one-time codes that no more are looked at for a while."""
        with self.services() as services:
            principal = make_principal(services.accounts.find(name), self.clock, fresh_totp=False)
            for _ in range(RULE.free):
                try:
                    services.totp.verify(principal, "000000")
                except AuthenticationError:
                    continue

    def is_locked_out(self, name: str) -> bool:
        """Whether one-time codes are not looked at."""
        with self.services() as services:
            principal = make_principal(services.accounts.find(name), self.clock, fresh_totp=False)
            try:
                services.totp.verify(principal, "000000")
            except Throttled:
                return True
            except AuthenticationError:
                return False
        raise AssertionError("000000 was right")

    def _send_part(self, services: Services, principal: Principal) -> None:
        """Begin an upload in parts, all of which arrive; it is not finished."""
        parts, name = services.vaults.open(principal).parts, principal.account.username
        begun = parts.begin(VaultPath.parse("unfinished.bin"), SIZES[1], 0)
        with parts.append(begun.id, 0) as part:
            part.write(content(name, SIZES[1]))
            part.commit()

    def _confirm(self, services: Services, principal: Principal) -> None:
        """What a provider has said of the owner."""
        row = replace(unknown(principal.account.id), enabled_at=1, role_at=2, version=1)
        with services.database.write() as tx:
            tx.confirmations.insert(services.keyring.with_mac(row))
            tx.commit()

    def _lock(self, services: Services, principal: Principal) -> None:
        """Lock the small file for longer than any test."""
        account_id, lock_id = principal.account.id, os.urandom(16)
        node_id = services.vaults.open(principal).stat(VaultPath.parse(f"{SIZES[0]}.bin")).id
        owner = seal_value(services.keyring.account_key(principal), node_id, Purpose.LOCK_OWNER, lock_id, b"")
        row = LockRow(
            account_id=account_id,
            lock_id=lock_id,
            node_id=node_id,
            exclusive=True,
            infinite=False,
            owner_sealed=owner,
            created_at=0,
            expires_at=2**40,
            version=1,
        )
        with services.database.write() as tx:
            tx.locks.insert(services.keyring.with_mac(row))
            tx.commit()

    def _locks(self, services: Services, name: str) -> list[LockRow]:
        with services.database.read() as tx:
            return tx.locks.scan(services.accounts.find(name).id)


def before(name: str) -> bytes:
    """What an account's small file was, and what it has thrown away."""
    return f"before {name}".encode()


def content(name: str, size: int) -> bytes:
    """What a file of an account holds."""
    return (name.encode() * size)[:size]
