"""What administrators see of an account, and do with it: behind a fresh code, with a reason, recorded."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import pytest
from werkzeug.test import TestResponse

from davserver.accounts.audit_trail import AuditEntry, Search
from davserver.audit import PROVIDER, TERMINAL, AuditEvent
from davserver.errors import AuthenticationError
from davserver.model import ROOT_ID, AccountState, Scope
from davserver.vault.paths import VaultPath
from enroll_web.pages.acts import ACTS
from tests.factories import make_principal
from tests.unit.enroll_web.conftest import Browser, Site

BOB = "/people/account/bob"
WHY = "left the company"

FORMS = {
    **{f"{BOB}/{act}": {"reason": "lost" if act == "reset" else WHY} for act in ACTS},
    f"{BOB}/quota": {"quota": "10 GiB"},
}
"""Every form about bob and what is typed into it; the one for a device has its id in the address."""

_FACT = re.compile(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", re.DOTALL)
_LINK = re.compile(r'href="(/people/account/[^"]+)"')
_TAGS = re.compile(r"<[^>]+>")


def facts(page: str) -> dict[str, str]:
    """What is said of the account itself."""
    head = page.partition("<h2>Devices</h2>")[0]
    return {name: " ".join(unescape(_TAGS.sub("", said)).split()) for name, said in _FACT.findall(head)}


def links(page: str) -> set[str]:
    """Where the page of an account leads to, of what is about that account."""
    return {one.rpartition("/")[2] for one in _LINK.findall(page)}


def last(site: Site, event: AuditEvent) -> AuditEntry:
    """The last entry of this kind."""
    return site.services.audit_trail.latest(Search(event=event), limit=1, by="test")[0]


def is_open(site: Site, browser: Browser, name: str = "bob") -> bool:
    """Whether somebody's device is let in."""
    try:
        return site.opens(name, browser.app_password)
    except AuthenticationError:
        return False


@pytest.fixture
def bob(site: Site, alice: Browser) -> Browser:
    """Somebody who is no administrator."""
    assert alice.app_password
    return site.invited("bob")


def test_what_is_seen(site: Site, alice: Browser, bob: Browser) -> None:
    """State, kind, authenticator, space, devices with their last use, browsers; no name of a file."""
    services = site.services
    vault = services.vaults.open(make_principal(services.accounts.find("bob"), site.clock))
    vault.make_collection(VaultPath.parse("Letters to the doctor"))
    folder = vault.stat(VaultPath.parse("Letters to the doctor")).id
    services.app_passwords.issue(
        make_principal(services.accounts.find("bob"), site.clock),
        "Phone <1>",
        scopes=Scope.READ_ONLY,
        root_id=folder,
    )
    services.authenticator.authenticate("bob", bob.app_password, "198.51.100.7", "rclone/v1.68")
    services.uses.close()
    page = alice.get(BOB).text
    assert facts(page) == {
        "State": "active",
        "Kind": "built in",
        "Authenticator": "since 2030-01-02, 10 recovery codes left",
        "Stored": "0 B, no limit; 0 files, 1 folder",
        "Last used": f"{site.clock():%Y-%m-%d %H:%M} UTC",
        "Made": "2030-01-02 03:04 UTC",
    }
    for words in ("from 198.51.100.7, rclone/v1.68", "Phone &lt;1&gt;", "read only, in one folder"):
        assert words in page
    assert re.search(r"<li>signed in 2030-01-02 03:0\d UTC, last seen 03:0\d</li>", page)
    assert "doctor" not in page


@pytest.mark.parametrize("path", [BOB, *FORMS, f"{BOB}/devices/x"])
def test_it_takes_an_administrator(site: Site, bob: Browser, path: str) -> None:
    """Page or form: bob is none, and strangers have to sign in."""
    assert bob.get(path).status_code == 403
    assert site.browser().get(path).request.path == "/sign-in"
    if path != BOB:
        assert bob.post(path, FORMS.get(path), page="/sign-out", follow=False).status_code == 403
    assert is_open(site, bob)


