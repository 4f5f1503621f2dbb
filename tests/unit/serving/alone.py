"""One connection without a server around it: a test lets it go on, and counts what it does."""

from __future__ import annotations

import itertools
import socket
import threading

from davserver.baton import Baton
from davserver.serving.board import Board, Seat
from davserver.serving.connection import Connection, Observer, Service
from davserver.serving.exchange import Host, WsgiApp
from davserver.serving.proxies import Proxies
from davserver.serving.turns import Turns
from davserver.serving.wire import Boundless

PATIENCE = 10.0


class CountedSocket(socket.socket):
    """Counts the calls that move bytes, or try to.

    Attributes:
        calls: names, in their order.
    """

    calls: list[str]

    def recv_into(self, *arguments, **named):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN003, ANN201, D102
        self.calls.append("receive")
        return super().recv_into(*arguments, **named)

    def send(self, *arguments):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN201, D102
        self.calls.append("send")
        return super().send(*arguments)

    def sendmsg(self, *arguments):  # type: ignore[no-untyped-def]  # noqa: ANN002, ANN201, D102
        self.calls.append("send")
        return super().sendmsg(*arguments)


def served(
    app: WsgiApp,
    *,
    address: str = "127.0.0.1",
    proxies: Proxies | None = None,
    is_calm: bool = False,
    seat: Seat | None = None,
) -> tuple[Connection, socket.socket]:
    """A connection from an address, and the client's end of it."""
    far, near = socket.socketpair()
    counted = CountedSocket(fileno=near.detach())
    counted.calls = []
    ids = itertools.count()
    service = Service(
        app=app,
        host=Host({"wsgi.url_scheme": "http"}, lambda: "now", lambda: True, proxies or Proxies()),
        next_id=lambda: str(next(ids)),
        observer=Observer(),
        aborting=threading.Event(),
        certificate=None,
        idle_seconds=PATIENCE,
        head_seconds=PATIENCE,
        turns=Turns(1, lambda _one: None, lambda _all, _count, _seconds: None),
        patience=Boundless(),
        baton=Baton(),
        is_calm=lambda: is_calm,
    )
    connection = Connection(service, counted, seat or Board(1).seat(0))
    connection.remote_addr = address
    connection.arrive()
    far.settimeout(PATIENCE)
    return connection, far
