"""Dead properties: what a client sets is kept to the character, goes where its resource goes, and is bounded.

RFC 4918, 4, 9.2, 9.8.2 and 9.9.1; T28.
"""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest
from defusedxml.ElementTree import fromstring

from davserver.model import Scope
from tests.conformance import multistatus
from tests.conformance.client import Client, Headers
from tests.conformance.conftest import MakeServer
from tests.conformance.faults import fault
from tests.conformance.http import Response
from tests.conformance.multistatus import DAV, Resource, shape
from tests.conformance.ours import OurServer

X = "{urn:x}"
WIN32 = "{urn:schemas-microsoft-com:}"
VALUE_LIMIT = 64 * 1024
NODE_LIMIT = 1024 * 1024
COUNT_LIMIT = 100
"""Bytes of one value and of all of a node, and how many of them; T28."""


def _update(dav: Client, name: str, instructions: str, headers: Headers | None = None) -> Response:
    """PROPPATCH; `D` is DAV: and `x` is urn:x in `instructions`."""
    body = f'<D:propertyupdate xmlns:D="DAV:" xmlns:x="urn:x">{instructions}</D:propertyupdate>'
    return dav.ask("PROPPATCH", name, headers, body.encode())


def _set(inside: str) -> str:
    return f"<D:set><D:prop>{inside}</D:prop></D:set>"


def _remove(inside: str) -> str:
    return f"<D:remove><D:prop>{inside}</D:prop></D:remove>"


def _give(dav: Client, name: str, value: str = "red") -> None:
    """Set {urn:x}colour, which has to work."""
    assert multistatus.only(dav.proppatch(name, (f"{X}colour", value))).names() == {f"{X}colour"}


def _colour(dav: Client, name: str) -> str | None:
    found = dav.properties(name, f"{X}colour")
    return found.text(f"{X}colour") if f"{X}colour" in found.names() else None


def _names(dav: Client, name: str) -> Resource:
    return multistatus.only(
        dav.ask("PROPFIND", name, {"Depth": "0"}, b'<propfind xmlns="DAV:"><propname/></propfind>')
    )


# ── setting and removing ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["file", "collection", "collection/"])
def test_property_is_set_read_and_removed(dav: Client, name: str) -> None:
    """RFC 4918, 9.2: of files and collections alike; content, ETag and time are as before."""
    dav.made("file")
    dav.made_collection("collection")
    before = dav.tree(), dav.property(name, f"{DAV}getlastmodified"), dav.head("file")["ETag"]
    assert _colour(dav, name) is None
    _give(dav, name, "red")
    assert _colour(dav, name) == "red"
    _give(dav, name, "blue")
    assert _colour(dav, name) == "blue"
    assert (dav.tree(), dav.property(name, f"{DAV}getlastmodified"), dav.head("file")["ETag"]) == before
    for _ in range(2):  # removing what is not there is no error (RFC 4918, 14.23)
        answer = _update(dav, name, _remove("<x:colour/>"))
        assert multistatus.only(answer).names() == {f"{X}colour"}
        assert _colour(dav, name) is None


TWICE = fault("answers a property as often as it was named")


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        pytest.param(*(_set("<x:a>1</x:a>") + _set("<x:a>2</x:a>"), {f"{X}a": "2"}), marks=TWICE),
        pytest.param(*(_set("<x:a>1</x:a>") + _remove("<x:a/>"), {}), marks=TWICE),
        pytest.param(*(_remove("<x:a/>") + _set("<x:a>2</x:a>"), {f"{X}a": "2"}), marks=TWICE),
        pytest.param(
            *(_set("<x:a>1</x:a>") + _remove("<x:a/>") + _set("<x:a>3</x:a>"), {f"{X}a": "3"}), marks=TWICE
        ),
        pytest.param(
            *(_set("<x:a>1</x:a><x:b>2</x:b>") + _remove("<x:a/><x:c/>"), {f"{X}b": "2"}), marks=TWICE
        ),
        (_remove("<x:old/>") + _set("<x:a>1</x:a>"), {f"{X}a": "1"}),
    ],
)
def test_instructions_are_done_in_order(dav: Client, instructions: str, expected: dict[str, str]) -> None:
    """RFC 4918, 9.2: in the order of the document, set and remove mixed; the later one wins."""
    dav.made("file")
    assert _update(dav, "file", _set("<x:old>0</x:old>")).status == 207
    found = multistatus.only(_update(dav, "file", instructions))
    assert found.names() == set(found.properties)
    kept = dav.properties("file", *(f"{X}{name}" for name in ("a", "b", "c", "old")))
    old = {} if "old" in instructions else {f"{X}old": "0"}
    assert {name: kept.text(name) for name in kept.names()} == expected | old


