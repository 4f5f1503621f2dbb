"""GET and HEAD (RFC 9110, 9.3.1, 13 and 14).

The first block is decrypted before the status line is given, so that damage there is a clean 500; damage
further on raises out of the iterator, and the server cuts the connection. Called by `RequestServer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from davserver.dav.conditions import ByteRange, Unsatisfiable, range_of
from davserver.dav.dates import http_date
from davserver.dav.errors import status_line
from davserver.dav.media import HARDENING
from davserver.dav.provider import Resource
from davserver.dav.resources import FileResource
from davserver.dav.responses import Blocks, Headers, StartResponse
from davserver.dav.scope import RequestScope
from davserver.vault.download import Download

COLLECTION_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>WebDAV</title>
<h1>This is a WebDAV address</h1>
<p>Your files are here, but a browser is not the way to them. Add this address as a network drive,
or give it to a sync program such as rclone, together with your user name and an app password.</p>
</html>
"""
"""People open the address of their drive in a browser; an error would tell them that it is wrong.
A listing is what PROPFIND is for."""


class Content:
    """The bytes [start, stop) of a file on their way out; closes it at the end, whatever that is."""

    def __init__(self, download: Download, start: int, stop: int) -> None:
        self._download = download
        try:
            self._blocks = download.blocks(start, stop)
        except BaseException:
            download.close()
            raise

    def __iter__(self) -> Iterator[bytes | memoryview]:
        return iter(self._blocks)

    def close(self) -> None:
        """Called by the server (PEP 3333)."""
        self._download.close()


def respond(scope: RequestScope, resource: Resource, start_response: StartResponse) -> Blocks:
    """Answer GET; HEAD is the same without content and without ranges (RFC 9110, 14.2)."""
    sends_content = scope.environ["REQUEST_METHOD"] == "GET"
    if scope.is_unmodified(resource.node):
        start_response("304 Not Modified", _etag(resource))
        return []
    if not isinstance(resource, FileResource):
        length = ("Content-Length", str(len(COLLECTION_PAGE)))
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), *HARDENING, length])
        return [COLLECTION_PAGE] if sends_content else []
    if not sends_content:
        start_response(
            "200 OK", [*_headers(resource), ("Content-Length", str(resource.get_content_length()))]
        )
        return []
    return _send(scope, resource, start_response)


def _send(scope: RequestScope, resource: FileResource, start_response: StartResponse) -> Blocks:
    size = resource.get_content_length()
    try:
        part = range_of(scope.environ, resource.node)
    except Unsatisfiable:
        fields = [("Content-Range", f"bytes */{size}"), ("Content-Length", "0")]
        start_response(status_line(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE), fields)
        return []
    headers, status = _headers(resource), "200 OK"
    if part is None:
        part = ByteRange(0, size)
    else:
        status = "206 Partial Content"
        headers.append(("Content-Range", f"bytes {part.start}-{part.stop - 1}/{size}"))
    headers.append(("Content-Length", str(part.stop - part.start)))
    content = Content(resource.get_content(), part.start, part.stop)
    start_response(status, headers)
    return content


def _headers(resource: FileResource) -> Headers:
    headers = [
        ("Content-Type", resource.get_content_type()),
        *_etag(resource),
        ("Last-Modified", http_date(resource.node.modified_ns)),
        ("Accept-Ranges", "bytes"),
    ]
    resource.finalize_headers(resource.environ, headers)
    return headers


def _etag(resource: Resource) -> Headers:
    """The entity tag, which a collection does not have."""
    etag = resource.get_etag()
    return [("ETag", f'"{etag}"')] if etag else []
