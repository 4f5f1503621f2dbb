"""The server's keys: the master key's file, the account keys that it unwraps, and the authenticators of rows.

It must never write before the master key has proved to be the right one, nor let a key reach a log or an
error. Called by `bootstrap`, `vault` and `accounts`; all arithmetic is in `davserver/crypto`.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from davserver.clock import Clock, to_seconds
from davserver.crypto import tokens
from davserver.crypto.keys import SECRET_BYTES, AccountKey, MasterKey
from davserver.crypto.primitives import constant_time_equal, random_bytes
from davserver.crypto.rowmac import Field
from davserver.crypto.tokens import AppToken
from davserver.db.engine import Database
from davserver.db.migrate import upgrade
from davserver.db.rows import Row
from davserver.errors import CorruptRow, MasterKeyError, NotFound, NotPermitted, VersionConflict
from davserver.model import ID_BYTES, AccountId, Principal

FILE_LABEL = "sealdav-master-key-1"
"""First word of the master key's file, which is one line: label, key id, 32 bytes in hexadecimal."""

FIRST_KEY_ID = 1

MAX_FILE_BYTES = 256
"""More than this is not a master key."""

CACHED_ACCOUNT_KEYS = 1024
"""Unwrapped account keys that are kept in memory."""

TOTP_SEAL_VERSION = 1
"""Bound into every sealed one-time-password secret; rises if what is sealed there changes."""

_LINE = re.compile(rf"{FILE_LABEL} ([1-9][0-9]{{0,8}}) ([0-9a-f]{{{2 * SECRET_BYTES}}})\n?")


@dataclass(frozen=True, slots=True)
class MasterSecret:
    """What the master key's file holds.

    Attributes:
        kid: which version of the master key this is.
        secret: 32 random bytes.
    """

    kid: int
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewAccountKey:
    """A fresh account key: what the account's row stores of it, and the key itself to plant the root with."""

    key: AccountKey = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    master_key_id: int
    key_version: int
    commitment: bytes


def create_master_key(path: Path) -> MasterSecret:
    """Make a master key and write it to a new file that only its owner can read, durably.

    Raises:
        MasterKeyError: the file exists already or cannot be written.
    """
    created = MasterSecret(FIRST_KEY_ID, random_bytes(SECRET_BYTES))
    line = f"{FILE_LABEL} {created.kid} {created.secret.hex()}\n".encode()
    if _exists(path):
        raise MasterKeyError(f"{path} exists already and is not overwritten: use it, or move it away")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    except OSError as error:
        raise _cannot("write", path, error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)  # half a key would be taken for a damaged one
        raise _cannot("write", path, error) from None
    return created


