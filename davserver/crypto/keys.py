"""The key hierarchy: master key over account keys over file keys, and every label that keys are derived with.

It must never show key bytes in a `repr`, nor hand out a key that did not prove to be the right one.
Called by `keyring`, which loads, wraps and caches keys; the rest of `crypto` uses the keys found here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Self

from davserver.crypto import rowmac
from davserver.crypto.header import FORMAT_VERSION
from davserver.crypto.primitives import (
    AesSiv,
    HmacSha256,
    InvalidTag,
    constant_time_equal,
    hkdf_expand,
    hkdf_extract,
    random_bytes,
)
from davserver.errors import CorruptRow
from davserver.model import ID_BYTES, AccountId, BlobId

SECRET_BYTES = 32
"""Length of a master, account or file key."""
WRAP_BYTES = 48
"""Length of a wrapped key."""
KEY_CHECK_BYTES = 16
ETAG_BYTES = 16

_SIV = AesSiv.KEY_BYTES
_MAC = 32


@unique
class Label(bytes, Enum):
    """Every label that a key is derived with, in one place, so that no two uses of a key can meet."""

    # Derived from a master key.
    USER_WRAP = b"EWD1/master/user-wrap"
    SEALED_MIX = b"EWD1/master/sealed-mix"
    TOTP = b"EWD1/master/totp"
    PEPPER = b"EWD1/master/pepper"
    PEPPER_WRAP = b"EWD1/master/pepper-wrap"
    SESSION = b"EWD1/master/session"
    MASTER_ROW_MAC = b"EWD1/master/row-mac"
    KEY_CHECK = b"EWD1/master/keycheck"
    # Derived from an account key.
    NAME = b"EWD1/user/name"
    META = b"EWD1/user/meta"
    PROPERTY = b"EWD1/user/property"
    FILE_WRAP = b"EWD1/user/file-wrap"
    ROW_MAC = b"EWD1/user/row-mac"
    ETAG = b"EWD1/user/etag"
    ACCOUNT_COMMIT = b"EWD1/user/commit"
    # Derived from a file key.
    CONTENT = b"EWD1/content"
    CONTENT_COMMIT = b"EWD1/commit"
    # Derived from the pepper, which stays when the master key changes.
    AUDIT_LINK = b"EWD1/pepper/audit-link"
    # Derived from the secret in a browser's cookie.
    SESSION_DATA = b"EWD1/session/data"


def derive(key: bytes, label: Label, length: int, context: bytes = b"") -> bytes:
    """HKDF-Expand(key, label || 00 || context, length)."""
    return hkdf_expand(key, label.value + b"\0" + context, length)


@dataclass(frozen=True, slots=True, eq=False)
class FileKey:
    """The key of exactly one blob, never used for another."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _require_length(self.secret, SECRET_BYTES, "a file key")

    @classmethod
    def generate(cls) -> Self:
        """A fresh random key."""
        return cls(random_bytes(SECRET_BYTES))


