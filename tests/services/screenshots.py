"""`make screenshots`: pictures of every page, in the light, in the dark and on a phone, and the list of them.

Writes docs/screenshots/ with docs/screenshots.md anew, and docs/keycloak/, the steps in Keycloak's console.
Somebody has to look at them afterwards: no test does.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from playwright.sync_api import Locator, Page

from davserver.audit import log_to_terminal
from tests.services import console, pictures
from tests.services.browser import PHONE, chromium, visit
from tests.services.guest import Stop
from tests.services.keycloak import Keycloak, Realm, find_built, start
from tests.services.tour import HOST, WALKS, begin

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = DOCS / "screenshots"
INDEX = DOCS / "screenshots.md"
CONSOLE = DOCS / "keycloak"

REALM = "example"
SETTLE_MILLISECONDS = 400
"""What moves in Keycloak's console has come to rest."""

DESK = (1000, 640)
"""Narrower than a screen: what is beside the column is empty."""

PAPER = (700, 900)

_PART = re.compile(r"## (.+)")
_ROW = re.compile(r"\| \*\*.*\*\*<br>([a-z0-9-]+) \|")

VERSIONS = {"light": (DESK, False), "dark": (DESK, True), "phone": (PHONE, False)}
"""Size, and whether it is dark."""

ON_PAPER = "recovery-codes-paper.png"

HEAD = """# Every page

Made by `make screenshots`, which walks through the site with a real browser; not written by hand. Names,
times and addresses are made up. Every secret in the pictures (QR codes, app passwords, links, recovery
codes) was good on a server that lived for a minute. Long names and labels are there to see what becomes of
a page.
"""


def main() -> None:
    """Take all of them."""
    log_to_terminal("critical")
    built = find_built()
    if built is None:
        raise SystemExit(
            "Keycloak is not built here: tests/services/keycloak.sh does it, and says what is missing"
        )
    with tempfile.TemporaryDirectory() as folder, start(built, Path(folder)) as keycloak:
        photograph_site(keycloak, Path(folder))
        photograph_console(keycloak)


def photograph_site(keycloak: Keycloak, folder: Path) -> None:
    """Take those of the site; `folder` is for its store."""
    _empty(PICTURES)
    rows: list[tuple[str, str]] = []
    for walk in WALKS:
        with begin(walk, folder / walk, lambda: keycloak) as tour:
            for stop in tour.stops():
                if stop.is_pictured:
                    rows.append((stop.part, _row(stop)))
                    _take(stop)
    INDEX.write_text(HEAD + "".join(_table(rows)), encoding="utf-8")


def listed() -> dict[str, list[str]]:
    """The names of the stops that have pictures, by the part of the tour; in the order of the list."""
    found: dict[str, list[str]] = {}
    for line in INDEX.read_text(encoding="utf-8").splitlines():
        if heading := _PART.fullmatch(line):
            found[heading[1]] = []
        elif row := _ROW.match(line):
            found[list(found)[-1]].append(row[1])
    return {part: names for part, names in found.items() if names}


def photograph_console(keycloak: Keycloak) -> None:
    """Take those of Keycloak's console, in a realm with one person in it, which is removed again."""
    _empty(CONSOLE)
    realm = Realm(keycloak, REALM, keycloak.url, "")
    keycloak.call("POST", "", {"realm": REALM, "enabled": True})
    try:
        realm.add_stranger("alice")
        with chromium() as browser, visit(browser, keycloak.url, size=console.SIZE) as visitor:
            console.Console(visitor.page, keycloak, REALM, f"https://{HOST}", _take_step).make("alice")
    finally:
        realm.remove()


def _take_step(name: str, part: Locator) -> None:
    part.page.mouse.move(0, 0)
    part.page.wait_for_timeout(SETTLE_MILLISECONDS)
    pictures.save(pictures.trimmed(pictures.read(part.screenshot())), CONSOLE / f"{name}.png")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _shoot(page: Page, name: str) -> None:
    """All of a page; if a question is in front of it, what the window shows: it darkens no more than that."""
    is_asked = page.locator("dialog:modal").count() > 0
    pictures.save(pictures.read(page.screenshot(full_page=not is_asked)), PICTURES / name)


def _take(stop: Stop) -> None:
    page = stop.visitor.page
    before = page.viewport_size
    for version, (size, dark) in VERSIONS.items():
        _restyle(page, size, dark=dark)
        _shoot(page, f"{stop.name}-{version}.png")
    if stop.name == "recovery-codes":
        _restyle(page, PAPER, dark=True)
        page.emulate_media(media="print")
        page.evaluate("document.body.style.padding = '3rem'")  # what a printer leaves free
        _shoot(page, ON_PAPER)
        page.emulate_media(media="screen")
    assert before
    page.set_viewport_size(before)
    page.emulate_media(color_scheme="light")


def _restyle(page: Page, size: tuple[int, int], *, dark: bool) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if dark else "light")


def _row(stop: Stop) -> str:
    heading = stop.visitor.page.get_by_role("heading", level=1).inner_text()
    pictures = (
        _picture(f"{stop.name}-{version}.png", 110 if version == "phone" else 260) for version in VERSIONS
    )
    return f"| **{heading}**<br>{stop.name} | {' | '.join(pictures)} |\n"


def _picture(name: str, width: int) -> str:
    return f'[<img src="screenshots/{name}" width="{width}" alt="{name}">](screenshots/{name})'


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    for part, group in groupby(rows, key=lambda row: row[0]):
        yield f"\n## {part}\n\n| page | light | dark | phone |\n|---|---|---|---|\n"
        yield from (row for _, row in group)
    yield f"\n## On paper\n\nWhat *Print* makes of the recovery codes.\n\n{_picture(ON_PAPER, 350)}\n"


if __name__ == "__main__":
    main()
