"""davserver/blobs/base.py: ids and names of objects. The protocols are judged in tests/contract."""

from __future__ import annotations

import pytest

from davserver.blobs.base import object_name, parse_object_name, require_id
from davserver.model import BlobId


def test_the_name_is_lower_hex() -> None:
    """An object is named by its id in lower-case hex, leading zeros kept (docs/format.md)."""
    assert object_name(BlobId(bytes(range(0xA0, 0xB0)))) == "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    assert object_name(BlobId(bytes(16))) == "0" * 32


def test_a_name_gives_back_its_id() -> None:
    """`parse_object_name` undoes `object_name`."""
    blob_id = BlobId(bytes(range(16)))
    assert parse_object_name(object_name(blob_id)) == blob_id


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ab",
        "0" * 31,
        "0" * 33,
        "0" * 34,
        "A" * 32,
        "g" * 32,
        "0" * 31 + " ",
        " ".join(["00"] * 16),
        "staging",
    ],
)
def test_any_other_name_is_no_object(name: str) -> None:
    """Only one spelling counts: no upper case, no blanks (bytes.fromhex allows them), no other length."""
    assert parse_object_name(name) is None


def test_an_id_is_returned_as_it_is() -> None:
    """16 bytes pass; the error for anything else does not repeat it."""
    assert require_id(bytes(16)) == bytes(16)
    with pytest.raises(ValueError, match=r"^a blob id is exactly 16 bytes$"):
        require_id(b"../../etc/passwd.")
