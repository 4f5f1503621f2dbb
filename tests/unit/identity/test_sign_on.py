"""The code flow against a provider that signs real tokens, and goes wrong in every way we tell apart."""

from __future__ import annotations

import dataclasses
import json
from queue import Queue
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import pytest

from davserver.errors import (
    ClockMismatch,
    DavserverError,
    ProviderMisconfigured,
    ProviderUnavailable,
    RoleMissing,
    SignInCancelled,
    SignInStale,
    TokenRefused,
)
from davserver.identity import fetching
from davserver.identity.base import Pending, Provider
from davserver.identity.keycloak import MAX_EXCHANGES, PENDING_SECONDS, KeycloakSignOn
from tests.fake_keycloak import (
    CLIENT,
    DISCOVERY,
    KEYS,
    SECRET,
    SESSION,
    SUBJECT,
    TOKEN,
    FakeKeycloak,
    challenge,
)
from tests.fakes import FrozenClock
from tests.unit.identity.conftest import Seconds

CALLBACK = "https://drive.example.test/oidc/callback"


def begin(sign_on: KeycloakSignOn, max_age: int | None = None) -> Pending:
    """A sign-in that has begun."""
    return sign_on.begin(CALLBACK, max_age=max_age)[1]


# ── what works
def test_a_sign_in(fake: FakeKeycloak, sign_on: KeycloakSignOn, clock: FrozenClock) -> None:
    """Everything that the provider says arrives, and the ID token for signing out."""
    pending = begin(sign_on)
    identity = sign_on.finish(pending, fake.answer(pending, dav_quota_bytes=7, amr=["pwd", "otp"]))
    assert (identity.subject, identity.sid, identity.username) == (SUBJECT, SESSION, "alice")
    assert (identity.name, identity.email, identity.quota) == ("Alice Example", "alice@example.test", 7)
    assert (identity.acr, identity.amr) == ("1", frozenset({"pwd", "otp"}))
    assert identity.auth_time == clock().timestamp()
    assert identity.id_token.count(".") == 2


def test_the_first_address(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """PKCE (S256), state, nonce and the exact callback; nothing secret."""
    url, pending = sign_on.begin(CALLBACK)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{fake.issuer}/auth?")
    assert query == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": pending.state,
        "nonce": pending.nonce,
        "code_challenge": challenge(pending.verifier),
        "code_challenge_method": "S256",
    }
    assert len({pending.state, pending.nonce, pending.verifier}) == 3


@pytest.mark.parametrize(
    ("max_age", "expected"), [(300, {"max_age": ["300"]}), (0, {"max_age": ["0"], "prompt": ["login"]})]
)
def test_asking_for_a_fresh_sign_in(
    sign_on: KeycloakSignOn, max_age: int, expected: dict[str, list[str]]
) -> None:
    """0 has the credentials typed again even right after they were."""
    url, _ = sign_on.begin(CALLBACK, max_age=max_age)
    query = parse_qs(urlsplit(url).query)
    assert {name: query[name] for name in ("max_age", "prompt") if name in query} == expected


