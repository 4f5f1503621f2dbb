"""TLS over real sockets: what may stall nobody, what must not look complete, and what every answer says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Self

import pytest

from davserver.errors import LengthMismatch, StorageUnavailable
from davserver.serving.board import Board
from davserver.serving.connection import Next
from davserver.serving.exchange import MISTRUST_KEY, Environ
from davserver.serving.reader import SocketReader
from davserver.serving.server import Options, Server
from davserver.serving.tls import RECORD_BYTES, Certificate
from davserver.serving.wire import Block, Wire
from tests.certificates import client_context, make_pair, server_certificate, write_pair
from tests.conformance.http import Closed, Connection, chunked, head, request
from tests.unit.serving.alone import served

Start = Callable[..., Callable[[Block], None]]
App = Callable[[Environ, Start], Iterable[Block]]
Serve = Callable[..., Server]

PATIENCE = 10.0
MIB = 1 << 20
QUICK = 1.0
"""Seconds within which a request is answered, whatever others do."""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers that speak TLS and are stopped after the test."""
    servers: list[Server] = []
    certificate = server_certificate(tmp_path)

    def start(app: App, **options: float) -> Server:
        every: dict[str, float] = {"threads": 2, **options}
        server = Server(app, options=Options(certificate=certificate, **every))  # type: ignore[arg-type]  # whole threads
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def connect(server: Server) -> Connection:
    """A client inside TLS."""
    return Connection(server.address, PATIENCE, client_context())


def raw(server: Server) -> socket.socket:
    """A client that has not begun with TLS."""
    return socket.create_connection(server.address, timeout=PATIENCE)


def client_hello() -> bytes:
    """The first bytes that a client sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def answer(start: Start, body: bytes = b"ok\n") -> list[bytes]:
    """200 with a body of announced length."""
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def hello(_environ: Environ, start: Start) -> Iterable[Block]:
    """An application that never looks at the body."""
    return answer(start)


def echo(environ: Environ, start: Start) -> Iterable[Block]:
    """Give the body back."""
    return answer(start, environ["wsgi.input"].read())


class Upload:
    """An application that reads a body piece by piece and remembers how that ended."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.over = threading.Event()
        self.ended: list[int | str] = []

    def __call__(self, environ: Environ, start: Start) -> Iterable[Block]:
        """Read to the end, or to the error that comes instead."""
        taken = 0
        buffer = memoryview(bytearray(64 * 1024))
        try:
            while count := environ["wsgi.input"].readinto(buffer):
                taken += count
                self.begun.set()
        except (LengthMismatch, StorageUnavailable) as error:
            self.ended.append(type(error).__name__)
            raise
        else:
            self.ended.append(taken)
        finally:
            self.over.set()
        return answer(start)


# ── who may connect
def test_the_application_knows_that_it_is_https(serve: Serve) -> None:
    """`wsgi.url_scheme`, and HTTP/1.1 is agreed on though the client would rather speak HTTP/2."""
    seen: list[str] = []

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        seen.append(environ["wsgi.url_scheme"])
        return answer(start)

    server = serve(app)
    with client_context().wrap_socket(raw(server), server_hostname="localhost") as client:
        assert client.selected_alpn_protocol() == "http/1.1"
        client.sendall(request("GET", "/"))
        assert client.recv(MIB).startswith(b"HTTP/1.1 200 OK\r\n")
    assert seen == ["https"]


def mistrust(environ: Environ, start: Start) -> Iterable[Block]:
    """An application that says how long ago a client at this address did not trust the certificate."""
    return answer(start, repr(environ[MISTRUST_KEY](environ["REMOTE_ADDR"])).encode())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("knows_the_authority", [True, False])
