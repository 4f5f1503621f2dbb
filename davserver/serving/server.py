"""The listening socket, the worker threads, and a stop that never turns half a body into a whole file.

It must never read settings. Called by `davserver.cli` and by tests: `start()`, `address`, `stop()`.
"""

from __future__ import annotations

import itertools
import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from cheroot import server as cheroot

from davserver.baton import Baton
from davserver.errors import ConfigError
from davserver.serving.board import Board, Seat
from davserver.serving.connection import Connection, Next, Observer, Service
from davserver.serving.exchange import MISTRUST_KEY, Environ, Host, WsgiApp
from davserver.serving.lifecycle import Attendant, Orders
from davserver.serving.listening import address_of, listen
from davserver.serving.pool import Pool
from davserver.serving.proxies import Network, Proxies
from davserver.serving.tls import Certificate
from davserver.serving.turns import Turns
from davserver.serving.waiting import Waiting

MAX_WAITING_CONNECTIONS = 4096
"""Connections that may wait for a request; beyond it, those whose time is soonest up make room for others."""

MAX_CONNECTIONS_PER_ADDRESS = 512
"""Of one client, or of all that share an address; an IPv6 network of 64 bits is one address."""

STUCK_SECONDS = 20
"""A process whose loop has not come round for so long is not well; it does so twice a second."""

SERVER_NAME = "sealdav"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process serves that is one of several.

    Attributes:
        listener: the socket that all of them accept from.
        seat: its row on the board that they share.
    """

    listener: socket.socket
    seat: Seat


@dataclass(frozen=True, slots=True)
class Options:
    """How a server runs.

    Attributes:
        threads: requests that are worked on at once; one that waits for its client does not count.
        idle_seconds: how long a silent connection is kept, and one read or write may stall.
        head_seconds: how long the head of a request may take from its first byte on.
        waiting: connections that may wait for a request; at most half of the files that the process may open.
        certificate: what TLS is spoken with; None is plain http.
        trusted_proxies: networks of proxies that are believed about the client.
        per_address: connections that one address may have, a trusted proxy's excepted; in all processes.
        plain_for_all: whether plain http is spoken with others than this machine and trusted proxies.
        place: in the place of an address of its own, for one of several processes.
        baton: what the application gives away before it waits.
    """

    threads: int = 32
    idle_seconds: float = 30
    head_seconds: float = 10
    waiting: int = MAX_WAITING_CONNECTIONS
    certificate: Certificate | None = None
    trusted_proxies: tuple[Network, ...] = ()
    per_address: int = MAX_CONNECTIONS_PER_ADDRESS
    plain_for_all: bool = False
    place: Place | None = None
    baton: Baton = field(default_factory=Baton)


class Server:
    """A WSGI application on one TCP address.

    Args:
        app: the application; called from many threads.
        host: name or address to listen on.
        port: TCP port; 0 takes a free one.
    """

    def __init__(
        self,
        app: WsgiApp,
        host: str = "127.0.0.1",
        port: int = 0,
        options: Options = Options(),
        observer: Observer | None = None,
    ) -> None:
        self._listen_on = (host, port)
        self._place = options.place
        self._certificate = options.certificate
        self._observer = observer or Observer()
        self._aborting = threading.Event()
        ids = itertools.count(1)
        pid = os.getpid()
        pool = Pool(self._work, options.threads, self._aborting, options.baton)
        turns = Turns(options.threads, pool.put, pool.cut_silent)
        proxies = Proxies(options.trusted_proxies, plain_for_all=options.plain_for_all)
        service = Service(
            app=app,
            host=Host(
                environ={},
                date=_Clock(),
                keep_alive=lambda: self._http.ready,
                proxies=proxies,
            ),
            next_id=lambda: f"{pid:x}-{next(ids):x}",
            observer=self._observer,
            aborting=self._aborting,
            certificate=options.certificate,
            idle_seconds=options.idle_seconds,
            head_seconds=options.head_seconds,
            turns=turns,
            patience=pool,
            baton=options.baton,
            is_calm=lambda: pool.is_calm,
        )
        self._turns = turns
        self._http = _Http(service, options, pool)
        self._loop = threading.Thread(target=self._http.serve, name="accept", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on; after `start`."""
        host, port = self._http.bind_addr
        return str(host), int(port)

    def start(self) -> None:
        """Listen and serve in the background.

        Raises:
            ConfigError: the address cannot be listened on; says what to do.
        """
        place = self._place or Place(listen(*self._listen_on), Board(1).seat(0))
        self._http.prepare_at(place, multiprocess=self._place is not None)
        self._loop.start()

    def stop(self, grace_seconds: int = 0) -> None:
        """Accept nothing more, let running requests finish within the grace, then `abort` the rest."""
        self._http.shutdown_timeout = grace_seconds
        self._http.stop()
        self._loop.join()

    def abort(self) -> None:
        """Cut running requests off at once: reading a body raises from now on."""
        self._aborting.set()
        self._http.pool.cut()

    def run(
        self, grace_seconds: int, on_ready: Callable[[], None], attendant: Attendant | None = None
    ) -> None:
        """`start`, call `on_ready`, serve until a signal asks for a stop (see `Orders`), `stop`.

        SIGHUP reads the certificate again, for connections from then on. Only in the main thread.

        Args:
            grace_seconds: how long running requests may finish.
            on_ready: called once requests are answered.
            attendant: who is told how this process is.

        Raises:
            Exception: what `start` and `on_ready` raise.
        """
        attendant = attendant or Attendant()
        with Orders(self.abort, supervised=self._place is not None) as orders:
            self.start()
            try:
                on_ready()
                attendant.ready()
                while not orders.wait():
                    if orders.take_reload():
                        attendant.reloading()
                        self._reload()
                        attendant.ready()
                    if self._http.is_well and not attendant.alive():
                        break
                attendant.stopping()
            finally:
                self.stop(grace_seconds)

    def _work(self, connection: Connection) -> None:
        """What a thread does with a connection that has something to say; never raises."""
        then = Next.END
        try:
            then = connection.communicate()
        except Exception:  # noqa: BLE001 - nothing may end the thread; it is logged
            self._observer.fault("fault in the HTTP server")
        if then is Next.WAIT:
            self._http.put_conn(connection)
        elif then is Next.ASIDE:
            self._turns.put_aside(connection)
        else:
            connection.close()

    def _reload(self) -> None:
        """Read the certificate again; with one that is no good the server goes on with the old one."""
        try:
            if self._certificate is not None:
                self._certificate.reload()
        except ConfigError:
            self._observer.fault("the TLS files could not be read again; the old certificate stays in use")


