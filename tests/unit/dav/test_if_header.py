"""The If field of RFC 4918, 10.4."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsgidav.dav_error import DAVError

from davserver.dav.if_header import MAX_IF_CHARS, any_holds, parse_if, submitted
from davserver.model import Node
from tests.unit.dav.nodes import make_collection, make_file

FILE = make_file(etag="now")


@dataclass(frozen=True, slots=True)
class Resource:
    """What terms ask of."""

    node: Node | None
    tokens: frozenset[str] = frozenset()

    def is_locked_with(self, token: str) -> bool:
        """Whether a lock with this token covers it."""
        return token in self.tokens


STATES = {
    None: Resource(FILE, frozenset({"urn:uuid:held"})),
    "/other": Resource(make_file(etag="else"), frozenset({"urn:uuid:theirs"})),
    "/none": Resource(None),
}


def holds(value: str) -> bool:
    """Judge a field on a file with the tag "now", beside "/other" with "else" and "/none" without."""
    return any_holds(parse_if(value), STATES.__getitem__)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('(["now"])', True),
        ('(["old"])', False),
        ('([W/"now"])', False),
        ('(Not ["now"])', False),
        ('(Not ["old"])', True),
        ('(["old"]) (["now"])', True),
        ('(["now"] ["old"])', False),
        ("(<urn:uuid:1>)", False),
        ("(<urn:uuid:held>)", True),
        ("(<URN:UUID:HELD>)", True),
        ("(Not <urn:uuid:held>)", False),
        ("(<urn:uuid:theirs>)", False),
        ("</other> (<urn:uuid:theirs>)", True),
        ("</other> (<urn:uuid:held>)", False),
        ("</none> (<urn:uuid:held>)", False),
        ('(<urn:uuid:held> ["now"])', True),
        ('(<urn:uuid:held> ["old"])', False),
        ("(Not <urn:uuid:1>)", True),
        ("(<DAV:no-lock>)", False),
        ("(Not <DAV:no-lock>)", True),
        ('(<urn:uuid:1> ["now"])', False),
        ('(<urn:uuid:1>) (["now"])', True),
        ('(<urn:uuid:1>)(Not <DAV:no-lock> ["now"])', True),
        ('</other> (["else"])', True),
        ('</other> (["now"])', False),
        ('</none> (["now"])', False),
        ('</none> (Not ["now"])', True),
        ('</none> (["now"]) </other> (["else"])', True),
        ('</other> (["x"]) (["else"])', True),
        ('  ( [ "now" ] )  ', True),
        ('(NOT["old"])', True),
        ('([""])', False),
        ('(["a]b(c)<d>"])', False),
    ],
)
def test_if_is_judged(value: str, *, expected: bool) -> None:
    """RFC 4918, 10.4: one list must hold, of which every term must."""
    assert holds(value) is expected


def test_empty_tag_matches_no_collection() -> None:
    """A collection has no entity tag, so none is its own."""
    assert not any_holds(parse_if('([""])'), lambda _: Resource(make_collection()))


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "()",
        "(",
        ")",
        '(["now"]',
        '["now"]',
        "<urn:uuid:1>",
        "(Not)",
        '(["now"]) </other> (["else"])',
        '</other> </none> (["now"])',
        '</other> (["else"]) </none>',
        '(Not Not ["now"])',
        '(["now"]))',
        '(("now"))',
        "([now])",
        "(now)",
        '(["now"]) x',
        '(["now"]), (["x"])',
        "(< >)",
        "(Notx)",
    ],
)
def test_malformed_if_is_400(value: str) -> None:
    """RFC 4918, 10.4.2: what is not understood is never taken for true."""
    with pytest.raises(DAVError) as caught:
        parse_if(value)
    assert caught.value.value == 400


@given(st.text(alphabet='()[]<> "NotWw/x', max_size=60))
def test_anything_is_judged_or_400(value: str) -> None:
    """T25: no text leads to another error."""
    try:
        lists = parse_if(value)
    except DAVError:
        return
    assert any_holds(lists, lambda _: Resource(FILE)) in {True, False}


@pytest.mark.parametrize("unit", ["<", "(", "[", '["', "(<", "Not ", " ", '(["x"', "(Not <x>) ", "W/"])
def test_if_is_capped_and_linear(unit: str) -> None:
    """T25: above 4 KiB 400; below, the worst field costs next to nothing."""
    with pytest.raises(DAVError):
        parse_if(unit * MAX_IF_CHARS)
    value = (unit * MAX_IF_CHARS)[:MAX_IF_CHARS]

    def seconds() -> float:
        begun = time.process_time()
        with contextlib.suppress(DAVError):
            parse_if(value)
        return time.process_time() - begun

    assert min(seconds() for _ in range(3)) < 0.02


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('(["now"])', set()),
        ("(<urn:uuid:1>)", {"urn:uuid:1"}),
        ("(<URN:UUID:A>)", {"urn:uuid:a"}),
        ("(Not <urn:uuid:1>)", {"urn:uuid:1"}),
        (
            '(<urn:uuid:1> ["now"] <urn:uuid:2>) (Not <DAV:no-lock>)',
            {"urn:uuid:1", "urn:uuid:2", "dav:no-lock"},
        ),
        ("</urn:uuid:1> (<urn:uuid:2>) </x> (<urn:uuid:3>)", {"urn:uuid:2", "urn:uuid:3"}),
    ],
)
def test_a_token_that_is_named_is_submitted(value: str, expected: set[str]) -> None:
    """RFC 4918, 10.4.1: wherever it stands and whether or not its list holds; a resource tag is no token."""
    assert submitted(parse_if(value)) == expected


def test_a_token_may_stand_where_nothing_is() -> None:
    """A lock of a collection covers what is not there yet: a condition about it can hold."""
    state = Resource(None, frozenset({"urn:uuid:held"}))
    assert any_holds(parse_if("(<urn:uuid:held>)"), lambda _: state)
    assert not any_holds(parse_if('(<urn:uuid:held> ["now"])'), lambda _: state)


def test_only_what_is_needed_is_looked_up() -> None:
    """A list that holds ends the search: each tagged resource costs a look."""
    asked: list[str | None] = []

    def state_of(url: str | None) -> Resource:
        asked.append(url)
        return Resource(FILE)

    assert any_holds(parse_if('</a> (["x"]["y"]) </b> (["now"]) </c> (["now"])'), state_of)
    assert asked == ["/a", "/b"]
