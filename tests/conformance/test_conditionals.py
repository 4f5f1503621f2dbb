"""ETags and preconditions. RFC 9110, 8.8 and 13; RFC 4918, 8.6 and 10.4."""

from __future__ import annotations

import re
from functools import partial
from itertools import pairwise

import pytest

from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.multistatus import DAV
from tests.conformance.quick import at_once

EARLIER = "Sun, 09 Sep 2001 01:46:40 GMT"
LATER = "Fri, 31 Dec 2199 23:59:59 GMT"
OTHER = '"another"'


# ── ETags ───────────────────────────────────────────────────────────────────────────────────────────────────
@fault("leaves the quotes out of getetag")
def test_etag_is_the_same_everywhere(dav: Client) -> None:
    """RFC 9110, 8.8.3; RFC 4918, 15.6: strong, quoted, and equal in PUT, HEAD, GET and PROPFIND."""
    etag = dav.made("file")["ETag"]
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', etag)
    assert dav.head("file")["ETag"] == etag
    assert dav.get("file")["ETag"] == etag
    assert dav.property("file", f"{DAV}getetag") == etag
    assert dav.listing("", f"{DAV}getetag")["file"].text(f"{DAV}getetag") == etag


@fault("gives the same ETag to whatever is written within a second")
def test_etag_changes_with_the_content(dav: Client) -> None:
    """RFC 9110, 8.8.1: other content of the same length at the same second has another ETag."""
    etags = [dav.put("file", content)["ETag"] for content in (b"one", b"two", b"one", b"six")]
    assert len(set(etags)) in {3, 4}
    assert all(one != two for one, two in pairwise(etags))


@pytest.mark.usefixtures("ours")
def test_etag_does_not_change_with_the_time(dav: Client) -> None:
    """RFC 9110, 8.8.3: a new time is no new content: neither PROPPATCH nor MOVE gives another ETag."""
    etag = dav.made("file", b"x", {"X-OC-Mtime": "1000000000"})["ETag"]
    dav.proppatch("file", (f"{DAV}lastmodified", "1100000000"))
    assert dav.head("file")["ETag"] == etag
    assert dav.move("file", "moved", {"X-OC-Mtime": "1200000000"}).status == 201
    assert dav.head("moved")["ETag"] == etag
    assert dav.get("moved")["Last-Modified"] == "Thu, 10 Jan 2008 21:20:00 GMT"


# ── If-Match ────────────────────────────────────────────────────────────────────────────────────────────────
@fault("ignores it where nothing exists")
@pytest.mark.parametrize("value", ["*", OTHER])
def test_if_match_on_a_missing_file_is_412(dav: Client, value: str) -> None:
    """RFC 9110, 13.1.1: what does not exist matches nothing: 412 and nothing appears."""
    assert dav.put("file", b"x", {"If-Match": value}).status == 412
    assert dav.tree() == {}


@pytest.mark.parametrize(
    "value",
    [
        OTHER,
        f"{OTHER}, W/{OTHER}",
        pytest.param("W/{etag}", marks=fault("compares weak tags as if they were strong")),
        '"{etag}"',
    ],
)
def test_if_match_with_another_etag_is_412(dav: Client, value: str) -> None:
    """RFC 9110, 13.1.1: somebody else was faster: 412 and his content stays. The comparison is strong."""
    etag = dav.made("file", b"his")["ETag"]
    for answer in (
        dav.put("file", b"mine", {"If-Match": value.format(etag=etag)}),
        dav.delete("file", {"If-Match": value.format(etag=etag)}),
        dav.move("file", "moved", {"If-Match": value.format(etag=etag)}),
        dav.get("file", {"If-Match": value.format(etag=etag)}),
    ):
        assert answer.status == 412
    assert dav.tree() == {"file": b"his"}


@pytest.mark.parametrize(
    "value", ["{etag}", "*", '"another", {etag}', '"another",{etag},"third"', '"a,b" , {etag}']
)
def test_if_match_with_the_current_etag(dav: Client, value: str) -> None:
    """RFC 9110, 13.1.1: alone, in a list, or any: the request is done."""
    etag = dav.made("file", b"old")["ETag"]
    assert dav.put("file", b"new", {"If-Match": value.format(etag=etag)}).status == 204
    etag = dav.head("file")["ETag"]
    assert dav.delete("file", {"If-Match": value.format(etag=etag)}).status == 204


