"""PROPPATCH (RFC 4918, 9.2): all of it or nothing.

Times change the node; whatever the server does not know is kept as a dead property.
Called by `RequestServer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from wsgidav.dav_error import DAVError

from davserver.clock import to_nanoseconds
from davserver.dav import multistatus
from davserver.dav.properties import DAV, OC, PROTECTED, WIN32, Tag, digests
from davserver.dav.provider import Resource
from davserver.dav.quirks import EARLIEST_NS, LATEST_NS, seconds_to_ns
from davserver.dav.responses import Blocks, StartResponse
from davserver.dav.scope import RequestScope
from davserver.dav.xml_body import Instruction
from davserver.errors import TooMany
from davserver.model import Node
from davserver.sending.conditions import NANOSECONDS, parse_http_date
from davserver.sending.dates import parse_iso_date
from davserver.vault.properties import fits

CANNOT_MODIFY = "<D:error><D:cannot-modify-protected-property/></D:error>"


@dataclass(frozen=True, slots=True)
class Time:
    """A property that sets one of a node's times.

    Attributes:
        field: argument of `Vault.patch`.
        read: from the property's text to nanoseconds; raises ValueError or DAVError.
    """

    field: str
    read: Callable[[str], int]


def _http(text: str) -> int:
    seconds = parse_http_date(text)
    if seconds is None:
        raise ValueError("not a date")
    return seconds * NANOSECONDS


def _iso(text: str) -> int:
    return to_nanoseconds(parse_iso_date(text))


TIMES = {
    f"{DAV}lastmodified": Time("modified_ns", seconds_to_ns),  # rclone's SetModTime
    f"{DAV}getlastmodified": Time("modified_ns", _http),
    f"{DAV}creationdate": Time("created_ns", _iso),
    f"{WIN32}Win32LastModifiedTime": Time("modified_ns", _http),
    f"{WIN32}Win32CreationTime": Time("created_ns", _http),
}
"""What can be set, in the format that each has."""

CHECKSUMS = f"{OC}checksums"
"""rclone repeats the digest that it read when it sets a time; setting what is already so succeeds."""


@dataclass(slots=True)
class _Changes:
    """What the instructions amount to, in their order."""

    times: dict[str, int] = field(default_factory=dict)
    dead: dict[str, str | None] = field(default_factory=dict)


def respond(
    scope: RequestScope,
    instructions: tuple[Instruction, ...],
    resource: Resource,
    start_response: StartResponse,
) -> Blocks:
    """Apply the instructions if every one of them can be, and report on each."""
    changes = _Changes()
    outcomes = [(each.name, _apply(each, resource.node, changes)) for each in instructions]
    possible = all(status is HTTPStatus.OK for _, status in outcomes)
    try:
        # Without changes this is still judged: what is locked or out of date is refused as a whole.
        dead = changes.dead if possible else {}
        scope.vault.patch(
            scope.target.path, **(changes.times if possible else {}), changes=dead, demands=scope.demands()
        )
        scope.patched_ns = changes.times.get("modified_ns") if possible else None
    except TooMany:
        outcomes = [
            (name, HTTPStatus.INSUFFICIENT_STORAGE if changes.dead.get(name) is not None else status)
            for name, status in outcomes
        ]
    href = scope.target.href(collection=resource.is_collection)
    row = multistatus.response(href, _propstats(outcomes))
    start_response("207 Multi-Status", multistatus.HEADERS)
    return [b"".join(multistatus.blocks([row]))]


def _apply(instruction: Instruction, node: Node, changes: _Changes) -> HTTPStatus:
    """Note what an instruction changes; returns its status, as if it were alone."""
    name = instruction.name
    if instruction.value is not None and name == CHECKSUMS:
        return HTTPStatus.OK if instruction.text in digests(node) else HTTPStatus.FORBIDDEN
    if instruction.value is not None and name in TIMES:
        return _apply_time(TIMES[name], instruction.text, changes)
    if name in PROTECTED:
        return HTTPStatus.FORBIDDEN
    value = instruction.serialised
    if not fits(name, value):
        return HTTPStatus.INSUFFICIENT_STORAGE
    changes.dead[name] = value
    return HTTPStatus.OK


def _apply_time(time: Time, text: str, changes: _Changes) -> HTTPStatus:
    try:
        moment = time.read(text)
    except (ValueError, DAVError):
        return HTTPStatus.CONFLICT
    if not EARLIEST_NS <= moment <= LATEST_NS:
        return HTTPStatus.CONFLICT
    changes.times[time.field] = moment
    return HTTPStatus.OK


def _propstats(outcomes: list[tuple[str, HTTPStatus]]) -> str:
    """One propstat a status; what could have been done alone is 424 if anything else failed."""
    failed = any(status is not HTTPStatus.OK for _, status in outcomes)
    groups: dict[tuple[HTTPStatus, str], dict[str, None]] = {}
    for name, alone in outcomes:
        status = HTTPStatus.FAILED_DEPENDENCY if failed and alone is HTTPStatus.OK else alone
        more = CANNOT_MODIFY if status is HTTPStatus.FORBIDDEN and name in PROTECTED else ""
        groups.setdefault((status, more), {})[name] = None
    return "".join(
        multistatus.propstat("".join(Tag.of(name).empty for name in names), status, more)
        for (status, more), names in groups.items()
    )
