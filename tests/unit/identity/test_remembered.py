"""What is remembered of another server: nobody waits who need not, and it is asked seldom."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Queue

import pytest

from davserver.errors import DavserverError, ProviderUnavailable
from davserver.identity.remembered import MAX_WAITING, Policy, Remembered, in_a_thread
from tests.unit.identity.conftest import Seconds

POLICY = Policy(lifespan=100, max_stale=1000, tries=2, window=60)
PATIENCE = 10
"""How long a test waits for a thread that should come at once."""


@dataclass
class Source:
    """Counts 1, 2, 3 with each fetch, or fails."""

    fetches: int = 0
    error: DavserverError | None = None
    started: threading.Event = field(default_factory=threading.Event)
    free: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Answer at once until told otherwise."""
        self.free.set()

    def __call__(self) -> int:
        """One fetch."""
        self.fetches += 1
        self.started.set()
        assert self.free.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return self.fetches


@pytest.fixture
def source() -> Source:
    """Where the value comes from."""
    return Source()


def now(work: Callable[[], None]) -> None:
    """Do at once what is meant for the background."""
    work()


def never(_work: Callable[[], None]) -> None:
    """A machine that has no thread left."""
    raise RuntimeError("can't start new thread")


def test_it_is_fetched_once(source: Source, seconds: Seconds) -> None:
    """While it is young it is served from memory."""
    remembered = Remembered(source, POLICY, seconds, now)
    assert [remembered.get() for _ in range(5)] == [1] * 5


def test_an_old_value_is_served_while_it_is_renewed(source: Source, seconds: Seconds) -> None:
    """The caller gets the old one at once; the next one gets the new one."""
    remembered = Remembered(source, POLICY, seconds, now)
    remembered.get()
    seconds.now += 101
    assert remembered.get() == 1
    assert remembered.get() == 2


def test_an_outage_is_survived_for_a_while(source: Source, seconds: Seconds) -> None:
    """The old value is served up to `max_stale`, then never again."""
    remembered = Remembered(source, POLICY, seconds, now)
    remembered.get()
    source.error = ProviderUnavailable("down")
    seconds.now += 999
    assert remembered.get() == 1
    seconds.now += 2
    with pytest.raises(ProviderUnavailable):
        remembered.get()


def test_renewals_have_a_budget(source: Source, seconds: Seconds) -> None:
    """At most two fetches in any minute, whoever asks; the known value is the answer then."""
    remembered = Remembered(source, POLICY, seconds, now)
    for second in range(120):
        for _ in range(5):
            remembered.renew()
        assert source.fetches <= 2 * (second // 60 + 1)
        seconds.now += 1
    assert remembered.renew() == source.fetches == 5


def test_failures_have_the_same_budget(source: Source, seconds: Seconds) -> None:
    """A server that is down is not asked more often; whoever comes is told at once why."""
    source.error = ProviderUnavailable("down")
    remembered = Remembered(source, POLICY, seconds, now)
    for _ in range(50):
        with pytest.raises(ProviderUnavailable, match="down"):
            remembered.get()
    assert source.fetches == 2


def test_a_hanging_fetch_stalls_nobody_who_can_be_served(source: Source, seconds: Seconds) -> None:
    """T47: a renewal hangs: readers are served, one thread waits for it, others may join up to a limit."""
    remembered = Remembered(source, POLICY, seconds, in_a_thread)
    remembered.get()
    seconds.now += 101
    source.free.clear()
    source.started.clear()
    assert remembered.get() == 1
    assert source.started.wait(PATIENCE)
    assert [remembered.get() for _ in range(100)] == [1] * 100
    assert source.fetches == 2
    source.free.set()


def test_only_a_few_wait(source: Source, seconds: Seconds) -> None:
    """With nothing known and a fetch that hangs, one caller too many is refused rather than kept."""
    remembered = Remembered(source, POLICY, seconds, now)
    source.free.clear()
    outcomes: Queue[int | str] = Queue()

    def ask() -> None:
        try:
            outcomes.put(remembered.get())
        except ProviderUnavailable:
            outcomes.put("refused")

    asking = [threading.Thread(target=ask) for _ in range(MAX_WAITING + 1)]
    for one in asking:
        one.start()
    assert outcomes.get(timeout=PATIENCE) == "refused"
    source.free.set()
    for one in asking:
        one.join(PATIENCE)
    assert [outcomes.get_nowait() for _ in range(MAX_WAITING)] == [1] * MAX_WAITING
    assert source.fetches == 1


def test_without_a_thread_the_old_value_goes_on(source: Source, seconds: Seconds) -> None:
    """A renewal that cannot start keeps nobody from trying again."""
    remembered = Remembered(source, POLICY, seconds, never)
    remembered.get()
    seconds.now += 101
    assert [remembered.get(), remembered.get()] == [1, 1]
    assert remembered.renew() == 2
