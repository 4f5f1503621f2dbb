"""The part of the tour that leads through uploads: asked about, on their way, begun earlier, left out.

Called by tour.py, behind the walk through the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from playwright.sync_api import FilePayload, Page, Route

from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from davserver.vault.unfinished import PART_BYTES
from tests.services.file_walk import NOTES, vault_of
from tests.services.guest import Guest, Stop
from tests.services.media import chosen

LOCKED, FILM, PAUSED = "Budget 2026.ods", "The first snow.webm", "Minutes of March.odt"
"""What is chosen at once: a name that is taken, something that takes long, and something in no hurry."""

LAST_PART = f"/{2 * PART_BYTES}"
"""Ends the address of the film's."""


def walk(alice: Guest) -> Iterator[Stop]:
    """Alice chooses three files, and cancels them again; then there is an upload that was not finished."""
    yield from _on_their_way(alice)
    _begin(vault_of(alice))
    yield alice.open("/files/").at("files-unfinished")
    _choose(alice.page, "skip", chosen("Notes.md", NOTES.encode()))
    yield alice.at("files-upload")
    _send(alice.page)
    for words in ("Left out: 1.", "The name is taken: it was left out."):
        alice.page.get_by_text(words, exact=True).wait_for()
    yield alice.at("files-left-out")


def _on_their_way(alice: Guest) -> Iterator[Stop]:
    """One waits for an answer and fails, one is at its last part, one is paused."""
    page = alice.open("/files/").page
    with _held(page):
        sizes = {LOCKED: 52_000, FILM: PART_BYTES * 5 // 2, PAUSED: 31_000}
        _choose(page, "ask", *(chosen(name, bytes(size)) for name, size in sizes.items()))
        _send(page)
        page.get_by_role("dialog").wait_for()
        yield alice.at("upload-question")
        with alice.visitor.refused(423):
            page.get_by_role("button", name="Replace", exact=True).click()
        page.get_by_text("It is locked by a program that has it open.").wait_for()
        page.get_by_role("button", name=f"Pause {PAUSED}").click()
        page.wait_for_function("document.querySelector('#uploads [data-all]').value > 0.7")
        yield alice.at("uploads")
        with page.expect_response(lambda answer: answer.request.method == "DELETE"):
            page.get_by_role("button", name="Cancel all").click()


@contextmanager
def _held(page: Page) -> Iterator[None]:
    """Let the last part of the film and all of what is to be paused not come through."""

    def hold(route: Route) -> None:
        announced = route.request.headers.get("x-file", "")
        if not route.request.url.endswith(LAST_PART) and quote(PAUSED) not in announced:
            route.fallback()

    page.route("**/uploads**", hold)
    yield
    page.unroute_all(behavior="ignoreErrors")


def _choose(page: Page, taken: str, *files: FilePayload) -> None:
    page.locator("details.tool > summary").click()
    page.get_by_label("Files", exact=True).set_input_files(list(files))
    page.get_by_label("If a name is taken").select_option(taken)


def _send(page: Page) -> None:
    page.locator("details").get_by_role("button", name="Upload", exact=True).click()


def _begin(vault: Vault) -> None:
    """A film of which the first part is here."""
    begun = vault.parts.begin(VaultPath.parse("Photos/Holidays in the Carpathians.mp4"), 2 * 10**9, 0)
    with vault.parts.append(begun.id, 0) as part:
        part.write(bytes(begun.next_part))
        part.commit()
