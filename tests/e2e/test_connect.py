"""The page that watches a device connect, with a real browser, a real rclone and a real davfs2, over https.

Each device is set up with what the page shows and lets download, and nothing else. What it did is on the
page within five seconds after the command is done, and so is the reason if it was refused.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from davserver.accounts.health import Sign
from davserver.accounts.programs.rclone import TEST_FILE
from davserver.bootstrap import build_services
from davserver.cli.exits import ExitCode
from davserver.crypto.obscuring import obscured
from davserver.crypto.tokens import AppToken, parse
from davserver.model import ROOT_ID
from davserver.settings import load_settings
from davserver.vault.paths import VaultPath
from tests.e2e.conftest import Arrive
from tests.e2e.drive import COMMAND_SECONDS, Drive, clean_environment
from tests.e2e.file_pages import SEEN_SECONDS, connect, expect_signs
from tests.e2e.own_machine import own_machine
from tests.e2e.site import PASSWORD, Person, at, first_administrator, follow, go_on, opening_link, press, told
from tests.factories import make_principal
from tests.services import clients
from tests.services.browser import chromium

pytestmark = pytest.mark.e2e

FLAG = "--ignore-certificate-errors"
"""Nobody vouches for the server's certificate; people click that away, or give it to their browser."""


class SecureDrive(Drive):
    """A drive over https, with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        keys = folder / "keys"
        super().__init__(
            folder, SERVER__TLS_CERTIFICATE=str(keys / "tls.crt"), SERVER__TLS_KEY=str(keys / "tls.key")
        )
        self.certificate = keys / "tls.crt"

    @property
    def url(self) -> str:
        """The drive's address."""
        return f"https://127.0.0.1:{self.port}/dav/"

    @property
    def site(self) -> str:
        """The address of its pages, without a slash at the end."""
        return f"https://127.0.0.1:{self.port}"


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[SecureDrive]:
    """A running server."""
    made = SecureDrive(tmp_path / "drive")
    done = made.run("tls", "self-signed")
    assert done.returncode == ExitCode.OK, done.stderr
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that takes the server's certificate."""
    with chromium(FLAG) as started:
        yield started


@pytest.fixture
def alice(drive: SecureDrive, arrive: Arrive) -> Person:
    """The first administrator, on the start page."""
    return go_on(first_administrator(Person("alice", arrive().page), opening_link(drive)))


# ── what people do
def download(page: Page, name: str, folder: Path) -> Path:
    """Press the button beside a file; where it then is."""
    with page.expect_download() as started:
        page.get_by_role("link", name=f"Download {name}").click()
    assert started.value.suggested_filename == name
    path = folder / name
    started.value.save_as(path)
    return path


def shown_commands(page: Page) -> list[str]:
    """What there is to paste."""
    return page.locator("code[id^=command-]").all_inner_texts()


