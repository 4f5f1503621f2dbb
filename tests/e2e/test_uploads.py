"""Uploads with progress in a real browser: cut, paused, reloaded or restarted, they go on to the end."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.conformance.multistatus import lockinfo
from tests.e2e import waiting
from tests.e2e.conftest import Arrive
from tests.e2e.drive import Device, Drive, Rclone
from tests.e2e.file_pages import names
from tests.e2e.site import PASSWORD, Person, at, fill, first_administrator, go_on, opening_link, press, told
from tests.services.browser import Visitor
from tests.services.relay import Relay, relay

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

MIB = 1 << 20
PART = 8 * MIB
LARGE = 2048 * MIB
MIDDLE = 5 * PART
SLOW = MIB
"""Bytes a second of a line that leaves time to press a button, on a busy machine too."""

PACE = re.compile("(MiB|KiB) a second, [0-9]+ (second|minute)s? left")

HANG_UP_SECONDS = 60
LONG_MILLISECONDS = 240_000
LARGE_MILLISECONDS = 1_500_000

EXPECTED = ("net::ERR_", "a status of 400", "a status of 403")
"""What the browser says of a line that was cut or silent for too long, and of a session that has ended."""

CHANGED = (1_700_000_000, 1_700_000_000)
"""When two files were read and changed that are not the same."""

SLOW_FOLDERS = """
    const take = DataTransferItem.prototype.webkitGetAsEntry;
    DataTransferItem.prototype.webkitGetAsEntry = function () {
      const entry = take.call(this);
      if (entry.isFile) return entry;
      const reader = entry.createReader();
      const readEntries = (found, failed) => setTimeout(() => reader.readEntries(found, failed), 2000);
      return { name: entry.name, createReader: () => ({ readEntries }) };
    };
"""
"""A browser whose folders lie on a slow disk."""

UNREADABLE = """
    const take = DataTransferItem.prototype.webkitGetAsEntry;
    const file = (_, failed) => failed(new DOMException("", "NotReadableError"));
    const shut = (one) => (one.name === "secret" ? Object.assign(one, { file }) : one);
    DataTransferItem.prototype.webkitGetAsEntry = function () {
      const entry = take.call(this);
      const reader = entry.createReader();
      const readEntries = (found, failed) => reader.readEntries((some) => found(some.map(shut)), failed);
      return { name: entry.name, createReader: () => ({ readEntries }) };
    };
"""
"""A browser that may not read what is called `secret`."""


@pytest.fixture
def drive(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Drive]:
    """A running server, with other settings if a test says so. In the end gigabytes may be taken away."""
    drive = Drive(tmp_path / "drive", **getattr(request, "param", {}))
    with closing(drive):
        drive.start()
        yield drive
    shutil.rmtree(drive.data)


@pytest.fixture
def line(drive: Drive) -> Iterator[Relay]:
    """What leads from the browser to the server, and can be cut."""
    with relay(("127.0.0.1", drive.port)) as made:
        yield made


@pytest.fixture
def site(line: Relay) -> str:
    """Where the pages are, for the browser."""
    return f"http://127.0.0.1:{line.port}"


@pytest.fixture
def visitor(arrive: Arrive) -> Iterator[Visitor]:
    """A browser. That a line was cut is no complaint about a page."""
    visitor = arrive()
    yield visitor
    visitor.complaints[:] = [one for one in visitor.complaints if not any(word in one for word in EXPECTED)]


@pytest.fixture
def alice(drive: Drive, line: Relay, visitor: Visitor) -> Person:
    """Somebody who has come as far as the start page, over the line."""
    return come(drive, line, visitor)


def come(drive: Drive, line: Relay, visitor: Visitor) -> Person:
    """Follow the first link, as far as the start page."""
    link = opening_link(drive).replace(f":{drive.port}/", f":{line.port}/")
    return go_on(first_administrator(Person("alice", visitor.page), link))


# ── what people do and see ──────────────────────────────────────────────────────────────────────────────────
def choose(page: Page, *paths: Path, label: str = "Files", taken: str = "ask", folder: str = "") -> None:
    """Choose files, or a whole folder, and send them."""
    page.goto(f"/files/{folder}")
    choose_here(page, *paths, label=label, taken=taken)


def choose_here(page: Page, *paths: Path, label: str = "Files", taken: str = "ask") -> None:
    """The same, on the page that is there."""
    if not page.locator("details.tool").evaluate("(one) => one.open"):
        page.locator("summary", has_text="Upload").click()
    page.get_by_label("If a name is taken").select_option(taken)
    page.get_by_label(label, exact=True).set_input_files(list(paths))
    page.locator("details").get_by_role("button", name="Upload").click()


def row(page: Page, name: str) -> Locator:
    """The line of one upload."""
    named = page.locator("[data-name]", has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator("#uploads [data-list] li").filter(has=named)


def share(page: Page) -> float:
    """How much of everything is there."""
    return float(page.locator("#uploads [data-all]").evaluate("(one) => one.value"))


def until(page: Page, least: float, milliseconds: int = LONG_MILLISECONDS) -> None:
    """Wait until so much is there."""
    page.wait_for_function(
        "(least) => document.querySelector('#uploads [data-all]').value >= least",
        arg=least,
        timeout=milliseconds,
    )


def stored(page: Page, count: int, milliseconds: int = LONG_MILLISECONDS) -> None:
    """Wait until the page says that all is done."""
    words = "1 file is stored." if count == 1 else f"{count} files are stored."
    expect(told(page).filter(has_text=words)).to_be_visible(timeout=milliseconds)


@contextmanager
def slowly(page: Page) -> Iterator[None]:
    """Let the browser's line be slow for as long as the block runs."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    usual = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {**usual, "uploadThroughput": SLOW})
    yield
    session.send("Network.emulateNetworkConditions", usual)
    session.detach()


