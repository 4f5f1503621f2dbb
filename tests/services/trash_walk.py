"""The part of the tour that leads through the trash, and to what a file was before.

Called by tour.py, behind the walk through the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from davserver.vault.locks import Wanted
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault
from tests.fakes import FrozenClock
from tests.services.file_walk import LONG_NAME, RIGHT_TO_LEFT, store, vault_of
from tests.services.guest import Guest, Stop
from tests.services.media import picture

QUOTA = 60_000_000
"""So little that a bar shows something."""

DRAFTS = (
    b"# Speech\n\nDear all,\n",
    b"# Speech\n\nDear all, dear neighbours,\nit was a good year.\n",
    b"# Speech\n\n- thank everybody\n- <script>alert('nothing of this runs')</script>\n",
)


def walk(alice: Guest, clock: FrozenClock) -> Iterator[Stop]:
    """Alice looks for what she has deleted and overwritten."""
    vault_of(alice).empty_trash()
    yield alice.open("/trash").at("trash-empty")
    _furnish(vault_of(alice), clock)
    alice.site.services.accounts.set_quota("alice", QUOTA)
    yield alice.open("/start").at("start-space")
    yield from _trash(alice)
    yield from _versions(alice)
    alice.site.services.accounts.set_quota("alice", None)


def _trash(alice: Guest) -> Iterator[Stop]:
    yield alice.open("/trash").at("trash")
    yield alice.follow("sunset.png").at("trash-entry")
    yield alice.open("/trash").follow("Old letters").at("trash-folder")
    yield alice.press("Restore").at("trash-restored")
    yield tick(alice, "Minutes", "figures.ods").press("Restore").at("trash-elsewhere")
    yield tick(alice, "draft.txt", RIGHT_TO_LEFT).press("Delete for good").at("trash-purge")
    alice.press("Delete for good")
    wanted = Wanted(exclusive=True, infinite=False, owner="", seconds=3600)
    lock = vault_of(alice).lock(VaultPath.parse("Photos"), wanted)
    yield tick(alice, "sunset.png").press("Restore").at("trash-refused", 423)
    vault_of(alice).unlock(VaultPath.parse("Photos"), lock.shown.lock.token)
    yield alice.open("/trash").follow("Empty the trash").at("trash-emptying")


def _versions(alice: Guest) -> Iterator[Stop]:
    yield alice.open("/versions/birdsong.wav").at("versions-none")
    yield alice.open("/versions/Letters/Speech.md").at("versions")
    yield _use(alice, "link", "Look at").at("version")
    yield alice.press("Delete for good").at("version-purge")
    yield _use(alice.follow("Cancel"), "button", "Restore").at("version-restored")
    wanted = Wanted(exclusive=True, infinite=False, owner="", seconds=3600)
    vault_of(alice).lock(VaultPath.parse("Letters/Speech.md"), wanted)
    yield _use(alice, "button", "Restore").at("version-refused", 423)


def _use(alice: Guest, kind: Literal["button", "link"], words: str) -> Guest:
    """What belongs to the oldest version."""
    with alice.page.expect_navigation():
        alice.page.get_by_role(kind, name=f"{words} what it was").last.click()
    return alice


def tick(alice: Guest, *names: str) -> Guest:
    """Tick entries of the trash; of several with one name the latest."""
    alice.open("/trash")
    for name in names:
        alice.page.get_by_label(f"{name}, deleted").first.check()
    return alice


def _furnish(vault: Vault, clock: FrozenClock) -> None:
    """What has been deleted and overwritten in the last weeks; folders later than what was in them."""
    now = clock.now
    for days, path, content in (
        (28, "Old letters/draft.txt", b"Dear Sir or Madam"),
        (24, f"Letters/{LONG_NAME[:-4]} and third version.pdf", bytes(2_400_000)),
        (19, f"Photos/{RIGHT_TO_LEFT}", bytes(44)),
        (16, "Photos/sunset.png", picture()),
        (13, "Accounts/2025/figures.ods", bytes(310_000)),
        (8, "Minutes", bytes(9_000)),
    ):
        clock.now = now - timedelta(days=days)
        _stored_and_deleted(vault, path, content)
    clock.now = now - timedelta(days=6)
    for number in range(30):
        store(vault, f"Old letters/{number}.odt", bytes(400_000))
    vault.delete(VaultPath.parse("Old letters"))
    clock.advance(minutes=2)
    vault.delete(VaultPath.parse("Accounts"))
    store(vault, "Minutes", b"those of today")
    for hours, draft in zip((40, 31, 22, 1), (*DRAFTS, b"by mistake"), strict=True):
        clock.now = now - timedelta(hours=hours)
        store(vault, "Letters/Speech.md", draft)
    clock.now = now


def _stored_and_deleted(vault: Vault, path: str, content: bytes) -> None:
    place = VaultPath.parse(path)
    for depth in range(1, len(place.parts)):
        folder = VaultPath(place.parts[:depth])
        if vault.find(folder) is None:
            vault.make_collection(folder)
    store(vault, path, content)
    vault.delete(place)