class AccountKey:
    """An account's key and all that is derived from it; may be shared by threads.

    Args:
        account_id: whose key it is.
        version: `ukv`, rises by one when the account's key is rotated.
        secret: 32 random bytes.

    Attributes:
        commit: 32 public bytes, kept in the account's row, that only this key has.
        name_cipher, meta_cipher, property_cipher: used by the modules `names`, `metadata` and `properties`.
    """

    __slots__ = (
        "_etag_mac",
        "_row_mac_key",
        "_wrap_cipher",
        "account_id",
        "commit",
        "meta_cipher",
        "name_cipher",
        "property_cipher",
        "secret",
        "version",
    )

    def __init__(self, account_id: AccountId, version: int, secret: bytes) -> None:
        _require_length(account_id, ID_BYTES, "an account id")
        _require_length(secret, SECRET_BYTES, "an account key")
        root = hkdf_extract(account_id, secret)
        self.account_id = account_id
        self.version = version
        self.secret = secret
        self.commit = derive(root, Label.ACCOUNT_COMMIT, 32)
        self.name_cipher = AesSiv(derive(root, Label.NAME, _SIV))
        self.meta_cipher = AesSiv(derive(root, Label.META, _SIV))
        self.property_cipher = AesSiv(derive(root, Label.PROPERTY, _SIV))
        self._wrap_cipher = AesSiv(derive(root, Label.FILE_WRAP, _SIV))
        self._row_mac_key = derive(root, Label.ROW_MAC, _MAC)
        self._etag_mac = HmacSha256(derive(root, Label.ETAG, _MAC))

    def __repr__(self) -> str:
        return f"AccountKey(version={self.version})"

    @classmethod
    def generate(cls, account_id: AccountId, version: int = 1) -> Self:
        """A fresh random key for an account."""
        return cls(account_id, version, random_bytes(SECRET_BYTES))

    def wrap_file_key(self, file_key: FileKey, blob_id: BlobId) -> bytes:
        """Encrypt a file key for the row of its blob: `WRAP_BYTES`."""
        return self._wrap_cipher.encrypt(file_key.secret, self._wrap_data(blob_id))

    def unwrap_file_key(self, wrapped: bytes, blob_id: BlobId) -> FileKey:
        """Decrypt what `wrap_file_key` made.

        Raises:
            CorruptRow: altered, or made for another blob, account or version of the account's key.
        """
        return FileKey(_unwrap(self._wrap_cipher, wrapped, self._wrap_data(blob_id), "a file key"))

    def etag(self, blob_id: BlobId) -> str:
        """The entity tag of a content, without quotes: 26 characters that do not tell the blob's id."""
        return _base32(self._etag_mac.digest(blob_id)[:ETAG_BYTES])

    def row_mac(self, table: str, fields: Sequence[rowmac.Field]) -> bytes:
        """Authenticate a row that only whoever opened the vault may change; see `rowmac.row_mac`."""
        return rowmac.row_mac(self._row_mac_key, table, fields)

    def verify_row(self, table: str, fields: Sequence[rowmac.Field], mac: bytes) -> None:
        """Check what `row_mac` made.

        Raises:
            CorruptRow: the row is not the one that was authenticated.
        """
        rowmac.verify_row_mac(self._row_mac_key, table, fields, mac)

    def _wrap_data(self, blob_id: BlobId) -> list[bytes]:
        return [b"EWD1/fk", self.account_id, blob_id, _u8(FORMAT_VERSION), _u32(self.version)]


