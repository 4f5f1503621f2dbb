"""`sealdav rotate-keys`: a new master key, with nobody else at the store."""

from __future__ import annotations

from collections import Counter

import typer

from davserver.bootstrap import rotate_master_key
from davserver.cli.console import Console
from davserver.cli.exits import ExitCode
from davserver.cli.options import Json
from davserver.cli.session import Session, log_in_folder


def rotate_keys(context: typer.Context, as_json: Json = False) -> None:
    """Replace the master key, with the server stopped. Stopped at any point, run it again: it goes on."""
    session: Session = context.obj
    console = Console(as_json=as_json)
    settings = session.prepare()
    log_in_folder(settings)
    bar, show = console.progress("rotating")
    with bar:
        report = rotate_master_key(settings, show, clock=session.clock)
    altered = Counter(report.altered)
    for table, count in altered.items():
        console.result(
            {"problem": "row_altered", "table": table, "count": count},
            f"neither key vouches for {count} rows of the table {table}: they stay as they were, and nothing "
            "believes them (sealdav verify)",
        )
    console.result(
        {
            "old": report.old,
            "new": report.new,
            "rows": report.rows,
            "altered": len(report.altered),
            "log_emptied": report.log_emptied,
        },
        f"""\
master key {report.new} is in use instead of {report.old}; {report.rows} rows checked
  back it up now: {settings.keys.master_key_file}
  backups of the database from before need the old key: keep its backup until the last of them is gone""",
    )
    if report.altered:
        raise typer.Exit(ExitCode.FAILED)
