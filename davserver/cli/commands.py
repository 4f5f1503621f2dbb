"""The commands put together, the options before them, and what becomes of an error.

Whatever goes wrong is one line on standard error and an exit code (`exits.py`); there must never be a
traceback for a foreseeable fault, nor a secret among the arguments. Called as `sealdav` and `-m davserver`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from davserver import __version__
from davserver.cli import (
    app_passwords,
    audit,
    config,
    enrol,
    history,
    maintenance,
    rotate_keys,
    serve,
    tls,
    token,
    totp,
    users,
)
from davserver.cli.console import Usage
from davserver.cli.exits import ExitCode, exit_code
from davserver.cli.session import Session
from davserver.clock import Clock, utc_now
from davserver.errors import ConfigError, DavserverError

app = typer.Typer(
    name="sealdav",
    help="An encrypted network drive: files stay encrypted on this server's disk.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.command()(serve.init)
app.command()(serve.serve)
app.command()(enrol.enrol)
app.add_typer(users.app, name="user")
app.add_typer(app_passwords.app, name="app-password")
app.add_typer(totp.app, name="totp")
app.add_typer(tls.app, name="tls")
app.add_typer(token.app, name="token")
app.add_typer(config.app, name="config")
app.add_typer(audit.app, name="audit")
app.add_typer(history.trash, name="trash")
app.add_typer(history.versions, name="versions")
app.command()(maintenance.gc)
app.command()(maintenance.verify)
app.command()(rotate_keys.rotate_keys)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"sealdav {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.", dir_okay=False)] = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Set one option.")
    ] = None,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command. Settings: TOML file < environment (DAVSERVER_SECTION__KEY) < these."""
    session: Session = context.obj
    session.config = config
    for assignment in assignments or []:
        section, key, value = _parse_assignment(assignment)
        session.override(section, **{key: value})


def _parse_assignment(text: str) -> tuple[str, str, str]:
    name, equals, value = text.partition("=")
    section, dot, key = name.partition(".")
    if not (equals and dot and section and key):
        raise ConfigError(f"--set {name}: write it as --set section.key=value")
    return section, key, value


def main(clock: Clock = utc_now) -> None:
    """Run the command line and exit with one of `ExitCode`."""
    try:
        app(obj=Session(clock))
    except Usage as error:
        _fail(str(error), ExitCode.USAGE)
    except DavserverError as error:
        _fail(str(error), exit_code(error))
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left; there is nobody to tell
        sys.exit(ExitCode.FAILED)


def _fail(text: str, code: ExitCode) -> None:
    sys.stderr.write(f"sealdav: {text}\n")
    sys.exit(code)
