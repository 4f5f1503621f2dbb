"""GET and HEAD (RFC 9110, 9.3.1, 13 and 14). What is said of a file is in `davserver/sending/file.py`.

Called by `RequestServer`.
"""

from __future__ import annotations

from davserver.dav.errors import status_line
from davserver.dav.provider import Resource
from davserver.dav.resources import FileResource
from davserver.dav.responses import Blocks, Headers, StartResponse
from davserver.dav.scope import RequestScope
from davserver.sending.file import hand_out, unmodified
from davserver.sending.media import HARDENING

COLLECTION_PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>WebDAV</title>
<h1>This is a WebDAV address</h1>
<p>Your files are here, but a browser is not the way to them. Add this address as a network drive,
or give it to a sync program such as rclone, together with your user name and an app password.</p>
</html>
"""
"""People open the address of their drive in a browser; an error would tell them that it is wrong.
A listing is what PROPFIND is for."""


def respond(scope: RequestScope, resource: Resource, start_response: StartResponse) -> Blocks:
    """Answer GET; HEAD is the same without content."""
    node = resource.node
    if scope.is_unmodified(node):
        answer = unmodified(node)
    elif isinstance(resource, FileResource):
        answer = hand_out(scope.environ, node, _fields(resource), resource.get_content)
    else:
        length = ("Content-Length", str(len(COLLECTION_PAGE)))
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), *HARDENING, length])
        return [COLLECTION_PAGE] if scope.environ["REQUEST_METHOD"] == "GET" else []
    start_response(status_line(answer.status), answer.fields)
    return [] if answer.content is None else answer.content


def _fields(resource: FileResource) -> Headers:
    headers = [("Content-Type", resource.get_content_type())]
    resource.finalize_headers(resource.environ, headers)
    return headers
