"""What people read in the place of what is stored: sizes, moments, who has acted, what Keycloak has said.

In the language of the page, or in English where there is none. No service, no template. Used by the pages and
their templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from babel.dates import format_datetime
from babel.numbers import format_decimal
from flask_babel import get_locale, gettext
from pydantic import ByteSize

from davserver.accounts.confirmations import Confirmation
from davserver.accounts.roster import Shut
from davserver.accounts.verdicts import ROLE_MISSING, Standing
from davserver.audit import OFFBOARDING, PROVIDER, TERMINAL
from davserver.model import Scope
from davserver.texts import marked
from enroll_web import recorded
from enroll_web.catalogues import ENGLISH
from enroll_web.patterns import DAY, HOUR, MINUTE, SECOND

SECONDS_SHOWN = 300
"""An age is told in seconds up to here; beyond it the moment says more."""

ACTORS = {
    TERMINAL: marked("a command on the server"),
    OFFBOARDING: "Keycloak",
    PROVIDER: "Keycloak",
}
"""Who acts that is no account."""

GONE = {
    Standing.DISABLED.value: marked("Disabled in Keycloak"),
    Standing.DELETED.value: marked("Deleted in Keycloak"),
    ROLE_MISSING: marked("Without the role dav-user in Keycloak"),
}
"""What has become of whom Keycloak lets in no more."""

SCOPES = {
    Scope.FULL: marked("read, change and delete"),
    Scope.NO_DELETE: marked("read and change, never delete"),
    Scope.READ_ONLY: marked("read only"),
}
"""What a device may do."""


NO_VALUES: Mapping[str, object] = MappingProxyType({})


def said(text: str, values: Mapping[str, object] = NO_VALUES) -> str:
    """A text that is marked in the code, in the language of the page; it is escaped as any other value."""
    return gettext(text, **values)


def number(value: float) -> str:
    """With two digits at most after the comma, or what stands for one."""
    return format_decimal(value, "#,##0.##", locale=get_locale() or ENGLISH)


def size(count: int) -> str:
    """Bytes, in the unit that fits: "1.5 GiB"."""
    number, unit = ByteSize(count).human_readable(separator=" ").split(" ")
    return f"{format_decimal(number, '0.#', locale=get_locale() or ENGLISH)} {unit}"


def day(moment: datetime) -> str:
    """The day of a moment, in UTC."""
    return _written(moment, DAY)


def hour(moment: datetime) -> str:
    """The time of day of a moment, in UTC, which the page says."""
    return _written(moment, HOUR)


def minute(moment: datetime) -> str:
    """A moment; every time on the site is in UTC."""
    return f"{_written(moment, MINUTE)} UTC"


def stamp(moment: datetime) -> str:
    """A moment to the minute, in UTC, which the page says."""
    return _written(moment, MINUTE)


def second(moment: datetime) -> str:
    """A moment to the second, in UTC, which the page says."""
    return _written(moment, SECOND)


def scope(scopes: Scope) -> str:
    """What a device may do."""
    return gettext(SCOPES[scopes])


def actor(name: str) -> str:
    """Who has done something."""
    return gettext(ACTORS[name]) if name in ACTORS else name


def who_shut(shut: Shut) -> str:
    """Since when an account is shut, by whom and why, as far as that is known."""
    if shut.at is None:
        return gettext("since when and why, the audit log does not say any more")
    reason = recorded.reason(shut.reason) or gettext("no reason was given")
    if not shut.by:
        return gettext("since %(moment)s: %(reason)s", moment=minute(shut.at), reason=reason)
    return gettext(
        "since %(moment)s by %(name)s: %(reason)s", moment=minute(shut.at), name=actor(shut.by), reason=reason
    )


def in_keycloak(told: Confirmation, name: str, since: datetime | None, now: datetime, grace: int) -> str:
    """What Keycloak says of an account's owner.

    Args:
        told: what is known of that.
        name: of the account.
        since: when the account was shut for it; None if nobody knows.
        now: the present moment.
        grace: how many seconds its word is good for.
    """
    if told.built_in:
        return gettext(
            "Built in: Keycloak is not asked about it. Its devices go on working, but nobody can sign in to "
            "it here."
        )
    if told.left_at is not None:
        return _gone(told.reason, told.left_at, since)
    if told.confirmed_at is None:
        return gettext("Keycloak was not asked about %(name)s yet; it is at the next use.", name=name)
    return _confirmed(name, told.confirmed_at, now, grace)


def _gone(reason: str, left_at: datetime, since: datetime | None) -> str:
    gone = gettext(GONE[reason]) if reason in GONE else reason
    if since is None:
        return gettext("%(gone)s, as it said at %(moment)s.", gone=gone, moment=minute(left_at))
    return gettext("%(gone)s since %(moment)s.", gone=gone, moment=minute(since))


def _confirmed(name: str, at: datetime, now: datetime, grace: int) -> str:
    age = now - at
    if age <= timedelta(seconds=grace):
        return gettext("Keycloak confirmed %(name)s %(seconds)s s ago.", name=name, seconds=_seconds(age))
    if age <= timedelta(seconds=SECONDS_SHOWN):
        return gettext(
            "Keycloak last confirmed %(name)s %(seconds)s s ago; it is asked again at the next use.",
            name=name,
            seconds=_seconds(age),
        )
    return gettext(
        "Keycloak last confirmed %(name)s at %(moment)s; it is asked again at the next use.",
        name=name,
        moment=minute(at),
    )


def _written(moment: datetime, pattern: str) -> str:
    return format_datetime(moment, gettext(pattern), locale=get_locale() or ENGLISH)


def _seconds(age: timedelta) -> int:
    return max(0, round(age.total_seconds()))


FILTERS = (said, number, size, day, hour, minute, stamp, second, scope)
"""What templates use, by these names."""
