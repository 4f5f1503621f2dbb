"""Every page of the site, one after the other, as people come to them: what is tested and photographed.

for walk in WALKS:
    with begin(walk, folder, keycloak) as tour:
        for stop in tour.stops():
            stop.visitor.page.screenshot(...)

Each walk has sites and a browser of its own, so that several can be taken at once. The order is fixed, and so
is the time, except at the company whose people sign in at a real Keycloak (company.py). Secrets are others
each time. A new page belongs into the walk that leads past it: tests/e2e/test_pages.py fails as long as it is
in none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

from playwright.sync_api import Browser

from davserver.accounts.health import Sign, Trouble
from davserver.accounts.health_notes import Note, NoteWriter
from davserver.accounts.programs import PROGRAMS
from davserver.clock import to_seconds, utc_now
from davserver.model import AccountId, Scope
from davserver.vault.paths import VaultPath
from tests.factories import make_principal
from tests.fakes import FrozenClock
from tests.mail import mailbox
from tests.services import company, file_walk, trash_walk, upload_walk
from tests.services.browser import chromium, visit
from tests.services.guest import PASSWORD, Guest, Stop
from tests.services.keycloak import Keycloak
from tests.services.site import BROWSER_FLAG, ServedSite, serve

HOST = "drive.example.org"
START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
"""When the tour begins."""

LONG_NAME = "maximiliane-alexandra.von-hohenstein-schwarzenberg@admin.example"
LONG_LABEL = "Notebook of the archive on the third floor, next to the printer"
"""As long as a user name may be, and a label as somebody would write who has many devices."""

GERMAN = "-german"
"""Ends the names of stops whose page is in German."""

PICTURED_PROGRAMS = frozenset({"windows", "macos", "davfs2", "phones"})
"""Those beside rclone of which there are pictures: what is shown for the others is much like that."""

FREE_ATTEMPTS = 5
"""After so many wrong passwords in a row one has to wait."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One of the walks that the tour is made of.

    Attributes:
        parts: their headings, in their order.
        pages: what it has to lead past: blueprints, and single endpoints of those of another walk.
    """

    parts: tuple[str, ...]
    pages: tuple[str, ...]


COMPANY = "company"

WALKS = {
    "oneself": Walk(
        ("Outside", "The first run", "In German", "The second factor", "One's own data", "Coming back"),
        ("home", "sign_in", "second_factor", "password", "my_data", "audit.activity"),
    ),
    "connecting": Walk(("Connecting a device",), ("connect",)),
    "drive": Walk(("Files", "Uploads", "The trash"), ("files", "files_new", "trash", "versions")),
    "others": Walk(
        ("Devices", "Other people"),
        ("app_passwords", "people", "person", "audit", "invited", "my_data.deleted"),
    ),
    COMPANY: Walk(("With Keycloak",), ("oidc",)),
}
"""By name."""


@dataclass
class Tour:
    """A walk that has begun.

    Attributes:
        walk: which one.
        site: where it leads through.
        ways: through its parts.
    """

    walk: Walk
    site: ServedSite
    ways: Iterator[Iterator[Stop]]

    def stops(self) -> Iterator[Stop]:
        """Walk; each page is there until the next one is asked for."""
        for part, way in zip(self.walk.parts, self.ways, strict=True):
            for stop in way:
                yield replace(stop, part=part)


@dataclass
class _BuiltIn:
    """A site with accounts of its own."""

    browser: Browser
    clock: FrozenClock
    site: ServedSite

    def oneself(self) -> Iterator[Iterator[Stop]]:
        """What anybody sees, and what Alice does with her own account."""
        with visit(self.browser, self.site.url) as stranger:
            yield _outside(Guest(self.site, stranger, self.clock))
        with visit(self.browser, self.site.url) as visitor:
            alice = Guest(self.site, visitor, self.clock)
            yield _first_run(alice)
            self._furnish()
            yield _in_german(alice)
            yield _second_factor(alice)
            yield _own_data(alice)
            yield _coming_back(alice)

    def connecting(self) -> Iterator[Iterator[Stop]]:
        """Alice's programs."""
        with self._settled() as alice:
            yield _connecting(alice)

    def drive(self) -> Iterator[Iterator[Stop]]:
        """What Alice stores."""
        with self._settled() as alice:
            yield file_walk.walk(alice)
            yield upload_walk.walk(alice)
            yield trash_walk.walk(alice, self.clock)

    def others(self) -> Iterator[Iterator[Stop]]:
        """Alice's devices, and other people."""
        with self._settled() as alice, visit(self.browser, self.site.url) as other:
            yield _devices(alice)
            yield _other_people(alice, Guest(self.site, other, self.clock))

    @contextmanager
    def _settled(self) -> Iterator[Guest]:
        """Alice, who has been here for a while."""
        token = self.site.services.invitations.first()
        assert token is not None
        with visit(self.browser, self.site.url) as visitor:
            alice = Guest(self.site, visitor, self.clock)
            alice.accept(token, {"User name": "alice"}).note_secret().type_code(alice.code(), "Activate")
            self._furnish()
            yield alice

    def _furnish(self) -> None:
        """What has come together in a few weeks: files, devices, colleagues."""
        services, now = self.site.services, self.clock.now
        account = services.accounts.find("alice")
        self.clock.advance(days=-45)
        alice = make_principal(account, self.clock)
        vault = services.vaults.open(alice)
        for name in ("Documents", "Photos"):
            vault.make_collection(VaultPath.parse(name))
        with vault.write(VaultPath.parse("Documents/letter.txt")) as upload:
            upload.write(bytes(1_500_000))
            upload.commit()
        issue = services.app_passwords.issue
        phone = issue(alice, "Phone", scopes=Scope.READ_ONLY)
        self.clock.advance(minutes=1)
        loan = issue(alice, "Loan from IT", expires_at=datetime(2026, 10, 1, tzinfo=UTC))
        self.clock.advance(minutes=1)
        issue(
            alice,
            LONG_LABEL,
            scopes=Scope.NO_DELETE,
            root_id=vault.stat(VaultPath.parse("Documents")).id,
            networks=[ip_network("192.0.2.0/24"), ip_network("2001:db8:1234:5678::/64")],
        )
        for name in ("bob", "carol"):
            services.accounts.create(name, quota=10 * 2**30)
        services.administration.suspend("carol", by="alice", reason="Parental leave until September")
        tablet = issue(make_principal(services.accounts.find("bob"), self.clock), LONG_LABEL)
        self.clock.now = now
        services.authenticator.authenticate("bob", tablet.token, "2001:db8:77::a1", "rclone/v1.68.2")
        services.authenticator.authenticate(
            "alice", phone.token, "203.0.113.7", "Mozilla/5.0 (Android) DAVx5/4.4.3"
        )
        self._note_health(account.id, phone.app_password.id, loan.app_password.id)

    def _note_health(self, account_id: AccountId, phone: str, loan: str) -> None:
        """What two devices have done: one of them wants more than it may, the other one is over."""
        now = to_seconds(self.clock())
        done = (Sign.CONNECTED, Sign.LISTED, Sign.READ)
        notes: dict[Note, int] = {(account_id, phone, sign): now for sign in done}
        notes |= {(account_id, phone, Trouble.READ_ONLY): now, (account_id, loan, Trouble.EXPIRED): now}
        NoteWriter(self.site.services.database).write(notes)


