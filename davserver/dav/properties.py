"""Properties of files and collections, ready as XML: the live ones of RFC 4918 and RFC 4331, and ownCloud's.

Everything is computed from nodes that are already decrypted; nothing here looks anything up. To add a
property, add a row to `LIVE`. Called by `propfind` and `proppatch`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self
from xml.sax.saxutils import escape, quoteattr

from davserver.dav.lockdiscovery import SUPPORTED
from davserver.dav.xml_text import XML_NAMESPACE
from davserver.model import Node, Scope, Usage
from davserver.sending.dates import http_date, iso_date
from davserver.sending.media import content_type

DAV = "{DAV:}"
OC = "{http://owncloud.org/ns}"
WIN32 = "{urn:schemas-microsoft-com:}"

PREFIXES = {DAV: "D:", OC: "oc:", WIN32: "Z:"}
"""Namespaces that every answer declares; short, because some clients count bytes."""

DECLARATIONS = " ".join(f'xmlns:{prefix[:-1]}="{namespace[1:-1]}"' for namespace, prefix in PREFIXES.items())

_BOUND = {**PREFIXES, XML_NAMESPACE: "xml:"}
"""Prefixes that an element may have without declaring them; `xml` is bound in every document."""

Value = str | Callable[[Node], str | None] | None
"""What is inside a property's element, escaped: the same for every node, or computed from it; None where
there is no such property."""


@dataclass(frozen=True, slots=True)
class Property:
    """A live property of both kinds of nodes."""

    file: Value
    collection: Value


def _both(value: Value) -> Property:
    return Property(value, value)


# ── RFC 4918, 15 ────────────────────────────────────────────────────────────────────────────────────────────
def _creationdate(node: Node) -> str:
    return iso_date(node.created_ns)


def _displayname(node: Node) -> str:
    return escape(node.name)


def _getcontentlength(node: Node) -> str:
    return str(node.size)


def _getcontenttype(node: Node) -> str:
    return content_type(node.name)


def _getetag(node: Node) -> str:
    return f'"{node.etag}"'


def _getlastmodified(node: Node) -> str:
    return http_date(node.modified_ns)


def _creation_time(node: Node) -> str:
    return http_date(node.created_ns)


# ── ownCloud ────────────────────────────────────────────────────────────────────────────────────────────────
def digests(node: Node) -> list[str]:
    """The known digests of a file as ownCloud writes them, "SHA1:<hex>"."""
    found = [] if node.sha1 is None else [f"SHA1:{node.sha1.hex()}"]
    if node.md5 is not None:
        found.append(f"MD5:{node.md5.hex()}")
    return found


def _checksums(node: Node) -> str | None:
    found = digests(node)
    return f"<oc:checksum>{' '.join(found)}</oc:checksum>" if found else None


def permissions(scopes: Scope) -> Property:
    """Letters of ownCloud: delete; rename and move; write; create members. Nothing is shared or mounted."""
    delete = "D" if Scope.DELETE in scopes else ""
    file, collection = ("NVW", "NVCK") if Scope.WRITE in scopes else ("", "")
    return Property(delete + file, delete + collection)


LIVE: Mapping[str, Property] = {
    f"{DAV}creationdate": _both(_creationdate),
    f"{DAV}displayname": _both(_displayname),
    f"{DAV}getcontentlength": Property(_getcontentlength, None),
    f"{DAV}getcontenttype": Property(_getcontenttype, None),
    f"{DAV}getetag": Property(_getetag, None),
    f"{DAV}getlastmodified": _both(_getlastmodified),
    f"{DAV}resourcetype": Property("", "<D:collection/>"),
    f"{DAV}supportedlock": _both(SUPPORTED),
    f"{DAV}quota-available-bytes": _both(None),
    f"{DAV}quota-used-bytes": _both(None),
    f"{OC}checksums": Property(_checksums, None),
    f"{OC}permissions": _both(None),
    f"{WIN32}Win32CreationTime": _both(_creation_time),
    f"{WIN32}Win32LastModifiedTime": _both(_getlastmodified),
}
"""Every property that is computed from nodes, by "{namespace}name". `facts` makes those without a value."""

ETAG = f"{DAV}getetag"
"""Costs as much as all the rest of a row."""

LOCKDISCOVERY = f"{DAV}lockdiscovery"
"""Looked up, not computed, and never for the client to set."""

PROTECTED = frozenset({*LIVE, LOCKDISCOVERY})
"""What clients cannot set or remove, but for times in a form of their own (`proppatch`)."""

QUOTA = frozenset({f"{DAV}quota-available-bytes", f"{DAV}quota-used-bytes"})
"""These cost a statement, and RFC 4331, 3 keeps them out of allprop."""

ALLPROP = tuple(name for name in LIVE if name.startswith(DAV) and name not in QUOTA)
"""What allprop gives: the properties of RFC 4918."""


def facts(scopes: Scope, usage: Usage | None) -> Mapping[str, Property]:
    """`LIVE` with what depends on the request: the credential, and quota numbers if they were asked for."""
    available = None if usage is None or usage.available is None else str(usage.available)
    return {
        **LIVE,
        f"{DAV}quota-available-bytes": Property(None, available),
        # RFC 4331, 4: what takes room from what is written; trash and previous versions give way.
        f"{DAV}quota-used-bytes": Property(None, None if usage is None else str(usage.used - usage.kept)),
        f"{OC}permissions": permissions(scopes),
    }


@dataclass(frozen=True, slots=True)
class Tag:
    """How a property's element is written: `start` content `end`, or `empty` alone."""

    start: str
    end: str
    empty: str

    @classmethod
    def of(cls, name: str) -> Self:
        """From "{namespace}name", as the XML parser gives it; one without a namespace has no braces."""
        namespace, _, local = name.rpartition("}")
        if prefix := _BOUND.get(f"{namespace}}}"):
            return cls(f"<{prefix}{local}>", f"</{prefix}{local}>", f"<{prefix}{local}/>")
        declared = f"{local} xmlns={quoteattr(namespace[1:])}"
        return cls(f"<{declared}>", f"</{local}>", f"<{declared}/>")
