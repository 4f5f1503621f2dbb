"""Who is asking: a user name and an app password become a `Principal`, or nothing does.

Whatever is wrong, the answer is the same `AuthenticationError`, and whatever reached the database took the
same time. No slow hash. Of what is no app password nothing is handed on but the user name that came with it,
and the id that it begins with, if it does. Rows are read for every request, so revoking counts from the next
one on; what is remembered of them is that they were checked as they are. Called by the WebDAV door.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from davserver.accounts.app_passwords import read_networks
from davserver.accounts.clients import client_address, client_network
from davserver.accounts.gate import Gate, OpenGate
from davserver.accounts.health import Trouble
from davserver.accounts.health_notes import HealthNotes, NoNotes
from davserver.accounts.last_use import Use, UseNotes
from davserver.accounts.refusals import RefusalCounter
from davserver.accounts.service import read_account
from davserver.audit import AuditEvent, AuditSink
from davserver.clock import Clock, to_seconds
from davserver.crypto import tokens
from davserver.crypto.primitives import random_bytes
from davserver.crypto.tokens import AppToken
from davserver.db.accounts import AccountRow
from davserver.db.credentials import AppPasswordRow
from davserver.db.engine import Database
from davserver.db.reads import Reads
from davserver.errors import AuthenticationError, CorruptRow, Unconfirmed
from davserver.keyring import Keyring
from davserver.model import (
    ID_BYTES,
    ROOT_ID,
    Account,
    AccountId,
    AccountState,
    AuthMethod,
    Principal,
    Scope,
    Unlock,
)

NO_VERIFIER = bytes(32)
"""Stands in where an app password was revoked: the same comparison is made, and nothing matches it."""

REVOKED = "revoked"
EXPIRED = "expired"
SUSPENDED = "account suspended"
WRONG_SECRET = "wrong secret"  # noqa: S105 - why something is refused
WRONG_NAME = "another user's name"
WRONG_NETWORK = "address not allowed"
NOT_CONFIRMED = "not confirmed by the identity provider"
"""Why an app password opens nothing, as the audit log has it."""

KNOWN_CREDENTIALS = 4096
"""App passwords whose rows are remembered as they were when they were last checked."""


class Authenticator:
    """Checks app passwords.

    Args:
        uses: where the use of an app password is noted.
        gate: knows whether the owner of an account may still come in.
        health: where it is noted what a device was refused for; None: nowhere.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - parts
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        audit: AuditSink,
        uses: UseNotes,
        gate: Gate | None = None,
        health: HealthNotes | None = None,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._audit = audit
        self._uses = uses
        self._gate = gate or OpenGate()
        self._health = health or NoNotes()
        self._refusals = RefusalCounter()
        self._nobody = _nobody(keyring)
        self._known: dict[str, _Known] = {}

    def authenticate(
        self, username: str, secret: str, client: str, agent: str = "", reads: Reads | None = None
    ) -> Principal:
        """Who signs in with an app password over Basic (RFC 7617).

        Args:
            username: must be the account's name, whatever its case; the app password alone decides.
            secret: the app password as the client sent it.
            client: address of the peer.
            agent: what the program calls itself; noted for the owner.
            reads: shared with what the request reads next; None: a transaction of its own.

        Raises:
            AuthenticationError: malformed, unknown, wrong, expired, revoked, not from this address, not this
                user's, or the account is suspended: always with the same words.
            Unconfirmed: nobody can tell whether the owner may still come in.
            CorruptRow: the app password's or the account's row was altered. Nobody gets in.
        """
        try:
            token = tokens.parse(secret)
        except AuthenticationError:  # never reaches the database: it carries check digits
            self._health.note_attempt(username, tokens.id_in(secret), to_seconds(self._clock()))
            raise self._refused(client, None, "malformed") from None
        found, row, account = self._look_up(token.id, reads)
        now = self._clock()
        right = self._keyring.verify_token(row.account_id, token, row.verifier or NO_VERIFIER)
        if not found:
            self._health.note_attempt(username, None, to_seconds(now))
            raise self._refused(client, None, "unknown app password")
        reason = _why_shut(row, account, now) or (None if right else WRONG_SECRET)
        reason = reason or _why_not_here(row, account, username, client)
        if reason is None:  # whatever is not right is not worth asking anybody about
            account, reason = self._admitted_with(token.id, account, reads, now)
        if reason is not None:
            self._health.note(account.id, token.id, _trouble(reason, right=right), to_seconds(now))
            raise self._refused(client, token.id, reason, account.username)
        self._uses.note(Use(token.id, to_seconds(now), client, agent))
        return _principal(row, account, token, now)

    def still_open(self, principal: Principal) -> bool:
        """Whether the principal's app password would still open the account: asked during long answers.

        Raises:
            Unconfirmed: nobody can tell whether the owner may still come in.
            CorruptRow: a row was altered.
        """
        found, row, account = self._look_up(principal.credential_id or "", None)
        if not found or account.id != principal.account.id:
            return False
        if account.state is not AccountState.ACTIVE or _why_shut(row, account, self._clock()) is not None:
            return False
        return self._admitted(account, None)[1] is None

    def _admitted_with(
        self, app_id: str, account: Account, reads: Reads | None, now: datetime
    ) -> tuple[Account, str | None]:
        """As `_admitted`; that nobody can tell is noted of the device."""
        try:
            return self._admitted(account, reads)
        except Unconfirmed:
            self._health.note(account.id, app_id, Trouble.UNCONFIRMED, to_seconds(now))
            raise

    def _admitted(self, account: Account, reads: Reads | None) -> tuple[Account, str | None]:
        """The account as it is now, and why its owner may not come in, if so."""
        try:
            account = self._gate.admit(account, reads)
        except AuthenticationError:
            return account, NOT_CONFIRMED
        if account.state is AccountState.ACTIVE:
            return account, None
        return account, SUSPENDED if account.state is AccountState.SUSPENDED else NOT_CONFIRMED

    def _look_up(self, app_id: str, reads: Reads | None) -> tuple[bool, AppPasswordRow, Account]:
        """Both rows, checked, in one statement; for an unknown id those of nobody, at the same cost."""
        with (reads or self._database).read() as tx:
            found = tx.credentials.stored(app_id)
            known = self._known.get(app_id)
            if known is not None and known.found == found:
                return True, known.row, known.account
            row, account_row = self._nobody if found is None else tx.credentials.rows(found)
        try:
            row, account = self._keyring.checked(row), read_account(self._keyring, account_row)
        except CorruptRow:
            self._audit.record(
                AuditEvent.INTEGRITY_FAILED, credential=app_id, reason="app password or account altered"
            )
            raise
        if found is not None:
            self._remember(app_id, _Known(found, row, account))
        return found is not None, row, account

    def _remember(self, app_id: str, known: _Known) -> None:
        """What was read need not be built and checked anew as long as it stays the same, to the byte."""
        if len(self._known) >= KNOWN_CREDENTIALS:
            self._known.clear()
        self._known[app_id] = known

    def _refused(
        self, client: str, app_id: str | None, reason: str, account: str | None = None
    ) -> AuthenticationError:
        """The one error; recorded at the first, second, fourth, eighth ... refusal from there."""
        if self._refusals.is_power_of_two(client_network(client), app_id):
            self._audit.record(
                AuditEvent.APP_PASSWORD_REFUSED,
                account=account,
                credential=app_id,
                client=client,
                reason=reason,
            )
        return AuthenticationError("the user name or the app password is not right")


