"""A new app password in a terminal, with the commands to connect a device, and the address of the drive.

The commands themselves are in `accounts/programs`. Called by `enrol`, `app_passwords` and `serve`.
"""

from __future__ import annotations

from davserver.accounts.app_passwords import IssuedAppPassword
from davserver.accounts.connecting import NEEDS_HTTPS, Connecting, Way
from davserver.accounts.programs.base import Step
from davserver.cli.console import Console
from davserver.settings import ServerSettings, Settings


def base_url(host: str, port: int, *, tls: bool = False) -> str:
    """Where clients on this machine find a server that listens there, without a slash at the end."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is listened on, not opened
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def site_url(server: ServerSettings) -> str:
    """Where people find the site, without a slash at the end, as far as the settings know."""
    return server.public_url or base_url(server.host, server.port, tls=bool(server.tls_certificate))


def show_issued(console: Console, settings: Settings, username: str, issued: IssuedAppPassword) -> None:
    """Show an app password, this once, with commands that are ready to be pasted."""
    server = settings.server
    url = f"{site_url(server)}/dav/"
    expires = issued.app_password.expires_at
    connecting = Connecting(server.tls_certificate, server.public_url)
    ways = connecting.ways(url, username, issued.token)
    trust = connecting.trust(connecting.drive(url, username, issued.token))
    shown = "\n\n".join([*(one.shown for one in trust), *map(_shown, ways)])
    note = "" if server.is_https else f"{NEEDS_HTTPS}\n"
    console.result(
        {
            "account": username,
            "id": issued.app_password.id,
            "app_password": issued.token,
            "expires_at": expires.isoformat(),
            "url": url,
            "commands": {name: line for way in ways for name, line in way.commands.items()},
        },
        f"""
App password of {username}, valid until {expires:%Y-%m-%d}. It is shown only now:

  {issued.token}

{shown}

{note}""",
    )


def _shown(way: Way) -> str:
    """A program with its commands, and what each is for."""
    return "\n\n".join([way.program.name, *map(_step, way.steps)])


def _step(step: Step) -> str:
    lines = [f"    {one.text}" for one in step.commands if one.name]
    return "\n".join([f"  {step.shown}", *lines])
