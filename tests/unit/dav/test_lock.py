"""LOCK and UNLOCK: their fields, their answers, and where a slash or a condition makes a difference."""

from __future__ import annotations

from typing import Any

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from davserver.dav.lock import parse_timeout
from davserver.dav.properties import DAV
from davserver.vault.locks import MAX_SECONDS
from tests.unit.dav.door import Answer, Door

LOCK = (
    '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:{}/></D:lockscope><D:locktype><D:write/></D:locktype>'
    "{}</D:lockinfo>"
)
UNKNOWN = "urn:uuid:00000000-0000-4000-8000-000000000000"


def lock(door: Door, name: str, headers: dict[str, str] | None = None, scope: str = "exclusive") -> Answer:
    """LOCK with a body."""
    return door.ask("LOCK", name, headers, LOCK.format(scope, "").encode())


def token_of(answer: Answer) -> str:
    """The token of a lock that was granted."""
    assert answer.status in {200, 201}
    return answer.headers["lock-token"][1:-1]


def active(answer: Answer) -> Any:  # noqa: ANN401 - an Element
    """The one lock in the answer to LOCK."""
    (found,) = fromstring(answer.body).findall(f"{DAV}lockdiscovery/*")
    return found


def unlock(door: Door, name: str, token: str, headers: dict[str, str] | None = None) -> int:
    """Status of UNLOCK."""
    return door.ask("UNLOCK", name, {"Lock-Token": f"<{token}>", **(headers or {})}).status


def condition(answer: Answer) -> tuple[str, list[str | None]]:
    """The condition in the body of a refusal, and what it names."""
    (found,) = fromstring(answer.body)
    return found.tag.removeprefix(DAV), [each.text for each in found]


@pytest.fixture
def full(door: Door) -> Door:
    """A file, and a folder with a member."""
    door.put("file")
    door.ask("MKCOL", "folder")
    door.put("folder/member")
    return door


# ── Timeout ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, MAX_SECONDS),
        ("", MAX_SECONDS),
        ("Second-1", 1),
        ("Second-0", 1),
        ("Second-00060", 60),
        ("second-60", 60),
        ("  Second-60  ", 60),
        (f"Second-{MAX_SECONDS}", MAX_SECONDS),
        (f"Second-{MAX_SECONDS + 1}", MAX_SECONDS),
        ("Second-4294967295", MAX_SECONDS),
        (f"Second-{'9' * 1000}", MAX_SECONDS),
        ("Infinite", MAX_SECONDS),
        ("INFINITE", MAX_SECONDS),
        ("Infinite, Second-60", MAX_SECONDS),
        ("Second-60, Infinite", 60),
        ("Second-60, Second-30", 60),
        ("Extended-5, Second-60", 60),
        ("garbage,,Second-60", 60),
        ("Second--5", MAX_SECONDS),
        ("Second-", MAX_SECONDS),
        ("Second-6.5", MAX_SECONDS),
        ("Second-\u0666", MAX_SECONDS),
        ("60", MAX_SECONDS),
    ],
)
def test_timeout_is_read(value: str | None, seconds: int) -> None:
    """RFC 4918, 10.7 and T31: the first one that is understood, at least a second, at most an hour."""
    assert parse_timeout({} if value is None else {"HTTP_TIMEOUT": value}) == seconds


@given(st.text(alphabet="Secondinfte-0123456789, x", max_size=60))
def test_any_timeout_is_within_bounds(value: str) -> None:
    """No text leads to an error, or to a lock for ever."""
    assert 1 <= parse_timeout({"HTTP_TIMEOUT": value}) <= MAX_SECONDS


# ── LOCK ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_answer_describes_the_lock(full: Door) -> None:
    """RFC 4918, 9.10.1: token in the field and in the body, and the property as PROPFIND gives it."""
    body = LOCK.format("shared", '<D:owner xml:lang="de"><x xmlns="u">&lt;ich&gt;</x></D:owner>').encode()
    answer = full.ask("LOCK", "folder/", {"Timeout": "Second-60"}, body)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/xml; charset=utf-8"
    found = active(answer)
    assert found.findtext(f"{DAV}locktoken/{DAV}href") == token_of(answer)
    assert found.findtext(f"{DAV}timeout") == "Second-60"
    assert found.findtext(f"{DAV}depth") == "infinity"
    assert found.findtext(f"{DAV}lockroot/{DAV}href") == "/dav/folder/"
    assert found.findtext(f"{DAV}owner/{{u}}x") == "<ich>"
    listed = full.ask("PROPFIND", "folder", {"Depth": "1"})
    assert listed.text.count(token_of(answer)) == 2


