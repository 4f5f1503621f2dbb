"""What people do on the site in a real browser: by labels and buttons, with a phone for the codes.

person = first_administrator(Person("alice", visitor.page), opening_link(drive))
Rclone(drive, person.device)("lsf", "drive:")

Nothing here looks below the pages. Used by test_site.py and test_site_keycloak.py.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyotp
from playwright.sync_api import Locator, Page, expect

from tests.e2e.codes import Codes
from tests.e2e.drive import COMMAND_SECONDS, READY_SECONDS, Device, Drive, Rclone
from tests.services import keycloak
from tests.services.browser import read_qr
from tests.services.keycloak import Realm

PASSWORD = "a password of a test account"
FILES = 400
FILE_BYTES = 16 * 1024
"""With `--bwlimit=64k` rclone needs a minute and a half for all of them."""


class Phone:
    """An authenticator app. It reads the picture on a page, and shows codes, each once.

    Args:
        clock: what time it is, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._app: pyotp.TOTP | None = None
        self._codes = Codes(clock)

    @property
    def shows(self) -> tuple[str | None, str | None]:
        """What is written above its codes: whose service, which account."""
        return self._read.issuer, self._read.name

    def scan(self, page: Page) -> None:
        """Hold it in front of the screen."""
        read = pyotp.parse_uri(read_qr(page.locator("#qr")))
        assert isinstance(read, pyotp.TOTP)
        self._app, self._codes = read, Codes(self._clock)

    def code(self) -> str:
        """A code that is good now and was not used."""
        return self._codes.next(self._read)

    @property
    def _read(self) -> pyotp.TOTP:
        assert self._app is not None, "no picture was scanned"
        return self._app


@dataclass
class Person:
    """Somebody at a browser.

    Attributes:
        app_password: the first one, which the welcome page shows.
        codes: recovery codes, written down.
    """

    name: str
    page: Page
    phone: Phone = field(default_factory=Phone)
    app_password: str = ""
    codes: list[str] = field(default_factory=list)

    @property
    def device(self) -> Device:
        """A device with the first app password."""
        return Device(self.name, self.app_password, "")


