"""PROPFIND. RFC 4918, 9.1, 14 and 15; RFC 4331."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.conftest import Server
from tests.conformance.counting import fewest_statements
from tests.conformance.faults import fault
from tests.conformance.http import Response, chunked
from tests.conformance.multistatus import DAV, OC
from tests.conformance.ours import OurServer
from tests.conformance.quick import at_once

MANY = 5_000

LIVE = {
    f"{DAV}{name}"
    for name in (
        "creationdate",
        "displayname",
        "getcontentlength",
        "getcontenttype",
        "getetag",
        "getlastmodified",
        "resourcetype",
    )
}
QUOTA = {f"{DAV}quota-available-bytes", f"{DAV}quota-used-bytes"}

RCLONE = b"""<?xml version="1.0"?>
<d:propfind  xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns">
 <d:prop>
  <d:displayname />
  <d:getlastmodified />
  <d:getcontentlength />
  <d:resourcetype />
  <oc:checksums />
  <oc:permissions />
 </d:prop>
</d:propfind>
"""
"""What rclone 1.76 sends, byte by byte."""


ETAG = b'<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'


def ask(dav: Client, name: str, body: bytes, headers: dict[str, str] | None = None) -> Response:
    """PROPFIND Depth 0 with a body of one's own."""
    return dav.ask("PROPFIND", name, {"Depth": "0", **(headers or {})}, body)


# ── what is asked ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("body", [None, b"", b'<propfind xmlns="DAV:"><allprop/></propfind>'])
def test_allprop_gives_the_live_properties(dav: Client, body: bytes | None) -> None:
    """RFC 4918, 9.1: no body, an empty one and `allprop` ask for the same: all properties of RFC 4918."""
    dav.made("file.txt", b"12345")
    file = multistatus.only(dav.ask("PROPFIND", "file.txt", {"Depth": "0"}, body))
    assert file.names() >= LIVE
    assert not file.names(404)
    assert file.text(f"{DAV}getcontentlength") == "5"
    assert file.text(f"{DAV}getcontenttype").startswith("text/plain")
    assert file.text(f"{DAV}displayname") == "file.txt"
    assert not list(file.element(f"{DAV}resourcetype"))


@fault("answers with an empty response, for it looks for a property called propname")
def test_propname_gives_names_without_values(dav: Client) -> None:
    """RFC 4918, 9.1: names of all properties, each in an empty element with status 200."""
    dav.made("file", b"12345")
    file = multistatus.only(ask(dav, "file", b'<propfind xmlns="DAV:"><propname/></propfind>'))
    assert file.names() >= LIVE
    for name in file.names():
        assert not file.text(name)
        assert not list(file.element(name))


@fault("ignores it")
def test_include_adds_to_allprop(dav: Client) -> None:
    """RFC 4918, 14.8: allprop and these besides."""
    body = b'<propfind xmlns="DAV:"><allprop/><include><quota-used-bytes/><unknown/></include></propfind>'
    found = multistatus.only(ask(dav, "", body))
    assert found.names() >= {f"{DAV}getlastmodified", f"{DAV}quota-used-bytes"}
    assert found.names(404) == {f"{DAV}unknown"}


@fault("answers with an empty response")
@pytest.mark.parametrize(
    "body", [b'<propfind xmlns="DAV:"/>', b'<propfind xmlns="DAV:"><x xmlns="urn:x"/></propfind>']
)
def test_propfind_that_asks_for_nothing(dav: Client, body: bytes) -> None:
    """RFC 4918, 14.20: one of prop, propname and allprop has to be there: 400, or as an empty body."""
    dav.made("file")
    answer = ask(dav, "file", body)
    if answer.status != 400:
        assert multistatus.only(answer).names() >= LIVE


