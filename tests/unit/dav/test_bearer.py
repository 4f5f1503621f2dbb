"""Keycloak's access tokens at the door: T39, T40, T47, and the challenges of T38.

A fake Keycloak signs; everything behind the door is real. Its answers are those of a refused app password:
one 401, whatever is wrong.
"""

from __future__ import annotations

import hmac
import io
import json
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from davserver.accounts.bearer import BearerAuthenticator
from davserver.accounts.gate import OpenGate
from davserver.accounts.health import TOKENS, Trouble
from davserver.accounts.second_factor import ProvedHere, ProvedThere, SecondFactor
from davserver.accounts.sessions import Sessions, WebSession
from davserver.accounts.watch import RECHECK_SECONDS, Transfers
from davserver.audit import AuditEvent
from davserver.clock import to_seconds
from davserver.dav.app import DavApp
from davserver.dav.bearer import BearerTokens
from davserver.db.reads import Reads
from davserver.errors import AuthenticationError, CorruptRow, Unconfirmed
from davserver.identity.jwks import POLICY
from davserver.identity.keycloak import KeycloakSignOn
from davserver.identity.remembered import in_a_thread
from davserver.identity.step_up import StepUp
from davserver.model import Account, AuthMethod
from davserver.serving.dispatch import RESOURCE_METADATA_PATH
from tests import tamper
from tests.factories import make_principal, make_provider_sessions, make_sessions
from tests.fake_keycloak import (
    CLI,
    KEYS,
    SECRET,
    SESSION,
    SUBJECT,
    FakeKeycloak,
    private_key,
    public_jwk,
)
from tests.unit.accounts.test_health_of_refusals import Remembered
from tests.unit.dav.door import SHA1_ONLY, Answer, Door, Doorkeeper, make_door
from tests.unit.identity.conftest import Seconds

OTHER_SESSION = "0b57ab4e-0a2c-4d1c-9a0e-3a51a3ea4a4d"
STEP_UP = StepUp("mfa", 12 * 3600, 30)
BOTH: Mapping[str, object] = {"acr": "mfa", "amr": ["pwd", "otp"]}

BASIC = 'Basic realm="Sealdav", charset="UTF-8"'
DOCUMENT = f"http://drive.test{RESOURCE_METADATA_PATH}"
OFFERED = f'{BASIC}, Bearer realm="Sealdav", resource_metadata="{DOCUMENT}"'
REFUSED = f'{BASIC}, Bearer realm="Sealdav", error="invalid_token", resource_metadata="{DOCUMENT}"'


class Gate(OpenGate):
    """A gate that is shut when a test says so.

    Attributes:
        error: why.
        asked: how often.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked = 0

    def admit(self, account: Account, reads: Reads | None = None) -> Account:  # noqa: ARG002 - as the protocol
        """See `Gate.admit`."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return account


@dataclass
class Company:
    """A drive whose people are in a Keycloak, and alice, who has typed a one-time code on the site.

    Attributes:
        door: before which somebody stands with a token.
        bearer: what judges it.
        session: alice's browser.
        noted: what is noted of devices.
    """

    door: Door
    bearer: BearerAuthenticator
    fake: FakeKeycloak
    gate: Gate
    seconds: Seconds
    sessions: Sessions
    account: Account
    session: WebSession
    noted: Remembered

    def ask(self, token: str, method: str = "PROPFIND", name: str = "") -> Answer:
        """One request with a token."""
        self.door.authorization = f"Bearer {token}"
        return self.door.ask(method, name, {"Depth": "0"})

    def is_open(self, token: str) -> bool:
        """Whether the token opens the drive; if not, the answer has to be the one refusal."""
        answer = self.ask(token)
        if answer.status != 207:
            assert answer == self.refusal()
        return answer.status == 207

    def refusal(self) -> Answer:
        """What everybody gets whose token is no good."""
        answer = self.ask("nonsense")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, REFUSED)
        assert answer.body == b"Unauthorized\n"
        return answer


