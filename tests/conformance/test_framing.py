"""Where a request begins and ends. RFC 9112; T01 to T09.

A request that two parsers could read in two ways is refused and the connection closed: behind a proxy, the
rest of one client's request would otherwise be another's (smuggling).
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.http import Connection, chunked, head, request

ACCEPTS = fault("accepts it, or hangs")


def _base(dav: Client) -> bytes:
    return f"Host: {dav.host}\r\nAuthorization: {dav.authorization}\r\n".encode()


def _stray(dav: Client) -> bytes:
    """A request that is hidden behind another one, and must never be done."""
    return request("DELETE", dav.at("victim"), dav.headers)


def _is_refused_for_good(dav: Client, wire: bytes, statuses: frozenset[int] = frozenset({400})) -> None:
    """`wire` gets one answer and the end of the connection; nothing behind it is done."""
    dav.made("victim")
    with dav.connect() as connection:
        connection.send(wire + _stray(dav))
        answer = connection.read("PUT")
        assert answer.status in statuses
        assert connection.ended()
    assert dav.tree() == {"victim": b"content"}


def _rows(table: dict[str, bytes]) -> list[object]:
    """Rows of a table; a name that ends in "(both)" is one that the stock server refuses too."""
    return [
        pytest.param(value, id=name, marks=() if name.endswith("(both)") else ACCEPTS)
        for name, value in table.items()
    ]


# ── length ──────────────────────────────────────────────────────────────────────────────────────────────────
BAD_LENGTHS = {
    "two": b"Content-Length: 5\r\nContent-Length: 0",
    "two, the other way": b"Content-Length: 0\r\nContent-Length: 5",
    "two equal": b"Content-Length: 0\r\nContent-Length: 0",
    "list (both)": b"Content-Length: 0, 0",
    "plus": b"Content-Length: +0",
    "minus": b"Content-Length: -1",
    "minus zero": b"Content-Length: -0",
    "underscore": b"Content-Length: 0_0",
    "hexadecimal (both)": b"Content-Length: 0x0",
    "exponent (both)": b"Content-Length: 0e0",
    "fraction (both)": b"Content-Length: 0.0",
    "empty (both)": b"Content-Length:",
    "word (both)": b"Content-Length: five",
    "digits of another script (both)": b"Content-Length: \xd9\xa0",
    "superscript (both)": b"Content-Length: \xb2",
    "inner space (both)": b"Content-Length: 0 0",
    "vertical tab": b"Content-Length: \x0b0",
    "space before the colon": b"Content-Length : 0",
    "tab before the colon": b"Content-Length\t: 0",
    "larger than 64 bits": b"Content-Length: " + b"9" * 30,
    "length and chunks": b"Content-Length: 0\r\nTransfer-Encoding: chunked",
    "chunks and length": b"Transfer-Encoding: chunked\r\nContent-Length: 5",
    "gzip (both)": b"Transfer-Encoding: gzip",
    "gzip, chunked (both)": b"Transfer-Encoding: gzip, chunked",
    "chunked, gzip (both)": b"Transfer-Encoding: chunked, gzip",
    "chunked twice": b"Transfer-Encoding: chunked, chunked",
    "chunked in two fields": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "chunked and identity (both)": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "identity (both)": b"Transfer-Encoding: identity",
    "no coding": b"Transfer-Encoding:",
    "like chunked (both)": b"Transfer-Encoding: xchunked",
    "quoted chunked (both)": b'Transfer-Encoding: "chunked"',
    "chunked after a control": b"Transfer-Encoding: \x0bchunked",
    "chunked with a parameter (both)": b"Transfer-Encoding: chunked;a=b",
    "coding with a space before the colon": b"Transfer-Encoding : chunked",
}


@pytest.mark.parametrize("fields", _rows(BAD_LENGTHS))
def test_ambiguous_length_is_refused(dav: Client, fields: bytes) -> None:
    """T01, T02, RFC 9112, 6.1 to 6.3: 400 and the end; what follows is not the next request."""
    wire = b"PUT %b HTTP/1.1\r\n%b%b\r\n\r\n" % (dav.at("file").encode(), _base(dav), fields)
    _is_refused_for_good(dav, wire, frozenset({400, 413, 501}))


@ACCEPTS
def test_chunks_in_http_1_0_are_refused(dav: Client) -> None:
    """RFC 9112, 6.1: HTTP/1.0 has no chunks; a proxy of that age would not see where they end."""
    fields = _base(dav) + b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n"
    _is_refused_for_good(
        dav, b"PUT %b HTTP/1.0\r\n%b\r\n" % (dav.at("file").encode(), fields) + chunked([b"x"])
    )


BAD_CHUNKS = {
    "hexadecimal prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "leading space": b" 5\r\nhello\r\n0\r\n\r\n",
    "empty": b"\r\nhello\r\n0\r\n\r\n",
    "word": b"five\r\nhello\r\n0\r\n\r\n",
    "digits of another script": b"\xd9\xa5\r\nhello\r\n0\r\n\r\n",
    "17 digits": b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    "larger than 64 bits": b"1" + b"0" * 16 + b"5\r\nhello\r\n0\r\n\r\n",
    "long extension": b"5;" + b"x" * 300 + b"\r\nhello\r\n0\r\n\r\n",
    "control in the extension": b"5;\x00\r\nhello\r\n0\r\n\r\n",
    "longer than it says": b"5\r\nhello!\r\n0\r\n\r\n",
    "shorter than it says": b"6\r\nhello\r\n0\r\n\r\n",
    "space before the extension": b"5 ;a\r\nhello\r\n0\r\n\r\n",
    "trailer that is no field": b"5\r\nhello\r\n0\r\nGET /\r\n\r\n",
    "trailer that frames": b"5\r\nhello\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n",
    "trailer that gives a length": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "trailer that names a host": b"5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
    "folded trailer": b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
    "bare LF": b"5\nhello\n0\n\n",
    "bare LF after data": b"5\r\nhello\n0\r\n\r\n",
    "bare CR": b"5\rhello\r0\r\r",
}


@pytest.mark.parametrize("body", _rows(BAD_CHUNKS))
def test_malformed_chunk_is_refused(dav: Client, body: bytes) -> None:
    """T04, RFC 9112, 7.1: 400 and the end; nothing is stored, and what follows is not the next request."""
    wire = head("PUT", dav.at("file"), {**dav.headers, "Transfer-Encoding": "chunked"}) + body
    _is_refused_for_good(dav, wire)


# ── lines and fields ────────────────────────────────────────────────────────────────────────────────────────
BAD_FIELDS = {
    "folded line": b"X-A: 1\r\n 2",
    "folded line with a tab": b"X-A: 1\r\n\t2",
    "space at the beginning (both)": b" X-A: 1",
    "bare LF (both)": b"X-A: 1\nX-B: 2",
    "bare CR": b"X-A: 1\rX-B: 2",
    "NUL": b"X-A: 1\x002",
    "escape": b"X-A: \x1b[2J",
    "delete": b"X-A: \x7f",
    "no colon (both)": b"X-A",
    "no name": b": 1",
    "space in the name": b"X A: 1",
    "space after the name": b"X-A : 1",
    "slash in the name": b"X/A: 1",
    "quote in the name": b'"X-A": 1',
    "control in the name": b"X\x01A: 1",
    "byte above ASCII in the name": b"X\xc3\xbc: 1",
    "two Host": b"Host: other",
    "two Authorization": b"Authorization: Basic eDp5",
    "two Destination": b"Destination: /dav/a\r\nDestination: /dav/b",
    "two Depth": b"Depth: 0\r\nDepth: 1",
    "two Range": b"Range: bytes=0-1\r\nRange: bytes=2-3",
    "two If": b'If: (["a"])\r\nIf: (["b"])',
    "two Overwrite": b"Overwrite: T\r\nOverwrite: F",
    "two Content-Range": b"Content-Range: bytes 0-1/2\r\nContent-Range: bytes 0-1/3",
}


@pytest.mark.parametrize("fields", _rows(BAD_FIELDS))
def test_malformed_field_is_refused(dav: Client, fields: bytes) -> None:
    """T03, RFC 9112, 5.1 and 5.2; RFC 9110, 5.5: 400 and the end."""
    base = _base(dav) + b"Content-Length: 0\r\n"
    _is_refused_for_good(dav, b"PUT %b HTTP/1.1\r\n%b%b\r\n\r\n" % (dav.at("file").encode(), base, fields))


BAD_LINES = {
    "no version (both)": b"PUT {target}",
    "two spaces (both)": b"PUT  {target} HTTP/1.1",
    "space at the end": b"PUT {target} HTTP/1.1 ",
    "space in the target (both)": b"PUT {target}/a b HTTP/1.1",
    "tabs (both)": b"PUT\t{target}\tHTTP/1.1",
    "space at the beginning": b" PUT {target} HTTP/1.1",
    "small letters (both)": b"PUT {target} http/1.1",
    "version of three parts (both)": b"PUT {target} HTTP/1.1.1",
    "version of letters (both)": b"PUT {target} HTTP/x.y",
    "version of two digits": b"PUT {target} HTTP/01.1",
    "no such protocol (both)": b"PUT {target} ICAP/1.1",
    "HTTP/2 (both)": b"PUT {target} HTTP/2.0",
    "HTTP/3 (both)": b"PUT {target} HTTP/3.0",
    "control": b"PUT {target}\x01 HTTP/1.1",
    "not a token": b"PU(T {target} HTTP/1.1",
    "fragment (both)": b"PUT {target}#x HTTP/1.1",
    "asterisk (both)": b"PUT * HTTP/1.1",
    "no slash (both)": b"PUT dav/file HTTP/1.1",
    "unclosed bracket in a URL": b"PUT http://[/dav/file HTTP/1.1",
    "another scheme (both)": b"PUT ftp://localhost{target} HTTP/1.1",
    "authority (both)": b"PUT localhost:80 HTTP/1.1",
    "folded (both)": b"PUT {target}\r\n HTTP/1.1",
    "TLS (both)": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("line", _rows(BAD_LINES))
def test_malformed_request_line_is_refused(dav: Client, line: bytes) -> None:
    """T03, T09, RFC 9112, 3: 4xx (505 for another major version) and the end; never a 5xx of another kind."""
    target = dav.at("file").encode()
    wire = line.replace(b"{target}", target) + b"\r\n" + _base(dav) + b"Content-Length: 0\r\n\r\n"
    _is_refused_for_good(dav, wire, frozenset({400, 404, 405, 505}))


CRASHES = fault("answers 500")


@pytest.mark.parametrize(
    "target", [pytest.param("//[", marks=CRASHES), pytest.param("//]", marks=CRASHES), "/dav//["]
)
def test_target_that_is_no_url_is_4xx(dav: Client, target: str) -> None:
    """T09: nor does a target that cannot be taken for a URL make anything fail."""
    assert dav.send("GET", target).refused


BAD_HOSTS = {
    "none": b"",
    "no colon (both)": b"Host\r\n",
    "two": b"Host: a\r\nHost: a\r\n",
    "path": b"Host: a/b\r\n",
    "space": b"Host: a b\r\n",
    "user": b"Host: a@b\r\n",
    "bracket": b"Host: [\r\n",
    "two ports": b"Host: a:1:2\r\n",
    "port of letters": b"Host: a:b\r\n",
}


@pytest.mark.parametrize("host", _rows(BAD_HOSTS))
def test_missing_or_malformed_host_is_refused(dav: Client, host: bytes) -> None:
    """T03, RFC 9112, 3.2: one Host field that is one: else 400."""
    fields = host + f"Authorization: {dav.authorization}\r\nContent-Length: 0\r\n".encode()
    _is_refused_for_good(dav, b"PUT %b HTTP/1.1\r\n%b\r\n" % (dav.at("file").encode(), fields))


LIMITS = {
    "one long field": b"X-A: " + b"x" * 20_000 + b"\r\n",
    "many fields": b"X-A: x\r\n" * 200,
    "fields without an end": b"X-A: x\r\n" * 4000,
}


@pytest.mark.parametrize("fields", _rows(LIMITS))
def test_large_head_is_refused(dav: Client, fields: bytes) -> None:
    """T05: 431 for more than 16 KiB or 100 fields."""
    wire = b"PUT %b HTTP/1.1\r\n%bContent-Length: 0\r\n%b\r\n" % (dav.at("file").encode(), _base(dav), fields)
    _is_refused_for_good(dav, wire, frozenset({431}))


@ACCEPTS
def test_long_target_is_refused(dav: Client) -> None:
    """T05: 414 for more than 8 KiB."""
    target = dav.at("file").encode() + b"?" + b"x" * 9000
    wire = b"PUT %b HTTP/1.1\r\n%bContent-Length: 0\r\n\r\n" % (target, _base(dav))
    _is_refused_for_good(dav, wire, frozenset({414}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content_Length", "0"),
        ("X_Expected_Entity_Length", "9"),
        pytest.param("If_None_Match", "*", marks=fault("takes it for the field with a hyphen")),
        pytest.param("If_Match", '"another"', marks=fault("takes it for the field with a hyphen")),
    ],
)
def test_field_with_an_underscore_is_another_one(dav: Client, name: str, value: str) -> None:
    """T01: though a WSGI environ cannot tell them apart, `If_Match` is not If-Match: ignored or 400."""
    dav.made("file", b"old")
    answer = dav.put("file", b"hello", {name: value})
    assert answer.status in {204, 400}
    assert dav.tree() == {"file": b"hello" if answer.status == 204 else b"old"}


# ── what is unusual and right ───────────────────────────────────────────────────────────────────────────────
@fault("answers 400")
def test_absolute_form_is_accepted(dav: Client) -> None:
    """RFC 9112, 3.2.2: a server has to accept the absolute form, with whatever Host."""
    dav.made("file", b"x")
    for host in (dav.host, "other"):
        assert dav.send("GET", dav.url("file"), {"Host": host}).body == b"x"


def test_http_1_0_is_answered(dav: Client) -> None:
    """RFC 9112, 3.2 and 9.3: HTTP/1.0 needs no Host and ends with its answer."""
    dav.made("file", b"x")
    with dav.connect() as connection:
        line = f"GET {dav.at('file')} HTTP/1.0\r\nAuthorization: {dav.authorization}\r\n\r\n"
        connection.send(line.encode())
        assert connection.read().body == b"x"
        assert connection.ended()


def test_http_1_0_gets_no_chunks(dav: Client) -> None:
    """RFC 9112, 6.1: an answer without a length ends with the connection."""
    with dav.connect() as connection:
        line = f"PROPFIND {dav.at()} HTTP/1.0\r\nDepth: 0\r\nAuthorization: {dav.authorization}\r\n\r\n"
        connection.send(line.encode())
        answer = connection.read()
        assert answer.status == 207
        assert not answer.chunked
        assert connection.ended()


def test_empty_lines_before_a_request_are_skipped(dav: Client) -> None:
    """RFC 9112, 2.2: at least one, which old clients send after a body."""
    dav.made("file", b"x")
    with dav.connect() as connection:
        connection.send(b"\r\n" + request("GET", dav.at("file"), dav.headers))
        assert connection.read().body == b"x"


def test_head_in_pieces_is_one_head(dav: Client) -> None:
    """RFC 9112, 2.1: where the network cuts a message says nothing."""
    dav.made("file", b"x")
    with dav.connect() as connection:
        for byte in request("GET", dav.at("file"), dav.headers):
            connection.send(bytes([byte]))
        assert connection.read().body == b"x"


def test_pipelined_requests_are_answered_in_order(dav: Client) -> None:
    """RFC 9112, 9.3.2: requests sent at once, also with bodies."""
    with dav.connect() as connection:
        wire = b""
        for number in range(20):
            wire += request("PUT", dav.at(f"{number}"), dav.headers, f"content {number}".encode())
            wire += request("GET", dav.at(f"{number}"), dav.headers)
        connection.send(wire)
        for number in range(20):
            assert connection.read("PUT").status == 201
            assert connection.read().body == f"content {number}".encode()


TRAILERS = fault("leaves the trailers in the connection, where the next request should begin")


@pytest.mark.parametrize(
    "end",
    [
        b"0\r\n\r\n",
        b"000\r\n\r\n",
        b"0;a=b\r\n\r\n",
        b'0;a="b;c"\r\n\r\n',
        pytest.param(b"0\r\nX-A: 1\r\n\r\n", marks=TRAILERS),
        pytest.param(b"0\r\nX-A: 1\r\nContent-MD5: 5\r\nX-B: 2\r\n\r\n", marks=TRAILERS),
    ],
)
def test_connection_goes_on_after_chunks(dav: Client, end: bytes) -> None:
    """RFC 9112, 7.1.1 and 7.1.2: extensions and trailers are read and mean nothing."""
    headers = {**dav.headers, "Transfer-Encoding": "chunked"}
    with dav.connect() as connection:
        for name in ("one", "two"):
            body = b"5;x=y\r\nhello\r\n1\r\n!\r\n" + end
            assert connection.ask("PUT", dav.at(name), headers, body).status == 201
        assert connection.ask("GET", dav.at("one"), dav.headers).body == b"hello!"
    assert dav.tree() == {"one": b"hello!", "two": b"hello!"}


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "CHUNKED"])
def test_name_of_the_coding_has_no_case(dav: Client, coding: str) -> None:
    """RFC 9112, 7: names of transfer codings are case-insensitive."""
    assert dav.put("file", chunked([b"x"]), {"Transfer-Encoding": coding}).status == 201


# ── keeping and closing ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "option",
    [
        "close",
        pytest.param("Close", marks=fault("knows it in small letters only")),
        pytest.param("TE, close", marks=fault("knows it alone only")),
    ],
)
def test_connection_closes_when_asked(dav: Client, option: str) -> None:
    """RFC 9112, 9.6: options are case-insensitive and come in lists."""
    with dav.connect() as connection:
        answer = connection.ask("OPTIONS", dav.at(), {**dav.headers, "Connection": option})
        assert answer["Connection"].lower() == "close"
        assert connection.ended()


@fault("keeps ten of them")
def test_many_connections_are_kept(dav: Client) -> None:
    """RFC 9112, 9.3: a mount keeps dozens of connections; each is good for another request."""
    dav.made("file", b"x")
    with ExitStack() as stack:
        connections: list[Connection] = []
        for number in range(60):
            if number < 30:
                connections.append(stack.enter_context(dav.connect()))
            answer = connections[number % 30].ask("GET", dav.at("file"), dav.headers)
            assert answer.get("Connection") in {None, "keep-alive"}


# ── bodies that nobody wanted ───────────────────────────────────────────────────────────────────────────────
def _answers(connection: Connection, method: str) -> list[int]:
    """Status codes until the connection ends."""
    statuses = [connection.read(method).status]
    while not connection.ended():
        statuses.append(connection.read(method).status)
    return statuses


UNREAD = fault("leaves the body in the connection and reads it as the next request")

REFUSALS = [
    pytest.param("PUT", "file", {"Authorization": "Basic eDp5"}, 401, id="401"),
    pytest.param("PUT", "missing/file", {}, 409, id="409"),
    pytest.param("PUT", "victim", {"If-None-Match": "*"}, 412, id="412"),
    pytest.param("MKCOL", "collection", {}, 415, id="415"),
    pytest.param("BREW", "file", {}, 405, id="405"),
    pytest.param("DELETE", "missing", {}, 404, id="404"),
    pytest.param("GET", "victim", {}, 200, id="200"),
    pytest.param("LOCK", "victim", {"Depth": "1"}, 400, id="LOCK"),
    pytest.param("UNLOCK", "victim", {}, 400, id="UNLOCK"),
]


@UNREAD
@pytest.mark.parametrize(("method", "name", "fields", "status"), REFUSALS)
def test_chunks_that_were_not_read_are_no_request(
    dav: Client, method: str, name: str, fields: dict[str, str], status: int
) -> None:
    """T08: whatever the answer, a body in chunks that nobody read is never done as the next request."""
    dav.made("victim")
    headers = {**dav.headers, **fields, "Transfer-Encoding": "chunked"}
    with dav.connect() as connection:
        connection.send(head(method, dav.at(name), headers) + _stray(dav))
        connection.finish()
        first = connection.read(method)
        assert first.status in {status, 400, 415, 501}
        assert connection.ended()
    assert dav.tree() == {"victim": b"content"}


@pytest.mark.parametrize(("method", "name", "fields", "status"), REFUSALS)
def test_body_that_was_not_read_is_no_request(
    dav: Client, method: str, name: str, fields: dict[str, str], status: int
) -> None:
    """T08: the same with a length; the connection goes on behind the body, or closes."""
    dav.made("victim")
    stray = _stray(dav)
    headers = {**dav.headers, **fields}
    with dav.connect() as connection:
        connection.send(
            request(method, dav.at(name), headers, stray) + request("OPTIONS", dav.at(), dav.headers)
        )
        first = connection.read(method)
        assert first.status in {status, 415, 501}
        if (first.get("Connection") or "").lower() == "close":
            assert connection.ended()
        else:
            assert connection.read().status in {200, 204}
    assert dav.tree() == {"victim": b"content"}


REFUSES_BODY = fault("answers 415 to a body that means nothing")


@pytest.mark.parametrize(
    ("method", "framing"),
    [
        pytest.param("GET", "length", marks=REFUSES_BODY),
        pytest.param("HEAD", "length", marks=REFUSES_BODY),
        pytest.param("DELETE", "length", marks=REFUSES_BODY),
        ("OPTIONS", "length"),
        *[pytest.param(method, "chunks", marks=UNREAD) for method in ("GET", "HEAD", "DELETE", "OPTIONS")],
    ],
)
def test_body_without_a_meaning_harms_nobody(dav: Client, method: str, framing: str) -> None:
    """RFC 9110, 9.3.1 and 9.3.5: a body of GET or DELETE means nothing: it is done without, and goes on."""
    dav.made("file", b"x")
    dav.made("other", b"y")
    with dav.connect() as connection:
        if framing == "length":
            answer = connection.ask(method, dav.at("file"), dav.headers, b"<nonsense/>")
        else:
            headers = {**dav.headers, "Transfer-Encoding": "chunked"}
            answer = connection.ask(method, dav.at("file"), headers, chunked([b"<nonsense/>"]))
        assert answer.status in {200, 204}
        if (answer.get("Connection") or "").lower() != "close":
            assert connection.ask("GET", dav.at("other"), dav.headers).body == b"y"


# ── Expect ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "expectation", ["100-continue", pytest.param("100-Continue", marks=fault("does not know it"))]
)
def test_body_is_asked_for_and_then_read(dav: Client, expectation: str) -> None:
    """RFC 9110, 10.1.1: 100 before the body, whatever the case, and the final answer after it."""
    headers = {**dav.headers, "Expect": expectation, "Content-Length": "5"}
    with dav.connect() as connection:
        connection.send(head("PUT", dav.at("file"), headers))
        assert connection.read_interim() == 100
        connection.send(b"hello")
        assert connection.read("PUT").status == 201
    assert dav.tree() == {"file": b"hello"}


ASKS_FIRST = fault("asks for the whole body before it looks at the request")


@ASKS_FIRST
@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        pytest.param("file", {"Authorization": "Basic eDp5"}, 401, id="401"),
        pytest.param("missing/file", {}, 409, id="409"),
        pytest.param("", {}, 405, id="405"),
        pytest.param("old", {"If-None-Match": "*"}, 412, id="412"),
        pytest.param("file", {"Content-Encoding": "gzip"}, 415, id="415"),
        pytest.param("file", {"Content-Range": "bytes 0-4/9"}, 400, id="part"),
        pytest.param("file", {"X-Expected-Entity-Length": "5"}, 400, id="length"),
    ],
)
def test_body_is_not_asked_for_in_vain(dav: Client, name: str, fields: dict[str, str], status: int) -> None:
    """RFC 9110, 10.1.1: what is refused anyway is refused without a 100: nothing is sent for nothing."""
    dav.made("old")
    headers = {**dav.headers, **fields, "Expect": "100-continue", "Content-Length": "1000000"}
    with dav.connect() as connection:
        connection.send(head("PUT", dav.at(name), headers))
        answer = connection.read("PUT")
        assert (answer.status, answer.interim) == (status, ())
        assert answer["Connection"].lower() == "close"


def test_unknown_expectation_is_417(dav: Client) -> None:
    """RFC 9110, 10.1.1: 417, or it is ignored; it does not hang."""
    assert dav.put("file", b"x", {"Expect": "miracles"}).status in {201, 417}


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(
            {"Content-Length": "400000000"},
            marks=fault("waits for the whole body first, and keeps it in memory"),
        ),
        {"Transfer-Encoding": "chunked"},
    ],
    ids=["length", "chunks"],
)
def test_stranger_is_refused_before_his_body(dav: Client, framing: dict[str, str]) -> None:
    """T08: without a credential, 401 at once: nothing of a body of 400 MB is waited for."""
    with dav.as_(None).connect() as connection:
        connection.send(head("PUT", dav.at("file"), {"Host": dav.host, **framing}))
        assert connection.read("PUT").status == 401


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("method", "name"), [("GET", "file"), ("GET", "missing"), ("OPTIONS", ""), ("PROPFIND", "")]
)
def test_head_of_an_answer_is_complete(dav: Client, method: str, name: str) -> None:
    """RFC 9110, 6.6.1 and 8.6: a date, and a length or chunks, so that the connection goes on."""
    dav.made("file", b"x")
    with dav.connect() as connection:
        for _ in range(2):
            answer = connection.ask(method, dav.at(name), {**dav.headers, "Depth": "0"})
            assert answer["Date"].endswith(" GMT")
            assert answer.chunked or answer.get("Content-Length") is not None


def test_head_is_get_without_content(dav: Client) -> None:
    """RFC 9110, 9.3.2: the same fields, no content, and the connection goes on."""
    dav.made("file.txt", b"x" * 100)
    with dav.connect() as connection:
        tell = connection.ask("HEAD", dav.at("file.txt"), dav.headers)
        give = connection.ask("GET", dav.at("file.txt"), dav.headers)
    assert {name for name, _ in tell.fields} == {name for name, _ in give.fields}
    for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified"):
        assert tell[name] == give[name]