def test_a_client_that_does_not_trust_the_certificate_is_noticed(
    serve: Serve, version: ssl.TLSVersion, *, knows_the_authority: bool
) -> None:
    """It says so, and the application can find that out: an unknown authority, and another host's name."""
    server = serve(mistrust)
    with connect(server) as trusting:
        assert trusting.ask("GET", "/").text == "None"
    context = client_context() if knows_the_authority else client_context(make_pair())
    context.minimum_version = context.maximum_version = version
    with raw(server) as client, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(client, server_hostname="another.example" if knows_the_authority else "localhost")
    deadline = time.monotonic() + PATIENCE
    said = "None"
    while said == "None":
        assert time.monotonic() < deadline
        with connect(server) as trusting:
            said = trusting.ask("GET", "/").text
    assert 0 <= float(said) < PATIENCE


def test_a_client_that_goes_away_for_another_reason_is_none_of_them(serve: Serve) -> None:
    """Nor is one that speaks no TLS."""
    server = serve(mistrust)
    with raw(server) as client:
        client.sendall(client_hello())
    with raw(server) as client:
        client.sendall(b"\x16" * 1000)
    with connect(server) as client_in_order:
        assert client_in_order.ask("GET", "/").text == "None"


class TurnedDown(Wire):
    """A wire whose client says after the handshake what it thinks of the certificate, as some do."""

    def __init__(self, sock: socket.socket, reason: str) -> None:
        super().__init__(sock)
        self._reason = reason

    def receive_now(self, view: memoryview) -> int | None:  # noqa: ARG002 - see `Wire`
        """As OpenSSL tells of an alert."""
        error = ssl.SSLError(ssl.SSL_ERROR_SSL, "alert")
        error.reason = self._reason
        raise error


@pytest.mark.parametrize(
    ("reason", "is_mistrust"),
    [
        *((f"SSLV3_ALERT_{one}", True) for one in ("BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN")),
        *(("TLSV1_ALERT_UNKNOWN_CA", True), ("SSLV3_ALERT_CERTIFICATE_EXPIRED", True)),
        *(("TLSV1_ALERT_INTERNAL_ERROR", False), ("UNEXPECTED_EOF_WHILE_READING", False)),
    ],
)
def test_it_may_be_said_after_the_handshake(reason: str, *, is_mistrust: bool) -> None:
    """With TLS 1.3 the handshake may be over by then; nothing else that is said counts."""
    seat = Board(1).seat(0)
    connection, far = served(hello, address="192.0.2.1", seat=seat)
    with far:
        wire = TurnedDown(connection.wire.socket, reason)
        connection.wire, connection.reader = wire, SocketReader(wire, threading.Event())
        assert connection.communicate() is Next.END
        assert (seat.since_mistrust("192.0.2.1") is not None) == is_mistrust
        connection.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(serve: Serve, version: ssl.TLSVersion) -> None:
    """Nothing below TLS 1.2, even for a client that would accept anything."""
    server = serve(hello)
    context = client_context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with raw(server) as client, pytest.raises(ssl.SSLError, match=r"(?i)version"):
        context.wrap_socket(client, server_hostname="localhost")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Connection(server.address, PATIENCE, context) as again:
        assert again.ask("GET", "/").status == 200


def test_plain_http_is_told_to_use_https(serve: Serve) -> None:
    """T10: its request, and the password in it, is not looked at; whatever the method."""
    seen: list[Environ] = []

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        seen.append(environ)
        return answer(start)

    server = serve(app)
    for method in ("GET", "PROPFIND", "BREW"):
        with Connection(server.address, PATIENCE) as client:
            refusal = client.ask(method, "/", {"Authorization": "Basic YTpi"})
            assert (refusal.status, refusal.text) == (400, "this port speaks TLS: use https\n")
            assert refusal.get("Strict-Transport-Security") is None
            assert client.ended()
    assert seen == []


