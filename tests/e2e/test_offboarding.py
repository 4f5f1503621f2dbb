"""Who leaves at a real Keycloak is shut out here within the minute, and nobody else ever is (T43).

Most of it with settings that a test can wait for; `python -m benchmarks.offboarding` measures the defaults.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from davserver.accounts.desk import PAUSE_SECONDS
from davserver.clock import utc_now
from davserver.identity.base import Provider
from davserver.identity.directory import NOT_ALLOWED, KeycloakDirectory
from davserver.identity.keycloak import KeycloakSignOn
from davserver.model import ROOT_ID, AuthMethod, Principal, Scope
from enroll_web.visit import HTTP_COOKIE
from tests.e2e.office import Employee, Office, put_large
from tests.e2e.waiting import until
from tests.services.keycloak import CLIENT, PASSWORD, Keycloak, Realm, find_built, start
from tests.services.sign_in_form import Person

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

OK, SHUT, UNKNOWN = HTTPStatus.MULTI_STATUS, HTTPStatus.UNAUTHORIZED, HTTPStatus.SERVICE_UNAVAILABLE

SITE = "http://127.0.0.1:9"
"""Nobody listens there: what Keycloak tells of sign-outs does not arrive."""

ROUNDS = 4
"""Seconds in which the quick settings ask several times."""

SOON = 15
"""Two rounds of the quick settings and the next request, even if one answer is late and a pause follows."""

GRACE = 20
"""How long the quick settings serve without a word of Keycloak."""


def make_realm(keycloak: Keycloak) -> Realm:
    """A realm of the example."""
    return keycloak.make_realm(f"sealdav-{secrets.token_hex(4)}", SITE)


@contextlib.contextmanager
def open_office(folder: Path, realm: Realm) -> Iterator[Office]:
    """A drive of a realm, while it runs."""
    office = Office(folder, realm)
    office.drive.start()
    with contextlib.closing(office.drive):
        yield office


@pytest.fixture(scope="module")
def realm(keycloak: Keycloak) -> Iterator[Realm]:
    """A realm that the tests of this file share."""
    made = make_realm(keycloak)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def office(realm: Realm, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The drive of that realm; no test may trouble it, they come in any order."""
    with open_office(tmp_path_factory.mktemp("office"), realm) as office:
        yield office


def hire(office: Office, count: int = 1) -> list[Employee]:
    """People of whom nobody has heard, each of whom has used their device once."""
    people = office.hire(*(f"p{secrets.token_hex(6)}" for _ in range(count)))
    assert [office.settled(one) for one in people] == [OK] * count, log_of(office)[-2000:]
    return people


def log_of(office: Office) -> str:
    """What the server said."""
    return (office.folder / "server.out").read_text(encoding="utf-8")


# ── leaving and coming back ─────────────────────────────────────────────────────────────────────────────────
def test_disabled_and_enabled_again(office: Office) -> None:
    """The device is refused, the account shut with its reason, nobody else notices; then all is as before."""
    alice, bob = hire(office, 2)
    office.realm.set_enabled(alice.subject, enabled=False)
    until(lambda: office.status(alice) == SHUT, SOON)
    assert office.state(alice) == "offboarded"
    assert office.settled(bob) == OK
    shown = office.drive.run("user", "show", alice.device.username)
    assert "disabled" in shown.stdout
    office.realm.set_enabled(alice.subject, enabled=True)
    until(lambda: office.status(alice) == OK, SOON)
    shown = office.drive.run("user", "show", alice.device.username, "--json")
    assert json.loads(shown.stdout)["state"] == "active"


def test_deleted(office: Office) -> None:
    """For good: somebody of the same name is somebody else."""
    (alice,) = hire(office)
    office.realm.delete_user(alice.subject)
    until(lambda: office.status(alice) == SHUT, SOON)
    office.realm.add_user(alice.device.username)
    with office.services() as services:
        assert services.accounts.find_subject(alice.subject).state.value == "offboarded"
    time.sleep(ROUNDS)  # Whatever the rounds could make of the new person, they have.
    assert office.settled(alice) == SHUT


