"""Rows of a multistatus: always valid XML that says exactly what is asked for (RFC 4918, 9.1 and 13)."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from http import HTTPStatus
from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from davserver.dav import multistatus
from davserver.dav.multistatus import MAX_BLOCK_CHARS, ROWS_A_BLOCK, RowWriter
from davserver.dav.properties import ALLPROP, DAV, LIVE, OC, QUOTA, facts
from davserver.dav.uri import encode
from davserver.dav.xml_body import Mode, Propfind
from davserver.model import Node, Scope, Usage
from tests.unit.dav.nodes import make_collection, make_file, names

Found = dict[str, tuple[int, Element]]


def document(rows: list[str]) -> Element:
    """The parsed answer that holds these rows."""
    root: Element = fromstring(b"".join(multistatus.blocks(rows)))
    return root


def read(wanted: Propfind, node: Node, usage: Usage | None = None, *, minimal: bool = False) -> Found:
    """The properties of a node by name, with their status, as a client reads them."""
    writer = RowWriter(wanted, facts(Scope.FULL, usage), minimal=minimal)
    (response,) = document([writer.row("/dav/x", node)])
    assert response.findtext(f"{DAV}href") == "/dav/x"
    found: Found = {}
    propstats = response.findall(f"{DAV}propstat")
    assert propstats
    for propstat in propstats:
        status = int((propstat.findtext(f"{DAV}status") or "").split()[1])
        for each in propstat.iterfind(f"{DAV}prop/*"):
            assert each.tag not in found
            found[each.tag] = (status, each)
    return found


def texts(found: Found) -> dict[str, str | None]:
    """The text of every property that was found."""
    return {name: element.text for name, (status, element) in found.items() if status == 200}


FILE = make_file(
    name="a<b>&c.txt", size=7, etag="tag", modified_ns=0, created_ns=86_400_000_000_000, sha1=b"\x01" * 20
)


def test_allprop_gives_the_properties_of_rfc_4918() -> None:
    """RFC 4918, 9.1.5 and 15: values escaped, entity tag quoted, no 404, neither quota nor ownCloud's."""
    found = read(Propfind(Mode.ALL), FILE)
    assert set(found) == set(ALLPROP)
    assert texts(found) == {
        f"{DAV}creationdate": "1970-01-02T00:00:00Z",
        f"{DAV}displayname": "a<b>&c.txt",
        f"{DAV}getcontentlength": "7",
        f"{DAV}getcontenttype": "text/plain",
        f"{DAV}getetag": '"tag"',
        f"{DAV}getlastmodified": "Thu, 01 Jan 1970 00:00:00 GMT",
        f"{DAV}resourcetype": None,
        f"{DAV}supportedlock": None,  # holds elements, no text
    }


def test_collection_has_no_content() -> None:
    """RFC 4918, 15: a collection has a type, times and a name; what it does not have is not mentioned."""
    found = read(Propfind(Mode.ALL), make_collection())
    assert set(found) == {
        f"{DAV}{name}"
        for name in (
            "creationdate",
            "displayname",
            "getlastmodified",
            "resourcetype",
            "supportedlock",
        )
    }
    assert [child.tag for child in found[f"{DAV}resourcetype"][1]] == [f"{DAV}collection"]


def test_every_named_property_is_answered_once() -> None:
    """RFC 4918, 9.1: what exists with 200, what does not with 404, whatever its namespace holds."""
    wanted = (
        "{DAV:}getetag",
        "{u&\"'<%s}x",
        "bare",
        f"{OC}checksums",
        f"{DAV}quota-used-bytes",
        f"{DAV}lockdiscovery",
    )
    found = read(Propfind(Mode.NAMED, wanted), FILE)
    assert {name: status for name, (status, _) in found.items()} == {
        "{DAV:}getetag": 200,
        f"{OC}checksums": 200,
        "{u&\"'<%s}x": 404,
        "bare": 404,
        f"{DAV}quota-used-bytes": 404,
        f"{DAV}lockdiscovery": 404,
    }


@pytest.mark.parametrize("wanted", [("{u}x",), (f"{DAV}getetag",), ()])
def test_minimal_leaves_out_what_does_not_exist(wanted: tuple[str, ...]) -> None:
    """RFC 8144, 2.1: no 404; where nothing is left, an empty propstat keeps the answer valid."""
    assert read(Propfind(Mode.NAMED, wanted), make_collection(), minimal=True) == {}