# ── If-None-Match ───────────────────────────────────────────────────────────────────────────────────────────
def test_if_none_match_any_protects_what_exists(dav: Client) -> None:
    """RFC 9110, 13.1.2: `*` creates, and never replaces: 201, then 412."""
    assert dav.put("file", b"first", {"If-None-Match": "*"}).status == 201
    assert dav.put("file", b"second", {"If-None-Match": "*"}).status == 412
    assert dav.get("file").body == b"first"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("value", ["{etag}", "W/{etag}", "*", '"another", {etag}', 'W/"x", W/{etag}'])
def test_if_none_match_is_304(dav: Client, method: str, value: str) -> None:
    """RFC 9110, 13.1.2 and 15.4.5: 304 without content, with ETag; weak comparison."""
    etag = dav.made("file", b"x")["ETag"]
    answer = dav.ask(method, "file", {"If-None-Match": value.format(etag=etag)})
    assert (answer.status, answer.body) == (304, b"")


@fault("sends Content-Length: 0 and no ETag")
def test_304_tells_what_the_200_would(dav: Client) -> None:
    """RFC 9110, 8.6 and 15.4.5: the ETag, and no length unless it were that of the file."""
    etag = dav.made("file", b"x")["ETag"]
    answer = dav.get("file", {"If-None-Match": etag})
    assert answer.status == 304
    assert answer["ETag"] == etag
    assert answer.get("Content-Length") in {None, "1"}


def test_connection_goes_on_after_304(dav: Client) -> None:
    """RFC 9112, 6.3: a 304 ends with its head; the next answer is the next answer."""
    etag = dav.made("file", b"x")["ETag"]
    with dav.connect() as connection:
        for _ in range(3):
            answer = connection.ask("GET", dav.at("file"), {**dav.headers, "If-None-Match": etag})
            assert answer.status == 304
        assert connection.ask("GET", dav.at("file"), dav.headers).body == b"x"


def test_if_none_match_with_another_etag(dav: Client) -> None:
    """RFC 9110, 13.1.2: the file is sent."""
    dav.made("file", b"x")
    assert dav.get("file", {"If-None-Match": f'{OTHER}, W/"more"'}).body == b"x"


JOPLIN = "JoplinIgnore-1234567890"


@pytest.mark.parametrize(("method", "status"), [("PUT", 204), ("PROPFIND", 207), ("DELETE", 204)])
def test_unquoted_if_none_match_harms_nobody(dav: Client, method: str, status: int) -> None:
    """Joplin sends an If-None-Match without quotes with every request: no match and no error."""
    dav.made("file", b"x")
    body = b"y" if method == "PUT" else None
    depth = {"Depth": "0"} if method == "PROPFIND" else {}
    assert dav.ask(method, "file", {"If-None-Match": JOPLIN, **depth}, body).status == status


def test_unquoted_if_none_match_harms_no_creation(dav: Client) -> None:
    """The same for MKCOL, MOVE and COPY."""
    assert dav.mkcol("collection", {"If-None-Match": JOPLIN}).status == 201
    dav.made("file")
    assert dav.copy("file", "copy", {"If-None-Match": JOPLIN}).status == 201
    assert dav.move("file", "moved", {"If-None-Match": JOPLIN}).status == 201


@fault("answers 412")
@pytest.mark.parametrize("value", ["{etag}", "*"])
def test_propfind_ignores_if_none_match(dav: Client, value: str) -> None:
    """RFC 9110, 13.2.1: a condition about content does not concern a list of properties."""
    etag = dav.made("file", b"x")["ETag"]
    assert dav.propfind("file", headers={"If-None-Match": value.format(etag=etag)}).status == 207


# ── dates ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("date", "status"),
    [
        pytest.param("same", 304, marks=fault("finds the file newer than its own date")),
        pytest.param(LATER, 200, marks=fault("answers 304, also if an older file took the place")),
        (EARLIER, 200),
        ("Friday, 31-Dec-99 23:59:59 GMT", 200),
        ("yesterday", 200),
        ("", 200),
        ("1", 200),
    ],
)
def test_if_modified_since(dav: Client, method: str, date: str, status: int) -> None:
    """RFC 9110, 13.1.3: the very date that was handed out: 304; what is no date is ignored.

    A server may compare for equality, and times go backwards here: by a restore, by MOVE, by a client.
    """
    dav.made("file", b"x")
    value = dav.head("file")["Last-Modified"] if date == "same" else date
    assert dav.ask(method, "file", {"If-Modified-Since": value}).status == status


