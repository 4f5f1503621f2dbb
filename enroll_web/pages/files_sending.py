"""Files on their way to a browser: to be kept (one, or several as a ZIP archive), or to be shown.

Nothing of them is put on a disk here. What is shown is sent so that it runs nowhere, see `previews.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from http import HTTPStatus

from flask import Blueprint, abort, request
from werkzeug.wrappers import Response

from davserver.errors import PreconditionFailed
from davserver.model import Node
from davserver.sending.conditions import Preconditions
from davserver.sending.file import Answer, Content, Fields, hand_out, unmodified
from davserver.sending.media import as_attachment, content_type
from davserver.vault.export import Contents, archive
from davserver.vault.service import Vault
from davserver.vault.tree import require_file
from enroll_web import errors
from enroll_web.entrance import Level, needs
from enroll_web.filing import Outcome, at, nothing_ticked, still_there, ticked, vault
from enroll_web.previews import fields_for, is_shown
from enroll_web.visit import client, services, visit

pages = Blueprint("files_sending", __name__)

ROOT_ARCHIVE = "files"
"""What the archive of everything is called, without its ending."""


@pages.get("/download/", defaults={"path": ""})
@pages.get("/download/<path:path>")
@needs(Level.PROVED)
def download(path: str) -> Response:
    """One file, or a folder as an archive."""
    visit().take_turn()
    opened = vault()
    node = opened.stat(at(path))
    return download_of(opened, node) if node.name else _archive(opened, opened.listing(node), ROOT_ARCHIVE)


@pages.get("/preview/<path:path>")
@needs(Level.PROVED)
def preview(path: str) -> Response:
    """One file, to be shown."""
    visit().take_turn()
    opened = vault()
    return preview_of(opened, opened.stat(at(path)))


@pages.post("/zip/", defaults={"path": ""})
@pages.post("/zip/<path:path>")
@needs(Level.PROVED, back="files.show")
def several(path: str) -> Response:
    """What was ticked in a folder, as an archive; a single file as it is.

    Raises:
        VersionConflict: not all of it is there (any more); an archive without it would look whole.
    """
    opened, place, ids = vault(), at(path), ticked()
    if not ids:
        return nothing_ticked(place)
    outcome = Outcome()
    nodes = still_there(opened, place, ids, outcome)
    if outcome.error is not None:
        raise outcome.error
    if len(nodes) == 1:
        return download_of(opened, nodes[0])
    return _archive(opened, nodes, place.name or ROOT_ARCHIVE)


def download_of(opened: Vault, node: Node) -> Response:
    """A file as it is, a folder as an archive; both to be stored, wherever they are."""
    if node.is_collection:
        return _archive(opened, [node], node.name)
    return _file(opened, node, [("Content-Type", content_type(node.name)), *as_attachment(node.name)])


def preview_of(opened: Vault, node: Node) -> Response:
    """A file to be shown, wherever it is.

    Raises:
        WrongKind: it is a folder.
    """
    require_file(node)
    if not is_shown(opened, node):
        abort(404)
    return _file(opened, node, fields_for(node.name))


def _file(opened: Vault, node: Node, fields: Fields) -> Response:
    conditions = Preconditions.of(request.environ)
    try:
        conditions.check_current(node)
    except PreconditionFailed:
        return Response(status=HTTPStatus.PRECONDITION_FAILED)
    if conditions.not_modified(node):
        return _response(unmodified(node))
    return _response(hand_out(request.environ, node, fields, lambda: opened.read(node)))


def _response(answer: Answer) -> Response:
    content = answer.content
    blocks = () if content is None else _sent(_bytes(content))
    response = Response(blocks, answer.status, headers=answer.fields)
    if content is not None:
        response.call_on_close(content.close)
    return response


def _bytes(content: Content) -> Iterator[bytes]:
    """Blocks of its own: those of a download share one buffer."""
    with closing(content):
        yield from map(bytes, content)


def _archive(opened: Vault, nodes: Iterable[Node], name: str) -> Response:
    blocks = archive(opened, Contents(nodes), services().clock())
    return Response(
        _sent(blocks), headers=[("Content-Type", "application/zip"), *as_attachment(f"{name}.zip")]
    )


def _sent(blocks: Iterable[bytes]) -> Iterable[bytes]:
    """As long as the session would still open it; what goes wrong in the middle is noted."""
    return errors.noted(visit().guarded(blocks, lambda: None), services().audit, client())
