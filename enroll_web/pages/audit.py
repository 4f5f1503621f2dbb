"""What has happened: of everybody for administrators, who are recorded as readers; of oneself for anybody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from davserver.accounts.audit_trail import Search
from davserver.accounts.service import normalise_username
from davserver.audit import AuditEvent
from davserver.errors import InvalidValue
from enroll_web import recorded
from enroll_web.entrance import Level, needs
from enroll_web.forms import refused
from enroll_web.visit import services, visit

pages = Blueprint("audit", __name__)

ENTRIES = 50
"""Entries of a page for administrators."""

OWN_ENTRIES = 100
"""Entries that somebody sees of themselves; the download has all."""

SEQ_DIGITS = 18
"""Longest number of an entry that an address may hold."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The filters as they were typed."""

    account: str = ""
    event: str = ""
    day: str = ""

    @classmethod
    def of_request(cls) -> Typed:
        """Those in the address."""
        given = request.args
        return cls(*(given.get(name, "").strip() for name in ("account", "event", "day")))

    def wanted(self) -> Search:
        """What they mean.

        Raises:
            InvalidValue: one of them means nothing.
        """
        since = self._since()
        return Search(
            account=normalise_username(self.account) if self.account else None,
            event=self._event(),
            since=since,
            until=None if since is None else since + timedelta(days=1),
        )

    def _event(self) -> AuditEvent | None:
        if self.event and not recorded.is_event(self.event):
            raise InvalidValue("there is no such event")
        return AuditEvent(self.event) if self.event else None

    def _since(self) -> datetime | None:
        try:
            return datetime.combine(date.fromisoformat(self.day), time(), UTC) if self.day else None
        except ValueError:
            raise InvalidValue("a day looks like 2030-01-31") from None


@pages.get("/people/audit")
@needs(Level.FRESH, admin=True)
def overview() -> Response | str:
    """Page by page, the latest first."""
    typed = Typed.of_request()
    try:
        wanted, before = typed.wanted(), _before()
    except InvalidValue as error:
        return refused("audit.html", error, **_context(typed, []))
    found = services().audit_trail.latest(
        wanted, limit=ENTRIES + 1, before=before, by=visit().account.username
    )
    return render_template("audit.html", **_context(typed, found))


@pages.get("/my-data/activity")
@needs(Level.PROVED)
def activity() -> str:
    """The latest about the person's own account."""
    settings = services().settings
    return render_template(
        "activity.html",
        entries=services().audit_trail.own(visit().account, limit=OWN_ENTRIES),
        most=OWN_ENTRIES,
        event=recorded.event,
        why=recorded.reason,
        keep_days=settings.audit.keep_days,
        address_days=settings.site.keep_days,
    )


def _context(typed: Typed, found: list[Any]) -> dict[str, Any]:
    shown = found[:ENTRIES]
    return {
        "typed": typed,
        "entries": shown,
        "older": shown[-1].seq if len(found) > ENTRIES else None,
        "events": recorded.events(),
        "event": recorded.event,
        "why": recorded.reason,
    }


def _before() -> int | None:
    text = request.args.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= SEQ_DIGITS):
        raise InvalidValue("the number of an entry is a whole number")
    return int(text)
