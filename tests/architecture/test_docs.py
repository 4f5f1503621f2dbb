"""The documents leave out no event, exit code, command, attack or decision (files: test_layout.py)."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from davserver.audit import AuditEvent
from davserver.cli.commands import app
from davserver.cli.exits import ExitCode

PROJECT = Path(__file__).parents[2]
OPERATIONS = PROJECT / "docs" / "operations.md"
DECISIONS = PROJECT / "docs" / "adr"
THREATS = PROJECT / "docs" / "threat-model.md"

ATTACKS = {*range(1, 11), *range(23, 26), *range(32, 49)}
"""Attacks on framing, on browsers and on signing in, as they were numbered in the design."""


def test_every_security_event_is_explained() -> None:
    """Whoever finds an event in the log finds it in docs/operations.md."""
    text = OPERATIONS.read_text()
    assert [event.value for event in AuditEvent if f"`{event.value}`" not in text] == []


def test_every_exit_code_is_explained() -> None:
    """The table of docs/operations.md has a row for each."""
    text = OPERATIONS.read_text()
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []


def test_every_command_is_in_the_readme() -> None:
    """Each command and each group of commands is named."""
    text = (PROJECT / "README.md").read_text()
    group = typer.main.get_command(app)
    names = list(group.commands)  # type: ignore[attr-defined]  # a group has commands
    assert len(names) > 5
    assert [name for name in names if f"`sealdav {name}" not in text] == []


def test_every_attack_names_its_tests() -> None:
    """Each number has one row in docs/threat-model.md, and each file that is named there speaks of it."""
    rows = dict(re.findall(r"^\| T(\d+): .* \| (`.*`) \|$", THREATS.read_text(), re.MULTILINE))
    assert {int(number) for number in rows} == ATTACKS
    silent = [
        (number, name)
        for number, names in rows.items()
        for name in re.findall(r"`([^`]+)`", names)
        if not re.search(rf"\bT{number}\b|_t{number}_", (PROJECT / name).read_text())
    ]
    assert silent == []


def test_every_decision_is_in_the_index() -> None:
    """By its title, in the order of the numbers."""
    titles = {
        path.name: path.read_text().partition("\n")[0].removeprefix("# ") for path in DECISIONS.glob("0*.md")
    }
    index = [f"- [{title}]({name})" for name, title in sorted(titles.items())]
    assert re.findall(r"^- .*$", (DECISIONS / "README.md").read_text(), re.MULTILINE) == index