Switch = tuple[Callable[[], object], Callable[[], object]]
"""What takes the role from somebody, and what gives it back."""


def by_group(realm: Realm, subject: str) -> Switch:
    """As in the example."""
    return lambda: realm.leave(subject, "dav-users"), lambda: realm.join(subject, "dav-users")


def by_itself(realm: Realm, subject: str) -> Switch:
    """Given to the person."""
    role = realm.call("GET", "/roles/dav-user")
    path = f"/users/{subject}/role-mappings/realm"
    return lambda: realm.call("DELETE", path, [role]), lambda: realm.call("POST", path, [role])


def by_another_role(realm: Realm, subject: str) -> Switch:
    """Part of a role that the person has."""
    role, name = realm.call("GET", "/roles/dav-user"), f"staff-{secrets.token_hex(4)}"
    realm.call("POST", "/roles", {"name": name})
    realm.set_roles(subject, name)
    path = f"/roles/{name}/composites"
    return lambda: realm.call("DELETE", path, [role]), lambda: realm.call("POST", path, [role])


def by_the_group_above(realm: Realm, subject: str) -> Switch:
    """Of the group in which the person's group is."""
    role, name = realm.call("GET", "/roles/dav-user"), f"team-{secrets.token_hex(4)}"
    realm.call("POST", "/groups", {"name": name})
    (above,) = realm.call("GET", f"/groups?search={name}&exact=true")
    realm.call("POST", f"/groups/{above['id']}/children", {"name": "below"})
    (below,) = realm.call("GET", f"/groups/{above['id']}/children")
    realm.call("PUT", f"/users/{subject}/groups/{below['id']}")
    path = f"/groups/{above['id']}/role-mappings/realm"
    return lambda: realm.call("DELETE", path, [role]), lambda: realm.call("POST", path, [role])


@pytest.mark.parametrize("way", [by_group, by_itself, by_another_role, by_the_group_above])
def test_the_role_goes_by_any_way(office: Office, way: Callable[[Realm, str], Switch]) -> None:
    """From the person, from a group, from a group above, out of another role; it comes back the same way."""
    (alice,) = office.hire(f"p{secrets.token_hex(6)}")
    take, give = way(office.realm, alice.subject)
    if way is not by_group:
        give()
        office.realm.leave(alice.subject, "dav-users")
    assert office.settled(alice) == OK  # Keycloak is slow after some of these changes
    take()
    until(lambda: office.status(alice) == SHUT, GRACE)
    assert office.state(alice) == "offboarded"
    give()
    until(lambda: office.status(alice) == OK, GRACE)


def test_who_is_away_is_judged_when_they_come(office: Office) -> None:
    """Somebody who has not been here is asked about before anything is served."""
    alice, bob = office.hire(*(f"p{secrets.token_hex(6)}" for _ in range(2)))
    office.realm.set_enabled(alice.subject, enabled=False)
    assert office.settled(alice) == SHUT
    assert office.settled(bob) == OK


def test_guessing_passwords_shuts_nobody_out(office: Office) -> None:
    """Keycloak's own lock after wrong passwords is for its form: devices go on."""
    (alice,) = hire(office)
    for _ in range(6):
        with Person(alice.device.username, "wrong") as person, contextlib.suppress(AssertionError):
            url, _ = sign_on(office).begin(f"{SITE}/oidc/callback")
            person.follow(url, f"{SITE}/oidc/callback")
    time.sleep(ROUNDS)  # Rounds that would shut her out.
    assert office.settled(alice) == OK


