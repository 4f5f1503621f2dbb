"""The site in a real browser, with built-in accounts: from the printed link to the drive (T46)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from enroll_web.visit import HTTP_COOKIE
from tests.e2e.conftest import Arrive
from tests.e2e.drive import COMMAND_SECONDS, Drive, Rclone
from tests.e2e.file_pages import files_and_a_device
from tests.e2e.site import (
    PASSWORD,
    Person,
    Phone,
    at,
    fill,
    first_administrator,
    follow,
    give_password,
    go_on,
    invited,
    new_app_password,
    opening_link,
    press,
    revoke_while_rclone_runs,
    send_code,
    told,
)
from tests.services import clients
from tests.services.browser import FIRST_PAGE_BYTES, FLAGS, visit

pytestmark = pytest.mark.e2e


@pytest.fixture
def alice(drive: Drive, arrive: Arrive) -> Person:
    """The first administrator, on the welcome page."""
    return first_administrator(Person("alice", arrive().page), opening_link(drive))


# ── first run ───────────────────────────────────────────────────────────────────────────────────────────────
def test_three_pages_lead_to_a_drive(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """The printed link, a password, a picture, an app password: rclone works with it; the link is used up."""
    addresses = {"url": drive.url, "user": alice.name, "pass": alice.app_password}
    shown = alice.page.locator("#command-config").inner_text()
    for key, value in addresses.items():
        assert f"{key}={value} " in shown
    assert len(set(alice.codes)) == 10
    go_on(alice)
    (tmp_path / "letter").write_text("content")
    rclone = Rclone(drive, alice.device)
    rclone("copy", tmp_path / "letter", "drive:")
    assert rclone("cat", "drive:letter") == b"content"


def test_the_link_is_good_once(drive: Drive, alice: Person, arrive: Arrive) -> None:
    """Whoever finds it later learns that it is over."""
    go_on(alice)
    stranger = arrive()
    with stranger.refused(404):
        stranger.page.goto(opening_link(drive))
    at(stranger.page, "This is not here (any more)")


def test_what_is_copied(alice: Person) -> None:
    """The buttons put the app password, a command and the recovery codes on the clipboard."""
    page = alice.page
    copied = {
        "app-password": alice.app_password,
        "command-config": page.locator("#command-config").inner_text(),
        "recovery-codes": "\n".join(alice.codes),
    }
    for source, text in copied.items():
        button = page.locator(f"[data-copy={source}]")
        button.click()
        expect(button).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == text


def test_it_is_shown_once(alice: Person) -> None:
    """App password and recovery codes are gone when the page is loaded again, or gone back to."""
    go_on(alice)
    alice.page.go_back()
    at(alice.page, "Your drive")
    alice.page.goto("/welcome")
    at(alice.page, "Your drive")
    secret = new_app_password(alice.page, "Laptop")
    alice.page.reload()
    at(alice.page, "App passwords")
    expect(told(alice.page)).to_contain_text("shown once only")
    assert secret not in alice.page.content()


def test_a_browser_that_keeps_pages(drive: Drive, browser: Browser) -> None:
    """The back button shows nothing that is shown once, and after the sign-out nothing of anybody."""
    # Playwright turns off what every Chromium does: to keep a page as it was, for the way back to it.
    kept = ["--disable-back-forward-cache"]
    program = clients.require("chromium")
    with (
        browser.browser_type.launch(
            executable_path=program, args=FLAGS, ignore_default_args=kept
        ) as remembering,
        visit(remembering, drive.site) as visitor,
    ):
        alice = go_on(first_administrator(Person("alice", visitor.page), opening_link(drive)))
        go_back(alice.page)
        at(alice.page, "Your drive")
        follow(alice.page, "Security")
        at(alice.page, "Security")
        follow(alice.page, "Sign out")
        press(alice.page, "Sign out")
        at(alice.page, "You are signed out")
        for _ in range(2):
            go_back(alice.page)
            at(alice.page, "Sign in")


def go_back(page: Page) -> None:
    """Press the back button; Playwright's own waits for a page that loads, and a kept one does not."""
    with page.expect_navigation(wait_until="commit"):
        page.evaluate("history.back()")


