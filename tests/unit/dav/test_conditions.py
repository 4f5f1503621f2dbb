"""Depth and Overwrite, read to the letter."""

from __future__ import annotations

import pytest
from wsgidav.dav_error import DAVError

from davserver.dav.conditions import Depth, parse_depth, parse_overwrite


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", Depth.ZERO), ("1", Depth.ONE), ("Infinity", Depth.INFINITY), (None, Depth.INFINITY)],
)
def test_depth_is_read(value: str | None, expected: Depth) -> None:
    """RFC 4918, 10.2: without the field a method means everything below."""
    assert parse_depth({} if value is None else {"HTTP_DEPTH": value}) is expected


@pytest.mark.parametrize("value", ["", "2", "-1", "01", "1,noroot", "all"])
def test_other_depths_are_400(value: str) -> None:
    """RFC 4918, 10.2: three values exist."""
    with pytest.raises(DAVError) as caught:
        parse_depth({"HTTP_DEPTH": value})
    assert caught.value.value == 400


@pytest.mark.parametrize(("value", "expected"), [("T", True), ("f", False), ("F", False), (None, True)])
def test_overwrite_is_read(value: str | None, *, expected: bool) -> None:
    """RFC 4918, 10.6: without the field the target may be replaced."""
    assert parse_overwrite({} if value is None else {"HTTP_OVERWRITE": value}) is expected


@pytest.mark.parametrize("value", ["", "true", "no", "TF"])
def test_other_values_of_overwrite_are_400(value: str) -> None:
    """RFC 4918, 10.6: whether something may be destroyed is never guessed."""
    with pytest.raises(DAVError) as caught:
        parse_overwrite({"HTTP_OVERWRITE": value})
    assert caught.value.value == 400
