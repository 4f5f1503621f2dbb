"""`sealdav init` and `sealdav serve`: making a store, and serving it through both doors.

On a machine without a store `serve` makes one, and says in plain words what to do next.
"""

from __future__ import annotations

import ipaddress
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from davserver.bootstrap import Services, StoreState, store_state
from davserver.cli.connect import base_url
from davserver.cli.processes import Plan, serve_alone, serve_together
from davserver.cli.session import Session
from davserver.cli.tls import tls_certificate
from davserver.errors import ConfigError
from davserver.settings import ServerSettings, Settings, is_journal

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
    certificate = tls_certificate(settings.server)  # a wrong one is told before anything is made
    welcome = partial(_welcome, new=state is StoreState.NEW, dav_only=dav_only)
    plan = Plan(session, settings, certificate, dav_only, welcome)
    raise typer.Exit(serve_alone(plan) if settings.server.processes == 1 else serve_together(plan))


def _welcome(services: Services, address: tuple[str, int], *, new: bool, dav_only: bool) -> str:
    """Say in plain words what there is now and what to do next."""
    settings = services.settings
    server = settings.server
    base = server.public_url or base_url(*address, tls=bool(server.tls_certificate))
    said = [f"This is a new installation.\n{_places(settings)}\n"] if new else []
    said.append(f"Sealdav is serving.\n  drive: {base}/dav/\n  page:  {base}/")
    if not services.accounts.list() and services.single_sign_on is None:
        steps = _first_steps(services, base, dav_only=dav_only, kept=is_journal(STDOUT))
        said.append(f"\nNobody can sign in yet. {steps}")
    if warning := tls_warning(server, address[0]):
        said.append(f"\n{warning}")
    return "\n".join([*said, "\nStop with Ctrl-C."])


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
    now = "Anybody on the network" if server.plain_http else "Other machines are refused, since anybody there"
    return (
        f"{now} can listen in: set server.tls_certificate and server.tls_key (to try it: "
        "sealdav tls self-signed), or put a TLS proxy in front and set server.trusted_proxies."
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
