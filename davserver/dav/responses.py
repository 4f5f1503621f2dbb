"""What a method gives back, in the terms of PEP 3333, and the answers that say nothing but their status."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus

from davserver.dav.errors import status_line

Headers = list[tuple[str, str]]
StartResponse = Callable[[str, Headers], object]
Blocks = Iterable[bytes | memoryview]


def empty(start_response: StartResponse, status: HTTPStatus, headers: Headers) -> Blocks:
    """An answer without content."""
    length = [] if status is HTTPStatus.NO_CONTENT else [("Content-Length", "0")]
    start_response(status_line(status), [*headers, *length])
    return []


def placed(start_response: StartResponse, *, created: bool, headers: Headers) -> Blocks:
    """The answer to PUT, COPY and MOVE (RFC 9110, 9.3.4; RFC 4918, 9.8.5 and 9.9.4)."""
    return empty(start_response, HTTPStatus.CREATED if created else HTTPStatus.NO_CONTENT, headers)
