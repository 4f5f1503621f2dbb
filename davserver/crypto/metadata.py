"""Encryption of what a node is: size, times, content, digests, the name as sent, extras.

It must never accept metadata under another node, parent, kind, version, name or account than it was
sealed for. Called by `vault`; listings open one per entry, so this is written for speed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import cbor2

from davserver.crypto.keys import AccountKey
from davserver.crypto.primitives import InvalidTag, random_bytes
from davserver.errors import CorruptRow, LimitExceeded
from davserver.model import ID_BYTES, BlobId, Content, NodeId, NodeKind

NONCE_BYTES = 16
PAD_BYTES = 32

_DOMAIN = b"EWD1/node"
# domain, account, node, parent, kind, version, nonce; the sealed name follows
_ASSOCIATED = struct.Struct(">9s16s16s16sBQ16s")
_LAYOUT = 1
_HAS_CONTENT = 1
_HAS_SHA1 = 2
_MAX_VERSION = (1 << 64) - 1
# layout, flags, name length, extras length, size, modified, created, blob id, sealed size, commitment, SHA-1
_FIXED = struct.Struct(">BBHHQqq16sQ32s20s")
_FIXED_BYTES = _FIXED.size
_unpack = _FIXED.unpack_from
_NO_CONTENT = Content(BlobId(bytes(16)), 0, bytes(32))
_NO_SHA1 = bytes(20)
# All but the first are columns of a wrong type or length: SQLite also stores what a column does not allow.
_DAMAGE = (InvalidTag, TypeError, ValueError, struct.error)


class NodeMetadata(NamedTuple):
    """The encrypted part of a node's row.

    A tuple, because a listing makes thousands and tuples are the cheapest frozen values to make.

    Attributes:
        name: exactly as the client sent it; "" for the root.
        size: plaintext length in bytes; 0 for a collection.
        modified_ns, created_ns: nanoseconds since the Unix epoch, in 64 bits with a sign.
        content: what holds the bytes; None for a collection.
        sha1: digest of the plaintext if it is known, else None.
        extras: small further values by name (for example `md5`), as CBOR can hold them.
    """

    name: str
    size: int
    modified_ns: int
    created_ns: int
    content: Content | None
    sha1: bytes | None
    extras: dict[str, object]


def seal(  # noqa: PLR0913, PLR0917 - each argument is a column that the metadata is bound to
    account_key: AccountKey,
    node_id: NodeId,
    parent_id: NodeId,
    kind: NodeKind,
    version: int,
    name_ct: bytes,
    metadata: NodeMetadata,
) -> bytes:
    """Encrypt a node's metadata for its row: 16 bytes of nonce, then the sealed, padded metadata.

    Args:
        account_key: of the account that owns the node.
        node_id: as in the row.
        parent_id: as in the row.
        kind: as in the row.
        version: as in the row.
        name_ct: the sealed name (`names.seal_name`); empty for the root.
        metadata: what to encrypt.

    Raises:
        LimitExceeded: a size, time, name or the extras do not fit their fields.
        ValueError: an id, a version or a digest is not one.
    """
    name = metadata.name.encode()
    extras = cbor2.dumps(metadata.extras, canonical=True) if metadata.extras else b""
    content = metadata.content or _NO_CONTENT
    sha1 = _NO_SHA1 if metadata.sha1 is None else metadata.sha1
    if (len(content.blob_id), len(content.commitment), len(sha1)) != (16, 32, 20):
        raise ValueError("an id, a commitment or a digest has another length than the format gives it")
    flags = _HAS_CONTENT * (metadata.content is not None) | _HAS_SHA1 * (metadata.sha1 is not None)
    try:
        fixed = _FIXED.pack(
            _LAYOUT,
            flags,
            len(name),
            len(extras),
            metadata.size,
            metadata.modified_ns,
            metadata.created_ns,
            content.blob_id,
            content.sealed_size,
            content.commitment,
            sha1,
        )
    except struct.error:
        raise LimitExceeded("a size, a time, a name or the extra values of a file are too large") from None
    plain = fixed + name + extras
    nonce = random_bytes(NONCE_BYTES)
    data = _associated(account_key, node_id, parent_id, kind, version, nonce, name_ct)
    return nonce + account_key.meta_cipher.encrypt(plain + bytes(-len(plain) % PAD_BYTES), data)


def open_(  # noqa: PLR0913, PLR0917 - as `seal`
    account_key: AccountKey,
    node_id: NodeId,
    parent_id: NodeId,
    kind: NodeKind,
    version: int,
    name_ct: bytes,
    sealed: bytes,
) -> NodeMetadata:
    """Decrypt what `seal` made from the same arguments.

    Raises:
        CorruptRow: a column of the node's row was altered, or the row was made by a newer version.
    """
    plain = _decrypt(account_key, node_id, parent_id, kind, version, name_ct, sealed)
    _, flags, name_end, end, size, modified, created, blob_id, blob_size, commitment, sha1 = _unpack(plain)
    name_end += _FIXED_BYTES
    return NodeMetadata(
        plain[_FIXED_BYTES:name_end].decode(),
        size,
        modified,
        created,
        Content(BlobId(blob_id), blob_size, commitment) if flags & _HAS_CONTENT else None,
        sha1 if flags & _HAS_SHA1 else None,
        cbor2.loads(plain[name_end : name_end + end]) if end else {},
    )


def open_brief(  # noqa: PLR0913, PLR0917 - as `seal`
    account_key: AccountKey,
    node_id: NodeId,
    parent_id: NodeId,
    kind: NodeKind,
    version: int,
    name_ct: bytes,
    sealed: bytes,
) -> tuple[str, int, int]:
    """As `open_`, but name, size and time of change only, in three fifths of the time: for sorting.

    Raises:
        CorruptRow: as `open_`.
    """
    plain = _decrypt(account_key, node_id, parent_id, kind, version, name_ct, sealed)
    _, _, name_length, _, size, modified, _, _, _, _, _ = _unpack(plain)
    return plain[_FIXED_BYTES : _FIXED_BYTES + name_length].decode(), size, modified


def _decrypt(  # noqa: PLR0913, PLR0917 - as `seal`
    account_key: AccountKey,
    node_id: NodeId,
    parent_id: NodeId,
    kind: NodeKind,
    version: int,
    name_ct: bytes,
    sealed: bytes,
) -> bytes:
    """The plaintext of what `seal` made, with its padding.

    Raises:
        CorruptRow: as `open_`.
    """
    try:
        data = _associated(account_key, node_id, parent_id, kind, version, sealed[:NONCE_BYTES], name_ct)
        plain = account_key.meta_cipher.decrypt(sealed[NONCE_BYTES:], data)
    except _DAMAGE:
        raise CorruptRow("a row of the tree was altered or belongs elsewhere") from None
    if plain[0] != _LAYOUT:
        raise CorruptRow("a row of the tree was written by a newer version")
    return plain


def _associated(  # noqa: PLR0913, PLR0917 - as `seal`
    account_key: AccountKey,
    node_id: NodeId,
    parent_id: NodeId,
    kind: NodeKind,
    version: int,
    nonce: bytes,
    name_ct: bytes,
) -> list[bytes]:
    """One string: fields of fixed length first, the one of variable length last.

    Raises:
        ValueError: a column cannot hold this, so it was altered: packing would cut or fill it without a word.
    """
    if len(node_id) != ID_BYTES or len(parent_id) != ID_BYTES or not 0 <= version <= _MAX_VERSION:
        raise ValueError("an id or a version is not one")
    account_id = account_key.account_id
    fixed = _ASSOCIATED.pack(_DOMAIN, account_id, node_id, parent_id, kind.value, version, nonce)
    return [fixed + name_ct]
