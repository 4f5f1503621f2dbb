"""What a request tells of the device that sent it: noted for its owner, who may be watching it connect.

It must never change an answer, nor cost a statement. What opens nothing at all is noted by the
authenticators; this is about requests of devices that are let in. Called by `app`.
"""

from __future__ import annotations

from datetime import timedelta

from davserver.accounts.health import TOKENS, Sign, Trouble
from davserver.accounts.health_notes import HealthNotes
from davserver.clock import SECOND_NS, to_seconds
from davserver.dav.quirks import times_of
from davserver.dav.responses import Blocks
from davserver.dav.scope import RequestScope
from davserver.errors import DavserverError, FolderGone, NotPermitted, ParentMissing, QuotaExceeded
from davserver.model import ROOT_ID, Principal, Scope
from davserver.sending.conditions import parse_http_date
from davserver.sending.file import Content
from davserver.serving.exchange import Environ

CLOCK_LEEWAY = timedelta(minutes=5)
"""How far a client's own clock may be from ours before its owner is told."""

FUTURE_LEEWAY = timedelta(days=1)
"""How far ahead of us the time of a file may be: cameras and old file systems know no time zones."""

_GIVES_TIME = frozenset({"PUT", "COPY", "MOVE", "MKCOL"})
"""Methods that take X-OC-Mtime; where they succeed, it was kept."""

_INTO_FOLDER = frozenset({"PUT", "LOCK"})
"""Methods whose target is what has no parent where there is none; for COPY and MOVE it is the Destination.
MKCOL is none of them: rclone tries the deepest folder first, and then makes those above it."""


class Signs:
    """Notes what devices do.

    Args:
        notes: where.
    """

    def __init__(self, notes: HealthNotes) -> None:
        self._notes = notes

    def connected(self, principal: Principal, environ: Environ) -> None:
        """The credential was right. The client's clock is looked at as often as that is noted."""
        is_new = self._note(principal, Sign.CONNECTED)
        told = parse_http_date(environ["HTTP_DATE"]) if is_new and "HTTP_DATE" in environ else None
        if told is not None:
            self._note(principal, Trouble.CLOCK if _is_off(told, _now(principal)) else Sign.CLOCK_RIGHT)

    def answered(self, scope: RequestScope, answer: Blocks) -> None:
        """The request was done. Reading is getting bytes of a file: no page, and not that nothing is new."""
        principal, environ = scope.vault.principal, scope.environ
        method = environ["REQUEST_METHOD"]
        if isinstance(answer, Content):
            self._note(principal, Sign.READ)
        elif method == "PUT":
            self._note(principal, Sign.WROTE)
        elif method == "PROPFIND" and environ.get("HTTP_DEPTH") == "1":
            self._note(principal, Sign.LISTED)
        if scope.patched_ns is not None or ("HTTP_X_OC_MTIME" in environ and method in _GIVES_TIME):
            self._kept_time(principal, _given_ns(scope))

    def refused(self, scope: RequestScope, error: DavserverError) -> None:
        """The request was not done, since the device may not or cannot."""
        trouble = trouble_of(scope, error)
        if trouble is not None:
            self._note(scope.vault.principal, trouble)

    def _kept_time(self, principal: Principal, given_ns: int | None) -> None:
        if given_ns is None:
            return
        ahead = given_ns // SECOND_NS - _now(principal)
        self._note(principal, Trouble.FILE_TIME if ahead > FUTURE_LEEWAY.total_seconds() else Sign.KEPT_TIMES)

    def _note(self, principal: Principal, what: Sign | Trouble) -> bool:
        device = principal.credential_id or TOKENS
        return self._notes.note(principal.account.id, device, what, _now(principal))


def trouble_of(scope: RequestScope, error: DavserverError) -> Trouble | None:
    """What an error means for the owner of the device; None: nothing that concerns the device as such."""
    principal = scope.vault.principal
    if isinstance(error, NotPermitted):
        return _missing_scope(principal.scopes)
    if isinstance(error, QuotaExceeded):
        return Trouble.NO_ROOM
    if isinstance(error, FolderGone):
        return Trouble.FOLDER_GONE
    is_limited = principal.root_id != ROOT_ID and scope.environ["REQUEST_METHOD"] in _INTO_FOLDER
    return Trouble.OUTSIDE_FOLDER if is_limited and isinstance(error, ParentMissing) else None


def _missing_scope(scopes: Scope) -> Trouble | None:
    """Read-only comes first: such a device may not delete either."""
    if Scope.WRITE not in scopes:
        return Trouble.READ_ONLY
    return Trouble.NO_DELETE if Scope.DELETE not in scopes else None


def _given_ns(scope: RequestScope) -> int | None:
    """The time of change that the request has given to what it wrote."""
    return times_of(scope.environ).modified_ns if scope.patched_ns is None else scope.patched_ns


def _is_off(told: int, now: int) -> bool:
    """Whether a client's Date (RFC 9110, 6.6.1) is far from ours; few send one."""
    return abs(told - now) > CLOCK_LEEWAY.total_seconds()


def _now(principal: Principal) -> int:
    """When the request came, to the second."""
    return to_seconds(principal.authenticated_at)
