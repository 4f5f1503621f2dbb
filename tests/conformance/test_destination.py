"""COPY and MOVE: where they go, and where they must not. RFC 4918, 9.8, 9.9, 10.3 and 10.6."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.http import Response
from tests.conformance.multistatus import DAV

CUTS = fault("decodes the Destination before it takes the URL apart, and cuts it at ; and ?")

AWKWARD_NAMES = [
    pytest.param("a;b.txt", marks=CUTS),
    pytest.param("a?b.txt", marks=CUTS),
    pytest.param("?", marks=CUTS),
    pytest.param(";", marks=CUTS),
    pytest.param("%3B;%3F?%23#%25%", marks=CUTS),
    "a#b.txt",
    "#",
    "100%.txt",
    "a%3Bb.txt",
    "a%2Fb.txt",
    "%",
    "%%%",
    "%zz",
    "a b",
    "a+b&c=d",
    "a:b@c",
    "[a]{b}|c^d`e",
    "a\\b",
    "'\"<>!$(),*~",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber",
    "\N{PILE OF POO}",
]
"""Names with everything that means something in a URL."""


@pytest.mark.parametrize("form", ["url", "path"])
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_name_survives_the_destination(dav: Client, name: str, method: str, form: str) -> None:
    """T17, RFC 4918, 10.3: the target has exactly the name that was encoded, and no other node is touched."""
    dav.made("source", b"moved")
    dav.made("a", b"bystander")
    destination = dav.url(name) if form == "url" else dav.at(name)
    assert dav.ask(method, "source", {"Destination": destination}).status == 201
    expected = {"a": b"bystander", name: b"moved"}
    assert dav.tree() == expected | ({"source": b"moved"} if method == "COPY" else {})


@CUTS
@pytest.mark.parametrize("name", ["a;c.txt", "a?c.txt"])
def test_destination_overwrites_nothing_else(dav: Client, name: str) -> None:
    """T17: two moves to names that begin alike give two files; the second does not replace the first."""
    dav.made("one", b"1")
    dav.made("two", b"2")
    assert dav.move("one", "a").status == 201
    assert dav.move("two", name).status == 201
    assert dav.tree() == {"a": b"1", name: b"2"}


SUBSTITUTES = fault("puts replacement characters for what is not UTF-8")
CRASHES = fault("answers 500")
STORES_CONTROLS = fault("stores a name that breaks every listing of its collection")
TAKES_SLASH = fault("takes an encoded slash for a separator")
DEFAULTS = fault("lets anything pass")

BAD_NAMES = [
    pytest.param("%ff", marks=SUBSTITUTES),
    pytest.param("%c0%af", marks=SUBSTITUTES),
    pytest.param("%c0%ae%c0%ae", marks=SUBSTITUTES),
    pytest.param("%ed%a0%80", marks=SUBSTITUTES),
    pytest.param("%f4%90%80%80", marks=SUBSTITUTES),
    pytest.param("a%c3", marks=SUBSTITUTES),
    pytest.param("%00", marks=CRASHES),
    pytest.param("a%00b", marks=CRASHES),
    pytest.param("%01", marks=STORES_CONTROLS),
    pytest.param("%0a", marks=STORES_CONTROLS),
    pytest.param("a%0D%0Ab", marks=STORES_CONTROLS),
    pytest.param("%1b%5b2J", marks=STORES_CONTROLS),
    pytest.param("%7f", marks=STORES_CONTROLS),
    pytest.param("%c2%85", marks=STORES_CONTROLS),
    pytest.param("%e2%80%a8", marks=STORES_CONTROLS),
    pytest.param("%ef%bf%be", marks=STORES_CONTROLS),
    pytest.param("%ef%bf%bf", marks=STORES_CONTROLS),
    pytest.param("sub%2fx", marks=TAKES_SLASH),
    pytest.param("sub%2Fx", marks=TAKES_SLASH),
    pytest.param("..%2fx", marks=TAKES_SLASH),
    pytest.param("%2e%2e%2fx", marks=TAKES_SLASH),
    pytest.param("sub/../x", marks=DEFAULTS),
    pytest.param("sub/%2e%2e/x", marks=DEFAULTS),
    pytest.param("./x", marks=DEFAULTS),
    pytest.param("sub//x", marks=DEFAULTS),
    pytest.param("/x", marks=DEFAULTS),
    pytest.param("%zz", marks=DEFAULTS),
    pytest.param("%4", marks=DEFAULTS),
    pytest.param("%", marks=DEFAULTS),
    pytest.param("%u0041", marks=DEFAULTS),
    pytest.param("x?y=1", marks=CUTS),
    pytest.param("x#y", marks=CUTS),
    pytest.param("x y", marks=DEFAULTS),
    pytest.param("\N{LATIN SMALL LETTER U WITH DIAERESIS}", marks=DEFAULTS),
    pytest.param("x" * 256, marks=CRASHES),
]
"""Ends of a Destination that name nothing which can be stored, or are no URL at all."""


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_name_in_the_destination_is_refused(dav: Client, name: str, method: str) -> None:
    """T17, RFC 3986, 2.1: a 4xx, and every node is where it was."""
    dav.made("source")
    dav.made_collection("sub")
    before = dav.tree()
    assert dav.ask(method, "source", {"Destination": dav.at() + name}).refused
    assert dav.tree() == before


ELSEWHERE = [
    pytest.param(None, id="none"),
    pytest.param("", id="empty"),
    "x",
    "sub/x",
    "*",
    pytest.param("http://[{path}", marks=CRASHES),
    "http://",
    pytest.param("http://{path}", marks=DEFAULTS),
    "http://{host}",
    "http://{host}/",
    "http://{host}/x",
    "/",
    "/x",
    "/davx/x",
    "/dav/../x",
    "ftp://{host}{path}",
    "file://{path}",
    "javascript:alert(1)",
    "http://example.org{path}",
    "http://{host}.example.org{path}",
    "http://{host}@example.org{path}",
    "http://localhost:1{path}",
    "//example.org{path}",
    "http://example.org:{port}{path}",
    "http://{host}{path}, http://{host}{path}",
]
"""Destinations that are not below this server's root."""


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("destination", ELSEWHERE)
def test_destination_elsewhere_is_refused(dav: Client, destination: str | None, method: str) -> None:
    """T20, RFC 4918, 9.8.5: another scheme, host, port or tree is a 4xx or 502, and nothing is moved."""
    dav.made("source")
    if destination is None:
        answer = dav.ask(method, "source")
    else:
        value = destination.format(host=dav.host, port=dav.address[1], path=dav.at("x"))
        answer = dav.ask(method, "source", {"Destination": value})
    assert answer.refused or answer.status == 502
    assert dav.tree() == {"source": b"content"}


