"""Crowds of clients that are slow, silent or greedy, and what is left for the others. Real sockets."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from ipaddress import ip_network

import pytest

from davserver.errors import LengthMismatch, TooBusy
from davserver.serving import connection as connections
from davserver.serving.board import Board
from davserver.serving.connection import Next
from davserver.serving.exchange import TURN_KEY, Environ, WsgiApp
from davserver.serving.proxies import Proxies
from davserver.serving.server import Options, Server
from davserver.serving.wire import Block
from tests.conformance.http import Connection, head, request
from tests.unit.serving.alone import served
from tests.unit.serving.test_server import MIB, PATIENCE, Start, answer

LONG = 600.0
"""No deadline helps within a test."""


def store(environ: Environ, start: Start) -> Iterable[Block]:
    """An application like the drive: it says whose request it is, then it reads or sends."""
    account = environ["HTTP_X_ACCOUNT"]
    try:
        environ[TURN_KEY](account)
    except TooBusy:
        start("503 Service Unavailable", [("Retry-After", "1"), ("Content-Length", "0")])
        return []
    if environ["REQUEST_METHOD"] == "PUT":
        try:
            return answer(start, environ["wsgi.input"].read())
        except LengthMismatch:
            start("400 Bad Request", [("Content-Length", "0")])
            return []
    if environ["PATH_INFO"] == "/large":
        start("200 OK", [("Content-Length", str(256 * MIB))])
        return itertools.repeat(bytes(MIB), 256)
    return answer(start)


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers of `store` that are stopped after the test."""
    started: list[Server] = []

    def start(app: WsgiApp = store, **options: object) -> Server:
        given = {"threads": 4, "idle_seconds": LONG, "head_seconds": LONG, **options}
        server = Server(app, options=Options(**given))  # type: ignore[arg-type]
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


def put(length: int, account: str) -> bytes:
    """The head of an upload."""
    return head("PUT", "/", {"Content-Length": str(length), "X-Account": account})


def connect(server: Server) -> Connection:
    """A client."""
    return Connection(server.address, PATIENCE)


def ask(server: Server, account: str) -> int:
    """A normal request on a connection of its own; its status."""
    with connect(server) as client:
        return client.ask("GET", "/", {"X-Account": account}).status


# ── threads
@pytest.mark.parametrize("kind", ["uploads", "downloads"])
def test_clients_that_stand_still_hold_up_nobody(serve: Serve, kind: str) -> None:
    """Twenty of twenty accounts, on four threads: whoever comes then is answered."""
    server = serve()
    with ExitStack() as crowd:
        for number in range(20):
            client = crowd.enter_context(connect(server))
            account = f"account {number}"
            if kind == "uploads":
                client.send(put(10, account) + b"123")
            else:
                client.send(request("GET", "/large", {"X-Account": account}))
        assert [ask(server, "somebody") for _ in range(10)] == [200] * 10


def test_a_stalled_upload_goes_on_when_its_client_does(serve: Serve) -> None:
    """It was not forgotten while others had its place."""
    server = serve(threads=1)
    with ExitStack() as crowd:
        clients = [crowd.enter_context(connect(server)) for _ in range(8)]
        for number, client in enumerate(clients):
            client.send(put(5, f"account {number}") + b"123")
        assert ask(server, "somebody") == 200
        for client in clients:
            client.send(b"45")
        assert [client.read("PUT").body for client in clients] == [b"12345"] * 8


# ── turns
def test_no_account_takes_all_threads(serve: Serve) -> None:
    """Forty stalled uploads of one, thirty-two threads: others are answered, and so is it, in turn."""
    server = serve(threads=32)
    with ExitStack() as crowd:
        clients = [crowd.enter_context(connect(server)) for _ in range(40)]
        for client in clients:
            client.send(put(5, "alice") + b"123")
        assert [ask(server, "bob") for _ in range(10)] == [200] * 10
        for client in clients:
            client.send(b"45")
        assert [client.read("PUT").status for client in clients] == [200] * 40


def test_nothing_was_said_to_whom_it_was_not_the_turn_of(serve: Serve) -> None:
    """Not even 100 Continue: the request is begun again as if nothing had been."""
    server = serve(threads=1)
    expecting = head("PUT", "/", {"Content-Length": "5", "X-Account": "alice", "Expect": "100-continue"})
    with connect(server) as first, socket.create_connection(server.address, PATIENCE) as second:
        first.send(put(5, "alice") + b"123")
        second.sendall(expecting)
        assert ask(server, "bob") == 200
        second.settimeout(0.1)
        with pytest.raises(TimeoutError):
            second.recv(1)
        second.settimeout(PATIENCE)
        first.send(b"45")
        assert first.read("PUT").status == 200
        assert second.recv(MIB) == b"HTTP/1.1 100 Continue\r\n\r\n"
        second.sendall(b"12345")
        assert second.recv(MIB).endswith(b"12345")


