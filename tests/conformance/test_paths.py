"""Which node a request target names: that one exactly, or none. RFC 3986, 2 and 3.3; T16."""

from __future__ import annotations

import unicodedata

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.http import request
from tests.conformance.multistatus import DAV

RESETS = fault("closes the connection without an answer")
CRASHES = fault("answers 500")
STORES_CONTROLS = fault("stores a name that breaks every listing of its collection")
LEAVES_SLASH = fault("leaves %2F as it is, so that two names become one")
NORMALISES = fault("makes another path of it and serves that")
ACCEPTS = fault("stores something under another name")

BAD_TARGETS = [
    pytest.param(b"%ff", marks=RESETS),
    pytest.param(b"%c0%af", marks=RESETS),
    pytest.param(b"%c0%ae%c0%ae", marks=RESETS),
    pytest.param(b"%c0%ae%c0%ae%c0%afx", marks=RESETS),
    pytest.param(b"%e0%80%af", marks=RESETS),
    pytest.param(b"%ed%a0%80", marks=RESETS),
    pytest.param(b"%f4%90%80%80", marks=RESETS),
    pytest.param(b"%f8%88%80%80%80", marks=RESETS),
    pytest.param(b"%e0%80%ae%e0%80%ae/x", marks=RESETS),
    pytest.param(b"%c0.%c0./x", marks=RESETS),
    pytest.param(b"%fe%ff", marks=RESETS),
    pytest.param(b"a%c3", marks=RESETS),
    pytest.param(b"a%c3/b", marks=RESETS),
    pytest.param(b"%00", marks=CRASHES),
    pytest.param(b"a%00b", marks=CRASHES),
    pytest.param(b"sub/%00", marks=CRASHES),
    pytest.param(b"sub%00/x", marks=CRASHES),
    pytest.param(b"..%00/x", marks=CRASHES),
    pytest.param(b"%01", marks=STORES_CONTROLS),
    pytest.param(b"%09", marks=STORES_CONTROLS),
    pytest.param(b"%0a", marks=STORES_CONTROLS),
    pytest.param(b"a%0D%0Ab", marks=STORES_CONTROLS),
    pytest.param(b"%1b%5b2J", marks=STORES_CONTROLS),
    pytest.param(b"%7f", marks=STORES_CONTROLS),
    pytest.param(b"%c2%80", marks=STORES_CONTROLS),
    pytest.param(b"%c2%85", marks=STORES_CONTROLS),
    pytest.param(b"%e2%80%a8", marks=STORES_CONTROLS),
    pytest.param(b"%ef%b7%90", marks=STORES_CONTROLS),
    pytest.param(b"%ef%bf%be", marks=STORES_CONTROLS),
    pytest.param(b"%ef%bf%bf", marks=STORES_CONTROLS),
    pytest.param(b"a%2fb", marks=LEAVES_SLASH),
    pytest.param(b"a%2Fb", marks=LEAVES_SLASH),
    pytest.param(b"sub%2Fx", marks=LEAVES_SLASH),
    pytest.param(b"..%2fx", marks=LEAVES_SLASH),
    pytest.param(b"%2e%2e%2fx", marks=LEAVES_SLASH),
    pytest.param(b"%2F", marks=LEAVES_SLASH),
    pytest.param(b"sub/..%2fx", marks=LEAVES_SLASH),
    pytest.param(b"%2e%2e%2f%2e%2e%2fx", marks=LEAVES_SLASH),
    pytest.param(b"sub/../x", marks=NORMALISES),
    pytest.param(b"sub/%2e%2e/x", marks=NORMALISES),
    pytest.param(b"sub/%2E./x", marks=NORMALISES),
    pytest.param(b"sub/./x", marks=NORMALISES),
    pytest.param(b".%2e/x", marks=NORMALISES),
    pytest.param(b"./x", marks=NORMALISES),
    pytest.param(b"%2e/x", marks=NORMALISES),
    pytest.param(b"sub//x", marks=NORMALISES),
    pytest.param(b"/x", marks=NORMALISES),
    pytest.param(b"//x", marks=NORMALISES),
    pytest.param(b"sub/.", marks=NORMALISES),
    pytest.param(b"sub/..", marks=NORMALISES),
    pytest.param(b"..", marks=NORMALISES),
    pytest.param(b"%2e%2e", marks=NORMALISES),
    pytest.param(b"../../../../x", marks=NORMALISES),
    pytest.param(b"x%zz", marks=ACCEPTS),
    pytest.param(b"x%4", marks=ACCEPTS),
    pytest.param(b"x%", marks=ACCEPTS),
    pytest.param(b"%u0041", marks=ACCEPTS),
    b"x#y",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode(),
    b"\x80",
    pytest.param(b"x" * 256, marks=CRASHES),
    pytest.param(b"%c3%bc" * 128, marks=CRASHES),
    pytest.param(b"/".join([b"x"] * 400), marks=CRASHES),
]
"""Ends of a request target that name nothing which can be stored, or are no path at all."""