# ── what runs ───────────────────────────────────────────────────────────────────────────────────────────────
def test_running_transfers_end(office: Office) -> None:
    """A download whose client reads on, one whose client does not, and an upload that never ends."""
    (alice,) = hire(office)
    put_large(office.drive, alice, 256 * 1024**2)
    with (
        contextlib.closing(office.download(alice)) as slow,
        contextlib.closing(office.download(alice)) as stalled,
    ):
        with ThreadPoolExecutor() as pool:
            upload = pool.submit(endless_upload, office, alice)
            office.realm.set_enabled(alice.subject, enabled=False)
            deadline = time.monotonic() + 30
            assert slow.read_until_end(2_000_000, deadline)
            assert upload.result(30) in {SHUT, None}
        assert stalled.read_until_end(2**30, deadline)
    assert slow.received < 100 * 1024**2
    assert "a transfer was cut off" in log_of(office)


def endless_upload(office: Office, employee: Employee) -> int | None:
    """Send a file that does not end; the status that ends it, None if the line is cut."""
    connection = http.client.HTTPConnection("127.0.0.1", office.drive.port, timeout=60)
    with contextlib.closing(connection):

        def blocks() -> Iterator[bytes]:
            while True:
                time.sleep(0.05)  # A slow client is what this is about.
                yield bytes(32 * 1024)

        fields = {"Authorization": employee.device.authorization, "Transfer-Encoding": "chunked"}
        with contextlib.suppress(ConnectionError):
            connection.request("PUT", "/dav/endless", blocks(), fields, encode_chunked=True)
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            return connection.getresponse().status
    return None


def browser_of(office: Office, employee: Employee, sid: str = "", *, admin: bool = False) -> str:
    """The cookie of somebody who has signed in on the site with both factors."""
    with office.services() as services:
        account = services.accounts.find_subject(employee.subject)
        now = utc_now()
        principal = Principal(account, Scope.FULL, ROOT_ID, AuthMethod.BROWSER, now, totp_at=now)
        return services.sessions.sign_in(None, principal, admin=admin, provider_session=sid).secret


def is_shown(office: Office, cookie: str, page: str) -> bool:
    """Whether the site shows somebody a page, or sends them to sign in."""
    answer = requests.get(
        f"http://127.0.0.1:{office.drive.port}{page}",
        cookies={HTTP_COOKIE: cookie},
        allow_redirects=False,
        timeout=30,
    )
    assert answer.status_code in {200, 302, 303}, answer.status_code
    return answer.status_code == HTTPStatus.OK


def is_signed_in(office: Office, cookie: str) -> bool:
    """Whether the site shows somebody their own page."""
    return is_shown(office, cookie, "/start")


def sign_on(office: Office) -> KeycloakSignOn:
    """The way in at Keycloak."""
    return KeycloakSignOn(Provider(office.realm.issuer, CLIENT, office.realm.secret()), utc_now)


def test_browsers_are_signed_out(office: Office) -> None:
    """Of who was disabled; back again, they sign in again."""
    alice, bob = hire(office, 2)
    cookies = {one: browser_of(office, one) for one in (alice, bob)}
    assert all(is_signed_in(office, cookie) for cookie in cookies.values())
    office.realm.set_enabled(alice.subject, enabled=False)
    until(lambda: not is_signed_in(office, cookies[alice]), SOON)
    office.realm.set_enabled(alice.subject, enabled=True)
    until(lambda: office.status(alice) == OK, SOON)
    assert not is_signed_in(office, cookies[alice])
    assert is_signed_in(office, cookies[bob])


def test_an_administrator_who_is_none_any_more(office: Office) -> None:
    """Their browsers have to sign in again; as a user they go on."""
    (alice,) = hire(office)
    office.realm.join(alice.subject, "dav-admins")
    as_admin, as_anybody = (browser_of(office, alice, admin=one) for one in (True, False))
    time.sleep(ROUNDS)  # Rounds that would sign her out.
    assert is_shown(office, as_admin, "/people")
    office.realm.leave(alice.subject, "dav-admins")
    until(lambda: not is_signed_in(office, as_admin), GRACE)
    assert is_signed_in(office, as_anybody)
    assert office.settled(alice) == OK


