"""Bringing back what was deleted, several things at once, and saying of each where it is now.

Whose trash that is follows from who is signed in: an id that is in somebody else's counts as gone. Used by
`pages/trash.py`, and by `pages/files_deleting.py` to take a deletion back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from flask import redirect, render_template
from flask_babel import gettext, ngettext
from werkzeug.wrappers import Response

from davserver.errors import Locked, NotFound
from davserver.model import NodeId, TrashEntry
from davserver.vault.history import Restored
from davserver.vault.service import Vault
from enroll_web.errors import answer_to
from enroll_web.filing import REFUSALS, SEE_OTHER, Outcome, link
from enroll_web.visit import visit


@dataclass(frozen=True, slots=True)
class Back:
    """Something that is there again.

    Attributes:
        name: that it had.
        folder: that it is in now; "" is the first one.
        where: the way to it now.
        address: of the page about it.
        why: why that is not where it was, in the language of the page; "" if it is.
    """

    name: str
    folder: str
    where: str
    address: str
    why: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What became of several entries of the trash."""

    back: list[Back] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)


def bring_back(opened: Vault, ids: Iterable[NodeId]) -> Returned:
    """Restore entries of the trash, the latest first: a folder comes back before what was deleted in it."""
    returned = Returned()
    entries = sorted(entries_of(opened, ids, returned.outcome), key=lambda one: one.deleted_ns, reverse=True)
    for entry in entries:
        try:
            restored = opened.restore(entry.id)
        except Locked as error:
            reason = gettext("A program has locked the folder that it was in. Wait until the lock ends.")
            returned.outcome.refuse(entry.node.name, error, reason)
        except REFUSALS as error:
            returned.outcome.refuse(entry.node.name, error)
        else:
            returned.outcome.done += 1
            returned.back.append(_back(entry, restored))
    return returned


def entries_of(opened: Vault, ids: Iterable[NodeId], outcome: Outcome) -> Iterator[TrashEntry]:
    """The entries with these ids; of what is not in the trash any more, the outcome is told."""
    for entry_id in ids:
        try:
            yield opened.trash_entry(entry_id)
        except NotFound as error:
            outcome.refuse(gettext("One of them"), error)


def said_of(returned: Returned) -> str:
    """What was done, in one sentence."""
    count = returned.outcome.done
    return ngettext("%(num)s entry is back.", "%(num)s entries are back.", count)


def told_of_trash(
    outcome: Outcome, said: str, back: tuple[str, str], elsewhere: Sequence[Back] = ()
) -> Response:
    """To another page if all went well; else what did not, and why, and what is not where it was.

    Args:
        outcome: what became of the entries.
        said: what was done with those that it was done with.
        back: address of that page, and the words of the button that leads there.
        elsewhere: what is not where it was.
    """
    if outcome.error is None and not elsewhere:
        visit().tell(said)
        return redirect(back[0], SEE_OTHER)
    status = HTTPStatus.OK if outcome.error is None else answer_to(outcome.error).status
    page = render_template(
        "trash_outcome.html",
        outcome=outcome,
        said=said if outcome.done else "",
        elsewhere=elsewhere,
        back_address=back[0],
        back_words=back[1],
    )
    return Response(page, status, content_type="text/html; charset=utf-8")


def moved(back: Collection[Back]) -> list[Back]:
    """Those that are not where they were."""
    return [one for one in back if one.why]


def _back(entry: TrashEntry, restored: Restored) -> Back:
    path = restored.path
    return Back(
        entry.node.name,
        path.parent.name,
        "/".join(path.parts),
        link("files.show", path),
        _why(entry, restored),
    )


def _why(entry: TrashEntry, restored: Restored) -> str:
    """By ids: a folder that was renamed is the same, one that was made anew is another."""
    reasons = []
    if restored.node.parent_id != entry.parent_id:
        reasons.append(gettext("The folder that it was in is gone."))
    elif entry.path and restored.path.parts[:-1] != entry.path[:-1]:
        reasons.append(gettext("The folder that it was in has moved."))
    if restored.path.name != entry.node.name:
        reasons.append(gettext("Its name is taken, so that it has another one now."))
    return " ".join(reasons)
