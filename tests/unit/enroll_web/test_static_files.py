"""What is the same for everybody is sent packed, again only when it has changed; nothing else is there."""

from __future__ import annotations

import gzip
import re

import pytest

from enroll_web.static_files import FOLDER
from tests.unit.enroll_web.conftest import Browser, Site
from tests.unit.enroll_web.filed import Files

NAMES = sorted(path.name for path in FOLDER.iterdir())

FIRST_PAGE_BYTES = 100_000

PACKED = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("accepted", ["gzip, br", "", "identity", "gzip;q=0", "*"])
def test_every_file_is_what_it_is(site: Site, name: str, accepted: str) -> None:
    """Byte for byte, packed only for those who say that they can unpack it; caches are told so."""
    answer = site.browser().get(f"/static/{name}", headers={"Accept-Encoding": accepted})
    packed = accepted in {"gzip, br", "*"}
    assert answer.content_encoding == ("gzip" if packed else None)
    assert (gzip.decompress(answer.data) if packed else answer.data) == (FOLDER / name).read_bytes()
    assert set(answer.vary) == {"Accept-Encoding"}
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Type"].endswith("; charset=utf-8")


@pytest.mark.parametrize("form", [PACKED, {}])
def test_it_is_not_sent_twice(site: Site, form: dict[str, str]) -> None:
    """304 for the form that a browser has, the file for the other one (RFC 9110, 8.8.3.3)."""
    browser = site.browser()
    tag = browser.get("/static/site.css", headers=form).headers["ETag"]
    other = {} if form else PACKED
    again = {"If-None-Match": tag}
    assert browser.get("/static/site.css", headers=form | again).status_code == 304
    assert browser.get("/static/site.css", headers=other | again).status_code == 200


@pytest.mark.parametrize("name", ["", "no-such.css", "../app.py", "%2e%2e/app.py", "sub/site.css", ".css"])
def test_nothing_else_is_there(site: Site, name: str) -> None:
    """404 for every other name, whatever the folder is in."""
    assert site.browser().get(f"/static/{name}").status_code == 404


def test_the_first_page_of_a_folder_is_small(site: Site, alice: Browser) -> None:
    """A hundred entries with names of usual length, and everything that the page loads."""
    files = Files(site, alice)
    for number in range(101):
        files.put(f"Letters of the year 2026, {number}.odt")
    page = files.get("/files/", headers=PACKED)
    assert "1 to 100 of 101" in page.text
    loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    assert len(loaded) == 5
    sizes = [len(alice.get(path, headers=PACKED).data) for path in loaded]
    assert len(page.data) + sum(sizes) < FIRST_PAGE_BYTES
    assert page.content_encoding is None
