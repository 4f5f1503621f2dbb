"""The server's keys: the master key, the account keys that it unwraps, and the authenticators of rows.

It must never write before the master key has proved to be the right one, nor let a key reach a log or an
error. Called by `bootstrap`, `rotation`, `vault` and `accounts`; all arithmetic is in `davserver/crypto`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from davserver.clock import Clock, to_seconds
from davserver.crypto import rowmac, tokens
from davserver.crypto.audit_links import AuditLinks
from davserver.crypto.keys import AccountKey, MasterKey
from davserver.crypto.primitives import random_bytes
from davserver.crypto.rowmac import Field
from davserver.crypto.tokens import AppToken
from davserver.db.audit import EMPTY_HEAD
from davserver.db.engine import Database, Transaction
from davserver.db.migrate import upgrade
from davserver.db.rows import Row
from davserver.errors import CorruptRow, MasterKeyError, NotFound, NotPermitted, VersionConflict
from davserver.master_key import MasterSecret, create_master_key, exists, load_master_keys
from davserver.model import ID_BYTES, AccountId, Principal

CACHED_ACCOUNT_KEYS = 1024
"""Unwrapped account keys that are kept in memory."""

REMEMBERED_ROWS = 4096
"""Rows whose authenticator was right that are remembered, as they were: the same ones are read all day."""

TOTP_SEAL_VERSION = 1
"""Bound into every sealed one-time-password secret; rises if what is sealed there changes."""

_WRONG_KEY = "this is not the master key of this database: use the one it was made with"

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class NewAccountKey:
    """A fresh account key: what the account's row stores of it, and the key itself to plant the root with."""

    key: AccountKey = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    master_key_id: int
    key_version: int
    commitment: bytes


def open_keyring(
    path: Path,
    database: Database,
    clock: Clock,
    *,
    prepare: Callable[[], object] = lambda: None,
    is_current: bool = False,
) -> Keyring:
    """Check the master key, then bring the database up to date; for a new database, make what is missing.

    Args:
        path: the master key's file.
        database: may be new.
        clock: what tells the time.
        prepare: makes what else a new store needs; called before the database says that there is one.
        is_current: the database was brought up to date already, by the process that this one comes from.

    Raises:
        MasterKeyError: missing although there is a database, unreadable, or another key than the one this
            database was made with. Nothing was written.
        ConfigError: the database was made by a newer version.
    """
    if exists(path):
        load_master_keys(path)  # one that cannot be used is refused before there is a database
    with database.read() as tx:
        instance_id = tx.instance.instance_id()
    if instance_id is None:
        secret = load_master_keys(path)[-1] if exists(path) else create_master_key(path)
        prepare()
        return _begun(Keyring([_new_instance(secret, database, clock)], database), database)
    masters = known_masters(load_master_keys(path), instance_id, database)
    if is_current:
        return Keyring(masters, database)
    return upgraded(masters, database)


def upgraded(masters: Sequence[MasterKey], database: Database) -> Keyring:
    """The keyring of a database that is brought up to date; see `Keyring` for what it raises.

    Raises:
        ConfigError: the database was made by a newer version.
    """
    upgrade(database)
    return _begun(Keyring(masters, database), database)


def known_masters(
    secrets: Sequence[MasterSecret], instance_id: object, database: Database
) -> tuple[MasterKey, ...]:
    """Those of the file's keys that this database was used with, oldest first; its newest key is among them.

    A newer key that the database does not know yet is left out: a rotation has not got further than that.

    Raises:
        MasterKeyError: they are not the keys of this database.
    """
    with database.read() as tx:
        checks = tx.instance.key_checks()
    if not isinstance(instance_id, bytes) or len(instance_id) != ID_BYTES:  # altered: no key has ever met it
        raise MasterKeyError(_WRONG_KEY)
    masters = tuple(MasterKey(one.kid, instance_id, one.secret) for one in secrets if one.kid in checks)
    if not masters or not _are_known(masters, checks):
        raise MasterKeyError(_WRONG_KEY)
    if masters[-1].kid != max(checks):
        raise MasterKeyError(
            f"the master key {masters[-1].kid} of this database was replaced by key {max(checks)}: use that "
            "one; the old one opens only backups from before"
        )
    return masters


def _are_known(masters: Sequence[MasterKey], checks: dict[int, bytes]) -> bool:
    """Key checks are public, and compared as what they are: SQLite would keep any type there."""
    return all(checks.get(one.kid) == one.key_check for one in masters)


def read_pepper(tx: Transaction, master: MasterKey) -> bytes:
    """The store's pepper: that of its first master key, whichever is in use now (docs/adr/0010).

    Raises:
        CorruptRow: what the database holds of it was altered.
    """
    sealed = tx.instance.sealed_pepper(master.kid)
    if sealed is not None:
        return master.open_pepper(sealed)
    if master.kid != min(tx.instance.key_checks()):
        raise CorruptRow("the pepper that this master key has taken over from the first one is gone")
    return master.pepper


