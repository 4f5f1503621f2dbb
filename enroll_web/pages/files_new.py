"""A new folder, and another name for something."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request
from flask_babel import gettext
from werkzeug.wrappers import Response

from davserver.errors import AlreadyExists, PathError, PreconditionFailed
from davserver.vault.paths import lookup_form
from enroll_web.entrance import Level, needs
from enroll_web.errors import answer_to
from enroll_web.filing import (
    SEE_OTHER,
    Outcome,
    at,
    crumbs,
    link,
    still_there,
    ticked,
    unchanged,
    vault,
    with_unfit,
)
from enroll_web.forms import refused
from enroll_web.visit import visit

pages = Blueprint("files_new", __name__)


@pages.get("/new-folder/", defaults={"path": ""})
@pages.get("/new-folder/<path:path>")
@needs(Level.PROVED)
def new_folder(path: str) -> str:
    """Ask for its name."""
    place = at(path)
    return render_template("files_new_folder.html", place=place, crumbs=crumbs(place), name="")


@pages.post("/new-folder/", defaults={"path": ""})
@pages.post("/new-folder/<path:path>")
@needs(Level.PROVED, back="files_new.new_folder")
def make_folder(path: str) -> Response:
    """Make it."""
    place, name = at(path), request.form.get("name", "").strip()
    try:
        vault().make_collection(place / name)
    except (AlreadyExists, PathError) as error:
        status = answer_to(error).status
        return refused("files_new_folder.html", error, status, place=place, crumbs=crumbs(place), name=name)
    visit().tell(with_unfit(gettext("“%(name)s” is there.", name=name), [name]))
    return redirect(link("files.show", place), SEE_OTHER)


@pages.post("/rename-ticked/", defaults={"path": ""})
@pages.post("/rename-ticked/<path:path>")
@needs(Level.PROVED, back="files.show")
def which(path: str) -> Response:
    """To the page where the one that was ticked gets another name.

    Raises:
        VersionConflict: not all that was ticked is there (any more).
    """
    place, outcome = at(path), Outcome()
    nodes = still_there(vault(), place, ticked(), outcome)
    if outcome.error is not None:
        raise outcome.error
    if len(nodes) != 1:
        visit().tell(gettext("Tick the one that gets another name."))
        return redirect(link("files.show", place), SEE_OTHER)
    return redirect(link("files_new.rename", place / nodes[0].name), SEE_OTHER)


@pages.get("/rename/<path:path>")
@needs(Level.PROVED)
def rename(path: str) -> str:
    """Ask for another name."""
    place = at(path)
    return render_template(
        "files_rename.html",
        place=place,
        node=vault().stat(place),
        crumbs=crumbs(place.parent),
        name=place.name,
    )


@pages.post("/rename/<path:path>")
@needs(Level.PROVED, back="files_new.rename")
def give_name(path: str) -> Response:
    """Give it the name."""
    place, name, opened = at(path), request.form.get("name", "").strip(), vault()
    node = opened.stat(place)
    try:
        target = place.parent / name
        if lookup_form(name) == lookup_form(place.name):  # one and the same for the vault
            return redirect(link("files.show", place.parent), SEE_OTHER)
        opened.move(place, target, overwrite=False, demands=unchanged(place, node))
    except (PreconditionFailed, PathError) as error:
        taken = isinstance(error, PreconditionFailed)
        reason = AlreadyExists("the name is taken") if taken else error
        return refused(
            "files_rename.html",
            reason,
            answer_to(reason).status,
            place=place,
            node=node,
            crumbs=crumbs(place.parent),
            name=name,
        )
    visit().tell(with_unfit(gettext("“%(old)s” is called “%(new)s” now.", old=place.name, new=name), [name]))
    return redirect(link("files.show", place.parent), SEE_OTHER)
