"""What is left of the lists of faults after the other files: locks met by spellings, bodies and others.

T08, T18, T30; RFC 4918, 7 and 9.10; RFC 9110, 13.2.1.
"""

from __future__ import annotations

import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.faults import fault
from tests.conformance.http import Connection, Response, chunked, head, request
from tests.conformance.multistatus import DAV, granted, lockinfo

WRITERS = 8
COMPOSED = unicodedata.normalize("NFC", "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


# ── one file, whatever it is called ─────────────────────────────────────────────────────────────────────────
@fault("takes two spellings of one name for two names, of which one is locked")
@pytest.mark.parametrize(("first", "second"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_lock_holds_in_either_spelling(dav: Client, first: str, second: str) -> None:
    """T18: Finder sends NFD, others NFC: the lock is that of the file, and a tag may use either."""
    dav.made(first, b"old")
    dav.made("other")
    token = dav.locked(first)
    assert dav.put(second, b"x").status == 423
    assert dav.delete(second).status == 423
    assert dav.copy("other", second).status == 423
    assert dav.lock(second).status == 423
    assert dav.only_lock(second).token == token
    assert dav.put(first, b"1", dav.holding((second, token))).status == 204
    assert dav.put(second, b"2", dav.holding((first, token))).status == 204
    assert dav.unlock(second, token).status == 204
    assert dav.tree() == {first: b"2", "other": b"content"}


@pytest.mark.parametrize("target", ["%41%42", "%41B", "A%42?query", "http://{host}{path}AB"])
def test_lock_holds_in_any_encoding(dav: Client, target: str) -> None:
    """T18: the request target is judged as what it names."""
    dav.made("AB", b"old")
    dav.locked("AB")
    place = target.format(host=dav.host, path=dav.at()) if "{" in target else dav.at() + target
    assert dav.send("PUT", place, None, b"x").refused
    assert dav.send("DELETE", place).refused
    assert dav.get("AB").body == b"old"


# ── one after the other ─────────────────────────────────────────────────────────────────────────────────────
def _begin(connection: Connection, dav: Client, body: bytes, fields: dict[str, str]) -> None:
    """Half of a PUT of `file`; what it depends on may change before the other half."""
    headers = {**dav.headers, **fields, "Content-Length": str(len(body))}
    connection.send(head("PUT", dav.at("file"), headers) + body[: len(body) // 2])
    dav.ask("OPTIONS")  # the other request has been answered, so this one is being read


def _end(connection: Connection, body: bytes) -> Response:
    connection.send(body[len(body) // 2 :])
    return connection.read("PUT")


BODY = bytes(200_000)


def test_lock_that_comes_during_an_upload_holds(dav: Client) -> None:
    """T30: whoever has got a lock has got it: an upload that began before either is first or is refused."""
    dav.made("file", b"old")
    with dav.connect() as connection:
        _begin(connection, dav, BODY, {})
        lock = dav.lock("file").status
        put = _end(connection, BODY).status
    assert (lock, put) in {(200, 423), (423, 204)}
    assert dav.get("file").body == (b"old" if put == 423 else BODY)


@pytest.mark.usefixtures("ours")
def test_token_that_ends_during_an_upload_does_not_count(dav: Client) -> None:
    """T30: somebody else has the lock by now: the condition is judged when the content is stored."""
    dav.made("file", b"old")
    token = dav.locked("file")
    with dav.connect() as connection:
        _begin(connection, dav, BODY, {"If": f"(<{token}>)"})
        assert dav.unlock("file", token).status == 204
        assert dav.lock("file").status == 200
        assert _end(connection, BODY).status in {412, 423}
    assert dav.get("file").body == b"old"


@fault("looks at locks before the body has arrived, and not again")
def test_collection_that_is_locked_during_an_upload_gets_no_member(dav: Client) -> None:
    """T30: the same for a new name in a collection that somebody has locked meanwhile."""
    headers = {**dav.headers, "Content-Length": str(len(BODY))}
    with dav.connect() as connection:
        connection.send(head("PUT", dav.at("file"), headers) + BODY[: len(BODY) // 2])
        dav.ask("OPTIONS")
        lock = dav.lock("", depth="0").status
        put = _end(connection, BODY).status
    assert (lock, put) in {(200, 423), (423, 201)}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("condition", ["If-Match", "If-None-Match", "If"])
def test_one_of_many_writers_wins(dav: Client, condition: str) -> None:
    """RFC 9110, 13.1: eight clients know the same state; one may change it, the others are told: 412."""
    if condition == "If-None-Match":
        fields, name, won = {condition: "*"}, "new", 201
    else:
        etag = dav.made("file", b"old")["ETag"]
        fields, name, won = {condition: etag if condition == "If-Match" else f"([{etag}])"}, "file", 204
    bodies = [bytes([number]) * 100_000 for number in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = list(pool.map(lambda body: dav.put(name, body, fields).status, bodies))
    assert sorted(statuses) == sorted([won] + [412] * (WRITERS - 1))
    assert dav.get(name).body == bodies[statuses.index(won)]


# ── bodies ──────────────────────────────────────────────────────────────────────────────────────────────────
@fault("does not see a body that comes in chunks, and reads it as the next request")
def test_lockinfo_in_chunks_is_read(dav: Client) -> None:
    """RFC 9112, 7.1: LOCK with a body in chunks; the connection goes on with the next request."""
    dav.made("file")
    headers = {**dav.headers, "Transfer-Encoding": "chunked"}
    with dav.connect() as connection:
        answer = connection.ask("LOCK", dav.at("file"), headers, chunked([lockinfo(owner="me")]))
        token = granted(answer).token
        refresh = {**headers, "If": f"(<{token}>)"}
        assert connection.ask("LOCK", dav.at("file"), refresh, chunked([])).status == 200
        assert connection.ask("GET", dav.at("file"), dav.headers).body == b"content"


@fault("answers 415")
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_body_of_unlock_harms_nobody(dav: Client, framing: str) -> None:
    """RFC 9110, 6.4: a body that means nothing: it is done without, and nothing of it is a request."""
    dav.made("file")
    token = dav.locked("file")
    body = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    fields = {**dav.headers, "Lock-Token": f"<{token}>"}
    if framing == "chunks":
        fields["Transfer-Encoding"] = "chunked"
        body = chunked([body])
    with dav.connect() as connection:
        connection.send(request("UNLOCK", dav.at("file"), fields, body))
        connection.finish()
        assert connection.read("UNLOCK").status == 204
        assert connection.ended()
    assert dav.locks("file") == []


# ── what answers say ────────────────────────────────────────────────────────────────────────────────────────
@fault("calls the namespace ns0, which Windows does not read")
def test_namespace_is_called_d(dav: Client) -> None:
    """The Mini-Redirector looks for the prefix `D:` and not for the namespace."""
    dav.made("file")
    answers = [
        dav.propfind("file"),
        dav.proppatch("file", ("{urn:x}a", "b")),
        dav.lock("file"),
        dav.lock("file"),
        dav.put("file", b"x"),
        dav.ask("PROPFIND", "", {"Depth": "infinity"}),
    ]
    assert [answer.status for answer in answers] == [207, 207, 200, 423, 423, 403]
    for answer in answers:
        assert re.match(r'(<\?xml [^>]*\?>\s*)?<D:\w+ [^>]*xmlns:D="DAV:"', answer.text)


def _refusals(dav: Client) -> list[Response]:
    """Whatever can be wrong with locks and properties, about names that may not be told."""
    dav.made("secret-name")
    dav.made_collection("secret-collection").made("secret-member")
    dav.locked("secret-name")
    nothing = "urn:uuid:00000000-0000-4000-8000-000000000000"
    return [
        dav.lock("secret-missing/below"),
        dav.lock("secret-name", depth="1"),
        dav.lock("secret-new", owner="x" * 2000),
        dav.ask("LOCK", "secret-name"),
        dav.ask("LOCK", "secret-name", None, b"<"),
        dav.ask("UNLOCK", "secret-name"),
        dav.ask("UNLOCK", "secret-name", {"Lock-Token": "secret-token"}),
        dav.unlock("secret-name", nothing),
        dav.refresh("secret-name", nothing),
        dav.put("secret-name", b"x", {"If": "(secret-condition"}),
        dav.put("secret-name", b"x", {"If": f"(<{nothing}>)"}),
        dav.ask("PROPPATCH", "secret-name", None, b"<"),
        dav.send("LOCK", dav.at("secret-collection/") + "%00", None, lockinfo()),
    ]


@fault("shows the path, its version and the exception")
def test_refusals_tell_nothing_about_the_inside(dav: Client) -> None:
    """As `test_headers`, of locks: neither a path, nor a product, nor anything of the program."""
    for answer in _refusals(dav):
        assert 400 <= answer.status < 500
        told = (answer.body + repr(answer.fields).encode()).lower()
        for secret in (b"secret-", dav.root.encode(), b"traceback", b"exception", b"wsgidav", b"cheroot"):
            assert secret not in told
        assert not re.search(rb'file "|line \d+|/usr/|/home/|/tmp/|\.py\b', told)


@pytest.mark.parametrize("method", ["LOCK", "UNLOCK"])
def test_locks_need_a_credential(dav: Client, method: str) -> None:
    """RFC 9110, 11.6.1: 401 with a challenge, whatever is there and whatever token is known."""
    dav.made("file")
    token = dav.locked("file")
    body = lockinfo() if method == "LOCK" else None
    for name in ("file", "missing"):
        answer = dav.as_(None).ask(method, name, {"Lock-Token": f"<{token}>"}, body)
        assert answer.status == 401
        assert answer.values("WWW-Authenticate")
    assert dav.only_lock("file").token == token
    assert dav.tree() == {"file": b"content"}


@pytest.mark.parametrize("value", ["return=minimal", ""])
def test_proppatch_is_answered_in_full_or_not_at_all(dav: Client, value: str) -> None:
    """RFC 8144, 2.2: with `return=minimal` a success may be short; it is never something in between."""
    dav.made("file")
    answer = dav.proppatch("file", ("{urn:x}a", "b"), headers={"Prefer": value})
    assert answer.status in {200, 204, 207}
    if answer.status == 207:
        assert multistatus.only(answer).names() == {"{urn:x}a"}
    assert dav.property("file", "{urn:x}a") == "b"
    assert dav.properties("file", f"{DAV}getetag").names() == {f"{DAV}getetag"}
