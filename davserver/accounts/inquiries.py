"""Puts questions about people to the identity provider, and has what it says applied.

A person counts as confirmed once both were asked: whether they are there and enabled (of many at once), and
whether they have the role (of each by themselves: the provider has no list of that which our rights reach).
Nothing is ever concluded from an answer that did not come. Called by `desk` for those who are using their
accounts at this moment, and by `rounds` for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from davserver.accounts.offboarding import Known, Offboarding
from davserver.accounts.verdicts import News, Standing
from davserver.clock import Clock, to_seconds
from davserver.errors import CorruptRow, DavserverError, NotFound
from davserver.identity.base import ROLE_ADMIN, ROLE_USER, Person, Registry
from davserver.model import Account, AccountId


class Inquiries:
    """Asks a registry.

    Args:
        passwords: whether to ask of when passwords are, too.
    """

    def __init__(
        self, registry: Registry, offboarding: Offboarding, clock: Clock, *, passwords: bool
    ) -> None:
        self._registry = registry
        self._offboarding = offboarding
        self._clock = clock
        self._passwords = passwords

    def standings(self, accounts: Sequence[Account]) -> dict[AccountId, News]:
        """Who is there, and enabled or not.

        Raises:
            ProviderUnavailable, ProviderMisconfigured: as `Directory.find`.
        """
        asked_at = self._now()
        found = self._registry.find([one.subject for one in accounts])
        return {one.id: News(asked_at, standing=_standing(found, one.subject)) for one in accounts}

    def role(self, account: Account) -> News:
        """Ask whether somebody has the role, and sign out as an administrator whoever is none.

        Whoever is unknown by now is found to be deleted by `standings`: only that knows that it may look.

        Raises:
            ProviderUnavailable, ProviderMisconfigured: as `Directory.find`.
        """
        asked_at = self._now()
        try:
            roles = self._registry.roles(account.subject)
            password_at = self._registry.password_set_at(account.subject) if self._passwords else None
        except NotFound:
            return News(asked_at)
        if ROLE_ADMIN not in roles:
            self._offboarding.end_as_admin(account, asked_at=asked_at)
        return News(asked_at, has_role=ROLE_USER in roles, password_at=password_at)

    def password_set_at(self, account: Account) -> int:
        """Of when somebody's password is, as `Registry.password_set_at`; 0 for whoever is unknown.

        Raises:
            ProviderUnavailable, ProviderMisconfigured: as `Directory.find`.
        """
        try:
            return self._registry.password_set_at(account.subject)
        except NotFound:
            return 0

    def about(self, accounts: Sequence[Account]) -> dict[AccountId, Known | DavserverError]:
        """Ask everything about people who are using their accounts now, and apply it.

        Returns:
            What is known then; of an account that is gone or whose row was altered, the error that says so.

        Raises:
            ProviderUnavailable, ProviderMisconfigured: as `Directory.find`; what was said before is applied.
        """
        answers: dict[AccountId, Known | DavserverError] = {}
        standings = self.standings(accounts)
        for account in accounts:
            news = [standings[account.id]]
            if news[0].standing is Standing.ENABLED:
                news.append(self.role(account))
            try:
                answers[account.id] = self._offboarding.learn(account.id, news, now=news[0].asked_at)
            except (NotFound, CorruptRow) as error:
                answers[account.id] = error
        return answers

    def _now(self) -> int:
        return to_seconds(self._clock())


def _standing(found: Mapping[str, Person], subject: str) -> Standing:
    person = found.get(subject)
    if person is None:
        return Standing.DELETED
    return Standing.ENABLED if person.enabled else Standing.DISABLED
