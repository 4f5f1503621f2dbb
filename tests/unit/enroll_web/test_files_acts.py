"""What is done with files in the browser: made, renamed, moved, copied, deleted, brought back, or refused."""

from __future__ import annotations

import html

import pytest

from davserver.errors import StorageUnavailable
from davserver.model import ID_BYTES, ROOT_ID, NodeId
from davserver.vault.moment import Demands
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.unit.enroll_web.conftest import Browser, Site, form_token, made_site
from tests.unit.enroll_web.filed import OWN, Files, address

FORMS = ["delete", "undelete", "move", "copy", "zip", "rename-ticked", "new-folder", "rename/a", "upload"]
"""Addresses that change something or take what was ticked."""


@pytest.fixture
def files(site: Site, alice: Browser) -> Files:
    """Alice's, with a few."""
    files = Files(site, alice)
    for path in ("a", "b", "docs/letter", "docs/old/x"):
        files.put(path, path.encode())
    return files


# ── made and renamed
def test_a_folder_is_made(files: Files) -> None:
    """By a form; the page says so and shows it."""
    page = files.browser.post("/new-folder/docs", {"name": "new & <b>"})
    assert "“new &amp; &lt;b&gt;” is there." in page.text
    assert files.names("docs") == {"letter", "old", "new & <b>"}


@pytest.mark.parametrize(
    ("name", "status"), [("a", 409), ("", 422), ("..", 422), ("x/y", 422), ("x" * 256, 422)]
)
def test_a_folder_that_cannot_be(files: Files, name: str, status: int) -> None:
    """The form comes back with the rule that was broken and with what was typed."""
    page = files.browser.post("/new-folder/", {"name": name})
    assert page.status_code == status
    assert 'role="alert"' in page.text
    assert f'value="{name}"' in page.text
    assert files.names() == {"a", "b", "docs"}


def test_something_gets_another_name(files: Files) -> None:
    """A file keeps its content, a folder what is in it; the one that was ticked leads to the form."""
    assert files.press("/rename-ticked/", "a", follow=False).headers["Location"] == "/rename/a"
    files.browser.post("/rename/a", {"name": "A <1>"})
    files.browser.post("/rename/docs", {"name": "Papers"})
    assert files.names() == {"A <1>", "b", "Papers"}
    assert files.content("A <1>") == b"a"
    assert files.content("Papers/old/x") == b"docs/old/x"
    for ticked in ((), ("b", "Papers")):
        assert "Tick the one" in files.press("/rename-ticked/", *ticked).text


def test_a_name_that_is_taken_or_cannot_be(files: Files) -> None:
    """Nothing is replaced by a new name; the same name again is no mistake."""
    page = files.browser.post("/rename/a", {"name": "b"})
    assert (page.status_code, "The name is taken." in page.text) == (409, True)
    assert files.browser.post("/rename/a", {"name": "b/c"}).status_code == 422
    assert files.browser.post("/rename/a", {"name": "a"}).status_code == 200
    assert (files.content("a"), files.content("b")) == (b"a", b"b")


def test_another_spelling_of_the_same_name(files: Files) -> None:
    """What the vault takes for one name is not taken for a name that is taken."""
    files.put("Zu\u0308rich")
    assert files.browser.post(address("rename", "Zu\u0308rich"), {"name": "Zürich"}).status_code == 200
    assert "Zu\u0308rich" in files.names()


# ── moved and copied
def test_a_folder_is_chosen_step_by_step(files: Files) -> None:
    """Each step shows the folders there, and nothing is done before the last one."""
    page = files.press("/move/", "a", "b").text
    assert "2 entries" in page
    assert 'name="at" value="/docs"' in page
    assert "Move here" not in page
    page = files.press("/move/", "a", "b", at="/docs").text
    assert 'name="at" value="/docs/old"' in page
    assert '<button name="to" value="/docs">Move here</button>' in page
    assert files.names() == {"a", "b", "docs"}
    page = files.press("/move/", "a", "b", to="/docs").text
    assert "2 entries are moved." in page
    assert files.names() == {"docs"}
    assert files.names("docs") == {"a", "b", "letter", "old"}


