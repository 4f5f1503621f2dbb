"""Several processes that serve one port, and the one that looks after them and does nothing else.

It must never have opened a store when it forks, nor have a second thread: no connection, no lock and no
thread crosses the fork. It listens, so that connections which nobody has accepted yet outlive the process
that would have. A process that ends is replaced, soon at first and then with a growing delay, and so is one
that hangs. Called by `davserver.cli`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from davserver.serving.board import Board, Seat
from davserver.serving.lifecycle import Attendant
from davserver.serving.server import Place

SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD})
"""What the supervisor waits for. They are blocked meanwhile, so none is lost or comes at a bad moment."""

TURN_SECONDS = 0.5
"""How often the processes are looked at when no signal says to."""

EAGER_TURN_SECONDS = 0.02
"""The same while somebody waits for them to begin, to read again, or to end."""

LONGEST_DELAY_SECONDS = 30.0
"""A process that ends again and again is started again at least this often."""

STEADY_SECONDS = 60.0
"""Whoever has served for so long is started again at once when it ends."""

MANY_FAILURES = 10
"""From then on the delay is the longest whatever it would double to."""

HUNG_SECONDS = 60.0
"""A process that has not said that it is well for so long is killed; it does so twice a second."""

FRESH_SECONDS = 5.0
"""The server is well while one of its processes has said so within this time."""

RELOAD_SECONDS = 10.0
"""How long the processes may take to read again before the supervisor says that it is done."""

KILL_SECONDS = 45
"""How much longer than the grace a stop may take before what is left is killed: mails are sent in it."""

CRASHED = 70
"""Exit code of a process that ends by an error that nobody expected (sysexits.h, EX_SOFTWARE)."""

Work = Callable[[Place, Attendant], int]
"""What a process does until it is told to stop; gives its exit code."""


def hold_signals() -> None:
    """Let signals wait until there is a `Supervisor` that runs. To be called before there is any thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


@dataclass
class _Worker:
    """One seat and the process that sits there, if any.

    Attributes:
        due: when the next one is started; on the monotonic clock, as all times here.
        failures: processes in a row that ended soon.
    """

    seat: Seat
    pid: int = 0
    due: float = 0.0
    failures: int = 0
    started: float = 0.0
    beats: int = 0
    beaten: float = 0.0


