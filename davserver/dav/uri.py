"""From a request target or a Destination to a path in the vault, and back to an href.

Pure. It must never decode before it has split, nor decode twice: `%2F` is no separator, and `;`, `?`, `#`
and `%` in a name survive. The one reader of both, so that route, scope and look-up see the same names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from wsgidav.dav_error import HTTP_BAD_GATEWAY, DAVError

from davserver.errors import NotFound, ParentMissing, PathError
from davserver.vault.paths import VaultPath

TREE = ("dav",)
"""Where the tree is. The others show the same tree to clients that know Nextcloud's addresses."""

WEBDAV_ALIAS = ("remote.php", "webdav")
FILES_ALIAS = ("remote.php", "dav", "files")
"""Followed by the user's name."""

HREF_SAFE = "!$'()*,:=@~"
"""Besides letters, digits and `-._`, what stands for itself in an href: neither XML nor any client minds."""

_PLAIN = re.compile(r"[A-Za-z0-9._ -]+")
_SEGMENT = re.compile(
    r"(?:%[0-9A-Fa-f]{2}|[!$&-;=?-~])*"
)  # printable ASCII; neither space, quotes, `#` nor `<>`
_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL addresses.

    Attributes:
        prefix: encoded path of the tree's root as this client sees it, without a slash at its end.
        path: the names below it, exactly as sent.
        slash: whether the URL ended in a slash, so that only a collection can be meant (RFC 4918, 5.2).
    """

    prefix: str
    path: VaultPath
    slash: bool

    def href(self, *, collection: bool) -> str:
        """The encoded absolute path, with a slash at the end of a collection."""
        return href(self.prefix, self.path.parts, collection=collection)


def href(tree: str, names: Iterable[str], *, collection: bool) -> str:
    """The encoded absolute path of `names` below the encoded root of a tree."""
    path = "".join("/" + encode(name) for name in names)
    return f"{tree}{path}/" if collection else f"{tree}{path}"


def encode(name: str) -> str:
    """Percent-encode one name for an href."""
    if _PLAIN.fullmatch(name):
        return name.replace(" ", "%20")
    return quote(name, HREF_SAFE)


def parse_target(target: str, username: str) -> Target:
    """Read a request target in origin or absolute form; a query is ignored, as by any file server.

    Args:
        target: as received, bytes as Latin-1 (PEP 3333 `REQUEST_URI`).
        username: whose tree may be addressed by name.

    Raises:
        PathError: malformed, or a name that cannot be stored.
        NotFound: outside of every tree.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    return _locate((absolute[3] if absolute else target).partition("?")[0], username)


def parse_destination(value: str, host: str, username: str) -> Target:
    """Read a Destination header (RFC 4918, 10.3): an absolute URL on this host, or an absolute path.

    A raw `?` or `#` is refused: whoever sends it forgot to encode a name, and cutting it off would write to
    another file. The scheme may differ from ours, because a proxy may have removed TLS.

    Raises:
        PathError: as `parse_target`.
        ParentMissing: outside of every tree.
        DAVError: 502 for another host.
    """
    absolute = _ABSOLUTE.fullmatch(value)
    if absolute:
        scheme = absolute[1].lower()
        if scheme not in _DEFAULT_PORTS or _authority(absolute[2], scheme) != _authority(host, scheme):
            raise DAVError(HTTP_BAD_GATEWAY, "the Destination is on another server")
        value = absolute[3]
    if "?" in value or "#" in value:
        raise PathError("the Destination holds a '?' or '#' that is not percent-encoded")
    try:
        return _locate(value, username)
    except NotFound:
        raise ParentMissing("there is no tree at the Destination") from None


def _authority(text: str, scheme: str) -> str:
    return text.lower().removesuffix(_DEFAULT_PORTS[scheme])


def _locate(path: str, username: str) -> Target:
    if not path.startswith("/"):
        raise PathError("the path must begin with a slash")
    names = tuple(map(_decode, path[1:].removesuffix("/").split("/")))
    depth = _prefix_length(names, username)
    prefix = "".join("/" + encode(name) for name in names[:depth])
    return Target(prefix, VaultPath(names[depth:]), slash=path.endswith("/"))


def _prefix_length(names: tuple[str, ...], username: str) -> int:
    """How many of the names lead to the tree."""
    if names[:1] == TREE:
        return len(TREE)
    if names[:2] == WEBDAV_ALIAS:
        return len(WEBDAV_ALIAS)
    own = len(FILES_ALIAS)
    if names[:own] == FILES_ALIAS and names[own : own + 1] and names[own].lower() == username.lower():
        return own + 1
    raise NotFound("there is no tree at this address")


def _decode(segment: str) -> str:
    if not _SEGMENT.fullmatch(segment):
        raise PathError("the path holds something that is not percent-encoded (RFC 3986, 2)")
    if "%" not in segment:
        return segment
    try:
        name = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        raise PathError("the path is not percent-encoded UTF-8") from None
    if "/" in name:
        raise PathError("a name must not hold '/'")
    return name