@fault("believes X-Forwarded-Host from anyone")
def test_forged_forwarding_is_ignored(dav: Client) -> None:
    """T20: whoever is no trusted proxy cannot tell the server its own name."""
    dav.made("source")
    forged = {"X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "http", "Forwarded": "host=example.org"}
    answer = dav.ask("MOVE", "source", {"Destination": f"http://example.org{dav.at('x')}", **forged})
    assert answer.status in {400, 403, 502}
    assert dav.tree() == {"source": b"content"}


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_status_says_whether_the_target_is_new(dav: Client, method: str) -> None:
    """RFC 4918, 9.8.5 and 9.9.4: 201 if the target is new, 204 if it was replaced, without a body."""
    for name in ("one", "two"):
        dav.made(name, name.encode())
    assert dav.ask(method, "one", {"Destination": dav.url("target")}).status == 201
    answer = dav.ask(method, "two", {"Destination": dav.url("target")})
    assert (answer.status, answer.body) == (204, b"")
    assert dav.get("target").body == b"two"


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("kind", ["file", "collection"])
def test_overwrite_f_protects_the_target(dav: Client, method: str, kind: str) -> None:
    """RFC 4918, 10.6: `Overwrite: F` with a target: 412 and nothing changed; without one: 201."""
    dav.made_collection("collection").made("member")
    dav.made("file", b"old")
    dav.made("source", b"new")
    before = dav.tree()
    assert dav.ask(method, "source", {"Destination": dav.url(kind), "Overwrite": "F"}).status == 412
    assert dav.tree() == before
    assert dav.ask(method, "source", {"Destination": dav.url("free"), "Overwrite": "F"}).status == 201


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_collection_is_replaced_not_merged(dav: Client, method: str) -> None:
    """RFC 4918, 9.8.4 and 9.9.3: what is overwritten is gone with its members, whatever kinds meet."""
    dav.made_collection("source").made("new")
    dav.made_collection("target").made("old")
    assert dav.ask(method, "source/", {"Destination": dav.url("target/"), "Overwrite": "T"}).status == 204
    assert dav.tree("target/") == {"target/new": b"content"}
    dav.made("file", b"f")
    assert dav.ask(method, "file", {"Destination": dav.url("target")}).status == 204
    assert dav.get("target").body == b"f"


def test_copy_of_a_collection_is_deep_and_independent(dav: Client) -> None:
    """RFC 4918, 9.8.3: COPY takes everything below; what happens to one tree does not happen to the other."""
    dav.made_collection("a").made_collection("b").made("file", b"1")
    dav.below("a").made("file", b"2")
    assert dav.copy("a", "copy").status == 201
    before = dav.tree("a/")
    assert dav.tree("copy/") == {f"copy{path[1:]}": content for path, content in before.items()}
    assert dav.put("copy/b/file", b"changed").status == 204
    assert dav.delete("copy/file").status == 204
    assert dav.tree("a/") == before


@fault("copies the members all the same if the URL has no slash at its end")
def test_copy_of_depth_0_takes_the_collection_alone(dav: Client) -> None:
    """RFC 4918, 9.8.3: `Depth: 0` copies no members."""
    dav.made_collection("a").made("file")
    assert dav.copy("a", "copy", {"Depth": "0"}).status == 201
    assert dav.tree("copy/") == {}


@pytest.mark.parametrize(("method", "depth"), [("COPY", "1"), ("COPY", "2"), ("MOVE", "0"), ("MOVE", "1")])
def test_depth_that_a_collection_cannot_have_is_400(dav: Client, method: str, depth: str) -> None:
    """RFC 4918, 9.8.3 and 9.9.2: COPY of a collection knows 0 and infinity, MOVE only infinity."""
    dav.made_collection("a").made("file")
    assert dav.ask(method, "a", {"Destination": dav.url("b"), "Depth": depth}).status == 400
    assert dav.tree() == {"a/": None, "a/file": b"content"}


def test_move_takes_the_whole_tree(dav: Client) -> None:
    """RFC 4918, 9.9.2: every member has moved and the source is gone; also into another collection."""
    dav.made_collection("a").made_collection("b").made("file", b"1")
    dav.made_collection("other")
    assert dav.move("a/", "other/c/").status == 201
    expected = {"other/": None, "other/c/": None, "other/c/b/": None, "other/c/b/file": b"1"}
    assert dav.tree() == expected


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("target", ["a/b", "a/c/b", "a/c", "a", "a/"])
def test_nothing_goes_into_itself_or_onto_itself(dav: Client, method: str, target: str) -> None:
    """T21, RFC 4918, 9.8.5: into its own tree or onto itself: 403 or 409, and the tree is as before."""
    dav.made_collection("a").made_collection("c").made("file")
    before = dav.tree()
    assert dav.ask(method, "a", {"Destination": dav.url(target)}).status in {403, 409}
    assert dav.tree() == before


@fault("removes the target, and the source with it, before it looks")
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_nothing_replaces_what_it_lies_in(dav: Client, method: str) -> None:
    """T21: a member onto its own collection would delete itself on the way: 403 or 409, tree unchanged."""
    dav.made_collection("a").made_collection("b").made("file")
    before = dav.tree()
    assert dav.ask(method, "a/b", {"Destination": dav.url("a")}).status in {403, 409}
    assert dav.tree() == before


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_file_onto_itself_is_refused(dav: Client, method: str) -> None:
    """RFC 4918, 9.8.5: source and target are the same: 403, and the file is still there."""
    dav.made("file", b"still here")
    assert dav.ask(method, "file", {"Destination": dav.url("file")}).status == 403
    assert dav.get("file").body == b"still here"


@fault("looks for the parent of the root and answers 500")
def test_root_cannot_be_moved(dav: Client) -> None:
    """T21: the root as source of a MOVE is a 403 or 409."""
    dav.made("file")
    assert dav.send("MOVE", "/dav/", {"Destination": dav.url("x")}).status in {403, 409}
    assert dav.tree() == {"file": b"content"}


@fault("removes the whole tree before it looks")
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("root", ["/dav/", "/dav"])
def test_root_cannot_be_replaced(dav: Client, method: str, root: str) -> None:
    """T21: the root as target is a 4xx: it would take everything with it."""
    dav.made_collection("a").made("file")
    before = dav.tree()
    answer = dav.ask(method, "a", {"Destination": f"http://{dav.host}{root}"})
    assert answer.refused
    assert dav.tree() == before


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_missing_source_and_missing_parent(dav: Client, method: str) -> None:
    """RFC 4918, 9.8.5: no source is a 404, no parent of the target a 409; nothing appears."""
    assert dav.ask(method, "missing", {"Destination": dav.url("target")}).status == 404
    dav.made("source")
    assert dav.ask(method, "source", {"Destination": dav.url("missing/target")}).status == 409
    assert dav.tree() == {"source": b"content"}


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_target_below_a_file_is_a_conflict(dav: Client, method: str) -> None:
    """RFC 4918, 9.8.5: a file has no members: 4xx and nothing changed."""
    dav.made("source", b"1")
    dav.made("file", b"2")
    assert dav.ask(method, "source", {"Destination": dav.url("file/x")}).status in {403, 409}
    assert dav.tree() == {"source": b"1", "file": b"2"}


@fault("ignores it")
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_time_of_the_client_is_kept_and_confirmed(dav: Client, method: str) -> None:
    """X-OC-Mtime on COPY and MOVE, as rclone sends it: kept, `accepted`, and MOVE keeps the ETag."""
    etag = dav.made("source")["ETag"]
    answer: Response = dav.ask(
        method, "source", {"Destination": dav.url("target"), "X-OC-Mtime": "1000000000"}
    )
    assert answer.status == 201
    assert answer["X-OC-Mtime"] == "accepted"
    assert dav.property("target", f"{DAV}getlastmodified") == "Sun, 09 Sep 2001 01:46:40 GMT"
    if method == "MOVE":
        assert dav.head("target")["ETag"] == etag


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_time_stays_without_the_field(dav: Client, method: str) -> None:
    """A file that was moved or copied has the content of before, and its time."""
    dav.made("source", b"x")
    before = dav.head("source")["Last-Modified"]
    assert dav.ask(method, "source", {"Destination": dav.url("target")}).status == 201
    assert dav.head("target")["Last-Modified"] == before


@CUTS
def test_names_survive_inside_a_tree(dav: Client) -> None:
    """T17: the same through MOVE of a collection and into one, segment by segment."""
    dav.made_collection("a;b?").made("c#d%2F", b"1")
    assert dav.move("a;b?", "e?f;").status == 201
    assert dav.move("e?f;/c#d%2F", "e?f;/g;h?").status == 201
    assert dav.tree() == {"e?f;/": None, "e?f;/g;h?": b"1"}
