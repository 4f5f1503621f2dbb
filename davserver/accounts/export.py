"""What is known of an account beside its files, for its owner to take along: words and numbers, no secret.

Called by the site.
"""

from __future__ import annotations

from collections.abc import Iterable

from davserver.accounts.audit_trail import AuditEntry
from davserver.accounts.overview import Overview
from davserver.accounts.profiles import Profile


def about(overview: Overview, profile: Profile) -> dict[str, object]:
    """Everything, as JSON can say it; times in ISO 8601."""
    account = overview.account
    return {
        "account": account.username,
        "subject": account.subject,
        "email": profile.email,
        "state": account.state.value,
        "created_at": account.created_at.isoformat(),
        "bytes_used": account.used,
        "quota": account.quota,
        "files": overview.files,
        "folders": overview.folders,
        "authenticator_since": None if overview.totp_since is None else overview.totp_since.isoformat(),
        "recovery_codes_left": overview.recovery_codes,
        "app_passwords": [
            {
                "id": one.id,
                "label": one.label,
                "state": one.state.value,
                "expires_at": one.expires_at.isoformat(),
                "last_used_at": None if one.last_used_at is None else one.last_used_at.isoformat(),
                "last_used_from": one.last_used_from,
            }
            for one in overview.devices
        ],
    }


def happened(entries: Iterable[AuditEntry]) -> list[dict[str, object]]:
    """What the audit log holds about the account; what was altered there is left out."""
    return [
        {
            "at": entry.at.isoformat(),
            "event": entry.event,
            "by": entry.actor,
            "app_password": entry.credential,
            "from": entry.client,
            "reason": entry.reason,
        }
        for entry in entries
        if entry.at is not None
    ]
