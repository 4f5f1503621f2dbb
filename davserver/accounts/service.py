"""Accounts: create, find, list, suspend and resume them, and set their quota. Their end is in `deletion.py`.

It must never believe an account's row before its authenticator was checked (`read_account`). Called by the
command line, by both doors, and by the other services of this package.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from pydantic import ByteSize, TypeAdapter, ValidationError

from davserver.audit import PROVIDER, AuditEvent, AuditSink
from davserver.clock import Clock, from_seconds, to_seconds
from davserver.crypto.keys import AccountKey
from davserver.crypto.primitives import random_bytes
from davserver.db.accounts import AccountRow
from davserver.db.engine import Database, Transaction, Within
from davserver.errors import AlreadyExists, InvalidValue, NotFound, NotPermitted
from davserver.identity.base import Identity
from davserver.keyring import Keyring
from davserver.model import ID_BYTES, Account, AccountId, AccountState
from davserver.texts import marked

MAX_USERNAME_CHARS = 64
"""Longest user name."""

USERNAME_PATTERN = re.compile(rf"[a-z0-9][a-z0-9._@+-]{{0,{MAX_USERNAME_CHARS - 1}}}")
"""A user name once its letters are small: safe in URLs, in Basic (no colon) and in a shell."""

USERNAME_RULE = marked(
    "a user name is 1 to %(most)s letters a-z, digits and . _ @ + -, begins with a letter or "
    "digit, and has no two dots in a row"
)

MAX_SUBJECT_CHARS = 255
"""Longest identity (OpenID Connect Core 1.0, 2: `sub` must not exceed 255 ASCII characters)."""

LOCAL = "local:"
"""How the subject of a built-in account begins; no identity provider may give such a one."""

MAX_QUOTA_BYTES = 2**62
"""Largest quota: it and what is added to it stay within the 64 bits of a database integer."""

SHUT_ELSEWHERE = marked(
    "this account was shut by the identity provider, not by an administrator: let its owner in again there, "
    "and it opens by itself"
)

NO_QUOTA = "none"
"""What people type for no limit."""

UNLIMITED = "no limit"
"""What the audit log says where there is no quota."""

BYTES_IN_NEXT_UNIT = 1024
"""Bytes of a KiB, KiB of a MiB, and so on (IEC 80000-13)."""

PlantRoot = Callable[[Transaction, AccountId, AccountKey], None]
"""Makes the root collection of a new account inside the transaction that makes the account."""


def parse_quota(text: str) -> int | None:
    """A quota as people type it: "10 GiB", "500 MB", a number of bytes; "" and "none" are no limit.

    Raises:
        InvalidValue: no such text. Whether the number may be a quota is seen when it is set.
    """
    if text.strip().casefold() in {"", NO_QUOTA}:
        return None
    try:
        return int(TypeAdapter(ByteSize).validate_python(text.strip()))
    except ValidationError:
        raise InvalidValue('the quota: give bytes, or a number with a unit such as "10 GiB"') from None


def exactly(quota: int) -> str:
    """A quota as `parse_quota` reads it: in the largest unit of which it is a whole number."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if not quota or quota % BYTES_IN_NEXT_UNIT:
            return f"{quota} {unit}"
        quota //= BYTES_IN_NEXT_UNIT
    return f"{quota} TiB"


def normalise_username(username: str) -> str:
    """The one spelling of a user name: names that differ only in case are the same.

    Raises:
        InvalidValue: not a user name; the message says what one is.
    """
    name = username.casefold()
    if not USERNAME_PATTERN.fullmatch(name) or ".." in name:
        raise InvalidValue(USERNAME_RULE, most=MAX_USERNAME_CHARS)
    return name


def read_account(keyring: Keyring, row: AccountRow) -> Account:
    """The account that a row stands for.

    Raises:
        CorruptRow: the row was altered.
    """
    return _account(keyring.checked(row))


def _account(row: AccountRow) -> Account:
    return Account(
        id=row.account_id,
        subject=row.subject,
        username=row.username,
        state=AccountState(row.state),
        quota=row.quota,
        used=row.used,
        created_at=from_seconds(row.created_at),
        key_version=row.key_version,
        sealed=row.sealed,
        kept=row.kept,
    )


