"""Many small files in a vault, sealed and vouched for as an upload does it, but thousands to a transaction.

A million uploads, each in a commit of its own, would take most of an hour, and nothing that is measured
afterwards could tell the difference. A unit test reads such files back and lets `verify` judge them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from davserver.crypto.header import FORMAT_VERSION
from davserver.crypto.keys import FileKey
from davserver.crypto.layout import TAG_BYTES
from davserver.crypto.primitives import random_bytes
from davserver.crypto.stream import ChunkSealer
from davserver.db.blob_index import BlobRow, BlobState
from davserver.model import ID_BYTES, BlobId, Content, Node
from davserver.vault.access import Access
from davserver.vault.paths import VaultPath
from davserver.vault.service import Vault

CONTENT = b"0123456789abcdef" * 16
"""What is in each file: little, so that a million of them fit on a disk."""

BATCH = 2000
"""Files to a transaction."""


def plant(access: Access, folder: VaultPath, names: Sequence[str]) -> None:
    """Make a collection with files of these names; what it lies in must be there."""
    parent = Vault(access).make_collection(folder)
    left = iter(names)
    while batch := list(islice(left, BATCH)):
        sealed = [_seal(access, parent, name) for name in batch]
        with access.database.write() as tx:
            for _, row, data in sealed:
                tx.blobs.insert(row, now=access.now(), data=data)
            tx.nodes.insert([access.tree.codec.seal_node(node) for node, _, _ in sealed])
            tx.quota.add(access.account_id, len(CONTENT) * len(batch))
            tx.commit()


def _seal(access: Access, parent: Node, name: str) -> tuple[Node, BlobRow, bytes]:
    blob_id, file_key = BlobId(random_bytes(ID_BYTES)), FileKey.generate()
    sealer = ChunkSealer(file_key, access.account_id, blob_id)
    body = bytearray(len(CONTENT) + TAG_BYTES)
    sealer.seal_into(memoryview(CONTENT), body, final=True)
    row = access.keyring.with_mac(
        BlobRow(
            blob_id=blob_id,
            account_id=access.account_id,
            state=BlobState.LIVE,
            inline=True,
            sealed_size=sealer.sealed_size,
            plain_size=len(CONTENT),
            format=FORMAT_VERSION,
            key_version=access.key.version,
            wrapped_key=access.key.wrap_file_key(file_key, blob_id),
            version=1,
        )
    )
    now_ns = access.now_ns()
    node = access.tree.codec.new_node(
        parent.id,
        name,
        Content(blob_id, sealer.sealed_size, sealer.header.commitment),
        size=len(CONTENT),
        modified_ns=now_ns,
        created_ns=now_ns,
    )
    return node, row, sealer.header.pack() + body
