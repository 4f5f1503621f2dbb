"""What the pages about files have in common: addresses, what was ticked, taken names, what went wrong.

Used by `pages/files*.py`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus

from flask import redirect, render_template, request, url_for
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.errors import (
    AlreadyExists,
    Conflict,
    DavserverError,
    LimitExceeded,
    Locked,
    NotFound,
    NotPermitted,
    PathError,
    PreconditionFailed,
    QuotaExceeded,
    VersionConflict,
)
from davserver.model import ID_BYTES, Node, NodeId
from davserver.vault.moment import Demands, Look
from davserver.vault.paths import VaultPath, annotated
from davserver.vault.portable import is_portable
from davserver.vault.service import Vault
from davserver.vault.tree import require_collection
from enroll_web.errors import answer_to, explained
from enroll_web.visit import services, visit

REFUSALS = (
    Conflict,
    Locked,
    PreconditionFailed,
    PathError,
    LimitExceeded,
    QuotaExceeded,
    NotFound,
    NotPermitted,
)
"""What may be wrong with one of several files, while the others go on."""

SEE_OTHER = 303
"""Leads from a form that was sent to a page that may be loaded again."""

MAX_TICKED = 1000
"""Entries that one form may name."""

MAX_TRIES = 1000
"""Names that are tried for something whose own is taken."""


_ID = re.compile(f"[0-9a-f]{{{2 * ID_BYTES}}}")


class Taken(Enum):
    """What to do where a name is taken."""

    ASK = ""
    BOTH = "both"
    REPLACE = "replace"
    SKIP = "skip"

    @classmethod
    def read(cls, text: str) -> Taken:
        """As it is in a form; whatever it is not asks."""
        return next((one for one in cls if one.value == text), cls.ASK)


@dataclass(slots=True)
class Outcome:
    """What became of several files.

    Attributes:
        done: how many of them it was done with.
        given: names that these were given.
        skipped: names of those that were left out because they are taken.
        refused: name and reason of the others.
        error: the first reason.
    """

    done: int = 0
    given: set[str] = field(default_factory=set)
    skipped: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    error: DavserverError | None = None

    def refuse(self, name: str, error: DavserverError, reason: str = "") -> None:
        """It was not done with this one; `reason` says more of it than an error of its kind does."""
        self.refused.append((name, reason or explained(error)))
        self.error = self.error or error


def vault() -> Vault:
    """The files of who is signed in."""
    return services().vaults.open(visit().principal)


def at(path: str) -> VaultPath:
    """What is behind the word of an address that is a path; one slash at the end is not looked at.

    Raises:
        PathError: it cannot be one.
    """
    return VaultPath.parse(path.removesuffix("/"))


def link(endpoint: str, path: VaultPath) -> str:
    """The address of a page about what is at a path."""
    return url_for(endpoint, path="/".join(path.parts))


def crumbs(path: VaultPath) -> Iterator[tuple[str, str]]:
    """Names and addresses of the folders on the way to a path, without the root."""
    for depth in range(1, len(path.parts) + 1):
        above = VaultPath(path.parts[:depth])
        yield above.name, link("files.show", above)


def ticked() -> list[NodeId]:
    """The entries that the form at hand names, each once; whatever is no id is none."""
    given = dict.fromkeys(request.form.getlist("id")[:MAX_TICKED])
    return [node_id for node_id in map(id_of, given) if node_id is not None]


def still_there(
    opened: Vault, place: VaultPath, ids: Collection[NodeId], outcome: Outcome
) -> tuple[Node, ...]:
    """What was ticked in a folder and is in it; of what is not any more, the outcome is told.

    Raises:
        NotFound, WrongKind: there is no such folder (any more).
    """
    chosen = opened.choose(place, ids)
    for _ in range(chosen.gone):
        gone = VersionConflict("it was moved or replaced by somebody else in between")
        outcome.refuse(gettext("One of them"), gone, gettext("It was moved or deleted meanwhile."))
    return chosen.nodes


def id_of(text: str) -> NodeId | None:
    """The id that a word of a form or an address is; None if it is none."""
    return NodeId(bytes.fromhex(text)) if _ID.fullmatch(text) else None


def unchanged(path: VaultPath, node: Node) -> Demands:
    """Let something be done only if that is still what is there."""

    def judge(look: Look) -> None:
        found = look(path).node
        if found is None or found.id != node.id:
            raise VersionConflict("it was moved or replaced by somebody else in between")

    return Demands(judge)


def free(path: VaultPath) -> Demands:
    """Let something be done only while nothing has this name."""

    def judge(look: Look) -> None:
        if look(path).node is not None:
            raise AlreadyExists("the name is taken")

    return Demands(judge)


def spare(opened: Vault, path: VaultPath) -> VaultPath:
    """The path itself, or one beside it with a number behind its name, that nothing has now.

    Raises:
        AlreadyExists: no number is free.
    """
    for number in range(1, MAX_TRIES + 1):
        other = path if number == 1 else path.parent / annotated(path.name, str(number))
        if opened.find(other) is None:
            return other
    raise AlreadyExists("the name is taken")


def make_folders(opened: Vault, place: VaultPath, last: VaultPath) -> None:
    """Make what is missing of the folders below a place, as far as the last one.

    Raises:
        WrongKind: a file has the name of one of them.
    """
    there = opened.find(last)
    if there is not None and there.is_collection:  # as for all files of it but the first
        return
    for depth in range(len(place.parts) + 1, len(last.parts) + 1):
        folder = VaultPath(last.parts[:depth])
        node = opened.find(folder)
        if node is None:
            with suppress(AlreadyExists):  # another file of the same folder was faster
                opened.make_collection(folder)
        else:
            require_collection(node)


def nothing_ticked(place: VaultPath) -> Response:
    """Back to the folder, where something has to be ticked first."""
    visit().tell(gettext("Nothing is ticked: tick what you mean, then press the button."))
    return redirect(link("files.show", place), SEE_OTHER)


def with_unfit(said: str, names: Iterable[str]) -> str:
    """What was done, and which of the names that were given Windows cannot show."""
    unfit = [name for name in names if not is_portable(name)]
    if not unfit:
        return said
    more = ngettext(
        "Windows cannot show the name “%(name)s”.",
        "Windows cannot show %(num)s of the names.",
        len(unfit),
        name=unfit[0],
    )
    return f"{said} {more}"


def told_of(place: VaultPath, outcome: Outcome, said: str) -> Response:
    """Back to the folder if all went well; else what did not, and why.

    Args:
        place: the folder.
        outcome: what became of the files.
        said: what was done with those that it was done with.
    """
    said = with_unfit(said, outcome.given)
    if outcome.error is None and not outcome.skipped:
        visit().tell(said)
        return redirect(link("files.show", place), SEE_OTHER)
    status = HTTPStatus.OK if outcome.error is None else answer_to(outcome.error).status
    page = render_template(
        "files_outcome.html",
        place=place,
        crumbs=crumbs(place),
        outcome=outcome,
        said=said if outcome.done else "",
    )
    return Response(page, status, content_type="text/html; charset=utf-8")