@dataclass
class Terminal:
    """A terminal of the person's, in which rclone is found, with a configuration of its own."""

    configuration: Path
    certificate: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rclone = clients.require("rclone")
        self.environment = {
            **clean_environment(),
            "PATH": f"{rclone.parent}:{clean_environment().get('PATH', '')}",
            "RCLONE_CONFIG": str(self.configuration),
            "RCLONE_CA_CERT": str(self.certificate),
            "RCLONE_RETRIES": "1",
            "RCLONE_LOW_LEVEL_RETRIES": "1",
        }

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Paste a line."""
        return subprocess.run(
            ["/bin/sh", "-c", command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def does(self, command: str) -> str:
        """Paste a line that works."""
        done = self.run(command)
        assert done.returncode == 0, done.stderr
        return done.stdout


def terminal_for(page: Page, drive: SecureDrive, folder: Path) -> Terminal:
    """A terminal with the file that the page lets download."""
    folder.mkdir()
    return Terminal(download(page, "rclone.conf", folder), drive.certificate)


# ── what they see
def expect_trouble(page: Page, title: str) -> None:
    """This reason, and no other one, as soon."""
    expect(page.locator("[data-troubles] [data-title]")).to_have_text([title], timeout=SEEN_SECONDS * 1000)
    assert page.locator("[data-troubles] [data-advice]").inner_text()


# ── devices that come in
def test_rclone_is_seen_while_it_connects(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """With the file that was downloaded and the commands that are shown: each step as it happens.

    The list of devices tells the same afterwards.
    """
    page = alice.page
    connect(page, "rclone", label="Laptop")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    assert download(page, "tls.crt", tmp_path).read_bytes() == drive.certificate.read_bytes()
    listing, writing, reading = (one for one in shown_commands(page) if TEST_FILE in one or " lsf " in one)
    expect(page.locator(".signs .seen")).to_have_count(0)
    assert terminal.does(listing) == ""
    expect_signs(page, Sign.CONNECTED, Sign.LISTED)
    expect(page.locator(".signs .seen")).to_have_count(2)
    terminal.does(writing)
    expect_signs(page, Sign.WROTE, Sign.KEPT_TIMES)
    assert terminal.does(reading).strip()
    expect_signs(page, Sign.READ)
    expect(page.get_by_role("status")).to_have_text(
        "This device has: connected, listed your files, wrote a file, read a file, kept times."
    )
    expect(page.locator("[data-troubles] .trouble")).to_have_count(0)
    follow(page, "Done")
    card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Laptop"))
    expect(card).to_contain_text("connected, listed your files, wrote a file, read a file, kept times")


def test_the_commands_that_are_shown_configure_rclone(
    drive: SecureDrive, alice: Person, tmp_path: Path
) -> None:
    """The first one instead of the file: rclone then copies and finds what it copied."""
    page = alice.page
    connect(page, "rclone")
    terminal = Terminal(tmp_path / "made.conf", drive.certificate)
    terminal.environment["HOME"] = str(tmp_path)
    documents = tmp_path / "Documents"
    documents.mkdir()
    (documents / "letter").write_text("content")
    config, copy = (
        next(one for one in shown_commands(page) if f"rclone {verb} " in one)
        for verb in ("config create", "copy")
    )
    terminal.does(config)
    terminal.does(copy)
    expect_signs(page, Sign.CONNECTED, Sign.WROTE, Sign.KEPT_TIMES)
    assert terminal.does("rclone cat sealdav:Documents/letter") == "content"


def test_the_unit_for_systemd_is_one(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """Systemd finds nothing wrong with it, once rclone is where it looks for programs."""
    verify = clients.require("systemd-analyze")
    page = alice.page
    connect(page, "rclone")
    unit = download(page, "sealdav.service", tmp_path)
    text = unit.read_text()
    assert str(drive.certificate) in text
    unit.write_text(text.replace("ExecStart=rclone", f"ExecStart={clients.require('rclone')}"))
    done = subprocess.run(
        [verify, "verify", "--user", unit],
        env={**clean_environment(), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def start_unit(unit: list[str], terminal: Terminal) -> subprocess.Popen[bytes]:
    """As systemd does it: what comes first one after the other, `-` may fail; then the program itself."""
    for line in unit:
        name, _, command = line.partition("=")
        if name == "ExecStartPre":
            done = terminal.run(command.removeprefix("-"))
            assert command.startswith("-") or done.returncode == 0, done.stderr
    start = next(line.partition("=")[2] for line in unit if line.startswith("ExecStart="))
    return subprocess.Popen(["/bin/sh", "-c", f"exec {start}"], env=terminal.environment)


def test_the_unit_mounts_again_after_rclone_was_killed(
    drive: SecureDrive, alice: Person, tmp_path: Path
) -> None:
    """With its own lines, and although a program still uses the folder, which answers nothing any more."""
    clients.require_fuse()
    page = alice.page
    connect(page, "rclone")
    home = tmp_path / "home"
    terminal = terminal_for(page, drive, home)
    unit = download(page, "sealdav.service", home).read_text().replace("%h", str(home)).splitlines()
    terminal.does("echo content | rclone rcat sealdav:file")
    file = home / "drive" / "file"
    running = start_unit(unit, terminal)
    try:
        until_there(file)
        using = subprocess.Popen(["sleep", "600"], cwd=file.parent)
        try:
            running.kill()
            running.wait()
            with pytest.raises(OSError, match="not connected"):
                list(file.parent.iterdir())
            running = start_unit(unit, terminal)
            until_there(file)
        finally:
            using.kill()
            using.wait()
        terminal.does(next(line.partition("=")[2] for line in unit if line.startswith("ExecStop=")))
        running.wait(COMMAND_SECONDS)
    finally:
        running.kill()
        running.wait()
        terminal.run(f"fusermount3 -uz '{file.parent}'")


def until_there(file: Path) -> None:
    """Wait for a mount, and read what is on it."""
    deadline = time.monotonic() + COMMAND_SECONDS
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # It tells systemd, and nobody else.
    assert file.read_text() == "content\n"


def test_davfs2_is_seen_while_it_connects(alice: Person, tmp_path: Path) -> None:
    """With the lines that are shown, all but the one that installs it: each step that there is to see."""
    page = alice.page
    connect(page, "Linux, davfs2")
    expect(page.locator(".watch")).to_contain_text("Linux, davfs2 does not keep times.")
    _, *setting_up, mount, trying, _, _ = shown_commands(page)
    assert trying.startswith("date > /mnt/sealdav/")
    with own_machine(tmp_path / "machine") as does:
        for line in setting_up:
            does(line)
        does(mount)
        does("ls /mnt/sealdav")
        expect_signs(page, Sign.CONNECTED, Sign.LISTED)
        assert does(trying).strip()
        does("sudo umount /mnt/sealdav")
        expect_signs(page, Sign.WROTE)
    expect(page.locator(".signs li:not(.seen)")).to_have_count(0)
    expect(page.locator("[data-troubles] .trouble")).to_have_count(0)


def test_the_unit_for_davfs2_is_one(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """Systemd finds nothing wrong with it, as downloaded and as the line beside it puts it into its place."""
    verify = clients.require("systemd-analyze")
    page = alice.page
    connect(page, "Linux, davfs2")
    unit = download(page, "mnt-sealdav.mount", tmp_path)
    assert f"What={drive.url}\n" in unit.read_text()
    put = next(one for one in shown_commands(page) if one.startswith("sed "))
    edit, place = put.split(" | sudo tee ")
    assert place == "/etc/systemd/system/mnt-sealdav.mount >/dev/null"
    done = subprocess.run(
        ["/bin/sh", "-c", edit], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert f"uid={os.getuid()},gid={os.getgid()}\n" in done
    for text in (unit.read_text(), done):
        unit.write_text(text)
        judged = subprocess.run(
            [verify, "verify", unit],
            env={**clean_environment(), "XDG_RUNTIME_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


def test_without_scripts_one_looks_again(drive: SecureDrive, arrive: Arrive, tmp_path: Path) -> None:
    """In a new tab, so that the app password stays where it is; there, again and again."""
    page = go_on(first_administrator(Person("alice", arrive(scripts=False).page), opening_link(drive))).page
    connect(page, "rclone", label="Laptop")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Look, in a new tab").click()
    tab = opened.value
    at(tab, "Laptop")
    expect(tab.locator(".signs .seen")).to_have_count(0)
    terminal.does("rclone lsf sealdav:")
    deadline = time.monotonic() + SEEN_SECONDS
    while tab.locator(".signs .seen").count() != 2:
        assert time.monotonic() < deadline
        follow(tab, "Look again")
        at(tab, "Laptop")
    at(page, "Connect rclone")


# ── devices that are refused
def use(terminal: Terminal, password: str) -> None:
    """Give rclone another password."""
    lines = terminal.configuration.read_text().splitlines()
    terminal.configuration.write_text(
        "".join(f"pass = {obscured(password)}\n" if one.startswith("pass") else f"{one}\n" for one in lines)
    )


def expect_refused_until_mended(
    page: Page, terminal: Terminal, mend: Callable[[], object], title: str
) -> None:
    """This is the reason; then the device comes in, and the page takes it back."""
    assert terminal.run("rclone lsf sealdav:").returncode != 0
    expect_trouble(page, title)
    expect(page.locator(".signs .seen")).to_have_count(0)
    mend()
    terminal.does("rclone lsf sealdav:")
    expect_signs(page, Sign.CONNECTED)
    expect(page.locator("[data-troubles] .trouble")).to_have_count(0)


WRONG_FOR_IT = "The password is wrong for this device"


@pytest.mark.parametrize(
    ("wrong", "title"),
    [
        (lambda right: AppToken(parse(right).id, bytes(20)).text(), WRONG_FOR_IT),
        (lambda right: right[:-1], WRONG_FOR_IT),
        (lambda _right: PASSWORD, "A program came with your user name and no app password"),
    ],
    ids=["another secret", "cut off", "the account's own"],
)
def test_a_wrong_password(
    drive: SecureDrive, alice: Person, tmp_path: Path, wrong: Callable[[str], str], title: str
) -> None:
    """After a mix-up; cut off by one character, as it happens with a mouse; and what people try first."""
    page = alice.page
    connect(page, "rclone")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    right = page.locator("#app-password").inner_text()
    use(terminal, wrong(right))
    expect_refused_until_mended(page, terminal, lambda: use(terminal, right), title)


def test_a_certificate_that_is_not_trusted(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """As long as rclone is not told where the certificate is."""
    page = alice.page
    connect(page, "rclone")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    certificate = terminal.environment.pop("RCLONE_CA_CERT")
    expect_refused_until_mended(
        page,
        terminal,
        lambda: terminal.environment.update(RCLONE_CA_CERT=certificate),
        "A program at your address did not trust the certificate",
    )


def test_an_app_password_that_has_expired(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """It was good for a second."""
    page = alice.page
    flags = {
        "storage": {"data_dir": str(drive.data)},
        "keys": {"master_key_file": str(drive.master_key)},
    }
    with closing(build_services(load_settings(flags=flags))) as services:
        principal = make_principal(services.accounts.find("alice"), services.clock)
        soon = services.clock() + timedelta(seconds=1)
        issued = services.app_passwords.issue(principal, "Loan", expires_at=soon, root_id=ROOT_ID)
    page.goto(f"/devices/{issued.app_password.id}")
    configuration = tmp_path / "rclone.conf"
    configuration.write_text(
        f"[sealdav]\ntype = webdav\nurl = {drive.url}\nuser = alice\npass = {obscured(issued.token)}\n"
    )
    time.sleep(1.5)  # Until it has expired.
    assert Terminal(configuration, drive.certificate).run("rclone lsf sealdav:").returncode != 0
    expect_trouble(page, "This app password has expired")


def test_a_device_that_may_only_read(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """It is connected, it lists, and it is told what it may not."""
    page = alice.page
    connect(page, "rclone", scope="read_only")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    assert terminal.run("echo content | rclone rcat sealdav:file").returncode != 0
    expect_trouble(page, "It wants to write, and may only read")
    expect_signs(page, Sign.CONNECTED)


def test_a_folder_that_is_gone(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """The folder that was made for the device is deleted by another one."""
    page = alice.page
    connect(page, "rclone", folder="Laptop")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    terminal.does("rclone lsf sealdav:")
    expect_signs(page, Sign.LISTED)
    flags = {
        "storage": {"data_dir": str(drive.data)},
        "keys": {"master_key_file": str(drive.master_key)},
    }
    with closing(build_services(load_settings(flags=flags))) as services:
        principal = make_principal(services.accounts.find("alice"), services.clock)
        services.vaults.open(principal).delete(VaultPath.parse("Laptop"))
    assert terminal.run("rclone lsf sealdav:").returncode != 0
    expect_trouble(page, "The folder of this device is gone")


def test_a_network_that_is_not_allowed(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """The page says where this browser comes from."""
    page = alice.page
    connect(page, "rclone", networks="192.0.2.0/24")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    assert terminal.run("rclone lsf sealdav:").returncode != 0
    expect_trouble(page, "It comes from a network that is not allowed")
    expect(page.locator("[data-advice]")).to_contain_text("This browser comes from 127.0.0.1")


def test_an_app_password_that_was_revoked(drive: SecureDrive, alice: Person, tmp_path: Path) -> None:
    """In another tab, while this one watches; and a name that is not the account's."""
    page = alice.page
    connect(page, "rclone", label="Laptop")
    terminal = terminal_for(page, drive, tmp_path / "laptop")
    right = terminal.configuration.read_text()
    terminal.configuration.write_text(right.replace("user = alice", "user = alicia"))
    assert terminal.run("rclone lsf sealdav:").returncode != 0
    expect_trouble(page, "The user name is wrong")
    expect(page.locator("[data-advice]")).to_have_text(
        "The app password is right. Enter alice as the user name."
    )
    tab = page.context.new_page()
    tab.goto("/app-passwords")
    press(tab, "Revoke Laptop")
    expect(told(tab)).to_contain_text("Revoked.")
    tab.close()
    terminal.configuration.write_text(right)
    assert terminal.run("rclone lsf sealdav:").returncode != 0
    first = page.locator("[data-troubles] [data-title]").first
    expect(first).to_have_text("This app password was revoked", timeout=SEEN_SECONDS * 1000)


