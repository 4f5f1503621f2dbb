"""Whether the identity provider has lately said that the owner of an account may still come in.

Asked with every request, it must cost nothing: a process remembers until when it need not look again. That is
safe because an account that is shut meanwhile says so in its own row, which every request reads anyway. Where
a new password suspends devices, which is not in that row, nothing is remembered: each process has to see it.
Whoever was not confirmed lately is asked about before anything is served. Accounts that are built in are
their own word. Called by whatever lets somebody in; `bootstrap` hands it on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from davserver.accounts.desk import SOON_SECONDS, Desk
from davserver.accounts.inquiries import Inquiries
from davserver.accounts.offboarding import Known, Offboarding
from davserver.accounts.service import LOCAL
from davserver.accounts.verdicts import confirmed_at, has_left, judged_at
from davserver.audit import get_logger
from davserver.clock import Clock, from_seconds, to_seconds
from davserver.db.confirmations import ConfirmationRow
from davserver.db.engine import Database, Transaction
from davserver.db.reads import Reads
from davserver.errors import AuthenticationError, ConfigError, ProviderUnavailable, Unconfirmed
from davserver.model import Account, AccountId, AccountState

LEEWAY_SECONDS = 10
"""How much earlier than promised requests are refused. A transfer that runs is looked after only every few
seconds (`watch`), and may have to wait for a provider that hangs (`desk`): it must end in time, too, and on a
machine that is busy with something else for most of a second."""

KNOCK_SECONDS = 15
"""Whoever is shut out is not asked about again by every attempt of a device, but this often."""

NOTE_EVERY_SECONDS = 60
"""How exactly it is noted when an account was last used."""

ASKED = frozenset({AccountState.ACTIVE, AccountState.OFFBOARDED})
"""What an account must be for anybody to be asked: an administrator's suspension stands without that."""

REMEMBERED = 20_000
"""Accounts that a process remembers of; beyond that it begins anew."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What is known of an account's owner, for people.

    Attributes:
        built_in: nobody is asked about this account; the rest says nothing then.
        confirmed_at: since when nothing was heard that they may come in; None is never, or not any more.
        left_at: when they were found to have left; None if they have not.
        reason: why.
        devices_suspended: devices wait until the owner has proved both factors, since the password was reset.
        trouble: why the provider says nothing at present; "" if it does.
        trouble_since: since when.
    """

    built_in: bool
    confirmed_at: datetime | None = None
    left_at: datetime | None = None
    reason: str = ""
    devices_suspended: bool = False
    trouble: str = ""
    trouble_since: datetime | None = None


