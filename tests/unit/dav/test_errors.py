"""The table from our errors to answers: complete, and silent about what is not the client's business."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from defusedxml.ElementTree import fromstring

from davserver import errors as ours
from davserver.dav.errors import METHODS, TABLE, respond, translate
from davserver.errors import DavserverError
from tests.factories import make_error

SECRET = "the text of an error"


def leaves(kind: type[DavserverError]) -> Iterator[type[DavserverError]]:
    """Every class of the tree that has no subclasses."""
    below = kind.__subclasses__()
    if not below:
        yield kind
    for each in below:
        yield from leaves(each)


def make(kind: type[DavserverError]) -> DavserverError:
    """An error that says something."""
    return make_error(kind, SECRET)


@pytest.mark.parametrize("kind", list(leaves(DavserverError)))
def test_every_error_has_a_row(kind: type[DavserverError]) -> None:
    """An error that somebody adds must be given a status here, on purpose."""
    assert kind in TABLE


@pytest.mark.parametrize("kind", list(TABLE))
def test_answers_are_well_formed(kind: type[DavserverError]) -> None:
    """A status, a body of the announced length; XML where RFC 4918 names a condition; none for HEAD."""
    answer = respond(translate(make(kind)), "PUT")
    headers = dict(answer.headers)
    assert answer.status.startswith(str(TABLE[kind].status.value))
    assert headers["Content-Length"] == str(len(answer.body))
    if TABLE[kind].condition:
        (condition,) = fromstring(answer.body)
        assert condition.tag == f"{{DAV:}}{TABLE[kind].condition}"
    else:
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
    head = respond(translate(make(kind)), "HEAD")
    assert head.body == b""
    assert dict(head.headers)["Content-Length"] == headers["Content-Length"]


@pytest.mark.parametrize("kind", [each for each in TABLE if issubclass(each, ours.AuthenticationError)])
def test_refused_credentials_look_alike(kind: type[DavserverError]) -> None:
    """T42: whatever is wrong, status and body are the same, and nothing tells how long to wait."""
    assert respond(translate(make(kind)), "GET") == respond(translate(ours.AuthenticationError("x")), "GET")


@pytest.mark.parametrize("kind", [each for each, answer in TABLE.items() if answer.status >= 500])
def test_faults_of_the_server_are_not_explained(kind: type[DavserverError]) -> None:
    """The text of an error of ours is not shown to clients."""
    assert SECRET.encode() not in respond(translate(make(kind)), "GET").body


def test_mistakes_of_the_client_are_explained() -> None:
    """A person who tries something out is told what is wrong with it."""
    assert respond(translate(ours.PathError(SECRET)), "GET").body == f"{SECRET}\n".encode()


@pytest.mark.parametrize("method", [*METHODS, "POST", "X"])
def test_405_says_what_is_possible(method: str) -> None:
    """RFC 9110, 15.5.6: Allow lists the methods, without the one that was refused."""
    allowed = dict(respond(translate(ours.WrongKind("x")), method).headers)["Allow"].split(", ")
    assert sorted(allowed) == sorted(set(METHODS) - {method})


def test_what_passes_by_itself_says_when_to_come_back() -> None:
    """Collisions and outages are 503 with Retry-After, which sync clients follow."""
    for kind in (ours.VersionConflict, ours.StorageUnavailable):
        answer = respond(translate(make(kind)), "PUT")
        assert answer.status.startswith("503")
        assert dict(answer.headers)["Retry-After"].isdigit()
    answer = respond(translate(ours.Unconfirmed(7)), "PUT")
    assert (answer.status[:3], dict(answer.headers)["Retry-After"]) == ("503", "7")


@pytest.mark.parametrize("kind", [ours.Locked, ours.LockConflict])
def test_what_is_in_the_way_is_named(kind: type[ours.Locked]) -> None:
    """RFC 4918, 16: an href for the root of each lock, encoded and escaped, with a slash for collections."""
    roots: tuple[tuple[tuple[str, ...], bool], ...] = (
        ((), True),
        (("a b", "<&>\"'%"), False),
        (("ü", "\U0001f512"), True),
        ((";?#[]",), False),
    )
    answer = respond(translate(kind(SECRET, roots), "/remote.php/webdav"), "PUT")
    assert answer.status == "423 Locked"
    assert SECRET.encode() not in answer.body
    (condition,) = fromstring(answer.body)
    assert [(each.tag, each.text) for each in condition] == [
        ("{DAV:}href", "/remote.php/webdav" + rest)
        for rest in ("/", "/a%20b/%3C%26%3E%22'%25", "/%C3%BC/%F0%9F%94%92/", "/%3B%3F%23%5B%5D")
    ]


def test_a_lock_that_is_nowhere_is_named_nowhere() -> None:
    """Without roots the condition is there all the same."""
    (condition,) = fromstring(respond(translate(ours.Locked(SECRET)), "PUT").body)
    assert (condition.tag, len(condition)) == ("{DAV:}lock-token-submitted", 0)


def test_refusals_do_not_remember_each_other() -> None:
    """Each names its own locks only."""
    for name in ("a", "b"):
        body = respond(translate(ours.Locked(SECRET, (((name,), False),)), "/dav"), "PUT").body
        assert [each.text for each in fromstring(body)[0]] == [f"/dav/{name}"]
