"""The pages about files in a real browser and a real server: what people do, and what files must not do."""

from __future__ import annotations

import hashlib
import random
import subprocess
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Dialog, Page, expect

from tests.e2e.conftest import Arrive
from tests.e2e.drive import Drive, Rclone
from tests.e2e.file_pages import downloaded, names, tick, upload
from tests.e2e.site import Person, at, first_administrator, go_on, opening_link, press, told
from tests.services import clients
from tests.services.browser import WAIT_MILLISECONDS, Visitor
from tests.services.hostile import HIDDEN, HTML, PDF, SVG, packed_pdf, pdf
from tests.services.media import chosen, film, picture, sound

pytestmark = pytest.mark.e2e

REFUSED = ("Failed to load resource", "sandboxed", "inline style")
"""What the browser says of what it did not do with hostile files, and of a picture alone on a page."""

RED = (255, 0, 0)
PAPER_SHARE = 0.05
"""How much of a window the red page of a PDF takes at least."""

LOCK = b"""<?xml version="1.0"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>
<D:locktype><D:write/></D:locktype><D:owner>Writer of Bob</D:owner></D:lockinfo>"""


@pytest.fixture
def drive(tmp_path: Path, temporary: Path) -> Iterator[Drive]:
    """A running server."""
    assert temporary.exists()
    drive = Drive(tmp_path / "drive")
    drive.start()
    yield drive
    drive.close()


@pytest.fixture
def visitor(arrive: Arrive) -> Visitor:
    """A browser."""
    return arrive()


@pytest.fixture
def alice(drive: Drive, visitor: Visitor) -> Person:
    """Somebody who has come as far as the start page."""
    return go_on(first_administrator(Person("alice", visitor.page), opening_link(drive)))


def copy_into(page: Page, name: str, folder: str) -> None:
    """Copy an entry of the first folder into another one there."""
    page.goto("/files/")
    tick(page, name)
    press(page, "Copy")
    press(page, folder)
    press(page, "Copy here")


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_there_and_back(drive: Drive, alice: Person, tmp_path: Path, temporary: Path) -> None:
    """Files go up by the form, are listed, and come back byte for byte, in the browser and on the drive."""
    page = alice.page
    local = tmp_path / "local"
    local.mkdir()
    random.seed(8)
    for name, size in (("Größe 10 & <b>.bin", 9_000_000), ("a 2.txt", 12), ("empty", 0)):
        (local / name).write_bytes(random.randbytes(size))
    upload(page, "", *sorted(local.iterdir()))
    expect(told(page)).to_contain_text("3 files are stored.")
    assert names(page) == ["a 2.txt", "empty", "Größe 10 & <b>.bin"]
    for path in local.iterdir():
        page.goto("/files/")
        page.get_by_role("link", name=path.name, exact=True).click()
        at(page, path.name)
        back = downloaded(page, tmp_path, "Download")
        assert back.name.partition(".")[0] == path.name.partition(".")[0].replace("<b>", "_b_")
        assert digest(back) == digest(path)
    Rclone(drive, alice.device)("check", local, "drive:", "--download")
    assert list(temporary.rglob("*")) == []


