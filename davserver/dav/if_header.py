"""The `If` field of RFC 4918, 10.4: lists of entity tags and state tokens, perhaps of other resources.

Pure and linear in the length of the field, which is capped. Called by `scope`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError

from davserver.model import Node

MAX_IF_CHARS = 12 * 1024
"""Longer fields are refused, because each tagged resource costs a look-up. davfs2 names each file
still to be uploaded when it renames the folder above them (docs/adr/0014-limits-that-clients-need.md)."""

_TOKEN = re.compile(
    r"""\s*(?: (?P<open>\() | (?P<close>\)) | (?P<negation>Not(?=[\s<\[])) | <(?P<url>[^<>\s]+)>
             | \[\s*(?P<weak>W/)?"(?P<etag>[^"]*)"\s*\] )\s*""",
    re.VERBOSE | re.IGNORECASE,
)


class State(Protocol):
    """What a term asks of a resource; `vault.moment.State` is one."""

    @property
    def node(self) -> Node | None:
        """What is there."""
        ...

    def is_locked_with(self, token: str) -> bool:
        """Whether a lock with this token covers it."""
        ...


@dataclass(frozen=True, slots=True)
class Term:
    """One condition of a list.

    Attributes:
        etag: strong entity tag, without quotes, that must (not) be the current one; None for a weak one,
            which matches nothing, and in a term with a token.
        token: state token of a lock that must (not) cover the resource, in lower case.
    """

    etag: str | None
    token: str | None
    negated: bool

    def holds(self, state: State) -> bool:
        """Whether the resource's state is as the client says."""
        return self._matches(state) is not self.negated

    def _matches(self, state: State) -> bool:
        if self.token is not None:
            return state.is_locked_with(self.token)
        node = state.node
        return self.etag is not None and node is not None and bool(node.etag) and node.etag == self.etag


@dataclass(frozen=True, slots=True)
class IfList:
    """All of its terms must hold for `resource`: a URL as sent, or None for the request's own."""

    resource: str | None
    terms: tuple[Term, ...]


def parse_if(value: str) -> tuple[IfList, ...]:
    """Read an If field.

    Raises:
        DAVError: 400 if it is malformed or too long.
    """
    if len(value) > MAX_IF_CHARS:
        raise DAVError(HTTP_BAD_REQUEST, "the If field is too long")
    reader = _Reader()
    position = 0
    while position < len(value):
        token = _TOKEN.match(value, position)
        if token is None:
            raise _malformed()
        reader.take(token)
        position = token.end()
    return reader.result()


class _Reader:
    """Puts tokens together: lists without tags, or tags with at least one list each, never mixed."""

    def __init__(self) -> None:
        self._lists: list[IfList] = []
        self._terms: list[Term] | None = None
        self._resource: str | None = None
        self._tag_waits = False
        self._negated = False

    def take(self, token: re.Match[str]) -> None:
        if self._terms is None:
            self._between_lists(token)
        else:
            self._in_list(token, self._terms)

    def _between_lists(self, token: re.Match[str]) -> None:
        untagged = bool(self._lists) and self._resource is None
        if token["open"]:
            self._terms, self._tag_waits = [], False
        elif token["url"] and not self._tag_waits and not untagged:
            self._resource, self._tag_waits = token["url"], True
        else:
            raise _malformed()

    def _in_list(self, token: re.Match[str], terms: list[Term]) -> None:
        if token["negation"] and not self._negated:
            self._negated = True
        elif token["close"] and terms and not self._negated:
            self._lists.append(IfList(self._resource, tuple(terms)))
            self._terms = None
        elif token["url"] or token["etag"] is not None:
            etag = None if token["weak"] else token["etag"]
            terms.append(Term(etag, token["url"] and token["url"].lower(), self._negated))
            self._negated = False
        else:
            raise _malformed()

    def result(self) -> tuple[IfList, ...]:
        if self._terms is not None or not self._lists or self._tag_waits:
            raise _malformed()
        return tuple(self._lists)


def any_holds(lists: tuple[IfList, ...], state_of: Callable[[str | None], State]) -> bool:
    """Whether at least one list holds (RFC 4918, 10.4.3)."""
    return any(all(term.holds(state_of(each.resource)) for term in each.terms) for each in lists)


def submitted(lists: tuple[IfList, ...]) -> frozenset[str]:
    """Every state token, wherever it stands: naming one is submitting it (RFC 4918, 10.4.1)."""
    return frozenset(term.token for each in lists for term in each.terms if term.token is not None)


def _malformed() -> DAVError:
    return DAVError(HTTP_BAD_REQUEST, "the If field is malformed")
