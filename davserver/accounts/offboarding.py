"""Brings an account into the state that the identity provider's word gives it: shut, or open again.

Only what the provider itself has shut is ever opened here; an administrator's suspension is never touched.
App passwords stay as they are: they are refused while the account is shut, and good again afterwards. Called
by `inquiries` for who is there at this moment, and by `rounds` for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from davserver.accounts.second_factor import ProviderSessions
from davserver.accounts.service import read_account
from davserver.accounts.verdicts import ROLE_MISSING, News, confirmed_at, has_left, told, unknown
from davserver.audit import OFFBOARDING, AuditEvent, AuditSink, get_logger
from davserver.db.accounts import AccountRow
from davserver.db.confirmations import ConfirmationRow, Pair
from davserver.db.engine import Database, Transaction
from davserver.db.reads import Reads
from davserver.db.sessions import SessionRow
from davserver.errors import CorruptRow, NotFound, StorageUnavailable
from davserver.keyring import Keyring
from davserver.model import Account, AccountId, AccountState

PASSWORD_RESET = "password reset"  # noqa: S105 - a reason
"""Why devices are suspended while the account is not."""


@dataclass(frozen=True, slots=True)
class Known:
    """An account and what was last said of its owner; both rows were checked."""

    account: Account
    row: ConfirmationRow


class Offboarding:
    """Applies what the provider says."""

    def __init__(
        self, database: Database, keyring: Keyring, provider_sessions: ProviderSessions, audit: AuditSink
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._provider_sessions = provider_sessions
        self._audit = audit
        self._log = get_logger("sealdav.accounts")

    def known(self, account_id: AccountId, reads: Reads | None = None) -> Known:
        """An account as it is now, or as the request sees it that reads in `reads`.

        Raises:
            NotFound: it is gone.
            CorruptRow: a row was altered.
        """
        with (reads or self._database).read() as tx:
            account_row, row = self._rows(tx, account_id)
        return Known(read_account(self._keyring, account_row), row)

    def count(self, *, since: int) -> int:
        """How many accounts were used since then."""
        with self._database.read() as tx:
            return tx.confirmations.count(since=since)

    def due_standings(self, *, since: int, before: int) -> list[Known]:
        """See `ConfirmationsTable.standings`; what was altered is left out, and opens for nobody."""
        with self._database.read() as tx:
            pairs = tx.confirmations.standings(since=since, before=before)
        return list(self._checked(pairs))

    def due_roles(self, *, since: int, before: int, most: int) -> list[Known]:
        """See `ConfirmationsTable.roles`, and `due_standings`; of those who left, who did for want of it."""
        with self._database.read() as tx:
            pairs = tx.confirmations.roles(since=since, before=before, reason=ROLE_MISSING, most=most)
        return list(self._checked(pairs))

    def learn(self, account_id: AccountId, news: Sequence[News], *, now: int | None = None) -> Known:
        """Apply news of one person, whatever follows from it, in one transaction.

        A disk that is full or a database that is busy keeps nobody in who has left: what follows is given
        back all the same, and is asked again the next time.

        Args:
            account_id: whose account.
            news: what was said.
            now: the account is being used at this moment; None if it is not.

        Raises:
            NotFound: the account is gone.
            CorruptRow: a row was altered.
        """
        try:
            with self._database.write() as tx:
                known = self._learnt(tx, account_id, news)
                if now is not None:
                    tx.confirmations.want([account_id], now=now)
                tx.commit()
        except StorageUnavailable:
            self._log.warning("what the identity provider said was not stored")
            before = self.known(account_id)
            row = reduce(told, news, before.row)
            return Known(replace(before.account, state=_state(before.account.state, row)), row)
        return known

    def confirm(self, told_rows: Iterable[tuple[ConfirmationRow, ConfirmationRow]]) -> None:
        """Store that nothing has changed, of many accounts at once.

        Args:
            told_rows: each as it was read, and as it is now; whether the person has left is the same in both.
        """
        rows = [
            self._keyring.with_mac(replace(new, version=old.version + 1))
            for old, new in told_rows
            if new != old
        ]
        if not rows:
            return
        with self._database.write() as tx:
            tx.confirmations.replace(rows)
            tx.commit()

    def proved(self, account_id: AccountId, password_at: int) -> None:
        """The owner has proved both factors: devices go on with the password of this moment.

        Raises:
            NotFound, CorruptRow: as `known`.
        """
        with self._database.write() as tx:
            account_row, old = self._rows(tx, account_id)
            row = replace(old, password_at=max(password_at, old.password_at or 0), new_password_at=None)
            if row == old:
                return
            self._write(tx, old, row)
            if old.new_password_at is not None:
                self._audit.record(
                    AuditEvent.DEVICES_RESUMED, account=account_row.username, actor=OFFBOARDING, tx=tx
                )
            tx.commit()

    def end_as_admin(self, account: Account, *, asked_at: int) -> None:
        """Somebody is no administrator at the provider: browsers that came in as one have to sign in again.

        A disk that is full or a database that is busy is no reason to ask nothing else: this is asked again.

        Args:
            account: whose.
            asked_at: when the provider was asked, seconds since the Unix epoch. Who signed in after it stays.
        """
        with self._database.read() as tx:
            if not _admins_of(tx, account.id, asked_at):
                return
        try:
            with self._database.write() as tx:
                found = _admins_of(tx, account.id, asked_at)
                if not found:  # another process was told the same
                    return
                for session in found:
                    tx.sessions.delete(session.session_id)
                self._audit.record(
                    AuditEvent.ADMIN_WITHDRAWN, account=account.username, actor=OFFBOARDING, tx=tx
                )
                tx.commit()
        except StorageUnavailable:
            self._log.warning("an administrator who is none any more could not be signed out")

    def left_to(self, tx: Transaction, account: Account) -> AccountState:
        """The state of an account once no administrator keeps it shut: the provider's last word decides.

        Raises:
            NotFound: the account is gone.
            CorruptRow: a row was altered.
        """
        _, row = self._rows(tx, account.id)
        return _state(AccountState.ACTIVE, row)

    def _checked(self, pairs: Iterable[Pair]) -> Iterator[Known]:
        for row, account_row in pairs:
            try:
                known = Known(read_account(self._keyring, account_row), self._keyring.checked(row))
            except CorruptRow:
                self._log.warning("an altered row is not asked about", account=account_row.username)
                continue
            yield known

    def _learnt(self, tx: Transaction, account_id: AccountId, news: Sequence[News]) -> Known:
        account_row, old = self._rows(tx, account_id)
        row = reduce(told, news, old)
        if row != old or not old.version:
            row = self._write(tx, old, row)
        if row.new_password_at is not None and old.new_password_at is None:
            self._suspend_devices(tx, account_row)
        state = _state(AccountState(account_row.state), row)
        if state.value != account_row.state:
            account_row = self._move(tx, account_row, state, row.reason)
        return Known(read_account(self._keyring, account_row), row)

    def _rows(self, tx: Transaction, account_id: AccountId) -> tuple[AccountRow, ConfirmationRow]:
        account_row = tx.accounts.by_id(account_id)
        if account_row is None:
            raise NotFound("no such account")
        row = tx.confirmations.find(account_id)
        return self._keyring.checked(account_row), (
            unknown(account_id) if row is None else self._keyring.checked(row)
        )

    def _write(self, tx: Transaction, old: ConfirmationRow, row: ConfirmationRow) -> ConfirmationRow:
        row = self._keyring.with_mac(replace(row, version=old.version + 1))
        if old.version:
            tx.confirmations.replace([row])
        else:
            tx.confirmations.insert(row)
        return row

    def _move(self, tx: Transaction, row: AccountRow, state: AccountState, reason: str) -> AccountRow:
        """Shut or open an account; shut, nobody stays signed in, and no token opens the drive."""
        new = self._keyring.with_mac(replace(row, state=state.value, version=row.version + 1))
        tx.accounts.replace(new, expected_version=row.version)
        is_shut = state is AccountState.OFFBOARDED
        if is_shut:
            self._sign_out(tx, new)
        event = AuditEvent.ACCOUNT_SUSPENDED if is_shut else AuditEvent.ACCOUNT_RESUMED
        self._audit.record(event, account=row.username, actor=OFFBOARDING, reason=reason or None, tx=tx)
        return new

    def _suspend_devices(self, tx: Transaction, row: AccountRow) -> None:
        self._sign_out(tx, row)
        self._audit.record(
            AuditEvent.DEVICES_SUSPENDED,
            account=row.username,
            actor=OFFBOARDING,
            reason=PASSWORD_RESET,
            tx=tx,
        )

    def _sign_out(self, tx: Transaction, row: AccountRow) -> None:
        self._provider_sessions.sign_out(tx, read_account(self._keyring, row))


def moves(known: Known, row: ConfirmationRow) -> bool:
    """Whether more follows from a new row than that it is stored."""
    return (
        _state(known.account.state, row) is not known.account.state
        or row.new_password_at != known.row.new_password_at
    )


def _admins_of(tx: Transaction, account_id: AccountId, before: int) -> list[SessionRow]:
    """An account's browsers that came in as an administrator before a moment."""
    return [one for one in tx.sessions.of(account_id) if one.admin and one.began_at < before]


def _state(state: AccountState, row: ConfirmationRow) -> AccountState:
    """What the provider's word makes of a state; of an administrator's suspension it makes nothing."""
    if state is AccountState.ACTIVE and has_left(row):
        return AccountState.OFFBOARDED
    if state is AccountState.OFFBOARDED and confirmed_at(row):
        return AccountState.ACTIVE
    return state
