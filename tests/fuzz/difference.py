"""How two readers of the same stream disagree. What ours refuses is no difference: nothing comes of it."""

from __future__ import annotations

from tests.fuzz.h11_reader import ASCII
from tests.fuzz.tape import Framed


def difference(ours: Framed, theirs: Framed) -> str:
    """How they disagree; "" if they do not."""
    requests = [(method, body.translate(ASCII)) for method, body in ours.requests]
    if theirs.requests[: len(requests)] != requests:
        return "other requests"
    if ours.end == "refused":
        return _of_what_was_begun(ours, theirs)
    if len(theirs.requests) != len(ours.requests):
        return "more requests"
    if ours.end == "unfinished" and theirs.end == "refused" and ours.begun in {"", theirs.begun}:
        return ""  # ours waits for the rest of what h11 knows to be wrong
    if (ours.end, ours.begun) != (theirs.end, theirs.begun):
        return f"{ours.end} {ours.begun} is {theirs.end} {theirs.begun} {theirs.why}"
    return ""


def _of_what_was_begun(ours: Framed, theirs: Framed) -> str:
    """A request whose body is malformed has been begun: the head at least has to be one for both."""
    if not ours.begun:
        return ""
    methods = [method for method, _ in theirs.requests[len(ours.requests) :]] or [theirs.begun]
    return "" if methods[0] == ours.begun else "another request was begun"
