"""The site in a real browser, with people who sign in at a real Keycloak (T45)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from enroll_web.visit import HTTP_COOKIE
from tests.e2e.conftest import Arrive
from tests.e2e.drive import Drive, Rclone
from tests.e2e.file_pages import files_and_a_device
from tests.e2e.site import (
    Person,
    Phone,
    at,
    at_keycloak,
    enter_by_keycloak,
    fill,
    follow,
    go_on,
    keycloak_settings,
    press,
    revoke_while_rclone_runs,
    send_code,
    set_up,
    sign_in_at_keycloak,
)
from tests.services.browser import FIRST_PAGE_BYTES
from tests.services.keycloak import Keycloak, Realm
from tests.services.relay import Relay, relay

pytestmark = pytest.mark.e2e

SEEN_SECONDS = 60
"""How soon what Keycloak says is seen here, at the latest."""


@pytest.fixture(scope="module")
def way(keycloak: Keycloak) -> Iterator[Relay]:
    """The way that everybody takes to Keycloak; closed, it is down."""
    address = urlsplit(keycloak.url)
    assert address.hostname is not None
    with relay((address.hostname, address.port or 80)) as made:
        yield made


@pytest.fixture(scope="module")
def realm(keycloak: Keycloak, way: Relay) -> Iterator[Realm]:
    """A realm of the example; `drive` tells it where the site is."""
    made = keycloak.make_realm(f"sealdav-{secrets.token_hex(4)}", "http://127.0.0.1:9")
    here = f"http://127.0.0.1:{way.port}"
    made.call("PUT", "", {"attributes": {"frontendUrl": here}})
    yield replace(made, base=here)
    made.remove()


@pytest.fixture
def drive(realm: Realm, tmp_path: Path) -> Iterator[Drive]:
    """A running server that leaves the signing in to Keycloak."""
    drive = Drive(tmp_path / "drive", **keycloak_settings(realm, tmp_path))
    realm.serve(drive.site)
    drive.start()
    yield drive
    drive.close()


@pytest.fixture
def known_hosts(site: str, realm: Realm) -> set[str]:
    """The site, and Keycloak with its own pages."""
    return {urlsplit(url).netloc for url in (site, realm.issuer)}


@pytest.fixture
def name() -> str:
    """A user name that nobody has had."""
    return f"p{secrets.token_hex(6)}"


@pytest.fixture
def subject(realm: Realm, name: str) -> str:
    """What Keycloak calls its owner, who may use the drive."""
    return realm.add_user(name)


@pytest.fixture
def alice(arrive: Arrive, subject: str, name: str) -> Person:
    """Somebody who has enrolled just now, on the start page."""
    assert subject
    person = Person(name, arrive().page)
    enter_by_keycloak(person.page, name)
    return go_on(set_up(person))


# ── coming in ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.usefixtures("subject")
def test_from_keycloak_to_a_drive(drive: Drive, arrive: Arrive, name: str, tmp_path: Path) -> None:
    """Keycloak's page, a picture, an app password: rclone works with it; our pages weigh little."""
    visitor = arrive()
    person = Person(name, visitor.page)
    person.page.goto("/")
    follow(person.page, "Sign in")
    press(person.page, "Sign in with Keycloak")
    sign_in_at_keycloak(person.page, name)
    go_on(set_up(person))
    assert 0 < visitor.bytes_loaded(urlsplit(drive.site).netloc) < FIRST_PAGE_BYTES
    (tmp_path / "letter").write_text("content")
    rclone = Rclone(drive, person.device)
    rclone("copy", tmp_path / "letter", "drive:")
    assert rclone("cat", "drive:letter") == b"content"


def test_the_next_time_only_a_code(alice: Person) -> None:
    """When the session here is over, Keycloak still knows who it is: a code is enough, and leads on."""
    alice.page.context.clear_cookies(name=HTTP_COOKIE)
    alice.page.goto("/security")
    press(alice.page, "Sign in with Keycloak")
    at(alice.page, "Your one-time code")
    send_code(alice.page, alice.phone.code())
    at(alice.page, "Security")


@pytest.mark.usefixtures("subject")
def test_somebody_turns_back(realm: Realm, arrive: Arrive, name: str) -> None:
    """Who says no at Keycloak is told that nothing happened, and can begin again."""
    visitor = arrive()
    realm.change_client(consentRequired=True)
    try:
        enter_by_keycloak(visitor.page, name)
        with visitor.refused(403):
            press(visitor.page, "No")
    finally:
        realm.change_client(consentRequired=False)
    at(visitor.page, "You are not signed in")
    follow(visitor.page, "Back to the first page")
    enter_by_keycloak(visitor.page, name)
    at(visitor.page, "Set up your authenticator")


def test_somebody_without_the_role(realm: Realm, arrive: Arrive, name: str) -> None:
    """Being known at Keycloak is not enough; whom to ask is said, and it works once the role is there."""
    subject = realm.add_stranger(name)
    visitor = arrive()
    with visitor.refused(403):
        enter_by_keycloak(visitor.page, name)
    at(visitor.page, "You may not use this drive yet")
    realm.join(subject, "dav-users")
    enter_by_keycloak(visitor.page)
    at(visitor.page, "Set up your authenticator")


