"""Encryption of small values that hang on a node: dead properties (RFC 4918, 4) and the owners of locks.

It must never let a value be read under another node, purpose or context than it was sealed for.
Called by `vault`.
"""

from __future__ import annotations

from enum import Enum

from davserver.crypto.keys import AccountKey
from davserver.crypto.names import pad32, unpad32
from davserver.crypto.primitives import InvalidTag, random_bytes
from davserver.errors import CorruptRow
from davserver.model import NodeId

NONCE_BYTES = 16

_DOMAIN = b"EWD1/property"


class Purpose(Enum):
    """What a sealed value is."""

    PROPERTY_NAME = b"\x01"
    PROPERTY_VALUE = b"\x02"
    LOCK_OWNER = b"\x03"


def seal_property_name(account_key: AccountKey, node_id: NodeId, name: str) -> bytes:
    """What a dead property's name is stored and looked up as: deterministic within its node."""
    data = _associated(account_key, node_id, Purpose.PROPERTY_NAME)
    return account_key.property_cipher.encrypt(pad32(name.encode()), data)


def open_property_name(account_key: AccountKey, node_id: NodeId, sealed: bytes) -> str:
    """Decrypt what `seal_property_name` made.

    Raises:
        CorruptRow: altered, or made for another node or account.
    """
    return _open(account_key, sealed, _associated(account_key, node_id, Purpose.PROPERTY_NAME)).decode()


def seal_value(
    account_key: AccountKey, node_id: NodeId, purpose: Purpose, context: bytes, value: bytes
) -> bytes:
    """Encrypt a value: 16 bytes of nonce, then the sealed and padded value.

    Args:
        account_key: of the account that owns the node.
        node_id: the node that the value hangs on.
        purpose: `PROPERTY_VALUE` or `LOCK_OWNER`.
        context: which of the node's values it is: the sealed name of the property, or the token of the lock.
        value: any bytes.
    """
    nonce = random_bytes(NONCE_BYTES)
    data = [*_associated(account_key, node_id, purpose), nonce, context]
    return nonce + account_key.property_cipher.encrypt(pad32(value), data)


def open_value(
    account_key: AccountKey, node_id: NodeId, purpose: Purpose, context: bytes, sealed: bytes
) -> bytes:
    """Decrypt what `seal_value` made.

    Raises:
        CorruptRow: altered, or made for another node, account, purpose or context.
    """
    data = [*_associated(account_key, node_id, purpose), sealed[:NONCE_BYTES], context]
    return _open(account_key, sealed[NONCE_BYTES:], data)


def _associated(account_key: AccountKey, node_id: NodeId, purpose: Purpose) -> list[bytes]:
    return [_DOMAIN, account_key.account_id, node_id, purpose.value]


def _open(account_key: AccountKey, sealed: bytes, data: list[bytes]) -> bytes:
    try:
        return unpad32(account_key.property_cipher.decrypt(sealed, data))
    except (InvalidTag, ValueError):  # The padding is a part of what must be right.
        raise CorruptRow("a property or lock in the database was altered or belongs elsewhere") from None