def test_whoever_waits_too_long_is_told_to_come_back(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, and the end of the connection, on which the body follows that nobody read."""
    monkeypatch.setattr(connections, "TURN_SECONDS", 0.1)
    server = serve(threads=1)
    with connect(server) as first, connect(server) as second:
        first.send(put(5, "alice") + b"123")
        second.send(put(5000, "alice"))
        refused = second.read("PUT")
        assert (refused.status, refused["Retry-After"], refused["Connection"]) == (503, "1", "close")
        first.send(b"45")
        assert first.read("PUT").status == 200


def test_what_was_read_is_not_begun_again(serve: Serve) -> None:
    """Its body is gone and would be waited for in vain: it is refused at once, and the connection goes on."""

    def reads_first(environ: Environ, start: Start) -> Iterable[Block]:
        if environ["REQUEST_METHOD"] == "POST":
            environ["wsgi.input"].read()
        return store(environ, start)

    server = serve(threads=1, app=reads_first)
    with connect(server) as first, connect(server) as second:
        first.send(put(5, "alice") + b"123")
        refused = second.ask("POST", "/", {"X-Account": "alice"}, b"a form")
        assert (refused.status, refused["Retry-After"], refused.get("Connection")) == (503, "1", None)
        assert second.ask("POST", "/", {"X-Account": "bob"}, b"a form").status == 200
        first.send(b"45")
        assert first.read("PUT").status == 200


# ── connections
def test_an_address_has_a_number_of_connections(serve: Serve) -> None:
    """One more is reset; another address is not concerned; whoever leaves makes room."""
    server = serve(per_address=3)
    with ExitStack() as crowd:
        clients = [crowd.enter_context(connect(server)) for _ in range(3)]
        for client in clients:
            assert client.ask("GET", "/", {"X-Account": "a"}).status == 200
        assert is_reset(server)
        elsewhere = socket.create_connection(server.address, PATIENCE, source_address=("127.0.0.2", 0))
        with elsewhere:
            elsewhere.sendall(request("GET", "/", {"X-Account": "a"}))
            assert elsewhere.recv(MIB).startswith(b"HTTP/1.1 200 ")
        clients[0].finish()
        assert clients[0].ended()
        assert ask(server, "a") == 200


def is_reset(server: Server) -> bool:
    """Whether the server ends a new connection without a word."""
    try:
        with socket.create_connection(server.address, timeout=PATIENCE) as client:
            return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_trusted_proxy_has_as_many_connections_as_it_likes(serve: Serve) -> None:
    """All clients come from its address."""
    server = serve(per_address=3, trusted_proxies=(ip_network("127.0.0.0/8"),))
    with ExitStack() as crowd:
        clients = [crowd.enter_context(connect(server)) for _ in range(10)]
        assert {client.ask("GET", "/", {"X-Account": "a"}).status for client in clients} == {200}


def test_addresses_are_counted_for_all_processes() -> None:
    """An IPv6 network of 64 bits is one address, and an IPv4 address is the same however it is written."""
    board = Board(2)
    first, second = board.seat(0), board.seat(1)
    first.connected("2001:db8::1")
    second.connected("2001:db8::2:3")
    second.connected("::ffff:192.0.2.1")
    assert (first.of("2001:db8::ffff"), first.of("2001:db8:0:1::1"), first.of("192.0.2.1")) == (2, 0, 1)
    second.disconnected("2001:db8::2:3")
    assert first.of("2001:db8::1%eth0") == 1
    board.clear(0)
    assert second.of("2001:db8::1") == 0


# ── plain http
def noting(asked: list[Environ]) -> WsgiApp:
    """An application that remembers what it was asked."""

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        asked.append(environ)
        return answer(start)

    return app


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("127.0.0.1", 200),
        ("::1", 200),
        ("::ffff:127.0.0.1", 200),
        ("192.0.2.1", 403),
        ("2001:db8::1", 403),
        ("::ffff:192.0.2.1", 403),
        ("10.0.0.1", 200),  # the proxy
    ],
)
def test_plain_http_is_for_this_machine_and_its_proxies(address: str, status: int) -> None:
    """T10: 403, and the credential is not looked at; the application never hears of it."""
    asked: list[Environ] = []
    proxies = Proxies([ip_network("10.0.0.1/32")])
    connection, far = served(noting(asked), address=address, proxies=proxies)
    with far:
        far.sendall(request("GET", "/", {"Authorization": "Basic x"}))
        connection.communicate()
        assert far.recv(MIB).startswith(b"HTTP/1.1 %d " % status)
        connection.close()
    assert len(asked) == (status == 200)


def test_plain_http_for_all_has_to_be_asked_for() -> None:
    """Then a client on the network is answered as well."""
    asked: list[Environ] = []
    connection, far = served(noting(asked), address="192.0.2.1", proxies=Proxies(plain_for_all=True))
    with far:
        far.sendall(request("GET", "/"))
        assert connection.communicate() is Next.WAIT
        connection.close()
    assert len(asked) == 1
