"""Connecting a device in the browser: what is offered, made, shown and downloaded, and what is seen of it."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from base64 import b64decode
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from davserver.accounts.health import BY_NAME, TOKENS, Sign, Trouble
from davserver.accounts.programs import PROGRAMS
from davserver.clock import to_seconds
from davserver.crypto import tokens
from davserver.crypto.tokens import AppToken
from davserver.db.signs import SignRow
from davserver.errors import AuthenticationError
from davserver.model import ROOT_ID, Scope
from davserver.serving.exchange import MISTRUST_KEY
from davserver.vault.paths import VaultPath
from enroll_web import health as words
from tests.certificates import one_pair, write_pair
from tests.factories import make_principal
from tests.unit.enroll_web.conftest import Browser, Site, made_site

FILE = re.compile(r'download="([^"]+)" href="data:application/octet-stream;base64,([^"]+)"')
USUAL = {"label": "Laptop", "scope": "full", "days": "365"}


def connect(browser: Browser, key: str = "rclone", **fields: str) -> str:
    """Get an app password for a program; the page with what to do."""
    page = browser.post(f"/connect/{key}", {**USUAL, **fields})
    assert (page.status_code, page.request.path) == (200, f"/connect/{key}/ready"), page.text
    return page.text


def device_of(browser: Browser) -> str:
    """The id of the last app password that was shown."""
    return tokens.parse(browser.app_password).id


def health(browser: Browser, device: str) -> dict[str, Any]:
    """What the page asks for every two seconds."""
    answer = browser.get(f"/devices/{device}/health")
    assert answer.mimetype == "application/json"
    return answer.get_json()  # type: ignore[no-any-return]


def note(site: Site, device: str, *kinds: Sign | Trouble) -> None:
    """What the doors note of a device of alice's, as if it were written at once."""
    account = site.services.accounts.find("alice")
    now = to_seconds(site.clock())
    with site.services.database.write() as tx:
        tx.signs.note([SignRow(account.id, device, kind.value, now, now) for kind in kinds])
        tx.commit()


# ── the way to an app password
def test_every_program_is_offered(alice: Browser) -> None:
    """With what it is good for; whatever else speaks WebDAV has its own way."""
    page = alice.get("/connect").text
    for one in PROGRAMS:
        assert f'href="/connect/{one.key}"' in page
        assert html.escape(one.name) in page
    assert 'href="/app-passwords/new"' in page
    assert 'href="/connect"' in alice.get("/start").text


def test_a_program_that_we_do_not_know(alice: Browser) -> None:
    """Is not found, by any way."""
    assert alice.get("/connect/floppy").status_code == 404
    assert alice.get("/connect/floppy/ready").status_code == 404
    assert alice.post("/connect/floppy", USUAL, page="/connect/rclone").status_code == 404


@pytest.mark.parametrize("one", PROGRAMS, ids=[one.key for one in PROGRAMS])
def test_an_app_password_for_each_program(site: Site, alice: Browser, one: Any) -> None:  # noqa: ANN401
    """It opens the drive, or the folder that is suggested, which is made if it is not there."""
    form = alice.get(f"/connect/{one.key}").text
    assert f'value="{one.name}"' in form
    assert f'name="folder" type="text" list="folders" autocomplete="off" value="{one.preset.folder}"' in form
    page = connect(alice, one.key, label=one.name, folder=one.preset.folder)
    assert alice.app_password in page
    assert f"Connect {one.name}" in page
    principal = site.services.authenticator.authenticate("alice", alice.app_password, "192.0.2.1")
    assert principal.scopes == one.preset.scopes
    assert (principal.root_id == ROOT_ID) == (one.preset.folder == "")
    if one.preset.folder:
        account = site.services.accounts.find("alice")
        vault = site.services.vaults.open(make_principal(account, site.clock))
        assert vault.stat(VaultPath.parse(one.preset.folder)).id == principal.root_id


