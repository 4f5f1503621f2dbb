"""What PROPFIND tells of locks. RFC 4918, 15.8, 15.10, 14.1 and 9.10.9."""

from __future__ import annotations

from functools import partial

import pytest

from tests.conformance import multistatus
from tests.conformance.client import Client
from tests.conformance.conftest import Server
from tests.conformance.counting import fewest_statements
from tests.conformance.faults import fault
from tests.conformance.multistatus import DAV, Resource, active_locks, granted, shape
from tests.conformance.ours import OurServer

DISCOVERY, SUPPORTED = f"{DAV}lockdiscovery", f"{DAV}supportedlock"
PAGE = 1000
"""Members that one read of a listing fetches."""


def _tokens(resource: Resource) -> set[str]:
    return {lock.token for lock in active_locks(resource.element(DISCOVERY))}


@pytest.mark.parametrize("name", ["file", "collection", ""])
def test_both_kinds_of_locks_are_supported(dav: Client, name: str) -> None:
    """RFC 4918, 15.10: exclusive and shared write locks, of files and of collections."""
    dav.made("file")
    dav.made_collection("collection")
    entries = dav.properties(name, SUPPORTED).element(SUPPORTED).findall(f"{DAV}lockentry")
    found = sorted(
        tuple(child.tag for part in ("lockscope", "locktype") for child in entry.findall(f"{DAV}{part}/*"))
        for entry in entries
    )
    assert found == [(f"{DAV}exclusive", f"{DAV}write"), (f"{DAV}shared", f"{DAV}write")]


@pytest.mark.parametrize("name", ["file", "collection"])
def test_nothing_is_locked_at_first(dav: Client, name: str) -> None:
    """RFC 4918, 15.8: the property is there, and empty, so that clients see that there is none."""
    dav.made("file")
    dav.made_collection("collection")
    assert dav.locks(name) == []


@pytest.mark.parametrize("scope", ["exclusive", "shared"])
@pytest.mark.parametrize("depth", ["0", "infinity"])
@pytest.mark.parametrize("name", ["file", "collection"])
def test_lock_is_shown_as_it_was_granted(dav: Client, name: str, depth: str, scope: str) -> None:
    """RFC 4918, 15.8: token, scope, depth, owner and root are those of the answer to LOCK."""
    dav.made("file")
    dav.made_collection("collection")
    owner = '<D:href>mailto:alice@example.org</D:href><x xmlns="urn:x">1</x>'
    lock = granted(dav.lock(name, scope, depth=depth, owner=owner, timeout="Second-600"))
    shown = dav.only_lock(name)
    assert (shown.token, shown.scope, shown.depth, shown.root) == (lock.token, scope, depth, lock.root)
    assert lock.owner is not None
    assert shown.owner is not None
    assert shape(shown.owner) == shape(lock.owner)
    assert 590 <= shown.seconds <= 600


@fault("shows the time that was granted, however much of it is gone")
def test_what_is_left_of_the_time_is_shown(server: Server, dav: Client) -> None:
    """RFC 4918, 14.29: seconds until it expires, not those that were granted once."""
    dav.made("file")
    dav.locked("file", timeout="Second-600")
    with server.later(seconds=400):
        shown = dav.only_lock("file")
        assert 190 <= shown.seconds <= 200


DIRECT_ONLY = fault("shows the locks of the resource itself only")


@DIRECT_ONLY
@pytest.mark.parametrize("name", ["c/member", "c/sub", "c/sub/deep"])
def test_lock_from_above_is_shown(dav: Client, name: str) -> None:
    """RFC 4918, 6.1 and 15.8: a member of a locked tree shows that lock, with the root where it was taken."""
    dav.made_collection("c").made("member")
    dav.below("c").made_collection("sub").made("deep")
    token = dav.locked("c")
    shown = dav.only_lock(name)
    assert (shown.token, shown.depth) == (token, "infinity")
    assert shown.path.rstrip("/") == dav.at("c")
    assert dav.unlock("c", token).status == 204
    assert dav.locks(name) == []


def test_lock_of_depth_0_is_not_shown_below(dav: Client) -> None:
    """RFC 4918, 6.1: it is no state of the members; nor is a member's lock one of its collection."""
    dav.made_collection("c").made("member")
    dav.locked("c", depth="0")
    assert dav.locks("c/member") == []
    dav.locked("c/member")
    assert len(dav.locks("c")) == 1


@DIRECT_ONLY
def test_locks_on_every_level_are_shown(dav: Client) -> None:
    """RFC 4918, 6.2: shared locks from above and on the file itself are all there."""
    dav.made_collection("a").made_collection("b").made("file")
    held = {dav.locked(name, "shared") for name in ("a", "a/b", "a/b/file", "a/b/file")}
    assert {lock.token for lock in dav.locks("a/b/file")} == held
    assert len(dav.locks("a")) == 1


