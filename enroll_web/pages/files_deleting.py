"""Deleting what was ticked, and taking that back; where nothing is kept, it is asked first."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

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
    nodes = opened.choose(place, ids).nodes
    if not opened.history.keep_days and request.form.get("sure") != "1":
        return render_template("files_delete.html", place=place, crumbs=crumbs(place), nodes=nodes)
    outcome, kept = _delete(opened, place, nodes)
    if kept:
        visit().remember(undo={"folder": str(place), "ids": [one.hex() for one in kept]})
    said = ngettext("%(num)s entry is deleted.", "%(num)s entries are deleted.", outcome.done)
    return told_of(place, outcome, said)


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


def _delete(opened: Vault, place: VaultPath, nodes: tuple[Node, ...]) -> tuple[Outcome, list[NodeId]]:
    """What became of them, and their ids in the trash."""
    outcome, kept = Outcome(), list[NodeId]()
    for node in nodes:
        path = place / node.name
        try:
            entry_id = opened.delete(path, demands=unchanged(path, node))
        except REFUSALS as error:
            outcome.refuse(node.name, error)
        else:
            outcome.done += 1
            kept += [] if entry_id is None else [entry_id]
    return outcome, kept