@contextmanager
def make_company(folder: Path, *, step_up: StepUp | None = None, threads: bool = False) -> Iterator[Company]:
    """The drive on a store in `folder`; `threads`: keys are fetched beside requests, as in a real server."""
    with closing(make_door(folder)) as door, FakeKeycloak(door.world.clock) as fake:
        world, seconds, gate = door.world, Seconds(), Gate()
        account = world.accounts.create("alice.keycloak", SUBJECT)
        sessions, elsewhere = make_sessions(world), make_provider_sessions(world)
        sign_on = KeycloakSignOn(
            fake.provider,
            world.clock,
            step_up,
            monotonic=seconds,
            spawn=in_a_thread if threads else lambda work: work(),
        )
        factor: SecondFactor = ProvedHere(world.accounts, elsewhere)
        if step_up is not None:
            factor = ProvedThere(world.accounts, elsewhere, step_up, world.clock)
        noted = Remembered()
        bearer = BearerAuthenticator(
            sign_on, world.accounts, factor, elsewhere, gate, world.clock, world.audit, noted
        )
        tokens = BearerTokens(bearer.authenticate, bearer.still_open, fake.issuer, CLI, "")
        accounts = {"alice": world.accounts.find("alice")}
        transfers = Transfers(seconds)
        door.app = DavApp(Doorkeeper(world, accounts), door.vaults, world.audit, SHA1_ONLY, tokens, transfers)
        signed_in = sessions.sign_in(
            None, make_principal(account, world.clock, fresh_totp=False), provider_session=SESSION
        )
        session = sessions.prove(signed_in, make_principal(account, world.clock), {})
        yield Company(door, bearer, fake, gate, seconds, sessions, account, session, noted)


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """With our own second factor."""
    with make_company(tmp_path) as made:
        yield made


@pytest.fixture
def stepped_up(tmp_path: Path) -> Iterator[Company]:
    """With Keycloak's."""
    with make_company(tmp_path, step_up=STEP_UP) as made:
        yield made


# ── in
def test_a_token_opens_the_drive(company: Company) -> None:
    """The owner's, with everything allowed: there is no narrower kind of token."""
    token = company.fake.bearer()
    company.door.authorization = f"Bearer {token}"
    assert company.door.put("file", b"content").status == 201
    assert company.door.get("file").body == b"content"
    assert company.door.ask("DELETE", "file").status == 204
    principal = company.bearer.authenticate(token, "192.0.2.1")
    assert (principal.account.id, principal.method) == (company.account.id, AuthMethod.BEARER)
    assert principal.totp_at == company.door.world.clock().replace(microsecond=0)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer  "])
def test_the_scheme_has_no_case(company: Company, scheme: str) -> None:
    """RFC 9110, 11.1."""
    company.door.authorization = f"{scheme} {company.fake.bearer()}"
    assert company.door.ask("OPTIONS").status == 200


def test_app_passwords_go_on(company: Company) -> None:
    """Both are taken side by side."""
    company.door.authorization = "Basic " + b64encode(b"alice:full").decode()
    assert company.door.ask("OPTIONS").status == 200


def test_nobody_is_asked_about_a_token(company: Company) -> None:
    """Keycloak gives its keys once, whatever comes."""
    for number in range(50):
        assert company.is_open(company.fake.bearer(jti=str(number)))
    assert company.fake.fetches[KEYS] == 1


# ── T39: out
def put_together(header: Mapping[str, object], claims: Mapping[str, object], key: bytes = b"") -> str:
    """A token made by hand, with an HMAC of `key` for a signature or none: PyJWT makes no such ones."""
    parts = [
        jwt.utils.base64url_encode(json.dumps(dict(part)).encode()).decode() for part in (header, claims)
    ]
    mac = hmac.digest(key, ".".join(parts).encode(), "sha256") if key else b""
    return ".".join([*parts, jwt.utils.base64url_encode(mac).decode()])


