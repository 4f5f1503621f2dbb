"""How an entry of the audit log hangs on the one before, and what stands in it for an address.

It must never let two different entries link alike: every value carries its type and its length (`rowmac`).
Called by `davserver/keyring.py`, which has the pepper.
"""

from __future__ import annotations

from collections.abc import Sequence

from davserver.crypto import rowmac
from davserver.crypto.keys import Label, derive

SALT_BYTES = 16
"""Length of the salt beside an address: without it nobody can try addresses out, with the key or without."""

_ENTRY, _CLIENT = "audit_entry", "audit_client"
_KEY_BYTES = 32


class AuditLinks:
    """The links of one log; may be shared by threads.

    Args:
        pepper: of the store: links stay what they are when the master key is rotated.
    """

    __slots__ = ("_key",)

    def __init__(self, pepper: bytes) -> None:
        self._key = derive(pepper, Label.AUDIT_LINK, _KEY_BYTES)

    def link(self, previous: bytes, fields: Sequence[rowmac.Field]) -> bytes:
        """What stands for an entry and all that came before it: 32 bytes."""
        return rowmac.row_mac(self._key, _ENTRY, (previous, *fields))

    def check_link(self, link: bytes, previous: bytes, fields: Sequence[rowmac.Field]) -> None:
        """Check what `link` made.

        Raises:
            CorruptRow: another entry, or behind another one.
        """
        rowmac.verify_row_mac(self._key, _ENTRY, (previous, *fields), link)

    def commitment(self, salt: bytes, client: str) -> bytes:
        """What stands for an address in the link, so that it can be forgotten: 32 bytes."""
        return rowmac.row_mac(self._key, _CLIENT, (salt, client))

    def check_commitment(self, commitment: bytes, salt: bytes, client: str) -> None:
        """Check what `commitment` made.

        Raises:
            CorruptRow: another address or salt.
        """
        rowmac.verify_row_mac(self._key, _CLIENT, (salt, client), commitment)
