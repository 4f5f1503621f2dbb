"""The cryptographic primitives and the source of randomness, each under one name.

The only module that asks the operating system for random bytes, and that imports `cryptography` but for
X.509 (`certificates`). It must never choose a key, a nonce or a label: that is for the rest of `crypto`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers import Cipher, aead
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

Buffer = bytes | bytearray | memoryview

HASH_BYTES = 32
"""Length of SHA-256."""

TAG_BYTES = 16
"""Length of the authenticator that both ciphers add (GCM: behind, SIV: in front)."""


class InvalidTag(Exception):
    """The authenticator does not match. Callers in `crypto` say what was corrupt; it goes no further."""


class AesGcm:
    """AES-256-GCM (NIST SP 800-38D) under one key; may be shared by threads.

    Both methods write into memory that the caller owns, and give up the interpreter lock while they work.
    """

    __slots__ = ("_cipher",)

    KEY_BYTES = 32
    NONCE_BYTES = 12

    def __init__(self, key: bytes) -> None:
        self._cipher = aead.AESGCM(_require_length(key, self.KEY_BYTES))

    def encrypt_into(self, nonce: bytes, plain: Buffer, associated: bytes, out: Buffer) -> int:
        """Seal `plain` into `out`: other memory, exactly `TAG_BYTES` longer. Returns its length."""
        return self._cipher.encrypt_into(_require_length(nonce, self.NONCE_BYTES), plain, associated, out)

    def decrypt_into(self, nonce: bytes, sealed: Buffer, associated: bytes, out: Buffer) -> int:
        """Open `sealed` into `out`: other memory, exactly `TAG_BYTES` shorter. Returns its length.

        Raises:
            InvalidTag: `out` then holds bytes that nobody vouches for: the caller must wipe them.
        """
        try:
            return self._cipher.decrypt_into(
                _require_length(nonce, self.NONCE_BYTES), sealed, associated, out
            )
        except exceptions.InvalidTag:
            raise InvalidTag from None


class AesSiv:
    """AES-256-SIV (RFC 5297) under one key; may be shared by threads.

    Deterministic: equal plaintext under equal associated data gives equal bytes; nothing else shows.
    """

    __slots__ = ("_cipher",)

    KEY_BYTES = 64

    def __init__(self, key: bytes) -> None:
        self._cipher = aead.AESSIV(_require_length(key, self.KEY_BYTES))

    def encrypt(self, plain: bytes, associated: Sequence[bytes]) -> bytes:
        """Seal `plain`; the result is `TAG_BYTES` longer."""
        return self._cipher.encrypt(plain, associated)

    def decrypt(self, sealed: bytes, associated: Sequence[bytes]) -> bytes:
        """Open `sealed`.

        Raises:
            InvalidTag: wrong key, altered or too short bytes, or other associated data.
        """
        try:
            return self._cipher.decrypt(sealed, associated)
        except exceptions.InvalidTag:
            raise InvalidTag from None


def aes_ctr(key: bytes, counter: bytes, message: bytes) -> bytes:
    """AES-256 in counter mode (NIST SP 800-38A, 6.5), which is its own inverse. It authenticates nothing.

    For what another program writes like that, never for anything of ours.
    """
    return Cipher(AES256(key), CTR(counter)).encryptor().update(message)


class HmacSha256:
    """`hmac_sha256` in less than half the time, for a key that is used often; may be shared by threads."""

    __slots__ = ("_state",)

    def __init__(self, key: bytes) -> None:
        self._state = HMAC(key, SHA256())

    def digest(self, message: bytes) -> bytes:
        """HMAC-SHA256 of `message`: 32 bytes."""
        state = self._state.copy()
        state.update(message)
        return state.finalize()


def random_bytes(count: int) -> bytes:
    """`count` bytes from the operating system's generator."""
    return os.urandom(count)


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract with SHA-256 (RFC 5869, 2.2): a 32-byte pseudorandom key."""
    return hmac.digest(salt, secret, "sha256")


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869, 2.3): `length` bytes, at most 8160."""
    if length <= HASH_BYTES:  # the first block alone, for every file that is opened
        return hmac.digest(key, info + b"\x01", "sha256")[:length]
    return HKDFExpand(SHA256(), length, info).derive(key)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104): 32 bytes."""
    return hmac.digest(key, message, "sha256")


def sha256(message: bytes) -> bytes:
    """SHA-256 (FIPS 180-4): 32 bytes."""
    return hashlib.sha256(message).digest()


def constant_time_equal(left: bytes, right: bytes) -> bool:
    """Compare without telling by the time taken where the first difference lies."""
    return hmac.compare_digest(left, right)


def _require_length(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise ValueError(f"a key or nonce of {length} bytes is needed")
    return value
