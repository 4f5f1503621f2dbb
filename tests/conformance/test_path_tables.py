"""The tables of `test_paths` where they are rarer: other methods, Destination, If, locks. T16, T17, T22."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from davserver.errors import InvalidValue
from tests.conformance import multistatus
from tests.conformance.client import Client, Headers
from tests.conformance.faults import fault
from tests.conformance.http import Response, request
from tests.conformance.multistatus import granted, lockinfo
from tests.conformance.ours import OurServer
from tests.conformance.test_destination import AWKWARD_NAMES, BAD_NAMES
from tests.conformance.test_paths import BAD_TARGETS, NAMES

AT_LEAST = 60
NOT_A_LOCK = "urn:uuid:00000000-0000-4000-8000-000000000000"
WRONG = {400, 404, 405, 409, 412, 414}
"""How a request is refused that names nothing; never a 5xx."""


def _values(table: Sequence[object]) -> list[object]:
    """Rows of another test's table, without what they say of the stock server."""
    return [getattr(row, "values", (row,))[0] for row in table]


ENCODINGS = [row for row in _values(BAD_TARGETS) if isinstance(row, bytes)]
IN_DESTINATION = [each for each in ENCODINGS if each.decode("latin-1") not in _values(BAD_NAMES)]
DEEP = max(ENCODINGS, key=lambda each: each.count(b"/"))

ELSEWHERE = fault("finds another name in it, or answers 500")
STOCK_REFUSES = {b"../../../../x", b"x#y", "\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode(), b"\x80", DEEP}
STOCK_REFUSES_IN_DESTINATION = {
    *(b"%e0%80%ae%e0%80%ae/x", b"%c0.%c0./x", b"a%c3/b"),
    *(b"a%2fb", b"a%2Fb", b"../../../../x", DEEP),
}
"""What is refused there, too, though mostly because there is no collection of a name that was made up."""


def _rows(encodings: list[bytes], refused: set[bytes]) -> list[object]:
    return [each if each in refused else pytest.param(each, marks=ELSEWHERE) for each in encodings]


def _inner(dav: Client) -> Client:
    """A filled collection two levels down, so that what leaves it does not meet another test."""
    inner = dav.made_collection("a").made_collection("b")
    inner.made("x")
    inner.made("source")
    inner.made_collection("sub").made("x")
    return inner


def _send(
    dav: Client, method: str, target: bytes, headers: Headers | None = None, body: bytes | None = None
) -> Response:
    """One request for raw bytes below the collection."""
    fields = {**dav.headers, "Connection": "close", **(headers or {})}
    wire = request(method, f"{dav.at()}TARGET", fields, body)
    with dav.connect() as connection:
        connection.send(wire.replace(b"TARGET", target))
        return connection.read(method)


def _unlocked(dav: Client) -> bool:
    return not any(dav.locks(name) for name in ("", "x", "sub", "sub/x", "source"))


def test_tables_are_long_enough() -> None:
    """T16: 60 encodings."""
    assert len(ENCODINGS) >= AT_LEAST


@pytest.mark.parametrize("target", _rows(ENCODINGS, STOCK_REFUSES))
def test_bad_target_names_nothing_for_any_method(dav: Client, target: bytes) -> None:
    """T16: COPY and MOVE from there, DELETE, PROPFIND, PROPPATCH, LOCK and UNLOCK: refused, no change."""
    inner = _inner(dav)
    before = dav.tree()
    goal = {"Destination": inner.url("moved")}
    for method, fields, body in (
        ("PROPFIND", {"Depth": "0"}, None),
        ("COPY", goal, None),
        ("MOVE", goal, None),
        ("PROPPATCH", {}, multistatus.proppatch([("{urn:x}a", "b")])),
        ("LOCK", {}, lockinfo()),
        ("LOCK", {"If": f"(<{NOT_A_LOCK}>)"}, None),
        ("UNLOCK", {"Lock-Token": f"<{NOT_A_LOCK}>"}, None),
        ("DELETE", {}, None),
    ):
        assert _send(inner, method, target, fields, body).status in WRONG
    assert dav.tree() == before
    assert _unlocked(inner)


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
@pytest.mark.parametrize("target", _rows(IN_DESTINATION, STOCK_REFUSES_IN_DESTINATION))
def test_bad_destination_is_refused(dav: Client, target: bytes, method: str) -> None:
    """T17: those of the table that are not among `BAD_NAMES`: a 4xx or 502, and all is where it was."""
    inner = _inner(dav)
    before = dav.tree()
    wire = request(
        method,
        inner.at("source"),
        {**inner.headers, "Connection": "close", "Destination": f"{inner.at()}TARGET"},
    )
    with inner.connect() as connection:
        connection.send(wire.replace(b"TARGET", target))
        answer = connection.read(method)
    assert answer.refused or answer.status == 502
    assert dav.tree() == before


@fault("finds no tag at all, and lets every condition pass")
@pytest.mark.parametrize("tag", ENCODINGS)
def test_bad_tag_names_nothing(dav: Client, tag: bytes) -> None:
    """T17: neither an ETag nor a token is ever compared with that of another node: 400 or 412, no change."""
    inner = _inner(dav)
    before = dav.tree()
    etag = inner.head("x")["ETag"]
    tokens = {name: inner.locked(name) for name in ("x", "sub/x")}
    states = [f"[{etag}]", *(f"<{token}>" for token in tokens.values())]
    for root in (inner.url(), inner.at()):
        for state in states:
            said = {"If": f"<{root}TARGET> ({state})"}
            wire = request("PUT", inner.at("x"), {**inner.headers, "Connection": "close", **said}, b"stray")
            with inner.connect() as connection:
                connection.send(wire.replace(b"TARGET", tag))
                assert connection.read("PUT").status in {400, 412}
    assert dav.tree() == before


CUTS = fault("cuts the Destination at ; and ?, and writes to another file")
LOCKABLE = sorted({str(name) for name in (*NAMES, *_values(AWKWARD_NAMES))})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=CUTS) if {";", "?"} & set(name) else name for name in LOCKABLE]
)
def test_name_is_kept_through_locks(dav: Client, name: str) -> None:
    """T17: LOCK, lockroot, If tag, PUT, COPY and UNLOCK mean the file of exactly this name, and no other."""
    dav.made("a", b"bystander")
    lock = granted(dav.lock(name))
    assert lock.path == dav.at() + name
    assert dav.only_lock(name).path == dav.at() + name
    assert dav.put(name, b"x").status == 423
    assert dav.put(name, b"1", dav.holding((name, lock.token))).status in {200, 204}
    assert dav.tree() == {"a": b"bystander", name: b"1"}
    assert dav.unlock(name, lock.token).status == 204
    token = dav.locked(name)
    assert dav.copy("a", name, {"Overwrite": "T"}).status == 423
    assert dav.copy("a", name, dav.holding((name, token))).status == 204
    assert dav.tree() == {"a": b"bystander", name: b"bystander"}


