"""How a serving process is told what to do, by signals, and tells how it is to whoever looks after it.

Called by `server`; who looks after it is systemd (`notify`) or the supervisor of several processes
(`supervisor`).
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

LOOK_UP_SECONDS = 0.5
"""How long a signal may wait that another thread than the main one has received."""


class Attendant:
    """Is told how a process is. This one is nobody."""

    def ready(self) -> None:
        """It serves; again after each `reloading`."""

    def reloading(self) -> None:
        """It was asked to read again what can be read again, and begins to."""

    def stopping(self) -> None:
        """It was asked to stop, and begins to."""

    def alive(self) -> bool:
        """It is well; called every `LOOK_UP_SECONDS` or so. Returns whether it is still wanted."""
        return True


class Orders:
    """What signals have asked for. To be entered by the main thread, and asked by it.

    SIGTERM and SIGINT ask for a stop, a second one for a stop at once; SIGHUP for a reload. Under a
    supervisor SIGINT, which a terminal sends to every process, means nothing, and SIGTERM means the same
    however often it comes; what asks for a stop at once is SIGQUIT, in both cases.

    A handler interrupts the main thread wherever it is, also in the middle of another handler. It must take
    no lock, and so touch nothing of `threading`: whoever was interrupted may hold that very lock.

    Args:
        at_once: called, by another thread, when running requests are no longer waited for.
        supervised: whether a supervisor passes signals on.
    """

    def __init__(self, at_once: Callable[[], None], *, supervised: bool) -> None:
        self._at_once = at_once
        self._supervised = supervised
        self._stopping = self._hurried = False
        self._reloads = self._taken = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._woken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._hurry = os.eventfd(0, os.EFD_CLOEXEC)
        self._aide = threading.Thread(target=self._wait_for_hurry, name="orders", daemon=True)
        self._aide.start()
        interrupt = signal.SIG_IGN if self._supervised else self._on_stop
        wanted = {
            signal.SIGTERM: self._on_stop,
            signal.SIGINT: interrupt,
            signal.SIGQUIT: self._on_quit,
            signal.SIGHUP: self._on_reload,
        }
        self._previous = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, wanted)  # a supervisor's processes begin with them blocked
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `signal` itself gave
        os.eventfd_write(self._hurry, 1)
        self._aide.join()
        os.close(self._hurry)
        os.close(self._woken)

    def wait(self) -> bool:
        """Wait a little; whether a stop was asked for.

        The kernel may hand a signal to another thread; Python runs the handler in the main one, which sleeps
        and would not notice: so it looks up now and then.
        """
        look = select.poll()
        look.register(self._woken, select.POLLIN)
        if look.poll(LOOK_UP_SECONDS * 1000):
            os.eventfd_read(self._woken)
        return self._stopping

    def take_reload(self) -> bool:
        """Whether a reload was asked for since the last call."""
        asked, before = self._reloads, self._taken
        self._taken = asked
        return asked != before

    def _wait_for_hurry(self) -> None:
        os.eventfd_read(self._hurry)
        if self._hurried:
            self._at_once()

    # ── handlers
    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._stopping and not self._supervised:
            self._make_haste()
        self._stopping = True
        os.eventfd_write(self._woken, 1)

    def _on_quit(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        os.eventfd_write(self._woken, 1)
        self._make_haste()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reloads += 1
        os.eventfd_write(self._woken, 1)

    def _make_haste(self) -> None:
        self._hurried = True
        os.eventfd_write(self._hurry, 1)
