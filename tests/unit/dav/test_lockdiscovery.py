"""`lockdiscovery` and `supportedlock` as XML (RFC 4918, 15.8 and 15.10)."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from davserver.dav.lockdiscovery import SUPPORTED, discovery
from davserver.dav.properties import DAV
from davserver.dav.uri import parse_target
from davserver.model import Lock, NodeId
from davserver.vault.locking import ShownLock
from tests.unit.dav.nodes import names

TOKEN = "urn:uuid:0af7ab5c-6b53-4b0c-9a5e-6d4b1a9a7f10"


def shown(
    root: tuple[str, ...] = ("a",),
    *,
    is_collection: bool = False,
    exclusive: bool = True,
    infinite: bool = False,
    owner: str = "",
    seconds: int = 60,
) -> ShownLock:
    """A lock, ready to be shown."""
    lock = Lock(bytes(16), TOKEN, NodeId(bytes(16)), exclusive, infinite, owner, 0)
    return ShownLock(lock, (root, is_collection), seconds)


def parse(text: str) -> Element:
    """The property as a client reads it."""
    root: Element = fromstring(f'<D:x xmlns:D="DAV:">{text}</D:x>')
    return root[0]


@pytest.mark.parametrize(
    ("exclusive", "infinite", "scope", "depth"),
    [
        (True, False, "exclusive", "0"),
        (False, False, "shared", "0"),
        (True, True, "exclusive", "infinity"),
        (False, True, "shared", "infinity"),
    ],
)
def test_a_lock_is_described(*, exclusive: bool, infinite: bool, scope: str, depth: str) -> None:
    """RFC 4918, 14.1: type, scope, depth, owner, timeout, token and root, in the order of its definition."""
    owner = '<n0:owner xmlns:n0="DAV:">me &amp; you</n0:owner>'
    lock = shown(
        ("a", "b"), is_collection=True, exclusive=exclusive, infinite=infinite, owner=owner, seconds=7
    )
    (active,) = parse(discovery([lock], "/dav"))
    assert [each.tag.removeprefix(DAV) for each in active] == [
        "locktype",
        "lockscope",
        "depth",
        "owner",
        "timeout",
        "locktoken",
        "lockroot",
    ]
    assert active.find(f"{DAV}locktype/{DAV}write") is not None
    assert active.find(f"{DAV}lockscope/{DAV}{scope}") is not None
    assert active.findtext(f"{DAV}depth") == depth
    assert active.findtext(f"{DAV}owner") == "me & you"
    assert active.findtext(f"{DAV}timeout") == "Second-7"
    assert active.findtext(f"{DAV}locktoken/{DAV}href") == TOKEN
    assert active.findtext(f"{DAV}lockroot/{DAV}href") == "/dav/a/b/"


def test_no_owner_is_no_element() -> None:
    """RFC 4918, 14.1: it is optional."""
    (active,) = parse(discovery([shown()], "/dav"))
    assert active.find(f"{DAV}owner") is None


def test_every_lock_is_listed_in_order() -> None:
    """RFC 4918, 15.8: one activelock each."""
    locks = [shown((name,)) for name in "abc"]
    found = [each.findtext(f"{DAV}lockroot/{DAV}href") for each in parse(discovery(locks, "/dav"))]
    assert found == ["/dav/a", "/dav/b", "/dav/c"]


@pytest.mark.parametrize("locks", [[], iter(())])
def test_no_locks_is_an_empty_property(locks: list[ShownLock]) -> None:
    """RFC 4918, 15.8: it exists on everything that can be locked."""
    element = parse(discovery(locks, "/dav"))
    assert (element.tag, len(element), element.text) == (f"{DAV}lockdiscovery", 0, None)


@given(st.lists(names, max_size=4), st.sampled_from(["/dav", "/remote.php/webdav"]), st.booleans())
def test_a_root_leads_back_to_the_lock(path: list[str], tree: str, is_collection: bool) -> None:  # noqa: FBT001
    """Whatever is in its names, the href is one that the server reads as the same path."""
    text = discovery([shown(tuple(path), is_collection=is_collection)], tree)
    href = parse(text).findtext(f".//{DAV}lockroot/{DAV}href")
    assert href is not None
    target = parse_target(href, "alice")
    assert (target.prefix, target.path.parts) == (tree, tuple(path))
    assert target.slash is is_collection or not path


def test_both_kinds_of_write_locks_are_offered() -> None:
    """RFC 4918, 15.10: exclusive and shared."""
    root: Element = fromstring(f'<D:supportedlock xmlns:D="DAV:">{SUPPORTED}</D:supportedlock>')
    assert [[each[0].tag for each in entry] for entry in root] == [
        [f"{DAV}exclusive", f"{DAV}write"],
        [f"{DAV}shared", f"{DAV}write"],
    ]