BROKEN = [
    _set("<D:getetag>x</D:getetag>"),
    _remove("<D:resourcetype/>"),
    _set("<D:lockdiscovery/>"),
    _set("<D:getcontentlength>5</D:getcontentlength>"),
]


@pytest.mark.parametrize("where", ["first", "last", "between"])
@pytest.mark.parametrize("broken", BROKEN)
def test_all_or_nothing(dav: Client, broken: str, where: str) -> None:
    """RFC 4918, 9.2.1: one instruction fails with 403, every other is a 424 and has changed nothing."""
    dav.made("file")
    assert _update(dav, "file", _set("<x:old>0</x:old><x:kept>0</x:kept>")).status == 207
    good = [_set("<x:new>1</x:new><x:kept>1</x:kept>"), _remove("<x:old/>")]
    good.insert({"first": 0, "between": 1, "last": 2}[where], broken)
    found = multistatus.only(_update(dav, "file", "".join(good)))
    assert found.names(424) == {f"{X}new", f"{X}kept", f"{X}old"}
    assert len(found.names(403)) == 1
    assert not found.names()
    kept = dav.properties("file", f"{X}new", f"{X}kept", f"{X}old")
    assert {name: kept.text(name) for name in kept.names()} == {f"{X}kept": "0", f"{X}old": "0"}


def test_a_bad_time_stops_the_others(dav: Client) -> None:
    """RFC 4918, 9.2.1: the same between a time, which is stored elsewhere, and what is dead."""
    dav.made("file")
    before = dav.property("file", f"{DAV}getlastmodified")
    time, bad = "<D:lastmodified>1000000000</D:lastmodified>", "<D:creationdate>yesterday</D:creationdate>"
    found = multistatus.only(_update(dav, "file", _set(f"<x:colour>red</x:colour>{time}{bad}")))
    assert not found.names()
    assert _colour(dav, "file") is None
    assert dav.property("file", f"{DAV}getlastmodified") == before