def test_it_takes_a_fresh_code(site: Site, alice: Browser) -> None:
    """As every app password does; after it one is back at the same program."""
    site.clock.advance(minutes=6)
    page = alice.get("/connect/keepass")
    assert page.request.path == "/confirm"
    assert page.request.args["next"] == "/connect/keepass"
    back = alice.post("/confirm", {"code": alice.code(), "next": "/connect/keepass"})
    assert back.request.path == "/connect/keepass"


def test_a_wrong_choice_is_explained(site: Site, alice: Browser) -> None:
    """The form comes back; nothing was made."""
    for fields, said in (({"days": "0"}, "expires in the future"), ({"folder": "a/b"}, "")):
        answer = alice.post("/connect/rclone", {**USUAL, **fields})
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert said in answer.text
    assert len(site.services.app_passwords.list(site.services.accounts.find("alice"))) == 1


@pytest.mark.parametrize(
    "fields", [{"label": ""}, {"days": "0"}, {"days": "9999"}, {"networks": "x"}, {"scope": "all"}]
)
def test_who_is_refused_leaves_no_folder_behind(site: Site, alice: Browser, fields: dict[str, str]) -> None:
    """It is made last, and found by the next attempt all the same."""
    assert alice.post("/connect/rclone", {**USUAL, "folder": "Laptop", **fields}).status_code == 422
    account = site.services.accounts.find("alice")
    vault = site.services.vaults.open(make_principal(account, site.clock))
    assert vault.find(VaultPath.parse("Laptop")) is None
    connect(alice, folder="Laptop")
    assert vault.find(VaultPath.parse("Laptop")) is not None


def test_one_app_password_too_many_leaves_no_folder_behind(site: Site, alice: Browser) -> None:
    """That is known before, too."""
    account = site.services.accounts.find("alice")
    principal = make_principal(account, site.clock)
    for _ in range(site.services.settings.login.app_passwords_per_account - 1):
        site.services.app_passwords.issue(principal, "another")
    answer = alice.post("/connect/rclone", {**USUAL, "folder": "Laptop"})
    assert (answer.status_code, "revoke one" in answer.text) == (422, True)
    assert site.services.vaults.open(principal).find(VaultPath.parse("Laptop")) is None


def test_it_is_shown_once(site: Site, alice: Browser) -> None:
    """Loaded again, the page leads to the list of devices; another program's page does not show it either."""
    token = connect(alice) and alice.app_password
    again = alice.get("/connect/rclone/ready")
    assert again.request.path == "/app-passwords"
    assert token not in again.text
    assert "shown once only" in again.text
    alice.post("/connect/rclone", USUAL, follow=False)
    elsewhere = alice.get("/connect/windows/ready")
    assert elsewhere.request.path == "/app-passwords"
    assert len(site.services.app_passwords.list(site.services.accounts.find("alice"))) == 3


def test_what_is_downloaded_is_in_the_page(alice: Browser) -> None:
    """Nothing is kept for it on the server: each file is a part of the page that is shown once."""
    files = {name: b64decode(html.unescape(content)) for name, content in FILE.findall(connect(alice))}
    assert set(files) == {"rclone.conf", "sealdav.service"}
    assert b"url = https://drive.example/dav/\n" in files["rclone.conf"]
    assert alice.app_password.encode() not in files["rclone.conf"]
    script = dict(FILE.findall(connect(alice, "windows")))["sealdav.cmd"]
    assert alice.app_password.encode() in b64decode(html.unescape(script))


def test_an_address_cannot_break_out_of_the_page(site: Site, alice: Browser) -> None:
    """A label is text, and a host that is none is not shown as it came."""
    page = connect(alice, label="<img src=x onerror=alert(1)>")
    assert "<img src=x" not in page
    assert "<img src=x" not in alice.get(f"/devices/{device_of(alice)}").text
    assert site.services.connecting.drive("https://a'b/", "x", "y").url == "https://a%27b/"


# ── what is seen of a device
def test_a_device_that_was_never_here(alice: Browser) -> None:
    """Says so, everywhere, and has no trouble."""
    connect(alice)
    device = device_of(alice)
    told = health(alice, device)
    assert told == {"status": "Nothing has come from this device yet.", "seen": {}, "troubles": []}
    assert "Nothing has come from this device yet." in alice.get(f"/devices/{device}").text
    assert "<dt>Has</dt>" not in alice.get("/app-passwords").text


