"""Deterministic encryption of a name under its parent collection, so that a look-up is one index search.

It must never depend on how a client spells Unicode: what is sealed is the NFC form. The spelling that the
client sent is kept by `metadata`. Called by `vault`.
"""

from __future__ import annotations

import unicodedata

from davserver.crypto.keys import AccountKey
from davserver.model import NodeId

PAD_BYTES = 32

_DOMAIN = b"EWD1/name"


def pad32(value: bytes) -> bytes:
    """Append 80, then 00 up to the next multiple of 32 bytes (ISO/IEC 7816-4): hides the exact length."""
    return value + b"\x80" + bytes(-(len(value) + 1) % PAD_BYTES)


def unpad32(padded: bytes) -> bytes:
    """Take off what `pad32` appended.

    Raises:
        ValueError: `pad32` does not make this.
    """
    end = padded.rfind(b"\x80")
    if end < 0 or pad32(padded[:end]) != padded:
        raise ValueError("the padding is wrong")
    return padded[:end]


def seal_name(account_key: AccountKey, parent_id: NodeId, name: str) -> bytes:
    """What the name is stored and looked up as: a multiple of 32 bytes, plus 16.

    Equal names in the same collection give equal bytes; in different collections or accounts they have
    nothing in common.
    """
    plain = unicodedata.normalize("NFC", name).encode()
    return account_key.name_cipher.encrypt(pad32(plain), [_DOMAIN, account_key.account_id, parent_id])
