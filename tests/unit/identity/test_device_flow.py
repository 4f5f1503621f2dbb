"""The device flow against a provider that answers as RFC 8628 says, and goes wrong as it may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from davserver.errors import (
    DavserverError,
    InvalidValue,
    ProviderMisconfigured,
    ProviderUnavailable,
    SignInCancelled,
    SignInStale,
)
from davserver.identity.device_flow import DeviceFlow, Tokens, find_endpoints, find_resource
from davserver.identity.resource import CLI_CLIENT, Resource, read
from tests.fake_keycloak import CLI, DEVICE, REVOKE, TOKEN, FakeKeycloak

ORIGIN = "https://drive.example"
ISSUER = "https://id.example/realms/test"
DRIVE = Resource.at(ORIGIN, ISSUER, CLI)


class Waiting:
    """Time that passes only by waiting.

    Attributes:
        pauses: how long each wait was.
    """

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self.pauses.append(seconds)

    def monotonic(self) -> float:
        """How long was waited in all."""
        return sum(self.pauses)


@pytest.fixture
def waiting() -> Waiting:
    """Nobody waits in these tests."""
    return Waiting()


@pytest.fixture
def flow(fake: FakeKeycloak, waiting: Waiting) -> DeviceFlow:
    """`sealdav token`, as the fake knows it."""
    endpoints = find_endpoints(fake.issuer, "")
    return DeviceFlow(endpoints, CLI, "", sleep=waiting.sleep, monotonic=waiting.monotonic)


def sign_in(flow: DeviceFlow) -> Tokens:
    """Somebody says yes at once."""
    return flow.wait(flow.begin())


# ── signing in
def test_a_sign_in(fake: FakeKeycloak, flow: DeviceFlow, waiting: Waiting) -> None:
    """One address and a code for a person; PKCE holds, or the fake would give nothing; one question."""
    invitation = flow.begin()
    assert invitation.address == f"{fake.issuer}/device?user_code=ABCD-EFGH"
    assert invitation.code == "ABCD-EFGH"
    assert invitation.verifier not in repr(invitation)
    tokens = flow.wait(invitation)
    assert tokens.access.count(".") == 2
    assert tokens.seconds == 300
    assert tokens.access not in repr(tokens)
    assert waiting.pauses == [5]


def test_a_device_code_needs_its_verifier(flow: DeviceFlow) -> None:
    """Whoever sees the device code alone gets nothing (RFC 7636)."""
    other = flow.begin()
    with pytest.raises(SignInStale):
        flow.wait(replace(flow.begin(), verifier=other.verifier))


def test_it_waits_and_slows_down(fake: FakeKeycloak, flow: DeviceFlow, waiting: Waiting) -> None:
    """RFC 8628, 3.5: pending goes on at the same pace, `slow_down` adds five seconds for good."""
    fake.pending = ["authorization_pending", "slow_down", "authorization_pending", "slow_down"]
    sign_in(flow)
    assert waiting.pauses == [5, 5, 10, 10, 15]


def test_nobody_comes(fake: FakeKeycloak, flow: DeviceFlow, waiting: Waiting) -> None:
    """It ends when the code does, without asking once more."""
    fake.pending = ["authorization_pending"] * 1000
    with pytest.raises(SignInStale, match="begin again"):
        sign_in(flow)
    assert 590 <= sum(waiting.pauses) <= 600


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("access_denied", SignInCancelled),
        ("expired_token", SignInStale),
        ("invalid_grant", SignInStale),
        ("unauthorized_client", ProviderMisconfigured),
        ("something else", ProviderMisconfigured),
    ],
)
def test_other_ends(fake: FakeKeycloak, flow: DeviceFlow, code: str, error: type[DavserverError]) -> None:
    """Each is told apart, and nothing more is asked."""
    fake.pending = ["authorization_pending", code]
    with pytest.raises(error):
        sign_in(flow)
    assert fake.fetches[TOKEN] == 2


def test_a_provider_that_is_away_for_a_while(fake: FakeKeycloak, waiting: Waiting) -> None:
    """RFC 8628, 3.5: after a failure it is asked half as often, and the sign-in goes on."""

    def sleep(seconds: float) -> None:
        waiting.sleep(seconds)
        fake.status = 503 if len(waiting.pauses) < 3 else 200

    endpoints = find_endpoints(fake.issuer, "")
    flow = DeviceFlow(endpoints, CLI, "", sleep=sleep, monotonic=waiting.monotonic)
    assert sign_in(flow).access
    assert waiting.pauses == [5, 10, 20]


def test_another_client(fake: FakeKeycloak) -> None:
    """A client that Keycloak does not know, or not for this flow: said at once."""
    with pytest.raises(ProviderMisconfigured, match="device flow"):
        DeviceFlow(find_endpoints(fake.issuer, ""), "nobody", "").begin()


# ── afterwards
def test_renewing(fake: FakeKeycloak, flow: DeviceFlow) -> None:
    """New tokens for old, again and again; an old one a second time ends it for good."""
    first = sign_in(flow)
    second = flow.refresh(first.refresh)
    third = flow.refresh(second.refresh)
    assert len({first.access, second.access, third.access}) == 3
    with pytest.raises(SignInStale, match="over"):
        flow.refresh(second.refresh)
    with pytest.raises(SignInStale):
        flow.refresh(third.refresh)
    assert fake.refreshes == 2


def test_a_renewal_is_sent_once(fake: FakeKeycloak, flow: DeviceFlow) -> None:
    """A provider in trouble may have taken the token all the same: it is never sent again by itself."""
    tokens = sign_in(flow)
    asked = fake.fetches[TOKEN]
    fake.status = 500
    with pytest.raises(ProviderUnavailable):
        flow.refresh(tokens.refresh)
    assert fake.fetches[TOKEN] == asked + 1


def test_revoking(fake: FakeKeycloak, flow: DeviceFlow) -> None:
    """Nothing comes of the refresh token any more."""
    tokens = sign_in(flow)
    flow.revoke(tokens.refresh)
    assert fake.fetches[REVOKE] == 1
    with pytest.raises(SignInStale):
        flow.refresh(tokens.refresh)


def test_no_token_is_in_an_address(fake: FakeKeycloak, flow: DeviceFlow) -> None:
    """Addresses end up in logs: everything is sent in bodies."""
    flow.revoke(flow.refresh(sign_in(flow).refresh).refresh)
    assert {DEVICE, TOKEN, REVOKE} < set(fake.fetches)
    assert not any("?" in path for path in fake.fetches)


# ── who to ask
@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://127.0.0.1:1/realms/other"},
        {"token_endpoint": "http://id.example/token"},
        {"device_authorization_endpoint": "http://id.example/device"},
        {"revocation_endpoint": None},
        {"token_endpoint": ["https://id.example/token"]},
    ],
)
def test_a_provider_that_is_not_to_be_talked_to(fake: FakeKeycloak, changes: dict[str, object]) -> None:
    """It has to call itself what the drive calls it, and no token goes over a line that others can read."""
    fake.discovery = changes
    with pytest.raises(ProviderMisconfigured):
        find_endpoints(fake.issuer, "")


def test_an_issuer_over_plain_http() -> None:
    """Nothing is even asked there."""
    with pytest.raises(ProviderMisconfigured):
        find_endpoints("http://id.example/realms/test", "")


def test_the_document_is_read_as_it_is_written() -> None:
    """RFC 9728, 2 and 3.3."""
    assert read(DRIVE.document(), ORIGIN) == DRIVE
    assert DRIVE.document()["resource"] == f"{ORIGIN}/dav"
    assert CLI_CLIENT not in Resource.at(ORIGIN, ISSUER, "").document()


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": "https://other.example/dav"},
        {"resource": f"{ORIGIN}/dav/"},
        {"resource": None},
        {"authorization_servers": []},
        {"authorization_servers": None},
        {"authorization_servers": [7]},
        {CLI_CLIENT: None},
        {CLI_CLIENT: 7},
    ],
)
def test_documents_that_are_not_believed(changes: dict[str, object]) -> None:
    """Of another drive, or without what a sign-in needs."""
    with pytest.raises(InvalidValue):
        read({**DRIVE.document(), **changes}, ORIGIN)


@pytest.mark.parametrize(
    "url",
    ["http://drive.example/dav/", "ftp://drive.example/", "drive.example", "", "https://", "https://a@b/"],
)
def test_addresses_that_are_none(url: str) -> None:
    """A token for a drive over plain http would be read by others; nothing is asked there."""
    with pytest.raises(InvalidValue, match="https"):
        find_resource(url, "")


def test_a_server_without_the_document(fake: FakeKeycloak) -> None:
    """Said in words that name what it may be."""
    with pytest.raises(InvalidValue, match="takes no tokens"):
        find_resource(fake.issuer, "")