@pytest.mark.parametrize("target", ["/dav/", "/dav", "/remote.php/webdav/", "/remote.php/dav/files/alice/"])
def test_the_root_can_be_locked(full: Door, target: str) -> None:
    """Everything is below it; the lock's root is written as this client addresses it."""
    answer = full.call("LOCK", target, {"Depth": "infinity"}, LOCK.format("exclusive", "").encode())
    assert active(answer).findtext(f"{DAV}lockroot/{DAV}href") == target.rstrip("/") + "/"
    refused = full.put("folder/member")
    assert (refused.status, condition(refused)) == (423, ("lock-token-submitted", ["/dav/"]))
    assert full.put("folder/member", headers={"If": f"</dav/> (<{token_of(answer)}>)"}).status == 204
    assert full.call("UNLOCK", target, {"Lock-Token": answer.headers["lock-token"]}).status == 204


def test_a_slash_means_a_collection(full: Door) -> None:
    """RFC 4918, 5.2: with one neither a file is found nor made; without one a collection is found."""
    assert lock(full, "file/").status == 404
    assert lock(full, "new/").status == 404
    assert full.get("new").status == 404
    assert unlock(full, "folder", token_of(lock(full, "folder/"))) == 204
    token = token_of(lock(full, "folder"))
    assert unlock(full, "folder/", token) == 204
    token = token_of(lock(full, "file"))
    assert unlock(full, "file/", token) == 404
    assert unlock(full, "file", token) == 204


@pytest.mark.parametrize(
    ("name", "headers", "body", "status"),
    [
        ("file", {"Depth": "1"}, None, 400),
        ("file", {"Depth": "2"}, None, 400),
        ("missing/new", {}, None, 409),
        ("file/new", {}, None, 409),
        ("new", {"If-Match": "*"}, None, 412),
        ("file", {"If-None-Match": "*"}, None, 412),
        ("file", {"If": f"(<{UNKNOWN}>)"}, None, 412),
        ("new", {"If": "("}, None, 400),
        ("new", {}, b"", 400),
        ("new", {"If": '(["x"])'}, b"", 400),
        ("new", {"If": f"(<{UNKNOWN}>)"}, b"", 404),
        ("file", {"If": f"(<{UNKNOWN}>)"}, b"", 412),
        ("new", {}, b"x", 400),
        ("new", {}, LOCK.format("exclusive", f"<D:owner>{'x' * 2000}</D:owner>").encode(), 413),
    ],
)
def test_a_refused_lock_leaves_nothing(
    full: Door, name: str, headers: dict[str, str], body: bytes | None, status: int
) -> None:
    """Neither a lock nor a file."""
    sent = LOCK.format("exclusive", "").encode() if body is None else body
    answer = full.ask("LOCK", name, headers, sent)
    assert answer.status == status
    assert "lock-token" not in answer.headers
    assert b"activelock" not in full.ask("PROPFIND", "", {"Depth": "1"}).body
    assert full.get("new").status == 404


@pytest.mark.parametrize(
    ("headers", "status"), [({"If-None-Match": "*"}, 201), ({"If": "(Not <DAV:no-lock>)"}, 201)]
)
def test_a_condition_that_holds_is_judged_before_the_file_is_made(
    full: Door, headers: dict[str, str], status: int
) -> None:
    """There is nothing yet, and that is what the client says."""
    assert lock(full, "new", headers).status == status


@pytest.mark.parametrize(
    ("secret", "existing", "new"), [("full", 200, 201), ("keep", 200, 201), ("read", 403, 403)]
)
def test_who_may_lock(full: Door, secret: str, existing: int, new: int) -> None:
    """A device that may not delete locks and saves like any other; one that may only read does neither."""
    device = full.as_("alice", secret)
    assert lock(device, "file").status == existing
    made = lock(device, "new")
    assert made.status == new
    if new == 201:
        assert unlock(device, "new", token_of(made)) == 204
        assert full.get("new").status == 404


# ── refusals that name what is in the way ───────────────────────────────────────────────────────────────────
NAME, ENCODED = "a b&<>\"'%é", "a%20b%26%3C%3E%22'%25%C3%A9"


def test_names_in_refusals_are_encoded(door: Door) -> None:
    """RFC 4918, 16 and 8.3: whatever a name holds, its href is one, and the body is well-formed."""
    door.ask("MKCOL", NAME)
    token = token_of(lock(door, NAME, {"Depth": "0"}))
    assert condition(lock(door, NAME)) == ("no-conflicting-lock", [f"/dav/{ENCODED}/"])
    assert condition(door.put(f"{NAME}/x")) == ("lock-token-submitted", [f"/dav/{ENCODED}/"])
    found = fromstring(lock(door, "").body)
    assert [each.findtext(f"{DAV}href") for each in found] == ["/dav/", f"/dav/{ENCODED}/"]
    assert unlock(door, NAME, token) == 204


def test_locks_of_members_are_named_one_by_one(full: Door) -> None:
    """RFC 4918, 9.10.3: 207 with 423 for each and 424 for the request; nothing is locked."""
    lock(full, "folder/member", scope="shared")
    lock(full, "folder/new")
    answer = lock(full, "folder", {"Depth": "infinity"})
    assert answer.status == 207
    assert "lock-token" not in answer.headers
    found = {each.findtext(f"{DAV}href"): each.findtext(f"{DAV}status") for each in fromstring(answer.body)}
    assert found == {
        "/dav/folder/": "HTTP/1.1 424 Failed Dependency",
        "/dav/folder/member": "HTTP/1.1 423 Locked",
        "/dav/folder/new": "HTTP/1.1 423 Locked",
    }
    assert full.put("folder/other").status == 201


