"""Uploads that a script drives: begun, sent in parts, gone on with, finished. All answers are JSON.

Small files come whole, in one request; larger ones in parts that the vault keeps until all are there
(`davserver/vault/parts.py`). What is no error of anybody's is told with status 200: that a name is taken, and
where an upload has to be gone on with. Nothing of a body is put on a disk or held here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

from flask import Blueprint, Response, jsonify, request, stream_with_context
from flask_babel import gettext, ngettext

from davserver.clock import SECOND_NS, from_seconds
from davserver.errors import (
    AlreadyExists,
    DavserverError,
    IntegrityError,
    LengthMismatch,
    NotFound,
    WrongKind,
    WrongOffset,
)
from davserver.model import NodeId
from davserver.vault.moment import NO_DEMANDS
from davserver.vault.parts import Joining
from davserver.vault.paths import VaultPath, annotated
from davserver.vault.service import Vault
from davserver.vault.unfinished import PART_BYTES, IfTaken, Unfinished
from enroll_web import errors, words
from enroll_web.arriving import MILLISECOND_NS, Wanted, announced, announced_beside, if_taken, raw_body
from enroll_web.filing import MAX_TRIES, free, id_of, spare, vault
from enroll_web.told_scripts import again_after, answers_scripts, proved
from enroll_web.visit import client, services, visit

pages = Blueprint("uploads", __name__)
answers_scripts(pages)

WHOLE_BYTES = 1024 * 1024
"""Files up to here come whole: what is sent again after a cut, or for a name that is taken, is little."""

OFFSET_DIGITS = 20
"""Longest number that an address may hold."""

MAX_STORED = 10**9
"""More files than anybody can have stored."""


# ── what there is ───────────────────────────────────────────────────────────────────────────────────────────
@pages.app_context_processor
def _for_templates() -> dict[str, object]:
    """What the page needs that loads the script."""
    return {"uploading": uploading}


def uploading() -> dict[str, Any]:
    """What the script has to know when its page is loaded."""
    return {"part": PART_BYTES, "whole": WHOLE_BYTES, "unfinished": _unfinished(vault())}


@pages.get("/uploads")
@proved
def unfinished() -> Response:
    """The same for a page that was loaded earlier, by somebody who has signed in again since."""
    me = visit()
    return jsonify(who=me.account.username, token=me.form_token, uploads=_unfinished(vault()))


def _unfinished(opened: Vault) -> list[dict[str, object]]:
    """Every upload that can be gone on with; none if one was altered: files are shown all the same."""
    try:
        return [_listed(one) for one in opened.parts.all()]
    except IntegrityError as error:
        errors.note(error, services().audit, client())
        return []


def _listed(one: Unfinished) -> dict[str, object]:
    return {
        "id": one.id.hex(),
        "name": one.path[-1],
        "folder": "/".join(one.path[:-1]),
        "size": one.size,
        "modified": one.modified_ns // MILLISECOND_NS,
        "received": one.received,
    }


# ── one request for all of a file ───────────────────────────────────────────────────────────────────────────
@pages.put("/uploads")
@proved
def whole() -> Response:
    """Take a small file."""
    visit().take_turn()
    with raw_body(WHOLE_BYTES) as fill:
        wanted, opened = announced_beside(), vault()
        if request.content_length != wanted.size:
            raise LengthMismatch("a file is not as long as it was announced")
        if found := _there_already(opened, wanted):
            return jsonify(name=found)
        _make_folders(opened, wanted.folder, wanted.names[:-1])
        try:
            path = spare(opened, wanted.path) if wanted.if_taken is IfTaken.BOTH else wanted.path
            demands = NO_DEMANDS if wanted.if_taken is IfTaken.REPLACE else free(path)
            writing = opened.write(
                path,
                expected_size=wanted.size,
                modified_ns=wanted.modified_ns,
                keep=_kept(),
                demands=demands,
            )
            with writing as arriving, closing(visit().watched()) as watch:
                fill(arriving, watch.check)
                placed = arriving.commit()
        except (AlreadyExists, WrongKind):
            return _taken(opened, wanted.path)
    return jsonify(name=placed.node.name)


@pages.post("/uploads-folder")
@proved
def folder() -> Response:
    """Make a folder, and those on the way: one that is empty comes with no file."""
    wanted, opened = announced(), vault()
    _make_folders(opened, wanted.folder, wanted.names)
    return jsonify({})


# ── in parts ────────────────────────────────────────────────────────────────────────────────────────────────
@pages.post("/uploads")
@proved
def begin() -> Response:
    """Announce a file."""
    wanted, opened = announced(), vault()
    if found := _there_already(opened, wanted):
        return jsonify(name=found)
    _make_folders(opened, wanted.folder, wanted.names[:-1])
    try:
        begun = opened.parts.begin(wanted.path, wanted.size, wanted.modified_ns, if_taken=wanted.if_taken)
    except AlreadyExists:
        return _taken(opened, wanted.path)
    return jsonify(id=begun.id.hex(), received=begun.received)


@pages.put("/uploads/<upload_id>/<offset>")
@proved
def part(upload_id: str, offset: str) -> Response:
    """Take the next part; of another one, tell which is the next."""
    visit().take_turn()
    with raw_body(PART_BYTES) as fill:
        try:
            appending = vault().parts.append(_id(upload_id), _offset(offset))
            with appending as arriving, closing(visit().watched()) as watch:
                fill(arriving, watch.check)
                arriving.commit()
        except WrongOffset as error:
            return jsonify(received=error.received)
    return jsonify(received=_offset(offset) + (request.content_length or 0))


@pages.get("/uploads/<upload_id>")
@proved
def state(upload_id: str) -> Response:
    """How much of it is here."""
    return jsonify(received=vault().parts.state(_id(upload_id)).received)


@pages.post("/uploads/<upload_id>/finish")
@proved
def finish(upload_id: str) -> Response:
    """Make the file; tells line by line how far that is: it may take longer than proxies wait."""
    visit().take_turn()
    opened, found = vault(), _id(upload_id)
    given = request.get_json(silent=True)
    decided = if_taken(given.get("taken")) if isinstance(given, dict) else None
    try:
        joining = opened.parts.join(found, if_taken=decided, keep=_kept())
    except WrongOffset as error:
        return jsonify(received=error.received)
    except AlreadyExists:
        return _taken_by(opened, found)
    lines = visit().guarded(_lines(opened, found, joining), lambda: None)
    noted = errors.noted(lines, services().audit, client())
    return Response(stream_with_context(noted), content_type="application/x-ndjson")


@pages.delete("/uploads/<upload_id>")
@proved
def cancel(upload_id: str) -> Response:
    """Give it up; it may have been already."""
    with suppress(NotFound):
        vault().parts.cancel(_id(upload_id))
    return jsonify({})


@pages.post("/uploads-told")
@proved
def told() -> Response:
    """All is done: the page is loaded again, and says so."""
    given = request.get_json(silent=True)
    match given:
        case {"stored": int(stored)} if 0 < stored < MAX_STORED:
            visit().tell(ngettext("%(num)s file is stored.", "%(num)s files are stored.", stored))
        case _:
            visit().tell(gettext("No file was chosen."))
    return jsonify({})


# ── pieces ──────────────────────────────────────────────────────────────────────────────────────────────────
def _lines(opened: Vault, found: NodeId, joining: Joining) -> Iterator[bytes]:
    try:
        with closing(iter(joining)) as steps:  # type: ignore[type-var]  # it is a generator
            for stored in steps:
                yield _line(stored=stored)
    except AlreadyExists:
        yield _taken_by(opened, found).data.strip() + b"\n"
    except DavserverError as error:
        errors.note(error, services().audit, client())
        yield _line(text=errors.explained(error), again=again_after(error).value)
    else:
        yield _line(name=joining.placed.node.name if joining.placed else "")


def _line(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _taken_by(opened: Vault, upload_id: NodeId) -> Response:
    return _taken(opened, VaultPath(opened.parts.state(upload_id).path))


def _taken(opened: Vault, path: VaultPath) -> Response:
    """What has the name now, in words: a question for whoever looks."""
    node = opened.find(path)
    if node is None:  # it has gone again: the same request succeeds
        return jsonify(taken={"folder": False, "size": "", "changed": ""})
    changed = words.minute(from_seconds(node.modified_ns // SECOND_NS))
    size = "" if node.is_collection else words.size(node.size)
    return jsonify(taken={"folder": node.is_collection, "size": size, "changed": changed})


def _there_already(opened: Vault, wanted: Wanted) -> str:
    """The name of what was asked for, if it has come in spite of an answer that got lost; "" if it has not.

    A file that has the name, the length and the time of change is that file.
    """
    tries = MAX_TRIES if wanted.if_taken is IfTaken.BOTH else 1
    for number in range(1, tries + 1) if wanted.again else ():
        path = wanted.path
        node = opened.find(path if number == 1 else path.parent / annotated(path.name, str(number)))
        if node is None:
            break
        if (node.size, node.modified_ns, node.is_collection) == (wanted.size, wanted.modified_ns, False):
            return node.name
    return ""


def _make_folders(opened: Vault, place: VaultPath, names: tuple[str, ...]) -> None:
    """Make what is missing of the folders below a place.

    Raises:
        WrongKind: a file has the name of one of them.
    """
    for name in names:
        place /= name
        node = opened.find(place)
        if node is None:
            with suppress(AlreadyExists):  # another file of the same folder was faster
                opened.make_collection(place)
        elif not node.is_collection:
            raise WrongKind("this is a file, not a folder")


def _id(text: str) -> NodeId:
    found = id_of(text)
    if found is None:
        raise NotFound("there is no such upload (any more)")
    return found


def _offset(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= OFFSET_DIGITS):
        raise NotFound("there is no such upload (any more)")
    return int(text)


def _kept() -> frozenset[str]:
    """Digests that are computed of every file."""
    return services().settings.storage.always_hashed
