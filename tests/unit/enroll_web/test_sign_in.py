"""Signing in and out with built-in accounts; what a session is worth, and when it ends."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest

from davserver.audit import AuditEvent
from davserver.errors import AuthenticationError
from enroll_web.entrance import safe_next
from tests.unit.enroll_web.conftest import ORIGIN, PASSWORD, Browser, Site

_RANDOM = re.compile("(?:nonce-)?[A-Za-z0-9_-]{43}")
"""Cookies, form tokens and nonces."""


def test_both_factors_lead_to_the_start_page(site: Site, alice: Browser) -> None:
    """Password, code, start; the first page then leads there at once."""
    browser = site.browser()
    browser.secret = alice.secret
    assert browser.sign_in().request.path == "/second-factor"
    assert browser.prove().request.path == "/start"
    assert browser.get("/").request.path == "/start"
    assert browser.get("/sign-in").request.path == "/start"


@pytest.mark.parametrize("path", ["/start", "/app-passwords", "/my-data", "/people", "/password", "/confirm"])
def test_the_password_alone_opens_nothing(site: Site, alice: Browser, path: str) -> None:
    """Whoever has only the first factor is led to the second, whatever is asked for."""
    browser = site.browser()
    browser.sign_in()
    assert browser.get(path).request.path == "/second-factor"
    assert alice.app_password not in browser.get(path).text


@pytest.mark.usefixtures("alice")
def test_t42_wrong_name_and_wrong_password_look_alike(site: Site) -> None:
    """T42: status, headers and page do not tell whether there is such an account, to the letter."""
    answers = set()
    for name, password in (("alice", "wrong wrong"), ("nobody", PASSWORD), ("alice", "")):
        response = site.browser().sign_in(name, password)
        page = _RANDOM.sub("random", response.text.replace(f'value="{name}"', ""))
        fields = _RANDOM.sub("random", str(sorted(response.headers.items(lower=True))))
        fields = re.sub(r"'content-length', '\d+'", "", fields)  # the name is as long as it is
        answers.add((response.status_code, page, fields))
    ((status, page, _),) = answers
    assert status == 403
    assert "is not right" in page


def test_what_was_typed_is_not_put_back(site: Site) -> None:
    """The name is, the password never."""
    page = site.browser().sign_in("somebody", "the wrong secret").text
    assert 'value="somebody"' in page
    assert "the wrong secret" not in page


def test_markup_in_a_name_is_shown_as_text(site: Site) -> None:
    """Nothing that is typed becomes part of the page's code."""
    page = site.browser().sign_in('"><script>alert(1)</script>', "x").text
    assert "<script>alert" not in page


