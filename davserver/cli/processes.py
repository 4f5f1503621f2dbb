"""The processes of `sealdav serve`: one that does everything, or several and one that looks after them.

Called by `serve`.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import typer

from davserver.accounts.rounds import Rounder
from davserver.accounts.watch import Watchman
from davserver.audit import AccessLog, AuditEvent, get_logger
from davserver.baton import Baton
from davserver.bootstrap import Services
from davserver.cli.exits import ExitCode, exit_code
from davserver.cli.session import Session
from davserver.dav.app import build_app
from davserver.errors import ConfigError, DavserverError
from davserver.serving.connection import Access, Observer
from davserver.serving.dispatch import one_port
from davserver.serving.exchange import Environ, WsgiApp
from davserver.serving.lifecycle import Attendant
from davserver.serving.listening import address_of, listen
from davserver.serving.memory import keep_little
from davserver.serving.notify import Manager, Notifier
from davserver.serving.server import Options, Place, Server
from davserver.serving.supervisor import Supervisor, hold_signals
from davserver.serving.tls import Certificate
from davserver.serving.wire import Block
from davserver.settings import Settings, notify_socket, watchdog_seconds
from davserver.vault.maintenance import Maintenance


@dataclass(frozen=True)
class Plan:
    """What is to be served, and how.

    Attributes:
        dav_only: without the site.
        welcome: makes what is printed once requests are answered, from the address that is listened on.
    """

    session: Session
    settings: Settings
    certificate: Certificate | None
    dav_only: bool
    welcome: Callable[[Services, tuple[str, int]], str]


def serve_alone(plan: Plan) -> int:
    """One process that does everything; gives its exit code."""
    keep_little()
    with plan.session.services(level=plan.settings.log.level, create=True, actor="") as services:
        server = _server(plan, services)

        def on_ready() -> None:
            services.audit.record(AuditEvent.SERVER_STARTED)
            typer.echo(plan.welcome(services, server.address))

        _run(plan, services, server, on_ready, service_manager(), collects=True)
        services.audit.record(AuditEvent.SERVER_STOPPED)
    return ExitCode.OK


def serve_together(plan: Plan) -> int:
    """Several processes, and this one, which looks after them; gives its exit code.

    Whatever can go wrong with the store goes wrong here; it is closed again before the first fork, and opened
    by each process for itself.
    """
    hold_signals()
    keep_little()
    server = plan.settings.server
    with plan.session.services(level=plan.settings.log.level, create=True, actor="") as services:
        listener = listen(server.host, server.port)
        services.audit.record(AuditEvent.SERVER_STARTED)
        typer.echo(plan.welcome(services, address_of(listener)))  # who connects now is answered in a moment
    if not plan.dav_only:
        _load_site()  # before the fork: what it takes of memory is shared then
    supervisor = Supervisor(
        listener,
        server.processes,
        partial(_work, plan),
        grace_seconds=server.stop_seconds,
        attendant=service_manager(),
        reload=partial(_reload, plan),
        fault=LogObserver().fault,
    )
    code = supervisor.run()
    with plan.session.services(level=plan.settings.log.level, needs_space=False, actor="") as services:
        services.audit.record(AuditEvent.SERVER_STOPPED)
    return code


def _work(plan: Plan, place: Place, attendant: Attendant) -> int:
    """What each of several processes does, on a full disk too; gives its exit code."""
    level = plan.settings.log.level
    try:
        with plan.session.services(level=level, is_current=True, needs_space=False, actor="") as services:
            server = _server(plan, services, place)
            _run(plan, services, server, lambda: None, attendant, collects=place.seat.number == 0)
    except DavserverError as error:
        sys.stderr.write(f"sealdav: {error}\n")
        return exit_code(error)
    return ExitCode.OK


def _reload(plan: Plan) -> None:
    """What processes of later on begin with; a certificate that is no good is told, and the old one stays."""
    if plan.certificate is not None:
        with contextlib.suppress(ConfigError):  # each process says so by itself
            plan.certificate.reload()


def _server(plan: Plan, services: Services, place: Place | None = None) -> Server:
    server = plan.settings.server
    options = Options(
        server.threads,
        server.idle_seconds,
        certificate=plan.certificate,
        trusted_proxies=server.trusted_proxies,
        per_address=server.connections_per_address,
        plain_for_all=server.plain_http,
        place=place,
        baton=services.baton,
    )
    app = application(services, dav_only=plan.dav_only)
    return Server(app, server.host, server.port, options, LogObserver())


def _run(  # noqa: PLR0913 - parts
    plan: Plan,
    services: Services,
    server: Server,
    on_ready: Callable[[], None],
    attendant: Attendant,
    *,
    collects: bool,
) -> None:
    """Serve until told to stop; one of all processes collects garbage beside it.

    Each one looks after its own transfers, and would ask the identity provider: the lease decides which does.
    """
    helpers = (
        collector_of(services, collects=collects),
        Rounder(services.rounds),
        Watchman(services.transfers),
    )

    def begin() -> None:
        on_ready()
        for helper in helpers:
            helper.start()

    server.run(plan.settings.server.stop_seconds, begin, attendant)
    for helper in reversed(helpers):
        helper.stop()


def collector_of(services: Services, *, collects: bool) -> Collector:
    """What collects garbage as the settings say, if this is the process that does.

    In any other one it records what that one has counted of strangers, and nobody else knows.
    """
    gc = services.settings.gc
    return Collector(
        services.maintenance if collects else None,
        interval=timedelta(minutes=gc.interval_minutes),
        grace=timedelta(minutes=gc.grace_minutes),
        besides=services.upkeep.run if collects else services.audit_log.settle,
    )


def service_manager() -> Attendant:
    """Who is told how the server is."""
    address = notify_socket()
    return Notifier(Manager(address, watchdog_seconds())) if address else Attendant()


class LogObserver(Observer):
    """The server's events as log lines; see `audit` for what they may hold."""

    def __init__(self) -> None:
        self._access = AccessLog()
        self._log = get_logger("sealdav.serving")

    def request_answered(self, access: Access) -> None:
        """One line of the access log."""
        self._access.request(
            method=access.method,
            status=access.status,
            received=access.received,
            sent=access.sent,
            duration_ms=round(access.seconds * 1000, 1),
            account=access.account,
            request=access.request,
        )

    def fault(self, text: str) -> None:
        """One line with the kind of the exception and where it arose."""
        self._log.error(text, exc_info=True)


