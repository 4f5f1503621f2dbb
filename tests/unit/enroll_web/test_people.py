"""The first administrator's link, invitations, what administrators may do, and passwords."""

from __future__ import annotations

import pytest

from davserver.accounts.audit_trail import Search
from davserver.audit import AuditEvent
from tests.unit.enroll_web.conftest import PASSWORD, Browser, Site, link_token


def test_the_first_link_makes_an_administrator_in_three_pages(site: Site) -> None:
    """Password, authenticator, app password: nothing in between."""
    browser, token = site.browser(), site.services.invitations.first()
    assert token is not None
    seen = [browser.get(f"/set-up/{token}").request.path]
    seen.append(browser.accept(token, "Alice").request.path)
    seen.append(browser.set_up().request.path)
    assert seen == [f"/set-up/{token}", "/second-factor/set-up", "/welcome"]
    assert site.opens("alice", browser.app_password)
    assert browser.get("/people").status_code == 200


def test_a_link_is_good_once_and_for_a_day(site: Site) -> None:
    """Used, expired, replaced or invented: the page says so."""
    first = site.services.invitations.first()
    token = site.services.invitations.first()
    assert first is not None
    assert token is not None
    assert site.browser().get(f"/set-up/{first}").status_code == 404
    site.browser().accept(token, "alice")
    assert site.browser().get(f"/set-up/{token}").status_code == 404
    assert site.browser().get("/set-up/invented").status_code == 404
    assert site.services.invitations.first() is None
    late = site.services.invitations.invite("bob")
    site.clock.advance(hours=24)
    response = site.browser().get(f"/set-up/{late}")
    assert response.status_code == 404
    assert "used already, or has expired" in response.text


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"name": "bob", "new": PASSWORD, "again": "other"}, 422, "The two passwords differ"),
        ({"name": "bob", "new": "short", "again": "short"}, 422, "A password has 8 to 256"),
        ({"name": "bob", "new": "password", "again": "password"}, 422, "first to be guessed"),
        ({"name": "b b", "new": PASSWORD, "again": PASSWORD}, 422, "A user name is"),
        ({"name": "", "new": PASSWORD, "again": PASSWORD}, 422, "A user name is"),
    ],
)
def test_a_refused_form_leaves_the_link_good(
    site: Site, form: dict[str, str], status: int, words: str
) -> None:
    """With one sentence of what is wrong; then the same link works."""
    token = site.services.invitations.first()
    assert token is not None
    browser = site.browser()
    response = browser.post(f"/set-up/{token}", form)
    assert response.status_code == status
    assert words in response.text
    assert PASSWORD not in response.text
    assert browser.accept(token, "bob").request.path == "/second-factor/set-up"


def test_an_invited_person_gets_the_name_of_the_link(site: Site, alice: Browser) -> None:
    """Whatever is sent; and is no administrator unless the link says so."""
    page = alice.post("/people/invite", {"name": "Bob"})
    token = link_token(page.text)
    assert token not in alice.get("/people/invited").text
    bob = site.browser()
    assert "Welcome, bob" in bob.get(f"/set-up/{token}").text
    bob.accept(token, "mallory")
    bob.set_up()
    assert [one.username for one in site.services.accounts.list()] == ["alice", "bob"]
    refused = bob.get("/people")
    assert refused.status_code == 403
    assert "for administrators" in refused.text
    assert "People" not in bob.get("/start").text
    token = link_token(alice.post("/people/invite", {"name": "carol", "admin": "yes"}).text)
    carol = site.browser()
    carol.accept(token)
    carol.set_up()
    assert carol.get("/people").status_code == 200


@pytest.mark.parametrize(("name", "status"), [("alice", 409), ("a b", 422), ("", 422)])
def test_a_name_that_cannot_be_invited_is_explained(alice: Browser, name: str, status: int) -> None:
    """Taken, or none."""
    response = alice.post("/people/invite", {"name": name})
    assert response.status_code == status
    assert 'role="alert"' in response.text


def test_nobody_else_invites_or_resets(site: Site, alice: Browser) -> None:
    """By page or by form: bob is no administrator."""
    bob = site.invited("bob")
    for path in ("/people", "/people/invite", "/people/alice/reset", "/people/invited"):
        assert bob.get(path).status_code == 403
    for path in ("/people/invite", "/people/alice/reset"):
        form = {"name": "carol", "reason": "lost"}
        assert bob.post(path, form, page="/sign-out").status_code == 403
    assert site.services.totp.is_enrolled(site.services.accounts.find("alice"))
    site.services.profiles.set_admin(site.services.accounts.find("alice"), admin=False)
    assert alice.get("/people").status_code == 403


def test_a_reset_takes_the_device_away_and_is_recorded(
    site: Site, alice: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """With reason and by whom; bob's browsers are out, his app passwords go on, he sets up anew."""
    bob = site.invited("bob")
    assert "Reset device" in alice.get("/people/bob/reset").text
    assert alice.post("/people/bob/reset", {"reason": "because\nI said so"}).status_code == 422
    capsys.readouterr()
    assert alice.post("/people/bob/reset", {"reason": "lost"}).request.path == "/people"
    said = capsys.readouterr().out
    assert AuditEvent.TOTP_RESET.value in said
    (reset,) = site.services.audit_trail.latest(Search(event=AuditEvent.TOTP_RESET), limit=5)
    assert (reset.account, reset.actor, reset.reason) == ("bob", "alice", "lost")
    assert bob.get("/start").request.path == "/sign-in"
    assert site.opens("bob", bob.app_password)
    assert bob.sign_in("bob").request.path == "/second-factor/set-up"


def test_people_change_their_own_password(site: Site, alice: Browser) -> None:
    """The old one is asked for; other browsers are out, devices go on."""
    other = site.browser()
    other.secret = alice.secret
    other.sign_in()
    other.prove()
    new = "another password altogether"
    assert alice.post("/password", {"old": "wrong", "new": new, "again": new}).status_code == 403
    assert alice.post("/password", {"old": PASSWORD, "new": new, "again": "x"}).status_code == 422
    assert alice.post("/password", {"old": PASSWORD, "new": "short", "again": "short"}).status_code == 422
    assert other.get("/start").request.path == "/start"
    done = alice.post("/password", {"old": PASSWORD, "new": new, "again": new})
    assert done.request.path == "/security"
    assert new not in done.text
    assert other.get("/start").request.path == "/sign-in"
    assert site.browser().sign_in(password=PASSWORD).status_code == 403
    assert site.browser().sign_in(password=new).request.path == "/second-factor"
    assert site.opens("alice", alice.app_password)
