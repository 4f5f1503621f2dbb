"""Signed-in browsers. The browser holds a random secret, the database its keyed hash and what belongs to it.

A session gets another secret whenever it comes to mean more (sign-in, one-time code), so that nobody can fix
one beforehand. It must never outlive its account's suspension or its own hours. Called by the site only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from davserver.accounts.gate import Gate, OpenGate
from davserver.accounts.second_factor import ProviderSessions
from davserver.accounts.service import read_account
from davserver.audit import PROVIDER, AuditEvent, AuditSink
from davserver.clock import Clock, from_seconds, to_seconds
from davserver.crypto import sessions as secrets_
from davserver.crypto.primitives import constant_time_equal
from davserver.db.engine import Database, Transaction
from davserver.db.sessions import SessionRow
from davserver.errors import AuthenticationError
from davserver.keyring import Keyring
from davserver.model import ROOT_ID, Account, AccountId, AccountState, AuthMethod, Principal, Scope

IDLE = timedelta(minutes=15)
LONGEST = timedelta(hours=12)

ANONYMOUS_FOR = timedelta(minutes=30)
"""How long somebody may take at the identity provider."""

MAX_ANONYMOUS = 10_000
"""Sessions of nobody yet: with one more the oldest of them goes, so that strangers cannot fill the disk."""

NOTED_EVERY = timedelta(seconds=20)
"""A session's last request is noted at most this often, so it may end this much early."""

Data = dict[str, Any]
"""What the pages remember: anything that JSON can say."""


