"""Signing in with user name and password, slowed down after failures: the first of two factors.

What comes out can do nothing that needs a fresh one-time code until `Totp.verify` was passed. Called by the
command line and by the site; never by the WebDAV door.
"""

from __future__ import annotations

from datetime import timedelta

from davserver.accounts.clients import client_network
from davserver.accounts.service import read_account
from davserver.accounts.throttle import Rule, Throttle
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock
from davserver.db.engine import Database, Transaction
from davserver.errors import AuthenticationError, NotPermitted, Throttled
from davserver.identity.base import IdentityProvider
from davserver.keyring import Keyring
from davserver.model import ROOT_ID, AccountState, AuthMethod, Principal, Scope

RULE = Rule(
    purpose="password",
    free=5,
    first_delay=timedelta(minutes=1),
    longest_delay=timedelta(hours=1),
    forget_after=timedelta(days=1),
)
"""Counted for a user name and an address together: nobody can lock a user out from elsewhere."""

ADDRESS_RULE = Rule(
    purpose="address",
    free=30,
    first_delay=timedelta(minutes=1),
    longest_delay=timedelta(minutes=10),
    forget_after=timedelta(hours=1),
)
"""Counted for an address alone, so that nobody tries one password on many names."""

ELSEWHERE_RULE = Rule(
    purpose="elsewhere",
    free=100,
    first_delay=timedelta(minutes=1),
    longest_delay=timedelta(minutes=10),
    forget_after=timedelta(hours=1),
)
"""Sign-ins at the identity provider that an address has begun since the last one that it finished.

Each takes a row for half an hour; an office behind one address whose people all come at nine gets along."""


class SignIn:
    """The way in for people."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is one part of the way in
        self,
        database: Database,
        keyring: Keyring,
        identity: IdentityProvider,
        throttle: Throttle,
        clock: Clock,
        audit: AuditSink,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._identity = identity
        self._throttle = throttle
        self._clock = clock
        self._audit = audit

    def with_password(self, username: str, password: str, *, client: str, method: AuthMethod) -> Principal:
        """Sign in with the first factor only: `totp_at` is None.

        Args:
            username: whatever its case.
            password: as typed.
            client: address of the peer; any fixed word for the terminal.
            method: which door this is.

        Raises:
            Throttled: too many failures from there.
            AuthenticationError: unknown user or wrong password, without saying which.
            NotPermitted: the password is right, but the account is suspended.
            CorruptRow: a row of the account was altered.
        """
        network = client_network(client)
        subject = f"{username.casefold()}\n{network}"
        with self._database.write() as tx:  # counted first: many attempts at once get no more than one by one
            self._throttle.require_open(tx, ADDRESS_RULE, network)
            self._throttle.require_open(tx, RULE, subject)
            self._throttle.failed(tx, RULE, subject)
            tx.commit()
        try:
            account_id = self._identity.authenticate(username, password)
        except Throttled:  # nothing was tried
            raise
        except AuthenticationError:
            with self._database.write() as tx:
                self._throttle.failed(tx, ADDRESS_RULE, network)
                self._record_refusal(tx, username, client)
                tx.commit()
            raise
        with self._database.write() as tx:
            self._throttle.succeeded(tx, RULE, subject)
            row = tx.accounts.by_id(account_id)
            tx.commit()
        if row is None:
            raise AuthenticationError("unknown user or wrong password")
        account = read_account(self._keyring, row)
        if account.state is not AccountState.ACTIVE:
            raise NotPermitted("this account is suspended")
        return Principal(account, Scope.FULL, ROOT_ID, method, authenticated_at=self._clock())

    def begun_elsewhere(self, client: str) -> None:
        """Somebody begins to sign in at the identity provider: anybody may, but not without end.

        Raises:
            Throttled: too many were begun from there, and none was finished.
        """
        network = client_network(client)
        with self._database.write() as tx:
            self._throttle.require_open(tx, ELSEWHERE_RULE, network)
            self._throttle.failed(tx, ELSEWHERE_RULE, network)
            tx.commit()

    def finished_elsewhere(self, client: str) -> None:
        """Somebody has come back from the identity provider with a right answer."""
        with self._database.write() as tx:
            self._throttle.succeeded(tx, ELSEWHERE_RULE, client_network(client))
            tx.commit()

    def _record_refusal(self, tx: Transaction, username: str, client: str) -> None:
        """With the name if it is one of ours: else it may be a password, typed into the wrong field."""
        row = tx.accounts.by_username(username.casefold())
        account = None if row is None else row.username
        self._audit.record(AuditEvent.PASSWORD_REFUSED, account=account, client=client, tx=tx)
