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
    DavserverError,
    IntegrityError,
    LengthMismatch,
    NameTaken,
    NotFound,
    WrongOffset,
)
from davserver.model import NodeId
from davserver.vault.moment import Demands, Look
from davserver.vault.parts import Joining, require_decided
from davserver.vault.paths import VaultPath, annotated
from davserver.vault.service import Vault
from davserver.vault.unfinished import PART_BYTES, IfTaken, Unfinished
from davserver.vault.upload import WORD_EXTRA
from enroll_web import errors, words
from enroll_web.arriving import (
    MILLISECOND_NS,
    Wanted,
    announced,
    announced_beside,
    decision,
    raw_body,
    sent_json,
)
from enroll_web.filing import MAX_TRIES, id_of, make_folders, spare, vault
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
    return {
        "part": PART_BYTES,
        "whole": WHOLE_BYTES,
        "unfinished": _unfinished(vault()),
        "keep_days": services().settings.uploads.keep_days,
    }


@pages.get("/uploads")
@proved
def unfinished() -> Response:
    """The same for a page that was loaded earlier, by somebody who has signed in again since."""
    me = visit()
    return jsonify(who=me.account.username, token=me.form_token, uploads=_unfinished(vault()))


def _unfinished(opened: Vault) -> list[dict[str, object]]:
    """Every upload that can be gone on with: not those that were altered."""

    def altered(error: IntegrityError) -> None:
        errors.note(error, services().audit, client())

    return [_listed(one) for one in opened.parts.all(altered)]


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
        make_folders(opened, wanted.folder, wanted.path.parent)
        path = spare(opened, wanted.path) if wanted.if_taken is IfTaken.BOTH else wanted.path
        try:
            writing = opened.write(
                path,
                expected_size=wanted.size,
                modified_ns=wanted.modified_ns,
                keep=_kept(),
                word=wanted.word,
                demands=_decided(wanted, path),
            )
            with writing as arriving, closing(visit().watched()) as watch:
                fill(arriving, watch.check)
                placed = arriving.commit()
        except NameTaken as error:
            return _in_the_way(opened, wanted, error)
    return jsonify(name=placed.node.name)


@pages.post("/uploads-folder")
@proved
def folder() -> Response:
    """Make a folder, and those on the way: one that is empty comes with no file."""
    wanted, opened = announced(), vault()
    make_folders(opened, wanted.folder, wanted.path)
    return jsonify({})


# ── in parts ────────────────────────────────────────────────────────────────────────────────────────────────
@pages.post("/uploads")
@proved
def begin() -> Response:
    """Announce a file."""
    wanted, opened = announced(), vault()
    if found := _there_already(opened, wanted):
        return jsonify(name=found)
    make_folders(opened, wanted.folder, wanted.path.parent)
    try:
        begun = opened.parts.begin(
            wanted.path,
            wanted.size,
            wanted.modified_ns,
            if_taken=wanted.if_taken,
            there=wanted.there,
            word=wanted.word,
        )
    except NameTaken as error:
        return _in_the_way(opened, wanted, error)
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
    """How much of it is here, and what: so that nobody goes on with it who has another file."""
    found, digests = vault().parts.arrived(_id(upload_id))
    return jsonify(received=found.received, digests=[digest.hex() for digest in digests])


@pages.post("/uploads/<upload_id>/finish")
@proved
def finish(upload_id: str) -> Response:
    """Make the file; tells line by line how far that is: it may take longer than proxies wait."""
    visit().take_turn()
    decided, there = decision()
    try:
        joining = vault().parts.join(_id(upload_id), if_taken=decided, there=there, keep=_kept())
    except WrongOffset as error:
        return jsonify(received=error.received)
    except NameTaken as error:
        return _taken(error)
    lines = visit().guarded(_lines(joining), lambda: None)
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
    match sent_json():
        case {"stored": int(stored)} if 0 < stored < MAX_STORED:
            visit().tell(ngettext("%(num)s file is stored.", "%(num)s files are stored.", stored))
        case _:
            visit().tell(gettext("No file was chosen."))
    return jsonify({})


# ── pieces ──────────────────────────────────────────────────────────────────────────────────────────────────
def _lines(joining: Joining) -> Iterator[bytes]:
    try:
        with closing(iter(joining)) as steps:  # type: ignore[type-var]  # it is a generator
            for stored in steps:
                yield _line(stored=stored)
    except NameTaken as error:
        yield _taken(error).data.strip() + b"\n"
    except DavserverError as error:
        errors.note(error, services().audit, client())
        yield _line(text=errors.explained(error), again=again_after(error).value)
    else:
        yield _line(name=joining.placed.node.name if joining.placed else "")


def _line(**values: object) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _in_the_way(opened: Vault, wanted: Wanted, error: NameTaken) -> Response:
    """The question; unless it is the file itself that has the name: the lost request was still at work."""
    found = _there_already(opened, wanted)
    return jsonify(name=found) if found else _taken(error)


def _taken(by: NameTaken) -> Response:
    """What has the name, in words: a question for whoever looks. The answer will be about that alone."""
    changed = words.minute(from_seconds(by.modified_ns // SECOND_NS))
    size = "" if by.is_collection else words.size(by.size)
    return jsonify(taken={"folder": by.is_collection, "size": size, "changed": changed, "there": by.etag})


def _decided(wanted: Wanted, path: VaultPath) -> Demands:
    """Let a file be stored only where nothing is in its way that was not decided about."""

    def judge(look: Look) -> None:
        require_decided(look(path).node, wanted.if_taken, wanted.there)

    return Demands(judge)


def _there_already(opened: Vault, wanted: Wanted) -> str:
    """The name of what was asked for, if it has come in spite of an answer that got lost; "" if it has not.

    It is known by its word: another file may well have the name, the length and the time of change.
    """
    tries = MAX_TRIES if wanted.if_taken is IfTaken.BOTH else 1
    for number in range(1, tries + 1) if wanted.again and wanted.word else ():
        path = wanted.path
        node = opened.find(path if number == 1 else path.parent / annotated(path.name, str(number)))
        if node is None:
            break
        if node.extras.get(WORD_EXTRA) == wanted.word:
            return node.name
    return ""


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
