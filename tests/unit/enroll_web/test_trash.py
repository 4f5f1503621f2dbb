"""The trash in the browser: what is in it, what comes back and where to, what goes for good, and for whom."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Sequence
from datetime import timedelta
from itertools import chain

import pytest
from werkzeug.test import TestResponse

from davserver.accounts.audit_trail import Search
from davserver.audit import AuditEvent
from davserver.model import NodeId
from davserver.vault.paths import VaultPath
from enroll_web import filing
from enroll_web.pages import trash as pages
from tests.unit.enroll_web.conftest import Browser, Site, form_token, made_site
from tests.unit.enroll_web.filed import OWN, Files, address
from tests.unit.enroll_web.test_files import HOSTILE

FORMS = ["/trash/restore", "/trash/purge", "/trash/empty"]
"""Addresses that change something."""

PAGES = ["/trash", "/trash/entry/{}", "/trash/download/{}", "/trash/preview/{}", "/trash/empty"]
"""Those that show something; `{}` is an entry."""

NOBODYS = "f" * 31 + "0"
"""An id that nothing has."""

NO_IDS = ["", "zz", "A" * 32, "../../etc", "0" * 31 + "é", "0" * 33]

at = VaultPath.parse


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, with a few."""
    files = Files(site, alice)
    for path in ("a", "b", "docs/letter.txt", "docs/old/x"):
        files.put(path, path.encode())
    return files


def deleted(files: Files, path: str, *, seconds: float = 1) -> NodeId:
    """Delete something as a program does; its id in the trash."""
    entry_id = files.vault.delete(at(path))
    assert entry_id is not None
    files.site.clock.advance(seconds=seconds)
    return entry_id


def send(files: Files, where: str, ids: Sequence[NodeId | str] = (), **fields: str) -> TestResponse:
    """Send a form of the trash with these entries ticked."""
    texts = [one if isinstance(one, str) else one.hex() for one in ids]
    data = {"csrf": form_token(files.get("/files/").text), "id": texts, **fields}
    return files.browser.client.post(
        where, data=data, base_url=files.browser.origin, headers=OWN, follow_redirects=True
    )


def said(page: TestResponse) -> str:
    """What a page says to people."""
    return html.unescape(page.text)


# ── what is in it ───────────────────────────────────────────────────────────────────────────────────────────
def test_what_was_deleted_is_listed(files: Files) -> None:
    """The latest first: name, where it was, size, when that was and until when it is kept."""
    files.site.clock.now = files.site.clock.now.replace(year=2026, month=5, day=3, hour=10, minute=15)
    deleted(files, "docs/old/x", seconds=3600)
    deleted(files, "docs")
    assert files.shown("/trash") == ["docs", "x"]
    rows = [
        re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", row)) for row in files.get("/trash").text.split("<tr>")
    ]
    assert rows[2].split() == ["docs", "from", "Files", "15", "B", "2026-05-03", "11:15", "2026-06-02"]
    assert rows[3].split()[:5] == ["x", "from", "docs/old", "10", "B"]
    assert rows[3].split()[5:8] == ["2026-05-03", "10:15", "2026-06-02"]


