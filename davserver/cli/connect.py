"""A new app password in a terminal, with the commands to connect a device, and the address of the drive.

The commands themselves are in `accounts/connecting.py`. Called by `enrol`, `app_passwords` and `serve`.
"""

from __future__ import annotations

from davserver.accounts.app_passwords import IssuedAppPassword
from davserver.accounts.connecting import NEEDS_HTTPS, Connecting, Way
from davserver.cli.console import Console
from davserver.settings import ServerSettings, Settings


def base_url(host: str, port: int, *, tls: bool = False) -> str:
    """Where clients on this machine find a server that listens there, without a slash at the end."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is listened on, not opened
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def show_issued(console: Console, settings: Settings, username: str, issued: IssuedAppPassword) -> None:
    """Show an app password, this once, with commands that are ready to be pasted."""
    server = settings.server
    base = server.public_url or base_url(server.host, server.port, tls=bool(server.tls_certificate))
    url = f"{base}/dav/"
    expires = issued.app_password.expires_at
    ways = ways_to_connect(server, url, username, issued.token)
    shown = "\n\n".join(
        f"{way.title}\n\n" + "\n".join(f"  {line}" for line in way.commands.values()) for way in ways
    )
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


def ways_to_connect(server: ServerSettings, url: str, username: str, token: str) -> list[Way]:
    """See `Connecting.ways`."""
    return Connecting(server.is_https, server.tls_certificate).ways(url, username, token)
