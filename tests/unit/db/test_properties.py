"""The table `property`: sealed names and values, which hang on a node."""

from __future__ import annotations

import pytest

from davserver.db.engine import Transaction
from davserver.db.nodes import NodeRow
from davserver.db.properties import PropertyRow
from davserver.model import ROOT_ID, AccountId, NodeId
from tests.unit.db.conftest import ALICE, BOB

COLLECTION = 2
A, B = NodeId(b"a" * 16), NodeId(b"b" * 16)


def node(node_id: NodeId, account: AccountId = ALICE) -> NodeRow:
    """A collection below the root."""
    return NodeRow(account, ROOT_ID, node_id, node_id, COLLECTION, None, b"sealed", 1)


def row(node_id: NodeId, name: bytes, value: bytes = b"value", account: AccountId = ALICE) -> PropertyRow:
    """A property."""
    return PropertyRow(account, node_id, name, value)


FIRST, SECOND, OTHER = row(A, b"first", b"12345"), row(A, b"second", b""), row(B, b"first", b"123")
BOBS = row(A, b"first", b"Bob's", BOB)


@pytest.fixture
def filled(tx: Transaction) -> Transaction:
    """Two properties of a, one of b; Bob has one of his a."""
    tx.nodes.insert([node(A), node(B), node(A, BOB)])
    tx.properties.insert([FIRST, SECOND, OTHER, BOBS])
    return tx


def everything(tx: Transaction) -> set[PropertyRow]:
    """All rows."""
    return {*tx.properties.of(ALICE, [A, B]), *tx.properties.of(BOB, [A, B])}


def test_properties_are_found_by_node(filled: Transaction) -> None:
    """Of the nodes asked for, in one account."""
    assert set(filled.properties.of(ALICE, [A])) == {FIRST, SECOND}
    assert set(filled.properties.of(ALICE, [A, B])) == {FIRST, SECOND, OTHER}
    assert filled.properties.of(BOB, [A, B]) == [BOBS]
    assert filled.properties.of(ALICE, []) == []


def test_sizes_are_those_of_the_values(filled: Transaction) -> None:
    """Nodes without properties are not mentioned."""
    assert filled.properties.sizes(ALICE, [A, B, ROOT_ID]) == {A: 5, B: 3}
    assert filled.properties.sizes(BOB, [B]) == {}


def test_nothing_to_insert_is_no_error(filled: Transaction) -> None:
    """A PROPPATCH that only removes."""
    filled.properties.insert([])
    filled.properties.insert(iter(()))
    assert everything(filled) == {FIRST, SECOND, OTHER, BOBS}


def test_a_property_is_removed_by_name(filled: Transaction) -> None:
    """From one node of one account; what is not there is no error (RFC 4918, 14.23)."""
    filled.properties.delete(ALICE, A, [])
    filled.properties.delete(ALICE, A, [b"first", b"missing"])
    assert everything(filled) == {SECOND, OTHER, BOBS}


def test_properties_go_with_their_node(filled: Transaction) -> None:
    """DELETE leaves none behind, and takes nobody else's."""
    filled.nodes.delete_subtree(ALICE, A, now=0)
    assert everything(filled) == {OTHER, BOBS}


@pytest.mark.parametrize("again", [row(A, b"first"), row(NodeId(b"x" * 16), b"first")])
def test_the_database_refuses_what_must_not_be(filled: Transaction, again: PropertyRow) -> None:
    """Two values of one name, and a property of nothing."""
    with pytest.raises(Exception, match=r"UNIQUE|FOREIGN KEY"):
        filled.properties.insert([again])
