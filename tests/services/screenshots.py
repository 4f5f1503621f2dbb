"""`make screenshots`: pictures of every page, in the light, in the dark and on a phone, and the list of them.

Writes docs/screenshots/ and docs/screenshots.md anew, and the pictures of Keycloak's console
(console_pictures.py). Somebody has to look at them afterwards: no test does.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import cast

from PIL import Image
from playwright.sync_api import Page

from davserver.audit import log_to_terminal
from tests.services.browser import PHONE
from tests.services.guest import Stop
from tests.services.keycloak import Keycloak, find_built, start
from tests.services.tour import begin

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = DOCS / "screenshots"
INDEX = DOCS / "screenshots.md"

DESK = (1000, 640)
"""Narrower than a screen: what is beside the column is empty."""

PAPER = (700, 900)
COLOURS = 16
"""Of a picture's palette: half a byte a pixel."""

FLAT_SHARE = 0.002
"""A colour that covers as much of a picture is kept as it is."""

FLAT_DISTANCE = 3
DISTANCE = 40
"""How far two colours of a palette are apart at least, of 255: flat ones, and those of letters' edges."""

VERSIONS = {"light": (DESK, False), "dark": (DESK, True), "phone": (PHONE, False)}
"""Size, and whether it is dark."""

ON_PAPER = "recovery-codes-paper.png"

HEAD = """# Every page

Made by `make screenshots`, which walks through the site with a real browser; not written by hand. Names, times
and addresses are made up. Every secret in the pictures (QR codes, app passwords, links, recovery codes) belonged
to a server that lived for a minute. Long names and labels are there to see what becomes of a page.
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
        photograph(keycloak, Path(folder))


def photograph(keycloak: Keycloak, folder: Path) -> None:
    """Take those of the site; `folder` is for its store."""
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    rows: list[tuple[str, str]] = []
    with begin(folder, keycloak) as tour:
        for stop in tour.stops():
            rows.append((stop.part, _row(stop)))
            _take(stop)
    INDEX.write_text(HEAD + "".join(_table(rows)), encoding="utf-8")


def save(shot: bytes, path: Path) -> None:
    """Write a picture with a small palette: a fifth of what a browser makes of it."""
    with Image.open(BytesIO(shot)) as image:
        picture = image.convert("RGB")
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in _palette(picture) for value in colour])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def _palette(picture: Image.Image) -> list[tuple[int, int, int]]:
    """The colours that are seen most, without such as could be taken for one another."""
    chosen: list[tuple[int, int, int]] = []
    flat = FLAT_SHARE * picture.width * picture.height
    found = cast("list[tuple[int, tuple[int, int, int]]]", picture.getcolors(picture.width * picture.height))
    for count, colour in sorted(found, reverse=True):
        least = FLAT_DISTANCE if count >= flat else DISTANCE
        if all(math.dist(colour, one) > least for one in chosen):
            chosen.append(colour)
    return chosen[:COLOURS]


def _take(stop: Stop) -> None:
    page = stop.visitor.page
    before = page.viewport_size
    for version, (size, dark) in VERSIONS.items():
        _restyle(page, size, dark=dark)
        save(page.screenshot(full_page=True), PICTURES / f"{stop.name}-{version}.png")
    if stop.name == "recovery-codes":
        _restyle(page, PAPER, dark=True)
        page.emulate_media(media="print")
        page.evaluate("document.body.style.padding = '3rem'")  # what a printer leaves free
        save(page.screenshot(full_page=True), PICTURES / ON_PAPER)
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
    return f'<a href="screenshots/{name}"><img src="screenshots/{name}" width="{width}" alt="{name}"></a>'


def _table(rows: list[tuple[str, str]]) -> Iterator[str]:
    for part, group in groupby(rows, key=lambda row: row[0]):
        yield f"\n## {part}\n\n| page | light | dark | phone |\n|---|---|---|---|\n"
        yield from (row for _, row in group)
    yield f"\n## On paper\n\nWhat *Print* makes of the recovery codes.\n\n{_picture(ON_PAPER, 350)}\n"


if __name__ == "__main__":
    main()
