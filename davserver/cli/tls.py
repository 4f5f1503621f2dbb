"""`sealdav tls self-signed`: a certificate for trying TLS out; and the one that the settings name.

It must never overwrite a file, nor leave a key that others can read. Called by `commands` and `serve`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from davserver.cli.console import Console, Usage
from davserver.cli.options import Json
from davserver.cli.session import Session, harden
from davserver.crypto.certificates import fingerprint, make_self_signed
from davserver.errors import ConfigError
from davserver.serving.tls import Certificate
from davserver.settings import ServerSettings

CERTIFICATE_NAME = "tls.crt"
KEY_NAME = "tls.key"

OWN_NAMES = ("localhost", "127.0.0.1", "::1")
"""How this machine reaches itself; every certificate for trying out has them."""

DEFAULT_DAYS = 90
MAX_DAYS = 825
"""Apple's systems refuse server certificates that are valid for longer."""

_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.?)+", re.IGNORECASE)

app = typer.Typer(help="Certificates for https.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `self-signed` a command of its own: typer would fold a single one into the group."""


@app.command()
def self_signed(
    context: typer.Context,
    name: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="Name or address of the server; repeatable.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="How long it is valid.")] = DEFAULT_DAYS,
    as_json: Json = False,
) -> None:
    """Make a certificate and its key for trying TLS out, beside the master key; say how to use them."""
    session: Session = context.obj
    harden()
    names = list(dict.fromkeys([*map(_host, name or []), *OWN_NAMES]))
    folder = session.settings().keys.master_key_file.parent.absolute()
    lifetime = timedelta(days=days)
    now = session.clock()
    made = make_self_signed(names, now, lifetime)
    certificate, key = folder / CERTIFICATE_NAME, folder / KEY_NAME
    _write_pair((key, made.key, 0o600), (certificate, made.certificate, 0o644))
    settings = {"tls_certificate": str(certificate), "tls_key": str(key)}
    digest = fingerprint(made.certificate)
    expires = now + lifetime
    lines = "\n".join(f"  {setting} = {json.dumps(path)}" for setting, path in settings.items())
    Console(as_json=as_json).result(
        {"settings": settings, "sha256": digest, "names": names, "expires_at": expires.isoformat()},
        f"""Made for trying out, valid until {expires:%Y-%m-%d} for {", ".join(names)}:

  certificate: {certificate} (clients need a copy to trust it)
  key:         {key}
  SHA-256:     {digest}

Two settings turn TLS on, from the next start of the server:

  [server]
{lines}""",
    )


def tls_certificate(server: ServerSettings) -> Certificate | None:
    """What the settings name; None if TLS is not set. Raises ConfigError."""
    if not server.tls_certificate:
        return None
    return Certificate(Path(server.tls_certificate), Path(server.tls_key))


def _host(text: str) -> str:
    """A name or address as certificates hold it."""
    with contextlib.suppress(ValueError):
        return str(ip_address(text.strip("[]")))
    if not _HOST_NAME.fullmatch(text):
        raise Usage(f"--name {text}: a host name like dav.example.org, or an IP address, is expected")
    return text.lower()


def _write_pair(*files: tuple[Path, bytes, int]) -> None:
    """Make all of the files or none; existing ones stay as they are.

    Raises:
        ConfigError: one exists, or the folder cannot be written to.
    """
    made: list[Path] = []
    try:
        for path, content, mode in files:
            with _create(path) as file:
                made.append(path)
                os.fchmod(file.fileno(), mode)
                file.write(content)
    except BaseException as error:
        for path in made:
            path.unlink()
        if isinstance(error, OSError):
            raise _cannot_write(made[-1], error) from None
        raise


def _create(path: Path) -> BinaryIO:
    """A new file, private until it is told otherwise: see `session.harden`."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path.open("xb")
    except OSError as error:
        if os.path.lexists(path):
            raise ConfigError(
                f"{path} exists already and is not overwritten: use it, or move it away"
            ) from None
        raise _cannot_write(path, error) from None


def _cannot_write(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be written ({error.strerror}); make room, or run sealdav as its owner"
    )
