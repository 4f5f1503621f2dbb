"""Names that Windows cannot show: marked where they are listed, told of when they were just given."""

from __future__ import annotations

from html import unescape

import pytest
from werkzeug.test import TestResponse

from enroll_web.pages.files_upload import FOLDER_FIELD
from tests.unit.enroll_web.conftest import Browser, Site
from tests.unit.enroll_web.filed import Files, address
from tests.unit.enroll_web.test_uploads import short_parts

__all__ = ["short_parts"]

MARK = "not on Windows"
EXPLAINED = "Windows cannot show a name with one of"
UNFIT = ["a:b", "what?", "a*b", "a|b", "<a>", 'a"b', "a\\b", "end.", "nul", "Com1.txt"]
FIT = ["a.b", ".hidden", "Zürich 2030 (2).jpg", "console", "a'b", "100%"]


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, empty."""
    return Files(site, alice)


def told(page: TestResponse) -> str:
    """What a page says of what was just done."""
    return unescape(page.text.partition('<p class="notice" role="status">')[2].partition("</p>")[0])


# ── where they are listed
@pytest.mark.parametrize("place", ["/files/", "/search/?name=e"])
def test_they_are_marked(files: Files, place: str) -> None:
    """Files and folders, in words; no other name is; what is meant is explained once."""
    for name in ("ende", "e:", "e"):
        files.put(name)
    files.folder("e.")
    page = files.get(place).text
    rows = [row for row in page.split("<tr>") if '<th scope="row">' in row]
    assert [MARK in row for row in rows] == ["<bdi>e:<" in row or "<bdi>e.<" in row for row in rows]
    assert page.count(MARK) == page.count('title="Windows cannot show this name."') == 2
    assert page.count(EXPLAINED) == 1


@pytest.mark.parametrize("name", UNFIT + FIT)
def test_which_they_are(files: Files, name: str) -> None:
    """Signs that Windows does not take, an end that it leaves out, devices; of others nothing is said."""
    files.put(name)
    pages = (files.get("/files/").text, files.get(address("files", name)).text)
    assert [MARK in pages[0], EXPLAINED in pages[0], "Windows cannot show this name." in pages[1]] == [
        name in UNFIT
    ] * 3


# ── when they were just given
def test_a_new_folder(files: Files) -> None:
    """It is there, and so is the hint."""
    for name, more in (("a", ""), ("b?", " Windows cannot show the name “b?”.")):
        page = files.press_ids("/new-folder/", [], name=name)
        assert told(page) == f"“{name}” is there.{more}"


def test_another_name(files: Files) -> None:
    """The new one counts, not the old one."""
    files.put("a:")
    page = files.press_ids("/rename/a:", [], name="a.")
    assert told(page) == "“a:” is called “a.” now. Windows cannot show the name “a.”."
    page = files.press_ids("/rename/a.", [], name="a")
    assert told(page) == "“a.” is called “a” now."


def test_a_form_with_files(files: Files) -> None:
    """One is named, several are counted: files, and the folders that came with them."""
    page = files.upload("/upload/", [("a", b""), ("b|c", b"")])
    assert told(page) == "2 files are stored. Windows cannot show the name “b|c”."
    page = files.upload("/upload/", [("x:/aux/a", b""), ("x:/b", b"")], field=FOLDER_FIELD)
    assert told(page) == "2 files are stored. Windows cannot show 2 of the names."


def test_a_form_that_was_refused_in_part(files: Files) -> None:
    """The names of those that are there count, and no others."""
    page = files.upload("/upload/", [("a:", b""), ("b:" * 200, b"")])
    assert "1 file is stored. Windows cannot show the name “a:”." in page.text
