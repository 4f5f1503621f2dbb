"""`davserver.serving.proxies`: whom and what is believed about the client, and nothing else."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.serving.exchange import Environ, Host, build_environ
from davserver.serving.head import parse_head
from davserver.serving.proxies import Proxies
from davserver.serving.reader import SizedBody, SocketReader
from davserver.serving.server import Options, Server
from davserver.serving.wire import Block, Wire
from tests.conformance.http import Connection, Response

TRUSTED = ("10.0.0.0/8", "2001:db8::/32")
PROXY = "10.0.0.1"
CLIENT = "192.0.2.7"
STRANGER = "203.0.113.5"
TOLD = {
    "HTTP_X_FORWARDED_FOR": CLIENT,
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "dav.example.org",
    "HTTP_X_FORWARDED_PORT": "443",
    "HTTP_FORWARDED": f"for={CLIENT}",
    "HTTP_X_REAL_IP": CLIENT,
}


def applied(peer: str, *trusted: str, **fields: str) -> dict[str, Any]:
    """The environ of a request from `peer` that an application sees."""
    networks = [ip_network(network) for network in trusted or TRUSTED]
    host = Host({"wsgi.url_scheme": "http"}, lambda: "now", lambda: True, Proxies(networks))
    head = parse_head(b"GET / HTTP/1.1\r\nHost: inside:8080\r\nX-For: kept")
    named = {name.removeprefix("HTTP_").lower().replace("_", "-"): value for name, value in fields.items()}
    head = replace(head, fields={**head.fields, **named})
    far, near = socket.socketpair()
    with far, near:
        body = SizedBody(SocketReader(Wire(near), threading.Event()), lambda: None, 0)
        return build_environ(host, head, body, (peer, 5000), "1")


def seen(environ: dict[str, Any]) -> tuple[str, str, str]:
    """Who asks for what, as an application sees it."""
    return environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]


@pytest.mark.parametrize("peer", [PROXY, "2001:db8::1", "::ffff:10.0.0.1"])
def test_a_trusted_proxy_is_believed(peer: str) -> None:
    """Address, scheme and host are the client's; the proxy's port is not taken for the client's."""
    environ = applied(peer, **TOLD)
    assert seen(environ) == (CLIENT, "https", "dav.example.org")
    assert "REMOTE_PORT" not in environ


@pytest.mark.parametrize("peer", [STRANGER, "::1", "", "unknown", "11.0.0.1"])
def test_a_stranger_is_not(peer: str) -> None:
    """T20: what it says of itself changes nothing."""
    environ = applied(peer, **TOLD)
    assert seen(environ) == (peer, "http", "inside:8080")
    assert environ["REMOTE_PORT"] == "5000"


@pytest.mark.parametrize("peer", [PROXY, STRANGER])
def test_no_application_sees_the_fields(peer: str) -> None:
    """Nobody further in can be tempted to believe them; other fields stay."""
    environ = applied(peer, **TOLD)
    assert not environ.keys() & TOLD.keys()
    assert environ["HTTP_X_FOR"] == "kept"


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (CLIENT, CLIENT),
        (f"{STRANGER}, {CLIENT}", CLIENT),  # what the client wrote itself is to the left
        (f"{CLIENT},10.1.1.1 , 2001:db8::7", CLIENT),
        ("2001:DB9::0:1", "2001:db9::1"),
        (f"::ffff:{CLIENT}", CLIENT),
        ("10.9.9.9, 10.0.0.2", "10.9.9.9"),  # one of the proxies asks for itself
        (f"nonsense, {CLIENT}", CLIENT),
        (f"{CLIENT}, nonsense", PROXY),
        (f"{CLIENT}, nonsense, 10.0.0.2", PROXY),
        (f"{CLIENT}:80", PROXY),
        (f"{CLIENT}, ", PROXY),
        ("unknown", PROXY),
        ("", PROXY),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_no_proxy(chain: str, client: str) -> None:
    """Each proxy appends who asked it; a malformed entry on the way leaves the peer."""
    assert applied(PROXY, HTTP_X_FORWARDED_FOR=chain)["REMOTE_ADDR"] == client


@pytest.mark.parametrize(
    ("told", "scheme"),
    [
        ("https", "https"),
        ("HTTPS", "https"),
        ("http", "http"),
        ("ftp", "http"),
        ("https, http", "http"),
        ("https\t", "http"),
        ("", "http"),
    ],
)
def test_only_known_schemes_are_believed(told: str, scheme: str) -> None:
    """One of two words; a list could be read in two ways."""
    assert applied(PROXY, HTTP_X_FORWARDED_PROTO=told)["wsgi.url_scheme"] == scheme


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ("dav.example.org", "dav.example.org"),
        ("dav.example.org:8443", "dav.example.org:8443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ("", "inside:8080"),
        ("a, b", "inside:8080"),
        ("a/b", "inside:8080"),
        ("a@b", "inside:8080"),
        ("a b", "inside:8080"),
    ],
)
def test_only_well_formed_hosts_are_believed(told: str, host: str) -> None:
    """As strict as with the Host field itself."""
    assert applied(PROXY, HTTP_X_FORWARDED_HOST=told)["HTTP_HOST"] == host


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=60))
def test_no_text_is_an_error(text: str) -> None:
    """Whatever a proxy passes on is an address or is not."""
    every = dict.fromkeys(TOLD, text)
    assert seen(applied(STRANGER, **every)) == (STRANGER, "http", "inside:8080")
    applied(PROXY, **every)


# ── in the server
Start = Callable[..., Callable[[Block], None]]


def tell(environ: Environ, start: Start) -> Iterable[Block]:
    """Answer with what the application sees."""
    start("200 OK", [])
    names = sorted(name for name in environ if "FORWARDED" in name or "REAL_IP" in name)
    return [" ".join([*seen(environ), *names]).encode()]


def ask(options: Options, fields: dict[str, str]) -> Response:
    """One request to a server of its own."""
    server = Server(tell, options=options)
    server.start()
    try:
        with Connection(server.address) as client:
            return client.ask("GET", "/", fields)
    finally:
        server.stop()


FIELDS = {
    "X-Forwarded-For": CLIENT,
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "dav.example.org",
    "Forwarded": f"for={CLIENT}",
    "X-Real-IP": CLIENT,
}


def test_by_default_nobody_is_trusted() -> None:
    """Not even who comes from this machine."""
    answer = ask(Options(threads=1), FIELDS)
    assert answer.text == "127.0.0.1 http localhost"
    assert answer.get("Strict-Transport-Security") is None


def test_behind_a_tls_proxy_the_answer_is_one_of_https() -> None:
    """Host and address are the client's, and so is Strict-Transport-Security."""
    options = Options(threads=1, trusted_proxies=(ip_network("127.0.0.0/8"),))
    answer = ask(options, FIELDS)
    assert answer.text == f"{CLIENT} https dav.example.org"
    assert answer["Strict-Transport-Security"]
    plain = ask(options, {**FIELDS, "X-Forwarded-Proto": "http"})
    assert plain.get("Strict-Transport-Security") is None
