"""`sealdav audit verify|export|tail`: whether the audit log is whole, and what is in it.

Reading it is recorded in it. Called by whoever looks after the installation.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from davserver.accounts.audit_chain import Mark
from davserver.accounts.audit_check import AuditReport
from davserver.accounts.audit_trail import AuditEntry, AuditTrail, Search
from davserver.audit import AuditEvent
from davserver.cli.console import Console, Usage
from davserver.cli.exits import ExitCode
from davserver.cli.options import Json
from davserver.cli.session import Session
from davserver.db.audit import AuditEntryRow
from davserver.errors import InvalidValue

MAX_HEADS_BYTES = 1024 * 1024
"""Longest file of heads that is read: one every minute for a week."""

FOLLOW_SECONDS = 1.0
"""How often `tail --follow` looks."""

TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]

app = typer.Typer(help="The audit log: who did what.", no_args_is_help=True)


@app.command()
def verify(
    context: typer.Context,
    head: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE|HEAD", help="What `audit export --head` printed earlier; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that no entry was altered, removed, moved or added. Exit code 1 if one was."""
    session: Session = context.obj
    marks = [mark for text in head or [] for mark in _marks(text)]
    with session.services(needs_space=False) as services:
        report = services.audit_trail.verify(marks)
    console = Console(as_json=as_json)
    show_problems(console, report)
    head_text = None if report.head is None else report.head.text()
    verdict = "nothing is wrong" if not report.found else f"{report.found} findings"
    console.result(
        {
            "entries": report.entries,
            "first": report.first,
            "last": report.last,
            "head": head_text,
            "problems": report.found,
        },
        f"checked {report.entries} entries, {report.first} to {report.last}: {verdict}\n"
        f"head: {head_text or 'none'}",
    )
    if report.found:
        raise typer.Exit(ExitCode.FAILED)


def show_problems(console: Console, report: AuditReport) -> None:
    """What was found, a line each."""
    for problem in report.problems:
        console.result({"problem": "audit_altered", "entry": problem.seq, "text": problem.text}, problem.text)
    for mark in report.older:
        console.note(f"the head of entry {mark.seq} is older than what is kept: nothing to compare it with")


@app.command()
def export(
    context: typer.Context,
    head: Annotated[
        bool, typer.Option("--head", help="Print the head alone: a line to be kept somewhere else.")
    ] = False,
) -> None:
    """Print every entry, one JSON object a line, the earliest first."""
    session: Session = context.obj
    console = Console(as_json=True)
    with session.services(needs_space=False) as services:
        trail = services.audit_trail
        if head:
            typer.echo(trail.head().text())
            return
        for row, entry in trail.everything():
            console.result(_stored(row, entry), "")


@app.command()
def tail(  # noqa: PLR0913, PLR0917 - options
    context: typer.Context,
    account: Annotated[str | None, typer.Option(help="Only entries about this account.")] = None,
    event: Annotated[AuditEvent | None, typer.Option(help="Only entries of this kind.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=TIMES, help="Only later entries; UTC.")] = None,
    lines: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens from now on.")] = False,
    as_json: Json = False,
) -> None:
    """Print the latest entries, the earliest of them first."""
    session: Session = context.obj
    console = Console(as_json=as_json)
    since = None if since is None else since.replace(tzinfo=UTC)
    wanted = Search(None if account is None else account.casefold(), event, since)
    with session.services() as services:
        trail = services.audit_trail
        last = trail.head().seq  # first: what is added now is shown now or followed, but never missed
        shown = trail.latest(wanted, limit=lines)[::-1]
        last = max([last, *(entry.seq for entry in shown)])
        for entry in shown:
            console.result(_values(entry), _line(entry))
        for entry in _following(trail, wanted, last) if follow else ():
            console.result(_values(entry), _line(entry))


def _following(trail: AuditTrail, wanted: Search, last: int) -> Iterator[AuditEntry]:
    """What is recorded from now on; for ever."""
    pause = threading.Event()
    while True:
        for entry in trail.follow(wanted, after=last):
            last = entry.seq
            yield entry
        pause.wait(FOLLOW_SECONDS)


def _marks(text: str) -> list[Mark]:
    """A head, or those in the lines of a file."""
    try:
        return [Mark.parse(text)]
    except InvalidValue as none:
        path = Path(text)
        if not path.is_file():
            raise Usage(f"--head: neither a file nor a head ({none})") from None
    try:
        with path.open("rb") as file:
            lines = file.read(MAX_HEADS_BYTES + 1).decode("ascii", errors="replace").splitlines()
        return [Mark.parse(line) for line in lines if line.strip()]
    except OSError as error:
        raise Usage(f"--head: cannot read the file ({error.strerror})") from None
    except InvalidValue as wrong:
        raise Usage(f"--head: the file holds something else ({wrong})") from None


def _values(entry: AuditEntry) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "at": None if entry.at is None else entry.at.isoformat(),
        "event": entry.event,
        "account": entry.account,
        "actor": entry.actor,
        "credential": entry.credential,
        "client": entry.client,
        "reason": entry.reason,
        "altered": entry.is_altered,
    }


def _stored(row: AuditEntryRow, entry: AuditEntry) -> dict[str, object]:
    """An entry with what its link is made of (docs/format.md): as stored, also if it was altered."""
    values: dict[str, object] = {name: getattr(row, name) for name in AuditEntryRow.__slots__}
    values = {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
    return values | {"time": None if entry.at is None else entry.at.isoformat(), "altered": entry.is_altered}


def _line(entry: AuditEntry) -> str:
    if entry.at is None:
        return f"{'':19}  {entry.seq:>6}  was altered: run `sealdav audit verify`"
    words = [entry.event, entry.account or "-"]
    words += [f"by {entry.actor}"] if entry.actor else []
    words += [f"from {entry.client}"] if entry.client else []
    words += [f"app password {entry.credential}"] if entry.credential else []
    words += [f"({entry.reason})"] if entry.reason else []
    return f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.seq:>6}  {'  '.join(words)}"
