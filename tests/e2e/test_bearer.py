"""Keycloak's tokens on the drive with a real Keycloak, `sealdav token`, and rclone (T39).

Tokens live six seconds here, and clocks may differ by four, so that a test sees several of them end.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests

from davserver.identity.tokens import MAX_ACCESS_SECONDS
from tests.e2e.colleague import Colleague, Tokens
from tests.e2e.files import fingerprint
from tests.e2e.office import Office
from tests.e2e.token_office import (
    AUTHENTICATOR,
    SKEW,
    a_name,
    enrolled,
    let_in,
    opened,
    opened_stepped_up,
)
from tests.e2e.waiting import until
from tests.services.keycloak import CLI, CLIENT, PASSWORD, Keycloak

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LIFE = 6
"""Seconds that an access token lives; `SKEW` longer it is taken."""

LIVES = 3
"""How many of them a transfer takes at least."""

SOON = 10
"""Seconds within which Keycloak's word has arrived here."""

FILES = 40


@contextlib.contextmanager
def opened_briefly(keycloak: Keycloak, folder: Path) -> Iterator[Office]:
    """With our own second factor, and tokens that live shortly."""
    with opened(keycloak, folder) as office:
        office.realm.change_realm(accessTokenLifespan=LIFE)
        yield office


@pytest.fixture(scope="module")
def office(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One that tests share; what one of them does to it, the others notice, in any order."""
    with opened_briefly(keycloak, tmp_path_factory.mktemp("office")) as office:
        yield office


@pytest.fixture
def alice(office: Office) -> Iterator[Colleague]:
    """Somebody like that."""
    with enrolled(office) as colleague:
        yield colleague


@pytest.fixture
def tokens(office: Office, alice: Colleague, tmp_path: Path) -> Tokens:
    """Alice's command line."""
    return let_in(office, alice, tmp_path / "tokens")


def subject_of(tokens: Tokens) -> str:
    """Whose tokens these are."""
    return str(claims_of(tokens.kept["access_token"])["sub"])


def claims_of(token: str) -> dict[str, object]:
    """What a token says, whoever signed it."""
    found: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return found


def status(office: Office, token: str) -> int:
    """What the drive answers to a token."""
    headers = {"Authorization": f"Bearer {token}", "Depth": "0"}
    return requests.request("PROPFIND", office.drive.url, headers=headers, timeout=30).status_code


def fresh(tokens: Tokens) -> str:
    """A token that was issued just now."""
    printed = tokens.print()
    assert printed.returncode == 0, printed.stderr
    return printed.stdout.strip()


# ── rclone ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_rclone_runs_for_longer_than_tokens_live(tokens: Tokens, tmp_path: Path) -> None:
    """Small files one by one over several tokens, then back again: nothing is missing, nobody is asked."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number}.txt").write_bytes(secrets.token_bytes(1000 + number))
    begun = time.monotonic()
    copied = tokens.rclone("copy", source, "drive:backup", "--transfers=2", "--tpslimit=3", "--checkers=2")
    assert copied.returncode == 0, copied.stderr
    assert time.monotonic() - begun > LIVES * LIFE
    assert len(tokens.calls.read_text().splitlines()) >= LIVES
    copied = tokens.rclone("copy", "drive:backup", back)
    assert copied.returncode == 0, copied.stderr
    assert fingerprint(back) == fingerprint(source)
    checked = tokens.rclone("check", source, "drive:backup")
    assert checked.returncode == 0, checked.stderr


def test_one_transfer_outlives_its_token(tokens: Tokens, tmp_path: Path) -> None:
    """One large file up and down, slowly: a token that ends meanwhile ends no transfer."""
    source = tmp_path / "large"
    source.write_bytes(secrets.token_bytes(1_300_000))
    for arguments in ((source, "drive:large"), ("drive:large", tmp_path / "back")):
        begun = time.monotonic()
        copied = tokens.rclone("copyto", *arguments, "--bwlimit=100K")
        assert copied.returncode == 0, copied.stderr
        assert time.monotonic() - begun > LIFE + SKEW
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_several_rclones_share_the_tokens(tokens: Tokens) -> None:
    """All renew at once, again and again; each refresh token is sent once, or Keycloak would end it all."""
    begun = time.monotonic()
    while time.monotonic() - begun < LIVES * LIFE:
        time.sleep(LIFE / 2)  # Until all of them find the token at half its life: real time is what counts.
        processes = [tokens.start_printing() for _ in range(6)]
        printed = {process.communicate(timeout=60)[0] for process in processes}
        assert [process.returncode for process in processes] == [0] * 6
        assert all(printed)  # by one token or by two: on a busy machine a renewal falls between their starts
    assert tokens.rclone("lsf", "drive:").returncode == 0


def test_a_session_that_is_ended_at_keycloak(office: Office, tokens: Tokens) -> None:
    """The next requests are refused although the token would live on; the helper says what to do."""
    token = fresh(tokens)
    assert status(office, token) == 207
    office.realm.log_out(subject_of(tokens))
    until(lambda: status(office, token) == 401, SOON)
    assert int(str(claims_of(token)["exp"])) + SKEW > time.time()
    listed = tokens.rclone("lsf", "drive:")
    assert listed.returncode != 0
    assert "sign in again: sealdav token login" in listed.stderr
    printed = tokens.print()
    assert (printed.returncode, printed.stdout, printed.stderr.count("\n")) == (6, "", 1)


def test_signing_out_on_the_site_ends_the_tokens(office: Office, alice: Colleague, tokens: Tokens) -> None:
    """At once, and at Keycloak too."""
    token = fresh(tokens)
    alice.sign_out()
    assert status(office, token) == 401
    until(lambda: tokens.print().returncode == 6, 2 * LIFE, every=1)


def test_a_token_ends(office: Office, tokens: Tokens) -> None:
    """After its seconds, while its session goes on."""
    token = fresh(tokens)
    assert status(office, token) == 207
    until(lambda: status(office, token) == 401, LIFE + SKEW + SOON)
    assert status(office, fresh(tokens)) == 207


def test_keys_that_change(keycloak: Keycloak, tmp_path: Path) -> None:
    """Keycloak begins to sign with another key: no device and nobody at a browser notices.

    On a drive of its own: one that was just shown tokens of other realms asks for new keys a minute later.
    """
    with opened_briefly(keycloak, tmp_path / "office") as office, enrolled(office) as alice:
        tokens = let_in(office, alice, tmp_path / "tokens")
        before = jwt.get_unverified_header(fresh(tokens))["kid"]
        office.realm.rotate_keys()
        until(lambda: jwt.get_unverified_header(fresh(tokens))["kid"] != before, 2 * LIFE, every=1)
        listed = tokens.rclone("lsf", "drive:")
        assert listed.returncode == 0, listed.stderr
        with Colleague(office.drive, alice.name) as browser:
            assert browser.sign_in() == "/second-factor"


def test_whoever_leaves_loses_the_tokens(office: Office, tokens: Tokens) -> None:
    """Disabled in Keycloak: refused here within the settings' seconds, and no new token is to be had."""
    subject = subject_of(tokens)
    office.realm.set_enabled(subject, enabled=False)
    until(lambda: status(office, tokens.kept["access_token"]) == 401, 2 * SOON)
    until(lambda: tokens.print().returncode == 6, 2 * LIFE, every=1)


# ── what opens nothing ──────────────────────────────────────────────────────────────────────────────────────
def test_a_password_only_session_beside_a_fresh_one(
    office: Office, alice: Colleague, tokens: Tokens, tmp_path: Path
) -> None:
    """Whoever has the password alone gets tokens from Keycloak, and nothing from the drive."""
    thief = Tokens(office.drive, tmp_path / "thief")
    with Colleague(office.drive, alice.name) as browser:
        assert browser.sign_in() == "/second-factor"
        assert not thief.login(browser)["accepted"]
    assert subject_of(thief) == subject_of(tokens)
    assert status(office, fresh(thief)) == 401
    assert status(office, fresh(tokens)) == 207
    refused = thief.rclone("lsf", "drive:")
    assert refused.returncode != 0
    assert "401" in refused.stderr


def test_the_second_factor_makes_the_session_good(office: Office, alice: Colleague, tmp_path: Path) -> None:
    """The same browser, before and after a code; the token need not be another one."""
    waiting = Tokens(office.drive, tmp_path / "waiting")
    with Colleague(office.drive, alice.name) as browser:
        browser.sign_in()
        assert not waiting.login(browser)["accepted"]
        browser.secret, browser.codes = alice.secret, alice.codes
        browser.prove()
    assert status(office, fresh(waiting)) == 207


def test_real_tokens_of_every_other_kind(office: Office, alice: Colleague, tokens: Tokens) -> None:
    """T39: each is signed by the same Keycloak, most about the very person; one is good, and stays so."""
    realm = office.realm
    endpoint = f"{realm.issuer}/protocol/openid-connect/token"
    made = a_name()
    realm.call(
        "POST", "/clients", {"clientId": made, "publicClient": True, "directAccessGrantsEnabled": True}
    )
    person = {"grant_type": "password", "username": alice.name, "password": PASSWORD, "scope": "openid"}
    service = {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": realm.secret()}
    admin = {"grant_type": "password", "client_id": "admin-cli", "scope": "openid"}
    master = {**admin, "username": realm.keycloak.admin, "password": realm.keycloak.password}
    answers = {
        "another client": requests.post(endpoint, data={**person, "client_id": made}, timeout=30).json(),
        "another realm": requests.post(
            endpoint.replace(f"/{realm.name}/", "/master/"), data=master, timeout=30
        ).json(),
        "our service account": requests.post(endpoint, data=service, timeout=30).json(),
        "ours": json.loads(renewed(tokens, endpoint)),
    }
    good = answers["ours"].pop("access_token")
    found = {
        f"{kind} of {whose}": token
        for whose, answer in answers.items()
        for kind, token in answer.items()
        if kind in {"access_token", "id_token", "refresh_token"}
    }
    assert len(found) >= 8, found.keys()
    assert {name: status(office, token) for name, token in found.items()} == dict.fromkeys(found, 401)
    assert status(office, good) == 207


def renewed(tokens: Tokens, endpoint: str) -> str:
    """What Keycloak answers to the refresh token, which is used up then."""
    form = {"grant_type": "refresh_token", "client_id": CLI, "refresh_token": tokens.kept["refresh_token"]}
    return requests.post(endpoint, data=form, timeout=30).text


def test_a_realm_whose_tokens_live_too_long(office: Office, tokens: Tokens) -> None:
    """What is signed stays signed: a token good for an hour would be, whatever happens at Keycloak."""
    office.realm.change_realm(accessTokenLifespan=MAX_ACCESS_SECONDS + 1)
    try:
        answer = json.loads(renewed(tokens, f"{office.realm.issuer}/protocol/openid-connect/token"))
        assert status(office, answer["access_token"]) == 401
    finally:
        office.realm.change_realm(accessTokenLifespan=LIFE)


# ── Keycloak's own second factor ────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def stepped_up(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One that tests share."""
    with opened_stepped_up(keycloak, tmp_path_factory.mktemp("stepped-up")) as office:
        yield office


def test_keycloak_asks_for_both(stepped_up: Office, tmp_path: Path) -> None:
    """Nobody has to have been on the site; the sign-in there asks for the code, and nobody for ours."""
    name = a_name()
    stepped_up.realm.give_authenticator(stepped_up.realm.add_user(name, quota=10**9), AUTHENTICATOR)
    tokens = Tokens(stepped_up.drive, tmp_path / "tokens")
    with Colleague(stepped_up.drive, name, AUTHENTICATOR) as colleague:
        assert tokens.login(colleague)["accepted"]
        assert colleague.asked == ["password", "otp", "accept"]
        assert tokens.rclone("lsf", "drive:").returncode == 0
        assert '"total": 1000000000' in tokens.rclone("about", "--json", "drive:").stdout.replace("\t", "")
        colleague.asked.clear()
        assert colleague.sign_in() == "/start"
        assert colleague.asked == ["password", "otp"]
        colleague.sign_out()
    assert status(stepped_up, tokens.kept["access_token"]) == 401


def test_keycloaks_factor_lasts_through_renewals(stepped_up: Office, tmp_path: Path) -> None:
    """A renewed token still says how its session began."""
    name = a_name()
    stepped_up.realm.give_authenticator(stepped_up.realm.add_user(name), AUTHENTICATOR)
    tokens = Tokens(stepped_up.drive, tmp_path / "tokens")
    with Colleague(stepped_up.drive, name, AUTHENTICATOR) as colleague:
        tokens.login(colleague)
    answer = json.loads(renewed(tokens, f"{stepped_up.realm.issuer}/protocol/openid-connect/token"))
    assert status(stepped_up, answer["access_token"]) == 207


def test_an_administrator_ends_a_session_of_a_program_alone(stepped_up: Office, tmp_path: Path) -> None:
    """Without the site in it: Keycloak tells all the same, since their client names the address."""
    name = a_name()
    subject = stepped_up.realm.add_user(name)
    stepped_up.realm.give_authenticator(subject, AUTHENTICATOR)
    tokens = Tokens(stepped_up.drive, tmp_path / "tokens")
    with Colleague(stepped_up.drive, name, AUTHENTICATOR) as colleague:
        tokens.login(colleague)
    token = tokens.kept["access_token"]
    assert status(stepped_up, token) == 207
    stepped_up.realm.log_out(subject)
    until(lambda: status(stepped_up, token) == 401, SOON)


def test_somebody_without_an_authenticator(stepped_up: Office, tmp_path: Path) -> None:
    """To have just set one up is not enough, though Keycloak calls that what it calls a sign-in with both."""
    name = a_name()
    stepped_up.realm.add_user(name)
    tokens = Tokens(stepped_up.drive, tmp_path / "tokens")
    with Colleague(stepped_up.drive, name) as colleague:
        assert not tokens.login(colleague)["accepted"]
        assert colleague.asked == ["password", "totp", "accept"]
        claims = claims_of(tokens.kept["access_token"])
        assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd"])
    with stepped_up.services() as services:
        assert name not in {one.username for one in services.accounts.list()}


def test_without_the_flow_nothing_is_believed(stepped_up: Office, tmp_path: Path) -> None:
    """An administrator who has not bound the flow: tokens say nothing of a second factor, open nothing."""
    stepped_up.realm.bind_flow(CLI, "browser")
    name = a_name()
    stepped_up.realm.give_authenticator(stepped_up.realm.add_user(name), AUTHENTICATOR)
    tokens = Tokens(stepped_up.drive, tmp_path / "tokens")
    try:
        with Colleague(stepped_up.drive, name, AUTHENTICATOR) as colleague:
            assert not tokens.login(colleague)["accepted"]
    finally:
        stepped_up.realm.bind_flow(CLI, "sealdav devices")
