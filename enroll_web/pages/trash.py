"""The trash: what was deleted, a page at a time, brought back or removed for good.

The drive fills it as well. Nothing goes for good here before it was asked, once, whether it should.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.clock import SECOND_NS, from_seconds
from davserver.errors import CorruptRow
from davserver.model import NodeId, Position, TrashEntry, Usage
from davserver.vault.kept import SAFE_DAYS, GivenUp
from davserver.vault.service import Vault
from enroll_web import words
from enroll_web.entrance import Level, needs
from enroll_web.errors import note
from enroll_web.filing import REFUSALS, SEE_OTHER, Outcome, id_of, ticked, vault
from enroll_web.pages.files import when
from enroll_web.pages.files_sending import download_of, preview_of
from enroll_web.previews import looked_at, page_about
from enroll_web.restoring import bring_back, entries_of, moved, said_of, told_of_trash
from enroll_web.visit import services, visit

pages = Blueprint("trash", __name__)

ENTRIES_A_PAGE = 100
"""What is shown of the trash at once."""

_POSITION = re.compile(r"([0-9]{1,12})-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Line:
    """An entry as it is shown.

    Attributes:
        until: when it goes for good, if no write needs the room before; None: any time now.
    """

    entry: TrashEntry
    until: datetime | None

    @property
    def deleted(self) -> datetime:
        """When that was."""
        return from_seconds(self.entry.deleted_ns // SECOND_NS)

    @property
    def changed(self) -> datetime:
        """When its content was changed."""
        return when(self.entry.node)

    @property
    def folder(self) -> str:
        """The way to the folder that held it; "" is the first one, or not known."""
        return "/".join(self.entry.path[:-1])


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────
@pages.get("/trash")
@needs(Level.PROVED)
def show() -> str:
    """What is in it, the latest first."""
    opened, after = vault(), _position(request.args.get("after", ""))
    altered = list[CorruptRow]()
    found = opened.trash(after=after, limit=ENTRIES_A_PAGE + 1, altered=altered.append)
    for error in altered[:1]:
        note(error, services().audit, request.remote_addr)
    shown, usage = found[:ENTRIES_A_PAGE], opened.usage()
    most = _most(opened, usage)
    days = _days(opened, usage, most)
    # Those of one second come in any order; on a page they are put right.
    lines = [_line(one, days) for one in sorted(shown, key=lambda one: one.deleted_ns, reverse=True)]
    return render_template(
        "trash.html",
        lines=lines,
        altered=len(altered),
        further=_address_behind(shown[-1]) if len(found) > ENTRIES_A_PAGE else "",
        is_first=after is None,
        history=opened.history,
        usage=usage,
        most=most,
    )


@pages.get("/trash/entry/<entry_id>")
@needs(Level.PROVED)
def entry(entry_id: str) -> Response | str:
    """One of them."""
    opened = vault()
    one = opened.trash_entry(_id(entry_id))
    shown = None if one.node.is_collection else looked_at(opened, one.node)
    usage = opened.usage()
    line = _line(one, _days(opened, usage, _most(opened, usage)))
    page = render_template("trash_entry.html", line=line, shown=shown, crumbs=_way())
    return page_about(one.node.name, page) if shown else page


@pages.get("/trash/download/<entry_id>")
@needs(Level.PROVED)
def download(entry_id: str) -> Response:
    """A file out of it, or a folder as an archive; it stays there."""
    visit().take_turn()
    opened = vault()
    return download_of(opened, opened.trash_entry(_id(entry_id)).node)


@pages.get("/trash/preview/<entry_id>")
@needs(Level.PROVED)
def preview(entry_id: str) -> Response:
    """A file out of it, to be shown."""
    visit().take_turn()
    opened = vault()
    return preview_of(opened, opened.trash_entry(_id(entry_id)).node)


# ── back ────────────────────────────────────────────────────────────────────────────────────────────────────
@pages.post("/trash/restore")
@needs(Level.PROVED, back="trash.show")
def restore() -> Response:
    """What was ticked, to where it was."""
    ids = ticked()
    if not ids:
        return _nothing_ticked()
    returned = bring_back(vault(), ids)
    said = said_of(returned)
    if len(ids) == 1 and returned.back:
        (one,) = returned.back
        said = gettext("“%(name)s” is back in “%(folder)s”.", name=one.name, folder=one.folder or _first())
    return told_of_trash(returned.outcome, said, _to_trash(), moved(returned.back))


# ── for good ────────────────────────────────────────────────────────────────────────────────────────────────
@pages.post("/trash/purge")
@needs(Level.PROVED, back="trash.show")
def purge() -> Response | str:
    """What was ticked; asked first."""
    opened, ids, outcome = vault(), ticked(), Outcome()
    if not ids:
        return _nothing_ticked()
    entries = list(entries_of(opened, ids, outcome))
    if request.form.get("sure") != "1" and entries:
        return render_template("trash_purge.html", nodes=[one.node for one in entries], crumbs=_way())
    freed = sum(_purge(opened, one, outcome) for one in entries)
    return told_of_trash(outcome, _gone(GivenUp(outcome.done, freed)), _to_trash())


@pages.get("/trash/empty")
@needs(Level.PROVED)
def ask_to_empty() -> str:
    """How much room that would give."""
    return render_template("trash_empty.html", room=vault().trash_bytes(), crumbs=_way())


@pages.post("/trash/empty")
@needs(Level.PROVED, back="trash.ask_to_empty")
def empty() -> Response:
    """Everything in it that opens; the page that follows tells of the rest."""
    visit().tell(_gone(vault().empty_trash()))
    return redirect(url_for("trash.show"), SEE_OTHER)


def _purge(opened: Vault, one: TrashEntry, outcome: Outcome) -> int:
    """Bytes that are free now."""
    try:
        freed = opened.purge(one.id)
    except REFUSALS as error:
        outcome.refuse(one.node.name, error)
        return 0
    outcome.done += 1
    return freed


def _gone(gone: GivenUp) -> str:
    return ngettext(
        "%(num)s entry is gone for good; that frees %(size)s.",
        "%(num)s entries are gone for good; that frees %(size)s.",
        gone.count,
        size=words.size(gone.bytes),
    )


# ── addresses, moments ──────────────────────────────────────────────────────────────────────────────────────
def _line(one: TrashEntry, days: int) -> Line:
    until = from_seconds(one.deleted_ns // SECOND_NS) + timedelta(days=days)
    return Line(one, until if until > services().clock() else None)


def _days(opened: Vault, usage: Usage, most: int | None) -> int:
    """For how long an entry is kept for certain, as long as no write needs the room."""
    days = opened.history.keep_days
    return days if most is None or usage.kept <= most else min(days, SAFE_DAYS)


def _most(opened: Vault, usage: Usage) -> int | None:
    """How many bytes may be kept, if there is an end to it: a share of the quota, or what is left of it."""
    quota = visit().account.quota
    if quota is None or usage.available is None:
        return None
    return min(int(quota * opened.history.max_share), usage.available)


def _position(text: str) -> Position | None:
    """Behind which entry a page begins; whatever says nothing begins with the latest."""
    found = _POSITION.fullmatch(text)
    return (int(found[1]), NodeId(bytes.fromhex(found[2]))) if found else None


def _address_behind(one: TrashEntry) -> str:
    moment, last = one.position
    return url_for("trash.show", after=f"{moment}-{last.hex()}")


def _id(text: str) -> NodeId:
    return id_of(text) or abort(404)


def _way() -> list[tuple[str, str]]:
    return [(gettext("Trash"), url_for("trash.show"))]


def _to_trash() -> tuple[str, str]:
    return url_for("trash.show"), gettext("Back to the trash")


def _first() -> str:
    """What the first folder is called, which has no name."""
    return gettext("Files")


def _nothing_ticked() -> Response:
    visit().tell(gettext("Nothing is ticked: tick what you mean, then press the button."))
    return redirect(url_for("trash.show"), SEE_OTHER)
