"""What happens when time passes between two clicks, with people who sign in at a real Keycloak (T46).

The server runs in this process, with a clock that is moved. Keycloak's is not: the server is told to bear
that they are minutes apart.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from davserver.clock import utc_now
from davserver.db.schema import confirmation
from enroll_web.visit import HTTP_COOKIE
from tests.e2e.conftest import Arrive
from tests.e2e.site import (
    Person,
    Phone,
    at,
    at_keycloak,
    enter_by_keycloak,
    fill,
    follow,
    go_on,
    press,
    send_code,
    set_up,
    told,
)
from tests.services.keycloak import CLIENT, PASSWORD, Keycloak, Realm
from tests.services.site import ServedSite, serve

pytestmark = pytest.mark.e2e

FRESH_MINUTES, IDLE_MINUTES, SKEW_SECONDS = 1, 2, 300
"""Short, so that all of it happens while the clocks are apart by no more than they may."""

STALE = timedelta(minutes=FRESH_MINUTES, seconds=10)
SILENT = timedelta(minutes=IDLE_MINUTES, seconds=10)


class MovedClock:
    """The time of this machine, and what was added to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        """What the clock says."""
        return utc_now() + self.ahead


@pytest.fixture
def clock() -> MovedClock:
    """The server's clock, and that of the phone."""
    return MovedClock()


@pytest.fixture
def realm(keycloak: Keycloak) -> Iterator[Realm]:
    """A realm of the example; `site` tells it where the site is."""
    made = keycloak.make_realm(f"sealdav-{secrets.token_hex(4)}", "http://127.0.0.1:9")
    yield made
    made.remove()


@pytest.fixture
def served(realm: Realm, clock: MovedClock, tmp_path: Path) -> Iterator[ServedSite]:
    """A site that believes this clock."""
    identity = {
        "provider": "keycloak",
        "issuer": realm.issuer,
        "client_id": CLIENT,
        "client_secret": realm.secret(),
        "clock_skew_seconds": SKEW_SECONDS,
    }
    with serve(
        tmp_path / "site",
        "127.0.0.1",
        clock,
        identity=identity,
        login={"totp_fresh_minutes": FRESH_MINUTES},
        server={"public_url": ""},
        site={"idle_minutes": IDLE_MINUTES},
    ) as served:
        realm.serve(f"http://127.0.0.1:{served.plain_port}")
        yield served


@pytest.fixture
def site(served: ServedSite) -> str:
    """Its address."""
    return f"http://127.0.0.1:{served.plain_port}"


@pytest.fixture
def known_hosts(site: str, realm: Realm) -> set[str]:
    """The site, and Keycloak with its own pages."""
    return {urlsplit(url).netloc for url in (site, realm.issuer)}


@pytest.fixture
def alice(arrive: Arrive, realm: Realm, clock: MovedClock) -> Person:
    """Somebody who signs in for the first time, before the picture."""
    name = f"p{secrets.token_hex(6)}"
    realm.add_user(name)
    person = Person(name, arrive().page, Phone(lambda: clock().timestamp()))
    enter_by_keycloak(person.page, name)
    at(person.page, "Set up your authenticator")
    return person


def test_a_code_gets_old(alice: Person, clock: MovedClock) -> None:
    """What makes a new device asks for a code once more, and goes on where it was asked for."""
    page = go_on(set_up(alice)).page
    clock.ahead += STALE
    follow(page, "App passwords")
    follow(page, "New app password")
    at(page, "Confirm it is you")
    send_code(page, alice.phone.code())
    at(page, "New app password")
    fill(page, label="Laptop")
    press(page, "Make app password")
    at(page, "Your new app password")


def test_a_silent_browser(alice: Person, clock: MovedClock) -> None:
    """A session that was silent is over here, not at Keycloak: a code is enough, and leads on."""
    page = go_on(set_up(alice)).page
    clock.ahead += SILENT
    follow(page, "Security")
    at(page, "Sign in")
    press(page, "Sign in with Keycloak")
    at(page, "Your one-time code")
    send_code(page, alice.phone.code())
    at(page, "Security")


def test_an_authenticator_needs_a_fresh_sign_in(alice: Person, clock: MovedClock, served: ServedSite) -> None:
    """Whoever has been signed in at Keycloak for long types the password there again before the first one."""
    page = alice.page
    page.context.clear_cookies(name=HTTP_COOKIE)
    clock.ahead += STALE
    enter_by_keycloak(page)
    at(page, "Sign in")
    expect(told(page)).to_contain_text("Please sign in once more")
    clock.ahead -= STALE  # as if Keycloak's clock had come along
    with served.services.database.engine.begin() as connection:  # what it said in the future is no word
        connection.execute(sa.delete(confirmation))
    press(page, "Sign in with Keycloak")
    at_keycloak(page)
    fill(page, password=PASSWORD)
    press(page, "Sign In")
    go_on(set_up(alice))
