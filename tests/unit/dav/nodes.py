"""Nodes as the vault gives them, for what works on a node alone, and names that it takes."""

from __future__ import annotations

from hypothesis import strategies as st

from davserver.errors import PathError
from davserver.model import ROOT_ID, AccountId, BlobId, Content, Node, NodeId, NodeKind
from davserver.vault.paths import check_name

_COLLECTION = Node(
    id=NodeId(bytes(15) + b"\1"),
    account_id=AccountId(bytes(16)),
    parent_id=ROOT_ID,
    kind=NodeKind.COLLECTION,
    name="folder",
    size=0,
    etag="",
    modified_ns=0,
    created_ns=0,
    content=None,
    sha1=None,
    md5=None,
    version=1,
)
_FILE = _COLLECTION._replace(
    kind=NodeKind.FILE,
    name="file",
    etag="tag",
    content=Content(BlobId(bytes(16)), 96, bytes(32)),
)


def make_collection(**values: object) -> Node:
    """A collection."""
    return _COLLECTION._replace(**values)  # type: ignore[arg-type]


def make_file(**values: object) -> Node:
    """A file."""
    return _FILE._replace(**values)  # type: ignore[arg-type]


def storable(name: str) -> bool:
    """Whether the vault takes a name."""
    try:
        check_name(name)
    except PathError:
        return False
    return True


names = st.text(min_size=1, max_size=30).filter(storable)
"""Any name that can be stored."""
