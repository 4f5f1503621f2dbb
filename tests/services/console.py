"""The client made by hand in the console of a real Keycloak 26.7, click by click, as the README tells people.

Nothing here uses Keycloak's API: what cannot be clicked cannot be described. Called by screenshots.py, which
has each step photographed, and by tests/e2e/test_console.py, which signs in with what comes out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from tests.services.keycloak import Keycloak

SIZE = (1300, 900)
"""A window that is wide enough for the menu at the side."""

PATIENCE_MILLISECONDS = 60_000
"""How long the console may take to say that something is done, on a busy machine."""

CLIENT = "sealdav"
QUOTA = "dav_quota_bytes"

Picture = Callable[[str, Locator], None]
"""Takes a picture of a part of the page, by name."""


class Console:
    """An administrator who has the console of a realm open.

    Args:
        page: an empty one, of `SIZE`.
        realm: its name; it is there, with people in it.
        site: address of the Sealdav, without a slash at the end.
        picture: called at each step.
    """

    def __init__(self, page: Page, keycloak: Keycloak, realm: str, site: str, picture: Picture) -> None:
        self._page = page
        self._keycloak = keycloak
        self._home = f"{keycloak.url}/admin/master/console/#/{realm}"
        self._site = site
        self._picture = picture

    def make(self, person: str) -> dict[str, Any]:
        """Everything that Sealdav needs, and `person` let in; returns the file that the console gives."""
        self._sign_in()
        self._add_roles()
        self._add_client()
        self._set_logout()
        self._let_look_up_people()
        found = self._download()
        self._let_in(person)
        self._add_quota_attribute()
        self._add_quota_mapper()
        return found

    # ── steps
    def _sign_in(self) -> None:
        """Come in as the administrator."""
        self._page.goto(f"{self._home}/roles")
        self._fill("Username or email", self._keycloak.admin)
        self._fill("Password", self._keycloak.password)
        self._press("Sign In")

    def _add_roles(self) -> None:
        """Realm roles, Create role: twice."""
        for name, words in (("dav-admin", "Administers Sealdav"), ("dav-user", "May use Sealdav")):
            self._page.goto(f"{self._home}/roles")
            self._follow("Create role")
            self._fill("Role name", name)
            self._fill("Description", words)
            if name == "dav-user":
                self._take("role")
            self._press("Save")
            self._said("Role created")

    def _add_client(self) -> None:
        """Clients, Create client: three pages."""
        self._page.goto(f"{self._home}/clients")
        self._follow("Create client")
        self._fill("Client ID", CLIENT)
        self._press("Next")
        self._turn("Client authentication")
        self._page.get_by_label("Service account roles", exact=True).check()
        self._turn("Require PKCE")
        self._take("capabilities")
        self._press("Next")
        self._fill("Valid redirect URIs", f"{self._site}/oidc/callback")
        self._fill("Valid post logout redirect URIs", f"{self._site}/")
        self._take("addresses")
        self._press("Save")
        self._said("Client created")

    def _set_logout(self) -> None:
        """At the end of the client's settings; one switch makes room for what is wanted."""
        self._turn("Front channel logout")
        self._fill("Backchannel logout URL", f"{self._site}/oidc/backchannel-logout")
        self._picture("logout", self._section("Logout settings"))
        self._press("Save")
        self._said("Client successfully updated")

    def _let_look_up_people(self) -> None:
        """The client's service account gets a role of the realm's own client."""
        self._tab("Service account roles")
        self._assign("Client roles", "view-users", "view-users")
        self._said("Role mapping updated")

    def _download(self) -> dict[str, Any]:
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

    def _let_in(self, person: str) -> None:
        """Users, the person, Role mapping."""
        self._page.goto(f"{self._home}/users")
        self._follow(person)
        self._tab("Role mapping")
        self._assign("Realm roles", "dav-user", "person")
        self._said("User role mapping successfully updated")

    def _add_quota_attribute(self) -> None:
        """An attribute of people that only administrators see and change."""
        self._page.goto(f"{self._home}/realm-settings/user-profile")
        self._follow("Create attribute")
        self._fill(r"Attribute \[Name\]", QUOTA)
        for right in ("admin-edit", "admin-view"):
            self._page.get_by_test_id(right).check()
        self._picture("quota-attribute", self._section("Permission"))
        self._press("Create")
        self._said("User Profile configuration has been saved")

    def _add_quota_mapper(self) -> None:
        """Its way into the ID token."""
        page = self._page
        page.goto(f"{self._home}/clients")
        self._follow(CLIENT)
        self._tab("Client scopes")
        self._follow(f"{CLIENT}-dedicated")
        self._press("Configure a new mapper")
        page.get_by_role("dialog").get_by_text("User Attribute", exact=True).click()
        self._fill("Name", "quota")
        page.get_by_placeholder("Type a key").locator("xpath=../../..").get_by_role("button").first.click()
        page.get_by_role("option", name=QUOTA).click()
        self._fill("Token Claim Name", QUOTA)
        self._press("Claim JSON Type")
        page.get_by_role("option", name="long").click()
        self._take("quota-mapper")
        self._press("Save")
        self._said("Mapping successfully created")

    # ── hands
    def _take(self, name: str) -> None:
        self._picture(name, self._page.get_by_role("main"))

    def _section(self, heading: str) -> Locator:
        """A part of a long page: the innermost element that has the heading in it."""
        title = self._page.get_by_role("heading", name=heading, exact=True)
        return self._page.locator("section").filter(has=title).last

    def _fill(self, label: str, text: str) -> None:
        """Type into a field; `label` is a pattern, and a star behind it says that nobody may leave it out."""
        self._page.get_by_label(re.compile(rf"^\s*{label}(\s*\*)?\s*$")).fill(text)

    def _press(self, button: str) -> None:
        self._page.get_by_role("button", name=button, exact=True).click()

    def _follow(self, link: str) -> None:
        self._page.get_by_role("link", name=link, exact=True).click()

    def _tab(self, name: str) -> None:
        self._page.get_by_role("tab", name=name, exact=True).click()

    def _turn(self, switch: str) -> None:
        """Turn a switch to the other side; it lies below its own picture, which takes the click."""
        self._page.get_by_label(switch, exact=True).locator("xpath=..").click()

    def _assign(self, kind: str, role: str, picture: str) -> None:
        """Choose a role in the dialogue that has many."""
        self._press("Assign role")
        self._page.get_by_role("menuitem", name=kind).click()
        dialogue = self._page.get_by_role("dialog")
        search = dialogue.get_by_role("textbox")
        search.fill(role)
        search.press("Enter")
        dialogue.get_by_role("row").filter(has_text=role).get_by_role("checkbox").check()
        self._picture(picture, dialogue)
        dialogue.get_by_role("button", name="Assign").click()

    def _said(self, words: str) -> None:
        """Wait until it says so, and send the words away, which hide what is below."""
        told = self._page.get_by_role("listitem").filter(has_text=words)
        told.get_by_role("button").click(timeout=PATIENCE_MILLISECONDS)
        told.wait_for(state="detached")