def test_without_scripts(drive: Drive, arrive: Arrive) -> None:
    """The whole first run works without JavaScript; buttons that would do nothing are not there."""
    alice = first_administrator(Person("alice", arrive(scripts=False).page), opening_link(drive))
    expect(alice.page.locator("[data-copy], [data-print]").filter(visible=True)).to_have_count(0)
    Rclone(drive, alice.device)("lsf", "drive:")
    go_on(alice)
    follow(alice.page, "Sign out")
    press(alice.page, "Sign out")
    at(alice.page, "You are signed out")


def test_with_the_keyboard_alone(drive: Drive, arrive: Arrive) -> None:
    """Nobody needs a mouse: fields have the focus or are a few tabs away, and Enter sends."""
    page = arrive().page
    page.goto(opening_link(drive))
    keys, phone = page.keyboard, Phone()
    expect(page.locator("[name=name]")).to_be_focused()  # It comes with the first picture, after the page.
    for text in ("alice", PASSWORD):
        keys.type(text)
        keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    at(page, "Set up your authenticator")
    phone.scan(page)
    expect(page.locator("[name=code]")).to_be_focused()
    keys.type(phone.code())
    keys.press("Enter")
    at(page, "Your first app password")
    tab_to(page, "button", "Copy")
    keys.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_focused()
    alice = Person("alice", page, phone, str(page.evaluate("navigator.clipboard.readText()")))
    tab_to(page, "link", "I have kept both: go on")
    keys.press("Enter")
    at(page, "Your drive")
    Rclone(drive, alice.device)("lsf", "drive:")


