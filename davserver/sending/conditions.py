"""What a client demands of a resource's state, and which part it wants (RFC 9110, 13 and 14).

Pure: parsers of header fields and their evaluation on a node. Malformed fields are judged so that nothing is
overwritten by mistake. Called by both doors; the vault evaluates conditions inside its commit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Self

from davserver.clock import to_seconds
from davserver.errors import PreconditionFailed
from davserver.model import Node

NANOSECONDS = 1_000_000_000

MAX_POSITION_DIGITS = 18
"""A longer number in a Range is beyond every file; it is not even converted."""

BEYOND = 10**MAX_POSITION_DIGITS
"""What such a number is taken for."""

_ENTITY_TAG = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')
_RANGE = re.compile(r"(\d*)-(\d*)", re.ASCII)


# ── entity tags ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of If-Match or If-None-Match.

    Attributes:
        anything: it was "*".
        strong, weak: the opaque tags, without quotes.
    """

    anything: bool = False
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    def match_strongly(self, node: Node | None) -> bool:
        """If-Match (RFC 9110, 13.1.1)."""
        return node is not None and (self.anything or (bool(node.etag) and node.etag in self.strong))

    def match_weakly(self, node: Node | None) -> bool:
        """If-None-Match (RFC 9110, 13.1.2)."""
        return self.match_strongly(node) or (node is not None and bool(node.etag) and node.etag in self.weak)


def parse_entity_tags(value: str) -> EntityTags:
    """Read a list of entity tags; from the first malformed one on, the rest is not a tag of anything.

    Joplin sends an unquoted If-None-Match with every write. Like that, it matches nothing: If-None-Match then
    holds and If-Match does not, which is the safe side of both.
    """
    if value.strip() == "*":
        return EntityTags(anything=True)
    strong: set[str] = set()
    weak: set[str] = set()
    position = 0
    while match := _ENTITY_TAG.match(value, position):
        (weak if match[1] else strong).add(match[2])
        position = match.end()
    return EntityTags(strong=frozenset(strong), weak=frozenset(weak))


# ── preconditions ───────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Preconditions:
    """The conditional fields of a request, the `If` field of RFC 4918 excepted."""

    if_match: EntityTags | None = None
    if_none_match: EntityTags | None = None
    if_modified_since: int | None = None
    if_unmodified_since: int | None = None

    @classmethod
    def of(cls, environ: Mapping[str, Any]) -> Self:
        """Read them; dates that are none are ignored (RFC 9110, 13.1.3)."""
        match, none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
        return cls(
            None if match is None else parse_entity_tags(match),
            None if none_match is None else parse_entity_tags(none_match),
            parse_http_date(environ.get("HTTP_IF_MODIFIED_SINCE", "")),
            parse_http_date(environ.get("HTTP_IF_UNMODIFIED_SINCE", "")),
        )

    def check_current(self, node: Node | None) -> None:
        """Steps 1 and 2 of RFC 9110, 13.2.2.

        Raises:
            PreconditionFailed: the state is not the one that the client knows.
        """
        if self.if_match is not None:
            if not self.if_match.match_strongly(node):
                raise PreconditionFailed("If-Match does not hold")
        elif self.if_unmodified_since is not None and node and _modified(node) > self.if_unmodified_since:
            raise PreconditionFailed("If-Unmodified-Since does not hold")

    def check_write(self, node: Node | None) -> None:
        """Everything that applies to a method that changes something."""
        self.check_current(node)
        if self.if_none_match is not None and self.if_none_match.match_weakly(node):
            raise PreconditionFailed("If-None-Match does not hold")

    def not_modified(self, node: Node) -> bool:
        """Whether GET and HEAD are to answer 304: steps 3 and 4 of RFC 9110, 13.2.2."""
        if self.if_none_match is not None:
            return self.if_none_match.match_weakly(node)
        # Only the very date that was handed out: a file gets an older one when something is restored or moved
        # over it, or its client says so. A server may take it so (RFC 9110, 13.1.3); browsers send that date.
        return _modified(node) == self.if_modified_since


def _modified(node: Node) -> int:
    return node.modified_ns // NANOSECONDS


def parse_http_date(value: str) -> int | None:
    """Seconds since the epoch of a date in any of the three forms of RFC 9110, 5.6.7; None if it is none."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return to_seconds(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


# ── ranges ──────────────────────────────────────────────────────────────────────────────────────────────────
class Unsatisfiable(Exception):
    """No byte of the file lies in the range: 416."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes [start, stop)."""

    start: int
    stop: int


def parse_range(value: str, size: int) -> ByteRange | None:
    """Read a Range field (RFC 9110, 14.2) for a file of `size` bytes.

    None means that the whole file is to be sent: another unit, a malformed field, or several ranges. A server
    may ignore Range, and no client that we know needs several; a file is never sent in shuffled pieces.

    Raises:
        Unsatisfiable: a single valid range that starts behind the end, or the last 0 bytes.
    """
    unit, _, ranges = value.partition("=")
    match = _RANGE.fullmatch(ranges.strip())
    if unit.strip().lower() != "bytes" or match is None:
        return None
    first, last = match[1], match[2]
    if not first:
        return _last_bytes(last, size)
    start, stop = _position(first), _position(last) + 1 if last else size
    if last and stop <= start:
        return None
    if start >= size:
        raise Unsatisfiable
    return ByteRange(start, min(stop, size))


def _last_bytes(count: str, size: int) -> ByteRange | None:
    if not count:
        return None
    if not _position(count):
        raise Unsatisfiable
    # The last bytes of an empty file are a valid wish that no Content-Range can express.
    return ByteRange(max(0, size - _position(count)), size) if size else None


def _position(digits: str) -> int:
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= MAX_POSITION_DIGITS else BEYOND


def range_of(environ: Mapping[str, Any], node: Node) -> ByteRange | None:
    """The range that GET is to send; None for all of it.

    `If-Range` counts only with the current strong entity tag. With a date it never matches: clients set times
    freely, so two contents may bear the same one.

    Raises:
        Unsatisfiable.
    """
    value = environ.get("HTTP_RANGE")
    if value is None:
        return None
    condition = environ.get("HTTP_IF_RANGE")
    if condition is not None and condition.strip() != f'"{node.etag}"':
        return None
    return parse_range(value, node.size)
