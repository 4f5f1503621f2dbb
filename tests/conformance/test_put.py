"""PUT: what is announced arrives whole, or nothing changes. RFC 9110, 9.3.4; RFC 4918, 9.7."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.conformance.client import Client
from tests.conformance.conftest import MakeServer
from tests.conformance.faults import fault
from tests.conformance.http import Closed, Connection, chunked, head
from tests.conformance.multistatus import DAV

OLD = b"the old content"
PART = bytes(50_000)
WATCHES = 20
"""How often the state is looked at after a client vanished: no answer tells that the server noticed."""

TRUNCATES = fault("commits whatever arrived before the connection ended")
EMPTIES = fault("creates or empties the file before the body has arrived")

Cut = Callable[[Connection], None]


def by_length(dav: Client, name: str) -> bytes:
    """Half of what Content-Length announces."""
    return head("PUT", dav.at(name), {**dav.headers, "Content-Length": "100000"}) + PART


def by_chunks(dav: Client, name: str) -> bytes:
    """Chunks without the last one."""
    return head("PUT", dav.at(name), {**dav.headers, "Transfer-Encoding": "chunked"}) + chunked(
        [PART], end=b""
    )


def by_half_a_chunk(dav: Client, name: str) -> bytes:
    """A chunk that is shorter than it says."""
    fields = {**dav.headers, "Transfer-Encoding": "chunked"}
    return head("PUT", dav.at(name), fields) + b"186a0\r\n" + PART


TRUNCATED = [
    pytest.param(by_length, marks=TRUNCATES),
    pytest.param(by_chunks, marks=EMPTIES),
    pytest.param(by_half_a_chunk, marks=EMPTIES),
]


@pytest.mark.parametrize("truncated", TRUNCATED)
def test_body_that_ends_early_leaves_the_old_file(
    dav: Client, truncated: Callable[[Client, str], bytes]
) -> None:
    """T11, T12: who ends his side (FIN) in the middle of a body gets no 2xx; the old content stays."""
    dav.made("file", OLD)
    with dav.connect() as connection:
        connection.send(truncated(dav, "file"))
        connection.finish()
        assert _status(connection) not in range(200, 300)
    assert dav.tree() == {"file": OLD}


@pytest.mark.parametrize("truncated", TRUNCATED)
def test_body_that_ends_early_makes_no_file(dav: Client, truncated: Callable[[Client, str], bytes]) -> None:
    """T11, T12: the same for a new file: nothing appears."""
    with dav.connect() as connection:
        connection.send(truncated(dav, "file"))
        connection.finish()
        assert _status(connection) not in range(200, 300)
    assert dav.tree() == {}


@pytest.mark.parametrize("truncated", TRUNCATED)
@pytest.mark.parametrize("old", [{"file": OLD}, {}], ids=["existing", "new"])
def test_client_that_vanishes_changes_nothing(
    dav: Client, truncated: Callable[[Client, str], bytes], old: dict[str, bytes]
) -> None:
    """T11, T12: the same when the connection is reset (RST)."""
    for name, content in old.items():
        dav.made(name, content)
    with dav.connect() as connection:
        connection.send(truncated(dav, "file"))
        connection.reset()
    for _ in range(WATCHES):
        assert dav.tree() == old


@fault("a stop ends the read of a running PUT, whose beginning is then committed")
def test_stop_during_put_commits_nothing(make_server: MakeServer) -> None:
    """T11: a stop of the server in the middle of a body is no end of this body; the old content stays."""
    server = make_server()
    server.client.made("file", OLD)
    with server.client.connect() as connection:
        connection.send(by_length(server.client, "file"))
        server.stop()
        assert _status(connection) not in range(200, 300)
    server.start()
    assert server.client.get("file").body == OLD


def _status(connection: Connection) -> int | None:
    try:
        return connection.read("PUT").status
    except Closed:
        return None


def test_put_says_whether_the_file_is_new(dav: Client) -> None:
    """RFC 9110, 9.3.4: 201 for a new file, 204 (or 200) for one that was replaced."""
    assert dav.put("file", b"one").status == 201
    assert dav.put("file", b"two").status in {200, 204}
    assert dav.get("file").body == b"two"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 1_500_000])
def test_content_comes_back_identical(dav: Client, size: int) -> None:
    """Whatever its size in relation to the chunks of the store, content is given back as it was sent."""
    content = hashlib.shake_128(b"content").digest(size)
    assert dav.put("by length", content).status == 201
    parts = [content[start : start + 7919] for start in range(0, size, 7919)]
    assert dav.put("by chunks", chunked(parts), {"Transfer-Encoding": "chunked"}).status == 201
    for name in ("by length", "by chunks"):
        assert dav.get(name).body == content
        assert dav.head(name)["Content-Length"] == str(size)


def test_put_needs_its_parent(dav: Client) -> None:
    """RFC 4918, 9.7.1: a PUT without a parent collection is a 409 and makes neither."""
    assert dav.put("missing/file", b"x").status == 409
    assert dav.tree() == {}


@pytest.mark.parametrize("target", ["collection", "collection/"])
def test_put_onto_a_collection_is_405(dav: Client, target: str) -> None:
    """RFC 4918, 9.7.2: a PUT onto a collection is refused and leaves it and its members."""
    dav.made_collection("collection").made("member")
    assert dav.put(target, b"x").status == 405
    assert dav.tree() == {"collection/": None, "collection/member": b"content"}


@fault("looks for the parent of the root and answers 500")
def test_put_onto_the_root_is_405(dav: Client) -> None:
    """RFC 4918, 9.7.2: the root is a collection like any other."""
    assert dav.send("PUT", "/dav/", body=b"x").status == 405


@fault("cannot say what is allowed")
def test_405_of_put_names_what_is_allowed(dav: Client) -> None:
    """RFC 9110, 15.5.6: a 405 carries Allow, without the method that was refused."""
    dav.made_collection("collection")
    allowed = dav.put("collection", b"x")["Allow"].replace(" ", "").split(",")
    assert "PROPFIND" in allowed
    assert "PUT" not in allowed


def test_part_of_a_file_is_refused(dav: Client) -> None:
    """RFC 9110, 14.5 (T13): PUT with Content-Range is a 400; taking it for the whole would destroy that."""
    dav.made("file", OLD)
    answer = dav.put("file", b"new", {"Content-Range": "bytes 4-6/15"})
    assert answer.status == 400
    assert dav.get("file").body == OLD


@pytest.mark.parametrize("coding", ["gzip", "br", "gzip, identity"])
def test_coded_content_is_refused(dav: Client, coding: str) -> None:
    """RFC 9110, 8.4 (T13): content in a coding that would not be given back is a 415 (or 501)."""
    assert dav.put("file", b"x", {"Content-Encoding": coding}).status in {415, 501}
    assert dav.tree() == {}


@fault("refuses it as a coding (501)")
def test_identity_is_no_coding(dav: Client) -> None:
    """RFC 9110, 8.4.1: `identity` says that nothing was done to the content."""
    assert dav.put("file", b"x", {"Content-Encoding": "identity"}).status == 201


@fault("does not look at the field")
@pytest.mark.parametrize("expected", ["4", "6", "100", "0", "-5", "five", "5.0"])
def test_expected_length_has_to_arrive(dav: Client, expected: str) -> None:
    """T11: Finder announces the length of a chunked PUT in X-Expected-Entity-Length; another is a 400."""
    fields = {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": expected}
    assert dav.put("file", chunked([b"12345"]), fields).status == 400
    assert dav.tree() == {}


def test_right_expected_length_is_accepted(dav: Client) -> None:
    """T11: the counterpart: the right length is a 201."""
    fields = {"Transfer-Encoding": "chunked", "X-Expected-Entity-Length": "5"}
    assert dav.put("file", chunked([b"12345"]), fields).status == 201


@pytest.mark.parametrize(
    "checksum",
    [
        f"SHA1:{hashlib.sha1(OLD).hexdigest()}",
        f"sha1:{hashlib.sha1(OLD).hexdigest().upper()}",
        f"MD5:{hashlib.md5(OLD).hexdigest()}",
        f"SHA256:{hashlib.sha256(OLD).hexdigest()}",
        f"SHA1:{hashlib.sha1(OLD).hexdigest()} MD5:{hashlib.md5(OLD).hexdigest()}",
    ],
)
def test_right_checksum_is_accepted(dav: Client, checksum: str) -> None:
    """OC-Checksum in every spelling that clients use, right: 201."""
    assert dav.put("file", OLD, {"OC-Checksum": checksum}).status == 201


@fault("does not look at the field")
@pytest.mark.parametrize(
    "checksum",
    [
        f"SHA1:{hashlib.sha1(b'other').hexdigest()}",
        f"MD5:{hashlib.md5(b'other').hexdigest()}",
        f"SHA256:{hashlib.sha256(b'other').hexdigest()}",
        f"SHA1:{hashlib.sha1(OLD).hexdigest()} MD5:{hashlib.md5(b'other').hexdigest()}",
        f"SHA1:{hashlib.sha1(OLD).hexdigest()[:-2]}",
        f"SHA1:{hashlib.md5(OLD).hexdigest()}",
        "SHA1:",
        "SHA1:" + "zz" * 20,
        "SHA1",
        ":",
    ],
)
def test_wrong_checksum_leaves_the_old_file(dav: Client, checksum: str) -> None:
    """OC-Checksum wrong or malformed: 400 before anything is visible (the field asks to be verified)."""
    dav.made("file", b"before")
    assert dav.put("file", OLD, {"OC-Checksum": checksum}).status == 400
    assert dav.put("new", OLD, {"OC-Checksum": checksum}).status == 400
    assert dav.tree() == {"file": b"before"}


@fault("ignores it")
@pytest.mark.parametrize(
    ("seconds", "date"),
    [
        ("1000000000", "Sun, 09 Sep 2001 01:46:40 GMT"),
        ("0", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("-86400", "Wed, 31 Dec 1969 00:00:00 GMT"),
        ("4102444800", "Fri, 01 Jan 2100 00:00:00 GMT"),
    ],
)
def test_time_of_the_client_is_kept_and_confirmed(dav: Client, seconds: str, date: str) -> None:
    """X-OC-Mtime on PUT: seconds since 1970, kept as getlastmodified, confirmed with `accepted`."""
    answer = dav.put("file", b"x", {"X-OC-Mtime": seconds})
    assert answer.status == 201
    assert answer["X-OC-Mtime"] == "accepted"
    assert dav.property("file", f"{DAV}getlastmodified") == date
    assert dav.head("file")["Last-Modified"] == date


@pytest.mark.usefixtures("ours")
def test_new_content_has_a_new_time(dav: Client) -> None:
    """RFC 4918, 15.7: without X-OC-Mtime the time is that of the PUT, whatever it was before."""
    dav.made("file", b"x", {"X-OC-Mtime": "1000000000"})
    assert dav.put("file", b"y").get("X-OC-Mtime") is None
    modified = parsedate_to_datetime(dav.head("file")["Last-Modified"])
    assert abs((datetime.now(UTC) - modified).total_seconds()) < 60


@fault("ignores it")
@pytest.mark.parametrize("value", ["yesterday", "", "1e9", "0x10", "1_000", "99999999999999999999", "nan"])
def test_malformed_time_is_refused(dav: Client, value: str) -> None:
    """X-OC-Mtime that is not a time: 400 and nothing stored, so that no file gets a time nobody meant."""
    assert dav.put("file", b"x", {"X-OC-Mtime": value}).status == 400
    assert dav.tree() == {}


def test_put_without_a_body_makes_an_empty_file(dav: Client) -> None:
    """RFC 9112, 6.3: neither Content-Length nor Transfer-Encoding means a body of no bytes."""
    assert dav.ask("PUT", "file").status == 201
    assert dav.get("file").body == b""
