"""Makes the client by hand, click by click, in the admin console of a real Keycloak 26.7, as the README tells people.

Nothing here uses Keycloak's API: what cannot be clicked cannot be described. Called by screenshots.py, which has
each step photographed, and by tests/e2e/test_console.py, which signs in with what comes out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from tests.services.keycloak import Keycloak

CLIENT = "sealdav"
QUOTA = "dav_quota_bytes"

Picture = Callable[[str, Locator], None]
"""Takes a picture of a part of the page, by name."""


class Console:
    """An administrator who has the console of a realm open.

    Args:
        page: an empty one, wide enough for the menu at the side.
        realm: its name; it is there, and empty.
        site: address of the Sealdav, without a slash at the end.
        picture: called at each step.
    """

    def __init__(self, page: Page, keycloak: Keycloak, realm: str, site: str, picture: Picture) -> None:
        self._page = page
        self._keycloak = keycloak
        self._home = f"{keycloak.url}/admin/master/console/#/{realm}"
        self._site = site
        self._picture = picture

    def sign_in(self) -> None:
        """Come in as the administrator."""
        self._page.goto(f"{self._home}/roles")
        self._fill("Username or email", self._keycloak.admin)
        self._fill("Password", self._keycloak.password)
        self._press("Sign In")

    def add_roles(self) -> None:
        """Realm roles, Create role: twice."""
        for name, words in (("dav-user", "May use Sealdav"), ("dav-admin", "Administers Sealdav")):
            self._page.goto(f"{self._home}/roles")
            self._page.get_by_role("link", name="Create role").click()
            self._fill("Role name", name)
            self._fill("Description", words)
            if name == "dav-user":
                self._take("role")
            self._press("Save")
            self._said("Role created")

    def add_client(self) -> None:
        """Clients, Create client: three pages."""
        page = self._page
        page.goto(f"{self._home}/clients")
        page.get_by_role("link", name="Create client").click()
        self._fill("Client ID", CLIENT)
        self._press("Next")
        self._turn("Client authentication")
        self._tick("Service account roles")
        self._turn("Require PKCE")
        self._take("capabilities")
        self._press("Next")
        self._fill("Valid redirect URIs", f"{self._site}/oidc/callback")
        self._fill("Valid post logout redirect URIs", f"{self._site}/")
        self._take("addresses")
        self._press("Save")
        self._said("Client created")

    def set_logout(self) -> None:
        """The client's settings, at the end of the page."""
        self._turn("Front channel logout")
        self._fill("Backchannel logout URL", f"{self._site}/oidc/backchannel-logout")
        self._take("logout")
        self._press("Save")
        self._said("Client successfully updated")

    def let_look_up_people(self) -> None:
        """The client's service account gets a role of the realm's own client."""
        self._tab("Service account roles")
        self._press("Assign role")
        self._page.get_by_role("menuitem", name="Client roles").click()
        self._choose("view-users", "view-users")

    def add_quota(self) -> None:
        """An attribute of people that only administrators change, and its way into the ID token."""
        page = self._page
        page.goto(f"{self._home}/realm-settings/user-profile")
        page.get_by_role("link", name="Create attribute").click()
        page.wait_for_timeout(1500)

    def add_mapper(self) -> None:
        page = self._page
        page.goto(f"{self._home}/clients")
        page.get_by_role("link", name=CLIENT, exact=True).click()
        self._tab("Client scopes")
        page.get_by_role("link", name=f"{CLIENT}-dedicated").click()
        self._press("Configure a new mapper")
        page.get_by_role("dialog").get_by_text("User Attribute", exact=True).click()
        page.wait_for_timeout(1500)

    def download(self) -> dict[str, Any]:
        """The client's Action menu: the file that Sealdav reads."""
        self._press("Action")
        self._page.get_by_role("menuitem", name="Download adapter config").click()
        dialogue = self._page.get_by_role("dialog")
        dialogue.get_by_text("auth-server-url").first.wait_for()
        self._picture("download", dialogue)
        with self._page.expect_download() as coming:
            dialogue.get_by_role("button", name="Download").click()
        found: dict[str, Any] = json.loads(Path(coming.value.path()).read_text(encoding="utf-8"))
        return found

    def let_in(self, person: str) -> None:
        """Users, the person, Role mapping."""
        self._page.goto(f"{self._home}/users")
        self._page.get_by_role("link", name=person).click()
        self._tab("Role mapping")
        self._press("Assign role")
        self._page.get_by_role("menuitem", name="Realm roles").click()
        self._choose("dav-user", "person")

    def _choose(self, role: str, picture: str) -> None:
        """In the dialogue with many roles."""
        dialogue = self._page.get_by_role("dialog")
        dialogue.get_by_role("textbox").fill(role)
        dialogue.get_by_role("textbox").press("Enter")
        dialogue.get_by_role("row").filter(has_text=role).get_by_role("checkbox").check()
        self._picture(picture, dialogue)
        dialogue.get_by_role("button", name="Assign").click()

    def _tab(self, name: str) -> None:
        self._page.get_by_role("tab", name=name, exact=True).click()

    def _take(self, name: str) -> None:
        self._picture(name, self._page.get_by_role("main"))

    def _fill(self, label: str, text: str) -> None:
        """Type into a field, also if a star says that it has to be filled in."""
        self._page.get_by_label(re.compile(rf"^\s*{label}(\s*\*)?\s*$")).fill(text)

    def _press(self, button: str) -> None:
        self._page.get_by_role("button", name=button, exact=True).click()

    def _turn(self, switch: str) -> None:
        """Turn a switch to the other side; what can be clicked of it is its picture."""
        self._page.get_by_label(switch, exact=True).locator("xpath=..").click()

    def _tick(self, box: str) -> None:
        self._page.get_by_label(box, exact=True).check()

    def _said(self, words: str) -> None:
        """Wait until it says so, and send the words away, which hide what is below."""
        told = self._page.get_by_role("listitem").filter(has_text=words)
        told.get_by_role("button").click()
        told.wait_for(state="detached")