_TROUBLES = {
    REVOKED: Trouble.REVOKED,
    EXPIRED: Trouble.EXPIRED,
    SUSPENDED: Trouble.SUSPENDED,
    WRONG_SECRET: Trouble.WRONG_SECRET,
    WRONG_NAME: Trouble.WRONG_NAME,
    WRONG_NETWORK: Trouble.OTHER_NETWORK,
    NOT_CONFIRMED: Trouble.LEFT,
}


def _trouble(reason: str, *, right: bool) -> Trouble:
    """What the owner is told: of a secret that is not right nothing else, unless nobody can tell any more."""
    return _TROUBLES[reason] if right or reason == REVOKED else Trouble.WRONG_SECRET


class _Known(NamedTuple):
    """Both rows of an app password as they are stored, and what they have been found to say."""

    found: tuple[object, ...]
    row: AppPasswordRow
    account: Account


def _why_shut(row: AppPasswordRow, account: Account, now: datetime) -> str | None:
    """Why the app password opens nothing for anybody, if so."""
    if row.revoked_at is not None or row.verifier is None:
        return REVOKED
    if row.expires_at <= to_seconds(now):
        return EXPIRED
    if account.state in {AccountState.SUSPENDED, AccountState.DELETED}:
        return SUSPENDED
    return None


def _why_not_here(row: AppPasswordRow, account: Account, username: str, client: str) -> str | None:
    """Why the right app password is refused for this request, if so."""
    if username.casefold() != account.username:
        return WRONG_NAME
    if row.networks and not _is_within(client, row.networks):
        return WRONG_NETWORK
    return None


def _is_within(client: str, networks: str) -> bool:
    address = client_address(client)
    return address is not None and any(address in network for network in read_networks(networks))


def _principal(row: AppPasswordRow, account: Account, token: AppToken, now: datetime) -> Principal:
    return Principal(
        account=account,
        scopes=Scope(row.scopes),
        root_id=row.root_id,
        method=AuthMethod.APP_PASSWORD,
        authenticated_at=now,
        credential_id=row.app_id,
        unlock=Unlock(token.secret) if account.sealed else Unlock(),
    )


def _nobody(keyring: Keyring) -> tuple[AppPasswordRow, AccountRow]:
    """Rows like real ones, for ids that have none: the work on them is the same, and no secret fits."""
    account_id = AccountId(random_bytes(ID_BYTES))
    new = keyring.new_account_key(account_id)
    account = AccountRow(
        account_id=account_id,
        subject=f"local:{account_id.hex()}",
        username="",
        state=AccountState.SUSPENDED.value,
        quota=None,
        used=0,
        kept=0,
        sealed=False,
        wrapped_key=new.wrapped_key,
        master_key_id=new.master_key_id,
        key_version=new.key_version,
        key_commitment=new.commitment,
        structure_version=0,
        created_at=0,
        version=1,
    )
    app_password = AppPasswordRow(
        app_id="",
        account_id=account_id,
        label="",
        scopes=Scope(0).value,
        root_id=ROOT_ID,
        networks="",
        verifier=random_bytes(len(NO_VERIFIER)),
        wrapped_key=None,
        public_key=None,
        key_version=new.key_version,
        created_at=0,
        expires_at=0,
        revoked_at=None,
        version=1,
        last_used_at=None,
        last_used_from=None,
    )
    return keyring.with_mac(app_password), keyring.with_mac(account)