@pytest.mark.parametrize("above", [False, pytest.param(True, marks=DIRECT_ONLY)])
def test_listing_shows_the_locks_of_the_members(dav: Client, *, above: bool) -> None:
    """RFC 4918, 9.1: Depth 1 shows for each member what Depth 0 would; not what lies deeper."""
    dav.made("a")
    dav.made("b")
    dav.made_collection("c").made("deep")
    held = {name: {dav.locked(name, "shared")} for name in ("a", "c/deep")}
    everywhere = {dav.locked("", "shared")} if above else set()
    members = {name: _tokens(found) for name, found in dav.listing("", DISCOVERY).items()}
    assert members == {"a": held["a"] | everywhere, "b": everywhere, "c/": everywhere}
    assert _tokens(multistatus.parse(dav.propfind("", DISCOVERY, depth="1"))[0]) == everywhere
    assert {name: _tokens(found) for name, found in dav.listing("c", DISCOVERY).items()} == {
        "deep": held["c/deep"] | everywhere
    }


@pytest.mark.parametrize("property_", [DISCOVERY, SUPPORTED])
def test_locks_are_not_set_by_proppatch(dav: Client, property_: str) -> None:
    """RFC 4918, 15.8 and 15.10: both are protected."""
    dav.made("file")
    assert multistatus.only(dav.proppatch("file", (property_, ""))).status_of(property_) == 403


def test_both_are_among_all_properties(dav: Client) -> None:
    """RFC 4918, 9.1: allprop and propname know every property of RFC 4918."""
    dav.made("file")
    token = dav.locked("file")
    everything = dav.properties("file")
    assert everything.names() >= {DISCOVERY, SUPPORTED}
    assert _tokens(everything) == {token}


@fault("answers with an empty response")
def test_both_are_among_the_names(dav: Client) -> None:
    """RFC 4918, 9.1: the same for propname."""
    dav.made("file")
    body = b'<propfind xmlns="DAV:"><propname/></propfind>'
    found = multistatus.only(dav.ask("PROPFIND", "file", {"Depth": "0"}, body))
    assert found.names() >= {DISCOVERY, SUPPORTED}


@fault("makes a line break of the carriage return")
def test_owner_cannot_break_out_of_the_answer(dav: Client) -> None:
    """T28: what a client says of itself is data, in the answer to anybody who lists the collection."""
    dav.made("file")
    dav.locked("file")
    dav.made("other")
    owner = "&lt;/D:owner&gt;&lt;/D:activelock&gt;]]&gt;&amp;lt;&#13;&lt;!--"
    assert dav.lock("other", owner=owner).status == 200
    found = dav.listing("", DISCOVERY)
    (shown,) = active_locks(found["other"].element(DISCOVERY))
    assert shown.owner is not None
    assert shown.owner.text == "</D:owner></D:activelock>]]>&lt;\r<!--"
    assert len(_tokens(found["file"])) == 1


def test_statements_do_not_depend_on_the_members(ours: OurServer, dav: Client) -> None:
    """Rulings 11: locks and properties of 400 members cost as many statements as those of 4."""
    for name, count in (("few", 4), ("many", 400)):
        collection = dav.made_collection(name)
        ours.populate(collection.root.removeprefix("/dav/"), count)
        for member in ("00000", "00001", "00002"):
            assert collection.proppatch(member, ("{urn:x}a", "b")).status == 207
            collection.locked(member)
    for name in ("few", "many"):
        found = dav.listing(name, DISCOVERY, "{urn:x}a")
        assert sum(len(_tokens(each)) for each in found.values()) == 3
        assert sum(len(each.names() - {DISCOVERY}) for each in found.values()) == 3
    counts = [
        fewest_statements(ours, partial(dav.listing, name, DISCOVERY, "{urn:x}a")) for name in ("few", "many")
    ]
    assert counts[0] == counts[1]
    assert 0 < counts[0] < 20


def test_no_member_of_a_long_listing_is_forgotten(ours: OurServer, dav: Client) -> None:
    """Rulings 13: locks and properties of members on each page of a listing are with their members."""
    collection = dav.made_collection("many")
    ours.populate(collection.root.removeprefix("/dav/"), 2 * PAGE + 2)
    chosen = {f"{number:05}/": collection.locked(f"{number:05}") for number in range(0, 2 * PAGE + 2, 250)}
    for name, token in chosen.items():
        fields = collection.holding((name.rstrip("/"), token))
        assert collection.proppatch(name, ("{urn:x}a", name), headers=fields).status == 207
    found = collection.listing("", DISCOVERY, "{urn:x}a")
    assert len(found) == 2 * PAGE + 2
    assert {name: _tokens(each) for name, each in found.items() if _tokens(each)} == {
        name: {token} for name, token in chosen.items()
    }
    assert {name for name, each in found.items() if "{urn:x}a" in each.names()} == set(chosen)
    assert all(found[name].text("{urn:x}a") == name for name in chosen)