@pytest.mark.parametrize("target", BAD_TARGETS)
def test_bad_target_names_nothing(dav: Client, target: bytes) -> None:
    """T16: 400 or 404 (never another node, never a 5xx), and what is there can still be listed."""
    dav.made("x")
    dav.made_collection("sub").made("x")
    before = dav.tree()
    for method, body in (("GET", None), ("PUT", b"stray"), ("MKCOL", None)):
        wire = request(method, f"{dav.at()}TARGET", {**dav.headers, "Connection": "close"}, body)
        with dav.connect() as connection:
            connection.send(wire.replace(b"TARGET", target))
            assert connection.read(method).status in {400, 404, 414}
    assert dav.tree() == before


NAMES = [
    "a;b.txt",
    "..;",
    ";",
    "a?b#c",
    "%2e%2e",
    "a%2Fb",
    "a%00b",
    "100%",
    "..\\..\\x",
    "a\\b",
    " ",
    " leading and trailing ",
    "trailing dot.",
    ".hidden",
    "..a",
    "...",
    "~",
    "-",
    "CON",
    "a:b",
    "<&>\"']]>",
    "{0}%s$HOME`id`",
    "a+b&c=d",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{GREEK SMALL LETTER OMEGA}\N{CYRILLIC SMALL LETTER YA}",
    "\N{PILE OF POO}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}",
    "\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe",
    "\N{ZERO WIDTH SPACE}",
    "n" * 200,
    "n" * 255,
    "\N{PILE OF POO}" * 63,
]
"""Names that can be stored, exactly as they are."""


@pytest.mark.parametrize("name", NAMES)
def test_name_is_kept_exactly(dav: Client, name: str) -> None:
    """T16, T17: a name is literal from PUT through listing, MOVE and GET to DELETE."""
    dav.made(name, b"1")
    (member,) = multistatus.parse(dav.propfind("", f"{DAV}displayname", depth="1"))[1:]
    assert member.path == dav.below("").root.rstrip("/") + "/" + name
    assert member.text(f"{DAV}displayname") == name
    assert dav.move(name, "other").status == 201
    dav.made_collection(name).made(name, b"2")
    assert dav.tree() == {"other": b"1", f"{name}/": None, f"{name}/{name}": b"2"}
    assert dav.delete(name).status == 204
    assert dav.tree() == {"other": b"1"}


@pytest.mark.parametrize("encoded", ["%41%2D%5F%7e", "A-_~", "A%2d_~"])
def test_what_need_not_be_encoded_may_be(dav: Client, encoded: str) -> None:
    """RFC 3986, 6.2.2.2: unreserved characters mean the same encoded, in digits of either case."""
    dav.made("A-_~")
    assert dav.send("GET", dav.at() + encoded).status == 200


