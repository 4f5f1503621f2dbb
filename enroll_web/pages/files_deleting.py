"""Deleting what was ticked, and taking that back; where nothing is kept, it is asked first."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.errors import DavserverError
from davserver.model import Node, NodeId
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from enroll_web.entrance import Level, needs
from enroll_web.filing import (
    REFUSALS,
    Outcome,
    at,
    crumbs,
    link,
    nothing_ticked,
    still_there,
    ticked,
    told_of,
    unchanged,
    vault,
)
from enroll_web.restoring import bring_back, moved, said_of, told_of_trash
from enroll_web.visit import visit

pages = Blueprint("files_deleting", __name__)


@pages.post("/delete/", defaults={"path": ""})
@pages.post("/delete/<path:path>")
@needs(Level.PROVED, back="files.show")
def delete(path: str) -> Response | str:
    """What was ticked in a folder."""
    place, opened, ids = at(path), vault(), ticked()
    if not ids:
        return nothing_ticked(place)
    outcome = Outcome()
    nodes = still_there(opened, place, ids, outcome)
    if nodes and not opened.history.keep_days and request.form.get("sure") != "1":
        page = {"place": place, "crumbs": crumbs(place), "nodes": nodes, "ticked": ids}
        return render_template("files_delete.html", **page)
    _delete_all(opened, place, nodes, outcome)
    return told_of(place, outcome, _said(outcome))


@pages.post("/undelete/", defaults={"path": ""})
@pages.post("/undelete/<path:path>")
@needs(Level.PROVED, back="files.show")
def undelete(path: str) -> Response:
    """Put back what was just deleted."""
    place, ids = at(path), ticked()
    if not ids:
        return nothing_ticked(place)
    returned = bring_back(vault(), ids)
    back = (link("files.show", place), gettext("Back to the folder"))
    return told_of_trash(returned.outcome, said_of(returned), back, moved(returned.back))


def _delete_all(opened: Vault, place: VaultPath, nodes: tuple[Node, ...], outcome: Outcome) -> None:
    """Delete them, and remember what is in the trash now, also if it ends in the middle.

    Raises:
        DavserverError: it cannot go on; the next page says how many are deleted, and offers to undo that.
    """
    kept: list[NodeId] = []
    try:
        for node in nodes:
            kept += _delete(opened, place / node.name, node, outcome)
    except DavserverError:
        if outcome.done:
            visit().tell(_said(outcome))
        raise
    finally:
        if kept:
            visit().remember(undo={"folder": str(place), "ids": [one.hex() for one in kept]})


def _delete(opened: Vault, path: VaultPath, node: Node, outcome: Outcome) -> list[NodeId]:
    """One entry; its id in the trash, if it is there."""
    try:
        entry_id = opened.delete(path, demands=unchanged(path, node))
    except REFUSALS as error:
        outcome.refuse(node.name, error)
        return []
    outcome.done += 1
    return [] if entry_id is None else [entry_id]


def _said(outcome: Outcome) -> str:
    return ngettext("%(num)s entry is deleted.", "%(num)s entries are deleted.", outcome.done)
