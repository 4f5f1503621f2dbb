"""Answers with many parts (RFC 4918, 13), written as strings and streamed: no tree, no list in memory.

Every text that comes from a client is escaped where it is rendered (`properties`) or encoded (`uri`).
Called by `propfind` and `proppatch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import MappingProxyType

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
    """The whole document in blocks of at most `ROWS_A_BLOCK` rows; at least two."""
    parts, size = [HEAD], 0
    for row in rows:
        parts.append(row)
        size += len(row)
        if len(parts) > ROWS_A_BLOCK or size >= MAX_BLOCK_CHARS:
            yield "".join(parts).encode()
            parts, size = [""], 0
    if parts[0]:  # not even one block is full
        yield "".join(parts).encode()
        parts = []
    yield "".join([*parts, END]).encode()


def propstat(inner: str, status: HTTPStatus, more: str = "") -> str:
    """Properties that share a status; `more` is an error element or a description."""
    return (
        f"<D:propstat><D:prop>{inner}</D:prop>"
        f"<D:status>HTTP/1.1 {status.value} {status.phrase}</D:status>{more}</D:propstat>"
    )


def response(href: str, propstats: str) -> str:
    """One resource."""
    return f"<D:response><D:href>{href}</D:href>{propstats}</D:response>"


def failure(href: str, status: HTTPStatus) -> str:
    """One resource that kept the request from being carried out."""
    line = f"<D:status>HTTP/1.1 {status.value} {status.phrase}</D:status>"
    return f"<D:response><D:href>{href}</D:href>{line}</D:response>"


Own = Mapping[str, str]
"""What one node has beside its live properties, by name: complete elements. Dead properties, and locks."""

NOTHING: Own = MappingProxyType({})


class RowWriter:
    """Writes the row of any node for one PROPFIND.

    Args:
        wanted: what the client asked for.
        live: the properties that are computed from nodes.
        minimal: leave out what does not exist (RFC 8144, 2.1).
    """

    def __init__(self, wanted: Propfind, live: Mapping[str, Property], *, minimal: bool) -> None:
        offered = {Mode.NAMED: (), Mode.ALL: ALLPROP, Mode.NAMES: tuple(live)}[wanted.mode]
        asked = tuple(name for name in wanted.names if name not in offered)
        make = partial(
            _Row, wanted.mode, own=tuple(name for name in asked if name not in live), minimal=minimal
        )
        cells = [(live[name], Tag.of(name), name in asked) for name in (*offered, *asked) if name in live]
        self._file = make([_Cell(cell.file, tag, named) for cell, tag, named in cells])
        self._collection = make([_Cell(cell.collection, tag, named) for cell, tag, named in cells])

    def row(self, href: str, node: Node, own: Own = NOTHING) -> str:
        """The response element of `node`."""
        return (self._collection if node.is_collection else self._file).write(href, node, own)


@dataclass(frozen=True, slots=True)
class _Cell:
    """A property in the rows of one kind of node; `named` if the client asked for it by its name."""

    value: Value
    tag: Tag
    named: bool


class _Row:
    """The rows of one kind of node: a template, and what is computed for each node to fill it in.

    Args:
        mode: what the client asked for.
        cells: the live properties.
        own: names asked for that are no live properties.
        minimal: as for `RowWriter`.
    """

    def __init__(self, mode: Mode, cells: list[_Cell], *, own: tuple[str, ...], minimal: bool) -> None:
        self._cells = cells
        self._mode = mode
        self._own = own
        self._minimal = minimal
        self._renders = [each.value for each in cells if callable(each.value)]
        self._templates: dict[tuple[bool, ...], _Template] = {}
        self._complete = self._template_without((False,) * len(self._renders))

    def write(self, href: str, node: Node, own: Own) -> str:
        values = [render(node) for render in self._renders]
        template = self._complete
        if None in values:
            template = self._template_without(tuple(value is None for value in values))
            values = [value for value in values if value is not None]
        if not self._own and not own:
            return template.row % (href, *values)
        found = template.found % tuple(values) + self._found(own)
        return response(href, _propstats(found, template.missing + self._missing(own)))

    def _found(self, own: Own) -> str:
        """Those of the node's own properties that the client wants."""
        if self._mode is Mode.NAMED:
            return "".join(own[name] for name in self._own if name in own)
        if self._mode is Mode.ALL:
            return "".join(own.values())
        return "".join(Tag.of(name).empty for name in own)

    def _missing(self, own: Own) -> str:
        if self._minimal:
            return ""
        return "".join(Tag.of(name).empty for name in self._own if name not in own)

    def _template_without(self, absent: tuple[bool, ...]) -> _Template:
        """The row without those computed properties that are absent."""
        if absent not in self._templates:
            self._templates[absent] = self._make_template(absent)
        return self._templates[absent]

    def _make_template(self, absent: tuple[bool, ...]) -> _Template:
        found, missing, computed = "", "", iter(absent)
        for cell in self._cells:
            value = cell.value
            if value is None or (callable(value) and next(computed)):
                missing += cell.tag.empty if cell.named and not self._minimal else ""
            elif self._mode is Mode.NAMES and callable(value):
                found += f"{_literal(cell.tag.empty)}%.0s"  # takes the value and writes nothing of it
            elif value == "" or self._mode is Mode.NAMES:
                found += cell.tag.empty
            else:
                found += f"{cell.tag.start}{'%s' if callable(value) else _literal(value)}{cell.tag.end}"
        row = response("%s", _propstats(found, _literal(missing)))
        return _Template(row, found, missing)


@dataclass(frozen=True, slots=True)
class _Template:
    """A row as format string; what is found in it as format string; what is missing as it is."""

    row: str
    found: str
    missing: str


def _propstats(found: str, missing: str) -> str:
    """A response without any propstat would not be valid; an empty one says the same."""
    stats = propstat(found, HTTPStatus.OK) if found or not missing else ""
    return stats + propstat(missing, HTTPStatus.NOT_FOUND) if missing else stats


def _literal(text: str) -> str:
    """`text` as part of a format string."""
    return text.replace("%", "%%")
