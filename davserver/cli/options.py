"""Options and arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="NAME", help="User name of the account.")]

Reason = Annotated[str | None, typer.Option(help="Why; the audit log keeps it, and the owner can read it.")]

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line; answers are lines of standard input.")
]

PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password as a line of standard input.")
]
