"""LOCK, refreshing and UNLOCK: what is granted, and for how long. RFC 4918, 6, 7, 9.10 and 9.11."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from defusedxml.ElementTree import fromstring

from tests.conformance.client import Client
from tests.conformance.conftest import MakeServer, Server
from tests.conformance.faults import fault
from tests.conformance.http import Response
from tests.conformance.multistatus import conditions, granted, lockinfo, shape
from tests.conformance.ours import MAX_LOCKS, OurServer

HOUR = 3600
"""Seconds of the longest lock; T31."""

SHARED_LIMIT = 32
"""Locks on one resource; T31."""

NOT_A_LOCK = "urn:uuid:00000000-0000-4000-8000-000000000000"


def _lock(dav: Client, name: str, body: bytes | None, headers: dict[str, str] | None = None) -> Response:
    """LOCK with a body of one's own."""
    return dav.ask("LOCK", name, headers, body)


# ── what is granted ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("scope", ["exclusive", "shared"])
@pytest.mark.parametrize("depth", ["0", "infinity"])
@pytest.mark.parametrize("name", ["file", "collection", "collection/"])
def test_lock_of_what_exists_is_200(dav: Client, name: str, depth: str, scope: str) -> None:
    """RFC 4918, 9.10.1 and 9.10.6: 200 with the token in field and body, and nothing is changed."""
    dav.made("file")
    dav.made_collection("collection").made("member")
    before = dav.tree()
    answer = dav.lock(name, scope, depth=depth)
    assert answer.status == 200
    lock = granted(answer)
    assert answer["Lock-Token"] == f"<{lock.token}>"
    assert (lock.scope, lock.depth, lock.owner) == (scope, depth, None)
    assert lock.path.rstrip("/") == dav.at(name).rstrip("/")
    assert dav.tree() == before


@fault("makes tokens of a scheme that is reserved for UUIDs, and no UUIDs")
def test_token_is_a_uuid_that_nobody_had_before(dav: Client) -> None:
    """RFC 4918, 6.5: tokens are unique for all time: `urn:uuid:` (RFC 4122), random, never the same one."""
    tokens = set()
    dav.made("file")
    for _ in range(3):
        token = dav.locked("file")
        assert re.fullmatch(
            r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", token
        )
        assert dav.unlock("file", token).status == 204
        tokens.add(token)
    assert len(tokens) == 3


def test_depth_is_infinity_unless_said_otherwise(dav: Client) -> None:
    """RFC 4918, 9.10.3: no Depth means infinity; Windows sends none."""
    dav.made_collection("collection")
    assert granted(dav.lock("collection")).depth == "infinity"


CAPS = fault("grants a week and more, and the sum of it is never swept")

TIMEOUTS = [
    ("Second-60", 60),
    ("Second-3600", HOUR),
    pytest.param("Second-7200", HOUR, marks=CAPS),
    pytest.param("Second-604800", HOUR, marks=CAPS),
    pytest.param("Second-4100000000", HOUR, marks=CAPS),
    pytest.param("Infinite", HOUR, marks=CAPS),
    pytest.param("Infinite, Second-4100000000", HOUR, marks=CAPS),
    ("Second-60, Infinite", 60),
    ("Extended-x, Second-60", 60),
    pytest.param("Second-99999999999999999999999999", HOUR, marks=CAPS),
    pytest.param("rubbish", HOUR, marks=CAPS),
    pytest.param(None, HOUR, marks=CAPS),
]


@pytest.mark.parametrize(("timeout", "seconds"), TIMEOUTS)
def test_timeout_is_what_was_asked_for_within_an_hour(dav: Client, timeout: str | None, seconds: int) -> None:
    """T31, RFC 4918, 10.7: the first one that is understood, at most an hour; and no longer."""
    dav.made("file")
    assert seconds - 5 <= granted(dav.lock("file", timeout=timeout)).seconds <= seconds