@contextmanager
def closed(browser: Browser | None) -> Iterator[None]:
    """Let the browser stand still for as long as the block runs, as in a laptop whose lid is shut."""
    assert browser is not None
    session = browser.new_browser_cdp_session()
    ids = [one["id"] for one in session.send("SystemInfo.getProcessInfo")["processInfo"]]
    session.detach()
    try:
        for one in ids:
            os.kill(one, signal.SIGSTOP)
        yield
    finally:
        for one in ids:
            os.kill(one, signal.SIGCONT)


def make(path: Path, size: int, seed: int = 1) -> Path:
    """A file of random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def sparse(path: Path, size: int) -> Path:
    """A large file that takes little room: random bytes here and there, nothing between."""
    rng = random.Random(2)
    with path.open("wb") as file:
        file.truncate(size)
        for _ in range(200):
            file.seek(rng.randrange(size - 100_000))
            file.write(rng.randbytes(rng.randrange(1, 100_000)))
    return path


def drop(page: Page, *paths: Path) -> None:
    """Drop files and folders on the page that is there."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    session.detach()


def intercept(page: Page, request: str, status: int, told: dict[str, str], *, times: int = 1) -> None:
    """Have the next requests that match answered by something between the browser and the server."""
    method, address = request.split()
    used: list[Route] = []

    def answer(route: Route) -> None:
        if len(used) == times or route.request.method != method:
            return route.fallback()
        used.append(route)
        return route.fulfill(status=status, content_type="application/json", body=json.dumps(told))

    page.route(re.compile(address), answer)


UNSEEN = """
const send = XMLHttpRequest.prototype.send;
XMLHttpRequest.prototype.send = function (body) {
  return send.call(this, body instanceof ArrayBuffer ? new Blob([body]) : body);
};
"""
"""Playwright keeps each body that it sees, twice, for as long as the page lives. Of a Blob it sees none."""


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stored_digest(drive: Drive, device: Device, name: str) -> str:
    """SHA-256 of what the drive gives."""
    connection = http.client.HTTPConnection("127.0.0.1", drive.port, timeout=600)
    with closing(connection):
        connection.request("GET", f"/dav/{quote(name)}", headers={"Authorization": device.authorization})
        answer, found = connection.getresponse(), hashlib.sha256()
        assert answer.status == 200
        while block := answer.read(MIB):
            found.update(block)
    return found.hexdigest()


def parts_sent(visitor: Visitor) -> int:
    """How many parts have gone out whole."""
    return sum(
        1
        for answer in visitor.answers
        if answer.request.method == "PUT" and re.search("/uploads/[0-9a-f]{32}/", answer.url)
    )


