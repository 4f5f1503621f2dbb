"""What people read in the place of what is stored: sizes, moments, who has acted, what Keycloak has said.

Pure: no page, no service. Used by the pages and their templates.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import ByteSize

from davserver.accounts.confirmations import Confirmation
from davserver.accounts.roster import Shut
from davserver.accounts.verdicts import ROLE_MISSING, Standing
from davserver.audit import OFFBOARDING, PROVIDER, TERMINAL

SECONDS_SHOWN = 300
"""An age is told in seconds up to here; beyond it the moment says more."""

ACTORS = {
    TERMINAL: "a command on the server",
    OFFBOARDING: "Keycloak",
    PROVIDER: "Keycloak",
}
"""Who acts that is no account."""

GONE = {
    Standing.DISABLED.value: "Disabled in Keycloak",
    Standing.DELETED.value: "Deleted in Keycloak",
    ROLE_MISSING: "Without the role dav-user in Keycloak",
}
"""What has become of whom Keycloak lets in no more."""

BUILT_IN_THERE = (
    "Built in: Keycloak is not asked about it. Its devices go on working, but nobody can sign in to it here."
)


def size(count: int) -> str:
    """Bytes."""
    return ByteSize(count).human_readable(separator=" ").replace(".0 ", " ")


def minute(moment: datetime) -> str:
    """A moment; every time on the site is in UTC."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def actor(name: str) -> str:
    """Who has done something."""
    return ACTORS.get(name, name)


def who_shut(shut: Shut) -> str:
    """Since when an account is shut, by whom and why, as far as that is known."""
    if shut.at is None:
        return "since when and why, the audit log does not say any more"
    by = f" by {actor(shut.by)}" if shut.by else ""
    return f"since {minute(shut.at)}{by}: {shut.reason or 'no reason was given'}"


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
        return BUILT_IN_THERE
    if told.left_at is not None:
        gone = GONE.get(told.reason, told.reason)
        return (
            f"{gone}, as it said at {minute(told.left_at)}."
            if since is None
            else f"{gone} since {minute(since)}."
        )
    if told.confirmed_at is None:
        return f"Keycloak was not asked about {name} yet; it is at the next use."
    age = now - told.confirmed_at
    if age <= timedelta(seconds=grace):
        return f"Keycloak confirmed {name} {_seconds(age)} ago."
    when = (
        f"{_seconds(age)} ago"
        if age <= timedelta(seconds=SECONDS_SHOWN)
        else f"at {minute(told.confirmed_at)}"
    )
    return f"Keycloak last confirmed {name} {when}; it is asked again at the next use."


def _seconds(age: timedelta) -> str:
    return f"{max(0, round(age.total_seconds()))} s"
