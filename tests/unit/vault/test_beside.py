"""Work beside: done once, by whoever comes to it first, and over when it is dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from davserver.vault.beside import Beside

PATIENCE = 30


@pytest.fixture
def helpers() -> Iterator[ThreadPoolExecutor]:
    """One helper."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@contextmanager
def busy(helpers: ThreadPoolExecutor) -> Iterator[None]:
    """The helper has something else to do."""
    begun, released = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        released.wait(PATIENCE)

    helpers.submit(wait)
    assert begun.wait(PATIENCE)
    try:
        yield
    finally:
        released.set()


def test_a_helper_does_it_meanwhile(helpers: ThreadPoolExecutor) -> None:
    """In another thread, before anybody asks for it."""
    done = threading.Event()

    def work() -> int:
        done.set()
        return threading.get_ident()

    beside = Beside(helpers, work)
    assert done.wait(PATIENCE)
    assert beside.result() != threading.get_ident()


def test_nobody_waits_for_busy_helpers(helpers: ThreadPoolExecutor) -> None:
    """Who needs it does it, once."""
    threads: list[int] = []
    with busy(helpers):
        Beside(helpers, lambda: threads.append(threading.get_ident())).result()
    helpers.submit(int).result()  # whatever was still to be done by the helper is done
    assert threads == [threading.get_ident()]


def test_an_error_is_told_to_whoever_asks(helpers: ThreadPoolExecutor) -> None:
    """Whoever did the work."""

    def work() -> None:
        raise ZeroDivisionError

    begun = Beside(helpers, work)
    helpers.submit(int).result()
    with pytest.raises(ZeroDivisionError):
        begun.result()
    with busy(helpers):
        waiting = Beside(helpers, work)
        with pytest.raises(ZeroDivisionError):
            waiting.result()


def test_nobody_is_at_what_was_dropped(helpers: ThreadPoolExecutor) -> None:
    """What has begun is waited for; what has not never begins. What came of it does not matter."""
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(PATIENCE)
        ended.set()
        raise ZeroDivisionError

    beside = Beside(helpers, work)
    assert begun.wait(PATIENCE)
    never: list[int] = []
    waiting = Beside(helpers, lambda: never.append(1))
    waiting.drop()
    threading.Timer(0.05, go_on.set).start()
    beside.drop()
    assert ended.is_set()
    beside.drop()
    helpers.submit(int).result()
    assert never == []