OWNERS = [
    "",
    "Alice &amp; &lt;Bob&gt;",
    "<D:href>https://example.org/~alice?a=1&amp;b=2</D:href>",
    'mixed <x:a xmlns:x="urn:x" x:b="&quot;c&quot;">nested<x:d/>tail</x:a> content',
    '<a xmlns="">no namespace</a>',
    " \N{PILE OF POO}\n\tspace is kept ",
    "<![CDATA[<not an element>]]>",
    "a]]&gt;b",
]


@pytest.mark.parametrize("owner", OWNERS)
def test_owner_is_given_back_as_it_was_sent(dav: Client, owner: str) -> None:
    """RFC 4918, 14.17: what the client says of itself is kept, to the character."""
    dav.made("file")
    sent = fromstring(f'<D:owner xmlns:D="DAV:">{owner}</D:owner>')
    answered = granted(dav.lock("file", owner=owner)).owner
    (shown,) = dav.locks("file")
    for found in (answered, shown.owner):
        assert found is not None
        assert shape(found) == shape(sent)


@pytest.mark.parametrize(
    "inside",
    [
        "<!-- c -->",
        "<?target data?>",
        pytest.param('<later xmlns="urn:x"><D:lockscope/></later>', marks=fault("knows no extensions")),
    ],
    ids=["comment", "instruction", "extension"],
)
def test_what_xml_allows_is_read(dav: Client, inside: str) -> None:
    """RFC 4918, 17: comments, instructions and unknown elements in lockinfo are passed over."""
    dav.made("file")
    body = (
        lockinfo(owner=f"me{inside}").decode().replace("<D:lockscope>", f"{inside}<D:lockscope>{inside}", 1)
    )
    lock = granted(_lock(dav, "file", body.encode()))
    assert lock.scope == "exclusive"


# ── names that nothing is at yet ────────────────────────────────────────────────────────────────────────────
def test_lock_of_a_new_name_makes_an_empty_file(dav: Client) -> None:
    """RFC 4918, 7.3: 201 with token in field and body; davfs2 and cadaver lock before they PUT."""
    answer = dav.lock("new")
    assert answer.status == 201
    assert answer["Lock-Token"] == f"<{granted(answer).token}>"
    assert dav.tree() == {"new": b""}
    assert dav.head("new")["Content-Length"] == "0"
    assert [lock.path for lock in dav.locks("new")] == [dav.at("new")]


def test_what_was_put_stays_after_unlock(dav: Client) -> None:
    """RFC 4918, 7.3: LOCK, PUT, UNLOCK, as every client saves a new file."""
    token = dav.locked("new")
    assert dav.put("new", b"content", dav.holding(("new", token))).status in {200, 204}
    assert dav.unlock("new", token).status == 204
    assert dav.tree() == {"new": b"content"}


def test_empty_put_counts(dav: Client) -> None:
    """Finder and Windows put an empty file first: what was put is a file, however long."""
    token = dav.locked("new")
    assert dav.put("new", b"", dav.holding(("new", token))).status in {200, 204}
    assert dav.unlock("new", token).status == 204
    assert dav.tree() == {"new": b""}


@pytest.mark.usefixtures("ours")
def test_lock_that_nothing_was_put_into_leaves_no_file(dav: Client) -> None:
    """RFC 4918, 7.3 and rulings 19: an empty file that only a LOCK has made goes with its lock."""
    token = dav.locked("new")
    assert dav.unlock("new", token).status == 204
    assert dav.tree() == {}
    assert dav.get("new").status == 404
    assert dav.put("new", b"x").status == 201


@pytest.mark.usefixtures("ours")
def test_file_goes_with_the_last_of_its_locks(dav: Client) -> None:
    """The same with two shared locks: the first UNLOCK leaves the file to the other holder."""
    tokens = dav.locked("new", "shared"), dav.locked("new", "shared")
    assert dav.unlock("new", tokens[0]).status == 204
    assert dav.tree() == {"new": b""}
    assert dav.unlock("new", tokens[1]).status == 204
    assert dav.tree() == {}


