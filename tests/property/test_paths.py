"""Paths of arbitrary names."""

from __future__ import annotations

import unicodedata
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from davserver.errors import PathError
from davserver.vault.paths import MAX_NAME_BYTES, VaultPath, check_name, lookup_form

anything = st.text(max_size=80)


def _storable(name: str) -> bool:
    try:
        check_name(name)
    except PathError:
        return False
    return True


names = anything.filter(_storable)
paths = st.lists(names, max_size=5).map(lambda parts: VaultPath(tuple(parts)))


@given(anything)
def test_what_is_stored_fits_and_can_be_shown(name: str) -> None:
    """A storable name is UTF-8, fits its field in both spellings, and survives XML 1.0."""
    if not _storable(name):
        return
    for form in (name, lookup_form(name)):
        assert 0 < len(form.encode()) <= MAX_NAME_BYTES
        assert "/" not in form
        assert form not in {".", ".."}
        element = ET.Element("name")
        element.text = form
        assert ET.fromstring(ET.tostring(element, "utf-8")).text == form  # noqa: S314 - our own XML


@given(anything)
def test_a_lookup_form_can_be_stored_itself(name: str) -> None:
    """A client that normalises what it was given can still name it."""
    if _storable(name):
        assert _storable(unicodedata.normalize("NFC", name))


@given(paths)
def test_a_path_is_what_it_says(path: VaultPath) -> None:
    """Text and parts are two spellings of one thing."""
    assert VaultPath.parse(str(path)) == path
    assert path.is_root or path.parent / path.name == path


@given(paths, paths)
def test_contains_is_a_prefix(one: VaultPath, other: VaultPath) -> None:
    """Every path contains what was appended to it, and two that contain each other are found alike."""
    joined = VaultPath((*one.parts, *other.parts))
    assert one.contains(joined)
    assert joined.contains(one) == (not other.parts)
    if one.contains(other) and other.contains(one):
        assert list(map(lookup_form, one.parts)) == list(map(lookup_form, other.parts))


@given(anything)
def test_parse_raises_nothing_but_path_error(text: str) -> None:
    """Whatever arrives is a path or a PathError, and never a path with other names than its text."""
    try:
        path = VaultPath.parse(text)
    except PathError:
        return
    assert text in {str(path), str(path)[1:]}
