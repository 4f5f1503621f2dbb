"""What people do on the pages about files and about devices, in a real browser; used by several tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from playwright.sync_api import FilePayload, Locator, Page, expect

from davserver.accounts.health import Sign
from davserver.crypto import tokens
from tests.e2e.drive import Drive, Rclone
from tests.e2e.site import Person, at, fill, follow, press, told
from tests.services.media import chosen

SEEN_SECONDS = 5
"""How soon after a program is done it is seen what it did."""


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────
def upload(page: Page, folder: str, *files: FilePayload | Path, taken: str = "both") -> None:
    """Send files by the form of a folder."""
    page.goto(f"/files/{folder}")
    page.locator("summary", has_text="Upload").click()
    page.get_by_label("If a name is taken").select_option(taken)
    page.get_by_label("Files", exact=True).set_input_files(list(files))  # type: ignore[arg-type]  # one kind at a time
    with page.expect_navigation():  # by the form itself, or by the script when all is there
        page.locator("details").get_by_role("button", name="Upload").click()


def tick(page: Page, *names: str) -> None:
    """Tick entries of the folder that is shown."""
    for name in names:
        page.get_by_label(name, exact=True).check()


def names(page: Page) -> list[str]:
    """What is in the folder that is shown, from top to bottom."""
    page.wait_for_load_state()
    return page.locator("tbody th a").all_inner_texts()


def named(page: Page, words: str) -> Locator:
    """A link or a button."""
    return page.get_by_role("link", name=words, exact=True).or_(
        page.get_by_role("button", name=words, exact=True)
    )


def downloaded(page: Page, folder: Path, link: str) -> Path:
    """Follow a link, or press a button, that leads to a file; gives it, under the name that it brings."""
    with page.expect_download() as started:
        named(page, link).click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


# ── devices ─────────────────────────────────────────────────────────────────────────────────────────────
def connect(page: Page, program: str, **fields: str) -> str:
    """Choose a program, and get an app password for it; its id."""
    page.goto("/start")
    follow(page, "Connect a device")
    at(page, "Connect a device")
    page.get_by_role("main").get_by_role("link", name=program).first.click()
    at(page, program)
    if {"folder", "networks"} & fields.keys() and page.locator("details:not([open])").count():
        page.get_by_text("Limit it further").click()
    if scope := fields.pop("scope", ""):
        page.locator(f"[name=scope][value={scope}]").check()
    fill(page, **fields)
    press(page, "Make app password")
    at(page, f"Connect {program}")
    return tokens.parse(page.locator("#app-password").inner_text()).id


def expect_signs(page: Page, *signs: Sign) -> None:
    """All of these, within five seconds after the program was done; the page is not loaded again."""
    for sign in signs:
        expect(page.locator(f"[data-sign={sign.value}]")).to_have_class("seen", timeout=SEEN_SECONDS * 1000)


# ── both, as acceptance has it ──────────────────────────────────────────────────────────────────────────
def files_and_a_device(drive: Drive, person: Person, folder: Path) -> None:
    """A file goes up, is listed, comes down, is deleted and is back; then a real rclone is seen."""
    page = person.page
    upload(page, "", chosen("letter", b"content"))
    assert names(page) == ["letter"]
    page.get_by_role("link", name="letter", exact=True).click()
    assert downloaded(page, folder, "Download").read_bytes() == b"content"
    page.goto("/files/")
    tick(page, "letter")
    page.once("dialog", lambda dialog: dialog.accept())
    press(page, "Delete")
    expect(page.get_by_text("Nothing is in here yet.")).to_be_visible()
    page.goto("/trash")
    page.get_by_label("letter, deleted").check()
    press(page, "Restore")
    expect(told(page)).to_contain_text("“letter” is back in")
    connect(page, "rclone")
    rclone = Rclone(drive, replace(person.device, token=page.locator("#app-password").inner_text()))
    assert rclone("cat", "drive:letter") == b"content"
    expect_signs(page, Sign.CONNECTED, Sign.READ)