def test_pages_hold_everything_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred at a time: all pages together are the trash, in the order of time, also within a second."""
    assert pages.ENTRIES_A_PAGE == 100
    monkeypatch.setattr(pages, "ENTRIES_A_PAGE", 3)
    for number in range(7):
        files.put(f"n{number}")
        deleted(files, f"n{number}", seconds=number % 3)
    seen, link = list[list[str]](), "/trash"
    while link:
        page = files.get(link)
        seen.append(files.shown(link))
        further = re.search(r'rel="next" href="([^"]+)"', page.text)
        assert ("Back to the latest" in page.text) == (link != "/trash")
        link = html.unescape(further[1]) if further else ""
    assert [len(one) for one in seen] == [3, 3, 1]
    assert sorted(chain.from_iterable(seen)) == [f"n{number}" for number in range(7)]
    assert seen[0][0] == "n6"


def test_within_a_second_the_latest_comes_first(files: Files) -> None:
    """Things of the same second are kept in no order; the page puts them right."""
    for number in range(9):
        files.put(f"n{number}")
        files.vault.delete(at(f"n{number}"))
        files.site.clock.now += timedelta(milliseconds=10)
    assert files.shown("/trash") == [f"n{number}" for number in reversed(range(9))]


@pytest.mark.parametrize("after", ["", "x", "1-", "1-zz", "-1-" + NOBODYS, "9" * 30 + "-" + NOBODYS])
def test_a_position_that_is_none_begins_with_the_latest(files: Files, after: str) -> None:
    """Whatever an address says behind its question mark."""
    deleted(files, "a")
    assert files.shown(f"/trash?after={after}") == ["a"]


def test_behind_the_last_one(files: Files) -> None:
    """A page whose entries are gone leads back to the first."""
    page = files.get(f"/trash?after=1-{NOBODYS}")
    assert "Nothing was deleted before that." in page.text
    assert 'href="/trash">Back to the latest' in page.text
    assert "The trash is empty." in files.get("/trash").text


def test_it_says_how_long_and_how_much(files: Files) -> None:
    """Days, bytes, a share of the quota where there is one, and what gives way."""
    files.put("large", bytes(3000))
    deleted(files, "large")
    page = files.get("/trash").text
    assert "is kept for 30 days; it takes 2.9 KiB now, and the oldest gives way when room is needed." in page
    files.site.services.accounts.set_quota("alice", 8192)
    assert "it takes 2.9 KiB of at most 4 KiB now" in files.get("/trash").text
    privacy = " ".join(files.get("/privacy").text.split())
    assert "is kept for 30 days, unless you remove it" in privacy
    assert "previous versions count as space that you use" in privacy


def test_until_when_it_is_kept_if_it_is_too_much(files: Files) -> None:
    """A day at most, as the collection does it; the page and the one about privacy say so."""
    files.site.clock.now = files.site.clock.now.replace(year=2026, month=5, day=3, hour=10)
    files.put("large", bytes(3000))
    entry_id = deleted(files, "large")
    for quota, until in (
        (None, "2026-06-02"),
        (8192, "2026-06-02"),
        (4096, "2026-05-04"),
        (2000, "2026-05-04"),
    ):
        files.site.services.accounts.set_quota("alice", quota)
        assert f">{until}</time>" in files.get("/trash").text
        assert f">{until}</time>" in files.get(f"/trash/entry/{entry_id.hex()}").text
    files.site.clock.advance(days=1)
    page = files.get("/trash").text
    assert "any time now" in page
    assert "it takes 2.9 KiB of at most 1000 B now. If it is more, the oldest goes after a day" in page
    assert "if they are more, the oldest goes after a day" in " ".join(files.get("/privacy").text.split())


def test_what_was_altered_is_left_out(files: Files) -> None:
    """The others are shown and go; the page says how many are left out, and it is recorded."""
    first, *_ = (deleted(files, path) for path in ("a", "b", "docs"))
    with files.site.services.database.write() as tx:
        tx._connection.exec_driver_sql("UPDATE kept SET kept_at = 7 WHERE node_id = ?", (first,))  # noqa: SLF001
        tx.commit()
    assert files.shown("/trash") == ["docs", "b"]
    page = files.get("/trash").text
    assert "1 entry is left out: it was altered on the server" in page
    wanted = Search(event=AuditEvent.INTEGRITY_FAILED)
    assert len(files.site.services.audit_trail.latest(wanted, limit=9, by="test")) == 2, "once a page"
    assert "2 entries are gone for good" in said(send(files, "/trash/empty"))
    page = files.get("/trash").text
    assert "1 entry is left out" in page
    assert "The trash is empty" not in page


def test_where_nothing_is_kept_it_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    """And no page leads there."""
    for site in made_site(tmp_path_factory.mktemp("final"), history={"keep_days": 0}):
        files = Files(site, site.first())
        files.put("a")
        assert "keeps nothing that was deleted" in files.get("/trash").text
        assert "What you delete is wiped" in files.get("/privacy").text
        assert 'button quiet" href="/trash"' not in files.get("/files/").text
        assert "Previous versions" not in files.get("/files/a").text.replace("Trash and previous", "")


def test_what_is_due_goes_any_time(files: Files) -> None:
    """Until garbage collection comes by it can still be had."""
    entry_id = deleted(files, "a")
    files.site.clock.advance(days=30)
    files.browser.sign_in()
    files.browser.prove()
    assert "any time now" in files.get("/trash").text
    assert "any time now" in files.get(f"/trash/entry/{entry_id.hex()}").text
    send(files, "/trash/restore", [entry_id])
    assert files.content("a") == b"a"


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_page(files: Files, name: str) -> None:
    """Whatever something was called, it is shown as it is, on every page, and comes back under its name."""
    files.put(f"{name}/{name}", b"text")
    entry_id = deleted(files, f"{name}/{name}")
    files.vault.delete(at(name))
    assert sorted(files.shown("/trash")) == [name, name]
    one = files.get(f"/trash/entry/{entry_id.hex()}")
    asked = send(files, "/trash/purge", [entry_id])
    back = send(files, "/trash/restore", [entry_id])
    for page in (files.get("/trash"), one, asked, back):
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "<bdi>49</bdi>" not in page.text
    assert f"<bdi>{html.escape(name, quote=False)}</bdi>" in asked.text.replace("&#39;", "'").replace(
        "&#34;", '"'
    )
    assert files.content(f"{name}/{name}") == b"text"


# ── a file in it ────────────────────────────────────────────────────────────────────────────────────────────
def test_a_file_is_looked_at_and_downloaded(files: Files) -> None:
    """As in its folder: escaped, or under the same rules alone; it stays in the trash."""
    files.put("docs/page.html", b"<script>alert(1)</script>")
    entry_id = deleted(files, "docs/page.html").hex()
    page = files.get(f"/trash/entry/{entry_id}")
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<bdi>docs</bdi>" in page.text
    shown = files.get(f"/trash/preview/{entry_id}")
    assert (shown.data, shown.headers["Content-Type"]) == (
        b"<script>alert(1)</script>",
        "text/plain; charset=utf-8",
    )
    assert shown.headers["Content-Security-Policy"].startswith("sandbox;")
    stored = files.get(f"/trash/download/{entry_id}", headers={"Range": "bytes=1-6"})
    assert (stored.status_code, stored.data) == (206, b"script")
    assert stored.headers["Content-Disposition"] == "attachment; filename*=UTF-8''page.html"
    assert files.shown("/trash") == ["page.html"]


def test_a_player_may_load_what_it_plays(files: Files) -> None:
    """And a page without one may not."""
    for name, allowed in (("a.mp3", True), ("a.txt", False)):
        files.put(name)
        page = files.get(f"/trash/entry/{deleted(files, name).hex()}")
        assert ("media-src 'self'" in page.headers["Content-Security-Policy"]) == allowed


def test_a_folder_is_downloaded_as_an_archive(files: Files) -> None:
    """With everything that was in it, also what lies deeper; it is not shown."""
    entry_id = deleted(files, "docs").hex()
    with zipfile.ZipFile(io.BytesIO(files.get(f"/trash/download/{entry_id}").data)) as archive:
        assert sorted(archive.namelist()) == ["docs/", "docs/letter.txt", "docs/old/", "docs/old/x"]
        assert archive.read("docs/old/x") == b"docs/old/x"
    assert files.get(f"/trash/preview/{entry_id}").status_code == 409
    assert "docs" in files.get(f"/trash/entry/{entry_id}").text


def test_what_is_never_shown_is_not_shown_here(files: Files) -> None:
    """T36: the endings are the same."""
    files.put("a.exe")
    entry_id = deleted(files, "a.exe").hex()
    assert files.get(f"/trash/preview/{entry_id}").status_code == 404
    assert "download it" in files.get(f"/trash/entry/{entry_id}").text


# ── back ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_something_comes_back_to_where_it_was(files: Files) -> None:
    """With its content, and the page says where that is."""
    before = files.id_of("docs/letter.txt")
    page = send(files, "/trash/restore", [deleted(files, "docs/letter.txt")])
    assert "“letter.txt” is back in “docs”." in page.text
    assert page.request.path == "/trash"
    assert (files.content("docs/letter.txt"), files.id_of("docs/letter.txt")) == (b"docs/letter.txt", before)
    assert "“a” is back in “Files”." in send(files, "/trash/restore", [deleted(files, "a")]).text
    assert "The trash is empty." in files.get("/trash").text


def test_several_come_back_at_once(files: Files) -> None:
    """Each of those that were ticked, and nothing else."""
    ids = [deleted(files, path) for path in ("a", "b", "docs")]
    page = send(files, "/trash/restore", [*ids[:1], *ids[2:], ids[0]])
    assert "2 entries are back." in page.text
    assert files.names() == {"a", "docs"}
    assert files.content("docs/old/x") == b"docs/old/x"
    assert files.shown("/trash") == ["b"]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_folder_comes_back_before_what_was_in_it(files: Files, *, backwards: bool) -> None:
    """In whatever order they are ticked: else a second folder of the same name would be made for the file."""
    ids = [deleted(files, path, seconds=0.01) for path in ("docs/old/x", "docs/old", "docs")]
    page = send(files, "/trash/restore", ids[::-1] if backwards else ids)
    assert "3 entries are back." in page.text
    assert page.request.path == "/trash"
    assert files.names() == {"a", "b", "docs"}
    assert files.names("docs") == {"letter.txt", "old"}
    assert files.content("docs/old/x") == b"docs/old/x"


def test_a_name_that_is_taken(files: Files) -> None:
    """It comes back beside what has its name now, and the page leads to it."""
    entry_id = deleted(files, "docs/letter.txt")
    files.put("docs/letter.txt", b"another")
    page = send(files, "/trash/restore", [entry_id])
    assert page.status_code == 200
    assert "Its name is taken" in page.text
    link = re.search(r'<a href="([^"]+)"><bdi>docs/letter \(restored\).txt</bdi>', page.text)
    assert link is not None
    assert "docs/letter.txt" in files.get(link[1]).text
    assert files.content("docs/letter.txt") == b"another"
    assert files.content("docs/letter (restored).txt") == b"docs/letter.txt"


def test_a_folder_that_is_gone(files: Files) -> None:
    """It is made again, and the page says so."""
    entry_id = deleted(files, "docs/old/x")
    folder = deleted(files, "docs")
    page = send(files, "/trash/restore", [entry_id])
    assert "The folder that it was in is gone." in page.text
    assert 'href="/files/docs/old/x"' in page.text
    assert files.names("docs") == {"old"}
    page = send(files, "/trash/restore", [folder])
    assert "Its name is taken" in page.text
    assert files.names() == {"a", "b", "docs", "docs (restored)"}


def test_a_folder_that_has_moved(files: Files) -> None:
    """It comes back there, and the page says so."""
    entry_id = deleted(files, "docs/letter.txt")
    files.vault.move(at("docs"), at("papers"), overwrite=False)
    page = send(files, "/trash/restore", [entry_id])
    assert "The folder that it was in has moved." in page.text
    assert 'href="/files/papers/letter.txt"' in page.text
    assert files.content("papers/letter.txt") == b"docs/letter.txt"


def test_a_folder_that_a_program_has_locked(files: Files) -> None:
    """Nothing comes back there until the lock ends, and the page says why; the others do come back."""
    ids = [deleted(files, "docs/letter.txt"), deleted(files, "a")]
    files.lock("docs")
    page = send(files, "/trash/restore", ids)
    assert page.status_code == 423
    assert "1 entry is back." in page.text
    assert "A program has locked the folder" in page.text
    assert "<bdi>letter.txt</bdi>" in page.text
    assert files.names("docs") == {"old"}
    files.site.clock.advance(minutes=11)
    assert "is back in “docs”" in send(files, "/trash/restore", ids[:1]).text


def test_no_room(files: Files) -> None:
    """Where the quota was made smaller meanwhile: 507 and the reason, and it stays in the trash."""
    files.put("large", bytes(5000))
    entry_id = deleted(files, "large")
    files.site.services.accounts.set_quota("alice", 1000)
    page = send(files, "/trash/restore", [entry_id])
    assert page.status_code == 507
    assert "no room" in page.text
    assert files.shown("/trash") == ["large"]


# ── for good ────────────────────────────────────────────────────────────────────────────────────────────────
def test_removing_for_good_is_asked_first(files: Files) -> None:
    """By name; then exactly that is gone, and the page says how much room that gives."""
    files.put("large", bytes(3000))
    ids = [deleted(files, path) for path in ("large", "docs", "a")]
    page = send(files, "/trash/purge", ids[:2])
    assert "Delete for good?" in page.text
    assert "<bdi>large</bdi>" in page.text
    assert re.search(r"<bdi>docs</bdi>\s+with everything in it", page.text)
    assert "<bdi>a</bdi>" not in page.text
    assert len(files.vault.trash()) == 3
    page = send(files, "/trash/purge", ids[:2], sure="1")
    assert "2 entries are gone for good; that frees 3 KiB." in page.text
    assert files.shown("/trash") == ["a"]
    assert files.vault.usage().kept == 1


def test_emptying_is_asked_first(files: Files) -> None:
    """How much room it gives, previous versions of what is there among it; then everything is gone."""
    files.put("docs/letter.txt", bytes(2048))
    files.put("docs/letter.txt", bytes(1024))
    files.put("b", b"another")
    files.vault.delete(at("docs"))
    deleted(files, "a")
    used = files.vault.usage().used
    page = files.get("/trash/empty")
    assert "That frees 3 KiB." in page.text
    assert len(files.vault.trash()) == 2
    page = files.browser.post("/trash/empty")
    assert "2 entries are gone for good; that frees 3 KiB." in page.text
    assert "The trash is empty." in page.text
    assert used - files.vault.usage().used == 1024 + 2048 + len("docs/letter.txtdocs/old/xa")
    assert [one.node.size for one in files.vault.versions(at("b"))] == [1]


# ── taken back at once ──────────────────────────────────────────────────────────────────────────────────────
def undo_of(page: TestResponse) -> list[str]:
    """What the button "Undo" of a page sends."""
    form = re.search(r'<form[^>]* class="undo">(.*?)</form>', page.text, re.DOTALL)
    return [] if form is None else re.findall(r'name="id" value="([0-9a-f]{32})"', form[1])


def test_undo_restores_what_that_act_deleted(files: Files) -> None:
    """All of it, and nothing that was deleted before or afterwards."""
    deleted(files, "docs/old/x")
    page = files.press("/delete/", "a", "docs")
    assert len(undo_of(page)) == 2
    deleted(files, "b")
    done = send(files, "/undelete/", undo_of(page))
    assert "2 entries are back." in done.text
    assert done.request.path == "/files/"
    assert files.names() == {"a", "docs"}
    assert files.names("docs") == {"letter.txt", "old"}
    assert files.shown("/trash") == ["b", "x"]


def test_undo_of_very_many(files: Files) -> None:
    """As many as one form may delete, in one form that the site accepts."""
    files.folder("many")
    names = [f"many/{number}" for number in range(filing.MAX_TICKED)]
    for name in names[:150]:
        files.put(name, b"x")
    page = files.press("/delete/many", *names[:150])
    assert "150 entries are deleted." in page.text
    assert files.names("many") == set()
    assert len(undo_of(page)) == 150
    assert "150 entries are back." in send(files, "/undelete/many", undo_of(page)).text
    assert len(files.names("many")) == 150
    more = [f"{number:032x}" for number in range(filing.MAX_TICKED + 50)]
    assert send(files, "/undelete/many", more[: filing.MAX_TICKED]).status_code == 404
    assert send(files, "/undelete/many", more).text.count("<dt>") == filing.MAX_TICKED


def test_undo_is_offered_when_only_some_were_deleted(files: Files) -> None:
    """A locked file stays, and for the others there is a way back in the folder."""
    files.lock("a")
    assert files.press("/delete/", "a", "b").status_code == 423
    page = files.get("/files/")
    assert len(undo_of(page)) == 1
    send(files, "/undelete/", undo_of(page))
    assert files.names() == {"a", "b", "docs"}


def test_undo_says_what_is_elsewhere_now(files: Files) -> None:
    """A name that was taken meanwhile; from there one gets back to the folder."""
    page = files.press("/delete/docs", "docs/letter.txt")
    files.put("docs/letter.txt", b"another")
    done = send(files, "/undelete/docs", undo_of(page))
    assert "Its name is taken" in done.text
    assert '<a class="button" href="/files/docs">Back to the folder</a>' in done.text
    assert "Nothing is ticked" in send(files, "/undelete/docs").text


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("where", FORMS[:2])
@pytest.mark.parametrize("text", NO_IDS)
def test_nothing_is_ticked(files: Files, where: str, text: str) -> None:
    """The server looks again, and takes nothing for an id that is none."""
    deleted(files, "a")
    page = send(files, where, [text], sure="1")
    assert "Nothing is ticked" in page.text
    assert files.shown("/trash") == ["a"]
    assert "Nothing is ticked" in send(files, where, sure="1").text


@pytest.mark.parametrize("text", NO_IDS[1:])
def test_an_address_that_names_nothing(files: Files, text: str) -> None:
    """404, wherever it stands."""
    for word in ("entry", "download", "preview"):
        assert files.get(address(f"trash/{word}", text)).status_code == 404


def test_what_is_gone(files: Files) -> None:
    """Restored or removed by somebody else, or never there: it says so, and does the rest."""
    gone, still = deleted(files, "a"), deleted(files, "b")
    files.vault.purge(gone)
    for word in ("entry", "download", "preview"):
        assert files.get(f"/trash/{word}/{gone.hex()}").status_code == 404
    for where in FORMS[:2]:
        page = send(files, where, [gone], sure="1")
        assert page.status_code == 404
        assert "This is not in the trash (any more)." in page.text
    asked = send(files, "/trash/purge", [gone, still])
    assert "<bdi>b</bdi>" in asked.text
    page = send(files, "/trash/restore", [gone, still])
    assert page.status_code == 404
    assert "1 entry is back." in page.text
    assert files.content("b") == b"b"


@pytest.mark.parametrize("kind", ["a file that is there", "a version", "what lies in a deleted folder"])
def test_only_what_is_in_the_trash_itself_is_an_entry(files: Files, kind: str) -> None:
    """No id of anything else brings anything back, or removes it."""
    files.put("a", b"newer")
    inside, folder = files.id_of("docs/old/x"), deleted(files, "docs")
    ids = {
        "a file that is there": files.id_of("a"),
        "a version": files.vault.versions(at("a"))[0].id,
        "what lies in a deleted folder": inside,
    }
    for where in (*FORMS[:2], "/undelete/"):
        assert send(files, where, [ids[kind]], sure="1").status_code == 404
    assert files.content("a") == b"newer"
    assert len(files.vault.versions(at("a"))) == 1
    assert [one.id for one in files.vault.trash()] == [folder]


def test_somebody_elses_trash(files: Files) -> None:
    """An id of another account's leads to nothing, on no page and in no form, and nothing there changes."""
    entry_id = deleted(files, "docs")
    bob = Files(files.site, files.site.invited("bob"))
    assert bob.shown("/trash") == []
    for where in PAGES[1:4]:
        assert bob.get(where.format(entry_id.hex())).status_code == 404
    for where in (*FORMS[:2], "/undelete/"):
        page = send(bob, where, [entry_id], sure="1")
        assert page.status_code == 404
        assert "docs" not in page.text
    send(bob, "/trash/empty")
    assert [one.id for one in files.vault.trash()] == [entry_id]


