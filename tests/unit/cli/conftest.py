"""The command line, run in this process on an installation of its own."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from davserver.bootstrap import Services, build_services
from davserver.cli import main
from davserver.settings import load_settings
from tests.factories import make_code
from tests.fakes import FrozenClock
from tests.logs import restored_logging

OF_OWNERS = [
    ["trash", "list", "alice"],
    ["trash", "restore", "alice", "/gone"],
    ["trash", "purge", "alice", "--all"],
    ["versions", "list", "alice", "/notes"],
    ["versions", "restore", "alice", "/notes"],
    ["versions", "purge", "alice", "/notes", "--all"],
]
"""Commands that only the owner may give: about a file that is gone, and one that was overwritten."""

PASSWORD = "a password of a test account"


@dataclass
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The lines of standard output, each a JSON object."""
        return [json.loads(line) for line in self.out.splitlines()]


class Stdin:
    """Standard input that is no terminal; an answer may depend on what was printed before it is read."""

    def __init__(self, answers: list[str | Callable[[], str]]) -> None:
        self._answers = answers

    def isatty(self) -> bool:
        """It is a pipe."""
        return False

    def readline(self, _limit: int = -1) -> str:
        """The next answer, or the end."""
        if not self._answers:
            return ""
        answer = self._answers.pop(0)
        return f"{answer if isinstance(answer, str) else answer()}\n"


@dataclass
class Cli:
    """Runs commands.

    Attributes:
        secrets: one-time-code secrets by account, as `enrol` showed them.
    """

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    clock: FrozenClock = field(default_factory=FrozenClock)
    secrets: dict[str, str] = field(default_factory=dict)
    _said: str = ""

    def __call__(self, *arguments: str, answers: list[str | Callable[[], str]] | None = None) -> Done:
        """Run `sealdav` with these arguments; `answers` are the lines of standard input."""
        self.monkeypatch.setattr(sys, "argv", ["sealdav", *arguments])
        self.monkeypatch.setattr(sys, "stdin", Stdin(list(answers or [])))
        self._said = ""
        with restored_logging(), pytest.raises(SystemExit) as ended:
            main(self.clock)
        out, err = self.capsys.readouterr()
        return Done(int(ended.value.code or 0), self._said + out, err)

    def enrol(self, name: str, password: str = PASSWORD) -> Done:
        """Enrol with the code that an authenticator app would show."""

        def code() -> str:
            self._said = self.capsys.readouterr().out
            self.secrets[name] = json.loads(self._said)["secret"]
            return make_code(self.secrets[name], self.clock)

        return self("enrol", name, "--json", answers=[password, code])

    def next_code(self, name: str) -> str:
        """A one-time code of an account that was never used: half a minute goes by."""
        self.clock.advance(seconds=30)
        return make_code(self.secrets[name], self.clock)

    @contextmanager
    def services(self) -> Iterator[Services]:
        """The services of the installation, to look behind the commands."""
        with closing(build_services(load_settings(), clock=self.clock)) as services:
            yield services


@pytest.fixture
def bare_cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Cli]:
    """The command line on a machine without a store."""
    for name in [name for name in os.environ if name.startswith("DAVSERVER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DAVSERVER_STORAGE__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DAVSERVER_STORAGE__DURABILITY", "relaxed")
    monkeypatch.setenv("DAVSERVER_KEYS__MASTER_KEY_FILE", str(tmp_path / "keys" / "master.key"))
    monkeypatch.chdir(tmp_path)
    umask = os.umask(0o022)
    os.umask(umask)
    yield Cli(monkeypatch, capsys)
    os.umask(umask)


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as `init` makes it, to be copied: migrations take their time."""
    folder = tmp_path_factory.mktemp("store")
    storage = {"data_dir": folder / "data"}
    keys = {"master_key_file": folder / "keys" / "master.key"}
    build_services(load_settings(flags={"storage": storage, "keys": keys}), clock=FrozenClock()).close()
    return folder


@pytest.fixture
def cli(bare_cli: Cli, new_store: Path, tmp_path: Path) -> Cli:
    """The command line on a new store."""
    shutil.copytree(new_store, tmp_path, dirs_exist_ok=True)
    return bare_cli
