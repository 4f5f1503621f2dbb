"""A folder in the browser: sorted, a page at a time, searched, with locks and space; a file with its text."""

from __future__ import annotations

import html
import random

import markupsafe
import pytest

from davserver.vault import browsing
from davserver.vault.paths import VaultPath
from enroll_web.pages import files as pages
from tests.unit.enroll_web.conftest import Browser, Site
from tests.unit.enroll_web.filed import Files, address

HOSTILE = [
    '"><script>alert(1)<script>',
    '"><img src=x onerror=alert(1)>',
    "'onerror='alert(1)",
    "&lt;b&gt;",
    "{{ 7 * 7 }}",
    "javascript:alert(1)",
    "..%2f..%2fetc",
    "%2e%2e",
    "a b+c&d=e;f#g?h",
    "\u202egnp.exe",
    "ü" * 127,
    "x" * 255,
    " leading",
    "...",
    "\\..\\evil",
    "🙂",
]
"""Names that may be stored, and that a page must not stumble over."""


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, empty."""
    return Files(site, alice)


def test_folders_first_and_names_as_people_sort_them(files: Files) -> None:
    """Numbers count by value, case and accents do not; whatever order they were made in."""
    sorted_names = ["Alpha", "b2", "b10", "Überblick"], ["1.txt", "a.txt", "B.txt", "c 9.txt", "c 10.txt"]
    for name in random.Random(1).sample(sorted_names[0], 4):
        files.folder(name)
    for name in random.Random(2).sample(sorted_names[1], 5):
        files.put(name)
    assert files.shown("/files/") == [*sorted_names[0], *sorted_names[1]]
    assert files.shown("/files/?down=1") == [*reversed(sorted_names[0]), *reversed(sorted_names[1])]


def test_by_size_and_by_time(files: Files) -> None:
    """Both ways; what is equal is sorted by name; folders stay first."""
    for name, size, time in (("c", 5, 3), ("a", 50, 1), ("b", 5, 2), ("old", 0, -5)):
        files.put(name, bytes(size), modified_ns=time * 10**9)
    files.folder("z")
    assert files.shown("/files/?sort=size") == ["z", "old", "b", "c", "a"]
    assert files.shown("/files/?sort=size&down=1") == ["z", "a", "c", "b", "old"]
    assert files.shown("/files/?sort=time") == ["z", "old", "a", "b", "c"]
    assert 'aria-sort="ascending"' in files.get("/files/?sort=time").text
    assert files.shown("/files/?sort=nonsense&page=x") == ["z", "a", "b", "c", "old"]


def test_pages_hold_everything_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """All pages together are the folder; a page that is none says so; the links lead on and back."""
    monkeypatch.setattr(pages, "ENTRIES_A_PAGE", 3)
    for number in range(8):
        files.put(f"{number}")
    seen = [files.shown(f"/files/?page={number}") for number in (1, 2, 3)]
    assert seen == [["0", "1", "2"], ["3", "4", "5"], ["6", "7"]]
    assert "page=3" in files.get("/files/?page=2").text
    assert "7 to 8 of 8." in files.get("/files/?page=3").text
    assert "There is no such page" in files.get("/files/?page=4").text
    assert files.shown("/files/?page=0") == seen[0]
    assert files.shown("/files/?page=99999999") == seen[0]


@pytest.mark.parametrize("looked_before", [False, True])
def test_a_folder_in_which_a_name_was_only_locked(files: Files, *, looked_before: bool) -> None:
    """When the lock is over it is empty, and the page says that, not that there is no such page."""
    files.folder("new")
    files.lock("new/paper.docx")
    if looked_before:
        assert files.shown("/files/new") == ["paper.docx"]
    files.site.clock.advance(seconds=601)
    page = files.get("/files/new").text
    assert "Nothing is in here yet." in page
    assert "There is no such page" not in page


def test_changes_are_seen_at_once(files: Files) -> None:
    """An order that was worked out before is not believed after anything came, went or changed."""
    files.put("a", b"1")
    files.put("b", b"22")
    assert files.shown("/files/?sort=size") == ["a", "b"]
    files.put("a", b"333")
    assert files.shown("/files/?sort=size") == ["b", "a"]
    files.vault.move(VaultPath.parse("a"), VaultPath.parse("0"), overwrite=False)
    assert files.shown("/files/") == ["0", "b"]
    files.vault.delete(VaultPath.parse("b"))
    assert files.shown("/files/") == ["0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_page(files: Files, name: str) -> None:
    """Whatever a folder or file is called, it is shown as it is and its own address leads to it."""
    files.put(f"{name}/{name}", b"text")
    assert files.shown("/files/") == [name]
    assert files.shown(address("files", name)) == [name]
    page = files.get(address("files", f"{name}/{name}"))
    assert page.status_code == 200
    assert f"<h1><bdi>{markupsafe.escape(name)}</bdi></h1>" in page.text
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text
    assert "<bdi>49</bdi>" not in page.text
    assert files.get(address("download", f"{name}/{name}")).data == b"text"
    assert files.get(address("rename", f"{name}/{name}")).status_code == 200


@pytest.mark.parametrize("path", ["../etc", "a/../b", "./a", "a%00b", "a%0Ab", "a//b", "x" * 256, "a/" * 300])
def test_no_address_leads_out(files: Files, path: str) -> None:
    """What cannot be a path is refused, wherever it stands."""
    for word in ("files", "download", "preview", "rename", "new-folder", "search"):
        assert files.get(f"/{word}/{path}", follow=False).status_code in {308, 404, 422}, word


def test_what_is_not_there(files: Files) -> None:
    """404, and no name of it on the page."""
    page = files.get("/files/secret-name")
    assert page.status_code == 404
    assert "secret-name" not in page.text.replace('value="/files/secret-name"', "")


def test_search_finds_below(files: Files) -> None:
    """Here and below, neither case nor accents count; the folder is said and everything else is left out."""
    for path in ("Überblick.txt", "a/b/UEBER überall.md", "a/other", "uber"):
        files.put(path)
    assert files.shown("/search/?name=uber") == ["uber", "Überblick.txt", "UEBER überall.md"]
    assert "in a/b" in files.get("/search/?name=uber").text
    assert files.shown("/search/a?name=uber") == ["UEBER überall.md"]
    assert "Nothing has “<b>”" in html.unescape(files.get("/search/?name=%3Cb%3E").text)
    assert files.shown("/search/?name=") == []


def test_search_is_bounded_and_says_so(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops after so many entries, or so many finds."""
    for number in range(4):
        files.put(f"a{number}/file{number}")
    assert "Only" not in files.get("/search/?name=file").text
    monkeypatch.setattr(browsing, "MAX_LOOKED", 5)
    page = files.get("/search/?name=file").text
    assert "Only 5 entries were looked at" in page
    monkeypatch.setattr(browsing, "MAX_LOOKED", 1000)
    monkeypatch.setattr(browsing, "MAX_FOUND", 2)
    assert len(files.shown("/search/?name=file")) == 2
    assert "there may be more" in files.get("/search/?name=file").text