# ── every day ───────────────────────────────────────────────────────────────────────────────────────────────
def test_files_and_a_device(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """Upload, list, download, delete, restore; then a real rclone is seen within five seconds."""
    files_and_a_device(drive, alice, tmp_path)


def test_revoked_while_rclone_runs(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """A device that is shut out in the browser gets 401 from its next request on, in the middle of a copy."""
    revoke_while_rclone_runs(alice, drive, tmp_path / "many")


def test_a_lost_phone(alice: Person, arrive: Arrive) -> None:
    """Keycloak's password and a recovery code lead to a new authenticator."""
    page, phone = arrive().page, Phone()
    enter_by_keycloak(page, alice.name)
    follow(page, "I lost my device")
    fill(page, recovery_code=alice.codes[0])
    press(page, "Use recovery code")
    at(page, "Set up your authenticator")
    phone.scan(page)
    send_code(page, phone.code(), "Activate")
    at(page, "Your drive")


def test_keycloak_is_down(drive: Drive, alice: Person, arrive: Arrive, way: Relay) -> None:
    """Who wants to sign in is told what to do. Who is signed in goes on, and so do devices."""
    visitor = arrive()
    way.close()
    assert drive.stop() == 0
    drive.start()
    try:
        visitor.page.goto("/sign-in")
        with visitor.refused(503):
            press(visitor.page, "Sign in with Keycloak")
        at(visitor.page, "The sign-in server does not answer")
        follow(alice.page, "App passwords")
        at(alice.page, "App passwords")
        Rclone(drive, alice.device)("lsf", "drive:")
        follow(alice.page, "Sign out")
        press(alice.page, "Sign out")
        at(alice.page, "You are signed out")
    finally:
        way.open()


def test_an_account_is_deleted(drive: Drive, alice: Person) -> None:
    """Whoever deletes the account and comes back from Keycloak begins anew, with an empty drive."""
    page = alice.page
    assert drive.request("PUT", "file", alice.device, b"content")[0] == 201
    follow(page, "My data")
    follow(page, "Delete my account")
    fill(page, name=alice.name)
    press(page, "Delete my account for good")
    at(page, "Your account is deleted")
    assert drive.request("GET", "file", alice.device)[0] == 401
    enter_by_keycloak(page)
    set_up(alice)
    assert Rclone(drive, alice.device)("lsf", "drive:") == b""


# ── signing out ─────────────────────────────────────────────────────────────────────────────────────────────
def test_signing_out_here(realm: Realm, drive: Drive, alice: Person, subject: str) -> None:
    """The button ends both sessions: the next sign-in asks for the password. Devices go on working."""
    follow(alice.page, "Sign out")
    press(alice.page, "Sign out")
    at(alice.page, "Your files, sealed before they reach the disk")
    assert alice.page.url == f"{drive.site}/"
    assert realm.sessions(subject) == []
    alice.page.go_back()
    at(alice.page, "Sign in")
    press(alice.page, "Sign in with Keycloak")
    at_keycloak(alice.page)
    Rclone(drive, alice.device)("lsf", "drive:")


def test_signed_out_by_an_administrator_of_keycloak(realm: Realm, alice: Person, subject: str) -> None:
    """Keycloak tells us: the next page of the open browser is the sign-in."""
    realm.log_out(subject)
    follow(alice.page, "Security")
    at(alice.page, "Sign in")
    press(alice.page, "Sign in with Keycloak")
    at_keycloak(alice.page)


def test_signing_out_at_keycloak(realm: Realm, drive: Drive, alice: Person) -> None:
    """The same by Keycloak's own account page, in another tab. Devices go on working."""
    account = alice.page.context.new_page()
    account.goto(f"{realm.issuer}/account")
    account.get_by_role("button", name=f"{alice.name.title()} Example").click()
    account.get_by_role("menuitem", name="Sign out").click()
    at_keycloak(account)
    follow(alice.page, "Security")
    at(alice.page, "Sign in")
    Rclone(drive, alice.device)("lsf", "drive:")


# ── administrators
def test_an_administrator_sees_what_keycloak_says(
    realm: Realm, drive: Drive, alice: Person, subject: str, arrive: Arrive
) -> None:
    """Confirmed a moment ago; disabled there, nobody opens it here; back there, it opens by itself."""
    visitor = arrive()
    boss = Person(f"b{secrets.token_hex(6)}", visitor.page)
    realm.add_user(boss.name, admin=True)
    enter_by_keycloak(boss.page, boss.name)
    go_on(set_up(boss))
    page, path = boss.page, f"/people/account/{alice.name}"
    assert drive.request("PUT", "letter", alice.device, b"content")[0] == 201
    page.goto("/people")
    follow(page, alice.name)
    at(page, alice.name)
    main = page.get_by_role("main")
    expect(main).to_contain_text(re.compile(rf"Keycloak confirmed {alice.name} [0-9]+ s ago"))
    realm.set_enabled(subject, enabled=False)
    _wait_for(drive, alice, 401)
    page.reload()
    expect(main).to_contain_text("Disabled in Keycloak since")
    expect(page.get_by_role("link", name="Resume")).to_have_count(0)
    page.goto(f"{path}/resume")
    with visitor.refused(403):
        press(page, "Resume")
    expect(page.get_by_role("alert")).to_contain_text("let its owner in again there")
    assert drive.request("GET", "letter", alice.device)[0] == 401
    realm.set_enabled(subject, enabled=True)
    _wait_for(drive, alice, 200)
    page.goto(path)
    expect(page.get_by_role("definition").first).to_have_text("active")


def _wait_for(drive: Drive, person: Person, status: int) -> None:
    """Until the drive answers a device so: Keycloak is asked every few seconds."""
    deadline = time.monotonic() + SEEN_SECONDS
    while (answer := drive.request("GET", "letter", person.device)[0]) != status:
        assert time.monotonic() < deadline, answer
        time.sleep(0.5)  # Waiting for another process to ask.
