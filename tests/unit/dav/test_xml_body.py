"""XML that clients send: what is asked for is understood, everything hostile is a 400 at once (T23)."""

from __future__ import annotations

import contextlib
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgidav.dav_error import DAVError

from davserver.dav.body import MAX_XML_BYTES
from davserver.dav.xml_body import (
    MAX_NAME_CHARS,
    MAX_NESTING,
    MAX_PROPERTIES,
    LockInfo,
    Mode,
    Propfind,
    parse_lockinfo,
    parse_propertyupdate,
    parse_propfind,
)

NAMED = b'<propfind xmlns="DAV:"><prop>%b</prop></propfind>'
SET = b'<propertyupdate xmlns="DAV:">%b</propertyupdate>'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Propfind(Mode.ALL)),
        (b'<propfind xmlns="DAV:"><allprop/></propfind>', Propfind(Mode.ALL)),
        (b'<propfind xmlns="DAV:"><propname/></propfind>', Propfind(Mode.NAMES)),
        (
            b'<propfind xmlns="DAV:"><allprop/><include><x/><y xmlns="u"/></include></propfind>',
            Propfind(Mode.ALL, ("{DAV:}x", "{u}y")),
        ),
        (NAMED % b'<x/><y xmlns="u"/><z xmlns=""/>', Propfind(Mode.NAMED, ("{DAV:}x", "{u}y", "z"))),
        (NAMED % b"<x/><x/>", Propfind(Mode.NAMED, ("{DAV:}x",))),
        (NAMED % b"", Propfind(Mode.NAMED)),
        (NAMED % b"<!-- a --><x/><?pi?>", Propfind(Mode.NAMED, ("{DAV:}x",))),
        (b"<?xml version='1.0'?><!-- a -->" + NAMED % b"<x/>", Propfind(Mode.NAMED, ("{DAV:}x",))),
        (
            b'<propfind xmlns="DAV:"><new xmlns="u"/><prop><x/></prop><more/></propfind>',
            Propfind(Mode.NAMED, ("{DAV:}x",)),
        ),
        ((NAMED % b"<x/>").decode().encode("utf-16"), Propfind(Mode.NAMED, ("{DAV:}x",))),
    ],
)
def test_propfind_is_understood(body: bytes, expected: Propfind) -> None:
    """RFC 4918, 14.20 and 17: four forms; comments, instructions and unknown elements are passed over."""
    assert parse_propfind(body) == expected


