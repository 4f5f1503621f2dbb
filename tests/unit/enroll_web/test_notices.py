"""Mails about one's own account: what is told, to whom, and that nobody waits for it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.mail import Mailbox, mailbox
from tests.unit.enroll_web.conftest import Browser, Site, made_site

ADDRESS = "alice@example.org"


@pytest.fixture
def post_office() -> Iterator[Mailbox]:
    """A mail server on loopback."""
    with mailbox() as server:
        yield server


def finish(site: Site) -> None:
    """Wait until every mail was sent, or was not."""
    assert site.services.notices is not None
    site.services.notices.close()


def with_mail(folder: Path, port: int) -> Iterator[Site]:
    """A site that hands its mails in there."""
    mail = {"host": "127.0.0.1", "port": port, "starttls": False, "sender": "drive@example.org"}
    return made_site(folder, mail=mail)


@pytest.fixture
def site(tmp_path: Path, post_office: Mailbox) -> Iterator[Site]:
    """A site with a mail server."""
    yield from with_mail(tmp_path, post_office.port)


@pytest.fixture
def alice(site: Site) -> Browser:
    """Somebody who wants mails."""
    browser = site.first()
    browser.post("/my-data/notices", {"email": ADDRESS})
    return browser


def test_a_new_app_password_is_told_without_its_secret(alice: Browser, post_office: Mailbox) -> None:
    """To the address that was set, with the name of the device and what to do."""
    alice.post("/app-passwords/new", {"label": "Laptop", "scope": "full", "days": "9"})
    (mail,) = post_office.wait_for(1)
    assert (mail["To"], mail["From"]) == (ADDRESS, "drive@example.org")
    assert mail["Subject"] == "Sealdav: A new app password"
    text = mail.get_content()
    assert "App password: Laptop" in text
    assert "A device was stolen" in text
    assert alice.app_password[4:] not in text


def test_every_event_has_its_mail(site: Site, alice: Browser, post_office: Mailbox) -> None:
    """Another device, use from a new network, revocation, reset: in this order."""
    alice.get("/second-factor/set-up")
    alice.post("/second-factor/set-up", {"code": alice.code()})
    for number, client in enumerate(["192.0.2.1", "192.0.2.9", "198.51.100.1", "198.51.100.2"]):
        site.clock.advance(minutes=number)
        site.services.authenticator.authenticate("alice", alice.app_password, client)
    post_office.wait_for(2)
    alice.confirm()
    alice.post("/app-passwords/revoke-all", page="/app-passwords/stolen")
    site.services.totp.reset(site.services.accounts.find("alice"), "lost, in the terminal")
    mails = post_office.wait_for(4)
    assert [mail["Subject"].removeprefix("Sealdav: ") for mail in mails] == [
        "An authenticator was set up",
        "An app password is used from another network",
        "An app password was revoked",
        "Your authenticator was reset",
    ]
    assert "Address: 198.51.100.1" in mails[1].get_content()


def test_who_gave_no_address_gets_no_mail(site: Site, alice: Browser, post_office: Mailbox) -> None:
    """Nor does anybody else in their place. That it was taken back is the last thing told."""
    site.invited("bob")
    alice.post("/my-data/notices", {"email": ""})
    alice.post("/app-passwords/new", {"label": "Laptop", "scope": "full", "days": "9"})
    finish(site)
    assert [(mail["To"], mail["Subject"]) for mail in post_office.mails] == [
        (ADDRESS, "Sealdav: Your mail address was changed")
    ]


def test_a_server_that_refuses_is_logged(alice: Browser, post_office: Mailbox, site: Site) -> None:
    """The page is given all the same, and the log holds no address."""
    post_office.refuse = True
    with capture_logs() as lines:
        page = alice.post("/app-passwords/new", {"label": "Laptop", "scope": "full", "days": "9"})
        assert page.status_code == 200
        finish(site)
    (line,) = [line for line in lines if line["event"] == "a mail could not be sent"]
    assert line["account"] == "alice"
    assert ADDRESS not in str(line)


def test_nobody_waits_for_a_server_that_does_not_answer(tmp_path: Path) -> None:
    """It accepts the connection and says nothing: the page comes at once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        made = with_mail(tmp_path, silent.getsockname()[1])
        site = next(made)
        browser = site.first()
        browser.post("/my-data/notices", {"email": ADDRESS})
        form = {"label": "Laptop", "scope": "full", "days": "9"}
        assert browser.post("/app-passwords/new", form).request.path == "/app-passwords/shown"
        connection, _ = silent.accept()  # the sender has come so far, and waits
        connection.close()
        next(made, None)
