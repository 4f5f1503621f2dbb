"""One TCP connection: its requests one after another, its deadlines, and how it ends.

It must never hold a worker thread while a TLS handshake or the head of a request is incomplete: such a
connection is parked in the selector with what has arrived. Called by cheroot's workers through `communicate`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from davserver.errors import DavserverError
from davserver.serving.board import Seat
from davserver.serving.exchange import (
    ACCOUNT_KEY,
    Broken,
    Environ,
    Exchange,
    Host,
    WsgiApp,
    build_environ,
)
from davserver.serving.head import Head, Refused, parse_head
from davserver.serving.reader import Disconnected, SocketReader
from davserver.serving.tls import HANDSHAKE, STRICT_TRANSPORT, Certificate, TlsWire
from davserver.serving.wire import Block, Wire

LINGER_SECONDS = 2.0
"""How long the rest of a refused request is read and dropped, so that the client can read the answer."""

METHODS = frozenset(
    {
        *("OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"),
        *("MKCOL", "COPY", "MOVE", "PROPFIND", "PROPPATCH", "LOCK", "UNLOCK", "REPORT", "SEARCH", "ACL"),
    }
)
"""Methods that are named in the access log; anything else is "other", because a client made it up."""


@dataclass(frozen=True, slots=True)
class Access:
    """What the access log may know about a request: never its path.

    Attributes:
        received, sent: bytes of body.
        account: user name, if the application told.
    """

    method: str
    status: int
    received: int
    sent: int
    seconds: float
    account: str | None
    request: str


class Observer:
    """Told of what happens, from the thread where it happens. This one ignores it."""

    def request_answered(self, access: Access) -> None:
        """A request has come to its end, whatever that was."""

    def fault(self, text: str) -> None:
        """Something went wrong, in words of ours; the exception, if any, is being handled."""


@dataclass(frozen=True, slots=True)
class Service:
    """What every connection of a server shares.

    Attributes:
        next_id: makes the id of a request.
        aborting: set when running requests are cut off.
        certificate: what TLS is spoken with; None is plain http.
    """

    app: WsgiApp
    host: Host
    next_id: Callable[[], str]
    observer: Observer
    aborting: threading.Event
    certificate: Certificate | None
    idle_seconds: float
    head_seconds: float


class Connection:
    """Duck type of cheroot's HTTPConnection, as far as its workers and its selector use it."""

    remote_addr = ""  # set by cheroot's ConnectionManager, as are the next two
    remote_port = 0
    ssl_env: object = None
    requests_seen = 0

    def __init__(self, service: Service, sock: socket.socket, seat: Seat) -> None:
        self._service = service
        self._seat = seat
        self._open = True
        seat.connected()
        self._use(Wire(sock))
        self._tls: TlsWire | None = None
        self._securing = service.certificate
        self._lingering = False
        self._await(service.idle_seconds)

    # ── for cheroot
    def communicate(self) -> bool:
        """Answer one request, if its head is there. Returns whether to wait for more on this connection."""
        if self._lingering:
            return self._in_time() and self.reader.discard()
        try:
            if self._securing is not None:
                return self._secure(self._securing)
            raw = self.reader.next_head()
            if raw is None:
                return self._begin()
            head = parse_head(raw)
        except Disconnected:
            return False
        except Refused as refusal:
            return self._refuse(refusal)
        return self._exchange(head)

    def close(self) -> None:
        """End the connection."""
        self.wire.close()
        if self._open:
            self._open = False
            self._seat.disconnected()

    def cut(self) -> None:
        """End it from another thread: whoever reads or writes it gets an error at once."""
        self.wire.cut()

    # ── for the exchange
    def send(self, *parts: Block) -> None:
        """See `exchange.Line`."""
        try:
            self.wire.send(*parts)
        except OSError as error:
            raise Disconnected from error

    # ── private
    def _use(self, wire: Wire) -> None:
        self.wire = wire
        self.reader = self.rfile = SocketReader(wire, self._service.aborting)

    def _await(self, seconds: float) -> None:
        """Wait for something new, for so long."""
        self.deadline = time.monotonic() + seconds
        self._begun = False

    def _begin(self) -> bool:
        """Something has begun to arrive: from now on more bytes do not extend the deadline.

        Returns whether to wait for them.
        """
        if not self._begun:
            self.deadline = time.monotonic() + self._service.head_seconds
            self._begun = True
        return self._in_time()

    def _in_time(self) -> bool:
        """The selector looks at deadlines too, but not at a connection that is being worked on when it looks.

        One that drips is worked on at just those moments, if nothing else is going on.
        """
        return time.monotonic() < self.deadline

    def _secure(self, certificate: Certificate) -> bool:
        """One step of the TLS handshake; it never waits. Returns as `communicate` does.

        Raises:
            Disconnected: it failed.
            Refused: the client speaks plain http; it is answered so, and what it asked for is not looked at.
        """
        try:
            if self._tls is None:
                first = self.wire.peek()
                if first not in (HANDSHAKE, b""):
                    raise Refused(HTTPStatus.BAD_REQUEST, "this port speaks TLS: use https")
                self._tls = TlsWire(self.wire.socket, certificate.context)
                self._use(self._tls)
            if not self._tls.secure():
                return self._begin()
        except OSError as error:
            raise Disconnected from error
        self._securing = None
        self._await(self._service.idle_seconds)
        return True

    def _exchange(self, head: Head) -> bool:
        """Run one request; never raises. Returns as `communicate` does."""
        begun = time.monotonic()
        service = self._service
        request_id = service.next_id()
        exchange = Exchange(self, service.host, head)
        client = (self.remote_addr, self.remote_port)
        environ = build_environ(service.host, head, exchange.body, client, request_id)
        try:
            self._run(exchange, environ)
        except Disconnected:
            return False
        finally:
            self._log(head, exchange, environ.get(ACCOUNT_KEY), request_id, time.monotonic() - begun)
        if exchange.reusable:
            self._await(service.idle_seconds)
            return self._begin() if self.reader.has_partial_head else True
        return exchange.body.remaining != 0 and self._begin_linger()

    def _run(self, exchange: Exchange, environ: Environ) -> None:
        """Run the application. An error becomes 500, or a cut connection once the head is sent.

        Raises:
            Disconnected: the peer is gone, or was cut off.
        """
        try:
            exchange.run(self._service.app, environ)
            exchange.drain()
        except Disconnected:
            raise
        except (Broken, DavserverError):
            self._service.observer.fault("a response was cut off")
            self._give_up(exchange)
        except Exception:  # noqa: BLE001 - the last one who can answer; nothing is swallowed, it is logged
            self._service.observer.fault("unexpected error in a request")
            self._give_up(exchange)

    def _give_up(self, exchange: Exchange) -> None:
        """Answer 500, or cut the connection so that nobody takes what was sent for the whole."""
        if exchange.head_sent:
            self.wire.reset()  # a body without a length would otherwise end like a complete one
            raise Disconnected
        exchange.fail(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _refuse(self, refusal: Refused) -> bool:
        text = f"{refusal.reason}\n".encode()
        strict = "" if self._tls is None else "{}: {}\r\n".format(*STRICT_TRANSPORT)
        head = (
            f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(text)}\r\nDate: {self._service.host.date()}\r\n{strict}"
            "Connection: close\r\n\r\n"
        )
        try:
            self.send(head.encode("ascii"), text)
        except Disconnected:
            return False
        return self._begin_linger()

    def _begin_linger(self) -> bool:
        """Half-close; what still comes is dropped for a short while, without a thread (RFC 9112, 9.6).

        Closing at once would make the kernel send RST, which can destroy the answer before it is read.
        """
        try:
            self.wire.finish()
        except OSError:
            return False
        self._lingering = True
        self.deadline = time.monotonic() + LINGER_SECONDS
        self.reader.forget()
        return True

    def _log(self, head: Head, exchange: Exchange, account: object, request_id: str, seconds: float) -> None:
        self._service.observer.request_answered(
            Access(
                method=head.method if head.method in METHODS else "other",
                status=exchange.status or 0,
                received=exchange.body.received,
                sent=exchange.sent,
                seconds=seconds,
                account=account if isinstance(account, str) else None,
                request=request_id,
            )
        )
