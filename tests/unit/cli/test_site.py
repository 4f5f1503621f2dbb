"""What the command line does for the site: links, administrators, lost devices, the first steps of serve."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from davserver.cli.serve import _first_steps
from davserver.errors import NotFound
from davserver.model import AuthMethod
from davserver.settings import is_journal
from tests.factories import make_principal
from tests.unit.cli.conftest import PASSWORD, Cli


def test_an_invitation_is_a_link_that_makes_the_account(cli: Cli) -> None:
    """With name, quota and right as given; the same name cannot be invited once it is there."""
    done = cli("user", "invite", "Bob", "--admin", "--quota", "1KiB", "--json")
    (shown,) = done.objects
    assert shown["account"] == "bob"
    base, _, token = shown["link"].rpartition("/set-up/")
    assert base == "http://127.0.0.1:8080"
    with cli.services() as services:
        account = services.invitations.accept(token, "", PASSWORD)
        assert (account.username, account.quota) == ("bob", 1024)
        assert services.profiles.of(account.id).admin
        services.sign_in.with_password("bob", PASSWORD, client="192.0.2.1", method=AuthMethod.BROWSER)
    again = cli("user", "invite", "bob")
    assert (again.code, "already an account" in again.err) == (1, True)


def test_administrators_are_made_and_unmade(cli: Cli) -> None:
    """When the account is added, or later."""
    cli("user", "add", "alice", "--admin", "--password-stdin", answers=[PASSWORD])
    cli("user", "add", "bob", "--password-stdin", answers=[PASSWORD])

    def admins() -> list[bool]:
        with cli.services() as services:
            return [services.profiles.of(services.accounts.find(name).id).admin for name in ("alice", "bob")]

    assert admins() == [True, False]
    assert cli("user", "admin", "bob").code == 0
    assert "no longer an administrator" in cli("user", "admin", "alice", "--revoke").out
    assert admins() == [False, True]


def test_a_device_is_reset_by_name_or_by_identity(cli: Cli) -> None:
    """With a reason that the log keeps; every browser of the person is signed out."""
    with cli.services() as services:
        account = services.accounts.create("alice", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6")
        session = services.sessions.sign_in(None, make_principal(account, cli.clock))
    cli.capsys.readouterr()
    done = cli("totp", "reset", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "--reason", "stolen", "--json")
    assert done.objects == [{"account": "alice"}]
    with cli.services() as services:
        assert services.sessions.open(session.secret) is None
        log = (services.settings.log_folder / "app.log").read_text()
    assert '"actor": "(terminal)"' in log
    assert '"reason": "stolen"' in log
    assert cli("totp", "reset", "nobody").code == 1
    assert cli("totp", "reset", "alice", "--reason", "because").code == 2


def test_the_first_link_is_shown_while_there_is_nobody(cli: Cli) -> None:
    """It works; each start makes another one; without the site there is none."""
    with cli.services() as services:
        old, new = (
            _first_steps(services, "http://127.0.0.1:8080", dav_only=False, kept=False) for _ in range(2)
        )
        assert "set-up" not in _first_steps(services, "http://127.0.0.1:8080", dav_only=True, kept=False)
        tokens = [text.partition("http://127.0.0.1:8080/set-up/")[2].split()[0] for text in (old, new)]
        with pytest.raises(NotFound):
            services.invitations.find(tokens[0])
        assert services.invitations.find(tokens[1]).admin
        services.accounts.create("alice")
        assert "set-up" not in _first_steps(services, "http://127.0.0.1:8080", dav_only=False, kept=False)


def test_no_link_is_put_into_a_log_that_is_kept(cli: Cli) -> None:
    """Whoever may read the journal could make an administrator with it; the command for one is named."""
    with cli.services() as services:
        said = _first_steps(services, "http://127.0.0.1:8080", dav_only=False, kept=True)
        with services.database.read() as tx:
            assert tx.invitations.all() == []
    assert "/set-up/" not in said
    assert "user invite NAME --admin" in said


def test_the_journal_is_told_from_a_terminal_and_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By what systemd says of its socket: the variable is there too where output goes elsewhere."""
    reading, writing = os.pipe()
    try:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        assert not is_journal(writing)
        found = os.fstat(writing)
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert is_journal(writing)
        with (tmp_path / "server.out").open("w") as file:
            assert not is_journal(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", "nonsense")
        assert not is_journal(writing)
    finally:
        os.close(reading)
        os.close(writing)
    assert not is_journal(writing)


def test_gc_forgets_what_is_over(cli: Cli) -> None:
    """Sessions and links, beside contents."""
    with cli.services() as services:
        services.invitations.invite("bob")
        services.sessions.sign_in(None, make_principal(services.accounts.create("alice"), cli.clock))
    cli.clock.advance(days=2)
    assert cli("gc").code == 0
    with cli.services() as services, services.database.read() as tx:
        assert (tx.sessions.all(), tx.invitations.all()) == ([], [])


def test_another_password_signs_every_browser_out(cli: Cli) -> None:
    """Of this account; a password that was refused signs nobody out."""
    cli("user", "add", "alice", "--password-stdin", answers=[PASSWORD])
    with cli.services() as services:
        account = services.accounts.find("alice")
        other = services.accounts.create("bob")
        sessions = [
            services.sessions.sign_in(None, make_principal(one, cli.clock)) for one in (account, other)
        ]
    assert cli("user", "passwd", "alice", "--password-stdin", answers=["short"]).code == 1
    with cli.services() as services:
        assert services.sessions.open(sessions[0].secret) is not None
    assert cli("user", "passwd", "alice", "--password-stdin", answers=[f"{PASSWORD} 2"]).code == 0
    with cli.services() as services:
        assert [services.sessions.open(one.secret) is None for one in sessions] == [True, False]
