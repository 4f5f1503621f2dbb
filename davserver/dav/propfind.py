"""PROPFIND (RFC 4918, 9.1), streamed: memory and statements do not depend on the number of children.

Depth infinity is refused, as RFC 4918 allows: nobody needs it and it would cost the whole tree. If-None-Match
is not looked at: it is about content. Called by `RequestServer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from wsgidav.dav_error import HTTP_FORBIDDEN, DAVError, PRECONDITION_CODE_PropfindFiniteDepth

from davserver.dav import multistatus
from davserver.dav.conditions import Depth, parse_depth
from davserver.dav.properties import QUOTA, Property, facts
from davserver.dav.provider import Resource
from davserver.dav.quirks import wants_minimal
from davserver.dav.resources import CollectionResource
from davserver.dav.responses import Blocks, StartResponse
from davserver.dav.scope import RequestScope
from davserver.dav.uri import encode
from davserver.dav.xml_body import Mode, Propfind


def respond(
    scope: RequestScope, wanted: Propfind, resource: Resource, start_response: StartResponse
) -> Blocks:
    """Answer with the properties of a resource and, for Depth 1, of its members."""
    depth = parse_depth(scope.environ)
    if depth is Depth.INFINITY and resource.is_collection:
        raise DAVError(HTTP_FORBIDDEN, err_condition=PRECONDITION_CODE_PropfindFiniteDepth)
    minimal = wants_minimal(scope.environ)
    writer = multistatus.RowWriter(wanted, _live(scope, wanted), minimal=minimal)
    blocks = multistatus.blocks(_rows(scope, resource, writer, members=depth is Depth.ONE))
    # What can fail fails here, before the status line. A listing of one block gets a Content-Length.
    first, second, third = next(blocks), next(blocks), next(blocks, None)
    headers = multistatus.HEADERS
    if minimal and "HTTP_PREFER" in scope.environ:
        headers = [*headers, ("Preference-Applied", "return=minimal"), ("Vary", "Prefer")]
    start_response("207 Multi-Status", headers)
    return [first + second] if third is None else chain((first, second, third), blocks)


def _live(scope: RequestScope, wanted: Propfind) -> Mapping[str, Property]:
    asks_quota = wanted.mode is Mode.NAMES or not QUOTA.isdisjoint(wanted.names)
    return facts(scope.vault.principal.scopes, scope.vault.usage() if asks_quota else None)


def _rows(
    scope: RequestScope, resource: Resource, writer: multistatus.RowWriter, *, members: bool
) -> Iterator[str]:
    """The resource itself as the client addressed it, then its members below that address."""
    own = scope.target.href(collection=resource.is_collection)
    node = resource.node
    yield writer.row(own, node if node.name else replace(node, name=scope.username))
    if members and isinstance(resource, CollectionResource):
        for node in resource.members():
            href = f"{own}{encode(node.name)}/" if node.is_collection else own + encode(node.name)
            yield writer.row(href, node)