def public_pem() -> bytes:
    """Keycloak's public key, as anybody has it."""
    return private_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


UNPROVED: dict[str, Callable[[FakeKeycloak], str]] = {
    "of a session without the second factor": lambda fake: fake.bearer(sid=OTHER_SESSION),
    "with the other mode's second factor": lambda fake: fake.bearer(sid=OTHER_SESSION, **BOTH),
}
FORGED: dict[str, Callable[[FakeKeycloak], str]] = {
    "nothing": lambda _fake: "",
    "a word": lambda _fake: "token",
    "three letters": lambda _fake: "a.b.c",
    "two tokens": lambda fake: f"{fake.bearer()} {fake.bearer()}",
    "too long": lambda fake: fake.bearer(more="x" * 10_000),
    "unsigned": lambda fake: put_together({"alg": "none", "kid": "first"}, fake.bearer_claims()),
    "HMAC with the public key": lambda fake: put_together(
        {"alg": "HS256", "kid": "first", "typ": "at+jwt"}, fake.bearer_claims(), public_pem()
    ),
    "HMAC with our secret": lambda fake: put_together(
        {"alg": "HS256", "kid": "first", "typ": "at+jwt"}, fake.bearer_claims(), SECRET.encode()
    ),
    "another key's signature": lambda fake: fake.sign(fake.bearer_claims(), key="thief", kid="first"),
    "an unknown key": lambda fake: fake.sign(fake.bearer_claims(), key="thief", typ="at+jwt"),
    "its own key": lambda fake: fake.sign(
        fake.bearer_claims(), key="thief", jwk=public_jwk("thief"), jku="http://127.0.0.1:1/", typ="at+jwt"
    ),
    "a critical header": lambda fake: fake.sign(fake.bearer_claims(), crit=["exp"], typ="at+jwt"),
    "cut short": lambda fake: fake.bearer()[:-4],
    "an ID token": lambda fake: fake.sign(fake.id_claims(azp=CLI)),
    "a refresh token": lambda fake: fake.bearer(typ="Refresh"),
    "a logout token": lambda fake: fake.sign(fake.logout_claims(azp=CLI), typ="logout+jwt"),
    "of another realm": lambda fake: fake.bearer(iss=fake.issuer + "2"),
    "for another audience": lambda fake: fake.bearer(aud="account"),
    "for nobody": lambda fake: fake.bearer(aud=None),
    "of another client": lambda fake: fake.bearer(azp="account-console"),
    "without a session": lambda fake: fake.bearer(sid=None),
    "expired": lambda fake: fake.bearer(exp=to_seconds(fake.clock()) - 31),
    "from the future": lambda fake: fake.bearer(iat=to_seconds(fake.clock()) + 31),
    "living too long": lambda fake: fake.bearer(exp=to_seconds(fake.clock()) + 3600),
    "without the role": lambda fake: fake.bearer(realm_access={"roles": ["dav-admin"]}),
    "without roles": lambda fake: fake.bearer(realm_access=None),
    "of a stranger": lambda fake: fake.bearer(sub="00000000-0000-0000-0000-000000000000"),
    "of a built-in account": lambda fake: fake.bearer(sub="local:0"),
    **UNPROVED,
}


@pytest.mark.parametrize("kind", FORGED)
def test_t39_tokens_that_open_nothing(company: Company, kind: str) -> None:
    """T39: all refusals are the same bytes, and nobody is made an account."""
    before = len(company.door.world.accounts.list())
    assert not company.is_open(FORGED[kind](company.fake))
    assert company.is_open(company.fake.bearer())
    assert len(company.door.world.accounts.list()) == before