def test_a_folder_is_not_offered_to_itself(files: Files) -> None:
    """What is moved is no place to move it to; who sends that all the same is told."""
    assert 'value="/docs"' not in files.press("/move/", "docs").text
    page = files.press("/move/", "docs", to="/docs/old")
    assert page.status_code == 409
    assert "cannot be put into itself" in page.text
    assert files.press("/move/", "a", to="/").status_code == 403
    assert files.press("/move/", "a", to="/nowhere").status_code == 409
    assert files.press("/move/", "a", to="/../x").status_code == 422
    assert files.names() == {"a", "b", "docs"}


def test_a_way_that_is_typed_may_end_with_a_slash(files: Files) -> None:
    """As people type the way to a folder; what was ticked is not lost for that."""
    assert 'value="/docs/old"' in files.press("/move/", "a", at="docs/").text
    assert "1 entry is moved." in files.press("/move/", "a", to="/docs/old/").text
    assert files.names("docs/old") == {"a", "x"}


def test_copies(files: Files) -> None:
    """Into another folder, with all that is in it; into the same one under another name, unasked."""
    files.folder("there")
    files.press("/copy/", "docs", "a", to="/there")
    assert files.content("there/docs/old/x") == b"docs/old/x"
    assert files.content("there/a") == b"a"
    files.press("/copy/", "a", to="/")
    files.press("/copy/", "a", to="/")
    assert files.names() == {"a", "a (2)", "a (3)", "b", "docs", "there"}


@pytest.mark.parametrize(
    ("taken", "there", "beside"),
    [("both", b"old", b"new"), ("replace", b"new", None), ("skip", b"old", None)],
)
@pytest.mark.parametrize("act", ["move", "copy"])
def test_a_name_that_is_taken_is_asked_about(
    files: Files, act: str, taken: str, there: bytes, beside: bytes | None
) -> None:
    """First nothing is done; then what was chosen, and only where the name is taken."""
    files.put("letter.txt", b"new")
    files.put("other.txt", b"other")
    files.put("docs/letter.txt", b"old")
    chosen = ("letter.txt", "other.txt")
    page = files.press(f"/{act}/", *chosen, to="/docs")
    assert page.status_code == 409
    assert "The name is taken" in page.text
    assert "<bdi>letter.txt</bdi>" in page.text
    assert "other.txt" not in page.text
    assert "other.txt" not in files.names("docs")
    files.press(f"/{act}/", *chosen, to="/docs", taken=taken)
    assert files.content("docs/letter.txt") == there
    assert files.content("docs/letter (2).txt") == beside
    assert files.content("docs/other.txt") == b"other"
    gone = act == "move" and taken != "skip"
    assert (files.content("letter.txt") is None) == gone


def test_what_was_left_out_is_said(files: Files) -> None:
    """By name, and no error."""
    files.put("docs/a", b"old")
    page = files.press("/move/", "a", "b", to="/docs", taken="skip")
    assert page.status_code == 200
    assert "1 entry is moved." in page.text
    assert "<bdi>a</bdi>" in page.text
    assert "<bdi>b</bdi>" not in page.text


# ── deleted
def test_deleting_and_undoing(files: Files) -> None:
    """Several at once; the page offers to take it back once, and then everything is as before."""
    page = files.press("/delete/", "a", "docs")
    assert "2 entries are deleted." in page.text
    assert files.names() == {"b"}
    assert "Undo" not in files.get("/files/").text
    ids = [line.split('value="')[1][:32] for line in page.text.splitlines() if 'name="id"' in line]
    data = {"csrf": form_token(page.text), "id": ids[:2]}
    done = files.browser.client.post(
        "/undelete/", data=data, base_url=files.browser.origin, headers=OWN, follow_redirects=True
    )
    assert "2 entries are back." in done.text
    assert files.content("docs/old/x") == b"docs/old/x"
    again = files.browser.client.post("/undelete/", data=data, base_url=files.browser.origin, headers=OWN)
    assert again.status_code == 404


