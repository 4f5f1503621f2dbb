"""App passwords: what a device signs in with. Issued only after a fresh one-time code, and shown once.

Stored is a keyed hash of the secret, and a row whose every limit is authenticated: nobody who writes to the
database can widen one. Called by the command line and by the site; they are checked in `authenticator.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_network

from davserver.accounts.service import read_account
from davserver.accounts.totp import FRESH_FOR, require_fresh_totp
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, from_seconds, to_seconds
from davserver.crypto import tokens
from davserver.crypto.tokens import AppToken
from davserver.db.credentials import AppPasswordRow
from davserver.db.engine import Database, Transaction, Within
from davserver.errors import CorruptRow, InvalidValue, LimitExceeded, NotFound, NotPermitted, WrongKind
from davserver.keyring import Keyring
from davserver.model import (
    ROOT_ID,
    Account,
    AccountState,
    AppPassword,
    Network,
    NodeId,
    NodeKind,
    Principal,
    Scope,
)

DEFAULT_LIFETIME = timedelta(days=365)
LONGEST_LIFETIME = timedelta(days=3650)
MAX_LIVE = 20
"""Live app passwords of one account."""

MAX_LABEL_CHARS = 100
MAX_NETWORKS = 16
"""Networks that one app password may be limited to."""

GRANTABLE = (Scope.FULL, Scope.READ_ONLY, Scope.NO_DELETE)
"""What an app password may be allowed to do."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits on issuing, as set for this installation.

    Attributes:
        lifetime: validity unless asked otherwise.
        longest_lifetime: the longest that may be asked for.
        max_live: live app passwords of one account.
        fresh_for: how long after a one-time code an app password may be issued.
    """

    lifetime: timedelta = DEFAULT_LIFETIME
    longest_lifetime: timedelta = LONGEST_LIFETIME
    max_live: int = MAX_LIVE
    fresh_for: timedelta = FRESH_FOR


@dataclass(frozen=True, slots=True)
class IssuedAppPassword:
    """A new app password. `token` is shown to its owner now and never again."""

    token: str = field(repr=False)
    app_password: AppPassword


@dataclass(frozen=True, slots=True)
class Revoked:
    """What the audit log is told of an app password that is revoked.

    Attributes:
        by: who does it, if that is not the account's owner.
        reason: why.
        client: address of the peer.
    """

    by: str | None = None
    reason: str | None = None
    client: str | None = None


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read CIDR notations, sorted and without repetition; a bare address is a network of one.

    Raises:
        InvalidValue: one of them is not a network, has bits set beyond its prefix, or names an interface.
    """
    try:  # an interface ("fe80::%eth0") means nothing to a server: made invalid
        found = {ip_network(text.strip().replace("%", " ")) for text in texts}
    except ValueError:
        raise InvalidValue("a network is an address, or address/prefix such as 192.0.2.0/24") from None
    return tuple(sorted(found, key=lambda network: (network.version, network)))


def read_networks(stored: str) -> tuple[Network, ...]:
    """The networks in a column that `AppPasswords` wrote; its row was checked."""
    return tuple(ip_network(text) for text in stored.split(",")) if stored else ()


