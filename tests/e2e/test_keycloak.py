"""Single sign-on with a real Keycloak, by HTTP: what the fake of the unit tests stands for does happen."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from davserver.clock import utc_now
from davserver.errors import (
    ClockMismatch,
    NotFound,
    ProviderMisconfigured,
    ProviderUnavailable,
    RoleMissing,
    SignInCancelled,
    SignInStale,
    TokenRefused,
)
from davserver.identity.base import Identity, Pending, Provider
from davserver.identity.directory import KeycloakDirectory
from davserver.identity.keycloak import KeycloakSignOn
from davserver.settings import load_settings
from tests.certificates import one_pair
from tests.services.keycloak import CLIENT, PASSWORD, Keycloak, Realm, silent_port
from tests.services.sign_in_form import Person

pytestmark = pytest.mark.e2e

SITE = "http://127.0.0.1:9"
"""Nobody listens there: the person of these tests never opens the last address."""

CALLBACK = f"{SITE}/oidc/callback"
LOGOUT_SECONDS = 10


@pytest.fixture(scope="module")
def realm(keycloak: Keycloak) -> Iterator[Realm]:
    """A realm of the example for `SITE`."""
    made = keycloak.make_realm(f"sealdav-{secrets.token_hex(4)}", SITE)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def provider(realm: Realm) -> Provider:
    """What the settings say of it."""
    return Provider(realm.issuer, CLIENT, realm.secret())


@pytest.fixture
def sign_on(provider: Provider) -> KeycloakSignOn:
    """A server that has just started."""
    return KeycloakSignOn(provider, utc_now)


def a_name() -> str:
    """A user name that nobody has."""
    return f"p{secrets.token_hex(6)}"


def come_back(
    sign_on: KeycloakSignOn, person: Person, *, max_age: int | None = None
) -> tuple[Pending, dict[str, str]]:
    """Sign in up to the callback."""
    url, pending = sign_on.begin(CALLBACK, max_age=max_age)
    return pending, person.follow(url, CALLBACK)


def sign_in(sign_on: KeycloakSignOn, person: Person, *, max_age: int | None = None) -> Identity:
    """Sign in."""
    return sign_on.finish(*come_back(sign_on, person, max_age=max_age))


def test_somebody_signs_in(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """Subject, name, roles, quota, session and time of the sign-in arrive as Keycloak knows them."""
    name = a_name()
    subject = realm.add_user(name, quota=12345)
    with Person(name, PASSWORD) as person:
        identity = sign_in(sign_on, person)
    assert (identity.subject, identity.username, identity.name) == (subject, name, f"{name.title()} Example")
    assert identity.email == f"{name}@example.test"
    assert identity.quota == 12345
    assert "dav-user" in identity.roles
    assert not identity.is_admin
    assert [one["id"] for one in realm.sessions(subject)] == [identity.sid]
    assert abs(identity.auth_time - utc_now().timestamp()) < 60


def test_an_administrator_has_the_quota_of_the_group(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """Roles and quota come through groups too."""
    name = a_name()
    realm.add_user(name, admin=True)
    with Person(name, PASSWORD) as person:
        identity = sign_in(sign_on, person)
    assert identity.is_admin
    assert identity.quota == 100 * 1024**3


def test_a_role_of_ones_own_is_enough(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """Without the groups of the example, the role alone lets somebody in, without a quota."""
    name = a_name()
    realm.set_roles(realm.add_stranger(name), "dav-user")
    with Person(name, PASSWORD) as person:
        assert sign_in(sign_on, person).quota is None


def test_without_the_role_nobody_comes_in(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """Being known at Keycloak is not enough."""
    name = a_name()
    realm.add_stranger(name)
    with Person(name, PASSWORD) as person, pytest.raises(RoleMissing):
        sign_in(sign_on, person)


def test_the_second_sign_in_asks_nothing(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """Single sign-on; but `max_age=0` has the password typed again, and its time is then new."""
    name = a_name()
    realm.add_user(name)
    with Person(name, PASSWORD) as person:
        first = sign_in(sign_on, person)
        again = sign_in(sign_on, person)
        assert (person.forms_seen, again.auth_time) == (1, first.auth_time)
        fresh = sign_in(sign_on, person, max_age=0)
        assert person.forms_seen == 2
    assert fresh.auth_time >= first.auth_time
    assert fresh.sid == first.sid


def test_a_browser_cannot_skip_the_fresh_sign_in(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """Whoever takes the demand out of the address is found out by `auth_time`."""
    name = a_name()
    realm.add_user(name)
    with Person(name, PASSWORD) as person:
        sign_in(sign_on, person)
        url, pending = sign_on.begin(CALLBACK, max_age=0)
        callback = person.follow(url.replace("&max_age=0&prompt=login", ""), CALLBACK)
        assert person.forms_seen == 1
    later = replace(pending, started_at=pending.started_at + 120)  # as if the first sign-in were long ago
    with pytest.raises(TokenRefused, match="credentials"):
        sign_on.finish(later, callback)


def test_the_address_carries_what_it_must(sign_on: KeycloakSignOn) -> None:
    """PKCE with S256, state, nonce, the exact callback; and never the verifier."""
    url, pending = sign_on.begin(CALLBACK)
    query = parse_qs(urlsplit(url).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [CALLBACK]
    assert (query["state"], query["nonce"]) == ([pending.state], [pending.nonce])
    assert query["response_type"] == ["code"]
    assert pending.verifier not in url


def test_another_callback_is_refused(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """The realm of the example knows one address exactly; Keycloak shows an error and leads nowhere."""
    name = a_name()
    realm.add_user(name)
    url, _ = sign_on.begin(CALLBACK + "/elsewhere")
    with Person(name, PASSWORD) as person, pytest.raises(AssertionError, match=r"no form here: 400"):
        person.follow(url, SITE)


def test_a_code_is_good_once(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """A callback that is loaded again asks to begin again."""
    name = a_name()
    realm.add_user(name)
    with Person(name, PASSWORD) as person:
        pending, callback = come_back(sign_on, person)
    sign_on.finish(pending, callback)
    with pytest.raises(SignInStale):
        sign_on.finish(pending, callback)


def test_a_code_needs_its_verifier(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """A stolen code is worth nothing in another session (PKCE)."""
    name = a_name()
    realm.add_user(name)
    with Person(name, PASSWORD) as person:
        pending, callback = come_back(sign_on, person)
    _, other = sign_on.begin(CALLBACK)
    with pytest.raises(SignInStale):
        sign_on.finish(replace(pending, verifier=other.verifier), callback)


def test_a_cancelled_sign_in(sign_on: KeycloakSignOn, realm: Realm) -> None:
    """What Keycloak sends when somebody refuses is told apart."""
    _, pending = sign_on.begin(CALLBACK)
    callback = {"error": "access_denied", "state": pending.state, "iss": realm.issuer}
    with pytest.raises(SignInCancelled):
        sign_on.finish(pending, callback)


def test_a_wrong_secret(realm: Realm, provider: Provider) -> None:
    """The administrator is told that client or secret are wrong."""
    name = a_name()
    realm.add_user(name)
    wrong = KeycloakSignOn(replace(provider, client_secret="not this one"), utc_now)
    with Person(name, PASSWORD) as person, pytest.raises(ProviderMisconfigured, match="client_id"):
        sign_in(wrong, person)


def test_a_realm_that_is_not_there(provider: Provider) -> None:
    """The administrator is told to look at the issuer."""
    wrong = replace(provider, issuer=provider.issuer + "-not")
    with pytest.raises(ProviderMisconfigured, match=r"identity\.issuer"):
        KeycloakSignOn(wrong, utc_now).begin(CALLBACK)


def test_an_issuer_of_another_name(provider: Provider) -> None:
    """Keycloak reached by another name calls itself as it is configured; the message says how."""
    wrong = replace(provider, issuer=provider.issuer.replace("127.0.0.1", "localhost"))
    with pytest.raises(ProviderMisconfigured, match=r"calls itself 'http://127"):
        KeycloakSignOn(wrong, utc_now).begin(CALLBACK)


def test_keycloak_is_down(provider: Provider) -> None:
    """Nobody listens: said at once."""
    with silent_port() as port:
        gone = KeycloakSignOn(replace(provider, issuer=f"http://127.0.0.1:{port}/realms/sealdav"), utc_now)
        with pytest.raises(ProviderUnavailable):
            gone.begin(CALLBACK)


@pytest.mark.parametrize(("seconds", "says"), [(-300, "behind"), (300, "ahead")])
def test_a_wrong_clock(realm: Realm, provider: Provider, seconds: int, says: str) -> None:
    """A server whose clock is five minutes off says so, and in which direction."""
    name = a_name()
    realm.add_user(name)
    off = KeycloakSignOn(provider, lambda: datetime.now(UTC) + timedelta(seconds=seconds))
    with Person(name, PASSWORD) as person, pytest.raises(ClockMismatch, match=says):
        sign_in(off, person)


def test_keys_that_change(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """A sign-in right after Keycloak began to sign with a new key works, and old sessions' tokens too."""
    name = a_name()
    realm.add_user(name)
    with Person(name, PASSWORD) as person:
        sign_in(sign_on, person)
        realm.rotate_keys()
        assert sign_in(sign_on, person).username == name


