"""`davserver.serving.pool`: who works, who waits, and who is cut off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Queue

import pytest

from davserver.baton import Baton
from davserver.serving import pool as pools
from davserver.serving.pool import Pool

PATIENCE = 10.0


class Job:
    """A connection whose request does what the test says; and its own wire."""

    def __init__(self, do: Callable[[Job], None]) -> None:
        self._do = do
        self.begun = threading.Event()
        self.done = threading.Event()
        self.go_on = threading.Event()
        self.is_cut = threading.Event()

    def run(self) -> None:
        """In a thread of the pool."""
        self.begun.set()
        self._do(self)
        self.done.set()

    def cut(self) -> None:
        """Wake whoever waits for the client."""
        self.is_cut.set()
        self.go_on.set()


Make = Callable[..., Pool]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make pools that are stopped after the test."""
    made: list[Pool] = []

    def make(threads: int, most_waiting: int = 8) -> Pool:
        made.append(Pool(lambda job: job.run(), threads, threading.Event(), Baton(), most_waiting))  # type: ignore[attr-defined]
        return made[-1]

    yield make
    for one in made:
        one.stop(0)


def waits_in(pool: Pool) -> Callable[[Job], None]:
    """A request that waits for its client until the job goes on."""

    def wait(job: Job) -> None:
        pool.begin(job)  # type: ignore[arg-type]
        job.go_on.wait(PATIENCE)
        pool.end(job)  # type: ignore[arg-type]

    return wait


def works(job: Job) -> None:
    """A request that is at work until the job goes on."""
    job.go_on.wait(PATIENCE)


def put(pool: Pool, *jobs: Job) -> None:
    """Let the pool have them."""
    for job in jobs:
        pool.put(job)  # type: ignore[arg-type]


def test_no_more_work_at_once_than_there_are_threads(make: Make) -> None:
    """The third waits until one of the two is done; then it is its turn."""
    pool = make(2)
    jobs = [Job(works) for _ in range(3)]
    put(pool, *jobs)
    assert all(job.begun.wait(PATIENCE) for job in jobs[:2])
    assert not pool.is_calm
    assert not jobs[2].begun.wait(0.05)
    jobs[0].go_on.set()
    assert jobs[2].begun.wait(PATIENCE)
    assert pool.is_calm
    for job in jobs:
        job.go_on.set()


def test_who_waits_for_a_client_makes_room(make: Make) -> None:
    """One thread, and eight clients that are silent: the ninth request is done all the same."""
    pool = make(1)
    silent = [Job(waits_in(pool)) for _ in range(8)]
    normal = Job(lambda _job: None)
    put(pool, *silent, normal)
    assert normal.done.wait(PATIENCE)
    for job in silent:
        job.go_on.set()
    assert all(job.done.wait(PATIENCE) for job in silent)


def test_threads_that_were_made_for_others_end(make: Make) -> None:
    """In the end there are as many as may work at once."""
    pool = make(2)
    silent = [Job(waits_in(pool)) for _ in range(8)]
    put(pool, *silent)
    assert all(job.begun.wait(PATIENCE) for job in silent)
    with pool._lock:  # noqa: SLF001 - a thread may be at work before it is counted
        mine = list(pool._threads)  # noqa: SLF001 - nobody else knows
    assert len(mine) >= 8
    for job in silent:
        job.go_on.set()
    gone: Queue[None] = Queue()

    def tell_of_the_end(thread: threading.Thread) -> None:
        thread.join()
        gone.put(None)

    for one in mine:
        threading.Thread(target=tell_of_the_end, args=[one], daemon=True).start()
    for _ in range(len(mine) - 2):
        gone.get(timeout=PATIENCE)


def test_who_has_waited_longest_is_cut_where_nothing_else_helps(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there are requests that wait for a thread, and nobody without need."""
    monkeypatch.setattr(pools, "WAITED_ENOUGH_SECONDS", 0)
    pool = make(1, most_waiting=3)
    silent = [Job(waits_in(pool)) for _ in range(4)]
    for job in silent:
        put(pool, job)
        assert job.begun.wait(PATIENCE)
    pool.relieve()
    assert not any(job.is_cut.is_set() for job in silent)
    late = [Job(lambda _job: None) for _ in range(2)]
    put(pool, *late)
    pool.relieve()
    assert all(job.done.wait(PATIENCE) for job in late)
    assert [job.is_cut.is_set() for job in silent] == [True, True, False, False]
    for job in silent:
        job.go_on.set()


def test_nobody_is_cut_who_has_just_begun_to_wait(make: Make) -> None:
    """A client is given a second, however many there are."""
    pool = make(1, most_waiting=0)
    silent, late = Job(waits_in(pool)), Job(lambda _job: None)
    put(pool, silent)
    assert silent.begun.wait(PATIENCE)
    put(pool, late)
    pool.relieve()
    assert not silent.is_cut.is_set()
    silent.go_on.set()
    assert late.done.wait(PATIENCE)


def test_a_system_without_threads_is_waited_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an error nor a loss: the job waits, and begins when there is one, or another thread is free."""
    pool, start = make(2), threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "request":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    jobs = [Job(works) for _ in range(3)]
    put(pool, *jobs)
    pool.relieve()
    assert not pool.is_calm
    monkeypatch.undo()
    pool.relieve()
    assert jobs[0].begun.wait(PATIENCE)
    pool.relieve()
    assert jobs[1].begun.wait(PATIENCE)
    jobs[0].go_on.set()
    assert jobs[2].begun.wait(PATIENCE)
    for job in jobs:
        job.go_on.set()


def test_without_another_thread_the_longest_silence_ends(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system has fewer threads to give than we would take, too."""
    monkeypatch.setattr(pools, "WAITED_ENOUGH_SECONDS", 0)
    pool = make(2)
    silent, late = Job(waits_in(pool)), Job(lambda _job: None)
    put(pool, silent)
    assert silent.begun.wait(PATIENCE)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    put(pool, late)
    pool.relieve()
    assert late.done.wait(PATIENCE)
    assert silent.is_cut.is_set()


def test_a_stop_lets_what_runs_end_and_leaves_no_thread(make: Make) -> None:
    """Within the grace nothing is cut; what was queued is done too."""
    pool = make(1)
    running, queued = Job(works), Job(lambda _job: None)
    put(pool, running, queued)
    assert running.begun.wait(PATIENCE)
    threading.Timer(0.05, running.go_on.set).start()
    pool.stop(PATIENCE)
    assert running.done.is_set()
    assert queued.done.is_set()
    assert not running.is_cut.is_set()


def test_a_stop_cuts_what_does_not_end(make: Make) -> None:
    """After the grace, and only then; the event is set before, so that an end is not taken for one."""
    pool = make(2)
    silent = Job(waits_in(pool))
    put(pool, silent)
    assert silent.begun.wait(PATIENCE)
    pool.stop(0)
    assert silent.is_cut.is_set()
    assert silent.done.is_set()
