"""`sealdav user add|invite|admin|list|passwd|quota|suspend|resume|sign-out`; the rest has its own files."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ByteSize

from davserver.accounts.service import NO_QUOTA, parse_quota
from davserver.audit import TERMINAL
from davserver.cli import user_delete, user_show
from davserver.cli.connect import site_url
from davserver.cli.console import Console, Usage
from davserver.cli.options import Json, Name, PasswordStdin, Reason
from davserver.cli.session import Session
from davserver.errors import InvalidValue
from davserver.model import Account

app = typer.Typer(help="Accounts.", no_args_is_help=True)
app.command()(user_show.show)
app.command()(user_delete.delete)

ADMIN_HELP = "On the site, an administrator invites people and resets their devices."


@app.command()
def add(  # noqa: PLR0913, PLR0917 - options
    context: typer.Context,
    name: Name,
    quota: Annotated[str | None, typer.Option(help='Bytes that may be stored, such as "10GiB".')] = None,
    admin: Annotated[bool, typer.Option("--admin", help=ADMIN_HELP)] = False,
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Make an account and give it a password. Its owner enrols next: `sealdav enrol NAME`."""
    session: Session = context.obj
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    limit = None if quota is None else _bytes(quota)
    with session.services() as services:
        password = console.secret(f"New password for {name}", repeat=True)
        account = services.administration.add(name, password, quota=limit, admin=admin)
        console.result(_values(account), f"made {account.username}; next: sealdav enrol {account.username}")


@app.command()
def invite(
    context: typer.Context,
    name: Name,
    quota: Annotated[str | None, typer.Option(help='Bytes that may be stored, such as "10GiB".')] = None,
    admin: Annotated[bool, typer.Option("--admin", help=ADMIN_HELP)] = False,
    as_json: Json = False,
) -> None:
    """Print a link with which somebody sets up an account of this name: good once, for 24 hours."""
    session: Session = context.obj
    limit = None if quota is None else _bytes(quota)
    with session.services() as services:
        token = services.invitations.invite(name, admin=admin, quota=limit)
        link = f"{site_url(services.settings.server)}/set-up/{token}"
        Console(as_json=as_json).result({"account": name.casefold(), "link": link}, link)


@app.command()
def admin(
    context: typer.Context,
    name: Name,
    revoke: Annotated[bool, typer.Option("--revoke", help="They are one no longer.")] = False,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Make somebody an administrator of the site, or no longer."""
    session: Session = context.obj
    with session.services() as services:
        account = services.accounts.find(name)
        services.administration.set_admin(account, admin=not revoke, reason=reason)
        Console(as_json=as_json).result(
            {"account": account.username, "admin": not revoke},
            f"{account.username} is {'no longer ' if revoke else ''}an administrator",
        )


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List accounts with what they store."""
    session: Session = context.obj
    console = Console(as_json=as_json)
    with session.services() as services:
        for account in services.accounts.list():
            used = ByteSize(account.used).human_readable()
            console.result(
                _values(account),
                f"{account.username:24} {account.state.value:10} {used:>10} of {_quota(account)}",
            )


@app.command()
def passwd(
    context: typer.Context, name: Name, password_stdin: PasswordStdin = False, as_json: Json = False
) -> None:
    """Give an account another password and sign it out of the site; app passwords and second factor stay."""
    session: Session = context.obj
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    with session.services() as services:
        account = services.accounts.find(name)
        password = console.secret(f"New password for {account.username}", repeat=True)
        services.identity.set_password(account.id, password, within=services.sessions.end_within)
        console.result(_values(account), f"the password of {account.username} was changed")


@app.command()
def quota(
    context: typer.Context,
    name: Name,
    size: Annotated[str, typer.Argument(help=f'Bytes, such as "10GiB", or "{NO_QUOTA}".')],
    as_json: Json = False,
) -> None:
    """Limit what an account may store; what is stored already stays."""
    session: Session = context.obj
    limit = _bytes(size)
    with session.services() as services:
        account = services.accounts.set_quota(name, limit)
        Console(as_json=as_json).result(_values(account), f"{account.username} may store: {_quota(account)}")


@app.command()
def suspend(context: typer.Context, name: Name, reason: Reason = None, as_json: Json = False) -> None:
    """Shut an account: nothing opens it from here on, transfers end, browsers are out. Its files stay."""
    session: Session = context.obj
    with session.services() as services:
        account = services.administration.suspend(name, reason=reason)
        Console(as_json=as_json).result(_values(account), f"{account.username} is suspended")


@app.command()
def resume(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Open a suspended account again, with the credentials that it had."""
    session: Session = context.obj
    with session.services() as services:
        account = services.administration.resume(name)
        Console(as_json=as_json).result(_values(account), f"{account.username} is {account.state.value}")


@app.command()
def sign_out(context: typer.Context, name: Name, reason: Reason = None, as_json: Json = False) -> None:
    """Sign every browser of an account out of the site. Devices go on working."""
    session: Session = context.obj
    with session.services() as services:
        account = services.accounts.find(name)
        count = services.administration.sign_out(account, by=TERMINAL, reason=reason)
        Console(as_json=as_json).result(
            {"account": account.username, "browsers": count}, f"{count} browsers were signed out"
        )


def _values(account: Account) -> dict[str, object]:
    return {
        "account": account.username,
        "state": account.state.value,
        "used": account.used,
        "quota": account.quota,
        "created_at": account.created_at.isoformat(),
    }


def _quota(account: Account) -> str:
    return "unlimited" if account.quota is None else ByteSize(account.quota).human_readable()


def _bytes(text: str) -> int | None:
    try:
        return parse_quota(text)
    except InvalidValue as error:
        raise Usage(str(error)) from None