def test_a_deletion_that_ends_in_the_middle_can_be_undone(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the trash by then is said on the next page of the folder, with the way back."""
    delete = Vault.delete

    def failing(vault: Vault, path: VaultPath, demands: Demands) -> NodeId | None:
        if path.name == "docs":
            raise StorageUnavailable("the disk is away")
        return delete(vault, path, demands=demands)

    monkeypatch.setattr(Vault, "delete", failing)
    gone = [files.id_of(path) for path in ("a", "b")]
    assert files.press("/delete/", "a", "b", "docs").status_code == 503
    page = files.get("/files/").text
    assert "2 entries are deleted." in page
    assert "Undo" in page
    assert all(f'name="id" value="{one.hex()}"' in page for one in gone)


def test_undo_is_offered_where_it_was_deleted(files: Files) -> None:
    """Not in another folder that happens to be looked at first."""
    files.press("/delete/docs", "docs/letter", follow=False)
    assert "Undo" not in files.get("/files/").text


def test_deleting_for_good_is_asked_first(
    site: Site, alice: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where nothing is kept: the first press asks, the second one deletes, and there is no way back."""
    del site, alice
    for other in made_site(tmp_path_factory.mktemp("final"), history={"keep_days": 0}):
        files = Files(other, other.first())
        files.put("<a>")
        page = files.press("/delete/", "<a>")
        assert "Delete for good?" in page.text
        assert "<bdi>&lt;a&gt;</bdi>" in page.text
        assert files.names() == {"<a>"}
        gone = b"\1" * ID_BYTES
        page = files.press_ids("/delete/", [files.id_of("<a>"), NodeId(gone)])
        assert f'name="id" value="{gone.hex()}"' in page.text
        assert "Delete for good?" in page.text
        assert files.press_ids("/delete/", [NodeId(gone)]).status_code == 409
        page = files.press("/delete/", "<a>", sure="1")
        assert files.names() == set()
        assert "Undo" not in page.text


# ── refused
@pytest.mark.parametrize("word", ["delete", "move", "copy", "zip"])
def test_nothing_is_ticked(files: Files, word: str) -> None:
    """The server looks again: the folder, and what to do first."""
    page = files.press(f"/{word}/", to="/docs")
    assert "Nothing is ticked" in page.text
    assert files.names() == {"a", "b", "docs"}


@pytest.mark.parametrize("value", ["", "zz", "f" * 32, ROOT_ID.hex(), "A" * 32, "../../etc", "0" * 31 + "é"])
def test_ticks_that_are_none(files: Files, value: str) -> None:
    """An id that is none, of another folder, or of the root, does nothing, and that is said."""
    data = {"csrf": form_token(files.get("/files/").text), "id": [value, files.id_of("docs/letter").hex()]}
    response = files.browser.client.post("/delete/", data=data, base_url=files.browser.origin, headers=OWN)
    assert response.status_code == 409
    assert "moved or deleted meanwhile" in response.text
    assert files.names() == {"a", "b", "docs"}
    assert files.names("docs") == {"letter", "old"}


@pytest.mark.parametrize("all_of_them", [False, True])
@pytest.mark.parametrize("word", ["delete", "move", "copy"])
def test_what_is_gone_meanwhile_is_said(files: Files, word: str, *, all_of_them: bool) -> None:
    """What is still there is done, and the page says that something is not: never that all went well."""
    ids = [files.id_of(path) for path in ("a", "b")]
    for path in ("a", "b") if all_of_them else ("a",):
        files.vault.delete(VaultPath.parse(path))
    page = files.press_ids(f"/{word}/", ids, to="/docs")
    assert page.status_code == 409
    assert page.text.count("moved or deleted meanwhile") == len(ids) - (not all_of_them)
    assert ("1 entry is" in page.text) == (not all_of_them)
    assert "0 entries" not in page.text


@pytest.mark.parametrize(("word", "step"), [("move", {}), ("copy", {}), ("copy", {"to": "/docs"})])
def test_what_is_gone_is_said_at_the_last_step(files: Files, word: str, step: dict[str, str]) -> None:
    """The steps before carry on all that was ticked, so that none forgets what is not there."""
    files.put("docs/b", b"old")
    ids = [files.id_of(path) for path in ("a", "b")]
    files.vault.delete(VaultPath.parse("a"))
    page = files.press_ids(f"/{word}/", ids, follow=True, **step).text
    assert all(f'name="id" value="{one.hex()}"' in page for one in ids)


def test_another_name_is_not_asked_for_in_place_of_what_is_gone(files: Files) -> None:
    """Of two that were ticked one is left: that is no reason to rename it."""
    ids = [files.id_of(path) for path in ("a", "b")]
    files.vault.delete(VaultPath.parse("a"))
    page = files.press_ids("/rename-ticked/", ids)
    assert (page.status_code, "Something changed meanwhile" in page.text) == (409, True)


def test_what_changed_meanwhile_is_left_alone(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file under the name of what was ticked is not deleted or moved in its place."""
    chosen = files.vault.choose(VaultPath(), [files.id_of("a")])
    files.vault.delete(VaultPath.parse("a"))
    files.put("a", b"another")
    monkeypatch.setattr("davserver.vault.service.Vault.choose", lambda *_: chosen)
    for word in ("delete", "move", "copy"):
        page = files.press(f"/{word}/", "b", to="/docs")
        assert page.status_code == 409
        assert "was faster" in page.text
    assert files.content("a") == b"another"


@pytest.mark.parametrize("word", ["delete", "move"])
def test_locked_files_stay(files: Files, word: str) -> None:
    """The page says which one a program holds; the others are done."""
    files.lock("a")
    page = files.press(f"/{word}/", "a", "b", to="/docs")
    assert page.status_code == 423
    assert "locked by a program" in page.text
    assert "<bdi>a</bdi>" in page.text
    assert files.names() == {"a", "docs"}
    assert "locked by a program" in files.browser.post("/rename/a", {"name": "c"}).text
    files.lock("docs")
    assert "locked by a program" in files.browser.post("/new-folder/docs", {"name": "c"}).text


def test_a_copy_that_has_no_room(files: Files) -> None:
    """507 and the reason; nothing of it is there."""
    files.put("large", bytes(5000))
    files.site.services.accounts.set_quota("alice", 6000)
    page = files.press("/copy/", "large", to="/docs")
    assert page.status_code == 507
    assert "no room" in page.text
    assert files.content("docs/large") is None


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_anybody_else_does_anything(files: Files, form: str) -> None:
    """T35: no token, or another browser's, or another site's page."""
    other = form_token(files.site.browser().get("/sign-in").text)
    own = form_token(files.get("/files/").text)
    target = f"/{form}" if "/" in form else f"/{form}/"
    ticked = {"id": files.id_of("a").hex(), "name": "new", "sure": "1", "to": "/docs"}
    for token, headers in (("", OWN), (other, OWN), (own, {"Sec-Fetch-Site": "cross-site"})):
        response = files.browser.send(target, {"csrf": token, **ticked}, headers=headers)
        assert response.status_code in ({400, 403} if form == "upload" else {403}), (form, token)
    assert files.browser.get(target, follow=False).status_code in {200, 405}
    assert files.names() == {"a", "b", "docs"}


def test_german(files: Files) -> None:
    """Every text of these pages is looked up in the language of the browser."""
    page = files.browser.client.get(
        "/files/", base_url=files.browser.origin, headers={"Accept-Language": "de"}
    ).text
    assert "Neuer Ordner" in html.unescape(page)