class Collector(threading.Thread):
    """Collects garbage beside the server, every `interval`; never if that is zero.

    Args:
        maintenance: None: another process collects.
        besides: what else is done each time.
    """

    def __init__(
        self,
        maintenance: Maintenance | None,
        *,
        interval: timedelta,
        grace: timedelta,
        besides: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(name="gc", daemon=True)
        self._maintenance = maintenance
        self._interval = interval
        self._grace = grace
        self._besides = besides
        self._stopping = threading.Event()
        self._log = get_logger("sealdav.gc")

    def run(self) -> None:
        """Collect after each interval."""
        while self._interval and not self._stopping.wait(self._interval.total_seconds()):
            self.collect()

    def collect(self) -> None:
        """Do once what is done each time; a failure is logged, and the next time is another chance."""
        try:
            if self._maintenance is not None:
                report = self._maintenance.collect(grace=self._grace)
                self._log.info("collected", count=report.blobs, freed=report.bytes)
            self._besides()
        except DavserverError:
            self._log.exception("collection failed")

    def stop(self) -> None:
        """End after what is being done."""
        self._stopping.set()
        if self.is_alive():
            self.join()


def application(services: Services, *, dav_only: bool) -> WsgiApp:
    """Both doors on one port, or the WebDAV door alone."""
    dav: WsgiApp = build_app(services)
    return dav if dav_only else one_port(dav, _aside(services.baton, _load_site()(services)))


def _aside(baton: Baton, site: WsgiApp) -> WsgiApp:
    """The site, for which nobody waits: a page may hash a password, or ask the identity provider."""

    def app(environ: Environ, start_response: Callable[..., Callable[[Block], None]]) -> Iterable[Block]:
        baton.give()
        return site(environ, start_response)

    return app


def _load_site() -> Callable[[Services], WsgiApp]:
    """What makes the site, its texts read; a DAV-only server never loads it."""
    from enroll_web.app import create_app  # noqa: PLC0415
    from enroll_web.catalogues import our_catalogues  # noqa: PLC0415

    our_catalogues()
    return create_app
