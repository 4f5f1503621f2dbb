"""The audit log on the site: for administrators with a fresh code, and for everybody about themselves."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta

import pytest

from davserver.accounts.audit_trail import Search
from davserver.audit import AuditEvent
from davserver.errors import DavserverError, IntegrityError, TotpInvalid, TotpOutOfSync, TotpReplayed
from enroll_web.pages.audit import ENTRIES
from enroll_web.recorded import ERRORS, EVENTS
from tests.factories import make_principal
from tests.tamper import write_column
from tests.unit.enroll_web.conftest import Browser, Site

_ROW = re.compile(r"<tr>\s*(.*?)\s*</tr>", re.DOTALL)
_CELL = re.compile(r"<t[dh][^>]*>(?:<time[^>]*>)?(.*?)(?:</time>)?</t[dh]>", re.DOTALL)


def rows(page: str) -> list[list[str]]:
    """What is in the table, without its heading."""
    return [_CELL.findall(row) for row in _ROW.findall(page)[1:]]


def read(site: Site) -> list[tuple[str, str]]:
    """Who has read whose entries, the latest first; without this look."""
    shown = site.services.audit_trail.latest(Search(event=AuditEvent.AUDIT_READ), limit=100, by="test")
    return [(one.actor, one.account) for one in shown if one.actor != "test"]


def test_every_event_has_words() -> None:
    """Nobody has to read a code."""
    assert set(EVENTS) == set(AuditEvent)
    assert len(set(EVENTS.values())) == len(EVENTS)


def kinds(error: type[DavserverError]) -> set[type[DavserverError]]:
    """An error and every more special one."""
    return {error}.union(*(kinds(one) for one in error.__subclasses__()))


def test_every_error_that_is_a_reason_has_words(site: Site, alice: Browser) -> None:
    """Nobody is shown what a class of the program is called; what is words already stays as it is."""
    recorded = kinds(IntegrityError) | {TotpInvalid, TotpOutOfSync, TotpReplayed}
    assert {one.__name__ for one in recorded} == set(ERRORS)
    assert len(set(ERRORS.values())) == len(ERRORS)
    alice.post("/confirm", {"code": "000000"})
    site.services.audit.record(AuditEvent.AUDIT_SKIPPED, reason="5 more password-refused")
    site.services.audit.record(AuditEvent.ACCOUNT_SUSPENDED, account="bob", reason="Left the company")
    for path in ("/people/audit", "/my-data/activity"):
        page = alice.get(path).text
        assert "TotpInvalid" not in page
        assert "not the right code" in page
    more = [row[-1] for row in rows(alice.get("/people/audit").text)]
    assert {"5 more: Wrong password", "Left the company"} <= set(more)


def test_app_passwords_are_recorded_with_where_from(site: Site, alice: Browser) -> None:
    """Made with the authenticator, made later, revoked alone or all at once; a terminal has no address."""
    alice.post("/app-passwords/new", {"label": "laptop", "scope": "full", "days": "30"})
    made = alice.app_password[4:14]
    alice.post("/app-passwords/revoke", {"id": made}, page="/sign-out")
    alice.post("/app-passwords/revoke-all", page="/app-passwords/stolen")
    account = site.services.accounts.find("alice")
    site.services.app_passwords.issue(make_principal(account, site.clock), "terminal")
    for event, addresses in (
        (AuditEvent.APP_PASSWORD_ISSUED, [None, "127.0.0.1", "127.0.0.1"]),
        (AuditEvent.APP_PASSWORD_REVOKED, ["127.0.0.1", "127.0.0.1"]),
    ):
        found = site.services.audit_trail.latest(Search(event=event), limit=9, by="test")
        assert [one.client for one in found] == addresses


def test_an_administrator_sees_everybody(site: Site, alice: Browser) -> None:
    """Who, what, when, from where; that the log was read is in it, with the name of the reader."""
    site.invited("bob")
    site.services.accounts.suspend("bob", by="alice")
    page = alice.get("/people/audit")
    assert page.status_code == 200
    shown = rows(page.text)
    assert [row[1] for row in shown[:3]] == ["Audit log read", "Account suspended", "App password made"]
    assert shown[0][3] == "alice"
    assert (shown[1][2], shown[1][3]) == ("bob", "alice")
    signed_in = next(row for row in shown if row[1] == "Signed in")
    assert (signed_in[2], signed_in[4]) == ("bob", "127.0.0.1")
    assert read(site) == [("alice", "")]


def test_filters(site: Site, alice: Browser) -> None:
    """By account, event and day; whose entries were asked for is recorded."""
    site.invited("bob")
    day = f"{site.clock():%Y-%m-%d}"
    site.clock.advance(days=1)
    alice.sign_in()
    alice.prove()
    shown = rows(alice.get("/people/audit?account=Bob&event=signed-in").text)
    assert [(row[1], row[2]) for row in shown] == [("Signed in", "bob")]
    assert read(site) == [("alice", "bob")]
    assert rows(alice.get(f"/people/audit?account=bob&day={day}").text)
    assert not rows(alice.get("/people/audit?account=bob&day=2030-02-01").text)
    assert "no such entry" in alice.get("/people/audit?account=nobody&event=signed-in").text


@pytest.mark.parametrize(
    "query", ["account=a b", "event=nonsense", "day=yesterday", "before=x", "before=1234567890123456789"]
)
def test_a_filter_that_means_nothing_is_explained(site: Site, alice: Browser, query: str) -> None:
    """Nothing is read, so nothing is recorded as read."""
    response = alice.get(f"/people/audit?{query}")
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert read(site) == []


def test_page_by_page(site: Site, alice: Browser) -> None:
    """The link to older entries keeps the filters, and leads on until there are no more."""
    for number in range(ENTRIES + 5):
        site.services.audit.record(AuditEvent.SIGNED_OUT, account="carol", reason=str(number))
    path, reasons = "/people/audit?account=carol&event=signed-out", []
    for _ in range(2):
        text = alice.get(path).text
        reasons += [row[-1] for row in rows(text)]
        older = re.search(r'href="([^"]+)">Older<', text)
        path = "" if older is None else older[1].replace("&amp;", "&")
    assert reasons == [str(number) for number in reversed(range(ENTRIES + 5))]
    assert path == ""


def test_it_takes_an_administrator_and_a_fresh_code(site: Site, alice: Browser) -> None:
    """Others are refused; after some minutes a code is asked for, and then it goes on here."""
    bob = site.invited("bob")
    assert bob.get("/people/audit").status_code == 403
    site.clock.advance(minutes=6)
    asked = alice.get("/people/audit?account=bob&event=signed-in")
    address = "/people/audit?account=bob&event=signed-in"
    assert (asked.request.path, asked.request.args["next"]) == ("/confirm", address)
    done = alice.post("/confirm", {"code": alice.code(), "next": "/people/audit"})
    assert done.request.path == "/people/audit"
    assert site.browser().get("/people/audit").request.path == "/sign-in"
    assert [reader for reader, _ in read(site)] == ["alice"]


def test_somebody_sees_what_happened_to_their_account(site: Site, alice: Browser) -> None:
    """Also that an administrator looked; nothing of others, and looking at oneself is not recorded."""
    bob = site.invited("bob")
    site.browser().sign_in("bob", "wrong")
    alice.get("/people/audit?account=bob")
    shown = rows(bob.get("/my-data/activity").text)
    assert [(row[1], row[2]) for row in shown[:3]] == [
        ("Audit log read", "alice"),
        ("Wrong password", ""),
        ("App password made", ""),
    ]
    assert shown[1][3] == "127.0.0.1"
    assert shown[-1][1] == "Account made"
    assert len(read(site)) == 1
    assert "bob" not in alice.get("/my-data/activity").text
    assert "What happened to your account" in bob.get("/my-data").text


@pytest.mark.usefixtures("alice")
def test_the_download_has_all_of_it(site: Site) -> None:
    """More than the page shows, the earliest first; nothing of others."""
    bob = site.invited("bob")
    for number in range(150):
        site.services.audit.record(AuditEvent.SIGNED_OUT, account="bob", reason=str(number))
    response = bob.post("/my-data/download", page="/my-data")
    archive = zipfile.ZipFile(io.BytesIO(response.data))
    happened = json.loads(archive.read("audit.json"))
    assert [one["event"] for one in happened][:2] == ["account-created", "invitation-used"]
    assert happened[-1]["event"] == "data-downloaded"
    assert [one["reason"] for one in happened if one["event"] == "signed-out"] == [
        str(number) for number in range(150)
    ]
    assert b"alice" not in archive.read("audit.json")


def test_what_was_altered_is_not_shown(site: Site, alice: Browser) -> None:
    """Neither on a page nor in the download."""
    write_column(site.services.database, "audit_entry", "reason", "<b>mallory</b>")
    for path in ("/people/audit", "/my-data/activity"):
        page = alice.get(path).text
        assert "mallory" not in page
        assert "was altered and is not shown" in page
    response = alice.post("/my-data/download", page="/my-data")
    archive = zipfile.ZipFile(io.BytesIO(response.data))
    assert [one["event"] for one in json.loads(archive.read("audit.json"))] == ["data-downloaded"]


def test_the_pages_say_for_how_long_it_is_kept(site: Site, alice: Browser) -> None:
    """With the numbers that are set; also that it outlives the account."""
    for page in (site.browser().get("/privacy").text, alice.get("/my-data/activity").text):
        assert "400 days" in page
        assert "90 days" in page
    assert "also if you" in site.browser().get("/privacy").text


@pytest.mark.usefixtures("alice")
def test_upkeep_forgets_addresses_and_then_entries(site: Site) -> None:
    """After the days that the pages name."""
    name = site.services.accounts.find("alice")
    assert any(one.client for one in site.services.audit_trail.own(name, limit=100))
    site.clock.now += timedelta(days=91)
    site.services.upkeep.run()
    kept = site.services.audit_trail.own(name, limit=100)
    assert kept
    assert not any(one.client for one in kept)
    site.clock.now += timedelta(days=310)
    site.services.upkeep.run()
    assert site.services.audit_trail.own(name, limit=100) == []
    assert site.services.audit_trail.verify().problems == []
