"""A real Chromium for tests: Debian's, headless, driven by Playwright; no other browser is ever downloaded.

with chromium() as browser, visit(browser, "http://127.0.0.1:8080") as visitor:
    visitor.page.goto("/")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from urllib.parse import urlsplit

import zxingcpp
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect, sync_playwright

from tests.services import clients

WAIT_MILLISECONDS = 20_000
DESKTOP = (1280, 800)
PHONE = (390, 844)
FIRST_PAGE_BYTES = 100_000
"""What the first pages may weigh, all in all and with an empty cache, for people with slow lines."""

AXE = "(options) => axe.run(document, options).then((found) => found.violations)"

FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # The tests run as root in a container; only our own pages are opened.
]


expect.set_options(timeout=WAIT_MILLISECONDS)  # for whoever looks at a page of ours


class Visitor:
    """One browser profile with one page; notes what that loads and complains about.

    Attributes:
        hosts: host and port of whatever was loaded from.
        complaints: errors and warnings in the console: broken rules (CSP), failed scripts.
        answers: all of them, oldest first.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.answers: list[Response] = []
        page.set_default_timeout(WAIT_MILLISECONDS)
        page.on("response", self._note)
        page.on("console", self._complain)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def bytes_loaded(self, host: str = "") -> int:
        """Heads and bodies of all answers noted so far, as they went over the wire; `host`: only its own."""
        counted = [one for one in self.answers if host in {"", urlsplit(one.url).netloc}]
        sizes = [one.request.sizes() for one in counted]
        return sum(size["responseHeadersSize"] + size["responseBodySize"] for size in sizes)

    @contextmanager
    def refused(self, status: int) -> Iterator[None]:
        """Expect an answer with an error status in the block: what the browser says of it is no complaint."""
        words = f"the server responded with a status of {status} "
        with self.page.expect_console_message(lambda message: words in message.text) as told:
            yield
        self.complaints.remove(told.value.text)

    def barriers(self, *rules: str) -> list[str]:
        """Whatever axe-core finds on the page, be it ever so small: rule and elements.

        Args:
            rules: only these are applied; none means all.
        """
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(Axe().axe_script)
        options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found = self.page.evaluate(AXE, options)
        return [f"{rule['id']}: {rule['help']}: {node['html']}" for rule in found for node in rule["nodes"]]

    def _note(self, answer: Response) -> None:
        self.hosts.add(urlsplit(answer.url).netloc)
        self.answers.append(answer)

    def _complain(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Start the browser, with further `flags`; skips (fails when CI=true) where it is not installed."""
    program = clients.require("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(
    browser: Browser, site: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False, scripts: bool = True
) -> Iterator[Visitor]:
    """Open an empty page of a new profile; addresses are relative to `site`."""
    context = browser.new_context(
        base_url=site,
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
        locale="en-GB",
        timezone_id="Europe/Berlin",
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site)
    try:
        yield Visitor(context.new_page())
    finally:
        context.close()


def read_qr(picture: Locator) -> str:
    """The text of the QR code that an element shows, read off its picture as a phone's camera does."""
    with Image.open(BytesIO(picture.screenshot())) as image:
        codes = zxingcpp.read_barcodes(image)
    assert len(codes) == 1, f"{len(codes)} codes in the picture"
    return codes[0].text