@contextmanager
def begin(walk: str, folder: Path, keycloak: Callable[[], Keycloak]) -> Iterator[Tour]:
    """Serve what a walk visits, and start the browser; `keycloak` gives one to the walk that needs it."""
    begun = _begin_company(folder, keycloak()) if walk == COMPANY else _begin_built_in(walk, folder)
    with begun as tour:
        yield tour


@contextmanager
def _begin_built_in(walk: str, folder: Path) -> Iterator[Tour]:
    clock = FrozenClock(START)
    with mailbox() as office:
        mail = {"host": "127.0.0.1", "port": office.port, "starttls": False, "sender": f"drive@{HOST}"}
        with serve(folder / "site", HOST, clock, mail=mail) as site, _browser(site) as browser:
            here = _BuiltIn(browser, clock, site)
            ways = {
                "oneself": here.oneself,
                "connecting": here.connecting,
                "drive": here.drive,
                "others": here.others,
            }
            yield Tour(WALKS[walk], site, ways[walk]())


@contextmanager
def _begin_company(folder: Path, keycloak: Keycloak) -> Iterator[Tour]:
    with company.found(folder, keycloak, utc_now) as work, _browser(*work.sites) as browser:
        yield Tour(WALKS[COMPANY], work.site, iter([work.stops(browser)]))


@contextmanager
def _browser(*sites: ServedSite) -> Iterator[Browser]:
    rules = ",".join(one.rule for one in sites)
    with chromium(BROWSER_FLAG, f"--host-resolver-rules={rules}") as started:
        yield started