def test_include_adds_to_allprop() -> None:
    """RFC 4918, 9.1.6: named properties besides; an unknown one is a 404, one twice is given once."""
    wanted = Propfind(Mode.ALL, (f"{DAV}getetag", f"{OC}permissions", "{u}x"))
    found = read(wanted, FILE)
    assert set(found) == {*ALLPROP, f"{OC}permissions", "{u}x"}
    assert found["{u}x"][0] == 404


@pytest.mark.parametrize("node", [FILE, make_file(), make_collection()])
def test_propname_gives_names_without_values(node: Node) -> None:
    """RFC 4918, 9.1.4: the names of exactly those properties that a request by name would find."""
    usage = Usage(1, 2)
    found = read(Propfind(Mode.NAMES), node, usage)
    assert all(status == 200 and not element.text and not len(element) for status, element in found.values())
    by_name = read(Propfind(Mode.NAMED, tuple(LIVE)), node, usage)
    assert set(found) == {name for name, (status, _) in by_name.items() if status == 200}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(5, 10), {f"{DAV}quota-used-bytes": "5", f"{DAV}quota-available-bytes": "10"}),
        (Usage(5, None), {f"{DAV}quota-used-bytes": "5"}),
    ],
)
def test_quota_belongs_to_collections(usage: Usage, expected: dict[str, str]) -> None:
    """RFC 4331: numbers on a collection; what nobody can tell, and a file's, is a 404."""
    wanted = Propfind(Mode.NAMED, tuple(QUOTA))
    assert texts(read(wanted, make_collection(), usage)) == expected
    assert texts(read(wanted, FILE, usage)) == {}


@pytest.mark.parametrize(
    ("digests", "expected"),
    [
        ({"sha1": b"\xab" * 20}, "SHA1:" + "ab" * 20),
        ({"md5": b"\xcd" * 16}, "MD5:" + "cd" * 16),
        ({"sha1": b"\xab" * 20, "md5": b"\xcd" * 16}, f"SHA1:{'ab' * 20} MD5:{'cd' * 16}"),
        ({}, None),
    ],
)
def test_checksums_are_written_as_owncloud_does(digests: dict[str, bytes], expected: str | None) -> None:
    """Clients like rclone read one element with all digests; without any the property does not exist."""
    status, element = read(Propfind(Mode.NAMED, (f"{OC}checksums",)), make_file(**digests))[f"{OC}checksums"]
    assert (status == 200) is (expected is not None)
    assert element.findtext(f"{OC}checksum") == expected


def test_rows_with_and_without_digests_can_alternate() -> None:
    """What one node does not have is found again in the next."""
    writer = RowWriter(Propfind(Mode.NAMED, (f"{OC}checksums",)), facts(Scope.FULL, None), minimal=False)
    rows = [writer.row("/", node) for node in (FILE, make_file(), FILE, make_file())]
    assert rows[0] == rows[2]
    assert rows[1] == rows[3]
    assert "404" in rows[1]
    assert "404" not in rows[0]


@pytest.mark.parametrize(
    ("scopes", "file", "collection"),
    [
        (Scope.FULL, "DNVW", "DNVCK"),
        (Scope.NO_DELETE, "NVW", "NVCK"),
        (Scope.READ_ONLY, "", ""),
    ],
)
def test_permissions_are_those_of_the_credential(scopes: Scope, file: str, collection: str) -> None:
    """Clients of ownCloud show what may be done before they try it."""
    writer = RowWriter(Propfind(Mode.NAMED, (f"{OC}permissions",)), facts(scopes, None), minimal=False)
    for node, letters in ((FILE, file), (make_collection(), collection)):
        root = document([writer.row("/", node)])
        assert (root.findtext(f".//{OC}permissions") or "") == letters


@given(st.lists(names, max_size=5), st.sampled_from(list(Mode)))
def test_no_name_breaks_the_document(chosen: list[str], mode: Mode) -> None:
    """Every storable name comes back identical from a document that a strict parser reads."""
    writer = RowWriter(Propfind(mode, (f"{DAV}displayname",)), facts(Scope.FULL, None), minimal=False)
    root = document([writer.row(f"/dav/{encode(name)}", make_file(name=name)) for name in chosen])
    shown = [element.text or "" for element in root.iterfind(f".//{DAV}displayname")]
    # A parser turns no character of a storable name into another one.
    assert shown == ([""] * len(chosen) if mode is Mode.NAMES else chosen)