@dataclass(frozen=True, slots=True)
class WebSession:
    """One browser that has been here before.

    Attributes:
        secret: what is in its cookie.
        principal: who has signed in; None before that.
        admin: whether the identity provider said that this is an administrator.
        data: what the pages remember of it.
    """

    secret: str = field(repr=False)
    principal: Principal | None
    admin: bool
    data: Data = field(repr=False)
    row: SessionRow = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A browser that is signed in, for people.

    Attributes:
        seen_at: its last request, to the minute or so.
        proved: whether the second factor was proved as well.
    """

    began_at: datetime
    seen_at: datetime
    proved: bool


class Sessions:
    """The sessions of all browsers.

    Args:
        elsewhere: what is known of the sessions at the identity provider behind them.
        idle: how long a session may be silent.
        longest: how long after the sign-in it ends whatever happens.
        gate: knows whether the owner of an account may still come in.
    """

    def __init__(  # noqa: PLR0913 - parts and two settings
        self,
        database: Database,
        keyring: Keyring,
        clock: Clock,
        audit: AuditSink,
        elsewhere: ProviderSessions,
        *,
        idle: timedelta = IDLE,
        longest: timedelta = LONGEST,
        gate: Gate | None = None,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._audit = audit
        self._elsewhere = elsewhere
        self._idle = idle
        self._longest = longest
        self._gate = gate or OpenGate()

    @staticmethod
    def new_secret() -> str:
        """A random text for a cookie: 256 bits."""
        return secrets_.to_text(secrets_.mint())

    def form_token(self, secret: str) -> str:
        """What every form holds of a browser with this secret in its cookie, and no other site can know."""
        return secrets_.to_text(self._keyring.session_mac("form", secret))

    def is_form_token(self, secret: str, token: str) -> bool:
        """Whether a form was made for the browser with this secret."""
        return constant_time_equal(self.form_token(secret).encode(), token.encode())

    def open(self, secret: str) -> WebSession | None:
        """The session of a browser; None if there is none (any more), or its account may not be used.

        Raises:
            Unconfirmed: nobody can tell whether the owner of the account may still come in.
            CorruptRow: a row was altered; nobody is signed in.
        """
        now = self._clock()
        try:
            session_id = self._id(secret)
        except AuthenticationError:
            return None
        with self._database.read() as tx:
            row = tx.sessions.find(session_id)
            if row is None or self._is_over(self._keyring.checked(row), now):
                return None
            account = self._account(tx, row.account_id)
        if row.account_id is not None and (account is None or not self._may_come_in(account)):
            return None
        noted = self._noted(row, now)
        return None if noted is None else self._read(secret, noted, account)

    def still_open(self, session: WebSession) -> bool:
        """Whether a session is still open, asked during a long answer: which is use of it.

        Steps that gave it another secret meanwhile do not count: it is known by its account and its begin.

        Raises:
            Unconfirmed: nobody can tell whether the owner of the account may still come in.
            CorruptRow: a row was altered.
        """
        now, before = self._clock(), session.row
        if before.account_id is None:
            return False
        with self._database.read() as tx:
            account = self._account(tx, before.account_id)
            rows = [row for row in tx.sessions.of(before.account_id) if row.began_at == before.began_at]
        live = [row for row in rows if not self._is_over(self._keyring.checked(row), now)]
        if not live or account is None or not self._may_come_in(account):
            return False
        noted = [self._noted(row, now) for row in live]
        return any(row is not None for row in noted)

    def remember(self, session: WebSession | None, values: Mapping[str, object]) -> WebSession:
        """Keep what the pages want to know next time, beside what is kept already; None forgets one.

        Without a session it is kept in a new one, for nobody yet.

        Raises:
            CorruptRow: the session was altered.
        """
        if session is None:
            return self._start(None, admin=False, provider_session="", data=_merged({}, values))
        secret = secrets_.parse(session.secret)
        with self._database.write() as tx:
            row = self._existing(tx, session)
            if row is None:
                return session  # it was ended in between; the next request will find that out
            data = _merged(_unsealed(secret, row), values)
            row = self._replace(tx, replace(row, data_sealed=_sealed(secret, data)))
            tx.commit()
        return replace(session, data=data, row=row)

    def take_out(self, session: WebSession, key: str) -> tuple[WebSession, Any]:
        """What is kept under this key, for one caller only, however many ask at once; None if it is nothing.

        Raises:
            CorruptRow: the session was altered.
        """
        secret = secrets_.parse(session.secret)
        with self._database.write() as tx:
            row = self._existing(tx, session)
            if row is None:
                return session, None
            data = _unsealed(secret, row)
            value = data.pop(key, None)
            if value is not None:
                row = self._replace(tx, replace(row, data_sealed=_sealed(secret, data)))
                tx.commit()
        return replace(session, data=data, row=row), value

    def sign_in(  # noqa: PLR0913 - what a session is made of
        self,
        before: WebSession | None,
        principal: Principal,
        *,
        admin: bool = False,
        provider_session: str = "",
        data: Data | None = None,
        client: str | None = None,
    ) -> WebSession:
        """Somebody has proved the first factor: a new session with a new secret; the one before it ends.

        Args:
            before: what the browser had.
            principal: who it is.
            admin: whether the identity provider said that this is an administrator.
            provider_session: the session at the identity provider; "" if there is none.
            data: what the pages remember.
            client: address of the peer, for the audit log.
        """
        return self._start(
            principal,
            admin=admin,
            provider_session=provider_session,
            data=data or {},
            client=client,
            instead_of=before,
        )

    def prove(self, session: WebSession, principal: Principal, values: Mapping[str, object]) -> WebSession:
        """The second factor was proved: the same session, under another secret.

        So has the session at the identity provider, if this one hangs on one: its tokens open the drive now.

        Args:
            session: the one of before.
            principal: who it is, with the time of the proof.
            values: as `remember`.

        Raises:
            AuthenticationError: the session has ended in between.
            CorruptRow: it was altered.
        """
        secret = secrets_.mint()
        with self._database.write() as tx:
            old = self._existing(tx, session)
            if old is None:
                raise AuthenticationError("this session has ended")
            data = _merged(_unsealed(secrets_.parse(session.secret), old), values)
            new = replace(
                old,
                session_id=self._hash(secret),
                totp_at=_seconds(principal.totp_at),
                seen_at=to_seconds(self._clock()),
                data_sealed=_sealed(secret, data),
                version=old.version + 1,
            )
            new = self._keyring.with_mac(new)
            tx.sessions.delete(old.session_id)
            tx.sessions.insert(new)
            if new.provider_session is not None and new.totp_at is not None:
                self._elsewhere.prove(tx, new.provider_session, principal.account.id, new.totp_at)
            tx.commit()
        self._gate.proved(principal.account)
        return self._read(secrets_.to_text(secret), new, principal.account)

    def end(self, session: WebSession) -> None:
        """The person has signed out."""
        at_provider = session.row.provider_session
        with self._database.write() as tx:
            ended = tx.sessions.delete(session.row.session_id)
            proved = at_provider is not None and self._elsewhere.end(tx, at_provider)
            if session.principal is not None and (ended or proved):
                self._audit.record(AuditEvent.SIGNED_OUT, account=session.principal.account.username, tx=tx)
            tx.commit()

    def browsers(self, account: Account) -> list[SignedIn]:
        """The browsers that are signed in to an account, the latest first.

        Raises:
            CorruptRow: a session was altered.
        """
        now = self._clock()
        with self._database.read() as tx:
            rows = tx.sessions.of(account.id)
        live = [row for row in rows if not self._is_over(self._keyring.checked(row), now)]
        found = [
            SignedIn(from_seconds(row.began_at), from_seconds(row.seen_at), row.totp_at is not None)
            for row in live
        ]
        return sorted(found, key=lambda one: one.began_at, reverse=True)

    def end_others(
        self,
        account: Account,
        keep: WebSession | None = None,
        *,
        signed_out_by: str | None = None,
        reason: str | None = None,
    ) -> int:
        """End every session of an account, but for `keep`; returns how many there were.

        No token of the identity provider opens the drive any more, until the second factor is proved again.

        Args:
            account: whose.
            keep: the one that stays.
            signed_out_by: who does it, if it is a sign-out of its own; None is part of something else.
            reason: why, for the audit log.

        Raises:
            CorruptRow: the account's row was altered.
        """
        with self._database.write() as tx:
            ended = self.end_within(tx, account.id, keep, signed_out_by=signed_out_by, reason=reason)
            tx.commit()
        return ended

    def end_within(
        self,
        tx: Transaction,
        account_id: AccountId,
        keep: WebSession | None = None,
        *,
        signed_out_by: str | None = None,
        reason: str | None = None,
    ) -> int:
        """The same inside somebody's transaction: what ends them and their end are one step."""
        found = tx.accounts.by_id(account_id)
        if found is None:  # its sessions went with it
            return 0
        account = read_account(self._keyring, found)
        kept = b"" if keep is None else keep.row.session_id
        ended, proved = self._elsewhere.sign_out(tx, account, keep=kept)
        if signed_out_by is not None and (ended or proved):
            self._audit.record(
                AuditEvent.SIGNED_OUT, account=account.username, actor=signed_out_by, reason=reason, tx=tx
            )
        return ended

    def end_at_provider(self, provider_session: str) -> int:
        """End every session that hangs on one at the identity provider; returns how many there were.

        The proof of the second factor may be all that is left of them: it outlives a browser that is silent.
        """
        at_provider = self._elsewhere.session_id(provider_session)
        with self._database.write() as tx:
            rows, proof = tx.sessions.at_provider(at_provider), tx.proofs.find(at_provider)
            owners = {row.account_id for row in rows} | ({proof.account_id} if proof is not None else set())
            names = {account.username for one in owners if (account := self._account(tx, one)) is not None}
            tx.sessions.delete_at_provider(at_provider)
            self._elsewhere.end(tx, at_provider)
            for name in sorted(names):
                self._audit.record(AuditEvent.SIGNED_OUT, account=name, actor=PROVIDER, tx=tx)
            tx.commit()
        return len(rows)

    def forget(self) -> int:
        """Remove sessions that are over; returns how many there were."""
        now = self._clock()
        with self._database.write() as tx:
            count = tx.sessions.forget(
                idle_before=to_seconds(now - max(self._idle, ANONYMOUS_FOR)),
                began_before=to_seconds(now - self._longest),
            )
            tx.commit()
        return count

    def _start(  # noqa: PLR0913 - as `sign_in`
        self,
        principal: Principal | None,
        *,
        admin: bool,
        provider_session: str,
        data: Data,
        client: str | None = None,
        instead_of: WebSession | None = None,
    ) -> WebSession:
        secret, now = secrets_.mint(), to_seconds(self._clock())
        at_provider = self._elsewhere.session_id(provider_session) if provider_session else None
        row = SessionRow(
            session_id=self._hash(secret),
            account_id=None if principal is None else principal.account.id,
            began_at=now,
            seen_at=now,
            signed_in_at=None if principal is None else to_seconds(principal.authenticated_at),
            totp_at=None if principal is None else _seconds(principal.totp_at),
            admin=admin,
            provider_session=at_provider,
            data_sealed=_sealed(secret, data),
            version=1,
        )
        row = self._keyring.with_mac(row)
        with self._database.write() as tx:
            if instead_of is not None:
                tx.sessions.delete(instead_of.row.session_id)
            tx.sessions.insert(row)
            if principal is None:
                tx.sessions.keep_newest_anonymous(MAX_ANONYMOUS)
            else:
                name = principal.account.username
                self._audit.record(AuditEvent.SIGNED_IN, account=name, client=client, tx=tx)
            tx.commit()
        if principal is not None and principal.totp_at is not None:
            self._gate.proved(principal.account)
        return self._read(secrets_.to_text(secret), row, None if principal is None else principal.account)

    def _read(self, secret: str, row: SessionRow, account: Account | None) -> WebSession:
        data = _unsealed(secrets_.parse(secret), row)
        if account is None or row.signed_in_at is None:
            return WebSession(secret, None, admin=False, data=data, row=row)
        principal = Principal(
            account,
            Scope.FULL,
            ROOT_ID,
            AuthMethod.BROWSER,
            authenticated_at=from_seconds(row.signed_in_at),
            totp_at=None if row.totp_at is None else from_seconds(row.totp_at),
        )
        return WebSession(secret, principal, admin=row.admin, data=data, row=row)

    def _account(self, tx: Transaction, account_id: AccountId | None) -> Account | None:
        """The account of a session, if it may be used."""
        found = None if account_id is None else tx.accounts.by_id(account_id)
        account = None if found is None else read_account(self._keyring, found)
        return account if account is not None and account.state is AccountState.ACTIVE else None

    def _may_come_in(self, account: Account) -> bool:
        try:
            self._gate.require(account)
        except AuthenticationError:
            return False
        return True

    def _is_over(self, row: SessionRow, now: datetime) -> bool:
        seen, began = from_seconds(row.seen_at), from_seconds(row.began_at)
        if row.account_id is None:
            return now - began > ANONYMOUS_FOR
        return now - seen > self._idle or now - began > self._longest

    def _noted(self, row: SessionRow, now: datetime) -> SessionRow | None:
        """The row with this request noted, as it is now: another request may run beside this one.

        None if it was ended in between, as by what the provider has just said of its owner.
        """
        if now - from_seconds(row.seen_at) < NOTED_EVERY:
            return row if not row.admin or self._is_there(row) else None
        with self._database.write() as tx:
            found = tx.sessions.find(row.session_id)
            if found is None:
                return None
            new = self._replace(tx, replace(self._keyring.checked(found), seen_at=to_seconds(now)))
            tx.commit()
        return new

    def _is_there(self, row: SessionRow) -> bool:
        """Whether a session has not been ended since its row was read."""
        with self._database.read() as tx:
            return tx.sessions.find(row.session_id) is not None

    def _existing(self, tx: Transaction, session: WebSession) -> SessionRow | None:
        """The session as it is now; None if it has ended."""
        row = tx.sessions.find(session.row.session_id)
        return None if row is None else self._keyring.checked(row)

    def _replace(self, tx: Transaction, changed: SessionRow) -> SessionRow:
        """Write a session that was read in the same transaction."""
        row = self._keyring.with_mac(replace(changed, version=changed.version + 1))
        tx.sessions.replace(row)
        return row

    def _id(self, secret: str) -> bytes:
        return self._hash(secrets_.parse(secret))

    def _hash(self, secret: bytes) -> bytes:
        return self._keyring.session_mac("session", secret)


def _sealed(secret: bytes, data: Mapping[str, object]) -> bytes:
    return secrets_.seal(secret, json.dumps(data).encode())


def _unsealed(secret: bytes, row: SessionRow) -> Data:
    data: Data = json.loads(secrets_.unseal(secret, row.data_sealed))
    return data


def _merged(data: Mapping[str, object], values: Mapping[str, object]) -> Data:
    return {key: value for key, value in {**data, **values}.items() if value is not None}


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else to_seconds(moment)
