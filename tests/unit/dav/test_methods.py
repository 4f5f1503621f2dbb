"""What each method does with its fields and properties, beside what tests/conformance asks over a socket."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from davserver.dav.get import COLLECTION_PAGE
from davserver.dav.multistatus import ROWS_A_BLOCK
from davserver.dav.properties import DAV, OC
from davserver.dav.put import Digests
from davserver.vault.properties import MAX_PER_NODE
from tests.unit.dav.door import Door, make_door

CONTENT = b"content"
SHA1 = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
BOTH = frozenset({"SHA1", "MD5"})


PROPPATCH = '<propertyupdate xmlns="DAV:">%s</propertyupdate>'
SET_TIME = PROPPATCH % "<set><prop><lastmodified>%s</lastmodified></prop></set>"


def propfind(
    door: Door, name: str, *wanted: str, depth: str = "0", headers: dict[str, str] | None = None
) -> Any:  # noqa: ANN401 - an Element
    """The parsed answer of a PROPFIND for properties."""
    body = "".join(f'<{each.rpartition("}")[2]} xmlns="{each[1:].rpartition("}")[0]}"/>' for each in wanted)
    document = f'<propfind xmlns="DAV:"><prop>{body}</prop></propfind>'.encode()
    answer = door.ask("PROPFIND", name, {"Depth": depth, **(headers or {})}, document)
    assert answer.status == 207
    return fromstring(answer.body)


def proppatch(door: Door, name: str, inner: str, headers: dict[str, str] | None = None) -> dict[str, int]:
    """Status by property of a PROPPATCH."""
    document = f'<D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:" xmlns:oc="http://owncloud.org/ns">{inner}</D:propertyupdate>'
    answer = door.ask("PROPPATCH", name, headers, document.encode())
    assert answer.status == 207
    return {
        each.tag: int(propstat.findtext(f"{DAV}status", "").split()[1])
        for propstat in fromstring(answer.body).iter(f"{DAV}propstat")
        for each in propstat.iterfind(f"{DAV}prop/*")
    }


def modified(door: Door, name: str) -> str | None:
    """The property getlastmodified of a file."""
    text: str | None = propfind(door, name, f"{DAV}getlastmodified").findtext(f".//{DAV}getlastmodified")
    return text


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (("GET", "file", {"Range": "bytes=7-"}, b""), 416),
        (("PUT", "new", {"Content-Range": "bytes 0-0/1"}, b"x"), 400),
        (("PUT", "new", {"Content-Encoding": "gzip"}, b"x"), 415),
        (("PUT", "new/", {}, b"x"), 405),
        (("PUT", "", {}, b"x"), 405),
        (("MKCOL", "new", {}, b"x"), 415),
        (("MKCOL", "folder", {}, b""), 405),
        (("MKCOL", "", {}, b""), 405),
        (("COPY", "file", {}, b""), 400),
        (("COPY", "folder", {"Destination": "/dav/new", "Depth": "1"}, b""), 400),
        (("MOVE", "folder", {"Destination": "/dav/new", "Depth": "0"}, b""), 400),
        (("MOVE", "folder", {"Destination": "/dav/folder/new"}, b""), 403),
        (("MOVE", "file", {"Destination": "/dav/folder", "Overwrite": "F"}, b""), 412),
        (("MOVE", "file", {"Destination": "/dav/"}, b""), 403),
        (("DELETE", "folder", {"Depth": "0"}, b""), 400),
        (("DELETE", "", {}, b""), 403),
        (("PROPFIND", "folder", {}, b""), 403),
        (("PROPFIND", "folder", {"Depth": "1"}, b"x"), 400),
        (("PROPFIND", "folder", {"Depth": "2"}, b""), 400),
        (("PROPPATCH", "folder", {}, b""), 400),
        (("PUT", "missing/new", {}, b"x"), 409),
        (("GET", "missing", {}, b""), 404),
    ],
)
def test_refusal_changes_nothing(
    door: Door, request_: tuple[str, str, dict[str, str], bytes], status: int
) -> None:
    """What a request may not do is told by its status, and the tree is as before."""
    door.put("file", CONTENT)
    door.ask("MKCOL", "folder")
    door.put("folder/member", CONTENT)

    def tree() -> list[str]:
        return [door.ask("PROPFIND", each, {"Depth": "1"}).text for each in ("", "folder")]

    before = tree()
    assert door.ask(*request_).status == status
    assert tree() == before


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("PUT", {"If-Match": "*"}, 412),
        ("PUT", {"If-None-Match": "*"}, 201),
        ("PUT", {"If-None-Match": "JoplinIgnore-1700000000000"}, 201),
        ("MKCOL", {"If-None-Match": "JoplinIgnore-1700000000000"}, 201),
        ("MKCOL", {"If-Match": "*"}, 412),
        ("DELETE", {"If-Match": "*"}, 404),
    ],
)
def test_conditions_where_nothing_is(door: Door, method: str, headers: dict[str, str], status: int) -> None:
    """RFC 9110, 13.1: where nothing is, If-Match never holds; Joplin's field is no tag and no hindrance."""
    assert door.ask(method, "new", headers, CONTENT if method == "PUT" else b"").status == status


