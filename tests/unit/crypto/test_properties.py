"""Dead properties and lock owners: found by name, readable in one place only."""

from __future__ import annotations

import pytest

from davserver.crypto.keys import AccountKey
from davserver.crypto.names import pad32
from davserver.crypto.properties import (
    Purpose,
    open_property_name,
    open_value,
    seal_property_name,
    seal_value,
)
from davserver.errors import CorruptRow
from davserver.model import NodeId
from tests.unit.crypto.samples import (
    ACCOUNT_ID,
    NODE_ID,
    OTHER_ACCOUNT,
    OTHER_NODE,
    OTHER_SECRET,
    account_key,
)

NAME = "{urn:example}colour"
NAME_CT = seal_property_name(account_key(), NODE_ID, NAME)
VALUE = "<c xmlns='urn:example'>grün</c>".encode()


def seal(value: bytes = VALUE) -> bytes:
    """Seal as the value of the sample property."""
    return seal_value(account_key(), NODE_ID, Purpose.PROPERTY_VALUE, NAME_CT, value)


def test_a_name_is_found_again_and_comes_back() -> None:
    """Deterministic within its node, so that PROPPATCH finds the row."""
    assert seal_property_name(account_key(), NODE_ID, NAME) == NAME_CT
    assert open_property_name(account_key(), NODE_ID, NAME_CT) == NAME


def test_names_are_sealed_as_documented() -> None:
    """Four strings of associated data: label, account, node, purpose 1."""
    data = [b"EWD1/property", ACCOUNT_ID, NODE_ID, b"\x01"]
    assert account_key().property_cipher.encrypt(pad32(NAME.encode()), data) == NAME_CT


def test_values_are_sealed_as_documented() -> None:
    """Six strings of associated data: label, account, node, purpose, nonce, context."""
    sealed = seal()
    data = [b"EWD1/property", ACCOUNT_ID, NODE_ID, b"\x02", sealed[:16], NAME_CT]
    assert account_key().property_cipher.decrypt(sealed[16:], data) == pad32(VALUE)


def test_equal_names_on_other_nodes_cannot_be_linked() -> None:
    """Nor in other accounts, nor of other property names."""
    sealed = {
        NAME_CT,
        seal_property_name(account_key(), OTHER_NODE, NAME),
        seal_property_name(account_key(OTHER_ACCOUNT), NODE_ID, NAME),
        seal_property_name(account_key(), NODE_ID, NAME.upper()),
    }
    assert len({one[:16] for one in sealed}) == 4


@pytest.mark.parametrize("value", [b"", b"\x80", b"\0" * 32, VALUE, bytes(range(256)) * 300])
@pytest.mark.parametrize("purpose", [Purpose.PROPERTY_VALUE, Purpose.LOCK_OWNER])
def test_values_come_back(value: bytes, purpose: Purpose) -> None:
    """Whatever they hold; sealed twice, they do not look alike."""
    one, other = (seal_value(account_key(), NODE_ID, purpose, b"context", value) for _ in range(2))
    assert one[16:] != other[16:]
    assert open_value(account_key(), NODE_ID, purpose, b"context", one) == value


@pytest.mark.parametrize(
    ("key", "node_id", "purpose", "context"),
    [
        (account_key(OTHER_ACCOUNT), NODE_ID, Purpose.PROPERTY_VALUE, NAME_CT),
        (AccountKey(ACCOUNT_ID, 1, OTHER_SECRET), NODE_ID, Purpose.PROPERTY_VALUE, NAME_CT),
        (account_key(), OTHER_NODE, Purpose.PROPERTY_VALUE, NAME_CT),
        (account_key(), NODE_ID, Purpose.LOCK_OWNER, NAME_CT),
        (account_key(), NODE_ID, Purpose.PROPERTY_NAME, NAME_CT),
        (account_key(), NODE_ID, Purpose.PROPERTY_VALUE, NAME_CT[:-1]),
        (account_key(), NODE_ID, Purpose.PROPERTY_VALUE, b""),
    ],
)
def test_a_value_is_refused_in_any_other_place(
    key: AccountKey, node_id: NodeId, purpose: Purpose, context: bytes
) -> None:
    """Another account, key, node, purpose or context."""
    with pytest.raises(CorruptRow):
        open_value(key, node_id, purpose, context, seal())


def test_a_name_is_refused_in_any_other_place() -> None:
    """Another node or account, or a value in place of a name."""
    for key, node_id, sealed in [
        (account_key(), OTHER_NODE, NAME_CT),
        (account_key(OTHER_ACCOUNT), NODE_ID, NAME_CT),
        (account_key(), NODE_ID, seal()),
        (account_key(), NODE_ID, b""),
    ]:
        with pytest.raises(CorruptRow):
            open_property_name(key, node_id, sealed)


def test_every_altered_byte_and_every_truncation_is_noticed() -> None:
    """All positions of a sealed value and of a sealed name."""
    sealed = seal()
    for position in range(len(sealed)):
        altered = bytearray(sealed)
        altered[position] ^= 4
        for wrong in (bytes(altered), sealed[:position]):
            with pytest.raises(CorruptRow):
                open_value(account_key(), NODE_ID, Purpose.PROPERTY_VALUE, NAME_CT, wrong)
    for position in range(len(NAME_CT)):
        altered = bytearray(NAME_CT)
        altered[position] ^= 4
        with pytest.raises(CorruptRow):
            open_property_name(account_key(), NODE_ID, bytes(altered))