# ── lines and servers that go away ──────────────────────────────────────────────────────────────────────────
@pytest.mark.timeout(2400)
def test_two_gigabytes_with_a_cut_in_the_middle(
    drive: Drive, line: Relay, visitor: Visitor, alice: Person, tmp_path: Path
) -> None:
    """The line is gone for a while: the page says so, goes on by itself, and every byte is there."""
    page, path = alice.page, sparse(tmp_path / "large.bin", LARGE)
    page.add_init_script(UNSEEN)
    choose(page, path)
    until(page, 0.4, LARGE_MILLISECONDS)
    line.close()
    expect(row(page, "large.bin")).to_contain_text("The connection is lost.", timeout=LONG_MILLISECONDS)
    before = parts_sent(visitor)
    line.open()
    began = time.monotonic()
    until(page, 0.999, LARGE_MILLISECONDS)
    expect(row(page, "large.bin")).to_contain_text("put together", timeout=LARGE_MILLISECONDS)
    joining = time.monotonic()
    stored(page, 1, LARGE_MILLISECONDS)
    done = time.monotonic()
    print(f"the rest in {joining - began:.0f} s, put together in {done - joining:.0f} s")  # noqa: T201 - for the record
    assert parts_sent(visitor) <= LARGE // PART + 2, "much of it was sent twice"
    assert before >= 0.4 * LARGE // PART - 1
    assert stored_digest(drive, alice.device, "large.bin") == digest(path)
    path.unlink()


def test_a_server_that_is_started_anew_in_the_middle(
    drive: Drive, visitor: Visitor, alice: Person, tmp_path: Path
) -> None:
    """Nobody has to do anything, and nothing that was there is sent again."""
    page, path = alice.page, make(tmp_path / "middle.bin", MIDDLE)
    with slowly(page):
        choose(page, path)
        until(page, 0.4)
        drive.kill()
        expect(row(page, "middle.bin")).to_contain_text("The connection is lost.", timeout=LONG_MILLISECONDS)
    drive.start()
    stored(page, 1)
    assert parts_sent(visitor) <= MIDDLE // PART + 1
    assert stored_digest(drive, alice.device, "middle.bin") == digest(path)


@pytest.mark.parametrize("drive", [{"SERVER__IDLE_SECONDS": "3"}], indirect=True)
def test_a_laptop_that_is_closed_in_the_middle(
    drive: Drive, line: Relay, visitor: Visitor, alice: Person, tmp_path: Path
) -> None:
    """When it is opened the server has long hung up: it goes on by itself, with the part of that moment."""
    page, path = alice.page, make(tmp_path / "middle.bin", MIDDLE)
    with slowly(page):
        choose(page, path)
        until(page, 0.5)
        with closed(page.context.browser):
            waiting.until(lambda: line.is_empty, HANG_UP_SECONDS)
            assert drive.request("GET", "middle.bin", alice.device)[0] == 404
    stored(page, 1)
    assert parts_sent(visitor) <= MIDDLE // PART + 1
    assert stored_digest(drive, alice.device, "middle.bin") == digest(path)


def test_a_page_that_is_loaded_again(drive: Drive, visitor: Visitor, alice: Person, tmp_path: Path) -> None:
    """It offers to go on; the same file, chosen again in its folder, is recognised, and in no other one."""
    page, path = alice.page, make(tmp_path / "middle.bin", MIDDLE)
    drive.request("MKCOL", "folder", alice.device)
    with slowly(page):
        choose(page, path, folder="folder")
        until(page, 0.5)
        page.reload()
    before = parts_sent(visitor)
    page.goto("/files/")
    expect(page.locator("#uploads")).to_contain_text("Uploads that were not finished: 1.")
    expect(page.locator("#uploads [data-open]")).to_contain_text("folder/middle.bin")
    choose_here(page, path)
    stored(page, 1)
    assert drive.request("GET", "folder/middle.bin", alice.device)[0] == 404
    assert stored_digest(drive, alice.device, "middle.bin") == digest(path)
    page.goto("/files/folder")
    expect(page.locator("#uploads [data-open]")).to_contain_text("folder/middle.bin")
    other = make(tmp_path / "other" / "more.bin", MIDDLE - 1)
    choose_here(page, other, path)
    stored(page, 2)
    assert before >= 1
    assert parts_sent(visitor) <= 3 * MIDDLE // PART + 1
    assert stored_digest(drive, alice.device, "folder/middle.bin") == digest(path)
    assert stored_digest(drive, alice.device, "folder/more.bin") == digest(other)
    expect(page.locator("#uploads")).to_be_hidden()


