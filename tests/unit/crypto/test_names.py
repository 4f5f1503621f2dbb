"""Names: one look-up for every spelling, nothing linkable between collections."""

from __future__ import annotations

import unicodedata

import pytest

from davserver.crypto.keys import AccountKey
from davserver.crypto.names import pad32, seal_name, unpad32
from davserver.model import ROOT_ID
from tests.unit.crypto.samples import (
    ACCOUNT_ID,
    OTHER_ACCOUNT,
    OTHER_NODE,
    OTHER_SECRET,
    PARENT_ID,
    account_key,
)


def test_the_known_answer() -> None:
    """report.pdf in the root collection."""
    assert seal_name(account_key(), ROOT_ID, "report.pdf").hex() == (
        "85f0bd3eae723c68c31d00bbf0976c61f824b92cf4148122002e6060935f6f29402cb58dc1c96818272f9b6bf718e383"
    )


@pytest.mark.parametrize("name", ["r\u00e9sum\u00e9.txt", "\u1ec7", "\uac00", "\u212b", "\u0344"])
def test_every_spelling_is_the_same_name(name: str) -> None:
    """NFC and NFD, precomposed or not, lead to one row."""
    spellings = {name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}
    assert len({seal_name(account_key(), PARENT_ID, spelling) for spelling in spellings}) == 1
    assert len(spellings) > 1


@pytest.mark.parametrize(
    ("one", "other"), [("a", "A"), ("a", "a "), ("fi", "\ufb01"), ("1", "\u2460"), ("", "a")]
)
def test_other_names_are_other_rows(one: str, other: str) -> None:
    """Case, spaces and compatibility forms tell names apart (RFC 4918 compares octets)."""
    assert seal_name(account_key(), PARENT_ID, one) != seal_name(account_key(), PARENT_ID, other)


def test_equal_names_elsewhere_cannot_be_linked() -> None:
    """Another collection, account or key: not even a part of the sealed name is the same."""
    sealed = [
        seal_name(account_key(), PARENT_ID, "name"),
        seal_name(account_key(), OTHER_NODE, "name"),
        seal_name(account_key(OTHER_ACCOUNT), PARENT_ID, "name"),
        seal_name(AccountKey(ACCOUNT_ID, 1, OTHER_SECRET), PARENT_ID, "name"),
    ]
    assert len({one[:16] for one in sealed}) == len({one[16:] for one in sealed}) == 4


def test_the_length_shows_in_steps_of_32_only() -> None:
    """A name of up to 31 bytes is as long as any other such name; the longest allowed takes 272 bytes."""
    lengths = {size: len(seal_name(account_key(), PARENT_ID, "x" * size)) for size in range(1, 256)}
    assert {lengths[size] for size in range(1, 32)} == {48}
    assert lengths[32] == lengths[63] == 80
    assert max(lengths.values()) == lengths[255] == 272


def test_padding_is_that_of_the_document() -> None:
    """80, then zeros to a multiple of 32, always at least one byte."""
    assert pad32(b"") == b"\x80" + bytes(31)
    assert pad32(b"x" * 31) == b"x" * 31 + b"\x80"
    assert pad32(b"x" * 32) == b"x" * 32 + b"\x80" + bytes(31)


@pytest.mark.parametrize("size", [*range(67), 255])
def test_padding_comes_off(size: int) -> None:
    """Whatever the value ends with."""
    for end in (b"", b"\0", b"\x80", b"\x80\0"):
        value = b"v" * size + end
        assert len(pad32(value)) % 32 == 0
        assert unpad32(pad32(value)) == value


@pytest.mark.parametrize(
    "padded",
    [b"", bytes(32), b"x" * 32, b"\x80", b"\x80" + bytes(30), b"x\x80" + bytes(62), b"x" * 31 + b"\x81"],
)
def test_no_other_padding_is_accepted(padded: bytes) -> None:
    """Missing, short, long or with another mark."""
    with pytest.raises(ValueError, match="padding"):
        unpad32(padded)
