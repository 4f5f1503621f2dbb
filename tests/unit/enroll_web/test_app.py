"""Every page as a browser gets it: its headers, what it loads, its size, and its error pages."""

from __future__ import annotations

import re

import pytest
from werkzeug.test import TestResponse

from davserver.audit import AuditEvent
from davserver.db.engine import Database
from davserver.errors import DavserverError, StorageUnavailable
from enroll_web.errors import TABLE, answer_to
from tests.factories import make_error
from tests.unit.enroll_web.conftest import Browser, Site

PUBLIC = ("/", "/sign-in", "/privacy", "/signed-out", "/deleted", "/no-such-page")

PAGES = (
    *("/start", "/security", "/confirm", "/sign-out", "/password", "/my-data", "/my-data/notices"),
    *("/app-passwords", "/app-passwords/new", "/app-passwords/stolen", "/people", "/people/invite"),
    *("/people/account/alice", "/people/account/alice/suspend", "/people/account/alice/quota"),
    *("/people/account/alice/reset", "/my-data/delete", "/second-factor/set-up", "/second-factor/lost"),
    *("/second-factor/new-recovery-codes", "/people/audit", "/my-data/activity", "/broken", "/no-such-page"),
)

FIRST_PAGE_BYTES = 100 * 1024


def leaves(kind: type[DavserverError] = DavserverError) -> list[type[DavserverError]]:
    """Every error without a more special one."""
    below = [leaf for one in kind.__subclasses__() for leaf in leaves(one)]
    return below or [kind]


def policy(response: TestResponse) -> dict[str, str]:
    """The Content-Security-Policy by directive."""
    rules = response.headers["Content-Security-Policy"].split("; ")
    return {name: sources for name, _, sources in (rule.partition(" ") for rule in rules)}


@pytest.fixture(autouse=True)
def broken(site: Site) -> None:
    """One more page, which always breaks."""

    def view() -> str:
        raise RuntimeError("the secret is hunter2")

    site.app.add_url_rule("/broken", view_func=view)


def all_pages(site: Site, alice: Browser) -> list[TestResponse]:
    """Every page that can be had without a form."""
    stranger = site.browser()
    return [stranger.get(path) for path in PUBLIC] + [alice.get(path) for path in PAGES]


def test_t34_every_page_carries_the_headers(site: Site, alice: Browser) -> None:
    """T34: nothing but our own files is loaded, nobody frames a page, stores or sniffs it."""
    for response in all_pages(site, alice):
        rules = policy(response)
        assert rules["default-src"] == "'none'"
        assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"
        assert rules["form-action"] == "'self'"
        assert "unsafe" not in str(rules)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.mimetype == "text/html"


def test_t34_every_response_has_a_nonce_of_its_own(site: Site, alice: Browser) -> None:
    """T34: scripts and the stylesheet carry the nonce of this response, which no other response has."""
    seen: set[str] = set()
    for response in all_pages(site, alice):
        (nonce,) = set(re.findall(r"'nonce-([\w-]{43})'", response.headers["Content-Security-Policy"]))
        assert nonce not in seen
        seen.add(nonce)
        tags = re.findall(r"<(?:script|link rel=\"stylesheet\")[^>]*>", response.text)
        assert tags
        assert all(f'nonce="{nonce}"' in tag for tag in tags)


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(site: Site, alice: Browser) -> None:
    """No script or style in a page, no handler in an attribute, no address of another host."""
    for response in all_pages(site, alice):
        text = response.text
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)
        assert "<style" not in text
        assert not re.search(r"\s(?:style|on\w+)=", text)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)


def test_the_first_page_is_small(site: Site) -> None:
    """The first page with all that it loads has less than 100 KB."""
    browser = site.browser()
    page = browser.get("/")
    loaded = set(re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", page.text))
    sizes = [len(browser.client.get(path, base_url=browser.origin, buffered=True).data) for path in loaded]
    assert len(loaded) >= 2
    assert len(page.data) + sum(sizes) < FIRST_PAGE_BYTES


def test_the_home_page_says_where_the_drive_is(site: Site) -> None:
    """The first page names the drive under the address that the visitor used, and the way in."""
    page = site.browser().client.get("/", base_url="https://drive.example:8443").text
    assert "https://drive.example:8443/dav/" in page
    assert "/sign-in" in page


def test_a_host_header_that_is_no_host_is_not_repeated(site: Site) -> None:
    """Markup in Host appears nowhere on the page, and does not break it."""
    response = site.browser().client.get("/", headers={"Host": 'a"><script>alert(1)</script>'})
    assert response.status_code < 500
    assert "alert" not in response.text


def test_an_unexpected_error_tells_nothing_about_its_cause(alice: Browser) -> None:
    """A 500 page is a page of ours, without the exception's text or a traceback."""
    response = alice.get("/broken")
    assert response.status_code == 500
    assert "Something went wrong here" in response.text
    assert "hunter2" not in response.text
    assert "Traceback" not in response.text


def test_an_error_page_leaves_what_is_said_once_to_the_next_page(alice: Browser) -> None:
    """It may never be sent: a request that has to wait for its turn is refused, and then begun again."""
    alice.post("/my-data/notices", {"email": "alice@example.org"}, follow=False)
    assert "Saved." not in alice.get("/no-such-page").text
    assert "Saved." in alice.get("/my-data").text
    assert "Saved." not in alice.get("/my-data").text


def test_a_refused_method_is_named_and_explained(site: Site) -> None:
    """405 keeps the Allow header that RFC 9110, 15.5.6 demands."""
    browser = site.browser()
    browser.get("/sign-in")
    response = browser.post("/", page="/sign-in")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert "This page cannot do that" in response.text


def test_every_error_has_a_page() -> None:
    """Each leaf of the tree in `davserver/errors.py` has a row, or an ancestor with one."""
    for leaf in leaves():
        answer = answer_to(make_error(leaf, "x"))
        assert 400 <= answer.status < 600
    assert DavserverError not in TABLE


def test_an_error_page_needs_no_database(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage that does not answer is said so, although nobody can look up who is asking."""
    browser = site.first()

    def away(_database: Database) -> None:
        raise StorageUnavailable("the database refused (SQLITE_CANTOPEN)")

    with monkeypatch.context() as patch:
        patch.setattr(Database, "read", away)
        response = browser.get("/start")
    assert response.status_code == 503
    assert "The storage does not answer" in response.text


def test_altered_storage_is_logged_and_nobody_is_signed_in(
    site: Site, alice: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """A session's row that was altered is no session, and whoever looks after the server hears of it."""
    with site.services.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE web_session SET totp_at = totp_at + 100000")
    response = alice.get("/start")
    assert response.status_code == 500
    assert "Something stored here was altered" in response.text
    assert AuditEvent.INTEGRITY_FAILED.value in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "words", "which"),
    [
        ("/files/", "Files", "page"),
        ("/trash", "Files", "true"),
        ("/connect", "App passwords", "true"),
        ("/second-factor/new-recovery-codes", "Security", "true"),
        ("/my-data/activity", "My data", "true"),
        ("/people/audit", "People", "true"),
        ("/people/account/alice", "People", "true"),
        ("/sign-out", None, None),
    ],
)
def test_the_menu_says_where_one_is(alice: Browser, path: str, words: str | None, which: str | None) -> None:
    """One of its links is marked: as the page itself, or as what it belongs to; none if it is alone."""
    menu = alice.get(path).text.partition('<nav aria-label="Main">')[2].partition("</nav>")[0]
    marked = re.findall(r'aria-current="(\w+)">([^<]+)<', menu)
    assert marked == ([] if words is None else [(which, words)])
