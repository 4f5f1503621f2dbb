"""Answers with many parts (RFC 4918, 13), written as strings and streamed: no tree, no list in memory.

Every text that comes from a client is escaped where it is rendered (`properties`) or encoded (`uri`).
Called by `propfind` and `proppatch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from itertools import islice

from davserver.dav.properties import ALLPROP, DECLARATIONS, Property, Tag, Value
from davserver.dav.xml_body import Mode, Propfind
from davserver.model import Node

ROWS_A_BLOCK = 128
"""Rows that are sent at once: some 50 KB."""

MAX_BLOCK_CHARS = 256 * 1024
"""Fewer rows are sent at once if they are so long: who asks for many long names must not fill the memory."""

HEAD = f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus {DECLARATIONS}>'
END = "</D:multistatus>\n"

HEADERS = [("Content-Type", "application/xml; charset=utf-8")]


def blocks(rows: Iterable[str]) -> Iterator[bytes]:
    """The whole document in blocks of at most `ROWS_A_BLOCK` rows, which are about alike; at least two."""
    remaining = iter(rows)
    text = HEAD
    while first := next(remaining, ""):
        more = min(ROWS_A_BLOCK, MAX_BLOCK_CHARS // len(first)) - 1
        yield "".join([text, first, *islice(remaining, max(0, more))]).encode()
        text = ""
    yield (text + END).encode()


def propstat(inner: str, status: HTTPStatus, more: str = "") -> str:
    """Properties that share a status; `more` is an error element or a description."""
    return (
        f"<D:propstat><D:prop>{inner}</D:prop>"
        f"<D:status>HTTP/1.1 {status.value} {status.phrase}</D:status>{more}</D:propstat>"
    )


def response(href: str, propstats: str) -> str:
    """One resource."""
    return f"<D:response><D:href>{href}</D:href>{propstats}</D:response>"


class RowWriter:
    """Writes the row of any node for one PROPFIND.

    Args:
        wanted: what the client asked for.
        live: the properties that exist.
        minimal: leave out what does not exist (RFC 8144, 2.1).
    """

    def __init__(self, wanted: Propfind, live: Mapping[str, Property], *, minimal: bool) -> None:
        offered = {Mode.NAMED: (), Mode.ALL: ALLPROP, Mode.NAMES: tuple(live)}[wanted.mode]
        asked = tuple(name for name in wanted.names if name not in offered)
        nothing = Property(None, None)
        cells = [(live.get(name, nothing), Tag.of(name), name in asked) for name in (*offered, *asked)]
        make = partial(_Row, names_only=wanted.mode is Mode.NAMES, minimal=minimal)
        self._file = make([_Cell(cell.file, tag, named) for cell, tag, named in cells])
        self._collection = make([_Cell(cell.collection, tag, named) for cell, tag, named in cells])

    def row(self, href: str, node: Node) -> str:
        """The response element of `node`."""
        return (self._collection if node.is_collection else self._file).write(href, node)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A property in the rows of one kind of node; `named` if the client asked for it by its name."""

    value: Value
    tag: Tag
    named: bool


class _Row:
    """The rows of one kind of node: a template, and what is computed for each node to fill it in."""

    def __init__(self, cells: list[_Cell], *, names_only: bool, minimal: bool) -> None:
        self._cells = cells
        self._names_only = names_only
        self._minimal = minimal
        self._renders = [each.value for each in cells if callable(each.value)]
        self._templates: dict[tuple[bool, ...], str] = {}
        self._complete = self._template_without((False,) * len(self._renders))

    def write(self, href: str, node: Node) -> str:
        values = [render(node) for render in self._renders]
        if None not in values:
            return self._complete % (href, *values)
        template = self._template_without(tuple(value is None for value in values))
        return template % (href, *[value for value in values if value is not None])

    def _template_without(self, absent: tuple[bool, ...]) -> str:
        """The row as a format string, without those computed properties that are absent."""
        if absent not in self._templates:
            self._templates[absent] = self._make_template(absent)
        return self._templates[absent]

    def _make_template(self, absent: tuple[bool, ...]) -> str:
        found, missing, computed = "", "", iter(absent)
        for cell in self._cells:
            value = cell.value
            if value is None or (callable(value) and next(computed)):
                missing += _literal(cell.tag.empty) if cell.named and not self._minimal else ""
            elif self._names_only and callable(value):
                found += f"{cell.tag.empty}%.0s"  # takes the value and writes nothing of it
            elif value == "" or self._names_only:
                found += cell.tag.empty
            else:
                found += f"{cell.tag.start}{'%s' if callable(value) else _literal(value)}{cell.tag.end}"
        # A response without any propstat would not be valid; an empty one says the same.
        stats = propstat(found, HTTPStatus.OK) if found or not missing else ""
        return response("%s", stats + propstat(missing, HTTPStatus.NOT_FOUND) if missing else stats)


def _literal(text: str) -> str:
    """`text` as part of a format string."""
    return text.replace("%", "%%")