@fault("knows no times")
def test_times_and_dead_properties_together(dav: Client) -> None:
    """RFC 4918, 9.2: one request, two places, both done."""
    dav.made("file")
    inside = "<x:colour>red</x:colour><D:lastmodified>1000000000</D:lastmodified>"
    found = multistatus.only(_update(dav, "file", _set(inside)))
    assert found.names() == {f"{X}colour", f"{DAV}lastmodified"}
    assert _colour(dav, "file") == "red"
    assert dav.property("file", f"{DAV}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"


# ── names ───────────────────────────────────────────────────────────────────────────────────────────────────
NAMES = [
    "{urn:x}colour",
    "{urn:x/}colour",
    "{urn:xcol}our",
    '{http://example.org/a?b=c&d="e"\'<f>#}name',
    "{urn:\N{LATIN SMALL LETTER U WITH DIAERESIS} \N{PILE OF POO}}na.me-_1",
    pytest.param("{urn:x}\N{LATIN SMALL LETTER U WITH DIAERESIS}ber", marks=fault("cannot give it back")),
    "{urn:x}_",
    "{urn:x}" + "n" * 200,
    "{SAR:}lastmodified",
    "{http://apache.org/dav/props/}executable",
    "{http://www.w3.org/XML/1998/namespacex}a",
    "{DAV:x}getetag",
    "{urn:x}getetag",
    "{urn:x}xmlns",
    "colour",
    "getetag",
]
"""Names of properties, as "{namespace}name"; the last ones have no namespace."""


def _element(name: str, inside: str = "") -> str:
    namespace, _, local = name.removeprefix("{").rpartition("}")
    return f"<{local} xmlns={quoteattr(namespace)}>{inside}</{local}>"


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_kept(dav: Client, name: str) -> None:
    """RFC 4918, 4.3 and 21.4: namespace and local name, to the character: set, named, listed and removed."""
    dav.made("file")
    assert multistatus.only(_update(dav, "file", _set(_element(name, "value")))).names() == {name}
    body = f'<D:propfind xmlns:D="DAV:"><D:prop>{_element(name)}</D:prop></D:propfind>'.encode()
    found = multistatus.only(dav.ask("PROPFIND", "file", {"Depth": "0"}, body))
    assert set(found.properties) == {name}
    assert found.text(name) == "value"
    assert dav.properties("file").text(name) == "value"
    assert multistatus.only(_update(dav, "file", _remove(_element(name)))).names() == {name}
    assert name not in dav.properties("file").properties


def test_names_that_look_alike_are_different(dav: Client) -> None:
    """RFC 4918, 4.3: neither case, nor where a namespace ends, nor that there is none is overlooked."""
    dav.made("file")
    names = ["{urn:x}ab", "{urn:xa}b", "{urn:x}AB", "{URN:x}ab", "ab"]
    inside = "".join(_element(name, f"{number}") for number, name in enumerate(names))
    assert multistatus.only(_update(dav, "file", _set(inside))).names() == set(names)
    found = dav.properties("file")
    assert [found.text(name) for name in names] == ["0", "1", "2", "3", "4"]


@fault("answers with an empty response")
def test_propname_names_them(dav: Client) -> None:
    """RFC 4918, 9.1: with the live ones, and without values."""
    dav.made("file")
    assert _update(dav, "file", _set("<x:a><x:b/>text</x:a><c xmlns=''/>")).status == 207
    found = _names(dav, "file")
    assert found.names() >= {f"{X}a", "c", f"{DAV}getetag"}
    for name in found.names():
        assert not found.text(name)
        assert not list(found.element(name))


def test_allprop_contains_them(dav: Client) -> None:
    """RFC 4918, 9.1: all dead properties, beside the live ones, and each once."""
    dav.made("file")
    _give(dav, "file")
    found = dav.properties("file")
    assert found.names() >= {f"{X}colour", f"{DAV}getlastmodified"}


@fault("ignores include")
def test_include_names_none_twice(dav: Client) -> None:
    """RFC 4918, 14.8: what allprop has already comes once; what is not there is a 404."""
    dav.made("file")
    _give(dav, "file")
    body = (
        b'<propfind xmlns="DAV:"><allprop/><include><x:colour xmlns:x="urn:x"/>'
        b'<x:no xmlns:x="urn:x"/></include></propfind>'
    )
    found = multistatus.only(dav.ask("PROPFIND", "file", {"Depth": "0"}, body))
    assert found.text(f"{X}colour") == "red"
    assert found.names(404) == {f"{X}no"}


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────
VALUES = [
    "",
    "text",
    " \n\t leading and trailing \t\n ",
    "&lt;not &amp;amp; an &quot;element&quot;&gt;",
    "]]&gt;",
    "<![CDATA[<a> & ]] >]]>",
    "a<![CDATA[b]]>c",
    "&#x1F4A9;\N{PILE OF POO}\N{LATIN SMALL LETTER U WITH DIAERESIS}&#233;",
    pytest.param("a&#13;b&#13;&#10;c", marks=fault("makes line breaks of carriage returns")),
    "u\N{COMBINING DIAERESIS}",
    "<D:href>http://example.org/</D:href>",
    "<x:a/><x:a/>",
    "one<x:b>two<c xmlns=''>three</c>four</x:b>five<x:d/>six",
    '<x:a b="1" x:c="2" d="&lt;&quot;&amp;\'&#10;&#9;&#13;"/>',
    "<a xmlns='urn:default'><b xmlns=''><c xmlns='urn:other'/></b></a>",
    "<p:a xmlns:p='urn:p' xmlns:q='urn:q' q:a='1'><p:b q:a='2'/></p:a>",
    "<x:a xml:space='preserve'>  </x:a>",
    "<x:a>" * 20 + "deep" + "</x:a>" * 20,
    "<xmlfoo/>",
]


@pytest.mark.parametrize("value", VALUES)
def test_value_is_kept_to_the_character(dav: Client, value: str) -> None:
    """RFC 4918, 4.3: elements, attributes, namespaces, text and space come back as they were sent."""
    dav.made("file")
    sent = f'<x:p xmlns:x="urn:x" xmlns:D="DAV:">{value}</x:p>'
    assert multistatus.only(_update(dav, "file", _set(f"<x:p>{value}</x:p>"))).names() == {f"{X}p"}
    found = dav.properties("file", f"{X}p").element(f"{X}p")
    assert shape(found) == shape(fromstring(sent))
    assert shape(dav.properties("file").element(f"{X}p")) == shape(fromstring(sent))


def test_attributes_of_the_property_itself_are_kept(dav: Client) -> None:
    """RFC 4918, 4.3: the value is the whole element."""
    dav.made("file")
    assert _update(dav, "file", _set('<x:p a="1" x:b="2">v</x:p>')).status == 207
    found = dav.properties("file", f"{X}p").element(f"{X}p")
    assert (found.get("a"), found.get(f"{X}b"), found.text) == ("1", "2", "v")


@pytest.mark.parametrize("value", ["a<!-- c -->b", "a<?target data?>b", "<!-- c -->ab", "ab<?t?>"])
def test_comments_and_instructions_are_no_content(dav: Client, value: str) -> None:
    """RFC 4918, 4.3: they need not be kept, and the text around them is."""
    dav.made("file")
    assert _update(dav, "file", _set(f"<x:p>{value}</x:p>")).status == 207
    assert dav.property("file", f"{X}p") == "ab"


LANG = "{http://www.w3.org/XML/1998/namespace}lang"
LOSES = fault("loses it")


@pytest.mark.parametrize(
    ("update", "set_", "prop", "own"),
    [
        ("", "", "", "de"),
        pytest.param("", "", "de", "", marks=LOSES),
        pytest.param("", "de", "", "", marks=LOSES),
        pytest.param("de", "", "", "", marks=LOSES),
        pytest.param("en", "fr", "de", "", marks=LOSES),
        ("en", "", "fr", "de"),
    ],
)
def test_language_is_kept(dav: Client, update: str, set_: str, prop: str, own: str) -> None:
    """RFC 4918, 4.4 and 9.2: xml:lang in scope is part of the value, wherever in the request it stands."""
    dav.made("file")
    tags = (("D:propertyupdate", update), ("D:set", set_), ("D:prop", prop), ("x:p", own))
    opened = "".join(f"<{tag} xml:lang='{lang}'>" if lang else f"<{tag}>" for tag, lang in tags)
    closed = "".join(f"</{tag}>" for tag, _ in reversed(tags))
    body = f"{opened}v{closed}".replace(">", " xmlns:D='DAV:' xmlns:x='urn:x'>", 1)
    assert dav.ask("PROPPATCH", "file", None, body.encode()).status == 207
    found = dav.properties("file", f"{X}p").element(f"{X}p")
    assert (found.get(LANG), found.text) == ("de", "v")


def test_value_cannot_break_out_of_the_answer(dav: Client) -> None:
    """T28: in a listing, what one client has set on one file is not XML of anything else."""
    dav.made("a")
    dav.made("b")
    value = "&lt;/x:p&gt;&lt;/D:prop&gt;&lt;/D:propstat&gt;&lt;/D:response&gt;]]&gt;&lt;!--&lt;?"
    assert _update(dav, "a", _set(f"<x:p>{value}</x:p>")).status == 207
    found = dav.listing("", f"{X}p")
    assert set(found) == {"a", "b"}
    assert found["a"].text(f"{X}p") == "</x:p></D:prop></D:propstat></D:response>]]><!--<?"
    assert found["b"].names(404) == {f"{X}p"}


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        ('<!DOCTYPE p [<!ENTITY e "v">]>', "&e;"),
        pytest.param('<!DOCTYPE p SYSTEM "http://127.0.0.1:1/x">', "v", marks=fault("reads it")),
        ("", "&e;"),
    ],
)
def test_declaration_of_types_is_400(dav: Client, declaration: str, value: str) -> None:
    """T23: nothing is expanded, fetched or stored."""
    dav.made("file")
    body = multistatus.proppatch([(f"{X}p", value)])
    assert dav.ask("PROPPATCH", "file", None, declaration.encode() + body).status == 400
    assert f"{X}p" not in dav.properties("file").properties


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────
STORES_ALL = fault("stores whatever it is told")


