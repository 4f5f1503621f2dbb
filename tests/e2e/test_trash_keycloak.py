"""`sealdav trash` and `sealdav versions` for people of a real Keycloak: what the drive lost comes back.

They sign in at their own browser; the second factor is asked for where the settings say, and never left out.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from davserver.cli.exits import ExitCode
from tests.e2e.colleague import Colleague, Tokens, signed_in
from tests.e2e.office import Office
from tests.e2e.token_office import AUTHENTICATOR, a_name, enrolled, let_in, opened, opened_stepped_up
from tests.services.keycloak import CLI, Keycloak

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def lose(tokens: Tokens, folder: Path) -> bytes:
    """Delete a file from the drive that was overwritten before; what it was at first."""
    content = secrets.token_bytes(300_000)
    for written in (content, b"by mistake"):
        (folder / "letter").write_bytes(written)
        assert tokens.rclone("copyto", folder / "letter", "drive:docs/letter").returncode == 0
    assert tokens.rclone("deletefile", "drive:docs/letter").returncode == 0
    return content


def read(tokens: Tokens, folder: Path) -> bytes:
    """What is on the drive in its place."""
    copied = tokens.rclone("copyto", "drive:docs/letter", folder / "back")
    assert copied.returncode == 0, copied.stderr
    return (folder / "back").read_bytes()


def told(
    office: Office, person: Colleague, *arguments: str, has_code: bool = False
) -> tuple[int, list[dict[str, Any]]]:
    """Run a command that this person lets in, and types a code for; how it ended, and what it said."""
    done = signed_in(
        person,
        office.drive.environment,
        *arguments,
        typed=lambda: f"{person.code()}\n" if has_code else "000000\n",
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_with_a_code_of_ours(keycloak: Keycloak, tmp_path: Path) -> None:
    """At any browser, also one that has proved nothing on the site: the code is typed at the terminal."""
    with opened(keycloak, tmp_path / "office") as office, enrolled(office) as alice:
        tokens = let_in(office, alice, tmp_path / "tokens")
        content = lose(tokens, tmp_path)
        with Colleague(office.drive, alice.name) as browser:
            browser.secret, browser.codes = alice.secret, alice.codes
            refused = told(office, browser, "trash", "restore", alice.name, "/docs/letter")
            assert refused == (ExitCode.REFUSED, [])
            code, (entry,) = told(office, browser, "trash", "list", alice.name, has_code=True)
            assert (code, entry["path"]) == (ExitCode.OK, "/docs/letter")
            restored = told(office, browser, "trash", "restore", alice.name, entry["id"], has_code=True)
            assert restored == (ExitCode.OK, [{"id": entry["id"], "path": "/docs/letter"}])
        assert read(tokens, tmp_path) == b"by mistake"
        given = told(office, alice, "versions", "restore", alice.name, "/docs/letter", has_code=True)
        assert given[0] == ExitCode.OK
        assert read(tokens, tmp_path) == content
        assert tokens.print().returncode == 0, "the session of other programs goes on"


def test_with_keycloaks_second_factor(keycloak: Keycloak, tmp_path: Path) -> None:
    """Nobody types anything here; a sign-in that says nothing of both factors opens nothing."""
    name = a_name()
    with opened_stepped_up(keycloak, tmp_path / "office") as office:
        office.realm.give_authenticator(office.realm.add_user(name), AUTHENTICATOR)
        with Colleague(office.drive, name, AUTHENTICATOR) as alice:
            tokens = let_in(office, alice, tmp_path / "tokens")
            lose(tokens, tmp_path)
            alice.asked.clear()
            code, (entry,) = told(office, alice, "trash", "list", name)
            assert (code, entry["path"]) == (ExitCode.OK, "/docs/letter")
            assert told(office, alice, "trash", "restore", name, entry["id"])[0] == ExitCode.OK
            assert alice.asked == ["password", "otp", "accept"] * 2
        assert read(tokens, tmp_path) == b"by mistake"
        office.realm.bind_flow(CLI, "browser")
        with Colleague(office.drive, name, AUTHENTICATOR) as alice:
            assert told(office, alice, "trash", "list", name) == (ExitCode.REFUSED, [])
