"""The If field with state tokens: what holds, what counts as submitted, and for whom. RFC 4918, 10.4."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

import pytest

from tests.conformance.client import Client, Headers
from tests.conformance.faults import fault
from tests.conformance.http import Response
from tests.conformance.multistatus import lockinfo
from tests.conformance.quick import at_once

MAX_IF = 12 * 1024
"""Characters of the longest If field; T25."""

UNKNOWN = "urn:uuid:00000000-0000-4000-8000-000000000000"
NO_LOCK = "DAV:no-lock"


@dataclass(frozen=True, slots=True)
class Words:
    """What a condition in the tables below may name, by `format`."""

    token: str
    etag: str
    url: str
    path: str
    other_etag: str
    other_url: str
    missing_url: str


def _words(dav: Client) -> Words:
    """A locked file, one that is not locked, and a name where nothing is."""
    etag, other = dav.made("file", b"old")["ETag"], dav.made("other", b"other")["ETag"]
    token = dav.locked("file")
    return Words(token, etag, dav.url("file"), dav.at("file"), other, dav.url("other"), dav.url("missing"))


def _said(condition: str, words: Words) -> str:
    return condition.format(w=words, unknown=UNKNOWN, no_lock=NO_LOCK)


NEVER_FINDS = fault("never finds a URL, so that what is said about it always holds")

CONDITIONS = [
    ("(<{w.token}>)", 204),
    ("( <{w.token}> )", 204),
    ("(<{w.token}> [{w.etag}])", 204),
    pytest.param("(<{w.token}>[{w.etag}])", 204, marks=fault("takes the two for one token")),
    ('(<{w.token}> ["another"])', 412),
    ('(<{w.token}> Not ["another"])', 204),
    ("(<{w.token}> [W/{w.etag}])", 412),
    ("(<{w.token}> Not [{w.etag}])", 412),
    ('(["another"]) (<{w.token}>)', 204),
    ('(<{w.token}>) (["another"])', 204),
    ('(["another"])(<{w.token}>)', 204),
    ("(Not <{w.token}>)", 412),
    ("(Not <{no_lock}>)", 423),
    ("(Not <{unknown}>)", 423),
    ("([{w.etag}])", 423),
    ("(<{no_lock}>)", 412),
    ("(<{unknown}>)", 412),
    ("(<{unknown}> <{w.token}>)", 412),
    ("(<{unknown}>) (<{w.token}>)", 204),
    ("(<{w.token}>) (Not <{no_lock}>)", 204),
    ("(<{w.token}> Not <{no_lock}>)", 204),
    ("(<{w.token}>) (<{no_lock}>)", 204),
    ("(<{w.token}> <{no_lock}>)", 412),
    ('(Not <{no_lock}>) (<{w.token}> ["another"])', 204),
    ("(Not <{w.token}>) (Not <{no_lock}>)", 204),
    ("<{w.url}> (<{w.token}>)", 204),
    ("<{w.path}> (<{w.token}>)", 204),
    ("<{w.url}> (<{w.token}> [{w.etag}])", 204),
    pytest.param('<{w.url}> (<{w.token}> ["another"])', 412, marks=NEVER_FINDS),
    ('<{w.url}> (["another"]) (<{w.token}>)', 204),
    ('<{w.url}> (["another"]) <{w.url}> (<{w.token}>)', 204),
    pytest.param("<{w.url}> (<{unknown}>)", 412, marks=NEVER_FINDS),
    pytest.param("<{w.url}> (<{no_lock}>)", 412, marks=NEVER_FINDS),
    pytest.param("<{w.other_url}> (<{w.token}>)", 412, marks=NEVER_FINDS),
    ("<{w.other_url}> (Not <{w.token}>)", 204),
    ("<{w.other_url}> ([{w.other_etag}]) <{w.url}> (<{w.token}>)", 204),
    ('<{w.other_url}> (["another"]) <{w.url}> (<{w.token}>)', 204),
    ("<{w.other_url}> ([{w.other_etag}])", 423),
    pytest.param('<{w.other_url}> (["another"])', 412, marks=NEVER_FINDS),
    pytest.param("<{w.other_url}> ([{w.etag}])", 412, marks=NEVER_FINDS),
    pytest.param("<{w.missing_url}> (<{w.token}>)", 412, marks=NEVER_FINDS),
    ("<{w.missing_url}> (Not <{w.token}>)", 204),
    pytest.param("<{w.missing_url}> ([{w.etag}])", 412, marks=NEVER_FINDS),
    ('<{w.missing_url}> (Not ["another"])', 423),
    ("<{w.missing_url}> (Not <{no_lock}>) <{w.url}> (<{w.token}>)", 204),
    pytest.param("<http://example.org{w.path}> (<{w.token}>)", 412, marks=NEVER_FINDS),
    ("<http://example.org{w.path}> (Not <{no_lock}>) <{w.url}> (<{w.token}>)", 204),
    pytest.param("<{w.url}x> (<{w.token}>)", 412, marks=NEVER_FINDS),
]
"""What is said about `file`, which is locked, in a PUT to it; and the status."""


@pytest.mark.parametrize(("condition", "status"), CONDITIONS)
def test_if_is_judged(dav: Client, condition: str, status: int) -> None:
    """RFC 4918, 10.4.3 to 10.4.10: 412 if no list holds, 423 if one does and no token was sent, else done."""
    said = _said(condition, _words(dav))
    assert dav.put("file", b"new", {"If": said}).status == status
    assert dav.get("file").body == (b"new" if status == 204 else b"old")
    assert dav.get("missing").status == 404


MALFORMED = [
    "",
    " ",
    "(",
    ")",
    "()",
    "(<{w.token}>",
    "<{w.token}>)",
    "<{w.token}>",
    "{w.token}",
    "({w.token})",
    "(<>)",
    "(< {w.token}>)",
    "<{w.url}>",
    "<{w.url}> <{w.url}> (<{w.token}>)",
    "(<{w.token}>) <{w.url}>",
    "(<{w.token}>) <{w.url}> (<{w.token}>)",
    "(<{w.token}>) rubbish",
    "rubbish (<{w.token}>)",
    "(<{w.token}>), (<{w.token}>)",
    "(<{w.token}>, [{w.etag}])",
    "(<{w.token}> rubbish)",
    "(Not)",
    "(Not Not <{w.token}>)",
    "(<{w.token}> Not)",
    "Not (<{w.token}>)",
    "((<{w.token}>))",
    "([])",
    "([another])",
    "(<{w.token}> [{w.etag})",
    "(<{w.token}> {w.etag})",
    '(<{w.token}> ["a"b"])',
]


@fault("takes what it understands, and no condition for one that holds")
@pytest.mark.parametrize("condition", MALFORMED)
def test_malformed_if_is_400(dav: Client, condition: str) -> None:
    """T25, RFC 4918, 10.4.2: what is not of the grammar is a 400, though it may hold the right token."""
    said = _said(condition, _words(dav))
    assert dav.put("file", b"new", {"If": said}).status == 400
    assert dav.put("missing", b"new", {"If": said}).status == 400
    assert dav.tree() == {"file": b"old", "other": b"other"}


@fault("needs time in proportion to the square of its length, and takes it for no condition")
@pytest.mark.parametrize("part", ["(<{w.token}>) ", "(Not <{no_lock}>) ", "<{w.url}> (<{w.token}>) "])
def test_long_if_is_400(dav: Client, part: str) -> None:
    """T25: more than 12 KiB are refused, whatever they say; the longest one is read at once."""
    one = _said(part, _words(dav))
    longest = one * (MAX_IF // len(one))
    too_long = longest + one * 2
    assert dav.put("file", b"new", {"If": longest.rstrip()}).status in {204, 423}
    assert dav.put("file", b"newer", {"If": too_long}).status == 400
    assert at_once(partial(dav.put, "file", b"new", {"If": longest.rstrip()}))
    assert at_once(partial(dav.put, "file", b"newer", {"If": too_long}))


# ── which resource a token is of ────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["c/member", "c/new", "c/sub/deep", "c/sub/new"])
@pytest.mark.parametrize("tag", ["", "c", "c/", "c/sub", "self"])
def test_token_covers_what_lies_below(dav: Client, name: str, tag: str) -> None:
    """RFC 4918, 6.1 and 10.4.4: an infinite lock is a state of every member, also of new ones."""
    dav.made_collection("c").made("member")
    dav.below("c").made_collection("sub").made("deep")
    token = dav.locked("c")
    tagged = f"<{dav.url(name if tag == 'self' else tag)}> " if tag else ""
    assert dav.put(name, b"x", {"If": f"{tagged}(<{token}>)"}).status in {201, 204}


@NEVER_FINDS
@pytest.mark.parametrize("name", ["c/member", "file"])
def test_token_of_depth_0_covers_no_member(dav: Client, name: str) -> None:
    """RFC 4918, 6.1: the condition is false there; nothing is written."""
    dav.made("file")
    dav.made_collection("c").made("member")
    token = dav.locked("c", depth="0")
    before = dav.tree()
    assert dav.put(name, b"x", {"If": f"(<{token}>)"}).status == 412
    assert dav.put(name, b"x", {"If": f"<{dav.url(name)}> (<{token}>)"}).status == 412
    assert dav.tree() == before


@fault("ignores the field where nothing is")
@pytest.mark.parametrize("method", ["PUT", "MKCOL", "LOCK", "COPY", "MOVE"])
def test_condition_on_a_new_name(dav: Client, method: str) -> None:
    """RFC 4918, 10.4.3: nothing has a state where nothing is: 412, and nothing appears."""
    dav.made("file")
    token = dav.locked("file")
    for condition in (f"(<{token}>)", f"(<{UNKNOWN}>)", '(["x"])', f"<{dav.url('new')}> (<{token}>)"):
        answer = _change(dav, method, {"If": condition})
        if method in {"COPY", "MOVE"} and condition == f"(<{token}>)":
            continue  # there the condition is about the source, and holds
        assert answer.status == 412
        assert dav.get("new").status == 404


def _change(dav: Client, method: str, headers: Headers) -> Response:
    if method in {"COPY", "MOVE"}:
        dav.put("source", b"x")
        return dav.ask(method, "source", {"Destination": dav.url("new"), **headers})
    body = {"PUT": b"x", "LOCK": lockinfo()}.get(method)
    return dav.ask(method, "new", headers, body)


METHODS = ("GET", "HEAD", "PUT", "DELETE", "MOVE", "COPY", "PROPPATCH", "LOCK", "UNLOCK")
OF_ANOTHER = '<{w.other_url}> (["another"])'
STOPS = [
    *((method, "(<{unknown}>)") for method in METHODS if method != "HEAD"),
    pytest.param("HEAD", "(<{unknown}>)", marks=fault("sends a page after the head")),
    *(pytest.param(method, OF_ANOTHER, marks=NEVER_FINDS) for method in METHODS),
]


@pytest.mark.parametrize(("method", "condition"), STOPS)
def test_false_condition_stops_every_method(dav: Client, method: str, condition: str) -> None:
    """RFC 4918, 10.4.1: 412 whatever was asked for, and nothing is changed, and the lock is as before."""
    words = _words(dav)
    fields = {"If": _said(condition, words)}
    extra = {"MOVE": {"Destination": dav.url("new")}, "COPY": {"Destination": dav.url("new")}}
    fields |= extra.get(method, {"Lock-Token": f"<{words.token}>"} if method == "UNLOCK" else {})
    if method == "PROPPATCH":
        answer = dav.proppatch("file", ("{urn:x}a", "b"), headers=fields)
    else:
        answer = dav.ask(method, "file", fields, {"PUT": b"x", "LOCK": lockinfo("shared")}.get(method))
    assert answer.status == 412
    assert dav.tree() == {"file": b"old", "other": b"other"}
    assert [lock.token for lock in dav.locks("file")] == [words.token]


@NEVER_FINDS
def test_etag_of_another_resource_is_compared(dav: Client) -> None:
    """RFC 4918, 10.4.3: also without any lock: this is how a client keeps two files in step."""
    dav.made("file", b"old")
    etag = dav.made("other", b"1")["ETag"]
    said = {"If": f"<{dav.url('other')}> ([{etag}])"}
    assert dav.put("file", b"new", said).status == 204
    assert dav.put("other", b"2").status == 204
    assert dav.put("file", b"newer", said).status == 412
    assert dav.get("file").body == b"new"


@NEVER_FINDS
@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_condition_on_the_destination(dav: Client, method: str) -> None:
    """RFC 4918, 10.4.1: what is overwritten is the version that the client knows, else 412."""
    dav.made("source", b"new")
    etag = dav.made("target", b"old")["ETag"]
    goal = {"Destination": dav.url("target")}
    assert dav.ask(method, "source", {**goal, "If": f'<{dav.url("target")}> (["x"])'}).status == 412
    assert dav.get("target").body == b"old"
    assert dav.ask(method, "source", {**goal, "If": f"<{dav.url('target')}> ([{etag}])"}).status == 204
    assert dav.get("target").body == b"new"


@pytest.mark.parametrize("spelling", ["lower", "upper", "all", "absolute path", "default"])
def test_tag_may_be_encoded_in_any_way(dav: Client, spelling: str) -> None:
    """RFC 3986, 6.2.2: the tag is compared as the resource that it names, not as a string."""
    name = "a b;c\N{LATIN SMALL LETTER U WITH DIAERESIS}"
    dav.made(name, b"old")
    token = dav.locked(name)
    last = {
        "lower": quote(name).lower(),
        "upper": quote(name, safe=""),
        "all": "".join(f"%{byte:02x}" for byte in name.encode()),
    }.get(spelling, quote(name, safe=";"))
    place = dav.at() if spelling == "absolute path" else dav.url()
    assert dav.put(name, b"new", {"If": f"<{place}{last}> (<{token}>)"}).status == 204


def test_several_locks_in_one_list(dav: Client) -> None:
    """RFC 4918, 10.4.3: all conditions of a list hold together: both shared tokens, or not both."""
    dav.made("file")
    one, two = dav.locked("file", "shared"), dav.locked("file", "shared")
    assert dav.put("file", b"1", {"If": f"(<{one}> <{two}>)"}).status == 204
    assert dav.unlock("file", two).status == 204
    assert dav.put("file", b"2", {"If": f"(<{one}> <{two}>)"}).status == 412
    assert dav.put("file", b"3", {"If": f"(<{one}> Not <{two}>)"}).status == 204


def test_token_that_has_ended_matches_nothing(dav: Client) -> None:
    """RFC 4918, 6.6 and 10.4.8: after UNLOCK the token is unknown: 412, and its negation holds."""
    dav.made("file", b"old")
    token = dav.locked("file")
    assert dav.unlock("file", token).status == 204
    assert dav.put("file", b"new", {"If": f"(<{token}>)"}).status == 412
    assert dav.get("file").body == b"old"
    assert dav.put("file", b"new", {"If": f"(Not <{token}>)"}).status == 204