def test_a_realm_that_signs_everybody_out(office: Office) -> None:
    """Keycloak tells nobody of it; browsers whose session there is gone are signed out, devices go on."""
    (alice,) = hire(office)
    with Person(alice.device.username, PASSWORD) as person:
        url, pending = sign_on(office).begin(f"{SITE}/oidc/callback")
        identity = sign_on(office).finish(pending, person.follow(url, f"{SITE}/oidc/callback"))
    cookie = browser_of(office, alice, identity.sid)
    time.sleep(2)  # Moments are whole seconds, and a session that has just begun is left alone.
    assert is_signed_in(office, cookie)
    office.realm.call("POST", "/logout-all")
    until(lambda: not is_signed_in(office, cookie), GRACE + SOON)
    assert office.settled(alice) == OK


# ── trouble ─────────────────────────────────────────────────────────────────────────────────────────────────
@contextlib.contextmanager
def without_role(realm: Realm) -> Iterator[None]:
    """Take the right to look people up from our service account."""
    (management,) = realm.call("GET", "/clients?clientId=realm-management")
    account = realm.call("GET", f"/clients/{realm.client_uuid}/service-account-user")["id"]
    role = realm.call("GET", f"/clients/{management['id']}/roles/view-users")
    path = f"/users/{account}/role-mappings/clients/{management['id']}"
    realm.call("DELETE", path, [role])
    try:
        yield
    finally:
        realm.call("POST", path, [role])


def test_a_service_account_that_lost_its_role(keycloak: Keycloak, tmp_path: Path) -> None:
    """Never "everybody was deleted": recorded once, shown, 503 after the grace, over when it is over."""
    realm = make_realm(keycloak)
    with open_office(tmp_path / "office", realm) as office:
        alice, bob = hire(office, 2)
        with without_role(realm):
            until(lambda: office.status(alice) == UNKNOWN, GRACE + SOON)
            assert office.drive.request("GET", "x", alice.device)[0] == UNKNOWN
            shown = office.drive.run("user", "show", alice.device.username).stdout
            assert "view-users" in shown
            assert office.state(alice) == office.state(bob) == "active"
        until(lambda: office.status(alice) == office.status(bob) == OK, 2 * SOON)
        until(lambda: "provider-back" in log_of(office), SOON)
        said = log_of(office)
        assert said.count("provider-lost") == said.count("provider-back") == 1
        assert NOT_ALLOWED in said
        (carol,) = office.hire(f"p{secrets.token_hex(6)}")
        until(lambda: office.status(carol) == OK, PAUSE_SECONDS + SOON)  # who is new, after the desks' pause
    realm.remove()


@pytest.fixture
def own_realm(tmp_path: Path) -> Iterator[tuple[Keycloak, Realm]]:
    """A realm of a Keycloak that this test may stop."""
    built = find_built()
    if built is None:
        pytest.skip("no Keycloak here; tests/services/keycloak.sh builds it")
    with start(built, tmp_path) as keycloak:
        yield keycloak, make_realm(keycloak)


def test_a_keycloak_that_hangs_or_is_gone(own_realm: tuple[Keycloak, Realm], tmp_path: Path) -> None:
    """Served for the grace, then 503 and no running transfer; no request waits long; it recovers."""
    keycloak, realm = own_realm
    with open_office(tmp_path / "office", realm) as office:
        alice, bob = hire(office, 2)
        put_large(office.drive, alice, 64 * 1024**2)
        keycloak.send(signal.SIGSTOP)
        stopped = time.monotonic()
        with contextlib.closing(office.download(alice)) as running:
            assert running.read_until_end(500_000, stopped + GRACE + SOON)
        assert time.monotonic() - stopped <= GRACE
        slowest, refused = 0.0, 0
        while time.monotonic() < stopped + GRACE + SOON:
            begun = time.monotonic()
            answers = [office.status(alice), office.status(bob)]
            slowest = max(slowest, time.monotonic() - begun)
            if begun > stopped + GRACE:
                assert answers == [UNKNOWN, UNKNOWN]
            refused += answers.count(UNKNOWN)
        assert refused > 10
        assert slowest < 10
        assert office.state(alice) == office.state(bob) == "active"
        keycloak.send(signal.SIGCONT)
        until(lambda: office.status(alice) == office.status(bob) == OK, 30)
        keycloak.send(signal.SIGKILL)
        until(lambda: office.status(alice) == UNKNOWN, GRACE + SOON)
        with start(find_built() or Path(), tmp_path, port=int(keycloak.url.rpartition(":")[2])):
            until(lambda: office.status(alice) == office.status(bob) == OK, 30)
        assert "account-suspended" not in log_of(office)


