"""A drive and its site whose people use tokens of a real Keycloak, and command lines that they let in.

with opened(keycloak, folder) as office, enrolled(office) as alice:
    tokens = let_in(office, alice, folder / "tokens")
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.colleague import Colleague, Tokens
from tests.e2e.office import Office
from tests.services.keycloak import CLI, CLIENT, Keycloak

SKEW = 4
"""Seconds that an access token is taken for longer than it lives."""

SITE = "http://127.0.0.1:9"
OPTIONS = {"IDENTITY__POLL_SECONDS": "1", "IDENTITY__CLOCK_SKEW_SECONDS": str(SKEW)}

AUTHENTICATOR = "12345678901234567890"
"""A secret for one at Keycloak."""


@contextlib.contextmanager
def opened(keycloak: Keycloak, folder: Path, *bound: tuple[str, str], **options: str) -> Iterator[Office]:
    """A running drive and site of a realm like the example, with flows bound to clients."""
    realm = keycloak.make_realm(f"sealdav-{secrets.token_hex(4)}", SITE)
    for client, flow in bound:
        realm.bind_flow(client, flow)
    office = Office(folder, realm, {**OPTIONS, **options})
    realm.serve(office.drive.url.removesuffix("/dav/"))
    office.drive.start()
    with contextlib.closing(office.drive):
        yield office
    realm.remove()


def opened_stepped_up(keycloak: Keycloak, folder: Path) -> contextlib.AbstractContextManager[Office]:
    """With Keycloak's second factor: flows bound as docs/operations.md says, and the drive set to it."""
    flows = ((CLIENT, "sealdav site"), (CLI, "sealdav devices"))
    options = {"IDENTITY__SECOND_FACTOR": "keycloak", "IDENTITY__REQUIRED_ACR": "mfa"}
    return opened(keycloak, folder, *flows, **options)


@contextlib.contextmanager
def enrolled(office: Office) -> Iterator[Colleague]:
    """Somebody who has just set up their authenticator on the site."""
    name = a_name()
    office.realm.add_user(name)
    with Colleague(office.drive, name) as colleague:
        assert colleague.sign_in() == "/second-factor/set-up"
        colleague.enrol()
        yield colleague


def let_in(office: Office, colleague: Colleague, folder: Path) -> Tokens:
    """A command line that its owner has let in, at the same browser."""
    tokens = Tokens(office.drive, folder)
    assert tokens.login(colleague)["accepted"]
    return tokens


def a_name() -> str:
    """A user name that nobody has."""
    return f"p{secrets.token_hex(6)}"
