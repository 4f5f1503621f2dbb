"""PROPFIND (RFC 4918, 9.1), streamed: memory and statements do not depend on the number of children.

Depth infinity is refused, as RFC 4918 allows: nobody needs it and it would cost the whole tree. If-None-Match
is not looked at: it is about content. Called by `RequestServer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from typing import Self

from wsgidav.dav_error import HTTP_FORBIDDEN, DAVError, PRECONDITION_CODE_PropfindFiniteDepth

from davserver.dav import multistatus
from davserver.dav.conditions import Depth, parse_depth
from davserver.dav.lockdiscovery import discovery
from davserver.dav.multistatus import RowWriter
from davserver.dav.properties import ETAG, LOCKDISCOVERY, PROTECTED, QUOTA, facts
from davserver.dav.provider import Resource
from davserver.dav.quirks import wants_minimal
from davserver.dav.resources import CollectionResource
from davserver.dav.responses import Blocks, StartResponse
from davserver.dav.scope import RequestScope
from davserver.dav.uri import encode
from davserver.dav.xml_body import Mode, Propfind, parse_propfind
from davserver.model import Node, Scope
from davserver.vault.locking import ShownLock
from davserver.vault.properties import NONE as NO_PROPERTIES
from davserver.vault.service import Vault

MAX_REMEMBERED_BYTES = 2048
REMEMBERED_PLANS = 64
"""A client sends the same few bodies all day; what follows from the last ones is kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request asks for and how rows are written for it.

    Attributes:
        writer: None if it needs quota numbers, which are those of the moment.
        asks_locks, asks_dead: whether locks and dead properties have to be looked up.
        asks_tags: whether entity tags have to be computed.
    """

    wanted: Propfind
    scopes: Scope
    minimal: bool
    writer: RowWriter | None
    asks_locks: bool
    asks_dead: bool
    asks_tags: bool

    @classmethod
    def of(cls, body: bytes, scopes: Scope, *, minimal: bool) -> Self:
        """From the body of a PROPFIND and what the credential allows.

        Raises:
            DAVError: 400.
        """
        wanted = parse_propfind(body)
        everything = wanted.mode is not Mode.NAMED
        asks_quota = wanted.mode is Mode.NAMES or not QUOTA.isdisjoint(wanted.names)
        writer = None if asks_quota else RowWriter(wanted, facts(scopes, None), minimal=minimal)
        asks_locks = everything or LOCKDISCOVERY in wanted.names
        asks_dead = everything or not PROTECTED.issuperset(wanted.names)
        asks_tags = everything or ETAG in wanted.names
        return cls(wanted, scopes, minimal, writer, asks_locks, asks_dead, asks_tags)

    def writer_for(self, vault: Vault) -> RowWriter:
        """The writer, with the numbers of this moment if they are asked for."""
        return self.writer or RowWriter(self.wanted, facts(self.scopes, vault.usage()), minimal=self.minimal)


_remembered = lru_cache(REMEMBERED_PLANS)(Plan.of)


def plan(scope: RequestScope) -> Plan:
    """Read the request.

    Raises:
        DAVError, LimitExceeded: the body is malformed or too long.
    """
    body = scope.body.read_xml()
    make = _remembered if len(body) <= MAX_REMEMBERED_BYTES else Plan.of
    return make(body, scope.vault.principal.scopes, minimal=wants_minimal(scope.environ))


def respond(scope: RequestScope, asked: Plan, resource: Resource, start_response: StartResponse) -> Blocks:
    """Answer with the properties of a resource and, for Depth 1, of its members."""
    depth = parse_depth(scope.environ)
    if depth is Depth.INFINITY and resource.is_collection:
        raise DAVError(HTTP_FORBIDDEN, err_condition=PRECONDITION_CODE_PropfindFiniteDepth)
    rows = _rows(scope, resource, asked, members=depth is Depth.ONE)
    blocks = multistatus.blocks(rows)
    # What can fail fails here, before the status line. A listing of one block gets a Content-Length.
    first, second, third = next(blocks), next(blocks), next(blocks, None)
    headers = multistatus.HEADERS
    if asked.minimal and "HTTP_PREFER" in scope.environ:
        headers = [*headers, ("Preference-Applied", "return=minimal"), ("Vary", "Prefer")]
    start_response("207 Multi-Status", headers)
    return [first + second] if third is None else chain((first, second, third), blocks)


def _rows(scope: RequestScope, resource: Resource, asked: Plan, *, members: bool) -> Iterator[str]:
    """The resource itself as the client addressed it, then its members below that address."""
    writer = asked.writer_for(scope.vault)
    locks = _Locks(scope, members=members) if asked.asks_locks else None
    own, node = scope.target.href(collection=resource.is_collection), resource.node
    dead = scope.vault.dead_properties(node) if asked.asks_dead else NO_PROPERTIES
    shown = node if node.name else node._replace(name=scope.username)
    yield writer.row(own, shown, dead if locks is None else {**dead, LOCKDISCOVERY: locks.own})
    if not members or not isinstance(resource, CollectionResource):
        return
    found = (
        resource.members_with_properties()
        if asked.asks_dead
        else zip(resource.members(tagged=asked.asks_tags), repeat(NO_PROPERTIES), strict=False)
    )
    for node, dead in found:
        href = f"{own}{encode(node.name)}/" if node.is_collection else own + encode(node.name)
        yield writer.row(href, node, dead if locks is None else {**dead, LOCKDISCOVERY: locks.of(node)})


class _Locks:
    """`lockdiscovery` of the resource and its members, from one look-up before the listing."""

    def __init__(self, scope: RequestScope, *, members: bool) -> None:
        self._target = scope.target
        self._here = scope.vault.locks(scope.target.path, members=members)
        self._inherited = [shown for shown in self._here.covering if shown.lock.infinite]
        self.own = discovery(self._here.covering, scope.target.prefix)
        self._of_most = discovery(self._inherited, scope.target.prefix)

    def of(self, member: Node) -> str:
        """The property of a member."""
        locks = self._here.of_members.get(member.id)
        if locks is None:
            return self._of_most
        root = ((*self._target.path.parts, member.name), member.is_collection)
        direct = [ShownLock(lock, root, lock.expires_at - self._here.now) for lock in locks]
        return discovery([*self._inherited, *direct], self._target.prefix)
