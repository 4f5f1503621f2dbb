"""Whatever is wrong with an Authorization field, the answer is one and the same 401 (T38, T42)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from davserver.dav.domain_controller import MAX_CREDENTIAL_CHARS, DomainController
from davserver.errors import AuthenticationError
from davserver.model import Principal
from davserver.vault.service import RequestReads
from tests.unit.dav.door import Answer, Door, basic


def encoded(text: bytes) -> str:
    """A Basic credential with any bytes in it."""
    return "Basic " + b64encode(text).decode()


RIGHT = b64encode(b"alice:full").decode()
REFUSED = [
    "",
    " ",
    "Basic",
    "Basic ",
    "Basic  ",
    "Basic !!!!",
    "Basic =",
    "Basic ====",
    "Basic a",
    "Basic YQ",
    "Basic YQ=",
    f"Basic {RIGHT[:-1]}",
    f"Basic {RIGHT}=",
    f"Basic {RIGHT} x",
    f"Basic {RIGHT[:4]} {RIGHT[4:]}",
    f"Basic {RIGHT},Basic {RIGHT}",
    f"Basic,{RIGHT}",
    f"Basic:{RIGHT}",
    f"Basic\t{RIGHT}",
    f" Basic {RIGHT}",
    f"Basic{RIGHT}",
    f"Basi {RIGHT}",
    RIGHT,
    encoded(b":"),
    encoded(b"alice"),
    encoded(b"alice:"),
    encoded(b":full"),
    encoded(b"alice:full\n"),
    encoded(b"alice :full"),
    encoded(b" alice:full"),
    encoded(b"alice:full:"),
    encoded(b"alice\x00:full"),
    encoded(b"\xff\xfe:full"),
    encoded(b"alice:\xff"),
    encoded("alicé:full".encode("latin-1")),
    encoded("alice:full".encode("utf-16")),
    encoded(b"alice:" + b"x" * MAX_CREDENTIAL_CHARS),
    "Basic " + "=" * 100_000,
    basic("alice", "wrong"),
    basic("eve", "full"),
    basic("ALICE\N{COMBINING ACUTE ACCENT}", "full"),
    "Bearer x",
    "Bearer " + RIGHT,
    "bearer",
    'Digest username="alice", realm="Sealdav"',
    "Negotiate YII=",
    "Basic \xfc",
]


def without(door: Door) -> Answer:
    """What somebody without any credential gets."""
    door.authorization = None
    return door.get("x")


@pytest.mark.parametrize("authorization", REFUSED)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_refusals_are_all_alike(door: Door, authorization: str, method: str) -> None:
    """T38: 401 with the challenge, the same bytes for every reason, also for OPTIONS: Windows needs it."""
    expected = without(door)
    door.authorization = authorization
    assert door.ask(method, "x") == expected
    assert expected.status == 401
    assert expected.headers["www-authenticate"] == 'Basic realm="Sealdav", charset="UTF-8"'


@pytest.mark.parametrize("authorization", [basic("alice", "full"), f"basic {RIGHT}", f"BASIC   {RIGHT} "])
def test_right_credential_opens(door: Door, authorization: str) -> None:
    """RFC 9110, 11.1: the name of a scheme has no case."""
    door.authorization = authorization
    assert door.ask("OPTIONS", "x").status == 200


@pytest.mark.parametrize(
    "target", ["/dav/%00", "/nowhere", "*", "/dav/x?logout", "/remote.php/dav/files/bob/"]
)
def test_nothing_is_told_before_authentication(door: Door, target: str) -> None:
    """Whether an address exists or is malformed is nobody's business without a credential."""
    expected = without(door)
    for method in ("GET", "OPTIONS", "PROPFIND", "NONSENSE"):
        assert door.call(method, target) == expected


@pytest.mark.parametrize("target", ["/dav/x?logout", "/dav/x?a=b"])
def test_a_query_changes_nothing(door: Door, target: str) -> None:
    """WsgiDAV's `?logout` forces a 401; ours does not know it."""
    door.put("x")
    assert door.call("GET", target).status == 200


@pytest.mark.parametrize(
    "name", ["REMOTE_USER", "HTTP_REMOTE_USER", "HTTP_X_REMOTE_USER", "HTTP_X_FORWARDED_USER"]
)
def test_no_other_field_says_who_somebody_is(door: Door, name: str) -> None:
    """WsgiDAV's trusted header lets anybody in as anybody; none is looked at here."""
    door.authorization = None
    assert door.call("GET", "/dav/", environ={name: "alice"}).status == 401


def test_client_address_is_that_of_the_connection() -> None:
    """T20: what a client says about its own address is not believed; the secret goes on as it was sent."""
    seen: list[tuple[str, str, str, str]] = []

    def authenticate(
        username: str, secret: str, client: str, agent: str, _reads: RequestReads | None
    ) -> Principal:
        seen.append((username, secret, client, agent))
        raise AuthenticationError("wrong")

    environ = {
        "HTTP_AUTHORIZATION": basic("alice", "s:e cret"),
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_X_FORWARDED_FOR": "203.0.113.9",
        "HTTP_FORWARDED": "for=203.0.113.9",
    }
    with pytest.raises(AuthenticationError):
        DomainController(None, {}, authenticate).principal(environ)
    assert seen == [("alice", "s:e cret", "192.0.2.1", "")]