def test_mkcol_over_a_locked_new_name_is_405(dav: Client) -> None:
    """RFC 4918, 7.3: the name is taken by a file."""
    token = dav.locked("new")
    assert dav.mkcol("new", dav.holding(("new", token))).status == 405
    assert dav.tree() == {"new": b""}


@fault("locks a file under the name of a collection")
def test_collection_that_is_missing_is_not_locked(dav: Client) -> None:
    """RFC 4918, 5.2: LOCK makes a file and never a collection: a slash at the end of a new name is a 4xx."""
    assert dav.lock("new/").refused
    assert dav.tree() == {}


@pytest.mark.parametrize("name", ["missing/new", "file/new"])
def test_lock_needs_its_parent(dav: Client, name: str) -> None:
    """RFC 4918, 9.10.6: 409 where there is no collection to put it into."""
    dav.made("file")
    assert dav.lock(name).status in ({409} if name.startswith("missing") else {403, 404, 405, 409})
    assert dav.tree() == {"file": b"content"}


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────────────
INFO = '<lockinfo xmlns="DAV:"><lockscope>{scope}</lockscope><locktype>{kind}</locktype></lockinfo>'

BAD_BODIES = {
    "unknown scope": INFO.format(scope="<x/>", kind="<write/>"),
    "scope of another namespace": INFO.format(scope='<exclusive xmlns="urn:x"/>', kind="<write/>"),
    "no scope": INFO.format(scope="", kind="<write/>"),
    "two scopes": INFO.format(scope="<exclusive/><shared/>", kind="<write/>"),
    "unknown type": INFO.format(scope="<exclusive/>", kind="<read/>"),
    "no type": INFO.format(scope="<exclusive/>", kind=""),
    "no element for the scope": '<lockinfo xmlns="DAV:"><locktype><write/></locktype></lockinfo>',
    "no element for the type": '<lockinfo xmlns="DAV:"><lockscope><shared/></lockscope></lockinfo>',
    "nothing in it": '<lockinfo xmlns="DAV:"/>',
    "another root": '<propfind xmlns="DAV:"><allprop/></propfind>',
    "no namespace": lockinfo().decode().replace("D:", "").replace(':D="DAV:"', ""),
    "unclosed": '<lockinfo xmlns="DAV:">',
    "text": "exclusive",
    "blanks": " ",
    "declaration of types": '<!DOCTYPE lockinfo SYSTEM "x.dtd">' + lockinfo().decode(),
    "entity": '<!DOCTYPE l [<!ENTITY e "<D:write/>">]>' + lockinfo().decode().replace("<D:write/>", "&e;"),
}

TAKEN = {
    "two scopes": fault("takes the last one"),
    "declaration of types": fault("reads it"),
}


@pytest.mark.parametrize("name", ["file", "new"])
@pytest.mark.parametrize(
    "body", [pytest.param(body, marks=TAKEN.get(name, ()), id=name) for name, body in BAD_BODIES.items()]
)
def test_malformed_lockinfo_is_400(dav: Client, body: str, name: str) -> None:
    """RFC 4918, 9.10.6 and 14.11; T23: 400, nothing is locked and no file is made."""
    dav.made("file")
    assert _lock(dav, name, body.encode()).status == 400
    assert dav.tree() == {"file": b"content"}
    assert dav.put("file", b"x").status == 204


@pytest.mark.parametrize("depth", ["1", "2", "-1", "one", "", "1,noroot"])
def test_depth_that_a_lock_cannot_have_is_400(dav: Client, depth: str) -> None:
    """RFC 4918, 9.10.3: "0" or "infinity"."""
    dav.made_collection("collection")
    assert dav.lock("collection", depth=depth).status == 400
    assert dav.lock("new", depth=depth).status == 400
    assert dav.tree() == {"collection/": None}
    assert dav.mkcol("collection/new").status == 201