def _outside(guest: Guest) -> Iterator[Stop]:
    """What anybody sees."""
    yield guest.open("/").at("home")
    yield guest.open("/privacy").at("privacy")
    yield guest.open("/sign-in").at("sign-in")
    guest.fill({"User name": "mallory", "Password": "not this one"}).press("Sign in")
    yield guest.at("sign-in-refused", 403)
    for _ in range(FREE_ATTEMPTS - 1):
        with guest.visitor.refused(403):
            guest.fill({"User name": "mallory", "Password": "not this one"}).press("Sign in")
    guest.fill({"User name": "mallory", "Password": "not this one"}).press("Sign in")
    yield guest.at("too-many-attempts", 429)
    guest.open("/sign-in").page.context.clear_cookies()
    yield guest.fill({"User name": "a", "Password": "b"}).press("Sign in").at("open-too-long", 403)
    yield guest.open("/no-such-page").at("not-found", 404)
    yield guest.open("/set-up/" + "x" * 43).at("link-used", 404)
    yield guest.open("/app-passwords/revoke").at("not-by-address", 405)
    yield guest.open(f"http://{HOST}/sign-in").at("not-private", 403)


def _first_run(alice: Guest) -> Iterator[Stop]:
    """From the link of `make run` to an app password: three pages, and what can go wrong on them."""
    token = alice.site.services.invitations.first()
    assert token is not None
    yield alice.open(f"/set-up/{token}").at("set-up")
    alice.fill({"User name": "alice", "Password": PASSWORD, "The same once more": "correct house battery"})
    yield alice.press("Continue").at("set-up-refused", 422)
    alice.fill({"Password": PASSWORD, "The same once more": PASSWORD}).press("Continue")
    yield alice.at("authenticator")
    alice.note_secret().page.get_by_text("No camera?").click()
    yield alice.at("authenticator-text")
    yield alice.type_code("000000", "Activate").at("authenticator-refused", 403)
    yield alice.type_code(alice.code(steps=-8), "Activate").at("authenticator-clock", 403)
    yield alice.type_code(alice.code(), "Activate").note_codes().at("welcome")


def _in_german(alice: Guest) -> Iterator[Stop]:
    """Another language, chosen at the foot of a page, as far as three pages."""
    yield alice.open("/start").press("Deutsch").at(f"start{GERMAN}")
    yield alice.open("/app-passwords").at(f"app-passwords{GERMAN}")
    yield alice.open("/app-passwords/new").at(f"app-password-new{GERMAN}")
    alice.press("English")


def _devices(alice: Guest) -> Iterator[Stop]:
    """App passwords: made, shown once, listed, revoked."""
    yield alice.open("/start").at("start")
    yield alice.open("/app-passwords").at("app-passwords")
    yield alice.open("/app-passwords/new").at("app-password-new")
    alice.page.get_by_text("Limit it further").click()
    alice.fill({"Name of the device": "Laptop", "Only from these networks": "192.0.2.0/99"})
    yield alice.press("Make app password").at("app-password-refused", 422)
    alice.fill({"Only from these networks": "192.0.2.0/24"}).press("Make app password")
    yield alice.at("app-password-shown")
    yield alice.open("/app-passwords/shown").at("app-password-gone")
    yield alice.press("Revoke Laptop").at("app-password-revoked")
    yield alice.open("/app-passwords/stolen").at("stolen")
    yield alice.press("Revoke everything").at("app-passwords-none")


def _connecting(alice: Guest) -> Iterator[Stop]:
    """From the choice of a program to what it has done."""
    yield alice.open("/connect").at("connect")
    yield alice.follow("rclone").at("connect-program")
    alice.page.get_by_text("Limit it further").click()
    alice.fill({"Only this folder": "no/such/folder"})
    yield alice.press("Make app password").at("connect-refused", 422)
    alice.fill({"Only this folder": ""}).press("Make app password")
    yield alice.at("connect-rclone")
    yield alice.open("/app-passwords").follow("How is rclone?").at("device-new")
    for program in PROGRAMS[1:]:
        alice.open(f"/connect/{program.key}").press("Make app password")
        yield replace(alice.at(f"connect-{program.key}"), is_pictured=program.key in PICTURED_PROGRAMS)
    yield alice.open("/app-passwords").follow("How is Phone?").at("device")


def _second_factor(alice: Guest) -> Iterator[Stop]:
    """What belongs to the authenticator, for somebody who has one."""
    yield alice.open("/security").at("security")
    yield alice.open("/second-factor/set-up").at("authenticator-replace")
    yield alice.open("/second-factor/new-recovery-codes").at("new-recovery-codes")
    yield alice.press("Make new codes").note_codes().at("recovery-codes")
    yield alice.open("/confirm?next=/app-passwords/new").at("confirm")
    yield alice.type_code("000000", "Continue").at("confirm-refused", 403)
    yield alice.open("/password").at("password")
    alice.fill({"Old password": "not this one", "New password": PASSWORD, "The same once more": PASSWORD})
    yield alice.press("Change password").at("password-refused", 403)


