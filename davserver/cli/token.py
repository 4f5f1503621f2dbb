"""`sealdav token`: access tokens of the identity provider for a drive, for rclone's `bearer_token_command`.

It runs where a drive is used, and needs neither a store nor settings. rclone calls it without a terminal, and
from several processes at once: one of them renews, the others wait for it. It must never print anything but
the token where one is asked for, nor send a refresh token twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from davserver.cli.console import Console
from davserver.cli.options import Json
from davserver.cli.session import Session, harden
from davserver.cli.token_file import Kept, TokenFile
from davserver.clock import Clock, to_seconds
from davserver.errors import ProviderUnavailable, SignInStale
from davserver.settings import default_token_file
from davserver.urls import origin

if TYPE_CHECKING:
    from davserver.identity.device_flow import DeviceFlow, Tokens

RENEW_SECONDS = 60
"""A token with less than this to live is renewed; one that does not live twice as long, at half its life."""

Connect = Callable[[Kept], "DeviceFlow"]
"""Finds the identity provider that gave something."""

TokenPath = Annotated[
    Path | None, typer.Option("--file", dir_okay=False, help="Where the tokens are kept; one file a drive.")
]

app = typer.Typer(help="Keycloak tokens for a drive, for rclone's bearer_token_command.")


@app.callback(invoke_without_command=True)
def token(context: typer.Context, file: TokenPath = None) -> None:
    """Print an access token, a new one if the last is about to end: for rclone's bearer_token_command."""
    harden()
    if context.invoked_subcommand is None:
        session: Session = context.obj
        typer.echo(current(_file(file), session.clock, _connect))


@app.command()
def login(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the drive.")],
    file: TokenPath = None,
    ca_bundle: Annotated[
        Path | None, typer.Option(help="PEM file of who vouches for the drive's and Keycloak's certificates.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Sign in with a browser, here or on another machine, and keep what that gives."""
    # Here and below: a tenth of a second that other commands never spend.
    from davserver.identity.device_flow import find_resource, takes  # noqa: PLC0415

    session: Session = context.obj
    console, bundle = Console(as_json=as_json), "" if ca_bundle is None else str(ca_bundle.absolute())
    drive = find_resource(url, bundle)
    kept = Kept(drive.url, drive.issuer, drive.cli_client_id, bundle, "", "", 0, 0)
    flow = _connect(kept)
    invitation = flow.begin()
    console.result(
        {"open": invitation.address, "code": invitation.code},
        "Open this page, in the browser in which you have signed in to the drive's site:\n\n"
        f"  {invitation.address}\n\nIt is about the code {invitation.code}; say yes to no other one.",
    )
    tokens = flow.wait(invitation)
    kept = _renewed(kept, tokens, to_seconds(session.clock()))
    store = _file(file)
    with store.locked():
        store.write(kept)
    _tell(console, kept, file, accepted=takes(drive.url, tokens.access, bundle))


@app.command()
def logout(file: TokenPath = None) -> None:
    """Forget the tokens, here and at Keycloak."""
    store = _file(file)
    with store.locked():
        kept = store.read()
        if kept is not None:
            _connect(kept).revoke(kept.refresh_token)
            store.remove()


def current(store: TokenFile, clock: Clock, connect: Connect) -> str:
    """An access token that lives for a while yet.

    Raises:
        SignInStale: nobody has signed in, or that is over.
        ProviderUnavailable, ProviderMisconfigured: a new one is needed and cannot be had now.
        ConfigError: the file cannot be used.
    """
    with store.locked():
        kept, now = store.read(), to_seconds(clock())
        if kept is None:
            raise SignInStale("nobody has signed in yet: sealdav token login URL")
        if kept.expires_at - now > min(RENEW_SECONDS, (kept.expires_at - kept.given_at) / 2):
            return kept.access_token
        try:
            tokens = connect(kept).refresh(kept.refresh_token)
        except SignInStale as error:
            raise SignInStale(f"{error}; sign in again: sealdav token login {kept.url}/") from None
        except ProviderUnavailable:
            if kept.expires_at > now:
                return kept.access_token
            raise
        store.write(_renewed(kept, tokens, now))
    return tokens.access


def _renewed(kept: Kept, tokens: Tokens, now: int) -> Kept:
    return replace(
        kept,
        access_token=tokens.access,
        refresh_token=tokens.refresh,
        given_at=now,
        expires_at=now + tokens.seconds,
    )


def _connect(kept: Kept) -> DeviceFlow:
    from davserver.identity.device_flow import DeviceFlow, find_endpoints  # noqa: PLC0415

    return DeviceFlow(find_endpoints(kept.issuer, kept.ca_bundle), kept.client_id, kept.ca_bundle)


def _file(path: Path | None) -> TokenFile:
    return TokenFile(default_token_file() if path is None else path)


def _tell(console: Console, kept: Kept, file: Path | None, *, accepted: bool) -> None:
    """How to go on."""
    command = " ".join(["sealdav token", *([] if file is None else [f"--file {file.absolute()}"])])
    told = (
        "The drive takes the token."
        if accepted
        else f"The drive does not take the token yet: sign in at {origin(kept.url)}/ in the same browser, "
        "with your one-time code."
    )
    console.result(
        {"url": kept.url, "bearer_token_command": command, "accepted": accepted},
        f"""
Signed in. {told}

In rclone's configuration:

  [drive]
  type = webdav
  url = {kept.url}/
  vendor = owncloud
  bearer_token_command = {command}
""",
    )
