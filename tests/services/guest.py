"""Somebody at a browser who walks through the site as people do: by addresses, labels and buttons.

guest = Guest(site, visitor, clock)
guest.open("/sign-in").fill({"User name": "alice", "Password": PASSWORD}).press("Sign in")
yield guest.at("one-time-code")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import pyotp
from playwright.sync_api import Page

from davserver.clock import Clock
from tests.services.browser import Visitor
from tests.services.site import ServedSite

PASSWORD = "correct horse battery"
"""What everybody's password is."""


@dataclass(frozen=True)
class Stop:
    """A page that somebody looks at.

    Attributes:
        name: what its pictures are called.
        visitor: the browser that shows it.
        status: what it was answered with.
        part: of the tour, as a heading.
        is_pictured: whether there are pictures of it; of pages that are all alike some are enough.
    """

    name: str
    visitor: Visitor
    status: int
    part: str = ""
    is_pictured: bool = True


class Guest:
    """One person at one browser of a site.

    Attributes:
        secret: what the person's authenticator app holds.
        codes: recovery codes that were shown.
    """

    def __init__(self, site: ServedSite, visitor: Visitor, clock: Clock) -> None:
        self.site = site
        self.visitor = visitor
        self.secret = ""
        self.codes: list[str] = []
        self._clock = clock

    @property
    def page(self) -> Page:
        """What the browser shows."""
        return self.visitor.page

    def at(self, name: str, status: int = 200) -> Stop:
        """Look at the page; it must have been answered with `status`."""
        pages = [one for one in self.visitor.answers if one.request.is_navigation_request()]
        assert pages[-1].status == status, f"{name}: {pages[-1].status} from {self.page.url}"
        return Stop(name, self.visitor, status)

    def open(self, path: str) -> Self:
        """Go to an address."""
        self.page.goto(path)
        return self

    def fill(self, fields: dict[str, str]) -> Self:
        """Type into fields, by label."""
        for label, text in fields.items():
            self.page.get_by_label(label, exact=True).fill(text)
        return self

    def press(self, button: str) -> Self:
        """Press a button that sends a form, and wait for the next page."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=button, exact=True).click()
        return self

    def follow(self, link: str) -> Self:
        """Follow a link."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=link).click()
        return self

    def type_code(self, text: str, button: str) -> Self:
        """Type a one-time code and send it."""
        return self.fill({"Six digits from your authenticator app": text}).press(button)

    def code(self, *, steps: int = 0) -> str:
        """What the authenticator app shows, `steps` times 30 seconds from now."""
        return pyotp.TOTP(self.secret).at(self._clock(), counter_offset=steps)

    def note_secret(self) -> Self:
        """Take the secret off the page, as an authenticator app does."""
        self.secret = (self.page.locator("#secret").text_content() or "").replace(" ", "")
        return self

    def note_codes(self) -> Self:
        """Write the recovery codes down."""
        self.codes = self.page.locator("#recovery-codes code").all_text_contents()
        return self

    def accept(self, token: str, fields: dict[str, str]) -> Self:
        """Open a link and choose a password."""
        passwords = {"Password": PASSWORD, "The same once more": PASSWORD}
        return self.open(f"/set-up/{token}").fill({**fields, **passwords}).press("Continue")