@pytest.mark.parametrize(
    "body",
    [
        b'<propfind xmlns="DAV:"><prop><getetag/></prop><later xmlns="urn:x"><a/></later></propfind>',
        b'<propfind xmlns="DAV:" a="b"><prop c="d"><getetag e="f"/></prop></propfind>',
        b'<propfind xmlns="DAV:"><prop><!-- c --><getetag/></prop></propfind>',
        b'<propfind xmlns="DAV:"><prop><?target data?><getetag/></prop></propfind>',
        b'<?xml version="1.0"?><!-- c --><?t d?>' + ETAG + b"<!-- c -->",
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>' + ETAG,
        ('<?xml version="1.0" encoding="utf-16"?>' + ETAG.decode()).encode("utf-16"),
    ],
    ids=["extension", "attributes", "comment", "instruction", "around", "mark", "utf-16"],
)
def test_what_xml_allows_is_read(dav: Client, body: bytes) -> None:
    """RFC 4918, 17 and 8.2: unknown elements and attributes, comments and instructions are passed over."""
    etag = dav.made("file")["ETag"]
    assert multistatus.only(ask(dav, "file", body)).text(f"{DAV}getetag").strip('"') == etag.strip('"')


def test_unknown_property_is_404(dav: Client) -> None:
    """RFC 4918, 9.1: in a propstat of its own, with its namespace; also names that look alike."""
    dav.made("file")
    file = dav.properties("file", "{urn:x}getetag", f"{DAV}nothing", f"{DAV}getetag")
    assert file.names() == {f"{DAV}getetag"}
    assert file.names(404) == {"{urn:x}getetag", f"{DAV}nothing"}


def test_property_without_a_namespace_is_404(dav: Client) -> None:
    """RFC 4918, 21.4: `xmlns=""` is a name too, and is answered as it was asked."""
    dav.made("file")
    body = b'<D:propfind xmlns:D="DAV:"><D:prop><nothing/></D:prop></D:propfind>'
    assert multistatus.only(ask(dav, "file", body)).names(404) == {"nothing"}


def test_rclone_gets_what_it_asks_for(dav: Client) -> None:
    """The request of rclone, one level: collections and files told apart, sizes and dates there."""
    dav.made_collection("sub")
    dav.made("file", b"12345")
    answer = dav.ask("PROPFIND", "", {"Depth": "1"}, RCLONE)
    own, *members = multistatus.parse(answer)
    found = {member.path.removeprefix(own.path): member for member in members}
    assert found["sub/"].element(f"{DAV}resourcetype").find(f"{DAV}collection") is not None
    assert found["file"].element(f"{DAV}resourcetype").find(f"{DAV}collection") is None
    assert found["file"].text(f"{DAV}getcontentlength") == "5"
    assert parsedate_to_datetime(found["file"].text(f"{DAV}getlastmodified")).tzinfo is UTC


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_dates_have_their_formats(dav: Client) -> None:
    """RFC 4918, 15.1 and 15.7: RFC 3339 in UTC and the HTTP date, both of now, also of a collection."""
    dav.made("file")
    dav.made_collection("collection")
    for name in ("file", "collection"):
        found = dav.properties(name, f"{DAV}creationdate", f"{DAV}getlastmodified")
        created = datetime.fromisoformat(found.text(f"{DAV}creationdate"))
        modified = parsedate_to_datetime(found.text(f"{DAV}getlastmodified"))
        assert found.text(f"{DAV}getlastmodified").endswith(" GMT")
        for moment in (created, modified):
            assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_collection_has_no_content(dav: Client) -> None:
    """RFC 4918, 15.4 and 15.6: no length and, for it has no content, no ETag that could match."""
    found = dav.properties("", f"{DAV}resourcetype", f"{DAV}getcontentlength")
    assert found.element(f"{DAV}resourcetype").find(f"{DAV}collection") is not None
    assert found.status_of(f"{DAV}getcontentlength") == 404


@fault("gives them unasked")
def test_quota_is_not_in_allprop(dav: Client) -> None:
    """RFC 4331, 3 and 4: quota properties are given when they are asked for, not otherwise."""
    assert not dav.properties("").names() & QUOTA
    found = dav.properties("", *QUOTA)
    assert all(int(found.text(name)) >= 0 for name in QUOTA)


