"""`sealdav init` and `sealdav serve`: making a store, and serving it through both doors.

On a machine without a store `serve` makes one, and says in plain words what to do next.
"""

from __future__ import annotations

import ipaddress
import shutil
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from davserver.accounts.rounds import Rounder
from davserver.accounts.watch import Watchman
from davserver.audit import ACCESS, AuditEvent, get_logger
from davserver.bootstrap import Services, StoreState, store_state
from davserver.cli.connect import base_url
from davserver.cli.session import Session
from davserver.cli.tls import tls_certificate
from davserver.dav.app import build_app
from davserver.errors import ConfigError, DavserverError
from davserver.serving.connection import Access, Observer
from davserver.serving.dispatch import one_port
from davserver.serving.exchange import WsgiApp
from davserver.serving.server import Options, Server
from davserver.settings import ServerSettings, Settings, is_journal
from davserver.vault.maintenance import Maintenance

STDOUT = 1
"""Descriptor of standard output."""


def init(context: typer.Context) -> None:
    """Make folders, database and master key, or bring the database up to date."""
    session: Session = context.obj
    with session.services(create=True) as services:
        typer.echo(_places(services.settings))


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port.")] = None,
    dav_only: Annotated[bool, typer.Option("--dav-only", help="Serve the drive without the site.")] = False,
) -> None:
    """Serve the drive, until SIGTERM or Ctrl-C. On a machine without a store, make one first."""
    session: Session = context.obj
    session.override("server", host=host, port=port)
    settings = session.settings()
    state = store_state(settings)
    if state is StoreState.KEY_ONLY:
        raise ConfigError(
            f"there is a master key but no store in {settings.storage.data_dir}: mount its disk, "
            "or run `sealdav init` to begin an empty one"
        )
    server_settings = settings.server
    certificate = tls_certificate(server_settings)  # a wrong one is told before anything is made
    with session.services(level=settings.log.level, create=True, actor="") as services:
        server = Server(
            application(services, dav_only=dav_only),
            server_settings.host,
            server_settings.port,
            Options(
                server_settings.threads,
                server_settings.idle_seconds,
                certificate=certificate,
                trusted_proxies=server_settings.trusted_proxies,
            ),
            LogObserver(),
        )
        collector = Collector(
            services.maintenance,
            interval=timedelta(minutes=settings.gc.interval_minutes),
            grace=timedelta(minutes=settings.gc.grace_minutes),
            besides=services.upkeep.run,
        )
        rounder = Rounder(services.rounds)
        watchman = Watchman(services.transfers)

        def on_ready() -> None:
            services.audit.record(AuditEvent.SERVER_STARTED)
            _welcome(services, server.address, new=state is StoreState.NEW, dav_only=dav_only)
            for thread in (collector, rounder, watchman):
                thread.start()

        server.run(server_settings.stop_seconds, on_ready)
        for helper in (watchman, rounder, collector):
            helper.stop()
        services.audit.record(AuditEvent.SERVER_STOPPED)


class LogObserver(Observer):
    """The server's events as log lines; see `audit` for what they may hold."""

    def __init__(self) -> None:
        self._access = get_logger(ACCESS)
        self._log = get_logger("sealdav.serving")

    def request_answered(self, access: Access) -> None:
        """One line of the access log."""
        self._access.info(
            "request",
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
        besides: what else is done each time.
    """

    def __init__(
        self,
        maintenance: Maintenance,
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
        """Collect after each interval; a failure is logged, and the next time is another chance."""
        while self._interval and not self._stopping.wait(self._interval.total_seconds()):
            try:
                report = self._maintenance.collect(grace=self._grace)
                self._besides()
            except DavserverError:
                self._log.exception("collection failed")
            else:
                self._log.info("collected", count=report.blobs, freed=report.bytes)

    def stop(self) -> None:
        """End after what is being done."""
        self._stopping.set()
        if self.is_alive():
            self.join()


def application(services: Services, *, dav_only: bool) -> WsgiApp:
    """Both doors on one port, or the WebDAV door alone."""
    dav: WsgiApp = build_app(services)
    if dav_only:
        return dav
    from enroll_web.app import create_app  # noqa: PLC0415 - a DAV-only server never loads the site

    return one_port(dav, create_app(services))


def _welcome(services: Services, address: tuple[str, int], *, new: bool, dav_only: bool) -> None:
    """Say in plain words what there is now and what to do next."""
    settings = services.settings
    server = settings.server
    base = server.public_url or base_url(*address, tls=bool(server.tls_certificate))
    if new:
        typer.echo(f"This is a new installation.\n{_places(settings)}\n")
    typer.echo(f"Sealdav is serving.\n  drive: {base}/dav/\n  page:  {base}/")
    if not services.accounts.list() and services.single_sign_on is None:
        steps = _first_steps(services, base, dav_only=dav_only, kept=is_journal(STDOUT))
        typer.echo(f"\nNobody can sign in yet. {steps}")
    if warning := tls_warning(server, address[0]):
        typer.echo(f"\n{warning}")
    typer.echo("\nStop with Ctrl-C.")


def _first_steps(services: Services, base: str, *, dav_only: bool, kept: bool) -> str:
    """How the first account is made: by a link, which is good once, or in a terminal.

    Args:
        services: what `bootstrap` built.
        base: scheme and host of the site.
        dav_only: there is no site.
        kept: what is said here is kept in a log, and read by others: no link is put into it.
    """
    if kept and not dav_only:
        return (
            "This log is no place for a link that makes an administrator. Get one, or an account, with:\n"
            f"  {_program()} user invite NAME --admin\n  {_program()} enrol NAME"
        )
    token = None if dav_only else services.invitations.first()
    terminal = f"In another terminal:\n  {_program()} enrol NAME"
    if token is None:
        return terminal
    return (
        f"Open this link to set it up; it is good once, for 24 hours:\n  {base}/set-up/{token}\n\n{terminal}"
    )


def tls_warning(server: ServerSettings, host: str) -> str | None:
    """What is missing for TLS on a server that listens on this address; None if nothing is."""
    if server.tls_certificate or server.trusted_proxies:
        return None
    if server.is_https:
        return (
            "Every client seems to be the TLS proxy: set server.trusted_proxies to its address, so that "
            "networks of app passwords and the log mean the clients."
        )
    if _is_loopback(host):
        return None
    return (
        "Anybody on the network can listen in: set server.tls_certificate and server.tls_key (to try it: "
        "sealdav tls self-signed), or put a TLS proxy in front and set server.public_url."
    )


def _places(settings: Settings) -> str:
    return (
        f"  data:       {settings.storage.data_dir} (encrypted; back it up)\n"
        f"  master key: {settings.keys.master_key_file} (back it up somewhere else: "
        "without it nothing can be read, with it and the data everything can)"
    )


def _program() -> str:
    """How this program was called, so that it can be called again from the same folder."""
    name = Path(sys.argv[0])
    if name.name == "__main__.py":
        return f"{Path(sys.executable).name} -m davserver"
    found = shutil.which("sealdav")
    return "sealdav" if found and Path(found).resolve() == name.resolve() else str(name)


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
