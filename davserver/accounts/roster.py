"""The list of accounts as administrators see it: a page of it, with what they ask first about each.

It must stay quick with ten thousand accounts, and a row that somebody has altered must not keep the others
from being seen. Called by the site.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from davserver.accounts.audit_trail import AuditTrail
from davserver.accounts.service import read_account
from davserver.audit import AuditEvent
from davserver.clock import from_seconds
from davserver.db.accounts import AccountRow
from davserver.db.engine import Database, Transaction
from davserver.db.rows import AuthenticatedRow
from davserver.errors import CorruptRow
from davserver.keyring import Keyring
from davserver.model import Account, AccountId, AccountState

PAGE_ACCOUNTS = 50
"""Accounts of a page."""

MAX_PAGE = 1_000_000
"""Highest number of a page that is looked for."""

SHUT = frozenset({AccountState.SUSPENDED, AccountState.OFFBOARDED})
"""States in which somebody has shut an account who can say why."""

Row = TypeVar("Row", bound=AuthenticatedRow)


@dataclass(frozen=True, slots=True)
class Shut:
    """Who has shut an account, and why.

    Attributes:
        at: since when; None if the audit log does not say any more, and then nor do the others.
        by: the administrator, or `OFFBOARDING`, or `TERMINAL`; "" if nobody was named.
        reason: as it was typed, or what the provider had said; "" if none was given.
    """

    at: datetime | None = None
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One account of the list.

    Attributes:
        account: None if its row was altered: then the rest says nothing.
        admin: whether it was made an administrator here.
        totp_since: when its authenticator was enrolled here; None without one.
        used_at: when it was last used; None is never, or that nothing tells any more.
        shut: None while it may be used.
    """

    account: Account | None
    admin: bool = False
    totp_since: datetime | None = None
    used_at: datetime | None = None
    shut: Shut | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the list.

    Attributes:
        number: counted from 1.
        total: how many accounts there are on all pages.
    """

    listed: tuple[Listed, ...]
    number: int
    total: int

    @property
    def first(self) -> int:
        """Which of all accounts the first one here is, counted from 1."""
        return (self.number - 1) * PAGE_ACCOUNTS + 1

    @property
    def has_next(self) -> bool:
        """Whether there are more behind it."""
        return self.number * PAGE_ACCOUNTS < self.total


class Roster:
    """Lists accounts."""

    def __init__(self, database: Database, keyring: Keyring, trail: AuditTrail) -> None:
        self._database = database
        self._keyring = keyring
        self._trail = trail

    def page(self, part: str = "", number: int = 1) -> Page:
        """Accounts in order of their names.

        Args:
            part: what the name has to hold, whatever its case; "" lists all.
            number: of the page, counted from 1; beyond the last it is empty.
        """
        part, number = part.casefold(), min(max(number, 1), MAX_PAGE)
        with self._database.read() as tx:
            rows = tx.roster.page(part, skip=(number - 1) * PAGE_ACCOUNTS, limit=PAGE_ACCOUNTS)
            total = tx.roster.count(part)
            found = [self._account(row) for row in rows]
            listed = self._listed(tx, [one for one in found if one is not None])
        return Page(tuple(Listed(None) if one is None else listed[one.id] for one in found), number, total)

    def of(self, account: Account) -> Listed:
        """The same of one account."""
        with self._database.read() as tx:
            return self._listed(tx, [account])[account.id]

    def _listed(self, tx: Transaction, accounts: Collection[Account]) -> dict[AccountId, Listed]:
        """Each with the rest; an altered row of the rest counts as none."""
        ids = [one.id for one in accounts]
        admins = {one.account_id for one in self._whole(tx.roster.profiles(ids)) if one.admin}
        devices = [one for one in self._whole(tx.roster.devices(ids)) if one.confirmed]
        since = {one.account_id: from_seconds(one.created_at) for one in devices}
        uses, shut = _latest(tx.roster.uses(ids)), self._shut(accounts)
        return {
            one.id: Listed(one, one.id in admins, since.get(one.id), uses.get(one.id), shut.get(one.id))
            for one in accounts
        }

    def _shut(self, accounts: Collection[Account]) -> dict[AccountId, Shut]:
        shut = [one for one in accounts if one.state in SHUT]
        entries = self._trail.last_of_each(shut, AuditEvent.ACCOUNT_SUSPENDED)
        told = {of: Shut(entry.at, entry.actor, entry.reason) for of, entry in entries.items()}
        return {one.id: told.get(one.id, Shut()) for one in shut}

    def _account(self, row: AccountRow) -> Account | None:
        try:
            return read_account(self._keyring, row)
        except CorruptRow:
            return None

    def _whole(self, rows: Iterable[Row]) -> list[Row]:
        """Those that were not altered."""
        whole = []
        for row in rows:
            try:
                whole.append(self._keyring.checked(row))
            except CorruptRow:
                continue
        return whole


def _latest(uses: Iterable[tuple[AccountId, object]]) -> dict[AccountId, datetime]:
    """The last use of each; what is no moment was altered, and is not shown."""
    latest: dict[AccountId, datetime] = {}
    for account_id, seconds in uses:
        if not isinstance(seconds, int) or seconds <= 0:
            continue
        try:
            moment = from_seconds(seconds)
        except OverflowError:
            continue
        if moment >= latest.get(account_id, moment):
            latest[account_id] = moment
    return latest
