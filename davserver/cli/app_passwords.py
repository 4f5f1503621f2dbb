"""`sealdav app-password list|issue|revoke|revoke-all`: what devices sign in with."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from davserver.accounts.app_passwords import parse_networks
from davserver.accounts.health import Health
from davserver.bootstrap import Services
from davserver.cli.connect import show_issued
from davserver.cli.console import Console, Usage
from davserver.cli.options import Json, Name, PasswordStdin, Reason
from davserver.cli.session import Session
from davserver.cli.sign_in import prove, sign_in
from davserver.model import ROOT_ID, AppPassword, NodeId, Principal, Scope
from davserver.vault.paths import VaultPath

SCOPE_NAMES = {Scope.FULL: "full", Scope.READ_ONLY: "read-only", Scope.NO_DELETE: "no-delete"}

app = typer.Typer(help="App passwords: what devices sign in with.", no_args_is_help=True)


@app.command("list")
def list_(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """List the app passwords of an account; the secrets themselves are known to nobody."""
    session: Session = context.obj
    console = Console(as_json=as_json)
    with session.services() as services:
        account = services.accounts.find(name)
        health = services.health.of_all(account)
        for one in services.app_passwords.list(account):
            used = "never used" if one.last_used_at is None else f"used {one.last_used_at:%Y-%m-%d %H:%M}"
            told = health.get(one.id, Health())
            standing = ", ".join(trouble.value for trouble in told.standing)
            trouble = f"  [{standing}]" if standing else ""
            text = (
                f"{one.id}  {_scope(one):9}  until {one.expires_at:%Y-%m-%d}  {used:21}  {one.label}{trouble}"
            )
            console.result({**_values(one), **told.words()}, text)


@app.command()
def issue(  # noqa: PLR0913, PLR0917 - what a person may choose; typer wants it like this
    context: typer.Context,
    name: Name,
    label: Annotated[str, typer.Option(help="Name of the device, to tell them apart.")] = "device",
    read_only: Annotated[bool, typer.Option("--read-only", help="It may only read.")] = False,
    no_delete: Annotated[
        bool, typer.Option("--no-delete", help="It may add and change, not delete.")
    ] = False,
    folder: Annotated[str, typer.Option(help="The only folder that it sees, as its root.")] = "/",
    days: Annotated[int | None, typer.Option(min=1, help="How long it is valid.")] = None,
    network: Annotated[
        list[str] | None, typer.Option(metavar="CIDR", help="Network that it may come from; repeatable.")
    ] = None,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Issue an app password. Asks for the account's password and a one-time code, in this order."""
    session: Session = context.obj
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    if read_only and no_delete:
        raise Usage("--read-only and --no-delete exclude one another")
    networks = parse_networks(network or [])
    with session.services() as services:
        principal = prove(services, console, sign_in(services, console, name), pending=False)
        issued = services.app_passwords.issue(
            principal,
            label,
            scopes=Scope.READ_ONLY if read_only else Scope.NO_DELETE if no_delete else Scope.FULL,
            root_id=_root(services, principal, folder),
            expires_at=None if days is None else services.clock() + timedelta(days=days),
            networks=networks,
        )
        show_issued(console, services.settings, principal.account.username, issued)


@app.command()
def revoke(
    context: typer.Context,
    name: Name,
    app_id: Annotated[str, typer.Argument(metavar="ID", help="From `app-password list`.")],
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Shut an app password for good, from the next request on."""
    session: Session = context.obj
    with session.services() as services:
        account = services.accounts.find(name)
        services.administration.revoke(account, app_id, reason=reason)
        Console(as_json=as_json).result({"account": account.username, "id": app_id}, f"{app_id} is revoked")


@app.command()
def revoke_all(context: typer.Context, name: Name, reason: Reason = None, as_json: Json = False) -> None:
    """Shut every app password of an account for good."""
    session: Session = context.obj
    with session.services() as services:
        account = services.accounts.find(name)
        count = services.administration.revoke_all(account, reason=reason)
        Console(as_json=as_json).result(
            {"account": account.username, "revoked": count}, f"{count} app passwords are revoked"
        )


def _root(services: Services, principal: Principal, folder: str) -> NodeId:
    path = VaultPath.parse(folder.strip("/"))
    return ROOT_ID if path.is_root else services.vaults.open(principal).stat(path).id


def _scope(one: AppPassword) -> str:
    return SCOPE_NAMES[one.scopes]


def _values(one: AppPassword) -> dict[str, object]:
    return {
        "id": one.id,
        "label": one.label,
        "scope": _scope(one),
        "whole_vault": one.root_id == ROOT_ID,
        "networks": [str(network) for network in one.networks],
        "created_at": one.created_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
        "last_used_at": None if one.last_used_at is None else one.last_used_at.isoformat(),
        "last_used_from": one.last_used_from,
    }
