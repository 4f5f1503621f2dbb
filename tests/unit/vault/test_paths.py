"""Which names can be stored, and how a path is taken apart."""

from __future__ import annotations

import pytest

from davserver.errors import PathError
from davserver.vault.paths import MAX_DEPTH, MAX_NAME_BYTES, VaultPath, check_name, lookup_form

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/", ()),
        ("", ()),
        ("/a", ("a",)),
        ("a/b", ("a", "b")),
        ("/a b/c;d?e#f%20", ("a b", "c;d?e#f%20")),
        ("/.hidden/...", (".hidden", "...")),
        ("/\\/~/*", ("\\", "~", "*")),
        (f"/{NFD}", (NFD,)),
    ],
)
def test_a_path_is_its_names_untouched(text: str, parts: tuple[str, ...]) -> None:
    """Nothing is decoded, cleaned, folded or normalised."""
    assert VaultPath.parse(text).parts == parts


@pytest.mark.parametrize(
    "text", ["//", "/a/", "//a", "/a//b", "/.", "/..", "/a/../b", "/a/./b", "a\0b", "/a\n"]
)
def test_a_path_that_could_be_read_in_two_ways_is_refused(text: str) -> None:
    """No dot segments, no empty names, no control characters."""
    with pytest.raises(PathError):
        VaultPath.parse(text)


@pytest.mark.parametrize(
    "code",
    [*range(0x20), 0x7F, 0x80, 0x9F, 0x2028, 0x2029, 0xD800, 0xDFFF, 0xFDD0, 0xFDEF, 0xFFFE, 0xFFFF],
)
def test_names_that_no_listing_could_show_are_refused(code: int) -> None:
    """XML 1.0 cannot carry them; a listing of the parent would break."""
    with pytest.raises(PathError):
        check_name(f"a{chr(code)}b")


@pytest.mark.parametrize(
    "name", ["\u200f", "\ufeff", "\U0001f600", "\ufffd", "\xa0", "\U0001ffff", " ", "CON", "a:b"]
)
def test_unusual_names_are_stored(name: str) -> None:
    """What some other system would not like is no reason to refuse it."""
    assert check_name(name) == name


def test_a_slash_is_never_part_of_a_name() -> None:
    """A percent-encoded slash arrives decoded; it must not become a separator or a name."""
    with pytest.raises(PathError):
        VaultPath(("a/b",))


@pytest.mark.parametrize("letter", ["a", "\u00e9", "\u4e2d", "\U0001f600"])
def test_the_longest_name_is_counted_in_bytes(letter: str) -> None:
    """255 bytes of UTF-8, whatever they spell."""
    letters = MAX_NAME_BYTES // len(letter.encode())
    name = letter * letters + "x" * (MAX_NAME_BYTES - letters * len(letter.encode()))
    assert check_name(name) == name
    with pytest.raises(PathError, match="255"):
        check_name(name + "x")


def test_a_name_whose_lookup_form_is_too_long_is_refused() -> None:
    """NFC of U+0958 is longer than what was sent; what is sealed must fit."""
    name = "\u0958" * (MAX_NAME_BYTES // 3)
    assert len(name.encode()) <= MAX_NAME_BYTES < len(lookup_form(name).encode())
    with pytest.raises(PathError):
        check_name(name)


def test_the_deepest_path() -> None:
    """256 names are a path, one more is not."""
    deepest = VaultPath(("x",) * MAX_DEPTH)
    with pytest.raises(PathError, match="256"):
        _ = deepest / "x"


def test_name_and_parent() -> None:
    """The root has no name and is its own parent."""
    path = VaultPath.parse("/a/b")
    assert (path.name, path.parent, path.is_root) == ("b", VaultPath(("a",)), False)
    root = VaultPath.parse("/")
    assert (root.name, root.parent, root.is_root) == ("", root, True)
    assert root / "a" / "b" == path
    assert str(path) == "/a/b"
    assert str(root) == "/"


@pytest.mark.parametrize(
    ("outer", "inner", "contains"),
    [
        ("/", "/", True),
        ("/", "/a", True),
        ("/a", "/a", True),
        ("/a", "/a/b", True),
        ("/a", "/ab", False),
        ("/a/b", "/a", False),
        (f"/{NFC}", f"/{NFD}/b", True),
    ],
)
def test_contains_compares_whole_names(outer: str, inner: str, *, contains: bool) -> None:
    """No part of a name counts, and spelling does not matter."""
    assert VaultPath.parse(outer).contains(VaultPath.parse(inner)) is contains


def test_an_error_does_not_repeat_the_name() -> None:
    """Names stay out of logs."""
    with pytest.raises(PathError) as caught:
        VaultPath(("secret\n",))
    assert "secret" not in str(caught.value)
