"""`davserver.serving` over real sockets: framing of answers, connections, threads and the stop."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from davserver.errors import ConfigError, LengthMismatch, StorageUnavailable
from davserver.serving.connection import LINGER_SECONDS, Access, Observer
from davserver.serving.dispatch import one_port
from davserver.serving.exchange import ACCOUNT_KEY, Environ
from davserver.serving.server import Options, Server
from davserver.serving.wire import Block
from tests.conformance.http import Closed, Connection, chunked, head, request

Start = Callable[..., Callable[[Block], None]]
App = Callable[[Environ, Start], Iterable[Block]]
Serve = Callable[..., Server]

PATIENCE = 10.0
MIB = 1 << 20


class Notes(Observer):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.answered: list[Access] = []
        self.faults: list[str] = []

    def request_answered(self, access: Access) -> None:
        """See `Observer`."""
        self.answered.append(access)

    def fault(self, text: str) -> None:
        """See `Observer`."""
        self.faults.append(text)


@pytest.fixture
def notes() -> Notes:
    """What the server of the test told."""
    return Notes()


@pytest.fixture
def serve(notes: Notes) -> Iterator[Serve]:
    """Start servers that are stopped after the test."""
    servers: list[Server] = []

    def start(app: App, options: Options | None = None) -> Server:
        server = Server(app, options=options or Options(threads=2), observer=notes)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


def connect(server: Server) -> Connection:
    """A client."""
    return Connection(server.address, PATIENCE)


def drain(client: socket.socket) -> bytes:
    """All that comes, up to an orderly end."""
    received = bytearray()
    while data := client.recv(MIB):
        received += data
    return bytes(received)


def answer(start: Start, body: bytes = b"ok\n", **fields: str) -> list[bytes]:
    """200 with a body of announced length."""
    start("200 OK", [("Content-Length", str(len(body))), *fields.items()])
    return [body]


def hello(_environ: Environ, start: Start) -> Iterable[Block]:
    """An application that never looks at the body."""
    return answer(start)


def echo(environ: Environ, start: Start) -> Iterable[Block]:
    """Give the body back; 400 if it does not come to its end."""
    try:
        return answer(start, environ["wsgi.input"].read())
    except LengthMismatch:
        start("400 Bad Request", [("Content-Length", "0")])
        return []


# ── the environ
def test_the_environ_is_that_of_pep_3333(serve: Serve) -> None:
    """Decoded path, raw target, fields under their WSGI names, peer and request id."""
    seen: dict[str, Any] = {}

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        seen.update(environ)
        return answer(start)

    server = serve(app)
    with connect(server) as client:
        client.ask("PUT", "/a%20b?c=%20", {"X-A": "1", "Content-Type": "text/plain"}, b"x")
    expected = {
        "REQUEST_METHOD": "PUT",
        "REQUEST_URI": "/a%20b?c=%20",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b",
        "QUERY_STRING": "c=%20",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": str(server.address[1]),
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_X_A": "1",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "1",
        "wsgi.url_scheme": "http",
    }
    assert {key: seen[key] for key in expected} == expected
    assert "HTTP_CONTENT_LENGTH" not in seen


# ── framing of answers
def test_an_answer_without_length_is_chunked(serve: Serve) -> None:
    """HTTP/1.1 keeps the connection; memory of a block may be reused as soon as it was taken."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [])
        buffer = bytearray(3)
        for number in range(3):
            buffer[:] = b"%03d" % number
            yield memoryview(buffer)
            yield b""

    with connect(serve(app)) as client:
        for _ in range(2):
            response = client.ask("GET", "/")
            assert (response.body, response.chunked) == (b"000001002", True)