class Supervisor:
    """Starts processes, replaces them, passes signals on to them, and ends with them.

    Args:
        listener: the socket that they accept from.
        processes: how many.
        work: what each of them does.
        grace_seconds: how long running requests may finish after SIGTERM.
        attendant: is told how the server as a whole is.
        reload: reads again what the processes of later on begin with; called on SIGHUP.
        fault: told of a process that had to be replaced, in words of ours.
    """

    def __init__(  # noqa: PLR0913 - what is different in each program
        self,
        listener: socket.socket,
        processes: int,
        work: Work,
        *,
        grace_seconds: int,
        attendant: Attendant,
        reload: Callable[[], None],
        fault: Callable[[str], None],
    ) -> None:
        self._listener = listener
        self._board = Board(processes)
        self._workers = [_Worker(self._board.seat(number)) for number in range(processes)]
        self._work = work
        self._grace = grace_seconds
        self._attendant = attendant
        self._reload = reload
        self._fault = fault
        self._ready = False
        self._awaited: dict[int, int] = {}
        self._reload_until = 0.0
        self._looked_at = time.monotonic()

    def run(self) -> int:
        """Serve until a signal asks for a stop; only in the main thread.

        Returns:
            0, or the exit code of a process that could not even begin.
        """
        if threading.active_count() != 1:
            raise RuntimeError("a thread would be lost in the fork, and what it holds would stay locked")
        gc.collect()
        gc.freeze()  # else the first collection in each process would copy every page that they share
        hold_signals()
        try:
            code = self._watch()
            self._attendant.stopping()
            self._end_all()
        finally:
            self._tell_all(signal.SIGKILL)
            self._reap(wait=True)
            gc.unfreeze()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return code

    # ── while it serves
    def _watch(self) -> int:
        """Until a stop is asked for, or a process cannot begin."""
        while True:
            self._start_due()
            number = self._wait(eager=not self._ready or self._reload_until > 0)
            if number in {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}:
                return 0
            if number == signal.SIGHUP:
                self._begin_reload()
            code = self._replace_ended()
            if code is not None and not self._ready:
                return CRASHED if code < 0 else code
            self._look_after()

    def _look_after(self) -> None:
        now = time.monotonic()
        stood_still = max(
            now - self._looked_at - TURN_SECONDS, 0.0
        )  # the machine has, or was frozen: nobody hangs
        self._looked_at = now
        for worker in self._workers:
            worker.beaten += stood_still
            self._check_beats(worker, now)
        if not self._ready and all(worker.seat.readies for worker in self._workers):
            self._ready = True
            self._attendant.ready()
        if self._reload_until:
            self._end_reload()
        if any(one.pid and one.seat.readies and now - one.beaten < FRESH_SECONDS for one in self._workers):
            self._attendant.alive()

    def _check_beats(self, worker: _Worker, now: float) -> None:
        """Kill a process that hangs: it is replaced like one that has crashed."""
        if not worker.pid:
            return
        beats = worker.seat.beats
        if beats != worker.beats:
            worker.beats, worker.beaten = beats, now
        elif now - worker.beaten > HUNG_SECONDS:
            self._fault("a worker process hangs and is killed")
            self._signal(worker, signal.SIGKILL)
            worker.beaten = now

    def _replace_ended(self) -> int | None:
        """Put the next one off for whoever has ended; gives the exit code of one of them."""
        ended = self._reap()
        for worker, _ in ended:
            self._board.clear(worker.seat.number)
            self._put_off(worker)
            if self._ready:
                self._fault("a worker process has ended and is replaced")
        return ended[-1][1] if ended else None

    def _put_off(self, worker: _Worker) -> None:
        """Decide when the next one comes, the later the oftener this has happened."""
        now = time.monotonic()
        worker.failures = 0 if now - worker.started > STEADY_SECONDS else worker.failures
        worker.due = now + min(2.0**worker.failures - 1, LONGEST_DELAY_SECONDS)
        worker.failures = min(worker.failures + 1, MANY_FAILURES)

    def _reap(self, *, wait: bool = False) -> list[tuple[_Worker, int]]:
        """Who has ended since the last call, or ends now, with their exit codes."""
        ended = []
        for worker in self._workers:
            if worker.pid:
                pid, status = os.waitpid(worker.pid, 0 if wait else os.WNOHANG)
                if pid:
                    worker.pid = 0
                    ended.append((worker, os.waitstatus_to_exitcode(status)))
        return ended

    # ── starting
    def _start_due(self) -> None:
        now = time.monotonic()
        for worker in self._workers:
            if not worker.pid and worker.due <= now:
                worker.started = worker.beaten = now
                worker.beats = 0
                try:
                    worker.pid = self._fork(worker.seat)
                except OSError:  # the system has no process to give now: the others go on
                    self._fault("a worker process could not be started")
                    self._put_off(worker)

    def _fork(self, seat: Seat) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._be_worker(seat, parent)
        return pid

    def _be_worker(self, seat: Seat, parent: int) -> NoReturn:
        """All that the new process ever does. It never returns into what the supervisor had under way."""
        code = CRASHED
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})  # the others: see `Orders`
            code = self._work(Place(self._listener, seat), Supervised(seat, parent))
            sys.stdout.flush()
            sys.stderr.flush()
        except BaseException:  # noqa: BLE001 - nothing may get out of here; it is told
            self._fault("a worker process could not go on")
        finally:
            os._exit(code)

    # ── reloading
    def _begin_reload(self) -> None:
        if self._ready:
            self._attendant.reloading()
        self._reload()
        self._awaited = {one.pid: one.seat.readies for one in self._workers if one.pid}
        self._tell_all(signal.SIGHUP)
        self._reload_until = time.monotonic() + RELOAD_SECONDS

    def _end_reload(self) -> None:
        """Say that it is done, if every process has done it; one that was replaced meanwhile has."""
        late = [one for one in self._workers if self._awaited.get(one.pid) == one.seat.readies]
        if late and time.monotonic() < self._reload_until:
            return
        self._reload_until = 0.0
        if self._ready:
            self._attendant.ready()

    # ── stopping
    def _end_all(self) -> None:
        """Ask every process to stop, at once if somebody asks again; kill what is left after the grace."""
        self._listener.close()
        self._tell_all(signal.SIGTERM)
        end = time.monotonic() + self._grace + KILL_SECONDS
        while any(worker.pid for worker in self._workers) and time.monotonic() < end:
            if self._wait(eager=True) in {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}:
                self._tell_all(signal.SIGQUIT)
            self._reap()

    # ── signals
    def _wait(self, *, eager: bool) -> int | None:
        """Sleep until a signal comes or it is time to look around; gives the signal."""
        info = signal.sigtimedwait(SIGNALS, EAGER_TURN_SECONDS if eager else TURN_SECONDS)
        return None if info is None else info.si_signo

    def _tell_all(self, number: int) -> None:
        for worker in self._workers:
            self._signal(worker, number)

    def _signal(self, worker: _Worker, number: int) -> None:
        if worker.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, number)


class Supervised(Attendant):
    """How one of several processes tells its supervisor how it is.

    Args:
        parent: the supervisor's process id.
    """

    def __init__(self, seat: Seat, parent: int) -> None:
        self._seat = seat
        self._parent = parent

    def ready(self) -> None:
        """See `Attendant`."""
        self._seat.say_ready()

    def alive(self) -> bool:
        """See `Attendant`. Without a supervisor nobody could stop it, so it stops by itself."""
        self._seat.beat()
        return os.getppid() == self._parent