@pytest.mark.parametrize("kind", sorted(FORGED.keys() - {"too long"}))  # that is what the door reads at most
def test_t39_the_first_of_two_factors(company: Company, kind: str) -> None:
    """Where a code is asked for next: the second factor may be missing, and nothing else may be wrong."""
    token = FORGED[kind](company.fake)
    if kind not in UNPROVED:
        with pytest.raises(AuthenticationError, match="not accepted"):
            company.bearer.recognise(token, "terminal")
        return
    for one in (token, company.fake.bearer()):
        principal = company.bearer.recognise(one, "terminal")
        assert (principal.account.id, principal.totp_at) == (company.account.id, None)


def test_t39_a_password_only_session_beside_a_fresh_one(company: Company) -> None:
    """decisions.md 23: the thief of a password signs in at Keycloak while the owner works, for nothing."""
    thief = company.fake.bearer(sid=OTHER_SESSION)
    principal = make_principal(company.account, company.door.world.clock, fresh_totp=False)
    company.sessions.sign_in(None, principal, provider_session=OTHER_SESSION)
    assert company.is_open(company.fake.bearer())
    assert not company.is_open(thief)


def test_t39_the_second_factor_of_twelve_hours_ago(company: Company) -> None:
    """However new the token is."""
    clock = company.door.world.clock
    clock.advance(hours=12)
    assert company.is_open(company.fake.bearer())
    clock.advance(seconds=1)
    assert not company.is_open(company.fake.bearer())


@pytest.mark.parametrize("how", ["suspended", "deleted", "signed out"])
def test_t43_what_is_shut_is_shut_at_once(company: Company, how: str) -> None:
    """With the next request, though the token is signed and has minutes to live."""
    token, world = company.fake.bearer(), company.door.world
    assert company.is_open(token)
    if how == "suspended":
        world.accounts.suspend(company.account.username)
    elif how == "signed out":
        company.sessions.end(company.session)
    else:
        with world.database.write() as tx:
            tx.deletion.delete_credentials(company.account.id)
            tx.commit()
    assert not company.is_open(token)


# ── T39 with Keycloak's own second factor
def test_keycloaks_factor_opens_the_drive(stepped_up: Company) -> None:
    """All three signs; whoever has never been on the site gets an account, and quota and name with it."""
    assert stepped_up.is_open(stepped_up.fake.bearer(**BOTH))
    new = stepped_up.fake.bearer(
        sub="f81d4fae", preferred_username="Bob.New", dav_quota_bytes=7, sid=OTHER_SESSION, **BOTH
    )
    assert stepped_up.is_open(new)
    account = stepped_up.door.world.accounts.find_subject("f81d4fae")
    assert (account.username, account.quota) == ("bob.new", 7)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"acr": "mfa"},
        {"amr": ["pwd", "otp"]},
        {**BOTH, "acr": "2"},
        {**BOTH, "amr": ["pwd"]},
        {**BOTH, "amr": "otp"},
        {**BOTH, "auth_time": 0},
        {**BOTH, "auth_time": None},
    ],
)
def test_keycloaks_factor_needs_all_three(stepped_up: Company, changes: Mapping[str, object]) -> None:
    """Also where somebody typed our one-time code in that very session: never either silently."""
    assert not stepped_up.is_open(stepped_up.fake.bearer(**changes))
    assert not stepped_up.is_open(stepped_up.fake.bearer(sub="new", preferred_username="new", **changes))
    with capture_logs():
        assert stepped_up.is_open(stepped_up.fake.bearer(**BOTH))
    assert "new" not in {one.username for one in stepped_up.door.world.accounts.list()}


def test_keycloaks_factor_does_not_last(stepped_up: Company) -> None:
    """Twelve hours after it was proved, renewed tokens are good no more; nor those of an ended session."""
    clock = stepped_up.door.world.clock
    proved = to_seconds(clock())
    clock.advance(hours=12)
    assert stepped_up.is_open(stepped_up.fake.bearer(auth_time=proved, **BOTH))
    clock.advance(seconds=1)
    assert not stepped_up.is_open(stepped_up.fake.bearer(auth_time=proved, **BOTH))
    token = stepped_up.fake.bearer(**BOTH)
    assert stepped_up.is_open(token)
    stepped_up.sessions.end_at_provider(SESSION)
    assert not stepped_up.is_open(token)