class AppPasswords:
    """The app passwords of all accounts."""

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        audit: AuditSink,
        policy: Policy | None = None,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._audit = audit
        self._policy = policy or Policy()

    def issue(  # noqa: PLR0913 - what a person may choose
        self,
        principal: Principal,
        label: str,
        *,
        scopes: Scope = Scope.FULL,
        root_id: NodeId = ROOT_ID,
        expires_at: datetime | None = None,
        networks: Collection[Network] = (),
        client: str | None = None,
    ) -> IssuedAppPassword:
        """Make an app password for the principal's account.

        Args:
            principal: somebody who has just proved the second factor.
            label: for people, to tell devices apart.
            scopes: one of `GRANTABLE`.
            root_id: the collection that the device sees as its root.
            expires_at: None for the usual lifetime.
            networks: client addresses that may use it; none means any.
            client: address of the peer, for the audit log.

        Raises:
            NotPermitted: no fresh one-time code, more than the principal may do, or a suspended account.
            InvalidValue: label, lifetime, scopes or networks break their rule; the message says it.
            LimitExceeded: too many live app passwords.
            NotFound, WrongKind: `root_id` is not a collection of the account.
            CorruptRow: a row was altered.
        """
        token, row = self._new(principal, label, scopes, expires_at, networks)
        row = self._keyring.with_mac(replace(row, root_id=root_id))
        with self._database.write() as tx:
            self._require_allowed(tx, row)
            _require_collection(tx, row)
            tx.credentials.insert_app_password(row)
            self._audit.record(
                AuditEvent.APP_PASSWORD_ISSUED,
                account=principal.account.username,
                credential=row.app_id,
                client=client,
                tx=tx,
            )
            tx.commit()
        return IssuedAppPassword(token.text(), _app_password(row))

    def judge(
        self,
        principal: Principal,
        label: str,
        *,
        scopes: Scope = Scope.FULL,
        expires_at: datetime | None = None,
        networks: Collection[Network] = (),
    ) -> None:
        """Refuse what `issue` would refuse, but for the collection: for whoever makes that first.

        Raises:
            NotPermitted, InvalidValue, LimitExceeded, CorruptRow: as `issue`.
        """
        _, row = self._new(principal, label, scopes, expires_at, networks)
        with self._database.read() as tx:
            self._require_allowed(tx, row)

    def find(self, account: Account, app_id: str) -> AppPassword:
        """One app password, also if it has expired or was revoked.

        Raises:
            NotFound: the account never had it.
            CorruptRow: it was altered.
        """
        with self._database.read() as tx:
            rows = [row for row in tx.credentials.app_passwords(account.id) if row.app_id == app_id]
        if not rows:
            raise NotFound("the account has no such app password")
        return _app_password(self._keyring.checked(rows[0]))

    def list(self, account: Account) -> list[AppPassword]:
        """App passwords that were not revoked, oldest first; expired ones are among them.

        Raises:
            CorruptRow: one of them was altered.
        """
        with self._database.read() as tx:
            rows = tx.credentials.app_passwords(account.id)
        return [_app_password(row) for row in map(self._keyring.checked, rows) if row.revoked_at is None]

    def revoke(self, account: Account, app_id: str, revoked: Revoked | None = None) -> None:
        """Shut one app password for good, from the next request on.

        Args:
            account: whose.
            app_id: its public id.
            revoked: what the audit log is told beside that; None is nothing.

        Raises:
            NotFound: the account has no such app password, or it was revoked before.
        """
        with self._database.write() as tx:
            rows = [row for row in tx.credentials.app_passwords(account.id) if row.app_id == app_id]
            if not rows or not self._is_live(rows[0]):
                raise NotFound("the account has no such app password")
            self._revoke(tx, account, rows[0], revoked or Revoked())
            tx.commit()

    def revoke_all(
        self,
        account: Account,
        revoked: Revoked | None = None,
        *,
        within: Within = lambda _tx, _account_id: None,
    ) -> int:
        """Shut every app password of an account; returns how many there were.

        Args:
            account: whose.
            revoked: as `revoke`.
            within: what else belongs into the same transaction.
        """
        with self._database.write() as tx:
            rows = [row for row in tx.credentials.app_passwords(account.id) if self._is_live(row)]
            for row in rows:
                self._revoke(tx, account, row, revoked or Revoked())
            within(tx, account.id)
            tx.commit()
        return len(rows)

    def _new(
        self,
        principal: Principal,
        label: str,
        scopes: Scope,
        expires_at: datetime | None,
        networks: Collection[Network],
    ) -> tuple[AppToken, AppPasswordRow]:
        """What was asked for, for the whole vault, as far as it can be judged without the database."""
        now = self._clock()
        require_fresh_totp(principal, now, self._policy.fresh_for)
        if scopes not in principal.scopes or principal.root_id != ROOT_ID:
            raise NotPermitted("an app password cannot do more than whoever issues it")
        token = tokens.mint()
        return token, AppPasswordRow(
            app_id=token.id,
            account_id=principal.account.id,
            label=_checked_label(label),
            scopes=_checked_scopes(scopes).value,
            root_id=ROOT_ID,
            networks=_checked_networks(networks),
            verifier=self._keyring.verifier(principal.account.id, token),
            wrapped_key=None,
            public_key=None,
            key_version=principal.account.key_version,
            created_at=to_seconds(now),
            expires_at=to_seconds(self._checked_expiry(expires_at, now)),
            revoked_at=None,
            version=1,
            last_used_at=None,
            last_used_from=None,
        )

    def _is_live(self, row: AppPasswordRow) -> bool:
        """Whether there is something to revoke; a row that was altered is not believed to be revoked."""
        try:
            return self._keyring.checked(row).revoked_at is None
        except CorruptRow:
            return True

    def _revoke(self, tx: Transaction, account: Account, row: AppPasswordRow, revoked: Revoked) -> None:
        """Remove what can be checked or unwrapped. An altered row is revoked too: it only loses authority."""
        gone = replace(
            row,
            verifier=None,
            wrapped_key=None,
            public_key=None,
            revoked_at=to_seconds(self._clock()),
            version=row.version + 1,
        )
        tx.credentials.replace_app_password(self._keyring.with_mac(gone), expected_version=row.version)
        self._audit.record(
            AuditEvent.APP_PASSWORD_REVOKED,
            account=account.username,
            actor=revoked.by,
            credential=row.app_id,
            client=revoked.client,
            reason=revoked.reason,
            tx=tx,
        )

    def _require_allowed(self, tx: Transaction, new: AppPasswordRow) -> None:
        account_row = tx.accounts.by_id(new.account_id)
        if account_row is None:
            raise NotFound("no such account")
        if read_account(self._keyring, account_row).state is not AccountState.ACTIVE:
            raise NotPermitted("this account is suspended")
        rows = tx.credentials.app_passwords(new.account_id)
        live = [row for row in rows if row.revoked_at is None and row.expires_at > new.created_at]
        if len(live) >= self._policy.max_live:
            most = self._policy.max_live
            raise LimitExceeded("an account has at most %(most)s app passwords: revoke one", most=most)

    def _checked_expiry(self, expires_at: datetime | None, now: datetime) -> datetime:
        if expires_at is None:
            return now + self._policy.lifetime
        if not timedelta(0) < expires_at - now <= self._policy.longest_lifetime:
            days = self._policy.longest_lifetime.days
            raise InvalidValue("an app password expires in the future, within %(days)s days", days=days)
        return expires_at


