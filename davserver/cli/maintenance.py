"""`sealdav gc` and `sealdav verify`: looking after the store, beside a running server or without one."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer
from pydantic import ByteSize

from davserver.cli.audit import show_problems
from davserver.cli.console import Console
from davserver.cli.exits import ExitCode
from davserver.cli.options import Json
from davserver.cli.session import Session


def gc(
    context: typer.Context,
    grace_minutes: Annotated[
        int | None, typer.Option(min=0, help="Age of what is removed; 0 only while no server runs.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove what has been in the trash for long enough, contents that no file names, and leftovers."""
    session: Session = context.obj
    session.override("gc", grace_minutes=grace_minutes)
    with session.services(needs_space=False) as services:
        grace = timedelta(minutes=services.settings.gc.grace_minutes)
        report = services.maintenance.collect(grace=grace)
        services.upkeep.run()
        Console(as_json=as_json).result(
            {
                "blobs": report.blobs,
                "bytes": report.bytes,
                "leftovers": report.leftovers,
                "copies": report.copies,
                "locks": report.locks,
                "kept": report.kept,
                "kept_bytes": report.kept_bytes,
                "uploads": report.uploads,
            },
            f"removed {report.blobs} contents ({ByteSize(report.bytes).human_readable()}), "
            f"{report.leftovers} leftovers of uploads, {report.copies} unfinished copies, "
            f"{report.uploads} uploads that nobody went on with, "
            f"{report.locks} expired locks; given up from trash and previous versions: {report.kept} "
            f"({ByteSize(report.kept_bytes).human_readable()})",
        )


def verify(context: typer.Context, as_json: Json = False) -> None:
    """Read everything back, the audit log too: was anything altered? Exit code 1 if something was."""
    session: Session = context.obj
    console = Console(as_json=as_json)
    with session.services(needs_space=False) as services:
        bar, show = console.progress("verifying")
        with bar:
            report = services.maintenance.verify(show)
        audit_report = services.audit_trail.verify()
        show_problems(console, audit_report)
        problems = len(report.problems) + audit_report.found
        for problem in report.problems:
            console.result(
                {
                    "problem": problem.finding.name.lower(),
                    "account": None if problem.account_id is None else problem.account_id.hex(),
                    "object": problem.object_id.hex(),
                },
                f"{problem.finding.value}: {problem.object_id.hex()}",
            )
        console.result(
            {
                "accounts": report.accounts,
                "nodes": report.nodes,
                "blobs": report.blobs,
                "bytes": report.bytes,
                "audit_entries": audit_report.entries,
                "problems": problems,
            },
            f"checked {report.accounts} accounts, {report.nodes} files and folders, {report.blobs} contents "
            f"({ByteSize(report.bytes).human_readable()}), {audit_report.entries} entries of the audit log: "
            f"{_verdict(problems)}",
        )
    if problems:
        raise typer.Exit(ExitCode.FAILED)


def _verdict(problems: int) -> str:
    return "nothing was altered" if not problems else f"{problems} problems, listed above"
