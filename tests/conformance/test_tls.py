"""The drive over TLS, and behind a proxy that speaks TLS for it."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network

import pytest

from davserver.serving.server import Options
from tests.certificates import client_context, server_certificate
from tests.conformance.client import Client
from tests.conformance.http import PATIENCE, chunked, head
from tests.conformance.ours import OurServer

CLIENT = "192.0.2.7"
PROXIED = {"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "dav.example.org"}
"""What a proxy in front of the server says of its client."""

LARGE = bytes(range(256)) * 4096 * 8
"""8 MiB: many records and many chunks."""


@pytest.fixture(scope="module")
def tls(ours: OurServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurServer]:  # noqa: ARG001 - left out for stock
    """Sealdav with a certificate."""
    folder = tmp_path_factory.mktemp("tls")
    certificate = server_certificate(folder)
    server = OurServer(folder, PATIENCE, Options(certificate=certificate), client_context())
    yield server
    server.close()


@pytest.fixture(scope="module")
def proxied(ours: OurServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OurServer]:  # noqa: ARG001 - left out for stock
    """Sealdav behind a proxy on this machine, which it trusts."""
    options = Options(trusted_proxies=(ip_network("127.0.0.0/8"),))
    server = OurServer(tmp_path_factory.mktemp("proxied"), PATIENCE, options)
    yield server
    server.close()


# ── TLS
def test_the_methods_of_the_drive_work_over_tls(tls: OurServer) -> None:
    """Collections, content, properties, MOVE and COPY with absolute https URLs."""
    dav = tls.client.made_collection("methods")
    dav.made("a", LARGE)
    assert dav.get("a").body == LARGE
    assert dav.get("a", {"Range": "bytes=1000000-1000009"}).body == LARGE[1_000_000:1_000_010]
    assert dav.copy("a", "b").status == 201
    assert dav.move("b", "c").status == 201
    assert set(dav.listing()) == {"a", "c"}
    assert dav.delete("").status == 204


def test_one_connection_serves_many_requests(tls: OurServer) -> None:
    """Keep-alive, with bodies of all sizes."""
    dav = tls.client.made_collection("many")
    with dav.connect() as connection:
        for number in range(50):
            body = LARGE[: number * 7919]
            put = connection.ask("PUT", dav.at(str(number)), dav.headers, body)
            assert (put.status, put.get("Connection")) == (201, None)
            assert connection.ask("GET", dav.at(str(number)), dav.headers).body == body


@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize("framed", ["sized", "chunked"])
def test_a_body_that_is_cut_is_not_committed(tls: OurServer, polite: bool, framed: str) -> None:  # noqa: FBT001
    """With close_notify or without, the old file stays whole; a new one does not come to be."""
    dav = tls.client.made_collection(f"cut-{polite}-{framed}")
    dav.made("old")
    for name in ("old", "new"):
        cut_off(dav, name, framed, polite=polite)
    assert dav.tree() == {"old": b"content"}


def cut_off(dav: Client, name: str, framed: str, *, polite: bool) -> None:
    """Send half a PUT and end the connection; returns once the server has closed it as well."""
    framing = {"Transfer-Encoding": "chunked"} if framed == "chunked" else {"Content-Length": str(len(LARGE))}
    half = LARGE[: len(LARGE) // 2]
    body = chunked([half], end=b"") if framed == "chunked" else half
    with client_context().wrap_socket(
        socket.create_connection(dav.address, timeout=PATIENCE), server_hostname="localhost"
    ) as client:
        client.sendall(head("PUT", dav.at(name), {**dav.headers, **framing}) + body)
        if polite:
            client.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):
                client.unwrap()
            client.settimeout(PATIENCE)
        socket.socket.shutdown(client, socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while socket.socket.recv(client, 1 << 16):
                pass


def test_both_doors_say_to_stay_with_tls(tls: OurServer) -> None:
    """Strict-Transport-Security for a year or more, on answers and on errors of both."""
    nobody = replace(tls.client.as_(None), root="/")
    answers = [
        *(nobody.get(""), nobody.get("missing"), nobody.get("dav/"), nobody.ask("OPTIONS", "dav/")),
        *(tls.client.get("missing"), tls.client.ask("BREW", ""), tls.client.propfind()),
    ]
    assert {answer.status for answer in answers} >= {200, 207, 401, 404}
    for answer in answers:
        assert int(answer["Strict-Transport-Security"].removeprefix("max-age=")) >= 365 * 24 * 3600


def test_plain_http_says_nothing_of_tls(dav: Client) -> None:
    """Neither door does; over TLS (`--server=tls`) both do."""
    for answer in (dav.propfind(), replace(dav, root="/").get("")):
        assert (answer.get("Strict-Transport-Security") is None) is (dav.tls is None)


def test_the_page_shows_the_address_by_https(tls: OurServer, proxied: OurServer) -> None:
    """The site makes it from scheme and host, which are the client's."""
    page = replace(tls.client, root="/").get("").text
    assert f"https://{tls.client.host}/dav/" in page
    page = replace(proxied.client, root="/").get("", PROXIED).text
    assert "https://dav.example.org/dav/" in page


# ── behind a proxy
def at(dav: Client, name: str, host: str) -> dict[str, str]:
    """The Destination that a client sends which knows this host."""
    return {"Destination": f"https://{host}{dav.at(name)}"}


def test_destinations_are_compared_with_the_host_that_clients_know(proxied: OurServer) -> None:
    """MOVE and COPY behind a TLS proxy, whatever Host it sends to us; other hosts are other hosts."""
    dav = proxied.client.made_collection("destinations")
    dav.made("a")
    assert dav.ask("COPY", "a", {**PROXIED, **at(dav, "b", "dav.example.org")}).status == 201
    assert dav.ask("MOVE", "a", {**PROXIED, **at(dav, "c", "dav.example.org:443")}).status == 201
    assert dav.ask("MOVE", "b", {**PROXIED, **at(dav, "d", "evil.example.org")}).status == 502
    assert dav.ask("MOVE", "b", {**PROXIED, **at(dav, "d", dav.host)}).status == 502
    assert set(dav.listing()) == {"b", "c"}


def test_a_forged_host_changes_nothing(ours: OurServer, dav: Client) -> None:
    """T20: from a peer that is no trusted proxy the field does not make another host ours."""
    dav.made("a")
    assert dav.ask("MOVE", "a", {**PROXIED, **at(dav, "b", "dav.example.org")}).status == 502
    assert dav.ask("MOVE", "a", {**PROXIED, **at(dav, "b", dav.host)}).status == 201
    assert ours.client.address == dav.address


def test_networks_of_app_passwords_mean_the_client(proxied: OurServer, ours: OurServer) -> None:
    """Its address as the proxy tells it; nobody else can tell one."""
    inside, outside = {"X-Forwarded-For": CLIENT}, {"X-Forwarded-For": "198.51.100.1"}
    networks = [ip_network(f"{CLIENT}/32")]
    limited = proxied.device(proxied.account, networks=networks).client
    assert limited.propfind(headers=inside).status == 207
    assert limited.propfind(headers=outside).status == 401
    assert limited.propfind(headers={"X-Forwarded-For": f"{CLIENT}, 198.51.100.1"}).status == 401
    assert limited.propfind().status == 401
    assert ours.device(ours.account, networks=networks).client.propfind(headers=inside).status == 401