def _app_password(row: AppPasswordRow) -> AppPassword:
    return AppPassword(
        id=row.app_id,
        account_id=row.account_id,
        label=row.label,
        scopes=Scope(row.scopes),
        root_id=row.root_id,
        networks=read_networks(row.networks),
        created_at=from_seconds(row.created_at),
        expires_at=from_seconds(row.expires_at),
        last_used_at=None if row.last_used_at is None else _read_note(row.last_used_at),
        last_used_from=row.last_used_from,
        last_used_client=row.last_used_client,
    )


def _read_note(last_used_at: int) -> datetime:
    """The time of the last use, which no authenticator covers.

    Raises:
        CorruptRow: it is no time.
    """
    try:
        return from_seconds(last_used_at)
    except (TypeError, ValueError, OverflowError):
        raise CorruptRow("the note of an app password's last use was altered") from None


def _require_collection(tx: Transaction, row: AppPasswordRow) -> None:
    node, above = tx.nodes.by_id(row.account_id, row.root_id), tx.nodes.ancestors(row.account_id, row.root_id)
    if node is None or ROOT_ID not in above:  # gone, or in the trash
        raise NotFound("no such folder")
    if node.kind != NodeKind.COLLECTION.value:
        raise WrongKind("a device's root must be a folder")


def _checked_label(label: str) -> str:
    label = label.strip()
    if not 0 < len(label) <= MAX_LABEL_CHARS or not label.isprintable():
        raise InvalidValue("a label is 1 to %(most)s printable characters", most=MAX_LABEL_CHARS)
    return label


def _checked_scopes(scopes: Scope) -> Scope:
    if scopes not in GRANTABLE:
        raise InvalidValue("an app password is for full access, read-only or without deleting")
    return scopes


def _checked_networks(networks: Collection[Network]) -> str:
    if len(networks) > MAX_NETWORKS:
        raise InvalidValue("an app password is limited to at most %(most)s networks", most=MAX_NETWORKS)
    return ",".join(str(network) for network in parse_networks(str(network) for network in networks))