# ── digests ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("digests", "headers", "expected"),
    [
        (Digests(), {}, None),
        (Digests(), {"X-OC-Mtime": "1"}, f"SHA1:{SHA1}"),
        (Digests(), {"OC-Checksum": f"MD5:{MD5}"}, f"SHA1:{SHA1} MD5:{MD5}"),
        (Digests(compared=BOTH), {}, None),
        (Digests(compared=BOTH), {"X-OC-Mtime": "1"}, f"SHA1:{SHA1} MD5:{MD5}"),
        (Digests(always=BOTH), {}, f"SHA1:{SHA1} MD5:{MD5}"),
    ],
)
def test_digests_are_kept_for_who_compares_them(
    tmp_path: Path, digests: Digests, headers: dict[str, str], expected: str | None
) -> None:
    """Decision 9: SHA-1 if the client sends a time or a digest, or always; MD5 if asked for."""
    door = make_door(tmp_path, digests)
    door.put("file", CONTENT, headers)
    assert propfind(door, "file", f"{OC}checksums").findtext(f".//{OC}checksum") == expected
    door.close()


# ── PROPPATCH ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("property_", "value"),
    [
        ("D:lastmodified", "1000000000"),
        ("D:getlastmodified", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("Z:Win32LastModifiedTime", "Sun, 09 Sep 2001 01:46:40 GMT"),
    ],
)
def test_time_is_set_in_the_format_of_its_property(door: Door, property_: str, value: str) -> None:
    """Seconds for rclone, dates for Windows and everybody else; content and ETag stay."""
    etag = door.put("file").headers["etag"]
    (status,) = proppatch(
        door, "file", f"<D:set><D:prop><{property_}>{value}</{property_}></D:prop></D:set>"
    ).values()
    assert status == 200
    assert modified(door, "file") == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert door.ask("HEAD", "file").headers["etag"] == etag


@pytest.mark.parametrize(
    ("property_", "value"),
    [("D:creationdate", "2001-09-09T01:46:40Z"), ("Z:Win32CreationTime", "Sun, 09 Sep 2001 01:46:40 GMT")],
)
def test_time_of_creation_is_set(door: Door, property_: str, value: str) -> None:
    """RFC 4918, 15.1: creationdate may be settable; a copying client wants to keep it."""
    door.put("file")
    proppatch(door, "file", f"<D:set><D:prop><{property_}>{value}</{property_}></D:prop></D:set>")
    assert (
        propfind(door, "file", f"{DAV}creationdate").findtext(f".//{DAV}creationdate")
        == "2001-09-09T01:46:40Z"
    )


