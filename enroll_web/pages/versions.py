"""What a file was before it was overwritten: looked at, brought back, removed for good.

Programs overwrite through the drive, forms do through the site; both are here. A version is named by its file
and its id together, so that an id leads nowhere but from the file that it is of.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, abort, redirect, render_template, request
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.clock import SECOND_NS, from_seconds
from davserver.errors import Locked, QuotaExceeded
from davserver.model import FileVersion, NodeId
from davserver.vault.kept import GivenUp
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from enroll_web import words
from enroll_web.entrance import Level, needs
from enroll_web.errors import answer_to
from enroll_web.filing import SEE_OTHER, at, crumbs, id_of, link, vault
from enroll_web.forms import refused
from enroll_web.pages.files import when
from enroll_web.pages.files_sending import download_of, preview_of
from enroll_web.previews import looked_at, page_about
from enroll_web.visit import visit

pages = Blueprint("versions", __name__)


@dataclass(frozen=True, slots=True)
class Line:
    """A version as it is shown."""

    version: FileVersion

    @property
    def replaced(self) -> datetime:
        """Until when the file was this."""
        return from_seconds(self.version.replaced_ns // SECOND_NS)

    @property
    def changed(self) -> datetime:
        """Since when."""
        return when(self.version.node)


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────
@pages.get("/versions/<path:path>")
@needs(Level.PROVED)
def show(path: str) -> str:
    """All of a file, the latest first."""
    return render_template("versions.html", **_about(vault(), at(path)))


@pages.get("/version/<version_id>/<path:path>")
@needs(Level.PROVED)
def one(version_id: str, path: str) -> Response:
    """One of them."""
    opened, place = vault(), at(path)
    version = _version(opened, place, version_id)
    page = render_template(
        "version.html",
        place=place,
        crumbs=crumbs(place),
        line=Line(version),
        shown=looked_at(opened, version.node),
    )
    return page_about(version.node.name, page)


@pages.get("/version-download/<version_id>/<path:path>")
@needs(Level.PROVED)
def download(version_id: str, path: str) -> Response:
    """One of them, to be stored."""
    visit().take_turn()
    opened = vault()
    return download_of(opened, _version(opened, at(path), version_id).node)


@pages.get("/version-preview/<version_id>/<path:path>")
@needs(Level.PROVED)
def preview(version_id: str, path: str) -> Response:
    """One of them, to be shown."""
    visit().take_turn()
    opened = vault()
    return preview_of(opened, _version(opened, at(path), version_id).node)


# ── back ────────────────────────────────────────────────────────────────────────────────────────────────────
@pages.post("/version-restore/<version_id>/<path:path>")
@needs(Level.PROVED, back="versions.show")
def restore(version_id: str, path: str) -> Response:
    """Give it to the file back."""
    opened, place = vault(), at(path)
    line = Line(_version(opened, place, version_id))
    try:
        opened.restore_version(place, line.version.id)
    except (Locked, QuotaExceeded) as error:
        return refused("versions.html", error, answer_to(error).status, **_about(opened, place))
    moment = words.second(line.replaced)
    visit().tell(
        gettext("“%(name)s” is again what it was until %(moment)s UTC.", name=place.name, moment=moment)
    )
    return redirect(link("versions.show", place), SEE_OTHER)


# ── for good ────────────────────────────────────────────────────────────────────────────────────────────────
@pages.post("/version-purge/<version_id>/<path:path>")
@needs(Level.PROVED, back="versions.show")
def purge(version_id: str, path: str) -> Response | str:
    """One of them; asked first."""
    opened, place = vault(), at(path)
    version = _version(opened, place, version_id)
    if request.form.get("sure") != "1":
        return _ask(place, [version])
    return _gone(place, GivenUp(1, opened.purge_version(place, version.id)))


@pages.post("/versions-purge/<path:path>")
@needs(Level.PROVED, back="versions.show")
def purge_all(path: str) -> Response | str:
    """All of a file; asked first."""
    opened, place = vault(), at(path)
    if request.form.get("sure") != "1":
        return _ask(place, opened.versions(place))
    return _gone(place, opened.purge_versions(place))


def _ask(place: VaultPath, versions: list[FileVersion]) -> str:
    return render_template(
        "versions_purge.html",
        place=place,
        crumbs=crumbs(place),
        lines=[Line(version) for version in versions],
        room=sum(version.node.size for version in versions),
    )


def _gone(place: VaultPath, gone: GivenUp) -> Response:
    said = ngettext(
        "%(num)s version is gone for good; that frees %(size)s.",
        "%(num)s versions are gone for good; that frees %(size)s.",
        gone.count,
        size=words.size(gone.bytes),
    )
    visit().tell(said)
    return redirect(link("versions.show", place), SEE_OTHER)


def _about(opened: Vault, place: VaultPath) -> dict[str, object]:
    """What `versions.html` needs."""
    return {
        "place": place,
        "crumbs": crumbs(place),
        "lines": [Line(version) for version in opened.versions(place)],
        "history": opened.history,
    }


def _version(opened: Vault, place: VaultPath, text: str) -> FileVersion:
    return opened.version(place, _id(text))


def _id(text: str) -> NodeId:
    return id_of(text) or abort(404)
