"""From sealed rows to nodes and back, for one account.

What comes out of `open_node` is authenticated: name, parent, kind, version and content belong together
(docs/format.md, "Nodes"). Called by the rest of the vault only.
"""

from __future__ import annotations

from davserver.crypto import metadata
from davserver.crypto.keys import AccountKey
from davserver.crypto.metadata import NodeMetadata
from davserver.crypto.names import seal_name
from davserver.crypto.primitives import random_bytes
from davserver.db.nodes import NodeRow
from davserver.errors import CorruptRow
from davserver.model import ID_BYTES, ROOT_ID, Content, Node, NodeId, NodeKind

ROOT_NAME_SEALED = b""
"""The root has no name, so its row carries none."""

MD5_EXTRA = "md5"
"""Under this key the encrypted extras keep an MD5 digest; SHA-1 has a field of its own."""

LOCK_BORN_EXTRA = "lock_born"
"""Present and true in the encrypted extras of a file that a LOCK has made and nothing was put into."""

_OWN_EXTRAS = frozenset({MD5_EXTRA, LOCK_BORN_EXTRA})

_KINDS = {kind.value: kind for kind in NodeKind}


Brief = tuple[str, int, int]
"""Name, size in bytes, and time of change in nanoseconds since the Unix epoch."""


class NodeCodec:
    """Seals and opens the node rows of one account."""

    def __init__(self, key: AccountKey) -> None:
        self._key = key

    def name_sealed(self, parent_id: NodeId, name: str) -> bytes:
        """What a name is stored and looked up as."""
        return seal_name(self._key, parent_id, name)

    def open_node(self, row: NodeRow, *, tagged: bool = True) -> Node:
        """Decrypt a row.

        Args:
            row: as it is stored.
            tagged: whether the entity tag is wanted: it costs as much as the rest.

        Raises:
            CorruptRow: it was altered, or belongs to another place, version or account.
        """
        account_id, parent_id, name_sealed, node_id, kind_number, blob_id, metadata_sealed, version = row
        kind = _KINDS.get(kind_number)
        if kind is None:
            raise CorruptRow("a row of the tree is neither a file nor a collection")
        name, size, modified_ns, created_ns, content, sha1, extras = metadata.open_(
            self._key, node_id, parent_id, kind, version, name_sealed, metadata_sealed
        )
        if (content.blob_id if content else None) != blob_id:
            raise CorruptRow("a file's row names another content than its metadata")
        digest, lock_born = None, False
        if extras:
            digest = extras.pop(MD5_EXTRA, None)
            lock_born = extras.pop(LOCK_BORN_EXTRA, False) is True
        return Node(
            node_id,
            account_id,
            parent_id,
            kind,
            name,
            size,
            self._key.etag(content.blob_id) if content and tagged else "",
            modified_ns,
            created_ns,
            content,
            sha1,
            digest if isinstance(digest, bytes) else None,
            version,
            extras,
            lock_born,
        )

    def open_brief(self, row: NodeRow) -> Brief:
        """Decrypt what a row is sorted by.

        Raises:
            CorruptRow: as `open_node`, save that the content is not looked at.
        """
        _, parent_id, name_sealed, node_id, kind_number, _, metadata_sealed, version = row
        kind = _KINDS.get(kind_number)
        if kind is None:
            raise CorruptRow("a row of the tree is neither a file nor a collection")
        return metadata.open_brief(self._key, node_id, parent_id, kind, version, name_sealed, metadata_sealed)

    def seal_node(self, node: Node) -> NodeRow:
        """Encrypt a node."""
        is_root = node.id == ROOT_ID
        name_sealed = ROOT_NAME_SEALED if is_root else self.name_sealed(node.parent_id, node.name)
        extras = {key: value for key, value in node.extras.items() if key not in _OWN_EXTRAS}
        if node.md5 is not None:
            extras[MD5_EXTRA] = node.md5
        if node.lock_born:
            extras[LOCK_BORN_EXTRA] = True
        sealed = metadata.seal(
            self._key,
            node.id,
            node.parent_id,
            node.kind,
            node.version,
            name_sealed,
            NodeMetadata(
                node.name, node.size, node.modified_ns, node.created_ns, node.content, node.sha1, extras
            ),
        )
        return NodeRow(
            account_id=node.account_id,
            parent_id=node.parent_id,
            name_sealed=name_sealed,
            node_id=node.id,
            kind=node.kind.value,
            blob_id=node.content.blob_id if node.content else None,
            metadata_sealed=sealed,
            version=node.version,
        )

    def new_node(self, parent_id: NodeId, name: str, content: Content | None, **values: object) -> Node:
        """A node with a fresh id: a file if there is content, else a collection."""
        node = Node(
            id=NodeId(random_bytes(ID_BYTES)),
            account_id=self._key.account_id,
            parent_id=parent_id,
            kind=NodeKind.FILE if content else NodeKind.COLLECTION,
            name=name,
            size=0,
            etag=self._key.etag(content.blob_id) if content else "",
            modified_ns=0,
            created_ns=0,
            content=content,
            sha1=None,
            md5=None,
            version=1,
        )
        return node._replace(**values)  # type: ignore[arg-type]  # the caller's keywords are fields of Node


def root_row(key: AccountKey, *, now_ns: int) -> NodeRow:
    """The root collection of a new account."""
    codec = NodeCodec(key)
    root = codec.new_node(ROOT_ID, "", None, id=ROOT_ID, modified_ns=now_ns, created_ns=now_ns)
    return codec.seal_node(root)
