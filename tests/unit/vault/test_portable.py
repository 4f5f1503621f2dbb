"""Names in an archive: safe on every system, and none over another."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.errors import PathError
from davserver.vault.paths import MAX_NAME_BYTES, check_name
from davserver.vault.portable import FolderNames, is_portable, portable

DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789\u00b9\u00b2\u00b3"
}


def storable(name: str) -> bool:
    """Whether a vault takes the name."""
    try:
        check_name(name)
    except PathError:
        return False
    return True


NAMES = st.one_of(
    st.text(min_size=1, max_size=20),
    st.text("aA:\\\u00c4\u0041\u0308. ", min_size=1, max_size=4),
    st.sampled_from(
        ["con", "NUL.txt", "com1.tar.gz", "lpt\u00b9", "C:", "..\\..\\x", "a" * 255, "." + "b" * 254]
    ),
).filter(storable)


def is_safe(name: str) -> bool:
    """Whether Windows makes a file of this name inside the folder, and nothing else."""
    path = PureWindowsPath(name)
    return (
        path.parts == (name,)
        and not path.drive
        and not re.search(r'[\x00-\x1f\x7f-\x9f\\/:*?"<>|]', name)
        and not name.endswith((".", " "))
        and name.partition(".")[0].rstrip(" ").upper() not in DEVICES
    )


@given(st.lists(NAMES, unique=True, max_size=30))
def test_every_name_is_safe_and_no_two_meet(names: list[str]) -> None:
    """Neither on Windows nor where case or composition does not count; and each can be stored."""
    folder = FolderNames()
    taken = [folder.take(name) for name in names]
    assert all(map(is_safe, taken)), taken
    assert all(0 < len(name.encode()) <= MAX_NAME_BYTES for name in taken)
    for form in ("NFC", "NFD"):
        assert len({unicodedata.normalize(form, name).casefold() for name in taken}) == len(names)


@given(NAMES.filter(is_safe))
def test_a_safe_name_is_kept(name: str) -> None:
    """Only what has to be changed is."""
    assert FolderNames().take(name) == name


@given(NAMES)
def test_which_names_are_portable(name: str) -> None:
    """Those that need not be changed."""
    assert is_portable(name) == is_safe(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("..\\..\\evil.exe", ".._.._evil.exe"),
        ("C:\\x", "C__x"),
        ("C:x", "C_x"),
        ("\\\\host\\share", "__host_share"),
        ("a.txt:stream", "a.txt_stream"),
        ("what?", "what_"),
        ("end. .", "end"),
        ("...", "_"),
        ("nul", "_nul"),
        ("Com1.txt", "_Com1.txt"),
        ("aux .txt", "_aux .txt"),
        ("console", "console"),
        (".hidden", ".hidden"),
        ("Z\u00fcrich 2030.jpg", "Z\u00fcrich 2030.jpg"),
    ],
)
def test_what_becomes_of_a_name(name: str, expected: str) -> None:
    """By example."""
    assert portable(name) == expected


def test_names_that_meet_are_numbered() -> None:
    """Before the ending, and never cut into a longer name than a file system takes."""
    folder = FolderNames()
    assert [folder.take(name) for name in ("a.txt", "A.txt", "a (2).txt", "\u00e4", "a\u0308")] == [
        "a.txt",
        "A (2).txt",
        "a (2) (2).txt",
        "\u00e4",
        "a\u0308 (2)",
    ]
    long = FolderNames()
    taken = [long.take(name) for name in ("\u00e4" * 127, "\u00c4" * 127, "." + "x" * 254, "." + "X" * 254)]
    assert [len(name.encode()) <= MAX_NAME_BYTES for name in taken] == [True] * 4
    assert len({name.casefold() for name in taken}) == 4


def test_many_that_meet_take_no_longer_each() -> None:
    """The next free number is remembered: a thousand names that become one are a thousand steps or so."""
    folder = FolderNames()
    marks = [f"{number:b}".translate({48: ":", 49: "?"}).rjust(14, ":") for number in range(2**12)]
    assert len({folder.take(name) for name in marks}) == len(marks)
