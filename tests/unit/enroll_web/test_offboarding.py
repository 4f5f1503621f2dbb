"""The site while somebody leaves at the identity provider, or while it says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from davserver.accounts.watch import RECHECK_SECONDS, Transfers
from davserver.clock import to_seconds
from davserver.errors import AuthenticationError, Unconfirmed
from davserver.identity.base import Identity
from davserver.model import AccountState
from enroll_web.app import create_app
from tests.fake_registry import Entry, FakeRegistry
from tests.unit.enroll_web.conftest import Browser, Site, made_site
from tests.unit.enroll_web.test_oidc import KEYCLOAK, Company, StandIn

SUBJECT = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"


@pytest.fixture
def seconds() -> list[float]:
    """What the clock of running transfers shows."""
    return [0.0]


@pytest.fixture
def company(tmp_path: Path, seconds: list[float]) -> Iterator[Company]:
    """Alice is known there."""
    registry = FakeRegistry(people={SUBJECT: Entry()})
    made = made_site(tmp_path, registry, identity=KEYCLOAK)
    site = next(made)
    identity = Identity(
        subject=SUBJECT,
        username="alice",
        name="Alice",
        email="",
        roles=frozenset({"dav-user"}),
        quota=None,
        sid="session 1",
        id_token="an ID token",
        auth_time=to_seconds(site.clock()),
    )
    provider = StandIn(site.clock, identity)
    transfers = Transfers(lambda: seconds[0])
    services = replace(site.services, single_sign_on=provider, transfers=transfers)
    app = create_app(services)
    app.logger.disabled = True
    yield Company(Site(app, services, site.clock), provider, registry)
    next(made, None)


@pytest.fixture
def alice(company: Company) -> Browser:
    """Alice, who has set everything up."""
    browser = company.signed_in()
    browser.set_up()
    return browser


def test_who_has_left_is_signed_out(company: Company, alice: Browser) -> None:
    """With both factors proved; the next page asks to sign in."""
    assert alice.get("/start").request.path == "/start"
    company.registry.people[SUBJECT].enabled = False
    company.site.clock.advance(seconds=50)
    assert alice.get("/start").request.path == "/sign-in"
    assert company.site.services.accounts.find("alice").state is AccountState.OFFBOARDED


def test_a_provider_that_says_nothing_is_said(company: Company, alice: Browser) -> None:
    """503 with a time to come back, for whoever is signed in; nobody is signed out by it."""
    company.registry.is_down()
    company.site.clock.advance(seconds=50)
    refused = alice.get("/start")
    assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
    assert "It has to say every minute that you may still come in" in refused.text
    assert company.site.browser().get("/").status_code == 200
    company.registry.is_back()
    company.site.clock.advance(seconds=50)
    assert alice.get("/start").request.path == "/start"


def test_who_is_back_signs_in_at_once(company: Company, alice: Browser) -> None:
    """However lately it was found that they had left; their device works again as well."""
    company.registry.people[SUBJECT].enabled = False
    company.site.clock.advance(seconds=50)
    with pytest.raises(AuthenticationError):
        company.site.opens("alice", alice.app_password)
    company.registry.people[SUBJECT].enabled = True
    company.site.clock.advance(seconds=1)
    browser = company.signed_in()
    assert browser.get("/second-factor").request.path == "/second-factor"
    assert company.site.opens("alice", alice.app_password)


def test_who_has_left_cannot_sign_in(company: Company, alice: Browser) -> None:
    """Whatever a token says that was made a moment before."""
    assert alice.app_password
    company.registry.people[SUBJECT].roles.clear()
    company.site.clock.advance(seconds=50)
    browser = company.site.browser()
    browser.post("/sign-in/sso", page="/sign-in", follow=False)
    answer = browser.get(f"/oidc/callback?state=state {len(company.provider.begun)}")
    assert (answer.status_code, "suspended" in answer.text) == (403, True)


@pytest.mark.parametrize("how", ["left", "nobody can tell"])
def test_a_running_archive_ends(company: Company, alice: Browser, seconds: list[float], how: str) -> None:
    """The answer is cut off, so that nobody takes the part for the whole."""
    token = alice.get("/my-data").text.partition('name="csrf" value="')[2].partition('"')[0]
    answer = alice.client.post(
        "/my-data/download",
        data={"csrf": token},
        base_url=alice.origin,
        headers={"Sec-Fetch-Site": "same-origin", "Origin": "null"},
        buffered=False,
    )
    blocks = iter(answer.response)
    assert next(blocks)
    if how == "left":
        company.registry.people[SUBJECT].enabled = False
    else:
        company.registry.is_down()
    company.site.clock.advance(seconds=50)
    seconds[0] += RECHECK_SECONDS
    with pytest.raises((AuthenticationError, Unconfirmed)):
        list(blocks)
    answer.close()
