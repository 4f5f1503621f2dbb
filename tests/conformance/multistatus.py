"""WebDAV's XML (RFC 4918, 13 to 16): written, and read strictly: what is not valid is a `Violation`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from tests.conformance.http import Response, Violation

DAV = "{DAV:}"
OC = "{http://owncloud.org/ns}"


@dataclass(frozen=True, slots=True)
class Resource:
    """One `response` element.

    Attributes:
        href: exactly as sent.
        status: its own status if it has no properties.
        properties: status and element by name, as "{namespace}name".
    """

    href: str
    status: int | None
    properties: dict[str, tuple[int, Element]]

    @property
    def path(self) -> str:
        """The decoded path of the href."""
        return path_of(self.href)

    def status_of(self, name: str) -> int:
        """The status of the propstat that a property came in."""
        if name not in self.properties:
            raise Violation(f"{name} was asked for and not answered")
        return self.properties[name][0]

    def element(self, name: str) -> Element:
        """A property that was found."""
        if self.status_of(name) != 200:
            raise Violation(f"{name} has status {self.status_of(name)}")
        return self.properties[name][1]

    def text(self, name: str) -> str:
        """The text of a property that was found."""
        return self.element(name).text or ""

    def names(self, status: int = 200) -> set[str]:
        """Names of all properties with that status."""
        return {name for name, (found, _) in self.properties.items() if found == status}


@dataclass(frozen=True, slots=True)
class ActiveLock:
    """One `activelock` element.

    Attributes:
        scope: "exclusive" or "shared".
        depth: "0" or "infinity".
        owner: the element, None if there is none.
        seconds: until it expires.
        root: href of its root, exactly as sent.
    """

    token: str
    scope: str
    depth: str
    owner: Element | None
    seconds: int
    root: str

    @property
    def path(self) -> str:
        """The decoded path of its root."""
        return path_of(self.root)


def path_of(href: str) -> str:
    """The decoded path of an href."""
    return unquote(urlsplit(href).path, errors="strict")


def parse(answer: Response) -> list[Resource]:
    """Every `response` of a 207, in the order sent."""
    if answer.status != 207:
        raise Violation(f"{answer.status} where 207 was expected")
    return [_resource(element) for element in _document(answer, "multistatus").findall(f"{DAV}response")]


def active_locks(discovery: Element) -> list[ActiveLock]:
    """Every lock of a `lockdiscovery` property, in the order sent."""
    return [_active_lock(element) for element in discovery.findall(f"{DAV}activelock")]


def granted(answer: Response) -> ActiveLock:
    """The lock of an answer to LOCK: in its body alone, and in its Lock-Token field if it is a new one."""
    if answer.status not in {200, 201}:
        raise Violation(f"{answer.status} where a lock was expected")
    discovery = _document(answer, "prop").find(f"{DAV}lockdiscovery")
    found = [] if discovery is None else active_locks(discovery)
    named = answer.get("Lock-Token")
    mine = [lock for lock in found if named is None or f"<{lock.token}>" == named]
    if len(mine) != 1:
        raise Violation(f"{named} is not the one lock among {found}")
    return mine[0]


def conditions(answer: Response) -> dict[str, list[str]]:
    """The conditions of an `error` body, by local name, each with the decoded paths that it names."""
    root = _document(answer, "error")
    return {
        _local(element.tag): [path_of(href.text or "") for href in element.findall(f"{DAV}href")]
        for element in root
    }


def shape(element: Element) -> object:
    """What an element says, whatever the prefixes: to compare two of them."""
    children = [(shape(child), child.tail or "") for child in element]
    return element.tag, sorted(element.items()), element.text or "", children


def only(answer: Response) -> Resource:
    """The one `response` of a 207."""
    resources = parse(answer)
    if len(resources) != 1:
        raise Violation(f"{len(resources)} responses where one was expected")
    return resources[0]


def propfind(names: Iterable[str]) -> bytes:
    """A request body that asks for properties named as "{namespace}name"."""
    return f'<propfind xmlns="DAV:"><prop>{"".join(map(_empty, names))}</prop></propfind>'.encode()


def proppatch(values: Iterable[tuple[str, str]]) -> bytes:
    """A request body that sets properties, in this order, to plain text."""
    parts = (_empty(name).replace("/>", f">{text}</{_local(name)}>") for name, text in values)
    return f'<propertyupdate xmlns="DAV:"><set><prop>{"".join(parts)}</prop></set></propertyupdate>'.encode()


def lockinfo(scope: str = "exclusive", owner: str | None = None) -> bytes:
    """A request body that asks for a write lock; `owner` is XML."""
    who = "" if owner is None else f"<D:owner>{owner}</D:owner>"
    return (
        f'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{scope}/></D:lockscope>'
        f"<D:locktype><D:write/></D:locktype>{who}</D:lockinfo>"
    ).encode()


def _document(answer: Response, name: str) -> Element:
    if not answer["Content-Type"].lower().startswith(("application/xml", "text/xml")):
        raise Violation(f"XML of type {answer['Content-Type']}")
    root: Element = fromstring(answer.body)
    if root.tag != DAV + name:
        raise Violation(f"{root.tag} where {name} was expected")
    return root


def _active_lock(element: Element) -> ActiveLock:
    token, root = element.findtext(f"{DAV}locktoken/{DAV}href"), element.findtext(f"{DAV}lockroot/{DAV}href")
    depth, timeout = element.findtext(f"{DAV}depth", ""), element.findtext(f"{DAV}timeout", "")
    kinds = [_local(kind.tag) for kind in element.findall(f"{DAV}locktype/*")]
    scopes = [_local(scope.tag) for scope in element.findall(f"{DAV}lockscope/*")]
    if not token or not root or kinds != ["write"] or scopes not in (["exclusive"], ["shared"]):
        raise Violation("an activelock needs type, scope, token and root (RFC 4918, 14.1)")
    seconds = re.fullmatch(r"Second-([0-9]+)", timeout)
    if seconds is None or depth not in {"0", "infinity"}:
        raise Violation(f"a lock of depth {depth!r} with the timeout {timeout!r}")
    return ActiveLock(token, scopes[0], depth, element.find(f"{DAV}owner"), int(seconds[1]), root)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _empty(name: str) -> str:
    return f'<{_local(name)} xmlns="{name.rpartition("}")[0].removeprefix("{")}"/>'


def _resource(element: Element) -> Resource:
    href, own = element.findtext(f"{DAV}href"), element.findtext(f"{DAV}status")
    propstats = element.findall(f"{DAV}propstat")
    if not href or (own is None) == (not propstats):
        raise Violation("a response needs an href, and either propstats or one status (RFC 4918, 14.24)")
    properties: dict[str, tuple[int, Element]] = {}
    for propstat in propstats:
        status = _status(propstat.findtext(f"{DAV}status"))
        for found in propstat.iterfind(f"{DAV}prop/*"):
            if found.tag in properties:
                raise Violation(f"{found.tag} was answered twice")
            properties[found.tag] = (status, found)
    return Resource(href, None if own is None else _status(own), properties)


def _status(line: str | None) -> int:
    version, _, rest = (line or "").partition(" ")
    if version != "HTTP/1.1" or not rest[:3].isdecimal():
        raise Violation(f"not a status line: {line!r}")
    return int(rest[:3])
