"""Request targets, Destinations and hrefs: split before decoded, one reading for all (T16-T18, T20)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from wsgidav.dav_error import DAVError

from davserver.dav.uri import Target, encode, parse_destination, parse_target
from davserver.errors import NotFound, ParentMissing, PathError
from davserver.vault.paths import VaultPath
from tests.unit.dav.nodes import names, storable

HOST = "drive.test"


paths = st.lists(names, max_size=5)


@given(parts=paths, slash=st.booleans())
def test_every_storable_path_survives_href_target_and_destination(parts: list[str], *, slash: bool) -> None:
    """T18: href, request target and Destination lead to the identical list of names, whatever they hold."""
    href = Target("/dav", VaultPath(tuple(parts)), slash=slash).href(collection=slash)
    assert href.isascii()
    assert not set(href) & set(' <>&"?#;')
    for found in (
        parse_target(href, "alice"),
        parse_target(f"http://elsewhere{href}?query/../x", "alice"),
        parse_destination(href, HOST, "alice"),
        parse_destination(f"https://{HOST}:443{href}", HOST, "alice"),
    ):
        assert found.path.parts == tuple(parts)
        assert found.prefix == "/dav"
        assert found.slash is slash


@given(names)
def test_other_encodings_of_a_name_are_the_same_name(name: str) -> None:
    """Clients encode more or less than we do; every byte escaped means the same."""
    escaped = "".join(f"%{byte:02x}" for byte in name.encode())
    assert parse_target(f"/dav/{escaped}", "alice").path.parts == (name,)
    assert parse_target(f"/dav/{quote(name, safe='')}", "alice").path.parts == (name,)
    assert parse_target(f"/dav/{encode(name)}", "alice").path.parts == (name,)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=40))
def test_anything_is_a_path_or_a_clear_error(text: str) -> None:
    """T16, T17: no bytes of a request line or header lead to an unexpected error or a name out of nowhere."""
    readers: list[Callable[[], Target]] = [
        partial(parse_target, "/dav/" + text, "alice"),
        partial(parse_target, text, "alice"),
        partial(parse_destination, text, HOST, "alice"),
        partial(parse_destination, f"http://{text}", HOST, "alice"),
    ]
    for read in readers:
        try:
            found = read()
        except (PathError, NotFound, ParentMissing, DAVError):
            continue
        assert all(storable(name) for name in found.path.parts)


@pytest.mark.parametrize(
    "target",
    [
        "/dav/a%2Fb",
        "/dav/a%2fb",
        "/dav/..",
        "/dav/../x",
        "/dav/%2e%2e/x",
        "/dav/%2E",
        "/dav/.",
        "/dav//a",
        "/dav/a//",
        "//dav/a",
        "/dav/%",
        "/dav/%4",
        "/dav/%zz",
        "/dav/%u0041",
        "/dav/%00",
        "/dav/%0a",
        "/dav/%7f",
        "/dav/%c2%85",
        "/dav/%ff",
        "/dav/%c0%ae",
        "/dav/%ed%a0%80",
        "/dav/%ef%bf%bf",
        "/dav/a b",
        "/dav/\xc3\xbc",
        '/dav/"',
        "/dav/a\\%00",
        "",
        "*",
        "dav/a",
        "/dav/" + "a/" * 257,
        "/dav/" + "a" * 256,
    ],
)
def test_what_names_nothing_is_refused(target: str) -> None:
    """T16: a path that is malformed, leaves the tree or holds a name that cannot be stored is an error."""
    with pytest.raises((PathError, NotFound)):
        parse_target(target, "alice")


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("/dav", ()),
        ("/dav/", ()),
        ("/dav/a;b", ("a;b",)),
        ("/dav/..;", ("..;",)),
        ("/dav/%252e%252e", ("%2e%2e",)),
        ("/dav/a%252Fb", ("a%2Fb",)),
        ("/dav/%5c..%5c", ("\\..\\",)),
        ("/dav/a%3Fb%23c", ("a?b#c",)),
        ("/dav/a?b", ("a",)),
        ("/%64av/a", ("a",)),
        ("/dav/dav/a", ("dav", "a")),
    ],
)
def test_a_path_is_decoded_once(target: str, parts: tuple[str, ...]) -> None:
    """T16: no separator and no dot segment comes into being by decoding; a query is not part of a name."""
    assert parse_target(target, "alice").path.parts == parts


@pytest.mark.parametrize(
    ("target", "prefix"),
    [
        ("/remote.php/webdav", "/remote.php/webdav"),
        ("/remote.php/webdav/a", "/remote.php/webdav"),
        ("/remote.php/dav/files/alice/a", "/remote.php/dav/files/alice"),
        ("/remote.php/dav/files/Alice/a", "/remote.php/dav/files/Alice"),
    ],
)
def test_aliases_lead_to_the_same_tree(target: str, prefix: str) -> None:
    """Nextcloud's addresses show the tree; hrefs keep the address that the client used."""
    found = parse_target(target, "alice")
    assert found.prefix == prefix
    assert found.path.parts in {(), ("a",)}
    assert found.href(collection=False) == target


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/davx/a",
        "/DAV/a",
        "/remote.php",
        "/remote.php/dav/a",
        "/remote.php/dav/files",
        "/remote.php/dav/files/",
        "/remote.php/dav/files/bob/a",
        "/remote.php/dav/files/alic%65x/a",
        "/remote.php/dav/uploads/alice/a",
    ],
)
def test_other_addresses_are_nobodys(target: str) -> None:
    """Whoever asks for another user's name, or for no tree at all, finds nothing."""
    with pytest.raises(NotFound):
        parse_target(target, "alice")


