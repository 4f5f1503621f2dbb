"""One TCP connection: its requests one after another, its deadlines, and how it ends.

It must never hold a thread while a TLS handshake or the head of a request is incomplete: such a connection is
parked in the selector with what has arrived. Called by the threads of `pool` through `communicate`.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from http import HTTPStatus

from davserver.baton import Baton
from davserver.errors import DavserverError
from davserver.serving.board import Seat
from davserver.serving.exchange import (
    ACCOUNT_KEY,
    CUT_KEY,
    TURN_KEY,
    Broken,
    Environ,
    Exchange,
    Host,
    WsgiApp,
    build_environ,
)
from davserver.serving.head import Head, Refused, parse_head
from davserver.serving.reader import Disconnected, SocketReader
from davserver.serving.tls import HANDSHAKE, STRICT_TRANSPORT, Certificate, TlsWire, is_mistrust
from davserver.serving.turns import TURN_SECONDS, Turns
from davserver.serving.wire import Block, Patience, Wire

STAY_SECONDS = 0.002
"""How long a thread stays with a connection for its next request, while nobody else wants the thread."""

REQUESTS_AT_ONCE = 100
"""How many requests of one connection a thread answers before others have their turn in any case."""

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


class Next(Enum):
    """What becomes of a connection."""

    WAIT = auto()
    """Something has to arrive."""
    ASIDE = auto()
    """Its request waits for its turn (`turns`)."""
    END = auto()
    """It is to be closed."""


@dataclass(frozen=True, slots=True)
class Service:
    """What every connection of a server shares.

    Attributes:
        next_id: makes the id of a request.
        aborting: set when running requests are cut off.
        certificate: what TLS is spoken with; None is plain http.
        turns: whose turn it is.
        patience: told when a thread waits for its client.
        baton: held by the thread that works on a request.
        is_calm: whether no connection waits for a thread.
    """

    app: WsgiApp
    host: Host
    next_id: Callable[[], str]
    observer: Observer
    aborting: threading.Event
    certificate: Certificate | None
    idle_seconds: float
    head_seconds: float
    turns: Turns[Connection]
    patience: Patience
    baton: Baton
    is_calm: Callable[[], bool]


class Connection:
    """Duck type of cheroot's HTTPConnection, as far as its selector uses it."""

    remote_addr = ""  # set by cheroot's ConnectionManager, as are the next two
    remote_port = 0
    ssl_env: object = None
    account = ""
    """Whose request waits for its turn; see `turns.Aside`."""

    def __init__(self, service: Service, sock: socket.socket, seat: Seat) -> None:
        self._service = service
        self._seat = seat
        self._here = self._may_be_plain = False
        self._use(Wire(sock, service.patience, service.idle_seconds))
        self._tls: TlsWire | None = None
        self._securing = service.certificate
        self._lingering = False
        self._aside: Head | None = None
        self._await(service.idle_seconds)

    # ── for the server
    def arrive(self) -> None:
        """It counts from now on, until it is closed. `remote_addr` is known."""
        self._here = True
        self._may_be_plain = self._service.host.proxies.may_be_plain(self.remote_addr)
        self._seat.connected(self.remote_addr)

    def communicate(self) -> Next:
        """Answer requests while they come one after another and nobody else wants the thread."""
        baton = self._service.baton
        for _ in range(REQUESTS_AT_ONCE):
            baton.take()
            try:
                then = self._go_on()
            finally:
                baton.give()
            if then is not Next.WAIT or not self._service.is_calm() or not self._more_is_here():
                return then
        return Next.WAIT

    def _more_is_here(self) -> bool:
        """Whether there is something to go on with, now or in a moment; half a head is not waited for."""
        return self.reader.has_data() or (not self._begun and self.wire.is_readable(STAY_SECONDS))

    def _go_on(self) -> Next:
        """Answer one request, if its head is there, or do what else is to be done."""
        if self._lingering:
            return _wait_if(self._in_time() and self.reader.discard())
        if self._aside is not None:
            return self._exchange(self._aside)
        try:
            if self._securing is not None:
                return self._secure(self._securing)
            head = self._next_head()
        except Disconnected as end:
            if is_mistrust(end.__cause__):
                self._seat.mistrusted(self.remote_addr)
            return Next.END
        except Refused as refusal:
            return self._refuse(refusal)
        return self._begin() if head is None else self._exchange(head)

    def close(self) -> None:
        """End the connection."""
        if self._here:
            self._here = False
            self._seat.disconnected(self.remote_addr)
        self.wire.close()

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

    def _begin(self) -> Next:
        """Something has begun to arrive: from now on more bytes do not extend the deadline."""
        if not self._begun:
            self.deadline = time.monotonic() + self._service.head_seconds
            self._begun = True
        return _wait_if(self._in_time())

    def _in_time(self) -> bool:
        """The selector looks at deadlines too, but not at a connection that is being worked on when it looks.

        One that drips is worked on at just those moments, if nothing else is going on.
        """
        return time.monotonic() < self.deadline

    def _secure(self, certificate: Certificate) -> Next:
        """One step of the TLS handshake; it never waits.

        Raises:
            Disconnected: it failed.
            Refused: the client speaks plain http; it is answered so, and what it asked for is not looked at.
        """
        try:
            if self._tls is None:
                first = self.wire.peek()
                if first not in (HANDSHAKE, b""):
                    raise Refused(HTTPStatus.BAD_REQUEST, "this port speaks TLS: use https")
                self._tls = TlsWire(self.wire, certificate.context)
                self._use(self._tls)
            if not self._tls.secure():
                return self._begin()
        except OSError as error:
            raise Disconnected from error
        self._securing = None
        self._await(self._service.idle_seconds)
        return Next.WAIT

    def _next_head(self) -> Head | None:
        """The next request; None if it is not complete yet.

        Raises:
            Disconnected: the peer is gone.
            Refused: it is malformed, or comes over plain http from where others can listen in; then it is
                not looked at.
        """
        raw = self.reader.next_head()
        if raw is None:
            return None
        if self._tls is None and not self._may_be_plain:
            raise Refused(HTTPStatus.FORBIDDEN, "plain http is not spoken here: use https")
        return parse_head(raw)

    def _exchange(self, head: Head) -> Next:
        """Run one request; never raises."""
        begun = time.monotonic()
        service = self._service
        request_id = service.next_id()
        exchange = Exchange(self, service.host, head, may_wait=self._aside is None or self._in_time())
        client = (self.remote_addr, self.remote_port)
        environ = build_environ(service.host, head, exchange.body, client, request_id)
        environ[CUT_KEY] = self.cut
        environ[TURN_KEY] = partial(exchange.take_turn, service.turns)
        try:
            self._run(exchange, environ)
        except Disconnected:
            return Next.END
        finally:
            exchange.end_turn(service.turns)
            if not exchange.must_wait:
                self._log(head, exchange, environ.get(ACCOUNT_KEY), request_id, time.monotonic() - begun)
        return self._after(head, exchange)

    def _after(self, head: Head, exchange: Exchange) -> Next:
        """What follows on an exchange."""
        if exchange.must_wait:
            if self._aside is None:
                self._aside, self.account = head, exchange.must_wait
                self.deadline = time.monotonic() + TURN_SECONDS
            return Next.ASIDE
        self._aside = None
        if exchange.reusable:
            self._await(self._service.idle_seconds)
            return self._begin() if self.reader.has_partial_head else Next.WAIT
        return self._begin_linger() if exchange.body.remaining != 0 else Next.END

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

    def _refuse(self, refusal: Refused) -> Next:
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
            return Next.END
        return self._begin_linger()

    def _begin_linger(self) -> Next:
        """Half-close; what still comes is dropped for a short while, without a thread (RFC 9112, 9.6).

        Closing at once would make the kernel send RST, which can destroy the answer before it is read.
        """
        try:
            self.wire.finish()
        except OSError:
            return Next.END
        self._lingering = True
        self.deadline = time.monotonic() + LINGER_SECONDS
        self.reader.forget()
        return Next.WAIT

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


def _wait_if(goes_on: bool) -> Next:  # noqa: FBT001 - what it is about
    return Next.WAIT if goes_on else Next.END