@STORES_ALL
@pytest.mark.parametrize(
    "value", ["v" * (VALUE_LIMIT + 1), "<x:element/>" * 9_000, "\N{PILE OF POO}" * 16_400]
)
def test_value_beyond_64_kib_is_507(dav: Client, value: str) -> None:
    """T28: 507 for it and 424 for the others; nothing is stored."""
    dav.made("file")
    _give(dav, "file", "before")
    instructions = _set(f"<x:colour>after</x:colour><x:p>{value}</x:p>")
    found = multistatus.only(_update(dav, "file", instructions))
    assert (found.names(507), found.names(424)) == ({f"{X}p"}, {f"{X}colour"})
    assert _colour(dav, "file") == "before"
    assert dav.properties("file", f"{X}p").names() == set()


def test_value_within_64_kib_is_kept(dav: Client) -> None:
    """T28: the counterpart."""
    dav.made("file")
    value = "v" * (VALUE_LIMIT - 1024)
    assert multistatus.only(_update(dav, "file", _set(f"<x:p>{value}</x:p>"))).names() == {f"{X}p"}
    assert dav.property("file", f"{X}p") == value


@STORES_ALL
def test_properties_of_one_node_are_counted(dav: Client) -> None:
    """T28: 100 of them, then 507; one may be replaced, or exchanged for another one in one request."""
    dav.made("file")
    many = "".join(f"<x:p{number}>v</x:p{number}>" for number in range(COUNT_LIMIT))
    assert len(multistatus.only(_update(dav, "file", _set(many))).names()) == COUNT_LIMIT
    found = multistatus.only(_update(dav, "file", _set("<x:more>v</x:more>")))
    assert found.names(507) == {f"{X}more"}
    assert multistatus.only(_update(dav, "file", _set("<x:p1>other</x:p1>"))).names() == {f"{X}p1"}
    exchange = _remove("<x:p1/>") + _set("<x:more>v</x:more>")
    assert multistatus.only(_update(dav, "file", exchange)).names() == {f"{X}p1", f"{X}more"}
    dav.made("other")
    _give(dav, "other")


