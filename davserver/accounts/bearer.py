"""Who is asking: an access token of the identity provider becomes a `Principal`, or nothing does.

Whatever is wrong, the answer is the same `AuthenticationError`. The provider is not asked about a token; what
it has withdrawn since is seen by the session that stands behind it, the account's state, and the gate.
Called by the WebDAV door and by commands; app passwords are `authenticator.py`'s.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from davserver.accounts.clients import client_network
from davserver.accounts.gate import Gate
from davserver.accounts.health import TOKENS, Trouble
from davserver.accounts.health_notes import HealthNotes, NoNotes
from davserver.accounts.refusals import RefusalCounter
from davserver.accounts.second_factor import ProviderSessions, SecondFactor
from davserver.accounts.service import Accounts
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, to_seconds
from davserver.errors import (
    AlreadyExists,
    AuthenticationError,
    CorruptRow,
    InvalidValue,
    NotFound,
    NotPermitted,
    RoleMissing,
)
from davserver.identity.base import AccessTokens, Identity
from davserver.model import ROOT_ID, Account, AccountState, AuthMethod, Principal, Scope


class BearerAuthenticator:
    """Checks access tokens.

    Args:
        tokens: judges what a token says.
        accounts: knows whether an account is still open.
        factor: judges whether the second factor stands behind it.
        sessions: names sessions at the provider.
        gate: knows whether the owner of an account may still come in.
        health: where it is noted what tokens were refused for; None: nowhere.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - parts
        self,
        tokens: AccessTokens,
        accounts: Accounts,
        factor: SecondFactor,
        sessions: ProviderSessions,
        gate: Gate,
        clock: Clock,
        audit: AuditSink,
        health: HealthNotes | None = None,
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._factor = factor
        self._sessions = sessions
        self._gate = gate
        self._clock = clock
        self._audit = audit
        self._health = health or NoNotes()
        self._refusals = RefusalCounter()

    def authenticate(self, token: str, client: str) -> Principal:
        """Whose token this is (RFC 6750).

        Args:
            token: as the client sent it.
            client: address of the peer.

        Raises:
            AuthenticationError: not a token that is good here and now, without the second factor, or of an
                account that is shut or cannot be made: always with the same words.
            ProviderUnavailable, ProviderMisconfigured: there is no key to check it with.
            Unconfirmed: nobody can tell whether the owner may still come in.
            CorruptRow: a row was altered. Nobody gets in.
        """
        return self._judge(token, client, needs_factor=True)

    def recognise(self, token: str, client: str) -> Principal:
        """The same for a token that is only the first of two factors: a one-time code is asked for next.

        What was proved for it before does not count: `totp_at` is None.
        """
        return replace(self._judge(token, client, needs_factor=False), totp_at=None)

    def _judge(self, token: str, client: str, *, needs_factor: bool) -> Principal:
        """As `authenticate`; `needs_factor`: the second factor has to stand behind the token already."""
        try:
            identity = self._tokens.verify_access_token(token)
        except (AuthenticationError, RoleMissing) as error:
            raise self._refused(client, None, str(error)) from None
        account, proved_at = self._look_up(identity, client)
        if account.state is AccountState.SUSPENDED:
            raise self._shut(client, account, "account suspended", Trouble.SUSPENDED)
        if needs_factor and proved_at is None:
            raise self._shut(client, account, "no second factor", Trouble.NO_SECOND_FACTOR)
        account = self._admitted(account, client)  # whatever is not right is not worth asking anybody about
        return Principal(
            account,
            Scope.FULL,
            ROOT_ID,
            AuthMethod.BEARER,
            authenticated_at=self._clock(),
            totp_at=proved_at,
            provider_session=self._sessions.session_id(identity.sid),
        )

    def still_open(self, principal: Principal) -> bool:
        """Whether the account would still be opened: asked during long answers, which may outlive the token.

        Raises:
            CorruptRow: a row was altered.
            AuthenticationError, Unconfirmed: the owner has left, or nobody can tell.
        """
        try:
            account = self._accounts.find_subject(principal.account.subject)
        except NotFound:
            return False
        if account.id != principal.account.id or account.state is not AccountState.ACTIVE:
            return False
        self._gate.admit(account)
        return self._factor.still_stands(principal)

    def _look_up(self, identity: Identity, client: str) -> tuple[Account, datetime | None]:
        """The account, and when its second factor was proved for this token."""
        try:
            account = self._factor.account_of(identity)
            return account, self._factor.proved_at(account, identity)
        except (NotFound, NotPermitted, AlreadyExists, InvalidValue):
            raise self._refused(client, None, "no account, and none is made") from None
        except CorruptRow:
            reason = "account or session altered"
            self._audit.record(AuditEvent.INTEGRITY_FAILED, client=client, reason=reason)
            raise

    def _admitted(self, account: Account, client: str) -> Account:
        """The account as it is now, whose owner may come in."""
        try:
            account = self._gate.admit(account)
        except AuthenticationError:
            reason = "not confirmed by the identity provider"
            raise self._shut(client, account, reason, Trouble.LEFT) from None
        if account.state is not AccountState.ACTIVE:
            raise self._shut(client, account, "account suspended", Trouble.LEFT)
        return account

    def _shut(self, client: str, account: Account, reason: str, trouble: Trouble) -> AuthenticationError:
        """As `_refused`, of somebody who is known: noted for them as well."""
        self._health.note(account.id, TOKENS, trouble, to_seconds(self._clock()))
        return self._refused(client, account.username, reason)

    def _refused(self, client: str, account: str | None, reason: str) -> AuthenticationError:
        """The one error; recorded at the first, second, fourth, eighth ... refusal from there."""
        if self._refusals.is_power_of_two(client_network(client), account):
            self._audit.record(AuditEvent.TOKEN_REFUSED, account=account, client=client, reason=reason)
        return AuthenticationError("the access token is not accepted here")
