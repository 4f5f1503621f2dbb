"""Answers that arrive in any order: nobody is let in on an older word than the one that shut them out."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from davserver.accounts.verdicts import (
    ROLE_MISSING,
    News,
    Standing,
    confirmed_at,
    has_left,
    judged_at,
    told,
    unknown,
)
from davserver.model import AccountId

ALICE = AccountId(b"A" * 16)
NOBODY = unknown(ALICE)

NEWS = st.builds(
    News,
    st.integers(1, 20),
    standing=st.none() | st.sampled_from(Standing),
    has_role=st.none() | st.booleans(),
    password_at=st.none() | st.integers(0, 5),
)


@given(st.lists(NEWS, max_size=12))
def test_the_latest_word_decides_whoever_comes_first(news: list[News]) -> None:
    """Confirmed only if of both questions the latest answer, by when it was asked, lets the person in."""
    row = reduce(told, news, NOBODY)
    for question in ("standing", "has_role"):
        answers = [one for one in news if getattr(one, question) is not None]
        latest = max((one.asked_at for one in answers), default=0)
        decisive = {getattr(one, question) for one in answers if one.asked_at == latest}
        if not decisive or decisive - {Standing.ENABLED, True}:
            assert confirmed_at(row) == 0
        assert confirmed_at(row) <= latest


@given(st.lists(NEWS, max_size=12), st.integers(21, 30))
def test_two_new_answers_decide_alone(news: list[News], later: int) -> None:
    """Whatever was said before: asked anew, and both yes, the person is in."""
    row = reduce(told, news, NOBODY)
    row = told(told(row, News(later, standing=Standing.ENABLED)), News(later, has_role=True))
    assert confirmed_at(row) == judged_at(row) == later
    assert row.reason == ""


@given(st.lists(NEWS, max_size=12))
def test_the_same_news_again_change_nothing(news: list[News]) -> None:
    """Two processes may ask at the same moment."""
    row = reduce(told, news, NOBODY)
    for one in news:
        if one.password_at is None:
            assert confirmed_at(told(row, one)) <= confirmed_at(row)
            assert has_left(told(row, one)) or not has_left(row)


def test_one_answer_is_not_enough() -> None:
    """Enabled without the role is nothing, nor the other way round."""
    enabled, role = News(5, standing=Standing.ENABLED), News(5, has_role=True)
    assert confirmed_at(told(NOBODY, enabled)) == confirmed_at(told(NOBODY, role)) == 0
    assert confirmed_at(told(told(NOBODY, enabled), role)) == 5
    assert confirmed_at(told(told(told(NOBODY, enabled), role), News(9, standing=Standing.ENABLED))) == 5


def test_who_has_left_needs_both_answers_anew() -> None:
    """Whichever of them shut the person out."""
    here = told(NOBODY, News(5, standing=Standing.ENABLED, has_role=True))
    for out in (News(6, standing=Standing.DELETED), News(6, has_role=False)):
        gone = told(here, out)
        for one in (News(7, standing=Standing.ENABLED), News(7, has_role=True)):
            assert has_left(told(gone, one))
        assert not has_left(told(gone, News(7, standing=Standing.ENABLED, has_role=True)))


def test_in_the_same_second_no_wins() -> None:
    """Moments are whole seconds."""
    row = told(told(NOBODY, News(5, standing=Standing.ENABLED, has_role=True)), News(5, has_role=False))
    assert (has_left(row), row.reason) == (True, ROLE_MISSING)
    assert has_left(told(row, News(5, standing=Standing.ENABLED, has_role=True)))


def test_a_password_is_new_once() -> None:
    """The first that is heard of is the one to go on with; a later one is new; an older answer is nothing."""
    rows = [NOBODY]
    for moment in (10, 10, 20, 10, 20, 30):
        rows.append(told(rows[-1], News(1, password_at=moment)))
    assert [(row.password_at, row.new_password_at) for row in rows[1:]] == [
        (10, None),
        (10, None),
        (10, 20),
        (10, 20),
        (10, 20),
        (10, 30),
    ]
    assert all(later.off_at is None for _, later in pairwise(rows))
