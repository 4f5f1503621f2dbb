"""`sealdav rotate-keys`: what it says and how it ends. What it does: tests/unit/test_rotation.py."""

from __future__ import annotations

from pathlib import Path

from davserver.audit import AuditEvent
from davserver.cli.exits import ExitCode
from davserver.master_key import load_master_keys
from tests.tamper import write_column
from tests.unit.cli.conftest import PASSWORD, Cli


def test_the_master_key_is_replaced(cli: Cli, tmp_path: Path) -> None:
    """Which key is in use now, and that old backups need the old one; devices and people get in as before."""
    issued = cli.enrol("alice").objects[-1]
    path = tmp_path / "keys" / "master.key"
    (old,) = load_master_keys(path)
    done = cli("rotate-keys")
    assert done.code == ExitCode.OK
    assert "master key 2 is in use instead of 1" in done.out
    assert f"back it up now: {path}" in done.out
    assert "need the old key" in done.out
    (new,) = load_master_keys(path)
    assert (new.kid, new.secret != old.secret) == (2, True)
    assert old.secret.hex() not in done.out + done.err
    assert new.secret.hex() not in done.out + done.err
    with cli.services() as services:
        services.authenticator.authenticate("alice", issued["app_password"], "192.0.2.1")
    answers = [PASSWORD, cli.next_code("alice")]
    assert cli("app-password", "issue", "alice", "--json", answers=[*answers]).code == ExitCode.OK
    (result,) = cli("rotate-keys", "--json").objects
    assert (result["old"], result["new"], result["altered"], result["log_emptied"]) == (2, 3, 0, True)
    assert AuditEvent.MASTER_KEY_ROTATED.value in (tmp_path / "data/log/app.log").read_text()


def test_it_does_not_begin_beside_others(cli: Cli) -> None:
    """A server or another command has the store open."""
    with cli.services():
        done = cli("rotate-keys")
    assert (done.code, done.out) == (ExitCode.STORAGE, "")
    assert "stop the server" in done.err


def test_altered_rows_are_told(cli: Cli) -> None:
    """By table and number, with exit code 1; everything else is rotated."""
    cli.enrol("alice")
    with cli.services() as services:
        write_column(services.database, "app_password", "scopes", 1)
    done = cli("rotate-keys", "--json")
    assert done.code == ExitCode.FAILED
    problem, result = done.objects
    assert problem == {"problem": "row_altered", "table": "app_password", "count": 1}
    assert (result["new"], result["altered"]) == (2, 1)
    assert "neither key vouches for 1 rows of the table app_password" in cli("rotate-keys").out


def test_it_needs_a_store(bare_cli: Cli, tmp_path: Path) -> None:
    """None is made."""
    done = bare_cli("rotate-keys")
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert "run `sealdav init`" in done.err
    assert not (tmp_path / "data").exists()