def test_signing_out_there(realm: Realm, sign_on: KeycloakSignOn) -> None:
    """One address ends the session at Keycloak without a question, and leads back."""
    name = a_name()
    subject = realm.add_user(name)
    with Person(name, PASSWORD) as person:
        identity = sign_in(sign_on, person)
        person.follow(sign_on.logout_url(identity.id_token, f"{SITE}/"), f"{SITE}/")
        assert person.forms_seen == 1
    assert realm.sessions(subject) == []


def test_the_configured_address_wins_at_sign_out(provider: Provider) -> None:
    """Whatever the page asks for, people land where the settings say."""
    url = KeycloakSignOn(replace(provider, post_logout_url="https://intranet.example.test/"), utc_now)
    query = parse_qs(urlsplit(url.logout_url("a.b.c", f"{SITE}/")).query)
    assert query["post_logout_redirect_uri"] == ["https://intranet.example.test/"]


@pytest.fixture
def notices() -> Iterator[tuple[str, Queue[str]]]:
    """A site that only hears of logouts: its address, and the tokens that arrive."""
    heard: Queue[str] = Queue()

    class Listener(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            heard.put(parse_qs(self.rfile.read(length).decode())["logout_token"][0])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()
        thread.join()


def test_an_administrator_ends_sessions(
    realm: Realm, sign_on: KeycloakSignOn, notices: tuple[str, Queue[str]]
) -> None:
    """T45 with real tokens: Keycloak tells which session ended; the same token is refused the second time."""
    address, heard = notices
    realm.serve(SITE, backchannel=address)
    name = a_name()
    subject = realm.add_user(name)
    with Person(name, PASSWORD) as person:
        identity = sign_in(sign_on, person)
    realm.log_out(subject)
    token = heard.get(timeout=LOGOUT_SECONDS)
    notice = sign_on.verify_logout_token(token)
    assert (notice.sub, notice.sid) == (subject, identity.sid)
    with pytest.raises(TokenRefused, match="before"):
        sign_on.verify_logout_token(token)
    with pytest.raises(TokenRefused):
        sign_on.verify_logout_token(identity.id_token)


def test_signing_out_of_one_browser_names_its_session(
    realm: Realm, sign_on: KeycloakSignOn, notices: tuple[str, Queue[str]]
) -> None:
    """The other browser's session is not in the notice."""
    address, heard = notices
    realm.serve(SITE, backchannel=address)
    name = a_name()
    realm.add_user(name)
    with Person(name, PASSWORD) as here, Person(name, PASSWORD) as there:
        one, other = sign_in(sign_on, here), sign_in(sign_on, there)
        here.follow(sign_on.logout_url(one.id_token, f"{SITE}/"), f"{SITE}/")
    assert sign_on.verify_logout_token(heard.get(timeout=LOGOUT_SECONDS)).sid == one.sid != other.sid


def test_a_client_that_was_made_by_hand(realm: Realm, provider: Provider) -> None:
    """Without the mappers of the example, Keycloak puts roles into the access token only: read from there."""
    name = a_name()
    realm.add_user(name)
    made = {
        "clientId": a_name(),
        "standardFlowEnabled": True,
        "publicClient": False,
        "redirectUris": [CALLBACK],
        "secret": "typed into the console",
    }
    realm.call("POST", "/clients", made)
    by_hand = KeycloakSignOn(
        replace(provider, client_id=str(made["clientId"]), client_secret=str(made["secret"])), utc_now
    )
    with Person(name, PASSWORD) as person:
        assert "dav-user" in sign_in(by_hand, person).roles


def test_the_file_from_the_console(realm: Realm, provider: Provider, tmp_path: Path) -> None:
    """keycloak.json is read as Keycloak writes it: one setting beside `provider` is enough."""
    path = tmp_path / "keycloak.json"
    path.write_text(json.dumps(realm.keycloak_json()), encoding="utf-8")
    settings = load_settings(
        flags={"identity": {"provider": "keycloak", "keycloak_json": str(path)}}
    ).identity
    secret = settings.client_secret.get_secret_value()
    assert Provider(settings.issuer, settings.client_id, secret) == provider


# ── the directory ───────────────────────────────────────────────────────────────────────────────────────────
def test_who_is_still_there(realm: Realm, provider: Provider) -> None:
    """Enabled, disabled and deleted people are told apart, more of them than fit into one request."""
    directory = KeycloakDirectory(provider)
    names = [a_name() for _ in range(3)]
    here, disabled, deleted = (realm.add_user(name) for name in names)
    realm.set_enabled(disabled, enabled=False)
    realm.delete_user(deleted)
    nobody = [f"00000000-0000-0000-0000-{number:012}" for number in range(100)]
    found = directory.find([here, disabled, deleted, *nobody])
    assert {subject: (one.username, one.enabled) for subject, one in found.items()} == {
        here: (names[0], True),
        disabled: (names[1], False),
    }


def test_roles_are_the_effective_ones(realm: Realm, provider: Provider) -> None:
    """Roles of groups count, and are gone at once with the group."""
    directory = KeycloakDirectory(provider)
    subject = realm.add_user(a_name(), admin=True)
    assert {"dav-user", "dav-admin"} <= directory.roles(subject)
    realm.leave(subject, "dav-admins")
    assert "dav-admin" not in directory.roles(subject)
    with pytest.raises(NotFound):
        directory.roles("00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("subject", ["", "../users/count", "a b", "a/b", "a?b", "..", "ä"])
def test_only_subjects_are_asked_for(provider: Provider, subject: str) -> None:
    """What is no subject never gets into an address: nobody is called like that."""
    directory = KeycloakDirectory(provider)
    assert directory.find([subject]) == {}
    with pytest.raises(NotFound):
        directory.roles(subject)


def test_a_directory_without_its_role(realm: Realm, provider: Provider) -> None:
    """A service account that may not look is an error, never the answer that everybody was deleted."""
    secret = "typed into the console"
    for roles in ([], ["query-users"]):
        name = a_name()
        client = {
            "clientId": name,
            "publicClient": False,
            "serviceAccountsEnabled": True,
            "standardFlowEnabled": False,
            "secret": secret,
        }
        realm.call("POST", "/clients", client)
        (made,) = realm.call("GET", f"/clients?clientId={name}")
        (management,) = realm.call("GET", "/clients?clientId=realm-management")
        account = realm.call("GET", f"/clients/{made['id']}/service-account-user")["id"]
        given = [realm.call("GET", f"/clients/{management['id']}/roles/{role}") for role in roles]
        realm.call("POST", f"/users/{account}/role-mappings/clients/{management['id']}", given)
        directory = KeycloakDirectory(replace(provider, client_id=name, client_secret=secret))
        with pytest.raises(ProviderMisconfigured, match="view-users"):
            directory.find(["00000000-0000-0000-0000-000000000000"])


def test_a_directory_with_a_wrong_secret(provider: Provider) -> None:
    """Told apart from a directory that is down."""
    with pytest.raises(ProviderMisconfigured):
        KeycloakDirectory(replace(provider, client_secret="not this one")).find(["0-0"])


def test_a_directory_that_is_down(provider: Provider) -> None:
    """Nothing is known then; the next question does not wait again."""
    with silent_port() as port:
        directory = KeycloakDirectory(replace(provider, issuer=f"http://127.0.0.1:{port}/realms/sealdav"))
        with pytest.raises(ProviderUnavailable):
            directory.find(["0-0"])
        with pytest.raises(ProviderUnavailable, match="a moment ago"):
            directory.find(["0-0"])


# ── https ───────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def secure_realm(keycloak: Keycloak) -> Iterator[Realm]:
    """A realm that is reached by https with a self-signed certificate."""
    if not keycloak.secure_url:
        pytest.skip("the Keycloak that the environment names is reached by http")
    made = keycloak.make_realm(f"sealdav-{secrets.token_hex(4)}", SITE, secure=True)
    yield made
    made.remove()


def test_a_self_signed_keycloak(secure_realm: Realm, tmp_path: Path) -> None:
    """With its certificate as `ca_bundle` everything works; without, the administrator is told to set it."""
    bundle = tmp_path / "authority.pem"
    bundle.write_bytes(one_pair().certificate)
    name = a_name()
    subject = secure_realm.add_user(name)
    provider = Provider(secure_realm.issuer, CLIENT, secure_realm.secret())
    trusting = replace(provider, ca_bundle=str(bundle))
    with Person(name, PASSWORD, str(bundle)) as person:
        assert sign_in(KeycloakSignOn(trusting, utc_now), person).subject == subject
    assert KeycloakDirectory(trusting).find([subject])[subject].enabled
    with pytest.raises(ProviderMisconfigured, match="ca_bundle"):
        KeycloakSignOn(provider, utc_now).begin(CALLBACK)
    with pytest.raises(ProviderMisconfigured, match="ca_bundle"):
        KeycloakDirectory(provider).find([subject])
    with pytest.raises(ProviderMisconfigured, match="ca_bundle"):
        KeycloakDirectory(replace(provider, ca_bundle=str(tmp_path / "missing"))).find([subject])
    with pytest.raises(ProviderMisconfigured, match="ca_bundle"):
        KeycloakSignOn(replace(provider, ca_bundle=str(tmp_path / "missing")), utc_now).begin(CALLBACK)
