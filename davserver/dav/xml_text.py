"""Elements written back as XML that stands by itself: dead properties and owners of locks (RFC 4918, 4.3).

What a client sent is parsed and written anew, so that nothing of its syntax (entities, comments, prefixes
that are declared elsewhere) survives into an answer to somebody else. Pure; called by `xml_body`.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

XML_NAMESPACE = "{http://www.w3.org/XML/1998/namespace}"
"""Bound to the prefix `xml` without being declared (Namespaces in XML 1.0, 3)."""

LANG = f"{XML_NAMESPACE}lang"

_CARRIAGE_RETURN = {"\r": "&#13;"}


def write_element(element: Element, lang: str | None = None) -> str:
    """The element with all that is in it, and every namespace declared once, on the element itself.

    Once only, because declared wherever it is used a long one would make a gigabyte of a small body.

    Args:
        element: parsed; what follows it (its tail) is left out.
        lang: `xml:lang` in scope where it stood, written on it unless it has its own.
    """
    attributes = dict(element.attrib)
    if lang is not None:
        attributes.setdefault(LANG, lang)
    prefixes = _Prefixes()
    text = _write(element, attributes, prefixes)
    start = f"<{prefixes.name(element.tag)}"
    return start + prefixes.declarations + text.removeprefix(start)


class _Prefixes:
    """A prefix for each namespace, in the order in which they are met."""

    def __init__(self) -> None:
        self._prefixes = {XML_NAMESPACE[1:-1]: "xml"}

    def name(self, name: str) -> str:
        """A name as the parser gives it, with a prefix if it is in a namespace."""
        namespace, local = _split(name)
        if not namespace:
            return local
        return f"{self._prefixes.setdefault(namespace, f'n{len(self._prefixes)}')}:{local}"

    @property
    def declarations(self) -> str:
        """All of them as attributes, except the one that must not be declared."""
        declared = ((namespace, prefix) for namespace, prefix in self._prefixes.items() if prefix != "xml")
        return "".join(f" xmlns:{prefix}={quoteattr(namespace)}" for namespace, prefix in declared)


def _write(element: Element, attributes: Mapping[str, str], prefixes: _Prefixes) -> str:
    name = prefixes.name(element.tag)
    start = name + "".join(f" {prefixes.name(key)}={quoteattr(value)}" for key, value in attributes.items())
    inner = _text(element.text) + "".join(
        _write(child, child.attrib, prefixes) + _text(child.tail) for child in element
    )
    return f"<{start}>{inner}</{name}>" if inner else f"<{start}/>"


def _split(name: str) -> tuple[str, str]:
    namespace, _, local = name.rpartition("}")
    return namespace[1:], local


def _text(text: str | None) -> str:
    return escape(text, _CARRIAGE_RETURN) if text else ""
