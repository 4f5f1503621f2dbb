"""What a file was, in the browser: listed, looked at, given back, removed for good, and for whom."""

from __future__ import annotations

import html
import re

import pytest
from werkzeug.test import TestResponse

from davserver.model import NodeId
from davserver.vault.paths import VaultPath
from tests.unit.enroll_web.conftest import Browser, Site, form_token, made_site
from tests.unit.enroll_web.filed import OWN, Files, address
from tests.unit.enroll_web.test_files import HOSTILE

PAGES = ["version", "version-download", "version-preview"]
"""First words of addresses that show one, with its id and its file behind them."""

FORMS = ["version-restore", "version-purge"]
"""Those that do something with one."""

NO_IDS = ["zz", "A" * 32, "0" * 31 + "é", "f" * 31 + "0"]

at = VaultPath.parse


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, with one that was overwritten three times, an hour apart."""
    files = Files(site, alice)
    overwrite(files, "docs/letter.txt", b"first", b"second <b>", b"third", b"by mistake")
    return files


def overwrite(files: Files, path: str, *contents: bytes) -> None:
    """Store them, one after the other; a minute before each."""
    for content in contents:
        files.site.clock.advance(minutes=1)
        files.put(path, content)


def ids_of(files: Files, path: str = "docs/letter.txt") -> list[NodeId]:
    """Its versions, the latest first."""
    return [one.id for one in files.vault.versions(at(path))]


def contents_of(files: Files, path: str = "docs/letter.txt") -> list[bytes]:
    """What the file is, and what it was, the latest first."""
    found = [files.content(path) or b""]
    for one in files.vault.versions(at(path)):
        with files.vault.read_version(one) as download:
            found.append(b"".join(map(bytes, download.blocks())))
    return found


def send(
    files: Files, word: str, version: NodeId | str | None = None, path: str = "docs/letter.txt", **fields: str
) -> TestResponse:
    """Press a button of a version, or of all."""
    where = path if version is None else f"{version if isinstance(version, str) else version.hex()}/{path}"
    data = {"csrf": form_token(files.get("/files/").text), **fields}
    return files.browser.send(address(word, where), data, headers=OWN)


def of_one(files: Files, word: str, version: NodeId | str, path: str = "docs/letter.txt") -> TestResponse:
    """A page about one of them."""
    text = version if isinstance(version, str) else version.hex()
    return files.get(address(word, f"{text}/{path}"))


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_a_file_was_is_listed(files: Files) -> None:
    """The latest first: until when, how large, since when; and a link leads there from the file."""
    files.site.clock.now = files.site.clock.now.replace(
        year=2026, month=5, day=3, hour=10, minute=0, second=7
    )
    overwrite(files, "new", b"x" * 2048, b"y", b"z")
    assert 'href="/versions/new">Previous versions</a>' in files.get("/files/new").text
    page = files.get("/versions/new").text
    assert re.findall(r"<h2>(.*?)</h2>", page) == [
        "Until 2026-05-03 10:03:07 UTC",
        "Until 2026-05-03 10:02:07 UTC",
    ]
    assert re.findall(r'<p class="hint">(\d[^<]*)</p>', page) == [
        "1 B, changed 2026-05-03 10:02 UTC",
        "2 KiB, changed 2026-05-03 10:01 UTC",
    ]
    assert "is kept for 30 days, the latest 50;" in page
    assert "what the file is now becomes a version" in page


def test_one_that_was_never_overwritten(files: Files) -> None:
    """It says that there is none."""
    files.put("new")
    page = files.get("/versions/new")
    assert "There is none" in page.text
    assert "for good" not in page.text


def test_what_has_none(files: Files) -> None:
    """A folder, and what is not there."""
    assert files.get("/versions/docs").status_code == 409
    assert files.get("/versions/none").status_code == 404
    assert files.get("/versions/../x", follow=False).status_code in {308, 404, 422}


def test_they_follow_their_file(files: Files) -> None:
    """Another name or another folder costs none of them; the address of before leads nowhere."""
    before = ids_of(files)
    files.vault.move(at("docs/letter.txt"), at("b"), overwrite=False)
    assert ids_of(files, "b") == before
    assert of_one(files, "version-download", before[0], "b").data == b"third"
    assert of_one(files, "version-download", before[0]).status_code == 404


def test_where_nothing_is_kept_it_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And the page of the file does not lead there."""
    for site in made_site(tmp_path_factory.mktemp("final"), history={"keep_days": 0}):
        files = Files(site, site.first())
        overwrite(files, "a", b"1", b"2")
        page = files.get("/versions/a").text
        assert "keeps nothing that was overwritten" in page
        assert "There is none" in page
        assert "/versions/a" not in files.get("/files/a").text


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_page(files: Files, name: str) -> None:
    """Whatever a file is called: each page shows it as it is, and its addresses lead to it."""
    path = f"{name}/{name}"
    overwrite(files, path, b"old", b"new")
    (version,) = ids_of(files, path)
    pages = [files.get(address("versions", path)), of_one(files, "version", version, path)]
    pages += [send(files, "version-purge", version, path), send(files, "version-restore", version, path)]
    for page in pages:
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "<bdi>49</bdi>" not in page.text
    assert f"“{name}” is again what it was" in html.unescape(pages[-1].text)
    assert contents_of(files, path) == [b"old", b"new"]
    assert of_one(files, "version-download", ids_of(files, path)[0], path).data == b"new"


