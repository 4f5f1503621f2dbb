"""Nothing disappears: what programs lose is brought back, identical, in a real browser and by commands.

A failed PUT followed by DELETE, an overwrite by mistake, a deleted folder of 1,000 files.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Arrive
from tests.e2e.drive import COMMAND_SECONDS, Drive, Rclone
from tests.e2e.files import fingerprint, plant
from tests.e2e.site import PASSWORD, Person, at, first_administrator, follow, go_on, opening_link, press, told
from tests.services.browser import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

FILES = 1000

Restore = Callable[[Drive, Person, str], None]
"""Brings back what was at a path: of a deletion, or of an overwrite."""


@pytest.fixture
def visitor(arrive: Arrive) -> Visitor:
    """A browser."""
    return arrive()


@pytest.fixture
def alice(drive: Drive, visitor: Visitor) -> Person:
    """Somebody who has come as far as the start page."""
    return go_on(first_administrator(Person("alice", visitor.page), opening_link(drive)))


# ── the two ways back ───────────────────────────────────────────────────────────────────────────────────────
def undelete_in_browser(_: Drive, person: Person, path: str) -> None:
    """On the page of the trash; of several with one name the latest."""
    page, name = person.page, path.rpartition("/")[2]
    page.goto("/trash")
    page.get_by_label(f"{name}, deleted").first.check()
    press(page, "Restore")
    expect(told(page)).to_contain_text(f"“{name}” is back in")


def undelete_by_command(drive: Drive, person: Person, path: str) -> None:
    """By where it was."""
    command(drive, person, "trash", "restore", person.name, f"/{path}")


def give_back_in_browser(_: Drive, person: Person, path: str) -> None:
    """From the file's page to what it was, and back with the latest."""
    page = person.page
    page.goto(f"/files/{path}")
    follow(page, "Previous versions")
    at(page, "Previous versions")
    page.get_by_role("button", name=re.compile("^Restore what it was")).first.click()
    expect(told(page)).to_contain_text("is again what it was until")


def give_back_by_command(drive: Drive, person: Person, path: str) -> None:
    """The latest."""
    command(drive, person, "versions", "restore", person.name, f"/{path}")


def command(drive: Drive, person: Person, *arguments: str) -> None:
    """Run a command of `sealdav` that asks for the password and a code."""
    done = drive.run(*arguments, "--json", "--password-stdin", stdin=f"{PASSWORD}\n{person.phone.code()}\n")
    assert done.returncode == 0, done.stderr


def failed(rclone: Rclone, *arguments: str | Path) -> str:
    """What rclone complains about, which must not succeed."""
    with rclone.running(*arguments) as process:
        complaint = process.communicate(timeout=COMMAND_SECONDS)[1]
    assert process.returncode != 0
    return complaint


# ── what programs lose ──────────────────────────────────────────────────────────────────────────────────────
def test_a_failed_upload_and_a_delete(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """A program deletes the file whose new content was refused; the old one comes back, each time."""
    rclone = Rclone(drive, alice.device)
    content = random.Random(1).randbytes(300_000)
    (tmp_path / "old").write_bytes(content)
    (tmp_path / "new").write_bytes(bytes(500_000))
    rclone("copyto", tmp_path / "old", "drive:docs/letter")
    assert drive.run("user", "quota", "alice", "400KiB").returncode == 0
    ways: tuple[Restore, ...] = (undelete_in_browser, undelete_by_command)
    for restore in ways:
        assert "507" in failed(rclone, "copyto", tmp_path / "new", "drive:docs/letter")
        assert rclone("lsf", "drive:docs") == b"", "this rclone does not delete what it could not replace"
        restore(drive, alice, "docs/letter")
        assert rclone("cat", "drive:docs/letter") == content
    assert rclone("lsf", "-R", "--files-only", "drive:") == b"docs/letter\n"


def test_an_overwrite_by_mistake(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """The content of before comes back, and the mistake can be had back as well."""
    rclone = Rclone(drive, alice.device)
    content = random.Random(2).randbytes(300_000)
    (tmp_path / "right").write_bytes(content)
    rclone("copyto", tmp_path / "right", "drive:report")
    ways: tuple[Restore, ...] = (give_back_in_browser, give_back_by_command)
    for number, restore in enumerate(ways):
        wrong = b"%d" % number * 70_000
        (tmp_path / "wrong").write_bytes(wrong)
        rclone("copyto", tmp_path / "wrong", "drive:report")
        assert rclone("cat", "drive:report") == wrong
        restore(drive, alice, "report")
        assert rclone("cat", "drive:report") == content
    give_back_in_browser(drive, alice, "report")
    assert rclone("cat", "drive:report") == wrong


def test_a_folder_of_a_thousand_files(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """Every file of it comes back byte for byte, with its name and its time."""
    rclone = Rclone(drive, alice.device)
    local = tmp_path / "local"
    plant(local, FILES)
    rclone("copy", local, "drive:archive")
    ways: tuple[Restore, ...] = (undelete_in_browser, undelete_by_command)
    for number, restore in enumerate(ways):
        rclone("purge", "drive:archive")
        assert rclone("lsf", "drive:") == b""
        restore(drive, alice, "archive")
        rclone("copy", "drive:archive", tmp_path / f"back{number}")
        back = fingerprint(tmp_path / f"back{number}")
        assert len(back) == FILES
        assert back == fingerprint(local)


def test_a_deletion_in_the_browser_is_taken_back(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """All that was ticked, folders with what is in them, by one button."""
    rclone = Rclone(drive, alice.device)
    local = tmp_path / "local"
    plant(local, 60)
    rclone("copy", local, "drive:")
    page = alice.page
    page.goto("/files/")
    page.get_by_label("Everything on this page").check()
    page.once("dialog", lambda dialog: dialog.accept())
    press(page, "Delete")
    expect(page.get_by_text("Nothing is in here yet.")).to_be_visible()
    assert rclone("lsf", "drive:") == b""
    press(page, "Undo")
    expect(told(page)).to_contain_text("entries are back.")
    rclone("check", "--download", local, "drive:")


def test_the_trash_without_scripts(drive: Drive, arrive: Arrive) -> None:
    """Restored, removed for good and emptied all the same, each asked for where that is final."""
    page = arrive(scripts=False).page
    alice = go_on(first_administrator(Person("alice", page), opening_link(drive)))
    for name in ("a", "b", "c", "d"):
        assert drive.request("PUT", name, alice.device, name.encode())[0] == 201
        assert drive.request("DELETE", name, alice.device)[0] == 204
    undelete_in_browser(drive, alice, "a")
    assert drive.request("GET", "a", alice.device) == (200, b"a")
    page.get_by_label("b, deleted").check()
    press(page, "Delete for good")
    at(page, "Delete for good?")
    press(page, "Delete for good")
    expect(told(page)).to_contain_text("1 entry is gone for good; that frees 1 B.")
    follow(page, "Empty the trash")
    expect(page.locator("main")).to_contain_text("That frees 2 B.")
    press(page, "Empty the trash")
    expect(page.get_by_text("The trash is empty.")).to_be_visible()
    assert drive.request("GET", "a", alice.device) == (200, b"a")
