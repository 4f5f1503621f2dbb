"""Node metadata: what comes out is what went in, in the one place that it was sealed for."""

from __future__ import annotations

import struct

import cbor2
import pytest

from davserver.crypto import metadata
from davserver.crypto.keys import AccountKey
from davserver.crypto.metadata import NodeMetadata
from davserver.crypto.names import seal_name
from davserver.errors import CorruptRow, LimitExceeded
from davserver.model import ROOT_ID, AccountId, BlobId, Content, NodeId, NodeKind
from tests.unit.crypto.samples import (
    ACCOUNT_ID,
    BLOB_ID,
    NODE_ID,
    OTHER_ACCOUNT,
    OTHER_NODE,
    OTHER_SECRET,
    PARENT_ID,
    account_key,
)

CONTENT = Content(BLOB_ID, 100_120, bytes(range(32)))
FILE = NodeMetadata(
    name="re\u0301port.pdf",
    size=100_000,
    modified_ns=1_700_000_000_123_456_789,
    created_ns=-1,
    content=CONTENT,
    sha1=bytes(range(20)),
    extras={"md5": bytes(16), "win32": 32},
)
NAME_CT = seal_name(account_key(), PARENT_ID, FILE.name)


def seal(found: NodeMetadata = FILE) -> bytes:
    """Seal in the place of the samples."""
    return metadata.seal(account_key(), NODE_ID, PARENT_ID, NodeKind.FILE, 5, NAME_CT, found)


def open_(  # noqa: PLR0917 - as metadata.open_
    sealed: bytes,
    key: AccountKey | None = None,
    node_id: NodeId = NODE_ID,
    parent_id: NodeId = PARENT_ID,
    kind: NodeKind = NodeKind.FILE,
    version: int = 5,
    name_ct: bytes = NAME_CT,
) -> NodeMetadata:
    """Open in the place of the samples, unless something else is said."""
    return metadata.open_(key or account_key(), node_id, parent_id, kind, version, name_ct, sealed)


@pytest.mark.parametrize(
    "found",
    [
        FILE,
        FILE._replace(extras={}),
        FILE._replace(sha1=None),
        FILE._replace(content=None, sha1=None, size=0, extras={}),
        FILE._replace(sha1=bytes(20), content=Content(BlobId(bytes(16)), 0, bytes(32))),
        FILE._replace(name=""),
        FILE._replace(name="\U0001f600" * 63),
        FILE._replace(size=(1 << 64) - 1, modified_ns=-(1 << 63), created_ns=(1 << 63) - 1),
        FILE._replace(extras={"a": [1, "b", b"c", None, True], "z": {"y": -1}}),
        FILE._replace(extras={"x": "y" * 65_000}),
    ],
)
def test_metadata_comes_back(found: NodeMetadata) -> None:
    """With and without content, digest and extras; at the ends of every field; zeros are not nothing."""
    assert open_(seal(found)) == found


def test_metadata_is_sealed_as_documented() -> None:
    """Nonce, then SIV over the fixed fields, name, extras and zeros, with one string of associated data."""
    sealed = seal()
    name = FILE.name.encode()
    extras = cbor2.dumps({"md5": bytes(16), "win32": 32}, canonical=True)
    plain = struct.pack(">BBHHQqq", 1, 3, len(name), len(extras), 100_000, 1_700_000_000_123_456_789, -1)
    plain += BLOB_ID + struct.pack(">Q", 100_120) + bytes(range(32)) + bytes(range(20)) + name + extras
    plain += bytes(-len(plain) % 32)
    data = (
        b"EWD1/node"
        + ACCOUNT_ID
        + NODE_ID
        + PARENT_ID
        + b"\x01"
        + struct.pack(">Q", 5)
        + sealed[:16]
        + NAME_CT
    )
    assert account_key().meta_cipher.decrypt(sealed[16:], [data]) == plain


