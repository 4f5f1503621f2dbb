"""Why an administrator takes something away, as they type it: kept in the audit log, and read by the owner.

Called by `administration.py`.
"""

from __future__ import annotations

from davserver.errors import InvalidValue

MIN_REASON_CHARS = 3
"""Shorter ones say nothing."""

MAX_REASON_CHARS = 160
"""Longest reason: a sentence. The column of the audit log takes a little more."""


def checked_reason(text: str | None) -> str | None:
    """The reason on one line, without spaces around it; None stays None: a command need not give one.

    Raises:
        InvalidValue: too short, too long, or characters that cannot be shown.
    """
    if text is None:
        return None
    reason = " ".join(text.split())
    if not MIN_REASON_CHARS <= len(reason) <= MAX_REASON_CHARS or not reason.isprintable():
        raise InvalidValue(
            "say why, in %(least)s to %(most)s characters", least=MIN_REASON_CHARS, most=MAX_REASON_CHARS
        )
    return reason