@STORES_ALL
def test_bytes_of_one_node_are_counted(dav: Client) -> None:
    """T28: 1 MiB in all, then 507; a smaller value makes room."""
    dav.made("file")
    value = "v" * 60_000
    stored = 0
    while stored <= NODE_LIMIT // len(value) + 1:
        found = multistatus.only(_update(dav, "file", _set(f"<x:p{stored}>{value}</x:p{stored}>")))
        if found.names() == set():
            break
        stored += 1
    assert NODE_LIMIT // len(value) - 1 <= stored <= NODE_LIMIT // len(value)
    assert found.names(507) == {f"{X}p{stored}"}
    assert dav.property("file", f"{X}p0") == value
    assert multistatus.only(_update(dav, "file", _set("<x:p0>small</x:p0>"))).names() == {f"{X}p0"}
    again = multistatus.only(_update(dav, "file", _set(f"<x:p{stored}>{value}</x:p{stored}>")))
    assert again.names() == {f"{X}p{stored}"}


@STORES_ALL
def test_body_beyond_128_kib_is_413(dav: Client) -> None:
    """T23: nothing of it is stored."""
    dav.made("file")
    inside = "".join(f"<x:p{number}>{'v' * 30_000}</x:p{number}>" for number in range(5))
    assert _update(dav, "file", _set(inside)).status == 413
    assert not [name for name in dav.properties("file").properties if name.startswith(X)]


# ── where they go ───────────────────────────────────────────────────────────────────────────────────────────
def _family(dav: Client) -> None:
    """A collection with a file and a collection in it, each with a colour."""
    dav.made_collection("c").made("file")
    dav.below("c").made_collection("sub").made("deep")
    for name in ("c", "c/file", "c/sub", "c/sub/deep"):
        _give(dav, name, f"of {name.removeprefix('c')}")


def _colours(dav: Client, root: str) -> list[str | None]:
    return [_colour(dav, root + rest) for rest in ("", "/file", "/sub", "/sub/deep")]


FAMILY = ["of ", "of /file", "of /sub", "of /sub/deep"]


