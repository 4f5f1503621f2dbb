"""Sorting as people do, and what is kept of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from davserver.db.nodes import NodeRow
from davserver.model import ROOT_ID, AccountId, NodeId, NodeKind
from davserver.vault.orders import Order, Orders, Sequence, natural_key, put_in_order
from tests.unit.vault.forking import in_another

ACCOUNT = AccountId(bytes(16))
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


Entry = tuple[bool, str, int, int]
"""Whether it is a folder, its name, its size, its time."""

COLUMNS: dict[Order, Callable[[Entry], Any]] = {
    Order.NAME: lambda entry: natural_key(entry[1]),
    Order.SIZE: lambda entry: entry[2],
    Order.TIME: lambda entry: entry[3],
}


def ids(*numbers: int) -> list[NodeId]:
    """Ids that tell one from another."""
    return [NodeId(number.to_bytes(16, "big")) for number in numbers]


@pytest.mark.parametrize(
    "ordered",
    [
        ["1", "2", "10", "10a", "11"],
        ["img1.png", "img2.png", "img10.png"],
        ["07", "7", "8"],
        ["Ahle", "Ähre", "b", "Z"],
        ["a 9999999999999999999999", "a 10000000000000000000000"],
        ["strasse", "straße", "strasse 2"],
        ["x", "x1", "xa"],
        ["0", "00", "1"],
        ["A", "a", "B", "b"],
        ["", " ", "-"],
    ],
)
def test_natural_order(ordered: list[str]) -> None:
    """Numbers by value, letters whatever their case and accents; the name itself decides between equals."""
    mixed = random.Random(8).sample(ordered, len(ordered))
    assert sorted(mixed, key=natural_key) == ordered


@given(st.lists(names, max_size=10))
def test_the_order_is_total(some: list[str]) -> None:
    """Other names, other keys: pages never show one entry twice because two were equal."""
    assert len({natural_key(name) for name in some}) == len(set(some))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(-2, 25), st.integers(0, 25), st.booleans())
def test_a_part_is_a_slice(folders: int, files: int, start: int, count: int, descending: bool) -> None:  # noqa: FBT001
    """Of folders and then files, each turned around if it goes down."""
    first, second = ids(*range(folders)), ids(*range(100, 100 + files))
    sequence = Sequence(b"".join(first), b"".join(second))
    whole = [*first[::-1], *second[::-1]] if descending else [*first, *second]
    shown = sequence.part(max(start, 0), count, descending=descending)
    assert shown == whole[max(start, 0) : max(start, 0) + count]


@given(
    st.lists(
        st.tuples(st.booleans(), names, st.integers(0, 2**60), st.integers(-(2**63), 2**63 - 1)), max_size=15
    )
)
def test_all_orders(some: list[Entry]) -> None:
    """Every entry once, folders first; numbers as numbers, also before 1970 and beyond 2262."""
    briefs = dict(zip(ids(*range(len(some))), some, strict=True))
    rows = [
        NodeRow(ACCOUNT, ROOT_ID, b"", node_id, kind, None, b"", 1)
        for node_id, entry in briefs.items()
        for kind in [(NodeKind.COLLECTION if entry[0] else NodeKind.FILE).value]
    ]
    for order, column in COLUMNS.items():
        sequence = put_in_order(rows, lambda row: briefs[row.node_id][1:], order)
        shown = [briefs[one] for one in sequence.part(0, 99, descending=False)]
        assert len(shown) == len(some)
        assert [one[0] for one in shown] == sorted((one[0] for one in some), reverse=True)
        for group in (True, False):
            values = [column(one) for one in shown if one[0] is group]
            assert values == sorted(values)


# ── kept
STATE = bytes(32)


def test_an_order_holds_for_one_state_only() -> None:
    """Of the same folder, account and order; another one does not find it, and does not push it out."""
    orders, sequence = Orders(), Sequence(b"".join(ids(1, 2)), b"".join(ids(3)))
    folder, other = ids(8, 9)
    orders.keep(ACCOUNT, folder, Order.NAME, STATE, sequence)
    assert orders.find(ACCOUNT, folder, Order.NAME, b"x" * 32) is None
    assert orders.find(ACCOUNT, folder, Order.SIZE, STATE) is None
    assert orders.find(ACCOUNT, other, Order.NAME, STATE) is None
    assert orders.find(AccountId(b"x" * 16), folder, Order.NAME, STATE) is None
    assert orders.find(ACCOUNT, folder, Order.NAME, STATE) == sequence


def test_processes_of_one_origin_have_the_same_orders() -> None:
    """What one of them has kept each of them finds, also one that begins after the first one has ended."""
    orders, (folder,) = Orders(), ids(8)
    first, second = Sequence(b"".join(ids(1, 2)), b""), Sequence(b"", b"".join(ids(3)))
    in_another(lambda: orders.keep(ACCOUNT, folder, Order.NAME, STATE, first))
    assert orders.find(ACCOUNT, folder, Order.NAME, STATE) == first
    orders.keep(ACCOUNT, folder, Order.SIZE, STATE, second)

    def finds_both() -> None:
        found = [orders.find(ACCOUNT, folder, order, STATE) for order in (Order.NAME, Order.SIZE)]
        assert found == [first, second]
        assert Orders().find(ACCOUNT, folder, Order.NAME, STATE) is None

    in_another(finds_both)