@pytest.mark.parametrize("path", [*FORMS, "device"])
def test_every_act_takes_a_fresh_code(site: Site, alice: Browser, bob: Browser, path: str) -> None:
    """Five minutes after the last one nothing is done, one is asked for, and then it goes on there."""
    if path == "device":
        path = f"{BOB}/devices/{bob.app_password[4:14]}"
    before = site.services.audit_log, len(site.services.audit_trail.latest(Search(), limit=1000))
    form = {"csrf": _csrf(alice.get("/sign-out")), **FORMS.get(path, {"reason": WHY})}
    site.clock.advance(minutes=5, seconds=1)
    for answer in (alice.get(path), alice.send(path, form)):
        assert (answer.request.path, answer.request.args["next"]) == ("/confirm", path)
    assert len(site.services.audit_trail.latest(Search(), limit=1000)) == before[1] + 1
    assert alice.post("/confirm", {"code": alice.code(), "next": path}).request.path == path


def _csrf(page: TestResponse) -> str:
    return page.text.partition('name="csrf" value="')[2].partition('"')[0]


@pytest.mark.parametrize("path", [f"{BOB}/{key}" for key, act in ACTS.items() if act.takes] + ["device"])
@pytest.mark.parametrize("reason", ["", "  x ", "y" * 161, "a\x07b c"])
def test_whatever_takes_something_away_asks_why(
    site: Site, alice: Browser, bob: Browser, path: str, reason: str
) -> None:
    """Without a reason nothing happens, and what was typed is still there."""
    site.services.profiles.set_admin(site.services.accounts.find("bob"), admin=True)
    path = path if path != "device" else f"{BOB}/devices/{bob.app_password[4:14]}"
    answer = alice.post(path, {"reason": reason})
    assert (answer.status_code, 'role="alert"' in answer.text) == (422, True)
    assert "Say why" in answer.text
    assert is_open(site, bob)
    assert bob.get("/people").status_code == 200


def test_a_form_of_another_site_does_nothing(site: Site, alice: Browser, bob: Browser) -> None:
    """An address alone does not, either."""
    assert alice.send(f"{BOB}/suspend", {"reason": WHY}).status_code == 403
    assert alice.send(f"{BOB}/suspend", {"reason": WHY, "csrf": "x"}).status_code == 403
    assert alice.get(f"{BOB}/suspend?reason=left+the+company").status_code == 200
    assert is_open(site, bob)


# ── the acts
def test_suspended_and_resumed(site: Site, alice: Browser, bob: Browser) -> None:
    """Devices and browsers are out, with who, whose and why on record; resumed, devices work as before."""
    assert alice.post(f"{BOB}/suspend", {"reason": f"  {WHY} "}).request.path == BOB
    assert not is_open(site, bob)
    entry = last(site, AuditEvent.ACCOUNT_SUSPENDED)
    assert (entry.account, entry.actor, entry.reason) == ("bob", "alice", WHY)
    page = alice.get(BOB).text
    assert facts(page)["State"] == f"suspended since {site.clock():%Y-%m-%d %H:%M} UTC by alice: {WHY}"
    assert "resume" in links(page)
    assert "suspend" not in links(page)
    assert WHY in alice.get("/people").text
    assert "is active again" in alice.post(f"{BOB}/resume", page=f"{BOB}/resume").text
    assert is_open(site, bob)
    assert bob.get("/start").request.path == "/sign-in"
    resumed = last(site, AuditEvent.ACCOUNT_RESUMED)
    assert (resumed.account, resumed.actor) == ("bob", "alice")


