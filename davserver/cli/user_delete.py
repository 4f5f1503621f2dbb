"""`sealdav user delete NAME`: an account's end, and what is left of it elsewhere.

It must never claim more than is true: a backup that holds the wrapped key can be read until it is gone.
"""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ByteSize

from davserver.cli.console import Console, Usage
from davserver.cli.options import Json, Name
from davserver.cli.session import Session
from davserver.model import Account, AccountState
from davserver.vault.shredding import Shredded

REMAINS = """\
What remains: backups of the database and snapshots of its disk still hold the account's wrapped key. Whoever
has one of them, the blobs beside it and the master key can read the files until that backup is deleted. To
shorten that, delete those backups; or rotate the master key (`sealdav rotate-keys`) and destroy every copy of
the old one: then nobody can read any backup from before."""

LOG_HELD = """\
A reader held the database's log: the wrapped key may be in it until the server is stopped once."""


def delete(
    context: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the name again.")] = False,
    as_json: Json = False,
) -> None:
    """Delete an account with all its files, for good: first its key is destroyed, then all the rest."""
    session: Session = context.obj
    console = Console(as_json=as_json)
    with session.services(needs_space=False) as services:
        account = services.deletion.find(name)
        if not yes and account.state is not AccountState.DELETED:
            _confirm(console, account)
        account = services.deletion.shred(name)
        emptied = services.database.empty_log()
        shredded = services.shredder.remove(account.id)
        emptied = services.database.empty_log() and emptied
        _report(console, account, shredded, log_emptied=emptied)


def _confirm(console: Console, account: Account) -> None:
    size = ByteSize(account.used).human_readable()
    console.note(f"{account.username} has {size} of files; nobody will be able to read them afterwards")
    if console.line("Type the name of the account to delete it").strip().casefold() != account.username:
        raise Usage("that is not its name; nothing was deleted")


def _report(console: Console, account: Account, shredded: Shredded, *, log_emptied: bool) -> None:
    console.result(
        {
            "account": account.username,
            "nodes": shredded.nodes,
            "blobs": shredded.blobs,
            "bytes": shredded.bytes,
            "left": shredded.left,
            "log_emptied": log_emptied,
        },
        f"{account.username} is deleted, with {shredded.blobs} contents "
        f"({ByteSize(shredded.bytes).human_readable()})\n\n{REMAINS}",
    )
    if not log_emptied:
        console.note(LOG_HELD)
    if shredded.left:
        console.note(f"{shredded.left} contents were altered in the database and stay: see `sealdav verify`")
