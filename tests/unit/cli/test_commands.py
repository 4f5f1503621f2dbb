"""`sealdav`: what each command does, says, and ends with."""

from __future__ import annotations

import os
import resource
import stat
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from davserver import __version__, errors
from davserver.cli.commands import app
from davserver.cli.exits import ExitCode, exit_code
from davserver.cli.session import harden
from davserver.errors import AuthenticationError, DavserverError
from davserver.model import ROOT_ID, AuthMethod, Scope
from davserver.vault.paths import VaultPath
from tests.factories import make_error, make_principal
from tests.tamper import write_column
from tests.unit.cli.conftest import PASSWORD, Cli


# ── ends
def leaves(kind: type[DavserverError]) -> list[type[DavserverError]]:
    """The kinds of error that have no kind of their own below them."""
    below = [leaf for child in kind.__subclasses__() for leaf in leaves(child)]
    return below or [kind]


@pytest.mark.parametrize("kind", leaves(DavserverError))
def test_every_error_has_an_exit_code(kind: type[DavserverError]) -> None:
    """None of them is success or a question of usage."""
    assert exit_code(make_error(kind, "text")) not in {ExitCode.OK, ExitCode.USAGE}


def test_exit_codes_are_those_that_scripts_know() -> None:
    """A number never changes its meaning."""
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "FAILED": 1,
        "USAGE": 2,
        "CONFIG": 3,
        "MASTER_KEY": 4,
        "STORAGE": 5,
        "REFUSED": 6,
    }
    assert exit_code(errors.MasterKeyError("")) is ExitCode.MASTER_KEY
    assert exit_code(errors.StorageFull("")) is ExitCode.STORAGE
    assert exit_code(errors.TotpReplayed("")) is ExitCode.REFUSED


def test_unknown_commands_and_options_are_usage(bare_cli: Cli) -> None:
    """Told on standard error."""
    for arguments in (["frobnicate"], ["user", "frobnicate"], ["serve", "--frobnicate"], ["user", "add"]):
        done = bare_cli(*arguments)
        assert (done.code, done.out) == (ExitCode.USAGE, "")
        assert "Error: " in done.err


def test_the_version_is_told(bare_cli: Cli) -> None:
    """Without a store."""
    assert bare_cli("--version").out == f"sealdav {__version__}\n"


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """Everybody on the machine can read the arguments of a process."""

    def parameters(command: Any) -> list[Any]:  # noqa: ANN401 - click is inside of typer and has no name
        below = getattr(command, "commands", {}).values()
        return [*command.params, *(each for one in below for each in parameters(one))]

    secret = [
        each
        for each in parameters(typer.main.get_command(app))
        if any(word in each.name for word in ("password", "secret", "token", "code"))
    ]
    assert {each.name for each in secret} == {"password_stdin"}
    assert all(each.is_flag for each in secret)


def test_the_process_is_hardened() -> None:
    """No core dumps, nothing readable by others, as many files as the system allows."""
    before = os.umask(0o022)
    try:
        harden()
        assert os.umask(0o022) == 0o077
    finally:
        os.umask(before)
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert soft == hard


# ── init
def test_init_makes_a_store_and_says_where(bare_cli: Cli, tmp_path: Path) -> None:
    """Both places, and that they are backed up apart; everything private; again is no harm."""
    done = bare_cli("init")
    assert done.code == ExitCode.OK
    assert str(tmp_path / "data") in done.out
    assert str(tmp_path / "keys/master.key") in done.out
    assert "back it up somewhere else" in done.out
    made = [path for folder in ("data", "keys") for path in (tmp_path / folder).rglob("*")]
    assert made
    assert not any(stat.S_IMODE(path.stat().st_mode) & 0o077 for path in made)
    key = (tmp_path / "keys/master.key").read_bytes()
    assert bare_cli("init").code == ExitCode.OK
    assert (tmp_path / "keys/master.key").read_bytes() == key