class _Http(cheroot.HTTPServer):
    """cheroot's server around our connections, our loop and our threads."""

    def __init__(self, service: Service, options: Options, pool: Pool) -> None:
        super().__init__(("127.0.0.1", 0), gateway=None, server_name=SERVER_NAME)
        self._service = service
        self._per_address = options.per_address
        self.requests = self.pool = pool
        self.timeout = service.idle_seconds  # type: ignore[assignment] # the stub knows only whole seconds
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.keep_alive_conn_limit = min(options.waiting, files // 2)
        self.socket: socket.socket
        self._seat: Seat

    def ConnectionClass(self, _server: object, sock: socket.socket, _makefile: object) -> Connection:  # noqa: N802
        """What cheroot's ConnectionManager makes of an accepted socket."""
        return Connection(self._service, sock, self._seat)

    def prepare_at(self, place: Place, *, multiprocess: bool) -> None:
        """As cheroot's `prepare`, for a socket that is bound, and without a look into the environment."""
        self.socket = place.listener
        self.bind_addr = address_of(place.listener)
        self._seat = place.seat
        scheme = "http" if self._service.certificate is None else "https"
        environ = _constant_environ(self.bind_addr, scheme, multiprocess=multiprocess)
        self._service.host.environ.update({**environ, MISTRUST_KEY: place.seat.since_mistrust})
        turns, proxies = self._service.turns, self._service.host.proxies
        self._connections = Waiting(
            self,
            place.seat,
            may_come=lambda peer: proxies.trusts(peer) or place.seat.of(peer) <= self._per_address,
            besides=(turns.look, self.pool.relieve),
        )
        self.ready = True

    def serve(self) -> None:
        """As cheroot's, without its thread for what does not fit into a queue: ours has room for all."""
        while self.ready:
            try:
                self._connections.run(0)
            except Exception:  # noqa: BLE001 - nothing may end the loop; it is logged
                self._service.observer.fault("fault in the HTTP server")

    def stop(self) -> None:
        """As cheroot's, but at once and without connecting to itself."""
        if not self.ready:
            return
        self.ready = False
        self._connections.stop()
        self.socket.close()
        self._connections.close()
        self._service.turns.close()
        self.pool.stop(self.shutdown_timeout)

    @property
    def is_well(self) -> bool:
        """Whether new connections and requests are looked after."""
        return time.monotonic() - self._connections.turned_at < STUCK_SECONDS

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Faults of cheroot itself; its texts may hold anything and are not passed on."""
        if level >= logging.WARNING:
            self._service.observer.fault("fault in the HTTP server")


class _Clock:
    """The Date field, made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self) -> str:
        second = int(time.monotonic())
        if second != self._second:
            self._text = formatdate(usegmt=True)
            self._second = second
        return self._text


class _Nowhere:
    """`wsgi.errors`: what applications write there is free text and must not reach a log."""

    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Drop them."""

    def flush(self) -> None:
        """Nothing to do."""


def _constant_environ(address: tuple[str, int], scheme: str, *, multiprocess: bool) -> Environ:
    host, port = address
    return {
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_SOFTWARE": SERVER_NAME,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": _Nowhere(),
        "wsgi.input_terminated": True,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }
