"""From nodes to rows and back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from davserver.errors import CorruptRow, LimitExceeded
from davserver.model import ROOT_ID, BlobId, Content, NodeId, NodeKind
from davserver.vault.rows import NodeCodec, root_row
from tests.unit.crypto.samples import NODE_ID, PARENT_ID, account_key

CODEC = NodeCodec(account_key())
CONTENT = Content(BlobId(b"b" * 16), 1234, b"c" * 32)


def test_a_node_comes_back() -> None:
    """Every field, extras and digests too."""
    node = CODEC.new_node(
        PARENT_ID,
        "caf\u00e9",
        CONTENT,
        size=5,
        modified_ns=-1,
        created_ns=1 << 62,
        sha1=b"s" * 20,
        md5=b"m" * 16,
        version=7,
        extras={"win32": {"attributes": 32}},
    )
    row = CODEC.seal_node(node)
    assert CODEC.open_node(row) == node
    assert (row.kind, row.version, row.blob_id) == (NodeKind.FILE.value, 7, CONTENT.blob_id)


def test_a_digest_is_kept_in_one_place() -> None:
    """MD5 travels among the extras, but is not one of them; a new content does not inherit the old digest."""
    node = CODEC.new_node(PARENT_ID, "a", CONTENT, md5=b"m" * 16, extras={"x": 1})
    opened = CODEC.open_node(CODEC.seal_node(node))
    assert (opened.md5, opened.extras) == (b"m" * 16, {"x": 1})
    changed = CODEC.open_node(CODEC.seal_node(opened._replace(md5=None)))
    assert (changed.md5, changed.extras) == (None, {"x": 1})


def test_the_root() -> None:
    """No name, its own parent, the same id in every account."""
    row = root_row(account_key(), now_ns=5)
    root = CODEC.open_node(row)
    assert row.name_sealed == b""
    assert (root.id, root.parent_id, root.name, root.modified_ns) == (ROOT_ID, ROOT_ID, "", 5)
    assert root.is_collection


def test_new_nodes_have_ids_of_their_own() -> None:
    """16 random bytes."""
    ids = {CODEC.new_node(PARENT_ID, "a", None).id for _ in range(20)}
    assert len(ids) == 20
    assert {len(one) for one in ids} == {16}


def test_etag_belongs_to_the_content() -> None:
    """Not to the node, its name or its time; and it does not tell the blob's id."""
    one = CODEC.new_node(PARENT_ID, "a", CONTENT)
    other = CODEC.new_node(NODE_ID, "b", CONTENT, modified_ns=9)
    assert (
        one.etag
        == other.etag
        != CODEC.new_node(PARENT_ID, "a", replace(CONTENT, blob_id=BlobId(b"d" * 16))).etag
    )
    assert CONTENT.blob_id.hex() not in one.etag
    assert CODEC.new_node(PARENT_ID, "a", None).etag == ""


def test_extras_that_do_not_fit() -> None:
    """64 KiB of them are refused, not cut off."""
    with pytest.raises(LimitExceeded):
        CODEC.seal_node(CODEC.new_node(PARENT_ID, "a", None, extras={"x": bytes(1 << 16)}))


@pytest.mark.parametrize(
    "change",
    [
        {"node_id": NodeId(NODE_ID + b"x")},
        {"parent_id": NodeId(PARENT_ID + b"x")},
        {"node_id": NodeId(b"")},
        {"kind": 3},
        {"kind": "1"},
        {"kind": None},
        {"version": "1"},
        {"version": -1},
        {"version": 1.5},
        {"metadata_sealed": "text"},
        {"metadata_sealed": b""},
        {"metadata_sealed": None},
        {"name_sealed": "text"},
        {"name_sealed": None},
        {"blob_id": None},
        {"blob_id": b"d" * 16},
        {"node_id": 5},
        {"parent_id": None},
    ],
    ids=repr,
)
def test_what_no_node_has_is_corrupt(change: dict[str, object]) -> None:
    """Whatever type a column holds, the error is ours: a listing must not end in a TypeError."""
    row = CODEC.seal_node(CODEC.new_node(PARENT_ID, "a", CONTENT, id=NODE_ID))
    with pytest.raises(CorruptRow):
        CODEC.open_node(row._replace(**change))  # type: ignore[arg-type]  # wrong types on purpose