@pytest.mark.parametrize(
    ("other", "name", "status"),
    [
        ("<D:set><D:prop><D:lockdiscovery/></D:prop></D:set>", f"{DAV}lockdiscovery", 403),
        ("<D:remove><D:prop><D:lockdiscovery/></D:prop></D:remove>", f"{DAV}lockdiscovery", 403),
        (f"<D:set><D:prop><x xmlns='u'>{'1' * 70_000}</x></D:prop></D:set>", "{u}x", 507),
        ("<D:set><D:prop><D:getetag>1</D:getetag></D:prop></D:set>", f"{DAV}getetag", 403),
        ("<D:remove><D:prop><D:getetag/></D:prop></D:remove>", f"{DAV}getetag", 403),
        ("<D:set><D:prop><D:creationdate>today</D:creationdate></D:prop></D:set>", f"{DAV}creationdate", 409),
        (
            "<D:set><D:prop><D:getlastmodified>5</D:getlastmodified></D:prop></D:set>",
            f"{DAV}getlastmodified",
            409,
        ),
        (
            f"<D:set><D:prop><oc:checksums>SHA1:{'0' * 40}</oc:checksums></D:prop></D:set>",
            f"{OC}checksums",
            403,
        ),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_proppatch_is_all_or_nothing(door: Door, other: str, name: str, status: int, *, first: bool) -> None:
    """RFC 4918, 9.2: one property that cannot be set fails all others with 424, whatever their order."""
    door.put("file", CONTENT, {"X-OC-Mtime": "0"})
    time = "<D:set><D:prop><D:lastmodified>5</D:lastmodified></D:prop></D:set>"
    found = proppatch(door, "file", other + time if first else time + other)
    assert found == {name: status, f"{DAV}lastmodified": 424}
    assert modified(door, "file") == "Thu, 01 Jan 1970 00:00:00 GMT"


def test_rclone_sets_a_time_beside_the_digest_that_it_read(door: Door) -> None:
    """webdav.go, SetModTime: it repeats oc:checksums; if that is refused it uploads the file again."""
    door.put("file", CONTENT, {"X-OC-Mtime": "0"})
    found = proppatch(
        door,
        "file",
        "<D:set><D:prop><D:lastmodified>5</D:lastmodified>"
        f"<oc:checksums><oc:checksum>SHA1:{SHA1}</oc:checksum></oc:checksums></D:prop></D:set>",
    )
    assert set(found.values()) == {200}
    assert modified(door, "file") == "Thu, 01 Jan 1970 00:00:05 GMT"


def test_removing_what_does_not_exist_is_no_error(door: Door) -> None:
    """RFC 4918, 14.23; and nothing else changes by it."""
    door.put("file")
    before = door.ask("HEAD", "file")
    assert proppatch(door, "file", "<D:remove><D:prop><x xmlns='u'/></D:prop></D:remove>") == {"{u}x": 200}
    assert door.ask("HEAD", "file") == before


def test_protected_property_is_named_as_such(door: Door) -> None:
    """RFC 4918, 16: cannot-modify-protected-property, for live properties only."""
    door.put("file")
    body = (
        b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:%b>1</D:%b></D:prop></D:set></D:propertyupdate>'
    )
    for name, expected in ((b"getetag", True), (b"nonsense", False)):
        answer = door.ask("PROPPATCH", "file", {}, body % (name, name))
        assert ("cannot-modify-protected-property" in answer.text) is expected


SET_A = "<D:set><D:prop><a xmlns='u'>1</a></D:prop></D:set>"


def dead(door: Door, name: str) -> dict[str, str | None]:
    """Text of every property of a namespace "u"."""
    found = fromstring(door.ask("PROPFIND", name, {"Depth": "0"}).body)
    return {each.tag: each.text for each in found.iterfind(f".//{DAV}prop/*") if each.tag.startswith("{u}")}


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (SET_A, {"{u}a": "1", "{u}b": "0"}),
        (
            f"{SET_A}<D:remove><D:prop><a xmlns='u'/></D:prop></D:remove>",
            {"{u}b": "0"},
        ),
        (
            f"<D:remove><D:prop><b xmlns='u'/><a xmlns='u'/></D:prop></D:remove>{SET_A}",
            {"{u}a": "1"},
        ),
        (
            "<D:set><D:prop><b xmlns='u'>1</b><b xmlns='u'>2</b></D:prop></D:set>",
            {"{u}b": "2"},
        ),
        ("<D:remove><D:prop><b xmlns='u'><c/></b></D:prop></D:remove>", {}),
    ],
)
def test_instructions_are_carried_out_in_order(door: Door, inner: str, expected: dict[str, str]) -> None:
    """RFC 4918, 9.2: in document order; what is set last counts, and what is removed is gone."""
    door.put("file")
    assert proppatch(door, "file", "<D:set><D:prop><b xmlns='u'>0</b></D:prop></D:set>") == {"{u}b": 200}
    assert set(proppatch(door, "file", inner).values()) == {200}
    assert dead(door, "file") == expected


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<a xmlns='u'>1</a><D:getetag/>", {"{u}a": 424, f"{DAV}getetag": 403}),
        (
            "<D:supportedlock/><D:lockdiscovery/>",
            dict.fromkeys([f"{DAV}supportedlock", f"{DAV}lockdiscovery"], 403),
        ),
        (f"<a xmlns='u'>{'v' * 70_000}</a><b xmlns='u'>1</b>", {"{u}a": 507, "{u}b": 424}),
        (f"<a xmlns='u'>{'v' * 70_000}</a><D:getetag/>", {"{u}a": 507, f"{DAV}getetag": 403}),
        ("<D:lastmodified>soon</D:lastmodified><a xmlns='u'>1</a>", {f"{DAV}lastmodified": 409, "{u}a": 424}),
    ],
)
def test_one_that_cannot_be_set_fails_all(door: Door, inner: str, expected: dict[str, int]) -> None:
    """RFC 4918, 9.2.1: each with its own reason, the others 424, and nothing is kept."""
    door.put("file")
    proppatch(door, "file", "<D:set><D:prop><a xmlns='u'>0</a></D:prop></D:set>")
    assert proppatch(door, "file", f"<D:set><D:prop>{inner}</D:prop></D:set>") == expected
    assert dead(door, "file") == {"{u}a": "0"}