def test_http_1_0_gets_no_chunks(serve: Serve) -> None:
    """Its end is the end of the connection."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [])
        yield b"a"
        yield b"b"

    with connect(serve(app)) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        response = client.read()
    assert (response.body, response.get("Transfer-Encoding")) == (b"ab", None)


def test_one_block_is_given_its_length(serve: Serve) -> None:
    """No chunks where the whole body is known."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [])
        return [b"abc"]

    with connect(serve(app)) as client:
        assert client.ask("GET", "/")["Content-Length"] == "3"


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [("HEAD", "200 OK", "3"), ("GET", "304 Not Modified", None), ("DELETE", "204 No Content", None)],
)
def test_answers_without_body_have_none(serve: Serve, method: str, status: str, length: str | None) -> None:
    """RFC 9110, 6.4.1: whatever the application gives, nothing follows the head."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start(status, [("Content-Length", "3")])
        return [b"abc"]

    with connect(serve(app)) as client:
        for _ in range(2):
            response = client.ask(method, "/")
            assert (response.status, response.get("Content-Length")) == (int(status[:3]), length)


def test_large_blocks_arrive_whole(serve: Serve) -> None:
    """A block may be larger than what the socket takes at once."""
    block = bytes(range(256)) * (8 * MIB // 256)

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [("Content-Length", str(2 * len(block)))])
        yield block
        yield memoryview(block)

    with connect(serve(app)) as client:
        assert client.ask("GET", "/").body == block * 2


def test_too_few_bytes_cut_the_connection(serve: Serve, notes: Notes) -> None:
    """The next answer must not be taken for the missing bytes."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [("Content-Length", "10")])
        return iter([b"12345"])

    server = serve(app)
    with connect(server) as client, pytest.raises(Closed):
        client.ask("GET", "/")
    assert notes.faults == ["a response was cut off"]


def test_too_many_bytes_are_not_sent(serve: Serve, notes: Notes) -> None:
    """They would be taken for the next answer."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [("Content-Length", "5")])
        return iter([b"12345", b"67890"])

    with connect(serve(app)) as client:
        assert client.ask("GET", "/").body == b"12345"
        assert client.ended()
    assert notes.faults == ["a response was cut off"]


@pytest.mark.parametrize("length", [None, "100"])
def test_an_error_in_the_middle_cuts_the_connection(serve: Serve, length: str | None) -> None:
    """No last chunk, no polite end: the client must not take half for the whole."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [] if length is None else [("Content-Length", length)])
        yield b"half"
        raise OSError("the disk is gone")

    with connect(serve(app)) as client, pytest.raises(Closed):
        client.ask("GET", "/")


def test_an_error_in_the_middle_is_a_reset_where_the_end_is_the_only_frame(serve: Serve) -> None:
    """HTTP/1.0 has no chunks: an orderly end would make half an answer look whole."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [])
        yield b"half"
        raise OSError("the disk is gone")

    with socket.create_connection(serve(app).address, timeout=PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            drain(client)


def test_an_error_before_the_head_is_500_and_tells_nothing(serve: Serve, notes: Notes) -> None:
    """Not even the text of the exception, which may hold a name."""

    def app(_environ: Environ, _start: Start) -> Iterable[Block]:
        raise ValueError("secret.txt")

    with connect(serve(app)) as client:
        response = client.ask("GET", "/")
    assert (response.status, response.body) == (500, b"500 Internal Server Error\n")
    assert notes.faults == ["unexpected error in a request"]


def test_header_fields_cannot_be_split(serve: Serve) -> None:
    """A line end in a value would begin a field, or an answer, of the client's choice."""

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [("X-A", "a\r\nSet-Cookie: evil=1")])
        return []

    with connect(serve(app)) as client:
        response = client.ask("GET", "/")
    assert (response.status, response.get("Set-Cookie")) == (500, None)


def test_the_answer_is_closed_even_if_the_client_leaves(serve: Serve) -> None:
    """PEP 3333: `close()` of the application's blocks is always called."""
    closed = threading.Event()

    class Blocks:
        def __iter__(self) -> Iterator[bytes]:
            return iter([bytes(MIB)] * 64)

        def close(self) -> None:
            closed.set()

    def app(_environ: Environ, start: Start) -> Iterable[Block]:
        start("200 OK", [])
        return Blocks()

    with connect(serve(app)) as client:
        client.send(request("GET", "/"))
        client.read_head()
        client.reset()
    assert closed.wait(PATIENCE)