def test_no_place_is_named_twice(full: Door) -> None:
    """RFC 4918, 14.24: the collection has a lock of its own and one of a member: one response each."""
    lock(full, "folder", {"Depth": "0"}, "shared")
    lock(full, "folder/member", scope="shared")
    answer = lock(full, "folder")
    found = [(each.findtext(f"{DAV}href"), each.findtext(f"{DAV}status")) for each in fromstring(answer.body)]
    assert found == [
        ("/dav/folder/", "HTTP/1.1 423 Locked"),
        ("/dav/folder/member", "HTTP/1.1 423 Locked"),
    ]


def test_a_lock_further_up_is_a_plain_refusal(full: Door) -> None:
    """RFC 4918, 9.10.5: 423; no member is to blame."""
    lock(full, "folder")
    for name in ("folder/member", "folder/new"):
        answer = lock(full, name)
        assert (answer.status, condition(answer)) == (423, ("no-conflicting-lock", ["/dav/folder/"]))


def test_other_accounts_see_and_meet_nothing(full: Door) -> None:
    """Bob has the same names; neither locks nor tokens of Alice's exist for him."""
    token = token_of(lock(full, ""))
    bob = full.as_("bob")
    assert bob.put("file").status == 201
    assert token not in bob.ask("PROPFIND", "", {"Depth": "1"}).text
    assert bob.put("file", headers={"If": f"(<{token}>)"}).status == 412
    assert unlock(bob, "", token) == 409
    assert lock(bob, "").status == 200


# ── refresh ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_refresh_answers_like_a_lock(full: Door) -> None:
    """RFC 4918, 9.10.2: the same lock with its new time, through any member; no Lock-Token field."""
    token = token_of(lock(full, "folder"))
    for name in ("folder", "folder/member"):
        answer = full.ask("LOCK", name, {"If": f"(<{token}>)", "Timeout": "Second-99", "Depth": "0"})
        assert answer.status == 200
        assert "lock-token" not in answer.headers
        found = active(answer)
        assert found.findtext(f"{DAV}locktoken/{DAV}href") == token
        assert found.findtext(f"{DAV}timeout") == "Second-99"
        assert found.findtext(f"{DAV}depth") == "infinity"
        assert found.findtext(f"{DAV}lockroot/{DAV}href") == "/dav/folder/"


def test_a_refresh_with_a_token_of_elsewhere_says_so(full: Door) -> None:
    """RFC 4918, 9.10.2 and 16: 412 with lock-token-matches-request-uri."""
    token = token_of(lock(full, "folder"))
    answer = full.ask("LOCK", "file", {"If": f"</dav/folder/> (<{token}>)"})
    assert (answer.status, condition(answer)) == (412, ("lock-token-matches-request-uri", []))


# ── UNLOCK ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("form", ["<{}>", " <{}> ", "<{upper}>", "\t<{}>"])
def test_forms_of_a_token_that_are_read(full: Door, form: str) -> None:
    """RFC 4918, 10.5: a Coded-URL; a UUID may be written in capitals (RFC 9562, 4)."""
    token = token_of(lock(full, "file"))
    value = form.format(token, upper=token.upper())
    assert full.ask("UNLOCK", "file", {"Lock-Token": value}).status == 204


@pytest.mark.parametrize(
    "form", ["{}", "<{}", "{}>", "<>", "", "< {}>", "<{}>, <{}>", "(<{}>)", '"{}"', "<<{}>>"]
)
def test_forms_of_a_token_that_are_not(full: Door, form: str) -> None:
    """400, and the lock stays."""
    token = token_of(lock(full, "file"))
    assert full.ask("UNLOCK", "file", {"Lock-Token": form.format(token, token)}).status == 400
    assert full.ask("UNLOCK", "file").status == 400
    assert unlock(full, "file", token) == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"If": '(["x"])'}, 412), ({"If-Match": '"x"'}, 412), ({"If": "("}, 400), ({"If-Match": "*"}, 204)],
)
def test_unlock_obeys_conditions(full: Door, headers: dict[str, str], status: int) -> None:
    """RFC 4918, 10.4: as every method does."""
    token = token_of(lock(full, "file"))
    assert unlock(full, "file", token, headers) == status
    assert (unlock(full, "file", token) == 204) is (status != 204)


def test_a_token_that_covers_nothing_here_is_409(full: Door) -> None:
    """RFC 4918, 9.11.1: with its condition."""
    token = token_of(lock(full, "file"))
    answer = full.ask("UNLOCK", "folder", {"Lock-Token": f"<{token}>"})
    assert (answer.status, condition(answer)) == (409, ("lock-token-matches-request-uri", []))
