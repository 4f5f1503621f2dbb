"""Links that let somebody set up an account: the first administrator's, and those that administrators give.

A link is good once and for a day; the database holds its keyed hash only. The account is made when the link
is used, with its password, in the same transaction that uses it up. Called by `serve`, the command line and
the site.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from davserver.accounts.profiles import Profiles
from davserver.accounts.service import Accounts, normalise_username
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, from_seconds, to_seconds
from davserver.crypto import sessions as secrets_
from davserver.db.engine import Database, Transaction
from davserver.db.invitations import InvitationRow
from davserver.errors import AlreadyExists, AuthenticationError, NotFound
from davserver.identity.local import LocalIdentity
from davserver.keyring import Keyring
from davserver.model import Account, AccountId

VALID_FOR = timedelta(hours=24)
"""How long a link is good."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a link is good for.

    Attributes:
        username: "" lets whoever opens it choose.
        admin: whether it makes an administrator.
    """

    username: str
    admin: bool
    expires_at: datetime


class Invitations:
    """The links that are waiting."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts that an account is made with
        self,
        database: Database,
        keyring: Keyring,
        accounts: Accounts,
        profiles: Profiles,
        identity: LocalIdentity,
        clock: Clock,
        audit: AuditSink,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._accounts = accounts
        self._profiles = profiles
        self._identity = identity
        self._clock = clock
        self._audit = audit

    def first(self) -> str | None:
        """The text of a link that makes the first administrator; None once there is an account.

        One that was given before is worth nothing from here on.
        """
        with self._database.read() as tx:
            if tx.accounts.all():
                return None
        return self._make("", admin=True, quota=None, by=None)

    def invite(
        self, username: str, *, admin: bool = False, quota: int | None = None, by: str | None = None
    ) -> str:
        """The text of a link for somebody new; one that was given for the same name before ends.

        Args:
            username: what they are to be called.
            admin: whether it makes an administrator.
            quota: in bytes; None is unlimited.
            by: who invites, for the audit log.

        Raises:
            InvalidValue: not a user name.
            AlreadyExists: the name is taken.
        """
        username = normalise_username(username)
        with self._database.read() as tx:
            if tx.accounts.by_username(username) is not None:
                raise AlreadyExists("there is already an account of this name")
        return self._make(username, admin=admin, quota=quota, by=by)

    def find(self, text: str) -> Invitation:
        """What a link is good for.

        Raises:
            NotFound: it was used, has expired, or never was.
            CorruptRow: it was altered.
        """
        with self._database.read() as tx:
            row = self._row(tx, text)
        return Invitation(row.username, row.admin, from_seconds(row.expires_at))

    def accept(self, text: str, username: str, password: str) -> Account:
        """Use a link: the account is made and gets its password.

        Args:
            text: what the link holds.
            username: chosen by whoever opened it; the link's own name wins.
            password: as typed.

        Raises:
            NotFound: the link was used, has expired, or never was.
            InvalidValue: not a user name or a password; the link stays good.
            AlreadyExists: the name is taken; the link stays good.
            CorruptRow: the link was altered.
        """
        with self._database.read() as tx:
            row = self._row(tx, text)
        username = normalise_username(row.username or username.strip())
        give_password = self._identity.first_password(username, password)

        def use(tx: Transaction, account_id: AccountId) -> None:
            if not tx.invitations.consume(row.token_hash) or (
                not row.username and len(tx.accounts.all()) > 1
            ):
                raise NotFound("this link was used already")
            self._audit.record(AuditEvent.INVITATION_USED, account=username, tx=tx)
            give_password(tx, account_id)
            if row.admin:
                self._profiles.write_admin(tx, account_id, admin=True)
                self._audit.record(AuditEvent.ADMIN_GRANTED, account=username, tx=tx)

        return self._accounts.create(username, quota=row.quota, within=use)

    def forget(self) -> int:
        """Remove links that have expired; returns how many there were."""
        with self._database.write() as tx:
            count = tx.invitations.forget(expired_before=to_seconds(self._clock()))
            tx.commit()
        return count

    def _make(self, username: str, *, admin: bool, quota: int | None, by: str | None) -> str:
        secret, now = secrets_.mint(), self._clock()
        row = InvitationRow(
            token_hash=self._hash(secret),
            username=username,
            admin=admin,
            quota=quota,
            created_at=to_seconds(now),
            expires_at=to_seconds(now + VALID_FOR),
        )
        with self._database.write() as tx:
            tx.invitations.withdraw(username)
            tx.invitations.insert(self._keyring.with_mac(row))
            if username:
                self._audit.record(AuditEvent.INVITATION_MADE, account=username, actor=by, tx=tx)
            tx.commit()
        return secrets_.to_text(secret)

    def _row(self, tx: Transaction, text: str) -> InvitationRow:
        try:
            row = tx.invitations.find(self._hash(secrets_.parse(text)))
        except AuthenticationError:
            row = None
        if row is None or self._keyring.checked(row).expires_at <= to_seconds(self._clock()):
            raise NotFound("this link was used already, or has expired")
        return row

    def _hash(self, secret: bytes) -> bytes:
        return self._keyring.session_mac("invitation", secret)
