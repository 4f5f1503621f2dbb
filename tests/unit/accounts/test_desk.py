"""Whoever is to be asked about is asked about together; few wait, and nobody for a provider that is away."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from davserver.accounts.desk import (
    MAX_WAITING,
    PAUSE_SECONDS,
    SOON_SECONDS,
    TOGETHER,
    Answer,
    Desk,
)
from davserver.accounts.offboarding import Known
from davserver.accounts.verdicts import unknown
from davserver.errors import (
    CorruptRow,
    DavserverError,
    ProviderMisconfigured,
    ProviderUnavailable,
    StorageUnavailable,
    Unconfirmed,
)
from davserver.model import Account, AccountId, AccountState
from tests.fakes import START

WAIT = 10


def account(number: int) -> Account:
    """One of many."""
    return Account(
        AccountId(number.to_bytes(16)), f"sub-{number}", f"user{number}", AccountState.ACTIVE, None, 0, START
    )


class Provider:
    """Answers when it is told to.

    Attributes:
        questions: whom each was about.
        entered: set when one is under way.
        answers: set when answers may be given.
    """

    def __init__(self) -> None:
        self.questions: list[list[int]] = []
        self.entered = threading.Event()
        self.answers = threading.Event()
        self.error: DavserverError | None = None
        self.of_one: dict[AccountId, DavserverError] = {}

    def ask(self, accounts: Sequence[Account]) -> Mapping[AccountId, Answer]:
        """Put a question."""
        self.questions.append([int.from_bytes(one.id) for one in accounts])
        self.entered.set()
        assert self.answers.wait(WAIT)
        if self.error is not None:
            raise self.error
        return {one.id: self.of_one.get(one.id, Known(one, unknown(one.id))) for one in accounts}


class Office:
    """A desk, its provider, and people in threads of their own."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.now = 0.0
        self.provider = Provider()
        self.desk = Desk(self.provider.ask, lambda: self.now)
        self._pool = pool

    def ask(self, number: int) -> Future[Known]:
        """Somebody asks about one account."""
        return self._pool.submit(self.desk.ask, account(number))

    def listed(self) -> int:
        """How many are to be asked about."""
        return len(self.desk._listed)  # noqa: SLF001 - there is nothing else to wait on

    def wait_until_listed(self, count: int) -> None:
        """Until threads have come so far."""
        deadline = threading.Event()
        while self.listed() < count:
            assert not deadline.wait(0.001)


@pytest.fixture
def office() -> Iterator[Office]:
    """Nobody has asked yet; nothing is answered until `answers` is set."""
    with ThreadPoolExecutor(32) as pool:
        made = Office(pool)
        yield made
        made.provider.answers.set()


def test_who_comes_meanwhile_is_asked_about_together(office: Office) -> None:
    """One question for the first, one for all who came while it was under way."""
    first = office.ask(1)
    assert office.provider.entered.wait(WAIT)
    others = [office.ask(number) for number in (2, 3, 4)]
    office.wait_until_listed(4)
    office.provider.answers.set()
    assert [one.result(WAIT).account.username for one in (first, *others)] == [
        "user1",
        "user2",
        "user3",
        "user4",
    ]
    assert [sorted(one) for one in office.provider.questions] == [[1], [2, 3, 4]]


def test_two_requests_of_one_account_are_one_question(office: Office) -> None:
    """The second joins the question that is under way."""
    first = office.ask(1)
    assert office.provider.entered.wait(WAIT)
    second = office.ask(1)
    while office.desk._waiting._value > MAX_WAITING - 2:  # noqa: SLF001
        threading.Event().wait(0.001)
    office.provider.answers.set()
    assert first.result(WAIT).account == second.result(WAIT).account
    assert office.provider.questions == [[1]]


def test_few_wait(office: Office) -> None:
    """The others are told to come back, and are asked about all the same, so many at a time."""
    office.ask(0)
    assert office.provider.entered.wait(WAIT)
    waiting = [office.ask(number) for number in range(1, MAX_WAITING)]
    office.wait_until_listed(MAX_WAITING)
    for number in range(MAX_WAITING, 60):
        with pytest.raises(Unconfirmed) as refused:
            office.desk.ask(account(number))
        assert refused.value.retry_after == SOON_SECONDS
    office.provider.answers.set()
    for one in waiting:
        one.result(WAIT)
    asked = [number for question in office.provider.questions for number in question]
    assert max(map(len, office.provider.questions)) <= TOGETHER
    assert len(set(asked)) == len(asked) >= TOGETHER


def test_the_list_is_bounded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many come while the provider hangs."""
    monkeypatch.setattr("davserver.accounts.desk.MAX_LISTED", 2)
    first = office.ask(1)
    assert office.provider.entered.wait(WAIT)
    second = office.ask(2)
    office.wait_until_listed(2)
    with pytest.raises(Unconfirmed):
        office.desk.ask(account(3))
    office.provider.answers.set()
    assert {one.result(WAIT).account.username for one in (first, second)} == {"user1", "user2"}
    assert office.listed() == 0


@pytest.mark.parametrize("error", [ProviderUnavailable("away"), ProviderMisconfigured("not allowed")])
def test_after_a_failure_nobody_waits(office: Office, error: DavserverError) -> None:
    """All who wait are refused at once, those who come next without a question; then it is asked again."""
    office.provider.error = error
    first = office.ask(1)
    assert office.provider.entered.wait(WAIT)
    second = office.ask(2)
    office.wait_until_listed(2)
    office.provider.answers.set()
    for one in (first, second):
        assert isinstance(one.exception(WAIT), Unconfirmed)
    with pytest.raises(Unconfirmed) as refused:
        office.desk.ask(account(3))
    assert refused.value.retry_after == PAUSE_SECONDS
    assert office.provider.questions == [[1]]
    office.now += PAUSE_SECONDS
    office.provider.error = None
    assert office.desk.ask(account(3)).account.username == "user3"


def test_nobody_waits_for_long(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the provider hangs, a thread is given back."""
    monkeypatch.setattr("davserver.accounts.desk.WAIT_SECONDS", 0.05)
    office.ask(1)
    assert office.provider.entered.wait(WAIT)
    with pytest.raises(Unconfirmed):
        office.desk.ask(account(2))


def test_what_is_wrong_with_one_is_told_to_that_one(office: Office) -> None:
    """An altered row of somebody else harms nobody."""
    office.provider.answers.set()
    office.provider.of_one[account(1).id] = CorruptRow("altered")
    with pytest.raises(CorruptRow):
        office.desk.ask(account(1))
    assert office.desk.ask(account(2)).account.username == "user2"


def test_a_fault_of_ours_leaves_nobody_waiting(office: Office) -> None:
    """Whoever put the question hears of it; the others come back."""
    office.provider.error = StorageUnavailable("busy")
    first = office.ask(1)
    assert office.provider.entered.wait(WAIT)
    second = office.ask(1)
    office.provider.answers.set()
    errors = {type(one.exception(WAIT)) for one in (first, second)}
    assert errors <= {StorageUnavailable, Unconfirmed}
    assert StorageUnavailable in errors
    assert office.listed() == 0