# ── bodies of requests
def test_continue_is_sent_only_when_the_body_is_wanted(serve: Serve) -> None:
    """A client that waits for 100 is spared its upload by 401, and asked for it otherwise."""
    expecting = {"Expect": "100-continue", "Content-Length": "5"}
    with connect(serve(echo)) as client:
        client.send(head("PUT", "/", expecting))
        assert client.read_interim() == 100
        client.send(b"12345")
        assert client.read("PUT").body == b"12345"
    with connect(serve(hello)) as client:
        client.send(head("PUT", "/", expecting))
        response = client.read("PUT")
        assert (response.status, response.interim, response["Connection"]) == (200, (), "close")
        assert client.ended()


def test_a_short_unread_body_is_dropped(serve: Serve) -> None:
    """The connection goes on with the next request, not with the body."""
    body = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    with connect(serve(hello)) as client:
        client.send(request("PUT", "/", body=body) + request("GET", "/"))
        assert [client.read("PUT").status, client.read().status] == [200, 200]
        client.finish()
        assert client.ended()


@pytest.mark.parametrize(
    "body",
    [
        head("PUT", "/", {"Content-Length": str(MIB)}) + bytes(1000),
        head("PUT", "/", {"Transfer-Encoding": "chunked"})
        + chunked([b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"]),
    ],
)
def test_other_unread_bodies_close_the_connection(serve: Serve, notes: Notes, body: bytes) -> None:
    """Nothing of an unread body is ever run as a request; the answer still arrives."""
    server = serve(hello)
    with connect(server) as client:
        client.send(body + request("GET", "/smuggled-too"))
        assert client.read("PUT")["Connection"] == "close"
        assert client.ended()
    assert len(notes.answered) == 1


def test_a_refusal_is_not_followed_by_a_reset(serve: Serve) -> None:
    """A client that goes on sending may finish its block and read the answer, which RST could destroy."""
    with socket.create_connection(serve(hello).address, timeout=PATIENCE) as client:
        client.sendall(head("PUT", "/", {"Content-Length": str(64 * MIB)}))
        received = drain(client)
        client.sendall(bytes(16 * MIB))
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert received.endswith(b"\r\n\r\nok\n")


@pytest.mark.parametrize(
    "sent",
    [
        head("PUT", "/", {"Content-Length": "10"}) + b"12345",
        head("PUT", "/", {"Transfer-Encoding": "chunked"}) + b"5\r\n12345\r\n",
        head("PUT", "/", {"Transfer-Encoding": "chunked"}) + b"0x5\r\n12345\r\n0\r\n\r\n",
    ],
)
def test_a_broken_body_raises_in_the_application(serve: Serve, sent: bytes) -> None:
    """The application answers, and the connection is of no further use."""
    with connect(serve(echo)) as client:
        client.send(sent)
        client.finish()
        response = client.read("PUT")
        assert (response.status, response["Connection"]) == (400, "close")
        assert client.ended()


def test_malformed_requests_are_refused_and_closed(serve: Serve, notes: Notes) -> None:
    """What follows a request that cannot be framed is not read as another one."""
    double = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\n"
    with connect(serve(hello)) as client:
        client.send(double + request("GET", "/"))
        response = client.read()
        assert (response.status, response["Connection"]) == (400, "close")
        assert client.ended()
    assert notes.answered == []


def test_pipelined_requests_are_answered_in_order(serve: Serve) -> None:
    """RFC 9112, 9.3.2."""
    with connect(serve(echo)) as client:
        client.send(b"".join(request("PUT", "/", body=b"%d" % number) for number in range(20)))
        assert [client.read().body for _ in range(20)] == [b"%d" % number for number in range(20)]


# ── threads and deadlines
def test_silent_and_slow_connections_hold_no_thread(serve: Serve) -> None:
    """Many that say nothing, and many that stop in the middle of a head, leave the others undisturbed."""
    server = serve(hello, Options(threads=1))
    crowd = [connect(server) for _ in range(20)]
    try:
        for client in crowd[:10]:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        with connect(server) as client:
            assert client.ask("GET", "/").status == 200
        crowd[0].send(b"done\r\n\r\n")
        assert crowd[0].read().status == 200
    finally:
        for client in crowd:
            client.finish()
            client.reset()


def test_a_head_has_a_deadline_that_bytes_do_not_extend(serve: Serve) -> None:
    """A byte now and then must not keep a connection for ever."""
    server = serve(hello, Options(threads=1, head_seconds=0.2))
    with connect(server) as client:
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.ended()


def dripped(client: socket.socket, byte: bytes) -> float:
    """Send a little every now and then until the server refuses it; gives the seconds that it took."""
    client.settimeout(0.02)
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - begun < PATIENCE:
            with contextlib.suppress(TimeoutError):
                client.sendall(byte)
                client.recv(MIB)
    return time.monotonic() - begun


def test_a_head_that_drips_has_the_same_deadline(serve: Serve) -> None:
    """Though such a connection is in a worker's hands whenever the selector looks at deadlines."""
    server = serve(hello, Options(threads=1, head_seconds=0.2))
    with socket.create_connection(server.address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Slow: ")
        assert dripped(client, b"x") < PATIENCE / 2


def test_what_is_dropped_after_a_refusal_has_a_deadline_too(serve: Serve) -> None:
    """A client that never stops sending a body that nobody wants is cut off."""
    with socket.create_connection(serve(hello).address) as client:
        client.sendall(head("PUT", "/", {"Content-Length": str(64 * MIB)}))
        drain(client)
        assert dripped(client, bytes(1000)) < LINGER_SECONDS + PATIENCE / 4


def test_an_idle_connection_is_closed(serve: Serve) -> None:
    """After the time that the setting gives, and not before an answer."""
    with connect(serve(hello, Options(threads=1, idle_seconds=1.0))) as client:
        assert client.ask("GET", "/").status == 200
        assert client.ended()


def test_many_connections_may_wait(serve: Serve) -> None:
    """Stock cheroot closes all idle connections but ten."""
    server = serve(hello)
    clients = [connect(server) for _ in range(50)]
    try:
        for _ in range(2):
            assert all(client.ask("GET", "/").get("Connection") is None for client in clients)
    finally:
        for client in clients:
            client.reset()


def test_the_access_log_knows_no_path(serve: Serve, notes: Notes) -> None:
    """Method, status, bytes, account and id; an invented method is not repeated."""

    def app(environ: Environ, start: Start) -> Iterable[Block]:
        environ[ACCOUNT_KEY] = "alice"
        return echo(environ, start)

    with connect(serve(app)) as client:
        client.ask("PUT", "/secret.txt", body=b"12345")
        client.ask("SECRET", "/")
        client.finish()
        assert client.ended()
    put, other = notes.answered
    assert (put.method, put.status, put.received, put.sent, put.account) == ("PUT", 200, 5, 5, "alice")
    assert (other.method, other.request == put.request) == ("other", False)
    assert "secret" not in repr(notes.answered).lower()


# ── start and stop
class Upload:
    """An application in the middle of reading a body."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.ended: list[bytes | str] = []

    def __call__(self, environ: Environ, start: Start) -> Iterable[Block]:
        """Read two bytes, tell it, and read the rest."""
        content = environ["wsgi.input"].read(2)
        self.begun.set()
        try:
            content += environ["wsgi.input"].read()
        except (LengthMismatch, StorageUnavailable) as error:
            self.ended.append(type(error).__name__)
            raise
        self.ended.append(content)
        return answer(start)


def test_stop_lets_a_running_request_finish(serve: Serve) -> None:
    """Within the grace; the answer says that the connection ends, and new ones are refused."""
    upload = Upload()
    server = serve(upload)
    with connect(server) as client:
        client.send(head("PUT", "/", {"Content-Length": "5"}) + b"12")
        assert upload.begun.wait(PATIENCE)
        stopping = threading.Thread(target=server.stop, args=(int(PATIENCE),))
        stopping.start()
        while True:  # the listening socket is closed first: when that is done, the request still runs
            try:
                socket.create_connection(server.address, timeout=PATIENCE).close()
            except (ConnectionRefusedError, ConnectionResetError):
                break
        client.send(b"345")
        response = client.read("PUT")
        stopping.join()
    assert (response.status, response["Connection"], upload.ended) == (200, "close", [b"12345"])


def test_stop_never_makes_half_a_body_look_whole(serve: Serve) -> None:
    """After the grace reading raises; stock cheroot shuts the socket and commits what it has."""
    upload = Upload()
    server = serve(upload)
    with connect(server) as client:
        client.send(head("PUT", "/", {"Content-Length": "5"}) + b"12")
        assert upload.begun.wait(PATIENCE)
        server.stop()
        with pytest.raises(Closed):
            client.read("PUT")
    assert upload.ended == ["StorageUnavailable"]


def test_a_second_request_to_stop_aborts(serve: Serve) -> None:
    """`abort` during a long grace ends it."""
    upload = Upload()
    server = serve(upload)
    with connect(server) as client:
        client.send(head("PUT", "/", {"Content-Length": "5"}) + b"12")
        assert upload.begun.wait(PATIENCE)
        stopping = threading.Thread(target=server.stop, args=(3600,))
        stopping.start()
        server.abort()
        stopping.join(PATIENCE)
        assert not stopping.is_alive()
    assert upload.ended == ["StorageUnavailable"]


def test_a_port_in_use_is_one_line_that_says_what_to_do(serve: Serve) -> None:
    """And so is an address of somebody else's machine."""
    taken = serve(hello).address[1]
    with pytest.raises(ConfigError, match=r"^cannot listen on 127\.0\.0\.1 port \d+: the port is in use; "):
        Server(hello, port=taken).start()
    with pytest.raises(ConfigError, match=r"not an address of this machine; set server\.host"):
        Server(hello, host="192.0.2.1").start()


# ── the dispatcher
@pytest.mark.parametrize(
    ("target", "door"),
    [
        ("/dav", b"dav"),
        ("/dav/", b"dav"),
        ("/dav/a/b", b"dav"),
        ("/%64av/a", b"dav"),
        ("/remote.php/webdav/", b"dav"),
        ("/status.php", b"dav"),
        ("/ocs/v2.php/cloud/user", b"dav"),
        ("/index.php/login/v2", b"dav"),
        ("/index.php/login/v2/poll", b"dav"),
        ("/", b"site"),
        ("/davx", b"site"),
        ("/a/dav/", b"site"),
        ("/static/site.css", b"site"),
        ("/index.php/login", b"site"),
    ],
)
def test_each_path_has_its_door(serve: Serve, target: str, door: bytes) -> None:
    """decisions.md 1: WebDAV clients' paths go to the DAV door, everything else to the site, unchanged."""

    def named(name: bytes) -> App:
        def app(environ: Environ, start: Start) -> Iterable[Block]:
            assert environ["REQUEST_URI"] == target
            return answer(start, name)

        return app

    with connect(serve(one_port(named(b"dav"), named(b"site")))) as client:
        assert client.ask("GET", target).body == door


def test_options_of_the_server_itself_goes_to_the_dav_door(serve: Serve) -> None:
    """RFC 9110, 9.3.7: `OPTIONS *`."""

    def dav(_environ: Environ, start: Start) -> Iterable[Block]:
        return answer(start, b"dav")

    with connect(serve(one_port(dav, hello))) as client:
        assert client.ask("OPTIONS", "*").body == b"dav"
