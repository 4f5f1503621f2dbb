"""An authenticator over the clear columns of a database row.

It must never let two different rows encode alike: every value carries its type and its length.
Called through `MasterKey.row_mac` and `AccountKey.row_mac`, which hold the key.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from davserver.crypto.primitives import constant_time_equal, hmac_sha256
from davserver.errors import CorruptRow

Field = bytes | int | str | None
"""What a column may hold. A truth value counts as the integer 0 or 1: so do databases give it back."""

ROW_MAC_BYTES = 32

_LABEL = b"EWD1/row\0"
_HEAD = struct.Struct(">cI")


def row_mac(key: bytes, table: str, fields: Sequence[Field]) -> bytes:
    """Authenticate a row: 32 bytes.

    Args:
        key: a row-mac key (32 bytes).
        table: which kind of row this is.
        fields: the columns, always in the same order, with whatever says which row it is among them.

    Raises:
        TypeError: a value of another type than `Field`.
    """
    return hmac_sha256(key, _LABEL + b"".join([_encode(table), *map(_encode, fields)]))


def verify_row_mac(key: bytes, table: str, fields: Sequence[Field], mac: bytes) -> None:
    """Check what `row_mac` made.

    Raises:
        CorruptRow: the row is not the one that was authenticated.
    """
    try:
        authentic = constant_time_equal(row_mac(key, table, fields), mac)
    except TypeError:  # SQLite also stores what a column's type does not allow.
        authentic = False
    if not authentic:
        raise CorruptRow(f"a row of the table {table} does not carry a valid authenticator")


def _encode(value: Field) -> bytes:
    """Type (one letter), length (u32be), bytes: no encoding is a prefix of another."""
    if value is None:
        return _HEAD.pack(b"n", 0)
    if isinstance(value, bytes):
        return _HEAD.pack(b"b", len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _HEAD.pack(b"s", len(text)) + text
    if isinstance(value, int):
        digits = b"%d" % value
        return _HEAD.pack(b"i", len(digits)) + digits
    raise TypeError(f"a column of type {type(value).__name__} cannot be authenticated")