def test_what_a_device_has_done_is_shown(site: Site, alice: Browser) -> None:
    """On the page that watches, in its answer, and in the list of devices; for administrators too."""
    connect(alice)
    device = device_of(alice)
    note(site, device, Sign.CONNECTED, Sign.LISTED, Sign.WROTE, Sign.READ, Sign.KEPT_TIMES)
    told = health(alice, device)
    done = "connected, listed your files, wrote a file, read a file, kept times"
    assert told["status"] == f"This device has: {done}."
    moment = "2030-01-02 03:04 UTC"
    assert told["seen"] == dict.fromkeys(("connected", "listed", "wrote", "read", "kept-times"), moment)
    site.clock.advance(minutes=10)
    note(site, device, Sign.READ)
    told = health(alice, device)
    assert told["seen"]["read"] == f"first {moment}, last 2030-01-02 03:14 UTC"
    assert told["seen"]["wrote"] == moment
    page = alice.get(f"/devices/{device}").text
    assert page.count('class="seen"') == 5
    assert f"<dd>{done}</dd>" in alice.get("/app-passwords").text
    assert f"<dd>{done}</dd>" in alice.get("/people/account/alice").text


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_has_its_words_and_its_advice(site: Site, alice: Browser, trouble: Trouble) -> None:
    """In the answer and on the page; values are filled in."""
    connect(alice)
    device = device_of(alice)
    note(site, device, trouble)
    (told,) = health(alice, device)["troubles"]
    title, advice = words.TROUBLES[trouble]
    assert told["title"] == title
    assert told["at"] == "2030-01-02 03:04 UTC"
    assert told["advice"] == advice % {"name": "alice", "address": "127.0.0.1"}
    assert "%(" not in told["advice"]
    page = alice.get(f"/devices/{device}").text
    assert html.escape(title, quote=True).replace("&#x27;", "&#39;") in page
    assert title in html.unescape(alice.get("/app-passwords").text)


def test_a_trouble_that_is_over_is_told_as_such(site: Site, alice: Browser) -> None:
    """No more as a trouble by whoever watches; there and in the list it has its date."""
    connect(alice)
    device = device_of(alice)
    note(site, device, Trouble.WRONG_SECRET)
    site.clock.advance(minutes=1)
    note(site, device, Sign.CONNECTED)
    told = health(alice, device)
    assert told["troubles"] == []
    assert told["status"] == (
        "This device has: connected. It was in trouble, and is not any more: "
        "The password is wrong for this device, 2030-01-02 03:04 UTC."
    )
    assert told["status"] in html.unescape(alice.get(f"/devices/{device}").text)
    page = alice.get("/app-passwords").text
    assert "<dt>Was in trouble</dt><dd>The password is wrong for this device, " in page
    assert "<dt>Trouble</dt>" not in page


def test_somebody_elses_device_tells_nothing(site: Site, alice: Browser) -> None:
    """Nor whether there is one of that id."""
    connect(alice)
    device = device_of(alice)
    note(site, device, Sign.CONNECTED)
    bob = site.invited("bob")
    assert health(bob, device) == health(bob, "0" * 10)
    assert health(bob, device)["seen"] == {}
    assert bob.get(f"/devices/{device}").status_code == 404
    assert alice.get("/devices/0000000000").status_code == 404


def test_a_device_that_was_revoked_can_still_be_watched(site: Site, alice: Browser) -> None:
    """So that its owner sees who still comes with it; no list leads there, and nobody else gets there."""
    connect(alice)
    device = device_of(alice)
    alice.post("/app-passwords/revoke", {"id": device}, page="/app-passwords")
    with pytest.raises(AuthenticationError):
        site.services.authenticator.authenticate("alice", alice.app_password, "192.0.2.1")
    wait_for_notes(site)
    page = alice.get(f"/devices/{device}")
    assert (page.status_code, "<h1>Laptop</h1>" in page.text) == (200, True)
    assert "This app password was revoked" in page.text
    assert device not in alice.get("/app-passwords").text
    assert site.invited("bob").get(f"/devices/{device}").status_code == 404


