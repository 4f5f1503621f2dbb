"""Whether the second factor stands behind a token of the identity provider: proved here, or proved there.

Which of the two counts is a setting, and never both: a token that has only the other one opens nothing
(docs/adr/0019). Called by `bearer.py`; what is read here `sessions.py` writes, through `ProviderSessions`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from davserver.accounts.service import LOCAL, Accounts
from davserver.clock import Clock, from_seconds, to_seconds
from davserver.db.ended import EndedRow
from davserver.db.engine import Database, Transaction
from davserver.db.proofs import ProofRow
from davserver.errors import NotFound
from davserver.identity.base import Identity
from davserver.identity.step_up import StepUp
from davserver.keyring import Keyring
from davserver.model import Account, AccountId, Principal

HOURS = timedelta(hours=12)
"""How long a second factor counts for tokens."""


class ProviderSessions:
    """What is known of sessions at the provider: who proved the second factor in one, and which are over.

    A session is named by its `session_id`: 32 bytes, others after a rotation of the master key.

    Args:
        hours: how long a proof counts; what was ended is remembered as long.
    """

    def __init__(self, database: Database, keyring: Keyring, clock: Clock, hours: timedelta = HOURS) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._hours = hours

    def session_id(self, provider_session: str) -> bytes:
        """What stands for a session in the place of the provider's own name for it."""
        return self._keyring.session_mac("provider", provider_session)

    # ── proofs
    def prove(self, tx: Transaction, session_id: bytes, account_id: AccountId, proved_at: int) -> None:
        """The second factor was proved on the site by somebody whom this session has signed in."""
        tx.proofs.put(self._keyring.with_mac(ProofRow(session_id, account_id, proved_at)))

    def proved_at(self, account: Account, session_id: bytes) -> datetime | None:
        """When this account proved it in this session; None if it did not, or too long ago.

        Raises:
            CorruptRow: the row was altered.
        """
        with self._database.read() as tx:
            row = tx.proofs.find(session_id)
        if row is None or self._keyring.checked(row).account_id != account.id:
            return None
        proved_at = from_seconds(row.proved_at)
        return proved_at if self._clock() - proved_at <= self._hours else None

    # ── ends
    def end(self, tx: Transaction, session_id: bytes) -> bool:
        """The session is over; whether something was proved in it."""
        self._note_end(tx, session_id)
        return tx.proofs.delete(session_id)

    def end_all(self, tx: Transaction, account: Account) -> bool:
        """Every session that the account has at the provider counts no more; those that begin later do.

        Returns whether something was proved in one of them.
        """
        if not account.subject.startswith(LOCAL):
            self._note_end(tx, self._of_account(account))
        return tx.proofs.delete_of(account.id) > 0

    def ended_at(self, account: Account, session_id: bytes) -> datetime | None:
        """When the session was last ended, by itself or with all of the account's; None if it never was.

        Raises:
            CorruptRow: a row was altered.
        """
        with self._database.read() as tx:
            rows = tx.ended.find([session_id, self._of_account(account)])
        ends = [from_seconds(self._keyring.checked(row).ended_at) for row in rows]
        return max(ends, default=None)

    def forget(self) -> None:
        """Remove what does not count any more."""
        before = to_seconds(self._clock() - self._hours)
        with self._database.write() as tx:
            tx.proofs.forget(proved_before=before)
            tx.ended.forget(ended_before=before)
            tx.commit()

    def _of_account(self, account: Account) -> bytes:
        return self._keyring.session_mac("provider account", account.id)

    def _note_end(self, tx: Transaction, whose: bytes) -> None:
        tx.ended.put(self._keyring.with_mac(EndedRow(whose, to_seconds(self._clock()))))


class SecondFactor(Protocol):
    """What `BearerAuthenticator` asks about a token whose signature is right."""

    def account_of(self, identity: Identity) -> Account:
        """The account that the token is for.

        Raises:
            NotFound, NotPermitted, AlreadyExists, InvalidValue: there is none, and none may be made.
            CorruptRow: its row was altered.
        """
        ...

    def proved_at(self, account: Account, identity: Identity) -> datetime | None:
        """When it was proved for this token; None if it was not, or counts no more.

        Raises:
            CorruptRow: a row was altered.
        """
        ...

    def still_stands(self, principal: Principal) -> bool:
        """Whether what `proved_at` said is still so.

        Raises:
            CorruptRow: a row was altered.
        """
        ...


class ProvedHere:
    """The token's session is one in which somebody typed a one-time code on our site."""

    def __init__(self, accounts: Accounts, sessions: ProviderSessions) -> None:
        self._accounts = accounts
        self._sessions = sessions

    def account_of(self, identity: Identity) -> Account:
        """See `SecondFactor`. Nobody can have proved anything here who has never been here."""
        return self._accounts.find_subject(identity.subject)

    def proved_at(self, account: Account, identity: Identity) -> datetime | None:
        """See `SecondFactor`."""
        return self._sessions.proved_at(account, self._sessions.session_id(identity.sid))

    def still_stands(self, principal: Principal) -> bool:
        """See `SecondFactor`."""
        session = principal.provider_session
        return session is not None and self._sessions.proved_at(principal.account, session) is not None


class ProvedThere:
    """The token itself says that the provider has asked for it; the account is made with the first one."""

    def __init__(self, accounts: Accounts, sessions: ProviderSessions, step_up: StepUp, clock: Clock) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._step_up = step_up
        self._clock = clock

    def account_of(self, identity: Identity) -> Account:
        """See `SecondFactor`. A quota is taken over with the first token, and at sign-ins on the site."""
        try:
            return self._accounts.find_subject(identity.subject)
        except NotFound:
            if not self._step_up.is_met(identity, to_seconds(self._clock())):
                raise
            return self._accounts.provision(identity)

    def proved_at(self, account: Account, identity: Identity) -> datetime | None:
        """See `SecondFactor`."""
        now = self._clock()
        if not self._step_up.is_met(identity, to_seconds(now)):
            return None
        proved_at = min(now, from_seconds(identity.auth_time))
        stands = self._is_open(account, self._sessions.session_id(identity.sid), proved_at)
        return proved_at if stands else None

    def still_stands(self, principal: Principal) -> bool:
        """See `SecondFactor`. The token said when it was proved; that counts as long as the setting says."""
        proved_at, session = principal.totp_at, principal.provider_session
        if proved_at is None or session is None:
            return False
        if self._clock() - proved_at > timedelta(seconds=self._step_up.max_age):
            return False
        return self._is_open(principal.account, session, proved_at)

    def _is_open(self, account: Account, session_id: bytes, proved_at: datetime) -> bool:
        """Whether the session was not ended since the factor was proved, whichever clock is ahead."""
        ended_at = self._sessions.ended_at(account, session_id)
        return ended_at is None or proved_at > ended_at + timedelta(seconds=self._step_up.clock_skew)