# ── anywhere ────────────────────────────────────────────────────────────────────────────────────────────────
def at(page: Page, heading: str) -> None:
    """Wait until the page of this heading is there."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def fill(page: Page, **fields: str) -> None:
    """Type into fields, named as in their forms."""
    for name, text in fields.items():
        page.locator(f"[name={name}]").fill(text)


def press(page: Page, button: str) -> None:
    """Press a button."""
    page.get_by_role("button", name=button, exact=True).click()


def follow(page: Page, link: str) -> None:
    """Follow a link of the page itself, or of its head."""
    page.get_by_role("link", name=link).first.click()


def send_code(page: Page, code: str, button: str = "Continue") -> None:
    """Type a one-time code."""
    fill(page, code=code)
    press(page, button)


def told(page: Page) -> Locator:
    """What the page says of what was just done."""
    return page.get_by_role("status")


# ── coming in ───────────────────────────────────────────────────────────────────────────────────────────────
def opening_link(drive: Drive) -> str:
    """The link that `sealdav serve` prints while there is nobody."""
    deadline = time.monotonic() + READY_SECONDS
    while not (found := re.search(r"http\S+/set-up/\S+", (drive.folder / "server.out").read_text())):
        assert time.monotonic() < deadline, "the server printed no link"
        time.sleep(0.02)  # Waiting for another process to print.
    return found[0]


def first_administrator(person: Person, link: str) -> Person:
    """Follow the link through the three pages, as far as the last of them."""
    person.page.goto(link)
    at(person.page, "Set up Sealdav")
    fill(person.page, name=person.name)
    return choose_password(person)


def invited(administrator: Person, person: Person) -> Person:
    """An administrator makes a link; whom it is for follows it, as far as the start page."""
    page = administrator.page
    follow(page, "People")
    follow(page, "Invite somebody")
    fill(page, name=person.name)
    press(page, "Make link")
    at(page, f"Link for {person.name}")
    person.page.goto(page.locator("#link").inner_text())
    at(person.page, f"Welcome, {person.name}")
    return go_on(choose_password(person))


def choose_password(person: Person) -> Person:
    """On the page behind a link; then the phone, as far as the welcome page."""
    fill(person.page, new=PASSWORD, again=PASSWORD)
    press(person.page, "Continue")
    return set_up(person)


def set_up(person: Person) -> Person:
    """Scan the picture, type the first code, and keep what the welcome page shows."""
    at(person.page, "Set up your authenticator")
    person.phone.scan(person.page)
    assert person.phone.shows == ("Sealdav", person.name)
    send_code(person.page, person.phone.code(), "Activate")
    at(person.page, "Your first app password")
    person.app_password = person.page.locator("#app-password").inner_text()
    person.codes = person.page.locator("#recovery-codes code").all_inner_texts()
    return person


def go_on(person: Person) -> Person:
    """Leave the welcome page."""
    follow(person.page, "I have kept both: go on")
    at(person.page, "Your drive")
    return person


def give_password(page: Page, name: str) -> None:
    """The first factor of a built-in account, on the page for it."""
    at(page, "Sign in")
    fill(page, name=name, password=PASSWORD)
    press(page, "Sign in")


def keycloak_settings(realm: Realm, folder: Path) -> dict[str, str]:
    """Options of a drive that leaves the signing in to Keycloak: two lines, and the file from its console."""
    path = folder / "keycloak.json"
    path.write_text(json.dumps(realm.keycloak_json()), encoding="utf-8")
    return {"IDENTITY__PROVIDER": "keycloak", "IDENTITY__KEYCLOAK_JSON": str(path)}


def enter_by_keycloak(page: Page, name: str | None = None) -> None:
    """By the button; then name and password, unless Keycloak knows already who it is."""
    page.goto("/sign-in")
    press(page, "Sign in with Keycloak")
    if name is not None:
        sign_in_at_keycloak(page, name)


def sign_in_at_keycloak(page: Page, name: str) -> None:
    """On Keycloak's own page."""
    at_keycloak(page)
    fill(page, username=name, password=keycloak.PASSWORD)
    press(page, "Sign In")


def at_keycloak(page: Page) -> None:
    """Wait until Keycloak asks for name and password."""
    expect(page.locator("#kc-form-login")).to_be_visible()


# ── once there ──────────────────────────────────────────────────────────────────────────────────────────────
def new_app_password(page: Page, label: str) -> str:
    """Make one for a device, and take it off the page."""
    page.goto("/app-passwords/new")
    at(page, "New app password")
    fill(page, label=label)
    press(page, "Make app password")
    at(page, "Your new app password")
    return page.locator("#app-password").inner_text()


def revoke_while_rclone_runs(person: Person, drive: Drive, folder: Path) -> None:
    """A second device uploads a folder; in the middle of it, its owner shuts it out in the browser.

    Its next request is refused, rclone ends with that, and the first device goes on working.
    """
    page, laptop = person.page, "Laptop"
    second = Device(person.name, new_app_password(page, laptop), "")
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:03}").write_bytes(bytes(FILE_BYTES))
    with Rclone(drive, second).running("copy", folder, "drive:copy", "--bwlimit=64k") as rclone:
        while drive.request("GET", "copy/000", person.device)[0] != 200:
            assert rclone.poll() is None, "nothing was uploaded"
            time.sleep(0.05)  # Waiting for another process to upload.
        page.goto("/app-passwords")
        card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=laptop))
        expect(card).to_contain_text("from 127.0.0.1, rclone")
        assert rclone.poll() is None, "rclone ended too early"
        press(page, f"Revoke {laptop}")
        expect(told(page)).to_contain_text("Revoked")
        expect(card).to_have_count(0)
        assert drive.request("GET", "copy/000", second)[0] == 401
        complaint = rclone.communicate(timeout=COMMAND_SECONDS)[1]
    assert rclone.returncode != 0
    assert "401 Unauthorized" in complaint
    arrived = Rclone(drive, person.device)("lsf", "drive:copy").split()
    assert 0 < len(arrived) < FILES