@pytest.mark.parametrize("name", [name for name in LOCKABLE if len(name) < 100])
def test_name_of_a_collection_is_kept_through_locks(dav: Client, name: str) -> None:
    """T17: the same for the lock of a collection, from which its members inherit."""
    dav.made_collection(name).made(name)
    dav.made("a")
    token = dav.locked(name)
    answer = dav.put(f"{name}/{name}", b"x")
    assert answer.status == 423
    assert dav.put(f"{name}/{name}", b"1", dav.holding((name, token))).status == 204
    assert dav.put("a", b"x").status == 204
    assert dav.move(name, "moved", dav.holding((name, token))).status == 201
    assert dav.tree() == {"a": b"x", "moved/": None, f"moved/{name}": b"1"}


ODD = [
    "..",
    ".",
    "/",
    "a/b",
    "../alice",
    "..%2falice",
    "%username%",
    "alice/../bob",
    "a\\b",
    "a\x00b",
    "\N{RIGHT-TO-LEFT OVERRIDE}ecila",
    "%2e%2e",
    "a" * 300,
    "",
    " ",
]
"""T22. Names that somebody might want to have who thinks that a name becomes a path."""


@pytest.mark.parametrize("name", ODD)
def test_odd_user_name_never_reaches_a_path(ours: OurServer, name: str) -> None:
    """T22: it is refused, or it is a label: its tree is its own, whatever its address looks like."""
    ours.client.put("mine-of-alice", b"x")
    before = set(ours.client.listing())
    try:
        account = ours.services.accounts.create(name)
    except InvalidValue:
        return
    client = ours.device(account).client
    client.made("file")
    assert client.tree() == {"file": b"content"}
    assert set(ours.client.listing()) == before