def test_an_archive(alice: Person, tmp_path: Path) -> None:
    """Several files and a folder in one ZIP: the same for Python and for `unzip`."""
    page = alice.page
    content = random.Random(9).randbytes(3_000_000)
    page.goto("/new-folder/")
    page.get_by_label("Name").fill("Übung")
    press(page, "Make folder")
    upload(page, "Übung", chosen("ü.bin", content))
    upload(
        page,
        "",
        chosen("one", b"1"),
        chosen("two", b"2"),
    )
    tick(page, "Übung", "two")
    path = downloaded(page, tmp_path, "Download")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["Übung/", "Übung/ü.bin", "two"]
        assert archive.read("Übung/ü.bin") == content
    command = [str(clients.require("unzip")), "-t", str(path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_names_that_are_taken(visitor: Visitor, alice: Person) -> None:
    """The question comes before anything is done; what was replaced or deleted is there again after Undo."""
    page = alice.page
    upload(page, "", chosen("a", b"first"))
    upload(page, "", chosen("a", b"second"))
    assert names(page) == ["a", "a (2)"]
    page.goto("/new-folder/")
    page.get_by_label("Name").fill("there")
    press(page, "Make folder")
    copy_into(page, "a", "there")
    expect(told(page)).to_contain_text("1 entry is copied.")
    with visitor.refused(409):
        copy_into(page, "a", "there")
    at(page, "The name is taken")
    press(page, "Keep both")
    expect(told(page)).to_contain_text("1 entry is copied.")
    page.goto("/files/there")
    assert names(page) == ["a", "a (2)"]
    page.once("dialog", lambda dialog: dialog.accept())
    tick(page, "a", "a (2)")
    press(page, "Delete")
    expect(page.get_by_text("Nothing is in here yet.")).to_be_visible()
    press(page, "Undo")
    expect(told(page)).to_contain_text("2 entries are back.")
    assert names(page) == ["a", "a (2)"]


def test_nothing_is_ticked(alice: Person) -> None:
    """The script says so before anything is sent; a question that is answered with no keeps everything."""
    page = alice.page
    upload(page, "", chosen("a", b"1"), chosen("b", b"2"))
    press(page, "Delete")
    expect(page.get_by_text("Tick something first.")).to_be_visible()
    page.get_by_label("Everything on this page").check()
    expect(page.get_by_text("2 / 2")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.dismiss())
    press(page, "Delete")
    page.reload()
    assert names(page) == ["a", "b"]


def test_without_scripts(drive: Drive, arrive: Arrive) -> None:
    """Everything works all the same; the server looks again at what is ticked."""
    page = arrive(scripts=False).page
    go_on(first_administrator(Person("alice", page), opening_link(drive)))
    upload(page, "", chosen("a", b"1"))
    press(page, "Delete")
    expect(told(page)).to_contain_text("Nothing is ticked")
    tick(page, "a")
    press(page, "Rename")
    page.get_by_label("New name").fill("b")
    press(page, "Rename")
    assert names(page) == ["b"]
    tick(page, "b")
    press(page, "Delete")
    expect(told(page)).to_contain_text("1 entry is deleted.")
    press(page, "Undo")
    assert names(page) == ["b"]


def test_a_program_holds_a_file(drive: Drive, visitor: Visitor, alice: Person) -> None:
    """A lock of the drive is shown with its owner, and nothing is done against it."""
    page = alice.page
    upload(page, "", chosen("report", b"1"))
    assert drive.request("LOCK", "report", alice.device, LOCK, {"Timeout": "Second-600"})[0] == 200
    page.reload()
    expect(page.locator("tbody")).to_contain_text("by “Writer of Bob”")
    tick(page, "report")
    page.once("dialog", lambda dialog: dialog.accept())
    with visitor.refused(423):
        press(page, "Delete")
    expect(page.get_by_role("alert")).to_contain_text("locked by a program")
    page.goto("/files/")
    assert names(page) == ["report"]


# ── what a file must not do
def test_hostile_files_run_nowhere(drive: Drive, visitor: Visitor, alice: Person) -> None:
    """T36: HTML, SVG and PDF with scripts, on their pages and alone: no script, no origin, no cookie."""
    page = alice.page
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", note)
    kinds = {
        "a.html": HTML,
        "b.svg": SVG,
        "c.pdf": PDF,
        "d.xml": SVG,
        "e.png": HTML,
        "f.txt": HTML,
        "g.mp4": HTML,
        **{f"{where}.pdf": content for where, content in HIDDEN.items()},
    }
    upload(page, "", *(chosen(name, content) for name, content in kinds.items()))
    expect(told(page)).to_contain_text(f"{len(kinds)} files are stored.")
    for name in kinds:
        page.goto(f"/files/{quote(name)}")
        at(page, name)
        page.wait_for_load_state("networkidle")
        assert page.title() == f"{name} · Sealdav"
    for name in ("a.html", "b.svg", "d.xml", "f.txt", "e.png"):
        page.goto(f"/preview/{name}")
        kind, origin = page.evaluate("[document.contentType, self.origin]")
        assert kind == ("image/png" if name == "e.png" else "text/plain")
        assert origin == "null", "it could read what belongs to the site"
        with pytest.raises(Exception, match="sandboxed"):
            page.evaluate("document.cookie")
    for name in ("c.pdf", *(f"{where}.pdf" for where in HIDDEN)):
        with visitor.refused(404):
            page.goto(f"/preview/{quote(name)}")
        at(page, "There is no such page")
    assert dialogs == []
    asked = [answer.url for answer in visitor.answers if "stolen" in answer.url]
    assert asked == []
    visitor.complaints[:] = [one for one in visitor.complaints if not any(word in one for word in REFUSED)]
    assert drive.request("GET", "a.html", alice.device)[0] == 200


def how_red(page: Page) -> float:
    """The share of what is seen that is red."""
    with Image.open(BytesIO(page.screenshot())) as seen:
        counted = seen.convert("RGB").getcolors(seen.width * seen.height) or []
        return sum(count for count, color in counted if color == RED) / (seen.width * seen.height)


@pytest.mark.parametrize("paper", [pdf(), packed_pdf()], ids=["plain", "packed"])
def test_a_paper(visitor: Visitor, alice: Person, paper: bytes) -> None:
    """A PDF in which nothing could run is seen in the viewer of the browser, and nothing complains."""
    page = alice.page
    upload(page, "", chosen("paper.pdf", paper))
    page.get_by_role("link", name="paper.pdf").click()
    with page.expect_response("**/preview/paper.pdf") as answer:
        page.get_by_role("link", name="Show it").click()
    assert answer.value.status in {200, 206}
    deadline = time.monotonic() + WAIT_MILLISECONDS / 1000
    while how_red(page) < PAPER_SHARE:
        assert time.monotonic() < deadline, "the red page is not seen"
        page.wait_for_timeout(100)  # Nobody tells when a viewer has drawn.
    # The viewer is a part of the browser, with an address of its own. It asks for /favicon.ico: there is no
    # page to say where the icon is.
    visitor.hosts &= {urlsplit(page.url).netloc}
    page.goto("/files/")
    visitor.complaints[:] = [one for one in visitor.complaints if "status of 404" not in one]


def test_pictures_sounds_and_films(visitor: Visitor, alice: Person) -> None:
    """A picture is seen; a player jumps to the middle and asks for that part only."""
    page = alice.page
    upload(
        page,
        "",
        chosen("a.png", picture()),
        chosen("b.wav", sound()),
        chosen("c.webm", film()),
    )
    page.goto("/files/a.png")
    assert page.locator("main img").evaluate("(one) => one.decode().then(() => one.naturalWidth)") == 640
    jump = """(one) => new Promise((done) => {
      one.addEventListener("seeked", () => done(one.currentTime));
      const go = () => { one.currentTime = one.duration / 2; };
      one.readyState ? go() : one.addEventListener("loadedmetadata", go);
    })"""
    for name, kind, middle in (("b.wav", "audio", 0.5), ("c.webm", "video", 1)):
        page.goto(f"/files/{name}")
        assert page.locator(kind).evaluate(jump) == pytest.approx(middle, abs=0.1)
        parts = [answer for answer in visitor.answers if answer.url.endswith(f"/preview/{name}")]
        assert {answer.status for answer in parts} == {206}
        assert all(answer.headers["content-range"].startswith("bytes ") for answer in parts)