def test_nobody_watches_without_both_factors(site: Site, alice: Browser) -> None:
    """The answer leads to where they are proved, and holds nothing."""
    connect(alice)
    stranger = site.browser()
    stranger.secret = alice.secret
    for _ in range(2):
        answer = stranger.get(f"/devices/{device_of(alice)}/health", follow=False)
        assert answer.status_code == 302
        assert answer.mimetype == "text/html"
        stranger.sign_in()


def test_tokens_of_the_identity_provider_are_a_device_of_the_list(site: Site, alice: Browser) -> None:
    """With what to do, because they have no page of their own; without tokens there is no such part."""
    assert "Programs with tokens" not in alice.get("/app-passwords").text
    note(site, TOKENS, Sign.CONNECTED, Sign.READ)
    site.clock.advance(minutes=1)
    note(site, TOKENS, Trouble.NO_SECOND_FACTOR)
    page = html.unescape(alice.get("/app-passwords").text)
    assert "Programs with tokens" in page
    assert "connected, read a file" in page
    assert "There is no second factor behind the token" in page
    assert "let the program sign in again" in page


def test_it_is_part_of_what_somebody_takes_along(site: Site, alice: Browser) -> None:
    """The download of everything has it, with the devices."""
    connect(alice)
    device = device_of(alice)
    note(site, device, Sign.READ, Trouble.CLOCK)
    note(site, BY_NAME, Trouble.NO_APP_PASSWORD)
    archive = zipfile.ZipFile(io.BytesIO(alice.post("/my-data/download", page="/my-data").data))
    told = json.loads(archive.read("account.json"))
    assert told["came_with_the_name_only"]["troubles"] == {"no-app-password": site.clock().isoformat()}
    known = {one["id"]: one for one in told["app_passwords"]}
    assert known[device]["done"] == {"read": site.clock().isoformat()}
    assert known[device]["troubles"] == {"clock": site.clock().isoformat()}
    once = dict.fromkeys(("first", "last"), site.clock().isoformat())
    assert known[device]["noted"] == {"read": once, "clock": {**once, "stands": True}}


# ── watching
def test_a_poll_costs_one_statement_more_than_the_session(site: Site, alice: Browser) -> None:
    """However many devices there are, and whatever was noted: the tables of the vault are not touched."""
    connect(alice)
    device = device_of(alice)
    note(site, device, *Sign, *Trouble)
    sent: list[str] = []
    sa.event.listen(
        site.services.database.engine,
        "before_cursor_execute",
        lambda *told: sent.append(" ".join(told[2].split())),
    )
    health(alice, device)
    asked = [one for one in sent if not one.startswith("BEGIN")]
    of_session = [one for one in asked if "FROM web_session" in one or "FROM account" in one]
    (other,) = [one for one in asked if one not in of_session]
    assert "FROM device_sign" in other
    assert len(of_session) <= 2


def test_the_pages_that_watch_say_what_cannot_be_seen(alice: Browser) -> None:
    """What is refused before it names an app password; and how to find it out on the device."""
    page = connect(alice)
    for text in (page, alice.get(f"/devices/{device_of(alice)}").text):
        assert "certificate not trusted" in text
        assert "the address has to begin with https" in text
        assert "curl -I https://drive.example/dav/" in text
        assert "curl.exe -I https://drive.example/dav/" in text
        assert "/static/connect.js" in text
        assert f'data-health="/devices/{device_of(alice)}/health"' in text


def test_without_a_script_there_is_a_link_to_look_again(alice: Browser) -> None:
    """The page with the app password stays open beside it."""
    page = connect(alice)
    link = f'href="/devices/{device_of(alice)}"'
    assert f'{link} target="_blank" rel="noopener"' in page
    assert link in alice.get(f"/devices/{device_of(alice)}").text


def test_scripts_of_the_page_may_ask_this_server_and_no_other(alice: Browser) -> None:
    """By the policy of every page."""
    policy = alice.get("/connect").headers["Content-Security-Policy"]
    assert "connect-src 'self';" in policy


