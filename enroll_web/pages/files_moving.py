"""Moving and copying what was ticked: a folder is chosen, then it is asked what to do with names taken there.

Each step is a form that carries what was ticked, by ids; nothing is done before the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, render_template, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.errors import NotPermitted
from davserver.model import Node, NodeId
from davserver.texts import marked
from davserver.vault.browsing import Part
from davserver.vault.orders import Order
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from enroll_web.entrance import Level, needs
from enroll_web.filing import (
    REFUSALS,
    Outcome,
    Taken,
    at,
    crumbs,
    nothing_ticked,
    spare,
    still_there,
    ticked,
    told_of,
    unchanged,
    vault,
)

pages = Blueprint("files_moving", __name__)

MAX_FOLDERS = 200
"""Folders that are offered at once; the way to any other one can be typed."""


@dataclass(frozen=True, slots=True)
class Act:
    """Moving or copying.

    Attributes:
        key: the first word of its address.
        button: what its last button says.
        do: does it with one entry: whose files, what, where to, whether it takes the place of what is there.
        said: what was done with so many.
    """

    key: str
    button: str
    do: Callable[[Vault, VaultPath, VaultPath, Node, bool], object]
    said: Callable[[int], str]


def _move(opened: Vault, source: VaultPath, target: VaultPath, node: Node, overwrite: bool) -> object:  # noqa: FBT001 - see `Act`
    return opened.move(source, target, overwrite=overwrite, demands=unchanged(source, node))


def _copy(opened: Vault, source: VaultPath, target: VaultPath, node: Node, overwrite: bool) -> object:  # noqa: FBT001 - see `Act`
    return opened.copy(source, target, overwrite=overwrite, demands=unchanged(source, node))


MOVE = Act(
    "move",
    marked("Move here"),
    _move,
    lambda count: ngettext("%(num)s entry is moved.", "%(num)s entries are moved.", count),
)
COPY = Act(
    "copy",
    marked("Copy here"),
    _copy,
    lambda count: ngettext("%(num)s entry is copied.", "%(num)s entries are copied.", count),
)


@pages.post("/move/", defaults={"path": ""})
@pages.post("/move/<path:path>")
@needs(Level.PROVED, back="files.show")
def move(path: str) -> Response | str:
    """What was ticked in a folder, to another one."""
    return _step(at(path), MOVE)


@pages.post("/copy/", defaults={"path": ""})
@pages.post("/copy/<path:path>")
@needs(Level.PROVED, back="files.show")
def copy(path: str) -> Response | str:
    """What was ticked in a folder, to another one or beside itself."""
    return _step(at(path), COPY)


def _step(place: VaultPath, act: Act) -> Response | str:
    """The next step of a form."""
    opened, ids = vault(), ticked()
    if not ids:
        return nothing_ticked(place)
    outcome = Outcome()
    nodes = still_there(opened, place, ids, outcome)
    if not nodes:
        return told_of(place, outcome, "")
    if "to" not in request.form:
        return _choose_folder(opened, place, act, nodes, ids)
    target = at(request.form["to"])
    taken = _taken(act, place, target)
    clashes = [node.name for node in nodes if opened.find(target / node.name) is not None]
    if taken is Taken.ASK and clashes:
        return _ask(place, act, ids, target, clashes)
    for node in nodes:
        _one(opened, act, place / node.name, target / node.name, node, taken, outcome)
    return told_of(place, outcome, act.said(outcome.done))


def _taken(act: Act, place: VaultPath, target: VaultPath) -> Taken:
    """What the form says; a copy beside the original has another name without a question."""
    if target == place:
        if act is MOVE:
            raise NotPermitted("it is in this folder already")
        return Taken.BOTH
    return Taken.read(request.form.get("taken", ""))


def _one(  # noqa: PLR0913, PLR0917 - parts
    opened: Vault,
    act: Act,
    source: VaultPath,
    target: VaultPath,
    node: Node,
    taken: Taken,
    outcome: Outcome,
) -> None:
    try:
        if taken is Taken.SKIP and opened.find(target) is not None:
            outcome.skipped.append(node.name)
            return
        if taken is Taken.BOTH:
            target = spare(opened, target)
        act.do(opened, source, target, node, taken is Taken.REPLACE)
    except REFUSALS as error:
        outcome.refuse(node.name, error)
    else:
        outcome.done += 1


def _choose_folder(
    opened: Vault, place: VaultPath, act: Act, nodes: tuple[Node, ...], ids: list[NodeId]
) -> str:
    """Look around for where it should go; it is the account's turn already (`security.AFTER_TURN`)."""
    here = at(request.form.get("at", str(place)))
    shown = opened.browse(here, Part(Order.NAME, descending=False, start=0, count=MAX_FOLDERS + 1))
    folders = [node.name for node in shown.entries if node.is_collection]
    ways = [VaultPath(here.parts[:depth]) for depth in range(len(here.parts) + 1)]
    mine = {node.name for node in nodes if node.is_collection} if here == place else set[str]()
    return render_template(
        "files_choose.html",
        place=place,
        crumbs=crumbs(place),
        act=act,
        nodes=nodes,
        ticked=ids,
        here=here,
        ways=ways,
        folders=[(name, str(here / name)) for name in folders[:MAX_FOLDERS] if name not in mine],
        more=len(folders) > MAX_FOLDERS,
        is_same=here == place and act is MOVE,
    )


def _ask(place: VaultPath, act: Act, ids: list[NodeId], target: VaultPath, clashes: list[str]) -> Response:
    """What to do where a name is taken; nothing was done yet."""
    page = render_template(
        "files_taken.html",
        place=place,
        crumbs=crumbs(place),
        act=act,
        ticked=ids,
        target=target,
        where=target.name or gettext("Files"),
        clashes=clashes,
    )
    return Response(page, HTTPStatus.CONFLICT, content_type="text/html; charset=utf-8")