@fault("gives an empty one")
def test_file_has_no_quota(dav: Client) -> None:
    """RFC 4331, 2: quota is a property of collections."""
    dav.made("file")
    assert dav.properties("file", *QUOTA).names(404) == QUOTA


def test_quota_counts(ours: OurServer) -> None:
    """RFC 4331, 3 and 4: what is used rises with what is stored, what is left falls, to the byte."""
    client = ours.new_account(quota=1000).client

    def numbers() -> list[str]:
        found = client.properties("", *QUOTA)
        return [found.text(f"{DAV}quota-used-bytes"), found.text(f"{DAV}quota-available-bytes")]

    assert numbers() == ["0", "1000"]
    client.made("file", bytes(300))
    assert numbers() == ["300", "700"]
    assert client.copy("file", "copy").status == 201
    assert numbers() == ["600", "400"]
    assert client.put("file", bytes(10)).status == 204
    assert numbers() == ["310", "690"]
    assert client.delete("copy").status == 204
    assert numbers() == ["10", "990"]


@fault("ignores it")
@pytest.mark.parametrize(
    "fields", [{"Prefer": "return=minimal"}, {"Prefer": "respond-async, return=minimal"}]
)
def test_minimal_answer_leaves_out_what_is_not_there(dav: Client, fields: dict[str, str]) -> None:
    """RFC 8144, 2.1: no propstats of 404; the client is told that it was understood."""
    answer = dav.propfind("", f"{DAV}resourcetype", f"{DAV}nothing", headers=fields)
    assert set(multistatus.only(answer).properties) == {f"{DAV}resourcetype"}
    assert answer["Preference-Applied"] == "return=minimal"


@pytest.mark.usefixtures("ours")
def test_checksums_are_given(dav: Client) -> None:
    """oc:checksums: what was verified is given back in ownCloud's form; 404 where none is known."""
    content = b"digest me"
    checksum = f"SHA1:{hashlib.sha1(content).hexdigest()}"
    dav.made("known", content, {"OC-Checksum": checksum})
    dav.made("plain", content)
    found = dav.properties("known", f"{OC}checksums").element(f"{OC}checksums")
    assert checksum in (found.findtext(f"{OC}checksum") or "").split()
    assert dav.properties("plain", f"{OC}checksums").status_of(f"{OC}checksums") == 404


# ── Depth ───────────────────────────────────────────────────────────────────────────────────────────────────
@fault("walks the whole tree")
@pytest.mark.parametrize("headers", [{}, {"Depth": "infinity"}, {"Depth": "Infinity"}])
def test_depth_infinity_is_refused(dav: Client, headers: dict[str, str]) -> None:
    """T24, RFC 4918, 9.1.1: 403 with propfind-finite-depth; no Depth means infinity."""
    answer = dav.ask("PROPFIND", "", headers)
    assert answer.status == 403
    assert answer["Content-Type"].startswith("application/xml")
    assert b"propfind-finite-depth" in answer.body


@pytest.mark.parametrize("depth", ["2", "-1", "one", "", "0,1", "1,noroot"])
def test_malformed_depth_is_400(dav: Client, depth: str) -> None:
    """RFC 4918, 10.2: "0", "1" and "infinity" and nothing else."""
    assert dav.ask("PROPFIND", "", {"Depth": depth}).status == 400


def test_depth_1_lists_one_level(dav: Client) -> None:
    """RFC 4918, 10.2: the collection itself and its members, not theirs; a file has none."""
    dav.made_collection("a").made("b")
    dav.made("c")
    assert set(dav.listing()) == {"a/", "c"}
    assert len(multistatus.parse(dav.propfind("c", depth="1"))) == 1