def test_more_properties_than_fit_are_507(door: Door) -> None:
    """T28: told for those that were to be set; a removal beside them is a 424."""
    door.put("file")
    many = "".join(f"<p{number} xmlns='u'/>" for number in range(MAX_PER_NODE))
    proppatch(door, "file", f"<D:set><D:prop>{many}</D:prop></D:set>")
    found = proppatch(
        door,
        "file",
        "<D:set><D:prop><a xmlns='u'/></D:prop></D:set><D:remove><D:prop><x xmlns='u'/></D:prop></D:remove>",
    )
    assert found == {"{u}a": 507, "{u}x": 424}
    assert len(dead(door, "file")) == MAX_PER_NODE


@pytest.mark.parametrize("name", ["xml:x", "x xmlns='%s &amp;&lt;&quot;'", "x xmlns=''", "x xmlns='urn:ü'"])
def test_no_name_of_a_property_breaks_an_answer(door: Door, name: str) -> None:
    """T28: the listing of everybody who asks stays well-formed, and says the value."""
    door.put("file")
    tag = name.partition(" ")[0]
    (status,) = proppatch(door, "file", f"<D:set><D:prop><{name}>%s</{tag}></D:prop></D:set>").values()
    assert status == 200
    for body in (b"", b'<propfind xmlns="DAV:"><propname/></propfind>'):
        answer = fromstring(door.ask("PROPFIND", "", {"Depth": "1"}, body).body)
        texts = [each.text for each in answer.iterfind(f".//{DAV}prop/*") if each.tag.endswith("x")]
        assert texts == (["%s"] if not body else [None])


def test_proppatch_of_what_is_locked_is_423(door: Door) -> None:
    """RFC 4918, 7: as a whole, whether or not its properties could be set."""
    door.put("file")
    info = b'<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope><locktype><write/></locktype></lockinfo>'
    token = door.ask("LOCK", "file", {}, info).headers["lock-token"]
    for inner in ("<lastmodified>5</lastmodified>", '<x xmlns="u"/>', "<getetag/>"):
        body = (PROPPATCH % f"<set><prop>{inner}</prop></set>").encode()
        assert door.ask("PROPPATCH", "file", {}, body).status == 423
        assert door.ask("PROPPATCH", "file", {"If": f"({token})"}, body).status == 207