def tab_to(page: Page, role: str, name: str) -> None:
    """Press Tab until something has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
    for _ in range(50):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"no tab leads to {name}")


def test_the_first_pages_are_small(alice: Person, arrive: Arrive) -> None:
    """From an empty cache, all pages up to the start page together weigh less than each of them may."""
    visitor = arrive()
    page = visitor.page
    page.goto("/")
    follow(page, "Sign in")
    give_password(page, alice.name)
    at(page, "Your one-time code")
    send_code(page, alice.phone.code())
    at(page, "Your drive")
    assert 0 < visitor.bytes_loaded() < FIRST_PAGE_BYTES


# ── every day ───────────────────────────────────────────────────────────────────────────────────────────────
def test_files_and_a_device(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """Upload, list, download, delete, restore; then a real rclone is seen within five seconds."""
    files_and_a_device(drive, alice, tmp_path)


def test_revoked_while_rclone_runs(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """A device that is shut out in the browser gets 401 from its next request on, in the middle of a copy."""
    revoke_while_rclone_runs(alice, drive, tmp_path / "many")


def test_limits_of_a_device(drive: Drive, alice: Person) -> None:
    """What a person ticks on the form is what the device may do."""
    page = alice.page
    page.goto("/app-passwords/new")
    fill(page, label="Television")
    page.get_by_label("read only").check()
    press(page, "Make app password")
    at(page, "Your new app password")
    device = Person(alice.name, page, app_password=page.locator("#app-password").inner_text()).device
    assert drive.request("PUT", "film", alice.device, b"content")[0] == 201
    assert drive.request("GET", "film", device) == (200, b"content")
    assert drive.request("PUT", "film", device, b"another")[0] == 403


def test_signing_out(drive: Drive, alice: Person, browser: Browser) -> None:
    """Afterwards neither the back button nor the cookie of before opens anything; devices go on working."""
    page = go_on(alice).page
    cookies = page.context.storage_state()
    assert [one["name"] for one in cookies["cookies"]] == [HTTP_COOKIE]
    follow(page, "Sign out")
    press(page, "Sign out")
    at(page, "You are signed out")
    assert page.context.cookies() == []
    for _ in range(2):
        page.go_back()
        at(page, "Sign in")
    with visit(browser, drive.site) as thief:
        thief.page.context.add_cookies(cookies["cookies"])  # type: ignore[arg-type]
        thief.page.goto("/start")
        at(thief.page, "Sign in")
    Rclone(drive, alice.device)("lsf", "drive:")


# ── other people, other days ────────────────────────────────────────────────────────────────────────────────
def test_somebody_is_invited(drive: Drive, alice: Person, arrive: Arrive) -> None:
    """An administrator makes a link; it leads somebody else through the same three pages to another drive."""
    bob = invited(go_on(alice), Person("bob", arrive().page))
    expect(bob.page.get_by_role("link", name="People")).to_have_count(0)
    assert drive.request("PUT", "file", alice.device, b"content")[0] == 201
    assert Rclone(drive, bob.device)("lsf", "drive:") == b""


def test_a_new_phone(alice: Person, arrive: Arrive) -> None:
    """The old authenticator works until the new one has shown a code; then only the new one does."""
    page, old, new = go_on(alice).page, alice.phone, Phone()
    follow(page, "Security")
    follow(page, "Replace the authenticator")
    at(page, "Set up your new authenticator")
    new.scan(page)
    elsewhere = arrive().page
    elsewhere.goto("/sign-in")
    give_password(elsewhere, alice.name)
    send_code(elsewhere, old.code())
    at(elsewhere, "Your drive")
    send_code(page, new.code(), "Activate")
    at(page, "Your drive")
    expect(told(page)).to_have_text("Your new device is in use.")
    elsewhere.reload()
    give_password(elsewhere, alice.name)
    send_code(elsewhere, new.code())
    at(elsewhere, "Your drive")


def test_a_lost_phone(drive: Drive, alice: Person, arrive: Arrive) -> None:
    """Password and recovery code lead to a new authenticator; the code is used up, devices go on working."""
    visitor = arrive()
    page, phone = visitor.page, Phone()
    page.goto("/sign-in")
    give_password(page, alice.name)
    follow(page, "I lost my device")
    fill(page, recovery_code=alice.codes[0])
    press(page, "Use recovery code")
    at(page, "Set up your authenticator")
    phone.scan(page)
    send_code(page, phone.code(), "Activate")
    at(page, "Your drive")
    follow(page, "Security")
    expect(page.get_by_role("definition").last).to_have_text("9 left")
    page.goto("/second-factor/lost")
    fill(page, recovery_code=alice.codes[0])
    with visitor.refused(403):
        press(page, "Use recovery code")
    expect(page.get_by_role("alert")).to_contain_text("used before")
    alice.page.reload()
    at(alice.page, "Sign in")
    Rclone(drive, alice.device)("lsf", "drive:")


def test_an_administrator_helps(alice: Person, arrive: Arrive) -> None:
    """Without phone and codes an administrator takes the authenticator away; the password sets up another."""
    bob = invited(go_on(alice), Person("bob", arrive().page))
    follow(alice.page, "People")
    follow(alice.page, "bob")
    follow(alice.page, "Reset authenticator")
    alice.page.get_by_role("combobox").select_option("lost")
    press(alice.page, "Reset authenticator")
    expect(told(alice.page)).to_contain_text("bob signs in with the password now")
    bob.page.reload()
    give_password(bob.page, bob.name)
    at(bob.page, "Set up your authenticator")
    bob.phone.scan(bob.page)
    send_code(bob.page, bob.phone.code(), "Activate")
    at(bob.page, "Your recovery codes")
    expect(bob.page.locator("#recovery-codes code")).to_have_count(10)


def test_a_stolen_laptop(drive: Drive, alice: Person, arrive: Arrive) -> None:
    """One button shuts out every device and every other browser; this one stays, and connects anew."""
    page = go_on(alice).page
    laptop = arrive().page
    laptop.goto("/sign-in")
    give_password(laptop, alice.name)
    send_code(laptop, alice.phone.code())
    at(laptop, "Your drive")
    follow(page, "A device was stolen")
    at(page, "A device was stolen")
    press(page, "Revoke everything")
    expect(told(page)).to_contain_text("Revoked: 1 app password. Every")
    assert drive.request("GET", "", alice.device)[0] == 401
    laptop.reload()
    at(laptop, "Sign in")
    alice.app_password = new_app_password(page, "Another laptop")
    Rclone(drive, alice.device)("lsf", "drive:")


def test_everything_is_taken_along(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """The download is a ZIP archive that opens, with every file and what is known of the account."""
    assert drive.request("MKCOL", "folder", alice.device)[0] == 201
    assert drive.request("PUT", "folder/%C3%BCber", alice.device, b"content")[0] == 201
    page = go_on(alice).page
    follow(page, "My data")
    with page.expect_download() as download:
        press(page, "Download everything")
    assert download.value.suggested_filename == "sealdav-alice.zip"
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None
        assert archive.read("files/folder/über") == b"content"
        assert alice.name in archive.read("account.json").decode()


def test_an_account_is_deleted(drive: Drive, alice: Person, arrive: Arrive) -> None:
    """Only the typed name deletes it; then device, cookie and password open nothing any more."""
    visitor = arrive()
    bob = invited(go_on(alice), Person("bob", visitor.page))
    page = bob.page
    follow(page, "My data")
    follow(page, "Delete my account")
    fill(page, name=alice.name)
    with visitor.refused(422):
        press(page, "Delete my account for good")
    Rclone(drive, bob.device)("lsf", "drive:")
    fill(page, name=bob.name)
    press(page, "Delete my account for good")
    at(page, "Your account is deleted")
    assert drive.request("GET", "", bob.device)[0] == 401
    page.goto("/start")
    with visitor.refused(403):
        give_password(page, bob.name)
    expect(page.get_by_role("alert")).to_have_text("The name or the password is not right.")
    Rclone(drive, alice.device)("lsf", "drive:")


def test_an_administrator_suspends_somebody(drive: Drive, alice: Person, arrive: Arrive) -> None:
    """Devices are refused and browsers out from that moment; resumed, devices work as before."""
    bob = invited(go_on(alice), Person("bob", arrive().page))
    rclone, page = Rclone(drive, bob.device), alice.page
    rclone("lsf", "drive:")
    follow(page, "People")
    follow(page, "bob")
    at(page, "bob")
    follow(page, "Suspend")
    fill(page, reason="Left the company")
    press(page, "Suspend")
    expect(told(page)).to_contain_text("bob is suspended")
    expect(page.get_by_role("definition").first).to_contain_text("by alice: Left the company")
    assert drive.request("GET", "", bob.device)[0] == 401
    with rclone.running("lsf", "drive:", "--retries=1") as refused:
        assert "401" in refused.communicate(timeout=COMMAND_SECONDS)[1]
    assert refused.returncode != 0
    bob.page.reload()
    at(bob.page, "Sign in")
    Rclone(drive, alice.device)("lsf", "drive:")
    follow(page, "Resume")
    press(page, "Resume")
    expect(told(page)).to_contain_text("bob is active again")
    rclone("lsf", "drive:")
    bob.page.reload()
    at(bob.page, "Sign in")


def test_an_administrator_changes_a_quota(drive: Drive, alice: Person, arrive: Arrive) -> None:
    """From the next upload on: what does not fit is refused, and fits once there is more room."""
    bob = invited(go_on(alice), Person("bob", arrive().page))
    page = alice.page
    follow(page, "People")
    follow(page, "bob")
    for quota, status in (("10 KiB", 507), ("1 MiB", 201)):
        follow(page, "Change quota")
        fill(page, quota=quota)
        press(page, "Save")
        expect(told(page)).to_have_text(f"bob may store {quota} now.")
        assert drive.request("PUT", "file", bob.device, bytes(20 * 1024))[0] == status
    page.reload()
    expect(page.get_by_role("main")).to_contain_text("20 KiB of 1 MiB (set by alice)")
