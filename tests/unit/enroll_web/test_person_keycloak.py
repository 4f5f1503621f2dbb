"""What administrators see and do where people sign in at a Keycloak; it is a stand-in here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from davserver.accounts.audit_trail import Search
from davserver.audit import OFFBOARDING, AuditEvent
from davserver.errors import AuthenticationError, Unconfirmed
from davserver.model import AccountState
from tests.factories import make_principal
from tests.fake_registry import Entry
from tests.unit.enroll_web.conftest import Browser
from tests.unit.enroll_web.test_oidc import KEYCLOAK, Company, made_company
from tests.unit.enroll_web.test_person import WHY, facts

BOB = "/people/account/bob"
SUBJECT = "6fa459ea-ee8a-3ca4-894e-db77e160355e"


def make_admin(company: Company) -> None:
    """Whoever signs in has the role, by the provider's word at the sign-in and later on."""
    roles = {"dav-user", "dav-admin"}
    company.provider.identity = replace(company.provider.identity, roles=frozenset(roles))
    subject = company.provider.identity.subject
    company.registry.people[subject] = Entry(roles=roles, sessions={"session 1"})


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Alice administers the site; bob, whom the provider knows, has a device."""
    with contextmanager(made_company)(tmp_path, KEYCLOAK) as company:
        make_admin(company)
        company.registry.people[SUBJECT] = Entry()
        company.site.services.accounts.create("bob", SUBJECT)
        yield company


@pytest.fixture
def alice(company: Company) -> Browser:
    """Alice, who has set everything up."""
    browser = company.signed_in()
    browser.set_up()
    return browser


def device(company: Company) -> str:
    """A new app password of bob's."""
    services = company.site.services
    principal = make_principal(services.accounts.find("bob"), company.site.clock)
    return services.app_passwords.issue(principal, "Laptop").token


def said(page: str) -> str:
    """What is said of the provider's word."""
    return facts(page)["In Keycloak"]


def test_what_keycloak_says_in_plain_words(company: Company, alice: Browser) -> None:
    """Never asked, just now, a while ago, gone; with how long its word is good for."""
    token, clock = device(company), company.site.clock
    assert said(alice.get(BOB).text).startswith(
        "Keycloak was not asked about bob yet; it is at the next use."
    )
    assert company.site.opens("bob", token)
    clock.advance(seconds=20)
    grace = "Nothing is served 55 s after its last word."
    assert said(alice.get(BOB).text) == f"Keycloak confirmed bob 20 s ago. {grace}"
    clock.advance(seconds=100)
    assert said(alice.get(BOB).text).startswith("Keycloak last confirmed bob 120 s ago; it is asked again")
    at = clock.now
    company.registry.people[SUBJECT].enabled = False
    with pytest.raises(AuthenticationError):
        company.site.opens("bob", token)
    clock.advance(minutes=3)
    with pytest.raises(AuthenticationError):
        company.site.opens("bob", token)  # which asks again, and is told the same
    page = alice.get(BOB).text
    assert said(page) == f"Disabled in Keycloak since {at:%Y-%m-%d %H:%M} UTC."
    assert "It opens by itself when its owner is let in again there." in facts(page)["State"]
    listed = alice.get("/people").text
    assert ("shut by Keycloak" in listed, ">disabled<" in listed) == (True, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [("deleted", "Deleted in Keycloak since"), ("role", "Without the role dav-user in Keycloak since")],
)
def test_each_way_to_leave_has_its_words(company: Company, alice: Browser, change: str, words: str) -> None:
    """Not those of the program."""
    token = device(company)
    if change == "deleted":
        del company.registry.people[SUBJECT]
        company.registry.known = lambda subject: subject != SUBJECT
    else:
        company.registry.people[SUBJECT].roles.clear()
    with pytest.raises(AuthenticationError):
        company.site.opens("bob", token)
    assert said(alice.get(BOB).text).startswith(words)


def test_a_built_in_account_is_called_so(company: Company, alice: Browser) -> None:
    """Keycloak is not asked about it."""
    company.site.services.accounts.create("carol")
    page = alice.get("/people/account/carol").text
    assert said(page).startswith("Built in: Keycloak is not asked about it.")
    assert "55 s" not in said(page)


def test_a_keycloak_that_says_nothing_is_told(company: Company, alice: Browser) -> None:
    """With since when and what is wrong."""
    token = device(company)
    assert company.site.opens("bob", token)
    services = company.site.services
    assert services.rounds is not None
    company.registry.forbids()
    company.site.clock.advance(seconds=10)
    services.rounds.beat()
    page = alice.get(BOB).text
    assert 'role="alert"' in page
    found = re.search(r'role="alert">(.*?)</p>', page)
    assert found is not None
    assert unescape(found[1]).startswith(
        f"Keycloak confirms nobody since {company.site.clock():%Y-%m-%d %H:%M} UTC: "
    )


def test_no_administrator_opens_what_keycloak_has_shut(company: Company, alice: Browser) -> None:
    """The page does not offer it; the form is refused with what to do."""
    token = device(company)
    company.registry.people[SUBJECT].enabled = False
    with pytest.raises(AuthenticationError):
        company.site.opens("bob", token)
    assert f"{BOB}/resume" not in alice.get(BOB).text
    refused = alice.post(f"{BOB}/resume", page=f"{BOB}/resume")
    assert (refused.status_code, "let its owner in again there" in refused.text) == (403, True)
    assert "no such provider any more" not in refused.text
    assert company.site.services.accounts.find("bob").state is AccountState.OFFBOARDED