# ── as the drive itself tells it
def wait_for_notes(site: Site) -> None:
    """The thread that writes them ends when all are written; nobody notes anything afterwards."""
    site.services.health_notes.close()


@pytest.mark.parametrize("kept", [-1, -10, 16])
def test_a_part_of_an_app_password_is_seen(site: Site, alice: Browser, kept: int) -> None:
    """As a wrong one for the device that it is a part of, on the page of that device and no other one."""
    connect(alice)
    device, other = device_of(alice), connect(alice) and device_of(alice)
    connect(alice)
    token = alice.app_password
    for name in ("alice", "bob"):
        with pytest.raises(AuthenticationError):
            site.services.authenticator.authenticate(name, token[:kept], "192.0.2.1")
    wait_for_notes(site)
    (told,) = health(alice, device_of(alice))["troubles"]
    assert told["title"] == "The password is wrong for this device"
    assert health(alice, device)["troubles"] == health(alice, other)["troubles"] == []


def test_another_password_is_seen_by_whose_name_it_came_with(site: Site, alice: Browser) -> None:
    """On every page of that account that watches, until the device connects; and nothing is kept of it."""
    connect(alice)
    bob = site.invited("bob")
    connect(bob)
    for secret in ("correct horse battery staple", "ew1-c0rrecth0rsebattery", bob.app_password[4:]):
        with pytest.raises(AuthenticationError):
            site.services.authenticator.authenticate("Alice", secret, "192.0.2.1")
    wait_for_notes(site)
    (told,) = health(alice, device_of(alice))["troubles"]
    assert told["title"] == "A program came with your user name and no app password"
    assert "not the password that you sign in with" in told["advice"]
    assert health(bob, device_of(bob))["troubles"] == []
    assert "no app password" not in alice.get("/app-passwords").text
    for file in site.services.settings.storage.data_dir.rglob("*.db*"):
        assert not [one for one in (b"correct", b"c0rrect") if one in file.read_bytes()]
    note(site, device_of(alice), Sign.CONNECTED)
    told = health(alice, device_of(alice))
    assert (told["status"], told["troubles"]) == ("This device has: connected.", [])


def test_a_name_that_is_nobodys_leaves_nothing(site: Site, alice: Browser) -> None:
    """Whatever came with it, and although the app password that it names is somebody's."""
    connect(alice)
    for secret in ("correct horse battery staple", alice.app_password[:-1], tokens.mint().text()):
        with pytest.raises(AuthenticationError):
            site.services.authenticator.authenticate("nobody", secret, "192.0.2.1")
    wait_for_notes(site)
    with site.services.database.read() as tx:
        assert tx.signs.of_account(site.services.accounts.find("alice").id) == []


# ── who does not trust the certificate
def test_a_certificate_that_was_not_trusted_is_told_where_the_browser_is(site: Site, alice: Browser) -> None:
    """By the server's word, since the app password was made, and until the device connects."""
    connect(alice)
    device = device_of(alice)
    asked: list[str] = []

    def seconds_ago(address: str) -> float:
        asked.append(address)
        return 90.0

    alice.client.environ_base[MISTRUST_KEY] = seconds_ago  # type: ignore[assignment]  # as the server's is
    site.clock.advance(seconds=89)
    assert health(alice, device)["troubles"] == []
    site.clock.advance(seconds=1)
    (told,) = health(alice, device)["troubles"]
    assert told["title"] == "A program at your address did not trust the certificate"
    assert told["at"] == "2030-01-02 03:04 UTC"
    assert "Give it the certificate" in told["advice"]
    assert told["title"] in alice.get(f"/devices/{device}").text
    assert health(alice, "0" * 10)["troubles"] == []
    note(site, device, Trouble.WRONG_SECRET)
    titles = [one["title"] for one in health(alice, device)["troubles"]]
    assert titles == [told["title"], "The password is wrong for this device"]
    note(site, device, Sign.CONNECTED)
    assert health(alice, device)["troubles"] == []
    assert set(asked) == {"127.0.0.1"}


