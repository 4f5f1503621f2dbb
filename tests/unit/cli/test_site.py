"""What the command line does for the site: links, administrators, lost devices, the first steps of serve."""

from __future__ import annotations

import pytest

from davserver.cli.serve import _first_steps
from davserver.errors import NotFound
from davserver.model import AuthMethod
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
        old, new = (_first_steps(services, "http://127.0.0.1:8080", dav_only=False) for _ in range(2))
        assert "set-up" not in _first_steps(services, "http://127.0.0.1:8080", dav_only=True)
        tokens = [text.partition("http://127.0.0.1:8080/set-up/")[2].split()[0] for text in (old, new)]
        with pytest.raises(NotFound):
            services.invitations.find(tokens[0])
        assert services.invitations.find(tokens[1]).admin
        services.accounts.create("alice")
        assert "set-up" not in _first_steps(services, "http://127.0.0.1:8080", dav_only=False)


def test_gc_forgets_what_is_over(cli: Cli) -> None:
    """Sessions and links, beside contents."""
    with cli.services() as services:
        services.invitations.invite("bob")
        services.sessions.sign_in(None, make_principal(services.accounts.create("alice"), cli.clock))
    cli.clock.advance(days=2)
    assert cli("gc").code == 0
    with cli.services() as services, services.database.read() as tx:
        assert (tx.sessions.all(), tx.invitations.all()) == ([], [])
