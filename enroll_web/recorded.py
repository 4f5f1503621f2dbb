"""What the audit log holds, in words for people: its events, and the reasons that are codes of ours.

The log itself is English and stays as it was recorded: what a person has typed as a reason, or a server has
said, is shown as it is. Used by the pages.
"""

from __future__ import annotations

import re

from flask_babel import gettext

from davserver.accounts import authenticator
from davserver.accounts.offboarding import PASSWORD_RESET
from davserver.accounts.service import UNLIMITED
from davserver.accounts.totp import ResetReason
from davserver.accounts.verdicts import ROLE_MISSING, Standing
from davserver.audit import AuditEvent
from davserver.errors import CorruptBlob, CorruptRow, IntegrityError, TotpInvalid, TotpOutOfSync, TotpReplayed
from davserver.texts import marked

EVENTS = {
    AuditEvent.SERVER_STARTED: marked("Server started"),
    AuditEvent.SERVER_STOPPED: marked("Server stopped"),
    AuditEvent.ACCOUNT_CREATED: marked("Account made"),
    AuditEvent.ACCOUNT_SUSPENDED: marked("Account suspended"),
    AuditEvent.ACCOUNT_RESUMED: marked("Account opened again"),
    AuditEvent.ACCOUNT_DELETED: marked("Account deleted"),
    AuditEvent.QUOTA_CHANGED: marked("Space changed"),
    AuditEvent.ADMIN_GRANTED: marked("Made an administrator"),
    AuditEvent.ADMIN_WITHDRAWN: marked("No longer an administrator"),
    AuditEvent.INVITATION_MADE: marked("Invited"),
    AuditEvent.INVITATION_USED: marked("Invitation used"),
    AuditEvent.SIGNED_IN: marked("Signed in"),
    AuditEvent.SIGNED_OUT: marked("Signed out"),
    AuditEvent.DATA_DOWNLOADED: marked("Everything downloaded"),
    AuditEvent.EMAIL_CHANGED: marked("Mail address changed"),
    AuditEvent.PASSWORD_CHANGED: marked("Password changed"),
    AuditEvent.PASSWORD_REFUSED: marked("Wrong password"),
    AuditEvent.TOTP_BEGUN: marked("Authenticator shown"),
    AuditEvent.TOTP_CONFIRMED: marked("Authenticator set up"),
    AuditEvent.TOTP_ACCEPTED: marked("One-time code accepted"),
    AuditEvent.TOTP_REFUSED: marked("Wrong one-time code"),
    AuditEvent.TOTP_RESET: marked("Authenticator taken away"),
    AuditEvent.RECOVERY_CODES_MADE: marked("Recovery codes made"),
    AuditEvent.RECOVERY_CODE_USED: marked("Recovery code used"),
    AuditEvent.RECOVERY_CODE_REFUSED: marked("Wrong recovery code"),
    AuditEvent.APP_PASSWORD_ISSUED: marked("App password made"),
    AuditEvent.APP_PASSWORD_REVOKED: marked("App password revoked"),
    AuditEvent.APP_PASSWORD_REFUSED: marked("App password refused"),
    AuditEvent.APP_PASSWORD_MOVED: marked("App password used from elsewhere"),
    AuditEvent.TOKEN_REFUSED: marked("Token refused"),
    AuditEvent.DEVICES_SUSPENDED: marked("Devices suspended"),
    AuditEvent.DEVICES_RESUMED: marked("Devices work again"),
    AuditEvent.PROVIDER_LOST: marked("Sign-in server lost"),
    AuditEvent.PROVIDER_BACK: marked("Sign-in server back"),
    AuditEvent.MASTER_KEY_ROTATED: marked("Master key rotated"),
    AuditEvent.INTEGRITY_FAILED: marked("Altered in storage"),
    AuditEvent.AUDIT_READ: marked("Audit log read"),
    AuditEvent.AUDIT_SKIPPED: marked("More that was not recorded"),
    AuditEvent.AUDIT_BROKEN: marked("Audit log begun anew"),
}
"""What people are told of each event."""

_BY_VALUE = {event.value: words for event, words in EVENTS.items()}

ERRORS = {
    TotpInvalid.__name__: marked("not the right code"),
    TotpOutOfSync.__name__: marked("a code of another time: the clock of the phone is wrong"),
    TotpReplayed.__name__: marked("a code that was used before"),
    IntegrityError.__name__: marked("something that was stored"),
    CorruptBlob.__name__: marked("the contents of a file"),
    CorruptRow.__name__: marked("an entry of the database"),
}
"""What people are told in the place of the errors that are recorded as reasons."""

CODES = {
    "app password or account altered": marked("an app password or an account"),
    "account or session altered": marked("an account or a session"),
    ResetReason.LOST.value: marked("lost"),
    ResetReason.BROKEN.value: marked("broken"),
    ResetReason.STOLEN.value: marked("stolen"),
    ResetReason.REPLACED.value: marked("replaced"),
    ResetReason.REFUSED.value: marked("refused"),
    Standing.DISABLED.value: marked("disabled"),
    Standing.DELETED.value: marked("deleted"),
    ROLE_MISSING: marked("role missing"),
    PASSWORD_RESET: marked("password reset"),
    authenticator.REVOKED: marked("revoked"),
    authenticator.EXPIRED: marked("expired"),
    authenticator.SUSPENDED: marked("account suspended"),
    authenticator.WRONG_SECRET: marked("wrong secret"),
    authenticator.WRONG_NAME: marked("another user's name"),
    authenticator.WRONG_NETWORK: marked("address not allowed"),
    authenticator.NOT_CONFIRMED: marked("not confirmed by the identity provider"),
    "unknown app password": marked("unknown app password"),
    "no second factor": marked("no second factor"),
    "no account, and none is made": marked("no account, and none is made"),
    UNLIMITED: marked("no limit"),
}
"""The same for reasons that are a word or two of ours."""

_REASONS = ERRORS | CODES

_MORE = re.compile(r"([0-9]+) more ([a-z-]+)")
"""The reason of `AuditEvent.AUDIT_SKIPPED`."""

_CHANGE = re.compile(rf"from ({UNLIMITED}|[0-9]+ [A-Za-z]+) to ({UNLIMITED}|[0-9]+ [A-Za-z]+)")
"""The reason of `AuditEvent.QUOTA_CHANGED`."""


def event(value: str) -> str:
    """What an event is called; one that a later version has written is called as it is."""
    return gettext(_BY_VALUE[value]) if value in _BY_VALUE else value


def is_event(value: str) -> bool:
    """Whether there is such an event."""
    return value in _BY_VALUE


def events() -> dict[str, str]:
    """What every event is called, by its value, in the order of the words."""
    named = {value: gettext(words) for value, words in _BY_VALUE.items()}
    return dict(sorted(named.items(), key=lambda item: item[1].casefold()))


def reason(text: str) -> str:
    """A reason in plain words."""
    if (more := _MORE.fullmatch(text)) is not None:
        return gettext("%(count)s more: %(event)s", count=more[1], event=event(more[2]))
    if (change := _CHANGE.fullmatch(text)) is not None:
        return gettext("from %(before)s to %(after)s", before=reason(change[1]), after=reason(change[2]))
    return gettext(_REASONS[text]) if text in _REASONS else text
