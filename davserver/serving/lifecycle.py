"""How a serving process is told what to do, by signals, and tells how it is to whoever looks after it.

Called by `server`; who looks after it is systemd (`notify`) or the supervisor of several processes
(`supervisor`).
"""

from __future__ import annotations

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

    Args:
        at_once: called when running requests are no longer waited for.
        supervised: whether a supervisor passes signals on.
    """

    def __init__(self, at_once: Callable[[], None], *, supervised: bool) -> None:
        self._at_once = at_once
        self._supervised = supervised
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
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

    def wait(self) -> bool:
        """Wait a little; whether a stop was asked for.

        The kernel may hand a signal to another thread; Python runs the handler in the main one, which sleeps
        in a lock and would not notice: so it looks up now and then.
        """
        return self._stop.wait(LOOK_UP_SECONDS)

    def take_reload(self) -> bool:
        """Whether a reload was asked for since the last call."""
        asked = self._reload.is_set()
        self._reload.clear()
        return asked

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set() and not self._supervised:
            self._at_once()
        self._stop.set()

    def _on_quit(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()
        self._at_once()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload.set()
