"""Elements written back as XML that stands by itself: dead properties and owners of locks (RFC 4918, 4.3).

What a client sent is parsed and written anew, so that nothing of its syntax (entities, comments, prefixes
that are declared elsewhere) survives into an answer to somebody else. Pure; called by `xml_body`.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

XML_NAMESPACE = "{http://www.w3.org/XML/1998/namespace}"
"""Bound to the prefix `xml` without being declared (Namespaces in XML 1.0, 3)."""

LANG = f"{XML_NAMESPACE}lang"

_CARRIAGE_RETURN = {"\r": "&#13;"}


def write_element(element: Element, lang: str | None = None) -> str:
    """The element with all that is in it, every namespace declared where it is used.

    Args:
        element: parsed; what follows it (its tail) is left out.
        lang: `xml:lang` in scope where it stood, written on it unless it has its own.
    """
    attributes = dict(element.attrib)
    if lang is not None:
        attributes.setdefault(LANG, lang)
    return _write(element, attributes, "")


def _write(element: Element, attributes: dict[str, str], default: str) -> str:
    """`default` is the namespace that names without a prefix are in."""
    namespace, local = _split(element.tag)
    start = local if namespace == default else f"{local} xmlns={quoteattr(namespace)}"
    start += "".join(
        _attribute(name, value, number) for number, (name, value) in enumerate(attributes.items())
    )
    inner = _text(element.text) + "".join(
        _write(child, child.attrib, namespace) + _text(child.tail) for child in element
    )
    return f"<{start}>{inner}</{local}>" if inner else f"<{start}/>"


def _attribute(name: str, value: str, number: int) -> str:
    namespace, local = _split(name)
    if not namespace:
        return f" {local}={quoteattr(value)}"
    if name.startswith(XML_NAMESPACE):
        return f" xml:{local}={quoteattr(value)}"
    return f" xmlns:a{number}={quoteattr(namespace)} a{number}:{local}={quoteattr(value)}"


def _split(name: str) -> tuple[str, str]:
    namespace, _, local = name.rpartition("}")
    return namespace[1:], local


def _text(text: str | None) -> str:
    return escape(text, _CARRIAGE_RETURN) if text else ""