@fault("keeps whatever it is told, and repeats it in every answer")
@pytest.mark.parametrize("name", ["file", "new"])
@pytest.mark.parametrize("owner", ["x" * 1100, "<x/>" * 300, "\N{PILE OF POO}" * 300])
def test_owner_beyond_1_kib_is_413(dav: Client, owner: str, name: str) -> None:
    """T31: nothing is locked, and no file is made."""
    dav.made("file")
    assert dav.lock(name, owner=owner).status == 413
    assert dav.tree() == {"file": b"content"}
    assert dav.put("file", b"x").status == 204


def test_owner_within_1_kib_is_kept(dav: Client) -> None:
    """T31: the counterpart."""
    dav.made("file")
    owner = granted(dav.lock("file", owner="x" * 950)).owner
    assert owner is not None
    assert owner.text == "x" * 950


@fault("reads and keeps everything")
def test_lockinfo_beyond_128_kib_is_413(dav: Client) -> None:
    """T23: before all of it was read."""
    body = lockinfo() + b" " * (128 * 1024)
    assert _lock(dav, "new", body).status == 413
    assert dav.tree() == {}


@fault("grants any number")
def test_shared_locks_of_one_resource_are_counted(dav: Client) -> None:
    """T31: 32 shared locks, then 507; one less, one more."""
    dav.made("file")
    tokens = [dav.locked("file", "shared") for _ in range(SHARED_LIMIT)]
    assert dav.lock("file", "shared").status == 507
    assert len(dav.locks("file")) == SHARED_LIMIT
    assert dav.unlock("file", tokens[0]).status == 204
    dav.locked("file", "shared")


def test_locks_of_one_account_are_counted(ours: OurServer) -> None:
    """T31: as many as the setting allows, then 507 and no file; one that ends makes room, and only here."""
    client = ours.new_account().client
    with client.connect() as connection:
        for number in range(MAX_LOCKS):
            name = f"{number % (MAX_LOCKS // 25):03}"
            answer = connection.ask("LOCK", client.at(name), client.headers, lockinfo("shared"))
            assert answer.status in {200, 201}
    assert client.lock("more").status == 507
    assert client.get("more").status == 404
    assert client.unlock("000", client.locks("000")[0].token).status == 204
    client.locked("more")
    assert client.lock("again").status == 507
    assert ours.new_account().client.lock("file").status == 201
    with ours.later(seconds=HOUR + 1):
        assert client.lock("again").status == 201


# ── refreshing ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("scope", ["exclusive", "shared"])
def test_refresh_keeps_the_lock(dav: Client, scope: str) -> None:
    """RFC 4918, 9.10.2: a LOCK without a body: 200, the same token, scope, depth and owner."""
    dav.made_collection("collection")
    lock = granted(dav.lock("collection", scope, depth="0", owner="me", timeout="Second-100"))
    again = granted(dav.refresh("collection", lock.token, "Second-200"))
    assert (again.token, again.scope, again.depth, again.root) == (lock.token, scope, "0", lock.root)
    assert again.owner is not None
    assert again.owner.text == "me"
    assert len(dav.locks("collection")) == 1


def test_refresh_sends_no_lock_token(dav: Client) -> None:
    """RFC 4918, 9.10.2: the field is for new locks."""
    dav.made("file")
    answer = dav.refresh("file", dav.locked("file"))
    assert answer.status == 200
    assert answer.get("Lock-Token") is None


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [
        ("Second-50", 50),
        pytest.param("Infinite", HOUR, marks=CAPS),
        pytest.param(None, HOUR, marks=CAPS),
    ],
)
def test_refresh_has_a_timeout_of_its_own(dav: Client, timeout: str | None, seconds: int) -> None:
    """RFC 4918, 9.10.2: shorter or longer than before, at most an hour."""
    dav.made("file")
    token = dav.locked("file", timeout="Second-100")
    assert seconds - 5 <= granted(dav.refresh("file", token, timeout)).seconds <= seconds


