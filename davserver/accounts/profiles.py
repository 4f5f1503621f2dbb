"""Who is an administrator, and where somebody's notices go.

An account that nothing is said of is no administrator and gets no mail. Called by the command line, the site
and `notices.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from davserver.audit import AuditEvent, AuditSink
from davserver.db.engine import Database, Transaction
from davserver.db.profiles import ProfileRow
from davserver.errors import InvalidValue
from davserver.keyring import Keyring
from davserver.model import Account, AccountId

MAX_EMAIL_CHARS = 254
"""Longest address (RFC 5321, 4.5.3.1.3, without the angle brackets)."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/_{|}~^-]+"
_LABEL = r"[A-Za-z0-9-]+"

_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
"""Less than RFC 5322 allows: "=" and "?" could make an encoded word (RFC 2047), which headers may hold."""


def is_email(text: str) -> bool:
    """Whether it is an address that may stand in a header of a mail as it is."""
    return len(text) <= MAX_EMAIL_CHARS and _EMAIL.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of an account's owner beside the account."""

    admin: bool = False
    email: str = ""


class Profiles:
    """The profiles of all accounts."""

    def __init__(self, database: Database, keyring: Keyring, audit: AuditSink) -> None:
        self._database = database
        self._keyring = keyring
        self._audit = audit

    def of(self, account_id: AccountId) -> Profile:
        """The profile of an account.

        Raises:
            CorruptRow: it was altered.
        """
        with self._database.read() as tx:
            row = self._find(tx, account_id)
        return Profile(row.admin, row.email)

    def set_admin(self, account: Account, *, admin: bool, by: str | None = None) -> None:
        """Make somebody an administrator, or no longer.

        Args:
            account: whose.
            admin: whether they are to be one.
            by: who does it, for the audit log.

        Raises:
            CorruptRow: the profile was altered.
        """
        with self._database.write() as tx:
            self.write_admin(tx, account.id, admin=admin)
            event = AuditEvent.ADMIN_GRANTED if admin else AuditEvent.ADMIN_WITHDRAWN
            self._audit.record(event, account=account.username, actor=by, tx=tx)
            tx.commit()

    def write_admin(self, tx: Transaction, account_id: AccountId, *, admin: bool) -> None:
        """The same inside somebody's transaction, without a word in the log."""
        self._change(tx, account_id, lambda row: replace(row, admin=admin))

    def set_email(self, account: Account, email: str) -> None:
        """Say where notices go; "" is nowhere. The same address again changes nothing.

        Raises:
            InvalidValue: not an address.
            CorruptRow: the profile was altered.
        """
        email = email.strip()
        if email and not is_email(email):
            raise InvalidValue("an e-mail address looks like name@example.org")
        with self._database.write() as tx:
            if self._find(tx, account.id).email == email:
                return
            self._change(tx, account.id, lambda row: replace(row, email=email))
            # Before the change can be seen: the notice of it has to find the old address.
            self._audit.record(AuditEvent.EMAIL_CHANGED, account=account.username, tx=tx)
            tx.commit()

    def _change(
        self, tx: Transaction, account_id: AccountId, change: Callable[[ProfileRow], ProfileRow]
    ) -> None:
        old = self._find(tx, account_id)
        new = self._keyring.with_mac(change(replace(old, version=old.version + 1)))
        if old.version:
            tx.profiles.replace(new, expected_version=old.version)
        else:
            tx.profiles.insert(new)

    def _find(self, tx: Transaction, account_id: AccountId) -> ProfileRow:
        """The row; one of version 0 if nothing was said yet."""
        row = tx.profiles.find(account_id)
        if row is None:
            return ProfileRow(account_id, admin=False, email="", version=0)
        return self._keyring.checked(row)