def test_nobody_sees_it_without_both_factors(files: Files) -> None:
    """Each page and form leads to the sign-in, as those about files do; a code of long ago is enough."""
    entry_id = deleted(files, "a").hex()
    stranger = files.site.browser()
    for page in PAGES:
        response = stranger.get(page.format(entry_id), follow=False)
        assert (response.status_code, response.headers["Location"].split("?")[0]) == (302, "/sign-in")
    first = files.site.browser()
    first.sign_in()
    for page in PAGES:
        response = first.get(page.format(entry_id), follow=False)
        assert (response.status_code, response.headers.get("Location")) == (302, "/second-factor"), page
    for where in FORMS:
        token = form_token(first.get("/second-factor").text)
        response = first.send(where, {"csrf": token, "id": entry_id, "sure": "1"}, follow=False)
        assert (response.status_code, response.headers["Location"]) == (302, "/second-factor")
    assert len(files.vault.trash()) == 1
    files.site.clock.advance(minutes=10)
    assert files.get("/trash", follow=False).status_code == 200
    assert "is back" in send(files, "/trash/restore", [entry_id]).text


@pytest.mark.parametrize("where", FORMS)
def test_no_form_of_anybody_else_does_anything(files: Files, where: str) -> None:
    """T35: no token, or another browser's, or another site's page; and no link does it."""
    entry_id = deleted(files, "a").hex()
    other = form_token(files.site.browser().get("/sign-in").text)
    own = form_token(files.get("/files/").text)
    for token, headers in (("", OWN), (other, OWN), (own, {"Sec-Fetch-Site": "cross-site"})):
        data = {"csrf": token, "id": entry_id, "sure": "1"}
        assert files.browser.send(where, data, headers=headers).status_code == 403
    assert files.get(f"{where}?id={entry_id}&sure=1").status_code in {200, 405}
    assert len(files.vault.trash()) == 1