class MasterKey:
    """One version of the server's key and all that is derived from it; may be shared by threads.

    Args:
        kid: which version this is; rises with every rotation.
        instance_id: 16 random bytes, the same for the whole life of a store.
        secret: 32 random bytes.

    Attributes:
        key_check: 16 public bytes, stored per kid: a server with another key refuses to start.
        pepper: key of the verifiers of app passwords and recovery codes (`tokens`), unless the store has one
            from before a rotation (`open_pepper`).
        sealed_mix: mixed into the wraps of sealed vaults.
        session: key that hashes session ids.
    """

    __slots__ = (
        "_pepper_cipher",
        "_row_mac_key",
        "_totp_cipher",
        "_wrap_cipher",
        "instance_id",
        "key_check",
        "kid",
        "pepper",
        "sealed_mix",
        "session",
    )

    def __init__(self, kid: int, instance_id: bytes, secret: bytes) -> None:
        _require_length(instance_id, ID_BYTES, "an instance id")
        _require_length(secret, SECRET_BYTES, "a master key")
        root = hkdf_extract(instance_id, secret)
        self.kid = kid
        self.instance_id = instance_id
        self.key_check = derive(root, Label.KEY_CHECK, KEY_CHECK_BYTES)
        self.pepper = derive(root, Label.PEPPER, _MAC)
        self.sealed_mix = derive(root, Label.SEALED_MIX, _MAC)
        self.session = derive(root, Label.SESSION, _MAC)
        self._wrap_cipher = AesSiv(derive(root, Label.USER_WRAP, _SIV))
        self._totp_cipher = AesSiv(derive(root, Label.TOTP, _SIV))
        self._pepper_cipher = AesSiv(derive(root, Label.PEPPER_WRAP, _SIV))
        self._row_mac_key = derive(root, Label.MASTER_ROW_MAC, _MAC)

    def __repr__(self) -> str:
        return f"MasterKey(kid={self.kid})"

    def wrap_account_key(self, key: AccountKey) -> bytes:
        """Encrypt an account key for the row of its account: `WRAP_BYTES`."""
        return self._wrap_cipher.encrypt(key.secret, self._wrap_data(key.account_id, key.version))

    def unwrap_account_key(
        self, wrapped: bytes, account_id: AccountId, version: int, commit: bytes
    ) -> AccountKey:
        """Decrypt what `wrap_account_key` made and compare the key with its public commitment.

        Raises:
            CorruptRow: altered, made for another account, version, instance or kid, or not the committed key.
        """
        data = self._wrap_data(account_id, version)
        key = AccountKey(account_id, version, _unwrap(self._wrap_cipher, wrapped, data, "an account key"))
        if not constant_time_equal(key.commit, commit):
            raise CorruptRow("an account key is not the one that the account's row commits to")
        return key

    def seal_totp(self, account_id: AccountId, device_id: bytes, version: int, secret: bytes) -> bytes:
        """Encrypt a one-time-password secret for the row of its device: 16 bytes longer."""
        return self._totp_cipher.encrypt(secret, _totp_data(account_id, device_id, version))

    def open_totp(self, account_id: AccountId, device_id: bytes, version: int, sealed: bytes) -> bytes:
        """Decrypt what `seal_totp` made.

        Raises:
            CorruptRow: altered, or made for another account, device, version or master key.
        """
        data = _totp_data(account_id, device_id, version)
        return _unwrap(self._totp_cipher, sealed, data, "a one-time-password secret")

    def seal_pepper(self, pepper: bytes) -> bytes:
        """Encrypt the pepper of an older master key for this one's row: `WRAP_BYTES`."""
        return self._pepper_cipher.encrypt(pepper, self._pepper_data())

    def open_pepper(self, sealed: bytes) -> bytes:
        """Decrypt what `seal_pepper` made.

        Raises:
            CorruptRow: altered, or made for another instance or master key.
        """
        return _unwrap(self._pepper_cipher, sealed, self._pepper_data(), "the pepper")

    def row_mac(self, table: str, fields: Sequence[rowmac.Field]) -> bytes:
        """Authenticate a row that is checked while no vault is open; see `rowmac.row_mac`."""
        return rowmac.row_mac(self._row_mac_key, table, fields)

    def verify_row(self, table: str, fields: Sequence[rowmac.Field], mac: bytes) -> None:
        """Check what `row_mac` made.

        Raises:
            CorruptRow: the row is not the one that was authenticated.
        """
        rowmac.verify_row_mac(self._row_mac_key, table, fields, mac)

    def _wrap_data(self, account_id: AccountId, version: int) -> list[bytes]:
        return [b"EWD1/uk", self.instance_id, account_id, _u32(self.kid), _u32(version)]

    def _pepper_data(self) -> list[bytes]:
        return [b"EWD1/pepper", self.instance_id, _u32(self.kid)]


def _totp_data(account_id: AccountId, device_id: bytes, version: int) -> list[bytes]:
    return [b"EWD1/totp", account_id, device_id, _u64(version)]


def _unwrap(cipher: AesSiv, wrapped: bytes, data: list[bytes], what: str) -> bytes:
    try:
        return cipher.decrypt(wrapped, data)
    except (InvalidTag, TypeError):  # SQLite also stores what a column's type does not allow.
        raise CorruptRow(f"{what} in the database was altered or belongs elsewhere") from None


def _require_length(value: bytes, length: int, what: str) -> None:
    if len(value) != length:
        raise ValueError(f"{what} has {length} bytes")


_u8 = struct.Struct(">B").pack
_u32 = struct.Struct(">I").pack
_u64 = struct.Struct(">Q").pack

_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_PAIR_SHIFTS = range(120, -1, -10)


def _base32(value: bytes) -> str:
    """RFC 4648 base32 of 16 bytes, lower case, no padding; two digits at a time, because listings call it."""
    bits = int.from_bytes(value, "big") << 2
    return "".join([_PAIRS[bits >> shift & 1023] for shift in _PAIR_SHIFTS])
