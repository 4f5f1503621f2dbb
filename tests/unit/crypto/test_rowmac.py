"""Authenticators of rows: the encoding is unambiguous, any change is noticed."""

from __future__ import annotations

import hmac
from itertools import combinations

import pytest

from davserver.crypto.rowmac import ROW_MAC_BYTES, Field, row_mac, verify_row_mac
from davserver.errors import CorruptRow

KEY = bytes(range(32))


def test_a_row_is_encoded_as_documented() -> None:
    """One field of every type, spelt out."""
    message = (
        b"EWD1/row\0"
        b"s\0\0\0\x05table"
        b"b\0\0\0\x02\x00\xff"
        b"i\0\0\0\x03-12"
        b"s\0\0\0\x03\xc3\xa9x"
        b"n\0\0\0\0"
        b"i\0\0\0\x011"
        b"b\0\0\0\0"
    )
    mac = row_mac(KEY, "table", [b"\x00\xff", -12, "éx", None, True, b""])
    assert mac == hmac.digest(KEY, message, "sha256")
    assert len(mac) == ROW_MAC_BYTES


CONFUSABLE: list[list[Field]] = [
    [],
    [None],
    [None, None],
    [b""],
    [""],
    ["", ""],
    [0],
    ["0"],
    [b"0"],
    [-1],
    [1],
    [10],
    [1, 0],
    ["ab", "c"],
    ["a", "bc"],
    ["abc"],
    ["abc", ""],
    ["", "abc"],
    [b"abc"],
    [b"a", b"bc"],
    ["a", None],
    [None, "a"],
    [b"s\0\0\0\x01a"],
    ["s\0\0\0\x01a"],
    ["\0"],
    ["\0\0"],
]


def test_rows_that_look_alike_do_not_authenticate_each_other() -> None:
    """Types, empty values, where one value ends and the next begins: 325 pairs, no two alike."""
    pairs = list(combinations(CONFUSABLE, 2))
    assert len(pairs) == 325
    for one, other in pairs:
        assert row_mac(KEY, "t", one) != row_mac(KEY, "t", other)


def test_a_row_of_one_table_is_none_of_another() -> None:
    """The table's name is authenticated too, apart from the first column."""
    assert row_mac(KEY, "ab", ["c"]) != row_mac(KEY, "a", ["bc"])
    assert row_mac(KEY, "a", ["b"]) != row_mac(KEY, "b", ["a"])


def test_a_truth_value_is_the_integer_that_databases_give_back() -> None:
    """SQLite keeps booleans as 0 and 1."""
    assert row_mac(KEY, "t", [True, False]) == row_mac(KEY, "t", [1, 0])


def test_what_was_authenticated_is_accepted() -> None:
    """And nothing is returned that could be mistaken for an answer."""
    verify_row_mac(KEY, "t", ["a", 1], row_mac(KEY, "t", ["a", 1]))


@pytest.mark.parametrize(
    ("key", "table", "fields", "mac"),
    [
        (bytes(32), "t", ["a", 1], row_mac(KEY, "t", ["a", 1])),
        (KEY, "u", ["a", 1], row_mac(KEY, "t", ["a", 1])),
        (KEY, "t", ["a", 2], row_mac(KEY, "t", ["a", 1])),
        (KEY, "t", ["a", 1, None], row_mac(KEY, "t", ["a", 1])),
        (KEY, "t", [1, "a"], row_mac(KEY, "t", ["a", 1])),
        (KEY, "t", ["a", 1], row_mac(KEY, "t", ["a", 1])[:31]),
        (KEY, "t", ["a", 1], b""),
    ],
)
def test_what_was_not_authenticated_is_refused(
    key: bytes, table: str, fields: list[Field], mac: bytes
) -> None:
    """Another key, table, value, count or order of values, a cut authenticator; no value is shown."""
    with pytest.raises(
        CorruptRow, match=f"^a row of the table {table} does not carry a valid authenticator$"
    ):
        verify_row_mac(key, table, fields, mac)


@pytest.mark.parametrize(("value", "mac"), [(1.5, b""), (1, None), (1, "text")])
def test_types_that_no_column_has_are_damage(value: object, mac: object) -> None:
    """SQLite stores a fraction or a text where an integer or bytes belong; it is refused."""
    with pytest.raises(CorruptRow):
        verify_row_mac(KEY, "t", [value], mac)  # type: ignore[list-item, arg-type]


@pytest.mark.parametrize("value", [1.5, ["a"], object()])
def test_values_without_one_encoding_are_mistakes(value: object) -> None:
    """A type that nobody defined an encoding for is not guessed at."""
    with pytest.raises(TypeError, match="cannot be authenticated"):
        row_mac(KEY, "t", [value])  # type: ignore[list-item]