def _own_data(alice: Guest) -> Iterator[Stop]:
    """Taking it along, mails, the end."""
    yield alice.open("/my-data").at("my-data")
    yield alice.open("/my-data/activity").at("activity")
    yield alice.open("/my-data/notices").at("mails")
    yield alice.fill({"Your address": "alice@nowhere"}).press("Save").at("mails-refused", 422)
    alice.fill({"Your address": "alice@example.org"}).press("Save")
    yield alice.at("mails-saved")
    yield alice.open("/my-data/delete").at("delete")
    alice.fill({"Type your user name, alice, to go on": "bob"}).press("Delete my account for good")
    yield alice.at("delete-refused", 422)


def _other_people(alice: Guest, other: Guest) -> Iterator[Stop]:
    """An administrator invites somebody with the longest of names, who looks around and leaves for good."""
    yield alice.open("/people/invite").at("invite")
    yield alice.fill({"Their user name": "alice"}).press("Make link").at("invite-refused", 409)
    yield alice.fill({"Their user name": LONG_NAME}).press("Make link").at("invited")
    token = (alice.page.locator("#link").text_content() or "").rpartition("/")[2]
    yield other.open(f"/set-up/{token}").at("set-up-invited")
    other.accept(token, {}).note_secret().type_code(other.code(), "Activate")
    yield other.at("welcome-long")
    yield alice.open("/people").at("people")
    yield alice.fill({"Part of a name": "zoe"}).press("Search").at("people-nobody")
    yield from _bob(alice)
    yield alice.open(f"/people/account/{LONG_NAME}/reset").at("reset")
    yield alice.press("Reset authenticator").at("reset-done")
    yield alice.open("/people/audit").at("audit")
    yield alice.open("/people/audit?day=yesterday").at("audit-refused", 422)
    yield from _long_name(other)


def _bob(alice: Guest) -> Iterator[Stop]:
    """What an administrator does with somebody's account, and with no account of their own."""
    bob = "/people/account/bob"
    yield alice.open(bob).at("account")
    yield alice.follow("Change quota").at("quota")
    yield alice.fill({"May store": "a lot"}).press("Save").at("quota-refused", 422)
    alice.open(bob).follow("Revoke all devices")
    yield alice.at("revoke-all")
    yield alice.open(bob).follow(f"Revoke {LONG_LABEL}").at("revoke-device")
    yield alice.fill({"Why": "x"}).press("Revoke").at("revoke-refused", 422)
    yield alice.open(f"{bob}/make-administrator").at("make-administrator")
    yield alice.open(bob).follow("Suspend").at("suspend")
    yield alice.fill({"Why": "Left the company"}).press("Suspend").at("suspended")
    yield alice.follow("Resume").at("resume")
    yield alice.press("Resume").at("resumed")
    yield alice.open("/people/account/alice").at("account-own")
    yield alice.follow("Sign out everywhere").at("sign-out-others")
    alice.open("/people/account/alice/suspend").fill({"Why": "Tired of all this"})
    yield alice.press("Suspend").at("suspend-refused", 403)


def _long_name(other: Guest) -> Iterator[Stop]:
    """Somebody who is no administrator and was just reset: everything is as on the first day."""
    other.open("/sign-in").fill({"User name": LONG_NAME, "Password": PASSWORD}).press("Sign in")
    other.note_secret().type_code(other.code(), "Activate")
    yield other.open("/start").at("start-long")
    yield other.open("/people").at("not-for-you", 403)
    yield other.open("/sign-out").at("sign-out-long")
    yield other.open("/my-data/delete").at("delete-long")
    other.fill({f"Type your user name, {LONG_NAME}, to go on": LONG_NAME})
    yield other.press("Delete my account for good").at("deleted")


def _coming_back(alice: Guest) -> Iterator[Stop]:
    """Out, and in again: with a wrong code, then without the device."""
    yield alice.open("/sign-out").at("sign-out")
    yield alice.press("Sign out").at("signed-out")
    alice.open("/sign-in").fill({"User name": "alice", "Password": PASSWORD}).press("Sign in")
    yield alice.at("one-time-code")
    yield alice.type_code("000000", "Continue").at("one-time-code-refused", 403)
    yield alice.follow("I lost my device").at("lost")
    recovery = "One of your recovery codes"
    yield alice.fill({recovery: "abcd-efgh-jkmn"}).press("Use recovery code").at("lost-refused", 403)
    yield alice.fill({recovery: alice.codes[0]}).press("Use recovery code").at("lost-replaced")