@pytest.mark.parametrize(
    "arguments", [["user", "list"], ["enrol", "alice"], ["gc"], ["verify"], ["totp", "reset", "alice"]]
)
def test_other_commands_need_a_store(bare_cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    """They make none by accident."""
    done = bare_cli(*arguments)
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert "run `sealdav init`" in done.err
    assert not (tmp_path / "data").exists()


# ── enrol
def test_enrol_makes_an_account_whose_device_can_connect(cli: Cli) -> None:
    """First the secret, then, for the right code, the app password with commands to paste."""
    done = cli.enrol("alice")
    offered, recovery, issued = done.objects
    assert done.code == ExitCode.OK
    assert offered["totp_uri"].startswith("otpauth://totp/Sealdav:alice?secret=" + offered["secret"])
    assert issued["account"] == recovery["account"] == "alice"
    assert len(set(recovery["recovery_codes"])) == 10
    for part in ("url=http://127.0.0.1:8080/dav/", "vendor=owncloud", "user=alice", "--obscure"):
        assert part in issued["commands"]["config"]
    assert issued["app_password"] in issued["commands"]["config"]
    with cli.services() as services:
        principal = services.authenticator.authenticate("alice", issued["app_password"], "192.0.2.1")
        assert (principal.scopes, principal.root_id) == (Scope.FULL, ROOT_ID)


def test_enrol_without_json_speaks_to_people(cli: Cli) -> None:
    """The URI, the secret for typing, the app password and commands for rclone."""
    said: list[str] = []

    def code() -> str:
        said.append(cli.capsys.readouterr().out)
        secret = said[0].partition("secret=")[2].partition("&")[0]
        cli.secrets["alice"] = secret
        return cli.next_code("alice")

    done = cli("enrol", "alice", "--password-stdin", answers=[PASSWORD, code])
    assert done.code == ExitCode.OK
    secret = cli.secrets["alice"]
    grouped = " ".join(secret[start : start + 4] for start in range(0, len(secret), 4))
    assert f"secret: {grouped}" in said[0]
    for words in (
        "It is shown only now",
        "rclone config create sealdav webdav",
        "rclone copy",
        "rclone mount",
    ):
        assert words in done.out


@pytest.mark.parametrize("code", ["000000", "12345", "", "abcdef"])
def test_a_wrong_code_issues_nothing(cli: Cli, code: str) -> None:
    """No app password without the second factor; the account can be enrolled again."""
    done = cli("enrol", "alice", "--json", answers=[PASSWORD, code])
    assert done.code == ExitCode.REFUSED
    assert len(done.objects) == 1
    with cli.services() as services:
        account = services.accounts.find("alice")
        assert not services.totp.is_enrolled(account)
        assert services.app_passwords.list(account) == []
    assert cli.enrol("alice").code == ExitCode.OK


def test_somebody_elses_account_is_not_enrolled(cli: Cli) -> None:
    """An account that has a password is its owner's."""
    assert cli("user", "add", "alice", "--password-stdin", answers=[PASSWORD]).code == ExitCode.OK
    done = cli.enrol("alice", password="another long password")
    assert (done.code, done.out) == (ExitCode.REFUSED, "")
    assert cli.enrol("alice").code == ExitCode.OK


def test_who_is_enrolled_is_told_what_to_do(cli: Cli) -> None:
    """A second enrolment would take the first authenticator away."""
    cli.enrol("alice")
    done = cli("enrol", "alice", "--json", answers=[PASSWORD])
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "sealdav app-password issue alice" in done.err
    assert "sealdav totp recover alice" in done.err


def test_a_bad_password_leaves_no_account(cli: Cli) -> None:
    """It is judged before anything is made."""
    for arguments in (["enrol", "alice", "--json"], ["user", "add", "alice", "--json"]):
        done = cli(*arguments, answers=["short"])
        assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert cli("user", "list").out == ""


def test_a_question_without_anybody_to_answer_is_usage(cli: Cli) -> None:
    """Nothing hangs in a script."""
    assert cli("enrol", "alice").code == ExitCode.USAGE
    assert cli("enrol", "alice", "--json").code == ExitCode.USAGE
    assert cli("user", "list").out == ""


# ── accounts
def test_accounts_are_added_listed_suspended_and_resumed(cli: Cli) -> None:
    """What each command prints is what the account then is."""
    added = cli("user", "add", "Alice", "--quota", "10GiB", "--json", answers=[PASSWORD])
    assert added.objects[0]["account"] == "alice"
    assert added.objects[0]["quota"] == 10 * 1024**3
    assert cli("user", "add", "alice", "--json", answers=[PASSWORD]).code == ExitCode.FAILED
    assert cli("user", "suspend", "alice", "--json").objects[0]["state"] == "suspended"
    assert cli("user", "list", "--json").objects[0]["state"] == "suspended"
    assert cli("enrol", "alice", "--json", answers=[PASSWORD]).code == ExitCode.REFUSED
    assert cli("user", "resume", "alice", "--json").objects[0]["state"] == "active"
    listed = cli("user", "list").out
    assert "alice" in listed
    assert "10.0GiB" in listed
    assert cli("user", "suspend", "bob").code == ExitCode.FAILED
    assert cli("user", "add", "bob", "--quota", "much", "--json", answers=[PASSWORD]).code == ExitCode.USAGE


def test_a_password_is_changed(cli: Cli) -> None:
    """The new one signs in, the old one does not."""
    cli("user", "add", "alice", "--json", answers=[PASSWORD])
    assert cli("user", "passwd", "alice", "--json", answers=["another long password"]).code == ExitCode.OK
    with cli.services() as services:
        services.sign_in.with_password(
            "alice", "another long password", client="test", method=AuthMethod.TERMINAL
        )
        with pytest.raises(AuthenticationError):
            services.sign_in.with_password("alice", PASSWORD, client="test", method=AuthMethod.TERMINAL)


# ── app passwords
def test_an_app_password_is_issued_as_asked(cli: Cli) -> None:
    """Scope, folder, lifetime and networks, after password and a fresh code."""
    cli.enrol("alice")
    with cli.services() as services:
        principal = make_principal(services.accounts.find("alice"), cli.clock)
        folder = services.vaults.open(principal).make_collection(VaultPath.parse("Photos"))
    options = ["--label", "phone", "--read-only", "--folder", "/Photos/", "--days", "7"]
    networks = ["--network", "192.0.2.0/24", "--network", "2001:db8::/32"]
    code = cli.next_code("alice")
    done = cli("app-password", "issue", "alice", "--json", *options, *networks, answers=[PASSWORD, code])
    issued = done.objects[0]
    assert datetime.fromisoformat(issued["expires_at"]) == cli.clock() + timedelta(days=7)
    listed = {one["id"]: one for one in cli("app-password", "list", "alice", "--json").objects}
    phone = listed[issued["id"]]
    assert (phone["label"], phone["scope"], phone["whole_vault"]) == ("phone", "read-only", False)
    assert phone["networks"] == ["192.0.2.0/24", "2001:db8::/32"]
    with cli.services() as services:
        principal = services.authenticator.authenticate("alice", issued["app_password"], "192.0.2.7")
        assert (principal.scopes, principal.root_id) == (Scope.READ_ONLY, folder.id)


@pytest.mark.parametrize(
    ("password", "fresh", "code"),
    [("not the password at all", True, ExitCode.REFUSED), (PASSWORD, False, ExitCode.REFUSED)],
)
def test_no_app_password_without_both_factors(cli: Cli, password: str, fresh: bool, code: ExitCode) -> None:  # noqa: FBT001
    """A wrong password, or a code that was used before."""
    cli.enrol("alice")
    used = cli.next_code("alice")
    cli("app-password", "issue", "alice", "--json", answers=[PASSWORD, used])
    answers = [password, cli.next_code("alice") if fresh else used]
    done = cli("app-password", "issue", "alice", "--json", answers=[*answers])
    assert (done.code, done.out) == (code, "")
    assert len(cli("app-password", "list", "alice", "--json").objects) == 2


def test_app_passwords_that_make_no_sense_are_refused(cli: Cli) -> None:
    """Contradictory options, a folder that is not there, a network that is none."""
    cli.enrol("alice")

    def issue(*options: str) -> ExitCode:
        answers: list[Any] = [PASSWORD, lambda: cli.next_code("alice")]
        return ExitCode(cli("app-password", "issue", "alice", "--json", *options, answers=answers).code)

    assert issue("--read-only", "--no-delete") is ExitCode.USAGE
    assert issue("--days", "0") is ExitCode.USAGE
    assert issue("--folder", "/nowhere") is ExitCode.FAILED
    assert issue("--network", "everywhere") is ExitCode.FAILED
    assert issue("--days", "100000") is ExitCode.FAILED
    assert issue("--no-delete") is ExitCode.OK


def test_a_revoked_app_password_opens_nothing(cli: Cli) -> None:
    """From the next request on, and for good."""
    issued = cli.enrol("alice").objects[-1]
    assert cli("app-password", "revoke", "alice", issued["id"]).code == ExitCode.OK
    assert cli("app-password", "revoke", "alice", issued["id"]).code == ExitCode.FAILED
    assert cli("app-password", "list", "alice").out == ""
    with cli.services() as services, pytest.raises(AuthenticationError):
        services.authenticator.authenticate("alice", issued["app_password"], "192.0.2.1")


def test_a_lost_authenticator_is_replaced(cli: Cli) -> None:
    """After the reset the owner enrols again with the password; the old device's code is worth nothing."""
    cli.enrol("alice")
    old = cli.secrets["alice"]
    assert cli("totp", "reset", "alice").code == ExitCode.OK
    assert cli("app-password", "issue", "alice", "--json", answers=[PASSWORD, "000000"]).code != ExitCode.OK
    assert cli.enrol("alice").code == ExitCode.OK
    assert cli.secrets["alice"] != old


# ── maintenance
def test_gc_and_verify_report(cli: Cli) -> None:
    """Counts for people and for scripts; nothing wrong is exit code 0."""
    cli.enrol("alice")
    names = ("blobs", "bytes", "leftovers", "copies", "locks", "kept", "kept_bytes", "uploads")
    nothing = dict.fromkeys(names, 0)
    assert cli("gc", "--json").objects == [nothing]
    assert "nothing was altered" in cli("verify").out
    report = {"accounts": 1, "nodes": 1, "blobs": 0, "bytes": 0, "problems": 0}
    (shown,) = cli("verify", "--json").objects
    assert shown.pop("audit_entries") > 0
    assert shown == report


def test_verify_finds_what_was_altered(cli: Cli) -> None:
    """Each problem, then the sum, and exit code 1."""
    cli.enrol("alice")
    with cli.services() as services:
        write_column(services.database, "node", "metadata_sealed", b"x" * 100)
    done = cli("verify", "--json")
    assert done.code == ExitCode.FAILED
    assert [one.get("problem") for one in done.objects] == ["node_altered", None]
    assert done.objects[-1]["problems"] == 1
    assert "altered" in cli("verify").out


# ── settings
def test_config_show_prints_what_can_be_read_back(cli: Cli, tmp_path: Path) -> None:
    """A TOML file with the options as they are, in the same words as the example."""
    shown = tmp_path / "shown.toml"
    shown.write_text(cli("--set", "server.port=1234", "config", "show").out)
    assert "port = 1234" in shown.read_text()
    assert cli("--config", str(shown), "config", "check").code == ExitCode.OK
    assert cli("--config", str(shown), "config", "show").out == shown.read_text()


def test_config_show_hides_secrets(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL of a database may hold a password."""
    monkeypatch.setenv("DAVSERVER_STORAGE__DATABASE_URL", "sqlite:////hush-hush/place.db")
    shown = cli("config", "show").out
    assert 'database_url = "(hidden)"' in shown
    assert "hush-hush" not in shown


@pytest.mark.parametrize("assignment", ["server.port", "port=1", "=1", "server.=1"])
def test_a_malformed_assignment_says_how(cli: Cli, assignment: str) -> None:
    """`--set` is for every option, in one shape."""
    done = cli("--set", assignment, "config", "check")
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert "write it as --set section.key=value" in done.err
