"""XML that clients send: what is asked for is understood, everything hostile is a 400 at once (T23)."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgidav.dav_error import DAVError

from davserver.dav.xml_body import (
    MAX_NESTING,
    MAX_PROPERTIES,
    Mode,
    Propfind,
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
    b"not xml",
    b"\x00",
    b" ",
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("parse", [parse_propfind, parse_propertyupdate])
def test_hostile_xml_is_400_at_once(parse: object, body: bytes) -> None:
    """T23: bombs, external entities, depth, masses and broken encodings end as a plain 400, soon."""
    assert callable(parse)
    begun = time.process_time()
    with pytest.raises(DAVError) as caught:
        parse(body.replace(b"propfind", b"propertyupdate") if parse is parse_propertyupdate else body)
    assert caught.value.value == 400
    assert time.process_time() - begun < 0.5


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
    for parse in (parse_propfind, parse_propertyupdate):
        with contextlib.suppress(DAVError):
            parse(body)
