"""A new master key for a store: keys and one-time-password secrets wrapped anew, rows vouched for anew.

No content is touched. It must never let go of the old key while a row may need it: whatever it has done is
durable before the next step, so it may be stopped at any point and begun again. Nobody else may use the store
meanwhile (`store_lock.py`). Called by `bootstrap`; the reasons are in docs/adr/0010.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, to_seconds
from davserver.crypto.keys import MasterKey
from davserver.db.accounts import AccountRow
from davserver.db.credentials import TotpDeviceRow
from davserver.db.engine import Database
from davserver.db.rekeying import TABLES, Position, position
from davserver.db.rows import AuthenticatedRow
from davserver.errors import ConfigError, CorruptRow
from davserver.keyring import TOTP_SEAL_VERSION, Keyring, known_masters, read_pepper, upgraded
from davserver.master_key import MasterSecret, load_master_keys, replace_master_keys

BATCH_ROWS = 500
"""Rows written in one transaction, unless told otherwise."""

Progress = Callable[[int, int], None]
"""Called whenever a step has become durable, with how many rows are done and how many there are."""

AuditWith = Callable[[Keyring], AuditSink]
"""Makes the log that the rotation is recorded in, whose head is vouched for with this keyring."""


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What a rotation has done, from where an earlier one was stopped.

    Attributes:
        old, new: ids of the master keys.
        rows: rows that were looked at.
        altered: tables of rows that neither key vouches for; they stay as they were, and are not believed.
        log_emptied: whether no older version of a row is left in the write-ahead log.
    """

    old: int
    new: int
    rows: int
    altered: tuple[str, ...]
    log_emptied: bool


class Rotation:
    """One rotation.

    Args:
        path: the master key's file.
        database: with `durability="full"`: a key is given up because of what is in it.
        batch_rows: rows written in one transaction.
    """

    def __init__(  # noqa: PLR0913 - parts and a number
        self,
        path: Path,
        database: Database,
        clock: Clock,
        audit: AuditWith,
        progress: Progress,
        *,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._path = path
        self._database = database
        self._clock = clock
        self._audit = audit
        self._progress = progress
        self._batch_rows = batch_rows
        self._rows = 0
        self._altered: list[str] = []

    def run(self) -> RotationReport:
        """Go from wherever the store is to a new master key alone.

        Raises:
            MasterKeyError: the key is not the one of this database, or its file cannot be replaced.
            ConfigError: there is no store.
        """
        old, new, secret = self._keys()
        with self._database.read() as tx:
            total = tx.rekeying.count()
        self._register(old, new)
        self._progress(0, total)
        for row_type in TABLES:
            self._walk(row_type, old, new, total)
        self._retire(old, new)
        self._progress(total, total)
        emptied = self._database.empty_log()
        replace_master_keys(self._path, [secret])
        return RotationReport(old.kid, new.kid, self._rows, tuple(self._altered), emptied)

    def _keys(self) -> tuple[MasterKey, MasterKey, MasterSecret]:
        """The old key and the new one, which is in the file from here on."""
        secrets = load_master_keys(self._path)
        with self._database.read() as tx:
            instance_id = tx.instance.instance_id()
        if instance_id is None:
            raise ConfigError("there is no store whose master key could be rotated: run `sealdav init`")
        known = known_masters(secrets, instance_id, self._database)
        upgraded(known, self._database)  # refuses if a key is missing
        newest = secrets[-1]
        if newest.kid == known[-1].kid and len(known) > 1:  # stopped after the new key was registered
            return known[-2], known[-1], newest
        if newest.kid == known[-1].kid:
            old, newest = newest, MasterSecret.generate(newest.kid + 1)
            replace_master_keys(self._path, [old, newest])
            self._progress(0, 0)
        return known[-1], MasterKey(newest.kid, instance_id, newest.secret), newest

    def _register(self, old: MasterKey, new: MasterKey) -> None:
        with self._database.write() as tx:
            if new.kid in tx.instance.key_checks():
                return
            sealed = new.seal_pepper(read_pepper(tx, old))
            tx.instance.add_key(new.kid, new.key_check, now=to_seconds(self._clock()), pepper_sealed=sealed)
            tx.commit()

    def _retire(self, old: MasterKey, new: MasterKey) -> None:
        """From here on no row is believed under the old key; recorded once, however often it was stopped."""
        audit = self._audit(Keyring((old, new), self._database))
        with self._database.write() as tx:
            if tx.instance.retire_key(old.kid, now=to_seconds(self._clock())):
                audit.record(AuditEvent.MASTER_KEY_ROTATED, tx=tx)
            tx.commit()

    def _walk(self, row_type: type[AuthenticatedRow], old: MasterKey, new: MasterKey, total: int) -> None:
        after: Position | None = None
        while True:
            with self._database.write() as tx:
                rows = tx.rekeying.batch(row_type, after=after, limit=self._batch_rows)
                if not rows:
                    return
                tx.wipe_freed()
                tx.rekeying.replace(self._changed(rows, old, new))
                tx.commit()
            after = position(rows[-1])
            self._rows += len(rows)
            self._progress(self._rows, total)

    def _changed(
        self, rows: list[AuthenticatedRow], old: MasterKey, new: MasterKey
    ) -> list[AuthenticatedRow]:
        """Those rows that are to be written, as they will be."""
        changed = []
        for row in rows:
            try:
                under_new = rekeyed(row, old, new)
            except CorruptRow:
                self._altered.append(row.TABLE)
                continue
            if under_new != row:
                changed.append(under_new)
        return changed


def rekeyed(row: AuthenticatedRow, old: MasterKey, new: MasterKey) -> AuthenticatedRow:
    """The row under the new master key; the same if it is under it already.

    A server that ran while a rotation was unfinished has written rows of which a part is under either key.

    Raises:
        CorruptRow: neither key vouches for it.
    """
    try:
        new.verify_row(row.TABLE, row.covered(), row.mac)
    except CorruptRow:
        old.verify_row(row.TABLE, row.covered(), row.mac)
    row = _rewrapped(row, old, new)
    return replace(row, mac=new.row_mac(row.TABLE, row.covered()))


def _rewrapped(row: AuthenticatedRow, old: MasterKey, new: MasterKey) -> AuthenticatedRow:
    if isinstance(row, AccountRow) and row.master_key_id != new.kid:
        return _with_new_wrap(row, old, new)
    if isinstance(row, TotpDeviceRow):
        return _with_new_seal(row, old, new)
    return row


def _with_new_wrap(row: AccountRow, old: MasterKey, new: MasterKey) -> AccountRow:
    wrapped = row.wrapped_key
    if wrapped is not None:  # else the account is deleted
        key = old.unwrap_account_key(wrapped, row.account_id, row.key_version, row.key_commitment)
        wrapped = new.wrap_account_key(key)
    return replace(row, wrapped_key=wrapped, master_key_id=new.kid, version=row.version + 1)


def _with_new_seal(row: TotpDeviceRow, old: MasterKey, new: MasterKey) -> TotpDeviceRow:
    place = row.account_id, row.device_id, TOTP_SEAL_VERSION
    try:
        new.open_totp(*place, row.sealed_secret)
    except CorruptRow:
        sealed = new.seal_totp(*place, old.open_totp(*place, row.sealed_secret))
        return replace(row, sealed_secret=sealed, version=row.version + 1)
    return row
