"""Signing in and out at an identity provider, as far as the site's pages go; the provider is a stand-in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from davserver.accounts.sign_in import ELSEWHERE_RULE
from davserver.clock import Clock, to_seconds
from davserver.errors import (
    ClockMismatch,
    DavserverError,
    ProviderMisconfigured,
    ProviderUnavailable,
    RoleMissing,
    SignInCancelled,
    SignInStale,
    TokenRefused,
)
from davserver.identity.base import Identity, LogoutNotice, Pending
from enroll_web.app import create_app
from tests.fake_registry import FakeRegistry
from tests.unit.enroll_web.conftest import Browser, Site, made_site

ISSUER = "http://127.0.0.1:9/realms/test"
PROVIDER = "http://127.0.0.1:9"

KEYCLOAK = {
    "provider": "keycloak",
    "issuer": ISSUER,
    "client_id": "dav-web",
    "client_secret": "public knowledge",
}


@dataclass
class StandIn:
    """A provider that knows whoever `identity` says, and fails with `error` where there is one."""

    clock: Clock
    identity: Identity
    error: DavserverError | None = None
    begun: list[int | None] = field(default_factory=list)
    notice: LogoutNotice | None = None

    def begin(self, redirect_uri: str, *, max_age: int | None = None) -> tuple[str, Pending]:
        """See `SingleSignOn.begin`."""
        self._fail()
        self.begun.append(max_age)
        state = f"state {len(self.begun)}"
        pending = Pending(state, "nonce", "verifier", redirect_uri, to_seconds(self.clock()), max_age)
        return f"{PROVIDER}/auth?state={len(self.begun)}", pending

    def finish(self, pending: Pending, callback: Mapping[str, str]) -> Identity:
        """See `SingleSignOn.finish`."""
        self._fail()
        if callback.get("state") != pending.state:
            raise SignInStale("another one's answer")
        return self.identity

    def logout_url(self, id_token: str, return_to: str) -> str:
        """See `SingleSignOn.logout_url`."""
        self._fail()
        return f"{PROVIDER}/logout?hint={id_token}&to={return_to}"

    def verify_logout_token(self, token: str) -> LogoutNotice:
        """See `SingleSignOn.verify_logout_token`."""
        self._fail()
        if self.notice is None or token != "the right one":
            raise TokenRefused("not a logout token")
        return self.notice

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class Company:
    """The site of a company, its provider, and who is asked there about people."""

    site: Site
    provider: StandIn
    registry: FakeRegistry

    def signed_in(self) -> Browser:
        """Somebody back from the provider."""
        browser = self.site.browser()
        browser.post("/sign-in/sso", page="/sign-in", follow=False)
        browser.get(f"/oidc/callback?state=state {len(self.provider.begun)}")
        return browser


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """Alice, who is known there and has just typed her password."""
    yield from made_company(tmp_path, KEYCLOAK)


def made_company(folder: Path, settings: Mapping[str, object]) -> Iterator[Company]:
    """The site with these settings of `[identity]`; alice has just signed in at the provider."""
    registry = FakeRegistry(known=lambda _subject: True)
    made = made_site(folder, registry, identity=settings)
    site = next(made)
    identity = Identity(
        subject="f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
        username="alice",
        name="Alice",
        email="alice@example.org",
        roles=frozenset({"dav-user"}),
        quota=None,
        sid="session 1",
        id_token="an ID token",
        auth_time=to_seconds(site.clock()),
    )
    provider = StandIn(site.clock, identity)
    services = replace(site.services, single_sign_on=provider)
    app = create_app(services)
    app.logger.disabled = True
    yield Company(Site(app, services, site.clock), provider, registry)
    next(made, None)


def test_one_button_leads_there_and_back(company: Company) -> None:
    """Then the second factor is set up here, and the first app password works: three pages."""
    browser = company.site.browser()
    page = browser.get("/sign-in")
    assert 'name="password"' not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert f"form-action 'self' {PROVIDER}" in policy.split("; ")
    away = browser.post("/sign-in/sso", page="/sign-in", follow=False)
    assert (away.status_code, away.headers["Location"]) == (303, f"{PROVIDER}/auth?state=1")
    assert browser.get("/oidc/callback?state=state 1").request.path == "/second-factor/set-up"
    assert browser.set_up().request.path == "/welcome"
    assert company.site.opens("alice", browser.app_password)
    account = company.site.services.accounts.find("alice")
    assert company.site.services.profiles.of(account.id).email == "alice@example.org"


def test_an_answer_is_for_the_browser_that_asked_and_once(company: Company) -> None:
    """Without having asked, with another state, or a second time nobody is signed in."""
    asked = company.site.browser()
    asked.post("/sign-in/sso", page="/sign-in", follow=False)
    stranger = company.site.browser()
    assert stranger.get("/oidc/callback?state=state 1").status_code == 403
    assert asked.get("/oidc/callback?state=other").status_code == 403
    assert asked.get("/oidc/callback?state=state 1").status_code == 403
    assert asked.get("/start").request.path == "/sign-in"


def test_t48_nobody_fills_the_database_by_beginning_to_sign_in(company: Company) -> None:
    """T48: after a hundred from one address that nobody finished: 429, and no row; elsewhere all goes on."""
    for _ in range(ELSEWHERE_RULE.free):
        assert company.site.browser().post("/sign-in/sso", page="/sign-in", follow=False).status_code == 303
    refused = company.site.browser().post("/sign-in/sso", page="/sign-in", follow=False)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    with company.site.services.database.read() as tx:
        assert len(tx.sessions.all()) == ELSEWHERE_RULE.free
    elsewhere = company.site.browser()
    elsewhere.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    assert elsewhere.post("/sign-in/sso", page="/sign-in", follow=False).status_code == 303


def test_whoever_finishes_may_begin_again(company: Company) -> None:
    """An office behind one address is not slowed down, nor somebody who proves anew who it is."""
    for _ in range(2):
        for _ in range(ELSEWHERE_RULE.free - 1):
            company.site.browser().post("/sign-in/sso", page="/sign-in", follow=False)
        browser = company.signed_in()
        assert browser.get("/start").request.path == "/second-factor/set-up"
    for _ in range(ELSEWHERE_RULE.free + 1):
        assert browser.post("/sign-in/sso", page="/sign-out", follow=False).status_code == 303


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ProviderUnavailable("x"), 503, "does not answer"),
        (ProviderMisconfigured("x"), 500, "does not know us"),
        (SignInCancelled("x"), 403, "You turned back"),
        (SignInStale("x"), 403, "begin again"),
        (ClockMismatch("x"), 500, "clock of this server"),
        (RoleMissing("x"), 403, "role dav-user"),
        (TokenRefused("x"), 403, "not believed"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_failure_is_a_page_that_says_what_to_do(
    company: Company, error: DavserverError, status: int, words: str
) -> None:
    """At the way out as well as at the way back; nobody is signed in."""
    browser = company.site.browser()
    browser.post("/sign-in/sso", page="/sign-in", follow=False)
    company.provider.error = error
    for response in (
        browser.get("/oidc/callback?state=state 1"),
        browser.post("/sign-in/sso", page="/sign-in"),
    ):
        assert response.status_code == status
        assert words in response.text
        assert "Traceback" not in response.text
    assert browser.get("/start").request.path == "/sign-in"


def test_an_old_sign_in_over_there_does_not_set_up_a_device(company: Company) -> None:
    """A single sign-on of this morning has to be renewed before a second factor is made here."""
    auth_time = to_seconds(company.site.clock()) - 3600
    company.provider.identity = replace(company.provider.identity, auth_time=auth_time)
    browser = company.signed_in()
    page = browser.get("/second-factor/set-up")
    assert page.request.path == "/sign-in"
    assert "sign in once more" in page.text
    browser.post("/sign-in/sso", page="/sign-in", follow=False)
    assert company.provider.begun == [None, 0]


def test_administrators_are_made_over_there(company: Company) -> None:
    """By the role, at each sign-in; links and passwords of ours are not to be had."""
    admin = company.signed_in()
    admin.set_up()
    assert admin.get("/people").status_code == 403
    roles = frozenset({"dav-user", "dav-admin"})
    company.provider.identity = replace(company.provider.identity, roles=roles)
    other = company.signed_in()
    other.secret = admin.secret
    assert other.get("/people").request.path == "/second-factor"
    other.prove()
    assert other.get("/people").status_code == 200
    for path in ("/people/invite", "/password", "/set-up/x"):
        assert other.get(path).status_code == 404
    assert (
        other.post("/sign-in", {"name": "alice", "password": "x"}, page="/sign-out").request.path == "/start"
    )


def test_signing_out_here_signs_out_there(company: Company) -> None:
    """With the ID token as a hint; if nobody answers there, it is done here all the same."""
    browser = company.signed_in()
    away = browser.post("/sign-out", follow=False)
    assert away.headers[
        "Location"
    ] == f"{PROVIDER}/logout?hint=an ID token&to=https://drive.example/".replace(" ", "%20")
    assert browser.get("/start").request.path == "/sign-in"
    browser = company.signed_in()
    company.provider.error = ProviderUnavailable("x")
    assert browser.post("/sign-out").request.path == "/signed-out"


def test_being_silent_does_not_sign_out_there(company: Company) -> None:
    """A time-out here ends our session only: the next sign-in asks for nothing more than before."""
    browser = company.signed_in()
    company.site.clock.advance(minutes=16)
    assert browser.get("/start").request.path == "/sign-in"
    browser.post("/sign-in/sso", page="/sign-in", follow=False)
    assert company.provider.begun[-1] is None


@pytest.mark.parametrize("by", ["sid", "sub"])
def test_t45_a_notice_ends_the_session(company: Company, by: str) -> None:
    """T45: by session, or by person; the browsers of others go on."""
    browser = company.signed_in()
    other_identity = replace(company.provider.identity, subject="other", username="bob", sid="session 2")
    mine = company.provider.identity
    company.provider.identity = other_identity
    bob = company.signed_in()
    company.provider.notice = LogoutNotice(
        sub=mine.subject if by == "sub" else "", sid=mine.sid if by == "sid" else "", jti="1"
    )
    with capture_logs() as lines:
        told = company.site.app.test_client().post(
            "/oidc/backchannel-logout",
            data={"logout_token": "the right one"},
            base_url="http://drive.example",
        )
    assert told.status_code == 200
    recorded = [(line["event"], line["account"], line["actor"]) for line in lines]
    assert recorded == [("signed-out", "alice", "(identity provider)")]
    assert told.headers["Cache-Control"] == "no-store"
    assert browser.get("/sign-out").request.path == "/sign-in"
    assert bob.get("/sign-out").request.path == "/sign-out"


@pytest.mark.parametrize("form", [{}, {"logout_token": "forged"}])
def test_t45_a_forged_notice_ends_nothing(company: Company, form: dict[str, str]) -> None:
    """T45: 400, and everybody goes on."""
    browser = company.signed_in()
    company.provider.notice = LogoutNotice(company.provider.identity.subject, "session 1", "1")
    told = company.site.app.test_client().post("/oidc/backchannel-logout", data=form)
    assert told.status_code == 400
    assert browser.get("/sign-out").request.path == "/sign-out"


def test_a_notice_about_a_stranger_is_no_error(company: Company) -> None:
    """Somebody who signed in elsewhere only."""
    company.provider.notice = LogoutNotice("never here", "", "1")
    told = company.site.app.test_client().post(
        "/oidc/backchannel-logout", data={"logout_token": "the right one"}
    )
    assert told.status_code == 200


def test_without_a_provider_there_are_no_such_pages(site: Site) -> None:
    """The addresses answer as any that does not exist."""
    assert site.browser().get("/oidc/callback").status_code == 404
    assert site.app.test_client().post("/oidc/backchannel-logout").status_code == 404
    assert site.browser().post("/sign-in/sso", page="/sign-in").status_code == 404


def test_what_a_session_keeps_is_sealed(company: Company) -> None:
    """The ID token is nowhere in the database, not even for whoever has its master key."""
    company.signed_in()
    with company.site.services.database.read() as tx:
        (row,) = tx.sessions.all()
    assert b"an ID token" not in row.data_sealed
    assert b"session 1" not in (row.provider_session or b"")
