"""Answers with many parts (RFC 4918, 13), written as strings and streamed: no tree, no list in memory.

Every text that comes from a client is escaped where it is rendered (`properties`) or encoded (`uri`).
Called by `propfind` and `proppatch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import islice

from davserver.dav.properties import ALLPROP, DECLARATIONS, LIVE, Facts, Tag
from davserver.dav.xml_body import Mode, Propfind
from davserver.model import Node

ROWS_A_BLOCK = 128
"""Rows that are sent at once: some 50 KB."""

HEAD = f'<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus {DECLARATIONS}>'
END = "</D:multistatus>\n"

HEADERS = [("Content-Type", "application/xml; charset=utf-8")]


def blocks(rows: Iterable[str]) -> Iterator[bytes]:
    """The whole document in blocks of `ROWS_A_BLOCK` rows, at least two."""
    remaining = iter(rows)
    text = HEAD
    while batch := list(islice(remaining, ROWS_A_BLOCK)):
        yield (text + "".join(batch)).encode()
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
        minimal: leave out what does not exist (RFC 8144, 2.1).
    """

    def __init__(self, wanted: Propfind, facts: Facts, *, minimal: bool) -> None:
        self._facts = facts
        self._names_only = wanted.mode is Mode.NAMES
        offered = {Mode.NAMED: (), Mode.ALL: ALLPROP, Mode.NAMES: tuple(LIVE)}[wanted.mode]
        asked = tuple(name for name in wanted.names if name not in offered)
        self._renders = [
            (LIVE[name], Tag.of(name), name in asked and not minimal)
            for name in (*offered, *asked)
            if name in LIVE
        ]
        self._unknown = "" if minimal else "".join(Tag.of(name).empty for name in asked if name not in LIVE)

    def row(self, href: str, node: Node) -> str:
        """The response element of `node`."""
        facts, found, missing = self._facts, "", self._unknown
        for render, tag, is_missed in self._renders:
            value = render(node, facts)
            if value is None:
                if is_missed:
                    missing += tag.empty
            elif value and not self._names_only:
                found += f"{tag.start}{value}{tag.end}"
            else:
                found += tag.empty
        # A response without any propstat would not be valid; an empty one says the same.
        stats = propstat(found, HTTPStatus.OK) if found or not missing else ""
        return response(href, stats + propstat(missing, HTTPStatus.NOT_FOUND) if missing else stats)
