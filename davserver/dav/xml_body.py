"""Request bodies in XML: PROPFIND, PROPPATCH and LOCK (RFC 4918, 9.1, 9.2 and 9.10).

Only defusedxml reads what a client sent: no DTD, no entity, nothing fetched. Unknown elements are passed
over, as RFC 4918, 17 wants it; comments and processing instructions do not reach us.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser
from wsgidav.dav_error import HTTP_BAD_REQUEST, DAVError

from davserver.dav.xml_text import LANG, write_element

MAX_PROPERTIES = 256
"""More properties than that in one request are refused; clients ask for a dozen."""

MAX_NAME_CHARS = 1024
"""Longer namespaces, and names of properties with them, are refused: the parser repeats a namespace in every
name, and a listing repeats every name in every row."""

MAX_NESTING = 32
"""Deeper documents are refused; four levels are in use."""

DAV = "{DAV:}"


class Mode(Enum):
    """What a PROPFIND asks for."""

    NAMED = "prop"
    ALL = "allprop"
    NAMES = "propname"


@dataclass(frozen=True, slots=True)
class Propfind:
    """A PROPFIND: `names` are those asked for or, with allprop, wanted besides; as "{namespace}name"."""

    mode: Mode
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Instruction:
    """One property of a PROPPATCH.

    Attributes:
        name: "{namespace}name".
        value: what it is set to; None to remove it.
        lang: `xml:lang` that was in scope outside of it, which belongs to the value (RFC 4918, 4.3).
    """

    name: str
    value: Element | None
    lang: str | None = None

    @property
    def text(self) -> str:
        """All text of the value."""
        return "" if self.value is None else "".join(self.value.itertext()).strip()

    @property
    def serialised(self) -> str | None:
        """The value as XML that stands by itself."""
        return None if self.value is None else write_element(self.value, self.lang)


@dataclass(frozen=True, slots=True)
class LockInfo:
    """A LOCK: `owner` is the serialised element, or "" without one."""

    exclusive: bool
    owner: str


def parse_propfind(body: bytes) -> Propfind:
    """Read a PROPFIND; an empty body means allprop.

    Raises:
        DAVError: 400.
    """
    if not body:
        return Propfind(Mode.ALL)
    root = _parse(body, "propfind")
    found = [mode for mode in Mode if root.find(DAV + mode.value) is not None]
    if len(found) != 1:
        raise _bad("propfind must hold one of prop, allprop and propname")
    source = {Mode.NAMED: "prop", Mode.ALL: "include"}.get(found[0])
    names = dict.fromkeys(each.tag for each in root.iterfind(f"{DAV}{source}/*")) if source else {}
    _limit(names)
    return Propfind(found[0], tuple(names))


def parse_propertyupdate(body: bytes) -> tuple[Instruction, ...]:
    """Read a PROPPATCH, in document order.

    Raises:
        DAVError: 400, also if it holds no instruction.
    """
    root = _parse(body, "propertyupdate")
    instructions = [
        Instruction(each.tag, each if action.tag == f"{DAV}set" else None, _lang(prop, action, root))
        for action in root
        if action.tag in {f"{DAV}set", f"{DAV}remove"}
        for prop in action.iterfind(f"{DAV}prop")
        for each in prop
    ]
    if not instructions:
        raise _bad("propertyupdate holds no property")
    _limit([each.name for each in instructions])
    return tuple(instructions)


def parse_lockinfo(body: bytes) -> LockInfo:
    """Read a LOCK.

    Raises:
        DAVError: 400; also for anything but an exclusive or shared write lock.
    """
    root = _parse(body, "lockinfo")
    exclusive = root.find(f"{DAV}lockscope/{DAV}exclusive") is not None
    shared = root.find(f"{DAV}lockscope/{DAV}shared") is not None
    if root.find(f"{DAV}locktype/{DAV}write") is None or exclusive is shared:
        raise _bad("lockinfo must ask for a write lock that is either exclusive or shared")
    owner = root.find(f"{DAV}owner")
    return LockInfo(exclusive=exclusive, owner="" if owner is None else write_element(owner, _lang(root)))


def _lang(*around: Element) -> str | None:
    """The innermost `xml:lang` of the elements around something, given from the inside out."""
    return next((each.attrib[LANG] for each in around if LANG in each.attrib), None)


def _parse(body: bytes, name: str) -> Element:
    try:
        root = _read(body)
    except (ParseError, DefusedXmlException, ValueError, LookupError):  # the last two: strange encodings
        raise _bad("the body is not XML that is accepted here") from None
    if root.tag != DAV + name:
        raise _bad(f"the body must be a {name} element in the namespace DAV:")
    level, depth = [root], 0
    while level:
        level, depth = [child for element in level for child in element], depth + 1
        if depth > MAX_NESTING:
            raise _bad(f"elements are nested deeper than {MAX_NESTING}")
    return root


def _read(body: bytes) -> Element:
    reader = DefusedXMLParser(target=TreeBuilder(), forbid_dtd=True)
    reader.parser.StartNamespaceDeclHandler = _check_namespace
    reader.feed(body)
    root: Element = reader.close()
    return root


def _check_namespace(_prefix: str | None, namespace: str | None) -> None:
    """As it is declared: afterwards the memory would be full of it."""
    if len(namespace or "") > MAX_NAME_CHARS:
        raise _bad(f"a namespace is longer than {MAX_NAME_CHARS} characters")


def _limit(names: Collection[str]) -> None:
    if len(names) > MAX_PROPERTIES:
        raise _bad(f"more than {MAX_PROPERTIES} properties")
    if any(len(name) > MAX_NAME_CHARS for name in names):
        raise _bad(f"the name of a property is longer than {MAX_NAME_CHARS} characters")


def _bad(reason: str) -> DAVError:
    return DAVError(HTTP_BAD_REQUEST, reason)