def test_refresh_restarts_the_timer(server: Server, dav: Client) -> None:
    """RFC 4918, 6.6: Office refreshes again and again: the lock lives as long as that, and not longer."""
    dav.made("file")
    token = dav.locked("file", timeout="Second-100")
    with server.later(seconds=70):
        assert dav.refresh("file", token, "Second-100").status == 200
    with server.later(seconds=140):
        assert dav.put("file", b"x").status == 423
        assert dav.refresh("file", token, "Second-100").status == 200
    with server.later(seconds=230):
        assert dav.put("file", b"x").status == 423
    with server.later(seconds=250):
        assert dav.put("file", b"x").status == 204


@pytest.mark.parametrize("name", ["collection/member", "collection/sub/deep"])
def test_refresh_through_a_member(dav: Client, name: str) -> None:
    """RFC 4918, 9.10.2: any resource in the lock's scope will do; the lock is still the collection's."""
    dav.made_collection("collection").made("member")
    dav.below("collection").made_collection("sub").made("deep")
    lock = granted(dav.lock("collection"))
    again = granted(dav.refresh(name, lock.token))
    assert (again.token, again.root, again.depth) == (lock.token, lock.root, "infinity")


def test_refresh_ignores_depth(dav: Client) -> None:
    """RFC 4918, 9.10.2: the depth of a lock does not change."""
    dav.made_collection("collection")
    token = dav.locked("collection")
    answer = dav.ask("LOCK", "collection", {"If": f"(<{token}>)", "Depth": "0"})
    assert granted(answer).depth == "infinity"


@pytest.mark.parametrize("body", [None, b""])
@pytest.mark.parametrize("name", ["file", "new"])
def test_lock_without_body_and_token_is_400(dav: Client, name: str, body: bytes | None) -> None:
    """RFC 4918, 9.10.2: nothing says what is wanted; nothing is locked or made."""
    dav.made("file")
    dav.locked("file", "shared")
    assert _lock(dav, name, body).status == 400
    assert dav.tree() == {"file": b"content"}


NO_REASON = fault("does not say why")


@NO_REASON
@pytest.mark.parametrize("name", ["file", "other", "collection", "collection/member", "missing"])
def test_refresh_of_what_the_token_does_not_cover_is_412(dav: Client, name: str) -> None:
    """RFC 4918, 9.10.2 and 16: 412 with lock-token-matches-request-uri (or 404), and nothing is made."""
    dav.made("file")
    dav.made("other")
    dav.made_collection("collection").made("member")
    dav.locked("file")
    token = dav.locked("collection", depth="0") if name == "collection/member" else NOT_A_LOCK
    if name == "other":
        token = dav.locked("collection/member")
    before = dav.tree()
    answer = dav.refresh(name, token)
    assert answer.status in ({404, 412} if name == "missing" else {412})
    if answer.status == 412:
        assert set(conditions(answer)) == {"lock-token-matches-request-uri"}
    assert dav.tree() == before


def test_expired_lock_cannot_be_refreshed(server: Server, dav: Client) -> None:
    """RFC 4918, 6.6: what has expired is no lock, and may be somebody else's by now."""
    dav.made("file")
    token = dav.locked("file", timeout="Second-10")
    with server.later(seconds=11):
        assert dav.refresh("file", token).status == 412
        assert dav.put("file", b"x").status == 204


# ── UNLOCK ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", ["file", "collection", "collection/"])
def test_unlock_is_204(dav: Client, name: str) -> None:
    """RFC 4918, 9.11: 204 without a body, the lock is gone, and a second one is a 409."""
    dav.made("file")
    dav.made_collection("collection")
    token = dav.locked(name)
    answer = dav.unlock(name, token)
    assert (answer.status, answer.body) == (204, b"")
    assert dav.locks(name) == []
    assert dav.unlock(name, token).status == 409