def load_master_key(path: Path) -> MasterSecret:
    """Read the master key's file, which may be a systemd credential.

    Raises:
        MasterKeyError: missing, unreadable, readable by others, or not a master key.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise MasterKeyError(f"the master key {path} is missing: restore it from its backup") from None
    except OSError as error:
        raise _cannot("read", path, error) from None
    if not is_private(status, os.geteuid()):
        raise MasterKeyError(f"the master key {path} is open to other users: run chmod 0400 on it")
    line = _LINE.fullmatch(content.decode("ascii", errors="replace"))
    if line is None:
        raise MasterKeyError(f"{path} is damaged or not a master key: restore it from its backup")
    return MasterSecret(int(line[1]), bytes.fromhex(line[2]))


def is_private(status: os.stat_result, user: int) -> bool:
    """Whether nobody but the owner can open the file, as far as its mode tells.

    A systemd credential is given to the service's user by an ACL, whose mask then shows as a group permission
    (systemd issue 29435): root's file, readable by root's group, and opened by somebody who is neither.
    """
    mode = stat.S_IMODE(status.st_mode)
    if (status.st_uid, status.st_gid, mode) == (0, 0, 0o440) and user != 0:
        return True
    return not mode & (stat.S_IRWXG | stat.S_IRWXO)


def open_keyring(
    path: Path, database: Database, clock: Clock, *, prepare: Callable[[], object] = lambda: None
) -> Keyring:
    """Check the master key, then bring the database up to date; for a new database, make what is missing.

    Args:
        path: the master key's file.
        database: may be new.
        clock: what tells the time.
        prepare: makes what else a new store needs; called before the database says that there is one.

    Raises:
        MasterKeyError: missing although there is a database, unreadable, or another key than the one this
            database was made with. Nothing was written.
        ConfigError: the database was made by a newer version.
    """
    if _exists(path):
        load_master_key(path)  # one that cannot be used is refused before there is a database
    with database.read() as tx:
        instance_id = tx.instance.instance_id()
    if instance_id is None:
        secret = load_master_key(path) if _exists(path) else create_master_key(path)
        prepare()
        return Keyring(_new_instance(secret, database, clock), database)
    secret = load_master_key(path)
    keyring = Keyring(MasterKey(secret.kid, instance_id, secret.secret), database)
    upgrade(database)
    return keyring


class Keyring:
    """Keys in use; may be shared by threads.

    Args:
        master: the server's key.
        database: where account keys lie wrapped.
        cached: unwrapped account keys kept; one more pushes out the one that was unused for longest.

    Raises:
        MasterKeyError: the database was made with another master key.
    """

    def __init__(self, master: MasterKey, database: Database, *, cached: int = CACHED_ACCOUNT_KEYS) -> None:
        with database.read() as tx:
            expected = tx.instance.key_check(master.kid)
        if expected is None or not constant_time_equal(expected, master.key_check):
            raise MasterKeyError("this is not the master key of this database: use the one it was made with")
        self._master = master
        self._database = database
        self._most = cached
        self._cached: OrderedDict[tuple[AccountId, int], AccountKey] = OrderedDict()
        self._lock = threading.Lock()

    def account_key(self, principal: Principal) -> AccountKey:
        """The key of the principal's account.

        Raises:
            CorruptRow: the account's row or its wrapped key was altered.
            NotFound: the account is gone.
            NotPermitted: the vault is sealed, and the principal did not bring what opens it.
            VersionConflict: the key was rotated after the principal signed in.
        """
        account = principal.account
        if account.sealed:  # never from the cache: the credential of this very request has to open it
            raise NotPermitted("this vault opens only with its owner's own credentials")
        wanted = (account.id, account.key_version)
        with self._lock:
            key = self._cached.get(wanted)
            if key is not None:
                self._cached.move_to_end(wanted)
                return key
        key = self._unwrap(*wanted)
        with self._lock:
            self._cached[wanted] = key
            if len(self._cached) > self._most:
                self._cached.popitem(last=False)
        return key

    def new_account_key(self, account_id: AccountId) -> NewAccountKey:
        """A fresh key for a new account."""
        key = AccountKey.generate(account_id)
        return NewAccountKey(
            key, self._master.wrap_account_key(key), self._master.kid, key.version, key.commit
        )

    def row_mac(self, table: str, *fields: Field) -> bytes:
        """Authenticate a row of clear columns: 32 bytes. `fields` say which row it is, in which version."""
        return self._master.row_mac(table, fields)

    def check_row(self, table: str, mac: bytes, *fields: Field) -> None:
        """Check what `row_mac` made.

        Raises:
            CorruptRow: the row is not the one that was authenticated.
        """
        self._master.verify_row(table, fields, mac)

    def with_mac(self, row: Row) -> Row:
        """The row with the authenticator of its present content."""
        return replace(row, mac=self.row_mac(row.TABLE, *row.covered()))

    def checked(self, row: Row) -> Row:
        """The same row, now believed.

        Raises:
            CorruptRow: the row is not the one that was authenticated.
        """
        self.check_row(row.TABLE, row.mac, *row.covered())
        return row

    def private_id(self, purpose: str, value: str | bytes) -> bytes:
        """32 bytes that stand for `value` in a table without naming it."""
        return self._master.row_mac(purpose, (value,))

    def verifier(self, account_id: AccountId, token: AppToken) -> bytes:
        """What is stored in place of an app password's secret (32 bytes)."""
        return tokens.verifier(self._master.pepper, account_id, token)

    def verify_token(self, account_id: AccountId, token: AppToken, expected: bytes) -> bool:
        """Whether the app password is the one whose verifier is `expected`; in constant time."""
        return tokens.verify(self._master.pepper, account_id, token, expected)

    def seal_totp(self, account_id: AccountId, device_id: bytes, secret: bytes) -> bytes:
        """Encrypt a one-time-password secret for the row of its device."""
        return self._master.seal_totp(account_id, device_id, TOTP_SEAL_VERSION, secret)

    def open_totp(self, account_id: AccountId, device_id: bytes, sealed: bytes) -> bytes:
        """Decrypt what `seal_totp` made.

        Raises:
            CorruptRow: altered, or sealed for another device.
        """
        return self._master.open_totp(account_id, device_id, TOTP_SEAL_VERSION, sealed)

    def _unwrap(self, account_id: AccountId, key_version: int) -> AccountKey:
        with self._database.read() as tx:
            row = tx.accounts.by_id(account_id)
        if row is None:
            raise NotFound("no such account")
        self.checked(row)
        if row.key_version != key_version:
            raise VersionConflict("the account's key was rotated in between")
        if row.wrapped_key is None:
            raise CorruptRow("an account that is not sealed has no wrapped key")
        return self._master.unwrap_account_key(row.wrapped_key, account_id, key_version, row.key_commitment)


def _new_instance(secret: MasterSecret, database: Database, clock: Clock) -> MasterKey:
    """Create the tables and note in them which master key belongs to them."""
    upgrade(database)
    with database.write() as tx:
        instance_id = tx.instance.instance_id()
        if instance_id is not None:  # another process was faster
            return MasterKey(secret.kid, instance_id, secret.secret)
        instance_id = random_bytes(ID_BYTES)
        master = MasterKey(secret.kid, instance_id, secret.secret)
        now = to_seconds(clock())
        tx.instance.create(instance_id, now=now)
        tx.instance.add_key(master.kid, master.key_check, now=now)
        tx.commit()
    return master


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise _cannot("read", path, error) from None


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cannot(what: str, path: Path, error: OSError) -> MasterKeyError:
    return MasterKeyError(f"cannot {what} the master key {path}: {os.strerror(error.errno or 0)}")
