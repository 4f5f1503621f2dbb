"""`sealdav audit`: checking the log against itself and against kept heads, printing and following it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from davserver.cli.exits import ExitCode
from tests.tamper import write_column
from tests.unit.cli.conftest import PASSWORD, Cli

PROJECT = Path(__file__).parents[3]


def events(objects: list[dict[str, Any]]) -> list[str]:
    """What happened."""
    return [one["event"] for one in objects]


@pytest.fixture
def alice(cli: Cli) -> Cli:
    """Alice, enrolled."""
    cli.enrol("alice")
    return cli


def run(cli: Cli, statement: str) -> None:
    """Change the database behind the program's back."""
    with cli.services() as services, services.database.engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_whole_log(alice: Cli) -> None:
    """Words for people, numbers for scripts, exit code 0; the head is what `export --head` prints."""
    head = alice("audit", "export", "--head").out.strip()
    done = alice("audit", "verify")
    assert (done.code, done.err) == (ExitCode.OK, "")
    assert "nothing is wrong" in done.out
    assert f"head: {head}" in done.out
    (shown,) = alice("audit", "verify", "--json").objects
    assert (shown["problems"], shown["head"], shown["first"]) == (0, head, 1)
    assert shown["entries"] == shown["last"] == int(head.partition(":")[0])


def test_what_was_done_is_found(alice: Cli) -> None:
    """The first broken entry in plain words, and exit code 1; `sealdav verify` finds it as well."""
    run(alice, "UPDATE audit_entry SET reason = 'x' WHERE seq = 3")
    done = alice("audit", "verify")
    assert done.code == ExitCode.FAILED
    assert done.out.startswith("entry 3 was altered")
    assert [one.get("entry") for one in alice("audit", "verify", "--json").objects] == [3, None]
    done = alice("verify", "--json")
    assert done.code == ExitCode.FAILED
    assert done.objects[0]["problem"] == "audit_altered"
    assert done.objects[-1]["problems"] == 1


def test_a_kept_head_finds_what_the_log_alone_does_not(alice: Cli, tmp_path: Path) -> None:
    """As a text, or as lines of a file; a database that was put back is shorter than the head says."""
    with alice.services() as services:
        place = str(services.database.engine.url.database)
    before = Path(place).read_bytes()
    alice("user", "suspend", "alice")
    head = alice("audit", "export", "--head").out
    kept = tmp_path / "heads"
    kept.write_text(f"{head}\n{head}")
    for given in (head.strip(), str(kept)):
        assert alice("audit", "verify", "--head", given).code == ExitCode.OK
    Path(place).write_bytes(before)
    assert alice("audit", "verify").code == ExitCode.OK
    for given in (head.strip(), str(kept)):
        done = alice("audit", "verify", "--head", given)
        assert done.code == ExitCode.FAILED
        assert "which was there when its head was kept, is missing" in done.out


@pytest.mark.parametrize("content", [None, "no head", "12:abc"])
def test_a_head_that_is_none_is_a_wrong_command(alice: Cli, tmp_path: Path, content: str | None) -> None:
    """Said in one line."""
    path = tmp_path / "heads"
    if content is not None:
        path.write_text(content)
    done = alice("audit", "verify", "--head", str(path))
    assert done.code == ExitCode.USAGE
    assert "64 hexadecimal digits" in done.err


def test_export_prints_what_the_links_are_made_of(alice: Cli) -> None:
    """Every entry in order, as it is stored; that somebody read it is the last one."""
    objects = alice("audit", "export").objects
    assert [one["seq"] for one in objects] == list(range(1, len(objects) + 1))
    assert (events(objects)[0], events(objects)[-1]) == ("account-created", "audit-read")
    assert {one["actor"] for one in objects} == {"(terminal)"}
    assert not any(one["altered"] for one in objects)
    assert {len(one["link"]) for one in objects} == {64}
    assert set(objects[0]) == {
        *("seq", "at", "event", "account", "actor", "credential", "client", "client_salt"),
        *("client_commitment", "reason", "link", "time", "altered"),
    }


def test_export_marks_what_was_altered(alice: Cli) -> None:
    """It is printed as it is stored, since somebody has to look at it, of whatever type it is now."""
    with alice.services() as services:
        write_column(services.database, "audit_entry", "reason", b"\xff")
    objects = alice("audit", "export").objects
    assert objects[0]["altered"]
    assert objects[0]["reason"] == "ff"


def test_tail_filters(alice: Cli) -> None:
    """By account, event and time; the latest lines, in their order."""
    alice("user", "add", "bob", "--json", answers=[PASSWORD])
    alice.clock.advance(days=1)
    alice("user", "suspend", "bob")
    assert events(alice("audit", "tail", "--account", "Bob", "--json").objects) == [
        *("account-created", "account-suspended", "audit-read"),
    ]
    found = alice("audit", "tail", "--event", "account-created", "--json").objects
    assert [one["account"] for one in found] == ["alice", "bob"]
    found = alice("audit", "tail", "--since", "2030-01-03", "--json").objects
    assert events(found)[0] == "account-suspended"
    assert len(alice("audit", "tail", "--lines", "2", "--json").objects) == 2
    line = alice("audit", "tail", "--event", "account-suspended").out
    assert line.startswith("2030-01-03 03:04:05")
    assert line.rstrip().endswith("account-suspended  bob  by (terminal)")


def test_tail_shows_nothing_that_was_altered(alice: Cli) -> None:
    """Only that it was."""
    run(alice, "UPDATE audit_entry SET account = 'mallory' WHERE seq = 2")
    out = alice("audit", "tail", "--lines", "100").out
    assert "2  was altered: run `sealdav audit verify`" in out
    assert "mallory" not in out


def test_a_rotation_is_recorded_and_leaves_the_log_whole(alice: Cli) -> None:
    """Under the new key; a head that was kept before is still that of the same entry."""
    head = alice("audit", "export", "--head").out.strip()
    assert alice("rotate-keys").code == ExitCode.OK
    assert alice("audit", "verify", "--head", head).code == ExitCode.OK
    (rotated,) = alice("audit", "tail", "--event", "master-key-rotated", "--json").objects
    assert (rotated["actor"], rotated["account"]) == ("(terminal)", "")


def test_gc_forgets_what_is_old_enough(alice: Cli) -> None:
    """After the days that are set; what is left is whole."""
    alice.clock.advance(days=401)
    assert alice("gc").code == ExitCode.OK
    (shown,) = alice("audit", "verify", "--json").objects
    assert (shown["problems"], shown["entries"]) == (0, 0)


def test_tail_follows_until_it_is_stopped(alice: Cli) -> None:
    """What happens in another process is printed as it happens."""
    with subprocess.Popen(
        [
            *("env", "--default-signal=INT"),  # what was started in the background would ignore it
            sys.executable,
            "-m",
            "davserver",
            "audit",
            "tail",
            "--follow",
            "--json",
            "--event",
            "account-resumed",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    ) as following:
        assert following.stdout is not None
        for _ in range(2):
            alice("user", "resume", "alice")
        found = [json.loads(following.stdout.readline()) for _ in range(2)]
        alice("user", "resume", "alice")
        found.append(json.loads(following.stdout.readline()))
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=30)
    assert [one["account"] for one in found] == ["alice"] * 3
    assert [one["seq"] for one in found] == sorted({one["seq"] for one in found})
    assert "Traceback" not in err