UNLOCKS_NOTHING = fault("takes anything for the token of a lock that is not there")

NO_TOKENS = [
    "",
    "x",
    "<>",
    "<",
    f"<{NOT_A_LOCK}",
    NOT_A_LOCK,
    f"(<{NOT_A_LOCK}>)",
    f"<{NOT_A_LOCK}> <{NOT_A_LOCK}>",
    f'"{NOT_A_LOCK}"',
]


@pytest.mark.parametrize(
    "value", [None, *(pytest.param(value, marks=UNLOCKS_NOTHING) for value in NO_TOKENS)]
)
def test_unlock_without_a_token_is_400(dav: Client, value: str | None) -> None:
    """RFC 4918, 9.11.1 and 10.5: one Coded-URL, and nothing else; no lock is removed."""
    dav.made("file")
    dav.locked("file")
    fields = {} if value is None else {"Lock-Token": value}
    assert dav.ask("UNLOCK", "file", fields).status == 400
    assert len(dav.locks("file")) == 1


@pytest.mark.parametrize(
    "name",
    [
        "file",
        "other",
        "collection",
        pytest.param("collection/member", marks=fault("lets the token of depth 0 on its collection pass")),
    ],
)
def test_unlock_with_another_token_is_409(dav: Client, name: str) -> None:
    """RFC 4918, 9.11.1 and 16: unknown, of another resource, of a member, or of depth 0: 409, no change."""
    dav.made("file")
    dav.made("other")
    dav.made_collection("collection").made("member")
    tokens = {
        "file": NOT_A_LOCK,
        "other": dav.locked("file"),
        "collection": dav.locked("collection/member"),
        "collection/member": dav.locked("collection", depth="0"),
    }
    answer = dav.unlock(name, tokens[name])
    assert answer.status == 409
    assert set(conditions(answer)) == {"lock-token-matches-request-uri"}
    assert [len(dav.locks(each)) for each in ("file", "collection", "collection/member")] == [1, 1, 1]


def test_unlock_of_what_is_missing_is_refused(dav: Client) -> None:
    """RFC 4918, 9.11.1: no such resource, no such lock."""
    dav.made("file")
    token = dav.locked("file")
    assert dav.unlock("missing", token).status in {404, 409}
    assert dav.unlock("missing/below", token).status in {404, 409}
    assert len(dav.locks("file")) == 1


@pytest.mark.parametrize("name", ["collection/member", "collection/sub/", "collection/sub/deep"])
def test_unlock_through_a_member(dav: Client, name: str) -> None:
    """RFC 4918, 9.11: any resource in the lock's scope will do; the whole lock is removed."""
    dav.made_collection("collection").made("member")
    dav.below("collection").made_collection("sub").made("deep")
    token = dav.locked("collection")
    assert dav.unlock(name, token).status == 204
    assert dav.locks("collection") == []
    assert dav.put("collection/member", b"x").status == 204


def test_unlock_removes_one_of_several(dav: Client) -> None:
    """RFC 4918, 6.2: the other shared lock still holds."""
    dav.made("file")
    tokens = dav.locked("file", "shared"), dav.locked("file", "shared")
    assert dav.unlock("file", tokens[0]).status == 204
    assert [lock.token for lock in dav.locks("file")] == [tokens[1]]
    assert dav.put("file", b"x").status == 423