@pytest.mark.parametrize("rows", [0, 1, ROWS_A_BLOCK - 1, ROWS_A_BLOCK, ROWS_A_BLOCK + 1, 3 * ROWS_A_BLOCK])
def test_blocks_hold_all_rows_and_no_more_than_their_share(rows: int) -> None:
    """A long answer is cut between rows, and nothing is lost at the cuts."""
    made = [
        multistatus.response(f"/{number}", multistatus.propstat("", HTTPStatus.OK)) for number in range(rows)
    ]
    blocks = list(multistatus.blocks(iter(made)))
    assert max(block.count(b"<D:response>") for block in blocks) <= ROWS_A_BLOCK
    assert [element.findtext(f"{DAV}href") for element in fromstring(b"".join(blocks))] == [
        f"/{number}" for number in range(rows)
    ]


@given(
    st.lists(
        st.sampled_from([1, 1000, MAX_BLOCK_CHARS // 2, MAX_BLOCK_CHARS - 1, MAX_BLOCK_CHARS, 3_000_000])
    )
)
def test_blocks_are_bounded_whatever_the_rows(lengths: list[int]) -> None:
    """A block ends with the row that fills it: none is longer than its share and one row; none is lost."""
    rows = [f"<a{number}>{'x' * length}</a{number}>" for number, length in enumerate(lengths)]
    blocks = list(multistatus.blocks(iter(rows)))
    assert len(blocks) >= 2
    assert b"".join(blocks).decode() == multistatus.HEAD + "".join(rows) + multistatus.END
    for block in blocks:
        inside = block.decode().removeprefix(multistatus.HEAD).removesuffix(multistatus.END)
        last = next((row for row in rows if inside.endswith(row)), "")
        assert len(inside) - len(last) < MAX_BLOCK_CHARS


def test_blocks_are_made_as_they_are_asked_for() -> None:
    """Of a long listing with large values only one block is in memory at a time."""
    value = "v" * 1_000_000

    def rows() -> Iterator[str]:
        for number in range(50):
            yield f"<a{number}>{value}</a{number}>"

    tracemalloc.start()
    assert sum(map(len, multistatus.blocks(rows()))) > 50 * len(value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(value)


# ── what a node has of its own ──────────────────────────────────────────────────────────────────────────────
OWN = {
    "{u}a": '<n0:a xmlns:n0="u">100% %s %(x)d</n0:a>',
    "bare": "<bare/>",
    "{%s}b": '<n0:b xmlns:n0="%s"/>',
    f"{DAV}lockdiscovery": "<D:lockdiscovery/>",
}


def own_of(wanted: Propfind, *, minimal: bool = False) -> dict[str, tuple[str, str | None]]:
    """Status and text of the properties of a file that has `OWN`, and of no others."""
    writer = RowWriter(wanted, facts(Scope.FULL, None), minimal=minimal)
    (response,) = document([writer.row("/a", FILE, OWN)])
    return {
        each.tag: ((propstat.findtext(f"{DAV}status") or "").split()[1], each.text)
        for propstat in response.iterfind(f"{DAV}propstat")
        for each in propstat.iterfind(f"{DAV}prop/*")
        if each.tag not in LIVE
    }


def test_dead_properties_are_among_all() -> None:
    """RFC 4918, 9.1.5 and 9.1.6: all of them with allprop; asked for besides, each once."""
    expected = {name: ("200", "100% %s %(x)d" if name == "{u}a" else None) for name in OWN}
    assert own_of(Propfind(Mode.ALL)) == expected
    assert own_of(Propfind(Mode.ALL, ("{u}a", f"{DAV}getetag", "{u}no"))) == expected | {
        "{u}no": ("404", None)
    }


def test_names_of_dead_properties_are_among_the_names() -> None:
    """RFC 4918, 9.1.4: without their values."""
    assert own_of(Propfind(Mode.NAMES)) == dict.fromkeys(OWN, ("200", None))


@pytest.mark.parametrize("minimal", [False, True])
def test_dead_properties_are_found_by_name(*, minimal: bool) -> None:
    """In any mixture with live ones and such that nobody has; a percent sign is nothing special."""
    wanted = ("{%s}b", f"{DAV}getetag", "{%s}no", "{u}a", f"{DAV}quota-used-bytes")
    found = own_of(Propfind(Mode.NAMED, wanted), minimal=minimal)
    expected = {"{%s}b": ("200", None), "{u}a": ("200", "100% %s %(x)d")}
    assert found == (expected if minimal else expected | {"{%s}no": ("404", None)})


def test_rows_with_and_without_own_properties_can_alternate() -> None:
    """One writer serves all nodes of a listing."""
    writer = RowWriter(
        Propfind(Mode.NAMED, ("{u}a", f"{DAV}getetag")), facts(Scope.FULL, None), minimal=False
    )
    rows = [writer.row("/a", FILE, own) for own in (OWN, {}, OWN, {})]
    assert rows[:2] == rows[2:]
    assert ["404" in row for row in rows[:2]] == [False, True]
