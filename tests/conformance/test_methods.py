"""OPTIONS, MKCOL, DELETE, and methods that are not offered. RFC 9110, 9.3.7; RFC 4918, 9.3, 9.6 and 18."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.http import Response

OFFERED = {
    *("OPTIONS", "GET", "HEAD", "PUT", "DELETE"),
    *("MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH"),
    *("LOCK", "UNLOCK"),
}


def _list(answer: Response, name: str) -> set[str]:
    return {item.strip() for item in answer[name].split(",")}


PLACES = [
    "",
    "collection",
    "collection/",
    "file",
    pytest.param("missing"),
    pytest.param(
        "missing/below/it", marks=fault("answers 404 without a DAV field: gvfs then sees no WebDAV")
    ),
]


@pytest.mark.parametrize("place", PLACES)
def test_options_says_dav_everywhere(dav: Client, place: str) -> None:
    """RFC 4918, 10.1: 2xx (404 where nothing is) with the compliance classes, whatever is or is not there."""
    dav.made_collection("collection")
    dav.made("file")
    answer = dav.ask("OPTIONS", place)
    assert answer.status in ({200, 204, 404} if place.startswith("missing") else {200, 204})
    assert "1" in _list(answer, "DAV")


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("place", ["", "file", "missing/below/it"])
def test_options_offers_what_there_is(dav: Client, place: str) -> None:
    """RFC 4918, 18: classes 1, 2 and 3; Allow names what can be used."""
    dav.made("file")
    answer = dav.ask("OPTIONS", place)
    assert _list(answer, "DAV") == {"1", "2", "3"}
    assert "OPTIONS" in _list(answer, "Allow")
    if place == "file":
        assert _list(answer, "Allow") >= OFFERED - {"MKCOL"}


@fault("looks for a file called *")
def test_options_of_the_server(dav: Client) -> None:
    """RFC 9110, 9.3.7: `OPTIONS *` asks about the server as a whole."""
    assert dav.send("OPTIONS", "*").status in {200, 204}


def test_options_tells_microsoft(dav: Client) -> None:
    """Office opens documents for writing only where OPTIONS says `MS-Author-Via: DAV`."""
    assert dav.ask("OPTIONS")["MS-Author-Via"] == "DAV"


@fault("does not say what is allowed")
@pytest.mark.parametrize("method", ["PATCH", "REPORT", "SEARCH", "ACL", "BREW", "get"])
def test_unknown_method_is_refused_with_allow(dav: Client, method: str) -> None:
    """RFC 9110, 15.5.6: 405 with Allow, or 501 for a method nobody knows; method names are case-sensitive."""
    dav.made("file")
    answer = dav.ask(method, "file")
    assert answer.status in {405, 501}
    if answer.status == 405:
        assert {"GET", "PUT", "PROPFIND"} <= _list(answer, "Allow")
        assert method not in _list(answer, "Allow")


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("method", ["POST", "TRACE"])
def test_what_is_not_offered_is_405(dav: Client, method: str) -> None:
    """RFC 9110, 15.5.6: TRACE would show credentials to whoever may send it. Allow says what is offered."""
    dav.made("file")
    answer = dav.ask(method, "file")
    assert answer.status == 405
    assert _list(answer, "Allow") >= {"LOCK", "UNLOCK"}
    assert method not in _list(answer, "Allow")
    assert dav.tree() == {"file": b"content"}


# ── MKCOL ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["collection", "collection/"])
def test_mkcol_makes_an_empty_collection(dav: Client, name: str) -> None:
    """RFC 4918, 9.3: 201, with and without the slash."""
    assert dav.mkcol(name).status == 201
    assert dav.tree() == {"collection/": None}


@pytest.mark.parametrize("name", ["file", "collection", "collection/"])
def test_mkcol_of_what_exists_is_405(dav: Client, name: str) -> None:
    """RFC 4918, 9.3.1: 405, also over a file, and nothing is changed."""
    dav.made("file")
    dav.made_collection("collection").made("member")
    before = dav.tree()
    assert dav.mkcol(name).status == 405
    assert dav.tree() == before


@pytest.mark.parametrize("root", ["/dav", "/dav/"])
def test_mkcol_of_the_root_is_405(dav: Client, root: str) -> None:
    """RFC 4918, 9.3.1: the root exists."""
    assert dav.send("MKCOL", root).status == 405


@pytest.mark.parametrize("name", ["missing/new", "file/new"])
def test_mkcol_needs_its_parent(dav: Client, name: str) -> None:
    """RFC 4918, 9.3.1: 409 (for a file as parent 403 or 405 too), and nothing appears."""
    dav.made("file")
    assert dav.mkcol(name).status in ({409} if name.startswith("missing") else {403, 405, 409})
    assert dav.tree() == {"file": b"content"}


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Type": "text/plain"}, b"x"),
        ({"Content-Type": "application/xml"}, b'<x xmlns="urn:x"/>'),
        pytest.param(
            {"Transfer-Encoding": "chunked"},
            b"1\r\nx\r\n0\r\n\r\n",
            marks=fault("does not see a body that comes in chunks"),
        ),
    ],
)
def test_mkcol_with_a_body_is_415(dav: Client, headers: dict[str, str], body: bytes) -> None:
    """RFC 4918, 9.3.1: a body that is not understood: 415, and no collection."""
    assert dav.ask("MKCOL", "new", headers, body).status == 415
    assert dav.tree() == {}


# ── DELETE ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_delete_removes_the_whole_tree(dav: Client) -> None:
    """RFC 4918, 9.6: 204 without a body, for files and for collections with everything below."""
    dav.made("file")
    dav.made_collection("a").made_collection("b").made("c")
    for name in ("file", "a"):
        answer = dav.delete(name)
        assert (answer.status, answer.body) == (204, b"")
    assert dav.tree() == {}


def test_delete_of_what_is_missing_is_404(dav: Client) -> None:
    """RFC 9110, 15.5.5, also below what is missing."""
    assert dav.delete("missing").status == 404
    assert dav.delete("missing/below").status == 404


@pytest.mark.parametrize("depth", ["0", "1"])
def test_delete_of_a_collection_is_always_deep(dav: Client, depth: str) -> None:
    """RFC 4918, 9.6.1: a client must not send another Depth than infinity: 400, and all is still there."""
    dav.made_collection("a").made("b")
    assert dav.delete("a", {"Depth": depth}).status == 400
    assert dav.tree() == {"a/": None, "a/b": b"content"}


@fault("looks for the parent of the root and answers 500")
@pytest.mark.parametrize("root", ["/dav", "/dav/"])
def test_delete_of_the_root_is_403(dav: Client, root: str) -> None:
    """RFC 9110, 15.5.4: nobody empties a vault with one request."""
    dav.made("file")
    assert dav.send("DELETE", root).status == 403
    assert dav.tree() == {"file": b"content"}


@fault("sends Content-Length")
def test_204_has_no_length(dav: Client) -> None:
    """RFC 9110, 8.6: a 204 must not carry Content-Length."""
    dav.made("file")
    assert dav.delete("file").get("Content-Length") is None


# ── GET of a collection ─────────────────────────────────────────────────────────────────────────────────────
@fault("sends a page with the names, made for a browser")
def test_get_of_a_collection_lists_nothing(dav: Client) -> None:
    """T36: no listing that a browser would show; PROPFIND is for that."""
    dav.made_collection("c").made("secret-name")
    answer = dav.get("c/")
    assert answer.status in {200, 403, 405}
    assert b"secret-name" not in answer.body