@given(names)
def test_user_names_never_become_paths(username: str) -> None:
    """T22: whatever a user is called, the alias holds exactly one segment, and the path begins after it."""
    assume("\u0130" not in username)  # its lower case is two characters, which no user name may hold anyway
    found = parse_target(f"/remote.php/dav/files/{encode(username)}/x", username)
    assert found.path.parts == ("x",)
    assert found.prefix.count("/") == 4


@pytest.mark.parametrize(
    "value",
    ["/dav/a?b", "/dav/a#b", f"http://{HOST}/dav/a?b", f"http://{HOST}/dav/a#b", "/dav/a?", "a", "", "*"],
)
def test_destination_is_not_cut_short(value: str) -> None:
    """T17: what a client forgot to encode is refused; cutting it off would overwrite another file."""
    with pytest.raises(PathError):
        parse_destination(value, HOST, "alice")


@pytest.mark.parametrize("value", ["/", "/a", "//drive.test/dav/a", "/remote.php/dav/files/bob/a"])
def test_destination_outside_of_the_tree_has_no_parent(value: str) -> None:
    """T17: not a 404, which would say that the source is missing."""
    with pytest.raises(ParentMissing):
        parse_destination(value, HOST, "alice")


@pytest.mark.parametrize(
    ("host", "authority", "scheme"),
    [
        (HOST, HOST, "http"),
        (HOST, "DRIVE.test", "https"),
        (HOST, f"{HOST}:80", "http"),
        (HOST, f"{HOST}:443", "https"),
        (f"{HOST}:443", HOST, "https"),
        (f"{HOST}:8080", f"{HOST}:8080", "https"),
        ("[::1]:8080", "[::1]:8080", "http"),
    ],
)
def test_destination_on_this_host_is_accepted(host: str, authority: str, scheme: str) -> None:
    """RFC 4918, 10.3: the authority is compared with Host, default ports being no difference."""
    assert parse_destination(f"{scheme}://{authority}/dav/a", host, "alice").path.parts == ("a",)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (HOST, "http://example.org/dav/a"),
        (HOST, f"http://{HOST}.example.org/dav/a"),
        (HOST, f"http://{HOST}@example.org/dav/a"),
        (HOST, f"http://user@{HOST}/dav/a"),
        (HOST, f"http://{HOST}:8080/dav/a"),
        (HOST, f"http://{HOST}:443/dav/a"),
        (f"{HOST}:8080", f"http://{HOST}/dav/a"),
        (HOST, f"ftp://{HOST}/dav/a"),
        (HOST, "http:///dav/a"),
        ("", f"http://{HOST}/dav/a"),
    ],
)
def test_destination_elsewhere_is_502(host: str, url: str) -> None:
    """T20: another scheme, host, port or user information: 502, whatever the path."""
    with pytest.raises(DAVError) as caught:
        parse_destination(url, host, "alice")
    assert caught.value.value == 502