def test_nobody_suspends_themself_nor_the_last_administrator(site: Site, alice: Browser) -> None:
    """The page does not offer it, and the form is refused with what to do."""
    mine = "/people/account/alice"
    page = alice.get(mine).text
    assert {"suspend", "take-administrator"} & links(page) == set()
    assert "This is you" in page
    for act in ("suspend", "take-administrator"):
        answer = alice.post(f"{mine}/{act}", {"reason": WHY})
        assert (answer.status_code, "ask another administrator" in answer.text) == (403, True)
    assert site.services.profiles.of(site.services.accounts.find("alice").id).admin
    assert alice.get("/people").status_code == 200


def test_another_quota(site: Site, alice: Browser, bob: Browser) -> None:
    """With a unit; what means nothing is explained; the log says from what to what, and by whom."""
    assert bob.app_password
    refused = alice.post(f"{BOB}/quota", {"quota": "a lot"})
    assert (refused.status_code, "a number with a unit" in refused.text) == (422, True)
    assert 'value="a lot"' in refused.text
    assert alice.post(f"{BOB}/quota", {"quota": "-1 GiB"}).status_code == 422
    assert "may store 10 GiB now" in alice.post(f"{BOB}/quota", {"quota": "10 GiB"}).text
    assert site.services.accounts.find("bob").quota == 10 * 2**30
    entry = last(site, AuditEvent.QUOTA_CHANGED)
    assert (entry.account, entry.actor, entry.reason) == ("bob", "alice", "from no limit to 10 GiB")
    assert facts(alice.get(BOB).text)["Stored"].startswith("0 B of 10 GiB (set by alice);")
    assert 'value="10 GiB"' in alice.get(f"{BOB}/quota").text
    assert "as much as there is room for" in alice.post(f"{BOB}/quota", {"quota": ""}).text
    assert site.services.accounts.find("bob").quota is None


def test_one_device_is_revoked(site: Site, alice: Browser, bob: Browser) -> None:
    """The others go on; unknown ones and those of somebody else are not found."""
    principal = make_principal(site.services.accounts.find("bob"), site.clock)
    other = site.services.app_passwords.issue(principal, "Laptop")
    path = f"{BOB}/devices/{other.app_password.id}"
    assert "Laptop" in alice.get(path).text
    assert alice.post(path, {"reason": WHY}).request.path == BOB
    entry = last(site, AuditEvent.APP_PASSWORD_REVOKED)
    assert (entry.account, entry.actor, entry.credential, entry.reason, entry.client) == (
        *("bob", "alice", other.app_password.id, WHY),
        None,
    )
    assert is_open(site, bob)
    assert alice.get(path).status_code == 404
    mine = f"{BOB}/devices/{alice.app_password[4:14]}"
    assert alice.get(mine).status_code == 404
    assert alice.post(mine, {"reason": WHY}, page="/sign-out").status_code == 404
    assert is_open(site, alice, "alice")


def test_all_devices_are_revoked(site: Site, alice: Browser, bob: Browser) -> None:
    """With one entry for each; browsers stay signed in."""
    assert "Revoked: 1." in alice.post(f"{BOB}/revoke-all", {"reason": WHY}).text
    assert not is_open(site, bob)
    entry = last(site, AuditEvent.APP_PASSWORD_REVOKED)
    assert (entry.account, entry.actor, entry.reason) == ("bob", "alice", WHY)
    assert bob.get("/start").request.path == "/start"
    assert "There is none." in alice.get(BOB).text


def test_browsers_are_signed_out(site: Site, alice: Browser, bob: Browser) -> None:
    """Devices go on; an administrator who does it to themself stays in this browser."""
    assert "Signed out: 1." in alice.post(f"{BOB}/sign-out", {"reason": WHY}).text
    assert bob.get("/start").request.path == "/sign-in"
    assert is_open(site, bob)
    entry = last(site, AuditEvent.SIGNED_OUT)
    assert (entry.account, entry.actor, entry.reason) == ("bob", "alice", WHY)
    assert "None is signed in." in alice.get(BOB).text
    other = site.browser()
    other.secret = alice.secret
    other.sign_in()
    other.prove()
    assert "Signed out: 1." in alice.post("/people/account/alice/sign-out", {"reason": WHY}).text
    assert other.get("/start").request.path == "/sign-in"