class Accounts:
    """The accounts of this installation.

    Args:
        plant_root: makes the root collection of a new account.
    """

    def __init__(
        self, database: Database, keyring: Keyring, clock: Clock, audit: AuditSink, plant_root: PlantRoot
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._audit = audit
        self._plant_root = plant_root

    def create(
        self,
        username: str,
        subject: str | None = None,
        quota: int | None = None,
        *,
        within: Within = lambda _tx, _account_id: None,
    ) -> Account:
        """Make an account with an empty vault.

        Args:
            username: a label, unique whatever its case.
            subject: who it is at the identity provider; None makes a built-in account.
            quota: bytes of plaintext; None is unlimited.
            within: what else belongs into the same transaction; whatever it raises, nothing was made.

        Raises:
            InvalidValue: not a user name, subject or quota.
            AlreadyExists: the user name or the subject is taken.
        """
        account_id = AccountId(random_bytes(ID_BYTES))
        new = self._keyring.new_account_key(account_id)
        row = AccountRow(
            account_id=account_id,
            subject=_checked_subject(f"{LOCAL}{account_id.hex()}" if subject is None else subject),
            username=normalise_username(username),
            state=AccountState.ACTIVE.value,
            quota=_checked_quota(quota),
            used=0,
            kept=0,
            sealed=False,
            wrapped_key=new.wrapped_key,
            master_key_id=new.master_key_id,
            key_version=new.key_version,
            key_commitment=new.commitment,
            structure_version=0,
            created_at=to_seconds(self._clock()),
            version=1,
        )
        row = self._keyring.with_mac(row)
        with self._database.write() as tx:
            tx.accounts.insert(row)
            self._plant_root(tx, account_id, new.key)
            self._audit.record(AuditEvent.ACCOUNT_CREATED, account=row.username, tx=tx)
            within(tx, account_id)
            tx.commit()
        return read_account(self._keyring, row)

    def provision(self, identity: Identity) -> Account:
        """The account of somebody who has just signed in at the identity provider; made the first time.

        It hangs on the subject: whoever is given the name of an account that is there gets nothing of it. A
        quota that the provider says is taken over every time, a new name never.

        Raises:
            AlreadyExists: the name belongs to another account; the message says what to do.
            InvalidValue: the provider's user name, subject or quota is none of ours; the message says which.
            NotPermitted: the account is suspended.
            NotFound: the account is being deleted.
            CorruptRow: its row was altered.
        """
        if identity.subject.startswith(LOCAL):
            raise InvalidValue("the identity provider's subject looks like that of a built-in account")
        row = self._by_subject(identity.subject)
        if row is None:
            return self._first_time(identity)
        account = read_account(self._keyring, row)
        _require_kept(account.state)
        if account.state is not AccountState.ACTIVE:
            raise NotPermitted("this account is suspended")
        if identity.quota in {None, account.quota}:
            return account
        return self.set_quota(account.username, identity.quota, by=PROVIDER)

    def _first_time(self, identity: Identity) -> Account:
        try:
            return self.create(
                identity.username, identity.subject, identity.quota, within=self._quota_of(identity)
            )
        except AlreadyExists:
            row = self._by_subject(identity.subject)
        if row is None:
            raise AlreadyExists(
                "there is already an account of this name that is somebody else's: an administrator has to "
                "delete it here, or to rename the person at the identity provider"
            )
        return read_account(self._keyring, row)  # the same person, signing in twice at once

    def _quota_of(self, identity: Identity) -> Within:
        """Records whose word the quota of a new account is."""

        def record(tx: Transaction, _account_id: AccountId) -> None:
            if identity.quota is not None:
                name, change = normalise_username(identity.username), _change_of(None, identity.quota)
                self._audit.record(
                    AuditEvent.QUOTA_CHANGED, account=name, actor=PROVIDER, reason=change, tx=tx
                )

        return record

    def find_subject(self, subject: str) -> Account:
        """The account of this identity.

        Raises:
            NotFound: there is none, or no more.
            CorruptRow: its row was altered.
        """
        row = self._by_subject(subject)
        if row is None:
            raise NotFound("there is no account of this identity")
        account = read_account(self._keyring, row)
        _require_kept(account.state)
        return account

    def _by_subject(self, subject: str) -> AccountRow | None:
        with self._database.read() as tx:
            return tx.accounts.by_subject(subject)

    def find(self, username: str) -> Account:
        """The account with this user name, whatever its case.

        Raises:
            NotFound: there is none, or no more.
            CorruptRow: its row was altered.
        """
        with self._database.read() as tx:
            row = tx.accounts.by_username(username.casefold())
        if row is None:
            raise NotFound("there is no account of this name")
        account = read_account(self._keyring, row)
        _require_kept(account.state)
        return account

    def list(self) -> list[Account]:
        """Every account, in order of user names; those whose deletion is unfinished are among them.

        Raises:
            CorruptRow: a row was altered.
        """
        with self._database.read() as tx:
            rows = tx.accounts.all()
        return [read_account(self._keyring, row) for row in rows]

    def suspend(
        self,
        username: str,
        *,
        by: str | None = None,
        reason: str | None = None,
        within: Within = lambda _tx, _account_id: None,
    ) -> Account:
        """Shut an account: from the next request on, nothing opens it. Its files stay.

        Who may do that, and what ends with it, is in `administration.py`.

        Args:
            username: whose account.
            by: who does it, for the audit log.
            reason: why, for the audit log.
            within: what else belongs into the same transaction; whatever it raises, nothing was changed.

        Raises:
            NotFound: there is none.
            CorruptRow: its row was altered.
        """

        def suspended(tx: Transaction, row: AccountRow) -> AccountRow:
            within(tx, row.account_id)
            tx.proofs.delete_of(row.account_id)
            return replace(row, state=AccountState.SUSPENDED.value)

        return self._change(username, suspended, AuditEvent.ACCOUNT_SUSPENDED, by, lambda _row: reason)

    def resume(
        self,
        username: str,
        *,
        by: str | None = None,
        state: Callable[[Transaction, Account], AccountState] = lambda _tx, _account: AccountState.ACTIVE,
    ) -> Account:
        """Open a suspended account again, with the credentials that it had.

        Args:
            username: whose account.
            by: who does it, for the audit log.
            state: what the account is once no administrator keeps it shut; others may.

        Raises:
            NotFound: there is none.
            NotPermitted: the identity provider has shut it, not an administrator.
            CorruptRow: its row was altered.
        """

        def resumed(tx: Transaction, row: AccountRow) -> AccountRow:
            if row.state == AccountState.OFFBOARDED.value:
                raise NotPermitted(SHUT_ELSEWHERE)
            return replace(row, state=state(tx, _account(row)).value)

        return self._change(username, resumed, AuditEvent.ACCOUNT_RESUMED, by)

    def set_quota(self, username: str, quota: int | None, *, by: str | None = None) -> Account:
        """Limit the plaintext bytes that an account may store; what is stored already stays.

        Args:
            username: whose account.
            quota: None is unlimited.
            by: who does it, for the audit log.

        Raises:
            NotFound: there is none.
            InvalidValue: not a quota.
            CorruptRow: its row was altered.
        """
        quota = _checked_quota(quota)
        return self._change(
            username,
            lambda _tx, row: replace(row, quota=quota),
            AuditEvent.QUOTA_CHANGED,
            by,
            lambda before: _change_of(before.quota, quota),
        )

    def _change(
        self,
        username: str,
        change: Callable[[Transaction, AccountRow], AccountRow],
        event: AuditEvent,
        by: str | None,
        reason: Callable[[AccountRow], str | None] = lambda _before: None,
    ) -> Account:
        with self._database.write() as tx:
            row = tx.accounts.by_username(username.casefold())
            if row is None:
                raise NotFound("there is no account of this name")
            _require_kept(read_account(self._keyring, row).state)
            changed = self._keyring.with_mac(change(tx, replace(row, version=row.version + 1)))
            tx.accounts.replace(changed, expected_version=row.version)
            self._audit.record(event, account=row.username, actor=by, reason=reason(row), tx=tx)
            tx.commit()
        return read_account(self._keyring, changed)


def _change_of(before: int | None, quota: int | None) -> str:
    """What the audit log says of a change of a quota."""
    return f"from {_in_words(before)} to {_in_words(quota)}"


def _in_words(quota: int | None) -> str:
    return UNLIMITED if quota is None else exactly(quota)


def _require_kept(state: AccountState) -> None:
    if state is AccountState.DELETED:
        raise NotFound("this account is being deleted: run `sealdav user delete` again to finish it")


def _checked_subject(subject: str) -> str:
    if not 0 < len(subject) <= MAX_SUBJECT_CHARS or not subject.isprintable():
        raise InvalidValue("a subject is 1 to %(most)s printable characters", most=MAX_SUBJECT_CHARS)
    return subject


def _checked_quota(quota: int | None) -> int | None:
    if quota is not None and not 0 <= quota <= MAX_QUOTA_BYTES:
        raise InvalidValue("a quota is between 0 and %(most)s bytes", most=MAX_QUOTA_BYTES)
    return quota
