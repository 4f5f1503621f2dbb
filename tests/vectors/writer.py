"""The sealing half of the independent implementation: it makes the vectors and imports nothing of ours.

Only for the generator and tests. Unlike a real writer it seals wrongly when asked to, and chooses plaintexts
whose ciphertext is one repeated byte, so that vectors of many kilobytes fit on a page.
"""

import hashlib
import struct
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cbor2
from Crypto.Cipher import AES
from Crypto.Cipher._mode_gcm import GcmMode

from tests.vectors.reader import HMAC, derive

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True)
class Sealed:
    """A blob in pieces, and the plaintext of each chunk."""

    header: bytes
    chunks: tuple[bytes, ...]
    plains: tuple[bytes, ...]

    @property
    def blob(self) -> bytes:
        """The whole blob."""
        return self.header + b"".join(self.chunks)

    @property
    def commitment(self) -> bytes:
        """What metadata would name."""
        return self.header[56:88]


@dataclass(frozen=True)
class BlobWriter:
    """Seals the chunks of one blob; every part of the rule can be replaced by a wrong one.

    Attributes:
        head: the first 24 bytes of the header, if not what the other fields make.
        bound: what the chunks are bound to, if not the first 24 bytes of the header.
        context: what the keys are derived for, if not the first 24 bytes and the account.
        nonce: the layout of index and last flag.
    """

    account: bytes
    file_key: bytes
    blob_id: bytes
    salt: bytes
    chunk_log2: int = 14
    head: bytes | None = None
    bound: bytes | None = None
    context: bytes | None = None
    nonce: str = ">3xQB"

    def header(self) -> bytes:
        """The 88 bytes."""
        return self._head() + self.salt + self._derive("EWD1/commit")

    def chunk(self, index: int, plain: bytes, *, final: bool) -> bytes:
        """One sealed chunk."""
        cipher = self._cipher(index, final=final).update(self._head() if self.bound is None else self.bound)
        ciphertext, tag = cipher.encrypt_and_digest(plain)
        return ciphertext + tag

    def plain_for(self, index: int, ciphertext: bytes, *, final: bool) -> bytes:
        """The plaintext that `chunk` turns into this ciphertext."""
        return self._cipher(index, final=final).encrypt(ciphertext)

    def seal(self, sizes: Sequence[int], *, finals: Sequence[bool] | None = None, first: int = 0) -> Sealed:
        """Chunks of these sizes; the ciphertext of each is one byte that tells its index."""
        flags = finals if finals is not None else [i == len(sizes) - 1 for i in range(len(sizes))]
        plains = tuple(
            self.plain_for(first + i, bytes([0x10 + i]) * size, final=final)
            for i, (size, final) in enumerate(zip(sizes, flags, strict=True))
        )
        chunks = tuple(
            self.chunk(first + i, plain, final=final)
            for i, (plain, final) in enumerate(zip(plains, flags, strict=True))
        )
        return Sealed(self.header(), chunks, plains)

    def seal_plain(self, plain: bytes) -> Sealed:
        """A real plaintext of at most one chunk."""
        return Sealed(self.header(), (self.chunk(0, plain, final=True),), (plain,))

    def _head(self) -> bytes:
        return self.head or b"EWDB" + bytes([1, 1, self.chunk_log2, 0]) + self.blob_id

    def _derive(self, label: str) -> bytes:
        context = self._head() + self.account if self.context is None else self.context
        return derive(HMAC(self.salt, self.file_key), label, 32, context)

    def _cipher(self, index: int, *, final: bool) -> GcmMode:
        return AES.new(
            self._derive("EWD1/content"), AES.MODE_GCM, nonce=struct.pack(self.nonce, index, final)
        )


def pad32(value: bytes) -> bytes:
    """`pad32`."""
    return value + b"\x80" + bytes(-(len(value) + 1) % 32)


def siv_seal(root: bytes, label: str, data: Sequence[bytes], plain: bytes) -> bytes:
    """`SIV` under the key of a label."""
    cipher = AES.new(derive(root, label, 64), AES.MODE_SIV)
    for part in data:
        cipher.update(part)
    ciphertext, tag = cipher.encrypt_and_digest(plain)
    return tag + ciphertext


def seal_name(root: bytes, account: bytes, parent: bytes, name: str) -> bytes:
    """A sealed name."""
    plain = pad32(unicodedata.normalize("NFC", name).encode())
    return siv_seal(root, "EWD1/user/name", [b"EWD1/name", account, parent], plain)


@dataclass(frozen=True)
class Metadata:
    """The fields of metadata, as the page lists them."""

    name: str
    size: int = 0
    modified: int = 0
    created: int = 0
    blob_id: bytes | None = None
    blob_length: int = 0
    commitment: bytes = bytes(32)
    sha1: bytes | None = None
    extras: dict[str, object] | None = None
    layout: int = 1

    def plain(self) -> bytes:
        """The plaintext, padded."""
        name = self.name.encode()
        extras = cbor2.dumps(self.extras, canonical=True) if self.extras else b""
        flags = (self.blob_id is not None) | (self.sha1 is not None) << 1
        numbers = self.size, self.modified, self.created
        blob = self.blob_id or bytes(16), self.blob_length, self.commitment
        head = self.layout, flags, len(name), len(extras)
        fixed = struct.pack(">BBHHQqq16sQ32s20s", *head, *numbers, *blob, self.sha1 or bytes(20))
        return fixed + name + extras + bytes(-(len(fixed) + len(name) + len(extras)) % 32)


def seal_metadata(root: bytes, row: dict[str, object], nonce: bytes, plain: bytes) -> bytes:
    """The column `metadata_sealed` of a row."""
    ids = [row["account_id"], row["node_id"], row["parent_id"]]
    numbers = struct.pack(">BQ", row["kind"], row["version"])
    data = b"".join([b"EWD1/node", *map(as_bytes, ids), numbers, nonce, as_bytes(row["name_sealed"])])
    return nonce + siv_seal(root, "EWD1/user/meta", [data], plain)


def as_bytes(value: object) -> bytes:
    """A value that is known to be bytes."""
    assert isinstance(value, bytes)
    return value


def crockford(value: bytes) -> str:
    """Crockford's base32 of whole characters, most significant bits first."""
    bits = int.from_bytes(value, "big")
    return "".join(ALPHABET[bits >> shift & 31] for shift in range(len(value) * 8 - 5, -1, -5))


def token_check(body: str) -> str:
    """The last six characters of an app password."""
    return crockford(hashlib.sha256(b"EWD1/apppw/check" + body.encode()).digest()[:5])[:6]


def verifier(pepper: bytes, account: bytes, app_id: str, secret: bytes) -> bytes:
    """What is stored of an app password."""
    return HMAC(pepper, b"EWD1/apppw/verify" + account + app_id.encode() + secret)