@fault("answers 304 to a PUT")
def test_if_modified_since_does_not_concern_put(dav: Client) -> None:
    """RFC 9110, 13.1.3: it is ignored for anything but GET and HEAD."""
    dav.made("file", b"old")
    assert dav.put("file", b"new", {"If-Modified-Since": LATER}).status == 204
    assert dav.get("file").body == b"new"


def test_if_unmodified_since(dav: Client) -> None:
    """RFC 9110, 13.1.4: newer than the date is a 412; an equal date and no date are not."""
    dav.made("file", b"old")
    assert dav.put("file", b"new", {"If-Unmodified-Since": EARLIER}).status == 412
    assert dav.delete("file", {"If-Unmodified-Since": EARLIER}).status == 412
    assert dav.get("file", {"If-Unmodified-Since": EARLIER}).status == 412
    assert dav.get("file").body == b"old"
    date = dav.head("file")["Last-Modified"]
    assert dav.put("file", b"new", {"If-Unmodified-Since": date}).status == 204
    assert dav.put("file", b"newer", {"If-Unmodified-Since": "yesterday"}).status == 204


# ── precedence ──────────────────────────────────────────────────────────────────────────────────────────────
def test_if_none_match_that_fails_beats_the_date(dav: Client) -> None:
    """RFC 9110, 13.1.3: with If-None-Match, If-Modified-Since is not looked at: another ETag, 200."""
    dav.made("file", b"x")
    assert dav.get("file", {"If-None-Match": OTHER, "If-Modified-Since": LATER}).status == 200


@pytest.mark.parametrize("date", [EARLIER, pytest.param(LATER, marks=fault("answers 412"))])
def test_if_none_match_that_holds_beats_the_date(dav: Client, date: str) -> None:
    """RFC 9110, 13.2.2: the same ETag is a 304 whatever the date."""
    etag = dav.made("file", b"x")["ETag"]
    assert dav.get("file", {"If-None-Match": etag, "If-Modified-Since": date}).status == 304


@fault("answers 412")
def test_if_match_beats_the_date(dav: Client) -> None:
    """RFC 9110, 13.1.4: with If-Match, If-Unmodified-Since is not looked at."""
    etag = dav.made("file", b"x")["ETag"]
    assert dav.put("file", b"y", {"If-Match": etag, "If-Unmodified-Since": EARLIER}).status == 204


@pytest.mark.parametrize(
    "fields", [{"If-Match": OTHER}, {"If-None-Match": "*"}, {"If-Unmodified-Since": EARLIER}]
)
def test_missing_is_404_not_412(dav: Client, fields: dict[str, str]) -> None:
    """RFC 9110, 13.2.1: conditions come after the check that would give another answer than 2xx anyway."""
    assert dav.get("missing", fields).status == 404
    assert dav.delete("missing", fields).status == 404


# ── the If field ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("([{etag}])", 204),
        ('(["another"])', 412),
        ('(Not ["another"])', 204),
        ("(Not [{etag}])", 412),
        ('(["another"]) ([{etag}])', 204),
        pytest.param(
            '<{url}> (["another"])', 412, marks=fault("never finds the URL and lets everything pass")
        ),
        ("<{url}> ([{etag}])", 204),
        ("(<urn:uuid:00000000-0000-0000-0000-000000000000>)", 412),
    ],
)
def test_if_field_is_judged(dav: Client, condition: str, status: int) -> None:
    """RFC 4918, 10.4: lists with ETags, tagged with an absolute URL or not: 412 unless one of them holds."""
    etag = dav.made("file", b"old")["ETag"]
    answer = dav.put("file", b"new", {"If": condition.format(etag=etag, url=dav.url("file"))})
    assert answer.status == status
    assert dav.get("file").body == (b"new" if status == 204 else b"old")


@fault("takes it for no condition at all")
@pytest.mark.parametrize("condition", ["(", "<", "()", "rubbish", '(["x"]', "(" * 12_000, "<" * 12_000])
def test_malformed_if_is_400(dav: Client, condition: str) -> None:
    """T25, RFC 4918, 10.4.2: what is not of its grammar is a 400 (or never holds: 412); nothing is done."""
    dav.made("file", b"old")
    assert dav.put("file", b"new", {"If": condition}).status in {400, 412}
    assert at_once(partial(dav.put, "file", b"new", {"If": condition}))
    assert dav.get("file").body == b"old"
