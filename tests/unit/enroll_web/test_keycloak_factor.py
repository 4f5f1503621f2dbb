"""The site where Keycloak asks for the second factor: one sign-in proves both, no page of ours asks again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from davserver.clock import to_seconds
from davserver.errors import SecondFactorMissing
from tests.unit.enroll_web.conftest import Browser
from tests.unit.enroll_web.test_oidc import KEYCLOAK, PROVIDER, Company, made_company

STEP_UP = {**KEYCLOAK, "second_factor": "keycloak", "required_acr": "mfa"}


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Alice, who has just proved both factors at the provider."""
    yield from made_company(tmp_path, STEP_UP)


def again(company: Company, browser: Browser, page: TestResponse) -> TestResponse:
    """Press the one button of the page that asks for a fresh sign-in, and come back."""
    assert page.request.path == "/oidc/confirm"
    form = {"csrf": "", "next": page.request.args["next"]}
    company.provider.identity = replace(company.provider.identity, auth_time=to_seconds(company.site.clock()))
    path = f"/oidc/confirm?next={form['next']}"
    away = browser.post("/sign-in/sso", {"next": form["next"]}, page=path, follow=False)
    assert away.headers["Location"].startswith(f"{PROVIDER}/auth")
    return browser.get(f"/oidc/callback?state=state {len(company.provider.begun)}")


def test_one_sign_in_is_enough(company: Company) -> None:
    """No set-up, no recovery codes: from the provider to the start page, and on to an app password."""
    browser = company.signed_in()
    assert browser.get("/").request.path == "/start"
    page = browser.get("/start")
    assert "recovery codes" not in page.text
    browser.post("/app-passwords/new", {"label": "laptop", "scope": "full", "days": "30"})
    assert company.site.opens("alice", browser.app_password)


def test_where_somebody_wanted_to_go(company: Company) -> None:
    """As with our own codes: the sign-in leads there."""
    browser = company.site.browser()
    assert browser.get("/app-passwords").request.path == "/sign-in"
    browser.post("/sign-in/sso", {"next": "/app-passwords"}, page="/sign-in", follow=False)
    assert browser.get("/oidc/callback?state=state 1").request.path == "/app-passwords"


def test_a_sign_in_without_the_second_factor(company: Company) -> None:
    """Nobody is signed in; the page says what to do."""
    browser = company.site.browser()
    browser.post("/sign-in/sso", page="/sign-in", follow=False)
    company.provider.error = SecondFactorMissing("x")
    page = browser.get("/oidc/callback?state=state 1")
    assert page.status_code == 403
    assert "did not ask for a one-time code" in page.text
    company.provider.error = None
    assert browser.get("/start").request.path == "/sign-in"


@pytest.mark.parametrize("path", ["/app-passwords/new", "/my-data/delete"])
def test_what_is_sensitive_needs_a_fresh_sign_in_there(company: Company, path: str) -> None:
    """Five minutes after the second factor one more is asked for, with everything typed again; then on."""
    browser = company.signed_in()
    assert browser.get(path).request.path == path
    company.site.clock.advance(minutes=5, seconds=1)
    page = again(company, browser, browser.get(path))
    assert page.request.path == path
    assert company.provider.begun[-1] == 0
    assert browser.get(path).request.path == path


def test_a_sign_in_of_this_morning_is_not_fresh(company: Company) -> None:
    """Single sign-on proves who it is, not that somebody is there now."""
    company.provider.identity = replace(
        company.provider.identity, auth_time=to_seconds(company.site.clock()) - 3600
    )
    browser = company.signed_in()
    assert browser.get("/start").request.path == "/start"
    assert browser.get("/app-passwords/new").request.path == "/oidc/confirm"


@pytest.mark.parametrize(
    "path",
    [
        "/second-factor",
        "/second-factor/set-up",
        "/second-factor/lost",
        "/second-factor/new-recovery-codes",
        "/confirm",
        "/welcome",
    ],
)
def test_our_own_pages_for_it_are_gone(company: Company, path: str) -> None:
    """Whoever could set up a device of ours would have a second way in."""
    browser = company.signed_in()
    assert browser.get(path).status_code == 404
    assert browser.post(path, {"code": "123456"}, page="/sign-out").status_code in {404, 405}


def test_no_page_leads_to_them(company: Company) -> None:
    """Neither links nor words about an authenticator of ours."""
    browser = company.signed_in()
    for path in ("/", "/start", "/security", "/app-passwords", "/my-data"):
        text = browser.get(path).text
        assert "second-factor" not in text
        assert "authenticator app" not in text
    assert "looked after in Keycloak" in browser.get("/security").text


def test_a_session_from_before_the_setting(company: Company) -> None:
    """Whoever had typed only a password when the server was restarted is led to sign in, not in circles."""
    services = replace(company.site.services, step_up=None)
    company.site.app.extensions["services"] = services
    browser = company.signed_in()
    company.site.app.extensions["services"] = company.site.services
    assert browser.get("/start").request.path == "/sign-in"


def test_with_our_own_factor_there_is_no_such_page(tmp_path: Path) -> None:
    """Whoever has proved ours is asked for ours."""
    with contextmanager(made_company)(tmp_path, KEYCLOAK) as company:
        browser = company.signed_in()
        browser.set_up()
        company.site.clock.advance(minutes=6)
        assert browser.get("/app-passwords/new").request.path == "/confirm"