def test_content_does_not_change_them(dav: Client) -> None:
    """RFC 4918, 9.7.1: PUT replaces the content and nothing else, as long as the file exists."""
    dav.made("file")
    _give(dav, "file")
    for content in (b"", b"other", bytes(100_000)):
        assert dav.put("file", content).status == 204
        assert _colour(dav, "file") == "red"


@pytest.mark.parametrize("target", ["moved", "other", "folder/moved"])
def test_they_move_with_a_file(dav: Client, target: str) -> None:
    """RFC 4918, 9.9.1: to a new name, over another file, whose own are gone, and into another collection."""
    dav.made("file")
    dav.made("other")
    dav.made_collection("folder")
    _give(dav, "file")
    assert _update(dav, "other", _set("<x:shape>round</x:shape>")).status == 207
    assert dav.move("file", target).status in {201, 204}
    assert _colour(dav, target) == "red"
    assert f"{X}shape" not in dav.properties(target).properties
    dav.made("file")
    assert _colour(dav, "file") is None


@pytest.mark.parametrize(("source", "target"), [("c", "moved"), ("c/", "moved/")])
def test_they_move_with_a_tree(dav: Client, source: str, target: str) -> None:
    """RFC 4918, 9.9.2: of every member, and nothing stays behind for who takes the names."""
    _family(dav)
    assert dav.move(source, target).status == 201
    assert _colours(dav, "moved") == FAMILY
    dav.made_collection("c").made("file")
    dav.below("c").made_collection("sub").made("deep")
    assert _colours(dav, "c") == [None] * 4


@fault("copies those of the collection itself only")
def test_they_are_copied_with_a_tree(dav: Client) -> None:
    """RFC 4918, 9.8.2 and 9.8.3: at every depth; afterwards each goes its own way."""
    _family(dav)
    assert dav.copy("c", "copy").status == 201
    assert _colours(dav, "copy") == FAMILY
    _give(dav, "copy/sub/deep", "changed")
    assert _update(dav, "copy", _remove("<x:colour/>")).status == 207
    assert _colours(dav, "c") == FAMILY
    _give(dav, "c/file", "changed too")
    assert _colours(dav, "copy") == [None, "of /file", "of /sub", "changed"]


@fault("copies the members all the same if the URL has no slash at its end")
def test_they_are_copied_with_the_collection_alone(dav: Client) -> None:
    """RFC 4918, 9.8.3: `Depth: 0` copies the collection and its properties."""
    _family(dav)
    assert dav.copy("c", "copy", {"Depth": "0"}).status == 201
    assert _colour(dav, "copy") == "of "
    assert dav.tree("copy/") == {}


def test_copy_replaces_those_of_the_target(dav: Client) -> None:
    """RFC 4918, 9.8.4: what was overwritten is gone with everything that hung on it."""
    dav.made("source")
    dav.made("target")
    _give(dav, "source", "new")
    assert _update(dav, "target", _set("<x:colour>old</x:colour><x:shape>round</x:shape>")).status == 207
    assert dav.copy("source", "target").status == 204
    assert _colour(dav, "target") == "new"
    assert f"{X}shape" not in dav.properties("target").properties


@pytest.mark.parametrize("name", ["file", "c"])
def test_they_end_with_their_resource(dav: Client, name: str) -> None:
    """RFC 4918, 9.6: a new resource of the same name has none."""
    dav.made("file")
    dav.made_collection("c").made("file")
    for each in (name, "c/file"):
        _give(dav, each)
    assert dav.delete(name).status == 204
    if name == "c":
        dav.made_collection("c").made("file")
        assert _colour(dav, "c/file") is None
    else:
        dav.made("file")
    assert _colour(dav, name) is None


def test_they_are_in_listings(dav: Client) -> None:
    """RFC 4918, 9.1: Depth 1 gives each member its own, asked for by name, with allprop and with propname."""
    for number in range(3):
        dav.made(f"{number}")
        _give(dav, f"{number}", f"of {number}")
    dav.made("none")
    named = dav.listing("", f"{X}colour")
    assert {name: each.text(f"{X}colour") for name, each in named.items() if each.names()} == {
        "0": "of 0",
        "1": "of 1",
        "2": "of 2",
    }
    assert named["none"].names(404) == {f"{X}colour"}
    everything = multistatus.parse(dav.propfind("", depth="1"))
    colours = {each.text(f"{X}colour") for each in everything if f"{X}colour" in each.names()}
    assert colours == {"of 0", "of 1", "of 2"}


