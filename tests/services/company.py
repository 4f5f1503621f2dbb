"""The part of the tour where people sign in at a real Keycloak: pages that differ, and what can go wrong.

Time cannot be fixed here: Keycloak's tokens carry its own. Called by tour.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser

from davserver.clock import Clock
from tests.services.browser import visit
from tests.services.guest import Guest, Stop
from tests.services.keycloak import CLIENT, PASSWORD, Keycloak, Realm, silent_port
from tests.services.site import ServedSite, serve

HOST = "company.example.org"
SLOW_HOST = "slow.example.org"
"""A site whose clock is behind."""

SLOW_BY = timedelta(minutes=5)


@dataclass
class Company:
    """Sites that leave signing in to a Keycloak: as it should be, and each wrong in another way.

    Attributes:
        site: as it should be.
        down: whose Keycloak does not answer.
        unknown: which names a realm that is not there.
        slow: whose clock is behind.
    """

    realm: Realm
    clock: Clock
    site: ServedSite
    down: ServedSite
    unknown: ServedSite
    slow: ServedSite

    @property
    def sites(self) -> tuple[ServedSite, ...]:
        """All of them."""
        return (self.site, self.down, self.unknown, self.slow)

    def stops(self, browser: Browser) -> Iterator[Stop]:
        """Walk; see `Tour.stops`."""
        with visit(browser, self.site.url) as visitor:
            yield from _administrator(Guest(self.site, visitor, self.clock), self._disable_eve)
        for name, stop, status in (("sven", "sso-no-role", 403), ("bob", "sso-name-taken", 409)):
            with visit(browser, self.site.url) as visitor:
                yield _sign_in(Guest(self.site, visitor, self.clock), name).at(stop, status)
        with visit(browser, self.site.url) as visitor:
            yield from self._turns_back(Guest(self.site, visitor, self.clock))
        for site, stop, status in ((self.down, "sso-down", 503), (self.unknown, "sso-unknown", 500)):
            with visit(browser, site.url) as visitor:
                guest = Guest(site, visitor, self.clock)
                yield guest.open("/sign-in").press("Sign in with Keycloak").at(stop, status)
        with visit(browser, self.slow.url) as visitor:
            yield _sign_in(Guest(self.slow, visitor, self.clock), "ada").at("sso-clock", 500)

    def _disable_eve(self) -> None:
        """Somebody with an account here leaves, and is asked about."""
        subject = self.realm.add_user("eve")
        self.site.services.accounts.create("eve", subject, 5 * 2**30)
        self.realm.set_enabled(subject, enabled=False)
        self.site.services.gate.welcome(subject)

    def _turns_back(self, guest: Guest) -> Iterator[Stop]:
        """Somebody does not consent, and then loads the address of the answer again."""
        self.realm.change_client(consentRequired=True)
        try:
            yield _sign_in(guest, "ada").press("No").at("sso-turned-back", 403)
        finally:
            self.realm.change_client(consentRequired=False)
        yield guest.open("/oidc/callback").at("sso-over", 403)


@contextmanager
def found(folder: Path, keycloak: Keycloak, clock: Clock) -> Iterator[Company]:
    """A realm with three people, and the sites."""
    realm = keycloak.make_realm(f"tour-{secrets.token_hex(4)}", f"https://{HOST}")
    with ExitStack() as stack:
        stack.callback(realm.remove)
        realm.change_client(redirectUris=[f"https://{host}/oidc/callback" for host in (HOST, SLOW_HOST)])
        realm.add_user("ada", admin=True)
        realm.add_user("bob")
        realm.add_stranger("sven")

        def open_site(host: str, issuer: str, clock: Clock = clock) -> ServedSite:
            identity = {
                "provider": "keycloak",
                "issuer": issuer,
                "client_id": CLIENT,
                "client_secret": realm.secret(),
            }
            return stack.enter_context(serve(folder / host, host, clock, identity=identity))

        silent = stack.enter_context(silent_port())
        company = Company(
            realm,
            clock,
            site=open_site(HOST, realm.issuer),
            down=open_site("down.example.org", f"http://127.0.0.1:{silent}/realms/{realm.name}"),
            unknown=open_site("unknown.example.org", f"{realm.issuer}-of-old"),
            slow=open_site(SLOW_HOST, realm.issuer, lambda: clock() - SLOW_BY),
        )
        company.site.services.accounts.create("bob")  # long before there was a Keycloak
        yield company


def _sign_in(guest: Guest, name: str) -> Guest:
    """By the button, and by Keycloak's own form."""
    guest.open("/sign-in").press("Sign in with Keycloak")
    return guest.fill({"Username or email": name, "Password": PASSWORD}).press("Sign In")


def _administrator(ada: Guest, disable_eve: Callable[[], None]) -> Iterator[Stop]:
    """The pages that differ from those with built-in accounts."""
    yield ada.open("/").at("sso-home")
    yield ada.open("/privacy").at("sso-privacy")
    yield ada.open("/sign-in").at("sso-sign-in")
    _sign_in(ada, "ada").note_secret().type_code(ada.code(), "Activate")
    yield ada.open("/security").at("sso-security")
    yield ada.open("/oidc/confirm").at("sso-confirm")
    disable_eve()
    yield ada.open("/people").at("sso-people")
    yield ada.open("/people/account/ada").at("sso-account")
    yield ada.open("/people/account/eve").at("sso-account-disabled")
    yield ada.open("/people/account/eve/quota").at("sso-quota")
    yield ada.open("/people/account/eve/resume").press("Resume").at("sso-resume-refused", 403)
    yield ada.open("/sign-out").at("sso-sign-out")
    ada.press("Sign out")
    assert ada.page.url == f"{ada.site.url}/", ada.page.url