def test_extras_are_canonical(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order in which they were added does not show: under one nonce the seals are equal."""
    monkeypatch.setattr(metadata, "random_bytes", bytes)
    assert seal(FILE._replace(extras={"bb": 1, "a": 2})) == seal(FILE._replace(extras={"a": 2, "bb": 1}))


def test_the_root_has_no_name() -> None:
    """Neither sealed nor inside."""
    root = NodeMetadata("", 0, 1, 2, None, None, {})
    place = (account_key(), ROOT_ID, ROOT_ID, NodeKind.COLLECTION, 1, b"")
    assert metadata.open_(*place, metadata.seal(*place, root)) == root


def test_no_two_seals_are_alike() -> None:
    """The same metadata sealed again shows nothing: not even that it is the same."""
    one, other = seal(), seal()
    assert one[:16] != other[:16]
    assert one[16:] != other[16:]


@pytest.mark.parametrize(
    "change",
    [
        {"key": account_key(OTHER_ACCOUNT)},
        {"key": AccountKey(ACCOUNT_ID, 1, OTHER_SECRET)},
        {"node_id": OTHER_NODE},
        {"parent_id": OTHER_NODE},
        {"parent_id": ROOT_ID},
        {"node_id": PARENT_ID, "parent_id": NODE_ID},
        {"kind": NodeKind.COLLECTION},
        {"version": 4},
        {"version": 6},
        {"version": 0},
        {"name_ct": seal_name(account_key(), PARENT_ID, "other")},
        {"name_ct": NAME_CT[:-1]},
        {"name_ct": NAME_CT + b"\0"},
        {"name_ct": b""},
        # A database that does not enforce lengths must not lend bytes from one column to the next.
        {"node_id": NodeId(NODE_ID + b"\0")},
        {"node_id": NodeId(NODE_ID + PARENT_ID[:1]), "parent_id": NodeId(PARENT_ID[1:])},
        {"node_id": NodeId(NODE_ID[:-1])},
        {"parent_id": NodeId(PARENT_ID + b"\0")},
        {"parent_id": NodeId(b"")},
        {"node_id": "\0" * 16},
        {"node_id": None},
        {"name_ct": "text"},
        {"version": "5"},
        {"version": 5.0},
        {"version": -1},
        {"version": 1 << 64},
        {"version": 5 + (1 << 64)},
    ],
)
def test_metadata_is_refused_in_any_other_place(change: dict[str, object]) -> None:
    """Another account, key, node, parent, kind, version or name: each alone is noticed."""
    sealed = seal()
    assert open_(sealed) == FILE
    with pytest.raises(CorruptRow):
        open_(sealed, **change)  # type: ignore[arg-type]


def test_the_account_is_bound_even_under_one_key() -> None:
    """The account's id is in the associated data, not in the key alone."""
    key, other = account_key(), account_key()
    other.account_id = AccountId(OTHER_ACCOUNT)
    sealed = seal()
    assert open_(sealed, key) == FILE
    with pytest.raises(CorruptRow):
        open_(sealed, other)


def test_every_altered_byte_and_every_truncation_is_noticed() -> None:
    """All positions of the sealed metadata, nonce included."""
    sealed, cases = seal(), 0
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 1 << position % 8
        for wrong in (bytes(altered), sealed[:position], sealed + bytes(position + 1)):
            with pytest.raises(CorruptRow):
                open_(wrong)
            cases += 1
    assert cases == 3 * len(sealed) == 3 * 192


def test_the_length_shows_in_steps_of_32_only() -> None:
    """A listing's rows do not tell how long each name is."""
    plain = FILE._replace(extras={})
    lengths = {size: len(seal(plain._replace(name="x" * size))) for size in range(1, 256)}
    assert {lengths[size] for size in range(1, 23)} == {160}
    assert lengths[23] == 192
    assert len(set(lengths.values())) == 9


@pytest.mark.parametrize(
    "change",
    [
        {"size": -1},
        {"size": 1 << 64},
        {"modified_ns": 1 << 63},
        {"modified_ns": -(1 << 63) - 1},
        {"created_ns": 1 << 63},
        {"name": "x" * 65_536},
        {"extras": {"x": "y" * 65_536}},
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object]) -> None:
    """Nothing is cut or wrapped around; the message names no value."""
    with pytest.raises(LimitExceeded, match="too large"):
        seal(FILE._replace(**change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"sha1": bytes(32)},
        {"sha1": b""},
        {"content": Content(BlobId(bytes(15)), 104, bytes(32))},
        {"content": Content(BLOB_ID, 104, bytes(31))},
    ],
)
def test_fields_of_another_length_are_mistakes(change: dict[str, object]) -> None:
    """They would be cut or filled without a word."""
    with pytest.raises(ValueError, match="length"):
        seal(FILE._replace(**change))  # type: ignore[arg-type]


def test_ids_that_end_with_zeros_are_not_filled_up() -> None:
    """The root's id is 16 zeros, not none and not 15: a shorter or longer column is another column."""
    sealed = metadata.seal(account_key(), ROOT_ID, ROOT_ID, NodeKind.COLLECTION, 1, b"", FILE)
    for wrong in (NodeId(b""), NodeId(bytes(15)), NodeId(bytes(17))):
        for node_id, parent_id in ((wrong, ROOT_ID), (ROOT_ID, wrong)):
            with pytest.raises(CorruptRow):
                metadata.open_(account_key(), node_id, parent_id, NodeKind.COLLECTION, 1, b"", sealed)
            with pytest.raises(ValueError, match="is not one"):
                metadata.seal(account_key(), node_id, parent_id, NodeKind.COLLECTION, 1, b"", FILE)


def test_metadata_of_another_type_is_refused() -> None:
    """Text or nothing where bytes belong is damage, not a crash."""
    for wrong in ("x" * 192, None, 7):
        with pytest.raises(CorruptRow):
            open_(wrong)  # type: ignore[arg-type]


def test_metadata_of_a_newer_version_is_refused() -> None:
    """Authentic, but nothing that this version may guess the meaning of."""
    data = metadata._associated(account_key(), NODE_ID, PARENT_ID, NodeKind.FILE, 5, bytes(16), NAME_CT)  # noqa: SLF001
    newer = bytes(16) + account_key().meta_cipher.encrypt(b"\x02" + bytes(127), data)
    with pytest.raises(CorruptRow, match="newer version"):
        open_(newer)
