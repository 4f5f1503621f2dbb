"""What the README tells administrators to click in Keycloak's console is enough for people to sign in."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from davserver.identity.base import Provider
from davserver.identity.directory import KeycloakDirectory
from davserver.settings import load_settings
from tests.e2e.drive import Drive, Rclone
from tests.e2e.site import Person, at, enter_by_keycloak, go_on, set_up
from tests.services.browser import visit
from tests.services.console import QUOTA, SIZE, Console
from tests.services.keycloak import Keycloak, Realm

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@pytest.fixture
def realm(keycloak: Keycloak) -> Iterator[Realm]:
    """A realm as companies have one: people, and nothing that Sealdav needs."""
    name = f"company-{secrets.token_hex(4)}"
    keycloak.call("POST", "", {"realm": name, "enabled": True})
    made = Realm(keycloak, name, keycloak.url, "")
    yield made
    made.remove()


def test_a_client_made_in_the_console(
    keycloak: Keycloak, realm: Realm, browser: Browser, tmp_path: Path
) -> None:
    """Its file as the one setting: people come in and out, with a quota; sign-outs there are heard of."""
    path = tmp_path / "keycloak.json"
    drive = Drive(tmp_path, IDENTITY__PROVIDER="keycloak", IDENTITY__KEYCLOAK_JSON=str(path))
    subject = realm.add_stranger("alice")
    with visit(browser, keycloak.url, size=SIZE) as administrator:
        console = Console(administrator.page, keycloak, realm.name, drive.site, _no_picture)
        path.write_text(json.dumps(console.make("alice")), encoding="utf-8")
    person = realm.call("GET", f"/users/{subject}")
    realm.call("PUT", f"/users/{subject}", {**person, "attributes": {QUOTA: [str(1 << 30)]}})
    with closing(drive), visit(browser, drive.site) as visitor:
        drive.start()
        page = visitor.page
        enter_by_keycloak(page, "alice")
        alice = go_on(set_up(Person("alice", page)))
        expect(page.get_by_text("0 B of 1 GiB stored.")).to_be_visible()
        Rclone(drive, alice.device)("lsf", "drive:")
        realm.log_out(subject)
        page.goto("/start")
        at(page, "Sign in")
        enter_by_keycloak(page, "alice")
        at(page, "Your one-time code")
        page.goto("/sign-out")
        page.get_by_role("button", name="Sign out").click()
        at(page, "Your files, sealed before they reach the disk")
        assert realm.sessions(subject) == []
    told = load_settings(flags={"identity": {"provider": "keycloak", "keycloak_json": str(path)}}).identity
    provider = Provider(told.issuer, told.client_id, told.client_secret.get_secret_value())
    assert KeycloakDirectory(provider).find([subject])[subject].enabled


def _no_picture(_name: str, part: Locator) -> None:
    """Nobody looks."""
    expect(part).to_be_visible()