def test_a_suspension_outlives_what_keycloak_says(company: Company, alice: Browser) -> None:
    """Resumed, the account is what Keycloak makes of it: the page says if it is still shut."""
    token, services, clock = device(company), company.site.services, company.site.clock
    assert company.site.opens("bob", token)
    company.registry.people[SUBJECT].enabled = False
    clock.advance(seconds=50)
    with pytest.raises(AuthenticationError):
        company.site.opens("bob", token)
    alice.post(f"{BOB}/suspend", {"reason": WHY})
    at = clock.now
    company.registry.people[SUBJECT].enabled = True
    assert services.rounds is not None
    for _ in range(12):
        clock.advance(seconds=5)
        services.rounds.beat()
        with pytest.raises((AuthenticationError, Unconfirmed)):
            company.site.opens("bob", token)
    page = alice.get(BOB).text
    assert services.accounts.find("bob").state is AccountState.SUSPENDED
    assert "suspended" in facts(page)["State"]
    assert said(page).startswith(f"Disabled in Keycloak, as it said at {at:%Y-%m-%d %H:%M} UTC.")
    answer = alice.post(f"{BOB}/resume", page=f"{BOB}/resume")
    assert "Keycloak does not let its owner in" in answer.text
    assert services.accounts.find("bob").state is AccountState.OFFBOARDED
    assert company.site.opens("bob", token)
    assert "active" in facts(alice.get(BOB).text)["State"]


def test_what_belongs_to_built_in_accounts_is_not_there(company: Company, alice: Browser) -> None:
    """Roles make administrators: none is made here, nor shown as one who was."""
    services = company.site.services
    services.profiles.set_admin(services.accounts.find("bob"), admin=True)
    page = alice.get(BOB).text
    assert "dministrator" not in page
    assert ">administrator<" not in alice.get("/people").text
    for act in ("make-administrator", "take-administrator"):
        assert alice.get(f"{BOB}/{act}").status_code == 404
        assert alice.post(f"{BOB}/{act}", {"reason": WHY}, page="/sign-out").status_code == 404
    assert "Invite somebody" not in alice.get("/people").text


def test_a_quota_from_keycloak_is_called_so(company: Company, alice: Browser) -> None:
    """From the first sign-in on; what an administrator sets counts until the next, and the page says so."""
    identity = replace(company.provider.identity, quota=5 * 2**30)
    company.provider.identity = replace(
        identity, subject="2c5ea4c0-4067-11e9-8bad-9b1deb4d3b7d", username="dave"
    )
    company.signed_in()
    path = "/people/account/dave"
    assert facts(alice.get(path).text)["Stored"].startswith("0 B of 5 GiB (from Keycloak);")
    form = alice.get(f"{path}/quota").text
    assert "the present quota is from there" in form
    alice.post(f"{path}/quota", {"quota": "6 GiB"})
    assert facts(alice.get(path).text)["Stored"].startswith("0 B of 6 GiB (set by alice);")
    assert "the present quota is from there" not in alice.get(f"{path}/quota").text
    company.signed_in()
    assert facts(alice.get(path).text)["Stored"].startswith("0 B of 5 GiB (from Keycloak);")


def test_tokens_are_ended_without_a_browser(company: Company, alice: Browser) -> None:
    """What was proved in a session at Keycloak counts no more, although no browser is signed in."""
    services, bob = company.site.services, company.site.services.accounts.find("bob")
    principal = make_principal(bob, company.site.clock)
    session = services.sessions.prove(
        services.sessions.sign_in(None, principal, provider_session="his"), principal, {}
    )
    assert session.row.provider_session is not None
    with services.database.write() as tx:  # as if it had been silent for so long that it was forgotten
        tx.sessions.delete_of(bob.id)
        tx.commit()
    assert "End tokens" in alice.get(BOB).text
    alice.post(f"{BOB}/sign-out", {"reason": WHY})
    with services.database.read() as tx:
        assert tx.proofs.find(session.row.provider_session) is None
    entry = services.audit_trail.latest(Search(event=AuditEvent.SIGNED_OUT), limit=1, by="test")[0]
    assert (entry.account, entry.actor, entry.reason) == ("bob", "alice", WHY)


def test_with_keycloak_s_own_factor(tmp_path: Path) -> None:
    """The list does not say that nobody has an authenticator, and none of ours is reset."""
    settings = {**KEYCLOAK, "second_factor": "keycloak", "required_acr": "mfa"}
    with contextmanager(made_company)(tmp_path, settings) as company:
        make_admin(company)
        alice = company.signed_in()
        listed = alice.get("/people").text
        assert 'data-head="Authenticator">in Keycloak<' in listed
        assert 'data-head="Authenticator">none<' not in listed
        page = alice.get("/people/account/alice").text
        assert facts(page)["Authenticator"] == "in Keycloak"
        assert "Reset authenticator" not in page
        assert alice.get("/people/account/alice/reset").status_code == 404
        company.site.clock.advance(minutes=6)
        asked = alice.get("/people/account/alice/quota")
        assert (asked.request.path, asked.request.args["next"]) == (
            "/oidc/confirm",
            "/people/account/alice/quota",
        )


def test_who_acts_in_the_place_of_keycloak_has_a_name(company: Company, alice: Browser) -> None:
    """An account that it has shut was shut by it, also for whoever reads the audit log."""
    token = device(company)
    company.registry.people[SUBJECT].enabled = False
    with pytest.raises(AuthenticationError):
        company.site.opens("bob", token)
    shut = company.site.services.roster.of(company.site.services.accounts.find("bob")).shut
    assert shut is not None
    assert (shut.by, shut.reason) == (OFFBOARDING, "disabled")
    assert "disabled" in alice.get("/people/audit?account=bob").text
