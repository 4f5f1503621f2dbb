"""Elements written back: what a client sent, standing by itself, and unable to break what it stands in."""

from __future__ import annotations

import time
import tracemalloc
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from davserver.dav import multistatus
from davserver.dav.body import MAX_XML_BYTES
from davserver.dav.multistatus import RowWriter
from davserver.dav.properties import DAV, PROTECTED, facts
from davserver.dav.xml_body import MAX_NAME_CHARS, Mode, Propfind, parse_lockinfo, parse_propertyupdate
from davserver.dav.xml_text import LANG, write_element
from davserver.model import Scope
from tests.unit.dav.nodes import make_file

XML = "http://www.w3.org/XML/1998/namespace"

AROUND = '<D:x xmlns:D="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:Z="urn:schemas-microsoft-com:">{}</D:x>'
"""What values stand in, in an answer."""


def parse(text: str) -> Element:
    """What another program reads."""
    root: Element = fromstring(text.encode())
    return root


def same(one: Element, other: Element) -> bool:
    """Whether two elements have the same name, attributes, text and children, all the way down."""
    return (
        (one.tag, one.attrib, one.text or "") == (other.tag, other.attrib, other.text or "")
        and len(one) == len(other)
        and all((a.tail or "") == (b.tail or "") and same(a, b) for a, b in zip(one, other, strict=True))
    )


def comes_back(text: str) -> bool:
    """Whether an element is the same after it was written, inside an answer."""
    element = parse(text)
    (found,) = parse(AROUND.format(write_element(element)))
    return same(element, found) and not found.tail


@pytest.mark.parametrize(
    "text",
    [
        "<a/>",
        "<a></a>",
        "<a>text</a>",
        "<a> \n\t </a>",
        '<a xmlns="u"/>',
        '<p:a xmlns:p="u"/>',
        '<a xmlns="u"><b xmlns=""><c xmlns="v"/></b>tail</a>',
        '<p:a xmlns:p="u" p:x="1" x="2"><p:b xmlns:p="v" p:x="3"/></p:a>',
        '<a xmlns="u" xmlns:p="u" p:x="1" x="2"/>',
        '<a xmlns="DAV:" xmlns:oc="http://owncloud.org/ns"><oc:b/></a>',
        '<D:a xmlns:D="not DAV"/>',
        "<a>&lt;b&gt;&amp;amp;]]&gt;</a>",
        "<a><![CDATA[<b>&amp;]]></a>",
        "<a>&#13;&#10;&#9;\u0085\u2028\U0001f512</a>",
        "<a x='&quot;&apos;&lt;&gt;&amp;&#13;&#10;&#9;'/>",
        "<a x='\"'/>",
        '<a xmlns="http://x/?a=%25s&amp;b=&quot;&apos;&lt;%s"/>',
        '<p:a xmlns:p="{braces" p:x="1"/>',
        '<p:a xmlns:p="urn:ü \U0001f512" p:x="1"/>',
        '<a xml:lang="de" xml:space="preserve"> <b xml:lang="">x</b></a>',
        "<xml:a/>",
        "<xml:a xml:b='c'><d><xml:e/></d></xml:a>",
        '<xml:a xmlns="u"><b/></xml:a>',
        "<a>one<!-- a -->two<?b c?>three<d/>four<!-- e -->five</a>",
        "<n0 n1='2'><n2/></n0>",
        '<ü-.\u0300 xmlns="u"/>',
        "<a>%s %d %% %(x)s {} {0}</a>",
        "<a>" + "<b>" * 30 + "</b>" * 30 + "</a>",
    ],
)
def test_what_comes_back_is_what_was_sent(text: str) -> None:
    """RFC 4918, 4.3: names, attributes, text and children; not prefixes, comments and the like."""
    assert comes_back(text)


NAMES = st.sampled_from(["a", "b", "xml", "xmlns", "n0", "n1", "ü", "_", "D", "a-b.c"])
NAMESPACES = st.sampled_from(
    ["", "DAV:", "u", "v", XML, "http://x/?%s&\"'<>", "urn:schemas-microsoft-com:", "n0", "a b", "{"]
)
QUALIFIED = st.builds(lambda space, name: f"{{{space}}}{name}" if space else name, NAMESPACES, NAMES)
ATTRIBUTES = QUALIFIED.filter(lambda name: name != "xmlns")
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.sampled_from("\t\n\r<>&\"'%]"),
    max_size=12,
).filter(lambda text: not {"\ufffe", "\uffff"} & set(text))


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> Element:
    """Any tree that an XML parser can give."""
    element = Element(draw(QUALIFIED), draw(st.dictionaries(ATTRIBUTES, TEXTS, max_size=3)))
    element.text = draw(TEXTS)
    for _ in range(draw(st.integers(0, 3)) if depth else 0):
        child = draw(elements(depth - 1))
        child.tail = draw(TEXTS)
        element.append(child)
    return element


@given(elements(), st.none() | TEXTS)
def test_any_element_comes_back(element: Element, lang: str | None) -> None:
    """Parsed, written and parsed again it is the same, whatever it is made of; the language is added."""
    text = write_element(element, lang)
    found = parse(AROUND.format(text))[0]
    if lang is not None:
        element.attrib.setdefault(LANG, lang)
    assert same(element, found)
    assert write_element(found) == text


