"""A file on its way out by HTTP: all of it, a part, or nothing (RFC 9110, 9.3.1, 9.3.2, 13 and 14).

The first block is decrypted before the status line is given, so that damage there is a clean 500; damage
further on raises out of the iterator, and the server cuts the connection. Called by both doors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from davserver.model import Node
from davserver.sending.conditions import ByteRange, Unsatisfiable, range_of
from davserver.sending.dates import http_date

Fields = list[tuple[str, str]]


class Opened(Protocol):
    """What is needed of an opened file; `davserver.vault.download.Download` is one."""

    def blocks(self, start: int, stop: int) -> Iterator[memoryview]:
        """The bytes [start, stop), each block valid until the next one."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Content:
    """The bytes [start, stop) of a file on their way out; closes it at the end, whatever that is."""

    def __init__(self, opened: Opened, start: int, stop: int) -> None:
        self._opened = opened
        try:
            self._blocks = opened.blocks(start, stop)
        except BaseException:
            opened.close()
            raise

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return iter(self._blocks)

    def close(self) -> None:
        """Called by the server (PEP 3333)."""
        self._opened.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of a file, and what is sent of it.

    Attributes:
        content: to be closed by whoever takes it; None: nothing is sent.
    """

    status: HTTPStatus
    fields: Fields
    content: Content | None = None


def unmodified(node: Node) -> Answer:
    """The answer to whoever has it already; a collection has no entity tag."""
    return Answer(HTTPStatus.NOT_MODIFIED, _etag(node))


def hand_out(environ: Mapping[str, Any], node: Node, fields: Fields, opened: Callable[[], Opened]) -> Answer:
    """Answer GET or HEAD for a file; HEAD is the same without content and without ranges (RFC 9110, 14.2).

    Args:
        environ: of the request, whose conditions hold.
        node: the file.
        fields: its media type, and what a browser is told besides.
        opened: opens it.

    Raises:
        CorruptBlob, CorruptRow: its beginning was altered.
    """
    headers = [
        *fields,
        *_etag(node),
        ("Last-Modified", http_date(node.modified_ns)),
        ("Accept-Ranges", "bytes"),
    ]
    if environ["REQUEST_METHOD"] == "HEAD":
        return Answer(HTTPStatus.OK, [*headers, ("Content-Length", str(node.size))])
    try:
        part = range_of(environ, node)
    except Unsatisfiable:
        fields = [("Content-Range", f"bytes */{node.size}"), ("Content-Length", "0")]
        return Answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, fields)
    status = HTTPStatus.OK
    if part is None:
        part = ByteRange(0, node.size)
    else:
        status = HTTPStatus.PARTIAL_CONTENT
        headers.append(("Content-Range", f"bytes {part.start}-{part.stop - 1}/{node.size}"))
    headers.append(("Content-Length", str(part.stop - part.start)))
    return Answer(status, headers, Content(opened(), part.start, part.stop))


def _etag(node: Node) -> Fields:
    return [("ETag", f'"{node.etag}"')] if node.etag else []
