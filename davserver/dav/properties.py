"""Properties of files and collections, ready as XML: the live ones of RFC 4918 and RFC 4331, and ownCloud's.

Everything is computed from nodes that are already decrypted; nothing here looks anything up. To add a
property, add a function and a row to `LIVE`. Called by `multistatus` and `proppatch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from davserver.dav.dates import http_date, iso_date
from davserver.dav.media import content_type
from davserver.model import Node, Scope, Usage

DAV = "{DAV:}"
OC = "{http://owncloud.org/ns}"
WIN32 = "{urn:schemas-microsoft-com:}"

PREFIXES = {DAV: "D:", OC: "oc:", WIN32: "Z:"}
"""Namespaces that every answer declares; short, because some clients count bytes."""

DECLARATIONS = " ".join(f'xmlns:{prefix[:-1]}="{namespace[1:-1]}"' for namespace, prefix in PREFIXES.items())


@dataclass(frozen=True, slots=True)
class Facts:
    """What the properties of one request need besides the node.

    Attributes:
        username: shown in place of the root's name, which is empty.
        scopes: what the credential may do.
        usage: quota numbers; None if they were not asked for.
    """

    username: str
    scopes: Scope
    usage: Usage | None


Render = Callable[[Node, Facts], str | None]
"""The text or XML inside a property's element, escaped; None where the node does not have the property."""


# ── RFC 4918, 15 ────────────────────────────────────────────────────────────────────────────────────────────
def _creationdate(node: Node, _: Facts) -> str:
    return iso_date(node.created_ns)


def _displayname(node: Node, facts: Facts) -> str:
    return escape(node.name or facts.username)


def _getcontentlength(node: Node, _: Facts) -> str | None:
    return None if node.is_collection else str(node.size)


def _getcontenttype(node: Node, _: Facts) -> str | None:
    return None if node.is_collection else content_type(node.name)


def _getetag(node: Node, _: Facts) -> str | None:
    return None if node.is_collection else f'"{node.etag}"'


def _getlastmodified(node: Node, _: Facts) -> str:
    return http_date(node.modified_ns)


def _resourcetype(node: Node, _: Facts) -> str:
    return "<D:collection/>" if node.is_collection else ""


# ── RFC 4331 ────────────────────────────────────────────────────────────────────────────────────────────────
def _quota_available_bytes(node: Node, facts: Facts) -> str | None:
    if not node.is_collection or facts.usage is None or facts.usage.available is None:
        return None
    return str(facts.usage.available)


def _quota_used_bytes(node: Node, facts: Facts) -> str | None:
    return str(facts.usage.used) if node.is_collection and facts.usage else None


# ── ownCloud ────────────────────────────────────────────────────────────────────────────────────────────────
def checksums(node: Node) -> str | None:
    """Digests as ownCloud writes them, "SHA1:<hex> MD5:<hex>"; None if none is known."""
    known = (("SHA1", node.sha1), ("MD5", node.md5))
    return " ".join(f"{name}:{digest.hex()}" for name, digest in known if digest) or None


def _checksums(node: Node, _: Facts) -> str | None:
    text = checksums(node)
    return None if text is None else f"<oc:checksum>{text}</oc:checksum>"


def _permissions(node: Node, facts: Facts) -> str:
    """Letters of ownCloud: delete, rename, move, write, create files and collections. Nothing is shared."""
    letters = "D" if Scope.DELETE in facts.scopes else ""
    if Scope.WRITE in facts.scopes:
        letters += "NVCK" if node.is_collection else "NVW"
    return letters


LIVE: dict[str, Render] = {
    f"{DAV}creationdate": _creationdate,
    f"{DAV}displayname": _displayname,
    f"{DAV}getcontentlength": _getcontentlength,
    f"{DAV}getcontenttype": _getcontenttype,
    f"{DAV}getetag": _getetag,
    f"{DAV}getlastmodified": _getlastmodified,
    f"{DAV}resourcetype": _resourcetype,
    f"{DAV}quota-available-bytes": _quota_available_bytes,
    f"{DAV}quota-used-bytes": _quota_used_bytes,
    f"{OC}checksums": _checksums,
    f"{OC}permissions": _permissions,
}
"""Every property that exists, by "{namespace}name"."""

QUOTA = frozenset({f"{DAV}quota-available-bytes", f"{DAV}quota-used-bytes"})
"""These cost a statement, and RFC 4331, 3 keeps them out of allprop."""

ALLPROP = tuple(name for name in LIVE if name.startswith(DAV) and name not in QUOTA)
"""What allprop gives: the properties of RFC 4918."""


@dataclass(frozen=True, slots=True)
class Tag:
    """How a property's element is written: `start` content `end`, or `empty` alone."""

    start: str
    end: str
    empty: str

    @classmethod
    def of(cls, name: str) -> Tag:
        """From "{namespace}name", as the XML parser gives it; one without a namespace has no braces."""
        namespace, _, local = name.rpartition("}")
        if prefix := PREFIXES.get(f"{namespace}}}"):
            return cls(f"<{prefix}{local}>", f"</{prefix}{local}>", f"<{prefix}{local}/>")
        declared = f"{local} xmlns={quoteattr(namespace[1:])}"
        return cls(f"<{declared}>", f"</{local}>", f"<{declared}/>")
