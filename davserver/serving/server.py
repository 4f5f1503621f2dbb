"""The listening socket, the worker threads, and a stop that never turns half a body into a whole file.

It must never read settings. Called by `davserver.cli` and by tests: `start()`, `address`, `stop()`.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import logging
import math
import operator
import os
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from cheroot import server as cheroot
from cheroot.connections import ConnectionManager
from cheroot.workers import threadpool

from davserver.errors import ConfigError
from davserver.serving.connection import Connection, Observer, Service
from davserver.serving.exchange import Environ, Host, WsgiApp
from davserver.serving.proxies import Network, Proxies
from davserver.serving.tls import Certificate

BACKLOG = 1024
"""Connections that the kernel holds until they are accepted."""

MAX_WAITING_CONNECTIONS = 4096
"""Connections that may wait for a request; beyond it, those whose time is soonest up make room for others."""

SHED_PART = 16
"""One in so many makes room at once."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What `accept` fails with when this process or the machine has nothing left for another connection."""

TICK_SECONDS = 0.5
"""How often deadlines of waiting connections are looked at."""

LOOK_UP_SECONDS = 0.5
"""How long a signal may wait that another thread than the main one has received."""

SERVER_NAME = "sealdav"


@dataclass(frozen=True, slots=True)
class Options:
    """How a server runs.

    Attributes:
        threads: requests that run at once.
        idle_seconds: how long a silent connection is kept, and one read or write may stall.
        head_seconds: how long the head of a request may take from its first byte on.
        waiting: connections that may wait for a request; at most half of the files that the process may open.
        certificate: what TLS is spoken with; None is plain http.
        trusted_proxies: networks of proxies that are believed about the client.
    """

    threads: int = 32
    idle_seconds: float = 30
    head_seconds: float = 10
    waiting: int = MAX_WAITING_CONNECTIONS
    certificate: Certificate | None = None
    trusted_proxies: tuple[Network, ...] = ()


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
        self._certificate = options.certificate
        self._observer = observer or Observer()
        self._aborting = threading.Event()
        ids = itertools.count(1)
        pid = os.getpid()
        service = Service(
            app=app,
            host=Host(
                environ={},
                date=_Clock(),
                keep_alive=lambda: self._http.can_add_keepalive_connection,
                proxies=Proxies(options.trusted_proxies),
            ),
            next_id=lambda: f"{pid:x}-{next(ids):x}",
            observer=self._observer,
            aborting=self._aborting,
            certificate=options.certificate,
            idle_seconds=options.idle_seconds,
            head_seconds=options.head_seconds,
        )
        self._http = _Http(service, options)
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
        self._http.listen(*self._listen_on)
        self._http.prepare()
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

    def run(self, grace_seconds: int, on_ready: Callable[[], None]) -> None:
        """`start`, call `on_ready`, wait for SIGTERM or SIGINT, `stop`. A second signal aborts at once.

        With TLS, SIGHUP reads the certificate again, for connections from then on. Only in the main thread.
        Raises what `start` and `on_ready` raise.
        """
        asked, renew = threading.Event(), threading.Event()

        def on_signal(_number: int, _frame: object) -> None:
            if asked.is_set():
                self.abort()
            asked.set()

        def on_hangup(_number: int, _frame: object) -> None:
            renew.set()

        previous = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        if self._certificate is not None:
            previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, on_hangup)
        try:
            self.start()
            try:
                on_ready()
                # The kernel may hand the signal to another thread; Python runs the handler in this one, which
                # sleeps in a lock and would not notice: so it looks up now and then.
                while not asked.wait(LOOK_UP_SECONDS):
                    if renew.is_set():
                        renew.clear()
                        self._reload()
            finally:
                self.stop(grace_seconds)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _reload(self) -> None:
        """Read the certificate again; with one that is no good the server goes on with the old one."""
        try:
            if self._certificate is not None:
                self._certificate.reload()
        except ConfigError:
            self._observer.fault("the TLS files could not be read again; the old certificate stays in use")