@pytest.mark.parametrize("name", [None, "", "two words", "alice.keycloak"])
def test_a_name_that_cannot_be_had(stepped_up: Company, name: str | None) -> None:
    """No name, none of ours, or somebody else's: 401 as ever, and no account."""
    assert not stepped_up.is_open(stepped_up.fake.bearer(sub="new", preferred_username=name, **BOTH))


# ── T40: the site's session is no credential here
@pytest.mark.parametrize("proved", [False, True])
def test_t40_a_browsers_session_opens_nothing(company: Company, *, proved: bool) -> None:
    """T40: before and after the second factor, in any place of a request."""
    session = company.session
    if not proved:
        principal = make_principal(company.account, company.door.world.clock, fresh_totp=False)
        session = company.sessions.sign_in(None, principal, provider_session=SESSION)
    assert company.sessions.open(session.secret) is not None
    assert not company.is_open(session.secret)
    for name in ("alice", "alice.keycloak"):
        company.door.authorization = "Basic " + b64encode(f"{name}:{session.secret}".encode()).decode()
        assert company.door.ask("GET").status == 401
    company.door.authorization = None
    for cookie in ("__Host-sealdav", "sealdav"):
        assert company.door.ask("GET", "", {"Cookie": f"{cookie}={session.secret}"}).status == 401


@pytest.mark.parametrize(
    "fields",
    [
        {"X-Access-Token": "{token}"},
        {"X-Forwarded-Access-Token": "{token}"},
        {"X-Authorization": "Bearer {token}"},
        {"Proxy-Authorization": "Bearer {token}"},
        {"Cookie": "access_token={token}"},
        {"Sec-WebSocket-Protocol": "bearer, {token}"},
    ],
)
def test_a_token_in_another_place(company: Company, fields: Mapping[str, str]) -> None:
    """RFC 6750, 2: of the three places that it knows, one counts, and no other."""
    token = company.fake.bearer()
    sent = {name: value.format(token=token) for name, value in fields.items()}
    company.door.authorization = None
    assert company.door.ask("PROPFIND", "", {"Depth": "0", **sent}).status == 401


def test_a_token_in_the_address_or_in_a_form(company: Company) -> None:
    """RFC 6750, 2.2 and 2.3: they end up in logs."""
    token = company.fake.bearer()
    company.door.authorization = None
    assert company.door.call("PROPFIND", f"/dav/?access_token={token}").status == 401
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert company.door.call("PUT", "/dav/x", form, f"access_token={token}".encode()).status == 401


@pytest.mark.parametrize(
    "before", ["Basic {token}", "Token {token}", "{token}", "Bearer,{token}", "Bearer:{token}"]
)
def test_a_token_in_another_scheme(company: Company, before: str) -> None:
    """Nothing but Bearer and one space, or several."""
    company.door.authorization = before.format(token=company.fake.bearer())
    assert company.door.ask("PROPFIND").status == 401


# ── T47: Keycloak is away, or changes its keys
def test_t47_known_keys_go_on_without_keycloak(company: Company) -> None:
    """T47: for an hour; nobody waits for it meanwhile."""
    assert company.is_open(company.fake.bearer())
    company.fake.status = 503
    company.seconds.now += POLICY.max_stale - 1
    with capture_logs():
        assert company.is_open(company.fake.bearer())
        company.seconds.now += 2
        answer = company.ask(company.fake.bearer())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    company.fake.status = 200
    company.seconds.now += 60
    assert company.is_open(company.fake.bearer())


def test_keys_that_change(company: Company) -> None:
    """A token signed with a new key is good at once, one with a withdrawn key for some minutes more."""
    old = company.fake.bearer()
    assert company.is_open(old)
    company.fake.published = ["second"]
    new = company.fake.sign(company.fake.bearer_claims(), typ="at+jwt")
    assert company.is_open(new)
    assert not company.is_open(old)