def test_administrators_make_and_unmake_others(site: Site, alice: Browser, bob: Browser) -> None:
    """From bob's next page on; with who did it."""
    assert "make-administrator" in links(alice.get(BOB).text)
    alice.post(f"{BOB}/make-administrator", page=f"{BOB}/make-administrator")
    assert bob.get("/people").status_code == 200
    assert last(site, AuditEvent.ADMIN_GRANTED).actor == "alice"
    page = alice.get(BOB).text
    assert facts(page)["Kind"] == "built in, administrator"
    assert "take-administrator" in links(page)
    alice.post(f"{BOB}/take-administrator", {"reason": WHY})
    assert bob.get("/people").status_code == 403
    entry = last(site, AuditEvent.ADMIN_WITHDRAWN)
    assert (entry.account, entry.actor, entry.reason) == ("bob", "alice", WHY)


# ── addresses
@pytest.mark.parametrize("name", ["audit", "invite", "invited", "account", "a+b@c.d-e_f"])
def test_an_account_may_be_called_as_a_page_is(site: Site, alice: Browser, name: str) -> None:
    """It has its page, and the page of that name is still there."""
    site.invited(name)
    page = alice.get(f"/people/account/{name}")
    assert (page.status_code, f"<h1>{name}</h1>" in page.text) == (200, True)
    done = alice.post(f"/people/account/{name}/suspend", {"reason": WHY})
    assert (done.status_code, done.request.path) == (200, f"/people/account/{name}")
    assert site.services.accounts.find(name).state is AccountState.SUSPENDED
    assert "<h1>Audit log</h1>" in alice.get("/people/audit").text


def test_who_is_not_there(site: Site, alice: Browser) -> None:
    """Nobody of this name, no such act, or somebody whose deletion is not finished."""
    for path in ("/people/account/nobody", "/people/account/nobody/suspend", "/people/account/alice/fire"):
        assert alice.get(path).status_code == 404
    site.services.accounts.create("carol")
    site.services.deletion.shred("carol")
    assert alice.get("/people/account/carol").status_code == 404
    assert "being deleted" in alice.get("/people").text


def test_why_is_told_as_long_as_the_log_knows(site: Site, alice: Browser, bob: Browser) -> None:
    """A command on the server is named so; a reason of somebody who had the name before is not shown."""
    assert bob.app_password
    services = site.services
    services.administration.suspend("bob", by=TERMINAL)
    assert facts(alice.get(BOB).text)["State"].endswith("by a command on the server: no reason was given")
    services.administration.resume("bob", by=TERMINAL)
    with services.database.write() as tx:
        row = tx.accounts.by_username("bob")
        assert row is not None
        suspended = services.keyring.with_mac(
            replace(row, state="suspended", created_at=row.created_at + 10**6, version=row.version + 1)
        )
        tx.accounts.replace(suspended, expected_version=row.version)
        tx.commit()
    assert "does not say any more" in facts(alice.get(BOB).text)["State"]


def test_a_quota_of_the_provider_is_named(site: Site, alice: Browser, bob: Browser) -> None:
    """Until somebody here sets another one."""
    assert bob.app_password
    site.services.accounts.set_quota("bob", 5, by=PROVIDER)
    assert "(from Keycloak)" in facts(alice.get(BOB).text)["Stored"]
    alice.post(f"{BOB}/quota", {"quota": "6"})
    assert "(set by alice)" in facts(alice.get(BOB).text)["Stored"]


def test_the_root_of_a_device_is_told_from_a_folder(alice: Browser, bob: Browser) -> None:
    """The first app password is for the whole drive."""
    assert (ROOT_ID, bool(bob.app_password)) == (bytes(16), True)
    assert "read, change and delete, the whole drive" in alice.get(BOB).text
