"""What commands say and ask: people get words, `--json` gives one JSON object a line.

It must never echo a secret that is typed, nor take one from the command line. Called by every command.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Mapping

import typer
from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from davserver.cli.exits import ExitCode

MAX_LINE_CHARS = 4096


class Console:
    """Standard input, output and error of one command.

    Args:
        as_json: print objects instead of words; whatever is asked for is a line of standard input.
        secrets_from_stdin: passwords are lines of standard input, without a prompt.
    """

    def __init__(self, *, as_json: bool = False, secrets_from_stdin: bool = False) -> None:
        self._as_json = as_json
        self._secrets_from_stdin = secrets_from_stdin or as_json

    @property
    def interactive(self) -> bool:
        """Whether somebody sits in front of it, who can be asked again."""
        return sys.stdin.isatty() and not self._as_json

    def result(self, values: Mapping[str, object], text: str) -> None:
        """Give a result: `values` with `--json`, else `text`. At once, since a script may wait for it."""
        sys.stdout.write((json.dumps(values) if self._as_json else text) + "\n")
        sys.stdout.flush()

    def request(self, values: Mapping[str, object], text: str) -> None:
        """Ask for something to be done elsewhere; only with `--json` it is part of what is printed."""
        if self._as_json:
            self.result(values, text)
        else:
            self.note(text)

    def note(self, text: str) -> None:
        """Tell a person something beside the result, on standard error."""
        typer.echo(text, err=True)

    def secret(self, prompt: str, *, repeat: bool = False) -> str:
        """Ask for a secret without showing it, or read the next line of standard input."""
        if self._secrets_from_stdin:
            return self._line()
        if not sys.stdin.isatty():
            raise Usage(
                "nobody is there to type a password: give --password-stdin and write it to standard input"
            )
        answer = getpass.getpass(f"{prompt}: ")
        if repeat and getpass.getpass(f"{prompt}, again: ") != answer:
            raise Usage("the two passwords differ; nothing was changed")
        return answer

    def line(self, prompt: str) -> str:
        """Ask for something that may be seen, or read the next line of standard input."""
        if sys.stdin.isatty() and not self._as_json:
            sys.stderr.write(f"{prompt}: ")
            sys.stderr.flush()
        return self._line()

    def _line(self) -> str:
        line = sys.stdin.readline(MAX_LINE_CHARS)
        if not line:
            raise Usage("standard input ended where a line was expected")
        return line.rstrip("\r\n")

    def progress(self, what: str) -> tuple[Progress, Callable[[int, int], None]]:
        """A bar to enter as a context, and what to call with (done, total). Shown on a terminal only."""
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=RichConsole(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        task = bar.add_task(what, total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        return bar, show


class Usage(Exception):
    """The command was called in a way that cannot work."""

    code = ExitCode.USAGE