@pytest.mark.usefixtures("alice")
def test_t48_too_many_attempts_are_answered_with_429(site: Site) -> None:
    """T48: with the seconds to wait, then doubled; and nobody is locked out elsewhere by it."""
    thief = site.browser()
    for _ in range(5):
        assert thief.sign_in(password="wrong wrong").status_code == 403
    refused = thief.sign_in(password=PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert "Too many attempts" in refused.text
    elsewhere = site.browser()
    elsewhere.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    assert elsewhere.sign_in().request.path == "/second-factor"
    site.clock.advance(seconds=61)
    assert thief.sign_in().request.path == "/second-factor"


def test_t48_codes_are_throttled_too(site: Site, alice: Browser) -> None:
    """T48, T41: five wrong codes, then 429; the right one has to wait as well."""
    browser = site.browser()
    browser.secret = alice.secret
    browser.sign_in()
    for _ in range(5):
        assert browser.post("/second-factor", {"code": "000000"}).status_code == 403
    refused = browser.post("/second-factor", {"code": browser.code()})
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0


def test_a_suspended_account_does_not_come_in(site: Site, alice: Browser) -> None:
    """Neither a new sign-in nor the session that was there."""
    site.services.accounts.suspend("alice")
    assert alice.get("/start").request.path == "/sign-in"
    response = site.browser().sign_in()
    assert response.status_code == 403
    assert "suspended" in response.text


# ── T46
def test_t46_the_secret_changes_with_every_step(site: Site, alice: Browser) -> None:
    """T46: before sign-in, after it, after the code, after the step-up; the older ones are worthless."""
    browser = site.browser()
    browser.secret = alice.secret
    seen = []
    browser.get("/sign-in")
    seen.append(browser.cookie)
    browser.sign_in()
    seen.append(browser.cookie)
    browser.prove()
    seen.append(browser.cookie)
    browser.confirm()
    seen.append(browser.cookie)
    assert len(set(seen)) == 4
    for old in seen[:-1]:
        thief = site.browser()
        thief.client.set_cookie("__Host-sealdav", old, domain="drive.example", secure=True)
        assert thief.get("/start").request.path == "/sign-in"


def test_t46_a_secret_that_was_planted_is_not_kept(site: Site, alice: Browser) -> None:
    """T46: whoever gave the victim a cookie beforehand does not have the one after sign-in."""
    planted = "A" * 43
    victim = site.browser()
    victim.secret = alice.secret
    victim.client.set_cookie("__Host-sealdav", planted, domain="drive.example", secure=True)
    victim.sign_in()
    victim.prove()
    assert victim.cookie != planted
    thief = site.browser()
    thief.client.set_cookie("__Host-sealdav", planted, domain="drive.example", secure=True)
    assert thief.get("/start").request.path == "/sign-in"


def test_t46_a_silent_browser_is_signed_out(site: Site, alice: Browser) -> None:
    """T46: 15 minutes; requests in between keep it."""
    for _ in range(4):
        site.clock.advance(minutes=14)
        assert alice.get("/start").request.path == "/start"
    site.clock.advance(minutes=15, seconds=1)
    assert alice.get("/start").request.path == "/sign-in"


def test_t46_after_twelve_hours_it_ends(site: Site, alice: Browser) -> None:
    """T46: however busy it was."""
    for _ in range(12 * 6):
        site.clock.advance(minutes=10)
        last = alice.get("/start", follow=False).status_code
        site.clock.advance(seconds=-1)  # the code was typed half a minute after the password
    assert last == 200
    site.clock.advance(minutes=5)
    assert alice.get("/start").request.path == "/sign-in"


def test_t46_signing_out_ends_it_on_the_server(site: Site, alice: Browser) -> None:
    """T46: who has kept the cookie has nothing; the cookie goes; the audit log knows."""
    kept = alice.cookie
    response = alice.post("/sign-out")
    assert response.request.path == "/signed-out"
    assert alice.cookie == ""
    thief = site.browser()
    thief.client.set_cookie("__Host-sealdav", kept, domain="drive.example", secure=True)
    assert thief.get("/start").request.path == "/sign-in"
    with site.services.database.read() as tx:
        assert tx.sessions.all() == []


def test_sign_out_is_for_people_who_are_signed_in(site: Site) -> None:
    """Nobody else is shown the button."""
    assert site.browser().get("/sign-out").request.path == "/sign-in"


def test_t46_an_old_code_is_not_fresh(site: Site, alice: Browser) -> None:
    """T46: five minutes after the code, credentials need another one, by page and by form."""
    paths = ("/app-passwords/new", "/people/invite", "/my-data/delete", "/second-factor/new-recovery-codes")
    forms = ("/app-passwords/new", "/app-passwords/revoke-all", "/my-data/download", "/people/invite")
    site.clock.advance(minutes=5)
    assert all(alice.get(path).request.path == path for path in paths)
    site.clock.advance(seconds=1)
    assert all(alice.get(path).request.path == "/confirm" for path in paths)
    assert all(alice.post(path, page="/sign-out").request.path == "/confirm" for path in forms)


# ── T40
def test_t40_a_cookie_opens_no_drive(site: Site, alice: Browser) -> None:
    """T40: what is in it, before and after the code, is no app password, under no name."""
    before = site.browser()
    before.sign_in()
    for secret in (before.cookie, alice.cookie, b64encode(alice.cookie.encode()).decode()):
        for name in ("alice", ""):
            with pytest.raises(AuthenticationError):
                site.services.authenticator.authenticate(name, secret, "192.0.2.1")


def test_each_sign_in_and_sign_out_is_recorded(alice: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    """With the account's name, and nothing secret."""
    capsys.readouterr()
    alice.post("/sign-out")
    alice.sign_in()
    said = capsys.readouterr().out
    assert AuditEvent.SIGNED_OUT.value in said
    assert AuditEvent.SIGNED_IN.value in said
    assert alice.cookie not in said
    assert ORIGIN not in said


@pytest.mark.timeout(20)
@pytest.mark.parametrize("tail", ["!", "//", "\\", " "])
def test_t37_no_address_makes_the_search_long(site: Site, tail: str) -> None:
    """T37: what cannot be returned to is found out at once, however long it is."""
    with site.app.test_request_context():
        assert safe_next("/" + "a" * 60 + tail) is None
        assert safe_next("/" + "a/" * 4000 + tail) is None