@pytest.mark.parametrize("garbage", [b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16" * 100_000])
def test_what_is_no_handshake_ends_the_connection_and_nothing_else(serve: Serve, garbage: bytes) -> None:
    """The server goes on for others."""
    server = serve(hello, threads=1, head_seconds=0.2)
    with raw(server) as client:
        with contextlib.suppress(ConnectionError):
            client.sendall(garbage)
        with contextlib.suppress(ConnectionResetError):
            while client.recv(MIB):
                pass
    with connect(server) as client_in_order:
        assert client_in_order.ask("GET", "/").status == 200


# ── nobody is stalled
def test_silent_and_half_begun_handshakes_stall_nobody(serve: Serve) -> None:
    """wsgidav.md, section 6: on stock cheroot one silent connection stops the server for ten seconds."""
    server = serve(hello, threads=1)
    half = client_hello()
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(raw(server)) for _ in range(50)]
        begun = [stack.enter_context(raw(server)) for _ in range(10)]
        for client in begun:
            client.sendall(half[: len(half) // 2])
        asked = time.monotonic()
        with connect(server) as client_in_order:
            assert client_in_order.ask("GET", "/").status == 200
        assert time.monotonic() - asked < QUICK
        begun[0].sendall(half[len(half) // 2 :])
        assert begun[0].recv(1) == b"\x16"  # it was not given up either
        late = client_context().wrap_socket(silent[0], server_hostname="localhost")
        late.sendall(request("GET", "/"))
        assert late.recv(MIB).startswith(b"HTTP/1.1 200 OK\r\n")
        late.close()


def test_a_part_of_a_record_stalls_nobody(serve: Serve) -> None:
    """The socket is readable, but there is nothing to read inside TLS: no thread waits for the rest."""
    server = serve(hello, threads=1)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(Dripping(server)) for _ in range(5)]
        for one in crowd:
            one.encrypt(request("GET", "/"))
            one.drip(10)
        asked = time.monotonic()
        with connect(server) as client:
            assert client.ask("GET", "/").status == 200
        assert time.monotonic() - asked < QUICK
        crowd[0].drip(MIB)
        assert crowd[0].receive().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("kept", [0, 10])
def test_a_handshake_has_a_deadline_that_bytes_do_not_extend(serve: Serve, kept: int) -> None:
    """Silent ones are closed when idle, begun ones when the head's time is over."""
    server = serve(hello, threads=1, head_seconds=0.2, idle_seconds=0.2)
    with raw(server) as client:
        client.sendall(client_hello()[:kept])
        assert client.recv(1) == b""


def test_bytes_of_a_record_do_not_extend_the_deadline(serve: Serve) -> None:
    """A byte now and then must not keep a connection for ever, inside TLS as outside."""
    server = serve(hello, threads=1, head_seconds=0.3)
    with Dripping(server) as one:
        one.encrypt(request("GET", "/"))
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while not one.ended_within(0.05):
                one.drip(1)
                assert time.monotonic() - begun < PATIENCE
        assert time.monotonic() - begun < PATIENCE / 2


class Dripping:
    """A client that has shaken hands, and then sends what it encrypted in pieces of its choice."""

    def __init__(self, server: Server) -> None:
        self._socket = raw(server)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._socket.sendall(self._outgoing.read())
                self._incoming.write(self._socket.recv(MIB))
        self._socket.sendall(self._outgoing.read())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()

    def encrypt(self, data: bytes) -> None:
        """Put a record aside."""
        self._tls.write(data)

    def drip(self, count: int) -> None:
        """Send so many bytes of what was put aside."""
        self._socket.sendall(self._outgoing.read(count))

    def receive(self) -> bytes:
        """The next that comes."""
        while True:
            try:
                return self._tls.read(MIB)
            except ssl.SSLWantReadError:
                self._incoming.write(self._socket.recv(MIB))

    def ended_within(self, seconds: float) -> bool:
        """Whether the server closes the connection in this time; tickets that it sends are passed over."""
        self._socket.settimeout(seconds)
        try:
            return not self._socket.recv(MIB)
        except TimeoutError:
            return False


# ── bodies
@pytest.mark.parametrize("polite", [True, False])
@pytest.mark.parametrize(
    "sent",
    [
        head("PUT", "/", {"Content-Length": str(MIB)}) + bytes(MIB - 1),
        head("PUT", "/", {"Content-Length": str(MIB)}) + bytes(RECORD_BYTES),
        head("PUT", "/", {"Transfer-Encoding": "chunked"}) + chunked([bytes(MIB)], end=b""),
    ],
)
def test_a_cut_body_raises(serve: Serve, sent: bytes, polite: bool) -> None:  # noqa: FBT001
    """With close_notify or without: an early end is an error, never the end of the body."""
    upload = Upload()
    server = serve(upload)
    with client_context().wrap_socket(raw(server), server_hostname="localhost") as client:
        client.sendall(sent)
        assert upload.begun.wait(PATIENCE)
        if polite:
            client.settimeout(0)
            with contextlib.suppress(ssl.SSLError):  # the answer is not waited for, or comes after all
                client.unwrap()
        socket.socket.shutdown(client, socket.SHUT_WR)
        assert upload.over.wait(PATIENCE)
    assert upload.ended == ["LengthMismatch"]


def test_a_reset_body_raises(serve: Serve) -> None:
    """As from a client whose machine lost its network."""
    upload = Upload()
    with client_context().wrap_socket(raw(serve(upload)), server_hostname="localhost") as client:
        client.sendall(head("PUT", "/", {"Content-Length": str(MIB)}) + bytes(1000))
        assert upload.begun.wait(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert upload.over.wait(PATIENCE)
    assert upload.ended == ["LengthMismatch"]


def test_an_attacker_on_the_line_cannot_end_a_body(serve: Serve) -> None:
    """Bytes that were not encrypted by the client are an error, whatever they are."""
    upload = Upload()
    with client_context().wrap_socket(raw(serve(upload)), server_hostname="localhost") as client:
        client.sendall(head("PUT", "/", {"Content-Length": "10"}) + b"12345")
        assert upload.begun.wait(PATIENCE)
        socket.socket.sendall(client, b"\x17\x03\x03\x00\x2067890" + bytes(100))
        assert upload.over.wait(PATIENCE)
    assert upload.ended == ["LengthMismatch"]


def test_stop_never_makes_half_a_body_look_whole(serve: Serve) -> None:
    """After the grace reading raises, and nothing of the ciphertext is taken for content."""
    upload = Upload()
    server = serve(upload)
    with connect(server) as client:
        client.send(head("PUT", "/", {"Content-Length": str(MIB)}) + bytes(1000))
        assert upload.begun.wait(PATIENCE)
        server.stop()
        with pytest.raises(Closed):
            client.read("PUT")
    assert upload.ended == ["StorageUnavailable"]


@pytest.mark.parametrize("size", [0, 1, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 5 * MIB + 7])
def test_bodies_come_back_as_they_were_sent(serve: Serve, size: int) -> None:
    """Whatever falls into one record or several; the connection goes on."""
    body = bytes(range(251)) * (size // 251 + 1)
    with connect(serve(echo)) as client:
        for fields in ({}, {"Transfer-Encoding": "chunked"}):
            sent = chunked([body[:size]]) if fields and size else body[:size]
            client.send(request("PUT", "/", fields if size else {}, sent))
            assert client.read("PUT").body == body[:size]


def test_requests_in_one_record_are_answered_in_order(serve: Serve) -> None:
    """What is decrypted already is not waited for: the selector would never see it."""
    with connect(serve(echo)) as client:
        client.send(b"".join(request("PUT", "/", body=b"%03d" % number) for number in range(100)))
        assert [client.read().body for _ in range(100)] == [b"%03d" % number for number in range(100)]


def test_a_body_that_is_not_wanted_is_dropped(serve: Serve) -> None:
    """The answer arrives, then the connection ends in order, though the client goes on sending."""
    with client_context().wrap_socket(
        raw(serve(hello)), server_hostname="localhost", suppress_ragged_eofs=False
    ) as client:
        client.sendall(head("PUT", "/", {"Content-Length": str(64 * MIB)}))
        received = bytearray()
        while data := client.recv(MIB):  # an end without close_notify would raise
            received += data
        socket.socket.sendall(client, bytes(MIB))
    assert received.endswith(b"\r\n\r\nok\n")


# ── answers
def test_large_and_small_blocks_arrive_whole(serve: Serve) -> None:
    """A big download; blocks below, at and above the size of a record, chunked or not."""
    sizes = [1, RECORD_BYTES - 300, RECORD_BYTES, RECORD_BYTES + 1, 3, 64 * MIB, 5, 100_000]
    block = bytes(range(256)) * (64 * MIB // 256)

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        length = [("Content-Length", str(sum(sizes)))] if environ["PATH_INFO"] == "/sized" else []
        start("200 OK", length)
        for size in sizes:
            yield memoryview(block)[:size]

    with connect(serve(app)) as client:
        for target in ("/sized", "/chunked"):
            body = client.ask("GET", target).body
            assert len(body) == sum(sizes)
            at = 0
            for size in sizes:
                assert body[at : at + size] == block[:size]
                at += size


def test_an_answer_that_only_its_end_frames_ends_in_order(serve: Serve) -> None:
    """HTTP/1.0: close_notify says that this was all; after an error it is a reset instead."""

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [])
        yield b"half"
        if environ["PATH_INFO"] == "/broken":
            raise OSError("the disk is gone")
        yield b"whole"

    server = serve(app)

    def ask(target: str) -> bytes:
        received = bytearray()
        with client_context().wrap_socket(
            raw(server), server_hostname="localhost", suppress_ragged_eofs=False
        ) as client:
            client.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
            while data := client.recv(MIB):
                received += data
        return bytes(received)

    assert ask("/whole").endswith(b"halfwhole")
    with pytest.raises((ssl.SSLEOFError, ConnectionResetError)):
        ask("/broken")


def test_a_client_that_takes_nothing_is_given_up(serve: Serve) -> None:
    """Its thread is free after the time that the setting gives; nothing pretends to be complete."""
    closed = threading.Event()

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        if environ["PATH_INFO"] != "/large":
            return answer(start)
        start("200 OK", [])
        return Blocks()

    class Blocks:
        def __iter__(self) -> Iterator[bytes]:
            return iter([bytes(MIB)] * 64)

        def close(self) -> None:
            closed.set()

    server = serve(app, threads=1, idle_seconds=0.3)
    with connect(server) as stalled:
        stalled.send(request("GET", "/large"))
        assert closed.wait(PATIENCE)
        with connect(server) as client:
            assert client.ask("GET", "/").status == 200
        with pytest.raises(Closed):
            stalled.read()


def test_every_answer_over_tls_says_to_stay_with_it(serve: Serve) -> None:
    """RFC 6797: at least a year; for answers, errors of the application, and refusals of the server."""

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        if environ["PATH_INFO"] == "/broken":
            raise ValueError
        return answer(start)

    server = serve(app)
    answers = []
    for data in (request("GET", "/"), request("GET", "/broken"), b"nonsense\r\n\r\n"):
        with connect(server) as client:
            client.send(data)
            answers.append(client.read())
    assert [one.status for one in answers] == [200, 500, 400]
    for one in answers:
        assert int(one["Strict-Transport-Security"].removeprefix("max-age=")) >= 365 * 24 * 3600


def test_plain_http_says_nothing_of_tls() -> None:
    """RFC 6797, 7.2: not over plain http, where anybody could have written it."""
    server = Server(hello, options=Options(threads=1))
    server.start()
    try:
        with Connection(server.address, PATIENCE) as client:
            assert client.ask("GET", "/").get("Strict-Transport-Security") is None
    finally:
        server.stop()


# ── the certificate
def test_a_new_certificate_is_shown_from_then_on(tmp_path: Path) -> None:
    """`reload`: the next connection gets it, one that is open goes on."""
    old, new = make_pair(), make_pair()
    certificate = Certificate(*write_pair(tmp_path, old))
    server = Server(hello, options=Options(threads=1, certificate=certificate))
    server.start()
    try:
        with Connection(server.address, PATIENCE, client_context(old)) as open_since:
            assert open_since.ask("GET", "/").status == 200
            write_pair(tmp_path, new)
            certificate.reload()
            with Connection(server.address, PATIENCE, client_context(new)) as client:
                assert client.ask("GET", "/").status == 200
            assert open_since.ask("GET", "/").status == 200
            with pytest.raises(ssl.SSLCertVerificationError):
                Connection(server.address, PATIENCE, client_context(old))
    finally:
        server.stop()
