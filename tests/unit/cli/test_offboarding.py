"""What the command line says of people whom an identity provider knows."""

from __future__ import annotations

import pytest

from davserver.accounts.offboarding import Offboarding
from davserver.accounts.second_factor import ProviderSessions
from davserver.accounts.verdicts import ROLE_MISSING, News, Standing
from davserver.cli.exits import ExitCode
from davserver.clock import to_seconds
from tests.unit.cli.conftest import Cli


@pytest.fixture
def company(cli: Cli) -> Cli:
    """The command line of a company with an account, whose owner nobody has asked about."""
    for name, value in {
        "PROVIDER": "keycloak",
        "ISSUER": "http://127.0.0.1:9/realms/test",
        "CLIENT_ID": "sealdav",
        "CLIENT_SECRET": "public knowledge",
        "ON_PASSWORD_RESET": "suspend",
    }.items():
        cli.monkeypatch.setenv(f"DAVSERVER_IDENTITY__{name}", value)
    with cli.services() as services:
        services.accounts.create("alice", "sub-alice")
    return cli


def hear(cli: Cli, *news: News) -> None:
    """What the provider says of alice."""
    with cli.services() as services:
        sessions = ProviderSessions(services.database, services.keyring, services.clock)
        offboarding = Offboarding(services.database, services.keyring, sessions, services.audit)
        offboarding.learn(services.accounts.find("alice").id, news)


def now(cli: Cli) -> int:
    """This second."""
    return to_seconds(cli.clock())


def test_a_confirmation_is_shown_with_its_age(company: Cli) -> None:
    """In seconds; before the first one, that there is none."""
    assert "has not confirmed alice yet" in company("user", "show", "alice").out
    hear(company, News(now(company), standing=Standing.ENABLED, has_role=True))
    company.clock.advance(seconds=20)
    assert "keycloak       confirmed alice 20 s ago" in company("user", "show", "alice").out
    company.clock.advance(hours=2)
    assert "confirmed alice 2:00:20 ago" in company("user", "show", "alice").out
    (shown,) = company("user", "show", "alice", "--json").objects
    assert shown["keycloak"]["confirmed_at"] is not None
    assert shown["keycloak"]["left_at"] is None


def test_who_has_left_is_shown_with_the_reason(company: Cli) -> None:
    """And only the provider opens the account again."""
    hear(company, News(now(company), standing=Standing.ENABLED, has_role=False))
    shown = company("user", "show", "alice").out
    assert "alice, offboarded" in shown
    assert f"alice has left: {ROLE_MISSING}" in shown
    refused = company("user", "resume", "alice")
    assert (refused.code, "shut by the identity provider" in refused.err) == (ExitCode.REFUSED, True)
    assert company("user", "suspend", "alice").code == ExitCode.OK
    assert company("user", "resume", "alice").code == ExitCode.OK


def test_what_is_wrong_is_shown(company: Cli) -> None:
    """Devices that wait, and a provider that says nothing."""
    hear(company, News(now(company), standing=Standing.ENABLED, has_role=True, password_at=1))
    hear(company, News(now(company), password_at=2))
    with company.services() as services:
        assert services.rounds is not None
        lease = services.rounds._lease  # noqa: SLF001 - as a server that runs beside the command
        lease.hold(now(company))
        lease.note("it is away", now(company))
    shown = company("user", "show", "alice").out
    assert "devices wait until both factors are proved" in shown
    assert "nobody can be confirmed since 2030-01-02 03:04: it is away" in shown


def test_built_in_accounts_have_no_such_line(cli: Cli, company: Cli) -> None:
    """With and without a provider."""
    with company.services() as services:
        services.accounts.create("bob")
    assert "keycloak" not in company("user", "show", "bob").out
    assert "keycloak" not in company("user", "show", "bob", "--json").objects[0]
    cli.monkeypatch.delenv("DAVSERVER_IDENTITY__PROVIDER")
    assert "keycloak" not in cli("user", "show", "alice").out
