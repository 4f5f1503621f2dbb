"""How few system calls a request takes, and that a thread stays where the next one comes from."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import pytest

from davserver.serving import connection as connections
from davserver.serving.connection import Next
from davserver.serving.exchange import Environ
from davserver.serving.wire import SMALL_BYTES, Block
from tests.conformance.http import request
from tests.unit.serving.alone import CountedSocket, served
from tests.unit.serving.test_server import MIB, Start, answer, echo

LARGE = bytes(2 * SMALL_BYTES)


def give(environ: Environ, start: Start) -> Iterable[Block]:
    """Something small, or something larger in two blocks."""
    if environ["PATH_INFO"] == "/small":
        return answer(start, b"small")
    start("200 OK", [("Content-Length", str(2 * len(LARGE)))])
    return iter([LARGE, LARGE])


@pytest.mark.parametrize(
    ("sent", "calls"),
    [
        (request("GET", "/small"), ["receive", "send"]),
        (request("PUT", "/", body=b"x" * 4096), ["receive", "send"]),
        (request("GET", "/large"), ["receive", "send", "send"]),
    ],
    ids=["small GET", "small PUT", "GET of two blocks"],
)
def test_a_request_takes_as_few_calls_as_can_be(sent: bytes, calls: list[str]) -> None:
    """One to receive head and body, one for the head of the answer with its first bytes, one a block."""
    app = echo if sent.startswith(b"PUT") else give
    connection, far = served(app)
    with far:
        far.sendall(sent)
        assert connection.communicate() is Next.WAIT
        counted = connection.wire.socket
        assert isinstance(counted, CountedSocket)
        assert counted.calls == calls
        assert far.recv(MIB).startswith(b"HTTP/1.1 200 ")
        connection.close()


def test_a_thread_stays_for_the_next_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody else wants it: the client answers an answer with a request, on the same call."""
    monkeypatch.setattr(connections, "STAY_SECONDS", 60)
    connection, far = served(give, is_calm=True)
    answers: list[bytes] = []

    def ask_again() -> None:
        while len(answers) < 5:
            answers.append(far.recv(MIB))
            far.sendall(request("GET", "/small"))
        far.close()

    far.sendall(request("GET", "/small"))
    client = threading.Thread(target=ask_again)
    client.start()
    assert connection.communicate() is Next.END
    client.join()
    connection.close()
    assert len(answers) == 5
    assert all(one.endswith(b"small") for one in answers)


def test_a_thread_goes_where_it_is_wanted() -> None:
    """One request, and no waiting for another, when somebody waits for a thread."""
    connection, far = served(give, is_calm=False)
    with far:
        far.sendall(request("GET", "/small") * 2)
        assert connection.communicate() is Next.WAIT
        assert far.recv(MIB).count(b"HTTP/1.1") == 1
        assert connection.reader.has_data()
        connection.close()


def test_no_connection_keeps_a_thread_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many requests others have their turn, though nobody is known to wait."""
    monkeypatch.setattr(connections, "REQUESTS_AT_ONCE", 3)
    connection, far = served(give, is_calm=True)
    with far:
        far.sendall(request("GET", "/small") * 5)
        assert connection.communicate() is Next.WAIT
        assert far.recv(MIB).count(b"HTTP/1.1") == 3
        connection.close()
