"""What is known of an account beside its files, for its owner to take along: words and numbers, no secret.

It must never be made twice at once for one account: it reads and decrypts everything. Called by the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from davserver.accounts.audit_trail import AuditEntry
from davserver.accounts.health import BY_NAME, TOKENS, Health
from davserver.accounts.overview import Overview
from davserver.accounts.profiles import Profile
from davserver.accounts.taken import TakenNames
from davserver.clock import Clock, to_seconds
from davserver.errors import LimitExceeded, StorageUnavailable
from davserver.model import AccountId

NAMES = (
    "files are below files/; a name that not every system can store was changed, and renamed.json says what "
    "it was; what is in the trash, what files were before (bytes_kept), and uploads that are not finished, "
    "are not in here"
)
"""What the archive says of its own names, and of what it leaves out."""


LEASE_SECONDS = 120
"""How long after the last `go_on` an archive counts as broken off: a process that crashed says nothing."""


class Exports:
    """The archives that are being sent, by any process.

    Args:
        taken: the accounts that are sent one.
    """

    def __init__(self, taken: TakenNames, clock: Clock) -> None:
        self._taken = taken
        self._clock = clock

    def begin(self, account_id: AccountId) -> None:
        """An archive of this account is about to be sent; `end` has to follow.

        Raises:
            LimitExceeded: there is one already.
        """
        now = to_seconds(self._clock())
        if not self._taken.first_time(account_id, now, now + LEASE_SECONDS):
            raise LimitExceeded("your data is being downloaded already: wait for its end, or cancel it")

    def go_on(self, account_id: AccountId) -> None:
        """It is still being sent; to be said more often than every `LEASE_SECONDS`."""
        with suppress(StorageUnavailable):  # a disk that is full now must not end it
            self._taken.keep(account_id, to_seconds(self._clock()) + LEASE_SECONDS)

    def end(self, account_id: AccountId) -> None:
        """It was sent, or broken off."""
        self._taken.give_back(account_id)


def about(overview: Overview, profile: Profile, health: Mapping[str, Health]) -> dict[str, object]:
    """Everything, as JSON can say it; times in ISO 8601."""
    account = overview.account
    return {
        "names": NAMES,
        "account": account.username,
        "subject": account.subject,
        "email": profile.email,
        "state": account.state.value,
        "created_at": account.created_at.isoformat(),
        "bytes_used": account.used,
        "bytes_kept": account.kept,
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
                **health.get(one.id, Health()).words(),
            }
            for one in overview.devices
        ],
        "tokens": health.get(TOKENS, Health()).words(),
        "came_with_the_name_only": health.get(BY_NAME, Health()).words(),
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
