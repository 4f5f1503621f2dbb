"""DELETE, MKCOL, COPY and MOVE (RFC 4918, 9.3, 9.6, 9.8 and 9.9): one call, one transaction each.

Nothing is looked up here; kinds and conditions are judged by the vault inside its commit, through `_demands`.
Called by `RequestServer`.
"""

from __future__ import annotations

from http import HTTPStatus

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError

from davserver.dav.conditions import Depth, parse_depth, parse_overwrite
from davserver.dav.quirks import times_of
from davserver.dav.responses import Blocks, StartResponse, empty, placed
from davserver.dav.scope import RequestScope
from davserver.dav.uri import Target
from davserver.errors import NotFound
from davserver.model import Node
from davserver.vault.moment import Demands


def delete(scope: RequestScope, start_response: StartResponse) -> Blocks:
    """Remove a file or a collection with all that is below it."""
    scope.vault.delete(scope.target.path, demands=_demands(scope, {Depth.INFINITY}))
    return empty(start_response, HTTPStatus.NO_CONTENT, [])


def make_collection(scope: RequestScope, start_response: StartResponse) -> Blocks:
    """Add an empty collection."""
    if scope.body.expected:
        raise DAVError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "MKCOL takes no body")
    times = times_of(scope.environ)
    scope.vault.make_collection(scope.target.path, modified_ns=times.modified_ns, demands=scope.demands())
    return empty(start_response, HTTPStatus.CREATED, times.acknowledgements[:1])


def copy(scope: RequestScope, start_response: StartResponse) -> Blocks:
    """Copy a file, or a collection with (Depth infinity) or without (Depth 0) all that is below it."""
    times, destination = times_of(scope.environ), _destination(scope)
    result = scope.vault.copy(
        scope.target.path,
        destination.path,
        overwrite=parse_overwrite(scope.environ),
        recursive=parse_depth(scope.environ) is not Depth.ZERO,
        modified_ns=times.modified_ns,
        demands=_demands(scope, {Depth.ZERO, Depth.INFINITY}),
    )
    return placed(start_response, created=result.created, headers=times.acknowledgements[:1])


def move(scope: RequestScope, start_response: StartResponse) -> Blocks:
    """Give a file or a collection another place."""
    times, destination = times_of(scope.environ), _destination(scope)
    result = scope.vault.move(
        scope.target.path,
        destination.path,
        overwrite=parse_overwrite(scope.environ),
        modified_ns=times.modified_ns,
        demands=_demands(scope, {Depth.INFINITY}),
    )
    return placed(start_response, created=result.created, headers=times.acknowledgements[:1])


def _destination(scope: RequestScope) -> Target:
    target = scope.destination()
    if target is None:
        raise DAVError(HTTP_BAD_REQUEST, "the Destination field is missing")
    return target


def _demands(scope: RequestScope, depths: set[Depth]) -> Demands:
    """The client's demands; that no collection is meant by halves; that no file is called one."""
    depth = parse_depth(scope.environ)

    def judge(node: Node | None) -> None:
        if node is not None and node.is_collection:
            if depth not in depths:
                raise DAVError(HTTP_BAD_REQUEST, "a collection cannot be treated with this Depth")
        elif scope.target.slash:
            raise NotFound("there is no such collection")

    return scope.demands(judge)