@fault("forgets them, for it keeps them in memory")
def test_they_survive_a_restart(make_server: MakeServer) -> None:
    """RFC 4918, 4: what was acknowledged is stored."""
    server = make_server()
    server.client.made("file")
    _give(server.client, "file")
    server.stop()
    server.start()
    assert _colour(server.client, "file") == "red"


# ── who sets them ───────────────────────────────────────────────────────────────────────────────────────────
def test_they_are_the_accounts_own(ours: OurServer) -> None:
    """A10: the same path in another tree has other ones."""
    a, b = ours.new_account().client, ours.new_account().client
    for client in (a, b):
        client.made("file")
    for name in ("file", ""):
        _give(a, name, "of a")
        assert _colour(b, name) is None
        _give(b, name, "of b")
        assert _colour(a, name) == "of a"


def test_read_only_device_sets_none(ours: OurServer, dav: Client) -> None:
    """T44: 403 for setting and for removing; reading is allowed."""
    dav.made("file")
    _give(dav, "file")
    reader = dav.as_(ours.device(ours.account, scopes=Scope.READ_ONLY).client.authorization)
    assert reader.proppatch("file", (f"{X}colour", "blue")).status == 403
    assert _update(reader, "file", _remove("<x:colour/>")).status == 403
    assert _colour(reader, "file") == "red"


def test_locked_resource_keeps_them(dav: Client) -> None:
    """RFC 4918, 7: 423 without the token, done with it."""
    dav.made("file")
    _give(dav, "file")
    token = dav.locked("file")
    assert dav.proppatch("file", (f"{X}colour", "blue")).status == 423
    assert _colour(dav, "file") == "red"
    answer = dav.proppatch("file", (f"{X}colour", "blue"), headers={"If": f"(<{token}>)"})
    assert multistatus.only(answer).names() == {f"{X}colour"}


# ── what known clients set ──────────────────────────────────────────────────────────────────────────────────
WINDOWS = {
    f"{WIN32}Win32CreationTime": "Sun, 09 Sep 2001 01:46:40 GMT",
    f"{WIN32}Win32LastAccessTime": "Thu, 26 Nov 2026 04:00:00 GMT",
    f"{WIN32}Win32LastModifiedTime": "Mon, 10 Sep 2001 01:46:40 GMT",
    f"{WIN32}Win32FileAttributes": "00000020",
}


@fault("keeps some of it as text and applies none of the times")
def test_windows_sets_times_and_attributes(dav: Client) -> None:
    """The Mini-Redirector's four properties in one request: times are applied, attributes given back."""
    dav.made("file.txt")
    assert multistatus.only(dav.proppatch("file.txt", *WINDOWS.items())).names() == set(WINDOWS)
    assert dav.property("file.txt", f"{DAV}creationdate").startswith("2001-09-09T01:46:40")
    assert dav.property("file.txt", f"{DAV}getlastmodified") == WINDOWS[f"{WIN32}Win32LastModifiedTime"]
    for name in (f"{WIN32}Win32FileAttributes", f"{WIN32}Win32LastAccessTime"):
        assert dav.property("file.txt", name) == WINDOWS[name]


def test_cyberduck_keeps_times_of_its_own(dav: Client) -> None:
    """Cyberduck stores times under a namespace of its own: text, and no time of the file."""
    dav.made("file")
    before = dav.property("file", f"{DAV}getlastmodified")
    values = {
        "{SAR:}lastmodified": "Sun, 09 Sep 2001 01:46:40 GMT",
        "{SAR:}lastmodified_server": before,
    }
    assert multistatus.only(dav.proppatch("file", *values.items())).names() == set(values)
    found = dav.properties("file", *values)
    assert {name: found.text(name) for name in found.names()} == values
    assert dav.property("file", f"{DAV}getlastmodified") == before


def test_cadaver_sets_what_davfs2_reads(dav: Client) -> None:
    """davfs2 asks for, and sets, Apache's `executable`: one letter that has to come back."""
    dav.made("script.sh")
    name = "{http://apache.org/dav/props/}executable"
    assert multistatus.only(dav.proppatch("script.sh", (name, "T"))).names() == {name}
    assert dav.property("script.sh", name) == "T"
