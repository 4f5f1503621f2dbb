"""Who gets in, and what everybody else is told: always the same. RFC 9110, 11; RFC 7617; T38, T42, T43."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta
from ipaddress import ip_network

import pytest

from tests.conformance.client import Client, basic
from tests.conformance.faults import fault
from tests.conformance.http import Response, request
from tests.conformance.ours import Device, OurServer

METHODS = (
    "OPTIONS",
    "GET",
    "HEAD",
    "PUT",
    "DELETE",
    "MKCOL",
    "COPY",
    "MOVE",
    "PROPFIND",
    "PROPPATCH",
    "LOCK",
    "UNLOCK",
    "BREW",
)
CRASHES = fault("answers 500 with the text of the exception")


def _b64(text: bytes) -> bytes:
    return b64encode(text)


MALFORMED = {
    "empty (both)": b"",
    "Basic alone": b"Basic",
    "Basic and a space": b"Basic ",
    "no base64": b"Basic !!!!",
    "one character": b"Basic A",
    "broken padding": b"Basic YWxpY2U6c2VjcmV0=",
    "no padding": b"Basic YTpiYw",
    "padding in the middle": b"Basic YW==bGljZQ==",
    "padding alone": b"Basic ====",
    "URL alphabet": b"Basic " + _b64(b"\xff\xfe:\xff").replace(b"/", b"_").replace(b"+", b"-"),
    "inner space": b"Basic YWxp Y2U6c2VjcmV0",
    "two credentials": b"Basic YTpi, Basic YTpi",
    "parameters": b'Basic realm="x"',
    "token68 and parameters": b'Basic YTpi realm="x"',
    "quoted (both)": b'Basic "YTpi"',
    "no colon": b"Basic " + _b64(b"alice"),
    "colon alone (both)": b"Basic " + _b64(b":"),
    "no name (both)": b"Basic " + _b64(b":secret"),
    "no password (both)": b"Basic " + _b64(b"alice:"),
    "NUL in the name (both)": b"Basic " + _b64(b"al\x00ice:secret"),
    "NUL in the password (both)": b"Basic " + _b64(b"alice:sec\x00ret"),
    "line break in the password (both)": b"Basic " + _b64(b"alice:secret\r\nX-A: 1"),
    "Latin-1": b"Basic " + _b64(b"al\xefce:secr\xe9t"),
    "cut UTF-8": b"Basic " + _b64(b"alice:\xc3"),
    "surrogate": b"Basic " + _b64(b"alice:\xed\xa0\x80"),
    "UTF-16": b"Basic " + _b64("alice:secret".encode("utf-16")),
    "not encoded": b"Basic alice:secret",
    "long (both)": b"Basic " + _b64(b"alice:" + b"x" * 6000),
    "long name (both)": b"Basic " + _b64(b"x" * 300 + b":secret"),
    "dots as name (both)": b"Basic " + _b64(b"..:secret"),
    "slash as name (both)": b"Basic " + _b64(b"/:secret"),
    "pattern as name (both)": b"Basic " + _b64(b"%username%:secret"),
    "query as name (both)": b"Basic " + _b64(b"' OR 1=1 --:secret"),
    "no such scheme (both)": b"Magic YTpi",
    "no scheme (both)": b"YWxpY2U6c2VjcmV0",
    "Digest (both)": b'Digest username="alice", realm="x", nonce="x", uri="/", response="x"',
    "Bearer (both)": b"Bearer eyJhbGciOiJub25lIn0.e30.",
    "Bearer alone (both)": b"Bearer",
    "Negotiate (both)": b"Negotiate YTpi",
    "bytes above ASCII": b"Basic \xff\xfe",
    "comma (both)": b",",
    "tab for a space (both)": b"Basic\tYTpi",
}


def _rows() -> list[object]:
    return [
        pytest.param(value, id=name, marks=() if name.endswith("(both)") else CRASHES)
        for name, value in MALFORMED.items()
    ]


def with_credential(
    dav: Client, value: bytes, target: str | None = None, method: str = "PROPFIND"
) -> Response:
    """One request with an Authorization field of any bytes."""
    fields = {"Host": dav.host, "Depth": "0", "Authorization": "VALUE", "Connection": "close"}
    with dav.connect() as connection:
        connection.send(request(method, target or dav.at(), fields).replace(b"VALUE", value))
        return connection.read(method)


def shape(answer: Response) -> tuple[object, ...]:
    """Everything about an answer that could tell one refusal from another."""
    return (answer.status, [field for field in answer.fields if field[0] != "date"], answer.body)


@pytest.mark.parametrize("value", _rows())
def test_malformed_credential_is_401(dav: Client, value: bytes) -> None:
    """T38: whatever is in Authorization: 401 with a Basic challenge, never another status."""
    answer = with_credential(dav, value)
    assert answer.status == 401
    assert any(
        challenge.lower().startswith("basic realm=") for challenge in answer.values("WWW-Authenticate")
    )


@fault("shows what went wrong inside, and the time")
def test_all_refusals_are_alike(dav: Client) -> None:
    """T38, T42: no refusal differs from the one without a credential, in any field or byte."""
    with dav.connect() as connection:
        fields = {"Host": dav.host, "Depth": "0", "Connection": "close"}
        connection.send(request("PROPFIND", dav.at(), fields))
        expected = shape(connection.read())
    assert expected[0] == 401
    for value in MALFORMED.values():
        assert shape(with_credential(dav, value)) == expected


@pytest.mark.usefixtures("ours")
def test_challenge_names_its_charset(dav: Client) -> None:
    """RFC 7617, 2.1: names and passwords are UTF-8; browsers and clients are told so."""
    answer = dav.as_(None).get("x")
    assert answer["WWW-Authenticate"] == 'Basic realm="Sealdav", charset="UTF-8"'


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(each, marks=fault("sends a page after the head")) if each == "HEAD" else each
        for each in METHODS
    ],
)
def test_every_method_needs_a_credential(dav: Client, method: str) -> None:
    """Without one: 401 for every method, whether something is there or not, and nothing happens."""
    dav.made("file")
    anonymous = dav.as_(None)
    body = b"x" if method == "PUT" else None
    for name in ("file", "missing", "missing/below", ""):
        fields = {"Destination": dav.url("stolen"), "Depth": "0"}
        assert anonymous.ask(method, name, fields, body).status == 401
    assert dav.tree() == {"file": b"content"}


@pytest.mark.parametrize("target", ["/dav", "/dav/", "/dav/x", "*"])
def test_options_needs_a_credential(dav: Client, target: str) -> None:
    """Windows and Finder ask without one first, and sign in only if they are told to."""
    assert dav.as_(None).send("OPTIONS", target).status == 401


@fault("takes ?logout in any query for a sign-out")
def test_query_does_not_sign_out(dav: Client) -> None:
    """A right credential stays right, whatever the query."""
    dav.made("file", b"x")
    assert dav.send("GET", dav.at("file") + "?logout").body == b"x"


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "Basic  "])
def test_scheme_has_no_case(dav: Client, scheme: str) -> None:
    """RFC 9110, 11.1: the scheme is case-insensitive, and more than one space may follow it."""
    credential = (dav.authorization or "").partition(" ")[2]
    assert dav.as_(f"{scheme} {credential}").propfind().status == 207


@pytest.mark.parametrize(
    "fields",
    [
        {"X-Remote-User": "alice"},
        {"Remote-User": "alice"},
        {"X-Forwarded-User": "alice"},
        {"X-Auth-Request-User": "alice"},
        {"Cookie": "session=alice"},
        {"Proxy-Authorization": "{authorization}"},
    ],
)
def test_nothing_else_is_a_credential(dav: Client, fields: dict[str, str]) -> None:
    """A name that anybody can send opens nothing."""
    sent = {name: value.format(authorization=dav.authorization) for name, value in fields.items()}
    assert dav.as_(None).propfind(headers=sent).status == 401


# ── ours: app passwords ─────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def device(ours: OurServer) -> Device:
    """A device of an account of its own, with a file."""
    device = ours.new_account()
    device.client.made("file", b"x")
    return device


def test_name_has_to_be_the_right_one(ours: OurServer, device: Device) -> None:
    """The app password decides; another name with it is refused, so that nobody signs in as somebody else."""
    token = device.issued.token
    assert device.client.as_(basic(device.account.username.upper(), token)).get("file").body == b"x"
    for name in ("alice", "nobody", device.account.username + "x", " ", "*"):
        answer = device.client.as_(basic(name, token)).get("file")
        assert shape(answer) == shape(device.client.as_(None).get("file"))
    assert ours.client.as_(basic("alice", token)).propfind().status == 401


def test_typed_app_password_is_forgiven(device: Device) -> None:
    """A person may type it in capitals, with spaces, or with O for 0 and I for 1."""
    token = device.issued.token
    for typed in (token.upper(), f" {token} ", token.replace("-", " ").replace("0", "O").replace("1", "I")):
        assert device.client.as_(basic(device.account.username, typed)).get("file").body == b"x"


def test_wrong_app_password_is_refused(device: Device) -> None:
    """T42: one character changed, cut, doubled: the same 401 as without a credential."""
    token, name = device.issued.token, device.account.username
    expected = shape(device.client.as_(None).get("file"))
    last = "0" if token[-1] != "0" else "1"
    inner = token[:20] + ("0" if token[20] != "0" else "1") + token[21:]
    for wrong in (token[:-1] + last, inner, token[:-1], token + token, token[4:], "x" + token):
        assert shape(device.client.as_(basic(name, wrong)).get("file")) == expected


def test_password_of_the_account_opens_nothing(ours: OurServer, device: Device) -> None:
    """Without the second factor there is nothing to be had on /dav, with the right password either."""
    ours.services.identity.set_password(device.account.id, "correct horse battery staple")
    answer = device.client.as_(basic(device.account.username, "correct horse battery staple")).get("file")
    assert shape(answer) == shape(device.client.as_(None).get("file"))


def test_app_password_is_no_bearer_token(device: Device) -> None:
    """The token in another scheme is not the token."""
    for scheme in ("Bearer", "Token", "Digest", ""):
        assert device.client.as_(f"{scheme} {device.issued.token}".strip()).get("file").status == 401


@pytest.mark.parametrize("how", ["revoked", "suspended"])
def test_refusal_takes_effect_on_the_next_request(ours: OurServer, device: Device, how: str) -> None:
    """T43: also on a connection that was signed in a moment ago; a resumed account works again."""
    client = device.client
    with client.connect() as connection:
        assert connection.ask("GET", client.at("file"), client.headers).body == b"x"
        if how == "revoked":
            ours.services.app_passwords.revoke(device.account, device.issued.app_password.id)
        else:
            ours.services.accounts.suspend(device.account.username)
        for method in ("GET", "DELETE", "PROPFIND", "OPTIONS", "PUT"):
            body = b"y" if method == "PUT" else None
            answer = connection.ask(method, client.at("file"), {**client.headers, "Depth": "0"}, body)
            assert answer.status == 401
    assert shape(client.get("file")) == shape(client.as_(None).get("file"))
    if how == "suspended":
        ours.services.accounts.resume(device.account.username)
        assert client.get("file").body == b"x"


def test_other_devices_stay_signed_in(ours: OurServer, device: Device) -> None:
    """T43: revoking one app password concerns this one alone."""
    other = ours.device(device.account)
    ours.services.app_passwords.revoke(device.account, device.issued.app_password.id)
    assert device.client.get("file").status == 401
    assert other.client.get("file").body == b"x"


def test_expired_app_password_is_refused(ours: OurServer, device: Device) -> None:
    """T43: from the moment on that was said, on the same connection, with the same words."""
    expires_at = ours.services.clock() + timedelta(hours=1)
    client = ours.device(device.account, expires_at=expires_at).client
    with client.connect() as connection:
        assert connection.ask("GET", client.at("file"), client.headers).body == b"x"
        with ours.later(hours=1, seconds=1):
            assert connection.ask("GET", client.at("file"), client.headers).status == 401
            assert shape(client.get("file")) == shape(client.as_(None).get("file"))
        assert connection.ask("GET", client.at("file"), client.headers).body == b"x"


@pytest.mark.parametrize(
    ("network", "status"), [("127.0.0.0/8", 200), ("192.0.2.0/24", 401), ("::1/128", 401)]
)
def test_app_password_of_another_network_is_refused(
    ours: OurServer, device: Device, network: str, status: int
) -> None:
    """An app password for one network opens nothing from elsewhere; forged fields do not help."""
    client = ours.device(device.account, networks=[ip_network(network)]).client
    assert client.get("file", {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1"}).status == status
