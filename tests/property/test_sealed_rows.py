"""Names, metadata, properties, tokens and row authenticators for arbitrary values."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.crypto import metadata, tokens
from davserver.crypto.metadata import NodeMetadata
from davserver.crypto.names import pad32, seal_name, unpad32
from davserver.crypto.properties import Purpose, open_value, seal_value
from davserver.crypto.rowmac import Field, row_mac
from davserver.crypto.tokens import AppToken
from davserver.errors import AuthenticationError
from davserver.model import BlobId, Content, NodeId, NodeKind
from tests.unit.crypto.samples import NODE_ID, PARENT_ID, account_key

KEY = account_key()
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
text = st.text(st.characters(exclude_categories=["Cs"]))
ids = st.binary(min_size=16, max_size=16)
i64 = st.integers(-(1 << 63), (1 << 63) - 1)
u64 = st.integers(0, (1 << 64) - 1)
contents = st.builds(Content, ids.map(BlobId), u64, st.binary(min_size=32, max_size=32))
scalars = st.none() | st.booleans() | u64 | text | st.binary()
found = st.builds(
    NodeMetadata,
    text.filter(lambda name: len(name.encode()) <= 255),
    u64,
    i64,
    i64,
    st.none() | contents,
    st.none() | st.binary(min_size=20, max_size=20),
    st.dictionaries(text, scalars | st.lists(scalars, max_size=3), max_size=4),
)
fields = st.lists(st.none() | st.integers() | text | st.binary(), max_size=5)


@given(found, ids.map(NodeId), ids.map(NodeId), st.sampled_from(NodeKind), u64, st.binary(max_size=300))
def test_metadata_comes_back(  # noqa: PLR0917 - the arguments of metadata.seal
    node: NodeMetadata, node_id: NodeId, parent_id: NodeId, kind: NodeKind, version: int, name_ct: bytes
) -> None:
    """Any values in any row."""
    sealed = metadata.seal(KEY, node_id, parent_id, kind, version, name_ct, node)
    assert metadata.open_(KEY, node_id, parent_id, kind, version, name_ct, sealed) == node
    assert len(sealed) % 32 == 0


@given(text, text)
def test_names_are_equal_exactly_when_their_nfc_forms_are(one: str, other: str) -> None:
    """No two names meet, no name has two rows."""
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (seal_name(KEY, PARENT_ID, one) == seal_name(KEY, PARENT_ID, other)) == same
    assert seal_name(KEY, PARENT_ID, unicodedata.normalize("NFD", one)) == seal_name(KEY, PARENT_ID, one)


@given(st.binary(), st.binary())
def test_padding_is_a_bijection(one: bytes, other: bytes) -> None:
    """It comes off, and nothing else takes off the same: whatever can be unpadded is what padding makes."""
    assert unpad32(pad32(one)) == one
    try:
        plain = unpad32(other)
    except ValueError:
        return
    assert pad32(plain) == other


@given(st.binary(), st.binary())
def test_values_come_back(value: bytes, context: bytes) -> None:
    """Any value in any context."""
    sealed = seal_value(KEY, NODE_ID, Purpose.PROPERTY_VALUE, context, value)
    assert open_value(KEY, NODE_ID, Purpose.PROPERTY_VALUE, context, sealed) == value


@given(fields, fields)
def test_no_two_rows_have_one_authenticator(one: list[Field], other: list[Field]) -> None:
    """Equal authenticators mean equal rows."""
    assert (row_mac(b"key", "t", one) == row_mac(b"key", "t", other)) == (one == other)


@given(fields, st.data())
def test_cutting_a_row_elsewhere_is_another_row(row: list[Field], data: st.DataObject) -> None:
    """A text split in two at any place is not the text."""
    whole = data.draw(text.filter(bool))
    at = data.draw(st.integers(0, len(whole)))
    assert row_mac(b"key", "t", [*row, whole]) != row_mac(b"key", "t", [*row, whole[:at], whole[at:]])


@given(st.text(ALPHABET, min_size=10, max_size=10), st.binary(min_size=20, max_size=20))
def test_every_token_is_read_back(id_: str, secret: bytes) -> None:
    """Any id, any secret, typed in capitals too."""
    written = AppToken(id_, secret).text()
    for typed in (written, written.upper()):
        token = tokens.parse(typed)
        assert (token.id, token.secret) == (id_, secret)


@given(st.text() | st.text(ALPHABET, min_size=46, max_size=50).map("ew1-".__add__))
def test_nothing_else_is_a_token(typed: str) -> None:
    """Any other text is refused with the one error that doors know."""
    with pytest.raises(AuthenticationError):
        tokens.parse(typed)