class Keyring:
    """Keys in use; may be shared by threads.

    While a rotation is unfinished there are two master keys: rows are believed under either, and written
    under the newer one.

    Args:
        masters: the server's key; during a rotation behind the one that it replaces.
        database: where account keys lie wrapped.
        cached: unwrapped account keys kept; one more pushes out the one that was unused for longest.

    Attributes:
        audit_links: the links of the audit log, the same after a rotation.

    Raises:
        MasterKeyError: the database was made with another master key, or a rotation needs one more.
        CorruptRow: the pepper was altered.
    """

    def __init__(
        self, masters: Sequence[MasterKey], database: Database, *, cached: int = CACHED_ACCOUNT_KEYS
    ) -> None:
        with database.read() as tx:
            in_use = tx.instance.keys_in_use()
            if not _are_known(masters, tx.instance.key_checks()):
                raise MasterKeyError(_WRONG_KEY)
            if missing := in_use - {one.kid for one in masters}:
                raise MasterKeyError(
                    f"a rotation of the master key is unfinished and needs key {min(missing)} as well: "
                    "put its line back into the file, above the newer one"
                )
            self._pepper = read_pepper(tx, masters[-1])
        self.audit_links = AuditLinks(self._pepper)
        self._master = masters[-1]
        self._older = tuple(one for one in masters[:-1] if one.kid in in_use)
        self._database = database
        self._most = cached
        self._cached: OrderedDict[tuple[AccountId, int], AccountKey] = OrderedDict()
        self._vouched: dict[tuple[str, bytes], tuple[Field, ...]] = {}
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
        self._under_either(lambda master: master.verify_row(table, fields, mac))

    def with_mac(self, row: Row) -> Row:
        """The row with the authenticator of its present content."""
        return replace(row, mac=self.row_mac(row.TABLE, *row.covered()))

    def checked(self, row: Row) -> Row:
        """The same row, now believed; not checked again if it equals one that was.

        Raises:
            CorruptRow: the row is not the one that was authenticated.
        """
        covered, name = row.covered(), (row.TABLE, row.mac)
        if self._vouched.get(name) != covered:
            self.check_row(row.TABLE, row.mac, *covered)
            if len(self._vouched) >= REMEMBERED_ROWS:
                self._vouched.clear()
            self._vouched[name] = covered
        return row

    def private_id(self, purpose: str, value: str | bytes) -> bytes:
        """32 bytes that stand for `value` in a table without naming it; the same after a rotation."""
        return rowmac.row_mac(self._pepper, purpose, (value,))

    def session_mac(self, purpose: str, value: str | bytes) -> bytes:
        """32 bytes that stand for a secret of the site, of the kind `purpose`; others after a rotation."""
        return rowmac.row_mac(self._master.session, purpose, (value,))

    def verifier(self, account_id: AccountId, token: AppToken) -> bytes:
        """What is stored in place of an app password's secret (32 bytes)."""
        return tokens.verifier(self._pepper, account_id, token)

    def verify_token(self, account_id: AccountId, token: AppToken, expected: bytes) -> bool:
        """Whether the app password is the one whose verifier is `expected`; in constant time."""
        return tokens.verify(self._pepper, account_id, token, expected)

    def recovery_verifier(self, account_id: AccountId, code: bytes) -> bytes:
        """What is stored in place of a recovery code (32 bytes)."""
        return tokens.recovery_verifier(self._pepper, account_id, code)

    def seal_totp(self, account_id: AccountId, device_id: bytes, secret: bytes) -> bytes:
        """Encrypt a one-time-password secret for the row of its device."""
        return self._master.seal_totp(account_id, device_id, TOTP_SEAL_VERSION, secret)

    def open_totp(self, account_id: AccountId, device_id: bytes, sealed: bytes) -> bytes:
        """Decrypt what `seal_totp` made.

        Raises:
            CorruptRow: altered, or sealed for another device.
        """
        return self._under_either(
            lambda master: master.open_totp(account_id, device_id, TOTP_SEAL_VERSION, sealed)
        )

    def _under_either(self, opens: Callable[[MasterKey], _Found]) -> _Found:
        """What the newest key opens, or the older one for what an unfinished rotation has not reached."""
        try:
            return opens(self._master)
        except CorruptRow:
            for older in self._older:
                return opens(older)
            raise

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
        wrapped = row.wrapped_key
        return self._under_either(
            lambda master: master.unwrap_account_key(wrapped, account_id, key_version, row.key_commitment)
        )


def _begun(keyring: Keyring, database: Database) -> Keyring:
    """Vouch for the head of an audit log that nothing was ever written to, as a revision has left it.

    Of no other one: a head without its authenticator, or with entries beyond it, is for `verify` to tell of.
    """
    with database.read() as tx:
        if tx.audit.head() != EMPTY_HEAD:
            return keyring
    with database.write() as tx:
        if tx.audit.head() == EMPTY_HEAD and tx.audit.first_seq() is None:
            tx.audit.put_head(keyring.with_mac(EMPTY_HEAD))
            tx.commit()
    return keyring


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