def test_locks_are_shown(files: Files) -> None:
    """Who holds a lock and until when: in the list, on the file, and of a folder; markup in it is text."""
    files.put("open.docx")
    files.put("folder/inside")
    files.lock("open.docx", "<D:owner xmlns:D='DAV:'>LibreOffice &lt;i&gt; of\nBob</D:owner>")
    files.lock("folder")
    page = files.get("/files/").text
    assert html.escape("LibreOffice <i> of Bob") in page
    assert page.count("locked") == 2
    assert "“LibreOffice" in files.get("/files/open.docx").text
    assert "This folder is in use." in files.get("/files/folder").text
    files.site.clock.advance(minutes=11)
    assert "locked" not in files.get("/files/").text


def test_space_is_shown(files: Files) -> None:
    """With a quota there is a bar; without, only what is stored."""
    files.put("a", bytes(2048))
    page = files.get("/files/").text
    assert "2 KiB stored." in page
    assert "<rect" not in page
    files.site.services.accounts.set_quota("alice", 8192)
    page = files.get("/files/").text
    assert "2 KiB of 8 KiB stored." in page
    assert '<rect class="of-files" width="250"' in page


def test_text_is_shown_and_nothing_of_it_is_markup(files: Files) -> None:
    """The beginning of a text, escaped; HTML and SVG are text as any other; a long one is cut and says so."""
    files.put("a.html", b"<script>alert(1)</script>\xff")
    page = files.get("/files/a.html").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;�" in page
    files.put("wide.txt", "\ufeffweit".encode("utf-16-le"))
    assert "weit</pre>" in files.get("/files/wide.txt").text
    files.put("long.log", b"x" * 70_000)
    long = files.get("/files/long.log")
    assert "Show all of it as plain text" in long.text
    assert len(long.data) < 100_000
    files.put("data.bin", b"<script>")
    assert "script&gt;" not in files.get("/files/data.bin").text
    files.put("empty.txt", b"")
    assert "This file is empty" in files.get("/files/empty.txt").text


@pytest.mark.parametrize(
    ("name", "element", "policy"),
    [
        ("a.PNG", '<img src="/preview/a.PNG"', ""),
        ("a.mp3", "<audio controls", "media-src 'self'"),
        ("a.mp4", "<video controls", "media-src 'self'"),
        ("a.exe", "download it", ""),
    ],
)
def test_how_a_file_is_shown(files: Files, name: str, element: str, policy: str) -> None:
    """By its ending; the page allows itself what it needs and nothing else."""
    files.put(name)
    page = files.get(f"/files/{name}")
    assert element in page.text
    said = page.headers["Content-Security-Policy"]
    assert said.startswith("default-src 'none'")
    assert ("media-src" in said) == bool(policy)
    assert policy in said
    assert "frame-src" not in said


def test_nobody_else_sees_anything(files: Files) -> None:
    """Without both factors each of these pages leads to the sign-in; another account has its own files."""
    files.put("mine")
    stranger = files.site.browser()
    for word in ("files", "search", "download", "preview", "new-folder", "rename"):
        response = stranger.get(f"/{word}/mine", follow=False)
        assert (response.status_code, response.headers["Location"].split("?")[0]) == (302, "/sign-in")
    bob = Files(files.site, files.site.invited("bob"))
    assert bob.shown("/files/") == []
    assert bob.get("/download/mine").status_code == 404