# ── the page itself
def test_nobody_is_asked_while_nobody_looks(drive: SecureDrive, alice: Person) -> None:
    """A page in the background does not ask, and does so again when it is looked at; signed out, it ends."""
    page = alice.page
    connect(page, "rclone")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(4500)
    assert 1 <= len(asked) <= 3
    assert {one.rpartition("/")[2] for one in asked} == {"health"}
    hide(page, hidden=True)
    page.wait_for_timeout(500)  # what was asked before
    asked.clear()
    page.wait_for_timeout(4500)
    assert asked == []
    hide(page, hidden=False)
    page.wait_for_timeout(1000)
    assert asked
    tab = page.context.new_page()
    tab.goto(f"{drive.site}/sign-out")
    press(tab, "Sign out")
    at(tab, "You are signed out")
    tab.close()
    expect(page.get_by_text("This page does not look any more.")).to_be_visible(timeout=SEEN_SECONDS * 1000)
    asked.clear()
    page.wait_for_timeout(3000)
    assert asked == []


def test_a_server_that_is_away_for_a_moment_ends_nothing(drive: SecureDrive, arrive: Arrive) -> None:
    """While it restarts a proxy answers 502 or 503, and the page asks again; what was refused ends it."""
    visitor = arrive()
    page = go_on(first_administrator(Person("alice", visitor.page), opening_link(drive))).page
    connect(page, "rclone")
    coming: list[int] = [502, 503, 404, 404]
    given: list[int] = []

    def answer(route: Route) -> None:
        given.append(coming.pop(0))
        route.fulfill(status=given[-1])

    page.route(re.compile("/health$"), answer)
    expect(page.get_by_text("This page does not look any more.")).to_be_visible(
        timeout=COMMAND_SECONDS * 1000
    )
    assert given == [502, 503, 404]
    visitor.complaints[:] = [one for one in visitor.complaints if "responded with a status of" not in one]


def hide(page: Page, *, hidden: bool) -> None:
    """What a browser says of a tab that another one covers; a headless one never covers any."""
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