def test_another_file_that_looks_the_same(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """Same place, length and time, other bytes: it goes up by itself; the first one can be gone on with."""
    page, path = alice.page, make(tmp_path / "middle.bin", MIDDLE)
    other = make(tmp_path / "other" / "middle.bin", MIDDLE, 2)
    with other.open("r+b") as file, path.open("rb") as first:
        file.write(first.read(PART))
    for one in (path, other):
        os.utime(one, CHANGED)
    with slowly(page):
        choose(page, path)
        until(page, 0.5)
        page.reload()
    expect(page.locator("#uploads [data-open]")).to_contain_text("middle.bin")
    choose_here(page, other)
    stored(page, 1)
    assert stored_digest(drive, alice.device, "middle.bin") == digest(other)
    expect(page.locator("#uploads [data-open]")).to_contain_text("middle.bin")
    page.goto("/files/")
    choose_here(page, path, taken="both")
    stored(page, 1)
    assert stored_digest(drive, alice.device, "middle (2).bin") == digest(path)
    expect(page.locator("#uploads")).to_be_hidden()


def test_two_windows(drive: Drive, visitor: Visitor, alice: Person, tmp_path: Path) -> None:
    """What one of them goes on with is not taken out of its hands by the other, nor offered there."""
    page, path = alice.page, make(tmp_path / "middle.bin", MIDDLE)
    with slowly(page):
        choose(page, path)
        until(page, 0.3)
        page.reload()
        other = page.context.new_page()
        other.goto("/files/")
        expect(other.locator("#uploads [data-open]")).to_contain_text("middle.bin")
        choose_here(page, path, taken="both")
        until(page, 0.4)
        press(page, "Pause all")
        expect(row(page, "middle.bin")).to_contain_text("Paused.")
    choose_here(other, path, taken="both")
    expect(other.locator("#uploads [data-offer]")).to_be_hidden()
    stored(other, 1)
    press(page, "Go on with all")
    stored(page, 1)
    begun = [one for one in visitor.answers if one.request.method == "POST" and one.url.endswith("/uploads")]
    assert len(begun) == 1, "what it went on with was gone"
    for name in ("middle.bin", "middle (2).bin"):
        assert stored_digest(drive, alice.device, name) == digest(path)


def test_an_upload_that_nobody_wants_any_more(
    drive: Drive, line: Relay, alice: Person, tmp_path: Path
) -> None:
    """Given up on another page, or cancelled while it runs: its room is free again, and there is no file."""
    page, path = alice.page, make(tmp_path / "middle.bin", MIDDLE)
    with slowly(page):
        choose(page, path)
        until(page, 0.3)
        page.goto("/files/")
        line.close()
        press(page, "Give middle.bin up")
        expect(page.locator("#uploads [data-open]")).to_contain_text("The server cannot be reached.")
        line.open()
        press(page, "Give middle.bin up")
        expect(page.locator("#uploads [data-open] li")).to_have_count(0)
        choose_here(page, path)
        until(page, 0.3)
        row(page, "middle.bin").get_by_role("button", name="Cancel middle.bin").click()
        expect(row(page, "middle.bin")).to_have_count(0)
    page.goto("/files/")
    expect(page.locator("#uploads")).to_be_hidden()
    expect(page.locator("#space")).to_contain_text("0 B")
    assert drive.request("GET", "middle.bin", alice.device)[0] == 404


def test_somebody_is_signed_out_in_the_middle(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """The page says so, and buttons work; after the sign-in, in another tab, the upload goes on by itself."""
    page, path = alice.page, make(tmp_path / "middle.bin", MIDDLE)
    with slowly(page):
        choose(page, path)
        until(page, 0.3)
        assert drive.run("user", "sign-out", "alice").returncode == 0
        link = page.get_by_role("link", name="Sign in again")
        expect(link).to_be_visible()
        page.get_by_role("button", name="Pause middle.bin").click()
        expect(row(page, "middle.bin")).to_contain_text("Paused.")
        page.get_by_role("button", name="Go on with middle.bin").click()
        expect(row(page, "middle.bin")).to_contain_text("Sign in again")
    with page.context.expect_page() as opened:
        link.click()
    tab = opened.value
    at(tab, "Sign in")
    fill(tab, name="alice", password=PASSWORD)
    press(tab, "Sign in")
    fill(tab, code=alice.phone.code())
    press(tab, "Continue")
    at(tab, "Your drive")
    stored(page, 1)
    assert stored_digest(drive, alice.device, "middle.bin") == digest(path)


# ── pausing, many files, names that are taken ───────────────────────────────────────────────────────────────
def test_pause_and_go_on(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """What is paused stands still, beside what is not; by keyboard, too. How fast it goes is said."""
    page = alice.page
    with slowly(page):
        choose(page, *(make(tmp_path / f"{name}.bin", MIDDLE, number) for number, name in enumerate("ab")))
        until(page, 0.2)
        for place in (row(page, "b.bin"), page.locator("#uploads [data-total]")):
            expect(place).to_contain_text(PACE)
        page.get_by_role("button", name="Pause a.bin", exact=True).press("Enter")
        expect(row(page, "a.bin")).to_contain_text("Paused.")
        still = row(page, "a.bin").locator("progress").evaluate("(one) => one.value")
    expect(row(page, "b.bin")).to_have_count(0, timeout=LONG_MILLISECONDS)
    assert row(page, "a.bin").locator("progress").evaluate("(one) => one.value") == still
    assert drive.request("GET", "a.bin", alice.device)[0] == 404
    page.get_by_role("button", name="Go on with a.bin", exact=True).press("Enter")
    stored(page, 2)
    for name in ("a.bin", "b.bin"):
        assert stored_digest(drive, alice.device, name) == digest(tmp_path / name)


@pytest.mark.timeout(600)
def test_a_folder_of_a_thousand_files(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """All of them, in their folders, with their times; the page says how far it is."""
    rng, local = random.Random(3), tmp_path / "Many things & <more>"
    for number in range(1000):
        size = rng.choice([0, 1, 100, 5000, 70_000] if number % 100 else [1_500_000])
        make(local / f"sub {number % 7}" / f"ü {number}.bin", size, number)
    page = alice.page
    choose(page, local, label="Or a whole folder")
    expect(page.locator("#uploads [data-total]")).to_contain_text("of 1000")
    stored(page, 1000, 400_000)
    rclone = Rclone(drive, alice.device)
    rclone("check", local, f"drive:{local.name}", "--download")
    listed = rclone("lsl", f"drive:{local.name}").decode().splitlines()
    assert len(listed) == 1000
    for path in list(local.rglob("*.bin"))[:20]:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(path.stat().st_mtime))
        assert any(stamp in one and one.endswith(path.name) for one in listed)


def test_the_question_what_to_do(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """One for each name that is taken, until the answer is for all; what is left out stays as it was."""
    page = alice.page
    taken = ["a", "b", "c", "d", "large.bin"]
    for name in taken:
        drive.request("PUT", name, alice.device, b"old")
    drive.request("MKCOL", "e", alice.device)
    paths = [make(tmp_path / name, 5000, 9) for name in "abcde"]
    choose(page, *paths, make(tmp_path / "large.bin", PART + 5))
    dialog = page.get_by_role("dialog")
    answers = {"a": "Keep both", "b": "Replace", "c": "Leave it out"}
    asked = 0
    while asked < 3:
        expect(dialog).to_be_visible()
        name = dialog.locator("[data-which]").inner_text()
        if name == "e":
            expect(dialog).to_contain_text("What is there is a folder.")
            expect(dialog.get_by_role("button", name="Replace")).to_be_hidden()
            dialog.get_by_role("button", name="Keep both").click()
        else:
            expect(dialog).to_contain_text("What is there has 3 B")
            dialog.get_by_role("button", name=answers.get(name, "Keep both")).click()
            asked += name in answers
        expect(dialog.locator("[data-which]")).not_to_have_text(name)
    expect(dialog).to_be_visible()
    dialog.get_by_label("The same for all others").check()
    dialog.get_by_role("button", name="Keep both").click()
    expect(row(page, "c")).to_contain_text("The name is taken: it was left out.")
    page.get_by_role("link", name="Load the list again").click()
    expected = {*taken, "e", "a (2)", "d (2)", "e (2)", "large (2).bin"}
    assert set(names(page)) == expected
    for name, path in {"a (2)": "a", "b": "b", "d (2)": "d", "large (2).bin": "large.bin"}.items():
        assert stored_digest(drive, alice.device, name) == digest(tmp_path / path)
    for name in ("a", "c", "d", "large.bin"):
        assert drive.request("GET", name, alice.device)[1] == b"old"


def test_what_is_refused_is_said(drive: Drive, visitor: Visitor, alice: Person, tmp_path: Path) -> None:
    """The quota, with its reason, while the others are stored; and before that, that nothing is chosen."""
    page = alice.page
    page.goto("/files/")
    page.locator("summary", has_text="Upload").click()
    page.locator("details").get_by_role("button", name="Upload").click()
    expect(page.get_by_text("Choose something first.")).to_be_visible()
    assert drive.run("user", "quota", "alice", "1MiB").returncode == 0
    with visitor.refused(507):
        choose_here(page, make(tmp_path / "large.bin", 2 * MIB), make(tmp_path / "small", 10))
    expect(row(page, "large.bin")).to_contain_text("The account's quota has no room for this.")
    assert drive.run("user", "quota", "alice", "1GiB").returncode == 0
    page.get_by_role("button", name="Go on with large.bin").click()
    stored(page, 2)
    assert set(names(page)) == {"large.bin", "small"}


def test_names_and_locks_are_reasons_too(
    drive: Drive, visitor: Visitor, alice: Person, tmp_path: Path
) -> None:
    """Each row says what is wrong with its file; the one beside them that is in order is stored."""
    assert drive.request("LOCK", "locked", alice.device, lockinfo())[0] == 201
    paths = [make(tmp_path / name, 10) for name in ("locked", "a\x07b", "good")]
    with visitor.refused(423), visitor.refused(422):
        choose(alice.page, *paths, taken="replace")
    expect(row(alice.page, "locked")).to_contain_text("It is locked by a program that has it open.")
    expect(row(alice.page, "a\x07b")).to_contain_text("A name must not hold '/' or a control character.")
    alice.page.goto("/files/")
    assert set(names(alice.page)) == {"locked", "good"}


def test_a_folder_without_scripts(drive: Drive, line: Relay, arrive: Arrive, tmp_path: Path) -> None:
    """The form sends all of it: each file in its folder, byte for byte."""
    alice, local = come(drive, line, arrive(scripts=False)), tmp_path / "Many things & <more>"
    for number, name in enumerate(("a", "sub/ü b.bin", "sub/deep/er/empty", 'sub/deep/"c".txt')):
        make(local / name, number * MIB % (3 * MIB), number)
    drive.request("MKCOL", "in", alice.device)
    choose(alice.page, local, label="Or a whole folder", taken="both", folder="in")
    stored(alice.page, 4)
    Rclone(drive, alice.device)("check", local, f"drive:in/{local.name}", "--download")


def test_files_and_folders_are_dropped(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """By drag and drop: a file, a folder with folders in it, and one with nothing in it."""
    page, local = alice.page, tmp_path / "dropped"
    make(local / "deep" / "er" / "f.bin", 70_000)
    make(local / "g.bin", 10)
    (local / "empty").mkdir()
    for number in range(150):  # more than a browser tells at once
        make(local / "many" / str(number), 1)
    file = make(tmp_path / "file.bin", PART + 1)
    page.goto("/files/")
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(local), str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    expect(page.get_by_text("Drop them: they go into this folder.")).to_be_visible()
    session.send("Input.dispatchDragEvent", {"type": "drop", "x": 300, "y": 300, "data": data})
    stored(page, 153)  # a folder with nothing in it is no file
    rclone = Rclone(drive, alice.device)
    rclone("check", local, "drive:dropped", "--download")
    assert "empty/" in rclone("lsf", "drive:dropped").decode()
    assert stored_digest(drive, alice.device, "file.bin") == digest(file)


def test_what_is_dropped_from_a_slow_disk(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """The page stays until all of it has been looked through, and says how much that was."""
    page = alice.page
    page.add_init_script(SLOW_FOLDERS)
    page.goto("/files/")
    drop(page, make(tmp_path / "first", 10), make(tmp_path / "folder" / "second", 10).parent)
    stored(page, 2)
    assert drive.request("GET", "folder/second", alice.device)[0] == 200


def test_what_cannot_be_read_is_said(drive: Drive, alice: Person, tmp_path: Path) -> None:
    """A row for it, with the reason; the rest of its folder is stored; it is no folder with nothing in it."""
    page, local = alice.page, tmp_path / "dropped"
    for name in ("a", "secret", "z"):
        make(local / name, 10)
    page.add_init_script(UNREADABLE)
    page.goto("/files/")
    drop(page, local)
    expect(row(page, "secret")).to_contain_text("This cannot be read")
    expect(page.locator("#uploads [data-total]")).to_contain_text("2 of 3", timeout=LONG_MILLISECONDS)
    expect(page.locator("#uploads [data-total]")).to_contain_text("Failed: 1.")
    expect(row(page, "secret").get_by_role("button", name="Go on")).to_be_hidden()
    listed = drive.request("PROPFIND", "dropped", alice.device, headers={"Depth": "1"})[1]
    assert [name in listed for name in (b"/dropped/a<", b"/dropped/z<", b"secret")] == [True, True, False]


def test_an_answer_of_somebody_else_is_no_yes(
    drive: Drive, visitor: Visitor, alice: Person, tmp_path: Path
) -> None:
    """A gateway in between answers in JSON: it is tried again, or refused, and never counts as stored."""
    page, small = alice.page, make(tmp_path / "small", 10)
    middle = make(tmp_path / "middle.bin", PART + 1)
    for request, status, path in (
        ("PUT /uploads$", 429, small),
        ("POST /uploads$", 502, middle),
        ("PUT /0$", 503, middle),
        ("POST /finish$", 504, middle),
    ):
        intercept(page, request, status, {"message": "upstream"})
        choose(page, path, taken="both")
        stored(page, 1)
    for name in ("small", "middle.bin", "middle%20(2).bin", "middle%20(3).bin"):
        assert drive.request("HEAD", name, alice.device)[0] == 200
    page.goto("/files/")
    for status, words in ((413, "does not let this much through"), (200, "Something went wrong.")):
        intercept(page, "PUT /uploads$", status, {"message": "upstream"})
        choose_here(page, make(tmp_path / f"not {status}", 10))
        expect(row(page, f"not {status}")).to_contain_text(words)
        assert drive.request("GET", f"not%20{status}", alice.device)[0] == 404
    expect(page.locator("#uploads [data-total]")).to_contain_text("Files: 0 of 2,")
    intercept(page, "PUT /uploads$", 503, {"text": "The disk is busy.", "again": "later"}, times=3)
    choose(page, make(tmp_path / "later", 10))
    expect(row(page, "later")).to_contain_text("The disk is busy.")
    stored(page, 1)
    visitor.complaints[:] = [one for one in visitor.complaints if "responded with a status of" not in one]


def test_for_everybody(visitor: Visitor, alice: Person, tmp_path: Path) -> None:
    """While it runs, with a question open, and paused: nothing keeps anybody out; it fits on a phone, too."""
    page = alice.page
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.set_viewport_size({"width": 390 if dark else 1280, "height": 844})
        paths = make(tmp_path / f"a long name of a file {dark}.bin", MIDDLE), make(tmp_path / "b", 100)
        with slowly(page):
            choose(page, *paths)
            until(page, 0.01)
            assert visitor.barriers() == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if dark:
                expect(page.get_by_role("dialog")).to_be_visible()
                assert visitor.barriers() == []
                page.keyboard.press("Escape")
            press(page, "Pause all")
        expect(row(page, paths[0].name)).to_contain_text("Paused.")
        assert visitor.barriers() == []
        press(page, "Cancel all")
