"""Every page of the site in a real browser: light and dark, on a desk and on a phone, for everybody.

The pages are those of tests/services/tour.py; what each must be is in the functions below. Real people with a
keyboard, a screen reader or a magnifying glass are what the numbers stand for (WCAG 2.2).
"""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Page
from werkzeug.exceptions import HTTPException

from davserver.bootstrap import build_services
from davserver.settings import load_settings
from enroll_web.app import create_app
from tests.services.browser import DESKTOP, PHONE, chromium, visit
from tests.services.guest import Stop
from tests.services.screenshots import ON_PAPER, PICTURES, VERSIONS, listed
from tests.services.tour import GERMAN, WALKS, begin

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NARROWEST = (320, 640)
"""CSS pixels; nothing may have to be scrolled sideways there (WCAG 2.2, 1.4.10)."""

TARGET = 24
"""Width and height of what is pressed, in CSS pixels (WCAG 2.2, 2.5.8)."""

OUTLINE = 2
"""Width in CSS pixels of the frame around what has the focus (WCAG 2.2, 2.4.7)."""

CONTRAST = "color-contrast"
"""The rule of axe-core that may judge the same page in another way in the dark; no other looks at colours."""

OWN_CONTROLS = 10
"""What a browser itself puts into a player, at most: each takes a press of Tab."""

NO_PAGES = frozenset(
    {"static", "connect.health_of", "uploads.state", "uploads.unfinished"}
    | {"files_sending.download", "files_sending.preview"}
    | {"trash.download", "trash.preview", "versions.download", "versions.preview"}
)
"""Endpoints that answer with a file, or to a script."""

PRINTED = frozenset({"welcome", "recovery-codes"})
"""Pages with a button to print."""

OF_THE_BROWSER = "The Cross-Origin-Opener-Policy header has been ignored"
"""What Chromium says of every page that comes over plain http; one page tells people to leave such a line."""

CONTROLS = """() => {
  const whole = document.querySelector("dialog:modal") ?? document;
  const all = [...whole.querySelectorAll("a[href], button, input, select, summary, [tabindex]")];
  const shown = all.filter((one) => one.checkVisibility() && one.type !== "hidden");
  window.controls = shown.filter((one) => one.type !== "radio" || one.checked);
  return window.controls.length;
}"""
"""Whatever can be used on the page, or in the question in front of it; one of a group of radio buttons is
reached, the others by arrow keys."""

FOCUS = """() => {
  window.reached = {};
  document.activeElement.blur();
  document.addEventListener("focusin", ({ target }) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    window.reached[window.controls.indexOf(target)] = outlineStyle === "none" ? 0 : parseFloat(outlineWidth);
  });
}"""
"""From then on it is noted which of them has had the focus, and how wide its frame was."""

SMALL = """(least) => window.controls
  .filter((one) => getComputedStyle(one).display !== "inline" || one.closest("p, li, dd, td") === null)
  .map((one) => one.labels?.[0]?.classList.contains("choice") ? one.labels[0] : one)
  .filter((one) => {
    const { width, height } = one.getBoundingClientRect();
    return one.checkVisibility() && (width < least || height < least) && !one.classList.contains("skip");
  })
  .map((one) => one.outerHTML.slice(0, 120))
"""
"""Those that are too small to be hit; links inside of a sentence may be."""

LOOKS = "(one) => `${getComputedStyle(one).color}, ${one.getClientRects().length} line`"

WRONG = """<!doctype html><html lang="en"><title>Wrong</title><style>:focus { outline: 2px solid }</style>
<main><h1>Wrong</h1></main>
<table><tr><th></th><td><button>Right</button></td></tr></table>
<p>Outside <button tabindex="-1">Not reached</button><button style="outline: 0">Not seen</button></p>
"""
"""A page with an empty head of a column, things outside of its main part, two buttons not for a keyboard."""

MEANING = """() => {
  const count = (kind) => document.querySelectorAll(kind).length;
  return [document.documentElement.lang, document.title, count("h1"), count("main")];
}"""


@pytest.mark.parametrize("name", WALKS)
def test_every_page(
    name: str, tmp_path: Path, request: pytest.FixtureRequest, subtests: pytest.Subtests
) -> None:
    """No page keeps anybody out, needs a mouse, is wider than a phone, complains, or loads from elsewhere.

    The walk leads past all pages that it has to, see `test_no_page_is_forgotten`; each stop has its pictures.
    """
    seen: set[str] = set()
    stops: dict[str, list[str]] = {part: [] for part in WALKS[name].parts}
    with begin(name, tmp_path, lambda: request.getfixturevalue("keycloak")) as tour:
        app = create_app(tour.site.services)
        addresses = app.url_map.bind("")
        for stop in tour.stops():
            if stop.is_pictured:
                stops[stop.part].append(stop.name)
            with subtests.test(stop.name):
                assert problems(stop) == []
            if stop.name in PRINTED:
                with subtests.test(f"{stop.name} on paper"):
                    assert on_paper(stop.visitor.page) == []
            with suppress(HTTPException):  # addresses that are none, or not for people
                seen.add(addresses.match(urlsplit(stop.visitor.page.url).path, method="GET")[0])
            stop.visitor.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    assert {page for page in pages_of(app) if name in walks_past(page)} - seen == set()
    with subtests.test("pictures"):
        assert {part: names for part, names in listed().items() if part in stops} == stops, "make screenshots"


