"""A whole site on a store of its own, a clock that stands still, and browsers without windows."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from davserver.bootstrap import Services, build_services
from davserver.identity import local
from davserver.identity.base import Registry
from davserver.settings import load_settings
from enroll_web.app import create_app
from enroll_web.catalogues import Catalogue
from tests.factories import make_code
from tests.fakes import FrozenClock

PASSWORD = "a password of a test account"
ORIGIN = "https://drive.example"

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')
_SECRET = re.compile(r'id="secret">([A-Z2-7 ]+)<')
_SHOWN = re.compile(r'id="app-password">([^<]+)<')
_LINK = re.compile(r'id="link">[^<]*/set-up/([^<]+)<')
_CODES = re.compile(r"<li><code>([0-9a-z-]+)</code></li>")


@dataclass
class Browser:
    """One browser of one person.

    Attributes:
        secret: what the person's authenticator app holds.
        codes: recovery codes that were shown.
        app_password: the last one that was shown.
    """

    client: FlaskClient
    clock: FrozenClock
    origin: str = ORIGIN
    secret: str = ""
    codes: list[str] = field(default_factory=list)
    app_password: str = ""

    def get(self, path: str, *, follow: bool = True, **arguments: object) -> TestResponse:
        """Load a page."""
        response = self.client.get(path, base_url=self.origin, follow_redirects=follow, **arguments)
        self._note(response)
        return response

    def post(
        self,
        path: str,
        data: Mapping[str, str] | None = None,
        *,
        page: str | None = None,
        follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """Load `page` (the form's own path unless told otherwise) and send its form, as a browser does."""
        token = form_token(self.client.get(page or path, base_url=self.origin).text)
        return self.send(path, {"csrf": token, **(data or {})}, follow=follow, headers=headers)

    def send(
        self,
        path: str,
        data: Mapping[str, str],
        *,
        follow: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """Send a form as it is."""
        fields = {"Sec-Fetch-Site": "same-origin", "Origin": "null"} if headers is None else dict(headers)
        response = self.client.post(
            path, data=dict(data), base_url=self.origin, follow_redirects=follow, headers=fields
        )
        self._note(response)
        return response

    def code(self, *, steps: int = 0) -> str:
        """What the authenticator app shows; time moves on first, since a code is good once."""
        self.clock.advance(seconds=30)
        return make_code(self.secret, self.clock, steps=steps)

    # ── ways through the site
    def sign_in(self, name: str = "alice", password: str = PASSWORD) -> TestResponse:
        """The first factor."""
        return self.post("/sign-in", {"name": name, "password": password})

    def prove(self) -> TestResponse:
        """The second factor."""
        return self.post("/second-factor", {"code": self.code()})

    def confirm(self) -> None:
        """A fresh code, so that credentials may be issued."""
        assert self.post("/confirm", {"code": self.code()}).status_code == 200

    def set_up(self) -> TestResponse:
        """Scan the picture and type the first code: the welcome page."""
        self.get("/second-factor/set-up")
        return self.post("/second-factor/set-up", {"code": self.code()})

    def accept(self, token: str, name: str = "") -> TestResponse:
        """Open a link and choose a password."""
        return self.post(f"/set-up/{token}", {"name": name, "new": PASSWORD, "again": PASSWORD})

    @property
    def cookie(self) -> str:
        """What the browser holds."""
        found = self.client.get_cookie("__Host-sealdav", domain="drive.example")
        return "" if found is None else found.value

    def _note(self, response: TestResponse) -> None:
        if response.mimetype != "text/html":
            return
        if found := _SECRET.search(response.text):
            self.secret = found[1].replace(" ", "")
        if found := _SHOWN.search(response.text):
            self.app_password = found[1]
        self.codes = _CODES.findall(response.text) or self.codes


@dataclass
class Site:
    """The site and what is behind it."""

    app: Flask
    services: Services
    clock: FrozenClock

    def browser(self) -> Browser:
        """A new one, without a cookie."""
        return Browser(self.app.test_client(), self.clock)

    def opens(self, name: str, app_password: str) -> bool:
        """Whether the app password opens this person's drive."""
        principal = self.services.authenticator.authenticate(name, app_password, "192.0.2.1")
        return principal.account.username == name

    def first(self) -> Browser:
        """The first administrator, alice, as far as the welcome page."""
        browser = self.browser()
        token = self.services.invitations.first()
        assert token is not None
        browser.accept(token, "alice")
        browser.set_up()
        return browser

    def invited(self, name: str) -> Browser:
        """Somebody else, as far as the welcome page."""
        browser = self.browser()
        browser.accept(self.services.invitations.invite(name))
        browser.set_up()
        return browser


def form_token(page: str) -> str:
    """The proof in the first form of a page."""
    found = _CSRF.search(page)
    assert found is not None, page
    return html.unescape(found[1])


def link_token(page: str) -> str:
    """What is behind `/set-up/` in the link on a page."""
    found = _LINK.search(page)
    assert found is not None, page
    return found[1]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A new installation with nobody in it; hashing a password takes no time."""
    monkeypatch.setattr(local, "TIME_COST", 1)
    monkeypatch.setattr(local, "MEMORY_KIB", 8 * local.LANES)
    yield from made_site(tmp_path)


def made_site(
    folder: Path,
    registry: Registry | None = None,
    catalogues: Mapping[str, Catalogue] | None = None,
    said: Callable[[str], str] = str,
    **sections: Mapping[str, object],
) -> Iterator[Site]:
    """A site on a store in `folder`, with settings that differ from the usual ones."""
    flags: dict[str, Mapping[str, object]] = {
        "storage": {"data_dir": str(folder / "data"), "durability": "relaxed"},
        "keys": {"master_key_file": str(folder / "keys" / "master.key")},
        **sections,
    }
    clock = FrozenClock()
    settings = load_settings(flags=flags)
    with closing(build_services(settings, clock=clock, registry=registry, said=said)) as services:
        app = create_app(services, catalogues)
        app.logger.disabled = True
        yield Site(app, services, clock)


@pytest.fixture
def alice(site: Site) -> Browser:
    """The first administrator, who has just seen the welcome page."""
    return site.first()