@pytest.mark.parametrize("value", ["5", "yesterday"])
def test_proppatch_obeys_conditions(door: Door, value: str) -> None:
    """RFC 9110, 13: If-Match with another tag is a 412, whether or not the properties could be set."""
    door.put("file", CONTENT, {"X-OC-Mtime": "0"})
    assert door.ask("PROPPATCH", "file", {"If-Match": '"x"'}, (SET_TIME % value).encode()).status == 412
    assert modified(door, "file") == "Thu, 01 Jan 1970 00:00:00 GMT"


# ── If ──────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("method", ["PUT", "DELETE", "MOVE", "COPY", "PROPPATCH", "GET"])
@pytest.mark.parametrize(
    "url", ["", "</dav/file>", "<http://drive.test/dav/file>", "<http://drive.test/dav/f%69le>"]
)
def test_if_is_obeyed_by_every_method(door: Door, method: str, url: str) -> None:
    """RFC 4918, 10.4: a tag that is not the current one is a 412, also in a list tagged with a URL."""
    etag = door.put("file", CONTENT).headers["etag"]
    body = (SET_TIME % "1").encode()
    fields = {"Destination": "/dav/other"}
    assert door.ask(method, "file", {**fields, "If": f'{url} (["wrong"])'}, body).status == 412
    assert door.get("file").body == CONTENT
    assert door.get("other").status == 404
    assert door.ask(method, "file", {**fields, "If": f"{url} ([{etag}])"}, body).status < 300


def test_if_looks_at_other_resources(door: Door) -> None:
    """RFC 4918, 10.4.9: a list tagged with another URL is about that one; an unknown one matches nothing."""
    etag = door.put("other").headers["etag"]
    for url, status in (
        ("/dav/other", 201),
        ("/dav/missing", 412),
        ("http://example.org/dav/other", 412),
        ("/x", 412),
    ):
        assert door.put(f"file{status}", CONTENT, {"If": f"<{url}> ([{etag}])"}).status == status
    twice = f'</dav/other> (["x"]) <http://drive.test/dav/other> ([{etag}])'
    assert door.put("file", CONTENT, {"If": twice}).status == 201


def test_lock_token_of_nobody_matches_nothing(door: Door) -> None:
    """Without locks no token is held; a write that depends on one must not happen."""
    assert door.put("file", CONTENT, {"If": "(<urn:uuid:1>)"}).status == 412
    assert door.put("file", CONTENT, {"If": "(Not <DAV:no-lock>)"}).status == 201


# ── PROPFIND ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("count", [0, 1, ROWS_A_BLOCK - 1, ROWS_A_BLOCK, 2 * ROWS_A_BLOCK + 3])
def test_listing_holds_every_member_once(door: Door, count: int) -> None:
    """Whatever the blocks that it is sent in, the collection comes first and each member once."""
    door.ask("MKCOL", "many")
    for number in range(count):
        door.ask("MKCOL", f"many/{number}")
    found = propfind(door, "many", f"{DAV}resourcetype", depth="1")
    hrefs = [element.text for element in found.iter(f"{DAV}href")]
    assert hrefs[0] == "/dav/many/"
    assert sorted(hrefs[1:]) == sorted(f"/dav/many/{number}/" for number in range(count))


def test_listing_keeps_the_spelling_of_the_request(door: Door) -> None:
    """Clients like rclone want hrefs below their request path: NFD stays, although it was made in NFC."""
    door.ask("MKCOL", "\u00fc")
    door.put("\u00fc/file")
    hrefs = [
        element.text for element in propfind(door, "u\u0308", f"{DAV}getetag", depth="1").iter(f"{DAV}href")
    ]
    assert hrefs == ["/dav/u%CC%88/", "/dav/u%CC%88/file"]


def test_quota_is_only_counted_when_asked(door: Door) -> None:
    """RFC 4331, 3: not in allprop; by name, what is used; and among the names."""
    door.put("file", CONTENT)
    assert b"quota" not in door.ask("PROPFIND", "", {"Depth": "0"}).body
    name = f"{DAV}quota-used-bytes"
    assert propfind(door, "", name).findtext(f".//{name}") == str(len(CONTENT))
    names = door.ask("PROPFIND", "", {"Depth": "0"}, b'<propfind xmlns="DAV:"><propname/></propfind>')
    assert b"<D:quota-used-bytes/>" in names.body