def test_one_is_looked_at_and_downloaded(files: Files) -> None:
    """As the file itself: escaped, or under the same rules alone; it stays a version."""
    (_, version, _) = ids_of(files)
    page = of_one(files, "version", version)
    assert "second &lt;b&gt;" in page.text
    assert "As it was until" in page.text
    shown = of_one(files, "version-preview", version)
    assert (shown.data, shown.headers["Content-Type"]) == (b"second <b>", "text/plain; charset=utf-8")
    assert shown.headers["Content-Security-Policy"].startswith("sandbox;")
    stored = files.get(f"/version-download/{version.hex()}/docs/letter.txt", headers={"Range": "bytes=0-2"})
    assert (stored.status_code, stored.data) == (206, b"sec")
    assert stored.headers["Content-Disposition"] == "attachment; filename*=UTF-8''letter.txt"
    assert contents_of(files) == [b"by mistake", b"third", b"second <b>", b"first"]


@pytest.mark.parametrize(("name", "allowed"), [("a.mp4", True), ("a.txt", False)])
def test_a_player_may_load_what_it_plays(files: Files, name: str, *, allowed: bool) -> None:
    """And a page without one may not."""
    overwrite(files, name, b"1", b"2")
    page = of_one(files, "version", ids_of(files, name)[0], name)
    assert ("media-src 'self'" in page.headers["Content-Security-Policy"]) == allowed


def test_what_is_never_shown_is_not_shown_here(files: Files) -> None:
    """T36: the endings are the same, and those of the name that it had then."""
    overwrite(files, "a.exe", b"1", b"2")
    files.vault.move(at("a.exe"), at("a.txt"), overwrite=False)
    (version,) = ids_of(files, "a.txt")
    assert of_one(files, "version-preview", version, "a.txt").status_code == 404
    assert "download it" in of_one(files, "version", version, "a.txt").text


# ── back ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_content_is_given_back(files: Files) -> None:
    """And what the file was until now is a version itself: it can be had back in the same way."""
    first = ids_of(files)[-1]
    files.site.clock.advance(minutes=1)
    page = send(files, "version-restore", first)
    assert "“letter.txt” is again what it was until" in page.text
    assert page.request.path == "/versions/docs/letter.txt"
    assert contents_of(files) == [b"first", b"by mistake", b"third", b"second <b>"]
    files.site.clock.advance(minutes=1)
    send(files, "version-restore", ids_of(files)[0])
    assert contents_of(files) == [b"by mistake", b"first", b"third", b"second <b>"]


def test_a_file_that_a_program_has_locked(files: Files) -> None:
    """It stays as it is, and the page says why."""
    files.lock("docs/letter.txt")
    page = send(files, "version-restore", ids_of(files)[0])
    assert page.status_code == 423
    assert 'role="alert"' in page.text
    assert "locked by a program" in page.text
    assert page.text.count("<h2>Until") == 3
    assert contents_of(files)[0] == b"by mistake"
    files.site.clock.advance(minutes=11)
    assert send(files, "version-restore", ids_of(files)[0]).status_code == 200


def test_no_room(files: Files) -> None:
    """Where the quota was made smaller meanwhile: 507 and the reason; nothing is lost."""
    overwrite(files, "large", bytes(5000), b"small")
    files.site.services.accounts.set_quota("alice", 1000)
    page = send(files, "version-restore", ids_of(files, "large")[0], "large")
    assert page.status_code == 507
    assert "no room" in page.text
    assert contents_of(files, "large") == [b"small", bytes(5000)]


# ── for good ────────────────────────────────────────────────────────────────────────────────────────────────
def test_removing_one_is_asked_first(files: Files) -> None:
    """Then that one is gone, and the page says how much room that gives; the file stays."""
    (_, version, _) = ids_of(files)
    page = send(files, "version-purge", version)
    assert "Delete for good?" in page.text
    assert "That frees 10 B." in page.text
    assert page.text.count("What it was until") == 1
    assert len(ids_of(files)) == 3
    page = send(files, "version-purge", version, sure="1")
    assert "1 version is gone for good; that frees 10 B." in page.text
    assert contents_of(files) == [b"by mistake", b"third", b"first"]


