"""What somebody without any credential may try against the server itself, over real sockets."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from davserver.serving.server import Options, Server
from tests.conformance.http import head, request
from tests.unit.serving.test_server import MIB, PATIENCE, connect, hello


@contextmanager
def serving(options: Options) -> Iterator[Server]:
    """A server whose application never looks at a body."""
    server = Server(hello, options=options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def test_a_body_that_never_comes_holds_no_thread() -> None:
    """Whoever announces a body and does not send it is answered, and nobody else has to wait for it."""
    with serving(Options(threads=1)) as server, connect(server) as attacker, connect(server) as owner:
        attacker.send(head("POST", "/", {"Content-Length": "1000"}))
        assert attacker.read("POST").status == 200
        assert owner.ask("GET", "/").status == 200
        assert attacker.ended()


def test_a_crowd_of_silent_connections_shuts_nobody_out() -> None:
    """Who waits longest makes room: strangers who only connect are no reason to turn anybody away."""
    with ExitStack() as crowd, serving(Options(threads=2, waiting=50)) as server:
        strangers = [crowd.enter_context(connect(server)) for _ in range(200)]
        for _ in range(5):
            with connect(server) as owner:
                assert owner.ask("GET", "/").status == 200
        assert strangers[0].ended()


def test_the_server_survives_when_files_run_out() -> None:
    """A limit that is reached is no end: connections that only wait are given up for those that ask."""
    with ExitStack() as stack, serving(Options(threads=1)) as server:
        crowd = [stack.enter_context(socket.socket()) for _ in range(60)]
        with few_files(more=20):
            for stranger in crowd[:-1]:
                stranger.connect(server.address)
            crowd[-1].settimeout(PATIENCE)
            crowd[-1].connect(server.address)
            crowd[-1].sendall(request("GET", "/"))
            assert crowd[-1].recv(MIB).startswith(b"HTTP/1.1 200 ")


@contextmanager
def few_files(*, more: int) -> Iterator[None]:
    """Let this process open only about so many files more than it has open."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(each.name) for each in Path("/proc/self/fd").iterdir()}
    free = next(number for number in range(before) if number not in taken)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))