def test_a_realm_that_is_not_there_any_more(keycloak: Keycloak, tmp_path: Path) -> None:
    """A 404 for everything is no proof that anybody was deleted."""
    realm = make_realm(keycloak)
    with open_office(tmp_path / "office", realm) as office:
        (alice,) = hire(office)
        realm.remove()
        until(lambda: office.status(alice) == UNKNOWN, GRACE + SOON)
        assert office.state(alice) == "active"


# ── two servers ─────────────────────────────────────────────────────────────────────────────────────────────
def test_the_process_that_asks_dies(realm: Realm, tmp_path: Path) -> None:
    """By kill -9. The other one takes over so that nobody notices, and whoever leaves then is shut out."""
    with open_office(tmp_path / "office", realm) as office, contextlib.closing(office.server()) as other:
        other.start()
        alice, bob = hire(office, 2)
        assert office.settled(bob, other) == OK
        time.sleep(ROUNDS)  # The first one holds the lease.
        office.drive.kill()
        begun = time.monotonic()
        office.realm.set_enabled(alice.subject, enabled=False)
        until(lambda: office.status(alice, other) == SHUT, GRACE)
        while time.monotonic() < begun + GRACE:
            assert office.status(bob, other) == OK
            time.sleep(0.2)  # Nobody is to notice for longer than the grace.


def test_one_of_two_servers_asks(realm: Realm, tmp_path: Path) -> None:
    """Both serve by its word; what it shuts is shut at the other one, too, at once."""
    with open_office(tmp_path / "office", realm) as office, contextlib.closing(office.server()) as other:
        other.start()
        alice, bob = hire(office, 2)
        assert office.settled(alice, other) == OK
        office.realm.set_enabled(alice.subject, enabled=False)
        until(lambda: office.status(alice) == SHUT, SOON)
        assert office.status(alice, other) == SHUT
        assert office.settled(bob, other) == OK


# ── a new password ──────────────────────────────────────────────────────────────────────────────────────────
def test_a_new_password_suspends_devices_if_so_set(realm: Realm, tmp_path: Path) -> None:
    """Noticed by when Keycloak says that the password was made. The account itself stays open."""
    office = Office(tmp_path / "office", realm)
    office.options["IDENTITY__ON_PASSWORD_RESET"] = "suspend"
    office.drive = office.server()
    office.drive.start()
    with contextlib.closing(office.drive):
        alice, bob = hire(office, 2)
        new = {"type": "password", "value": "another password of the test", "temporary": False}
        realm.call("PUT", f"/users/{alice.subject}/reset-password", new)
        until(lambda: office.status(alice) == SHUT, GRACE)
        assert office.state(alice) == "active"
        assert office.settled(bob) == OK
        assert "devices wait" in office.drive.run("user", "show", alice.device.username).stdout


# ── the directory's own traps ───────────────────────────────────────────────────────────────────────────────
def test_a_password_s_moment(realm: Realm) -> None:
    """It moves with every new password, and nobody is asked for the password itself."""
    directory = KeycloakDirectory(Provider(realm.issuer, CLIENT, realm.secret()))
    subject = realm.add_user(f"p{secrets.token_hex(6)}")
    first = directory.password_set_at(subject)
    assert first > 10**12
    new = {"type": "password", "value": "another password of the test", "temporary": False}
    realm.call("PUT", f"/users/{subject}/reset-password", new)
    assert directory.password_set_at(subject) > first
