"""A folder or a file as people see it: sorted, a page at a time, with what can be done there; and a search.

The drive shows the same files. What is done with them is in the other pages `files_*`; a file's own bytes are
never part of a page, but for the beginning of a text, which is escaped as any other value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from defusedxml.ElementTree import fromstring
from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from davserver.clock import SECOND_NS, from_seconds
from davserver.model import Lock, Node
from davserver.vault.browsing import Part, Shown
from davserver.vault.orders import Order
from davserver.vault.paths import VaultPath
from davserver.vault.portable import is_portable
from davserver.vault.service import Vault
from enroll_web.entrance import Level, needs
from enroll_web.filing import at, crumbs, link, vault
from enroll_web.previews import looked_at, page_about
from enroll_web.visit import visit

pages = Blueprint("files", __name__)

ENTRIES_A_PAGE = 100
"""What is shown of a folder at once."""

PAGE_DIGITS = 6
"""Longest number of a page that an address may hold."""

MAX_SEARCHED_CHARS = 255
"""Longest text that is looked for; no name is longer."""

OWNER_CHARS = 80
"""How much is shown of what a program says of itself when it locks something."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a folder.

    Attributes:
        address: of its page.
        below: the folder that it is in, from the one that is searched; "" where none is.
        holder: who has locked it, in the words of the program that did; "" if nobody has.
        until: when the lock ends, if nobody refreshes it.
    """

    node: Node
    address: str
    below: str = ""
    holder: str = ""
    until: datetime | None = None

    @property
    def is_portable(self) -> bool:
        """Whether Windows can show its name."""
        return is_portable(self.node.name)

    @property
    def changed(self) -> datetime:
        """When its content was changed."""
        return when(self.node)


@pages.get("/files/", defaults={"path": ""})
@pages.get("/files/<path:path>")
@needs(Level.PROVED)
def show(path: str) -> Response | str:
    """What is there."""
    place, opened = at(path), vault()
    node = opened.stat(place)
    return _folder(opened, place) if node.is_collection else _file(opened, place, node)


@pages.get("/search/", defaults={"path": ""})
@pages.get("/search/<path:path>")
@needs(Level.PROVED)
def search(path: str) -> str:
    """What has some text in its name, in a folder and below it."""
    visit().take_turn()
    place, text = at(path), request.args.get("name", "").strip()[:MAX_SEARCHED_CHARS]
    found = vault().search(place, text) if text else None
    depth = len(place.parts)
    entries = [
        Entry(hit.node, link("files.show", hit.path), "/".join(hit.path.parts[depth:-1]))
        for hit in (found.hits if found else ())
    ]
    return render_template(
        "files_found.html", place=place, crumbs=crumbs(place), text=text, found=found, entries=entries
    )


def when(node: Node) -> datetime:
    """When the content of a node was changed."""
    return from_seconds(node.modified_ns // SECOND_NS)


def _folder(opened: Vault, place: VaultPath) -> str:
    order, descending, number = _wanted()
    part = Part(order, descending, (number - 1) * ENTRIES_A_PAGE, ENTRIES_A_PAGE)
    shown = opened.browse(place, part, before_long=visit().take_turn)
    return render_template(
        "files.html",
        place=place,
        crumbs=crumbs(place),
        entries=[_entry(place, node, shown) for node in shown.entries],
        order=order.value,
        descending=descending,
        number=number,
        first=(number - 1) * ENTRIES_A_PAGE + 1,
        total=shown.total,
        more=number * ENTRIES_A_PAGE < shown.total,
        locks=[(_holder(one.lock), from_seconds(one.lock.expires_at)) for one in shown.covering],
        usage=opened.usage(),
        quota=visit().account.quota,
        kept_days=opened.history.keep_days,
        undo=_to_undo(place),
    )


def _to_undo(place: VaultPath) -> list[str]:
    """The entries of the trash that were in this folder until just now; said once."""
    undo = visit().take_out("undo")
    return undo["ids"] if undo and undo["folder"] == str(place) else []


def _file(opened: Vault, place: VaultPath, node: Node) -> Response:
    locks = opened.locks(place).covering
    page = render_template(
        "file.html",
        place=place,
        crumbs=list(crumbs(place.parent)),
        node=node,
        changed=when(node),
        is_portable=is_portable(node.name),
        shown=looked_at(opened, node),
        locks=[(_holder(one.lock), from_seconds(one.lock.expires_at)) for one in locks],
        kept_days=opened.history.keep_days,
    )
    return page_about(node.name, page)


def _entry(place: VaultPath, node: Node, shown: Shown) -> Entry:
    address = link("files.show", place / node.name)
    locks = shown.locks.get(node.id, ())
    if not locks:
        return Entry(node, address)
    last = max(locks, key=lambda lock: lock.expires_at)
    return Entry(node, address, "", _holder(last), from_seconds(last.expires_at))


def _wanted() -> tuple[Order, bool, int]:
    """Which order and which page the address asks for; what it says that is of no use counts as nothing."""
    asked = request.args
    order = next((one for one in Order if one.value == asked.get("sort")), Order.NAME)
    text = asked.get("page", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS else 1
    return order, asked.get("down") == "1", max(number, 1)


def _holder(lock: Lock) -> str:
    """Whoever holds a lock, as the program says it; "" if it does not."""
    if not lock.owner:
        return ""
    words = " ".join("".join(fromstring(lock.owner).itertext()).split())
    return words if len(words) <= OWNER_CHARS else f"{words[:OWNER_CHARS]}…"
