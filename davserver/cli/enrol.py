"""`sealdav enrol NAME`: from nothing to a device that can connect.

It must never issue an app password before a one-time code was right. With `--json` it prints a line with the
secret, reads the code as a line, and prints a line with recovery codes and one with the app password: the
road of tests and scripts.
"""

from __future__ import annotations

import sys
from typing import Annotated

import qrcode
import typer

from davserver.accounts.totp import Enrolment
from davserver.bootstrap import Services
from davserver.cli.connect import show_issued
from davserver.cli.console import Console
from davserver.cli.options import Json, Name, PasswordStdin
from davserver.cli.session import Session
from davserver.cli.sign_in import find, prove, require_ours, sign_in, with_password
from davserver.errors import AlreadyExists
from davserver.model import Account, Principal


def enrol(
    context: typer.Context,
    name: Name,
    label: Annotated[str, typer.Option(help="Name of the first device.")] = "first device",
    password_stdin: PasswordStdin = False,
    as_json: Json = False,
) -> None:
    """Set up an account: password, authenticator app, first app password. Makes the account if needed."""
    session: Session = context.obj
    console = Console(as_json=as_json, secrets_from_stdin=password_stdin)
    with session.services() as services:
        account = find(services, name)
        if account is not None:
            _require_new(services, account)
        principal = _sign_in_or_make(services, console, name, account)
        principal = enrol_device(services, console, principal)
        issued = services.app_passwords.issue(principal, label)
        show_issued(console, services.settings, principal.account.username, issued)


def enrol_device(services: Services, console: Console, principal: Principal) -> Principal:
    """Show a new secret, ask for its first code; then show recovery codes, if the account has none."""
    _offer(console, services.totp.begin(principal))
    principal = prove(services, console, principal, pending=True)
    codes = services.recovery_codes.make_first(principal)
    if codes:
        show_recovery_codes(console, principal.account, codes)
    return principal


def show_recovery_codes(console: Console, account: Account, codes: list[str]) -> None:
    """Show a set of recovery codes, this once."""
    lines = "\n".join(f"  {code}" for code in codes)
    console.result(
        {"account": account.username, "recovery_codes": codes},
        f"""
Recovery codes of {account.username}. They are shown only now: print or save them, apart from the
authenticator. If it is lost, each of them replaces it once: sealdav totp recover {account.username}

{lines}
""",
    )


def _require_new(services: Services, account: Account) -> None:
    """Refuse an account that is not to be enrolled here, in words that say what to do."""
    require_ours(services, account)
    if services.totp.is_enrolled(account):
        raise AlreadyExists(
            f"{account.username} is enrolled: for another device `sealdav app-password issue "
            f"{account.username}`, for a lost authenticator `sealdav totp recover {account.username}`"
        )


def _sign_in_or_make(services: Services, console: Console, name: str, account: Account | None) -> Principal:
    """The owner of the account, who knows its password or gives it one now."""
    if account is not None and services.identity.has_password(account.id):
        return sign_in(services, console, account.username)
    password = console.secret(f"New password for {name}", repeat=True)
    if account is None:
        give_password = services.identity.first_password(name, password)
        account = services.accounts.create(name, within=give_password)
    else:
        services.identity.set_password(account.id, password)
    return with_password(services, account.username, password)


def _offer(console: Console, enrolment: Enrolment) -> None:
    qr = draw_qr(enrolment.uri) if sys.stdout.isatty() else enrolment.uri
    console.result(
        {"totp_uri": enrolment.uri, "secret": enrolment.secret},
        f"\nScan this with an authenticator app, or type the secret into it:\n\n{qr}\n\n"
        f"  secret: {_grouped(enrolment.secret)}\n",
    )


def draw_qr(text: str) -> str:
    """Black on white whatever the terminal's colours, two modules a character."""
    code = qrcode.QRCode(border=2)
    code.add_data(text)
    rows: list[list[bool | None]] = [list(row) for row in code.get_matrix()]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    lines = (
        "".join(" ▀▄█"[bool(upper) + 2 * bool(lower)] for upper, lower in zip(*pair, strict=True))
        for pair in zip(rows[::2], rows[1::2], strict=True)
    )
    return "\n".join(f"\x1b[30;107m{line}\x1b[0m" for line in lines)


def _grouped(secret: str) -> str:
    return " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