@given(st.lists(elements(), min_size=1, max_size=4, unique_by=lambda each: each.tag), st.sampled_from(Mode))
def test_no_value_breaks_an_answer(values: list[Element], mode: Mode) -> None:
    """T28: whatever clients store, a multistatus is well-formed and holds each once, where it belongs."""
    own = {each.tag: write_element(each) for each in values if each.tag not in PROTECTED}
    wanted = Propfind(mode, (*own, "{%s}missing") if mode is Mode.NAMED else ())
    writer = RowWriter(wanted, facts(Scope.FULL, None), minimal=False)
    rows = [writer.row("/a", make_file(), own), writer.row("/b", make_file())]
    with_them, without = parse(b"".join(multistatus.blocks(rows)).decode())
    found = {
        each.tag: (propstat.findtext(f"{DAV}status"), each)
        for propstat in with_them.iterfind(f"{DAV}propstat")
        for each in propstat.iterfind(f"{DAV}prop/*")
    }
    for each in values:
        if each.tag in own:
            status, element = found[each.tag]
            assert status == "HTTP/1.1 200 OK"
            assert same(element, Element(each.tag) if mode is Mode.NAMES else each)
    there = [each.tag for each in without.iterfind(f"{DAV}propstat/{DAV}prop/*") if each.tag in own]
    assert there == (list(own) if mode is Mode.NAMED else [])


@pytest.mark.parametrize("name", ["x", "{u}x", f"{{{XML}}}x", "{DAV:}x", "{%s}x", "{&\"'<}x"])
def test_no_name_breaks_an_answer(name: str) -> None:
    """Also that of a property which nobody has; the namespace of `xml:lang` has one prefix only."""
    writer = RowWriter(Propfind(Mode.NAMED, (name,)), facts(Scope.FULL, None), minimal=False)
    root = parse(b"".join(multistatus.blocks([writer.row("/", make_file())])).decode())
    assert root.find(f".//{DAV}prop")[0].tag == name  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "lang", "expected"),
    [
        ("<a/>", "de", "de"),
        ("<a/>", "", ""),
        ("<a/>", None, None),
        ('<a xml:lang="en"/>', "de", "en"),
        ('<a xml:lang=""/>', "de", ""),
    ],
)
def test_the_language_of_its_surroundings_is_kept(text: str, lang: str | None, expected: str | None) -> None:
    """RFC 4918, 4.3: unless it has one of its own; what is inside is not touched."""
    element = parse(text)
    assert parse(AROUND.format(write_element(element, lang)))[0].get(LANG) == expected
    assert element.get(LANG) == parse(text).get(LANG)


def test_what_follows_it_is_left_out() -> None:
    """The tail belongs to the element around it."""
    assert write_element(parse("<a><b/>tail</a>")[0]) == "<b/>"


def test_nothing_of_the_syntax_survives() -> None:
    """T28: markup in text stays text; comments, sections and instructions are gone."""
    text = write_element(parse("<a><![CDATA[</a><D:status>]]><!-- b --><?c d?>&lt;!--</a>"))
    assert text == "<a>&lt;/a&gt;&lt;D:status&gt;&lt;!--</a>"


LOCK = (
    '<D:lockinfo xmlns:D="DAV:"{}><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype>'
)
BOMBS = {
    "one long namespace in every element": (
        f' xmlns:L="{"u" * MAX_NAME_CHARS}"',
        "<L:a/>" * ((MAX_XML_BYTES - 2000) // 6),
    ),
    "none and a long one by turns": (
        f' xmlns:L="{"u" * MAX_NAME_CHARS}"',
        "<L:a><b><L:a><b/></L:a></b></L:a>" * ((MAX_XML_BYTES - 2000) // 34),
    ),
    "a long one in attributes": (
        f' xmlns:L="{"u" * MAX_NAME_CHARS}"',
        "<b L:a='' L:b='' L:c=''/>" * ((MAX_XML_BYTES - 2000) // 26),
    ),
    "many names in a long one": (
        f' xmlns:L="{"u" * MAX_NAME_CHARS}"',
        "".join(f"<L:a{number}/>" for number in range(11_000)),
    ),
    "many namespaces": ("", "".join(f'<a xmlns="{number}"/>' for number in range(5_500))),
}


@pytest.mark.parametrize(("declared", "inside"), BOMBS.values(), ids=BOMBS)
def test_a_small_body_stays_small(declared: str, inside: str) -> None:
    """T23: what is written is not much longer than what was read, and soon done."""
    body = f"{LOCK.format(declared)}<D:owner>{inside}</D:owner></D:lockinfo>".encode()
    assert len(body) <= MAX_XML_BYTES
    tracemalloc.start()
    begun = time.process_time()
    info = parse_lockinfo(body)
    seconds, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(info.owner) < 2 * MAX_XML_BYTES
    assert peak < 250 * MAX_XML_BYTES
    assert seconds < 5


def test_a_property_is_written_with_all_that_was_declared_around_it() -> None:
    """Prefixes and the language come from anywhere in the document."""
    (instruction,) = parse_propertyupdate(
        b'<D:propertyupdate xmlns:D="DAV:" xmlns:p="u" xml:lang="de"><D:set><D:prop xmlns:q="v">'
        b"<p:a q:b='1'><q:c/></p:a></D:prop></D:set></D:propertyupdate>"
    )
    assert instruction.serialised is not None
    found = parse(instruction.serialised)
    assert (found.tag, found.attrib, found[0].tag) == ("{u}a", {"{v}b": "1", LANG: "de"}, "{v}c")