# ── time and restarts ───────────────────────────────────────────────────────────────────────────────────────
def test_lock_ends_by_itself(server: Server, dav: Client) -> None:
    """RFC 4918, 6.6: until the timeout nobody else writes; from then on it is as if it had never been."""
    dav.made("file")
    token = dav.locked("file", timeout="Second-60")
    with server.later(seconds=50):
        assert dav.put("file", b"x").status == 423
        assert dav.lock("file").status == 423
    with server.later(seconds=61):
        assert dav.locks("file") == []
        assert dav.unlock("file", token).status == 409
        assert dav.put("file", b"x", {"If": f"(<{token}>)"}).status == 412
        assert dav.put("file", b"new").status == 204
        assert dav.unlock("file", dav.locked("file")).status == 204


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("method", ["PUT", "MKCOL", "LOCK", "MOVE"])
def test_file_that_only_a_lock_made_ends_with_it(server: Server, dav: Client, method: str) -> None:
    """Rulings 19: after the timeout the name is free for anything, whether or not anybody has swept up."""
    dav.made("source")
    dav.locked("new", timeout="Second-60")
    with server.later(seconds=61):
        assert dav.get("new").status == 404
        assert dav.propfind("new").status == 404
        assert dav.tree() == {"source": b"content"}
        answers = {
            "PUT": lambda: dav.put("new", b"x", {"If-None-Match": "*"}),
            "MKCOL": lambda: dav.mkcol("new"),
            "LOCK": lambda: dav.lock("new"),
            "MOVE": lambda: dav.move("source", "new", {"Overwrite": "F"}),
        }
        assert answers[method]().status == 201


def test_file_that_was_put_does_not_end_with_its_lock(server: Server, dav: Client) -> None:
    """The counterpart: content is never thrown away because a lock has ended."""
    token = dav.locked("new", timeout="Second-60")
    assert dav.put("new", b"content", dav.holding(("new", token))).status in {200, 204}
    with server.later(seconds=61):
        assert dav.tree() == {"new": b"content"}


@fault("changes its table of locks while it walks over it, and answers 500")
def test_expired_locks_below_harm_nobody(server: Server, dav: Client) -> None:
    """A LOCK of a whole tree meets the locks of clients that have died: it is granted."""
    collection = dav.made_collection("collection")
    for name in ("a", "b", "c"):
        collection.made(name)
        collection.locked(name, timeout="Second-10")
    with server.later(seconds=11):
        assert dav.lock("collection").status == 200


@fault("forgets them")
def test_locks_survive_a_restart(make_server: MakeServer) -> None:
    """RFC 4918, 6.6: a lock ends by UNLOCK or timeout, and not because somebody updates the server."""
    server = make_server()
    server.client.made("file")
    token = server.client.locked("file")
    server.stop()
    server.start()
    assert server.client.put("file", b"x").status == 423
    assert server.client.put("file", b"x", {"If": f"(<{token}>)"}).status == 204


@pytest.mark.usefixtures("ours")
def test_one_of_many_gets_the_lock(dav: Client) -> None:
    """RFC 4918, 6.2: of eight that ask for an exclusive lock at once, one gets it, of a new name, too."""
    dav.made("file")
    for name in ("file", "new"):
        with ThreadPoolExecutor(8) as pool:
            statuses = [answer.status for answer in pool.map(dav.lock, [name] * 8)]
        assert sorted(statuses)[1:] == [423] * 7
        assert len(dav.locks(name)) == 1


@pytest.mark.parametrize("method", ["LOCK", "UNLOCK"])
def test_options_offers_locks(dav: Client, method: str) -> None:
    """RFC 4918, 18.2: class 2, and both methods; Finder mounts nothing else for writing."""
    dav.made("file")
    answer = dav.ask("OPTIONS", "file")
    assert "2" in {item.strip() for item in answer["DAV"].split(",")}
    assert method in {item.strip() for item in answer["Allow"].split(",")}


def test_lock_of_the_root(ours: OurServer) -> None:
    """RFC 4918, 9.10: the root is a collection like any other, and its lock holds everywhere."""
    client = ours.new_account().client
    client.made_collection("a").made("b")
    token = client.locked("")
    assert client.put("a/b", b"x").status == 423
    assert client.mkcol("c").status == 423
    assert [lock.path for lock in client.locks("a/b")] == ["/dav/"]
    assert client.put("a/b", b"x", {"If": f"(<{token}>)"}).status == 204
    assert client.unlock("", token).status == 204