@pytest.mark.parametrize("name", ["missing", "missing/", "missing/below"])
def test_missing_is_404(dav: Client, name: str) -> None:
    """RFC 9110, 15.5.5: rclone and Obsidian tell by this that there is no such folder."""
    assert dav.propfind(name).status == 404


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────
@fault("ignores a body that comes in chunks, and reads it as the next request")
@pytest.mark.parametrize("method", ["PROPFIND", "PROPPATCH"])
def test_body_in_chunks_is_read(dav: Client, method: str) -> None:
    """RFC 9112, 7.1: chunks are a body like any other; the connection goes on with the next request."""
    dav.made("file")
    properties = multistatus.propfind([f"{DAV}getcontentlength"])
    update = multistatus.proppatch([(f"{DAV}getcontentlength", "1")])
    body = chunked([(properties if method == "PROPFIND" else update)])
    headers = {**dav.headers, "Depth": "0", "Transfer-Encoding": "chunked"}
    with dav.connect() as connection:
        for _ in range(2):
            answer = connection.ask(method, dav.at("file"), headers, body)
            names = multistatus.only(answer).names(200 if method == "PROPFIND" else 403)
            assert names == {f"{DAV}getcontentlength"}


LAUGHS = b"".join(b'<!ENTITY a%d "%b">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10))
QUADRATIC = b'<!ENTITY a "' + b"x" * 50_000 + b'">'

BAD_XML = {
    "nothing": b" ",
    "text": b"getetag",
    "unclosed": b'<propfind xmlns="DAV:"><prop>',
    "other root": b'<prop xmlns="DAV:"><getetag/></prop>',
    "no namespace": b"<propfind><prop><getetag/></prop></propfind>",
    "undeclared prefix": b'<propfind xmlns="DAV:"><prop><x:getetag/></prop></propfind>',
    "two roots": b'<propfind xmlns="DAV:"><allprop/></propfind><a/>',
    "not utf-8": b'<propfind xmlns="DAV:"><prop><\xff/></prop></propfind>',
    "control": b'<propfind xmlns="DAV:"><prop>\x01<getetag/></prop></propfind>',
    "utf-7": b'<?xml version="1.0" encoding="utf-7"?><propfind xmlns="DAV:"><allprop/></propfind>',
    "no such encoding": b'<?xml version="1.0" encoding="x"?><propfind xmlns="DAV:"><allprop/></propfind>',
    "lying encoding": b'<?xml version="1.0" encoding="utf-16"?><propfind xmlns="DAV:"><allprop/></propfind>',
    "laughs": b'<!DOCTYPE p [<!ENTITY a0 "ha">'
    + LAUGHS
    + b']><propfind xmlns="DAV:"><prop>&a9;</prop></propfind>',
    "quadratic": b"<!DOCTYPE p ["
    + QUADRATIC
    + b']><propfind xmlns="DAV:"><prop>'
    + b"&a;" * 20_000
    + b"</prop></propfind>",
    "external": b'<!DOCTYPE p [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b'<propfind xmlns="DAV:"><prop>&e;</prop></propfind>',
    "parameter": b'<!DOCTYPE p [<!ENTITY % e SYSTEM "http://127.0.0.1:1/x">%e;]>'
    b'<propfind xmlns="DAV:"><allprop/></propfind>',
    "undefined entity": b'<propfind xmlns="DAV:"><prop>&e;</prop></propfind>',
}


@pytest.mark.parametrize("body", BAD_XML.values(), ids=BAD_XML)
def test_bad_xml_is_400(dav: Client, body: bytes) -> None:
    """T23, RFC 4918, 8.2: not well-formed, another element, or entities: 400 at once, nothing fetched."""
    for method, document in (("PROPFIND", body), ("PROPPATCH", body.replace(b"propfind", b"propertyupdate"))):
        answer = dav.ask(method, "", {"Depth": "0"}, document)
        assert answer.status == 400
        assert b"root:" not in answer.body
        assert at_once(partial(dav.ask, method, "", {"Depth": "0"}, document))


@pytest.mark.usefixtures("ours")
def test_declaration_of_types_is_refused(dav: Client) -> None:
    """T23: no client needs a DTD, and without one there is nothing to expand."""
    body = b'<!DOCTYPE propfind SYSTEM "x.dtd"><propfind xmlns="DAV:"><allprop/></propfind>'
    assert ask(dav, "", body).status == 400


NAMED = b'<propfind xmlns="DAV:"><prop>%b</prop></propfind>'
SET = b'<propertyupdate xmlns="DAV:"><set><prop>%b</prop></set></propertyupdate>'
TEMPLATES = pytest.mark.parametrize(
    ("method", "template"), [("PROPFIND", NAMED), ("PROPPATCH", SET)], ids=["PROPFIND", "PROPPATCH"]
)


READS_ALL = fault("reads everything into memory, and answers it")


@pytest.mark.parametrize(
    ("method", "template", "how"),
    [
        pytest.param("PROPFIND", NAMED, "length", marks=READS_ALL),
        pytest.param("PROPFIND", NAMED, "chunks", marks=READS_ALL),
        pytest.param("PROPPATCH", SET, "length", marks=READS_ALL),
        pytest.param("PROPPATCH", SET, "chunks"),
    ],
)
def test_xml_beyond_128_kib_is_refused(dav: Client, method: str, template: bytes, how: str) -> None:
    """T23: 413 (or 400), announced or not, before all of it was read."""
    body = template % (b"<getetag/>" * 20_000)
    headers = {"Depth": "0"}
    if how == "chunks":
        headers["Transfer-Encoding"] = "chunked"
        body = chunked([body[start : start + 8192] for start in range(0, len(body), 8192)])
    assert dav.ask(method, "", headers, body).status in {400, 413}
    assert at_once(partial(dav.ask, method, "", headers, body))


@pytest.mark.usefixtures("ours")
def test_xml_within_128_kib_is_read(dav: Client) -> None:
    """T23: the counterpart: the limit is where it is said to be."""
    body = NAMED % (b"<getlastmodified/>" + b" " * (128 * 1024 - len(NAMED) - len(b"<getlastmodified/>") + 2))
    assert len(body) == 128 * 1024
    assert ask(dav, "", body).status == 207
    assert ask(dav, "", body + b" ").status == 413


@fault("answers any number of names")
@TEMPLATES
def test_many_properties_are_refused(dav: Client, method: str, template: bytes) -> None:
    """T23: more than 256 properties in one request: 400 at once."""
    body = template % b"".join(b'<p%d xmlns="urn:x"/>' % number for number in range(300))
    assert dav.ask(method, "", {"Depth": "0"}, body).status == 400


@TEMPLATES
def test_deep_xml_harms_nobody(dav: Client, method: str, template: bytes) -> None:
    """T23: 10,000 elements within each other are answered or refused at once, and nothing breaks."""
    body = template % (b"<a>" * 10_000 + b"</a>" * 10_000)
    assert dav.ask(method, "", {"Depth": "0"}, body).status in {207, 400, 413}
    assert at_once(partial(dav.ask, method, "", {"Depth": "0"}, body))


# ── large collections ───────────────────────────────────────────────────────────────────────────────────────
@fault("builds the whole answer in memory first")
def test_large_collection_is_streamed(server: Server, dav: Client) -> None:
    """T24: it comes in chunks while it is made, with every member once; the connection goes on."""
    server.populate(dav.root.removeprefix("/dav/"), MANY)
    body = multistatus.propfind([f"{DAV}getcontentlength", f"{DAV}getetag"])
    with dav.connect() as connection:
        answer = connection.ask("PROPFIND", dav.at(), {**dav.headers, "Depth": "1"}, body)
        assert answer.chunked
        assert connection.ask("PROPFIND", dav.at(), {**dav.headers, "Depth": "0"}, body).status == 207
    own, *members = multistatus.parse(answer)
    names = [member.path.removeprefix(own.path).rstrip("/") for member in members]
    assert sorted(names) == [f"{number:05}" for number in range(MANY)]


def test_statements_do_not_depend_on_the_members(ours: OurServer, dav: Client) -> None:
    """One PROPFIND of 500 members asks the database as often as one of 5."""
    for name, count in (("few", 5), ("many", 500)):
        collection = dav.made_collection(name)
        ours.populate(collection.root.removeprefix("/dav/"), count)
    counts = [fewest_statements(ours, partial(dav.listing, name)) for name in ("few", "many")]
    assert counts[0] == counts[1]
    assert 0 < counts[0] < 20