@pytest.mark.parametrize(
    ("fields", "applied"), [({"Prefer": "return=minimal"}, True), ({"Brief": "t"}, False)]
)
def test_minimal_answer_is_confirmed(door: Door, fields: dict[str, str], *, applied: bool) -> None:
    """RFC 8144, 2.1 and RFC 7240, 3: Preference-Applied answers Prefer, and only that."""
    answer = door.ask(
        "PROPFIND", "", {"Depth": "0", **fields}, b'<propfind xmlns="DAV:"><prop><x/></prop></propfind>'
    )
    assert b"404" not in answer.body
    assert (answer.headers.get("preference-applied") == "return=minimal") is applied


def test_root_is_called_by_its_owner(door: Door) -> None:
    """The root has no name; a mounted drive shows its user's."""
    assert propfind(door, "", f"{DAV}displayname").findtext(f".//{DAV}displayname") == "alice"


# ── GET ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_collection_is_a_page_for_people(door: Door) -> None:
    """Whoever opens the address in a browser is told what it is; HEAD says the same without the page."""
    answer = door.get("")
    assert (answer.status, answer.body) == (200, COLLECTION_PAGE)
    assert "sandbox" in answer.headers["content-security-policy"]
    head = door.ask("HEAD", "")
    assert (head.headers, head.body) == (answer.headers, b"")


def test_head_is_get_without_content(door: Door) -> None:
    """RFC 9110, 9.3.2: the same fields; a Range does not change them."""
    door.put("a;b.html", CONTENT)
    get = door.get("a;b.html")
    head = door.ask("HEAD", "a;b.html", {"Range": "bytes=0-1"})
    assert (head.status, head.headers, head.body) == (200, get.headers, b"")


def test_304_has_a_tag_and_no_length(door: Door) -> None:
    """RFC 9110, 15.4.5: ETag, and nothing that describes content that is not sent."""
    etag = door.put("file").headers["etag"]
    answer = door.get("file", {"If-None-Match": etag})
    assert (answer.status, dict(answer.headers), answer.body) == (304, {"etag": etag}, b"")


@pytest.mark.parametrize("secret", ["read", "keep"])
def test_scopes_are_those_of_the_credential(door: Door, secret: str) -> None:
    """T44 in short: a device that may only read or not delete is told 403, and nothing changes."""
    door.put("file", CONTENT)
    device = door.as_("alice", secret)
    assert device.get("file").body == CONTENT
    assert device.ask("DELETE", "file").status == 403
    assert device.put("new").status == (403 if secret == "read" else 201)
    assert door.get("file").body == CONTENT


# ── slashes ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "COPY", "MOVE", "PROPFIND", "PROPPATCH"])
def test_file_has_no_address_with_a_slash(door: Door, method: str) -> None:
    """RFC 4918, 5.2: with a slash only a collection is meant; there is none of that name."""
    door.put("file", CONTENT)
    body = (
        b'<propertyupdate xmlns="DAV:"><remove><prop><x/></prop></remove></propertyupdate>'
        if method == "PROPPATCH"
        else b""
    )
    assert door.ask(method, "file/", {"Destination": "/dav/other", "Depth": "infinity"}, body).status == 404
    assert door.get("file").body == CONTENT


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_file_replaces_a_collection_that_is_named_with_its_slash(door: Door, method: str) -> None:
    """RFC 4918, 9.8.4 and 9.9.3, as litmus asks: what is there goes, whatever its kind."""
    door.put("file", CONTENT)
    door.ask("MKCOL", "folder")
    door.put("folder/member", b"old")
    assert door.ask(method, "file", {"Destination": "/dav/folder/", "Overwrite": "F"}).status == 412
    assert door.ask(method, "file", {"Destination": "/dav/folder/"}).status == 204
    assert door.get("folder").body == CONTENT