def test_a_key_that_is_withdrawn(company: Company) -> None:
    """Nothing new was signed yet: seen when keys are renewed, at the second request after five minutes."""
    old = company.fake.bearer()
    assert company.is_open(old)
    company.fake.published = ["second"]
    company.seconds.now += POLICY.lifespan + 1
    company.ask(old)
    assert not company.is_open(old)


def test_t47_a_flood_of_unknown_keys(company: Company) -> None:
    """T47: 500 key ids that nobody has, each minute, are at most two fetches a minute; good tokens go on."""
    assert company.is_open(company.fake.bearer())
    claims = company.fake.bearer_claims()
    for minute in (1, 2):
        for number in range(500):
            assert (
                company.ask(company.fake.sign(claims, kid=f"{minute} {number}", typ="at+jwt")).status == 401
            )
            company.seconds.now += 60 / 500
        assert company.is_open(company.fake.bearer())
        assert company.fake.fetches[KEYS] <= 1 + 2 * minute


def test_t47_good_tokens_do_not_wait_for_a_keycloak_that_hangs(tmp_path: Path) -> None:
    """T47: twenty bad tokens wait for its keys at that moment."""
    with make_company(tmp_path, threads=True) as company:
        good, door = company.fake.bearer(), company.door
        assert company.is_open(good)
        company.fake.hangs(yes=True)
        company.seconds.now += POLICY.lifespan + 1
        claims = company.fake.bearer_claims()
        bad = [company.fake.sign(claims, kid=f"nobody's {number}", typ="at+jwt") for number in range(20)]
        door.authorization = None
        attackers = [
            threading.Thread(target=door.call, args=("GET", "/dav/", {"Authorization": f"Bearer {one}"}))
            for one in bad
        ]
        with capture_logs():
            for one in attackers:
                one.start()
            begun = time.monotonic()
            answers = [
                door.call("OPTIONS", "/dav/", {"Authorization": f"Bearer {good}"}).status for _ in range(20)
            ]
            took = time.monotonic() - begun
            company.fake.hangs(yes=False)
            for one in attackers:
                one.join()
        assert answers == [200] * 20
        assert took < 2


# ── the provider's word, and running transfers
def test_nothing_is_served_without_keycloaks_word(company: Company) -> None:
    """503 while nobody can tell, 401 for who has left; whatever is refused anyway asks nobody."""
    token = company.fake.bearer()
    company.gate.error = Unconfirmed(1)
    answer = company.ask(token)
    assert (answer.status, "www-authenticate" in answer.headers) == (503, False)
    asked = company.gate.asked
    assert not company.is_open(company.fake.bearer(sid=OTHER_SESSION))
    assert company.gate.asked == asked
    company.gate.error = AuthenticationError("has left")
    assert not company.is_open(token)
    company.gate.error = None
    assert company.is_open(token)


def download(company: Company) -> Iterator[bytes | memoryview]:
    """A large file on its way to a program that has a token."""
    token = company.fake.bearer()
    company.door.authorization = f"Bearer {token}"
    assert company.door.put("large", bytes(8 * 1024 * 1024)).status == 201
    environ = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/dav/large",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "HTTP_HOST": "drive.test",
        "REMOTE_ADDR": "192.0.2.1",
        "CONTENT_LENGTH": "0",
        "wsgi.input": io.BytesIO(),
    }
    return iter(company.door.app(environ, lambda _status, _headers: None))


def test_a_transfer_outlives_its_token(company: Company) -> None:
    """A large file takes longer than a token lives: what stands behind it is asked, not the token."""
    blocks = download(company)
    assert next(blocks)
    company.door.world.clock.advance(minutes=20)
    for _ in range(4):
        company.seconds.now += RECHECK_SECONDS
        assert next(blocks)
    assert not company.is_open(company.fake.bearer(exp=to_seconds(company.door.world.clock()) - 60))


