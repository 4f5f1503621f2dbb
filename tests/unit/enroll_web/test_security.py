"""What another site, another host or a listener could try against a browser that is signed in."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from werkzeug.test import Client

from davserver.cli.processes import application
from enroll_web.app import PAGES
from enroll_web.entrance import ASKED_FOR_MORE, RETURNABLE
from enroll_web.security import READ_AS_IT_ARRIVES, WITHOUT_TOKEN
from enroll_web.visit import HTTP_COOKIE, HTTPS_COOKIE
from tests.unit.enroll_web.conftest import ORIGIN, PASSWORD, Browser, Site, form_token, made_site

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
REVOKE_ALL = "/app-passwords/revoke-all"

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Sec-Fetch-Site": "same-site", "Origin": "null"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://drive.example"},
    {"Origin": "https://drive.example:444"},
    {"Origin": "null"},
]

HOME = [
    OWN,
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN},
    {"Origin": ORIGIN},
    {},
]


def devices(site: Site) -> int:
    """How many app passwords are live."""
    return len(site.services.app_passwords.list(site.services.accounts.find("alice")))


# ── T35
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_t35_a_form_of_another_site_is_refused(site: Site, alice: Browser, headers: dict[str, str]) -> None:
    """T35: even with the right token, and nothing was done."""
    response = alice.post(REVOKE_ALL, page="/app-passwords/stolen", headers=headers)
    assert response.status_code == 403
    assert devices(site) == 1


@pytest.mark.parametrize("headers", HOME, ids=str)
def test_t35_a_form_of_our_own_passes(site: Site, alice: Browser, headers: dict[str, str]) -> None:
    """As browsers send it, new and old; with `no-referrer` they name no origin."""
    assert alice.post(REVOKE_ALL, page="/app-passwords/stolen", headers=headers).status_code == 200
    assert devices(site) == 0


@pytest.mark.parametrize("token", ["", "x", "A" * 43])
def test_t35_without_the_token_nothing_is_done(site: Site, alice: Browser, token: str) -> None:
    """T35: a missing or an invented one."""
    assert alice.send(REVOKE_ALL, {"csrf": token}).status_code == 403
    assert alice.send(REVOKE_ALL, {}).status_code == 403
    assert devices(site) == 1


def test_t35_a_token_of_another_browser_is_refused(site: Site, alice: Browser) -> None:
    """T35: each is good for the browser that it was made for."""
    bob = site.invited("bob")
    token = form_token(bob.get("/app-passwords/stolen").text)
    assert alice.send(REVOKE_ALL, {"csrf": token}).status_code == 403
    assert devices(site) == 1


def test_t35_nothing_is_done_by_following_a_link(site: Site, alice: Browser) -> None:
    """T35: GET on whatever changes something is refused, page by page, or shows another page."""
    rules = [rule for rule in site.app.url_map.iter_rules() if {"POST", "GET"} & (rule.methods or set())]
    acts = [rule for rule in rules if "GET" not in (rule.methods or ())]
    shown = {rule.endpoint for rule in rules if "GET" in (rule.methods or ())}
    addresses = site.app.url_map.bind("")
    assert len(acts) > 10
    for rule in acts:
        path = rule.rule.replace("<name>", "alice").replace("<token>", "x")
        response = alice.get(path, follow=False)
        if response.status_code != 405:
            there = addresses.match(path, method="GET")[0]
            assert there in shown, path
            assert there != rule.endpoint, path
    assert devices(site) == 1


def test_t35_every_form_is_checked_before_its_page_runs(site: Site) -> None:
    """T35: no page that changes something escapes the check; a notice of the identity provider is signed.

    The form for the language, which every visitor has, is taken from our own pages only; so is one with
    files, whose token is looked for as it arrives (test_files_upload.py).
    """
    stranger = site.browser()
    for rule in site.app.url_map.iter_rules():
        if "POST" not in (rule.methods or ()) or rule.endpoint == "oidc.logout_notice":
            continue
        path = rule.rule.replace("<name>", "alice").replace("<token>", "x")
        foreign = rule.endpoint in WITHOUT_TOKEN | READ_AS_IT_ARRIVES
        headers = {"Sec-Fetch-Site": "cross-site"} if foreign else None
        assert stranger.send(path, {}, follow=False, headers=headers).status_code == 403, path


# ── T33
def test_t33_the_cookie_is_for_this_host_over_https_and_no_script(site: Site) -> None:
    """T33: `__Host-`, Secure, HttpOnly, SameSite=Lax, the whole host, no domain, gone with the browser."""
    response = site.browser().get("/sign-in")
    (cookie,) = response.headers.getlist("Set-Cookie")
    name, _, rest = cookie.partition("=")
    value, *attributes = rest.split("; ")
    assert name == HTTPS_COOKIE == "__Host-sealdav"
    assert len(value) == 43
    assert set(attributes) == {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"}


def test_t33_on_this_machine_without_tls_the_name_is_plain(site: Site) -> None:
    """A browser would not take the other one; everything else is the same."""
    response = site.app.test_client().get("/sign-in", base_url="http://127.0.0.1:8080")
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{HTTP_COOKIE}=")
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


def test_t33_behind_a_proxy_that_nobody_trusts_the_cookie_is_secure_all_the_same(tmp_path: Path) -> None:
    """T33: the site sees plain http from this machine; that its address is https was said in the settings."""
    made = made_site(tmp_path, server={"public_url": ORIGIN})
    site = next(made)
    response = site.app.test_client().get("/sign-in", base_url="http://127.0.0.1:8080")
    (cookie,) = response.headers.getlist("Set-Cookie")
    assert cookie.startswith(f"{HTTPS_COOKIE}=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    next(made, None)


@pytest.mark.parametrize("path", ["/", "/privacy", "/static/site.css", "/no-such-page"])
def test_t33_who_only_looks_gets_no_cookie(site: Site, path: str) -> None:
    """A page without a form needs none."""
    response = site.app.test_client().get(path, base_url=ORIGIN, buffered=True)
    assert "Set-Cookie" not in response.headers


# ── plain http
@pytest.mark.parametrize(
    "origin", ["http://drive.example", "http://192.0.2.7:8080", "http://127.0.0.1.example"]
)
def test_over_a_line_that_others_can_read_nobody_signs_in(site: Site, origin: str) -> None:
    """No form is shown and none is taken; what the drive is may be read."""
    client = site.app.test_client()
    for path in ("/sign-in", "/start", "/set-up/x"):
        response = client.get(path, base_url=origin)
        assert response.status_code == 403
        assert "private line" in response.text
        assert "Set-Cookie" not in response.headers
    assert client.post("/sign-in", base_url=origin).status_code == 403
    assert client.get("/", base_url=origin).status_code == 200


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost", ORIGIN])
def test_a_private_line_is_https_or_this_machine(site: Site, origin: str) -> None:
    """Names and addresses of this machine."""
    assert site.app.test_client().get("/sign-in", base_url=origin).status_code == 200


# ── T37
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/start",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/%2f/evil.example",
    "javascript:alert(1)",
    "/start\r\nX: y",
    "/start?next=//evil.example",
    "/start?next=%2F%2Fevil.example",
    "/people?name=//evil.example",
    "/people?name=https:",
    "/people?name=a\r\nX: y",
    "/people?name=a#b",
    "/people?name=a?b",
    "//evil.example/people?name=a",
    "/people?name=" + "a" * 400,
    "/static/site.js",
    "/dav/secret.html",
    "/no-such-page",
    "/sign-out",
    "/files/%2F%2Fevil.example",
    "/%2F%2Fevil.example",
    "/%2Fevil.example/files/",
    "/%5Cevil.example",
    "/files/%5C%5Cevil.example",
    "/files/a%0D%0ASet-Cookie:x",
    "/files/a%0d%0aX",
    "/files/%00",
    "/files/%C2%85",
    "/files/%2E%2E/sign-out",
    "/files/%2E./start",
    "/files/../start",
    "/files/./start",
    "/files/..",
    "/files/a%2F..%2Fb",
    "/files/a%2",
    "/files/a%zz",
    "/files/a b",
    "/files/ä",
    "/files/(1)",
    "/files//a",
    "/files/" + "a" * 2000,
    "start",
    " /start",
    "",
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_t37_nobody_is_led_elsewhere_after_signing_in(site: Site, alice: Browser, target: str) -> None:
    """T37: only our own pages that can be shown at any time; else the start page."""
    response = alice.post("/confirm", {"code": alice.code(), "next": target}, follow=False)
    assert response.status_code == 302
    assert response.headers["Location"] == "/start"
    page = site.browser().client.get("/sign-in", query_string={"next": target}, base_url=ORIGIN).text
    assert 'name="next"' not in page


def test_t37_a_page_of_ours_is_returned_to(site: Site, alice: Browser) -> None:
    """Through sign-in and one-time code, and through the step-up."""
    site.clock.advance(minutes=6)
    assert alice.get("/app-passwords/new").request.path == "/confirm"
    response = alice.post("/confirm", {"code": alice.code(), "next": "/app-passwords/new"})
    assert response.request.path == "/app-passwords/new"
    other = site.browser()
    assert other.get("/people").request.full_path == "/sign-in?next=/people"
    other.secret = alice.secret
    other.post("/sign-in", {"name": "alice", "password": "a password of a test account", "next": "/people"})
    assert other.prove().request.path == "/people"


@pytest.mark.parametrize(
    "target", ["/people/audit?account=bob&event=signed-in&day=2030-01-31", "/people?name=b%2B%40o&page=2"]
)
def test_t37_a_search_is_returned_to(site: Site, alice: Browser, target: str) -> None:
    """With what was searched for, through the step-up and through the sign-in."""
    site.clock.advance(minutes=6)
    asked = alice.get("/people/audit?account=a b&event=%2F%2Fevil.example")
    assert asked.request.path == "/confirm"
    assert asked.request.args["next"] == "/people/audit?account=a+b&event=%2F%2Fevil.example"
    done = alice.post("/confirm", {"code": alice.code(), "next": target})
    assert f"{done.request.path}?{done.request.query_string.decode()}" == target
    other = site.browser()
    assert other.get(target).request.args["next"] == target
    other.secret = alice.secret
    other.post("/sign-in", {"name": "alice", "password": "a password of a test account", "next": target})
    done = other.prove()
    assert f"{done.request.path}?{done.request.query_string.decode()}" == target


NAMES = ["My Documents", "Übung (1)", "a,b;c'd!", ".config", "100% #?&+~@", "…", "日本" * 40]
"""Of folders and files; all of them can be stored."""


@pytest.mark.parametrize("page", ["/files/", "/versions/", "/search/"])
@pytest.mark.parametrize("name", NAMES)
def test_t37_a_folder_is_returned_to(site: Site, alice: Browser, page: str, name: str) -> None:
    """Whatever it is called: through the sign-in, and where a form leads back to its folder."""
    other, where = site.browser(), f"{page}{quote(f'docs/{name}')}"
    other.secret = alice.secret
    asked = other.get(where)
    assert asked.request.path == "/sign-in"
    assert asked.request.args["next"] == where
    form = {"name": "alice", "password": PASSWORD, "next": where}
    other.post("/sign-in", form, page=asked.request.full_path)
    proved = other.post("/second-factor", {"code": other.code()}, follow=False)
    assert proved.headers["Location"] == where
    stranger = site.browser()
    form = {"csrf": form_token(stranger.get("/sign-in").text)}
    led = stranger.send(f"/delete/{quote(name)}", form, follow=False)
    assert parse_qs(urlsplit(led.headers["Location"]).query)["next"] == [f"/files/{quote(name)}"]


def test_every_page_that_is_returned_to_exists(site: Site) -> None:
    """A typing error in the list would lead to the start page instead, unnoticed."""
    assert set(site.app.view_functions) >= RETURNABLE >= ASKED_FOR_MORE
    assert len(site.app.blueprints) == len(PAGES)


@pytest.mark.parametrize("proved", [False, True], ids=["before the code", "after the code"])
@pytest.mark.parametrize("scheme", ["none", "Basic", "Bearer"])
def test_t33_t40_the_drive_knows_no_cookie(site: Site, alice: Browser, scheme: str, *, proved: bool) -> None:
    """T33, T40: sent along, as a password or as a token it is 401, and the drive gives none."""
    drive = Client(cast("WSGIApplication", application(site.services, dav_only=False)))
    browser = alice if proved else site.browser()
    if not proved:
        browser.sign_in()
    cookie = browser.cookie
    credential = b64encode(f"alice:{cookie}".encode()).decode() if scheme == "Basic" else cookie
    headers = {"Cookie": f"{HTTPS_COOKIE}={cookie}; {HTTP_COOKIE}={cookie}"}
    if scheme != "none":
        headers["Authorization"] = f"{scheme} {credential}"
    response = drive.open("/dav/", method="PROPFIND", base_url=ORIGIN, headers={**headers, "Depth": "0"})
    assert response.status_code == 401
    assert "Set-Cookie" not in response.headers