DOCTYPE = b"<!DOCTYPE propfind [%b]>"
HOSTILE = [
    DOCTYPE % b"" + NAMED % b"<x/>",
    DOCTYPE % b'<!ENTITY a "b">' + NAMED % b"<x>&a;</x>",
    DOCTYPE
    % (b'<!ENTITY a0 "lol">' + b"".join(b'<!ENTITY a%d "&a%d;&a%d;">' % (n + 1, n, n) for n in range(40)))
    + NAMED % b"<x>&a40;</x>",
    DOCTYPE % (b'<!ENTITY a "' + b"x" * 50_000 + b'">') + NAMED % (b"<x>" + b"&a;" * 10_000 + b"</x>"),
    DOCTYPE % b'<!ENTITY a SYSTEM "file:///etc/passwd">' + NAMED % b"<x>&a;</x>",
    DOCTYPE % b'<!ENTITY a SYSTEM "http://127.0.0.1:1/">' + NAMED % b"<x>&a;</x>",
    b'<!DOCTYPE propfind SYSTEM "http://127.0.0.1:1/x.dtd">' + NAMED % b"<x/>",
    DOCTYPE % b'<!ENTITY % a SYSTEM "file:///dev/zero"> %a;'.replace(b"%", b"%%").replace(b"%%", b"%")
    + NAMED % b"<x/>",
    NAMED % (b"<a>" * 10_000 + b"</a>" * 10_000),
    NAMED % (b"<a>" * MAX_NESTING + b"</a>" * MAX_NESTING),
    NAMED % b"".join(b"<p%d/>" % n for n in range(MAX_PROPERTIES + 1)),
    b"<a>" * 20_000,
    b'<?xml version="1.0" encoding="utf-7"?>' + NAMED % b"<x/>",
    b'<?xml version="1.0" encoding="nonsense"?>' + NAMED % b"<x/>",
    b'<?xml version="1.0" encoding="rot13"?>' + NAMED % b"<x/>",
    b'<?xml version="1.0" encoding="idna"?>' + NAMED % b"<x/>",
    NAMED % b"\xff",
    NAMED % b"&#0;",
    NAMED % b"<x>",
    NAMED % b"<y:x/>",
    NAMED % b'<x xmlns:a=""/>',
    NAMED % (b'<x xmlns="%b"/>' % (b"u" * (MAX_NAME_CHARS + 1))),
    NAMED % (b'<x xmlns="%b"/>' % (b"u" * MAX_NAME_CHARS)),
    NAMED % (b"<%b/>" % (b"x" * (MAX_NAME_CHARS + 1))),
    NAMED % b'<x xmlns="http://www.w3.org/2000/xmlns/"/>',
    NAMED % b'<x xmlns="http://www.w3.org/XML/1998/namespace"/>',
    NAMED % b"<xmlns:x/>",
    NAMED % b'<a:b:c xmlns:a="u"/>',
    NAMED % b"<:x/>",
    NAMED
    % (b'<x xmlns:L="%b">' % (b"u" * 60_000) + b"".join(b"<L:a%d/>" % n for n in range(6_000)) + b"</x>"),
    b"not xml",
    b"\x00",
    b" ",
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("parse", [parse_propfind, parse_propertyupdate, parse_lockinfo])
def test_hostile_xml_is_400_at_once(parse: object, body: bytes) -> None:
    """T23: bombs, external entities, depth, masses and broken encodings end as a plain 400, soon."""
    assert callable(parse)
    roots = {parse_propertyupdate: b"propertyupdate", parse_lockinfo: b"lockinfo"}
    seconds = []
    for _ in range(3):  # the best of them: on a busy machine even processor time is not exact
        begun = time.thread_time()
        with pytest.raises(DAVError) as caught:
            parse(body.replace(b"propfind", roots.get(parse, b"propfind")))
        seconds.append(time.thread_time() - begun)
        assert caught.value.value == 400
    assert min(seconds) < 0.5


@pytest.mark.parametrize(
    "body",
    [
        b'<propfind xmlns="DAV:"/>',
        b'<propfind xmlns="DAV:"><prop/><allprop/></propfind>',
        b'<propfind xmlns="DAV:"><allprop/><propname/></propfind>',
        b'<propfind xmlns="DAV:"><foo/></propfind>',
        b"<propfind><prop/></propfind>",
        b'<propertyupdate xmlns="DAV:"><prop/></propertyupdate>',
    ],
)
def test_propfind_that_asks_for_nothing_is_400(body: bytes) -> None:
    """RFC 4918, 14.20: exactly one of prop, allprop and propname, below the right element."""
    with pytest.raises(DAVError) as caught:
        parse_propfind(body)
    assert caught.value.value == 400


def test_propertyupdate_keeps_the_order_of_the_document() -> None:
    """RFC 4918, 9.2: instructions are carried out in document order; a removal carries no value."""
    found = parse_propertyupdate(
        SET % b"<set><prop><a>1</a><b/></prop></set><remove><prop><a/></prop></remove>"
        b"<set><prop><a>2</a></prop></set>"
    )
    assert [(each.name, each.value if each.value is None else each.value.text) for each in found] == [
        ("{DAV:}a", "1"),
        ("{DAV:}b", None),
        ("{DAV:}a", None),
        ("{DAV:}a", "2"),
    ]
    assert [each.value is None for each in found] == [False, False, True, False]


@pytest.mark.parametrize(
    "body", [b"", SET % b"", SET % b"<set/>", SET % b"<set><prop/></set>", SET % b"<prop><a/></prop>"]
)
def test_propertyupdate_that_says_nothing_is_400(body: bytes) -> None:
    """RFC 4918, 14.19: there must be something to do."""
    with pytest.raises(DAVError) as caught:
        parse_propertyupdate(body)
    assert caught.value.value == 400


@given(st.binary(max_size=200))
def test_no_bytes_lead_to_another_error(body: bytes) -> None:
    """Anything at all is understood or a 400."""
    for parse in (parse_propfind, parse_propertyupdate, parse_lockinfo):
        with contextlib.suppress(DAVError):
            parse(body)


def test_the_longest_names_and_the_deepest_elements_are_read() -> None:
    """The limits are where they are said to be."""
    name = "n" * (MAX_NAME_CHARS - 3)
    assert parse_propfind(NAMED % b'<%b xmlns="u"/>' % name.encode()).names == (f"{{u}}{name}",)
    inside = MAX_NESTING - 3  # propfind, prop and the property itself are three
    deep = b"<x>" + b"<a>" * inside + b"</a>" * inside + b"</x>"
    assert parse_propfind(NAMED % deep).names == ("{DAV:}x",)
    with pytest.raises(DAVError):
        parse_propfind(NAMED % (b"<a>" + deep + b"</a>"))
    many = b"".join(b"<p%d/>" % number for number in range(MAX_PROPERTIES))
    assert len(parse_propfind(NAMED % many).names) == MAX_PROPERTIES


def test_a_property_in_the_namespace_of_xml_is_read() -> None:
    """`xml` is a prefix that nobody has to declare; such a name is as good as any."""
    assert parse_propfind(NAMED % b"<xml:x/>").names == ("{http://www.w3.org/XML/1998/namespace}x",)


def test_a_long_namespace_does_not_fill_the_memory() -> None:
    """T23: every name repeats it, so it is refused when it is declared, and not when it has been repeated."""
    body = b'<propfind xmlns="DAV:" xmlns:L="%b"><x>' % (b"u" * 60_000)
    body += b"".join(b"<L:a%d/>" % number for number in range(6_000)) + b"</x><allprop/></propfind>"
    assert len(body) <= MAX_XML_BYTES
    tracemalloc.start()
    with pytest.raises(DAVError):
        parse_propfind(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * MAX_XML_BYTES


# ── LOCK ────────────────────────────────────────────────────────────────────────────────────────────────────
INFO = b'<D:lockinfo xmlns:D="DAV:">%b</D:lockinfo>'
SCOPE = b"<D:lockscope><D:%b/></D:lockscope>"
WRITE = b"<D:locktype><D:write/></D:locktype>"
OWNER = b'<D:owner xml:lang="de">ich <x xmlns="u" y="1">&lt;b&gt;</x></D:owner>'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (SCOPE % b"exclusive" + WRITE, LockInfo(exclusive=True, owner="")),
        (WRITE + SCOPE % b"shared", LockInfo(exclusive=False, owner="")),
        (
            SCOPE % b"shared" + WRITE + OWNER,
            LockInfo(
                exclusive=False,
                owner='<n1:owner xmlns:n1="DAV:" xmlns:n2="u" xml:lang="de">ich '
                '<n2:x y="1">&lt;b&gt;</n2:x></n1:owner>',
            ),
        ),
        (
            b'<more xmlns="u"><D:locktype/></more><!-- a -->' + SCOPE % b"shared" + WRITE + b"<D:owner/>",
            LockInfo(exclusive=False, owner='<n1:owner xmlns:n1="DAV:"/>'),
        ),
    ],
)
def test_lockinfo_is_understood(inside: bytes, expected: LockInfo) -> None:
    """RFC 4918, 14.11 and 17: in any order, with or without an owner; what is unknown is passed over."""
    assert parse_lockinfo(INFO % inside) == expected


@pytest.mark.parametrize(
    "inside",
    [
        b"",
        WRITE,
        SCOPE % b"shared",
        SCOPE % b"exclusive" + SCOPE % b"shared" + WRITE,
        b"<D:lockscope><D:exclusive/><D:shared/></D:lockscope>" + WRITE,
        b"<D:lockscope/>" + WRITE,
        SCOPE % b"local" + WRITE,
        SCOPE % b"shared" + b"<D:locktype><D:read/></D:locktype>",
        SCOPE % b"shared" + b"<D:locktype/>",
        b'<lockscope xmlns="u"><shared/></lockscope>' + WRITE,
        b"<D:lockscope><shared/></D:lockscope>" + WRITE,
    ],
)
def test_lockinfo_that_asks_for_no_lock_of_ours_is_400(inside: bytes) -> None:
    """RFC 4918, 14.11: a scope and a type that we know, and not both scopes."""
    with pytest.raises(DAVError) as caught:
        parse_lockinfo(INFO % inside)
    assert caught.value.value == 400
