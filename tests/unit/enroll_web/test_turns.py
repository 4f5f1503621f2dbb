"""Pages whose work is long ask for the turn of the account, as the drive does: none takes all threads."""

from __future__ import annotations

from io import BytesIO
from urllib.parse import urlencode

import pytest

from davserver.errors import TooBusy
from davserver.serving.exchange import TURN_KEY
from davserver.vault import browsing
from davserver.vault.paths import VaultPath
from tests.unit.enroll_web.conftest import Site, form_token
from tests.unit.enroll_web.filed import OWN, Files

READ = {"/files/large", "/search/?name=a", "/download/a.txt", "/download/folder", "/preview/a.txt"}
SENT = {
    **{f"/{word}/": "/files/" for word in ("zip", "move", "copy", "delete")},
    "/my-data/download": "/my-data",
    "/versions-purge/a.txt": "/versions/a.txt",
}
"""Forms, and the pages that they are on."""

ABOUT_TRASH = {
    "/undelete/": "/trash",
    "/trash/restore": "/trash",
    "/trash/purge": "/trash",
    "/trash/empty": "/trash/empty",
}
"""The same, of those that are about what was deleted."""


@pytest.fixture
def files(site: Site, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Alice, with a file and two folders, one of which counts as large."""
    monkeypatch.setattr(browsing, "LARGE", 2)
    files = Files(site, site.first())
    for content in (b"before", b"now"):
        files.put("a.txt", content)
    files.put("folder/b.txt")
    for name in "abc":
        files.put(f"large/{name}")
    return files


@pytest.mark.parametrize("address", sorted(READ))
def test_what_takes_long_takes_a_turn(files: Files, address: str) -> None:
    """In the name of the account; if it is not its turn, nothing but a page that says so is made."""
    client, origin = files.browser.client, files.browser.origin
    refused = client.get(address, base_url=origin, environ_overrides={TURN_KEY: not_now})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "Too much at once" in refused.text
    whose: list[str] = []
    with client.get(address, base_url=origin, environ_overrides={TURN_KEY: whose.append}) as answer:
        assert (answer.status_code, whose) == (200, ["alice"])


def test_a_folder_is_there_while_programs_are_busy(files: Files) -> None:
    """What is quick takes no turn: a small folder, a large one that was sorted before, the page of a file."""
    files.get("/files/large")
    for address in ("/files/folder", "/files/large", "/files/large?down=1", "/files/a.txt"):
        page = files.browser.client.get(
            address, base_url=files.browser.origin, environ_overrides={TURN_KEY: not_now}
        )
        assert page.status_code == 200


@pytest.mark.parametrize("address", [*SENT, *ABOUT_TRASH])
def test_a_form_is_read_when_it_is_its_turn(files: Files, address: str) -> None:
    """Else it could not wait for it: the server begins a request again, and what was read is gone."""
    browser, ticked = files.browser, files.id_of("folder")
    if address in ABOUT_TRASH:
        files.vault.delete(VaultPath.parse("folder"))
    page = browser.get({**SENT, **ABOUT_TRASH}[address])
    form = urlencode({"csrf": form_token(page.text), "id": ticked.hex()}).encode()

    def send(turn: object) -> tuple[int, int]:
        """The status, and how much was read."""
        body = BytesIO(form)
        with browser.client.post(
            address,
            base_url=browser.origin,
            input_stream=body,
            content_length=len(form),
            content_type="application/x-www-form-urlencoded",
            headers=OWN,
            environ_overrides={TURN_KEY: turn},
        ) as answer:
            return answer.status_code, body.tell()

    assert send(not_now) == (503, 0)
    whose: list[str] = []
    status, read = send(whose.append)
    assert (status in {200, 303}, read, whose[0]) == (True, len(form), "alice")


def test_nobody_gets_a_turn_without_being_somebody(files: Files) -> None:
    """A form of another site's takes no place, nor does that of somebody who is not signed in any more."""
    whose: list[str] = []
    stranger = files.site.browser()
    form = {"csrf": form_token(stranger.get("/sign-in").text)}
    foreign = {**OWN, "Sec-Fetch-Site": "cross-site"}
    for client, headers, status in ((files.browser.client, foreign, 403), (stranger.client, OWN, 302)):
        answer = client.post(
            "/my-data/download",
            data=form,
            base_url=files.browser.origin,
            headers=headers,
            environ_overrides={TURN_KEY: whose.append},
        )
        assert answer.status_code == status
    assert whose == []


def not_now(_account: str) -> None:
    """Somebody else's turn."""
    raise TooBusy("too many requests of this account are running")
