"""`davserver.serving.head`: only what every HTTP parser reads alike is accepted."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from davserver.serving.head import MAX_FIELDS, MAX_METHOD_CHARS, MAX_TARGET_BYTES, Head, Refused, parse_head


def parse(line: str = "GET / HTTP/1.1", *fields: str, host: str = "Host: example.org") -> Head:
    """Parse a request line and fields; each character is one byte."""
    return parse_head("\r\n".join([line, *([host] if host else []), *fields]).encode("latin-1"))


def refusal(line: str = "GET / HTTP/1.1", *fields: str, host: str = "Host: example.org") -> HTTPStatus:
    """The status that a head is refused with."""
    with pytest.raises(Refused) as caught:
        parse(line, *fields, host=host)
    return caught.value.status


def test_a_plain_request_is_read() -> None:
    """Method, target, decoded path, query and fields are told apart."""
    head = parse("PUT /a%20b/%C3%A9?x=%20 HTTP/1.1", "Content-Length: 12", "X-Two:  a ", "x-two: b")
    assert (head.method, head.target, head.query) == ("PUT", "/a%20b/%C3%A9?x=%20", "x=%20")
    assert head.path.encode("latin-1").decode() == "/a b/é"
    assert head.fields == {"host": "example.org", "content-length": "12", "x-two": "a, b"}
    assert (head.length, head.http11, head.keep_alive) == (12, True, True)


def test_bytes_above_ascii_in_a_target_are_kept() -> None:
    """Curl does not encode them; nothing decodes or refuses them here."""
    head = parse("GET /\xc3\xa9 HTTP/1.1")
    assert head.target == head.path == "/\xc3\xa9"


@pytest.mark.parametrize(
    "line",
    [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET /",
        "GET / HTTP/1",
        "GET / http/1.1",
        "GET / HTTP/1.10",
        "GET /a b HTTP/1.1",
        "GET /\x00 HTTP/1.1",
        "GET /\x7f HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET a HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /#a HTTP/1.1",
        "CONNECT example.org:443 HTTP/1.1",
        "GET ftp://example.org/ HTTP/1.1",
        "GET http:///a HTTP/1.1",
        "GET http://:80/a HTTP/1.1",
        "GET https://?a HTTP/1.1",
        f"{'M' * (MAX_METHOD_CHARS + 1)} / HTTP/1.1",
        "",
    ],
)
def test_malformed_request_lines_are_refused(line: str) -> None:
    """RFC 9112, 3: one space, a known form of target, a version in capitals."""
    assert refusal(line) is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/0.9", "HTTP/3.1"])
def test_other_versions_are_refused(version: str) -> None:
    """RFC 9110, 15.6.6."""
    assert refusal(f"GET / {version}") is HTTPStatus.HTTP_VERSION_NOT_SUPPORTED


@pytest.mark.parametrize(
    "fields",
    [
        ["X : a"],
        [" X: a"],
        ["X: a", " folded"],
        ["X: a", "\tfolded"],
        ["X: a\x00b"],
        ["X: a\rb"],
        ["X: a\nb"],
        ["X: a\x0bb"],
        ["X Y: a"],
        ["X"],
        [": a"],
        ["X\xe9: a"],
        [""],
    ],
)
def test_malformed_fields_are_refused(fields: list[str]) -> None:
    """RFC 9112, 5: no folding, no space before the colon, no control characters."""
    assert refusal("GET / HTTP/1.1", *fields) is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    "fields",
    [
        ["Content-Length: +5"],
        ["Content-Length: -5"],
        ["Content-Length: 5 5"],
        ["Content-Length: 0x5"],
        ["Content-Length: 1_0"],
        ["Content-Length: 5, 5"],
        ["Content-Length: \xb2"],
        ["Content-Length:"],
        ["Content-Length: 1234567890123456789"],
        ["Content-Length: 5", "Content-Length: 5"],
        ["Content-Length: 5", "content-length: 6"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Transfer-Encoding: gzip"],
        ["Transfer-Encoding: gzip, chunked"],
        ["Transfer-Encoding: chunked, chunked"],
        ["Transfer-Encoding: identity"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding:"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ],
)
def test_an_ambiguous_length_is_refused(fields: list[str]) -> None:
    """RFC 9112, 6.3: what two parsers may frame in two ways lets requests be smuggled."""
    assert refusal("PUT / HTTP/1.1", *fields) is HTTPStatus.BAD_REQUEST


def test_chunked_is_for_http_1_1_only() -> None:
    """RFC 9112, 6.1: in HTTP/1.0 it is a faulty framing."""
    assert parse("PUT / HTTP/1.1", "Transfer-Encoding: Chunked").length is None
    assert refusal("PUT / HTTP/1.0", "Transfer-Encoding: chunked") is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    "name", ["Authorization", "Destination", "If", "Depth", "Range", "Overwrite", "Host", "Expect"]
)
def test_fields_that_may_come_once_do(name: str) -> None:
    """Two of them would let a proxy judge one and us obey the other."""
    fields = [f"{name}: example.org"] * (1 if name == "Host" else 2)
    assert refusal("GET / HTTP/1.1", *fields) is HTTPStatus.BAD_REQUEST


def test_names_with_underscores_are_dropped() -> None:
    """In a WSGI environ `X_Y` would pass for `X-Y`, which a proxy may have removed or set."""
    head = parse("GET / HTTP/1.1", "X_Forwarded_For: evil", "Content_Length: 5", "X-Real: a")
    assert head.fields == {"host": "example.org", "x-real": "a"}
    assert head.length == 0


@pytest.mark.parametrize(
    "host",
    ["", "Host: a b", "Host: a/b", "Host: user@a", "Host: a\xe9", "Host: a:1:2", "Host: a:b", "Host: [::1"],
)
def test_host_must_be_there_and_well_formed(host: str) -> None:
    """RFC 9112, 3.2."""
    assert refusal(host=host) is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("host", ["a", "a:80", "127.0.0.1:8080", "[::1]", "[::1]:8080", "a_b.example", "a:"])
def test_hosts_of_every_form_are_accepted(host: str) -> None:
    """RFC 3986, 3.2.2: name, IPv4, IPv6 in brackets; each with or without a port."""
    assert parse(host=f"Host: {host}").fields["host"] == host


def test_http_1_0_needs_no_host() -> None:
    """RFC 9112, 3.2 demands it of 1.1 only; and 1.0 closes unless asked otherwise."""
    assert not parse("GET / HTTP/1.0", host="").keep_alive
    assert parse("GET / HTTP/1.0", "Connection: Keep-Alive").keep_alive


@pytest.mark.parametrize("value", ["close", "Close", "upgrade, CLOSE"])
def test_close_is_understood_in_any_case(value: str) -> None:
    """RFC 9110, 7.6.1: options are case-insensitive and a list."""
    assert not parse("GET / HTTP/1.1", f"Connection: {value}").keep_alive


def test_the_absolute_form_is_accepted_and_its_authority_wins() -> None:
    """RFC 9112, 3.2.2."""
    head = parse("GET http://other.example:8080/a?b HTTP/1.1")
    assert (head.target, head.fields["host"]) == ("/a?b", "other.example:8080")
    assert parse("GET HTTP://other.example HTTP/1.1").target == "/"
    assert parse("GET http://other.example?q HTTP/1.1").target == "/?q"


def test_the_asterisk_form_is_for_options() -> None:
    """RFC 9112, 3.2.4."""
    assert parse("OPTIONS * HTTP/1.1").target == "*"


def test_expectations() -> None:
    """RFC 9110, 10.1.1: one is known, in any case, and 1.0 has none."""
    assert parse("PUT / HTTP/1.1", "Expect: 100-Continue").expects_continue
    assert not parse("PUT / HTTP/1.0", "Expect: 100-continue").expects_continue
    assert refusal("PUT / HTTP/1.1", "Expect: wonders") is HTTPStatus.EXPECTATION_FAILED


def test_limits() -> None:
    """The largest allowed head is read, one more is refused with the status that says why."""
    target = "/" + "a" * (MAX_TARGET_BYTES - 1)
    assert parse(f"GET {target} HTTP/1.1").target == target
    assert refusal(f"GET {target}a HTTP/1.1") is HTTPStatus.REQUEST_URI_TOO_LONG
    fields = [f"X-{number}: a" for number in range(MAX_FIELDS - 1)]
    assert len(parse("GET / HTTP/1.1", *fields).fields) == MAX_FIELDS
    refused = refusal("GET / HTTP/1.1", *fields, "X-More: a")
    assert refused is HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


def test_cookies_are_joined_with_semicolons() -> None:
    """RFC 6265, 5.4: a comma would be part of a value."""
    assert parse("GET / HTTP/1.1", "Cookie: a=1", "Cookie: b=2").fields["cookie"] == "a=1; b=2"