@fault("takes any spelling of the first name, and then does not know it in a Destination")
@pytest.mark.parametrize("prefix", ["/DAV/", "/Dav/"])
def test_root_has_one_spelling(dav: Client, prefix: str) -> None:
    """T18: what is compared in one place and not in another cannot be relied on by a proxy's rules."""
    dav.made("file")
    path = prefix + dav.at("file").removeprefix("/dav/")
    assert dav.send("GET", path).refused
    assert dav.send("PROPFIND", path, {"Depth": "0"}).refused


def test_case_makes_a_difference(dav: Client) -> None:
    """Two names that differ in case are two files."""
    dav.made("Name", b"1")
    dav.made("name", b"2")
    assert dav.tree() == {"Name": b"1", "name": b"2"}


COMPOSED = unicodedata.normalize("NFC", "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
SPELLINGS = pytest.mark.parametrize(("first", "second"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])


@fault("takes two spellings of one name for two names")
@SPELLINGS
def test_another_spelling_finds_the_same_file(dav: Client, first: str, second: str) -> None:
    """Finder sends names in NFD, others in NFC: both mean one file, and its first spelling stays."""
    dav.made(first, b"1")
    assert dav.get(second).body == b"1"
    assert dav.put(second, b"2").status == 204
    assert dav.tree() == {first: b"2"}
    assert dav.delete(second).status == 204
    assert dav.tree() == {}


@fault("takes two spellings of one name for two names")
@SPELLINGS
def test_another_spelling_finds_the_same_collection(dav: Client, first: str, second: str) -> None:
    """The same for a collection on the way, for MKCOL (exists: 405) and for a Destination (exists: 412)."""
    dav.made_collection(first).made("file", b"1")
    assert dav.get(f"{second}/file").body == b"1"
    assert dav.mkcol(second).status == 405
    dav.made("source")
    assert dav.move("source", second, {"Overwrite": "F"}).status == 412
    assert dav.move("source", f"{second}/file").status == 204
    assert dav.tree() == {f"{first}/": None, f"{first}/file": b"content"}


@fault("serves the file")
@pytest.mark.parametrize("method", ["GET", "PROPFIND", "DELETE"])
def test_file_is_no_collection(dav: Client, method: str) -> None:
    """T16: a slash at the end names a collection (RFC 4918, 5.2); there is none."""
    dav.made("file")
    assert dav.ask(method, "file/", {"Depth": "0"}).status in {400, 404}
    assert dav.tree() == {"file": b"content"}


@fault("makes a file without the slash")
def test_file_is_not_made_under_the_name_of_a_collection(dav: Client) -> None:
    """RFC 4918, 5.2: a PUT to a name with a slash at its end is a 4xx; no file of another name appears."""
    assert dav.put("new/", b"x").refused
    assert dav.tree() == {}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PROPFIND", "DELETE", "PROPPATCH"])
def test_nothing_lies_below_a_file(dav: Client, method: str) -> None:
    """RFC 4918, 5.1: a file has no members: 404."""
    dav.made("file")
    body = multistatus.proppatch([(f"{DAV}lastmodified", "1")]) if method == "PROPPATCH" else None
    assert dav.ask(method, "file/x", {"Depth": "0"}, body).status == 404


def test_collection_is_found_with_and_without_its_slash(dav: Client) -> None:
    """RFC 4918, 5.2: both name it; what is answered has the slash."""
    dav.made_collection("c").made("file")
    for name in ("c", "c/"):
        own, member = multistatus.parse(dav.propfind(name, f"{DAV}resourcetype", depth="1"))
        assert own.path == dav.at("c/")
        assert member.path == dav.at("c/file")


def test_query_is_not_part_of_the_name(dav: Client) -> None:
    """RFC 3986, 3.4: a query does not change which file is meant, nor who may read it."""
    dav.made("file", b"1")
    assert dav.send("GET", dav.at("file") + "?x=/../y").body == b"1"