def test_one_is_led_back_to_the_page(files: Files) -> None:
    """Through sign-in and one-time code, to the same part of the trash."""
    other = files.site.browser()
    where = f"/trash?after=1700000000-{NOBODYS}"
    assert other.get(where).request.args["next"] == where
    other.secret = files.browser.secret
    other.post("/sign-in", {"name": "alice", "password": "a password of a test account", "next": where})
    done = other.prove()
    assert f"{done.request.path}?{done.request.query_string.decode()}" == where


def test_the_space_that_it_takes(files: Files) -> None:
    """A bar with a part for files and one for what is kept, and their sizes; on the start page, too."""
    files.put("a", bytes(2048))
    files.put("b", bytes(1024))
    deleted(files, "b")
    files.site.services.accounts.set_quota("alice", 8192)
    for page in (files.get("/files/docs").text, files.get("/start").text):
        parts = dict(re.findall(r'<rect class="of-(\w+)"[^>]*? width="(\d+)"', page))
        assert parts == {"files": "253", "kept": "125"}
        assert "3 KiB of 8 KiB stored." in page
        assert "Files: 2 KiB" in page
        assert '<a href="/trash">Trash and previous versions</a>: 1 KiB' in page


def test_german(files: Files) -> None:
    """Every text of these pages is looked up in the language of the browser."""
    deleted(files, "a")
    page = files.browser.client.get(
        "/trash", base_url=files.browser.origin, headers={"Accept-Language": "de"}
    ).text
    assert "Papierkorb leeren" in page