class _Http(cheroot.HTTPServer):
    """cheroot's accept loop and thread pool around our connections."""

    def __init__(self, service: Service, options: Options) -> None:
        super().__init__(("127.0.0.1", 0), gateway=None, server_name=SERVER_NAME)
        self._service = service
        self.requests = self.pool = _Pool(self, service.aborting, options.threads)
        self.timeout = service.idle_seconds  # type: ignore[assignment] # the stub knows only whole seconds
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.keep_alive_conn_limit = min(options.waiting, files // 2)
        self.expiration_interval = TICK_SECONDS
        self.socket: socket.socket

    def ConnectionClass(self, _server: object, sock: socket.socket, _makefile: object) -> Connection:  # noqa: N802
        """What cheroot's ConnectionManager makes of an accepted socket."""
        return Connection(self._service, sock)

    def listen(self, host: str, port: int) -> None:
        """Bind, with an error that says what to do."""
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            dual = family == socket.AF_INET6 and host == "::"
            self.socket = socket.create_server(
                address[:2], family=family, backlog=BACKLOG, dualstack_ipv6=dual
            )
        except OSError as error:
            raise ConfigError(_bind_advice(host, port, error)) from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.bind_addr = self.socket.getsockname()[:2]
        scheme = "http" if self._service.certificate is None else "https"
        self._service.host.environ.update(_constant_environ(self.bind_addr, scheme))

    def prepare(self) -> None:
        """As cheroot's, for a socket that is already bound and without a look into the environment."""
        self.socket.settimeout(1)
        self._connections = _Connections(self)
        self.requests.start()
        self.ready = True

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Faults of cheroot itself; its texts may hold anything and are not passed on."""
        if level >= logging.WARNING:
            self._service.observer.fault("fault in the HTTP server")


class _Connections(ConnectionManager):
    """Waiting connections: new ones too, so that a silent one costs no thread; each with its own deadline."""

    _selector: Any
    _stop_requested: bool
    _serving: bool

    def stop(self) -> None:
        """As cheroot's, but at once: a listening socket that is shut down wakes the selector."""
        self._stop_requested = True
        self.server.socket.shutdown(socket.SHUT_RDWR)
        super().stop()

    def put(self, connection: Connection) -> None:
        """As cheroot's, but what cannot be waited for is closed: an error here would end the server.

        A handshake may wait for room to write.
        """
        try:
            if connection.reader.has_data():
                self.server.process_conn(connection)
            else:
                self._selector.register(connection.wire.fileno(), connection.wire.waits_for, connection)
        except (OSError, ValueError):  # closed by its peer, or the selector by `stop`
            connection.close()

    def _from_server_socket(self, server_socket: socket.socket) -> None:
        """As cheroot's, but a crowd of waiting connections, which is cheap to raise, shuts nobody out."""
        if self._stop_requested:
            return
        if not self.can_add_keepalive_connection:
            self._shed()
        try:
            connection = super()._from_server_socket(server_socket)  # type: ignore[misc]
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            if not self._shed():
                time.sleep(TICK_SECONDS)  # running requests have everything: only they can give it back
            return
        if connection is not None:
            self.put(connection)

    def _shed(self) -> bool:
        """End the connections whose deadlines come first; False if none is waiting.

        They are cut and not closed: this very turn of the selector's loop may still have them in hand.
        """
        waiting = [one for _, one in self._selector.connections if one is not self.server]
        count = -(-len(waiting) // SHED_PART)
        soonest = heapq.nsmallest(count, waiting, key=operator.attrgetter("deadline"))
        for connection in soonest:
            connection.deadline = math.inf
            connection.cut()
        return bool(soonest)

    def _expire(self, threshold: float) -> None:  # noqa: ARG002 - ours are per connection
        now = time.monotonic()
        for descriptor, connection in list(self._selector.connections):
            if connection is not self.server and connection.deadline < now:
                self._selector.unregister(descriptor)
                connection.close()


class _Pool(threadpool.ThreadPool):
    """Worker threads. cheroot's `stop` waits for them and then calls `_force_close` for each that is busy."""

    def __init__(self, http: _Http, aborting: threading.Event, threads: int) -> None:
        super().__init__(http, min=threads, max=threads)
        self._aborting = aborting
        self._workers: list[threadpool.WorkerThread] = []

    def cut(self) -> None:
        """End the connections of running requests. The event `aborting` is set before."""
        for worker in self._workers:
            connection = worker.conn
            if connection is not None:
                connection.cut()

    def _spawn_worker(self) -> threadpool.WorkerThread:
        worker: threadpool.WorkerThread = super()._spawn_worker()  # type: ignore[misc]
        self._workers.append(worker)
        return worker

    def _force_close(self, connection: Connection | None) -> None:
        self._aborting.set()  # first: the end of a connection must not look like the end of a body
        if connection is not None:
            connection.cut()


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


def _constant_environ(address: tuple[str, int], scheme: str) -> Environ:
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
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _bind_advice(host: str, port: int, error: OSError) -> str:
    where = f"cannot listen on {host} port {port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: the port is in use; stop the other program or set another server.port (--port)"
    if error.errno == errno.EACCES:
        return f"{where}: not permitted; set server.port (--port) to 1024 or more"
    return f"{where}: not an address of this machine; set server.host (--host)"