def test_what_is_pending_can_be_kept_as_json(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """The session stores text."""
    pending = begin(sign_on, max_age=300)
    stored = Pending(**json.loads(json.dumps(dataclasses.asdict(pending))))
    assert sign_on.finish(stored, fake.answer(pending)).subject == SUBJECT


def test_secrets_are_not_shown(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """Whatever is logged by mistake holds none of them."""
    pending = begin(sign_on)
    identity = sign_on.finish(pending, fake.answer(pending))
    shown = f"{pending!r} {identity!r} {fake.provider!r}"
    for secret in (pending.state, pending.nonce, pending.verifier, identity.id_token, SECRET):
        assert secret not in shown


def test_a_new_signing_key(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """The next sign-in after the provider changed its key works."""
    pending = begin(sign_on)
    sign_on.finish(pending, fake.answer(pending))
    fake.published.append("second")
    pending = begin(sign_on)
    assert sign_on.finish(pending, fake.answer(pending)).subject == SUBJECT
    assert fake.fetches[KEYS] == 2


def test_a_new_signing_key_during_a_flood(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """T47: tokens of strangers, who name any key they like, keep nobody from signing in."""
    pending = begin(sign_on)
    sign_on.finish(pending, fake.answer(pending))
    for number in range(100):
        with pytest.raises(TokenRefused):
            sign_on.verify_access_token(fake.sign(fake.id_claims(), kid=f"nobody's {number}", typ="at+jwt"))
    fake.published.append("second")
    pending = begin(sign_on)
    assert sign_on.finish(pending, fake.answer(pending)).subject == SUBJECT


def test_signing_out(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """The hint saves the question whether one really wants to; the address is the caller's."""
    url = urlsplit(sign_on.logout_url("the.id.token", "https://drive.example.test/"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == f"{fake.issuer}/logout"
    assert parse_qs(url.query) == {
        "id_token_hint": ["the.id.token"],
        "client_id": [CLIENT],
        "post_logout_redirect_uri": ["https://drive.example.test/"],
    }


# ── roles, quota, person
@pytest.mark.parametrize(
    "access",
    [
        {"roles": []},
        {"roles": ["dav-admin"]},
        {"roles": "dav-user"},
        {"roles": [["dav-user"]]},
        {},
        "dav-user",
        ["dav-user"],
    ],
)
def test_without_the_role(fake: FakeKeycloak, sign_on: KeycloakSignOn, access: object) -> None:
    """Known there, but not allowed in here; an administrator's role alone is not enough."""
    pending = begin(sign_on)
    with pytest.raises(RoleMissing):
        sign_on.finish(pending, fake.answer(pending, realm_access=access))


def test_an_administrator(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """Both roles."""
    pending = begin(sign_on)
    roles = {"roles": ["dav-user", "dav-admin", "something else"]}
    assert sign_on.finish(pending, fake.answer(pending, realm_access=roles)).is_admin


def test_roles_of_the_access_token(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """A client made by hand has them only there; the ID token wins where it speaks of roles."""
    pending = begin(sign_on)
    access = fake.access_claims(dav_quota_bytes="9")
    identity = sign_on.finish(pending, fake.answer(pending, access=access, realm_access=None))
    assert (identity.roles, identity.quota) == (frozenset({"dav-user"}), 9)
    pending = begin(sign_on)
    with pytest.raises(RoleMissing):
        sign_on.finish(pending, fake.answer(pending, access=access, realm_access={"roles": []}))


def test_the_access_token_of_somebody_else(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """Its roles are not taken."""
    pending = begin(sign_on)
    access = fake.access_claims(sub="somebody else")
    with pytest.raises(TokenRefused):
        sign_on.finish(pending, fake.answer(pending, access=access, realm_access=None))


@pytest.mark.parametrize("quota", ["much", "-1", "1e9", 1.5, True, [5], "٣"])
def test_a_quota_that_is_no_number(fake: FakeKeycloak, sign_on: KeycloakSignOn, quota: object) -> None:
    """It must never become "unlimited"."""
    pending = begin(sign_on)
    with pytest.raises(TokenRefused, match="dav_quota_bytes"):
        sign_on.finish(pending, fake.answer(pending, dav_quota_bytes=quota))


@pytest.mark.parametrize(
    "changes",
    [
        {"preferred_username": None},
        {"preferred_username": ["alice"]},
        {"preferred_username": "a" * 256},
        {"sub": ""},
        {"auth_time": None},
        {"auth_time": "today"},
        {"sid": 5},
    ],
)
def test_claims_that_make_nobody(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, changes: dict[str, object]
) -> None:
    """Signed, and useless."""
    pending = begin(sign_on)
    with pytest.raises(TokenRefused):
        sign_on.finish(pending, fake.answer(pending, **changes))


def test_an_address_that_was_not_verified(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """No notices go to an address that somebody only claims to have."""
    pending = begin(sign_on)
    assert sign_on.finish(pending, fake.answer(pending, email_verified=False)).email == ""


# ── the callback
def test_an_answer_to_another_sign_in(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """T35: somebody else's answer, planted in this browser, signs nobody in; nor does one without state."""
    pending, others = begin(sign_on), begin(sign_on)
    callback = fake.answer(others)
    with pytest.raises(SignInStale):
        sign_on.finish(pending, callback)
    del callback["state"]
    with pytest.raises(SignInStale):
        sign_on.finish(pending, callback)
    assert fake.fetches[TOKEN] == 0


def test_a_code_of_another_sign_in(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """A code that was stolen is refused by PKCE, and its ID token would be by its nonce."""
    pending, others = begin(sign_on), begin(sign_on)
    with pytest.raises(SignInStale):
        sign_on.finish(pending, {**fake.answer(pending), "code": fake.answer(others)["code"]})
    with pytest.raises(TokenRefused, match="another sign-in"):
        sign_on.finish(pending, fake.answer(pending, nonce=others.nonce))


@pytest.mark.parametrize("issuer", ["https://evil.example.test/realms/test", "", None])
def test_an_answer_of_another_issuer(fake: FakeKeycloak, sign_on: KeycloakSignOn, issuer: str | None) -> None:
    """RFC 9207: the code is not sent anywhere."""
    pending = begin(sign_on)
    callback = {**fake.answer(pending), "iss": issuer}
    with pytest.raises(TokenRefused, match="issuer"):
        sign_on.finish(pending, {name: value for name, value in callback.items() if value is not None})
    assert fake.fetches[TOKEN] == 0


@pytest.mark.parametrize(
    ("error", "description", "kind"),
    [
        ("access_denied", "", SignInCancelled),
        ("temporarily_unavailable", "authentication_expired", SignInStale),
        ("temporarily_unavailable", "", ProviderUnavailable),
        ("server_error", "", ProviderUnavailable),
        ("unauthorized_client", "", ProviderMisconfigured),
        ("invalid_scope", "Invalid scopes: openid profile email", ProviderMisconfigured),
        ("what is this", "", ProviderMisconfigured),
    ],
)
def test_errors_of_the_provider(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, error: str, description: str, kind: type[DavserverError]
) -> None:
    """Each is told apart, and what the address says is never repeated."""
    pending = begin(sign_on)
    callback = {
        "error": error,
        "error_description": description,
        "state": pending.state,
        "iss": fake.issuer,
    }
    with pytest.raises(kind) as raised:
        sign_on.finish(pending, callback)
    assert not description or description not in str(raised.value)


def test_an_answer_without_a_code(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """Somebody cut the address short."""
    pending = begin(sign_on)
    with pytest.raises(SignInStale):
        sign_on.finish(pending, {"state": pending.state, "iss": fake.issuer})


def test_an_answer_that_comes_late(fake: FakeKeycloak, sign_on: KeycloakSignOn, clock: FrozenClock) -> None:
    """The form was open over lunch."""
    pending = begin(sign_on)
    clock.advance(seconds=PENDING_SECONDS + 1)
    with pytest.raises(SignInStale):
        sign_on.finish(pending, fake.answer(pending))


def test_a_code_is_good_once(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """The page is loaded again."""
    pending = begin(sign_on)
    callback = fake.answer(pending)
    sign_on.finish(pending, callback)
    with pytest.raises(SignInStale):
        sign_on.finish(pending, callback)


@pytest.mark.parametrize(("age", "fresh"), [(330, True), (331, False)])
def test_how_old_the_provider_s_sign_in_may_be(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, age: int, *, fresh: bool
) -> None:
    """`max_age` and the clocks' difference, counted from the beginning; a browser may have left it out."""
    pending = begin(sign_on, max_age=300)
    callback = fake.answer(pending, auth_time=pending.started_at - age)
    if fresh:
        assert sign_on.finish(pending, callback).subject == SUBJECT
    else:
        with pytest.raises(TokenRefused, match="credentials"):
            sign_on.finish(pending, callback)


# ── the provider
def test_another_clock(fake: FakeKeycloak, sign_on: KeycloakSignOn, clock: FrozenClock) -> None:
    """Told apart from a wrong token."""
    pending = begin(sign_on)
    callback = fake.answer(pending)
    clock.advance(seconds=31)
    with pytest.raises(ClockMismatch, match="31 seconds"):
        sign_on.finish(pending, callback)


def test_a_wrong_secret(fake: FakeKeycloak, clock: FrozenClock) -> None:
    """The message names the setting and not the secret."""
    sign_on = KeycloakSignOn(dataclasses.replace(fake.provider, client_secret="wrong-secret"), clock)
    pending = begin(sign_on)
    with pytest.raises(ProviderMisconfigured, match=r"identity\.client_id") as raised:
        sign_on.finish(pending, fake.answer(pending))
    assert "wrong-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, ProviderMisconfigured), (302, ProviderMisconfigured), (503, ProviderUnavailable)],
)
def test_a_discovery_that_fails(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, status: int, kind: type[DavserverError]
) -> None:
    """No such realm, or a provider in trouble."""
    fake.status = status
    with pytest.raises(kind):
        begin(sign_on)


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://id.example.test/realms/test"},
        {"issuer": None},
        {"token_endpoint": 7},
        {"jwks_uri": None},
    ],
)
def test_a_discovery_of_somebody_else(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, discovery: dict[str, object]
) -> None:
    """It must be the issuer of the settings, and complete."""
    fake.discovery = discovery
    with pytest.raises(ProviderMisconfigured, match=r"identity\.issuer"):
        begin(sign_on)


def test_a_provider_that_is_down_is_asked_seldom(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, seconds: Seconds
) -> None:
    """Pages answer at once; after five seconds it is tried again."""
    fake.status = 503
    for _ in range(50):
        with pytest.raises(ProviderUnavailable):
            begin(sign_on)
    assert fake.fetches[DISCOVERY] == 1
    fake.status = 200
    seconds.now += 5
    begin(sign_on)


def test_nobody_is_sent_to_a_provider_that_is_down(
    fake: FakeKeycloak, sign_on: KeycloakSignOn, seconds: Seconds
) -> None:
    """Its addresses are known, but a browser would find nobody there, and no page that says what to do."""
    begin(sign_on)
    fake.status = 503
    seconds.now += 5
    with pytest.raises(ProviderUnavailable):
        begin(sign_on)
    with pytest.raises(ProviderUnavailable):
        sign_on.logout_url("a.b.c", "https://drive.example.test/")


def test_it_goes_down_between_two_steps(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """The addresses are known, but the code cannot be redeemed."""
    pending = begin(sign_on)
    callback = fake.answer(pending)
    fake.status = 503
    with pytest.raises(ProviderUnavailable):
        sign_on.finish(pending, callback)


def test_it_is_gone(fake: FakeKeycloak, clock: FrozenClock) -> None:
    """Nobody listens at its address."""
    gone = Provider("http://127.0.0.1:1/realms/test", CLIENT, SECRET)
    with pytest.raises(ProviderUnavailable):
        begin(KeycloakSignOn(gone, clock))
    assert not fake.fetches


def test_it_hangs(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """A code is waited for a few seconds, by a few threads; everybody else is answered at once."""
    pending = begin(sign_on)
    callback = fake.answer(pending)
    fake.hangs(yes=True)
    with pytest.raises(ProviderUnavailable, match="does not answer"):
        sign_on.finish(pending, callback)
    begin(sign_on)
    sign_on.logout_url("a.b.c", "https://drive.example.test/")


def test_few_wait_for_one_that_hangs(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """One callback more than may wait is refused while the others still do."""
    pending = begin(sign_on)
    callback = fake.answer(pending)
    fake.hangs(yes=True)
    outcomes: Queue[str] = Queue()

    def finish() -> None:
        with pytest.raises(ProviderUnavailable) as raised:
            sign_on.finish(pending, callback)
        outcomes.put(str(raised.value))

    asking = [Thread(target=finish) for _ in range(MAX_EXCHANGES + 1)]
    for one in asking:
        one.start()
    assert outcomes.get(timeout=2) == "too many people are signing in at once"
    for one in asking:
        one.join()
    assert {outcomes.get_nowait() for _ in range(MAX_EXCHANGES)} == {
        "the identity provider does not answer (ReadTimeout)"
    }


@pytest.mark.parametrize("part", ["head", "body"])
def test_one_that_drips_is_not_waited_for(
    fake: FakeKeycloak,
    clock: FrozenClock,
    sign_on: KeycloakSignOn,
    monkeypatch: pytest.MonkeyPatch,
    part: str,
) -> None:
    """T47: a byte now and then is no answer, neither to a code nor to a question for its addresses."""
    monkeypatch.setattr(fetching, "ANSWER_SECONDS", 0.5)
    pending = begin(sign_on)
    callback = fake.answer(pending)
    fake.drips = part
    with pytest.raises(ProviderUnavailable, match="too slowly"):
        sign_on.finish(pending, callback)
    with pytest.raises(ProviderUnavailable, match="too slowly"):
        begin(KeycloakSignOn(fake.provider, clock))


def test_an_alien_key_set(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """A token that is signed with a key that the provider does not show."""
    pending = begin(sign_on)
    fake.published = ["first", "thief"]
    callback = fake.answer(pending)
    fake.published = ["first"]
    with pytest.raises(TokenRefused, match="key"):
        sign_on.finish(pending, callback)


def test_a_logout_token(fake: FakeKeycloak, sign_on: KeycloakSignOn) -> None:
    """T45: `sub` and no `sid` means every session; the second time it is refused."""
    token = fake.sign(fake.logout_claims(sid=None), typ="logout+jwt")
    notice = sign_on.verify_logout_token(token)
    assert (notice.sub, notice.sid) == (SUBJECT, "")
    with pytest.raises(TokenRefused):
        sign_on.verify_logout_token(token)
