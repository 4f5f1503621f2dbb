"""`sealdav totp recover|recovery-codes|reset`: when an authenticator is lost, and before it is."""

from __future__ import annotations

from typing import Annotated

import typer

from davserver.accounts.totp import ResetReason
from davserver.bootstrap import Services
from davserver.cli.console import Console
from davserver.cli.enrol import enrol_device, show_recovery_codes
from davserver.cli.options import Json, Name, PasswordStdin
from davserver.cli.session import Session
from davserver.cli.sign_in import is_of_keycloak, prove, sign_in, where_set_up
from davserver.errors import NotFound
from davserver.model import Account

app = typer.Typer(help="One-time codes and recovery codes.", no_args_is_help=True)


@app.command()
def recover(
    context: typer.Context, name: Name, password_stdin: PasswordStdin = False, as_json: Json = False
) -> None:
    """Replace a lost authenticator: asks for the password, a recovery code, and a code of the new one."""
    session: Session = context.obj
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    with session.services() as services:
        principal = sign_in(services, console, name)
        account = principal.account
        code = console.secret("Recovery code")
        services.recovery_codes.use(principal, code, within=services.sessions.end_within)
        console.note(
            f"the lost one is out; should this stop here, go on with: sealdav enrol {account.username}"
        )
        enrol_device(services, console, principal)
        left = services.recovery_codes.left(account)
        console.result(
            {"account": account.username, "recovery_codes_left": left},
            f"the new authenticator is in use; {left} recovery codes are left",
        )


@app.command("recovery-codes")
def recovery_codes(
    context: typer.Context, name: Name, password_stdin: PasswordStdin = False, as_json: Json = False
) -> None:
    """Make new recovery codes instead of the old ones. Asks for the password and a one-time code."""
    session: Session = context.obj
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    with session.services() as services:
        principal = prove(services, console, sign_in(services, console, name), pending=False)
        show_recovery_codes(console, principal.account, services.recovery_codes.renew(principal))


@app.command()
def reset(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="User name, or the `sub` of the identity provider.")
    ],
    reason: Annotated[ResetReason, typer.Option(help="Why; the log keeps it.")] = ResetReason.LOST,
    as_json: Json = False,
) -> None:
    """Take authenticator and recovery codes away; the owner enrols again. App passwords stay valid."""
    session: Session = context.obj
    with session.services() as services:
        account = _account(services, name)
        services.administration.reset_totp(account, reason.value)
        onward = (
            where_set_up(services)
            if is_of_keycloak(services, account)
            else f"next: sealdav enrol {account.username}"
        )
        Console(as_json=as_json).result({"account": account.username}, f"reset; {onward}")


def _account(services: Services, name: str) -> Account:
    """The account of this user name; else the one of this identity."""
    try:
        return services.accounts.find(name)
    except NotFound as unknown:
        try:
            return services.accounts.find_subject(name)
        except NotFound:
            raise unknown from None