class Confirmations:
    """The gate before accounts whose owners an identity provider knows.

    Args:
        desk: where those are asked about who were not confirmed lately.
        confirm_seconds: how long after the provider's last word something is served.
        suspends: whether devices are suspended when the password was reset.
    """

    def __init__(  # noqa: PLR0913 - parts and two settings
        self,
        database: Database,
        offboarding: Offboarding,
        inquiries: Inquiries,
        desk: Desk,
        clock: Clock,
        *,
        confirm_seconds: int,
        suspends: bool,
    ) -> None:
        self._database = database
        self._offboarding = offboarding
        self._inquiries = inquiries
        self._desk = desk
        self._clock = clock
        self._good_for = confirm_seconds - LEEWAY_SECONDS
        self._suspends = suspends
        self._good: dict[AccountId, int] = {}
        self._noted: dict[AccountId, int] = {}
        self._unwritten: dict[AccountId, int] = {}
        self._lock = threading.Lock()

    # ── for whatever lets people in
    def admit(self, account: Account, reads: Reads | None = None) -> Account:
        """See `Gate.admit`."""
        if account.subject.startswith(LOCAL):
            return account
        now = to_seconds(self._clock())
        self._note(account.id, now)
        is_good = not self._suspends and self._is_good(self._good.get(account.id, 0), now)
        if is_good and account.state is AccountState.ACTIVE:
            return account
        known = self._ask(account, now, reads)
        if self._waits_for_proof(known.row):
            raise AuthenticationError("the password was reset: sign in on the site first")
        self._remember(known.row)
        return known.account

    def require(self, account: Account) -> None:
        """See `Gate.require`."""
        if account.subject.startswith(LOCAL):
            return
        now = to_seconds(self._clock())
        self._note(account.id, now)
        if not self._is_good(self._good.get(account.id, 0), now):
            self._remember(self._ask(account, now).row)

    def welcome(self, subject: str) -> None:
        """See `Gate.welcome`."""
        with self._database.read() as tx:
            row = tx.accounts.by_subject(subject)
        if row is None:  # somebody who has never been here
            return
        self._desk.ask(self._offboarding.known(row.account_id).account)

    def proved(self, account: Account) -> None:
        """See `Gate.proved`."""
        if not self._suspends or account.subject.startswith(LOCAL):
            return
        try:
            self._offboarding.proved(account.id, self._inquiries.password_set_at(account))
        except (ProviderUnavailable, ConfigError) as error:  # devices wait for the next proof
            get_logger("sealdav.accounts").warning("devices stay suspended", reason=str(error))

    # ── for the rounds
    def heard(self, rows: Iterable[ConfirmationRow]) -> None:
        """Remember what this process has just heard itself."""
        for row in rows:
            self._remember(row)

    def write_notes(self) -> None:
        """Write down which accounts were used, all at once and off the path of requests."""
        with self._lock:
            notes, self._unwritten = self._unwritten, {}
        if not notes:
            return
        with self._database.write() as tx:
            tx.confirmations.want(notes, now=max(notes.values()))
            tx.commit()

    # ── for people
    def of(self, account: Account) -> Confirmation:
        """What is known of an account's owner.

        Raises:
            NotFound: the account is gone.
            CorruptRow: a row was altered.
        """
        if account.subject.startswith(LOCAL):
            return Confirmation(built_in=True)
        row = self._offboarding.known(account.id).row
        with self._database.read() as tx:
            lease = tx.lease.find()
        return Confirmation(
            built_in=False,
            confirmed_at=_moment(confirmed_at(row)),
            left_at=_moment(row.off_at),
            reason=row.reason,
            devices_suspended=self._waits_for_proof(row),
            trouble="" if lease is None else lease.trouble,
            trouble_since=None if lease is None else _moment(lease.trouble_at),
        )

    def left_to(self, tx: Transaction, account: Account) -> AccountState:
        """See `Offboarding.left_to`. The provider is not asked: whoever comes in next asks it."""
        if account.subject.startswith(LOCAL):
            return AccountState.ACTIVE
        return self._offboarding.left_to(tx, account)

    # ── private
    def _ask(self, account: Account, now: int, reads: Reads | None = None) -> Known:
        """The account and its row, in which its owner is confirmed."""
        known = self._offboarding.known(account.id, reads)
        if known.account.state not in ASKED:
            raise AuthenticationError("this account is suspended")
        if self._is_confirmed(known, now):
            return known
        if reads is not None:
            reads.pause()
        if not has_left(known.row) or not 0 <= now - judged_at(known.row) < KNOCK_SECONDS:
            known = self._desk.ask(known.account)
        if self._is_confirmed(known, to_seconds(self._clock())):
            return known
        if has_left(known.row):
            raise AuthenticationError("the identity provider says that the owner of this account has left")
        raise Unconfirmed(SOON_SECONDS)

    def _is_confirmed(self, known: Known, now: int) -> bool:
        return known.account.state is AccountState.ACTIVE and self._is_good(confirmed_at(known.row), now)

    def _is_good(self, moment: int, now: int) -> bool:
        """Whether a word of this moment is new enough; one from the future is of a clock set back."""
        return 0 <= now - moment < self._good_for

    def _waits_for_proof(self, row: ConfirmationRow) -> bool:
        return self._suspends and row.new_password_at is not None

    def _remember(self, row: ConfirmationRow) -> None:
        if self._waits_for_proof(row) or not confirmed_at(row):
            self._good.pop(row.account_id, None)
            return
        if len(self._good) >= REMEMBERED:
            self._good.clear()
        self._good[row.account_id] = confirmed_at(row)

    def _note(self, account_id: AccountId, now: int) -> None:
        if 0 <= now - self._noted.get(account_id, 0) < NOTE_EVERY_SECONDS:
            return
        with self._lock:
            if len(self._noted) >= REMEMBERED:
                self._noted.clear()
            self._noted[account_id] = self._unwritten[account_id] = now


def _moment(seconds: int | None) -> datetime | None:
    return from_seconds(seconds) if seconds else None