def test_no_page_is_forgotten(tmp_path: Path) -> None:
    """Each belongs to one walk; what a walk has to lead past is there; nothing else is among the pictures."""
    flags = {
        "storage": {"data_dir": str(tmp_path / "data")},
        "keys": {"master_key_file": str(tmp_path / "keys" / "master.key")},
    }
    with closing(build_services(load_settings(flags=flags))) as services:
        pages = pages_of(create_app(services))
    assert {page: walks for page in pages if len(walks := walks_past(page)) != 1} == {}
    for walk in WALKS.values():
        assert set(walk.pages) - pages - {page.partition(".")[0] for page in pages} == set()
    assert set(listed()) == {part for walk in WALKS.values() for part in walk.parts}, "make screenshots"
    stops = [name for names in listed().values() for name in names]
    taken = {f"{name}-{version}.png" for name in stops for version in VERSIONS} | {ON_PAPER}
    assert {one.name for one in PICTURES.iterdir()} == taken, "make screenshots"


def test_what_is_wrong_is_found() -> None:
    """Of faults that axe-core calls minor or moderate it is told, too, and of controls without a keyboard."""
    with chromium() as browser, visit(browser, "http://127.0.0.1") as visitor:
        visitor.page.set_content(WRONG)
        found = {one.partition(":")[0] for one in visitor.barriers()}
        assert found == {"empty-table-header", "region"}
        missed, unseen = keyboard(visitor.page)
        assert ">Not reached<" in missed
        assert ">Not seen<" in unseen


def pages_of(app: Flask) -> set[str]:
    """Endpoints that show a page to people."""
    found = {rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    return found - NO_PAGES


def walks_past(page: str) -> list[str]:
    """Which walks have to lead past a page: those that name it, or else those that name its blueprint."""
    blueprint = page.partition(".")[0]
    for wanted in (page, blueprint):
        if found := [name for name, walk in WALKS.items() if wanted in walk.pages]:
            return found
    return []


def problems(stop: Stop) -> list[str]:
    """Whatever is wrong with a page, in words."""
    page = stop.visitor.page
    found = [*complaints(stop), *meaning(stop), *keyboard(page)]
    for words, size, rules in (("light", DESKTOP, ()), ("dark", DESKTOP, (CONTRAST,)), ("phone", PHONE, ())):
        restyle(page, size, dark=words == "dark")
        found += [f"{words}: {barrier}" for barrier in stop.visitor.barriers(*rules)]
        found += [f"{words}: {width} pixels are too wide" for width in too_wide(page)]
        found += [f"{words}: too small: {one}" for one in page.evaluate(SMALL, TARGET)]
    restyle(page, NARROWEST, dark=False)
    return found + [f"narrow: {width} pixels are too wide" for width in too_wide(page)]


def on_paper(page: Page) -> list[str]:
    """Printed are the recovery codes, black on white, and where they belong to; no password, no link."""
    page.emulate_media(media="print", color_scheme="dark")
    text = page.locator("body").inner_text()
    codes = page.locator("#recovery-codes code").filter(visible=True)
    looks = {one.evaluate(LOOKS) for one in codes.all()}
    rest = page.locator("a, button").filter(visible=True).all_inner_texts()
    page.emulate_media(media="screen", color_scheme="light")
    found = (
        []
        if (codes.count(), looks) == (10, {"rgb(0, 0, 0), 1 line"})
        else [f"{codes.count()} codes in {looks}"]
    )
    found += (
        [] if "Sealdav at drive.example.org, user name alice" in text else ["nobody knows what they are of"]
    )
    found += ["the app password is printed"] if "ew1-" in text else []
    return found + [f"{one!r} is printed" for one in rest]


def restyle(page: Page, size: tuple[int, int], *, dark: bool) -> None:
    """Look at the same page on another screen."""
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme="dark" if dark else "light")


def complaints(stop: Stop) -> list[str]:
    """What the browser says of it, a broken Content-Security-Policy for one; and hosts that are not ours."""
    visitor = stop.visitor
    refused = f"the server responded with a status of {stop.status} "
    said = [one for one in visitor.complaints if refused not in one and not one.startswith(OF_THE_BROWSER)]
    visitor.complaints.clear()
    own = urlsplit(visitor.page.url).netloc
    loaded: list[str] = visitor.page.evaluate(
        "() => performance.getEntriesByType('resource').map((one) => one.name)"
    )
    assert loaded, "the stylesheet was not loaded"
    return said + [one for one in loaded if urlsplit(one).netloc != own]


def meaning(stop: Stop) -> list[str]:
    """What a screen reader begins with: the right language, a title, one main heading."""
    language, title, headings, mains = stop.visitor.page.evaluate(MEANING)
    assert isinstance(title, str)
    found = [] if language == ("de" if stop.name.endswith(GERMAN) else "en") else [f"language {language!r}"]
    found += [] if title.endswith(" · Sealdav") and len(title) > len(" · Sealdav") else [f"title {title!r}"]
    return found + ([] if (headings, mains) == (1, 1) else [f"{headings} main headings, {mains} main parts"])


def keyboard(page: Page) -> list[str]:
    """Tab leads to every control, in some order, and it is seen where one is."""
    count = page.evaluate(CONTROLS)
    page.evaluate(FOCUS)
    for _ in range(count + 1 + OWN_CONTROLS * page.locator("audio, video").count()):
        page.keyboard.press("Tab")
    reached = {int(at): width for at, width in page.evaluate("window.reached").items()}
    missed = [page.evaluate("(at) => controls[at].outerHTML", at) for at in range(count) if at not in reached]
    unseen = [at for at, outline in reached.items() if at >= 0 and outline < OUTLINE]
    faint = [page.evaluate("(at) => controls[at].outerHTML", at) for at in unseen]
    return [f"no Tab leads to {one}" for one in missed] + [f"focus is not seen on {one}" for one in faint]


def too_wide(page: Page) -> list[int]:
    """The width of the page, if it has to be scrolled sideways."""
    width, screen = page.evaluate(
        "() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    return [width] if width > screen else []
