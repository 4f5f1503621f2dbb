"""Reading 207 answers (RFC 4918, 13) strictly: what is not schema-valid is a `Violation`."""

from __future__ import annotations

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
        return unquote(urlsplit(self.href).path, errors="strict")

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


def parse(answer: Response) -> list[Resource]:
    """Every `response` of a 207, in the order sent."""
    if answer.status != 207:
        raise Violation(f"{answer.status} where 207 was expected")
    if not answer["Content-Type"].lower().startswith(("application/xml", "text/xml")):
        raise Violation(f"a multistatus of type {answer['Content-Type']}")
    root = fromstring(answer.body)
    if root.tag != f"{DAV}multistatus":
        raise Violation(f"{root.tag} where multistatus was expected")
    return [_resource(element) for element in root.findall(f"{DAV}response")]


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
