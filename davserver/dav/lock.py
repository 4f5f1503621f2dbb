"""LOCK and UNLOCK (RFC 4918, 9.10 and 9.11).

Reads the fields and writes the answers; what may be locked is judged by the vault in one transaction.
Called by `RequestServer`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from wsgidav.dav_error import HTTP_BAD_REQUEST, HTTP_PRECONDITION_FAILED, DAVError

from davserver.dav import multistatus
from davserver.dav.conditions import Depth, parse_depth
from davserver.dav.errors import status_line
from davserver.dav.lockdiscovery import discovery
from davserver.dav.responses import Blocks, Headers, StartResponse, empty
from davserver.dav.scope import RequestScope
from davserver.dav.uri import href
from davserver.dav.xml_body import parse_lockinfo
from davserver.errors import LockConflict, NoSuchLock, NotFound
from davserver.model import Node
from davserver.vault.locking import ShownLock
from davserver.vault.locks import MAX_SECONDS, Wanted
from davserver.vault.moment import Demands

_SECONDS = re.compile(r"second-(\d{1,20})", re.ASCII)
_CODED_URL = re.compile(r"\s*<([^<>\s]+)>\s*")


def lock(scope: RequestScope, start_response: StartResponse) -> Blocks:
    """Take a lock, or let one that is held last longer (no body: RFC 4918, 9.10.2)."""
    body, seconds = scope.body.read_xml(), parse_timeout(scope.environ)
    if not body:
        return _refresh(scope, seconds, start_response)
    info, depth = parse_lockinfo(body), parse_depth(scope.environ)
    if depth is Depth.ONE:
        raise DAVError(HTTP_BAD_REQUEST, "a lock has Depth 0 or infinity")
    wanted = Wanted(info.exclusive, depth is Depth.INFINITY, info.owner, seconds)
    try:
        granted = scope.vault.lock(scope.target.path, wanted, _demands(scope))
    except LockConflict as conflict:
        if not _lies_below(conflict, scope):
            raise
        return _blocked_below(conflict, scope, start_response)
    status = HTTPStatus.CREATED if granted.created else HTTPStatus.OK
    token = ("Lock-Token", f"<{granted.shown.lock.token}>")  # of a new lock only: RFC 4918, 9.10.2
    return _show(scope, granted.shown, start_response, status, [*multistatus.HEADERS, token])


def unlock(scope: RequestScope, start_response: StartResponse) -> Blocks:
    """Give a lock back."""
    match = _CODED_URL.fullmatch(scope.environ.get("HTTP_LOCK_TOKEN", ""))
    if match is None:
        raise DAVError(HTTP_BAD_REQUEST, "the Lock-Token field must be a URL in angle brackets")
    scope.vault.unlock(scope.target.path, match[1].lower(), _demands(scope))
    return empty(start_response, HTTPStatus.NO_CONTENT, [])


def parse_timeout(environ: Mapping[str, Any]) -> int:
    """The first time in the Timeout field that is understood (RFC 4918, 10.7), in seconds.

    At most `MAX_SECONDS`, which is also what `Infinite` and a missing field get.
    """
    for wish in environ.get("HTTP_TIMEOUT", "").lower().split(","):
        if match := _SECONDS.fullmatch(wish.strip()):
            return max(1, min(int(match[1]), MAX_SECONDS))
        if wish.strip() == "infinite":
            break
    return MAX_SECONDS


def _refresh(scope: RequestScope, seconds: int, start_response: StartResponse) -> Blocks:
    demands = _demands(scope)
    if not demands.tokens:
        raise DAVError(HTTP_BAD_REQUEST, "LOCK needs a body, or an If field with the token to refresh")
    try:
        shown = scope.vault.refresh_lock(scope.target.path, seconds, demands)
    except NoSuchLock:
        condition = "{DAV:}lock-token-matches-request-uri"
        raise DAVError(HTTP_PRECONDITION_FAILED, err_condition=condition) from None
    return _show(scope, shown, start_response, HTTPStatus.OK, multistatus.HEADERS)


def _demands(scope: RequestScope) -> Demands:
    """The client's, and that no file is called a collection: a slash cannot make an empty file either."""

    def judge(node: Node | None) -> None:
        if scope.target.slash and (node is None or not node.is_collection):
            raise NotFound("there is no such collection")

    return scope.demands(judge)


def _show(
    scope: RequestScope, shown: ShownLock, start_response: StartResponse, status: HTTPStatus, headers: Headers
) -> Blocks:
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<D:prop xmlns:D="DAV:">'
        f"{discovery([shown], scope.target.prefix)}</D:prop>\n"
    ).encode()
    start_response(status_line(status), headers)
    return [text]


def _lies_below(conflict: LockConflict, scope: RequestScope) -> bool:
    """Whether what is in the way are locks of members, so that the answer must name them (9.10.3)."""
    own = len(scope.target.path.parts)
    return any(len(names) > own for names, _ in conflict.roots)


def _blocked_below(conflict: LockConflict, scope: RequestScope, start_response: StartResponse) -> Blocks:
    prefix = scope.target.prefix
    failed = {scope.target.href(collection=True): HTTPStatus.FAILED_DEPENDENCY}
    for names, is_collection in conflict.roots:  # perhaps a lock of its own, too: no href twice (14.24)
        failed[href(prefix, names, collection=is_collection)] = HTTPStatus.LOCKED
    start_response("207 Multi-Status", multistatus.HEADERS)
    return [b"".join(multistatus.blocks(multistatus.failure(*each) for each in failed.items()))]