@pytest.mark.parametrize("how", ["session ended", "suspended", "hours", "left", "unconfirmed", "gone"])
def test_a_transfer_ends_with_what_stands_behind_it(company: Company, how: str) -> None:
    """T43: within seconds; the connection is cut, so that nobody takes the part for the whole."""
    world, blocks = company.door.world, download(company)
    assert next(blocks)
    if how == "session ended":
        company.sessions.end_at_provider(SESSION)
    elif how == "suspended":
        world.accounts.suspend(company.account.username)
    elif how == "hours":
        world.clock.advance(hours=12, seconds=1)
    elif how == "gone":
        tamper.write_column(world.database, "account", "state", "deleted")
    else:
        company.gate.error = AuthenticationError("left") if how == "left" else Unconfirmed(1)
    company.seconds.now += RECHECK_SECONDS
    with pytest.raises((AuthenticationError, Unconfirmed, CorruptRow)):
        for _ in blocks:
            pass


@pytest.mark.parametrize("step_up", [None, STEP_UP], ids=["own", "keycloak"])
def test_still_open_is_about_the_same_account(tmp_path: Path, step_up: StepUp | None) -> None:
    """Somebody deleted and made anew under the same subject is somebody else; suspended, nobody goes on."""
    with make_company(tmp_path, step_up=step_up) as company:
        principal = company.bearer.authenticate(company.fake.bearer(**BOTH), "192.0.2.1")
        assert company.bearer.still_open(principal)
        stranger = replace(principal.account, id=company.door.world.accounts.find("bob").id)
        assert not company.bearer.still_open(replace(principal, account=stranger))
        nobody = replace(principal.account, subject="nobody's")
        assert not company.bearer.still_open(replace(principal, account=nobody))
        assert not company.bearer.still_open(replace(principal, provider_session=None))
        company.door.world.accounts.suspend(company.account.username)
        assert not company.bearer.still_open(principal)


# ── what is recorded
def test_refusals_are_recorded_within_bounds(company: Company) -> None:
    """At the 1st, 2nd, 4th, 8th ... from one place; with the account where it is known; never the token."""
    for _ in range(9):
        company.ask("a.b.c")
    for _ in range(3):
        company.ask(company.fake.bearer(sid=OTHER_SESSION))
    events = company.door.world.audit.of(AuditEvent.TOKEN_REFUSED)
    told = [(one.account, one.reason) for one in events]
    assert told == [(None, "this is not a signed token")] * 4 + [("alice.keycloak", "no second factor")] * 2
    assert {one.client for one in events} == {"192.0.2.1"}
    company.door.world.accounts.suspend(company.account.username)
    asked = company.gate.asked
    company.ask(company.fake.bearer())
    company.ask(company.fake.bearer())
    (*_, last) = company.door.world.audit.of(AuditEvent.TOKEN_REFUSED)
    assert (last.reason, company.gate.asked) == ("account suspended", asked)


def test_what_tokens_are_refused_for_is_noted(company: Company) -> None:
    """Of the account that a sound token names; of one that is none, nothing is: anybody can send those."""
    for token in ("a.b.c", company.fake.bearer(exp=1), company.fake.bearer(sub="nobody")):
        assert not company.is_open(token)
    assert company.noted.notes == []
    assert not company.is_open(company.fake.bearer(sid=OTHER_SESSION))
    company.gate.error = AuthenticationError("gone")
    assert not company.is_open(company.fake.bearer())
    company.gate.error = None
    company.door.world.accounts.suspend(company.account.username)
    assert not company.is_open(company.fake.bearer())
    assert company.noted.notes == [
        (company.account.id, TOKENS, Trouble.NO_SECOND_FACTOR),
        (company.account.id, TOKENS, Trouble.LEFT),
        (company.account.id, TOKENS, Trouble.SUSPENDED),
    ]


