"""Hundreds of clients that are silent, slow, or take nothing, and one that is none of these. T06, T07."""

from __future__ import annotations

import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

import pytest

from davserver.serving.server import Options
from davserver.serving.tls import Certificate
from tests.certificates import client_context, one_pair, write_pair
from tests.conformance.client import Client
from tests.conformance.http import request
from tests.conformance.ours import OurServer

EACH = 200
LONG = 600.0
"""No deadline ends any of them within the test: it is not the patience of the server that helps."""

ANSWERED_SECONDS = 1.0
"""How soon a normal request is answered; of a machine that does other things, half of them have to be."""

MIB = 1 << 20
PATIENCE = 20.0


@pytest.fixture(params=["plain", "tls"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OurServer]:
    """Sealdav with as few threads as by default, and no deadlines."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    secure = request.param == "tls"
    certificate = Certificate(*write_pair(tmp_path, one_pair())) if secure else None
    options = Options(idle_seconds=LONG, head_seconds=LONG, certificate=certificate)
    server = OurServer(tmp_path, PATIENCE, options, client_context() if secure else None)
    yield server
    server.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


class Crowd:
    """Clients of other addresses of this machine, each kind of its own."""

    def __init__(self, client: Client, stack: ExitStack) -> None:
        self._client = client
        self._stack = stack
        self._kinds = 1

    def come(self, first_words: bytes) -> list[socket.socket]:
        """Connect `EACH` more, which say this and take nothing."""
        self._kinds += 1
        source = (f"127.0.0.{self._kinds}", 0)
        return [self._one(source, first_words) for _ in range(EACH)]

    def _one(self, source: tuple[str, int], first_words: bytes) -> socket.socket:
        one = self._stack.enter_context(socket.socket())
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.bind(source)
        one.settimeout(PATIENCE)
        one.connect(self._client.address)
        tls = self._client.tls
        if tls is not None and first_words:
            one = self._stack.enter_context(self._secured(one, tls))
        one.sendall(first_words)
        return one

    def _secured(self, one: socket.socket, tls: ssl.SSLContext) -> ssl.SSLSocket:
        return tls.wrap_socket(one, server_hostname="localhost")


def test_six_hundred_bad_clients_hold_up_nobody(server: OurServer) -> None:
    """A request of another account is answered while all of them are there and none was given up."""
    owner, victim = server.client, server.new_account().client
    owner.made("large", bytes(8 * MIB))
    victim.made("file", b"content")
    get = request("GET", owner.at("large"), owner.headers)
    with ExitStack() as stack:
        crowd = Crowd(owner, stack)
        crowd.come(b"")
        dripping = crowd.come(get[:20])
        not_reading = crowd.come(get)
        seconds = []
        for number in range(20):
            for one in dripping[number::20]:
                one.sendall(b"x")
            begun = time.monotonic()
            assert victim.get("file").body == b"content"
            assert victim.put(f"new {number}", b"x").status == 201
            seconds.append(time.monotonic() - begun)
        assert median(seconds) < ANSWERED_SECONDS
        assert not any(map(ended, dripping + not_reading[:10]))


def ended(one: socket.socket) -> bool:
    """Whether the server has given a client up that has nothing to read, or more than it takes."""
    one.settimeout(0)
    with suppress(BlockingIOError, ssl.SSLWantReadError):
        return one.recv(1) == b""
    return False
