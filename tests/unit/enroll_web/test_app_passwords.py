"""App passwords in the browser: what may be chosen, what is shown, and how they end."""

from __future__ import annotations

import pytest

from davserver.errors import AuthenticationError
from davserver.model import Scope
from davserver.vault.paths import VaultPath
from tests.factories import make_principal
from tests.unit.enroll_web.conftest import Browser, Site

USUAL = {"label": "Laptop", "scope": "full", "days": "365"}
NEW = "/app-passwords/new"


def test_a_new_one_works_and_is_shown_once(site: Site, alice: Browser) -> None:
    """With the commands that connect a device; loaded again the page says that it is gone."""
    page = alice.post(NEW, USUAL)
    assert page.request.path == "/app-passwords/shown"
    token = alice.app_password
    assert page.text.count(token) >= 2
    assert "https://drive.example/dav/" in page.text
    assert site.services.authenticator.authenticate("alice", token, "192.0.2.1").scopes == Scope.FULL
    again = alice.get("/app-passwords/shown")
    assert again.request.path == "/app-passwords"
    assert token not in again.text
    assert "shown once only" in again.text


def test_what_was_chosen_is_what_it_may(site: Site, alice: Browser) -> None:
    """Scope, folder, networks and days."""
    account = site.services.accounts.find("alice")
    vault = site.services.vaults.open(make_principal(account, site.clock))
    vault.make_collection(VaultPath.parse("Photos & more"))
    assert "Photos &amp; more" in alice.get(NEW).text
    form = {"label": "Tablet", "scope": "read_only", "days": "7", "folder": "/Photos & more/"}
    alice.post(NEW, {**form, "networks": "192.0.2.0/24, 2001:db8::/32"})
    (made,) = [one for one in site.services.app_passwords.list(account) if one.label == "Tablet"]
    assert made.scopes == Scope.READ_ONLY
    assert made.root_id == vault.stat(VaultPath.parse("Photos & more")).id
    assert [str(network) for network in made.networks] == ["192.0.2.0/24", "2001:db8::/32"]
    assert (made.expires_at - site.clock()).days == 7
    page = alice.get("/app-passwords").text
    for words in ("Tablet", "read only, only in /Photos &amp; more", "192.0.2.0/24, 2001:db8::/32", "never"):
        assert words in page


def test_the_folder_of_a_device_is_named_where_it_is_now(site: Site, alice: Browser) -> None:
    """Moved, deeper down, and gone."""
    account = site.services.accounts.find("alice")
    vault = site.services.vaults.open(make_principal(account, site.clock))
    for path in ("work", "work/secret"):
        vault.make_collection(VaultPath.parse(path))
    alice.post(NEW, {**USUAL, "folder": "work/secret"})
    assert "only in /work/secret" in alice.get("/app-passwords").text
    vault.move(VaultPath.parse("work"), VaultPath.parse("play"), overwrite=False)
    assert "only in /play/secret" in alice.get("/app-passwords").text
    vault.delete(VaultPath.parse("play"))
    page = alice.get("/app-passwords").text
    assert "in a folder that is gone" in page
    assert page.count("the whole drive") == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": ""}, "A label is 1 to 100"),
        ({"label": "x" * 101}, "A label is 1 to 100"),
        ({"scope": "everything"}, "Choose what the device may do"),
        ({"scope": ""}, "Choose what the device may do"),
        ({"days": "0"}, "expires in the future"),
        ({"days": "9999"}, "within 3650 days"),
        ({"days": "-1"}, "whole number"),
        ({"days": "²"}, "whole number"),
        ({"days": "9" * 400}, "within 3650 days"),
        ({"folder": "Missing"}, "N"),
        ({"folder": "../x"}, "A name must not be"),
        ({"networks": "office"}, "A network is an address"),
    ],
)
def test_a_wrong_choice_is_explained(site: Site, alice: Browser, change: dict[str, str], words: str) -> None:
    """The form comes back with what was typed and one sentence; nothing was made."""
    response = alice.post(NEW, {**USUAL, **change})
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert words in response.text
    assert len(site.services.app_passwords.list(site.services.accounts.find("alice"))) == 1


def test_twenty_are_enough(site: Site, alice: Browser) -> None:
    """The twenty-first is refused with words that say what to do."""
    for number in range(19):
        assert alice.post(NEW, {**USUAL, "label": f"device {number}"}).status_code == 200
    response = alice.post(NEW, USUAL)
    assert response.status_code == 422
    assert "at most 20 app passwords: revoke one" in response.text
    assert len(site.services.app_passwords.list(site.services.accounts.find("alice"))) == 20


def test_revoking_counts_at_once(site: Site, alice: Browser) -> None:
    """The next request of the device is refused; the other devices go on."""
    first = alice.app_password
    alice.post(NEW, USUAL)
    (old,) = [
        one
        for one in site.services.app_passwords.list(site.services.accounts.find("alice"))
        if one.label == "first device"
    ]
    assert "Revoked" in alice.post("/app-passwords/revoke", {"id": old.id}, page="/app-passwords").text
    with pytest.raises(AuthenticationError):
        site.services.authenticator.authenticate("alice", first, "192.0.2.1")
    assert site.opens("alice", alice.app_password)


def test_somebody_elses_cannot_be_revoked(site: Site, alice: Browser) -> None:
    """Nor can it be found out whether there is one of that id."""
    bob = site.invited("bob")
    (theirs,) = site.services.app_passwords.list(site.services.accounts.find("bob"))
    known = alice.post("/app-passwords/revoke", {"id": theirs.id}, page="/app-passwords")
    unknown = alice.post("/app-passwords/revoke", {"id": "0" * 10}, page="/app-passwords")
    assert (known.status_code, unknown.status_code) == (404, 404)
    assert site.opens("bob", bob.app_password)


def test_a_stolen_laptop_shuts_everything_out(site: Site, alice: Browser) -> None:
    """Every app password and every other browser; the one that asked goes on."""
    other = site.browser()
    other.secret = alice.secret
    other.sign_in()
    other.prove()
    page = alice.post("/app-passwords/revoke-all", page="/app-passwords/stolen")
    assert "Revoked: 1 app password. Every" in page.text
    assert other.get("/start").request.path == "/sign-in"
    assert alice.get("/start").request.path == "/start"
    with pytest.raises(AuthenticationError):
        site.services.authenticator.authenticate("alice", alice.app_password, "192.0.2.1")


def test_a_label_is_text(alice: Browser) -> None:
    """Markup in a label is shown and does nothing."""
    alice.post(NEW, {**USUAL, "label": "<img src=x onerror=alert(1)>"})
    page = alice.get("/app-passwords").text
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page