def test_an_altered_proof_is_recorded(company: Company) -> None:
    """It is the server's fault, and somebody has to hear of it."""
    tamper.write_column(company.door.world.database, "second_factor_proof", "proved_at", 2**40)
    assert company.ask(company.fake.bearer()).status == 500
    assert company.door.world.audit.of(AuditEvent.INTEGRITY_FAILED)


# ── T38: what is offered
def test_t38_both_schemes_are_offered(company: Company) -> None:
    """Basic first, for clients that look no further; an error for who came with a token (RFC 6750, 3)."""
    door = company.door
    for authorization, offered in (
        (None, OFFERED),
        ("Basic YWxpY2U6eA==", OFFERED),
        ("Digest x", OFFERED),
        ("Bearer", REFUSED),
        ("bearer x", REFUSED),
    ):
        door.authorization = authorization
        answer = door.ask("PROPFIND")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, offered)


def test_t38_two_fields_and_not_one(company: Company) -> None:
    """Some clients do not take a list apart."""
    started: list[list[tuple[str, str]]] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/dav/",
        "HTTP_HOST": "drive.test",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
    }
    list(company.door.app(environ, lambda _status, fields: started.append(fields)))
    challenges = [value for name, value in started[0] if name == "WWW-Authenticate"]
    assert challenges == [BASIC, OFFERED.removeprefix(f"{BASIC}, ")]


def test_t38_without_a_keycloak_there_is_basic_alone(door: Door) -> None:
    """Nobody is sent to look for tokens that there are none of."""
    for authorization in (None, "Bearer x"):
        door.authorization = authorization
        answer = door.ask("PROPFIND")
        assert (answer.status, answer.headers["www-authenticate"]) == (401, BASIC)
    for method, status in (("GET", 404), ("HEAD", 404), ("PROPFIND", 401)):
        assert door.call(method, RESOURCE_METADATA_PATH).status == status


# ── where tokens are to be had
def test_the_document(company: Company) -> None:
    """RFC 9728: for anybody, kept by nobody, and no person is in it."""
    company.door.authorization = None
    answer = company.door.call("GET", RESOURCE_METADATA_PATH)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.body) == {
        "resource": "http://drive.test/dav",
        "resource_name": "Sealdav",
        "authorization_servers": [company.fake.issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["openid"],
        "sealdav_cli_client_id": CLI,
    }
    head = company.door.call("HEAD", RESOURCE_METADATA_PATH)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(answer.body)))


@pytest.mark.parametrize("target", ["?x=1", "/", "/x", "2"])
def test_nothing_else_is_told_there(company: Company, target: str) -> None:
    """One address exactly; around it as everywhere."""
    company.door.authorization = None
    assert company.door.call("GET", RESOURCE_METADATA_PATH + target).status == 401
    assert company.door.call("PUT", RESOURCE_METADATA_PATH, body=b"x").status == 401


def test_the_public_address_is_named(company: Company) -> None:
    """Behind a proxy it is the setting that counts, not what the proxy calls us."""
    tokens = BearerTokens(
        company.bearer.authenticate, company.bearer.still_open, "https://id", "", "https://drive.example"
    )
    door = company.door
    door.app = DavApp(Doorkeeper(door.world, {}), door.vaults, door.world.audit, SHA1_ONLY, tokens)
    door.authorization = None
    document = json.loads(door.call("GET", RESOURCE_METADATA_PATH).body)
    assert document["resource"] == "https://drive.example/dav"
    assert "sealdav_cli_client_id" not in document
    offered = door.ask("GET").headers["www-authenticate"]
    assert offered.endswith(f'resource_metadata="https://drive.example{RESOURCE_METADATA_PATH}"')


def test_a_request_without_a_host(company: Company) -> None:
    """HTTP/1.0: the address that was listened on is named (PEP 3333)."""
    where = {"HTTP_HOST": "", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8080"}
    document = company.door.call("GET", RESOURCE_METADATA_PATH, environ=where)
    assert json.loads(document.body)["resource"] == "http://127.0.0.1:8080/dav"