def test_removing_all_is_asked_first(files: Files) -> None:
    """Of this file, and of no other one."""
    overwrite(files, "b", b"1", b"2")
    page = send(files, "versions-purge")
    assert "That frees 20 B." in page.text
    assert page.text.count("What it was until") == 3
    assert len(ids_of(files)) == 3
    page = send(files, "versions-purge", sure="1")
    assert "3 versions are gone for good; that frees 20 B." in page.text
    assert contents_of(files) == [b"by mistake"]
    assert contents_of(files, "b") == [b"2", b"1"]
    assert files.vault.usage().kept == 1


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("text", NO_IDS)
def test_ids_that_are_none(files: Files, text: str) -> None:
    """404, wherever they stand."""
    for word in PAGES:
        assert of_one(files, word, text).status_code == 404
    for word in FORMS:
        assert send(files, word, text, sure="1").status_code == 404
    assert len(ids_of(files)) == 3


def test_what_is_gone(files: Files) -> None:
    """Removed by somebody else meanwhile: it says so."""
    gone = ids_of(files)[0]
    files.vault.purge_version(at("docs/letter.txt"), gone)
    for page in [of_one(files, word, gone) for word in PAGES] + [send(files, word, gone) for word in FORMS]:
        assert page.status_code == 404
        assert "There is no such version of this file (any more)." in page.text


@pytest.mark.parametrize("kind", ["the file itself", "a version of another file", "an entry of the trash"])
def test_only_what_the_file_was_is_a_version_of_it(files: Files, kind: str) -> None:
    """No other id shows, brings back or removes anything through a file."""
    overwrite(files, "b", b"1", b"2")
    files.put("c")
    entry_id = files.vault.delete(at("c"))
    assert entry_id is not None
    ids = {
        "the file itself": files.id_of("docs/letter.txt"),
        "a version of another file": ids_of(files, "b")[0],
        "an entry of the trash": entry_id,
    }
    for word in PAGES:
        assert of_one(files, word, ids[kind]).status_code == 404
    for word in FORMS:
        assert send(files, word, ids[kind], sure="1").status_code == 404
    assert contents_of(files) == [b"by mistake", b"third", b"second <b>", b"first"]
    assert contents_of(files, "b") == [b"2", b"1"]
    assert [one.id for one in files.vault.trash()] == [entry_id]


def test_somebody_elses_file(files: Files) -> None:
    """The same path and id lead nowhere in another account, also where that has such a file."""
    bob = Files(files.site, files.site.invited("bob"))
    version = ids_of(files)[0]
    for _ in range(2):
        for word in PAGES:
            assert of_one(bob, word, version).status_code == 404
        for word in FORMS:
            assert send(bob, word, version, sure="1").status_code == 404
        bob.press("/new-folder/", name="docs")
        bob.upload("/upload/docs", [("letter.txt", b"bob's")])
    assert bob.shown("/files/docs") == ["letter (2).txt", "letter.txt"]
    assert len(ids_of(files)) == 3


def test_nobody_sees_them_without_both_factors(files: Files) -> None:
    """Each page and form leads to the sign-in, as those about files do; a code of long ago is enough."""
    version = ids_of(files)[0].hex()
    stranger = files.site.browser()
    for where in ("versions", *(f"{word}/{version}" for word in PAGES)):
        response = stranger.get(f"/{where}/docs/letter.txt", follow=False)
        assert (response.status_code, response.headers["Location"].split("?")[0]) == (302, "/sign-in")
    first = files.site.browser()
    first.sign_in()
    for where in ("versions", *(f"{word}/{version}" for word in PAGES)):
        response = first.get(f"/{where}/docs/letter.txt", follow=False)
        assert (response.status_code, response.headers.get("Location")) == (302, "/second-factor"), where
    for where in ("versions-purge", *(f"{word}/{version}" for word in FORMS)):
        token = form_token(first.get("/second-factor").text)
        response = first.send(f"/{where}/docs/letter.txt", {"csrf": token, "sure": "1"}, follow=False)
        assert (response.status_code, response.headers["Location"]) == (302, "/second-factor")
    assert contents_of(files)[0] == b"by mistake"
    files.site.clock.advance(minutes=10)
    assert "is again what it was" in send(files, "version-restore", version).text


@pytest.mark.parametrize("word", [*FORMS, "versions-purge"])
def test_no_form_of_anybody_else_does_anything(files: Files, word: str) -> None:
    """T35: no token, or another browser's, or another site's page; and no link does it."""
    middle = "" if word == "versions-purge" else f"{ids_of(files)[0].hex()}/"
    where = f"/{word}/{middle}docs/letter.txt"
    other = form_token(files.site.browser().get("/sign-in").text)
    own = form_token(files.get("/files/").text)
    for token, headers in (("", OWN), (other, OWN), (own, {"Sec-Fetch-Site": "cross-site"})):
        assert files.browser.send(where, {"csrf": token, "sure": "1"}, headers=headers).status_code == 403
    assert files.get(where).status_code == 405
    assert contents_of(files) == [b"by mistake", b"third", b"second <b>", b"first"]


def test_german(files: Files) -> None:
    """Every text of these pages is looked up in the language of the browser."""
    page = files.browser.client.get(
        "/versions/docs/letter.txt", base_url=files.browser.origin, headers={"Accept-Language": "de"}
    ).text
    assert "Frühere Versionen" in page
    assert "Wiederherstellen" in page
