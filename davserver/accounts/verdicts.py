"""What follows from what the identity provider said of somebody: pure rules, no I/O.

Answers arrive in any order and from several processes. Each counts for the moment at which its question was
asked, and one that says that somebody has left is outweighed only by later ones that say otherwise, of both
kinds. Called by `offboarding` and `confirmations`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from davserver.db.confirmations import ConfirmationRow
from davserver.model import AccountId

ROLE_MISSING = "role missing"
"""Why somebody has left who is still known and enabled."""


class Standing(Enum):
    """What the directory knows of a person. The values are shown, and stored as reasons."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class News:
    """Answers to questions about one person.

    Attributes:
        asked_at: when they were asked, seconds since the Unix epoch, rounded down.
        standing: None if that was not asked; so is the rest.
        has_role: whether the person has the role without which nobody comes in.
        password_at: of when the password is, in milliseconds by the provider's clock; 0 without one.
    """

    asked_at: int
    standing: Standing | None = None
    has_role: bool | None = None
    password_at: int | None = None


def unknown(account_id: AccountId) -> ConfirmationRow:
    """Of whom nothing was said yet."""
    return ConfirmationRow(
        account_id=account_id,
        enabled_at=0,
        role_at=0,
        off_at=None,
        reason="",
        password_at=None,
        new_password_at=None,
        version=0,
        wanted_at=0,
    )


def told(row: ConfirmationRow, news: News) -> ConfirmationRow:
    """What is known after `news`; a row that says the same is the same."""
    at = news.asked_at
    if news.standing is Standing.ENABLED:
        row = replace(row, enabled_at=max(row.enabled_at, at))
    elif news.standing is not None and at >= row.enabled_at:
        row = _left(row, at, news.standing.value)
    if news.has_role:
        row = replace(row, role_at=max(row.role_at, at))
    elif news.has_role is False and at >= row.role_at:
        row = _left(row, at, ROLE_MISSING)
    if row.off_at is not None and min(row.enabled_at, row.role_at) > row.off_at:
        row = replace(row, off_at=None, reason="")
    return row if news.password_at is None else _with_password(row, news.password_at)


def has_left(row: ConfirmationRow) -> bool:
    """Whether the last word is that the person may not come in."""
    return row.off_at is not None


def confirmed_at(row: ConfirmationRow) -> int:
    """Since when nothing was heard that the person may come in: the older of both answers; 0 is never."""
    return 0 if has_left(row) else min(row.enabled_at, row.role_at)


def judged_at(row: ConfirmationRow) -> int:
    """When the person was last judged, either way; 0 is never."""
    return confirmed_at(row) if row.off_at is None else row.off_at


def _left(row: ConfirmationRow, at: int, reason: str) -> ConfirmationRow:
    return row if row.off_at is not None and row.off_at > at else replace(row, off_at=at, reason=reason)


def _with_password(row: ConfirmationRow, password_at: int) -> ConfirmationRow:
    if row.password_at is None:
        return replace(row, password_at=password_at)
    known = max(row.password_at, row.new_password_at or 0)
    return replace(row, new_password_at=password_at) if password_at > known else row