# ── what some programs are not seen to do
@pytest.mark.parametrize("one", PROGRAMS, ids=[one.key for one in PROGRAMS])
def test_what_a_program_is_not_seen_to_do_is_said(site: Site, alice: Browser, one: Any) -> None:  # noqa: ANN401
    """It is no step of the page that watches; if it is done all the same, its own page has it."""
    page = html.unescape(connect(alice, one.key, label=one.name))
    for sign in words.SIGNS:
        assert (f'data-sign="{sign.value}"' in page) == (sign not in one.unseen)
        if sign in words.UNSEEN:
            assert (words.UNSEEN[sign] % {"program": one.name} in page) == (sign in one.unseen)
    device = device_of(alice)
    note(site, device, *one.unseen)
    assert set(health(alice, device)["seen"]) == {sign.value for sign in one.unseen}


def test_a_refused_device_is_seen(site: Site, alice: Browser) -> None:
    """From the request on the drive to the words on the page."""
    connect(alice)
    device = device_of(alice)
    other = AppToken(device, bytes(20)).text()
    with pytest.raises(AuthenticationError):
        site.services.authenticator.authenticate("alice", other, "192.0.2.1")
    wait_for_notes(site)
    (told,) = health(alice, device)["troubles"]
    assert told["title"] == "The password is wrong for this device"


def test_a_device_in_another_network_is_told_where_this_browser_is(site: Site, alice: Browser) -> None:
    """So that its owner can compare."""
    account = site.services.accounts.find("alice")
    issued = site.services.app_passwords.issue(
        make_principal(account, site.clock),
        "office",
        scopes=Scope.READ_ONLY,
        networks=[ip_network("198.51.100.0/24")],
        expires_at=site.clock() + timedelta(days=1),
    )
    with pytest.raises(AuthenticationError):
        site.services.authenticator.authenticate("alice", issued.token, "192.0.2.1")
    wait_for_notes(site)
    (told,) = health(alice, issued.app_password.id)["troubles"]
    assert "This browser comes from 127.0.0.1" in told["advice"]


# ── without https, and with a certificate of our own
@pytest.mark.parametrize("key", ["davfs2", "macos"])
def test_what_needs_https_says_so(alice: Browser, key: str) -> None:
    """On a server that speaks plain http with its own machine there is no form for it, and none is taken."""
    assert 'name="scope"' in alice.get(f"/connect/{key}").text
    alice.client.set_cookie("sealdav", alice.cookie, domain="localhost")
    alice.origin = "http://localhost"
    page = alice.get(f"/connect/{key}").text
    assert "begins with https" in page
    assert 'name="scope"' not in page
    assert alice.post(f"/connect/{key}", USUAL, page="/connect/rclone").status_code == 403
    assert "rclone config create" in connect(alice)


def test_a_certificate_that_nobody_vouches_for_comes_along(tmp_path: Path) -> None:
    """As a file, before everything else, and in the commands."""
    pair = one_pair()
    folder = tmp_path / "keys here"
    folder.mkdir()
    certificate, key = folder / "own.crt", folder / "own.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    key.chmod(0o600)
    server = {"tls_certificate": str(certificate), "tls_key": str(key)}
    for site in made_site(tmp_path / "site", server=server):
        alice = site.first()
        page = connect(alice)
        name, content = FILE.findall(page)[0]
        assert (name, b64decode(html.unescape(content))) == ("own.crt", pair.certificate)
        assert f"--ca-cert &#39;{certificate}&#39;" in page


def test_a_certificate_that_only_a_proxy_sees_does_not(tmp_path: Path) -> None:
    """Devices are shown the proxy's: nothing is said of ours."""
    certificate, key = write_pair(tmp_path, one_pair())
    server = {
        "tls_certificate": str(certificate),
        "tls_key": str(key),
        "public_url": "https://drive.example",
    }
    for site in made_site(tmp_path / "site", server=server):
        page = connect(site.first())
        assert "rclone.conf" in page
        assert str(certificate) not in page
        assert "tls.crt" not in page
