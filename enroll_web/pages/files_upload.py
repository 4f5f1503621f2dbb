"""Files from a form, straight into the vault as they arrive: nothing of them is put on a disk, or held.

Each file stands for itself: what is wrong with one does not keep the others out, and what does not arrive
whole is not there at all. A whole folder comes as its files, each named by the way to it; folders that are
missing are made. It must never use `request.form` or `request.files`, which would store the body.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from flask import Blueprint, redirect
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.errors import LimitExceeded, UploadRefused
from davserver.vault.moment import NO_DEMANDS
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from enroll_web.entrance import Level, needs
from enroll_web.filing import (
    REFUSALS,
    SEE_OTHER,
    Outcome,
    Taken,
    at,
    free,
    link,
    make_folders,
    spare,
    told_of,
    vault,
)
from enroll_web.multipart import Part
from enroll_web.security import streamed_form
from enroll_web.visit import services, visit

pages = Blueprint("files_upload", __name__)

MAX_FILES = 10_000
"""Files that one form may hold; those behind them are read and dropped."""

FOLDER_FIELD = "folder"
"""The field that a whole folder is chosen in. Browsers send the way to each of its files as the file's name;
in any other field a name with a slash is none."""


@pages.post("/upload/", defaults={"path": ""})
@pages.post("/upload/<path:path>")
@needs(Level.PROVED, back="files.show")
def upload(path: str) -> Response:
    """Take files into a folder."""
    visit().take_turn()
    place = at(path)
    with closing(visit().watched()) as watch:
        outcome = _take_all(vault(), place, streamed_form(watch.check))
    if not outcome.done and not outcome.refused and not outcome.skipped:
        visit().tell(gettext("No file was chosen."))
        return redirect(link("files.show", place), SEE_OTHER)
    return told_of(
        place, outcome, ngettext("%(num)s file is stored.", "%(num)s files are stored.", outcome.done)
    )


def _take_all(opened: Vault, place: VaultPath, parts: Iterator[Part]) -> Outcome:
    """What became of the files; of a form that breaks off, what became of those before."""
    outcome, rest = Outcome(), gettext("The rest")
    try:
        over = _take_most(opened, place, parts, outcome)
    except UploadRefused as error:
        outcome.refuse(rest, error, gettext("It got lost on the way. Please try again."))
    else:
        if over:
            limit = LimitExceeded("a form must not hold more than %(most)s files", most=MAX_FILES)
            outcome.refuse(rest, limit)
    return outcome


def _take_most(opened: Vault, place: VaultPath, parts: Iterator[Part], outcome: Outcome) -> bool:
    """Take as many files as a form may hold; whether there were more.

    A browser that is still sending would not read an answer: so the form is read to its end.
    """
    taken, count = Taken.BOTH, 0
    for part in parts:
        if part.name == "taken":
            taken = Taken.read(part.text())
        elif part.filename:
            count += 1
            if count <= MAX_FILES:
                _take(opened, place, part, taken, outcome)
    return count > MAX_FILES


def _take(opened: Vault, place: VaultPath, part: Part, taken: Taken, outcome: Outcome) -> None:
    """One file; what is left of a refused one is dropped before the next part."""
    name = part.filename or ""
    try:
        path = VaultPath((*place.parts, *_names(part)))
        there = opened.find(path)
        if there is not None and taken is Taken.SKIP:
            outcome.skipped.append(name)
            return
        make_folders(opened, place, path.parent)
        if taken is not Taken.REPLACE:
            path = spare(opened, path)
        demands = NO_DEMANDS if taken is Taken.REPLACE else free(path)
        with opened.write(path, keep=_kept(), demands=demands) as arriving:
            for block in part.blocks():
                arriving.write(block)
            arriving.commit()
    except REFUSALS as error:
        outcome.refuse(name, error)
    else:
        outcome.done += 1
        outcome.given.update(path.parts[len(place.parts) :])


def _names(part: Part) -> list[str]:
    """The folders on the way to a file, and its own name."""
    name = part.filename or ""
    return name.split("/") if part.name == FOLDER_FIELD else [name]


def _kept() -> frozenset[str]:
    """Digests that are computed of every file."""
    return services().settings.storage.always_hashed
