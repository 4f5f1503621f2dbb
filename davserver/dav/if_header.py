"""The `If` field of RFC 4918, 10.4: lists of entity tags and state tokens, perhaps of other resources.

Pure and linear in the length of the field, which is capped. There are no locks yet, so no state token ever
matches. Called by `scope`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError

from davserver.model import Node

MAX_IF_CHARS = 4096
"""Longer fields are refused: no client needs them, and each tagged resource costs a look-up."""

_TOKEN = re.compile(
    r"""\s*(?: (?P<open>\() | (?P<close>\)) | (?P<negation>Not(?=[\s<\[])) | <(?P<url>[^<>\s]+)>
             | \[\s*(?P<weak>W/)?"(?P<etag>[^"]*)"\s*\] )\s*""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Term:
    """One condition of a list: an entity tag that must (not) be the current one.

    Attributes:
        etag: strong entity tag without quotes; None for what can match nothing (state token, weak tag).
    """

    etag: str | None
    negated: bool

    def holds(self, node: Node | None) -> bool:
        """Whether the node's state is as the client says."""
        matches = self.etag is not None and node is not None and bool(node.etag) and node.etag == self.etag
        return matches is not self.negated


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
    """Puts tokens together; the only state is which list is open."""

    def __init__(self) -> None:
        self._lists: list[IfList] = []
        self._terms: list[Term] | None = None
        self._resource: str | None = None
        self._negated = False

    def take(self, token: re.Match[str]) -> None:
        if self._terms is None:
            self._between_lists(token)
        else:
            self._in_list(token, self._terms)

    def _between_lists(self, token: re.Match[str]) -> None:
        if token["open"]:
            self._terms = []
        elif token["url"]:
            self._resource = token["url"]
        else:
            raise _malformed()

    def _in_list(self, token: re.Match[str], terms: list[Term]) -> None:
        if token["negation"] and not self._negated:
            self._negated = True
        elif token["close"] and terms and not self._negated:
            self._lists.append(IfList(self._resource, tuple(terms)))
            self._terms = None
        elif token["url"] or token["etag"] is not None:
            etag = None if token["url"] or token["weak"] else token["etag"]
            terms.append(Term(etag, self._negated))
            self._negated = False
        else:
            raise _malformed()

    def result(self) -> tuple[IfList, ...]:
        if self._terms is not None or not self._lists:
            raise _malformed()
        return tuple(self._lists)


def any_holds(lists: tuple[IfList, ...], state_of: Callable[[str | None], Node | None]) -> bool:
    """Whether at least one list holds (RFC 4918, 10.4.3)."""
    return any(all(term.holds(state_of(each.resource)) for term in each.terms) for each in lists)


def _malformed() -> DAVError:
    return DAVError(HTTP_BAD_REQUEST, "the If field is malformed")
